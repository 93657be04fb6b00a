"""How every DAG of ours runs a step: one shell command, with nothing from Airflow pasted into it."""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pendulum
from airflow.sdk import Asset, TaskGroup, TriggerRule
from pnn_gluon_approval import SHOW, PromotionApproval, may_ask
from pnn_gluon_arrival import ArrivalOperator
from pnn_gluon_docs import GROUPS, approval_doc, arrival_doc, step_doc
from pnn_gluon_job import JobOperator
from pnn_gluon_links import LINKS
from pnn_gluon_notice import failure_notice

from pnn_gluon.config import Config
from pnn_gluon.pipeline.graph import Task, tasks
from pnn_gluon.pipeline.inputs import RawLogs, Requests
from pnn_gluon.pipeline.step import Step
from pnn_gluon.queues import ETL
from pnn_gluon.scheduling import without_scheduler

Job = TypeVar("Job", bound=JobOperator)

DAY = {"PNN_GLUON_DAY": "{{ data_interval_start | ds }}"}
"""The day of a run, as its jobs get it."""

STEP = 'step {} --day "$PNN_GLUON_DAY" --wait'
"""The command that runs a step. It waits for another process at the same day, such as one that outlived its worker."""

DEFAULTS: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=float(os.environ.get("PNN_GLUON_RETRY_SECONDS", "30"))),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=6),
}


def defaults(config: Config) -> dict[str, Any]:
    """What all tasks of a pipeline have in common: its own pool, a queue, its owner, and who is told of failures."""
    told = {"on_failure_callback": failure_notice(config.notices)} if config.notices.anybody else {}
    return DEFAULTS | {"pool": config.name, "queue": ETL, "owner": config.owner, "notices": config.notices} | told


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


def job(
    name: str,
    config: Config,
    command: str = "",
    env: dict[str, str] = DAY,
    scores: bool = False,
    operator: type[JobOperator] = JobOperator,
    **options: Any,
) -> JobOperator:
    """A task that runs a step of that name, or else a command; its last line, one JSON object, is the task's XCom.

    Everything that changes by run reaches the job through the environment, so no value is read by the shell as
    anything but text; the job validates it. Only a job with `scores` gets the score server's URI.
    """
    connection = _scores_connection(config) if scores else ""
    return _task(operator, name, command or STEP.format(name), config, env, scores_connection=connection, **options)


def _task(operator: type[Job], name: str, command: str, config: Config, env: Mapping[str, str], **options: Any) -> Job:
    return operator(
        task_id=name,
        bash_command=f'exec "$PNN_GLUON_PYTHON" -m jobs {command}',
        cwd=str(Path(__file__).parents[1]),
        env={"PNN_GLUON_PYTHON": sys.executable, "PNN_GLUON_CONFIG": str(config.path), **env},
        append_env=True,
        trigger_rule=TriggerRule.NONE_FAILED,  # a skipped step hands its day on
        **options,
    )


ASSETS = {"ingest": "rows", "feature_map": "map", "promote": "model", "publish": "scores"}
"""By step the asset that it brings up to date, one partition a day."""


def asset(config: Config, name: str) -> Asset:
    """An asset of a pipeline, as Airflow shows it."""
    return Asset(name=f"{config.name}_{name}", uri=f"pnn-gluon://{config.name}/{name}")


def steps_as_tasks(config: Config, steps: Sequence[Step], day: dict[str, str] = DAY) -> None:
    """A task for each of these steps, joined as the steps' inputs ask for; `day` is where a job finds its day."""
    groups = {
        name: TaskGroup(name, prefix_group_id=False, tooltip=GROUPS[name])
        for name in dict.fromkeys(step.group for step in steps)
    }
    made: dict[str, JobOperator] = {}
    for task in tasks(config, steps):
        with groups[task.step.group]:
            made[task.step.name] = _step_as_task(config, task, day)
            waiting: list[JobOperator] = [wait_for(kind, ahead, config) for kind, ahead in _raw_files(task.step)]
            if task.step.name == "promote" and may_ask(config):
                waiting.append(made["gate"] >> approval(config, day))
        for before in [*(made[name] for name in task.after), *waiting]:
            before >> made[task.step.name]


def _step_as_task(config: Config, task: Task, day: dict[str, str]) -> JobOperator:
    step = task.step
    alone = {"max_active_tis_per_dag": 1} if step.alone else {}
    return step_job(
        step,
        config,
        env=day,
        waits=task.waits,
        execution_timeout=timedelta(hours=step.limit(config)),
        outlets=[asset(config, ASSETS[step.name])] if step.name in ASSETS else [],
        **alone,
    )


def step_job(step: Step, config: Config, command: str = "", **options: Any) -> JobOperator:
    """A task that runs a step, with what people want to know of it: a doc, and links to what it made."""
    scores = "publish.server" in step.options
    doc, queue = step_doc(step, config), step.queue_in(config)
    task = job(step.name, config, command, scores=scores, doc_md=doc, queue=queue, **options)
    task.operator_extra_links = LINKS
    return task


def wait_for(kind: str, ahead: int, config: Config) -> ArrivalOperator:
    """A task that waits for the raw files of a kind, of so many days after the day."""
    env = {"PNN_GLUON_DAY": f"{{{{ macros.ds_add(data_interval_start | ds, {ahead}) }}}}"}
    command = f'arrived {kind} --day "$PNN_GLUON_DAY"'
    patience = None if without_scheduler() else timedelta(hours=config.patience_hours)
    doc = arrival_doc(kind, config)
    return _task(ArrivalOperator, f"wait_for_{kind}", command, config, env, patience=patience, doc_md=doc)


def approval(config: Config, day: dict[str, str]) -> PromotionApproval:
    """A task that asks a person whether a candidate may be promoted."""
    hours = None if without_scheduler() else config.approval.hours
    options = {"hours": hours, "approvers": config.approval.approvers, "doc_md": approval_doc(config)}
    return _task(PromotionApproval, "approval", SHOW, config, day, **options)


def _raw_files(step: Step) -> list[tuple[str, int]]:
    """The kinds of raw files that a step of the day reads, and of how many days after it."""
    logs = [("logs", 0) for each in step.inputs if isinstance(each, RawLogs) and not each.matured]
    return logs + [("requests", each.ahead) for each in step.inputs if isinstance(each, Requests)]


def _scores_connection(config: Config) -> str:
    """The id of the Airflow connection of the score server; "" where it is none."""
    kind, _, name = config.publish.server.partition(":")
    return name if kind == "connection" else ""
