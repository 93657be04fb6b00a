"""Columns with several names, columns that files may lack, and columns that the path of a file tells."""

import datetime
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipelines import changed, pipeline

from pnn_gluon.data.ingest import RawLines, Targets, ingest_logs, ingest_requests
from pnn_gluon.errors import ConfigError, InputError

DAY = datetime.date(2026, 11, 2)
FIELDS = """fields = [
    { name = "site", column = ["site_id", "site"] },
    { name = "price", kind = "numeric", bucketing = "log", column = ["price", "bid", "floor"] },
    { name = "tags", kind = "multi", column = ["tags", "labels"] },
]"""
SOURCE = """
logs = "logs/{day}/*"
requests = "logs/{day}/*"
delimiter = ","
header = true
max_reject_share = 1.0
"""
JSON = 'kind = "json"\nlogs = "logs/{day}/*"\nmax_reject_share = 1.0\n'


def write(folder: Path, data: str, name: str = "logs/2026-11-02/a.csv") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)


def ingest(
    folder: Path, source: str, fields: str = FIELDS, read: Any = ingest_logs
) -> tuple[list[Any], list[tuple[int, str]]]:
    """The fields of the rows, and the rejects."""
    config = pipeline(folder, source, fields)
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    read(RawLines(config.source, config.fields, folder), config.engine, DAY, targets)
    rows, rejects = (pq.read_table(path).to_pylist() for path in (targets.rows, targets.rejects))
    names = [field.name for field in config.fields]
    return [tuple(row[name] for name in names) for row in rows], [(row["line"], row["reason"]) for row in rejects]


@pytest.mark.parametrize("columns", ["", 'columns = ["label", "site_id", "price", "tags"]'])
def test_in_a_file_with_a_header_the_first_name_that_is_there_counts(tmp_path: Path, columns: str) -> None:
    write(tmp_path, "label,Site,price,tags\n1,a,2.5,x|y\n")
    write(tmp_path, "Labels,label,site_id,floor\nz,0,b,4\n", "logs/2026-11-02/b.csv")
    assert ingest(tmp_path, f"{SOURCE}{columns}")[0] == [("a", 2.5, "x|y"), ("b", 4.0, "z")]


def test_a_file_with_none_of_the_names_is_refused_by_the_first(tmp_path: Path) -> None:
    write(tmp_path, "label,price,tags\n1,2.5,x\n")
    with pytest.raises(InputError, match="missing: 'site_id'"):
        ingest(tmp_path, SOURCE)


def test_a_column_of_another_name_is_refused_with_how_a_field_reads_both(tmp_path: Path) -> None:
    write(tmp_path, "label,site\n1,a\n")
    renamed = 'fields = [{ name = "site", column = "site_name" }]'
    advice = (
        'where files call a field\'s site_name otherwise, list both names: column = ["site_name", "its other name"]'
    )
    with pytest.raises(InputError, match=re.escape(advice)):
        ingest(tmp_path, SOURCE, renamed)
    assert ingest(tmp_path, SOURCE, renamed.replace('"site_name"', '["site_name", "site"]'))[0] == [("a",)]


def test_in_parquet_the_first_name_that_is_there_counts(tmp_path: Path) -> None:
    folder = tmp_path / "logs/2026-11-02"
    folder.mkdir(parents=True)
    pq.write_table(
        pa.table({"label": [1], "Site": ["a"], "bid": [7.0], "floor": [9.0], "labels": [["x", "y"]]}), folder / "a"
    )
    source = 'kind = "parquet"\nlogs = "logs/{day}/*"\n'
    assert ingest(tmp_path, source)[0] == [("a", 7.0, "x|y")]


def test_in_json_the_first_name_with_a_value_counts_line_by_line(tmp_path: Path) -> None:
    objects: list[Any] = [
        {"label": 1, "site": "old", "bid": "1.5", "labels": ["x", "y"]},
        {"label": 0, "site_id": "new", "site": "old", "price": None, "floor": 3},
        {"label": 0, "site_id": "", "site": "old", "bid": "much", "tags": "t"},
    ]
    write(tmp_path, "".join(json.dumps(each) + "\n" for each in objects))
    rows, rejects = ingest(tmp_path, JSON)
    assert rows == [("old", 1.5, "x|y"), ("new", 3.0, None)]
    assert rejects == [(3, "price: not a number")]


PLAIN = 'fields = [{ name = "site" }, { name = "price", kind = "numeric", bucketing = "log" }, { name = "os" }]'
TRAILING = 'columns = ["label", "site", "price", "os"]\noptional_columns = ["price", "os"]'


def test_lines_may_lack_the_last_columns(tmp_path: Path) -> None:
    write(tmp_path, "1,a,2,ios\n0,b,3\n0,c\n1\n0,d,4,ios,more\n0,e,x\n")
    rows, rejects = ingest(tmp_path, f"{SOURCE.replace('header = true', '')}{TRAILING}", PLAIN)
    assert rows == [("a", 2.0, "ios"), ("b", 3.0, None), ("c", None, None)]
    expected = "columns, expected 2 to 4"
    assert rejects == [(4, f"1 {expected}"), (5, f"5 {expected}"), (6, "price: not a number")]


@pytest.mark.parametrize("columns", ["", 'columns = ["label", "site", "price", "os"]\n'])
def test_files_that_name_their_columns_may_lack_some(tmp_path: Path, columns: str) -> None:
    write(tmp_path, "label,os,site\n1,ios,a\n0,ios\n")
    write(tmp_path, "label,site,price,os\n1,b,3,web\n", "logs/2026-11-02/b.csv")
    rows, rejects = ingest(tmp_path, f'{SOURCE}{columns}optional_columns = ["price", "os"]', PLAIN)
    assert rows == [("a", None, "ios"), ("b", 3.0, "web")]
    assert rejects == [(2 + 1, "2 columns, expected 3")]
    write(tmp_path, "label,price,os\n1,3,web\n", "logs/2026-11-02/c.csv")
    with pytest.raises(InputError, match="missing: 'site'"):
        ingest(tmp_path, f'{SOURCE}{columns}optional_columns = ["price", "os"]', PLAIN)


PATHS = 'fields = [{ name = "site" }, { name = "country" }, { name = "hour_of_day" }]'
BY_PATH = SOURCE.replace("header = true", 'columns = ["label", "site"]') + 'path_columns = ["country", "dt", "hour"]\n'


@pytest.mark.parametrize("read", [ingest_logs, ingest_requests])
def test_folders_tell_columns_and_times(tmp_path: Path, read: Any) -> None:
    lines = "1,a\n" if read is ingest_logs else "a\n"
    for folder in ("Country=C%C3%B4te%20d'Ivoire", "country=null", "country=__HIVE_DEFAULT_PARTITION__"):
        write(tmp_path, lines, f"logs/dt=2026-11-02/{folder}/hour=05/a.csv")
    options = {"logs": '"logs/dt={day}/*/hour={hh}/*"', "requests": '"logs/dt={day}/*/hour={hh}/*"'}
    options |= {"time_column": '["dt", "hour"]', "time_format": '"%Y-%m-%d %H"', "missing": '["", "null"]'}
    rows, _ = ingest(tmp_path, changed(BY_PATH, **options), PATHS, read)
    assert sorted(rows, key=str) == [("a", "C\u00f4te d'Ivoire", "5"), ("a", None, "5"), ("a", None, "5")]


def test_a_folder_may_tell_the_whole_time(tmp_path: Path) -> None:
    for hour in ("05", "23", "24"):
        write(tmp_path, "1,a\n", f"logs/country=DE/at=2026-11-02T{hour}%3A30Z/a.csv")
    options = {"logs": '"logs/*/*/*"', "time_column": '"at"', "time_format": '"iso8601"'}
    source = changed(BY_PATH, path_columns='["country", "at"]', **options)
    rows, rejects = ingest(tmp_path, source, PATHS)
    assert rows == [("a", "DE", "5"), ("a", "DE", "23")]
    assert rejects == [(1, "at: not an ISO 8601 time")]


def test_a_folder_may_tell_the_label(tmp_path: Path) -> None:
    source = changed(BY_PATH, path_columns='["Country", "label"]', columns='["site"]', logs='"logs/{day}/*/*/*"')
    write(tmp_path, "x\n", "logs/2026-11-02/country=FR/label=1/a.csv")
    assert ingest(tmp_path, source, PATHS.replace(', { name = "hour_of_day" }', ""))[0] == [("x", "FR")]


def test_folders_tell_columns_of_json_and_parquet(tmp_path: Path) -> None:
    write(tmp_path, '{"label": 1, "site": "a", "country": "XX"}\n', "logs/2026-11-02/country=DE/a")
    fields = 'fields = [{ name = "site" }, { name = "country" }]'
    more = 'path_columns = ["country"]\n'
    assert ingest(tmp_path, f"{changed(JSON, logs=TWO)}{chr(10)}{more}", fields)[0] == [("a", "DE")]
    table = pa.table({"label": [1], "site": ["a"], "country": ["XX"]})
    pq.write_table(table, tmp_path / "logs/2026-11-02/country=DE/a")
    source = changed(JSON, logs=TWO, kind='"parquet"')
    assert ingest(tmp_path, f"{source}\n{more}", fields)[0] == [("a", "DE")]


TWO = '"logs/{day}/*/*"'


def test_a_path_without_the_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "1,a\n", "logs/country=DE/2026-11-02/a.csv")
    source = changed(BY_PATH, logs='"logs/country=DE/{day}/*"', path_columns='["country"]')
    with pytest.raises(InputError, match=r"no folder country=\.\.\. in '2026-11-02/a\.csv'"):
        ingest(tmp_path, source, PATHS.replace(', { name = "hour_of_day" }', ""))


@pytest.mark.parametrize(
    ("source", "fields", "said"),
    [
        (
            changed(SOURCE, header="false", columns='["label", "site_id", "price", "tags"]'),
            FIELDS,
            "need files that name",
        ),
        (f'{SOURCE}optional_columns = ["label"]', FIELDS, "`optional_columns`: 'label' is needed"),
        (f"{SOURCE.replace('header = true', '')}{TRAILING.replace('price', 'site')}", PLAIN, "names a column twice"),
        (
            SOURCE.replace("header = true", 'columns = ["label", "site", "price", "os"]\noptional_columns = ["site"]'),
            PLAIN,
            "these are the last of `columns`",
        ),
        (changed(BY_PATH, path_columns='["site"]'), PLAIN, "`path_columns`: 'site' is in `columns`, too"),
        (SOURCE, FIELDS.replace('"site_id", "site"', '"site_id", "label"'), "reads the label column"),
        (f'{JSON}optional_columns = ["site"]', PLAIN, "`optional_columns` has no effect with kind = 'json'"),
    ],
)
def test_columns_that_cannot_be_so_are_configuration_errors(
    tmp_path: Path, source: str, fields: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        pipeline(tmp_path, source, fields)
