"""What a step reads on a day: partitions and raw files, every one of them recorded."""

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.details import BundleDetails
from pnn_gluon.pipeline.partition import Partition, open_partition
from pnn_gluon.pipeline.tables import BUNDLES, SKIPS, D, Table
from pnn_gluon.store.store import Store
from pnn_gluon.time_zones import UTC, rules_of

if TYPE_CHECKING:
    from pnn_gluon.data.known_digests import KnownDigests
    from pnn_gluon.data.raw_files import RawFile

_SHOWN_DAYS = 10

CLOCKS = "clocks"
"""What the names of inputs begin with that are days of a time zone."""

CHANGED = "changed while it was read"
"""In place of a SHA-256: what was made of the file is stale from the beginning."""


class Reading:
    """One step's view of the store on one day; everything asked for is recorded in `recorded`.

    With `peek`, raw files that this machine read before are read again only where their times changed, and others are
    described by size alone: enough to see that something changed. With `late`, files on this machine that a step reads
    itself are so described until `complete`: they are hashed while they are read.

    Raises:
        ConfigError: the day is before the pipeline's first.
    """

    def __init__(
        self, config: Config, store: Store, day: datetime.date, peek: bool = False, late: bool = False
    ) -> None:
        if day < config.first_day:
            raise ConfigError(
                f"day {day}: before the pipeline's first day {config.first_day} (first_day in {config.path})"
            )
        self.config, self.store, self.day, self.peek, self.late = config, store, day, peek, late
        self.recorded: dict[str, str | None] = {}
        self._late: dict[str, _LateFile] = {}
        self._digests: dict[str, str] = {}

    def need(self, table: Table[D], day: datetime.date) -> Partition[D]:
        """A partition that must be there.

        Raises:
            InputError: with the command that makes it.
        """
        partition = self.maybe(table, day)
        if partition is None:
            raise InputError(
                f"{table.name} of {day} is missing, needed for {self.day}; make it first: "
                f"{self.store.mend(table.name, day).removesuffix(' --force')} "
                f"(or all that is missing: {self._run(self.config.first_day, self.day)})"
            )
        return partition

    def maybe(self, table: Table[D], day: datetime.date) -> Partition[D] | None:
        """A partition that may be there; its absence is an input too."""
        partition = self.unrecorded(table, day)
        self.recorded[f"{table.name}/{day}"] = partition.run if partition else None
        return partition

    def unrecorded(self, table: Table[D], day: datetime.date) -> Partition[D] | None:
        """A partition that decides nothing, such as one whose files save work."""
        return open_partition(self.store, table, day)

    def bundle(self, day: datetime.date) -> Partition[BundleDetails]:
        """The bundle of a day that somebody chose.

        Raises:
            InputError: there is none; it names the days that have one.
        """
        bundle = self.maybe(BUNDLES, day)
        if bundle is not None and bundle.kept is None:
            return bundle
        why = "was never made" if bundle is None else f"was not made: {bundle.kept}"
        never = bundle is None and day >= self.config.first_day
        advice = f", or make it first: {self._run(self.config.first_day, day)}" if never else ""
        raise InputError(
            f"the bundle of {day} {why}. Days with a bundle: {self._days_with_bundle()}; choose one of them{advice}"
        )

    def _days_with_bundle(self) -> str:
        """The newest days that a bundle was made on, for a message."""
        found: list[str] = []
        for day in reversed(self.store.days(BUNDLES.name)):
            bundle = self.unrecorded(BUNDLES, day)
            if bundle is not None and bundle.kept is None:
                found.append(str(day))
            if len(found) == _SHOWN_DAYS:
                return ", ".join(reversed(found)) + " and maybe earlier ones"
        return ", ".join(reversed(found)) or "none"

    def _run(self, first: datetime.date, last: datetime.date) -> str:
        return f"pnn-gluon run --config {self.config.path} --day {first}..{last}"

    def matured_day(self) -> datetime.date | None:
        """The day whose labels are complete by now; None when that is before the first day."""
        day = plus(self.day, -self.config.calibration.maturity_days)
        return day if day >= self.config.first_day else None

    def raw(
        self, kind: Literal["logs", "clicks", "requests"], day: datetime.date, read_by_step: bool = False
    ) -> "tuple[RawFile, ...]":
        """The raw files of a kind and day, of clicks those of the days after it that they may come on, too.

        Each is an input by size and SHA-256. In days of a time zone, so are the rules by which they are cut,
        which another release of tzdata may change. With `read_by_step` the step reads them from beginning to end.

        Raises:
            ConfigError: when the configuration does not say where files of this kind lie.
        """
        from pnn_gluon.data.known_digests import KnownDigests, stamp
        from pnn_gluon.data.raw_files import list_days_of_files

        source = self.config.source
        more = source.click_days(day) if kind == "clicks" else 0
        for each in (plus(day, number) for number in range(more + 1) if source.time_zone != UTC):
            self.recorded[f"{CLOCKS}/{each}"] = rules_of(each, source.time_zone)
        files = list_days_of_files(self.config.patterns(kind), day, more, self.config.path.parent)
        known = KnownDigests(self.store.raw_digests(kind, day))
        digest = known.recall if self.peek else known.read
        for file in files:
            name = f"raw/{kind}/{file.name}"
            if late := self.late and read_by_step and "://" not in file.path:
                self._late[name] = _LateFile(file, known, stamp(file))
            self.recorded[name] = f"{file.size}:{'' if late else digest(file)}"
        return files

    def hashed(self, digests: Mapping[str, str]) -> None:
        """Take note of the SHA-256, by name, of raw logs that were hashed while they were read."""
        self._digests |= digests

    def complete(self) -> None:
        """Record the SHA-256 of the logs that were left late; those that nobody hashed are read for it."""
        for name, late in self._late.items():
            self.recorded[name] = f"{late.file.size}:{late.digest(self._digests.get(late.file.name))}"

    def skipped(self, day: datetime.date) -> str | None:
        """The reason that `pnn-gluon skip-day` recorded for a day; None for a day like any other.

        Only a declared day is an input: declaring one makes what was read before it stale, and nothing else.
        """
        declared = self.unrecorded(SKIPS, day)
        if declared is None or not declared.details.skipped:
            return None
        self.recorded[f"{SKIPS.name}/{day}"] = declared.run
        return declared.details.reason

    def skip_advice(self, day: datetime.date) -> str:
        """What to do about raw files that will never come."""
        return (
            f"If they will never come, declare the outage: pnn-gluon skip-day --config {self.config.path} --day {day} "
            "--reason ..."
        )

    def agrees(self, recorded: dict[str, str | None]) -> bool:
        """Whether the inputs read now are those recorded in a manifest."""
        return not self.changed(recorded)

    def changed(self, recorded: dict[str, str | None]) -> list[str]:
        """The names of inputs that are not those recorded in a manifest, sorted."""
        names = sorted(self.recorded.keys() | recorded.keys())
        return [name for name in names if not self._same(name, recorded)]

    def _same(self, name: str, recorded: dict[str, str | None]) -> bool:
        if name not in recorded or name not in self.recorded:
            return False
        now, then = self.recorded[name], recorded[name]
        if self.peek and now and then and (now.endswith(":") or then.endswith(":")):
            return then.startswith(now) or now.startswith(then)
        return now == then


class _LateFile(NamedTuple):
    """A raw file of which only the size was recorded, what keeps its SHA-256, and what it was like then."""

    file: "RawFile"
    known: "KnownDigests"
    stamp: str

    def digest(self, hashed: str | None) -> str:
        """Its SHA-256, if it was hashed while it was read; else as it is now, if it is what it was then."""
        from pnn_gluon.data.known_digests import stamp

        if hashed is not None:
            self.known.note(self.file, self.stamp, hashed)
            return hashed
        now = self.known.read(self.file) if stamp(self.file) == self.stamp else CHANGED
        return now if stamp(self.file) == self.stamp else CHANGED
