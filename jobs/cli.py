"""pnn-gluon: the operator's commands."""

import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs import bench, compare, count_parameters, fit, score_table, study, tune
from jobs.command import ConfigOption, ForceOption, guarded, print_outcome, report
from jobs.stopping import Stopped, raise_when_stopped
from jobs.watched import Note, watched
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_day, parse_days
from pnn_gluon.disk_errors import explained
from pnn_gluon.errors import ConfigError, PnnError

if TYPE_CHECKING:
    from jobs.local_airflow import Status

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

DaysOption = Annotated[str, typer.Option("--day", help="One day or first..last, YYYY-MM-DD.")]


def main() -> None:
    """Run a command; errors a user can act on end with their own status and no traceback; none shows a password."""
    raise_when_stopped()
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


@app.command()
def run(config: ConfigOption, day: DaysOption, force: ForceOption = False) -> None:
    """The whole day, for one or several days, without Airflow; one JSON line a step."""
    from jobs.pipeline import daily_steps, step

    options = load_config(config)
    if options.source.requests is None:
        raise ConfigError(f"{options.path}: source.requests: needed to run a whole day; say where requests lie")
    days = parse_days(day)

    def work(note: Note) -> int:
        for each in days:
            for name in daily_steps(options):
                note(f"{name} {each}")
                status = print_outcome(guarded(partial(step(name).run, options, each, force, report)))
                if status not in {0, 4}:
                    return status
        return 0

    raise typer.Exit(watched(work))


@app.command()
def status(config: ConfigOption, day: DaysOption) -> None:
    """Days by steps: done, stale, missing or failed, and which model is in force."""
    from jobs.status import print_status

    print_status(load_config(config), parse_days(day))


@app.command()
def verify(
    config: ConfigOption,
    day: Annotated[
        str | None, typer.Option("--day", help="One day or first..last, YYYY-MM-DD; default: every day.")
    ] = None,
) -> None:
    """Compare the store with what was written to it; status 3 when something is damaged, with what mends it."""
    from jobs.verify import print_verdict

    if not print_verdict(load_config(config), parse_days(day) if day else None):
        raise typer.Exit(3)


@app.command()
def days(config: ConfigOption, day: DaysOption) -> None:
    """The table of days: rows, positives, next-day metrics, the gate's decision."""
    from jobs.day_reports import day_reports
    from jobs.terminal import console
    from pnn_gluon.evaluation.day_table import render_day_table

    console().print(render_day_table(day_reports(load_config(config), parse_days(day))))


@app.command("report")
def write_report(
    config: ConfigOption,
    day: DaysOption,
    output: Annotated[Path, typer.Option(help="The HTML file.")] = Path("report.html"),
) -> None:
    """The same as one HTML page with charts."""
    from jobs.day_reports import write_html

    write_html(load_config(config), parse_days(day), output)
    print(output)


@app.command()
def rollback(
    config: ConfigOption,
    day: Annotated[str, typer.Option(help="The day whose scores are to change: usually the newest.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    to: Annotated[str | None, typer.Option(help="Day of the model to put in force.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take an earlier rollback of this day back.")] = False,
) -> None:
    """Put the model of another day in force (even one the gate refused), score and publish again."""
    from jobs.rollback import roll_back

    chosen = parse_day(to) if to else None
    for outcome in roll_back(load_config(config), parse_day(day), chosen, reason, clear, report):
        print_outcome(outcome)


@app.command("skip-day")
def declare_outage(
    config: ConfigOption,
    day: Annotated[str, typer.Option(help="The day whose logs are lost.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    clear: Annotated[bool, typer.Option("--clear", help="Take it back: the logs came after all.")] = False,
) -> None:
    """Declare a day as an outage: it is kept without rows, and the days after it go on."""
    from jobs.skip_day import skip_day

    print_outcome(skip_day(load_config(config), parse_day(day), reason, clear, report))


@app.command()
def synth(
    folder: Annotated[Path, typer.Option(help="Where logs/, requests/ and truth/ go.")],
    day: DaysOption,
    seed: Annotated[int, typer.Option(help="Chooses the world.")] = 1,
    first_day: Annotated[
        str | None, typer.Option(help="The day the world begins; default: the first of --day.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Log lines a day.")] = 150_000,
    requests: Annotated[int, typer.Option(help="Candidates a day.")] = 50_000,
    click_rate: Annotated[float, typer.Option(help="Mean click probability of the first day.")] = 0.08,
    vocabulary: Annotated[str, typer.Option(help="demo or criteo: sizes of the categories.")] = "demo",
    compression: Annotated[str, typer.Option(help="none, gz or zst.")] = "gz",
    bad_line_share: Annotated[float, typer.Option(help="Share of damaged lines.")] = 0.0,
) -> None:
    """Generated Criteo-like logs with the true probability of every row beside them."""
    from pnn_gluon.data.synthetic_options import SyntheticOptions

    chosen = parse_days(day)
    options = SyntheticOptions(
        seed=seed,
        first_day=parse_day(first_day) if first_day else chosen[0],
        rows_per_day=rows,
        request_rows_per_day=requests,
        click_rate=click_rate,
        vocabulary=vocabulary,
        compression=compression,
        bad_line_share=bad_line_share,
    )
    from jobs.demo import generate

    generate(options, chosen, folder)


@app.command()
def query(
    config: ConfigOption,
    sql: Annotated[str, typer.Argument(help="A statement for the score server, such as: select * from scores limit 5")],
) -> None:
    """Ask the score server; the embedded one is started for it."""
    from jobs.query import print_query

    print_query(load_config(config), sql)


@app.command()
def demo(
    work: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("work/demo"),
    config: Annotated[Path, typer.Option(help="The demo's configuration.")] = Path("conf/demo.toml"),
) -> None:
    """Generate logs, run the daily DAG from the first to the last day, show what came out."""
    from jobs.demo import run_demo

    raise typer.Exit(run_demo(load_config(config), work))


app.command("bench")(bench.command)
app.command("fit")(fit.command)
app.command("compare")(compare.command)
app.command("score-table")(score_table.command)
app.command("tune")(tune.command)
app.add_typer(study.app, name="study")
app.command("count-parameters", context_settings=count_parameters.CONTEXT)(count_parameters.command)


@app.command()
def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", envvar="PNN_GLUON_CONFIG", help="Also check this pipeline.")
    ] = None,
) -> None:
    """Environment, devices, versions: what works here, and why the rest does not."""
    from jobs.doctor import examine

    if not examine(load_config(config) if config else None):
        raise typer.Exit(1)


OneConfigOption = Annotated[
    Path | None, typer.Option("--config", envvar="PNN_GLUON_CONFIG", help="Of this pipeline; default: of all.")
]


@app.command()
def up(
    config: ConfigOption,
    port: Annotated[
        int | None, typer.Option(help="Port of the UI on 127.0.0.1; default: a free one from 8080.")
    ] = None,
    user: Annotated[list[str] | None, typer.Option(help="name:role; with it, the UI asks for a login.")] = None,
) -> None:
    """Start this pipeline's local Airflow with its UI on 127.0.0.1; returns when every part is healthy."""
    from jobs import local_airflow as local

    path = load_config(config).path
    home = local.home_of(path)
    local.up(home, path, local.port_for(home) if port is None else port, users=user or ())


@app.command()
def down(config: OneConfigOption = None) -> None:
    """Stop the local Airflow, of one pipeline or of all."""
    from jobs import local_airflow as local

    for home in [local.home_of_existing(config)] if config else local.homes():
        local.down(home)


@app.command()
def services(config: OneConfigOption = None) -> None:
    """How the local Airflow is, of one pipeline or of all: its parts, their health, its address."""
    from jobs import local_airflow as local

    chosen = [local.home_of_existing(config)] if config else local.homes()
    healthy = [_print_services(local.status(home), home) for home in chosen]
    if not chosen:
        print("address: none")
    raise typer.Exit(0 if healthy and all(healthy) else 1)


def _print_services(found: "Status", home: Path) -> bool:
    print(f"home: {home}")
    for name, state in {**found.parts, **{f"health of {part}": word for part, word in found.health.items()}}.items():
        print(f"{name}: {state}")
    print(f"address: {found.address or 'none'}")
    return found.healthy


if __name__ == "__main__":
    main()
