import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines import pipeline

from pnn_gluon.config import CategoricalField, EngineConfig, NumericField
from pnn_gluon.data.counting import CountReport, count_values, merge_counts
from pnn_gluon.errors import InputError
from pnn_gluon.warehouse.duckdb_engine import connect

NAMES = ("site", "tags", "hour_of_day", "weekday")
Count = tuple[str, str, int, int]
Row = dict[str, Any]


def row(site: str | None, tags: str | None, label: int) -> Row:
    return {"label": label, "site": site, "price": 1.5, "tags": tags, "hour_of_day": "13", "weekday": None}


def expected(rows: list[Row]) -> list[Count]:
    """The definition, one row and one value after the other."""
    impressions: Counter[tuple[str, str]] = Counter()
    clicks: Counter[tuple[str, str]] = Counter()
    for each in rows:
        for name in NAMES:
            content = each[name]
            values = set() if content is None else {content}
            if name == "tags":
                values = {part.strip(" ") for value in values for part in value.split("|")} - {""}
            for value in values:
                impressions[name, value] += 1
                clicks[name, value] += each["label"]
    order = sorted(impressions, key=lambda pair: (NAMES.index(pair[0]), pair[1].encode()))
    return [(name, value, impressions[name, value], clicks[name, value]) for name, value in order]


def count(folder: Path, rows: list[Row], threads: int = 2) -> tuple[CountReport, list[Count]]:
    text = pa.string()
    types = {
        "label": pa.int8(),
        "site": text,
        "price": pa.float64(),
        "tags": text,
        "hour_of_day": text,
        "weekday": text,
    }
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(types)), folder / "rows.parquet")
    fields, engine = pipeline(folder).fields, EngineConfig(threads=threads)
    report = count_values(fields, engine, folder / "rows.parquet", folder / "counts.parquet")
    found = [tuple(each.values()) for each in pq.read_table(folder / "counts.parquet").to_pylist()]
    assert report.values == len(found) == sum(report.fields.values())
    return report, found


values = st.one_of(st.none(), st.text(alphabet="abAé€ '", max_size=3))
sets = st.one_of(st.none(), st.text(alphabet="ab |é", max_size=8))


@settings(max_examples=12)
@given(st.lists(st.builds(row, values, sets, st.integers(0, 1)), min_size=1, max_size=60))
def test_counts_are_those_of_the_definition(rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert count(Path(folder), rows)[1] == expected(rows)


def test_a_value_counts_once_for_a_row_however_often_the_row_has_it(tmp_path: Path) -> None:
    report, found = count(tmp_path, [row("x", "b|a|b", 1), row("x", "b", 0), row(None, None, 0)])
    assert found == [
        ("site", "x", 2, 1),
        ("tags", "a", 1, 1),
        ("tags", "b", 2, 1),
        ("hour_of_day", "13", 3, 1),
    ]
    assert report.fields == {"site": 1, "tags": 2, "hour_of_day": 1, "weekday": 0}


def test_types_are_whole_numbers_also_without_values(tmp_path: Path) -> None:
    fields = [NumericField(name="price", kind="numeric")]
    counts = tmp_path / "counts.parquet"
    pq.write_table(pa.table({"label": [1], "price": [1.5]}), tmp_path / "rows.parquet")
    report = count_values(fields, EngineConfig(), tmp_path / "rows.parquet", counts)
    schema = pq.read_schema(counts)
    assert [(name, str(schema.field(name).type)) for name in schema.names] == [
        ("field", "string"),
        ("value", "string"),
        ("impressions", "int64"),
        ("clicks", "int64"),
    ]
    assert report == CountReport(0, {})


def test_bytes_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    rows = [row(f"s{i * 7919 % 30011}", f"a{i % 501}|b{i % 13}", i % 2) for i in range(150_000)]
    contents = []
    for threads in (1, 2):
        count(tmp_path, rows, threads)
        contents.append((tmp_path / "counts.parquet").read_bytes())
    assert contents[0] == contents[1]


def test_many_fields_need_the_memory_of_one(tmp_path: Path) -> None:
    fields = [CategoricalField(name=f"c{number}", kind="categorical") for number in range(60)]
    texts = pa.array(range(10_000)).cast(pa.string())
    columns = {"label": pa.repeat(pa.scalar(0, pa.int8()), len(texts)), **{field.name: texts for field in fields}}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    engine = EngineConfig(threads=1, memory_limit="32MB")
    report = count_values(fields, engine, tmp_path / "rows.parquet", tmp_path / "counts.parquet")
    assert report.values == len(fields) * len(texts)


def test_merged_counts_of_days_are_the_counts_of_all_their_rows(tmp_path: Path) -> None:
    days = [[row(f"s{i % (day + 2)}", f"a{i % 3}|b", i % 2) for i in range(50)] for day in range(3)]
    paths = []
    for number, rows in enumerate(days):
        folder = tmp_path / str(number)
        folder.mkdir()
        count(folder, rows)
        paths.append(folder / "counts.parquet")
    with connect(pipeline(tmp_path).engine) as connection:
        merged = [(name, *each) for name in NAMES for each in connection.sql(merge_counts(paths, name)).fetchall()]
    assert sorted(merged) == sorted(expected([each for rows in days for each in rows]))
    with pytest.raises(InputError, match="no day to sum"):
        merge_counts([], "site")


def test_merged_counts_are_whole_numbers_of_64_bits(tmp_path: Path) -> None:
    many, path = 2**40, tmp_path / "counts.parquet"
    pq.write_table(pa.table({"field": ["f"], "value": ["v"], "impressions": [many], "clicks": [many - 1]}), path)
    with connect(pipeline(tmp_path).engine) as connection:
        merged = connection.sql(merge_counts([path, path], "f")).to_arrow_table()
    assert merged.to_pylist() == [{"value": "v", "impressions": 2 * many, "clicks": 2 * many - 2}]
    assert merged.schema.types[1:] == [pa.int64(), pa.int64()]


def test_rows_that_are_missing_or_lack_a_field_are_refused(tmp_path: Path) -> None:
    fields, paths = pipeline(tmp_path).fields, (tmp_path / "rows.parquet", tmp_path / "counts.parquet")
    with pytest.raises(InputError, match=r"rows\.parquet: can't be counted"):
        count_values(fields, EngineConfig(), *paths)
    pq.write_table(pa.table({"label": [1], "site": ["a"]}), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=r"(?s)tags.*ingest the day"):
        count_values(fields, EngineConfig(), *paths)
