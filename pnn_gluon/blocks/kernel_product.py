"""Kernel products of all pairs of field vectors: inner products in a space that each pair learns."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import chosen_precision, native_operators
from pnn_gluon.runtime import HybridBlock, Initializer, Tensor, mx

KERNELS = ("matrix", "vector", "number")
"""Names that `kernel` takes."""


class KernelProduct(HybridBlock):
    """p_ij = v_i^T phi_ij v_j for i < j: vectors (B, N, K) -> (B, P), in the order 12, 13, 23, 14, 24, 34, 15, ...

    Each pair of fields has its own kernel phi_ij, by `kernel`:

    - matrix: K x K numbers, p_ij = sum_k sum_l v_ik phi_ijkl v_jl
    - vector: K numbers, the diagonal of such a matrix, p_ij = sum_k phi_ijk v_ik v_jk
    - number: one number, p_ij = phi_ij <v_i, v_j>

    Kernels start as the identity plus noise, uniform in ±sqrt(3 / K) / 10: a product starts near the inner product, of
    which kernels are the generalization, and no two pairs have the same kernel. They are one parameter `weight`,
    (P, K, K), (P, K) or (P, 1), in the order of the pairs; `weight_decay` draws it to 0. With native operators and
    `chosen_precision()` bf16, products with matrices are of bfloat16; else of float32.
    Source: [PNN] (7-11) and (24); kernel types mat, vec and num of its authors' code.

    Args:
        layout: The fields of a row.
        embedding_size: K.
        kernel: One of `KERNELS`.

    Raises:
        ConfigError: fewer than two fields, or an unknown kernel.
    """

    def __init__(self, layout: FieldLayout, embedding_size: int, kernel: str = "matrix", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if layout.pairs < 1:
            raise ConfigError(f"kernel products need two fields or more, not {layout.names}: take model 'lr'")
        if kernel not in KERNELS:
            raise ConfigError(f"kernel must be one of {', '.join(KERNELS)}, not {kernel!r}")
        self._kernel = kernel
        self._products = {"matrix": _matrix_products, "vector": _vector_products, "number": _number_products}[kernel]
        self._fields, self._embedding_size = layout.fields, embedding_size
        size = {"matrix": (embedding_size, embedding_size), "vector": (embedding_size,), "number": (1,)}[kernel]
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(layout.pairs, *size), init=_NearIdentity(embedding_size))

    def hybrid_forward(self, F: Any, vectors: Tensor, weight: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B, P)."""
        if native_operators():
            return F.pnn_kernel_products(vectors, weight, kernel=self._kernel, precision=chosen_precision())
        return self._products(F, vectors, weight, self._fields, self._embedding_size)


def _matrix_products(F: Any, vectors: Tensor, weight: Tensor, fields: int, size: int) -> Tensor:
    """(B, N, K), (P, K, K) -> (B, P): for each second field one matrix product with the kernels of all its pairs."""
    rows = F.reshape(weight, shape=(-1, size))  # (P K, K)
    ones = F.ones_like(F.slice_axis(rows, axis=0, begin=0, end=1))  # (1, K)
    products = []
    for j, before, v_j in _second_fields(F, vectors, fields, size):
        kernels = _kernels_of(F, rows, j, size)  # (j K, K)
        projected = F.FullyConnected(v_j, kernels, num_hidden=j * size, no_bias=True)  # (B, j K)
        terms = F.reshape(before * projected, shape=(-1, size))  # (B j, K)
        sums = F.FullyConnected(terms, ones, num_hidden=1, no_bias=True)  # (B j, 1); `sum` is several times slower
        products.append(F.reshape(sums, shape=(-1, j, 1)))  # (B, j, 1)
    return _in_order(F, products)  # (B, P)


def _vector_products(F: Any, vectors: Tensor, weight: Tensor, fields: int, size: int) -> Tensor:
    """(B, N, K), (P, K) -> (B, P): for each second field the inner products with all scaled vectors before it."""
    rows = F.reshape(weight, shape=(-1, 1))  # (P K, 1)
    products = []
    for j, before, v_j in _second_fields(F, vectors, fields, size):
        scaled = before * _for_all_rows(F, _kernels_of(F, rows, j, size), j * size, v_j)  # (B, j K)
        scaled = F.reshape(scaled, shape=(0, -1, size))  # (B, j, K)
        products.append(F.batch_dot(scaled, F.expand_dims(v_j, axis=2)))  # (B, j, 1)
    return _in_order(F, products)  # (B, P)


def _number_products(F: Any, vectors: Tensor, weight: Tensor, fields: int, size: int) -> Tensor:
    """(B, N, K), (P, 1) -> (B, P): scaled inner products."""
    gram = F.batch_dot(vectors, vectors, transpose_b=True)  # (B, N, N)
    inner = F.linalg.extracttrian(gram, offset=-1)  # (B, P)
    return inner * _for_all_rows(F, weight, fields * (fields - 1) // 2, inner)  # (B, P)


def _second_fields(F: Any, vectors: Tensor, fields: int, size: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The last field down to the second: its number j from 0, vectors before it (B, j K), its own (B, K).

    Each time the vectors before are cut from the last ones, as the gradient of a slice is as large as what it is
    a slice of.
    """
    before = F.reshape(vectors, shape=(0, -1))  # (B, N K)
    for j in range(fields - 1, 0, -1):
        v_j = F.slice_axis(before, axis=1, begin=j * size, end=(j + 1) * size)
        before = F.slice_axis(before, axis=1, begin=0, end=j * size)
        yield j, before, v_j


def _in_order(F: Any, products: list[Tensor]) -> Tensor:
    """Products of the last field down to the second, (B, j, 1) each -> (B, P).

    Joined with three axes: after batch normalization of fewer rows than pairs, MXNet 1.9 gives the gradient of
    tensors joined with two in a memory layout that it then fails to read.
    """
    return F.reshape(F.concat(*reversed(products), dim=1), shape=(0, -1))


def _kernels_of(F: Any, rows: Tensor, j: int, size: int) -> Tensor:
    """Rows of the kernels of field j (from 0) with all fields before it: (P K, any) -> (j K, any)."""
    first = j * (j - 1) // 2
    return F.slice_axis(rows, axis=0, begin=first * size, end=(first + j) * size)


def _for_all_rows(F: Any, column: Tensor, width: int, batch: Tensor) -> Tensor:
    """A column (width, 1) as each of B rows (B, width): a dense layer, as broadcasting backward is much slower."""
    ones = F.ones_like(F.slice_axis(batch, axis=1, begin=0, end=1))  # (B, 1)
    return F.FullyConnected(ones, column, num_hidden=width, no_bias=True)  # (B, width)


class _NearIdentity(Initializer):
    """Identity matrices, vectors of ones, or ones, plus noise: a tenth of what Xavier's K x K matrices would be."""

    def __init__(self, size: int) -> None:
        super().__init__(size=size)
        self._bound = math.sqrt(3 / size) / 10

    def _init_weight(self, name: str, array: Tensor) -> None:
        identity = np.eye(array.shape[-1]) if array.ndim == 3 else np.ones(array.shape[-1])
        mx.nd.random.uniform(-self._bound, self._bound, out=array)
        array[:] = array + mx.nd.array(identity[None])
