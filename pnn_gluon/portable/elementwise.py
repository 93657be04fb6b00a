"""Operators that calculate number by number."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from pnn_gluon.portable.call import Call, Convert


def _alias(call: Call) -> str:
    return call.inputs[0]


def _dropout(call: Call) -> str:
    call.expect(mode="training")
    return call.inputs[0]


def _unary(op: str, call: Call) -> str:
    return call.graph.add(op, *call.inputs)


def _binary(op: str, call: Call) -> str:
    """Of two tensors that one was only repeated for: as it was, since ONNX repeats it by itself."""
    first, second = call.inputs
    narrow = call.graph.narrow_of(second)
    if narrow != second:
        return call.graph.add(op, first, narrow)
    return call.graph.add(op, call.graph.narrow_of(first), second)


def _with_scalar(op: str, call: Call) -> str:
    return call.graph.add(op, call.inputs[0], _scalar(call))


def _from_scalar(op: str, call: Call) -> str:
    return call.graph.add(op, _scalar(call), call.inputs[0])


def _scalar(call: Call) -> str:
    return call.graph.scalar(call.attributes["scalar"], call.kinds[0].dtype)


def _mod_scalar(call: Call) -> str:
    if not np.issubdtype(call.kinds[0].dtype, np.integer):
        raise call.refused("it is of floating point numbers")
    return _with_scalar("Mod", call)


def _not_equal_scalar(call: Call) -> str:
    differs = call.graph.add("Not", _with_scalar("Equal", call))
    return call.graph.cast(differs, call.made[0].dtype)


def _add_n(call: Call) -> str:
    return call.inputs[0] if len(call.inputs) == 1 else call.graph.add("Sum", *call.inputs)


def _square(call: Call) -> str:
    return call.graph.add("Mul", call.inputs[0], call.inputs[0])


def _rsqrt(call: Call) -> str:
    return call.graph.add("Reciprocal", call.graph.add("Sqrt", call.inputs[0]))


def _cast(call: Call) -> str:
    return call.graph.cast(call.inputs[0], call.made[0].dtype)


def _filled_like(value: int, call: Call) -> str:
    fill = call.graph.scalar(value, call.made[0].dtype)
    return call.graph.add("Expand", fill, call.graph.add("Shape", call.inputs[0]))


def _activation(call: Call) -> str:
    kinds = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus"}
    kind = call.attributes["act_type"]
    if kind not in kinds:
        raise call.refused(f"act_type = {kind!r}")
    return call.graph.add(kinds[kind], call.inputs[0])


def _leaky_relu(call: Call) -> str:
    call.given("act_type")
    call.expect(act_type="elu")
    return call.graph.add("Elu", call.inputs[0], alpha=float(call.given("slope")))


ELEMENTWISE: Mapping[str, Convert] = {
    "BlockGrad": _alias,
    "_copy": _alias,
    "Dropout": _dropout,
    "relu": partial(_unary, "Relu"),
    "sigmoid": partial(_unary, "Sigmoid"),
    "tanh": partial(_unary, "Tanh"),
    "exp": partial(_unary, "Exp"),
    "log": partial(_unary, "Log"),
    "sqrt": partial(_unary, "Sqrt"),
    "negative": partial(_unary, "Neg"),
    "rsqrt": _rsqrt,
    "square": _square,
    "Cast": _cast,
    "Activation": _activation,
    "LeakyReLU": _leaky_relu,
    "ones_like": partial(_filled_like, 1),
    "zeros_like": partial(_filled_like, 0),
    "add_n": _add_n,
    **{f"{kind}_{name}": partial(_binary, op)
       for kind in ("elemwise", "broadcast")
       for name, op in {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}.items()},
    "_plus_scalar": partial(_with_scalar, "Add"),
    "_minus_scalar": partial(_with_scalar, "Sub"),
    "_rminus_scalar": partial(_from_scalar, "Sub"),
    "_mul_scalar": partial(_with_scalar, "Mul"),
    "_div_scalar": partial(_with_scalar, "Div"),
    "_maximum_scalar": partial(_with_scalar, "Max"),
    "_minimum_scalar": partial(_with_scalar, "Min"),
    "_mod_scalar": _mod_scalar,
    "_not_equal_scalar": _not_equal_scalar,
}  # fmt: skip
"""The operators by MXNet's names."""
