"""How a row of ids is divided into fields."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Self

from pnn_gluon.errors import ConfigError


@dataclass(frozen=True)
class FieldLayout:
    """The fields of a row of ids, in order: field i owns `widths[i]` neighbouring slots.

    A single-valued field has width 1; a multi-valued field has the width of its longest list, unused slots hold
    the padding id 0. N = fields, S = slots = sum of the widths, P = pairs = N (N - 1) / 2.

    >>> layout = FieldLayout.from_widths({"site": 1, "tags": 3})
    >>> layout.fields, layout.slots, layout.pairs
    (2, 4, 1)

    Raises:
        ConfigError: no fields, a name that is empty or double, or a width below 1.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.names or len(self.names) != len(self.widths):
            raise ConfigError(
                f"a field layout needs one width for each of one or more fields, "
                f"not {len(self.names)} names and {len(self.widths)} widths"
            )
        for name, width in zip(self.names, self.widths, strict=True):
            if not name or self.names.count(name) > 1:
                raise ConfigError(f"field names must be unique and not empty, not {name!r} in {self.names}")
            if isinstance(width, bool) or not isinstance(width, int) or width < 1:
                raise ConfigError(f"field {name!r}: the width must be an integer of 1 or more, not {width!r}")

    @classmethod
    def from_widths(cls, widths: Mapping[str, int]) -> Self:
        """Layout of the named fields in the order of the mapping."""
        return cls(tuple(widths), tuple(widths.values()))

    @classmethod
    def single_valued(cls, names: tuple[str, ...]) -> Self:
        """Layout of single-valued fields."""
        return cls(tuple(names), (1,) * len(names))

    @property
    def fields(self) -> int:
        """Number of fields N."""
        return len(self.names)

    @property
    def slots(self) -> int:
        """Number of id slots S of a row."""
        return sum(self.widths)

    @property
    def pairs(self) -> int:
        """Number of unordered pairs of different fields P."""
        return self.fields * (self.fields - 1) // 2

    @property
    def has_multi_valued(self) -> bool:
        """Whether any field has more than one slot."""
        return self.slots > self.fields

    @property
    def starts(self) -> tuple[int, ...]:
        """First slot of each field."""
        return tuple(accumulate(self.widths, initial=0))[:-1]

    def runs(self) -> Iterator[tuple[int, int, bool]]:
        """Neighbouring single-valued fields together and each multi-valued field alone: (start, end, multi)."""
        begin = 0
        for start, width in zip(self.starts, self.widths, strict=True):
            if width > 1:
                if begin < start:
                    yield begin, start, False
                yield start, start + width, True
                begin = start + width
        if begin < self.slots:
            yield begin, self.slots, False


def adaptive_sizes(vocabulary: Sequence[int], c: float, embedding_size: int) -> tuple[int, ...]:
    """k_i = min(c log V_i, K), rounded up, at least 1, for fields with V_i values. Source: [PNN] Table 7."""
    return tuple(max(1, min(math.ceil(c * math.log(max(v, 1))), embedding_size)) for v in vocabulary)
