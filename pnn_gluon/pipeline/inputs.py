"""The kinds of inputs that a step declares. Each is read once, before the step works, and recorded in the manifest.

An input is a value: `inputs[Need(ROWS)]` is what a step that declared `Need(ROWS)` gets.
"""

import abc
import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from pnn_gluon.config import Config
from pnn_gluon.days import parse_day, plus, window
from pnn_gluon.errors import DamagedError, InputError
from pnn_gluon.pipeline.details import (
    BundleDetails,
    ChampionDetails,
    CompactionDetails,
    MapDetails,
    MaturedDetails,
    ModelDetails,
    OverrideDetails,
    SampleDetails,
)
from pnn_gluon.pipeline.options import option
from pnn_gluon.pipeline.tables import (
    CHAMPIONS,
    CHECKS,
    COMPACTIONS,
    MAPS,
    MATURED,
    MODELS,
    OVERRIDES,
    SAMPLES,
    D,
    Table,
)

if TYPE_CHECKING:  # DAG files declare the pipeline, and load neither the store nor what it stands on
    from pnn_gluon.pipeline.partition import Partition
    from pnn_gluon.pipeline.reading import Reading

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


LOGS = "raw/logs/"
"""What the names of inputs that are log files begin with."""

LOOK_BACK = 60
"""Days before today that count as all of them where the newest of a table is read: no more are under way at once."""


@dataclasses.dataclass(frozen=True)
class Edge:
    """A table that an input comes from: of today, or of the `back` days before; and whether it must be there."""

    table: str
    back: int = 0
    needed: bool = True


class Input(abc.ABC, Generic[T_co]):
    """Something that a step reads."""

    @abc.abstractmethod
    def read(self, reading: "Reading", known: "Known") -> T_co:
        """Read it, given the inputs that were declared before it."""

    @property
    @abc.abstractmethod
    def words(self) -> str:
        """What it is, for people."""

    @abc.abstractmethod
    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The tables it comes from."""


class Known:
    """Inputs that have been read."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._values: dict[Input[Any], Any] = {}

    def add(self, declared: Input[T], reading: "Reading") -> None:
        """Read one more."""
        self._values[declared] = declared.read(reading, self)

    def __getitem__(self, declared: Input[T]) -> T:
        """What an input that the step declared has given.

        Raises:
            LookupError: the step did not declare it; what it read would not be recorded.
        """
        if declared not in self._values:
            raise LookupError(f"step {self._step} does not declare the input {declared}; pipeline/steps.py does")
        return cast("T", self._values[declared])


@dataclasses.dataclass(frozen=True)
class Need(Input["Partition[D]"]):
    """A table of the same day."""

    table: Table[D]

    def read(self, reading: "Reading", known: Known) -> "Partition[D]":
        """Read it.

        Raises:
            InputError: with the command that makes it.
        """
        return reading.need(self.table, reading.day)

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"`{self.table.name}`"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The table."""
        return (Edge(self.table.name),)


@dataclasses.dataclass(frozen=True)
class Parent(Input["Partition[D] | None"]):
    """A table of the day before: None on the first day, an error when it is missing on any other."""

    table: Table[D]

    def read(self, reading: "Reading", known: Known) -> "Partition[D] | None":
        """Read it.

        Raises:
            InputError: with the command that makes it.
        """
        first = reading.day <= reading.config.first_day
        return None if first else reading.need(self.table, plus(reading.day, -1))

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"`{self.table.name}` of D-1"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The table, of the past."""
        return (Edge(self.table.name, back=1),)


@dataclasses.dataclass(frozen=True)
class Newest(Input["Partition[D] | None"]):
    """The newest day of a table up to today, or up to so many days before.

    What it passes over is an input too: once that is made, what was made from an older day is stale.
    """

    table: Table[D]
    before: int = 0

    def read(self, reading: "Reading", known: Known) -> "Partition[D] | None":
        """Read it; None if the table has no day before today.

        Raises:
            InputError: today may be read, and there is no day at all; with the command that makes today's.
        """
        found = newest_of(self.table, reading, plus(reading.day, -self.before))
        return found or (None if self.before else reading.need(self.table, reading.day))

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"the newest `{self.table.name}` up to {f'D-{self.before}' if self.before else 'D'}"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The table."""
        return (Edge(self.table.name, back=LOOK_BACK if self.before else 0),)


def newest_of(table: Table[D], reading: "Reading", last: datetime.date) -> "Partition[D] | None":
    """The newest partition up to a day; None if there is none since the pipeline's first day."""
    day = last
    while day >= reading.config.first_day:
        if (found := reading.maybe(table, day)) is not None:
            return found
        day = plus(day, -1)
    return None


@dataclasses.dataclass(frozen=True)
class Beside(Input["Partition[D] | None"]):
    """A table that need not be there, of the day of another input, which was declared before; else of yesterday."""

    other: "Input[Partition[Any] | None]"
    table: Table[D]

    def read(self, reading: "Reading", known: Known) -> "Partition[D] | None":
        """Read it, if it is there."""
        other = known[self.other]
        return reading.maybe(self.table, plus(reading.day, -1) if other is None else other.day)

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"`{self.table.name}` of that day if there"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The table, which is not waited for."""
        return (Edge(self.table.name, back=1, needed=False),)


@dataclasses.dataclass(frozen=True)
class IfThere(Input["Partition[D] | None"]):
    """A table of the same day that need not be there; with `waited` its step comes before all the same."""

    table: Table[D]
    waited: bool = False

    def read(self, reading: "Reading", known: Known) -> "Partition[D] | None":
        """Read it, if it is there."""
        return reading.maybe(self.table, reading.day)

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"`{self.table.name}`{' if there' if self.waited else ''}"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The table."""
        return (Edge(self.table.name, needed=self.waited),)


@dataclasses.dataclass(frozen=True)
class After(Input[None]):
    """A table of the same day that is made before, whose content decides nothing: it is not read."""

    table: Table[Any]

    def read(self, reading: "Reading", known: Known) -> None:
        """Read nothing."""

    @property
    def words(self) -> str:
        """What it is, for people."""
        return ""

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The table."""
        return (Edge(self.table.name),)


@dataclasses.dataclass(frozen=True)
class Saved(Input["Partition[D] | None"]):
    """A table whose files save work and decide nothing: of the day, or of the day whose labels have matured.

    Or of a day `back` days before.
    """

    table: Table[D]
    matured: bool = False
    back: int = 0

    def read(self, reading: "Reading", known: Known) -> "Partition[D] | None":
        """Read it, if it is there."""
        day = reading.matured_day() if self.matured else plus(reading.day, -self.back)
        try:
            return None if day is None else reading.unrecorded(self.table, day)
        except DamagedError:  # it saves no work then
            return None

    @property
    def words(self) -> str:
        """What it is, for people."""
        return ""

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """None: nothing waits for it."""
        return ()


@dataclasses.dataclass(frozen=True)
class Over(Input["Mapping[datetime.date, Partition[D]]"]):
    """A table over the window that ends today, by day; `window` is the option with its number of days."""

    table: Table[D]
    window: str

    def read(self, reading: "Reading", known: Known) -> "Mapping[datetime.date, Partition[D]]":
        """Read every day of it.

        Raises:
            InputError: with the command that makes a day that is missing.
        """
        days = window(reading.day, option(reading.config, self.window), reading.config.first_day)
        return {day: reading.need(self.table, day) for day in days}

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"`{self.table.name}` of the window"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The table, of the past too unless the window is one day."""
        return (Edge(self.table.name), *_earlier(self.table, option(config, self.window)))


@dataclasses.dataclass(frozen=True)
class Before(Input["Mapping[datetime.date, Partition[D]]"]):
    """A table on the days before today, as far as it is there; `window` is the option with the number of days, or 0."""

    table: Table[D]
    window: str

    def read(self, reading: "Reading", known: Known) -> "Mapping[datetime.date, Partition[D]]":
        """Read every day of it that is there."""
        back = option(reading.config, self.window)
        days = window(plus(reading.day, -1), back, reading.config.first_day) if back else ()
        found = {day: reading.maybe(self.table, day) for day in days}
        return {day: partition for day, partition in found.items() if partition is not None}

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"`{self.table.name}` of the days before that have it"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The table, of the past."""
        back = option(config, self.window)
        return (Edge(self.table.name, back=back),) if back else ()


@dataclasses.dataclass(frozen=True)
class RefusedDays(Input[Mapping[datetime.date, Sequence[str]]]):
    """Why the data of today, and of days of the training window, were refused; only a refusal is an input.

    A day that was never checked, such as one that an earlier release made, counts as one that passed.
    """

    window: str

    def read(self, reading: "Reading", known: Known) -> Mapping[datetime.date, Sequence[str]]:
        """Read the checks, as far as they are there."""
        found = {}
        for day in sorted({reading.day, *_labelled_days(reading, self.window)}):
            checks = reading.unrecorded(CHECKS, day)
            if checks is not None and checks.kept is None and checks.details.refused:
                reading.recorded[checks.name] = checks.run
                found[day] = checks.details.reasons
        return found

    @property
    def words(self) -> str:
        """What it is, for people."""
        return "`checks` of D and of the window if they refused a day"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The checks, which are waited for, though days without any pass."""
        days = option(config, self.window) + config.calibration.maturity_days
        return (Edge(CHECKS.name), *_earlier(CHECKS, days))


class Labelled(NamedTuple):
    """Rows with complete labels, divided into shares: a partition of `samples` or of `matured`, and its rate."""

    partition: "Partition[SampleDetails] | Partition[MaturedDetails]"
    rate: float


@dataclasses.dataclass(frozen=True)
class LabelledOver(Input[Mapping[datetime.date, Labelled]]):
    """The samples of the newest days whose labels are complete, as many as the option says, by the day of their rows.

    Where labels come late, those of a day are read again `calibration.maturity_days` later; before the first day
    has matured there are none.
    """

    window: str

    def read(self, reading: "Reading", known: Known) -> Mapping[datetime.date, Labelled]:
        """Read every day of it.

        Raises:
            InputError: with the command that makes a day that is missing, or does not tell its rate.
        """
        late = reading.config.calibration.maturity_days
        found = {}
        for day in _labelled_days(reading, self.window):
            table: Table[Any] = MATURED if late else SAMPLES
            partition = reading.need(table, plus(day, late))
            if (rate := partition.details.rate) is None:
                mend = reading.store.mend(table.name, partition.day)
                raise InputError(f"{table.name} of {partition.day}: its manifest has no rate; rerun: {mend}")
            found[day] = Labelled(partition, rate)
        return found

    @property
    def words(self) -> str:
        """What it is, for people."""
        return "samples of the window, with complete labels (`samples` or `matured`)"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """Samples, or the matured rows."""
        table = MATURED if config.calibration.maturity_days else SAMPLES
        return (Edge(table.name), *_earlier(table, option(config, self.window)))


def _labelled_days(reading: "Reading", days: str) -> list[datetime.date]:
    """The newest days whose labels are complete; `days` is the option with their number."""
    newest = plus(reading.day, -reading.config.calibration.maturity_days)
    return window(newest, option(reading.config, days), reading.config.first_day)


def _earlier(table: Table[Any], days: int) -> tuple[Edge, ...]:
    return (Edge(table.name, back=days - 1),) if days > 1 else ()


@dataclasses.dataclass(frozen=True)
class When(Input[T_co | None]):
    """An input that is read only if what was read before it asks for it; else None."""

    asked: Callable[[Known], bool]
    wanted: Input[T_co]

    def read(self, reading: "Reading", known: Known) -> T_co | None:
        """Read it if it is asked for."""
        return self.wanted.read(reading, known) if self.asked(known) else None

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"{self.wanted.words} if needed"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """Those of the input."""
        return self.wanted.edges(config)


@dataclasses.dataclass(frozen=True)
class RawLogs(Input[str | None]):
    """The raw logs of the day, or of the day whose labels have matured, with clicks where they lie apart.

    It gives the reason for which the day was declared as skipped, whose files count for nothing; else None.
    """

    matured: bool = False

    def read(self, reading: "Reading", known: Known) -> str | None:
        """Read their fingerprints.

        Raises:
            InputError: files are missing on a day that is not declared as skipped.
        """
        from pnn_gluon.data.raw_files import NoRawFiles

        day = reading.matured_day() if self.matured else reading.day
        if day is None or (skipped := reading.skipped(day)) is not None:
            return None if day is None else skipped
        try:
            reading.raw("logs", day, read_by_step=not self.matured)
            if reading.config.source.clicks is not None:
                reading.raw("clicks", day)
        except NoRawFiles as error:
            raise InputError(f"{error}. {reading.skip_advice(day)}") from error
        return None

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"raw logs of {'D - maturity_days' if self.matured else 'D'}"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """None of the pipeline's own tables that a step of the day makes."""
        return ()


@dataclasses.dataclass(frozen=True)
class Requests(Input[str | None]):
    """The requests of the day so many days ahead; it gives the reason for which a skipped day has none, else None."""

    ahead: int = 0

    def read(self, reading: "Reading", known: Known) -> str | None:
        """Read their fingerprints.

        Raises:
            InputError: they are missing on a day that is not declared as skipped.
        """
        from pnn_gluon.data.raw_files import NoRawFiles

        day = plus(reading.day, self.ahead)
        try:
            reading.raw("requests", day)
        except NoRawFiles as error:
            reason = reading.skipped(day)
            if reason is None:
                raise InputError(f"{error}. {reading.skip_advice(day)}") from error
            return f"no requests of {day}, declared as skipped: {reason}"
        return None

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"requests of D+{self.ahead}" if self.ahead else "requests of D"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """None of the pipeline's own tables."""
        return ()


@dataclasses.dataclass(frozen=True)
class RequestsIfThere(Input[bool]):
    """The requests of the day, which were scored the day before; it gives whether there are any."""

    def read(self, reading: "Reading", known: Known) -> bool:
        """Read their fingerprints."""
        from pnn_gluon.data.raw_files import NoRawFiles

        try:
            return reading.config.source.requests is not None and bool(reading.raw("requests", reading.day))
        except NoRawFiles:
            return False

    @property
    def words(self) -> str:
        """What it is, for people."""
        return "requests of D if there"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """None of the pipeline's own tables."""
        return ()


@dataclasses.dataclass(frozen=True)
class InForceThen(Input["Partition[ChampionDetails] | None"]):
    """The newest champion before the day whose labels have matured: the model that was in force during that day."""

    def read(self, reading: "Reading", known: Known) -> "Partition[ChampionDetails] | None":
        """Read it; None before the first one."""
        day = reading.matured_day()
        return None if day is None else newest_of(CHAMPIONS, reading, plus(day, -1))

    @property
    def words(self) -> str:
        """What it is, for people."""
        return "the newest `champions` up to D - maturity_days - 1"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The champions, of the past."""
        return (Edge(CHAMPIONS.name, back=config.calibration.maturity_days + LOOK_BACK),)


class Override(NamedTuple):
    """A person's decision, and the bundle that it names."""

    details: OverrideDetails
    bundle: "Partition[BundleDetails]"


@dataclasses.dataclass(frozen=True)
class Overridden(Input[Override | None]):
    """A person's decision on which model is in force from today on."""

    def read(self, reading: "Reading", known: Known) -> Override | None:
        """Read it, if there is one that was not taken back.

        Raises:
            InputError: the bundle that it names is not there.
        """
        override = reading.maybe(OVERRIDES, reading.day)
        if override is None or override.details.to is None:
            return None
        return Override(override.details, reading.bundle(parse_day(override.details.to)))

    @property
    def words(self) -> str:
        """What it is, for people."""
        return "`overrides` if there, and the bundle that they name"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The overrides, which are not waited for."""
        return (Edge(OVERRIDES.name, needed=False),)


@dataclasses.dataclass(frozen=True)
class ChosenBundle(Input["Partition[BundleDetails]"]):
    """The bundle of a day that somebody chose."""

    day: datetime.date

    def read(self, reading: "Reading", known: Known) -> "Partition[BundleDetails]":
        """Read it.

        Raises:
            InputError: there is none; it names the days that have one.
        """
        return reading.bundle(self.day)

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"`bundles` of {self.day}"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """None: a step that reads it runs by hand."""
        return ()


class Candidate(NamedTuple):
    """Yesterday's own model, and the map of its ids."""

    model: "Partition[ModelDetails]"
    map: "Partition[MapDetails]"


Start: TypeAlias = "Candidate | Partition[ChampionDetails] | Partition[CompactionDetails] | None"
"""Where training goes on from: yesterday's own model, the model in force, that by a compact map, or nothing."""


def compaction_of(reading: "Reading", day: datetime.date) -> "Partition[CompactionDetails] | None":
    """What a person had left out of a day's map, if so; it is no input unless it is recorded."""
    found = reading.unrecorded(COMPACTIONS, day)
    return found if found is not None and found.details.compacted else None


@dataclasses.dataclass(frozen=True)
class WarmStart(Input[Start]):
    """The model that a warm start goes on from: the one in force since yesterday, or yesterday's own.

    Where yesterday has no model of its own it is the one in force, too.
    """

    def read(self, reading: "Reading", known: Known) -> Start:
        """Read it; None without a warm start, or when there is no model yet.

        Raises:
            InputError: with the command that makes the map of yesterday's model.
        """
        training, yesterday = reading.config.training, plus(reading.day, -1)
        if not training.warm_start or yesterday < reading.config.first_day:
            return None
        compact = _newest_compaction(reading)
        if training.warm_start_from == "yesterday":
            own = reading.maybe(MODELS, yesterday)
            if own is not None and own.kept is None:
                moved = compact is not None and compact.day == yesterday
                return _recorded(reading, compact) if moved else Candidate(own, reading.need(MAPS, yesterday))
        champion = newest_of(CHAMPIONS, reading, yesterday)
        if champion is None or compact is None or (champion.details.pointer.map_day or "") > str(compact.day):
            return champion
        return _recorded(reading, compact)

    @property
    def words(self) -> str:
        """What it is, for people."""
        return "for a warm start `models` and `maps` of D-1, or the newest `champions` before D"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The tables of the past that it may read."""
        if not config.training.warm_start:
            return ()
        of_yesterday = (MODELS, MAPS) if config.training.warm_start_from == "yesterday" else ()
        return *(Edge(table.name, back=1) for table in of_yesterday), Edge(CHAMPIONS.name, back=LOOK_BACK)


def _newest_compaction(reading: "Reading") -> "Partition[CompactionDetails] | None":
    """The newest compact map before today: ids of models by maps up to it have moved."""
    for day in reversed(reading.store.days(COMPACTIONS.name)):
        if day < reading.day and (found := compaction_of(reading, day)) is not None:
            return found
    return None


def _recorded(
    reading: "Reading", compact: "Partition[CompactionDetails] | None"
) -> "Partition[CompactionDetails] | None":
    if compact is not None:
        reading.recorded[compact.name] = compact.run
    return compact
