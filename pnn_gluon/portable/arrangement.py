"""Operators that move, cut, join and choose numbers."""

from collections.abc import Mapping

import numpy as np

from pnn_gluon.portable.call import Call, Convert


def _reshape(call: Call) -> str:
    """By the shape that comes out, as ONNX has no 0 for a dimension of a tensor without rows."""
    return call.graph.reshape(call.inputs[0], *call.static(call.made[0].dims))


def _expand_dims(call: Call) -> str:
    return call.graph.add("Unsqueeze", call.inputs[0], call.graph.integers(call.attributes["axis"]))


def _concat(call: Call) -> str:
    return call.graph.add("Concat", *call.inputs, axis=call.attributes.get("dim", 1))


def _stack(call: Call) -> str:
    axis = call.attributes.get("axis", 0)
    raised = [call.graph.add("Unsqueeze", name, call.graph.integers(axis)) for name in call.inputs]
    return call.graph.add("Concat", *raised, axis=axis)


def _slice_axis(call: Call) -> str:
    axis, begin, end = (call.attributes[name] for name in ("axis", "begin", "end"))
    last = np.iinfo(np.int64).max if end is None else end
    return call.graph.add("Slice", call.inputs[0], *(call.graph.integers(each) for each in (begin, last, axis)))


def _slice_channel(call: Call) -> list[str]:
    axis, parts = call.attributes.get("axis", 1), call.attributes["num_outputs"]
    cut = call.graph.add_many("Split", parts, call.inputs[0], axis=axis, num_outputs=parts)
    if not call.attributes.get("squeeze_axis", False):
        return cut
    return [call.graph.add("Squeeze", name, call.graph.integers(axis)) for name in cut]


def _transpose(call: Call) -> str:
    return call.graph.add("Transpose", call.inputs[0], perm=call.given("axes"))


def _tile(call: Call) -> str:
    rank, reps = len(call.made[0].dims), call.attributes["reps"]
    if rank != len(call.kinds[0].dims):
        raise call.refused(f"reps = {reps} add dimensions")
    return call.graph.add("Tile", call.inputs[0], call.graph.integers(*((1,) * (rank - len(reps)) + reps)))


def _repeat(call: Call) -> str:
    """Each number of an axis several times, one beside the other."""
    repeats, axis = call.attributes["repeats"], call.given("axis")
    before, after = call.kinds[0].dims, call.made[0].dims
    if before[axis] == 1:
        return call.graph.widen(call.inputs[0], [repeats if place == axis else 1 for place in range(len(before))])
    apart = call.graph.add("Unsqueeze", call.inputs[0], call.graph.integers(axis + 1))
    wide = [repeats if place == axis + 1 else 1 for place in range(len(before) + 1)]
    beside = call.graph.add("Expand", apart, call.graph.integers(*wide))
    return call.graph.reshape(beside, *call.static(after))


def _broadcast_to(call: Call) -> str:
    return call.graph.widen(call.inputs[0], [1 if size is None else size for size in call.made[0].dims])


def _broadcast_like(call: Call) -> str:
    if call.attributes.keys() & {"lhs_axes", "rhs_axes"}:
        raise call.refused("it is along some axes only")
    return call.graph.add("Expand", call.inputs[0], call.graph.add("Shape", call.inputs[1]))


def _arange_like(call: Call) -> str:
    call.expect(start=0.0, step=1.0, repeat=1)
    axis = call.given("axis")
    count = call.graph.add("Shape", call.inputs[0], start=axis, end=axis + 1)
    first, step = (call.graph.scalar(number, np.int64) for number in (0, 1))
    numbers = call.graph.add("Range", first, call.graph.add("Squeeze", count), step)
    return call.graph.cast(numbers, call.made[0].dtype)


def _gather_nd(call: Call) -> str:
    """MXNet's places have their coordinates along the first axis, ONNX's along the last."""
    rank = len(call.kinds[1].dims)
    places = call.graph.add("Transpose", call.inputs[1], perm=[*range(1, rank), 0])
    return call.graph.add("GatherND", call.inputs[0], call.graph.cast(places, np.int64))


def _topk(call: Call) -> str:
    call.expect(ret_typ="indices", is_ascend=False)
    axis, count = call.attributes.get("axis", -1), call.graph.integers(call.attributes.get("k", 1))
    _, places = call.graph.add_many("TopK", 2, call.inputs[0], count, axis=axis)
    return call.graph.cast(places, call.made[0].dtype)


def _sort(call: Call) -> str:
    call.expect(is_ascend=True)
    axis = call.attributes.get("axis", -1)
    size = call.kinds[0].dims[axis]
    if size is None:
        raise call.refused("it is along the rows")
    return call.graph.add_many("TopK", 2, call.inputs[0], call.graph.integers(size), axis=axis, largest=0)[0]


def _make_triangle(call: Call) -> str:
    """Matrices (B, N, N) of numbers (B, P) below a diagonal, row by row, and zeros."""
    call.expect(lower=True)
    offset, (*rows, count) = call.attributes.get("offset", 0), call.kinds[0].dims
    size = call.made[0].dims[-1]
    if offset > 0 or len(rows) != 1 or size is None or count is None:
        raise call.refused("it is not of the numbers below a diagonal of one matrix a row")
    places = np.full((size, size), count)
    places[np.tril_indices(size, offset)] = np.arange(count)
    with_zero = call.graph.add("Pad", call.inputs[0], call.graph.integers(0, 0, 0, 1))
    flat = call.graph.add("Gather", with_zero, call.graph.integers(*places.ravel()), axis=1)
    return call.graph.reshape(flat, *call.static(call.made[0].dims))


def _extract_triangle(call: Call) -> str:
    """The numbers of each matrix (B, N, N) below a diagonal, row by row."""
    call.expect(lower=True)
    offset, (*rows, size, _) = call.attributes.get("offset", 0), call.kinds[0].dims
    if offset > 0 or len(rows) != 1 or size is None:
        raise call.refused("it is not of the numbers below a diagonal of one matrix a row")
    flat = call.graph.reshape(call.inputs[0], *call.static(rows), size * size)
    row, column = np.tril_indices(size, offset)
    return call.graph.add("Gather", flat, call.graph.integers(*(row * size + column)), axis=1)


ARRANGEMENT: Mapping[str, Convert] = {
    "Reshape": _reshape,
    "expand_dims": _expand_dims,
    "Concat": _concat,
    "stack": _stack,
    "slice_axis": _slice_axis,
    "SliceChannel": _slice_channel,
    "transpose": _transpose,
    "tile": _tile,
    "repeat": _repeat,
    "broadcast_to": _broadcast_to,
    "broadcast_like": _broadcast_like,
    "_contrib_arange_like": _arange_like,
    "gather_nd": _gather_nd,
    "topk": _topk,
    "sort": _sort,
    "_linalg_maketrian": _make_triangle,
    "_linalg_extracttrian": _extract_triangle,
}
"""The operators by MXNet's names."""
