"""Rows of a day -> train, calibrate and gate shares, the train negatives down-sampled.

Both decisions are hashes of the row id, so they are the same on every engine and whenever the day is made again.
With h60(s) the first 15 hexadecimal digits of md5(s) as a number:

    u = h60(salt|share|row_id) mod 10^6:  train if u < 10^6 train, else calibrate if u < 10^6 (train + calibrate)
    a train negative is kept if  h60(salt|negative|row_id) < 2^60 negative_rate

A train negative of weight w, which stands for w impressions, keeps w' of them, w negative_rate in expectation:

    w' = floor(w negative_rate) + [h60(salt|negative|row_id) < 2^60 (w negative_rate - floor(w negative_rate))]

and is left out if w' = 0. With w = 1 that is the rule above. No choice of whole numbers with this expectation has a
smaller variance, at most 1/4 a row, where keeping or leaving the whole row would have w^2 rate (1 - rate). The rate is
still that at which impressions were kept, so probabilities are corrected by it as ever.

They are written down beside the rows, in their order, and not with a copy of them: a few bits a row.
"""

from collections import Counter
from dataclasses import astuple, dataclass
from operator import add
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pnn_gluon.config import EngineConfig, SamplingConfig
from pnn_gluon.errors import InputError
from pnn_gluon.store.parts import Files, listed, part_path
from pnn_gluon.store.tables import GROUP_ROWS, TableWriter
from pnn_gluon.warehouse.duckdb_engine import connect, statement
from pnn_gluon.warehouse.part import FilePart
from pnn_gluon.warehouse.part_engine import map_parts

SHARES = ("train", "calibrate", "gate")
COLUMNS = pa.schema([("share", pa.string()), ("rate", pa.float64())])
WEIGHTED_COLUMNS = COLUMNS.append(pa.field("weight", pa.int64()))

_WORTH = 8
"""Parts that are worth a process: one takes about as long as its start."""


@dataclass(frozen=True)
class SampleReport:
    """What became of the rows: rows + dropped = rows read.

    Attributes:
        rows: rows of the sample.
        train: of them, rows of the train share.
        calibrate: of them, rows of the calibrate share.
        gate: of them, rows of the gate share.
        positives: of them, rows with label 1.
        dropped: negatives of the train share that were left out.
    """

    rows: int = 0
    train: int = 0
    calibrate: int = 0
    gate: int = 0
    positives: int = 0
    dropped: int = 0

    def __add__(self, other: Self) -> Self:
        """Of the rows of both."""
        return type(self)(*map(add, astuple(self), astuple(other)))


@dataclass(frozen=True)
class SamplePart(FilePart):
    """A part of a day's rows, and where its shares go."""

    sampling: SamplingConfig
    rows: Path
    weighted: bool = False


def sample_rows(
    sampling: SamplingConfig, engine: EngineConfig, rows: Files, path: Path, weighted: bool = False
) -> SampleReport:
    """Write `share` and `rate` of every row, in the rows' order, to a file for each of theirs; see `SampledRows`.

    `rate` is the probability with which a negative of the row's share was kept: `negative_rate` in the train
    share, 1 in the others. A row that is left out has neither. Rows that are `weighted` have their `weight` in the
    sample there, too.

    Raises:
        InputError: the rows are not there or have no label.
    """
    parts = [SamplePart(part_path(path, at), sampling, part, weighted) for at, part in enumerate(listed(rows))]
    return sum(map_parts(engine, sample_part, parts, _WORTH), SampleReport())


def sample_part(engine: EngineConfig, part: SamplePart) -> SampleReport:
    """Write the shares of one part."""
    shares: Counter[str | None] = Counter()
    positives = 0
    columns = WEIGHTED_COLUMNS if part.weighted else COLUMNS
    with connect(engine) as connection, TableWriter(part.path, schema=columns) as writer:
        for batch in connection.sql(_query(part)).to_arrow_reader(GROUP_ROWS):
            writer.write(batch.select(columns.names))
            positives += pc.sum(batch.column("label")).as_py() or 0  # a positive is never left out
            for pair in pc.value_counts(batch.column("share")).to_pylist():
                shares[pair["values"]] += pair["counts"]
    train, calibrate, gate = (shares[share] for share in SHARES)
    return SampleReport(train + calibrate + gate, train, calibrate, gate, positives, shares[None])


def _query(part: SamplePart) -> str:
    sampling, rows = part.sampling, part.rows
    needed = ["row_id", "label", *(["weight"] if part.weighted else [])]
    try:
        columns = pq.read_schema(rows).names
    except OSError as error:
        raise InputError(f"{rows}: can't be read as rows: {error}; ingest the day again") from error
    if not set(needed) <= set(columns):
        raise InputError(f"{rows}: expected the columns {' and '.join(needed)}; ingest the day's logs again")
    return statement(
        "sample",
        rows=str(rows),
        salt=sampling.salt,
        rate=repr(sampling.negative_rate),
        train_end=round(sampling.train * 10**6),
        calibrate_end=round((sampling.train + sampling.calibrate) * 10**6),
        negative_end=int(sampling.negative_rate * 2**60),
        weighted=part.weighted,
        whole=2**60,
    )
