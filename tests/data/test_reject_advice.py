"""A refused day says which option may read it."""

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipelines import changed, pipeline

from pnn_gluon.data.ingest import RawLines, Targets, ingest_logs
from pnn_gluon.errors import ConfigError, InputError

SOURCE = """
logs = "logs/{day}/*"
delimiter = ","
columns = ["label", "site", "time"]
time_column = "time"
"""
FIELDS = 'fields = [{ name = "site" }]'
TIME = "2026-11-02 12:00:00"


def refused(folder: Path, source: str, fields: str = FIELDS) -> str:
    config = pipeline(folder, source, fields)
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    with pytest.raises(InputError) as error:
        ingest_logs(RawLines(config.source, config.fields, folder), config.engine, datetime.date(2026, 11, 2), targets)
    return str(error.value)


def deliver(folder: Path, content: bytes, name: str = "a.csv") -> None:
    path = folder / "logs/2026-11-02" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("content", "options", "advice"),
    [
        (f"1,caf\u00e9,{TIME}\n".encode("cp1252"), {}, 'source.encoding where they are in another, such as "cp1252"'),
        (f"1,a,{TIME}\n".encode("utf-16"), {}, 'source.encoding where they are in "utf-16"'),
        (f'1,"a\nb",{TIME}\n'.encode(), {"quote": "'\"'"}, "source.quoted_newlines where values hold line ends"),
        (b"#Version: 1.0\n", {}, "source.columns where a column is new, optional_columns where"),
        (f'"1","a",{TIME}\n'.encode(), {}, "source.label, or source.quote where values stand in quotes"),
        (b"1,a,1793620800123\n", {"time_format": '"epoch"'}, 'source.time_format = "epoch_ms" where these are'),
        (b"1,a,2026-11-01 23:30:00\n", {}, "source.time_zone where days are not those of UTC"),
    ],
)
def test_the_option_that_reads_such_lines_is_named(
    tmp_path: Path, content: bytes, options: dict[str, str], advice: str
) -> None:
    deliver(tmp_path, content)
    assert f"correct [source] (perhaps {advice}" in refused(tmp_path, changed(SOURCE, **options))


def test_what_is_given_already_is_not_advised(tmp_path: Path) -> None:
    deliver(tmp_path, b"1,a,2026-11-01 12:00:00\n")
    said = refused(tmp_path, changed(SOURCE, time_zone='"Europe/Berlin"'))
    assert "correct [source] or the files, or allow more" in said


def test_parquet_is_not_told_of_options_of_lines(tmp_path: Path) -> None:
    deliver(tmp_path, b"")
    pq.write_table(pa.table({"label": [1], "site": [b"\xff"]}), tmp_path / "logs/2026-11-02/a.csv")
    said = refused(tmp_path, 'logs = "logs/{day}/*"\nkind = "parquet"')
    assert "site: not valid UTF-8" in said
    assert "perhaps" not in said


def test_columns_in_folders_and_parts_of_columns_are_found(tmp_path: Path) -> None:
    deliver(tmp_path, b"", "os=ios/a.parquet")
    table = pa.table({"label": [1], "device": [{"model": "x"}]})
    pq.write_table(table, tmp_path / "logs/2026-11-02/os=ios/a.parquet")
    fields = 'fields = [{ name = "os" }, { name = "model", column = "device.model" }]'
    said = refused(tmp_path, 'logs = "logs/{day}/*/*"\nkind = "parquet"', fields)
    assert "missing: 'device.model', 'os'" in said
    assert "parts of 'device' are not read, write them as columns" in said
    assert "a folder is called os=..., which `path_columns` reads" in said


def test_a_pattern_that_ends_in_folders_says_so(tmp_path: Path) -> None:
    deliver(tmp_path, b"", "hour=01/a.csv")
    assert "folders are called so: end the pattern in /*" in refused(
        tmp_path, changed(SOURCE, logs='"logs/{day}/hour=*"')
    )


def test_several_patterns_are_a_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="several patterns are a list"):
        pipeline(tmp_path, changed(SOURCE, logs='"{eu,us}/{day}/*"'), FIELDS)
