"""What a step reads: day partitions and raw files, recorded as its inputs."""

import datetime
from typing import TYPE_CHECKING, Literal

from pnn_gluon.config import Config
from pnn_gluon.days import plus, window
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.store.makers import MAKERS
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store

if TYPE_CHECKING:
    from pnn_gluon.data.raw_files import RawFile


class Reading:
    """One step's view of the store on one day; everything asked for is recorded in `inputs`.

    With `peek`, raw files are described by size alone: enough to see that something changed, without reading it.
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
                f"python -m jobs.{MAKERS[table]} --config {self.config.path} --day {day} "
                f"(or all that is missing: pnn-gluon run --config {self.config.path} "
                f"--day {self.config.first_day}..{self.day})"
            )
        return manifest

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

    def raw(self, kind: Literal["logs", "clicks", "requests"], day: datetime.date) -> "tuple[RawFile, ...]":
        """The raw files of a kind and day, each an input by size and SHA-256.

        Raises:
            ConfigError: when the configuration does not say where files of this kind lie.
        """
        from pnn_gluon.data.raw_files import fingerprint, list_raw_files

        pattern: str | None = getattr(self.config.source, kind)
        if pattern is None:
            raise ConfigError(f"{self.config.path}: source.{kind}: needed here; say where the {kind} of a day lie")
        files = list_raw_files(self.config, pattern, day)
        for file in files:
            digest = "" if self.peek else fingerprint(file)
            self.inputs[f"raw/{kind}/{file.name}"] = f"{file.size}:{digest}"
        return files

    def raw_logs(self, day: datetime.date) -> None:
        """The raw files that ingest reads: logs and, where clicks lie apart, those."""
        self.raw("logs", day)
        if self.config.source.clicks is not None:
            self.raw("clicks", day)

    def agrees(self, recorded: "dict[str, str | None]") -> bool:
        """Whether the inputs read now are those recorded in a manifest."""
        if self.inputs.keys() != recorded.keys():
            return False
        return all(self._same(self.inputs[key], recorded[key]) for key in recorded)

    def _same(self, now: str | None, then: str | None) -> bool:
        if self.peek and now and then and now.endswith(":"):
            return then.startswith(now)
        return now == then
