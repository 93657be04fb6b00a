"""Rows of the day -> train, calibrate and gate shares, with the train negatives down-sampled."""

import dataclasses
from pathlib import Path

from jobs.reading import Reading
from jobs.step import Built, Report, Step


def reads(reading: Reading) -> None:
    """The rows of the day."""
    reading.need("rows")


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Split by a hash of the row id and keep negatives of the train share at the configured rate."""
    from pnn_gluon.data.sampling import sample_rows

    rows = reading.store.folder(reading.need("rows")) / "rows.parquet"
    result = sample_rows(reading.config.sampling, reading.config.engine, rows, folder / "sample.parquet")
    report(f"sample {reading.day}: {result.train:,} train, {result.calibrate:,} calibrate, {result.gate:,} gate")
    return Built(result.rows, {**dataclasses.asdict(result), "rate": reading.config.sampling.negative_rate})


STEP = Step("sample", "samples", ("sampling",), reads, build)
