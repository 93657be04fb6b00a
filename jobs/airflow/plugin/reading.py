"""Reads a store for the pages, in a process of its own: the server that shows them loads no table and no model.

`python -m jobs.airflow.plugin.reading days|report|made CONFIG TODAY [--first DAY] [--last DAY] [--run DAY]
[--known NAME] [--step STEP]` prints one JSON object. Whoever starts it says what day it is, and which is the newest
that was run; `made` is about the step of --step and the day of --run.
"""

import argparse
import datetime
import json
import sys
from typing import Any

from jobs.airflow.plugin.made_page import made_page
from jobs.day_overview import overview, shown_days
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_day
from pnn_gluon.disk_errors import explained
from pnn_gluon.errors import InputError, PnnError
from pnn_gluon.pipeline.steps import step
from pnn_gluon.secrets_masking import masked


def main() -> int:
    """Print what was asked for, or why there is none; the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("days", "report", "made"))
    parser.add_argument("config")
    parser.add_argument("today", type=parse_day)
    parser.add_argument("--first", type=parse_day)
    parser.add_argument("--last", type=parse_day)
    parser.add_argument("--run", type=parse_day)
    parser.add_argument("--known", default="")
    parser.add_argument("--step", default="")
    try:
        print(json.dumps(_asked(parser.parse_args())))
    except PnnError as error:
        print(masked(str(error)), file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(masked(explained(error)), file=sys.stderr)
        return 1
    return 0


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """The overview of the days; of a report its name, and the page unless that is known already; the page of a run."""
    config = load_config(options.config)
    if options.what == "made":
        return {"html": made_page(config, step(options.step), options.run)}
    days = shown_days(config, options.first, options.last, options.today, options.run)
    if options.what == "days":
        return overview(config, days, options.today)
    if not days:
        raise InputError(f"{config.name}: no day to report: none of these is a day of the pipeline that is over")
    from jobs.day_reports import html_of, made_from

    name = made_from(config, days)
    html = None if name == options.known else html_of(config, days, _address, index=f"?last={days[-1]}")
    return {"name": name, "html": html}


def _address(day: datetime.date) -> str:
    """Of the page of a day, from the page of several."""
    return f"?first={day}&last={day}"


if __name__ == "__main__":
    sys.exit(main())
