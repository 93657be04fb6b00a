"""Values of parameters whose tables of ids are cut by rows, see `pnn_gluon.blocks.id_table`, or are to be."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.id_table import part_names, part_sizes, place_of_part, whole_name
from pnn_gluon.errors import InputError
from pnn_gluon.runtime import Tensor, mx

Rows = NDArray[np.int64]


def by_whole_name(values: Mapping[str, Tensor], source: str = "given values") -> dict[str, list[Tensor]]:
    """Values by the name of what they are of: the parts of a table in their order, anything else alone.

    Raises:
        InputError: parts are missing, or do not go together; the message names `source`.
    """
    places: dict[str, dict[tuple[int, int], Tensor]] = {}
    for name, value in values.items():
        places.setdefault(whole_name(name), {})[place_of_part(name)] = value
    for name, found in places.items():
        if sorted(found) != [(number, len(found)) for number in range(len(found))]:
            raise InputError(f"{source}: parts of {name} are missing, found (number, of) {sorted(found)}")
        if len({(*each.shape[1:], each.dtype) for each in found.values()}) > 1:
            raise InputError(f"{source}: parts of {name} differ in more than their rows")
    return {name: [found[place] for place in sorted(found)] for name, found in places.items()}


def named_parts(name: str, parts: Sequence[Tensor]) -> dict[str, Tensor]:
    """The parts of a table by the names they have; what follows a colon in the name of the table stays."""
    table, colon, rest = name.partition(":")
    names = part_names(table, len(parts))
    return {f"{part}{colon}{rest}": value for part, value in zip(names, parts, strict=True)}


def cut_anew(parts: Sequence[Tensor]) -> list[Tensor]:
    """A table, cut somehow, as it is cut in a network made now; tensors that stay as they are are not copied."""
    sizes = part_sizes(_rows(parts), width_of(parts[0].shape))
    if sizes == tuple(map(len, parts)):
        return list(parts)
    return [_slice(parts, end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]


def taken(parts: Sequence[Tensor], rows: Rows) -> list[Tensor]:
    """These rows of a table, however it is cut, as a table that is cut as in a network made now."""
    sizes = part_sizes(len(rows), width_of(parts[0].shape))
    return [_gathered(parts, rows[end - size : end]) for size, end in zip(sizes, accumulate(sizes), strict=True)]


def first_rows(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The row of its table that each part begins with, by name; 0 for what is no part."""
    begun: dict[str, int] = {}
    found: dict[str, int] = {}
    for name in sorted(shapes, key=place_of_part):
        found[name] = begun.get(whole_name(name), 0)
        begun[whole_name(name)] = found[name] + shapes[name][0]
    return found


def width_of(shape: Sequence[int]) -> int:
    """Numbers of a row."""
    return int(np.prod(shape[1:], dtype=np.int64))


def rows_between(parts: Sequence[Tensor], begin: int, end: int) -> list[Tensor]:
    """The rows from `begin` to `end` of a table, as slices of its parts; fewer where it ends before."""
    ends = list(accumulate(map(len, parts)))
    found = []
    for part, last in zip(parts, ends, strict=True):
        first = last - len(part)
        if first < end and last > begin:
            found.append(part[max(0, begin - first) : min(len(part), end - first)])
    return found


def _rows(parts: Sequence[Tensor]) -> int:
    return sum(map(len, parts))


def _slice(parts: Sequence[Tensor], begin: int, end: int) -> Tensor:
    found = rows_between(parts, begin, end)
    return found[0] if len(found) == 1 else mx.nd.concat(*found, dim=0)


def _gathered(parts: Sequence[Tensor], rows: Rows) -> Tensor:
    if len(parts) == 1:
        return mx.nd.take(parts[0], mx.nd.array(rows.astype(np.int32), dtype="int32"))
    out = np.empty((len(rows), *parts[0].shape[1:]), parts[0].dtype)
    for part, end in zip(parts, accumulate(map(len, parts)), strict=True):
        mine = np.flatnonzero((rows >= end - len(part)) & (rows < end))
        if len(mine):
            out[mine] = _gathered([part], rows[mine] - (end - len(part))).asnumpy()
    return mx.nd.array(out, dtype=out.dtype)
