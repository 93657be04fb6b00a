"""Rows of the day -> impressions and clicks of every value of every field."""

import dataclasses
from pathlib import Path

from jobs.reading import Reading
from jobs.step import Built, Report, Step


def reads(reading: Reading) -> None:
    """The rows of the day."""
    reading.need("rows")


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Count; a window of days is a sum of such counts."""
    from pnn_gluon.data.counting import count_values

    rows = reading.store.folder(reading.need("rows")) / "rows.parquet"
    result = count_values(reading.config.fields, reading.config.engine, rows, folder / "counts.parquet")
    report(f"count {reading.day}: {result.values:,} values")
    return Built(result.values, dataclasses.asdict(result))


STEP = Step("count", "counts", ("fields",), reads, build)
