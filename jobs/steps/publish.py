"""The scores -> the score table in PostgreSQL, replaced in one transaction, and the export manifest for bidders."""

import json
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jobs.score_server import score_server
from pnn_gluon.days import parse_day
from pnn_gluon.pipeline.details import PublishedDetails, ScoreDetails, signed
from pnn_gluon.pipeline.inputs import Need, Saved
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.tables import EXPORT_FILE, PUBLISHED, SCORES, SCORES_FILE
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

INTERRUPTED = "interrupted; the score table may hold what this store does not know of: publish the day again"
"""What `status` says of a publication that was killed."""


SCORED = ["row_id", "logit", "probability"]
"""The columns of scores that the score table has."""


@contextmanager
def alone(inputs: Inputs) -> Generator[None, None, None]:
    """Until the day is committed, be the only one on any machine that publishes it: the score server sees to that."""
    from pnn_gluon.warehouse.score_table import publishing

    scores = inputs[Need(SCORES)]
    if scores.kept is not None:
        yield
        return
    score_day = parse_day(scores.details.score_day)
    with score_server(inputs.config) as uri, publishing(uri, inputs.config.publish.table, score_day):
        yield


def build(inputs: Inputs, folder: Path) -> Built:
    """Replace the day's partition of the score table and write the manifest that names what is there."""
    from pnn_gluon.warehouse.score_table import MadeFrom, publish_scores

    scores, table = inputs[Need(SCORES)], inputs.config.publish.table
    if scores.kept is not None:
        return kept(f"no scores: {scores.kept}")
    told, before = scores.details, _before(inputs[Saved(PUBLISHED)], scores)
    score_day, scored = parse_day(told.score_day), scores_in(scores.file(SCORES_FILE), told.model_day, told.map_day)
    made_from = MadeFrom(
        scores.run,
        f"{inputs.config.name} in {inputs.config.store_root}",
        model_day=parse_day(told.model_day),
        fallback=bool(told.fallback),
        why=told.why or _by_hand(told),
        at_least=before.next,
    )
    with score_server(inputs.config) as uri:
        inputs.store.record_failure(PUBLISHED.name, inputs.day, INTERRUPTED)
        done = publish_scores(uri, table, score_day, scored, made_from, take_over=inputs.force)
    export = export_manifest(scores, table, done.sequence)
    (folder / EXPORT_FILE).write_text(json.dumps(export, indent=1, sort_keys=True) + "\n")
    words = f"{done.rows:,}", table, score_day, done.sequence, told.state
    log.info("publish %s: %s rows in %s for %s, publication %s, %s", inputs.day, *words)
    details = PublishedDetails(
        table=table,
        score_day=told.score_day,
        sequence=done.sequence,
        state=told.state,
        model_day=told.model_day,
        earlier=before.earlier,
    )
    return Built(done.rows, details)


def _by_hand(told: ScoreDetails) -> str:
    """Why a person put the model in force, and who; "" if nobody did."""
    return "" if told.override is None else signed(told.override, (told.decided or {}).get("by"))


def scores_in(path: Path, model_day: str, map_day: str) -> "pa.RecordBatchReader":
    """The scores of a file, read batch by batch, with the columns that are the same in every row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    days = {name: pa.scalar(parse_day(text)) for name, text in (("model_day", model_day), ("map_day", map_day))}
    schema = pa.schema([pq.read_schema(path).field(name) for name in SCORED])
    for name, day in days.items():
        schema = schema.append(pa.field(name, day.type))

    def batches() -> "Iterator[pa.RecordBatch]":
        with pq.ParquetFile(path, pre_buffer=False) as file:  # what is read ahead stays in memory until the end
            for batch in file.iter_batches(columns=SCORED, use_threads=False):
                added = [pa.repeat(day, batch.num_rows) for day in days.values()]
                yield pa.RecordBatch.from_arrays([*batch.columns, *added], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


class _Before(NamedTuple):
    """What was published of the day before now, oldest first, and the least number of the present publication."""

    earlier: Sequence[Mapping[str, Any]] = ()
    next: int = 1


def _before(last: Partition[PublishedDetails] | None, scores: Partition[ScoreDetails]) -> _Before:
    """The same scores published again are the same publication."""
    if last is None or last.kept is not None:
        return _Before()
    told = last.details
    if last.manifest.inputs.get(scores.name) == scores.run:
        return _Before(told.earlier or (), told.sequence or 1)
    this: dict[str, Any] = {"sequence": told.sequence or 1, "state": told.state, "model_day": told.model_day}
    return _Before([*(told.earlier or ()), this], this["sequence"] + 1)


def export_manifest(scores: Partition[ScoreDetails], table: str, sequence: int) -> dict[str, object]:
    """What a bidding system needs to fetch the scores and know that they are whole, and whose they are."""
    run = Store.relative(scores.manifest.table, scores.day, scores.run)
    file = next(file for file in scores.manifest.files if file.name == SCORES_FILE)
    return {
        "day": scores.details.score_day,
        "sequence": sequence,
        "state": scores.details.state,
        "fallback": bool(scores.details.fallback),
        "why": scores.details.why,
        "override": scores.details.override,
        "decided": scores.details.decided,
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
    with score_server(inputs.config) as uri:
        run = standing_run(uri, inputs.config.publish.table, score_day)
    return run == inputs[Need(SCORES)].run
