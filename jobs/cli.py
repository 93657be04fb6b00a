"""pnn-gluon: the operator's commands."""

import sys
import traceback
from collections.abc import Callable

import typer

from jobs.command import report
from jobs.commands import (
    bench,
    compare,
    count_parameters,
    days,
    demo,
    doctor,
    down,
    export,
    fit,
    query,
    rollback,
    run,
    score_table,
    services,
    skip_day,
    status,
    step,
    study,
    synth,
    tune,
    up,
    verify,
)
from jobs.commands import (
    report as report_page,
)
from jobs.logs import show_on_stderr
from jobs.stopping import Stopped, raise_when_stopped
from pnn_gluon.disk_errors import explained
from pnn_gluon.errors import PnnError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

_COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.command,
    "step": step.command,
    "status": status.command,
    "verify": verify.command,
    "days": days.command,
    "report": report_page.command,
    "rollback": rollback.command,
    "skip-day": skip_day.command,
    "export": export.command,
    "query": query.command,
    "score-table": score_table.command,
    "fit": fit.command,
    "compare": compare.command,
    "tune": tune.command,
    "bench": bench.command,
    "synth": synth.command,
    "demo": demo.command,
    "doctor": doctor.command,
    "up": up.command,
    "down": down.command,
    "services": services.command,
}

for name, command in _COMMANDS.items():
    app.command(name)(command)
app.add_typer(study.app, name="study")
app.command("count-parameters", context_settings=count_parameters.CONTEXT)(count_parameters.command)


def main() -> None:
    """Run a command; errors a user can act on end with their own status and no traceback; none shows a password."""
    raise_when_stopped()
    show_on_stderr()
    try:
        app()
    except Stopped as stop:
        report("stopped; the same command continues here")
        sys.exit(stop.exit_status)
    except PnnError as error:
        report(f"error: {error}")
        sys.exit(error.exit_status)
    except OSError as error:  # the machine's trouble, not the program's
        report(f"error: {explained(error)}")
        sys.exit(1)
    except Exception:
        report(traceback.format_exc().rstrip())
        sys.exit(1)


if __name__ == "__main__":
    main()
