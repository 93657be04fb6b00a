"""What the benchmark of the data steps says, and how it measures processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import etl
from benchmarks.usage import Usage, run

FAMILY = """
import subprocess, sys, time
held = bytearray(60 << 20)
work = "import time; held = bytearray(90 << 20)\\nwhile time.process_time() < 0.5: pass"
subprocess.run([sys.executable, "-c", work], check=True)
"""


def test_a_process_is_measured_with_those_that_it_started() -> None:
    used, said = run([sys.executable, "-c", FAMILY])
    assert said == ""
    assert used.peak_mb > 150  # both at once; the larger of them alone holds some 100
    assert used.cpu_seconds >= 0.5


def test_a_process_that_fails_is_told_with_its_words() -> None:
    with pytest.raises(RuntimeError, match=r"status 3 of .*: not so"):
        run([sys.executable, "-c", "print('not so'); raise SystemExit(3)"])


def test_rows_a_cpu_second_are_those_of_one_process_and_an_absent_peer_is_null() -> None:
    used = {name: Usage(seconds=1.0, peak_mb=100.0 * place, cpu_seconds=2.0) for place, name in enumerate(etl.STEPS, 1)}
    used |= {etl.ONE: Usage(5.0, 600.0, 8.0), "polars": Usage(4.0, 250.0, 5.0), "polars_cells": Usage(1.0, 200.0, 2.0)}
    used |= {"pandas": Usage(2.0, 1000.0, 4.0)}
    found = etl.told(used, 1000, {"fuxictr": "why"})
    assert found["ours"] == {"rows_per_cpu_second": 125, "peak_mb": 600}
    assert found["steps"][etl.EACH]["rows_per_cpu_second"] == 100
    assert found["polars"] == {"rows_per_cpu_second": 200, "peak_mb": 250}
    assert found["pandas"] == {"rows_per_cpu_second": 250, "peak_mb": 1000}
    assert (found["fuxictr"], found["absent"]) == (None, {"fuxictr": "why"})
    assert found["ratios"]["polars"] == {"seconds": 1.25, "cpu_seconds": 1.6, "peak_mb": 2.4}


def test_a_peer_whose_packages_are_not_to_be_had_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(folder: Path, packages: tuple[str, ...]) -> Path:
        if folder.name == "fuxictr":
            raise subprocess.CalledProcessError(1, "pip")
        return folder / "python"

    monkeypatch.setattr(etl, "peer_python", install)
    pythons, absent = etl.installed(tmp_path)
    assert sorted(pythons) == ["pandas", "polars", "polars_cells"]
    assert "could not be installed" in absent["fuxictr"]
