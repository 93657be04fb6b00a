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
from pnn_gluon.training.parameters import Values, put_values


def grow_values(values: Mapping[str, Tensor], parent_of_new: NDArray[np.integer[Any]]) -> Values:
    """Parameter values for a map with more ids: row V + i of an id table is a copy of row `parent_of_new[i]`.

    Args:
        values: By name; tables of ids are those whose name `is_row_parameter`.
        parent_of_new: For each new id, in order, the *other* id of its field, below the old size V.

    Raises:
        InputError: a parent outside [1, V).
    """
    return {name: _grow(value, parent_of_new) if is_row_parameter(name) else value for name, value in values.items()}


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
