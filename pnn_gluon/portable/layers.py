"""Operators with weights, products of matrices, and those that sum up."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from pnn_gluon.portable.call import Call, Convert


def _embedding(call: Call) -> str:
    """The rows of a table; an id that it does not have is an error, where MXNet takes the first or last row."""
    ids, table = call.inputs
    return call.graph.add("Gather", table, ids)


def _fully_connected(call: Call) -> str:
    x, *weights = call.inputs
    before, rank = call.kinds[0].dims, len(call.kinds[0].dims)
    inputs = before[1:] if call.attributes.get("flatten", True) else before[-1:]
    flat = x if rank == 2 else call.graph.reshape(x, -1, math.prod(call.static(inputs)))
    made = call.graph.add("Gemm", flat, *weights, transB=1)
    return made if len(call.made[0].dims) == 2 else call.graph.reshape(made, *call.static(call.made[0].dims))


def _convolution(call: Call) -> str:
    kernel = call.attributes["kernel"]
    call.expect(layout=("NCW", "NCHW", "NCDHW")[len(kernel) - 1])
    ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
    return call.graph.add(
        "Conv",
        *call.inputs,
        kernel_shape=kernel,
        pads=call.attributes.get("pad", zeros) * 2,
        strides=call.attributes.get("stride", ones),
        dilations=call.attributes.get("dilate", ones),
        group=call.attributes.get("num_group", 1),
    )


def _batch_norm(call: Call) -> str:
    call.expect(axis=1)
    x, gamma, *others = call.inputs
    if call.attributes.get("fix_gamma", True):
        gamma = call.graph.constant(np.ones(call.static(call.kinds[1].dims), np.float32))
    return call.graph.add("BatchNormalization", x, gamma, *others, epsilon=call.attributes.get("eps", 1e-3))


def _layer_norm(call: Call) -> str:
    call.expect(axis=-1)
    return call.graph.add("LayerNormalization", *call.inputs, epsilon=call.attributes.get("eps", 1e-5))


def _dot(call: Call) -> str:
    if any(len(kind.dims) != 2 for kind in call.kinds):
        raise call.refused("it is not of two matrices")
    return _products(call)


def _products(call: Call) -> str:
    operands = [
        _transposed(call, name, len(kind.dims)) if call.attributes.get(option, False) else name
        for name, kind, option in zip(call.inputs, call.kinds, ("transpose_a", "transpose_b"), strict=True)
    ]
    return call.graph.add("MatMul", *operands)


def _transposed(call: Call, name: str, rank: int) -> str:
    return call.graph.add("Transpose", name, perm=[*range(rank - 2), rank - 1, rank - 2])


def _reduced(op: str, call: Call) -> str:
    call.expect(exclude=False)
    axis = call.given("axis")
    axes = call.graph.integers(*(axis if isinstance(axis, tuple) else (axis,)))
    return call.graph.add(op, call.inputs[0], axes, keepdims=int(call.attributes.get("keepdims", False)))


def _softmax(op: str, call: Call) -> str:
    call.expect(use_length=False)
    temperature = call.attributes.get("temperature") or 1.0
    x = call.inputs[0]
    if temperature != 1:
        x = call.graph.add("Div", x, call.graph.scalar(temperature, call.kinds[0].dtype))
    return call.graph.add(op, x, axis=call.attributes.get("axis", -1))


def _pooling(call: Call) -> str:
    call.given("global_pool")
    call.expect(pool_type="max", global_pool=True)
    axes = call.graph.integers(*range(2, len(call.kinds[0].dims)))
    return call.graph.add("ReduceMax", call.inputs[0], axes)


LAYERS: Mapping[str, Convert] = {
    "Embedding": _embedding,
    "FullyConnected": _fully_connected,
    "Convolution": _convolution,
    "BatchNorm": _batch_norm,
    "LayerNorm": _layer_norm,
    "dot": _dot,
    "batch_dot": _products,
    "sum": partial(_reduced, "ReduceSum"),
    "max": partial(_reduced, "ReduceMax"),
    "softmax": partial(_softmax, "Softmax"),
    "log_softmax": partial(_softmax, "LogSoftmax"),
    "Pooling": _pooling,
}
"""The operators by MXNet's names."""
