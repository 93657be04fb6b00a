"""Whether the raw files of a day have come: what Airflow asks before it reads them."""

import json
from typing import Annotated, Any

import typer

from jobs.command import ConfigOption, DayOption
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError

WAITING = 4
"""Exit status while something is missing."""


def command(
    config: ConfigOption,
    day: DayOption,
    kind: Annotated[str, typer.Argument(help="What to look for: logs or requests.")] = "logs",
) -> None:
    """Whether the raw files of a day have come: status 0 and one JSON object, or status 4 and what is missing."""
    from pnn_gluon.data.arrival import arrival
    from pnn_gluon.pipeline.opening import open_store
    from pnn_gluon.pipeline.reading import Reading

    if kind not in {"logs", "requests"}:
        raise ConfigError(f"arrived {kind!r}: expected logs or requests")
    options, when = load_config(config), parse_day(day)
    found = arrival(options, kind, when)
    skipped = Reading(options, open_store(options), when).skipped(when) if found.missing else None
    status = "done" if not found.missing else "waiting" if skipped is None else "skipped"
    details: dict[str, Any] = {"files": found.files, "bytes": found.size}
    if found.missing:
        details |= {"reasons": [found.missing if skipped is None else f"declared as skipped: {skipped}"]}
    print(json.dumps({"step": f"wait_for_{kind}", "day": str(when), "status": status, "details": details}))
    raise typer.Exit(WAITING if status == "waiting" else 0)
