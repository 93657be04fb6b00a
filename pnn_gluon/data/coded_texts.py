"""Texts of a Parquet file as it has them: a dictionary of the distinct ones, and the place in it of each row's.

Much less work than a text for every row, but where the file repeats texts that it could have in a dictionary: reading
then makes one, which grows from batch to batch.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pnn_gluon.arrays import Ids
from pnn_gluon.errors import InputError

SMALLEST_GROUP = 8192
"""Rows of a row group, on average, below which a dictionary for each costs more than it saves."""

MOST_BYTES = 8
"""Bytes of a value, on average, above which a column may not have dictionaries, or few of its texts repeat."""

_BATCH_ROWS = 65536
_BUFFER_BYTES = 1 << 16
"""Of a column that are read at once: row groups may be large."""


class CodedTexts:
    """Columns of texts of a file, read from its beginning to its end.

    Attributes:
        names: The columns.
    """

    def __init__(self, path: Path, names: Sequence[str], batches: Iterator[Any]) -> None:
        self.names, self._path, self._batches = tuple(names), path, batches
        self._waiting: Any = None

    def take(self, rows: int) -> Generator[Any, None, None]:
        """So many rows more, in record batches in which a column has one dictionary.

        Raises:
            InputError: the file has no more.
            pyarrow.ArrowException: it is damaged.
        """
        while rows:
            if self._waiting is None:
                self._waiting = next(self._batches, None)
                if self._waiting is None:
                    raise InputError(f"{self._path}: ended before its last row; it was replaced while it was read")
                _check_places(self._waiting)
            piece, left = self._waiting.slice(0, rows), self._waiting.slice(rows)
            self._waiting = left if left.num_rows else None
            rows -= piece.num_rows
            yield piece


class KnownTexts:
    """Ids of the last dictionary of each field: the next one most often is the same, or has some texts behind these."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Any, Ids]] = {}

    def ids(self, position: int, ids_of: Callable[[Any], Ids], texts: Any) -> Ids:
        """The ids of a dictionary of the field at a position, (texts, width).

        Args:
            position: The field's.
            ids_of: What finds them; it is asked for new texts only.
            texts: Distinct ones, an Arrow array.

        Raises:
            pyarrow.ArrowInvalid: a text that is not UTF-8.
        """
        known, ids = self._last.get(position, (texts.slice(0, 0), None))
        if not texts.slice(0, len(known)).equals(known):
            known, ids = texts.slice(0, 0), None
        new = texts.slice(len(known))
        if ids is None or len(new):
            new.validate(full=True)
            found = ids_of(new)
            ids = found if ids is None else np.concatenate([ids, found])
            self._last[position] = texts, ids
        return ids


@contextmanager
def coded_texts(path: Path, names: Sequence[str]) -> Generator[CodedTexts, None, None]:
    """Those of a file's columns, perhaps none, whose texts are read with less work as dictionaries."""
    with pq.ParquetFile(path) as file:
        metadata, coded = file.metadata, _coded(file, names)
    with pq.ParquetFile(path, metadata=metadata, read_dictionary=coded, buffer_size=_BUFFER_BYTES) as file:
        yield CodedTexts(path, coded, file.iter_batches(_BATCH_ROWS, columns=coded, use_threads=False))


def _coded(file: Any, names: Sequence[str]) -> list[str]:
    """The columns among these that are texts, of which few bytes are there for each row."""
    metadata = file.metadata
    if metadata.num_rows < SMALLEST_GROUP * max(1, metadata.num_row_groups):
        return []
    texts = {field.name for field in file.schema_arrow if _is_text(field.type)} & set(names)
    sizes = dict.fromkeys(texts, 0)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.path_in_schema in texts:
                sizes[chunk.path_in_schema] += chunk.total_uncompressed_size
    return [name for name in names if name in texts and sizes[name] <= MOST_BYTES * metadata.num_rows]


def _check_places(batch: Any) -> None:
    """See that places are in their dictionaries: Arrow's reader takes them as they are."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        extent = pc.min_max(column.indices).as_py()
        if extent["max"] is not None and not 0 <= extent["min"] <= extent["max"] < len(column.dictionary):
            raise pa.ArrowInvalid(f"column {name}: places that its dictionary does not have")


def _is_text(kind: Any) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))
