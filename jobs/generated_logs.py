"""Logs and requests of a generated world, day by day."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.terminal import step_progress
from pnn_gluon.days import plus

if TYPE_CHECKING:
    from pnn_gluon.data.synthetic_options import SyntheticOptions


def generate(options: "SyntheticOptions", days: Sequence[datetime.date], folder: Path) -> None:
    """Write the logs of some days and the requests of the days after them."""
    from pnn_gluon.data.synthetic import write_day, write_requests

    with step_progress() as progress:
        task = progress.add_task("generate logs", total=len(days))
        for day in days:
            progress.update(task, description=f"generate {day}")
            write_day(options, day, folder)
            write_requests(options, plus(day, 1), folder)
            progress.advance(task)
