"""Chosen days scored by a chosen model, in a table of their own, `exports_<name>`: Parquet, CSV, or on the server."""

import dataclasses
import datetime
import json
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jobs.running import Work
from jobs.steps.ingest import raw_lines, targets_in
from pnn_gluon.days import plus
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.pipeline.details import ExportDetails, signed
from pnn_gluon.pipeline.exports import CHAMPION, Export, Slice
from pnn_gluon.pipeline.inputs import ChosenBundle, Need, Requests
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import CHAMPION_BEFORE
from pnn_gluon.pipeline.tables import CSV_FILE, EXPORT_FILE, ROWS, ROWS_FILE, SCORES_FILE
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.parts import Files, parts_in, remove_files

if TYPE_CHECKING:
    from pnn_gluon.serving.bundle import BundleCard

log = logging.getLogger(__name__)

SLICE_FILE = "slice.parquet"
"""The rows of the slice, while they are scored."""


def work_of_export(export: Export) -> Work:
    """What the step of an export does."""
    return Work(partial(_build, export), partial(_standing, export))


class _Model(NamedTuple):
    """The bundle that scores a day, None when no model was in force; and why, or why it is an older one."""

    folder: Path | None
    fallback: bool = False
    why: str = ""
    override: str | None = None


def _build(export: Export, inputs: Inputs, folder: Path) -> Built:
    """Score the rows that were asked for, and write them as they were asked for."""
    from pnn_gluon.data.sampled_rows import with_gaps
    from pnn_gluon.serving.bundle import Bundle
    from pnn_gluon.serving.exports import write_export

    model = _model(export, inputs)
    given, missing = (None, model.why) if model.folder is None else _rows(export, inputs, folder)
    if given is None or model.folder is None:
        return _kept(export, inputs, missing)
    bundle = Bundle.load(model.folder)
    asked, none = (given, "") if export.slice is None else _sliced(export, export.slice, inputs, given, folder)
    output = folder / (CSV_FILE if export.format == "csv.gz" else SCORES_FILE)
    count = write_export(bundle, inputs.config.engine, with_gaps(asked), output, export.precision)
    remove_files([*parts_in(folder / ROWS_FILE), *parts_in(folder / SLICE_FILE)])
    why = "; ".join(filter(None, (model.why, none))) or None
    details = _into_table(export, inputs, output, _details(export, bundle.card, model, why))
    (folder / EXPORT_FILE).write_text(_manifest(export.name, inputs.day, count, output, details))
    return Built(count, details, bundle.last_bits)


def _standing(export: Export, inputs: Inputs, made: Partition[ExportDetails]) -> bool:
    """Whether the day still stands on the server; there is nothing to look at for files."""
    if export.format != "table" or made.kept is not None:
        return True
    from jobs.steps.export_table import ExportTable

    return ExportTable(export, inputs).holds(made)


def _kept(export: Export, inputs: Inputs, why: str) -> Built:
    """A day on which there is nothing to score."""
    if export.format == "table":
        from jobs.steps.export_table import ExportTable

        ExportTable(export, inputs).clear(why)
    return kept(why)


def _into_table(export: Export, inputs: Inputs, scores: Path, details: ExportDetails) -> ExportDetails:
    """The details, once the rows are on the server too, if that was asked for."""
    if export.format != "table":
        return details
    from jobs.steps.export_table import ExportTable

    table = ExportTable(export, inputs)
    return dataclasses.replace(details, table=table.name, sequence=table.replace(scores, details))


def _details(export: Export, card: "BundleCard", model: _Model, why: str | None) -> ExportDetails:
    return ExportDetails(
        model_day=card.model_day,
        map_day=card.map_day,
        rows=export.rows,
        choice=None if export.model else CHAMPION,
        state="fallback" if model.fallback else "final",
        why=why,
        override=model.override,
        slice=None if export.slice is None else str(export.slice),
        format=export.format,
        precision=export.precision,
    )


def _model(export: Export, inputs: Inputs) -> _Model:
    """The bundle that was asked for."""
    if export.model is not None:
        return _Model(inputs[ChosenBundle(export.model)].folder)
    champion, day = inputs[CHAMPION_BEFORE], inputs.day
    folder = inputs.bundle_in_force(champion)
    if champion is None or folder is None:
        return _Model(None, why=f"no model was in force on {day} yet; the model of a day can be chosen instead")
    told = champion.details
    override = signed(told.reason, told.by) if told.decision == "override" else None
    decided = champion.day == plus(day, -1)
    why = "" if decided else f"nothing was decided on {plus(day, -1)}: the model in force since {champion.day}"
    return _Model(folder, not decided, why, override)


def _rows(export: Export, inputs: Inputs, folder: Path) -> tuple[Files | None, str]:
    return _logs(inputs) if export.rows == "logs" else _requests(inputs, folder)


def _logs(inputs: Inputs) -> tuple[Files | None, str]:
    """The rows of the day's logs; None, and why, when there are none."""
    rows = inputs[Need(ROWS)]
    return (rows.parts(ROWS_FILE), "") if rows.rows else (None, f"no logs of {inputs.day}")


def _requests(inputs: Inputs, folder: Path) -> tuple[Files | None, str]:
    """The rows of the day's requests, made in the folder; None, and why, when there are none."""
    from pnn_gluon.data.ingest import ingest_requests

    if (missing := inputs[Requests()]) is not None:
        return None, missing
    lines, engine = raw_lines(inputs.config), inputs.config.engine
    if ingest_requests(lines, engine, inputs.day, targets_in(folder)).rows:
        return parts_in(folder / ROWS_FILE), ""
    remove_files(parts_in(folder / ROWS_FILE))
    return None, f"no requests of {inputs.day}"


def _sliced(export: Export, chosen: Slice, inputs: Inputs, rows: Files, folder: Path) -> tuple[Path, str]:
    """The rows of the slice, and words for there being none."""
    from pnn_gluon.data.row_slice import write_slice

    config, output = inputs.config, folder / SLICE_FILE
    if write_slice(config.engine, config.fields, rows, chosen.field, chosen.value, output):
        return output, ""
    none = f"zero rows: none of the {export.rows} of {inputs.day} has {chosen}"
    log.info("export %s: %s", inputs.day, none)
    return output, none


def _manifest(name: str, day: datetime.date, rows: int, output: Path, details: ExportDetails) -> str:
    """What a reader needs to know what the rows are, and that they are whole."""
    number = "float" if details.precision == "float32" else "double"
    told = {
        **dataclasses.asdict(details),
        "name": name,
        "day": str(day),
        "scored": details.rows,
        "rows": rows,
        "columns": {"row_id": "text", "file": "text", "line": "bigint", "logit": number, "probability": number},
        "file": {"name": output.name, "size": output.stat().st_size, "sha256": sha256_of(output)},
    }
    return json.dumps(told, indent=1, sort_keys=True) + "\n"
