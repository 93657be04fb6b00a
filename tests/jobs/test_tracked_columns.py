"""What is told of the columns of a table is what its files have."""

import pyarrow.parquet as pq
import pytest

from pnn_gluon.config import Config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.tables import COUNTS_FILE, PREDICTIONS_FILE, ROWS_FILE, SAMPLE_FILE, SCORES_FILE
from pnn_gluon.tracking.lineage_columns import columns_of, origins_of
from tests.jobs.small_pipeline import DAYS


@pytest.mark.parametrize(
    ("table", "file"),
    [
        ("rows", ROWS_FILE),
        ("samples", SAMPLE_FILE),
        ("counts", COUNTS_FILE),
        ("evaluations", PREDICTIONS_FILE),
        ("scores", SCORES_FILE),
    ],
)
def test_the_columns_told_of_a_table_are_those_of_its_file(five_days: Config, table: str, file: str) -> None:
    store = open_store(five_days)
    manifest = store.manifest(table, DAYS[1])
    assert manifest is not None
    schema = pq.read_schema(store.folder(manifest) / file)
    told = columns_of(five_days, table)
    assert told == {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
    origins = origins_of(five_days, table)
    assert origins
    assert set(origins) <= set(told)
