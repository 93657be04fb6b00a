"""The DAGs of one pipeline, made from its configuration; importing this makes none.

`dags_of` is called by the DAG file of each pipeline, which `pnn-gluon up` and `pnn-gluon dags` write.
"""

import re
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, PartitionedAssetTimetable
from pnn_gluon_docs import documented
from pnn_gluon_export import export_dag
from pnn_gluon_late import deadline
from pnn_gluon_promote import promote_dag
from pnn_gluon_tasks import DAY, STEP, asset, every_day, job, step_job, steps_as_tasks
from pnn_gluon_track import track_after

from pnn_gluon.config import Config, load_config
from pnn_gluon.configurations import refuse_shared
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.steps import daily_steps, nightly_steps, refuse_unknown_steps, step
from pnn_gluon.pods import pod_file
from pnn_gluon.pools import SCORES_SUFFIX

PROMOTED_DAY = {"PNN_GLUON_DAY": "{{ dag_run.partition_key or params.day }}"}
"""The day of a nightly run, as its jobs get it."""

DAILY = """The day: raw logs of D in, calibrated scores for D+1 out.

The steps, what each comes after and what of yesterday it waits for follow from `pnn_gluon/pipeline/steps.py`. A step
that continues yesterday's work waits for yesterday's, so a backfill of any range gives the same bytes as the days run
one by one.
"""
NIGHTLY = """After each promotion, by matured labels: measure the model that was in force, refit its calibrator.

Nothing is retrained. One run for each day that was promoted, whatever is backfilled. By hand it asks for the day.
"""
SCORES = """At `publish.deadline` of the day to be scored: scores by the newest model there is, if its own is not there.

Where the daily run has published there is nothing to do. Where a step of it failed, hangs, waits or was never started,
the requests are scored by the newest model in force: a fallback, which `export.json` and the score table call so. Once
the daily run is mended it publishes the day's own scores over them.
"""

RETENTION = """Every night: runs of the store that nothing names any more.

With `store.delete_old_runs` they are removed `store.old_run_hours` after they were replaced; without it the log shows
what they hold, and nothing is removed.
"""


def dags_of(path: str, configs: str | None = None, pods: str | None = None) -> dict[str, DAG]:
    """The DAGs of a pipeline by id.

    Args:
        path: The pipeline's configuration file.
        configs: The folder that the pipelines of this Airflow come from, none of which may share anything with it.
        pods: The folder with the pods that tasks run in on Kubernetes.

    Raises:
        ConfigError: the file cannot be read, or a pipeline before it has the same name, store or score table.
    """
    if re.search(r"\{[{%#]", path):
        raise ConfigError(
            f"{path}: Airflow would take a part of this path for a template: rename what has {{ in its name"
        )
    config = load_config(path)
    refuse_unknown_steps(config)
    if configs is not None:
        refuse_shared(config, Path(configs))
    made = (daily(config), scores(config), nightly(config), retention(config), export_dag(config), promote_dag(config))
    for task in (task for dag in made for task in dag.tasks if pods is not None):
        task.executor_config = {"pod_template_file": str(pod_file(Path(str(pods)), config, task.task_id))}
    return {dag.dag_id: dag for dag in made}


def daily(config: Config) -> DAG:
    """The day of a pipeline."""
    schedule = CronDataIntervalTimetable("@daily", timezone="UTC")
    with DAG(
        f"{config.name}_daily",
        schedule=schedule,
        doc_md=documented(DAILY, config),
        deadline=deadline(config),
        **every_day(config),
    ) as dag:
        steps_as_tasks(config, daily_steps(config))
    track_after(dag, config, DAY)
    return dag


def scores(config: Config) -> DAG:
    """The deadline of a pipeline's scores, which waits for no other run."""
    due = config.publish.due
    schedule = CronDataIntervalTimetable(f"{due.minute} {due.hour} * * *", timezone="UTC")
    pool = f"{config.name}{SCORES_SUFFIX}"
    with DAG(
        f"{config.name}_scores", schedule=schedule, doc_md=documented(SCORES, config, pool), **every_day(config)
    ) as dag:
        overtaking = f"--overtake {config.publish.overtake_minutes:g}"
        score, publish = (
            step_job(step(name), config, f"{STEP.format(name)} {overtaking}", pool=pool)
            for name in ("score", "publish")
        )
        score >> publish
    return dag


def nightly(config: Config) -> DAG:
    """What comes after each promotion of a pipeline."""
    schedule = PartitionedAssetTimetable(assets=asset(config, "model"))
    with DAG(
        f"{config.name}_nightly",
        schedule=schedule,
        doc_md=documented(NIGHTLY, config),
        params={"day": Param(None, type=["null", "string"], format="date", title="Day", description="By hand.")},
        **every_day(config),
    ) as dag:
        steps_as_tasks(config, nightly_steps(config), PROMOTED_DAY)
    track_after(dag, config, PROMOTED_DAY)
    return dag


def retention(config: Config) -> DAG:
    """What removes the old runs of a pipeline, or shows them."""
    schedule = CronDataIntervalTimetable("30 3 * * *", timezone="UTC")
    always = {"end_date": None, "max_active_runs": 1}
    with DAG(
        f"{config.name}_retention",
        schedule=schedule,
        doc_md=documented(RETENTION, config),
        **(every_day(config) | always),
    ) as dag:
        job("gc", config, "gc --delete" if config.store.delete_old_runs else "gc")
    return dag
