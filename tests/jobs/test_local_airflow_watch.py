from collections.abc import Mapping
from pathlib import Path

import pytest

from jobs.airflow import local_airflow_watch
from jobs.airflow.local_airflow_watch import misses, watch
from jobs.airflow.settings import Settings

RUNNING = dict.fromkeys(("api-server", "scheduler", "dag-processor", "triggerer"), "RUNNING")
HEALTHY = dict.fromkeys(("metadatabase", "scheduler", "dag_processor", "triggerer"), "healthy")
WORKERS = dict.fromkeys(("redis", "worker-etl", "worker-training"), "healthy")


def test_a_part_without_heartbeat_is_counted_and_forgiven_when_it_is_back() -> None:
    ill = HEALTHY | {"dag_processor": "unhealthy"}
    once = misses({}, RUNNING, ill, {})
    assert once == {"dag-processor": 1}
    assert misses(once, RUNNING, ill, {}) == {"dag-processor": 2}
    assert misses(once, RUNNING, HEALTHY, {}) == {}


def test_a_component_that_never_registered_is_unwell() -> None:
    assert misses({}, RUNNING, HEALTHY | {"triggerer": "None"}, {}) == {"triggerer": 1}


def test_nobody_is_blamed_while_the_database_is_away() -> None:
    ill = dict.fromkeys(HEALTHY, "unhealthy")
    assert misses({"scheduler": 5}, RUNNING, ill, {}) == {}


def test_only_the_server_is_blamed_for_no_answer() -> None:
    assert misses({"scheduler": 5}, RUNNING, None, {}) == {"api-server": 1}


def test_a_part_that_is_starting_is_left_in_peace() -> None:
    ill = HEALTHY | {"scheduler": "unhealthy"}
    assert misses({"scheduler": 5}, RUNNING | {"scheduler": "STARTING"}, ill, {}) == {}


class OverError(Exception):
    """The looks of a test are over."""


def restarts(
    monkeypatch: pytest.MonkeyPatch,
    reports: list[Mapping[str, str] | None],
    workers: list[Mapping[str, str]] | None = None,
    old: bool = True,
) -> list[tuple[int, str]]:
    """At which look, from 1, which part was restarted; `old` parts have run for long when it begins."""
    look, done = 0, []
    ages = dict.fromkeys(("api-server", "scheduler", "dag-processor", "triggerer", *WORKERS), 10_000.0 * old)
    workers = workers or [{}] * len(reports)

    def wait(seconds: float) -> None:
        nonlocal look
        look += 1
        for name in ages:
            ages[name] += seconds
        if look > len(reports):
            raise OverError

    class Supervisor:
        def stopProcess(self, name: str, wait: bool) -> None:  # noqa: N802
            done.append((look, name))

        def startProcess(self, name: str, wait: bool) -> None:  # noqa: N802
            assert done[-1] == (look, name)
            ages[name.removeprefix("airflow:")] = 0.0

    monkeypatch.setattr("time.sleep", wait)
    monkeypatch.setattr(local_airflow_watch, "parts", lambda home: RUNNING | dict.fromkeys(WORKERS, "RUNNING"))
    monkeypatch.setattr(local_airflow_watch, "health", lambda address, patience: reports[look - 1])
    monkeypatch.setattr(local_airflow_watch, "ages", lambda home: ages)
    monkeypatch.setattr(local_airflow_watch, "workers_health", lambda home, found: workers[look - 1])
    monkeypatch.setattr(local_airflow_watch, "rpc", lambda home: Supervisor())
    with pytest.raises(OverError):
        watch(Path("home"), Settings("conf", 1, executor="celery"))
    return done


def test_a_server_that_is_slow_to_start_is_not_restarted_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    assert restarts(monkeypatch, [*[None] * 22, *[HEALTHY] * 3], old=False) == []


def test_a_server_that_never_answers_is_restarted_and_given_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done = restarts(monkeypatch, [None] * 48, old=False)
    assert done == [(23, "airflow:api-server"), (46, "airflow:api-server")]


def test_a_part_that_was_well_is_restarted_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    ill = HEALTHY | {"scheduler": "unhealthy"}
    assert restarts(monkeypatch, [HEALTHY, *[ill] * 7]) == [(7, "airflow:scheduler")]


def test_a_worker_that_does_not_answer_is_restarted_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = WORKERS | {"worker-training": "unhealthy"}
    done = restarts(monkeypatch, [HEALTHY] * 8, [WORKERS, *[deaf] * 7])
    assert done == [(7, "airflow:worker-training")]


def test_while_no_message_comes_through_no_worker_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    away = dict.fromkeys(WORKERS, "unhealthy")
    assert restarts(monkeypatch, [HEALTHY] * 8, [WORKERS, *[away] * 7]) == [(7, "redis")]
