"""ORC files, read as Parquet files are: a stripe in memory at a time, and of it the wanted columns."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from pyarrow import orc


class OrcFile:
    """An ORC file with what `pyarrow.parquet.ParquetFile` has and is used here.

    Args:
        source: a pyarrow file with random access.

    Raises:
        OSError: it is no ORC file, or cut off.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._file = orc.ORCFile(source)

    @property
    def schema_arrow(self) -> Any:
        """Its columns and their types."""
        return self._file.schema

    @property
    def metadata(self) -> "OrcFile":
        """What tells the number of its rows: itself."""
        return self

    @property
    def num_rows(self) -> int:
        """Rows, as its end tells."""
        return int(self._file.nrows)

    def iter_batches(self, rows: int, columns: list[str]) -> Iterator[Any]:
        """Record batches of at most so many rows."""
        for number in range(self._file.nstripes):
            stripe = self._file.read_stripe(number, columns=columns)
            for start in range(0, stripe.num_rows, rows):
                yield stripe.slice(start, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()
