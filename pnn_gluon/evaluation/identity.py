"""Numbers that stand for texts: the same for the same text in every process, on every machine."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Identities: TypeAlias = NDArray[np.uint64]
"""What rows or clusters are known by, (B,)."""


def text_identities(texts: Iterable[str]) -> Identities:
    """The first 64 bits of the BLAKE2b hash of each text (B,): two of a billion texts share one with chance 3 %."""
    digests = b"".join(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def value_identities(values: Iterable[str | None]) -> Identities:
    """The values of a field (B,); rows without one share one identity."""
    return text_identities("missing" if value is None else f"value {value}" for value in values)


def unit_identities(row_ids: Sequence[str], clusters: Sequence[str | None] | None = None) -> Identities:
    """What rows (B,) are drawn by: their cluster; the row itself where it has none, or there are no clusters."""
    if clusters is None:
        return text_identities(row_ids)
    named = zip(row_ids, clusters, strict=True)
    return text_identities(f"row {row}" if cluster is None else f"cluster {cluster}" for row, cluster in named)
