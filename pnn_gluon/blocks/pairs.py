"""The pairs of fields, in the one order that every block keeps."""

from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import Tensor


def field_pairs(layout: FieldLayout) -> tuple[tuple[int, int], ...]:
    """(i, j) with i < j, numbered from 0, in the order 12, 13, 23, 14, 24, 34, ...: by second field, then the first.

    Raises:
        ConfigError: fewer than two fields.
    """
    if layout.pairs < 1:
        raise ConfigError(f"pairs of fields need two fields or more, not {layout.names}: choose a model without pairs")
    return tuple((i, j) for j in range(layout.fields) for i in range(j))


def unstack(F: Any, x: Tensor, axis: int, count: int) -> list[Tensor]:
    """The `count` slices of a tensor along an axis, without that axis.

    One operator cuts them all: the gradient of a single slice is as large as the whole tensor.
    """
    slices = F.split(x, axis=axis, num_outputs=count, squeeze_axis=True)
    return [slices] if count == 1 else list(slices)
