"""How every step of a day stands, and why."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from pnn_gluon.config import Config
from pnn_gluon.errors import DamagedError, InputError, PnnError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.options import differences
from pnn_gluon.pipeline.partition import kept_reason, open_partition
from pnn_gluon.pipeline.reading import CLOCKS, Reading
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import daily_steps, maker, mending_command, nightly_steps
from pnn_gluon.pipeline.steps import step as step_of
from pnn_gluon.pipeline.tables import COMPACTIONS
from pnn_gluon.store.manifest import Manifest

Word: TypeAlias = Literal["done", "kept", "stale", "missing", "failed", "damaged"]


class State(NamedTuple):
    """How a step of a day stands; `reasons` is empty when it is done, or missing without an attempt."""

    word: Word
    reasons: tuple[str, ...] = ()


COMPACT = step_of("compact")

DayStates: TypeAlias = dict[datetime.date, dict[str, State]]
"""By day and by the name of the step."""


def day_states(config: Config, days: Iterable[datetime.date]) -> DayStates:
    """The state of every daily and nightly step on each of these days.

    A step is done when the day in force was made from what is there now, and kept when so it was found that nothing
    could be made; stale when an input, an option, the step's code or anything upstream changed since; failed when its
    last run ended in an error; damaged when its manifest is not what was written; missing when it was never made. Raw
    files are compared by name and size, and by what this machine knows of their content. A day whose map a person had
    compacted has the state of that, too: later days go on from it, and no run of a day makes it again.
    """
    wanted, states = list(days), _States(config)
    steps = (*daily_steps(config), *nightly_steps(config))
    for day in states.made_before(max(wanted)):  # in order, so that no chain of days is walked at once
        for step in steps:
            states.of(step, day)
    return {
        day: {step.name: states.of(step, day) for step in (*steps, *((COMPACT,) if states.compacted(day) else ()))}
        for day in wanted
    }


class _States:
    """States that were found so far."""

    def __init__(self, config: Config) -> None:
        self._config, self._store = config, open_store(config)
        self._steps = (*daily_steps(config), *nightly_steps(config))
        self._options: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
        self._known: dict[tuple[str, datetime.date], State] = {}

    def made_before(self, day: datetime.date) -> list[datetime.date]:
        """The days of the pipeline before a day of which there is something in the store."""
        made = {made for step in self._steps for made in self._store.days(step.table.name)}
        return sorted(other for other in made if self._config.first_day <= other < day)

    def compacted(self, day: datetime.date) -> bool:
        """Whether there is a compact map of a day, which was not taken back."""
        try:
            found = open_partition(self._store, COMPACTIONS, day)
            return found is not None and found.details.compacted
        except InputError:
            return True

    def of(self, step: Step, day: datetime.date) -> State:
        """The state of a step on a day."""
        key = (step.name, day)
        if key not in self._known:
            self._known[key] = self._find(step, day)
        return self._known[key]

    def _find(self, step: Step, day: datetime.date) -> State:
        failure = self._store.failure(step.table.name, day)
        if failure is not None:
            return State("failed", (failure,))
        try:
            manifest = self._store.manifest(step.table.name, day)
        except DamagedError as error:
            return State("damaged", (str(error),))
        if manifest is None:
            return State("missing")
        config = step.config_on(self._config, day)
        reading = Reading(config, self._store, day, peek=True)
        try:
            step.read(reading)
        except PnnError as error:
            return State("stale", (f"input: {error}",))
        chosen = self._chosen(step, config)
        reasons = [*changes(step, reading, manifest, chosen), *self._upstream(reading.recorded)]
        if reasons and step.by_hand:
            reasons.append(
                f"no run of a day makes it again: {mending_command(step.table.name, day, self._config.path)}"
            )
        if reasons:
            return State("stale", tuple(reasons))
        reason = kept_reason(manifest.details)
        return State("done") if reason is None else State("kept", (reason,))

    def _chosen(self, step: Step, config: Config) -> dict[str, Any]:
        """The options of a step with some fields, which take some milliseconds to find."""
        key = step.name, tuple(field.name for field in config.fields)
        if key not in self._options:
            self._options[key] = step.chosen_options(config)
        return self._options[key]

    def _upstream(self, recorded: Mapping[str, str | None]) -> list[str]:
        """What of the inputs is not as it should be itself."""
        found = []
        for key, run in recorded.items():
            table, _, day = key.partition("/")
            step = maker(table)
            if run is None or step is None or step not in (*self._steps, COMPACT):
                continue
            state = self.of(step, datetime.date.fromisoformat(day))
            if state.word not in {"done", "kept"}:
                found.append(f"upstream: {step.name} of {day} is {state.word}")
        return found


def changes(step: Step, reading: Reading, manifest: Manifest, chosen: Mapping[str, Any]) -> list[str]:
    """Why a day is not what the step would make now: its code, its options (`chosen`), its inputs."""
    found = []
    if not step.same_code(manifest):
        found.append(f"code: {step.name} has version {step.version}, the day was made by version {manifest.version}")
    if not step.same_options(reading.config, manifest, chosen):
        found += _changed_options(step, manifest, chosen)
    found += [_changed_input(key, reading, manifest) for key in reading.changed(dict(manifest.inputs))]
    return found


def _changed_options(step: Step, manifest: Manifest, chosen: Mapping[str, Any]) -> Sequence[str]:
    if manifest.options is None:
        return [f"configuration: one of {', '.join(step.options)}; release 0.1 did not write down which options it had"]
    return [f"configuration: {text}" for text in differences(manifest.options, chosen)]


def _changed_input(key: str, reading: Reading, manifest: Manifest) -> str:
    """One input that is not what it was."""
    outside = key.startswith(("raw/", f"{CLOCKS}/"))
    if key not in manifest.inputs:
        return f"input: {key} is new" if outside else f"input: {key} was not read then"
    if key not in reading.recorded:
        return f"input: {key} is gone" if outside else f"input: {key} is not read any more"
    then, now = manifest.inputs[key], reading.recorded[key]
    if then is None or now is None:
        return f"input: {key} {'has come' if then is None else 'is gone'}"
    return f"input: {key} has changed" if outside else f"input: {key} was made again ({then} -> {now})"
