"""What is said of the processor, of the text that Linux gives."""

import platform
from pathlib import Path

from pnn_gluon.processor import processor_features, processor_name


def test_name_and_features_are_those_of_the_first_processor(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: One: 9\nflags\t\t: sse avx2 avx512f\n\nmodel name\t: Two\nflags\t\t: sve\n")
    assert processor_name(cpuinfo) == "One: 9"
    assert processor_features(cpuinfo) == "avx2 avx512f"


def test_where_nothing_is_told_the_architecture_is_the_name(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    assert processor_name(cpuinfo) == platform.machine()
    cpuinfo.write_text("processor\t: 0\n")
    assert processor_name(cpuinfo) == platform.machine()
