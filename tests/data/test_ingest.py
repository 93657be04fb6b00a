import bz2
import dataclasses
import datetime
import gzip
import hashlib
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines import CSV, FIELDS, changed, pipeline

from pnn_gluon.config import Config
from pnn_gluon.data.ingest import IngestReport, RawLines, Targets, ingest_logs, ingest_requests
from pnn_gluon.errors import ConfigError, InputError

DAY = datetime.date(2026, 11, 2)
GOOD = "7,1,2026-11-02 13:00:00,news,1.5,a|b"
Row = dict[str, Any]


def deliver(folder: Path, lines: list[str], name: str = "logs/2026-11-02/a.csv") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def read_into(folder: Path, config: Config, read: Any = ingest_logs, day: datetime.date = DAY) -> IngestReport:
    """What was read of a day, its rows and rejects in the folder."""
    raw = RawLines(config.source, config.fields, config.path.parent)
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    report: IngestReport = read(raw, config.engine, day, targets)
    return report


def ingest(config: Config, read: Any = ingest_logs) -> tuple[IngestReport, list[Row], list[Row]]:
    """The report, the rows and the rejects of the day; every line is accounted for."""
    with tempfile.TemporaryDirectory() as folder:
        report = read_into(Path(folder), config, read)
        assert sorted(path.name for path in Path(folder).iterdir()) == ["rejects.parquet", "rows.parquet"]
        rows = pq.read_table(Path(folder) / "rows.parquet").to_pylist()
        rejects = pq.read_table(Path(folder) / "rejects.parquet").to_pylist()
    assert report.lines == report.rows + report.joined + report.rejects + report.other_days
    assert (len(rows), len(rejects)) == (report.rows, report.rejects)
    assert sum(report.reasons.values()) == report.rejects
    for table in (rows, rejects):
        assert [(row["file"], row["line"]) for row in table] == sorted((row["file"], row["line"]) for row in table)
    return report, rows, rejects


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_a_good_line_becomes_a_typed_row(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD])
    report, rows, _ = ingest(pipeline(tmp_path))
    assert rows == [
        {
            "row_id": md5("delimited|7"),
            "file": "2026-11-02/a.csv",
            "line": 1,
            "label": 1,
            "site": "news",
            "price": 1.5,
            "tags": "a|b",
            "hour_of_day": "13",
            "weekday": "1",  # 2 November 2026 is a Monday
        }
    ]
    assert report == IngestReport(lines=1, rows=1, positives=1, rejects=0, other_days=0, reasons={})


def test_columns_have_the_documented_types(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD])
    read_into(tmp_path, pipeline(tmp_path))
    schema = pq.read_schema(tmp_path / "rows.parquet")
    assert [str(schema.field(name).type) for name in ("row_id", "file", "line", "label")] == [
        "string",
        "string",
        "int64",
        "int8",
    ]
    assert (schema.field("site").type, schema.field("price").type) == (pa.string(), pa.float64())
    assert pq.read_schema(tmp_path / "rejects.parquet").names == ["file", "line", "reason", "text"]


@pytest.mark.parametrize(
    ("cell", "site"),
    [("news", "news"), ("  new s ", "new s"), ("", None), ("  ", None), ("null", None), (" null", None), ("é", "é")],
)
def test_blanks_are_trimmed_and_missing_values_become_null(tmp_path: Path, cell: str, site: str | None) -> None:
    deliver(tmp_path, [f"7,1,2026-11-02 13:00:00,{cell}, 2 ,", f"{cell}x ,1,2026-11-02 13:00:00,a,null, t "])
    _, rows, _ = ingest(pipeline(tmp_path))
    assert (rows[0]["site"], rows[0]["price"], rows[0]["tags"]) == (site, 2.0, None)
    assert (rows[1]["row_id"], rows[1]["price"], rows[1]["tags"]) == (md5(f"delimited|{cell.lstrip()}x"), None, "t")


BAD = {
    "": "empty line",
    "1,2": "2 columns, expected 6",
    GOOD + ",more": "7 columns, expected 6",
    "8,2,2026-11-02 13:00:00,a,1,": "click: expected 1 or 0",
    "8,,2026-11-02 13:00:00,a,1,": "click: expected 1 or 0",
    "8,1,yesterday,a,1,": "time: not a time of the form %Y-%m-%d %H:%M:%S",
    "8,1,2026-02-30 13:00:00,a,1,": "time: not a time of the form %Y-%m-%d %H:%M:%S",
    "8,1,2026-11-03 00:00:00,a,1,": "time: another day",
    " ,1,2026-11-02 13:00:00,a,1,": "id: no id",
    "8,1,2026-11-02 13:00:00,a,1x,": "price: not a number",
    "8,1,2026-11-02 13:00:00,a,nan,": "price: not a number",
    "8,1,2026-11-02 13:00:00,a,1e999,": "price: not a number",
    "8,1,2026-11-02 13:00:00,a,1_0,": "price: not a number",
    "7,0,2026-11-02 14:00:00,a,1,": "id: repeated id",
    "8,1,2026-11-02 13:00:00,a,1,\0": "holds a NUL byte",
}


def test_every_kind_of_bad_line_is_rejected_with_its_number_reason_and_text(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD, *BAD])
    report, rows, rejects = ingest(pipeline(tmp_path, changed(CSV, max_conflict_share="1.0")))
    assert [row["line"] for row in rows] == [1]
    wanted = [("2026-11-02/a.csv", 2 + i, reason, text) for i, (text, reason) in enumerate(BAD.items())]
    found = [(row["file"], row["line"], row["reason"], row["text"].replace("\\x00", "\0")) for row in rejects]
    assert found == wanted
    assert report.reasons["price: not a number"] == 4
    assert next(iter(report.reasons)) == "price: not a number"


def test_a_line_that_is_not_utf8_is_rejected_in_its_place(tmp_path: Path) -> None:
    deliver(tmp_path, [])
    bad = b"8,1,2026-11-02 13:00:00,caf\xe9,1,\n"
    (tmp_path / "logs/2026-11-02/a.csv").write_bytes(b"1,1\n" + bad + GOOD.encode() + b"\n,\n")
    _, rows, rejects = ingest(pipeline(tmp_path))
    assert [row["line"] for row in rows] == [3]
    assert [(row["line"], row["reason"]) for row in rejects] == [
        (1, "2 columns, expected 6"),
        (2, "not valid UTF-8"),
        (4, "2 columns, expected 6"),
    ]


@settings(max_examples=12)
@given(st.lists(st.sampled_from([*BAD, GOOD, "9,0,2026-11-02 00:00:00,b,,"]), min_size=1, max_size=30))
def test_lines_are_rows_or_rejects_whatever_they_hold(lines: list[str]) -> None:
    known = [line for line in lines if line in (GOOD, "9,0,2026-11-02 00:00:00,b,,")]
    repeated = "7,0,2026-11-02 14:00:00,a,1,"
    with tempfile.TemporaryDirectory() as name:
        deliver(Path(name), [*lines, GOOD])
        report, rows, _ = ingest(pipeline(Path(name), changed(CSV, max_conflict_share="1.0")))
    ids = {line.split(",")[0] for line in [*known, GOOD, *(line for line in lines if line == repeated)]}
    assert report.lines == len(lines) + 1
    assert {row["row_id"] for row in rows} == {md5(f"delimited|{i}") for i in ids}
    assert len(rows) == len(ids)


def test_the_first_of_rows_with_one_id_stays_across_files(tmp_path: Path) -> None:
    lines = [f"{i % 700},{i % 2},2026-11-02 13:00:00,s{i},1," for i in range(1000)]
    deliver(tmp_path, lines[:500], "logs/2026-11-02/a.csv")
    deliver(tmp_path, lines[500:], "logs/2026-11-02/b.csv")
    report, rows, rejects = ingest(pipeline(tmp_path))
    assert [row["site"] for row in rows] == [f"s{i}" for i in range(700)]
    assert [row["text"] for row in rejects] == lines[700:]
    assert report.reasons == {"id: repeated id": 300}
    assert report.positives == sum(i % 2 for i in range(700))


def test_logs_of_several_patterns_are_one_day(tmp_path: Path) -> None:
    source = changed(CSV, logs='["in/web/{day}/*", "in/app/{day}/*"]').replace('id_column = "id"\n', "")
    deliver(tmp_path, [GOOD], "in/web/2026-11-02/a.csv")
    deliver(tmp_path, [GOOD.replace("news", "game"), "8,1,2026-11-03 13:00:00,,,"], "in/app/2026-11-02/a.csv")
    report, rows, rejects = ingest(pipeline(tmp_path, source))
    assert [(row["row_id"], row["site"]) for row in rows] == [
        (md5("delimited|logs|app/2026-11-02/a.csv:1"), "game"),
        (md5("delimited|logs|web/2026-11-02/a.csv:1"), "news"),
    ]
    assert (report.lines, rejects[0]["reason"]) == (3, "time: another day")


def test_a_folder_a_month_is_an_archive_of_its_days(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD, "8,1,2026-11-03 13:00:00,news,1.5,a|b"], "logs/2026/11/a.csv")
    report, rows, _ = ingest(pipeline(tmp_path, changed(CSV, logs='"logs/{yyyy}/{mm}/*"')))
    assert (report.other_days, [row["file"] for row in rows]) == (1, ["2026/11/a.csv"])
    whole = pipeline(tmp_path, changed(CSV, logs='"logs/{yyyy}/{mm}/{dd}/*"'))
    deliver(tmp_path, [GOOD, "8,1,2026-11-03 13:00:00,news,1.5,a|b"], "logs/2026/11/02/a.csv")
    assert ingest(whole)[0].reasons == {"time: another day": 1}


def test_lines_of_other_days_in_an_archive_are_counted_and_left_out(tmp_path: Path) -> None:
    other = ["8,1,2026-11-03 00:00:00,a,1,", "9,bad,2026-11-01 23:59:59,a,bad,", "1,1"]
    deliver(tmp_path, [GOOD, *other], "archive.csv")
    report, rows, rejects = ingest(pipeline(tmp_path, changed(CSV, logs='"archive.csv"')))
    assert (report.rows, report.other_days, report.rejects) == (1, 2, 1)
    assert rows[0]["line"] == 1
    assert rejects[0]["line"] == 4


def rows_but_file(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "file"} for row in rows]


@pytest.mark.parametrize("id_column", ['"id"', None])
def test_compression_changes_neither_rows_nor_ids(tmp_path: Path, id_column: str | None) -> None:
    source = CSV if id_column else CSV.replace('id_column = "id"\n', "")
    text = "".join(f"{i},1,2026-11-02 13:00:00,s{i},{i},\n" for i in range(3000)).encode()
    found = []
    for suffix, content in (
        ("", text),
        (".gz", gzip.compress(text)),
        (".zst", pa.compress(text, "zstd", asbytes=True)),
        (".bz2", bz2.compress(text)),
        (".GZ", gzip.compress(text)),
        (".Bz2", text),
    ):
        path = tmp_path / f"in{suffix}" / "logs/2026-11-02" / f"a.csv{suffix}"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        found.append(rows_but_file(ingest(pipeline(tmp_path / f"in{suffix}", source))[1]))
    assert len(found[0]) == 3000
    assert all(rows == found[0] for rows in found)


def test_a_url_gives_the_rows_of_the_folder(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD, "bad"])
    root = f"memory://{uuid.uuid4().hex}"
    with fsspec.open(f"{root}/logs/2026-11-02/a.csv", "wb") as stream:
        stream.write((tmp_path / "logs/2026-11-02/a.csv").read_bytes())
    remote = pipeline(tmp_path / "remote", changed(CSV, logs=f'"{root}/logs/{{day}}/*"'))
    assert ingest(remote) == ingest(pipeline(tmp_path))


def test_bytes_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    lines = [f"{i % 59_000},{i % 3},2026-11-02 13:00:00,s{i % 77},{i},x|{i % 5}" for i in range(60_000)]
    deliver(tmp_path, lines)
    digests = []
    for threads in (1, 2):
        config = pipeline(tmp_path, more=f"[engine]\nthreads = {threads}")
        folder = tmp_path / str(threads)
        folder.mkdir()
        read_into(folder, config)
        digests.append([(folder / name).read_bytes() for name in ("rows.parquet", "rejects.parquet")])
    assert digests[0] == digests[1]


def test_too_many_rejects_refuse_the_day_with_the_commonest_reasons(tmp_path: Path) -> None:
    bad = [",".join("x" * n) for n in (7, 8, 9, 10, 11, 12) for _ in range(n)]
    deliver(tmp_path, [GOOD, *bad])
    with pytest.raises(InputError) as refused:
        read_into(tmp_path, pipeline(tmp_path, changed(CSV, max_reject_share="0.9")))
    said = str(refused.value)
    assert "57 of 58 lines are rejects" in said
    assert "max_reject_share = 0.9" in said
    for width in (8, 9, 10, 11, 12):
        assert f"{width} columns, expected 6 ({width}, such as 2026-11-02/a.csv:" in said
    assert "7 columns" not in said


def test_the_allowed_share_of_rejects_is_allowed(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD, "bad"])
    assert ingest(pipeline(tmp_path, changed(CSV, max_reject_share="0.5")))[0].rejects == 1


@pytest.mark.parametrize("lines", [[], ["bad"], ["8,1,2026-11-03 13:00:00,a,1,"]])
def test_files_without_a_good_line_are_a_day_of_no_rows(tmp_path: Path, lines: list[str]) -> None:
    deliver(tmp_path, lines)
    report, rows, rejects = ingest(pipeline(tmp_path))
    assert (report.rows, report.lines, rows, len(rejects)) == (0, len(lines), [], len(lines))


HEADER = changed(CSV, header="true")


def test_header_names_decide_the_order_of_columns(tmp_path: Path) -> None:
    deliver(tmp_path, ["\ufeffTags, SITE ,id,Price,time,click", "a|b,news,7,1.5,2026-11-02 13:00:00,1"])
    deliver(tmp_path, [], "logs/2026-11-02/empty.csv")
    report, rows, _ = ingest(pipeline(tmp_path, HEADER))
    assert (rows[0]["site"], rows[0]["price"], rows[0]["tags"], rows[0]["line"]) == ("news", 1.5, "a|b", 2)
    assert (report.lines, report.headers) == (1, 1)


def test_a_header_without_configured_columns_needs_the_used_ones(tmp_path: Path) -> None:
    source = changed(HEADER, columns="[]")
    deliver(tmp_path, ["more,id,click,time,site,price,tags", f"x,{GOOD}"])
    assert ingest(pipeline(tmp_path, source))[1][0]["site"] == "news"
    deliver(tmp_path, ["more,id,click,time,price,tags", "x,7,1,2026-11-02 13:00:00,1,"])
    with pytest.raises(InputError, match=r"a\.csv: .* missing: 'site'"):
        ingest(pipeline(tmp_path, source))


def test_a_header_of_other_columns_is_refused_naming_the_differences(tmp_path: Path) -> None:
    deliver(tmp_path, ["id,click,time,place,price,price,tags", "x"])
    with pytest.raises(InputError, match=r"missing: 'site'; unexpected: 'place'; there twice: 'price'"):
        ingest(pipeline(tmp_path, HEADER))


def test_quotes_are_taken_off_lines_that_hold_them(tmp_path: Path) -> None:
    deliver(
        tmp_path,
        [
            GOOD,
            '8,1,2026-11-02 13:00:00,"a, ""b"" ",1,',
            '9,1,2026-11-02 13:00:00,"a,1,',
            '"10", 1,2026-11-02 13:00:00," null ",1,x',
        ],
    )
    _, rows, rejects = ingest(pipeline(tmp_path, changed(CSV, quote="'\"'")))
    assert [row["site"] for row in rows] == ["news", 'a, "b"', None]
    assert [row["row_id"] for row in rows] == [md5(f"delimited|{i}") for i in (7, 8, 10)]
    assert [(row["line"], row["reason"]) for row in rejects] == [(3, "quotes do not match")]


def test_without_a_quote_character_quotes_are_text(tmp_path: Path) -> None:
    deliver(tmp_path, ['8,1,2026-11-02 13:00:00,"a",1,'])
    assert ingest(pipeline(tmp_path))[1][0]["site"] == '"a"'


def test_epoch_seconds_are_utc_times(tmp_path: Path) -> None:
    seconds = int(datetime.datetime(2026, 11, 2, 23, 59, 59, tzinfo=datetime.UTC).timestamp())
    deliver(tmp_path, [f"1,1,{seconds},a,1,", f"2,1,{seconds}.9,a,1,", f"3,1,{seconds + 1},a,1,", "4,1,-5,a,1,"])
    _, rows, rejects = ingest(pipeline(tmp_path, changed(CSV, time_format='"epoch"')))
    assert [(row["line"], row["hour_of_day"]) for row in rows] == [(1, "23"), (2, "23")]
    assert [row["reason"] for row in rejects] == ["time: another day", "time: not seconds since 1970"]


def test_a_zone_in_the_time_is_turned_into_utc(tmp_path: Path) -> None:
    deliver(tmp_path, ["1,1,2026-11-03 01:00:00 +0200,a,1,"])
    rows = ingest(pipeline(tmp_path, changed(CSV, time_format='"%Y-%m-%d %H:%M:%S %z"')))[1]
    assert (rows[0]["hour_of_day"], rows[0]["weekday"]) == ("23", "1")


def test_a_time_format_that_is_none_is_a_configuration_error(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD])
    with pytest.raises(ConfigError, match=r"source\.time_format: '%Q'"):
        ingest(pipeline(tmp_path, changed(CSV, time_format='"%Q"')))


def test_a_column_of_the_source_is_read_instead_of_one_made_from_the_time(tmp_path: Path) -> None:
    columns = '["id", "click", "time", "weekday", "price", "tags"]'
    deliver(tmp_path, ["1,1,2026-11-02 13:00:00,someday,1,"])
    fields = 'fields = [{ name = "weekday" }, { name = "hour", kind = "numeric", column = "hour_of_day" }]'
    rows = ingest(pipeline(tmp_path, changed(CSV, columns=columns), fields))[1]
    assert (rows[0]["weekday"], rows[0]["hour"]) == ("someday", 13.0)


def test_a_label_may_be_a_threshold(tmp_path: Path) -> None:
    lines = [f"{i},{label},2026-11-02 13:00:00,a,1," for i, label in enumerate(["3.9", "4", "5", "-1", "x", ""])]
    deliver(tmp_path, lines)
    report, rows, rejects = ingest(pipeline(tmp_path, changed(CSV, label='{ column = "click", at_least = 4 }')))
    assert [row["label"] for row in rows] == [0, 1, 1, 0]
    assert [row["reason"] for row in rejects] == ["click: expected a number"] * 2
    assert report.positives == 2


def test_a_label_may_be_a_word_that_is_missing_elsewhere(tmp_path: Path) -> None:
    rule = '{ column = "click", positive = ["buy"], negative = ["null"] }'
    deliver(tmp_path, ["1,buy,2026-11-02 13:00:00,a,1,", "2, null,2026-11-02 13:00:00,a,1,", GOOD])
    _, rows, rejects = ingest(pipeline(tmp_path, changed(CSV, label=rule)))
    assert [row["label"] for row in rows] == [1, 0]
    assert [row["reason"] for row in rejects] == ["click: expected buy or null"]


def test_requests_have_no_label_and_the_ids_of_their_logs(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD, "1,2"])
    deliver(tmp_path, ["7,2026-11-02 13:00:00,news,1.5,a|b", "1,2"], "requests/2026-11-02/a.csv")
    _, logs, _ = ingest(pipeline(tmp_path))
    report, requests, rejects = ingest(pipeline(tmp_path), ingest_requests)
    assert requests == [{name: value for name, value in logs[0].items() if name != "label"}]
    assert rejects[0]["reason"] == "2 columns, expected 5"
    assert report.positives == 0


HEADED = CSV.replace("columns =", "header = true\ncolumns =")
TIMELESS = 'fields = [{ name = "site" }]'


def test_requests_that_name_their_columns_need_only_those_of_fields_and_ids(tmp_path: Path) -> None:
    lines = ["id,site", "7,news"]
    deliver(tmp_path, lines, "requests/2026-11-02/a.csv")
    for source in (HEADED, changed(HEADED, columns="[]")):
        _, rows, _ = ingest(pipeline(tmp_path, source, TIMELESS), ingest_requests)
        assert [(row["row_id"], row["site"]) for row in rows] == [(md5("delimited|7"), "news")]
    deliver(tmp_path, lines)
    with pytest.raises(InputError, match="missing: 'click', 'price', 'tags', 'time'"):
        ingest(pipeline(tmp_path, HEADED, TIMELESS))
    (tmp_path / "requests/2026-11-02/a.csv").unlink()
    pq.write_table(pa.table({"id": [7], "site": ["news"]}), tmp_path / "requests/2026-11-02/a.parquet")
    _, rows, _ = ingest(pipeline(tmp_path, changed(HEADED, kind='"parquet"'), TIMELESS), ingest_requests)
    assert [(row["row_id"], row["site"]) for row in rows] == [(md5("parquet|7"), "news")]


@pytest.mark.parametrize(
    ("options", "fields", "lacks"),
    [
        ({}, 'fields = [{ name = "site" }, { name = "weekday" }]', "'time'"),
        ({}, 'fields = [{ name = "site" }, { name = "moment", column = "time" }]', "'time'"),
        ({"requests": '"requests/*/*"'}, TIMELESS, "'time'"),
        ({"id_column": '"time"'}, TIMELESS, "'time'"),
        ({}, 'fields = [{ name = "site" }, { name = "price" }]', "'price'"),
    ],
)
def test_requests_that_lack_what_a_field_an_id_or_the_day_needs_are_refused(
    tmp_path: Path, options: dict[str, str], fields: str, lacks: str
) -> None:
    deliver(tmp_path, ["id,site", "7,news"], "requests/2026-11-02/a.csv")
    with pytest.raises(InputError, match=f"missing: {lacks};"):
        ingest(pipeline(tmp_path, changed(HEADED, **options), fields), ingest_requests)


def test_the_time_of_a_request_that_has_one_is_checked(tmp_path: Path) -> None:
    deliver(tmp_path, ["id,site,time", "7,a,2026-11-03 00:00:00", "8,b,2026-11-02 00:00:00"], "requests/2026-11-02/a")
    _, rows, rejects = ingest(pipeline(tmp_path, HEADED, TIMELESS), ingest_requests)
    assert ([row["site"] for row in rows], [row["reason"] for row in rejects]) == (["b"], ["time: another day"])


def test_without_an_id_column_the_place_of_a_line_is_its_id(tmp_path: Path) -> None:
    source = CSV.replace('id_column = "id"\n', "")
    deliver(tmp_path, [GOOD, GOOD])
    deliver(tmp_path, [GOOD.replace(",1,", ",", 1)], "requests/2026-11-02/a.csv")
    assert [row["row_id"] for row in ingest(pipeline(tmp_path, source))[1]] == [
        md5("delimited|logs|2026-11-02/a.csv:1"),
        md5("delimited|logs|2026-11-02/a.csv:2"),
    ]
    requests = ingest(pipeline(tmp_path, source), ingest_requests)[1]
    assert [row["row_id"] for row in requests] == [md5("delimited|requests|2026-11-02/a.csv:1")]


def test_requests_without_a_path_are_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"source\.requests"):
        read_into(tmp_path, pipeline(tmp_path, CSV.replace('requests = "requests/{day}/*"', "")), ingest_requests)


def test_a_field_that_reads_the_label_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="field 'leak' reads the label column 'click'"):
        pipeline(tmp_path, CSV, 'fields = [{ name = "leak", column = "click" }]')


PARQUET = """
kind = "parquet"
logs = "logs/{day}/*.parquet"
label = { column = "click" }
id_column = "id"
time_column = "time"
max_reject_share = 1.0
"""


def write_parquet(folder: Path, columns: dict[str, Any]) -> Path:
    path = folder / "logs/2026-11-02/a.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_columns_of_any_type_are_read_like_text(tmp_path: Path) -> None:
    moment = datetime.datetime(2026, 11, 2, 13, 30, 1, 5000, tzinfo=datetime.UTC)
    columns = {
        "ID": pa.array([1, 2, None, 4, 2]),
        "click": pa.array([True, False, True, None, False]),
        "time": pa.array([moment] * 5, pa.timestamp("us", "Europe/Berlin")),
        "site": pa.array(["a", None, "c", "d", "e"]).dictionary_encode(),
        "price": pa.array([1.0, float("nan"), 3.5, 4.0, 5.0], pa.float32()),
        "tags": pa.array([["x", "y"], None, [], ["z"], []]),
        "more": pa.array([[1, 2], [3], [], [], []]),
        "unused": pa.array([{"a": 1}] * 5),
    }
    write_parquet(tmp_path, columns)
    fields = FIELDS.replace("fields = [", 'fields = [{ name = "more", kind = "multi", separator = "," },')
    _, rows, rejects = ingest(pipeline(tmp_path, PARQUET, fields))
    assert [row["row_id"] for row in rows] == [md5("parquet|1"), md5("parquet|2")]
    assert [row["label"] for row in rows] == [1, 0]
    assert [(row["site"], row["price"], row["tags"]) for row in rows] == [("a", 1.0, "x|y"), (None, None, None)]
    assert [(row["hour_of_day"], row["more"]) for row in rows] == [("13", "1,2"), ("13", "3")]
    assert [(row["line"], row["reason"]) for row in rejects] == [
        (3, "id: no id"),
        (4, "click: expected 1 or 0"),
        (5, "id: repeated id"),
    ]
    assert "d" in rejects[1]["text"].split("\t")


def test_a_parquet_id_is_whole_whether_integer_or_float(tmp_path: Path) -> None:
    source = PARQUET.replace('time_column = "time"\n', "")
    fields = 'fields = [{ name = "site" }]'
    found = []
    for ids in (pa.array([7, 2**53 - 1]), pa.array([7.0, 2.0**53 - 1]), pa.array(["7", str(2**53 - 1)])):
        write_parquet(tmp_path, {"id": ids, "click": pa.array([0, 1]), "site": pa.array([1.25, 3.0])})
        found.append(ingest(pipeline(tmp_path, source, fields))[1])
    assert found[0] == found[1] == found[2]
    assert [row["site"] for row in found[0]] == ["1.25", "3"]


def test_a_parquet_file_that_lacks_a_column_or_a_text_is_refused(tmp_path: Path) -> None:
    fields = 'fields = [{ name = "site" }]'
    source = PARQUET.replace('time_column = "time"\n', "")
    write_parquet(tmp_path, {"id": [1], "click": [1]})
    with pytest.raises(InputError, match=r"a\.parquet: .*missing: 'site'"):
        ingest(pipeline(tmp_path, source, fields))
    write_parquet(tmp_path, {"id": [1], "click": [1], "site": [{"a": 1}]})
    with pytest.raises(InputError, match=r"a\.parquet: column site: expected text.* received struct"):
        ingest(pipeline(tmp_path, source, fields))
    (tmp_path / "logs/2026-11-02/a.parquet").write_bytes(gzip.compress(b"a"))
    with pytest.raises(InputError, match=r"a\.parquet: not a whole Parquet file: it holds gzip; deliver it again"):
        ingest(pipeline(tmp_path, source, fields))
    (tmp_path / "logs/2026-11-02/a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"a\.parquet: not a whole Parquet file"):
        ingest(pipeline(tmp_path, source, fields))


RAW = """
kind = "ipinyou_raw"
logs = "imp/{day}.txt"
clicks = "clk/{day}.txt"
columns = ["bid", "time", "site", "price", "tags"]
delimiter = ","
id_column = "bid"
time_column = "time"
max_reject_share = 1.0
"""


def bids(*names: str, day: str = "2026-11-02") -> list[str]:
    return [f"{name},{day} 13:00:00,a,1," for name in names]


def test_clicks_label_the_impressions_of_their_id(tmp_path: Path) -> None:
    deliver(tmp_path, [*bids("a", "b", "c", "b"), "bad"], "imp/2026-11-02.txt")
    deliver(tmp_path, [*bids("b", "x", "b"), *bids("c", day="2026-11-03"), "1,2"], "clk/2026-11-02.txt")
    report, rows, rejects = ingest(pipeline(tmp_path, RAW))
    assert [(row["row_id"], row["label"]) for row in rows] == [
        (md5("ipinyou_raw|a"), 0),
        (md5("ipinyou_raw|b"), 1),
        (md5("ipinyou_raw|c"), 1),  # clicked after midnight
    ]
    assert [(row["line"], row["reason"]) for row in rejects] == [
        (2, "click line: no impression of its id"),
        (3, "click line: repeated click"),
        (4, "bid: repeated id"),
        (5, "1 columns, expected 5"),
        (5, "click line: 2 columns, expected 5"),
    ]
    assert (report.lines, report.clicks, report.joined, report.positives) == (10, 5, 2, 2)


def test_in_an_archive_clicks_of_other_days_are_left_to_them(tmp_path: Path) -> None:
    deliver(tmp_path, [*bids("a", "b"), *bids("o", day="2026-11-03")], "imp.txt")
    clicks = [*bids("a", day="2026-11-03"), *bids("o", "o", day="2026-11-03"), *bids("x")]
    deliver(tmp_path, clicks, "clk.txt")
    report, rows, rejects = ingest(pipeline(tmp_path, changed(RAW, logs='"imp.txt"', clicks='"clk.txt"')))
    assert [row["label"] for row in rows] == [1, 0]
    assert (report.joined, report.other_days) == (1, 3)
    assert [(row["line"], row["reason"]) for row in rejects] == [(4, "click line: no impression of its id")]


def test_requests_of_raw_logs_need_no_clicks(tmp_path: Path) -> None:
    deliver(tmp_path, bids("a", "b"), "req/2026-11-02.txt")
    config = pipeline(tmp_path, changed(RAW, requests='"req/{day}.txt"'))
    report, rows, _ = ingest(config, ingest_requests)
    assert [row["row_id"] for row in rows] == [md5("ipinyou_raw|a"), md5("ipinyou_raw|b")]
    assert "label" not in rows[0]
    assert report.clicks == 0


Find = Callable[[str], Path]


def real(folder: Path, preset: str, day: str, paths: dict[str, Path], more: str = "") -> IngestReport:
    logs = "\n".join(f"{key} = {str(path)!r}" for key, path in paths.items())
    config = pipeline(folder, f'preset = "{preset}"\n{logs}\n{more}', "last_day = 2026-11-01")
    report = read_into(folder, config, day=datetime.date.fromisoformat(day))
    assert report.lines == report.rows + report.joined + report.rejects + report.other_days
    return dataclasses.replace(report, reasons={})


def test_real_criteo_lines_are_all_rows(tmp_path: Path, real_data: Find) -> None:
    report = real(tmp_path, "criteo", "2026-11-02", {"logs": real_data("criteo_10k/train_10k.tsv.gz")})
    assert (report.lines, report.rows) == (10_000, 10_000)


def test_real_avazu_lines_are_rows_of_their_day(tmp_path: Path, real_data: Find) -> None:
    logs = {"logs": real_data("avazu_10k/train_10k.csv.gz")}
    report = real(tmp_path, "avazu", "2014-10-21", logs)
    assert (report.lines, report.rows, report.headers) == (9999, 9999, 1)
    with pytest.raises(InputError, match=r"no row in 9,999 lines \(9,999 of other days\)"):
        real(tmp_path, "avazu", "2014-10-22", logs)


def test_real_ipinyou_days_share_their_archive(tmp_path: Path, real_data: Find) -> None:
    logs = {"logs": real_data("ipinyou/2259.train.27col.txt.gz")}
    days = [f"2013-10-{day}" for day in (19, 20, 21, 22)]
    reports = [real(tmp_path, "ipinyou", day, logs) for day in days]
    assert [report.rows + report.rejects for report in reports] == [2262, 2191, 2237, 1665]
    assert {report.lines for report in reports} == {8355}


def test_real_raw_ipinyou_lines_are_all_accounted_for(tmp_path: Path, real_data: Find) -> None:
    paths = {
        "logs": real_data("ipinyou/imp.20131021.24col.txt.gz"),
        "clicks": real_data("ipinyou/clk.20131021.24col.txt.gz"),
    }
    report = real(tmp_path, "ipinyou_raw", "2013-10-21", paths, "max_reject_share = 0.1")
    assert (report.lines, report.clicks, report.joined) == (10_442, 442, report.positives)
    assert report.rows == 9960  # 40 of the 10,000 impressions repeat a bid id


def test_real_movielens_ratings_become_labels(tmp_path: Path, real_data: Find) -> None:
    report = real(tmp_path, "movielens", "1997-09-20", {"logs": real_data("ml100k/ml100k_joined.csv.gz")})
    assert report.lines == 100_000
    assert report.rejects == 0
    assert 0 < report.positives < report.rows


REPEATS = ["7,0,2026-11-02 13:00:00,a,1,", "8,0,2026-11-02 13:00:00,b,1,", "7,1,2026-11-02 13:00:05,c,1,"]
REPEATS += ["7,1,2026-11-02 13:00:06,d,1,", "8,0,2026-11-02 13:00:07,e,1,", "9,1,2026-11-02 13:00:08,f,1,"]


@pytest.mark.parametrize(
    ("rule", "kept", "rejected", "joined"),
    [
        ("any_click", [("a", 1), ("b", 0), ("f", 1)], [4, 5], 1),
        ("first", [("a", 0), ("b", 0), ("f", 1)], [3, 4, 5], 0),
        ("last", [("d", 1), ("e", 0), ("f", 1)], [1, 2, 3], 0),
        ("reject", [("f", 1)], [1, 2, 3, 4, 5], 0),
    ],
)
def test_a_click_is_not_lost_with_a_repeated_id(
    tmp_path: Path, rule: str, kept: list[tuple[str, int]], rejected: list[int], joined: int
) -> None:
    deliver(tmp_path, REPEATS)
    report, rows, rejects = ingest(pipeline(tmp_path, changed(CSV, on_repeat=f'"{rule}"')))
    assert [(row["site"], row["label"]) for row in rows] == kept
    assert [row["line"] for row in rejects] == rejected
    assert (report.joined, report.conflicts, report.positives) == (joined, 1, sum(label for _, label in kept))


def test_ids_that_disagree_on_the_label_fail_the_day_above_a_share(tmp_path: Path) -> None:
    deliver(tmp_path, REPEATS)
    with pytest.raises(InputError, match=r"1 of 3 ids do not agree .*max_conflict_share = 0\.3"):
        ingest(pipeline(tmp_path, changed(CSV, max_conflict_share="0.3")))
    assert ingest(pipeline(tmp_path, changed(CSV, max_conflict_share="0.34")))[0].conflicts == 1


def test_a_file_delivered_twice_is_refused_by_its_bytes(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD])
    deliver(tmp_path, [GOOD], "logs/2026-11-02/a (1).csv")
    with pytest.raises(InputError, match=r"a\.csv: holds the same bytes as 2026-11-02/a \(1\)\.csv: .* remove one"):
        ingest(pipeline(tmp_path))


def test_empty_files_may_be_equal(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD])
    for name in ("b", "c"):
        deliver(tmp_path, [], f"logs/2026-11-02/{name}.csv")
    assert ingest(pipeline(tmp_path))[0].lines == 1


def test_labels_that_are_numbers_compare_as_numbers(tmp_path: Path) -> None:
    texts = ["1.0", "0.0", "1e0", "+1", "01", "-0", "2", "1x"]
    deliver(tmp_path, [f"{i},{text},2026-11-02 13:00:00,a,1," for i, text in enumerate(texts)])
    _, rows, rejects = ingest(pipeline(tmp_path))
    assert [row["label"] for row in rows] == [1, 0, 1, 1, 1, 0]
    assert [row["line"] for row in rejects] == [7, 8]


def test_lines_of_far_too_many_columns_are_counted_and_not_taken_apart(tmp_path: Path) -> None:
    deliver(tmp_path, ["," * 5000, GOOD, '"' + "," * 5000 + '"' + "," * 5, '"' + "," * 5000])
    _, rows, rejects = ingest(pipeline(tmp_path, changed(CSV, quote="'\"'")))
    assert [row["line"] for row in rows] == [2]
    reasons = ["5001 columns, expected 6", "time: not a time of the form %Y-%m-%d %H:%M:%S", "quotes do not match"]
    assert [row["reason"] for row in rejects] == reasons


def test_a_quoted_value_may_be_long(tmp_path: Path) -> None:
    deliver(tmp_path, [f'7,1,2026-11-02 13:00:00,"{"u," * 100_000}",1,'])
    assert ingest(pipeline(tmp_path, changed(CSV, quote="'\"'")))[1][0]["site"] == "u," * 100_000


ROWS = 'kind = "parquet"\nlogs = "logs/{day}/*"\nmax_reject_share = 1.0'


def parquet_rows(folder: Path, column: Any, kind: str = "categorical") -> tuple[list[Any], list[tuple[int, str]]]:
    """The values of a field `x` read from a Parquet column, and the rejects."""
    write_parquet(folder, {"label": [0] * len(column), "x": column})
    _, rows, rejects = ingest(pipeline(folder, ROWS, f'fields = [{{ name = "x", kind = "{kind}" }}]'))
    return [row["x"] for row in rows], [(row["line"], row["reason"]) for row in rejects]


def test_bytes_of_a_parquet_column_that_are_no_text_are_one_reject(tmp_path: Path) -> None:
    values, rejects = parquet_rows(tmp_path, pa.array([b"ok", b"caf\xe9", None, "é".encode()]))
    assert values == ["ok", None, "é"]
    assert rejects == [(2, "x: not valid UTF-8")]


def test_text_of_a_parquet_column_that_is_none_is_one_reject(tmp_path: Path) -> None:
    """Other writers may call bytes text, and Arrow takes their word."""
    stored = pa.array([b"ok", b"caf\xe9", None])
    text = pa.Array.from_buffers(pa.string(), len(stored), stored.buffers())
    for column in (text, text.dictionary_encode(), pa.ListArray.from_arrays([0, 1, 2, 3], text)):
        values, rejects = parquet_rows(tmp_path, column, "multi")
        assert values == ["ok", None]
        assert rejects == [(2, "x: not valid UTF-8")]


def test_a_value_of_a_parquet_page_that_was_changed_is_seen_by_its_checksum(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, {"label": [0], "x": ["site"]})
    table = pq.read_table(path)
    pq.write_table(
        table, path, compression="none", use_dictionary=False, write_statistics=False, write_page_checksum=True
    )
    assert path.read_bytes().count(b"site") == 1
    path.write_bytes(path.read_bytes().replace(b"site", b"sight"[:4]))
    with pytest.raises(InputError, match=r"a\.parquet: .*CRC"):
        ingest(pipeline(tmp_path, ROWS, 'fields = [{ name = "x" }]'))


def test_a_parquet_file_with_fewer_rows_than_it_tells_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path, {"label": [0] * 5, "x": ["a"] * 5})
    batches = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *a, **k: (b.slice(1) for b in batches(*a, **k)))
    with pytest.raises(InputError, match=r"a\.parquet: damaged: 4 rows, and it tells of 5; deliver it again"):
        ingest(pipeline(tmp_path, ROWS, 'fields = [{ name = "x" }]'))


def test_float_ids_that_are_not_exact_are_rejects_and_float_numbers_are_not(tmp_path: Path) -> None:
    column = pa.array([2.0**53 - 1, 2.0**53, 0.1, float("nan")])
    values, rejects = parquet_rows(tmp_path, column)
    assert values == [str(2**53 - 1), "0.1", None]
    assert [line for line, _ in rejects] == [2]
    assert parquet_rows(tmp_path, column, "numeric")[0] == [2.0**53 - 1, 2.0**53, 0.1, None]


def test_a_list_value_that_holds_the_separator_is_a_reject(tmp_path: Path) -> None:
    values, rejects = parquet_rows(tmp_path, pa.array([["q|r", "s"], ["t", None], None, []]), "multi")
    assert values == ["t|", None, None]
    assert rejects == [(1, "x: a value of the list holds the separator '|'")]


def test_lists_of_one_size_are_read_and_with_a_null_are_named(tmp_path: Path) -> None:
    """Arrow's reader fails at a null in such a list."""
    kind = pa.list_(pa.int64(), 2)
    assert parquet_rows(tmp_path, pa.array([[1, 2], [3, 4]], kind), "multi")[0] == ["1|2", "3|4"]
    with pytest.raises(InputError, match=r"a\.parquet: .*or write x as lists of any size"):
        parquet_rows(tmp_path, pa.array([[1, 2], None], kind), "multi")


def test_a_damaged_page_of_a_parquet_file_names_the_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, {"label": [0] * 5000, "x": [f"s{i * 7919 % 10_007}" for i in range(5000)]})
    data = bytearray(path.read_bytes())
    data[3000:3200] = bytes(byte ^ 0x5A for byte in data[3000:3200])
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet: "):
        ingest(pipeline(tmp_path, ROWS, 'fields = [{ name = "x" }]'))


def test_markers_beside_the_files_of_a_day_are_no_logs(tmp_path: Path) -> None:
    write_parquet(tmp_path, {"label": [0], "x": ["a"]})
    for name in ("_SUCCESS", "_committed_1", ".a.parquet.crc"):
        (tmp_path / "logs/2026-11-02" / name).write_bytes(b"")
    assert ingest(pipeline(tmp_path, ROWS, 'fields = [{ name = "x" }]'))[0].rows == 1


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    deliver(tmp_path, ["\ufeff" + GOOD])
    assert ingest(pipeline(tmp_path))[1][0]["row_id"] == md5("delimited|7")


def test_a_compressed_file_of_no_bytes_is_cut_off(tmp_path: Path) -> None:
    deliver(tmp_path, [GOOD])
    (tmp_path / "logs/2026-11-02/b.csv.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"b\.csv\.gz: 0 bytes"):
        ingest(pipeline(tmp_path))
