"""The score server is the one the configuration names, and its URI never stands in a file."""

import pytest

from jobs.pipeline import day_states, step
from jobs.score_server import CONNECTION_VARIABLE, server_uri
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError
from pnn_gluon.store.store import Store
from pnn_gluon.warehouse.score_table import standing_run
from tests.jobs.small_pipeline import DAYS, SCORES_VARIABLE


def with_server(config: Config, server: str) -> Config:
    config.path.write_text(config.path.read_text().replace(f"env:{SCORES_VARIABLE}", server))
    return load_config(config.path)


def test_an_airflow_connection_is_taken_as_the_dag_hands_it_over(
    built: Config, monkeypatch: pytest.MonkeyPatch, score_server_uri: str
) -> None:
    config = with_server(built, "connection:scores")
    monkeypatch.setenv(CONNECTION_VARIABLE, score_server_uri.replace("postgresql://", "postgres://"))
    assert server_uri(config) == score_server_uri
    assert step("publish").run(config, DAYS[-1]).status == "done"


def test_a_variable_that_is_not_set_is_named(built: Config) -> None:
    with pytest.raises(ConfigError, match="environment variable NOT_SET_ANYWHERE: not set"):
        server_uri(with_server(built, "env:NOT_SET_ANYWHERE"))


def test_the_embedded_server_publishes_beside_the_store(built: Config) -> None:
    config = with_server(built, "embedded")
    assert step("publish").run(config, DAYS[-1]).status == "done"
    assert step("publish").run(config, DAYS[-1]).status == "skipped"


def test_a_table_that_was_dropped_is_published_again(built: Config, score_server_uri: str) -> None:
    import adbc_driver_postgresql.dbapi as adbc

    assert step("publish").run(built, DAYS[-1]).status == "skipped"
    with adbc.connect(score_server_uri) as connection, connection.cursor() as cursor:
        cursor.execute("drop table scores")
        connection.commit()
    assert step("publish").run(built, DAYS[-1]).status == "done"


def test_a_publication_killed_before_its_manifest_is_seen_when_the_inputs_return(
    built: Config, score_server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, store = DAYS[-1], Store.of(built)
    first = store.manifest("scores", day)
    assert first is not None
    requests = next((built.path.parent / "raw" / "requests" / str(plus(day, 1))).iterdir())
    kept = requests.read_bytes()
    requests.write_bytes(b"".join(kept.splitlines(keepends=True)[:100]))
    step("score").run(built, day)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            step("publish").run(built, day)
    requests.write_bytes(kept)
    assert step("score").run(built, day).run == first.run
    assert day_states(built, [day])[day]["publish"] == "failed"
    assert standing_run(score_server_uri, "scores", plus(day, 1)) != first.run
    assert step("publish").run(built, day).status == "done"
    assert standing_run(score_server_uri, "scores", plus(day, 1)) == first.run
    assert day_states(built, [day])[day]["publish"] == "done"


def interrupt(*arguments: object, **named: object) -> None:
    raise KeyboardInterrupt
