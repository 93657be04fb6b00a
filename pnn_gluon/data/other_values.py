"""How much of the rows of a day is read as *other*: values that are rare, that no map knows, or whose ids expired."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pnn_gluon.arrays import Ids
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.shards import CHUNK_ROWS, SHARES, Labels, Shard, open_shard


def other_shares(feature_map: FeatureMap, shards: Sequence[Path]) -> dict[str, float]:
    """By field the share of the impressions of which it is *other*, or one of their values; empty without rows.

        (full + kept / rate) of those that are other / (full + kept / rate) of all

    Of rows that sampling left out there are as many as of those like them that it kept: `kept` are the negatives of
    the train share, `rate` theirs, `full` all other rows.

    Args:
        feature_map: by which the shards are read.
        shards: of the day.
    """
    other = np.array([feature_map.other_id(field) for field in range(feature_map.layout.fields)], np.int32)
    repeated, starts = other.repeat(feature_map.layout.widths), np.array(feature_map.layout.starts)
    counts = np.zeros((2, 1 + len(other)), np.int64)  # full and kept; all of them, and those that are other by field
    rate = 1.0
    for path in shards:
        with open_shard(path) as shard:
            rate = shard.rate
            for share in SHARES:
                for ids, label, weight in _batches(shard, share):
                    is_other = np.logical_or.reduceat(ids == repeated, starts, axis=1)  # (B, N)
                    kept = (label == 0) & (share == "train")
                    for row, chosen in enumerate((~kept, kept)):
                        found = weight[chosen] @ is_other[chosen].astype(np.int64)  # (N,)
                        counts[row] += [weight[chosen].sum(), *found]
    total, *others = (counts[0] + counts[1] / rate).tolist()
    return {name: found / total for name, found in zip(feature_map.layout.names, others, strict=True)} if total else {}


def _batches(shard: Shard, share: str) -> Iterator[tuple[Ids, Labels, npt.NDArray[np.int64]]]:
    """Ids, labels and weights of a share."""
    for start in range(0, shard.rows(share), CHUNK_ROWS):
        ids, label = shard.read(share, start, start + CHUNK_ROWS)
        weight = shard.weights(share, start, start + CHUNK_ROWS)
        yield ids, label, np.ones(len(ids), np.int64) if weight is None else weight.astype(np.int64)
