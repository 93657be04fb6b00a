"""The steps of the pipeline, in their order: the one place that says what each reads, makes and depends on.

What makes a table, the order of a day, its state and why, the words about a missing input, the edges of the DAGs and
what waits for yesterday, and the tables of the documents all follow from this tuple.
"""

import datetime
from pathlib import Path
from typing import Any

from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.copied_logs import CopiedLogs
from pnn_gluon.pipeline.inputs import (
    After,
    Before,
    Beside,
    IfThere,
    InForceThen,
    Known,
    LabelledOver,
    Need,
    Newest,
    Over,
    Overridden,
    RawLogs,
    RefusedDays,
    Requests,
    RequestsIfThere,
    Saved,
    WarmStart,
    When,
)
from pnn_gluon.pipeline.map_before import MapBefore
from pnn_gluon.pipeline.room_for_ids import RoomForIds
from pnn_gluon.pipeline.rows_to_fit import RowsToFit
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.tables import (
    APPROVALS,
    BUNDLES,
    CHAMPIONS,
    CHECKS,
    COMPACTIONS,
    COUNTS,
    EVALUATIONS,
    EXPLANATIONS,
    GATES,
    MAPS,
    MATURED,
    MODELS,
    OVERRIDES,
    PUBLISHED,
    RECALIBRATED,
    REEVALUATIONS,
    REPORTS,
    ROWS,
    SAMPLES,
    SCORES,
    SHARDS,
    SKIPS,
    Table,
    exports,
)
from pnn_gluon.queues import ETL, TRAINING

OVERRIDE = Overridden()


def _not_overridden(known: Known) -> bool:
    return known[OVERRIDE] is None


def _asks(known: Known) -> bool:
    decision = known[DECISION]
    return decision is not None and decision.details.accepted and bool(decision.details.asks)


COUNTED = Over(COUNTS, "feature_map.window_days")
MAP_BEFORE = MapBefore()
ROOM = RoomForIds(MAP_BEFORE, COUNTED)
ROWS_TO_FIT = RowsToFit(MAP_BEFORE, Need(ROWS))
"""The rows of the day, while there are bucket edges to be fitted to them."""
DECISION = When(_not_overridden, Need(GATES))
CANDIDATE = When(_not_overridden, Need(BUNDLES))
APPROVAL = When(_asks, IfThere(APPROVALS))
"""A person's answer about the candidate, or about an earlier one, where the gate asks for it."""
CHAMPION_BEFORE = Newest(CHAMPIONS, before=1)
"""The model in force until the day: that of yesterday, or an older one where yesterday was not finished."""
IN_FORCE = Newest(CHAMPIONS)
"""The model in force from the day on: the day's own decision, or an older one until that is there."""
STANDING = When(_not_overridden, CHAMPION_BEFORE)
RECALIBRATED_BEFORE = When(_not_overridden, Beside(STANDING, RECALIBRATED))

SHARDS_BEFORE = Saved(SHARDS, back=1)
CHECKED_BEFORE = Before(CHECKS, "checks.window_days")
COPIED_LOGS = CopiedLogs(Need(ROWS))
COUNTED_BEFORE = Before(COUNTS, "checks.window_days")
SAMPLED_BEFORE = Before(SAMPLES, "gate.trailing_days")
REFUSED_DAYS = RefusedDays("training.window_days")
REFUSED_TO_CALIBRATE = RefusedDays("calibration.window_days")
REFUSED_TO_GATE = RefusedDays("gate.window_days")

REPORTED: tuple[Table[Any], ...] = (
    ROWS,
    SAMPLES,
    CHECKS,
    MAPS,
    SHARDS,
    EVALUATIONS,
    MODELS,
    BUNDLES,
    GATES,
    CHAMPIONS,
    EXPLANATIONS,
    SCORES,
)
"""What a day's page is made of, in the order of the day; nothing of the way on which the day was published."""

STEPS: tuple[Step, ...] = (
    Step(
        "ingest",
        ROWS,
        does="Parse, check and type every line; set bad ones aside with their reason.",
        mend="Too many rejects: the message names the reasons. Files that are lost: `pnn-gluon skip-day`.",
        inputs=(RawLogs(), Saved(ROWS)),
        options=("source", "fields"),
        version=3,
        stands=(1, 2),
    ),
    Step(
        "sample",
        SAMPLES,
        does="Split by a hash of the row id and keep negatives of the train share at the configured rate.",
        mend="Damaged rows: `ingest` of the day with --force.",
        inputs=(Need(ROWS),),
        options=("sampling", "source.weights"),
        version=3,
        stands=(1, 2),
    ),
    Step(
        "count",
        COUNTS,
        does="Count; a window of days is a sum of such counts.",
        mend="Damaged rows: `ingest` of the day with --force.",
        inputs=(Need(ROWS),),
        options=("fields", "source.weights"),
        version=2,
        stands=(1,),
    ),
    Step(
        "check",
        CHECKS,
        does="Compare the day's data with the days before and with its requests, and say what is not as it was.",
        mend="*Skipped* means refused: the day is not trained on; its log names field, number and limit.",
        inputs=(Need(ROWS), Need(COUNTS), CHECKED_BEFORE, COUNTED_BEFORE, COPIED_LOGS, RequestsIfThere()),
        options=("source", "fields", "checks"),
        version=3,
        stands=(1, 2),
    ),
    Step(
        "feature_map",
        MAPS,
        does="Grow the map by the values that passed the threshold.",
        mend="It continues the map of the day before: run the earlier day that the message names, then this one.",
        inputs=(MAP_BEFORE, COUNTED, ROWS_TO_FIT, ROOM),
        options=("first_day", "fields", "feature_map", "model.embedding_size", "source.weights"),
    ),
    Step(
        "mature",
        MATURED,
        does="Ingest and split again; when the raw files have not changed, the first reading serves.",
        mend="As `ingest`, for the logs of the day whose labels are complete now.",
        inputs=(RawLogs(matured=True), Saved(ROWS, matured=True)),
        options=("source", "fields", "sampling", "calibration.maturity_days"),
        version=3,
        stands=(1, 2),
        schedule="nightly",
        rows_of="matured day",
    ),
    Step(
        "encode",
        SHARDS,
        does="Encode the day, and look for what the map has learned since in what earlier days have as *other*.",
        mend="A day of the window is missing: run it, or declare its outage by `pnn-gluon skip-day`.",
        inputs=(Need(MAPS), LabelledOver("training.window_days"), Saved(SHARDS), SHARDS_BEFORE),
        options=("training.window_days", "sampling.negative_rate"),
        version=5,
        stands=(1, 2, 3, 4),
    ),
    Step(
        "evaluate",
        EVALUATIONS,
        does="Score raw rows through the bundle, exactly as serving would, and measure.",
        mend="A damaged bundle: `calibrate` of the day that it names, with --force. Scores do not wait for this.",
        group="model",
        inputs=(Need(ROWS), CHAMPION_BEFORE),
        options=("evaluation", "source.weights"),
        version=4,
        stands=(1, 2, 3),
    ),
    Step(
        "train",
        MODELS,
        does="Train, from scratch or from an earlier model's parameters, and export the model.",
        mend="Clear it after a kill or a time limit: it goes on from its last checkpoint. Scores go out meanwhile.",
        group="model",
        inputs=(Need(SHARDS), Need(MAPS), WarmStart(), REFUSED_DAYS),
        options=("model", "training"),
        alone=True,
        hours=6.0,
        queue=TRAINING,
        version=2,
        stands=(1,),
    ),
    Step(
        "calibrate",
        BUNDLES,
        does="Fit the calibrator at the natural rate and put the bundle together.",
        mend="A damaged model: `train` with --force. Scores go out by the model in force.",
        group="model",
        inputs=(Need(MODELS), Need(MAPS), Need(SHARDS), REFUSED_TO_CALIBRATE),
        options=("source", "fields", "sampling", "feature_map", "model", "training", "calibration"),
        version=2,
        stands=(1,),
    ),
    Step(
        "gate",
        GATES,
        does="Judge, and keep the numbers and the reasons.",
        mend="*Skipped* means refused: the reasons are in its log and XCom. By force: the form `<name>_promote`.",
        group="model",
        inputs=(Need(BUNDLES), CHAMPION_BEFORE, LabelledOver("gate.window_days"), REFUSED_TO_GATE, SAMPLED_BEFORE),
        options=("gate", "evaluation.cluster", "source.weights"),
        version=4,
        stands=(1, 2, 3),
    ),
    Step(
        "promote",
        CHAMPIONS,
        does="Decide which bundle is in force from today on.",
        mend="The message says which decision or bundle is missing or damaged, and what makes it again.",
        group="model",
        inputs=(OVERRIDE, DECISION, CANDIDATE, APPROVAL, STANDING, RECALIBRATED_BEFORE),
    ),
    Step(
        "score",
        SCORES,
        does="Parse the requests as ingest parses logs and score every good one; bad lines go to rejects.",
        mend="Mend the file of the requests, and clear the task. At `publish.deadline` it is tried in any case.",
        group="scores",
        inputs=(IN_FORCE, Requests(ahead=1)),
        options=("source", "fields"),
        version=2,
        stands=(1,),
        hours=1.0,
        rows_of="day after",
    ),
    Step(
        "publish",
        PUBLISHED,
        does="Replace the day's partition of the score table and write the manifest that names what is there.",
        mend="The server is away or refuses: see `publish.server`. A table of another store: `publish --force`.",
        group="scores",
        inputs=(Need(SCORES), Saved(PUBLISHED)),
        options=("publish.server", "publish.table", "publish.folder", "publish.port"),
        hours=1.0,
    ),
    Step(
        "explain",
        EXPLANATIONS,
        does="Look into the model: importance of fields, strength of pairs of fields, norms of its layers.",
        mend="Nothing but the report waits for it. `explain.rows = 0` turns it off.",
        group="model",
        inputs=(Need(BUNDLES), LabelledOver("gate.window_days"), REFUSED_TO_GATE, After(CHAMPIONS)),
        options=("explain", "evaluation.cluster"),
    ),
    Step(
        "report",
        REPORTS,
        does="Show what the day's model is worth, on a page for people and as the same numbers in JSON.",
        mend="Nothing waits for it. The same page without it: `pnn-gluon report`.",
        group="scores",
        inputs=(
            *(IfThere(table, waited=True) for table in REPORTED),
            *(Before(table, "report.trend_days") for table in (EVALUATIONS, GATES)),
        ),
        options=("report",),
        version=3,
        stands=(1, 2),
    ),
    Step(
        "reevaluate",
        REEVALUATIONS,
        does="Score the matured rows through the bundle that was in force, and measure.",
        mend="The message says what is missing or damaged, and what makes it again.",
        group="model",
        inputs=(Need(MATURED), InForceThen()),
        options=("calibration.maturity_days", "evaluation", "source.weights"),
        version=4,
        stands=(1, 2, 3),
        schedule="nightly",
    ),
    Step(
        "recalibrate",
        RECALIBRATED,
        does="Fit the calibrator on the calibrate share of the matured day, which no model trains on.",
        mend="The message says what is missing or damaged. The calibrator in force stays.",
        group="model",
        inputs=(Need(CHAMPIONS), Need(MATURED)),
        options=("calibration",),
        schedule="nightly",
    ),
    Step(
        "rollback",
        OVERRIDES,
        schedule="by hand",
        by_hand="pnn-gluon rollback {where}--day {day} --reason ... with the --to or --clear it was made with",
    ),
    Step(
        "approve",
        APPROVALS,
        inputs=(Need(GATES), Need(BUNDLES)),
        schedule="by hand",
        by_hand="pnn-gluon approve {where}--day {day} --reason ..., with --reject if it was made so",
    ),
    Step(
        "compact",
        COMPACTIONS,
        inputs=(Need(MAPS), Need(CHAMPIONS)),
        options=("fields", "feature_map", "training.warm_start"),
        schedule="by hand",
        by_hand="pnn-gluon compact {where}--day {day} --reason ..., with --clear if it was made so",
    ),
    Step(
        "skip_day",
        SKIPS,
        schedule="by hand",
        by_hand="pnn-gluon skip-day {where}--day {day} --reason ..., with --clear if it was made so",
    ),
)

EXPORT = Step("export", exports(""), options=("source", "fields"), version=2, stands=(1,), schedule="by hand")
"""The step of every export; `pnn_gluon.pipeline.exports.export_step` gives it its table, inputs and choices."""


def step(name: str) -> Step:
    """A step by name.

    Raises:
        ConfigError: there is none of this name; it names those that there are.
    """
    found = next((step for step in STEPS if step.name == name), None)
    if found is None:
        raise ConfigError(f"no step {name!r}; the steps: {', '.join(step.name for step in STEPS)}")
    return found


def maker(table: str) -> Step | None:
    """The step that makes a table; None for a table of no step, such as an export's."""
    return next((step for step in STEPS if step.table.name == table), None)


def daily_steps(config: Config) -> tuple[Step, ...]:
    """The steps of a pipeline's day in order, with a nightly one where a daily one needs what it makes."""
    daily = [step for step in STEPS if step.schedule == "daily"]
    needed = {edge.table for step in daily for edge in step.edges(config) if edge.needed}
    return tuple(
        step for step in STEPS if step.schedule == "daily" or (step.schedule == "nightly" and step.table.name in needed)
    )


def nightly_steps(config: Config) -> tuple[Step, ...]:
    """The steps of the night in order."""
    daily = daily_steps(config)
    return tuple(step for step in STEPS if step.schedule == "nightly" and step not in daily)


def refuse_unknown_steps(config: Config) -> None:
    """Refuse a time limit, a queue or resources of a step that there is not.

    Raises:
        ConfigError: naming it and the steps that there are.
    """
    names = [step.name for step in STEPS if not step.by_hand]
    by_step = {f"workers.{option}": getattr(config.workers, option) for option in ("queues", "cpu", "memory", "gpus")}
    for option, given in {"limits.hours": config.limits.hours, **by_step}.items():
        for name in given:
            if name not in names:
                raise ConfigError(f"{config.path}: {option}: no step {name!r}; the steps: {', '.join(names)}")


def queues_of(config: Config) -> set[str]:
    """The queues of workers that the tasks of a pipeline go to."""
    return {ETL, *(step.queue_in(config) for step in STEPS if not step.by_hand)}


def mending_command(table: str, day: datetime.date, config: Path | None) -> str:
    """What to run so that a damaged or stale day of a table is made again."""
    where, step = f"--config {config} " if config else "", maker(table)
    if step is None:
        return f"the command that made {table} (pnn-gluon export for exports), for {day}, with --force"
    if step.by_hand:
        return step.by_hand.format(where=where, day=day)
    return f"pnn-gluon step {step.name} {where}--day {day} --force"
