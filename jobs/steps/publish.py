"""The scores -> the score table in PostgreSQL, replaced in one transaction, and the export manifest for bidders."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from jobs.reading import Reading, kept_reason
from jobs.score_server import score_server
from jobs.step import Built, Report, Step, kept
from pnn_gluon.days import parse_day
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store

INTERRUPTED = "interrupted; the score table may hold what this store does not know of: publish the day again"
"""What `status` says of a publication that was killed."""


def reads(reading: Reading) -> None:
    """The scores of the day."""
    reading.need("scores")


@contextmanager
def _server(reading: Reading) -> Generator[str, None, None]:
    with reading.store.lock("publish", wait=True), score_server(reading.config) as uri:
        yield uri


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Replace the day's partition of the score table and write the manifest that names what is there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pnn_gluon.warehouse.score_table import MadeFrom, publish_scores

    scores, table = reading.need("scores"), reading.config.publish.table
    if (reason := kept_reason(scores.details)) is not None:
        return kept(f"no scores: {reason}")
    with pq.ParquetFile(reading.store.folder(scores) / "scores.parquet") as file:
        scored = file.read()
    for name in ("model_day", "map_day"):
        day = pa.scalar(parse_day(scores.details[name]), pa.date32())
        scored = scored.append_column(name, pa.repeat(day, scored.num_rows))
    score_day = parse_day(scores.details["score_day"])
    made_from = MadeFrom(scores.run, f"{reading.config.name} in {reading.config.store_root}")
    with _server(reading) as uri:
        reading.store.record_failure("published", reading.day, INTERRUPTED)
        rows = publish_scores(uri, table, score_day, scored, made_from, take_over=reading.force)
    (folder / "export.json").write_text(json.dumps(export_manifest(scores, table), indent=1, sort_keys=True) + "\n")
    report(f"publish {reading.day}: {rows:,} rows in {table} for {score_day}")
    return Built(rows, {"table": table, "score_day": str(score_day)})


def export_manifest(scores: Manifest, table: str) -> dict[str, object]:
    """What a bidding system needs to fetch the scores and know that they are whole."""
    run = Store.relative(scores.table, scores.day, scores.run)
    file = next(file for file in scores.files if file.name == "scores.parquet")
    return {
        "day": scores.details["score_day"],
        "model_day": scores.details["model_day"],
        "map_day": scores.details["map_day"],
        "rows": scores.rows,
        "table": table,
        "columns": {"row_id": "text", "file": "text", "line": "bigint", "logit": "double", "probability": "double"},
        "parquet": {"path": f"{run}/{file.name}", "size": file.size, "sha256": file.sha256},
    }


def _still_published(reading: Reading, manifest: Manifest) -> bool:
    """Whether the server's day is of this very run; a table that was dropped or changed is published again."""
    if kept_reason(manifest.details) is not None:
        return True
    from pnn_gluon.warehouse.score_table import standing_run

    score_day = parse_day(manifest.details["score_day"])
    with _server(reading) as uri:
        run = standing_run(uri, reading.config.publish.table, score_day)
    return run == manifest.inputs[f"scores/{manifest.day}"]


STEP = Step("publish", "published", ("publish",), reads, build, standing=_still_published)
