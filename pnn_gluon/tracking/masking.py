"""What is told to others without the passwords that somebody may have written into it."""

import json
from collections.abc import Mapping
from typing import Any

from pnn_gluon.secrets_masking import masked


def masked_values(told: Any) -> Any:
    """JSON with every text in it masked, names of keys aside.

    >>> masked_values({"why": ["no postgresql://bob:s3cret@db"], "rows": 3})
    {'why': ['no postgresql://bob:***@db'], 'rows': 3}
    """
    if isinstance(told, str):
        return masked(told)
    if isinstance(told, Mapping):
        return {key: masked_values(value) for key, value in told.items()}
    return [masked_values(value) for value in told] if isinstance(told, list | tuple) else told


def masked_json(content: bytes) -> bytes:
    """A JSON file with its texts masked; the very same bytes where there is nothing to mask."""
    told = json.loads(content)
    shown = masked_values(told)
    return content if shown == told else json.dumps(shown, indent=1, sort_keys=True).encode() + b"\n"
