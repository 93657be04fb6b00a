"""Days in a real MLflow: a database of SQLite with its files beside it."""

import base64
import json
import logging
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pnn_gluon.config import Config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.tracking.telling import Told, tell
from tests.jobs.small_pipeline import tree
from tests.tracking.needed import needs_mlflow
from tests.tracking.small_store import FIRST, HISTORY, SECOND, SUMMARY, commit, make_model, point

pytestmark = needs_mlflow

BOTH = [FIRST, SECOND]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow with nothing in it, which takes a while to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    _client_of(str(path))
    return path


@pytest.fixture
def address(database: Path, tmp_path: Path) -> str:
    (tmp_path / "mlflow").mkdir()
    return str(shutil.copy(database, tmp_path / "mlflow"))


@pytest.fixture
def client(address: str) -> Any:
    return _client_of(address)


def _client_of(address: str) -> Any:
    from mlflow.tracking import MlflowClient

    found = MlflowClient(tracking_uri=f"sqlite:///{address}", registry_uri=f"sqlite:///{address}")
    found.search_experiments()
    return found


def send(config: Config, address: str, days: Any = BOTH, again: bool = False) -> Told:
    return tell(config, days, {"mlflow": address}, again)["mlflow"]


def runs(client: Any) -> dict[str, Any]:
    """By name every run of the pipeline."""
    experiment = client.get_experiment_by_name("clicks")
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def version_of(client: Any, alias: str) -> Any:
    return client.get_model_version_by_alias("clicks", alias)


def text(client: Any, run: Any, path: str) -> str:
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return (folder / path).read_text()


def test_a_day_is_a_run_with_options_metrics_history_tags_and_files(tracked: Config, address: str, client: Any) -> None:
    assert send(tracked, address) == Told([str(day) for day in BOTH], [])
    run = runs(client)[str(SECOND)]
    assert run.info.status == "FINISHED"
    assert {run.data.params[name] for name in ("model.name", "model.embedding_size", "training.epochs")} == {
        "fm",
        "4",
        "3",
    }
    assert run.data.params["training.batch_size"] == "1000"  # a default
    metrics = run.data.metrics
    assert {name: metrics[f"in_force.{name}"] for name in SUMMARY} == SUMMARY
    assert (metrics["in_force.auc.interval.low"], metrics["in_force.auc.interval.high"]) == (0.65, 0.75)
    assert (metrics["gate.accepted"], metrics["gate.regression.difference"], metrics["calibration.pcoc"]) == (
        0,
        0.01,
        1.01,
    )
    history = [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, "training.validation")]
    assert history == [*((each["epoch"], each["validation"]) for each in HISTORY), (2, 0.44)]
    bundle = open_store(tracked).manifest("bundles", SECOND)
    assert bundle is not None
    assert run.data.tags["pnn_gluon.run"] == run.data.tags["pnn_gluon.run.bundles"] == bundle.run
    assert run.data.tags["pnn_gluon.made_by.mxnet"] == "1.9.1"
    assert run.data.tags["pnn_gluon.in_force.model_day"] == str(FIRST)
    assert run.data.tags["pnn_gluon.gate"] == "refused: auc 0.4, limit 0.5"
    assert json.loads(text(client, run, "manifests/bundles.json"))["run"] == bundle.run
    assert json.loads(text(client, run, "metrics.json"))["summary"] == SUMMARY


def test_sent_twice_is_the_same_runs_and_nothing_twice(tracked: Config, address: str, client: Any) -> None:
    send(tracked, address)
    before = runs(client)
    for again in (False, True):
        send(tracked, address, again=again)
        after = runs(client)
        assert {name: run.info.run_id for name, run in after.items()} == {
            name: run.info.run_id for name, run in before.items()
        }
        assert [run.data.to_dictionary() for run in after.values()] == [
            run.data.to_dictionary() for run in before.values()
        ]
        history = client.get_metric_history(before[str(FIRST)].info.run_id, "training.loss")
        assert len(history) == len(HISTORY) + 1
        assert len(client.search_model_versions("name = 'clicks'")) == 2


def test_the_model_in_force_is_champion_and_a_newer_one_challenger(tracked: Config, address: str, client: Any) -> None:
    send(tracked, address)
    assert version_of(client, "champion").tags["pnn_gluon.day"] == str(FIRST)
    assert version_of(client, "challenger").tags["pnn_gluon.day"] == str(SECOND)
    bundle = open_store(tracked).manifest("bundles", SECOND)
    assert bundle is not None
    point(tracked, SECOND, bundle, "override", "by hand")
    send(tracked, address, [SECOND])
    assert version_of(client, "champion").tags["pnn_gluon.run"] == bundle.run
    assert "challenger" not in client.get_registered_model("clicks").aliases


def test_a_day_that_was_trained_anew_is_another_run_and_version(tracked: Config, address: str, client: Any) -> None:
    send(tracked, address)
    new = make_model(tracked, SECOND, loss=0.1)
    send(tracked, address, [SECOND])
    experiment = client.get_experiment_by_name("clicks").experiment_id
    found = client.search_runs([experiment], f"tags.`pnn_gluon.day` = '{SECOND}'")
    assert len({run.data.tags["pnn_gluon.run"] for run in found}) == 2
    assert version_of(client, "challenger").tags["pnn_gluon.run"] == new.run


def test_a_day_without_a_model_becomes_one_with_it_once_that_is_made(
    tracked: Config, address: str, client: Any
) -> None:
    manifest = open_store(tracked).manifest("bundles", SECOND)
    assert manifest is not None
    commit(tracked, "bundles", SECOND, {"kept": "no clicks"})
    send(tracked, address, [SECOND])
    before = runs(client)[str(SECOND)]
    assert before.data.tags["pnn_gluon.run"] == "none"
    assert not before.data.params
    make_model(tracked, SECOND)
    send(tracked, address, [SECOND])
    after = runs(client)[str(SECOND)]
    assert after.info.run_id == before.info.run_id
    assert after.data.tags["pnn_gluon.run"] == manifest.run
    assert after.data.params["model.name"] == "fm"


def test_a_later_word_about_a_day_is_put_into_its_run(tracked: Config, address: str, client: Any) -> None:
    send(tracked, address)
    assert "pnn_gluon.failed" not in runs(client)[str(SECOND)].data.tags
    matured = {"model_day": str(FIRST), "summary": {**SUMMARY, "pcoc": 0.9}, "reliability": [], "day": str(FIRST)}
    commit(tracked, "reevaluations", SECOND, matured)
    open_store(tracked).record_failure("published", SECOND, "OSError: the server is away")
    send(tracked, address, [SECOND])
    run = runs(client)[str(SECOND)]
    assert run.data.metrics["matured.pcoc"] == 0.9
    assert run.data.tags["pnn_gluon.failed"] == "publish"
    open_store(tracked).clear_failure("published", SECOND)
    send(tracked, address, [SECOND])
    assert "pnn_gluon.failed" not in runs(client)[str(SECOND)].data.tags


def test_slices_are_told_whatever_the_values_of_fields_are(tracked: Config, address: str, client: Any) -> None:
    slices = {f"site=http://a//../b?{'c' * 300}": {"difference": 0.25}, "site=ü ∞": {"difference": 0.5}}
    commit(tracked, "gates", FIRST, {"accepted": True, "reasons": [], "measures": {"slices": slices}})
    assert send(tracked, address, [FIRST]) == Told([str(FIRST)], [])
    metrics = runs(client)[str(FIRST)].data.metrics
    assert sorted(value for name, value in metrics.items() if name.startswith("gate.slices.site_")) == [0.25, 0.5]


def test_an_mlflow_that_is_away_fails_nothing_and_is_told_the_next_time(
    tracked: Config, address: str, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from mlflow.exceptions import MlflowException

    from pnn_gluon.tracking import mlflow_tracker

    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(
            mlflow_tracker.MlflowClient, "log_batch", _raising(MlflowException("no postgresql://a:s3cret@db"))
        )
        told = send(tracked, address, [FIRST])
    assert told == Told([], [str(FIRST)], "MlflowException: no postgresql://a:***@db")
    assert "mlflow could not be told of 2026-11-01" in caplog.text
    assert "s3cret" not in caplog.text
    assert send(tracked, address, [SECOND]) == Told([str(FIRST), str(SECOND)], [])
    assert [run.data.metrics["calibration.auc"] for run in runs(client).values()] == [0.7, 0.7]


def _raising(error: BaseException) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


def test_a_server_that_nobody_is_at_is_given_up_on_soon(tracked: Config, unused_port: int) -> None:
    told = send(tracked, f"http://bob:s3cret@127.0.0.1:{unused_port}", [FIRST])
    assert told.unsent == [str(FIRST)]
    assert told.why is not None
    assert "s3cret" not in told.why


def test_the_store_is_as_it_was(tracked: Config, address: str) -> None:
    root = Path(tracked.store_root)
    before = tree(root)
    send(tracked, address)
    assert tree(root) == before


def test_a_password_in_what_steps_say_does_not_reach_mlflow(tracked: Config, address: str, tmp_path: Path) -> None:
    secret = "postgresql://bob:pl4nted@db/scores"
    commit(tracked, "gates", SECOND, {"accepted": False, "reasons": [f"no {secret}"], "measures": {}})
    make_model(tracked, SECOND)
    commit(
        tracked,
        "evaluations",
        SECOND,
        {"model_day": None, "summary": None, "reliability": [], "notes": [secret]},
        files={"metrics.json": json.dumps({"why": secret}).encode()},
    )
    send(tracked, address)
    found = [
        path for path in tmp_path.joinpath("mlflow").rglob("*") if path.is_file() and b"pl4nted" in path.read_bytes()
    ]
    assert found == []


class _Server(BaseHTTPRequestHandler):
    """Refuses everybody, and keeps by what they wanted to get in."""

    logins: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.logins.append(self.headers["Authorization"])
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing: the test's own output is enough."""


@pytest.mark.parametrize(
    ("login", "header"),
    [("bob:s3cr%40t@", "Basic " + base64.b64encode(b"bob:s3cr@t").decode()), (":t0ken@", "Bearer t0ken")],
)
def test_a_login_goes_to_the_server_and_nowhere_else(
    tracked: Config, monkeypatch: pytest.MonkeyPatch, login: str, header: str
) -> None:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "")  # so that the test puts back what is set
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}")
    _Server.logins.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        told = send(tracked, f"http://{login}127.0.0.1:{server.server_port}", [FIRST])
        server.shutdown()
        thread.join()
    assert told.unsent == [str(FIRST)]
    assert "403" in str(told.why)
    assert set(_Server.logins) == {header}
    assert "s3cr" not in str(told)
    assert "t0ken" not in str(told)


def test_a_killed_call_leaves_its_days_to_the_next(tracked: Config, address: str, client: Any) -> None:
    from pnn_gluon.tracking import mlflow_tracker

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_tracker.MlflowClient, "log_artifacts", _raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            send(tracked, address, [FIRST])
    assert send(tracked, address, [SECOND]).sent == [str(FIRST), str(SECOND)]
    assert "metrics.json" in {each.path for each in client.list_artifacts(runs(client)[str(FIRST)].info.run_id)}
    assert len(runs(client)) == 2


def test_an_alias_that_could_not_be_set_is_set_by_the_next_call(tracked: Config, address: str, client: Any) -> None:
    from mlflow.exceptions import MlflowException

    from pnn_gluon.tracking import mlflow_tracker

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            mlflow_tracker.MlflowClient, "set_registered_model_alias", _raising(MlflowException("a lock is held"))
        )
        assert send(tracked, address).unsent == [str(SECOND)]
    assert send(tracked, address, [FIRST]).unsent == []
    assert version_of(client, "champion").tags["pnn_gluon.day"] == str(FIRST)


def test_a_damaged_file_is_left_out_and_said(
    tracked: Config, address: str, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = open_store(tracked).manifest("evaluations", SECOND)
    assert manifest is not None
    (open_store(tracked).folder(manifest) / "metrics.json").write_text("{}")
    assert send(tracked, address, [SECOND]).unsent == []
    found = {each.path for each in client.list_artifacts(runs(client)[str(SECOND)].info.run_id)}
    assert "metrics.json" not in found
    assert "metrics.json: missing, or not the bytes that were written" in caplog.text
