"""Parts of weighted days as Spark has them: pickled, and at work in another folder, they make the same bytes."""

import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipelines import CSV, FIELDS, pipeline

from pnn_gluon.data.counting import CountPart, count_part
from pnn_gluon.data.sampling import SamplePart, sample_part


@pytest.mark.parametrize("kind", ["count", "sample"])
def test_a_part_that_was_sent_away_counts_weights_as_here(tmp_path: Path, kind: str) -> None:
    config = pipeline(tmp_path, CSV, FIELDS, "[sampling]\nnegative_rate = 0.5")
    rows = tmp_path / "rows.parquet"
    names = [field.name for field in config.fields]
    table: dict[str, Any] = {"row_id": [f"{i // 2}" for i in range(60)], "label": pa.array([1, 0] * 30, pa.int8())}
    table |= {
        "weight": pa.array([i % 7 + 1 for i in range(60)]),
        **{name: [str(i % 5) for i in range(60)] for name in names},
    }
    pq.write_table(pa.table(table), rows)
    path, away = tmp_path / f"{kind}.parquet", tmp_path / "away"
    away.mkdir()
    if kind == "count":
        part: Any = CountPart(path, config.fields, [rows], labelled=True, weighted=True)
        work: Any = count_part
    else:
        part, work = SamplePart(path, config.sampling, rows, weighted=True), sample_part
    sent = pickle.loads(pickle.dumps(part)).within(away)
    assert (sent.weighted, sent.folder) == (True, away)
    assert work(config.engine, sent) == work(config.engine, part)
    assert (away / path.name).read_bytes() == path.read_bytes()
    made = pq.read_table(path)
    if kind == "count":
        assert sum(made["impressions"].to_pylist()) == len(set(made["field"].to_pylist())) * sum(
            i % 7 + 1 for i in range(60)
        )
    else:
        assert made.schema.field("weight").type == pa.int64()
