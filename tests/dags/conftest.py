"""Real Airflow on a database of its own, and the small pipeline's raw logs."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobs.airflow import dag_runner
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from tests.jobs.small_pipeline import DAILY, DAYS, PIPELINE, SCORES_VARIABLE, build, tree, write_raw

DAG_DAYS = DAYS[:2]
OTHER = (
    PIPELINE.replace('"small"', '"other"')
    .replace('root = "store"', 'root = "other"')
    .replace("bootstrap_repeats = 20", 'bootstrap_repeats = 20\napproval = "always"')
    + 'table = "others"\n[approval]\nhours = 0.5\napprovers = ["otto", "dag_test"]\n'
)
"""A second pipeline in the same Airflow, on the same logs and score server; a person is asked about every candidate."""
KINDS = ("daily", "scores", "nightly", "retention", "export", "promote")
DAG_IDS = [f"{name}_{kind}" for name in ("small", "other") for kind in KINDS]


@pytest.fixture(scope="session")
def dag_pipeline(tmp_path_factory: pytest.TempPathFactory, postgres: Any) -> Config:
    """The pipeline that the loaded DAGs run; its store fills up as the tests go."""
    folder = tmp_path_factory.mktemp("dags")
    (folder / "pipeline.toml").write_text(PIPELINE)
    (folder / "other.toml").write_text(OTHER)
    write_raw(folder / "raw", DAG_DAYS)
    postgres.ensure_database("dags")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, postgres.uri("dags"))
        dag_runner.prepare(folder / "airflow", folder)
        yield load_config(folder / "pipeline.toml")


@pytest.fixture(scope="session")
def dags(dag_pipeline: Config) -> dict[str, Any]:
    """Every DAG by id."""
    return {name: dag_runner.load_dag(name) for name in DAG_IDS}


@pytest.fixture(scope="session")
def ran(dags: dict[str, Any], dag_pipeline: Config) -> Config:
    """The pipeline after a day by hand and one of the daily DAG."""
    build(dag_pipeline, DAG_DAYS[:1])
    started: list[str] = []
    dag_runner.run_days(dags["small_daily"], DAG_DAYS[1:], started.append)
    assert len(started) == len(DAILY) + 2  # and the waits for logs and requests
    return dag_pipeline


class OtherDay(NamedTuple):
    """The first day of the other pipeline: its configuration, what its DAG made, and the runs around it."""

    config: Config
    made: dict[str, bytes]
    small: tuple[Any, Any]
    """The first pipeline's store and runs, before and after."""
    states: tuple[list[str], list[str]]
    """Of the other's runs, before and after."""


def run_states(dag: str) -> list[str]:
    """The state of every run of a DAG."""
    from airflow.models.dagrun import DagRun

    return [run.state for run in DagRun.find(dag_id=dag)]


@pytest.fixture(scope="session")
def other_day(ran: Config, dags: dict[str, Any]) -> OtherDay:
    """Run once, without a scheduler; what tests do to it afterwards is not in `made`."""
    config = load_config(ran.path.parent / "other.toml")
    before = tree(Path(ran.store_root)), run_states("small_daily")
    runs = run_states("other_daily")
    assert not Path(config.store_root).exists()
    dag_runner.run_day(dags["other_daily"], DAG_DAYS[0])
    after = tree(Path(ran.store_root)), run_states("small_daily")
    return OtherDay(config, tree(Path(config.store_root)), (before, after), (runs, run_states("other_daily")))


def fresh_copy(config: Config, folder: Path) -> Config:
    """The same raw logs with an empty store elsewhere."""
    shutil.copytree(config.path.parent / "raw", folder / "raw")
    shutil.copy(config.path, folder / "pipeline.toml")
    return load_config(folder / "pipeline.toml")


LAST = DAG_DAYS[-1]
AFTER = plus(LAST, 1)
