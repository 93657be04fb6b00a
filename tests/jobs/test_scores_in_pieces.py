"""Scores on their way to the server: read from their file bit by bit."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.steps.publish import scores_in

GROUPS, GROUP_ROWS = 32, 20_000


def test_scores_of_a_file_are_never_in_memory_together(tmp_path: Path) -> None:
    path, rows = tmp_path / "scores.parquet", GROUPS * GROUP_ROWS
    logit = np.random.default_rng(1).normal(size=rows)
    ids = pa.array([f"{row:032x}" for row in range(rows)])
    table = pa.table({"row_id": ids, "line": np.arange(rows), "logit": logit, "probability": 1 / (1 + np.exp(-logit))})
    pq.write_table(table, path, row_group_size=GROUP_ROWS)
    whole = table.nbytes
    del table, ids
    before, held, seen = pa.total_allocated_bytes(), 0, 0
    for batch in scores_in(path, "2026-01-04", "2026-01-03"):
        held = max(held, pa.total_allocated_bytes() - before)
        assert np.array_equal(batch["logit"], logit[seen : seen + batch.num_rows])
        assert {str(day) for day in batch["model_day"].to_pylist()} == {"2026-01-04"}
        assert {str(day) for day in batch["map_day"].to_pylist()} == {"2026-01-03"}
        seen += batch.num_rows
    assert seen == rows
    assert held < whole / 4
