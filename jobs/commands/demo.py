"""The demo: generated logs, the daily DAG over some days, and what came out."""

import datetime
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.airflow import local_airflow
from jobs.airflow.homes import DEFAULT_CONFIGS, home_of
from jobs.day_reports import day_reports, write_pages
from jobs.generated_logs import generate
from jobs.stopping import ends_at_once
from jobs.terminal import console, step_progress
from jobs.watched import Note, watched
from pnn_gluon.atomic import write_atomically
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import day_range, plus
from pnn_gluon.errors import ConfigError
from pnn_gluon.report.day_table import render_day_table

if TYPE_CHECKING:
    from pnn_gluon.data.synthetic_options import SyntheticOptions


def command(
    work: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("work/demo"),
    config: Annotated[Path, typer.Option(help="The demo's configuration.")] = Path("conf/demo.toml"),
) -> None:
    """Generate logs, run the daily DAG from the first to the last day, show what came out."""
    raise typer.Exit(run_demo(load_config(config), work))


def _generate_once(options: "SyntheticOptions", days: Sequence[datetime.date], folder: Path) -> None:
    """Generate, unless exactly this was generated before."""
    wanted = repr((options, list(days))).encode()
    mark = folder / "generated.txt"
    if not mark.exists() or mark.read_bytes() != wanted:
        generate(options, days, folder)
        write_atomically(mark, wanted)


def run_demo(config: Config, work: Path) -> int:
    """Generate, run, show; the exit status. A second run finds everything done.

    The runs are those of the Airflow of the configuration's folder, where `up` shows them. They are made by a child:
    when it is ended, however that happens, this process is there to stop the database.
    """
    from pnn_gluon.data.synthetic_options import SyntheticOptions

    work = work.resolve()
    if config.last_day is None:
        raise ConfigError(f"{config.path}: last_day: the demo needs one; it generates the logs up to that day")
    wanted = day_range(config.first_day, config.last_day)
    options = SyntheticOptions(
        seed=7, first_day=config.first_day, rows_per_day=100_000, request_rows_per_day=20_000, compression="gz"
    )
    configs = config.path.parent
    home = home_of(configs)

    def make(note: Note) -> int:
        _generate_once(options, wanted, work / "raw")
        _run(config, home, database, wanted, note)
        return 0

    with local_airflow.database_only(home, configs) as database:
        status = watched(make)
    if status == 0:
        _show(config, wanted, write_pages(config, wanted, work / "report"))
    return status


def _run(config: Config, home: Path, database: Mapping[str, str], days: Sequence[datetime.date], note: Note) -> None:
    from jobs.airflow import dag_runner

    warnings.filterwarnings("ignore")  # Airflow's own deprecations are not the newcomer's business
    dag_runner.prepare(home, config.path.parent, database)
    with ends_at_once("stopped; make demo continues here"), step_progress() as progress:
        task = progress.add_task("start Airflow", total=None)
        dag = dag_runner.load_dag(f"{config.name}_daily")
        progress.update(task, total=len(days) * len(dag.task_ids))
        for day in days:

            def started(name: str, day: datetime.date = day) -> None:
                note(f"{name} {day}")
                progress.update(task, description=f"{day} {name}", advance=1)

            dag_runner.run_days(dag, [day], started)


def _show(config: Config, days: Sequence[datetime.date], page: Path) -> None:
    console().print(render_day_table(day_reports(config, days)))
    here, path = Path.cwd(), config.path
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    day = plus(days[-1], 1)
    sql = f"select * from {config.publish.table} where day = '{day}' order by probability desc limit 5"
    up = (
        "make up     (make down)"
        if path.parent == DEFAULT_CONFIGS
        else f".venv/bin/pnn-gluon up --configs {shown.parent}"
    )
    print(f"""
Scores of {day}:   .venv/bin/pnn-gluon query --config {shown} "{sql}"
Report with charts:     {page}
What stands, by step:   .venv/bin/pnn-gluon status --config {shown} --day {days[0]}..{days[-1]}
Airflow with its UI:    {up}""")
