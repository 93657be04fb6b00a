"""The scores -> the score table in PostgreSQL, replaced in one transaction, and the export manifest for bidders."""

import json
import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from jobs.score_server import score_server
from pnn_gluon.days import parse_day
from pnn_gluon.pipeline.details import PublishedDetails, ScoreDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.tables import EXPORT_FILE, PUBLISHED, SCORES, SCORES_FILE
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.store import Store

log = logging.getLogger(__name__)

INTERRUPTED = "interrupted; the score table may hold what this store does not know of: publish the day again"
"""What `status` says of a publication that was killed."""


@contextmanager
def _server(inputs: Inputs) -> Generator[str, None, None]:
    with inputs.store.lock("publish", wait=True), score_server(inputs.config) as uri:
        yield uri


def build(inputs: Inputs, folder: Path) -> Built:
    """Replace the day's partition of the score table and write the manifest that names what is there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pnn_gluon.warehouse.score_table import MadeFrom, publish_scores

    scores, table = inputs[Need(SCORES)], inputs.config.publish.table
    if scores.kept is not None:
        return kept(f"no scores: {scores.kept}")
    with pq.ParquetFile(scores.file(SCORES_FILE)) as file:
        scored = file.read()
    for name, text in (("model_day", scores.details.model_day), ("map_day", scores.details.map_day)):
        day = pa.scalar(parse_day(text), pa.date32())
        scored = scored.append_column(name, pa.repeat(day, scored.num_rows))
    score_day = parse_day(scores.details.score_day)
    made_from = MadeFrom(scores.run, f"{inputs.config.name} in {inputs.config.store_root}")
    with _server(inputs) as uri:
        inputs.store.record_failure(PUBLISHED.name, inputs.day, INTERRUPTED)
        rows = publish_scores(uri, table, score_day, scored, made_from, take_over=inputs.force)
    (folder / EXPORT_FILE).write_text(json.dumps(export_manifest(scores, table), indent=1, sort_keys=True) + "\n")
    log.info("publish %s: %s rows in %s for %s", inputs.day, f"{rows:,}", table, score_day)
    return Built(rows, PublishedDetails(table=table, score_day=str(score_day)))


def export_manifest(scores: Partition[ScoreDetails], table: str) -> dict[str, object]:
    """What a bidding system needs to fetch the scores and know that they are whole."""
    run = Store.relative(scores.manifest.table, scores.day, scores.run)
    file = next(file for file in scores.manifest.files if file.name == SCORES_FILE)
    return {
        "day": scores.details.score_day,
        "model_day": scores.details.model_day,
        "map_day": scores.details.map_day,
        "rows": scores.rows,
        "table": table,
        "columns": {"row_id": "text", "file": "text", "line": "bigint", "logit": "double", "probability": "double"},
        "parquet": {"path": f"{run}/{file.name}", "size": file.size, "sha256": file.sha256},
    }


def standing(inputs: Inputs, published: Partition[PublishedDetails]) -> bool:
    """Whether the server's day is of this very run; a table that was dropped or changed is published again."""
    if published.kept is not None:
        return True
    from pnn_gluon.warehouse.score_table import standing_run

    score_day = parse_day(published.details.score_day)
    with _server(inputs) as uri:
        run = standing_run(uri, inputs.config.publish.table, score_day)
    return run == inputs[Need(SCORES)].run
