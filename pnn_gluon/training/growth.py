"""Warm start when the feature map grew: old rows stay, a new id starts as its field's *other* row.

Before a value had an id of its own it was encoded as *other* of its field, so the grown network gives every row the
logit it had, bit for bit, whether the row is encoded under the old or the new map.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.embedding import is_row_parameter
from pnn_gluon.errors import InputError
from pnn_gluon.runtime import HybridBlock, Tensor, mx
from pnn_gluon.training.export import exported_values
from pnn_gluon.training.parameters import Values, named_parameters, put_values, take_values


def grow_values(values: Mapping[str, Tensor], parent_of_new: NDArray[np.integer[Any]]) -> Values:
    """Parameter values for a map with more ids: row V + i of an id table is a copy of row `parent_of_new[i]`.

    Args:
        values: By name; tables of ids are those whose name `is_row_parameter`.
        parent_of_new: For each new id, in order, the *other* id of its field, below the old size V.

    Raises:
        InputError: a parent outside [1, V).
    """
    return {name: _grow(value, parent_of_new) if is_row_parameter(name) else value for name, value in values.items()}


def take_rows(values: Mapping[str, Tensor], kept: NDArray[np.integer[Any]]) -> Values:
    """Parameter values for a map of other ids: row i of an id table is row `kept[i]`."""
    rows = mx.nd.array(kept.astype(np.int32), dtype="int32")
    return {name: mx.nd.take(value, rows) if is_row_parameter(name) else value for name, value in values.items()}


def _grow(table: Tensor, parents: NDArray[np.integer[Any]]) -> Tensor:
    size = table.shape[0]
    if not len(parents):
        return table
    if parents.min() < 1 or parents.max() >= size:
        raise InputError(
            f"parents of new ids must be *other* ids of the old map, in [1, {size}), "
            f"not {parents.min()} to {parents.max()}"
        )
    new = mx.nd.take(table, mx.nd.array(parents.astype(np.int32), dtype="int32"))
    return mx.nd.concat(table, new, dim=0)


def warm_start_from_common(
    net: HybridBlock, wider: HybridBlock, exported: Path, parent_of_new: NDArray[np.integer[Any]]
) -> list[str]:
    """Initialize a network, on the CPU, with what a predecessor of other fields has in common with it.

    Tables of ids keep their rows; a new id starts as its parent, or as the network starts where it has none. Other
    parameters are common if no field has a part in them: a layer on top of another, say, and not one on all vectors.

    Args:
        net: The model for V + len(parent_of_new) ids.
        wider: The same model for rows with one more field, without values.
        exported: Folder of the predecessor's `export_model`.
        parent_of_new: As in `grow_values`, or 0 for an id without a parent.

    Returns:
        Names of the parameters that start anew.
    """
    net.initialize(ctx=mx.cpu())
    values, shapes = exported_values(net, exported), {n: p.shape for n, p in named_parameters(wider).items()}
    start: Values = {}
    for name, parameter in named_parameters(net).items():
        new, old, shape = parameter.list_data()[0], values[name], parameter.shape
        if is_row_parameter(name) and old.shape[1:] == shape[1:] == shapes[name][1:]:
            start[name] = _grow_or_begin(old, new, parent_of_new)
        elif old.shape == shape == shapes.get(name):
            start[name] = old
    put_values(net, {**take_values(net), **start}, str(exported))
    return sorted(named_parameters(net).keys() - start.keys())


def _grow_or_begin(table: Tensor, begun: Tensor, parents: NDArray[np.integer[Any]]) -> Tensor:
    """The table with new rows: copies of their parents', or, where that is 0, those of `begun`."""
    if not len(parents):
        return table
    size = table.shape[0]
    new = mx.nd.take(table, mx.nd.array(parents.astype(np.int32), dtype="int32"))
    known = mx.nd.array((parents > 0).reshape((-1, 1)).astype(np.float32))
    return mx.nd.concat(table, mx.nd.where(mx.nd.broadcast_like(known, new), new, begun[size:]), dim=0)


def warm_start(net: HybridBlock, exported: Path, parent_of_new: NDArray[np.integer[Any]]) -> None:
    """Initialize a network of the grown size, on the CPU, with the values of its smaller predecessor.

    Optimizer states start anew.

    Args:
        net: The model for V + len(parent_of_new) ids.
        exported: Folder of the predecessor's `export_model`.
        parent_of_new: See `grow_values`.

    Raises:
        InputError: the folder cannot be read, or the grown values do not fit the network.
    """
    net.initialize(ctx=mx.cpu())
    values = exported_values(net, exported)
    put_values(net, grow_values(values, parent_of_new), str(exported))
