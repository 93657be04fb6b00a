"""The candidates (requests) of tomorrow, scored by the model in force -> the score table as Parquet."""

from contextlib import closing
from pathlib import Path

from jobs.reading import Reading
from jobs.step import Built, Report, Step, kept
from jobs.steps.ingest import raw_lines, targets_in
from jobs.steps.serving_model import champion_folder
from pnn_gluon.days import plus


def reads(reading: Reading) -> None:
    """Today's champion and tomorrow's requests."""
    reading.need("champions")
    reading.raw_requests(plus(reading.day, 1))


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Parse the requests as ingest parses logs and score every good one; bad lines go to rejects."""
    from pnn_gluon.data.ingest import ingest_requests
    from pnn_gluon.serving.bundle import Bundle, scored_batches
    from pnn_gluon.store.tables import TableWriter
    from pnn_gluon.warehouse.duckdb_engine import connect

    score_day = plus(reading.day, 1)
    champion, missing = reading.need("champions"), reading.raw_requests(score_day)
    model = champion_folder(reading.store, champion)
    if model is None:
        return kept(f"no model is in force yet: {champion.details['reason']}", score_day=str(score_day))
    if missing is not None:
        return kept(missing, score_day=str(score_day))
    result = ingest_requests(raw_lines(reading.config), reading.config.engine, score_day, targets_in(folder))
    if not result.rows:
        (folder / "rows.parquet").unlink()
        return kept(f"the requests of {score_day} hold no row ({result.lines:,} lines)", score_day=str(score_day))
    bundle = Bundle.load(model)
    table, columns = folder / "rows.parquet", ("row_id", "file", "line")
    with (
        connect(reading.config.engine) as connection,
        TableWriter(folder / "scores.parquet") as writer,
        closing(scored_batches(bundle.score(connection, table, columns))) as batches,
    ):
        for batch in batches:
            writer.write(batch)
    table.unlink()
    report(f"score {reading.day}: {result.rows:,} requests of {score_day}, {result.rejects:,} rejects")
    details = {
        "score_day": str(score_day),
        "model_day": bundle.card.model_day,
        "map_day": bundle.card.map_day,
        "rejects": result.rejects,
        "lines": result.lines,
    }
    return Built(result.rows, details, bundle.last_bits)


STEP = Step("score", "scores", ("source", "fields"), reads, build)
