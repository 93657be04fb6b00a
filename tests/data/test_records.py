"""Records of delimited files that need more than to cut lines at newlines: quotes, escapes, comments, encodings."""

import csv
import datetime
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines import changed, pipeline

from pnn_gluon.data.ingest import IngestReport, RawLines, Targets, ingest_logs
from pnn_gluon.data.lines import WHOLE
from pnn_gluon.data.log_files import open_log
from pnn_gluon.data.pieces import plan
from pnn_gluon.data.raw_files import list_raw_files
from pnn_gluon.data.records import RECORD_LINES, RecordForm, read_records
from pnn_gluon.data.row_statement import Stream, wanted_columns
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.text_encoding import as_utf8, codec_of

DAY = datetime.date(2026, 11, 2)
FIELDS = 'fields = [{ name = "site" }, { name = "ad" }]'
SOURCE = """
logs = "logs/{day}/*"
delimiter = ","
quote = '"'
columns = ["label", "site", "ad"]
max_reject_share = 1.0
"""


def ingest(folder: Path, data: bytes, **options: str) -> tuple[IngestReport, list[Any], list[Any]]:
    """The report, the fields of the rows with their line, and the rejects."""
    path = folder / "logs/2026-11-02/a.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    config = pipeline(folder, changed(SOURCE, **options), FIELDS)
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    report = ingest_logs(RawLines(config.source, config.fields, folder), config.engine, DAY, targets)
    rows, rejects = (pq.read_table(path).to_pylist() for path in (targets.rows, targets.rejects))
    assert report.lines == report.rows + report.rejects
    assert (len(rows), len(rejects)) == (report.rows, report.rejects)
    return (
        report,
        [(r["line"], r["site"], r["ad"]) for r in rows],
        [(r["line"], r["reason"], r["text"]) for r in rejects],
    )


NEWLINES = {"quoted_newlines": "true"}


def test_a_value_in_quotes_may_hold_newlines(tmp_path: Path) -> None:
    data = b'1,"two\r\nlines, ""so""",a\n0,plain,b\n1,"\n\n",c\n1,x,"end\n"\n'
    report, rows, rejects = ingest(tmp_path, data, **NEWLINES)
    assert rows == [(1, 'two\nlines, "so"', "a"), (3, "plain", "b"), (4, "\n\n", "c"), (7, "x", "end\n")]
    assert (report.lines, rejects) == (4, [])


def test_without_the_option_a_line_with_open_quotes_is_a_reject(tmp_path: Path) -> None:
    _, rows, rejects = ingest(tmp_path, b'1,"two\nlines",a\n0,plain,b\n')
    assert rows == [(3, "plain", "b")]
    assert rejects == [(1, "quotes do not match", '1,"two'), (2, "2 columns, expected 3", 'lines",a')]


@pytest.mark.parametrize("more", [{}, NEWLINES])
def test_a_return_within_a_line_belongs_to_its_value_also_beside_quotes(tmp_path: Path, more: dict[str, str]) -> None:
    data = b'1,a\rb,c\n0,"d\r,e",f\rg\r\n1,h"i\r,j\r\n'
    _, rows, rejects = ingest(tmp_path, data, **more)
    assert rows == [(1, "a\rb", "c"), (2, "d\r,e", "f\rg"), (3, 'h"i\r', "j")]
    assert rejects == []


def test_a_quote_that_nothing_closes_spoils_its_line_alone(tmp_path: Path) -> None:
    good = [f"{n % 2},s{n},a" for n in range(RECORD_LINES + 10)]
    spoilt = ['1,"open,a', '0,5" disk,b', '0,"x"y,c', '0,"never,d']
    text = "\n".join([spoilt[0], *good, *spoilt[1:], *good[:5]])
    _, rows, rejects = ingest(tmp_path, text.encode(), **NEWLINES)
    assert len(rows) == len(good) + 5 + 1
    assert (2 + len(good), '5" disk', "b") in rows
    last = len(good)
    matches = "quotes do not match"
    assert rejects == [(1, matches, spoilt[0]), (last + 3, matches, spoilt[2]), (last + 4, matches, spoilt[3])]


def test_a_line_that_is_no_text_ends_a_record(tmp_path: Path) -> None:
    _, rows, rejects = ingest(tmp_path, b'1,"a\n\xff\nb",x\n0,y,z\n', **NEWLINES)
    assert rows == [(4, "y", "z")]
    assert [(line, reason) for line, reason, _ in rejects] == [
        (1, "quotes do not match"),
        (2, "not valid UTF-8"),
        (3, "2 columns, expected 3"),
    ]


def test_an_escaped_character_stands_for_itself(tmp_path: Path) -> None:
    data = b'1,a\\,b,c\n0,"d\\"e,",\\N\n1,f\\\\,\\"g\n0,h\\\ni,j\n1,end,\\'
    options = {"escape": r"'\'", "missing": r"['', '\N']"}
    _, rows, rejects = ingest(tmp_path, data, **options, **NEWLINES)
    assert rows == [(1, "a,b", "c"), (2, 'd"e,', None), (3, "f\\", '"g'), (4, "h\ni", "j")]
    assert rejects == [(6, "quotes do not match", "1,end,\\")]


@pytest.mark.parametrize("quote", ["''", "'\"'"])
def test_a_delimiter_may_have_several_characters(tmp_path: Path, quote: str) -> None:
    data = b'1||a|b||c\n0::||"x"||y\n0||  d ||\n1||e\n'
    _, rows, rejects = ingest(tmp_path, data, delimiter='"||"', quote=quote)
    assert rows == [(1, "a|b", "c"), (3, "d", None)]
    assert [line for line, *_ in rejects] == [2, 4]
    _, rows, _ = ingest(tmp_path, b'1::"a::b"::c\n', delimiter='"::"')
    assert rows == [(1, "a::b", "c")]


def test_comments_are_passed_over_wherever_they_stand(tmp_path: Path) -> None:
    data = b'#Version: "1.0\n# label,site\nLabel,Site,Ad\n1,a,#b\n#1,x,y\n0,"\n# no comment\n",c\n#\xff\n'
    report, rows, rejects = ingest(tmp_path, data, comment='"#"', header="true", columns="[]", **NEWLINES)
    assert rows == [(4, "a", "#b"), (6, "\n# no comment\n", "c")]
    assert (report.lines, report.headers, rejects) == (2, 1, [])


@pytest.mark.parametrize(
    ("encoding", "text", "site"),
    [
        ("latin-1", "1,caf\u00e9,a\n", "caf\u00e9"),
        ("cp1252", "1,\u20ac5,a\n", "\u20ac5"),
        ("utf-16", "1,\u0105\u4e2d,a\r\n0,\U0001f600,b\n", "\u0105\u4e2d"),
        ("utf-16-le", "\ufeff1,\u010a,a\n", "\u010a"),
        ("shift_jis", "1,\u8868\u793a,a\n", "\u8868\u793a"),  # its second byte is that of a backslash
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_may_have_another_encoding(tmp_path: Path, encoding: str, text: str, site: str, pack: Any) -> None:
    _, rows, rejects = ingest(tmp_path, pack(text.encode(encoding)), encoding=f'"{encoding}"')
    assert (rows[0], rejects) == ((1, site, "a"), [])


def test_bytes_that_an_encoding_does_not_have_spoil_their_line_alone(tmp_path: Path) -> None:
    data = "1,a,x\n".encode("cp1252") + b"0,\x81,y\n1,b,z\n"
    _, rows, rejects = ingest(tmp_path, data, encoding='"cp1252"')
    assert [line for line, *_ in rows] == [1, 3]
    assert [(line, reason) for line, reason, _ in rejects] == [(2, "not valid cp1252")]


@pytest.mark.parametrize("header", ["true", "false"])
def test_an_encoding_whose_mark_a_file_lacks_is_told_with_the_file(tmp_path: Path, header: str) -> None:
    with pytest.raises(InputError, match=r"a\.csv: cannot be read as utf-16: .*utf-16-le"):
        ingest(tmp_path, "label,site,ad\n1,a,b\n".encode("utf-16-le"), encoding='"utf-16"', header=header)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["utf-16", "utf-32", "gb18030"]), st.data())
def test_decoding_does_not_depend_on_where_a_file_is_cut(text: str, encoding: str, data: st.DataObject) -> None:
    written = text.encode(encoding)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=5)))
    parts = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    assert b"".join(as_utf8(iter(parts), encoding)).decode() == text


def test_every_line_of_a_file_is_a_record_a_reject_or_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'#a\n1,"x\n\n",y\n#\xff\n\xff\n#b\n2,z,"\n#"\n')
    (raw,) = list_raw_files("*.csv", DAY, tmp_path)
    blocks = list(read_records(raw, RecordForm(",", quote='"', newlines=True, comment="#"), 100))
    counts = [(each.lines.num_rows, each.rejected.num_rows, each.passed) for each in blocks]
    assert tuple(map(sum, zip(*counts, strict=True))) == (2, 1, 6)


CELL = st.text(st.sampled_from('ab",\n\\ #\u00e9'), max_size=6)


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=30), st.integers(1, 64))
def test_records_that_python_writes_are_read_as_it_does(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], block: int
) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    folder = tmp_path_factory.mktemp("records")
    (folder / "a.csv").write_text(written.getvalue(), newline="")
    (raw,) = list_raw_files("*.csv", DAY, folder)
    form = RecordForm(",", quote='"', newlines=True)
    blocks = list(read_records(raw, form, 100, block))
    assert [cells for each in blocks for cells in each.lines["cells"].to_pylist()] == rows
    numbers = [number for each in blocks for number in each.lines["line"].to_pylist()]
    ends = [sum(cell.count("\n") for cell in row) + 1 for row in rows]
    assert numbers == [1 + sum(ends[:n]) for n in range(len(rows))]
    assert sum(each.lines.num_rows + each.passed for each in blocks) == sum(ends)


@given(CELL.map(lambda cell: cell * 3), st.sampled_from(["", "\\"]))
def test_what_is_split_is_what_python_splits(text: str, escape: str) -> None:
    text = text.replace("\n", "")
    expected: list[str] | None
    try:
        (expected,) = csv.reader([text], escapechar=escape or None, strict=True) if text else [[""]]
    except csv.Error:
        expected = None
    if not text.endswith("\\"):
        assert RecordForm(",", quote='"', escape=escape).split(text).cells == expected


@pytest.mark.parametrize(("more", "whole"), [({}, False), (NEWLINES, True), ({"encoding": '"utf-16"'}, True)])
def test_a_file_is_cut_for_several_processes_only_where_each_newline_ends_a_record(
    tmp_path: Path, more: dict[str, str], whole: bool
) -> None:
    (tmp_path / "a.csv").write_bytes(b'1,"a\nb",c\n' * 500)
    config = pipeline(tmp_path, changed(SOURCE, **more), FIELDS)
    (raw,) = list_raw_files("*.csv", DAY, tmp_path)
    log = open_log(config.source, raw, wanted_columns(config.source, config.fields, Stream("logs", ("*.csv",))))
    (together,) = plan([log], True, 100)
    assert [piece.span for (piece,) in together.tasks] == [WHOLE] if whole else len(together.tasks) == 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"escape": "','"}, "`escape` and `delimiter` are both ','"),
        ({"escape": "'\"'"}, "`escape` and `quote` are both"),
        ({"delimiter": "'\",\"'"}, "`quote` '\"' is part of `delimiter`"),
        ({"quote": "''", "quoted_newlines": "true"}, "`quoted_newlines` needs `quote` or `escape`"),
        ({"encoding": '"latin-one"'}, "no encoding 'latin-one' of text files"),
        ({"encoding": '"rot13"'}, "no encoding 'rot13'"),
        ({"kind": '"parquet"', "comment": '"#"'}, "`comment` is about lines of text"),
    ],
)
def test_forms_that_mean_nothing_are_configuration_errors(tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        pipeline(tmp_path, changed(SOURCE, **options), FIELDS)


def test_aliases_of_an_encoding_are_one() -> None:
    assert codec_of("Latin-1") == codec_of("iso-8859-1")
    assert codec_of("UTF8") == "utf-8"
