"""Tables with a row for each id, cut by rows into several tensors where they have more numbers than a tensor holds."""

import re
from collections.abc import Mapping
from typing import Any

from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor

ROW_PARAMETERS = ("embedding_weight", "linear_weight")
"""Names of tables of ids end in one of these."""

LARGEST_TENSOR = 2**31 - 2
"""The most numbers of a tensor of MXNet 1.9."""

MOST_IDS = 2**31 - 1
"""Ids are int32."""

_PART = re.compile(rf"({'|'.join(ROW_PARAMETERS)})_(\d+)of(\d+)(?=$|:)")


def part_sizes(size: int, width: int) -> tuple[int, ...]:
    """Rows of each part of a table of ids (V, width): as many as a tensor holds, the last part has what is left.

    So a table that grows keeps its parts, but for the last.
    """
    rows = max(1, LARGEST_TENSOR // width)
    return tuple(min(rows, size - start) for start in range(0, size, rows))


def part_names(name: str, count: int) -> tuple[str, ...]:
    """Names of the parts of a table: `embedding_weight_0of2`, `embedding_weight_1of2`; its own if it is not cut."""
    return (name,) if count == 1 else tuple(f"{name}_{number}of{count}" for number in range(count))


def whole_name(name: str) -> str:
    """The table's name of a part's; a name that is of no part as it is. What follows a colon stays."""
    return _PART.sub(r"\1", name)


def place_of_part(name: str) -> tuple[int, int]:
    """Which part of how many one of this name is."""
    found = _PART.search(name)
    return (0, 1) if found is None else (int(found[2]), int(found[3]))


def is_last_part(name: str) -> bool:
    """Whether no part of the table follows this one, which may be a table that is not cut."""
    number, count = place_of_part(name)
    return number + 1 == count


def whole_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes of parameters by name, the parts of a table as the whole table."""
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        whole = whole_name(name)
        found[whole] = (found[whole][0] + shape[0], *shape[1:]) if whole in found else tuple(shape)
    return found


def is_row_parameter(name: str) -> bool:
    """Whether the parameter of this name is a table of ids, or a part of one (and has row-sparse gradients)."""
    return whole_name(name).endswith(ROW_PARAMETERS)


class IdTable(HybridBlock):
    """A block that looks ids up in a table: parameters with row-sparse gradients, one or, of a large table, several.

    Rows 0 to R - 1 are those of the first part, R to 2 R - 1 those of the second, and so on, with the largest R for
    which a part fits into a tensor. Results are the bits of a table that is not cut.

    Args:
        name: Name of the table, one of `ROW_PARAMETERS`.
        size: Number of ids V.
        width: Numbers of an id.
        init: Starting values; those of parts are drawn one after the other.

    Raises:
        ConfigError: no ids, more than int32 has, or no numbers.
    """

    def __init__(self, name: str, size: int, width: int, init: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size < 1 or width < 1:
            raise ConfigError(f"number of ids and embedding size must be 1 or more, not {size} and {width}")
        if size > MOST_IDS:
            raise ConfigError(f"{size} ids, more than the {MOST_IDS} of int32: raise min_impressions or let ids expire")
        self._width, self._rows = width, part_sizes(size, width)
        self._names = part_names(name, len(self._rows))
        with self.name_scope():
            for part, rows in zip(self._names, self._rows, strict=True):
                setattr(self, part, self.params.get(part, shape=(rows, width), init=init, grad_stype="row_sparse"))

    @property
    def parts(self) -> tuple[Any, ...]:
        """The parameters of the table."""
        return tuple(getattr(self, name) for name in self._names)

    def _native(self, operator: Any, ids: Tensor, tables: Mapping[str, Tensor], **attributes: str) -> Tensor:
        """What a native operator of lookups makes of the table."""
        weights = [tables[name] for name in self._names]
        parts = {"parts": len(weights)} if len(weights) > 1 else {}
        return operator(ids, *weights, **parts, **attributes)

    def _look_up(self, F: Any, ids: Tensor, tables: Mapping[str, Tensor]) -> Tensor:
        """The vectors of ids int32 (B, S) -> (B, S, width), by plain operators."""
        if len(self._rows) == 1:
            return _vectors(F, ids, tables[self._names[0]], self._rows[0], self._width)
        starts = range(0, sum(self._rows), self._rows[0])
        found = [
            _vectors_of_part(F, ids - start, tables[name], rows, self._width)
            for name, start, rows in zip(self._names, starts, self._rows, strict=True)
        ]
        return F.add_n(*found)


def scale(F: Any, vectors: Tensor, weights: Tensor, size: int) -> Tensor:
    """Vectors (B, W, K) times weights (B, W); repeat and multiply, as broadcasting backward is much slower."""
    return vectors * F.repeat(F.expand_dims(weights, axis=2), repeats=size, axis=2)


def _vectors(F: Any, ids: Tensor, table: Tensor, rows: int, width: int) -> Tensor:
    return F.Embedding(ids, table, input_dim=rows, output_dim=width, sparse_grad=True)


def _vectors_of_part(F: Any, ids: Tensor, table: Tensor, rows: int, width: int) -> Tensor:
    """Vectors of the ids that a part has, counted from its first; zeros for others."""
    held = F.minimum(F.maximum(ids, 0), rows - 1)  # (B, S)
    absent = F.cast((ids - held) != 0, dtype="float32")  # (B, S)
    return scale(F, _vectors(F, held, table, rows, width), 1 - absent, width)  # (B, S, K)


def refuse_cut_tables(net: HybridBlock) -> None:
    """Raise ConfigError if a table of the network is cut: by plain operators it has gradients of rows not looked up."""
    cut = sorted({whole_name(name) for name in net.collect_params() if whole_name(name) != name})
    if cut:
        raise ConfigError(
            f"{', '.join(cut)}: more numbers than the {LARGEST_TENSOR} of a tensor, which only the native operators "
            "train, on the CPU: set device = 'cpu' on a machine with a C++ compiler, lower embedding_size or raise "
            "min_impressions"
        )
