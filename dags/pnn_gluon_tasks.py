"""How every DAG of ours runs a step: one shell command, with nothing from Airflow pasted into it."""

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import TriggerRule
from pnn_gluon_job import JobOperator

from pnn_gluon.config import Config
from pnn_gluon.pipeline.graph import tasks
from pnn_gluon.pipeline.step import Step

DAY = {"PNN_GLUON_DAY": "{{ data_interval_start | ds }}"}
"""The day of a run, as its jobs get it."""

STEP = 'step {} --day "$PNN_GLUON_DAY"'
"""The command that runs a step."""

DEFAULTS: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=float(os.environ.get("PNN_GLUON_RETRY_SECONDS", "30"))),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=6),
}


def defaults(config: Config) -> dict[str, Any]:
    """What all tasks of a pipeline have in common: they run in its own pool."""
    return DEFAULTS | {"pool": config.name}


def every_day(config: Config) -> dict[str, Any]:
    """What the DAGs with a schedule share: one run for each UTC day from the pipeline's first to its last.

    A run triggered by hand works on the last whole day before its logical date.
    """
    first, last = config.first_day, config.last_day
    return {
        "start_date": pendulum.datetime(first.year, first.month, first.day, tz="UTC"),
        "end_date": pendulum.datetime(last.year, last.month, last.day, 23, 59, tz="UTC") if last else None,
        "catchup": False,
        "max_active_runs": 4,
        "default_args": defaults(config),
        "tags": ["pnn_gluon", config.name],
    }


def job(name: str, config: Config, command: str = "", env: dict[str, str] = DAY, **options: Any) -> JobOperator:
    """A task that runs a step of that name, or else a command; its last line, one JSON object, is the task's XCom.

    Everything that changes by run reaches the job through the environment, so no value is read by the shell as
    anything but text; the job validates it.
    """
    return JobOperator(
        task_id=name,
        bash_command=f'exec "$PNN_GLUON_PYTHON" -m jobs {command or STEP.format(name)}',
        cwd=str(Path(__file__).parents[1]),
        env={"PNN_GLUON_PYTHON": sys.executable, "PNN_GLUON_CONFIG": str(config.path), **env},
        append_env=True,
        scores_connection=_scores_connection(config) if name == "publish" else "",  # no other job needs it
        trigger_rule=TriggerRule.NONE_FAILED,  # a skipped step hands its day on
        **options,
    )


def steps_as_tasks(config: Config, steps: Sequence[Step]) -> None:
    """A task for each of these steps, joined as the steps' inputs ask for."""
    made: dict[str, JobOperator] = {}
    for task in tasks(config, steps):
        alone = {"max_active_tis_per_dag": 1} if task.step.alone else {}
        made[task.step.name] = job(task.step.name, config, waits=task.waits, **alone)
    for task in tasks(config, steps):
        for name in task.after:
            made[name] >> made[task.step.name]


def _scores_connection(config: Config) -> str:
    """The id of the Airflow connection of the score server; "" where it is none."""
    kind, _, name = config.publish.server.partition(":")
    return name if kind == "connection" else ""
