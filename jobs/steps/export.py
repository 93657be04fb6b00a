"""Chosen days scored by a chosen model, as Parquet in a table of their own: `exports_<name>`."""

import datetime
import re
from contextlib import closing
from pathlib import Path

from jobs.reading import Reading
from jobs.step import Built, Report, Step, kept
from jobs.steps.ingest import raw_lines, targets_in
from pnn_gluon.errors import ConfigError


def export_step(name: str, model_day: datetime.date, rows: str) -> Step:
    """The step that scores one day for the export of this name.

    Raises:
        ConfigError: when the name cannot be a table's.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name):
        raise ConfigError(f"export name {name!r}: expected a lower-case letter, then letters, digits or _, at most 31")
    if rows not in {"logs", "requests"}:
        raise ConfigError(f"rows {rows!r}: expected 'logs' or 'requests'")

    def reads(reading: Reading) -> None:
        reading.need_bundle(model_day)
        if rows == "logs":
            reading.need("rows")
        else:
            reading.raw_requests(reading.day)

    def build(reading: Reading, folder: Path, report: Report) -> Built:
        return _score_day(reading, model_day, rows, folder)

    return Step("export", f"exports_{name}", ("source", "fields"), reads, build)


def _score_day(reading: Reading, model_day: datetime.date, rows: str, folder: Path) -> Built:
    from pnn_gluon.data.ingest import ingest_requests
    from pnn_gluon.serving.bundle import Bundle, scored_batches
    from pnn_gluon.store.tables import TableWriter
    from pnn_gluon.warehouse.duckdb_engine import connect

    bundle = Bundle.load(reading.store.folder(reading.need_bundle(model_day)))
    days = {"model_day": bundle.card.model_day, "map_day": bundle.card.map_day}
    if rows == "logs":
        table, given = reading.store.folder(reading.need("rows")) / "rows.parquet", reading.need("rows").rows
    elif missing := reading.raw_requests(reading.day):
        return kept(missing, **days, rows=rows)
    else:
        raw, engine = raw_lines(reading.config), reading.config.engine
        given = ingest_requests(raw, engine, reading.day, targets_in(folder)).rows
        table = folder / "rows.parquet"
    if not given:
        if rows == "requests":
            table.unlink()
        return kept(f"no {rows} of {reading.day}", **days, rows=rows)
    count = 0
    with (
        connect(reading.config.engine) as connection,
        TableWriter(folder / "scores.parquet") as writer,
        closing(scored_batches(bundle.score(connection, table, ("row_id", "file", "line")))) as batches,
    ):
        for batch in batches:
            writer.write(batch)
            count += batch.num_rows
    if rows == "requests":
        table.unlink()
    return Built(count, {**days, "rows": rows}, bundle.last_bits)
