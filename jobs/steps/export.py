"""Chosen days scored by a chosen model, as Parquet in a table of their own: `exports_<name>`."""

import datetime
from pathlib import Path

from jobs.running import Build
from jobs.steps.ingest import raw_lines, targets_in
from pnn_gluon.pipeline.details import ExportDetails
from pnn_gluon.pipeline.inputs import ChosenBundle, Need, Requests
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.tables import ROWS, ROWS_FILE, SCORES_FILE
from pnn_gluon.pipeline.work import Inputs


def scoring(model_day: datetime.date, rows: str) -> Build:
    """What the step of an export does: score the logs or the requests of a day with the model of a chosen day."""

    def build(inputs: Inputs, folder: Path) -> Built:
        from pnn_gluon.serving.bundle import Bundle
        from pnn_gluon.serving.scoring import write_scores

        bundle = Bundle.load(inputs[ChosenBundle(model_day)].folder)
        details = ExportDetails(model_day=bundle.card.model_day, map_day=bundle.card.map_day, rows=rows)
        given, reason = _logs(inputs) if rows == "logs" else _requests(inputs, folder)
        if given is None:
            return kept(reason, details)
        count = write_scores(bundle, inputs.config.engine, given, folder / SCORES_FILE)
        if rows == "requests":
            given.unlink()
        return Built(count, details, bundle.last_bits)

    return build


def _logs(inputs: Inputs) -> tuple[Path | None, str]:
    """The rows of the day's logs; None, and why, when there are none."""
    rows = inputs[Need(ROWS)]
    return (rows.file(ROWS_FILE), "") if rows.rows else (None, f"no logs of {inputs.day}")


def _requests(inputs: Inputs, folder: Path) -> tuple[Path | None, str]:
    """The rows of the day's requests, made in the folder; None, and why, when there are none."""
    from pnn_gluon.data.ingest import ingest_requests

    if (missing := inputs[Requests()]) is not None:
        return None, missing
    lines, engine = raw_lines(inputs.config), inputs.config.engine
    if ingest_requests(lines, engine, inputs.day, targets_in(folder)).rows:
        return folder / ROWS_FILE, ""
    (folder / ROWS_FILE).unlink()
    return None, f"no requests of {inputs.day}"
