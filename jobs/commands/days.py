"""The days as a table."""

from jobs.command import ConfigOption, DaysOption
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_days


def command(config: ConfigOption, day: DaysOption) -> None:
    """The table of days: rows, positives, next-day metrics, the gate's decision."""
    from jobs.day_reports import day_reports
    from jobs.terminal import console
    from pnn_gluon.report.day_table import render_day_table

    console().print(render_day_table(day_reports(load_config(config), parse_days(day))))
