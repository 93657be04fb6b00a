"""pnn-gluon: the operator's commands."""

import importlib
import logging
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from jobs.huge_pages import start_with_huge_pages
from jobs.logs import show_on_stderr
from jobs.stopping import Stopped, raise_when_stopped
from pnn_gluon.disk_errors import explained
from pnn_gluon.errors import PnnError
from pnn_gluon.extras import missing_text

_log = logging.getLogger("jobs")

COMMANDS = (
    "run",
    "step",
    "train-cluster",
    "arrived",
    "status",
    "verify",
    "gc",
    "days",
    "report",
    "track",
    "rollback",
    "promote",
    "approve",
    "skip-day",
    "compact",
    "export",
    "query",
    "score-table",
    "serve",
    "export-onnx",
    "explain",
    "fit",
    "compare",
    "tune",
    "study",
    "count-parameters",
    "bench",
    "synth",
    "demo",
    "doctor",
    "up",
    "down",
    "dags",
    "services",
)
"""In the order of the help; `jobs.commands.score_table` has the function `command`, or an `app` of more commands."""


TRAINING = ("run", "fit", "tune", "study", "train-cluster", "bench")
"""Commands that train, as the step `train` does, or measure how fast that is."""


class CommandsOnDemand(TyperGroup):
    """The commands by name; the module of a command is imported when it is asked for, so that none waits for others."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help."""
        return [*COMMANDS, *(name for name in self.commands if name not in COMMANDS)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; for a name that there is none of, all are loaded, to say what may be meant."""
        for name in (cmd_name,) if cmd_name in COMMANDS else COMMANDS:
            self._load(name)
        return super().get_command(ctx, cmd_name)

    def _load(self, name: str) -> None:
        if name not in self.commands:
            module = importlib.import_module(f"jobs.commands.{name.replace('-', '_')}")
            app = getattr(module, "app", None)
            if app is None:
                app = typer.Typer(add_completion=False)
                app.command(name, context_settings=getattr(module, "CONTEXT", None))(module.command)
            self.commands[name] = typer.main.get_command(app)


app = typer.Typer(
    cls=CommandsOnDemand, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


@app.callback()
def _no_options() -> None:
    """The operator's commands."""


def main() -> None:
    """Run a command; errors a user can act on end with their own status and no traceback; none shows a password."""
    if (sys.argv[1:2] and sys.argv[1] in TRAINING) or sys.argv[1:3] == ["step", "train"]:
        start_with_huge_pages()
    raise_when_stopped()
    show_on_stderr()
    try:
        app()
    except Stopped as stop:
        _log.error("stopped; the same command continues here")
        sys.exit(stop.exit_status)
    except PnnError as error:
        _log.error(f"error: {error}")
        sys.exit(error.exit_status)
    except OSError as error:  # the machine's trouble, not the program's
        _log.error(f"error: {explained(error)}")
        sys.exit(1)
    except Exception as error:
        missing = missing_text(error) if isinstance(error, ModuleNotFoundError) else None
        _log.error(f"error: {missing}" if missing else traceback.format_exc().rstrip())
        sys.exit(1)


if __name__ == "__main__":
    main()
