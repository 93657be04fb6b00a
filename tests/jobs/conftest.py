"""Five days of a small pipeline, built once; the pages of their reports hold what charts are drawn of, not drawings."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.file_lock import file_lock
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.small_pipeline import DAILY, DAYS, PIPELINE, SCORES_VARIABLE, build, write_raw
from tests.jobs.undrawn import undrawn

OF_A_WORKER = ("publish", "report")
"""Steps that ask the score server, which each worker has for itself, or that read what they made."""


@pytest.fixture(scope="module", autouse=True)
def _charts_are_undrawn(request: pytest.FixtureRequest) -> Iterator[None]:
    """tests/report draws every chart, tests/dags and files of long tests those of days that other processes make."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("long") is None:
            patch.setattr("pnn_gluon.report.charts.svg", undrawn)
        yield


@pytest.fixture(scope="session")
def five_days_server(postgres: EmbeddedPostgres) -> str:
    """The database that `five_days` publishes into."""
    postgres.ensure_database("five_days")
    return postgres.uri("five_days")


@pytest.fixture(autouse=True)
def scores_variable(five_days_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCORES_VARIABLE, five_days_server)


@pytest.fixture(scope="session")
def five_days(tmp_path_factory: pytest.TempPathFactory, five_days_server: str) -> Config:
    """Five days built in order; read only. Each worker publishes, and reports on that, what one has built for all."""
    alike = _folder_of_all_workers(tmp_path_factory) / "five_days"
    with file_lock(alike.with_suffix(".lock")):
        if not alike.exists():
            _build_five_days(alike.with_suffix(".unfinished")).rename(alike)
    config = _copy(load_config(alike / "pipeline.toml"), tmp_path_factory.mktemp("five") / "days", store=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, five_days_server)
        patch.setattr("pnn_gluon.report.charts.svg", undrawn)  # the fixture above has a narrower scope
        build(config, DAYS, OF_A_WORKER)
    return config


def _folder_of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _build_five_days(folder: Path) -> Path:
    folder.mkdir()
    (folder / "pipeline.toml").write_text(PIPELINE)
    write_raw(folder / "raw", DAYS)
    build(load_config(folder / "pipeline.toml"), DAYS, [name for name in DAILY if name not in OF_A_WORKER])
    return folder


@pytest.fixture
def pipeline(five_days: Config, tmp_path: Path, score_server_uri: str) -> Config:
    """The same raw logs, an empty store and no score table."""
    copy = _copy(five_days, tmp_path / "pipeline", store=False)
    _on_the_server("drop table scores cascade", "drop table scores$runs", "drop table scores$served")
    return copy


@pytest.fixture
def encoded(five_days: Config, pipeline: Config) -> Config:
    """The same with what the data steps have made of the five days: no model, no decision, no score."""
    for name in [each.table.name for each in STEPS if each.name in DAILY and each.group == "data"]:
        shutil.copytree(Path(five_days.store_root) / name, Path(pipeline.store_root) / name)
    return pipeline


@pytest.fixture
def built(five_days: Config, tmp_path: Path, score_server_uri: str) -> Config:
    """A copy of the five days that a test may change."""
    copy = _copy(five_days, tmp_path / "built", store=True)
    _on_the_server(f"update scores$runs set store = '{copy.name} in {copy.store_root}'")  # as by publish --force
    return copy


@pytest.fixture
def score_server_uri(
    postgres: EmbeddedPostgres, five_days: Config, scores_variable: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A database of this test's own, with the published days of `five_days`."""
    uri = postgres.uri("small")
    with psycopg.connect(postgres.uri("postgres"), autocommit=True) as connection:
        connection.execute("create database small template five_days")
        monkeypatch.setenv(SCORES_VARIABLE, uri)
        yield uri
        connection.execute("drop database small with (force)")


def _copy(config: Config, folder: Path, store: bool) -> Config:
    source = config.path.parent
    shutil.copytree(source / "raw", folder / "raw")
    shutil.copy(config.path, folder / "pipeline.toml")
    if store:
        shutil.copytree(source / "store", folder / "store")
    return load_config(folder / "pipeline.toml")


def _on_the_server(*statements: str) -> None:
    """Run statements on the database of this test."""
    with psycopg.connect(os.environ[SCORES_VARIABLE], autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
