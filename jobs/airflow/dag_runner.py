"""Days through a DAG in this one process, without a scheduler: the demo's and the tests' way to run Airflow."""

import datetime
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pluggy

from jobs.airflow.stubs import write_stubs
from pnn_gluon.config import load_config
from pnn_gluon.days import plus
from pnn_gluon.errors import PnnError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.scheduling import LOOK_ONCE

TaskStarted = Callable[[str], None]


def prepare(home: Path, configs: Path, database: Mapping[str, str] | None = None) -> None:
    """Point Airflow at a private home with the pipelines in `configs`; must happen before anything imports airflow.

    `database` holds the variables of an Airflow whose metadata database runs; by default a SQLite file serves.
    """
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ.update(database or {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db"})
    os.environ.update(
        {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }
    )
    write_stubs(configs, home / "dags")
    os.environ["PNN_GLUON_TASK_LOG"] = str(home / "tasks.log")
    os.environ.setdefault("PNN_GLUON_RETRY_SECONDS", "1")
    os.environ[LOOK_ONCE] = "1"


def load_dag(name: str) -> Any:
    """A DAG of ours by id, with the database it needs; `prepare` comes first.

    Raises:
        PnnError: there is no such DAG; with what is wrong with files that do not load.
    """
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    bag = DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    if name not in bag.dags:
        raise PnnError("\n".join([f"no DAG {name}; there are {sorted(bag.dags)}", *bag.import_errors.values()]))
    return bag.dags[name]


def run_days(dag: Any, days: Sequence[datetime.date], on_task: TaskStarted = lambda task: None) -> None:
    """Run a daily DAG for each day in order; `on_task` hears of every task that starts.

    Raises:
        PnnError: naming the day and the tasks that failed.
    """
    with _listening(on_task) as listener:
        for day in days:
            _run_day(dag, day, None, listener.errors)


def run_day(dag: Any, day: datetime.date, conf: dict[str, Any] | None = None) -> None:
    """One run of a DAG, whose data interval starts on that day, in place of the one there may be.

    Raises:
        PnnError: naming the tasks that failed, what each said and the log.
    """
    with _listening(lambda task: None) as listener:
        _run_day(dag, day, conf, listener.errors)


@contextmanager
def _listening(on_task: TaskStarted) -> "Iterator[_Listener]":
    from airflow.sdk.listener import get_listener_manager

    listener, plugins = _Listener(on_task), get_listener_manager().pm
    plugins.register(listener)
    try:
        yield listener
    finally:
        plugins.unregister(listener)


class _Listener:
    """Tells of every task that starts, and keeps the last error of each."""

    def __init__(self, on_task: TaskStarted) -> None:
        self._on_task = on_task
        self.errors: dict[str, str] = {}

    @pluggy.HookimplMarker("airflow")
    def on_task_instance_running(self, task_instance: Any) -> None:
        """Called by Airflow."""
        self.errors.pop(task_instance.task_id, None)
        self._on_task(task_instance.task_id)

    @pluggy.HookimplMarker("airflow")
    def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
        """Called by Airflow."""
        self.errors[task_instance.task_id] = str(error)


def _run_day(dag: Any, day: datetime.date, conf: dict[str, Any] | None, errors: Mapping[str, str]) -> None:
    import pendulum

    after = plus(day, 1)  # the evening of the next day: the last interval that ended by then began on the day
    evening = pendulum.datetime(after.year, after.month, after.day, 23, 59, 59)
    with _dated_as_the_scheduler_does():
        run = dag.test(logical_date=evening, run_after=evening.start_of("day"), run_conf=conf)
    states = {ti.task_id: ti.state for ti in run.get_task_instances()}
    if run.state != "success" or states.keys() != set(dag.task_ids):
        failed = [task for task in dag.task_ids if states.get(task) not in {"success", "skipped", "upstream_failed"}]
        said = _reasons(dag, failed, day, errors)
        log = os.environ["PNN_GLUON_TASK_LOG"]
        raise PnnError("\n".join([f"{dag.dag_id} {day} ended as {run.state}", *said, f"Log: {log}"]))


@contextmanager
def _dated_as_the_scheduler_does() -> Iterator[None]:
    """Within the block dag.test dates a run by the start of its interval, and says truly when it started.

    dag.test takes a run for one by hand, whose logical date comes after its interval. Beside runs of the scheduler
    and of backfills such dates would mix up which day is the one before.
    """
    from airflow.models import dagrun
    from airflow.sdk import timezone

    create = dagrun.get_or_create_dagrun

    def create_dated(**wanted: Any) -> Any:
        day = wanted["data_interval"].start
        return create(**wanted | {"logical_date": day, "start_date": timezone.utcnow()})

    dagrun.get_or_create_dagrun = create_dated
    try:
        yield
    finally:
        dagrun.get_or_create_dagrun = create


def _reasons(dag: Any, tasks: Sequence[str], day: datetime.date, errors: Mapping[str, str]) -> list[str]:
    """What the failed steps said last: to Airflow, or else to the store."""
    store = open_store(load_config(dag.tasks[0].env["PNN_GLUON_CONFIG"]))
    said = {step.name: store.failure(step.table.name, day) for step in STEPS if step.name in tasks}
    return [f"{task}: {errors.get(task) or said.get(task) or 'see the log'}" for task in tasks]
