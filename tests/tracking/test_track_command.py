"""`pnn-gluon track` and the options that it follows."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pnn_gluon.config import Config, TrackingConfig, load_config
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.secrets_masking import masked
from pnn_gluon.tracking.address import Login, address_of, login_of
from pnn_gluon.tracking.lineage_places import Place, place_of
from tests.tracking.needed import needs_mlflow, needs_openlineage
from tests.tracking.small_store import FIRST, PIPELINE, SECOND, small_store
from tests.webhook import listening


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["track", *map(str, words)], catch_exceptions=True)


def with_tracking(config: Config, **options: str) -> Config:
    return config.model_copy(update={"tracking": TrackingConfig(**options)})


@needs_mlflow
@needs_openlineage
def test_the_command_tells_those_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_store(tmp_path / "p", '[tracking]\nmlflow = "to/mlflow.db"\nopenlineage = "env:LINEAGE_URL"\n')
    with listening() as catalogue:
        monkeypatch.setenv("LINEAGE_URL", catalogue.address(""))
        done = run("--config", config.path, "--day", f"{FIRST}..{SECOND}")
    assert done.exit_code == 0, done.output
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert (told["step"], told["day"], told["status"]) == ("track", str(SECOND), "done")
    assert told["details"]["mlflow"]["sent"] == [str(FIRST), str(SECOND)]
    assert (tmp_path / "p" / "to" / "mlflow.db").is_file()
    assert {path.name for path in (tmp_path / "p" / "to").iterdir()} >= {"mlflow.db", "mlflow.db.files"}
    assert len(catalogue.received) == 2 * 2 * 8


@needs_openlineage
def test_whoever_is_given_is_told_in_place_of_those_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_store(tmp_path / "p", '[tracking]\nmlflow = "env:NOT_SET"\n')
    monkeypatch.chdir(tmp_path)
    done = run("--config", config.path, "--day", FIRST, "--openlineage", "events.jsonl")
    assert done.exit_code == 0, done.output
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 2 * 8


@needs_openlineage
def test_one_that_is_away_is_a_warning_and_no_failure(
    tracked: Config, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"http://bob:pl4nted@127.0.0.1:{unused_port}"
    with caplog.at_level(logging.WARNING):
        done = run("--config", tracked.path, "--day", FIRST, "--openlineage", address)
    assert done.exit_code == 0
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["status"], told["details"]["openlineage"]["unsent"]) == ("unsent", [str(FIRST)])
    assert "openlineage could not be told of 2026-11-01" in caplog.text
    assert "pl4nted" not in done.output + caplog.text


def test_there_must_be_somebody_to_tell(tracked: Config) -> None:
    done = run("--config", tracked.path, "--day", FIRST)
    assert isinstance(done.exception, ConfigError)
    assert "nobody to tell: give --mlflow or --openlineage" in str(done.exception)


@pytest.mark.parametrize(("given", "variable"), [("env:TRACKER", "TRACKER"), ("connection:ml", "PNN_GLUON_MLFLOW_URI")])
def test_a_variable_that_is_not_set_is_named_and_what_it_holds_is_a_secret(
    tracked: Config, monkeypatch: pytest.MonkeyPatch, given: str, variable: str
) -> None:
    config = with_tracking(tracked, mlflow=given)
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ConfigError, match=f"{variable}: not set; tracking.mlflow"):
        address_of(config, "mlflow")
    monkeypatch.setenv(variable, "https://:t0kenvalue@host")
    assert address_of(config, "mlflow") == "https://:t0kenvalue@host"
    assert masked("Bearer t0kenvalue") == "Bearer ***"


def test_a_file_is_relative_to_the_configuration_and_nobody_is_none(tracked: Config) -> None:
    assert address_of(with_tracking(tracked, mlflow="a/b.db"), "mlflow") == str(tracked.path.parent / "a" / "b.db")
    assert address_of(tracked, "mlflow") is None


@pytest.mark.parametrize("given", ["https://bob:pl4nted@host", "sqlite:///a.db", "env:lower", "connection:a b", "env:"])
def test_a_url_or_an_odd_name_in_the_configuration_is_refused(tmp_path: Path, given: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(f"{PIPELINE}[tracking]\nmlflow = {given!r}\n")
    with pytest.raises(ConfigError, match="expected env:VARIABLE, connection:ID or a file") as caught:
        load_config(path)
    assert "tracking.mlflow" in str(caught.value)
    assert "pl4nted" not in str(caught.value)


def test_who_is_told_makes_no_day_stale(tracked: Config) -> None:
    told = with_tracking(tracked, mlflow="env:A", openlineage="env:B")
    assert all(step.chosen_options(told) == step.chosen_options(tracked) for step in STEPS)


def test_logins_are_taken_apart_and_leave_no_trace_in_names() -> None:
    assert login_of("http://h:1/x").headers == {}
    assert login_of("http://:t%2Fk@h") == Login("http://h", "", "t/k")
    assert login_of("http://:t%2Fk@h").headers == {"Authorization": "Bearer t/k"}
    assert place_of("s3://key:s3cret@bucket/a/b?x=1") == Place("s3://bucket", "a/b")
