"""The score server is the one the configuration names, and its URI never stands in a file."""

import socket

import pytest

from jobs.command import guarded
from jobs.commands.status import print_status
from jobs.running import run_step
from jobs.score_server import CONNECTION_VARIABLE, server_uri
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.store.store import Store
from pnn_gluon.warehouse.score_table import standing_run
from tests.jobs.small_pipeline import DAYS, SCORES_VARIABLE, state_words


def with_server(config: Config, server: str) -> Config:
    config.path.write_text(config.path.read_text().replace(f"env:{SCORES_VARIABLE}", server))
    return load_config(config.path)


def test_an_airflow_connection_is_taken_as_the_dag_hands_it_over(
    built: Config, monkeypatch: pytest.MonkeyPatch, score_server_uri: str
) -> None:
    config = with_server(built, "connection:scores")
    monkeypatch.setenv(CONNECTION_VARIABLE, score_server_uri.replace("postgresql://", "postgres://"))
    assert server_uri(config) == score_server_uri
    assert run_step(step("publish"), config, DAYS[-1]).status == "done"


def test_a_variable_that_is_not_set_is_named(built: Config) -> None:
    with pytest.raises(ConfigError, match="environment variable NOT_SET_ANYWHERE: not set"):
        server_uri(with_server(built, "env:NOT_SET_ANYWHERE"))


def test_the_embedded_server_publishes_beside_the_store(built: Config) -> None:
    config = with_server(built, "embedded")
    assert run_step(step("publish"), config, DAYS[-1]).status == "done"
    assert run_step(step("publish"), config, DAYS[-1]).status == "skipped"


def test_a_table_that_was_dropped_is_published_again(built: Config, score_server_uri: str) -> None:
    import adbc_driver_postgresql.dbapi as adbc

    assert run_step(step("publish"), built, DAYS[-1]).status == "skipped"
    with adbc.connect(score_server_uri) as connection, connection.cursor() as cursor:
        cursor.execute("drop table scores")
        connection.commit()
    assert run_step(step("publish"), built, DAYS[-1]).status == "done"


def test_a_publication_killed_before_its_manifest_is_seen_when_the_inputs_return(
    built: Config, score_server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, store = DAYS[-1], open_store(built)
    first = store.manifest("scores", day)
    assert first is not None
    requests = next((built.path.parent / "raw" / "requests" / str(plus(day, 1))).iterdir())
    kept = requests.read_bytes()
    requests.write_bytes(b"".join(kept.splitlines(keepends=True)[:100]))
    run_step(step("score"), built, day)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_step(step("publish"), built, day)
    requests.write_bytes(kept)
    assert run_step(step("score"), built, day).run == first.run
    assert state_words(built, [day])[day]["publish"] == "failed"
    assert standing_run(score_server_uri, "scores", plus(day, 1)) != first.run
    assert run_step(step("publish"), built, day).status == "done"
    assert standing_run(score_server_uri, "scores", plus(day, 1)) == first.run
    assert state_words(built, [day])[day]["publish"] == "done"


def interrupt(*arguments: object, **named: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://bob:s3cr@t@db/x",
        "postgresql://bob:s3cr/t@db/x",
        "postgresql://bob:12?s3cr@db/x",
        "postgresql://bob:s3cr#t@db/x",
        "postgresql://bob:s3cr%t@db/x",
        "postgresql://bob:s3cr t@db/x",
        "mysql://bob:s3cr@db/x",
        "host=db password=my s3cr",
    ],
)
def test_a_malformed_uri_is_refused_without_its_password(
    built: Config, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("OTHER_URI", uri)
    config = with_server(built, "env:OTHER_URI")
    with pytest.raises(ConfigError, match=r"environment variable OTHER_URI: .*percent-encoded") as caught:
        run_step(step("publish"), config, DAYS[-1], force=True)
    assert "s3cr" not in str(caught.value)
    assert "s3cr" not in (open_store(config).failure("published", DAYS[-1]) or "")


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://bob:s%40%2Fx@db:5432/x?sslmode=require&connect_timeout=3",
        "postgresql://bob@[::1]:5432,b:1/x",
        "postgresql:///x?host=/run/postgresql",
        "host=db password='my s3cr' user=bob",
    ],
)
def test_well_formed_addresses_are_taken_as_they_are(built: Config, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("OTHER_URI", uri)
    assert server_uri(with_server(built, "env:OTHER_URI")) == uri


def test_a_traceback_and_a_recorded_failure_hide_the_password(
    built: Config, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], shown_log: None
) -> None:
    monkeypatch.setenv("OTHER_URI", "postgresql://bob:s3cr%40word@127.0.0.1:1/x")
    config = with_server(built, "env:OTHER_URI")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("cannot use s3cr@word of s3cr%40word at " + server_uri(config))

    monkeypatch.setattr("jobs.steps.publish.score_server", fail)
    assert guarded(lambda: run_step(step("publish"), config, DAYS[-1], force=True)) == 1
    for text in (capfd.readouterr().err, open_store(config).failure("published", DAYS[-1]) or ""):
        assert "RuntimeError: cannot use *** of *** at " in text
        assert "s3cr" not in text


def test_status_hides_the_password_of_a_failure_an_earlier_release_kept(
    built: Config, capfd: pytest.CaptureFixture[str]
) -> None:
    open_store(built).record_failure("published", DAYS[-1], "cannot use postgresql://bob:s3cr@t@db/x")
    print_status(built, DAYS[-1:])
    assert "cannot use postgresql://bob:***@db/x" in capfd.readouterr().out


def test_a_host_that_says_nothing_is_given_up(built: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("OTHER_URI", f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x?sslmode=disable")
        monkeypatch.setattr("jobs.score_server.CONNECT_TIMEOUT", "2")
        monkeypatch.setenv("PGCONNECT_TIMEOUT", "")
        monkeypatch.delenv("PGCONNECT_TIMEOUT")
        with pytest.raises(PnnError, match="timeout expired"):
            standing_run(server_uri(with_server(built, "env:OTHER_URI")), "scores", DAYS[-1])
