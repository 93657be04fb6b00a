"""The pairs of fields of which a model makes the most."""

from collections.abc import Mapping
from typing import Any

SHOWN_PAIRS = 15


def strongest_pairs(pairs: Mapping[str, Any] | None, count: int = SHOWN_PAIRS) -> list[dict[str, Any]]:
    """The pairs by falling spread over the rows, where it is known, else by falling size of their strength.

    Args:
        pairs: See `pnn_gluon.explaining.pair_strength`; None for a model that has none.
        count: How many.

    Returns:
        `fields`, two names, `strength` and `spread` of each; `spread` is None where it is not known.
    """
    if pairs is None:
        return []
    fields, strength, spread = pairs["fields"], pairs["strength"], pairs["spread"]
    found = [
        {
            "fields": [fields[first], fields[second]],
            "strength": strength[second][first],
            "spread": None if spread is None else spread[second][first],
        }
        for second in range(len(fields))
        for first in range(second)
    ]
    by = "strength" if spread is None else "spread"
    return sorted(found, key=lambda each: -abs(each[by]))[:count]
