"""The pairs of fields of which a model makes the most."""

from collections.abc import Mapping
from typing import Any

SHOWN_PAIRS = 15


def strongest_pairs(pairs: Mapping[str, Any] | None, count: int = SHOWN_PAIRS) -> list[dict[str, Any]]:
    """The pairs by falling size of their strength: `fields`, two names, and `strength`; none of no matrix."""
    if pairs is None:
        return []
    fields, matrix = pairs["fields"], pairs["strength"]
    found = [
        {"fields": [fields[first], fields[second]], "strength": value}
        for second, row in enumerate(matrix)
        for first, value in enumerate(row[:second])
        if value is not None
    ]
    return sorted(found, key=lambda each: -abs(each["strength"]))[:count]
