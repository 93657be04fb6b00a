import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jobs
import pnn_gluon
from pnn_gluon.errors import InputError
from pnn_gluon.warehouse.duckdb_engine import parquet, parquet_path

ROOT = Path(pnn_gluon.__file__).parents[1]
FOLDERS = [
    "site=main",
    "label=1",
    "ds=2026-11-01/run=1",
    "file_row_number=3",
    "star*",
    "**",
    "wh?t",
    "br[ab]",
    "a[b",
    "[!a]",
    "it's",
    'q"x',
    "a b",
    "ünï",
    "new\nline",
    "per%41cent",
    "back\\slash",
]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_has_its_own_columns_below_any_folder(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "rows.parquet"
    path.parent.mkdir(parents=True)
    table = pa.table({"site": ["a", "b"], "label": [0, 1], "ds": ["c", "d"], "run": [7, 8]})
    pq.write_table(table, path)
    with duckdb.connect() as connection:
        assert connection.sql(f"select * from {parquet(path)}").to_arrow_table().to_pydict() == table.to_pydict()
        numbers = connection.sql(f"select file_row_number from {parquet(path, row_numbers=True)}").fetchall()
        rows = connection.sql(f"select num_rows from parquet_file_metadata({parquet_path(path)})").fetchall()
    assert (numbers, rows) == ([(0,), (1,)], [(2,)])


def test_a_wildcard_in_a_path_matches_no_other_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a1.parquet")
    pq.write_table(pa.table({"x": [2]}), tmp_path / "a*.parquet")
    with duckdb.connect() as connection:
        assert connection.sql(f"select x from {parquet(tmp_path / 'a*.parquet')}").fetchall() == [(2,)]
        both = parquet([tmp_path / "a1.parquet", tmp_path / "a*.parquet"])
        assert connection.sql(f"select x from {both} order by x").fetchall() == [(1,), (2,)]


def test_a_path_that_can_not_be_written_is_named() -> None:
    with pytest.raises(InputError, match="backslash"):
        parquet("/data/a\\b*/rows.parquet")


def test_nothing_opens_parquet_where_folders_become_columns() -> None:
    """`read_parquet` of DuckDB and `read_table` of pyarrow take `name=value` folders for columns."""
    sources = [*(ROOT / "sql").glob("*.sql"), *Path(pnn_gluon.__file__).parent.rglob("*.py")]
    sources += Path(jobs.__file__).parent.rglob("*.py")
    opened = re.compile(r"read_parquet|parquet_scan|(pq|parquet|pa|ds)\.(read_table|ParquetDataset|dataset)\b|from '")
    found = {path.name for path in sources if opened.search(path.read_text())}
    assert found == {"duckdb_engine.py"}
