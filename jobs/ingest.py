"""Raw logs of the day -> clean typed rows and rejects."""

import dataclasses
from pathlib import Path

from jobs.command import main
from jobs.reading import Reading
from jobs.step import Built, Report, Step


def reads(reading: Reading) -> None:
    """The raw files of the day."""
    reading.raw_logs(reading.day)


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Parse, check and type every line; set bad ones aside with their reason."""
    from pnn_gluon.data.ingest import ingest_logs

    result = ingest_logs(reading.config, reading.day, folder)
    report(f"ingest {reading.day}: {result.rows:,} rows, {result.rejects:,} rejects of {result.lines:,} lines")
    return Built(result.rows, dataclasses.asdict(result))


STEP = Step("ingest", "rows", ("source", "fields"), reads, build)

if __name__ == "__main__":
    main(STEP)
