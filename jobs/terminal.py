"""Where tables and progress for people go."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

PIPE_WIDTH = 240
"""Columns of a table whose reader is a file or another program."""


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough when it is none."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=PIPE_WIDTH)


class _RowsPerSecond(ProgressColumn):
    """The present speed."""

    def render(self, task: Task) -> Text:
        """Such as `12,345 rows/s`."""
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} rows/s")


def row_progress() -> Progress:
    """A bar for each task, counted in rows, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, _RowsPerSecond(), TimeRemainingColumn(), console=Console(stderr=True))


def step_progress() -> Progress:
    """A bar that counts steps, on standard error."""
    columns = (SpinnerColumn(), TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))
