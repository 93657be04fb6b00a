"""The days as a page."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.command import ConfigOption, DaysOption
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_days


def command(
    config: ConfigOption,
    day: DaysOption,
    output: Annotated[Path, typer.Option(help="The HTML file.")] = Path("report.html"),
) -> None:
    """The same as one HTML page with charts."""
    from jobs.day_reports import write_html

    write_html(load_config(config), parse_days(day), output)
    print(output)
