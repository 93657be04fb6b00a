"""Where tables for people go."""

from rich.console import Console

PIPE_WIDTH = 180
"""Columns of a table whose reader is a file or another program."""


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough when it is none."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=PIPE_WIDTH)
