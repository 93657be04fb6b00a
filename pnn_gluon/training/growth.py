"""Warm start when the feature map grew: old rows stay, a new id starts as its field's *other* row.

Before a value had an id of its own it was encoded as *other* of its field, so the grown network gives every row the
logit it had, bit for bit, whether the row is encoded under the old or the new map.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.id_table import is_row_parameter, whole_shapes
from pnn_gluon.errors import InputError
from pnn_gluon.runtime import HybridBlock, Tensor, mx
from pnn_gluon.training.cut_tables import by_whole_name, cut_anew, named_parts, taken
from pnn_gluon.training.export import exported_values
from pnn_gluon.training.parameters import Values, named_parameters, put_values, shapes_of, take_values, values_of


def grow_values(values: Mapping[str, Tensor], parent_of_new: NDArray[np.integer[Any]]) -> Values:
    """Parameter values for a map with more ids: row V + i of an id table is a copy of row `parent_of_new[i]`.

    Args:
        values: By name; tables of ids are those whose name `is_row_parameter`.
        parent_of_new: For each new id, in order, the *other* id of its field, below the old size V.

    Raises:
        InputError: a parent outside [1, V).
    """
    return _with_tables(values, lambda table: _grow(table, parent_of_new))


def take_rows(values: Mapping[str, Tensor], kept: NDArray[np.integer[Any]]) -> Values:
    """Parameter values for a map of other ids: row i of an id table is row `kept[i]`."""
    return _with_tables(values, lambda table: taken(table, kept.astype(np.int64)))


def _with_tables(values: Mapping[str, Tensor], change: Callable[[list[Tensor]], list[Tensor]]) -> Values:
    """The values with every table of ids, of one tensor or several, as `change` makes it."""
    changed: Values = {}
    for name, parts in by_whole_name(values).items():
        changed |= named_parts(name, change(parts) if is_row_parameter(name) else parts)
    return changed


def _grow(table: list[Tensor], parents: NDArray[np.integer[Any]]) -> list[Tensor]:
    size = sum(map(len, table))
    if not len(parents):
        return table
    if parents.min() < 1 or parents.max() >= size:
        raise InputError(
            f"parents of new ids must be *other* ids of the old map, in [1, {size}), "
            f"not {parents.min()} to {parents.max()}"
        )
    return cut_anew([*table, *taken(table, parents.astype(np.int64))])


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
    values = by_whole_name(exported_values(net, exported))
    shapes = whole_shapes(shapes_of(wider))
    start: Values = {}
    for name, new in by_whole_name(values_of(net)).items():
        old, shape = values[name], new[0].shape
        if is_row_parameter(name):
            if old[0].shape[1:] == shape[1:] == shapes[name][1:]:
                start |= named_parts(name, _grow_or_begin(old, new, parent_of_new))
        elif old[0].shape == shape == shapes.get(name):
            start[name] = old[0]
    put_values(net, {**take_values(net), **start}, str(exported))
    return sorted(named_parameters(net).keys() - start.keys())


def _grow_or_begin(table: list[Tensor], begun: list[Tensor], parents: NDArray[np.integer[Any]]) -> list[Tensor]:
    """The table with new rows: copies of their parents', or, where that is 0, those of `begun`."""
    if not len(parents):
        return table
    size = sum(map(len, table))
    rows = np.where(parents > 0, parents, 2 * size + np.arange(len(parents)))  # of the table, or of `begun` behind it
    return cut_anew([*table, *taken([*table, *begun], rows.astype(np.int64))])


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
