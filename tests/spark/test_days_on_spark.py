"""A day whose parts Spark reads, counts, divides and encodes is, byte for byte, that of one process."""

from pathlib import Path

import pytest

from pnn_gluon.config import Config, load_config
from tests.jobs.small_pipeline import DAYS, PIPELINE, build, in_force, tree, write_raw

STEPS = ("ingest", "sample", "count", "check", "feature_map", "encode")
DATA_DAYS = DAYS[:2]


def made(folder: Path, engine: str) -> dict[str, bytes]:
    folder.mkdir()
    path = folder / "pipeline.toml"
    path.write_text(PIPELINE.replace("threads = 1", engine))
    write_raw(folder / "raw", DATA_DAYS)
    config: Config = load_config(path)
    build(config, DATA_DAYS, STEPS)
    files = in_force(tree(Path(config.store_root)))
    return {name: content for name, content in files.items() if name.count("/") > 1}


def test_spark_makes_the_same_bytes_as_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pnn_gluon.data.ingest.PART_LINES", 500)
    here = made(tmp_path / "local", "threads = 1")
    there = made(tmp_path / "spark", 'kind = "spark"\nspark_master = "local[2]"')
    assert len([name for name in here if "/rows-0000" in name and name.startswith("rows/")]) == 2 * 3
    assert there == here
