"""Synthetic Criteo-like click logs with the true click probability of every line.

Logs have the format of the Criteo display-advertising data: no header, 40 tab-separated columns (label,
13 integers, 26 categories of 8 hexadecimal digits), any but the label may be empty. Requests are the same
39 columns without the label. A day's bytes depend on the options and the day alone, so days can be written
in any order; they are equal wherever numpy, pyarrow and the processor's floating-point features are equal.

Example:
    >>> from datetime import date
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> options = SyntheticOptions(seed=1, first_day=date(2024, 1, 1), rows_per_day=1000)
    >>> write_day(options, date(2024, 1, 2), Path(mkdtemp())).rows
    1000
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from pnn_gluon.atomic import sync_file
from pnn_gluon.data.synthetic_lines import FAULTS, damage, lines_of
from pnn_gluon.data.synthetic_options import SyntheticOptions
from pnn_gluon.data.synthetic_world import Rows, Stream, hours_of, world_of
from pnn_gluon.temporary import temporary_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FAULTS", "SyntheticDay", "SyntheticOptions", "SyntheticRequests", "write_day", "write_requests"]

BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class SyntheticDay:
    """What `write_day` wrote.

    Attributes:
        log_files: the day's log, in order.
        truth_file: Parquet with one row a log line: file (name), line (from 1), probability, logit (both
            null for a bad line) and fault (null for a good line, else one of `FAULTS`).
        rows: lines in all files.
    """

    log_files: tuple[Path, ...]
    truth_file: Path
    rows: int


@dataclass(frozen=True)
class SyntheticRequests:
    """What `write_requests` wrote.

    Attributes:
        request_files: the day's candidates, in order.
        truth_file: Parquet with one row a request: file (name), line (from 1), probability, logit and label
            (0 or 1, the click that follows if the request is shown).
        rows: lines in all files.
    """

    request_files: tuple[Path, ...]
    truth_file: Path
    rows: int


def write_day(options: SyntheticOptions, day: date, folder: Path) -> SyntheticDay:
    """Write the log of a day to ``folder/logs/<day>/part-<i>.tsv[.gz|.zst]`` and its truth to
    ``folder/truth/<day>.parquet``; an earlier version of the day is replaced as a whole.

    Raises:
        InputError: ``day`` is before ``options.first_day``.
    """  # noqa: D205
    options.day_number(day)
    rows, parts = options.rows_per_day, options.files_per_day
    bounds = [rows * part // parts for part in range(parts + 1)]
    logs, truth_file = folder / "logs" / day.isoformat(), folder / "truth" / f"{day}.parquet"
    with _replaced(truth_file) as truth_path, _replaced(logs) as log_path:
        log_path.mkdir()
        with _truth_writer(truth_path, labelled=False) as truth:
            for part in range(parts):
                name = f"part-{part}{options.suffix}"
                _write_log(options, day, log_path / name, (bounds[part], bounds[part + 1]), truth)
    names = (f"part-{part}{options.suffix}" for part in range(parts))
    return SyntheticDay(tuple(logs / name for name in names), truth_file, rows)


def write_requests(options: SyntheticOptions, day: date, folder: Path) -> SyntheticRequests:
    """Write the candidates of a day to ``folder/requests/<day>/part-0.tsv[.gz|.zst]`` and their truth to
    ``folder/truth_requests/<day>.parquet``; an earlier version of the day is replaced as a whole.

    Raises:
        InputError: ``day`` is before ``options.first_day``.
    """  # noqa: D205
    options.day_number(day)
    requests = folder / "requests" / day.isoformat()
    truth_file, name = folder / "truth_requests" / f"{day}.parquet", f"part-0{options.suffix}"
    with _replaced(truth_file) as truth_path, _replaced(requests) as request_path:
        request_path.mkdir()
        with _truth_writer(truth_path, labelled=True) as truth, _opened(request_path / name) as file:
            for start, rows in _blocks(options, day, Stream.REQUESTS, (0, options.request_rows_per_day)):
                file.write(lines_of(rows, world_of(options.world()).number_text, labelled=False))
                truth.write_batch(_truth(name, start, rows, {"label": rows.label}))
    return SyntheticRequests((requests / name,), truth_file, options.request_rows_per_day)


def _write_log(options: SyntheticOptions, day: date, path: Path, bounds: tuple[int, int], truth: Any) -> None:
    """Write the rows ``bounds`` of a day to one file, and their truth."""
    number = options.day_number(day)
    with _opened(path) as file:
        for start, rows in _blocks(options, day, Stream.LOG, bounds):
            text = lines_of(rows, world_of(options.world()).number_text, labelled=True)
            faults = np.full(len(rows.logit), -1, dtype=np.int8)
            if options.bad_line_share > 0:
                bits = np.random.SFC64([options.seed, Stream.FAULTS, number, start])
                text, faults = damage(text, options.bad_line_share, np.random.Generator(bits))
            file.write(text)
            truth.write_batch(_truth(path.name, start - bounds[0], rows, {"fault": faults}))


def _blocks(
    options: SyntheticOptions, day: date, stream: Stream, bounds: tuple[int, int]
) -> Iterator[tuple[int, Rows]]:
    """Draw the rows ``bounds`` of a day in blocks of bounded size, each with the place of its first row."""
    world = world_of(options.world())
    total = options.rows_per_day if stream is Stream.LOG else options.request_rows_per_day
    for start in range(bounds[0], bounds[1], BLOCK_ROWS):
        hours = hours_of(start, min(start + BLOCK_ROWS, bounds[1]), total)
        yield start, world.draw(stream, options.day_number(day), start, hours)


def _truth_schema(labelled: bool) -> pa.Schema:
    import pyarrow as pa

    last = pa.field("label", pa.uint8()) if labelled else pa.field("fault", pa.string())
    columns = [("file", pa.string()), ("line", pa.int64())]
    return pa.schema([*columns, ("probability", pa.float64()), ("logit", pa.float64()), last])


@contextmanager
def _truth_writer(path: Path, labelled: bool) -> Iterator[Any]:
    """Open a truth file; numbers that never repeat are kept out of dictionaries."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, _truth_schema(labelled), use_dictionary=["file", "fault"]) as writer:
        yield writer


def _truth(name: str, before: int, rows: Rows, last: dict[str, npt.NDArray[Any]]) -> pa.RecordBatch:
    """Truth of a block that follows ``before`` lines of the file ``name``."""
    import pyarrow as pa

    count = len(rows.logit)
    labelled, bad = "label" in last, np.zeros(count, dtype=bool)
    final = pa.array(last["label"]) if labelled else None
    if final is None:
        bad = last["fault"] >= 0
        final = pa.array(FAULTS).take(pa.array(last["fault"], mask=~bad))
    values = [
        pa.repeat(name, count),
        pa.array(np.arange(before + 1, before + 1 + count)),
        pa.array(rows.probability, mask=bad),
        pa.array(rows.logit, mask=bad),
        final,
    ]
    return pa.record_batch(values, schema=_truth_schema(labelled))


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write, compressed as its name says, with no time or name in its bytes."""
    with path.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
                yield cast(IO[bytes], file)
        elif path.suffix == ".zst":
            import pyarrow as pa

            with pa.CompressedOutputStream(raw, "zstd") as file:
                yield file
        else:
            yield raw


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """Give a temporary path of its own beside ``target``; on success put what was written there in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(target.parent, f".{target.name}.") as folder:
        temporary = folder / target.name
        yield temporary
        for path in [temporary, *temporary.glob("*")]:
            sync_file(path)
        if target.is_dir():
            shutil.rmtree(target)
        temporary.replace(target)
