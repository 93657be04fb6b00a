"""How strongly a model lets each pair of fields interact, one number a pair. Source: [PNN] 5.3.

With the mean embedding of a field, v_i = sum_id n_id v_id / sum_id n_id over the ids of field i, the number of the pair
i < j is by model

- <v_i, v_j>: fm, hofm (its second order), deepfm, fm_dnn, ipnn, pnn_star
- v_i^T phi_ij v_j: kfm, kpnn
- <v_ij, v_ji>, of mean field-aware vectors: ffm
- mean over rows and outputs of |f_ij(v_i, v_j)|: nifm, pin

n_id is how often the id stands in the rows; without rows it is 1, as in the paper. Signed numbers push the logit up or
down in the sum of a factorization machine; in a network above them only their size tells something.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats, Ids
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pairs import field_pairs
from pnn_gluon.models.declared import is_own
from pnn_gluon.runtime import HybridBlock, mx

BATCH_ROWS = 2048
"""Rows that go through the sub-networks at once."""


@dataclass(frozen=True)
class PairStrength:
    """A number for each pair of fields.

    Attributes:
        kind: What the numbers are, in words.
        fields: The fields in order.
        strength: (N, N), symmetric; None on the diagonal, as a field does not interact with itself.
    """

    kind: str
    fields: tuple[str, ...]
    strength: list[list[float | None]]


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a network is looked at with.

    Attributes:
        layout: The fields of a row.
        field_of: Index of the field of each id (V,), -1 for padding.
        ids: Of the rows (B, S); B may be 0.
    """

    layout: FieldLayout
    field_of: NDArray[np.int16]
    ids: Ids

    @property
    def counts(self) -> Floats:
        """n_id (V,)."""
        if not len(self.ids):
            return np.ones(self.field_of.size)
        return np.bincount(self.ids.ravel(), minlength=self.field_of.size).astype(np.float64)

    def mean_embeddings(self, net: HybridBlock) -> Floats:
        """v_i (N, width of the table) of the block `embedding`."""
        table = net.embedding.embedding_weight.data().asnumpy()  # (V, width)
        return mean_embeddings(table, self.field_of, self.counts, self.layout.fields)


def mean_embeddings(table: Floats, field_of: NDArray[np.int16], counts: Floats, fields: int) -> Floats:
    """The mean vector of the ids of each field, each as often as it counts.

    Args:
        table: A vector for each id (V, K).
        field_of: Index of the field of each id (V,), -1 for padding.
        counts: n_id (V,); padding counts nothing.
        fields: N.

    Returns:
        float64 (N, K); zeros for a field whose ids all count nothing.
    """
    means = np.zeros((fields, table.shape[1]))
    for field in range(fields):
        counted = np.flatnonzero((field_of == field) & (counts > 0))
        if counted.size:
            weight = counts[counted] / counts[counted].sum()
            means[field] = np.einsum("v,vk->k", weight, table[counted].astype(np.float64))
    return means


def pair_strength(
    model: str, net: HybridBlock, layout: FieldLayout, field_of: NDArray[np.int16], ids: Ids
) -> PairStrength | str:
    """The strength of every pair of fields, or in words why this model has none.

    Args:
        model: Its name.
        net: Its network, see `pnn_gluon.explaining.network`.
        layout: The fields of a row.
        field_of: Index of the field of each id (V,), -1 for padding.
        ids: Of rows (B, S), by which ids count; there may be none.
    """
    if is_own(model):
        return f"{model} is a model of your own, whose parts are not known"
    if model not in _KINDS:
        return f"{model} has no number for a pair of fields by itself"
    if layout.pairs < 1:
        return f"a single field, {layout.names[0]}, has no partner"
    kind, strength = _KINDS[model]
    if strength is _sub_networks and not len(ids):
        return f"the sub-networks of {model} are told by their outputs on rows, and there are no rows"
    return PairStrength(kind, layout.names, _symmetric(layout, strength(net, _Seen(layout, field_of, ids))))


def _symmetric(layout: FieldLayout, values: Floats) -> list[list[float | None]]:
    """Numbers of the pairs (P,) in the order of `field_pairs` as a matrix."""
    matrix: list[list[float | None]] = [[None] * layout.fields for _ in layout.names]
    for (i, j), value in zip(field_pairs(layout), values.tolist(), strict=True):
        matrix[i][j] = matrix[j][i] = value
    return matrix


def _inner_products(net: HybridBlock, seen: _Seen) -> Floats:
    v = seen.mean_embeddings(net)  # (N, K)
    return np.array([v[i] @ v[j] for i, j in field_pairs(seen.layout)])


def _kernel_products(net: HybridBlock, seen: _Seen) -> Floats:
    mean = seen.mean_embeddings(net)  # (N, K)
    v = mean * net.sizes(mx.nd.ones((1, *mean.shape))).asnumpy()[0]
    product = net.product[0] if isinstance(net.product, mx.gluon.nn.HybridSequential) else net.product
    kernels = product.weight.data().asnumpy().astype(np.float64)  # (P, K, K), (P, K) or (P, 1)
    pairs = enumerate(field_pairs(seen.layout))
    if kernels.ndim == 3:
        return np.array([v[i] @ kernels[p] @ v[j] for p, (i, j) in pairs])
    return np.array([(kernels[p] * v[i]) @ v[j] for p, (i, j) in pairs])


def _field_aware_products(net: HybridBlock, seen: _Seen) -> Floats:
    fields = seen.layout.fields
    v = seen.mean_embeddings(net).reshape(fields, fields - 1, -1)  # (N, N-1, K); v_ij as `FieldAwareProduct` has them
    return np.array([v[i, j - 1] @ v[j, i] for i, j in field_pairs(seen.layout)])


def _sub_networks(net: HybridBlock, seen: _Seen) -> Floats:
    total = np.zeros(seen.layout.pairs)
    for start in range(0, len(seen.ids), BATCH_ROWS):
        vectors = net.embedding(mx.nd.array(seen.ids[start : start + BATCH_ROWS], dtype="int32"))  # (B, N, K)
        vectors = net.sizes(vectors) if hasattr(net, "sizes") else vectors
        outputs = net.product(vectors).asnumpy()  # (B, P D)
        outputs = np.abs(outputs.reshape(len(outputs), seen.layout.pairs, -1), dtype=np.float64)
        total += outputs.mean(axis=2).sum(axis=0)
    return total / len(seen.ids)


_Kind = tuple[str, Callable[[HybridBlock, _Seen], Floats]]
_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        **dict.fromkeys(
            ("fm", "hofm", "deepfm", "fm_dnn", "ipnn", "pnn_star"),
            ("inner products of mean embeddings", _inner_products),
        ),
        **dict.fromkeys(("kfm", "kpnn"), ("kernel products of mean embeddings", _kernel_products)),
        "ffm": ("inner products of mean field-aware embeddings", _field_aware_products),
        **dict.fromkeys(("nifm", "pin"), ("mean absolute outputs of sub-networks", _sub_networks)),
    }
)
