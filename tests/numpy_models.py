"""Oracles: the equations of blocks and models in float64 numpy, and gradients by finite differences."""

from collections.abc import Callable, Iterator

import numpy as np

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import mx

Arrays = dict[str, np.ndarray]

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
}


def field_values(layout: FieldLayout, row: np.ndarray) -> Iterator[list[int]]:
    """Ids of each field of one row, without padding."""
    for start, width in zip(layout.starts, layout.widths, strict=True):
        yield [i for i in row[start : start + width] if i != 0]


def field_vectors(layout: FieldLayout, ids: np.ndarray, table: np.ndarray) -> np.ndarray:
    """(B, S), (V, K) -> (B, N, K)."""
    nothing = np.zeros(table.shape[1])
    return np.array(
        [[table[values].mean(axis=0) if values else nothing for values in field_values(layout, row)] for row in ids]
    )


def linear(layout: FieldLayout, ids: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(B, S) -> (B,)."""
    return field_vectors(layout, ids, weight)[:, :, 0].sum(axis=1) + bias[0]


def inner_products(v: np.ndarray) -> np.ndarray:
    """(B, N, K) -> (B, P), in the order 12, 13, 23, 14, 24, 34, ..."""
    return np.array([[x[i] @ x[j] for j in range(len(x)) for i in range(j)] for x in v])


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """(B, H) -> (B, H)."""
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * gamma + beta


def batch_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """(B, H) -> (B, H), with the statistics of the batch."""
    centred = x - x.mean(axis=0)
    return centred / np.sqrt((centred**2).mean(axis=0) + 1e-5) * gamma + beta


def prelu(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """(B, H) -> (B, H)."""
    return np.where(x > 0, x, slope * x)


def dice(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """(B, H) -> (B, H), with the statistics of the batch."""
    p = 1 / (1 + np.exp(-batch_norm(x, np.ones(x.shape[1]), np.zeros(x.shape[1]))))
    return p * x + (1 - p) * slope * x


NORMALIZATIONS = {"layer": layer_norm, "batch": batch_norm}


def activate(x: np.ndarray, name: str, values: Arrays) -> np.ndarray:
    """(B, H) -> (B, H); `slope` is in the values of activations that learn it."""
    if name in ACTIVATIONS:
        return ACTIVATIONS[name](x)
    return {"prelu": prelu, "dice": dice}[name](x, values["slope"])


def within(values: Arrays, prefix: str) -> Arrays:
    """The values of one block, by their names in it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in values.items() if name.startswith(f"{prefix}.")}


def normalize(x: np.ndarray, name: str, values: Arrays) -> np.ndarray:
    """(B, H) -> (B, H); `gamma` and `beta` are in the values unless the name is `none`."""
    return x if name == "none" else NORMALIZATIONS[name](x, values["gamma"], values["beta"])


def mlp(
    x: np.ndarray, values: Arrays, hidden: int, activation: str = "tanh", normalization: str = "none"
) -> np.ndarray:
    """(B, inputs) -> (B, outputs); values are named `layers.<n>.<part>` in the order of the layers (no dropout)."""
    layer = 0
    for _ in range(hidden):
        x = x @ values[f"layers.{layer}.weight"].T + values[f"layers.{layer}.bias"]
        if normalization != "none":
            layer += 1
            x = normalize(x, normalization, within(values, f"layers.{layer}"))
        if activation != "relu" or normalization == "batch":  # ReLU is part of a dense layer or a LayerNorm before it
            layer += 1
        x = activate(x, activation, within(values, f"layers.{layer}"))
        layer += 1
    return x @ values[f"layers.{layer}.weight"].T + values[f"layers.{layer}.bias"]


def finite_differences(function: Callable[[Arrays], float], values: Arrays, step: float = 1e-6) -> Arrays:
    """Central differences of a scalar function of arrays."""
    gradients = {name: np.empty_like(value) for name, value in values.items()}
    for name, value in values.items():
        for where in np.ndindex(*value.shape):
            kept = value[where]
            value[where] = kept + step
            above = function(values)
            value[where] = kept - step
            gradients[name][where] = (above - function(values)) / (2 * step)
            value[where] = kept
    return gradients


def randomize(net: object, seed: int) -> Arrays:
    """Give every trainable parameter random values; return them in float64 by structural name."""
    random = np.random.default_rng(seed)
    net.initialize(force_reinit=True)
    values = {}
    for name, parameter in trainable(net).items():
        values[name] = random.normal(0, 0.5, parameter.shape).astype(np.float32).astype(np.float64)
        parameter.set_data(mx.nd.array(values[name]))
    return values


def trainable(net: object) -> dict:
    """Parameters with gradients by structural name."""
    parameters = net._collect_params_with_prefix()
    return {name: parameter for name, parameter in parameters.items() if parameter.grad_req != "null"}


def gradients(net: object) -> Arrays:
    """Dense gradients by structural name."""
    return {name: parameter.grad().tostype("default").asnumpy() for name, parameter in trainable(net).items()}


def backward(net: object, inputs: list, weights: np.ndarray) -> np.ndarray:
    """Outputs of the net; leaves the gradients of sum(outputs * weights) in its parameters and inputs."""
    with mx.autograd.record():
        output = net(*inputs)
        total = (output * mx.nd.array(weights)).sum()
    total.backward()
    return output.asnumpy()


def int32(ids: np.ndarray) -> object:
    """Ids as MXNet takes them."""
    return mx.nd.array(ids, dtype="int32")


def check_vectors(
    net: object, oracle: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], hybrid: bool
) -> None:
    """A block without trained parameters equals its oracle on random vectors of a shape, and so do its gradients."""
    random = np.random.default_rng(1)
    v = random.normal(size=shape).astype(np.float32).astype(np.float64)
    weights = random.normal(size=oracle(v).shape)
    net.initialize()
    net.hybridize(active=hybrid)
    x = mx.nd.array(v)
    x.attach_grad()
    np.testing.assert_allclose(backward(net, [x], weights), oracle(v), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda values: (oracle(values["v"]) * weights).sum(), {"v": v})["v"]
    np.testing.assert_allclose(x.grad.asnumpy(), expected, rtol=1e-3, atol=1e-4)
