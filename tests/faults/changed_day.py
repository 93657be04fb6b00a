"""A day that is made again from other raw files: for each step the store before it, and the store after it.

Before its step a table holds the day as it was, made of the first raw files, and what it is made of is new already. So
at every moment a reader may find the old day or the new one.
"""

import datetime
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, reduce
from pathlib import Path

from pnn_gluon.config import Config, load_config
from pnn_gluon.data.synthetic import write_day, write_requests
from pnn_gluon.days import plus
from tests.faults.warm_process import Warm
from tests.jobs.small_pipeline import FIELDS, FIRST, PIPELINE, UNPUBLISHED, raw_options, tree

DAY = plus(FIRST, 1)
STEPS = UNPUBLISHED[:-1]
"""The steps of a day whose only output is the store, without the report that ends it."""

DATA_STEPS = ("ingest", "sample", "count", "feature_map", "encode")
"""Those before the training, which make a day in a second."""

ROWS = 300
FEWER = """
fields = [
    { name = "i1", kind = "numeric", bucketing = "log_square" },
    { name = "i2", kind = "numeric", bucketing = "log_square" },
    { name = "c1" },
    { name = "c2" },
    { name = "c3" },
]
"""
"""Some of the log's: a file has a write for each column, and all of them go wrong alike."""

LENIENT = {
    FIELDS: FEWER,
    "min_impressions = 5": "min_impressions = 2",
    "min_auc = 0.4": "min_auc = 0.0",
    "pcoc_low = 0.2": "pcoc_low = 0.01",
    "pcoc_high = 5.0": "pcoc_high = 100.0",
    "max_regression = 0.5": "max_regression = 9.0\nmin_rows = 1",
}
"""What lets so few rows become a model that passes the gate."""


@dataclass(frozen=True)
class ChangedDay:
    """The pipeline, and a folder with copies of its store: `before-STEP`, and `after-STEP` as it ends undisturbed."""

    config: Config
    copies: Path

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return Path(self.config.store_root)

    def before(self, step: str) -> dict[str, bytes]:
        """The files that a step begins with."""
        return _copy(self.copies / f"before-{step}")

    def after(self, step: str) -> dict[str, bytes]:
        """The files that it ends with."""
        return _copy(self.copies / f"after-{step}")

    def begin(self, step: str) -> None:
        """Put the store back to what it was before a step."""
        shutil.rmtree(self.store)
        shutil.copytree(self.copies / f"before-{step}", self.store)


@cache
def _copy(folder: Path) -> dict[str, bytes]:
    return tree(folder)


def changed_day(folder: Path, warm: Warm, steps: Sequence[str], threads: int = 1) -> ChangedDay:
    """Make two days, then the second of them again from other raw files, and keep what is between the steps.

    With more threads than one there are as many raw files, each taken in by a worker process.
    """
    text = reduce(lambda text, pair: text.replace(*pair), LENIENT.items(), PIPELINE)
    (folder / "pipeline.toml").write_text(text.replace("threads = 1", f"threads = {threads}"))
    day = ChangedDay(load_config(folder / "pipeline.toml"), folder / "copies")
    _write_raw(folder / "raw", (FIRST, DAY), 3, threads)
    for date in (FIRST, DAY):
        for step in steps:
            _undisturbed(day, warm, step, date)
    _write_raw(folder / "raw", (DAY,), 4, threads)
    for step in steps:
        shutil.copytree(day.store, day.copies / f"before-{step}")
        _undisturbed(day, warm, step, DAY)
        shutil.copytree(day.store, day.copies / f"after-{step}")
    return day


def _undisturbed(day: ChangedDay, warm: Warm, step: str, date: datetime.date) -> None:
    end = warm.run(day.config.path, step, date)
    assert end.status == "done", (step, date, end)


def _write_raw(folder: Path, days: Iterable[datetime.date], seed: int, files: int) -> None:
    options = replace(raw_options(), seed=seed, rows_per_day=ROWS, request_rows_per_day=50, files_per_day=files)
    for day in days:
        write_day(options, day, folder)
        write_requests(options, plus(day, 1), folder)
