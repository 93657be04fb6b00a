"""The input that says how many ids the day's map may have."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pnn_gluon.config import Config, MultiField
from pnn_gluon.pipeline.details import CountDetails, MapDetails
from pnn_gluon.pipeline.inputs import Edge, Input, Known

if TYPE_CHECKING:
    from pnn_gluon.data.map_room import MapRoom
    from pnn_gluon.pipeline.partition import Partition
    from pnn_gluon.pipeline.reading import Reading

WIDEST = 1024
"""No model has more vectors an id than fields, of more numbers than this: a bound that needs no model."""


@dataclasses.dataclass(frozen=True)
class RoomForIds(Input["MapRoom"]):
    """How many ids the model leaves room for; recorded only where the map of the day may come near to that.

    Elsewhere it decides nothing, and another model makes no map stale. It is read after the map of the day before and
    the counts of the window, by which it knows how many ids there can be at most.
    """

    parent: Input["Partition[MapDetails] | None"]
    counts: Input["Mapping[datetime.date, Partition[CountDetails]]"]

    def read(self, reading: "Reading", known: Known) -> "MapRoom":
        """Read it."""
        from pnn_gluon.data.map_room import MapRoom, ids_after

        before, counts = known[self.parent], known[self.counts].values()
        values = sum(each.details.values for each in counts)
        ids = ids_after(before.rows if before else 0, values, reading.config.fields)
        bound = MapRoom(WIDEST * len(reading.config.fields))
        if not bound.near(ids):
            return bound
        room = MapRoom(numbers_in_a_tensor(reading.config))
        if room.near(ids):
            reading.recorded["room/ids"] = str(room.most)
        return room

    @property
    def words(self) -> str:
        """What it is, for people."""
        return "how many ids the model leaves room for, if the map comes near to that"

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """None: the configuration gives it."""
        return ()


def numbers_in_a_tensor(config: Config) -> int:
    """Numbers for each id that one tensor of the configured model holds; 1 if its tables are cut, as on the CPU."""
    from pnn_gluon.blocks.layout import FieldLayout
    from pnn_gluon.training.families import family_of

    widths = tuple(field.max_values if isinstance(field, MultiField) else 1 for field in config.fields)
    layout = FieldLayout(tuple(field.name for field in config.fields), widths)
    name, cut = config.model.name, config.training.device == "cpu"
    return family_of(name).numbers_an_id(name, config.model.options, layout, cut=cut)
