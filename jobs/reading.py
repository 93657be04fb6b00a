"""What a step reads: day partitions and raw files, recorded as its inputs."""

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pnn_gluon.config import Config
from pnn_gluon.days import plus, window
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.store.makers import MAKERS
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store

if TYPE_CHECKING:
    from pnn_gluon.data.raw_files import RawFile


def kept_reason(details: Mapping[str, Any]) -> str | None:
    """Why a day was kept, by the details of its manifest; None for a day that was made."""
    reason: str | None = details.get("kept")
    return reason


_SHOWN_DAYS = 10


class Reading:
    """One step's view of the store on one day; everything asked for is recorded in `inputs`.

    With `peek`, raw files that this machine read before are read again only where their times changed, and others are
    described by size alone: enough to see that something changed.
    With `force`, a step takes nothing over from the day in force.
    """

    def __init__(
        self, config: Config, store: Store, day: datetime.date, peek: bool = False, force: bool = False
    ) -> None:
        if day < config.first_day:
            raise ConfigError(
                f"day {day}: before the pipeline's first day {config.first_day} (first_day in {config.path})"
            )
        self.config, self.store, self.day, self.peek, self.force = config, store, day, peek, force
        self.inputs: dict[str, str | None] = {}
        self._manifests: dict[tuple[str, datetime.date], Manifest | None] = {}

    def need(self, table: str, day: datetime.date | None = None) -> Manifest:
        """A partition that must be there.

        Raises:
            InputError: with the command that makes it.
        """
        day = day or self.day
        manifest = self.optional(table, day)
        if manifest is None:
            raise InputError(
                f"{table} of {day} is missing, needed for {self.day}; make it first: "
                f"pnn-gluon step {MAKERS[table]} --config {self.config.path} --day {day} "
                f"(or all that is missing: pnn-gluon run --config {self.config.path} "
                f"--day {self.config.first_day}..{self.day})"
            )
        return manifest

    def need_bundle(self, day: datetime.date) -> Manifest:
        """The bundle of a day that somebody chose.

        Raises:
            InputError: there is none; it names the days that have one.
        """
        manifest = self.optional("bundles", day)
        if manifest is not None and kept_reason(manifest.details) is None:
            return manifest
        why = "was never made" if manifest is None else f"was not made: {kept_reason(manifest.details)}"
        advice = (
            f", or make it first: pnn-gluon run --config {self.config.path} --day {self.config.first_day}..{day}"
            if manifest is None and day >= self.config.first_day
            else ""
        )
        raise InputError(
            f"the bundle of {day} {why}. Days with a bundle: {self._days_with_bundle()}; choose one of them{advice}"
        )

    def _days_with_bundle(self) -> str:
        """The newest days that a bundle was made on, for a message."""
        found: list[str] = []
        for day in reversed(self.store.days("bundles")):
            manifest = self.store.manifest("bundles", day)
            if manifest is not None and kept_reason(manifest.details) is None:
                found.append(str(day))
            if len(found) == _SHOWN_DAYS:
                return ", ".join(reversed(found)) + " and maybe earlier ones"
        return ", ".join(reversed(found)) or "none"

    def optional(self, table: str, day: datetime.date) -> Manifest | None:
        """A partition that may be there; its absence is an input too."""
        key = (table, day)
        if key not in self._manifests:
            self._manifests[key] = self.store.manifest(table, day)
        manifest = self._manifests[key]
        self.inputs[f"{table}/{day}"] = manifest.run if manifest else None
        return manifest

    def parent(self, table: str) -> Manifest | None:
        """Yesterday's partition: None on the first day, an error when it is missing on any other."""
        return self.need(table, plus(self.day, -1)) if self.day > self.config.first_day else None

    def over(self, table: str, days: int) -> dict[datetime.date, Manifest]:
        """The partitions of the window of that many days that ends today."""
        return {day: self.need(table, day) for day in window(self.day, days, self.config.first_day)}

    def labelled(self, days: int) -> dict[datetime.date, Manifest]:
        """The samples of the newest days whose labels are complete, as many as asked for, by the day of their rows.

        Where labels come late, those of a day are read again `calibration.maturity_days` later; before the first day
        has matured there are none.
        """
        late = self.config.calibration.maturity_days
        if not late:
            return self.over("samples", days)
        newest = plus(self.day, -late)
        return {day: self.need("matured", plus(day, late)) for day in window(newest, days, self.config.first_day)}

    def raw(self, kind: Literal["logs", "clicks", "requests"], day: datetime.date) -> "tuple[RawFile, ...]":
        """The raw files of a kind and day, each an input by size and SHA-256.

        Raises:
            ConfigError: when the configuration does not say where files of this kind lie.
        """
        from pnn_gluon.data.known_digests import KnownDigests
        from pnn_gluon.data.raw_files import list_raw_files

        pattern: str | None = getattr(self.config.source, kind)
        if pattern is None:
            raise ConfigError(f"{self.config.path}: source.{kind}: needed here; say where the {kind} of a day lie")
        files = list_raw_files(pattern, day, self.config.path.parent)
        known = KnownDigests(self.store.raw_digests(kind, day))
        digest = known.recall if self.peek else known.read
        for file in files:
            self.inputs[f"raw/{kind}/{file.name}"] = f"{file.size}:{digest(file)}"
        return files

    def raw_logs(self, day: datetime.date) -> None:
        """The raw files that ingest reads: logs and, where clicks lie apart, those; none on a day declared as skipped.

        Raises:
            InputError: files are missing on a day that is not declared as skipped.
        """
        from pnn_gluon.data.raw_files import NoRawFiles

        if self.skipped(day) is not None:
            return
        try:
            self.raw("logs", day)
            if self.config.source.clicks is not None:
                self.raw("clicks", day)
        except NoRawFiles as error:
            raise InputError(f"{error}. {self._skip_advice(day)}") from error

    def raw_requests(self, day: datetime.date) -> str | None:
        """The requests of a day; why there are none, when they are missing on a day declared as skipped.

        Raises:
            InputError: they are missing on any other day.
        """
        from pnn_gluon.data.raw_files import NoRawFiles

        try:
            self.raw("requests", day)
        except NoRawFiles as error:
            reason = self.skipped(day)
            if reason is None:
                raise InputError(f"{error}. {self._skip_advice(day)}") from error
            return f"no requests of {day}, declared as skipped: {reason}"
        return None

    def _skip_advice(self, day: datetime.date) -> str:
        return (
            f"If they will never come, declare the outage: pnn-gluon skip-day --config {self.config.path} --day {day} "
            "--reason ..."
        )

    def skipped(self, day: datetime.date) -> str | None:
        """The reason that `pnn-gluon skip-day` recorded for a day; None for a day like any other.

        Only a declared day is an input: declaring one makes what was read before it stale, and nothing else.
        """
        key = ("skips", day)
        if key not in self._manifests:
            self._manifests[key] = self.store.manifest(*key)
        manifest = self._manifests[key]
        if manifest is None or not manifest.details["skipped"]:
            return None
        self.inputs[f"skips/{day}"] = manifest.run
        return str(manifest.details["reason"])

    def agrees(self, recorded: "dict[str, str | None]") -> bool:
        """Whether the inputs read now are those recorded in a manifest."""
        if self.inputs.keys() != recorded.keys():
            return False
        return all(self._same(self.inputs[key], recorded[key]) for key in recorded)

    def _same(self, now: str | None, then: str | None) -> bool:
        if self.peek and now and then and now.endswith(":"):
            return then.startswith(now)
        return now == then
