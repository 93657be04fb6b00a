"""The candidates (requests) of tomorrow, scored by the model in force -> the score table as Parquet."""

import logging
from pathlib import Path

from jobs.steps.ingest import raw_lines, targets_in
from pnn_gluon.days import plus
from pnn_gluon.pipeline.details import ScoreDetails
from pnn_gluon.pipeline.inputs import Need, Requests
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.tables import CHAMPIONS, ROWS_FILE, SCORES_FILE
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Parse the requests as ingest parses logs and score every good one; bad lines go to rejects."""
    from pnn_gluon.data.ingest import ingest_requests
    from pnn_gluon.serving.bundle import Bundle
    from pnn_gluon.serving.scoring import write_scores

    score_day = plus(inputs.day, 1)
    told = {"score_day": str(score_day)}
    champion, missing = inputs[Need(CHAMPIONS)], inputs[Requests(ahead=1)]
    model = inputs.bundle_in_force(champion)
    if model is None:
        return kept(f"no model is in force yet: {champion.details.reason}", told)
    if missing is not None:
        return kept(missing, told)
    result = ingest_requests(raw_lines(inputs.config), inputs.config.engine, score_day, targets_in(folder))
    rows = folder / ROWS_FILE
    if not result.rows:
        rows.unlink()
        return kept(f"the requests of {score_day} hold no row ({result.lines:,} lines)", told)
    bundle = Bundle.load(model)
    write_scores(bundle, inputs.config.engine, rows, folder / SCORES_FILE)
    rows.unlink()
    counts = f"{result.rows:,}", f"{result.rejects:,}"
    log.info("score %s: %s requests of %s, %s rejects", inputs.day, counts[0], score_day, counts[1])
    details = ScoreDetails(
        score_day=str(score_day),
        model_day=bundle.card.model_day,
        map_day=bundle.card.map_day,
        rejects=result.rejects,
        lines=result.lines,
    )
    return Built(result.rows, details, bundle.last_bits)
