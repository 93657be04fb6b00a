"""How every DAG of ours runs a step: one shell command, with nothing from Airflow pasted into it."""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import TriggerRule

from pnn_gluon.config import Config, load_config

REFUSED = 4
"""Exit status of a refused candidate and of a kept day: the task is shown as skipped, and what stood before stays."""

DAY = {"PNN_GLUON_DAY": "{{ data_interval_start | ds }}"}
"""The day of a run, as its jobs get it."""

DEFAULTS: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=float(os.environ.get("PNN_GLUON_RETRY_SECONDS", "30"))),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=6),
}


def pipeline_config() -> Config:
    """The pipeline these DAGs run: the file that PNN_GLUON_CONFIG names."""
    return load_config(os.environ["PNN_GLUON_CONFIG"])


def every_day(config: Config) -> dict[str, Any]:
    """What the daily DAGs share: one run for each UTC day from the pipeline's first to its last.

    A run triggered by hand works on the last whole day before its logical date.
    """
    first, last = config.first_day, config.last_day
    if os.environ.get("PNN_GLUON_DAG_TEST"):
        last = None  # dag.test gives the run of day D the logical date D+1, which would be after the end
    return {
        "start_date": pendulum.datetime(first.year, first.month, first.day, tz="UTC"),
        "end_date": pendulum.datetime(last.year, last.month, last.day, 23, 59, tz="UTC") if last else None,
        "catchup": False,
        "max_active_runs": 4,
        "default_args": DEFAULTS,
        "tags": ["pnn_gluon", config.name],
    }


def job(
    step: str, config: Config, arguments: str = '--day "$PNN_GLUON_DAY"', env: dict[str, str] = DAY, **options: Any
) -> BashOperator:
    """A task that runs `python -m jobs.<step>`; its last line, one JSON object, is the task's XCom.

    Everything that changes by run reaches the job through the environment, so no value is read by the shell as
    anything but text; the job validates it.
    """
    return BashOperator(
        task_id=step,
        bash_command=f'exec "$PNN_GLUON_PYTHON" -m jobs.{step} {arguments}',
        cwd=str(Path(__file__).parents[1]),
        env={"PNN_GLUON_PYTHON": sys.executable, **env, **_score_server(config)},
        append_env=True,
        output_processor=last_object,
        skip_on_exit_code=REFUSED,
        trigger_rule=TriggerRule.NONE_FAILED,  # a skipped step hands its day on
        **options,
    )


def last_object(line: str) -> Any:
    """The job's JSON object."""
    return json.loads(line)


def _score_server(config: Config) -> dict[str, str]:
    """The URI of the score server when it is an Airflow connection, rendered when the task runs."""
    kind, _, name = config.publish.server.partition(":")
    return {"PNN_GLUON_SCORES_URI": "{{ conn." + name + ".get_uri() }}"} if kind == "connection" else {}
