"""How strongly a model lets each pair of fields interact, one number a pair. Source: [PNN] 5.3.

With the mean embedding of a field, m_i = sum_id n_id v_id / sum_id n_id over the ids of field i, the strength of the
pair i < j is by model

- <m_i, m_j>: fm, hofm (its second order), deepfm, fm_dnn, ipnn, pnn_star
- m_i^T phi_ij m_j: kfm, kpnn
- <m_ij, m_ji>, of mean field-aware vectors: ffm
- mean over rows and outputs of |f_ij(v_i, v_j)|: nifm, pin

n_id is how often the id stands in the rows; without rows it is 1, as in the paper. Rows count by their weights, if they
have some, here and in all means. Signed numbers push the logit up or down in the sum of a factorization machine; in a
network above them only their size tells something.

What averages out over the values of a field is not in the mean. So products have a spread as well: the standard
deviation over the rows of the same product of v_i - mean v_i and v_j - mean v_j, which is what the pair tells beyond
either field.
"""

from collections.abc import Callable, Iterator, Mapping
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
"""Rows that are looked at together."""

Numbers = list[list[float | None]]
"""(N, N), symmetric; None on the diagonal, as a field does not interact with itself."""


@dataclass(frozen=True)
class PairStrength:
    """A number for each pair of fields.

    Attributes:
        kind: What the numbers are, in words.
        fields: The fields in order.
        strength: The numbers of the paper's heat map.
        spread: The spread of products over the rows; None for sub-networks, and without rows.
    """

    kind: str
    fields: tuple[str, ...]
    strength: Numbers
    spread: Numbers | None


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
    model: str,
    net: HybridBlock,
    layout: FieldLayout,
    field_of: NDArray[np.int16],
    ids: Ids,
    weight: Floats | None = None,
) -> PairStrength | str:
    """The strength of every pair of fields, or in words why this model has none.

    Args:
        model: Its name.
        net: Its network, see `pnn_gluon.explaining.network`.
        layout: The fields of a row.
        field_of: Index of the field of each id (V,), -1 for padding.
        ids: Of rows (B, S), by which ids count; there may be none.
        weight: How many impressions each of these stands for (B,); None where each is one.
    """
    if (reason := _missing(model, layout, len(ids))) is not None:
        return reason
    weight = np.ones(len(ids)) if weight is None else weight
    if model in _SUB_NETWORKS:
        outputs = _sub_networks(net, layout, ids, weight)
        return PairStrength("mean absolute outputs of sub-networks", layout.names, _symmetric(layout, outputs), None)
    kind, products = _PRODUCTS[model]
    means = _means(net, layout, field_of, ids, weight)
    strength = _symmetric(layout, products(net, layout, means[None])[0])
    spread = _symmetric(layout, _spread(net, layout, products, ids, weight)) if len(ids) else None
    return PairStrength(kind, layout.names, strength, spread)


def _missing(model: str, layout: FieldLayout, rows: int) -> str | None:
    """Why a model has no strength of pairs; None where it has."""
    if is_own(model):
        return f"{model} is a model of your own, whose parts are not known"
    if model not in _PRODUCTS and model not in _SUB_NETWORKS:
        return f"{model} has no number for a pair of fields by itself"
    if layout.pairs < 1:
        return f"a single field, {layout.names[0]}, has no partner"
    if model in _SUB_NETWORKS and not rows:
        return f"the sub-networks of {model} are told by their outputs on rows, and there are no rows"
    return None


def _symmetric(layout: FieldLayout, values: Floats) -> Numbers:
    """Numbers of the pairs (P,) in the order of `field_pairs` as a matrix."""
    matrix: Numbers = [[None] * layout.fields for _ in layout.names]
    for (i, j), value in zip(field_pairs(layout), values.tolist(), strict=True):
        matrix[i][j] = matrix[j][i] = value
    return matrix


def _means(net: HybridBlock, layout: FieldLayout, field_of: NDArray[np.int16], ids: Ids, weight: Floats) -> Floats:
    """m_i (N, width of the table) of the block `embedding`."""
    table = np.concatenate([part.data().asnumpy() for part in net.embedding.parts])  # (V, width)
    each = np.repeat(weight, ids.shape[1])
    counts = np.bincount(ids.ravel(), each, len(table)).astype(np.float64) if len(ids) else np.ones(len(table))
    return mean_embeddings(table, field_of, counts, layout.fields)


def _spread(net: HybridBlock, layout: FieldLayout, products: "_Products", ids: Ids, weight: Floats) -> Floats:
    """The standard deviation of each pair's product of centred vectors over the rows by their weights (P,)."""
    total = weight.sum()
    mean = sum((each * vectors.T).T.sum(axis=0) for vectors, each in _field_vectors(net, ids, weight)) / total  # (N, K)
    first = second = np.zeros(layout.pairs)
    for vectors, each in _field_vectors(net, ids, weight):
        found = products(net, layout, vectors - mean)  # (B, P)
        first = first + (each[:, None] * found).sum(axis=0)
        second = second + (each[:, None] * np.square(found)).sum(axis=0)
    variance: Floats = second / total - np.square(first / total)
    deviation: Floats = np.sqrt(np.maximum(variance, 0))
    return deviation


def _field_vectors(net: HybridBlock, ids: Ids, weight: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Vectors of the fields of some rows at a time (B, N, K), and their weights (B,)."""
    for start in range(0, len(ids), BATCH_ROWS):
        batch = mx.nd.array(ids[start : start + BATCH_ROWS], dtype="int32")
        yield net.embedding(batch).asnumpy().astype(np.float64), weight[start : start + BATCH_ROWS]


def _inner_products(net: HybridBlock, layout: FieldLayout, v: Floats) -> Floats:
    """(B, N, K) -> (B, P)."""
    return np.stack([np.einsum("bk,bk->b", v[:, i], v[:, j]) for i, j in field_pairs(layout)], axis=1)


def _kernel_products(net: HybridBlock, layout: FieldLayout, v: Floats) -> Floats:
    """(B, N, K) -> (B, P)."""
    v = v * net.sizes(mx.nd.ones((1, *v.shape[1:]))).asnumpy()
    product = net.product[0] if isinstance(net.product, mx.gluon.nn.HybridSequential) else net.product
    kernels = product.weight.data().asnumpy().astype(np.float64)  # (P, K, K), (P, K) or (P, 1)
    found = []
    for kernel, (i, j) in zip(kernels, field_pairs(layout), strict=True):
        projected = v[:, i] @ kernel if kernel.ndim == 2 else v[:, i] * kernel
        found.append(np.einsum("bk,bk->b", projected, v[:, j]))
    return np.stack(found, axis=1)


def _field_aware_products(net: HybridBlock, layout: FieldLayout, v: Floats) -> Floats:
    """(B, N, (N-1) K) -> (B, P), v_ij in the order that `FieldAwareProduct` has."""
    v = v.reshape(len(v), layout.fields, layout.fields - 1, -1)
    return np.stack([np.einsum("bk,bk->b", v[:, i, j - 1], v[:, j, i]) for i, j in field_pairs(layout)], axis=1)


def _sub_networks(net: HybridBlock, layout: FieldLayout, ids: Ids, weight: Floats) -> Floats:
    """(B, S), (B,) -> (P,)."""
    total = np.zeros(layout.pairs)
    for found, each in _field_vectors(net, ids, weight):
        vectors = mx.nd.array(found)
        vectors = net.sizes(vectors) if hasattr(net, "sizes") else vectors
        outputs = net.product(vectors).asnumpy()  # (B, P D)
        size = np.abs(outputs.reshape(len(outputs), layout.pairs, -1), dtype=np.float64).mean(axis=2)  # (B, P)
        total += (each[:, None] * size).sum(axis=0)
    mean: Floats = total / weight.sum()
    return mean


_Products = Callable[[HybridBlock, FieldLayout, Floats], Floats]
_PRODUCTS: Mapping[str, tuple[str, _Products]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("fm", "hofm", "deepfm", "fm_dnn", "ipnn", "pnn_star"),
            ("inner products of mean embeddings", _inner_products),
        ),
        **dict.fromkeys(("kfm", "kpnn"), ("kernel products of mean embeddings", _kernel_products)),
        "ffm": ("inner products of mean field-aware embeddings", _field_aware_products),
    }
)
_SUB_NETWORKS = frozenset({"nifm", "pin"})
