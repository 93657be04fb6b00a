"""The steps of the pipeline, in their order: the one place that says what each reads, makes and depends on.

What makes a table, the order of a day, its state and why, the words about a missing input, the edges of the DAGs and
what waits for yesterday, and the tables of the documents all follow from this tuple.
"""

import dataclasses
import datetime
import re
from pathlib import Path

from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.inputs import (
    Beside,
    ChosenBundle,
    InForceThen,
    Input,
    Known,
    LabelledOver,
    Need,
    Newest,
    Over,
    Overridden,
    Parent,
    RawLogs,
    Requests,
    Saved,
    WarmStart,
    When,
)
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.tables import (
    BUNDLES,
    CHAMPIONS,
    COUNTS,
    EVALUATIONS,
    GATES,
    MAPS,
    MATURED,
    MODELS,
    OVERRIDES,
    PUBLISHED,
    RECALIBRATED,
    REEVALUATIONS,
    ROWS,
    SAMPLES,
    SCORES,
    SHARDS,
    SKIPS,
    exports,
)

OVERRIDE = Overridden()


def _edges_to_fit(known: Known) -> bool:
    parent = known[Parent(MAPS)]
    return parent is None or bool(parent.details.unfitted)


def _not_overridden(known: Known) -> bool:
    return known[OVERRIDE] is None


ROWS_TO_FIT = When(_edges_to_fit, Need(ROWS))
"""The rows of the day, while there are bucket edges to be fitted to them."""
DECISION = When(_not_overridden, Need(GATES))
CANDIDATE = When(_not_overridden, Need(BUNDLES))
CHAMPION_BEFORE = Newest(CHAMPIONS, before=1)
"""The model in force until the day: that of yesterday, or an older one where yesterday was not finished."""
IN_FORCE = Newest(CHAMPIONS)
"""The model in force from the day on: the day's own decision, or an older one until that is there."""
STANDING = When(_not_overridden, CHAMPION_BEFORE)
RECALIBRATED_BEFORE = When(_not_overridden, Beside(STANDING, RECALIBRATED))

STEPS: tuple[Step, ...] = (
    Step("ingest", ROWS, inputs=(RawLogs(),), options=("source", "fields")),
    Step("sample", SAMPLES, inputs=(Need(ROWS),), options=("sampling",)),
    Step("count", COUNTS, inputs=(Need(ROWS),), options=("fields",)),
    Step(
        "feature_map",
        MAPS,
        inputs=(Parent(MAPS), Over(COUNTS, "feature_map.window_days"), ROWS_TO_FIT),
        options=("first_day", "fields", "feature_map", "model.embedding_size"),
    ),
    Step(
        "mature",
        MATURED,
        inputs=(RawLogs(matured=True), Saved(ROWS, matured=True)),
        options=("source", "fields", "sampling", "calibration.maturity_days"),
        schedule="nightly",
    ),
    Step(
        "encode",
        SHARDS,
        inputs=(Need(MAPS), LabelledOver("training.window_days"), Saved(SHARDS)),
        options=("training.window_days", "sampling.negative_rate"),
    ),
    Step("evaluate", EVALUATIONS, inputs=(Need(ROWS), CHAMPION_BEFORE)),
    Step(
        "train",
        MODELS,
        inputs=(Need(SHARDS), Need(MAPS), WarmStart()),
        options=("model", "training"),
        alone=True,
        hours=6.0,
    ),
    Step(
        "calibrate",
        BUNDLES,
        inputs=(Need(MODELS), Need(MAPS), Need(SHARDS)),
        options=("source", "fields", "sampling", "feature_map", "model", "training", "calibration"),
    ),
    Step("gate", GATES, inputs=(Need(BUNDLES), CHAMPION_BEFORE, LabelledOver("gate.window_days")), options=("gate",)),
    Step("promote", CHAMPIONS, inputs=(OVERRIDE, DECISION, CANDIDATE, STANDING, RECALIBRATED_BEFORE)),
    Step("score", SCORES, inputs=(IN_FORCE, Requests(ahead=1)), options=("source", "fields"), hours=1.0),
    Step(
        "publish",
        PUBLISHED,
        inputs=(Need(SCORES), Saved(PUBLISHED)),
        options=("publish.server", "publish.table", "publish.folder", "publish.port"),
        hours=1.0,
    ),
    Step(
        "reevaluate",
        REEVALUATIONS,
        inputs=(Need(MATURED), InForceThen()),
        options=("calibration.maturity_days",),
        schedule="nightly",
    ),
    Step(
        "recalibrate",
        RECALIBRATED,
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
        "skip_day",
        SKIPS,
        schedule="by hand",
        by_hand="pnn-gluon skip-day {where}--day {day} --reason ..., with --clear if it was made so",
    ),
)

EXPORT = Step("export", exports(""), options=("source", "fields"), schedule="by hand")
"""The step of every export; `export_step` gives it its table and inputs."""


def export_step(name: str, model_day: datetime.date, rows: str) -> Step:
    """The step that scores one day for the export of this name.

    Raises:
        ConfigError: when the name cannot be a table's, or there are no such rows.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name):
        raise ConfigError(f"export name {name!r}: expected a lower-case letter, then letters, digits or _, at most 31")
    if rows not in {"logs", "requests"}:
        raise ConfigError(f"rows {rows!r}: expected 'logs' or 'requests'")
    scored: Input[object] = Need(ROWS) if rows == "logs" else Requests()
    return dataclasses.replace(EXPORT, table=exports(name), inputs=(ChosenBundle(model_day), scored))


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


def refuse_unknown_limits(config: Config) -> None:
    """Refuse a time limit of a step that there is not.

    Raises:
        ConfigError: naming it and the steps that there are.
    """
    names = [step.name for step in STEPS if not step.by_hand]
    for name in config.limits.hours:
        if name not in names:
            raise ConfigError(f"{config.path}: limits.hours: no step {name!r}; the steps: {', '.join(names)}")


def mending_command(table: str, day: datetime.date, config: Path | None) -> str:
    """What to run so that a damaged or stale day of a table is made again."""
    where, step = f"--config {config} " if config else "", maker(table)
    if step is None:
        return f"the command that made {table} (pnn-gluon export for exports), for {day}, with --force"
    if step.by_hand:
        return step.by_hand.format(where=where, day=day)
    return f"pnn-gluon step {step.name} {where}--day {day} --force"
