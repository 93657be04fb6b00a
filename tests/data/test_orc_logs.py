"""Logs as ORC files: the rows of the same table in Parquet."""

import contextlib
import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipelines import changed, pipeline
from pyarrow import orc

from pnn_gluon.data.ingest import RawLines, Targets, ingest_logs
from pnn_gluon.errors import ConfigError, InputError

DAY = datetime.date(2026, 11, 2)
FIELDS = """fields = [
    { name = "site", column = ["Site ID", "site"] },
    { name = "price", kind = "numeric", bucketing = "log" },
    { name = "tags", kind = "multi" },
    { name = "hour_of_day" },
]"""
SOURCE = """
kind = "orc"
logs = "logs/{day}/*"
id_column = "id"
time_column = "time"
time_zone = "Europe/Berlin"
max_reject_share = 1.0
"""


def table(rows: int) -> Any:
    start = datetime.datetime(2026, 11, 2)
    return pa.table(
        {
            "ID": [f"i{n}" for n in range(rows)],
            "label": [n % 2 for n in range(rows)],
            "Site ID": pa.array([None if n % 3 else n for n in range(rows)], pa.int64()),
            "price": [n / 2 for n in range(rows)],
            "tags": [["a", "b|"] if n == 5 else ["a", "b"] if n % 2 else None for n in range(rows)],
            "time": pa.array([start + datetime.timedelta(seconds=n) for n in range(rows)], pa.timestamp("ms", "UTC")),
        }
    )


def ingest(folder: Path, source: str) -> tuple[list[Any], list[Any]]:
    """The rows but their ids, which hold the kind, and the rejects."""
    config = pipeline(folder, source, FIELDS)
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    ingest_logs(RawLines(config.source, config.fields, folder), config.engine, DAY, targets)
    rows, rejects = (pq.read_table(path) for path in (targets.rows, targets.rejects))
    return rows.drop_columns(["row_id"]).to_pylist(), rejects.to_pylist()


def test_rows_of_orc_are_those_of_parquet(tmp_path: Path) -> None:
    folder = tmp_path / "logs/2026-11-02"
    folder.mkdir(parents=True)
    orc.write_table(table(70_000), folder / "a", stripe_size=1 << 18)
    assert orc.ORCFile(folder / "a").nstripes > 1
    of_orc = ingest(tmp_path, SOURCE)
    pq.write_table(table(70_000), folder / "a")
    assert of_orc == ingest(tmp_path, changed(SOURCE, kind='"parquet"'))
    rows, rejects = of_orc
    assert (len(rows), rows[-1]["line"], rows[0]["hour_of_day"]) == (69_999, 70_000, "1")
    assert [(row["line"], row["reason"]) for row in rejects] == [
        (6, "tags: a value of the list holds the separator '|'")
    ]


def test_what_is_no_orc_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "logs/2026-11-02"
    folder.mkdir(parents=True)
    pq.write_table(table(5), folder / "a")
    with pytest.raises(InputError, match="not a whole ORC file: it holds Parquet; deliver it again"):
        ingest(tmp_path, SOURCE)
    orc.write_table(table(1000), folder / "a")
    (folder / "a").write_bytes((folder / "a").read_bytes()[:-10])
    with pytest.raises(InputError, match="not a whole ORC file"):
        ingest(tmp_path, SOURCE)


def test_damaged_bytes_of_an_orc_file_are_other_values_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "logs/2026-11-02/a"
    path.parent.mkdir(parents=True)
    orc.write_table(table(300), path, compression="zstd")
    whole = path.read_bytes()
    for at in range(8, len(whole), 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with contextlib.suppress(InputError):
            ingest(tmp_path, SOURCE)


def test_avro_is_named_where_lines_are_expected(tmp_path: Path) -> None:
    folder = tmp_path / "logs/2026-11-02"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(b"Obj\x01\x04\x14avro.codec")
    with pytest.raises(InputError, match="holds Avro; expected lines"):
        ingest(tmp_path, changed(SOURCE, kind='"json"'))
    with pytest.raises(ConfigError, match=r"source\.kind: .*'orc'"):
        ingest(tmp_path, changed(SOURCE, kind='"avro"'))
