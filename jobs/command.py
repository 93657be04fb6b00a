"""What commands share: options, errors in the log, and one JSON object on stdout."""

import dataclasses
import json
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from jobs.running import Outcome
from pnn_gluon.disk_errors import explained
from pnn_gluon.errors import PnnError
from pnn_gluon.extras import missing_text

log = logging.getLogger(__name__)

ConfigOption = Annotated[Path, typer.Option("--config", envvar="PNN_GLUON_CONFIG", help="The pipeline's TOML file.")]
DayOption = Annotated[str, typer.Option("--day", help="The day, YYYY-MM-DD; of source.time_zone, UTC by default.")]
DaysOption = Annotated[str, typer.Option("--day", help="One day or first..last, YYYY-MM-DD.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Redo the day even if nothing changed.")]
_CONFIGS = typer.Option(
    "--configs", "--config", envvar="PNN_GLUON_CONFIGS", help="A folder of pipelines' TOML files, or a single one."
)
ConfigsOption = Annotated[Path, _CONFIGS]
SomeConfigsOption = Annotated[Path | None, _CONFIGS]


def print_outcome(outcome: "Outcome | int") -> int:
    """Print an outcome as one JSON line; the exit status."""
    if isinstance(outcome, int):
        return outcome
    fields = dataclasses.asdict(outcome)
    status = int(fields.pop("exit_status"))
    print(json.dumps(fields, sort_keys=True), flush=True)
    return status


def guarded(work: Callable[[], Outcome]) -> "Outcome | int":
    """The outcome of some work, or the exit status of its failure, which is logged."""
    try:
        return work()
    except PnnError as error:
        log.error("error: %s", error)
        return error.exit_status
    except OSError as error:  # the machine's trouble, not the program's: disk, network, permissions
        log.error("error: %s", explained(error))
        return 1
    except Exception as error:
        if _engine_lacks_room(error):
            log.error(
                "error: the SQL engine: %s; free some space where temporary files go (TMPDIR) and where the store is, "
                "or raise engine.memory_limit, then run again",
                error,
            )
        else:
            missing = missing_text(error) if isinstance(error, ModuleNotFoundError) else None
            log.error(f"error: {missing}" if missing else traceback.format_exc().rstrip())
        return 1


def _engine_lacks_room(error: Exception) -> bool:
    """Whether the SQL engine, if it is loaded at all, met a full or failing disk or its memory limit."""
    engine = sys.modules.get("duckdb")
    return engine is not None and isinstance(error, engine.IOException | engine.OutOfMemoryException)
