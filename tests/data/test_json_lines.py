"""Lines of JSON as raw logs: every line is a row or a reject, and every cell is what Python's json module reads."""

import gzip
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines import FIELDS, changed, pipeline
from test_ingest import Row, deliver, ingest, md5, read_into

from pnn_gluon.config import NUMBER, Config
from pnn_gluon.data.ingest import ingest_requests
from pnn_gluon.errors import InputError

JSON = """
kind = "json"
logs = "logs/{day}/*"
requests = "requests/{day}/*"
label = { column = "click" }
id_column = "id"
time_column = "at.time"
missing = ["", "null"]
max_reject_share = 1.0
"""
UNTIMED = changed(JSON, max_conflict_share="1.0").replace('time_column = "at.time"\n', "")
PATHS = FIELDS.replace('"site"', '"site", column = "app.site name"')
THREE = """
fields = [
    { name = "site", column = "app.site name" },
    { name = "price", kind = "numeric", bucketing = "log" },
    { name = "tags", kind = "multi", separator = "|" },
]
"""
TIME = {"time": "2026-11-02 13:00:00", "zone": "UTC"}


def line(**values: Any) -> str:
    return json.dumps({"id": 8, "click": 0, "at": TIME, **values})


def read(folder: Path, *lines: str, source: str = JSON, fields: str = PATHS) -> tuple[list[Row], list[Row]]:
    """Rows and rejects of some lines."""
    deliver(folder, list(lines), "logs/2026-11-02/a.json")
    return ingest(pipeline(folder, source, fields))[1:]


def test_a_good_line_becomes_a_typed_row(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, line(id=7, click=1, app={"site name": "né\tws"}, price=1.5, tags=["a", "b"], more=[{}]))
    assert rows == [
        {
            "row_id": md5("json|7"),
            "file": "2026-11-02/a.json",
            "line": 1,
            "label": 1,
            "site": "né\tws",
            "price": 1.5,
            "tags": "a|b",
            "hour_of_day": "13",
            "weekday": "1",
        }
    ]


@pytest.mark.parametrize(
    ("written", "site"),
    [
        ('" new s "', "new s"),
        ('""', None),
        ('" "', None),
        ('"null"', None),
        ("null", None),
        ("true", "true"),
        ("false", "false"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("-7", "-7"),
        ("1.10", "1.1"),
        ("1e5", "100000.0"),
        ("NaN", "NaN"),
        (r'"\u00e9\ud83d\ude00\n"', "é😀\n"),
        (r'"a\\u0000"', r"a\u0000"),
        ('"[x]"', "[x]"),
        ('"{"', "{"),
    ],
)
def test_single_values_are_read_as_text(tmp_path: Path, written: str, site: str | None) -> None:
    rows, rejects = read(tmp_path, line(app={"site name": 0}).replace(": 0}", f": {written}}}"), line(id=9))
    assert (rows[0]["site"], rows[1]["site"], rejects) == (site, None, [])


@pytest.mark.parametrize(
    ("tags", "read_as"),
    [
        (["a", "b"], "a|b"),
        ([1, 2.5, True, None, "x"], "1|2.5|true||x"),
        ([], None),
        (None, None),
        ("a|b", "a|b"),
        ("[a|b", "[a|b"),
        ('["a"]', '["a"]'),
        (3, "3"),
        ([" a ", '"'], 'a |"'),
    ],
)
def test_a_list_or_a_text_with_separators_is_a_set(tmp_path: Path, tags: Any, read_as: str | None) -> None:
    rows, rejects = read(tmp_path, line(tags=tags), line(id=9, tags=["c"]))
    assert ([row["tags"] for row in rows], rejects) == ([read_as, "c"], [])


BAD = {
    "": "empty line",
    " ": "not JSON",
    "x": "not JSON",
    '{"id": 8': "not JSON",
    "{'id': 8}": "not JSON",
    line() + line(): "not JSON",
    r'{"id": "\ud83d"}': "not JSON",
    '{"a":' * 100_000: "not JSON",
    "[1]": "not a JSON object",
    " 1": "not a JSON object",
    "null": "not a JSON object",
    '"{}"': "not a JSON object",
    line(app={"site name": "\0"}): "holds a NUL character",
    line(tags=["a", "\0"]): "holds a NUL character",
    line(tags=["\0"], price=[]): "price: not a single value",
    line(app={"site name": ["a"]}): "app.site name: not a single value",
    line(app={"site name": {}}): "app.site name: not a single value",
    line(price=[1]): "price: not a single value",
    line(id={"a": 1}): "id: not a single value",
    line(click=[1]): "click: not a single value",
    line(at={"time": []}): "at.time: not a single value",
    line(tags={"a": 1}): "tags: not a single value or a list of them",
    line(tags=["a", ["b"]]): "tags: not a single value or a list of them",
    line(tags=[{}]): "tags: not a single value or a list of them",
    line(tags=["a|b"]): "tags: a value of the list holds the separator '|'",
    line(tags=0).replace("0}", "[" * 50_000 + "]" * 50_000 + "}"): "tags: not a single value or a list of them",
    line(click=2): "click: expected 1 or 0",
    line(click=True): "click: expected 1 or 0",
    line(price="1x"): "price: not a number",
    line(price=True): "price: not a number",
    line(price=float("nan")): "price: not a number",
    line(id=None): "id: no id",
    line(at=None): "at.time: not a time of the form %Y-%m-%d %H:%M:%S",
    line(at="2026-11-02 13:00:00"): "at.time: not a time of the form %Y-%m-%d %H:%M:%S",
    line(at={"time": "2026-11-03 00:00:00"}): "at.time: another day",
}


def test_every_kind_of_bad_line_is_rejected_with_its_number_reason_and_text(tmp_path: Path) -> None:
    rows, rejects = read(tmp_path, line(id=7), *BAD, line(id=9))
    assert [row["line"] for row in rows] == [1, len(BAD) + 2]
    assert [(row["line"], row["reason"]) for row in rejects] == list(enumerate(BAD.values(), 2))
    assert [row["text"] for row in rejects] == [text[: 1 << 16] for text in BAD]


def test_lines_that_are_no_text_or_too_long_leave_their_neighbours_whole(tmp_path: Path) -> None:
    deliver(tmp_path, [])
    long = line(more="x" * (4 << 20)).encode()
    lines = [line(id=7).encode(), b'{"id": "caf\xe9"}', line(id=8).encode() + b"\0", long, line(id=9).encode()]
    (tmp_path / "logs/2026-11-02/a.csv").write_bytes(b"\n".join(lines))
    rows, rejects = ingest(pipeline(tmp_path, JSON, PATHS))[1:]
    assert [row["row_id"] for row in rows] == [md5("json|7"), md5("json|9")]
    assert [row["reason"] for row in rejects] == ["not valid UTF-8", "holds a NUL byte", "longer than 4 MiB"]


def test_of_a_key_that_is_there_twice_the_first_counts(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, line(price=1).replace('"price"', '"price": 3, "price"'))
    assert rows[0]["price"] == 3.0


def test_keys_differ_by_case_and_missing_ones_are_null(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, line(App={"site name": "a"}, Price=1))
    assert (rows[0]["site"], rows[0]["price"]) == (None, None)


ODD = ["Site ID", "x-é.y", "it's", "'); drop table rejects; --", "$", "[0]", "?", "/a", "%", "{{ day }}", "0", "a*"]


@pytest.mark.parametrize("column", ODD)
def test_no_character_of_a_path_has_a_meaning(tmp_path: Path, column: str) -> None:
    value: Any = "found"
    for key in reversed(column.split(".")):
        value = {key: value}
    rows, rejects = read(tmp_path, line(**value), fields=f'fields = [{{ name = "site", column = "{column}" }}]')
    assert (rows[0]["site"], rejects) == ("found", [])


@pytest.mark.parametrize("column", ODD)
def test_files_that_name_their_columns_may_name_them_in_any_way(tmp_path: Path, column: str) -> None:
    fields = f'fields = [{{ name = "site", column = "{column}" }}, {{ name = "hour_of_day", column = "Hour_Of_Day" }}]'
    source = changed(UNTIMED, kind='"delimited"', delimiter='","', header="true", time_column='"Time"')
    deliver(tmp_path, [f"ID,CLICK,TIME,{column.upper()}", "8,1,2026-11-02 13:00:00,found"])
    _, rows, _ = ingest(pipeline(tmp_path, source, fields))
    assert (rows[0]["site"], rows[0]["hour_of_day"]) == ("found", "13")
    (tmp_path / "logs/2026-11-02/a.csv").unlink()
    columns = {"id": ["8"], "click": [1], "time": ["2026-11-02 13:00:00"], column: ["found"]}
    pq.write_table(pa.table(columns), tmp_path / "logs/2026-11-02/a.parquet")
    _, rows, _ = ingest(pipeline(tmp_path, changed(UNTIMED, kind='"parquet"', time_column='"Time"'), fields))
    assert (rows[0]["site"], rows[0]["hour_of_day"]) == ("found", "13")


def test_a_header_that_lacks_an_odd_column_is_refused_by_its_name(tmp_path: Path) -> None:
    deliver(tmp_path, ["id,click", "8,1"])
    fields = 'fields = [{ name = "site", column = "Site ID" }]'
    with pytest.raises(InputError, match="missing: 'site id'"):
        ingest(pipeline(tmp_path, changed(UNTIMED, kind='"delimited"', delimiter='","', header="true"), fields))


def test_requests_need_only_the_values_of_fields_and_id(tmp_path: Path) -> None:
    bad = [line(id=10, at={"time": "soon"}), line(id=11, at={"time": "2026-11-03 00:00:00"}), line(id=None)]
    deliver(tmp_path, [line(click=[], tags=["a"]), '{"id": 9}', *bad], "requests/2026-11-02/a.json")
    _, rows, rejects = ingest(pipeline(tmp_path, JSON, THREE), ingest_requests)
    assert [(row["row_id"], row["tags"]) for row in rows] == [(md5("json|8"), "a"), (md5("json|9"), None)]
    reasons = ["at.time: not a time of the form %Y-%m-%d %H:%M:%S", "at.time: another day", "id: no id"]
    assert [row["reason"] for row in rejects] == reasons


@pytest.mark.parametrize(
    ("options", "fields"),
    [({}, PATHS), ({}, THREE.replace('"app.site name"', '"at.time"')), ({"requests": '"requests/*/*"'}, THREE)],
)
def test_requests_need_a_time_for_a_field_or_to_be_told_from_those_of_other_days(
    tmp_path: Path, options: dict[str, str], fields: str
) -> None:
    deliver(tmp_path, [line(), '{"id": 9}'], "requests/2026-11-02/a.json")
    _, rows, rejects = ingest(pipeline(tmp_path, changed(JSON, **options), fields), ingest_requests)
    assert [row["row_id"] for row in rows] == [md5("json|8")]
    assert rejects[0]["reason"].startswith("at.time: not a time")


def test_without_an_id_a_row_is_named_by_file_and_line_whatever_the_compression(tmp_path: Path) -> None:
    source = UNTIMED.replace('id_column = "id"\n', "").replace("max_conflict_share = 1.0", "")
    config = pipeline(tmp_path, source, THREE)
    text = "".join(f"{line(id=[i], price=i)}\r\n" for i in range(20_000))
    folder = tmp_path / "logs/2026-11-02"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(text, newline="")
    plain = ingest(config)[1]
    (folder / "a.json").unlink()
    (folder / "a.json.gz").write_bytes(gzip.compress(text.encode()))
    packed = ingest(config)[1]
    assert [row["price"] for row in plain] == list(range(20_000))
    assert [row["row_id"] for row in plain] == [row["row_id"] for row in packed]
    assert plain[4]["row_id"] == md5("json|logs|2026-11-02/a.json:5")


def test_in_an_archive_lines_of_other_days_are_left_out_and_bad_ones_rejected(tmp_path: Path) -> None:
    other = line(id=9, price="bad", at={"time": "2026-11-01 23:59:59"})
    deliver(tmp_path, [line(), other, "x", "[]", line(at={"time": [1]})], "archive.json")
    report, rows, rejects = ingest(pipeline(tmp_path, changed(JSON, logs='"archive.json"'), PATHS))
    assert ([row["line"] for row in rows], report.other_days) == ([1], 1)
    assert [row["line"] for row in rejects] == [3, 4, 5]


def test_repeated_ids_and_labels_from_a_threshold_are_as_in_delimited_logs(tmp_path: Path) -> None:
    source = changed(UNTIMED, label='{ column = "user.rating", at_least = 4 }')
    lines = [line(user={"rating": 3.5}), line(user={"rating": "4"}), line(id=9, user={"rating": 4.0})]
    rows, _ = read(tmp_path, *lines, source=source, fields=THREE)
    assert [(row["line"], row["label"]) for row in rows] == [(1, 1), (3, 1)]


single = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.just("a|b"))
plain_lists = st.lists(single, max_size=3)
nested = st.recursive(single, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner))
objects = st.fixed_dictionaries(
    {},
    optional={
        "click": st.sampled_from([0, 1, "1", 1.0, 2, None, [1]]),
        "app": st.fixed_dictionaries({}, optional={"site name": single, "x": nested}) | nested,
        "price": single | st.sampled_from(["1.5", " 2 ", "1e3", "."]) | nested,
        "tags": plain_lists | nested,
        "more": nested,
    },
)
spoils = st.sampled_from(["", "x", "cut", "[]", "null", "twice"])


def written(value: dict[str, Any], pretty: bool) -> str:
    return json.dumps(value, ensure_ascii=pretty, separators=None if pretty else (",", ":"))


def spoilt(text: str, how: str) -> str:
    return {"cut": text[: len(text) // 2], "twice": text + text}.get(how, how)


lines_of_json = st.builds(
    lambda value, pretty, how: (value, pretty, how), objects, st.booleans(), st.none() | st.none() | spoils
)


def as_cell(value: Any) -> Any:
    """The text of a single value without blanks around it; floats stay floats, what is missing is None."""
    if isinstance(value, float):
        return value
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value).strip(" ")
    return None if value is None or text in ("", "null") else text


def joined(values: list[Any]) -> Any:
    return as_cell("|".join("" if value is None else str(as_raw(value)) for value in values))


def as_raw(value: Any) -> str:
    """The text of a value of a list."""
    return value if isinstance(value, str) else json.dumps(value)


def same(cell: str | None, value: Any) -> bool:
    if isinstance(value, float):
        return cell is not None and (float(cell) == value or value != value)
    return cell == value


def fault(value: dict[str, Any], site: Any) -> str | None:
    """The first reason against an object that has an id, by the rules of docs/configuration.md."""
    read = {"app.site name": site, "click": value.get("click"), "price": value.get("price"), "tags": value.get("tags")}
    tags = read["tags"] if isinstance(read["tags"], list) else []
    for path in ("app.site name", "click", "price"):
        if isinstance(read[path], dict | list):
            return f"{path}: not a single value"
    if isinstance(read["tags"], dict) or any(isinstance(tag, dict | list) for tag in tags):
        return "tags: not a single value or a list of them"
    if any("|" in as_raw(tag) for tag in tags):
        return "tags: a value of the list holds the separator '|'"
    if any("\0" in text for text in [*read.values(), *tags] if isinstance(text, str)):
        return "holds a NUL character"
    if read["click"] not in (0, 1, "1"):
        return "click: expected 1 or 0"
    price = as_cell(read["price"])
    return None if price is None or is_number(price) else "price: not a number"


def is_number(price: Any) -> bool:
    text = str(price)
    return re.fullmatch(NUMBER, text) is not None and abs(float(text)) != float("inf")


@settings(max_examples=12)
@given(st.lists(lines_of_json, min_size=1, max_size=30))
def test_every_line_is_a_reject_or_a_row_whose_cells_are_those_that_python_reads(lines: list[Any]) -> None:
    texts, expected = [], dict[int, Any]()
    for number, (value, pretty, how) in enumerate(lines, 1):
        text = written({"id": number, **value}, pretty)
        texts.append(text if how is None else spoilt(text, how))
        if how is not None:
            expected[number] = {"": "empty line", "[]": "not a JSON object", "null": "not a JSON object"}.get(
                how, "not JSON"
            )
            continue
        app = value.get("app")
        site = app.get("site name") if isinstance(app, dict) else None
        expected[number] = fault(value, site) or (value, site)
    with tempfile.TemporaryDirectory() as name:
        rows, rejects = read(Path(name), *texts, source=UNTIMED, fields=THREE)
    assert {row["line"]: row["reason"] for row in rejects} == {
        number: wanted for number, wanted in expected.items() if isinstance(wanted, str)
    }
    assert len(rows) + len(rejects) == len(lines)
    for row in rows:
        value, site = expected[row["line"]]
        tags = value.get("tags")
        assert row["label"] == int(value["click"])
        assert same(row["site"], as_cell(site))
        price = as_cell(value.get("price"))
        assert row["price"] == (None if price is None else float(price))
        if not (isinstance(tags, list) and any(isinstance(tag, float) for tag in tags)):
            assert same(row["tags"], joined(tags) if isinstance(tags, list) else as_cell(tags))


def test_a_path_through_what_is_no_object_finds_nothing(tmp_path: Path) -> None:
    config: Config = pipeline(tmp_path, UNTIMED, 'fields = [{ name = "site", column = "a.b.c.d" }]')
    deliver(tmp_path, [line(a={"b": {"c": {"d": "deep", "e": [1]}}}), line(id=9, a={"b": 3}), line(id=10, a=[1])])
    read_into(tmp_path, config)
    assert pq.read_table(tmp_path / "rows.parquet")["site"].to_pylist() == ["deep", None, None]
