"""The days as pages."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.command import ConfigOption, DaysOption
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_day, parse_days
from pnn_gluon.errors import ConfigError


def command(
    config: ConfigOption,
    day: DaysOption,
    output: Annotated[
        Path, typer.Option(help="A folder for all pages, or an HTML file: the page of one day, or of all.")
    ] = Path("report"),
    against: Annotated[
        str | None,
        typer.Option(help="With one day and an HTML file: what differs from this day, not from the one before."),
    ] = None,
) -> None:
    """The same as HTML pages with charts: one for each day, with its numbers as JSON, and one of all days."""
    from jobs.day_reports import write_html, write_pages

    options, days, other = load_config(config), parse_days(day), None if against is None else parse_day(against)
    to_file = output.suffix == ".html"
    if other is not None and not (to_file and len(days) == 1):
        raise ConfigError(f"--against {other}: give one --day and an --output that ends in .html")
    if to_file:
        write_html(options, days, output, other)
    else:
        output = write_pages(options, days, output)
    print(output)
