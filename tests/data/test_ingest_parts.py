"""A day in parts: whoever reads them, and however many they are, the rows are those of one file."""

import dataclasses
import gzip
import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipelines import CSV, changed, pipeline
from test_ingest import DAY, deliver, read_into

from pnn_gluon.config import Config, EngineConfig
from pnn_gluon.data.ingest import IngestReport, RawLines, Targets, ingest_logs, ingest_requests
from pnn_gluon.data.read_together import NOTHING, Earlier, unchanged
from pnn_gluon.errors import InputError
from pnn_gluon.store.parts import parts_in

LINES = [f"{row},{row % 3 % 2},2026-11-02 13:00:00,site{row % 7},{row / 3},a|b" for row in range(100)]
SPOILT = ["no row", *LINES[:30], "5,1", *LINES[30:75], "", *LINES[75:], LINES[3], LINES[96].replace(",0,", ",1,")]


@pytest.fixture(autouse=True)
def parts_of_ten_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pnn_gluon.data.ingest.PART_LINES", 10)
    monkeypatch.setattr("pnn_gluon.data.pieces.TOGETHER_BYTES", 700)


def read(config: Config, folder: Path, threads: int = 1, requests: bool = False) -> IngestReport:
    folder.mkdir()
    config = config.model_copy(update={"engine": EngineConfig(threads=threads, memory_limit="500MB")})
    return read_into(folder, config, *([ingest_requests] if requests else []))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def rows_in(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in parts_in(folder / "rows.parquet")])


def deliver_day(folder: Path) -> Config:
    """A large file of 11 parts, two small ones that are read together, a compressed one."""
    deliver(folder, SPOILT)
    deliver(folder, [f"b{line}" for line in LINES[:6]], f"logs/{DAY}/b.csv")
    deliver(folder, [f"b{line}" for line in LINES[6:13]], f"logs/{DAY}/c.csv")
    compressed = gzip.compress("".join(f"d{line}\n" for line in LINES[:25]).encode())
    (folder / f"logs/{DAY}/d.csv.gz").write_bytes(compressed)
    return pipeline(folder, changed(CSV, on_repeat='"any_click"'))


def test_processes_and_threads_make_the_same_files(tmp_path: Path) -> None:
    config = deliver_day(tmp_path)
    alone, together = read(config, tmp_path / "one"), read(config, tmp_path / "three", threads=3)
    assert alone == together
    assert digests(tmp_path / "one") == digests(tmp_path / "three")
    assert len(parts_in(tmp_path / "one/rows.parquet")) == 11 + 2 + 3


def test_clicks_within_hours_label_the_same_rows_in_any_part(tmp_path: Path) -> None:
    source = changed(
        CSV.replace('label = { column = "click" }\n', ""), columns='["id", "time", "site", "price", "tags"]'
    )
    options = {"clicks": f'"clicks/{DAY}"', "click_files": '{ columns = ["id", "time"] }', "attribution_hours": "1"}
    config = pipeline(tmp_path, changed(source, time_zone='"Europe/Berlin"', **options))
    impressions = [f"{row},2026-11-02 {row % 24:02}:30:00,site{row % 7},1,a" for row in range(100)]
    deliver(tmp_path, [*impressions[:60], *impressions[50:55]])
    deliver(tmp_path, impressions[60:], f"logs/{DAY}/b.csv")
    clicks = [f"{row},2026-11-02 {(row + row % 3) % 24:02}:45:00" for row in range(0, 110, 3)]
    clicks += [f"{row},2026-11-02 {(row + row % 3) % 24:02}:45:00" for row in range(1, 100, 9)]
    deliver(tmp_path, clicks, f"clicks/{DAY}")
    alone, together = read(config, tmp_path / "one"), read(config, tmp_path / "three", threads=3)
    assert alone == together
    assert digests(tmp_path / "one") == digests(tmp_path / "three")
    assert len(parts_in(tmp_path / "one/rows.parquet")) > 5
    labels = {row["row_id"]: row["label"] for row in rows_in(tmp_path / "one").to_pylist()}
    expected = {hashlib.md5(f"delimited|{row}".encode()).hexdigest(): int(row % 3 == 0) for row in range(100)}
    assert labels == expected


def test_records_of_several_lines_make_the_same_files_whoever_reads_them(tmp_path: Path) -> None:
    lines = [f'{row},{row % 2},2026-11-02 13:00:00,"caf\u00e9\n#{row}",1,a' for row in range(100)]
    config = pipeline(tmp_path, changed(CSV, quote="'\"'", quoted_newlines="true", comment='"#"', encoding='"latin-1"'))
    for name, part in {"a": ["# of", *lines[:50]], "b": lines[50:]}.items():
        deliver(tmp_path, [], f"logs/{DAY}/{name}.csv")
        (tmp_path / f"logs/{DAY}/{name}.csv").write_bytes("\n".join(part).encode("latin-1"))
    alone, together = read(config, tmp_path / "one"), read(config, tmp_path / "three", threads=3)
    assert alone == together
    assert digests(tmp_path / "one") == digests(tmp_path / "three")
    assert len(parts_in(tmp_path / "one/rows.parquet")) > 5
    rows = rows_in(tmp_path / "one").to_pylist()
    assert [row["site"] for row in rows] == [f"caf\u00e9\n#{row}" for row in range(100)]
    assert [row["line"] for row in rows[48:52]] == [98, 100, 1, 3]


def test_parts_end_to_end_are_the_day_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = deliver_day(tmp_path)
    parted = read(config, tmp_path / "parts")
    monkeypatch.setattr("pnn_gluon.data.ingest.PART_LINES", 10**6)
    monkeypatch.setattr("pnn_gluon.data.pieces.TOGETHER_BYTES", 10**6)
    whole = read(config, tmp_path / "whole")
    assert (whole, whole.parts) == (dataclasses.replace(parted, parts=None), None)
    assert sum(parted.parts or ()) == whole.rows
    assert len(parts_in(tmp_path / "whole/rows.parquet")) == 1
    assert rows_in(tmp_path / "whole").equals(rows_in(tmp_path / "parts"))
    assert digests(tmp_path / "whole")["rejects.parquet"] == digests(tmp_path / "parts")["rejects.parquet"]


def test_a_part_file_ends_after_so_many_lines_of_its_file(tmp_path: Path) -> None:
    read(deliver_day(tmp_path), tmp_path / "parts")
    files = [pq.read_table(path) for path in parts_in(tmp_path / "parts/rows.parquet")]
    ranges = [(part["file"][0].as_py()[11:], part["line"][0].as_py(), part["line"][-1].as_py()) for part in files]
    assert ranges[:3] == [("a.csv", 2, 10), ("a.csv", 11, 20), ("a.csv", 21, 30)]
    assert ranges[-5:-3] == [("b.csv", 1, 4), ("c.csv", 5, 7)]
    assert ranges[-3:] == [("d.csv.gz", 1, 10), ("d.csv.gz", 11, 20), ("d.csv.gz", 21, 25)]


def test_an_id_of_two_parts_is_one_row(tmp_path: Path) -> None:
    deliver(tmp_path, SPOILT)
    report = read(pipeline(tmp_path, changed(CSV, on_repeat='"any_click"')), tmp_path / "parts")
    rows = rows_in(tmp_path / "parts").to_pylist()
    assert (report.rows, report.joined, report.conflicts) == (100, 1, 1)
    assert [row["line"] for row in rows if row["site"] == "site5" and row["line"] > 95] == [100]
    assert next(row["label"] for row in rows if row["line"] == 100) == 1
    rejects = pq.read_table(tmp_path / "parts/rejects.parquet").to_pylist()
    assert [(row["line"], row["reason"]) for row in rejects if "repeated" in row["reason"]] == [
        (104, "id: repeated id")
    ]


def test_a_day_without_a_good_line_has_one_part_without_rows(tmp_path: Path) -> None:
    deliver(tmp_path, ["bad"] * 25)
    assert read(pipeline(tmp_path), tmp_path / "parts").rejects == 25
    assert rows_in(tmp_path / "parts").num_rows == 0
    assert len(parts_in(tmp_path / "parts/rows.parquet")) == 1


def test_the_share_of_rejects_is_that_of_the_day(tmp_path: Path) -> None:
    deliver(tmp_path, [*LINES[:90], *["bad"] * 10])
    read(pipeline(tmp_path, changed(CSV, max_reject_share="0.1")), tmp_path / "parts")
    with pytest.raises(InputError, match="10 of 100 lines are rejects"):
        read(pipeline(tmp_path, changed(CSV, max_reject_share="0.09")), tmp_path / "refused")


def test_requests_are_read_in_parts_too(tmp_path: Path) -> None:
    deliver(
        tmp_path,
        ["id,time,site,price,tags"] and [line.replace(",0,", ",").replace(",1,", ",") for line in LINES],
        f"requests/{DAY}/a",
    )
    assert read(pipeline(tmp_path), tmp_path / "parts", requests=True).rows == 100
    assert len(parts_in(tmp_path / "parts/rows.parquet")) == 10


def test_an_error_in_a_worker_process_is_told_as_it_is(tmp_path: Path) -> None:
    config = deliver_day(tmp_path)
    path = tmp_path / f"logs/{DAY}/d.csv.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"d\.csv\.gz: can't be read to its end: .*deliver it again"):
        read(config, tmp_path / "parts", threads=2)
    assert list((tmp_path / "parts").iterdir()) == []


def earlier_of(folder: Path, *changed: str) -> Earlier:
    told = (folder / "parts.json").read_bytes()
    return Earlier(unchanged(told, parts_in(folder / "rows.parquet"), set(changed)), folder / "rejects.parquet")


def read_again(config: Config, folder: Path, earlier: Earlier) -> IngestReport:
    folder.mkdir()
    raw = RawLines(config.source, config.fields, config.path.parent)
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet", folder / "parts.json")
    return ingest_logs(raw, EngineConfig(threads=1, memory_limit="500MB"), DAY, targets, earlier)


def kept(before: Path, after: Path) -> list[str]:
    """The part files that two readings have in common."""
    nodes = {path.stat().st_ino for path in parts_in(before / "rows.parquet")}
    return [path.name for path in parts_in(after / "rows.parquet") if path.stat().st_ino in nodes]


@pytest.mark.parametrize(
    ("name", "lines", "held"),
    [
        ("e.csv", [f"e{line}" for line in LINES[:20]], 5),  # a late file, by itself
        ("e.csv", [f"e{line}" for line in LINES[:7]], 2),  # a small one, read with its neighbour
        ("c.csv", ["no row", *[f"c{line}" for line in LINES[:6]]], 3),  # delivered anew
        ("e.csv", [f"d{LINES[4]}", *[f"e{line}" for line in LINES[:19]]], 5),  # an id again, which is set aside here
        ("aa.csv", [f"d{LINES[4]}", *[f"e{line}" for line in LINES[:19]]], 4),  # and which is set aside there
    ],
)
def test_a_late_file_makes_only_its_own_parts_anew(tmp_path: Path, name: str, lines: list[str], held: int) -> None:
    config = deliver_day(tmp_path)
    nothing = read_again(config, tmp_path / "before", NOTHING)
    assert nothing.rows == sum(nothing.parts or ())
    deliver(tmp_path, lines, f"logs/{DAY}/{name}")
    earlier = earlier_of(tmp_path / "before", f"{DAY}/{name}")
    report = read_again(config, tmp_path / "after", earlier)
    assert report == read_again(config, tmp_path / "fresh", NOTHING)
    assert digests(tmp_path / "after") == digests(tmp_path / "fresh")
    assert len(kept(tmp_path / "before", tmp_path / "after")) == held


def test_parts_that_were_settled_are_read_again(tmp_path: Path) -> None:
    config = deliver_day(tmp_path)
    read_again(config, tmp_path / "before", NOTHING)
    assert (f"{DAY}/a.csv",) not in earlier_of(tmp_path / "before").read  # one of its ids is there twice
    assert sorted(earlier_of(tmp_path / "before").read) == [(f"{DAY}/b.csv", f"{DAY}/c.csv"), (f"{DAY}/d.csv.gz",)]
