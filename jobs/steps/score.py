"""The candidates (requests) of tomorrow, scored by the model in force -> the score table as Parquet.

Where the day has no decision on its model yet, an older one is in force: a fallback, which says so.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.steps.ingest import raw_lines, targets_in
from pnn_gluon.days import plus
from pnn_gluon.pipeline.details import ChampionDetails, ScoreDetails
from pnn_gluon.pipeline.inputs import Requests
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import IN_FORCE, STEPS, step
from pnn_gluon.pipeline.tables import GATES, ROWS_FILE, SCORES_FILE
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.parts import parts_in, remove_files

log = logging.getLogger(__name__)

DECIDED = ("decision", "reason", "by", "at")
"""What is told of a person's decision about the model."""


def build(inputs: Inputs, folder: Path) -> Built:
    """Parse the requests as ingest parses logs and score every good one; bad lines go to rejects."""
    from pnn_gluon.data.ingest import ingest_requests
    from pnn_gluon.data.sampled_rows import with_gaps
    from pnn_gluon.serving.bundle import Bundle
    from pnn_gluon.serving.scoring import write_scores

    score_day = plus(inputs.day, 1)
    told = {"score_day": str(score_day)}
    champion, missing = inputs[IN_FORCE], inputs[Requests(ahead=1)]
    assert champion is not None
    model = inputs.bundle_in_force(champion)
    if model is None:
        return kept(f"no model is in force yet: {champion.details.reason}", told)
    if missing is not None:
        return kept(missing, told)
    result = ingest_requests(raw_lines(inputs.config), inputs.config.engine, score_day, targets_in(folder))
    rows = parts_in(folder / ROWS_FILE)
    if not result.rows:
        remove_files(rows)
        return kept(f"the requests of {score_day} hold no row ({result.lines:,} lines)", told)
    bundle = Bundle.load(model)
    write_scores(bundle, inputs.config.engine, with_gaps(rows), folder / SCORES_FILE)
    remove_files(rows)
    counts = f"{result.rows:,}", f"{result.rejects:,}"
    log.info("score %s: %s requests of %s, %s rejects", inputs.day, counts[0], score_day, counts[1])
    details = ScoreDetails(
        score_day=str(score_day),
        model_day=bundle.card.model_day,
        map_day=bundle.card.map_day,
        rejects=result.rejects,
        lines=result.lines,
        **_in_force(inputs, champion),
    )
    return Built(result.rows, details, bundle.last_bits)


def _in_force(inputs: Inputs, champion: Partition[ChampionDetails]) -> Mapping[str, Any]:
    """Whether the model is a fallback, and why; what a person decided about it."""
    told = champion.details
    chosen = {
        "override": told.reason if told.decision == "override" else None,
        "decided": {name: getattr(told, name) for name in DECIDED} if told.by_hand else None,
    }
    if champion.day == inputs.day:
        return chosen
    why = _why_undecided(inputs)
    log.info("score %s: fallback to the model in force since %s: %s", inputs.day, champion.day, why)
    return {"fallback": True, "why": why, **chosen}


def _why_undecided(inputs: Inputs) -> str:
    """Why no model was promoted or kept on the day: the first step that failed, else the first that is not done."""
    steps = [step for step in STEPS[: STEPS.index(step("promote")) + 1] if step.schedule == "daily"]
    for each in steps:
        if (failure := inputs.store.failure(each.table.name, inputs.day)) is not None:
            return f"{each.name} of {inputs.day} failed: {failure.splitlines()[0]}"
    undone = next(each.name for each in steps if inputs.day not in inputs.store.days(each.table.name))
    gate = inputs.store.manifest(GATES.name, inputs.day)
    if undone == "promote" and gate is not None and gate.details.get("asks"):
        return f"the candidate of {inputs.day} waits for approval"
    return f"{undone} of {inputs.day} is not done"
