"""What the day's model has learned, by the rows that it is judged by."""

import logging
from pathlib import Path

from jobs.steps.gate_samples import GATE_SHARE, gate_samples
from pnn_gluon.pipeline.details import ExplanationDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.tables import BUNDLES, EXPLANATION_FILE
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)

SHOWN_FIELDS = 5
"""The most important, in the details and the log."""


def build(inputs: Inputs, folder: Path) -> Built:
    """Look at the candidate, promoted or not."""
    from pnn_gluon.explaining.explanation import explain
    from pnn_gluon.explaining.rows import read_rows
    from pnn_gluon.serving.bundle import Bundle

    candidate, options = inputs[Need(BUNDLES)], inputs.config.explain
    if candidate.kept is not None:
        return _nothing(f"no candidate: {candidate.kept}")
    if not options.rows:
        return _nothing("explain.rows = 0 turns it off")
    bundle = Bundle.load(candidate.folder)
    samples = gate_samples(inputs)
    rows = read_rows(
        bundle.feature_map,
        inputs.config.engine,
        samples,
        options.rows,
        where=GATE_SHARE,
        cluster=inputs.config.evaluation.cluster,
        weight="weight" if any(part.weighted for part in samples) else None,
    )
    found = explain(bundle, candidate.folder, rows, options.repeats)
    (folder / EXPLANATION_FILE).write_bytes(found.to_json())
    important = [each.field for each in found.importance[:SHOWN_FIELDS]]
    log.info("explain %s: by %s rows; most important: %s", inputs.day, f"{found.rows:,}", ", ".join(important))
    details = ExplanationDetails(rows=found.rows, rows_available=found.rows_available, important=important)
    return Built(found.rows, details, bundle.last_bits)


def _nothing(reason: str) -> Built:
    """A day with nothing to look at, which is no refusal: whoever is to hear of a day without a candidate has heard."""
    return Built(0, ExplanationDetails(rows=0, rows_available=0, important=(), unexplained=reason))
