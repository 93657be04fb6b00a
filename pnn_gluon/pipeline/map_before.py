"""The input with the map that the day's grows from."""

import dataclasses
from typing import TYPE_CHECKING

from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.details import MapDetails
from pnn_gluon.pipeline.inputs import Edge, Input, Known, Parent, compaction_of
from pnn_gluon.pipeline.tables import MAPS

if TYPE_CHECKING:
    from pnn_gluon.pipeline.partition import Partition
    from pnn_gluon.pipeline.reading import Reading


@dataclasses.dataclass(frozen=True)
class MapBefore(Input["Partition[MapDetails] | None"]):
    """The map of the day before, or the compact one that a person had made of it; None on the first day."""

    def read(self, reading: "Reading", known: Known) -> "Partition[MapDetails] | None":
        """Read it.

        Raises:
            InputError: with the command that makes it.
        """
        yesterday = plus(reading.day, -1)
        if yesterday < reading.config.first_day or (found := compaction_of(reading, yesterday)) is None:
            return Parent(MAPS).read(reading, known)
        reading.recorded[found.name] = found.run
        return found

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"{Parent(MAPS).words}, or what `compact` made of it"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The map, of the past."""
        return Parent(MAPS).edges(config)
