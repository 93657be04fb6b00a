"""How far the ids of a small batch are from their distribution, with and without dropout of the input.

The experiment of [PNN] 4.4.2 and Figure 10. A row holds 10 ids out of N, drawn without replacement from a fixed
distribution; P(i) is the share of id i in a batch, Q(i) its share in all rows, and the bias of the batch is
KL(Q || P) = sum_i Q(i) log((Q(i) + 1e-8) / (P(i) + 1e-8)).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats

STABILITY = 1e-8
ROW_IDS = 10
_CHUNK = 2000


@dataclass(frozen=True)
class BiasPoint:
    """Mean bias of batches of a size, over N ids, with that share of the ids dropped."""

    ids: int
    batch_size: int
    dropout: float
    bias: float


def draw_rows(ids: int, rows: int, seed: int) -> NDArray[np.int32]:
    """Rows (rows, 10) of distinct ids below `ids`; how likely each id is is drawn from the seed too.

    The ten largest of log Q(i) + Gumbel noise are a draw without replacement (Vieira, 2014).
    """
    random = np.random.default_rng(seed)
    log_share = np.log(random.dirichlet(np.ones(ids)))
    chunks = [
        np.argpartition(-(log_share + random.gumbel(size=(min(_CHUNK, rows - first), ids))), ROW_IDS, axis=1)
        for first in range(0, rows, _CHUNK)
    ]
    drawn: NDArray[np.int32] = np.concatenate([chunk[:, :ROW_IDS] for chunk in chunks]).astype(np.int32)
    return drawn


def batch_bias(
    rows: NDArray[np.int32], ids: int, batch_size: int, *, dropout: float = 0.0, batches: int = 100, seed: int = 1
) -> float:
    """Mean KL divergence between the ids of all rows and those of a random batch.

    With dropout, each row of a batch loses each id with that probability, and what is left weighs 1 / (1 - dropout).
    """
    random = np.random.default_rng((seed, batch_size))
    everywhere = _shares(rows, np.ones(rows.shape), ids)
    divergences = []
    for _ in range(batches):
        batch = rows[random.choice(len(rows), batch_size, replace=False)]
        kept = (random.random(batch.shape) >= dropout) / (1 - dropout)
        divergences.append(_divergence(everywhere, _shares(batch, kept, ids)))
    return float(np.mean(divergences))


def bias_curves(
    ids: tuple[int, ...], dropouts: tuple[float, ...], batch_sizes: tuple[int, ...], *, rows: int, seed: int = 1
) -> Iterator[BiasPoint]:
    """The points of Figure 10 (a) for several N without dropout, or (b) for one N with several."""
    for count in ids:
        drawn = draw_rows(count, rows, seed)
        for dropout in dropouts:
            for size in batch_sizes:
                yield BiasPoint(count, size, dropout, batch_bias(drawn, count, size, dropout=dropout, seed=seed))


def _shares(rows: NDArray[np.int32], weight: Floats, ids: int) -> Floats:
    counts = np.bincount(rows.ravel(), weights=weight.ravel(), minlength=ids)
    shares: Floats = counts / counts.sum()
    return shares


def _divergence(q: Floats, p: Floats) -> float:
    return float(np.sum(q * np.log((q + STABILITY) / (p + STABILITY))))
