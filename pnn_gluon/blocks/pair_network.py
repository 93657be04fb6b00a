"""A small network of its own for each pair of field vectors."""

import math
from typing import Any

from pnn_gluon.blocks.activation import NORMALIZATION_EPSILON
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pairs import field_pairs, unstack
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import chosen_precision, native_operators
from pnn_gluon.runtime import HybridBlock, Tensor, mx

SUBNET_NORMALIZATIONS = ("fused", "layer", "none")
"""Names that `subnet_normalization` takes."""


class PairNetwork(HybridBlock):
    """f_ij = relu(norm(x_ij W1_ij + b1_ij)) W2_ij + b2_ij for i < j: vectors (B, N, K) -> (B, P D).

    x_ij = [v_i, v_j, v_i * v_j], or [v_i, v_j] without products. The D numbers of a pair are neighbours; pairs come in
    the order 12, 13, 23, 14, 24, 34, ... With u_ij = x_ij W1_ij + b1_ij, `normalization` is

    - fused: (u_ij - mean) / sqrt(var + 1e-5) * gamma + beta with the mean and variance of all P H numbers of the row.
      The gain and the shift are (H,), shared by all pairs: (29) writes them without the index of a sub-network.
    - layer: the same with the mean and variance of the H numbers of the pair, gain and shift (P, H): in (28) they
      have the index.
    - none: u_ij.

    In the plain form every pair is computed alone up to its D outputs, so its tensors (B, H) stay in the processor's
    cache; tensors of all pairs (B, P, H) and batched products are several times slower. The variance is the mean of
    squared differences: the difference of mean squares would be faster and wrong for rows of nearly equal numbers.

    Parameters: `hidden_weight` (P, 3 K, H), or (P, 2 K, H) without products, `hidden_bias` (P, H), `output_weight`
    (P, H, D), `output_bias` (P, D), `gamma`, `beta`. Weights start uniform in ±sqrt(6 / (inputs + outputs)) of their
    layer (Xavier), biases and shifts at 0, gains at 1. With native operators products with W1 are of the precision
    `chosen_precision()`. Source: [PNN] (13), (28-31).

    Args:
        layout: The fields of a row.
        embedding_size: K.
        hidden: H.
        outputs: D.
        products: Whether x_ij has v_i * v_j.
        normalization: One of `SUBNET_NORMALIZATIONS`.
        output_bias: Whether there is b2.

    Raises:
        ConfigError: fewer than two fields, a width below 1, or no normalization of this name.
    """

    def __init__(
        self,
        layout: FieldLayout,
        embedding_size: int,
        hidden: int,
        outputs: int,
        *,
        products: bool = True,
        normalization: str = "fused",
        output_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._pairs, self._fields = field_pairs(layout), layout.fields
        _check(hidden, outputs, normalization)
        self._hidden, self._outputs = hidden, outputs
        self._products, self._normalization = products, normalization
        with self.name_scope():
            self.hidden_weight = self._matrices("hidden_weight", embedding_size * (3 if products else 2), hidden)
            self.hidden_bias = self.params.get("hidden_bias", shape=(layout.pairs, hidden), init="zeros")
            self._add_normalization()
            self.output_weight = self._matrices("output_weight", hidden, outputs)
            if output_bias:
                self.output_bias = self.params.get("output_bias", shape=(layout.pairs, outputs), init="zeros")

    def _matrices(self, name: str, inputs: int, outputs: int) -> Any:
        bound = math.sqrt(6 / (inputs + outputs))
        return self.params.get(name, shape=(len(self._pairs), inputs, outputs), init=mx.init.Uniform(bound))

    def _add_normalization(self) -> None:
        pairs, hidden = len(self._pairs), self._hidden
        if self._normalization == "none":
            return
        shape = (hidden,) if self._normalization == "fused" else (pairs, hidden)
        self.gamma = self.params.get("gamma", shape=shape, init="ones")
        self.beta = self.params.get("beta", shape=shape, init="zeros")

    def hybrid_forward(
        self, F: Any, vectors: Tensor, hidden_weight: Tensor, hidden_bias: Tensor, output_weight: Tensor, **rest: Tensor
    ) -> Tensor:
        """vectors (B, N, K) -> (B, P D)."""
        if native_operators():
            return self._native(F, vectors, hidden_weight, hidden_bias, output_weight, **rest)
        output_bias = rest.pop("output_bias", None)
        inputs = self._inputs(F, vectors)  # P of (B, 3 K)
        units = self._dense(F, inputs, hidden_weight, hidden_bias, self._hidden)  # P of (B, H)
        active = [F.relu(u) for u in self._normalized(F, units, **rest)]  # P of (B, H)
        outputs = self._dense(F, active, output_weight, output_bias, self._outputs)  # P of (B, D)
        return F.concat(*outputs, dim=1)

    def _native(self, F: Any, *inputs: Tensor, **rest: Tensor) -> Tensor:
        """The whole block in one operator, of the inputs that there are."""
        optional = [rest[name] for name in ("output_bias", "gamma", "beta") if name in rest]
        result = F.pnn_pair_network(
            *inputs,
            *optional,
            products=int(self._products),
            output_bias=int("output_bias" in rest),
            normalization=self._normalization,
            epsilon=NORMALIZATION_EPSILON,
            precision=chosen_precision(),
        )
        return result[0] if self._normalization == "fused" else result  # the other output is for the gradients

    def _inputs(self, F: Any, vectors: Tensor) -> list[Tensor]:
        v = unstack(F, vectors, 1, self._fields)  # N of (B, K)
        if self._products:
            return [F.concat(v[i], v[j], v[i] * v[j], dim=1) for i, j in self._pairs]
        return [F.concat(v[i], v[j], dim=1) for i, j in self._pairs]

    def _dense(self, F: Any, inputs: list[Tensor], weight: Tensor, bias: Tensor | None, width: int) -> list[Tensor]:
        """One dense layer for each pair: P of (B, inputs) -> P of (B, width)."""
        weights = unstack(F, F.transpose(weight, axes=(0, 2, 1)), 0, len(inputs))  # P of (width, inputs)
        if bias is None:
            return [
                F.FullyConnected(x, w, num_hidden=width, no_bias=True) for x, w in zip(inputs, weights, strict=True)
            ]
        layers = zip(inputs, weights, unstack(F, bias, 0, len(inputs)), strict=True)
        return [F.FullyConnected(x, w, b, num_hidden=width) for x, w, b in layers]

    def _normalized(self, F: Any, units: list[Tensor], **parameters: Tensor) -> list[Tensor]:
        match self._normalization:
            case "fused":
                return _fused_layer_norm(F, units, self._hidden, **parameters)
            case "layer":
                return _layer_norm(F, units, **parameters)
        return units


def _fused_layer_norm(F: Any, units: list[Tensor], width: int, gamma: Tensor, beta: Tensor) -> list[Tensor]:
    """P of (B, H) -> P of (B, H), normalized over all P H numbers of a row.

    Statistics are repeated over the H columns, by a dense layer of ones: plain sums and products of equal
    shapes are much faster than broadcasting.
    """
    ones = F.broadcast_to(F.ones_like(F.expand_dims(gamma, axis=0)), shape=(width, width))  # (H, H)

    def mean(parts: list[Tensor]) -> Tensor:
        total = F.FullyConnected(F.add_n(*parts), ones, num_hidden=width, no_bias=True)  # (B, H)
        return total / (len(parts) * width)

    centre = mean(units)  # (B, H)
    centred = [u - centre for u in units]  # P of (B, H)
    variance = mean([F.square(c) for c in centred])  # (B, H)
    gain = F.broadcast_mul(F.rsqrt(variance + NORMALIZATION_EPSILON), F.expand_dims(gamma, axis=0))  # (B, H)
    shift = F.broadcast_like(F.expand_dims(beta, axis=0), centre)  # (B, H)
    return [c * gain + shift for c in centred]


def _layer_norm(F: Any, units: list[Tensor], gamma: Tensor, beta: Tensor) -> list[Tensor]:
    """P of (B, H) -> P of (B, H), each normalized alone."""
    parts = zip(units, unstack(F, gamma, 0, len(units)), unstack(F, beta, 0, len(units)), strict=True)
    return [F.LayerNorm(u, gain, shift, eps=NORMALIZATION_EPSILON) for u, gain, shift in parts]


def _check(hidden: int, outputs: int, normalization: str) -> None:
    if hidden < 1 or outputs < 1:
        raise ConfigError(f"subnet_hidden and subnet_outputs must be 1 or more, not {hidden} and {outputs}")
    if normalization not in SUBNET_NORMALIZATIONS:
        raise ConfigError(
            f"subnet_normalization must be one of {', '.join(SUBNET_NORMALIZATIONS)}, not {normalization!r}"
        )
