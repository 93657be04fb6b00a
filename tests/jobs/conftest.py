"""Five days of a small pipeline, built once."""

import os
import shutil
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import pytest

from pnn_gluon.config import Config, load_config
from tests.jobs.small_pipeline import DAYS, PIPELINE, SCORES_VARIABLE, build, write_raw


@pytest.fixture(scope="session")
def score_server_uri(postgres) -> str:  # type: ignore[no-untyped-def]
    postgres.ensure_database("small")
    return postgres.uri("small")


@pytest.fixture(autouse=True)
def scores_variable(score_server_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCORES_VARIABLE, score_server_uri)


@pytest.fixture(scope="session")
def five_days(tmp_path_factory: pytest.TempPathFactory, score_server_uri: str) -> Config:
    """Five days built in order; read only."""
    folder = tmp_path_factory.mktemp("five")
    (folder / "pipeline.toml").write_text(PIPELINE)
    write_raw(folder / "raw", DAYS)
    config = load_config(folder / "pipeline.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, score_server_uri)
        build(config, DAYS)
    return config


@pytest.fixture
def pipeline(five_days: Config, tmp_path: Path, scores_variable: None) -> Config:
    """The same raw logs and an empty store."""
    return _copy(five_days, tmp_path / "pipeline", store=False)


@pytest.fixture
def built(five_days: Config, tmp_path: Path, scores_variable: None) -> Config:
    """A copy of the five days that a test may change."""
    return _copy(five_days, tmp_path / "built", store=True)


def _copy(config: Config, folder: Path, store: bool) -> Config:
    source = config.path.parent
    shutil.copytree(source / "raw", folder / "raw")
    shutil.copy(config.path, folder / "pipeline.toml")
    if store:
        shutil.copytree(source / "store", folder / "store")
    copy = load_config(folder / "pipeline.toml")
    _own_the_score_table(copy)
    return copy


def _own_the_score_table(config: Config) -> None:
    """The session's one score table becomes this copy's, as by publish --force."""
    with adbc.connect(os.environ[SCORES_VARIABLE], autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("select to_regclass('scores$runs') is not null")
        if cursor.fetchall() == [(True,)]:
            cursor.execute(f"update scores$runs set store = '{config.name} in {config.store_root}'")
