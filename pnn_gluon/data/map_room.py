"""How many ids a map may have: as many as int32 has or, where tables are not cut, as a tensor of MXNet has rows for."""

import datetime
import math
from dataclasses import dataclass

from pnn_gluon.config import Fields
from pnn_gluon.data.feature_map import FeatureMap, MapField
from pnn_gluon.days import plus

TENSOR_LIMIT = 2**31
"""MXNet's tensors have fewer numbers than this, and int32 no more ids above 0."""

NEAR = 0.8
"""From this share of the ids that a map may have on, the day says when it will be full."""

GROWTH_DAYS = 7
"""Days over which growth is averaged."""

REMEDY = (
    "raise feature_map.min_impressions, let ids expire (feature_map.expire_days) and `pnn-gluon compact`, or give up "
    "the largest field"
)
OF_WHOLE_TABLES = (
    "lower model.embedding_size, take a model with fewer numbers an id or of our blocks, or train on the CPU"
)


@dataclass(frozen=True)
class MapRoom:
    """The room that a model leaves for ids.

    Attributes:
        numbers: Numbers of an id in the model's widest table if that is not cut into several tensors, else 1.
    """

    numbers: int

    @property
    def most(self) -> int:
        """The most ids V with V x numbers < 2^31."""
        return (TENSOR_LIMIT - 1) // self.numbers

    def near(self, ids: int) -> bool:
        """Whether so many ids are 80 % of what there is room for, or more."""
        return ids >= NEAR * self.most

    def full_on(self, grown: FeatureMap) -> datetime.date | None:
        """The day on which a map is full if it grows as in the last days; None if it does not grow, or is a first map.

        full = day + (most - V) / growth, with growth = (V - V some days ago) / days, of the last 7 days if it has them.
        """
        days = min(GROWTH_DAYS, (grown.day - grown.begun).days)
        growth = grown.size - grown.size_on(plus(grown.day, -days))
        if days < 1 or growth < 1:
            return None
        left = math.ceil(max(0, self.most - grown.size) * days / growth)
        return plus(grown.day, left) if left < (datetime.date.max - grown.day).days else None

    def note(self, grown: FeatureMap, left_out: int) -> str | None:
        """What to say of a map; None while it has room enough.

        Args:
            grown: The map of the day.
            left_out: Values of the day that passed the threshold, and for which there was no room.
        """
        if not self.near(grown.size) and not left_out:
            return None
        whole = self.numbers > 1
        limit = (
            f"{self.numbers:,} numbers an id in the model's widest table, a tensor holds fewer than {TENSOR_LIMIT:,}"
        )
        what = f"{grown.size:,} of at most {self.most:,} ids ({limit if whole else 'they are int32'})"
        remedy = f"{REMEDY}, {OF_WHOLE_TABLES}" if whole else REMEDY
        if left_out:
            return f"the map is full: {what}; {left_out:,} values that passed the threshold stay *other*: {remedy}"
        if (day := self.full_on(grown)) is None:
            return f"the map is nearly full: {what}: {remedy}"
        return f"the map is nearly full: {what}; as it grew in the last days it will be full on {day}: {remedy}"


def ids_after(known: int, values: int, fields: Fields) -> int:
    """No more ids than this can there be after a day.

    Args:
        known: Ids of the map of the day before, 0 on the first.
        values: Values that the days of the window counted, those of several days several times.
        fields: Of a row.
    """
    table = [MapField.from_config(field) for field in fields]
    buckets = sum(max(field.buckets, len(field.edges) + 1) for field in table if field.kind == "numeric")
    return 1 + known + 2 * len(table) + values + buckets
