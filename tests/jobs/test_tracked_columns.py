"""What is told of the columns of a table is what its files have."""

import pyarrow.parquet as pq
import pytest

from pnn_gluon.config import Config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.tables import COUNTS_FILE, PREDICTIONS_FILE, ROWS_FILE, SCORES_FILE, SHARES_FILE
from pnn_gluon.tracking.lineage_columns import columns_of, origins_of
from tests.jobs.small_pipeline import DAYS


@pytest.mark.parametrize(
    ("table", "files"),
    [
        ("rows", [ROWS_FILE]),
        ("samples", [ROWS_FILE, SHARES_FILE]),
        ("counts", [COUNTS_FILE]),
        ("evaluations", [PREDICTIONS_FILE]),
        ("scores", [SCORES_FILE]),
    ],
)
def test_the_columns_told_of_a_table_are_those_of_its_files(five_days: Config, table: str, files: list[str]) -> None:
    store = open_store(five_days)
    manifest = store.manifest(table, DAYS[1])
    assert manifest is not None
    schemas = [pq.read_schema(store.folder(manifest) / file) for file in files]
    told = columns_of(five_days, table)
    assert told == {field.name: str(field.type) for schema in schemas for field in schema}
    origins = origins_of(five_days, table)
    assert origins
    assert set(origins) <= set(told)
