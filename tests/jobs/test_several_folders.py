"""A day of all fields of a preset, its files in two folders and compressed in two ways, through the steps."""

import bz2
import gzip
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.tracking.lineage_places import raw_place
from tests.jobs.small_pipeline import FIELDS, FIRST, PIPELINE, UNPUBLISHED, build, write_raw

ONE = {kind: f'{kind} = "raw/{kind}/{{day}}/*.tsv"' for kind in ("logs", "requests")}
TWO = {kind: f'{kind} = ["in/web/{kind}/{{yyyy}}/{{mm}}/{{dd}}/**", "in/app/{kind}/{{day}}"]' for kind in ONE}
TURNED = {kind: f'{kind} = ["in/app/{kind}/{{day}}", "in/web/{kind}/{{yyyy}}/{{mm}}/{{dd}}/**"]' for kind in ONE}


def configured(folder: Path, patterns: dict[str, str]) -> Config:
    text = PIPELINE.removeprefix(FIELDS)
    for kind, written in ONE.items():
        text = text.replace(written, patterns[kind])
    (folder / "pipeline.toml").write_text(text)
    return load_config(folder / "pipeline.toml")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_raw(tmp_path / "raw", [FIRST])
    for kind, day in (("logs", FIRST), ("requests", plus(FIRST, 1))):
        (source,) = (tmp_path / f"raw/{kind}/{day}").iterdir()
        lines = source.read_bytes().splitlines(keepends=True)
        put(tmp_path / f"in/web/{kind}/{day:%Y/%m/%d}/h/a", bz2.compress(b"".join(lines[:100])))
        put(tmp_path / f"in/app/{kind}/{day}/a.TSV.GZ", gzip.compress(b"".join(lines[100:])))
    return configured(tmp_path, TWO)


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def files_of(config: Config, table: str, name: str) -> set[str]:
    store = open_store(config)
    manifest = store.manifest(table, FIRST)
    assert manifest is not None
    return set(pq.read_table(store.folder(manifest) / name)["file"].to_pylist())


def test_two_folders_are_one_day_whose_files_are_named_below_both(config: Config) -> None:
    steps = [name for name in UNPUBLISHED if name != "report"]
    assert set(build(config, [FIRST], steps)) == {"done"}
    assert files_of(config, "rows", "rows.parquet") == {"app/logs/2026-11-01/a.TSV.GZ", "web/logs/2026/11/01/h/a"}
    scored = {"app/requests/2026-11-02/a.TSV.GZ", "web/requests/2026/11/02/h/a"}
    assert files_of(config, "scores", "scores.parquet") == scored
    turned = configured(config.path.parent, TURNED)
    assert "done" not in build(turned, [FIRST], steps)
    assert raw_place(config, "logs").name == str(config.path.parent / "in")
