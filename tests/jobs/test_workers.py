"""What `up --executor celery` runs: its parts, their queues, its message server; nothing is started."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.airflow import broker, celery_parts, local_airflow
from jobs.airflow.programs import parts_of, supervisor_config
from jobs.airflow.settings import Settings, settings_of
from jobs.airflow.supervisor_calls import socket_path
from jobs.airflow.variables import environment
from pnn_gluon.config import load_config
from pnn_gluon.errors import ConfigError
from tests.jobs.small_pipeline import NAMED_PIPELINE


@pytest.fixture
def celery(tmp_path: Path) -> Settings:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.toml").write_text(NAMED_PIPELINE.format(name="a"))
    return Settings(str(tmp_path / "conf"), 8080, executor="celery")


def local(celery: Settings) -> Settings:
    return Settings(celery.configs, celery.port)


def test_workers_are_parts_only_where_they_are_asked_for(celery: Settings) -> None:
    assert set(parts_of(celery)) - set(parts_of(local(celery))) == {"worker-etl", "worker-training"}
    assert "celery" not in supervisor_config(local(celery))
    text = supervisor_config(celery)
    assert "--queues etl --concurrency 4 --celery-hostname etl@local" in text
    assert "--queues training --concurrency 1 --celery-hostname training@local" in text
    assert text.count("--skip-serve-logs") == 4  # no log server listens


def test_a_queue_that_a_pipeline_names_is_taken_by_the_worker_for_training(celery: Settings) -> None:
    own = '[workers]\nqueues = { train = "gpu", count = "small" }\n'
    (Path(celery.configs) / "b.toml").write_text(NAMED_PIPELINE.format(name="b") + own)
    assert "--queues training,gpu,small " in supervisor_config(celery)


@pytest.mark.parametrize("queue", ["", "Gpu", "a b", "a,b", "a;b", "-a", "a%b"])
def test_a_queue_with_an_odd_name_is_refused(tmp_path: Path, queue: str) -> None:
    (tmp_path / "a.toml").write_text(NAMED_PIPELINE.format(name="a") + f'[workers]\nqueues = {{ train = "{queue}" }}\n')
    with pytest.raises(ConfigError, match=r"workers\.queues\.train: String should match pattern"):
        load_config(tmp_path / "a.toml")


def test_airflow_is_told_of_workers_and_otherwise_as_before(celery: Settings, tmp_path: Path) -> None:
    with_workers, without = environment(tmp_path, celery), environment(tmp_path, local(celery))
    assert without["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert with_workers["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert not [name for name in without if "CELERY" in name]
    assert set(without) < set(with_workers)


def test_no_step_may_take_longer_than_a_message_counts_as_on_its_way() -> None:
    limit = 240 * 3600  # the most that limits.hours takes
    assert limit <= celery_parts.LONGEST_TASK


def test_another_executor_is_another_setting_and_an_earlier_release_had_none(celery: Settings, tmp_path: Path) -> None:
    assert local(celery).differences(celery) == ["executor local, not celery"]
    celery.write(tmp_path)
    assert settings_of(tmp_path) == celery
    (tmp_path / "settings.json").write_text('{"configs": "/a", "port": 8080, "users": []}')
    assert settings_of(tmp_path) == Settings("/a", 8080, executor="local")


@pytest.fixture
def odd_home() -> Iterator[Path]:
    """Short enough for a socket, wherever tests keep their files."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / 'air "flow" 100%'
        home.mkdir()
        yield home


def test_the_message_server_is_private_and_its_odd_path_is_quoted(odd_home: Path) -> None:
    home = odd_home
    broker.write_config(home)
    config = home / "redis" / "valkey.conf"
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert 'air \\"flow\\" 100%' in config.read_text()
    assert "port 0\n" in config.read_text()
    assert broker.broker_url(home).endswith("/air%20%22flow%22%20100%25/redis.sock")
    assert not broker.answers(home)


def test_a_long_home_gets_two_sockets_in_a_private_folder(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 120)
    path = broker.broker_socket(home)
    assert len(os.fsencode(path)) < 107
    assert path != socket_path(home)


def test_without_a_message_server_no_worker_is_asked(celery: Settings, tmp_path: Path) -> None:
    found = local_airflow.workers_health(tmp_path, celery)
    assert found == dict.fromkeys(("redis", "worker-etl", "worker-training"), "unhealthy")
    assert local_airflow.workers_health(tmp_path, local(celery)) == {}


def test_a_message_server_that_goes_while_workers_are_asked_is_no_error(
    celery: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = pytest.importorskip("celery.app.control", reason="the extra celery is not installed")
    gone = pytest.importorskip("redis.exceptions").ConnectionError("Broken pipe")

    def broken(*arguments: object, **options: object) -> None:
        raise gone

    monkeypatch.setattr(broker, "answers", lambda home: True)
    monkeypatch.setattr(control.Control, "ping", broken)
    words = local_airflow.workers_health(tmp_path, celery)
    assert words == {"redis": "healthy", "worker-etl": "unhealthy", "worker-training": "unhealthy"}
