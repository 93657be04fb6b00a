"""Which pipelines, and which home, the commands of the local Airflow are about."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.airflow import homes, local_airflow
from jobs.airflow.homes import home_of
from jobs.airflow.settings import Settings
from jobs.cli import app
from jobs.commands import demo
from pnn_gluon.config import load_config
from pnn_gluon.errors import ConfigError
from tests.dags.test_stubs import ROOT

CONF = ROOT / "conf"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Settings]]:
    """What `up` would start, instead of starting it."""
    calls: list[tuple[Path, Settings]] = []
    monkeypatch.delenv("PNN_GLUON_CONFIGS", raising=False)
    monkeypatch.setattr(local_airflow, "up", lambda home, wanted: calls.append((home, wanted)))
    return calls


def run(*words: str, env: Mapping[str, str] | None = None) -> Any:
    return CliRunner().invoke(app, list(words), env=env, catch_exceptions=False)


def test_up_takes_the_pipelines_of_conf_unless_told_otherwise(started: Any, tmp_path: Path) -> None:
    demo_alone = CONF / "demo.toml"
    (tmp_path / "a.toml").touch()
    run("up")
    run("up", "--port", "8090", "--host", "0.0.0.0", "--user", "ann:admin", env={"PNN_GLUON_CONFIGS": str(tmp_path)})
    run("up", "--config", str(demo_alone))
    assert started == [
        (home_of(CONF), Settings(str(CONF))),
        (home_of(tmp_path), Settings(str(tmp_path), 8090, "0.0.0.0", ("ann:admin",))),
        (home_of(demo_alone), Settings(str(demo_alone))),
    ]


def test_a_single_file_that_does_not_load_is_an_error(started: Any, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("name = 'a'\n")
    with pytest.raises(ConfigError, match=r"a\.toml: first_day: "):
        run("up", "--config", str(tmp_path / "a.toml"))
    assert not started


def test_down_is_about_the_same_home_as_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[Path] = []
    monkeypatch.setattr(local_airflow, "down", ended.append)
    monkeypatch.setattr(homes, "homes", lambda: [Path("/one"), Path("/two")])
    run("down", "--configs", str(CONF))
    run("down")
    assert ended == [home_of(CONF), Path("/one"), Path("/two")]


def test_the_demos_days_are_runs_of_the_airflow_that_up_opens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[tuple[Path, Path]] = []

    @contextmanager
    def database_only(home: Path, configs: Path) -> Iterator[dict[str, str]]:
        opened.append((home, configs))
        yield {}

    monkeypatch.setattr(local_airflow, "database_only", database_only)
    monkeypatch.setattr(demo, "watched", lambda make: 1)
    assert demo.run_demo(load_config(CONF / "demo.toml"), tmp_path) == 1
    assert opened == [(home_of(CONF), CONF)]
