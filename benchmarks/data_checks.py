"""How often a day without drift raises an alarm, and how often a shift is found, by the number of its rows.

    python -m benchmarks.data_checks [--repeats 1000]

Each of so many fields has 200 values with Zipf's frequencies. A day of n rows is compared with seven days of as many,
without drift and with a share of its rows moved to another value. Ends with one JSON line.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from pnn_gluon.checks.chance import Counts, distance, new_values
from pnn_gluon.checks.shifts import Shift, shifts
from pnn_gluon.config import ChecksConfig, EngineConfig
from pnn_gluon.data.counting import COUNTS

VALUES, DAYS = 200, 7
ROWS = (300, 1_000, 3_000, 30_000)
MOVED = (0.0, 0.2, 0.4, 0.6)
"""Shares of a day's rows that get another value: every value that of the next but 100."""


def counts_of(draw: np.random.Generator, rows: int, moved: float) -> Counts:
    """The counts of a field's values (VALUES,)."""
    zipf = 1 / np.arange(1, VALUES + 1)
    shares = zipf / zipf.sum()
    return draw.multinomial(rows, (1 - moved) * shares + moved * np.roll(shares, 100))


def write(path: Path, fields: list[Counts]) -> Path:
    """Counts of many fields, as the step `count` writes them."""
    lines = [
        {"field": f"f{n}", "value": f"v{v}", "impressions": c, "clicks": 0}
        for n, counts in enumerate(fields)
        for v, c in enumerate(counts.tolist())
        if c
    ]
    pq.write_table(pa.Table.from_pylist(lines, COUNTS), path)
    return path


def alarms(found: Mapping[str, Shift], rows: int) -> float:
    """The share of fields for which the checks have a finding by their defaults."""
    limits, raised = ChecksConfig(), 0
    for shift in found.values():
        drift = distance(shift.today, shift.before, (rows, DAYS * rows))
        new = new_values(shift.new, rows, shift.pooled, shift.number)
        far = drift.value > max(limits.drift_limit, drift.chance)
        raised += far or new.value > max(limits.new_values_limit, new.chance)
    return raised / len(found)


def main(repeats: Annotated[int, typer.Option(help="Fields for each number.")] = 1000) -> None:
    """Print a table, and the same as one JSON line."""
    draw, table = np.random.default_rng(1), {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in ROWS:
            before = write(Path(folder) / "before", [counts_of(draw, DAYS * rows, 0) for _ in range(repeats)])
            for moved in MOVED:
                today = write(Path(folder) / "today", [counts_of(draw, rows, moved) for _ in range(repeats)])
                found = alarms(shifts(EngineConfig(threads=1), [today], [before]), rows)
                table[f"{rows} rows, {moved:.0%} moved"] = found
                print(f"{rows:>7,} rows, {moved:>4.0%} moved: {found:.4f} of the fields have a finding")
    print(json.dumps(table))


if __name__ == "__main__":
    typer.run(main)
