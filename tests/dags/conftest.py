"""Real Airflow on a database of its own, and the small pipeline's raw logs."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from jobs.airflow import dag_runner
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from tests.jobs.small_pipeline import DAILY, DAYS, PIPELINE, SCORES_VARIABLE, write_raw

DAG_DAYS = DAYS[:2]
OTHER = PIPELINE.replace('"small"', '"other"').replace('root = "store"', 'root = "other"') + 'table = "others"\n'
"""A second pipeline in the same Airflow, on the same logs and the same score server."""
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
    """The pipeline after two days of the daily DAG."""
    started: list[str] = []
    dag_runner.run_days(dags["small_daily"], DAG_DAYS, started.append)
    assert len(started) == (len(DAILY) + 2) * len(DAG_DAYS)  # and the waits for logs and requests
    return dag_pipeline


def fresh_copy(config: Config, folder: Path) -> Config:
    """The same raw logs with an empty store elsewhere."""
    shutil.copytree(config.path.parent / "raw", folder / "raw")
    shutil.copy(config.path, folder / "pipeline.toml")
    return load_config(folder / "pipeline.toml")


LAST = DAG_DAYS[-1]
AFTER = plus(LAST, 1)
