"""A webhook is told what failed, was refused or fell back, and is no reason to fail."""

import datetime
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("dag_pipeline")  # Airflow is imported only once its home is set

REFUSED = {"step": "gate", "day": "2026-11-02", "status": "refused", "details": {"reasons": ["auc 0.4, limit 0.5"]}}
DETAILS = {"score_day": "2026-11-03", "model_day": "2026-11-01", "fallback": True, "why": "train failed"}
FALLBACK = {"step": "score", "day": "2026-11-02", "status": "done", "details": DETAILS}


class Webhook(HTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, str | None, dict[str, Any]]] = []


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Webhook)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append((self.path, self.headers["Authorization"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the test's own output is enough."""


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host = f"http://127.0.0.1:{server.server_port}/hook"
        connection = {"conn_type": "http", "host": host, "password": "s3cret-token"}
        monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps(connection))
        yield server
        server.shutdown()
        thread.join()


def context() -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="p_daily", task_id="gate", run_id="r", xcom_push=lambda **_: None)
    return {"ti": ti, "data_interval_start": datetime.datetime(2026, 11, 2, tzinfo=datetime.UTC)}


def run(outcome: dict[str, Any], status: int, notices: str = "OPS") -> None:
    from airflow.sdk.exceptions import AirflowSkipException
    from pnn_gluon_job import JobOperator

    script = f"echo '{json.dumps(outcome)}'; exit {status}"
    task = JobOperator(task_id="gate", bash_command=script, append_env=True, cwd="/", notices=notices)
    try:
        task.execute(context())
    except AirflowSkipException:
        assert status == 4


def test_a_failure_is_told_in_the_jobs_own_words(webhook: Webhook) -> None:
    from pnn_gluon_notice import failure_notice

    failure_notice("OPS")({**context(), "exception": ValueError("no files of 2026-11-02")})
    ((path, token, body),) = webhook.received
    assert (path, token) == ("/hook", "Bearer s3cret-token")
    assert body["text"] == "p_daily: gate 2026-11-02 failed: no files of 2026-11-02"
    assert (body["event"], body["day"], body["task"]) == ("failed", "2026-11-02", "gate")


def test_a_refusal_and_a_fallback_are_told_and_an_ordinary_day_is_not(webhook: Webhook) -> None:
    run(REFUSED, 4)
    run(FALLBACK, 0)
    run({**FALLBACK, "status": "skipped"}, 0)
    run({"step": "count", "day": "2026-11-02", "status": "done", "details": {}}, 0)
    assert [body["event"] for _, _, body in webhook.received] == ["refused", "fallback"]
    assert webhook.received[0][2]["why"] == "gate 2026-11-02 refused: auc 0.4, limit 0.5"
    assert webhook.received[1][2]["why"] == "scores of 2026-11-03 by the model of 2026-11-01: train failed"


def test_a_webhook_that_does_not_answer_changes_nothing_and_shows_no_secret(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps({"conn_type": "http", "host": "http://127.0.0.1:1/s3cret"}))
    run(FALLBACK, 0)
    run(FALLBACK, 0, notices="nosuch")
    run(FALLBACK, 0, notices="")
    assert not webhook.received
    assert "s3cret" not in caplog.text


def test_the_tasks_of_a_pipeline_with_a_webhook_tell_it(dag_pipeline: Any) -> None:
    from pnn_gluon_tasks import defaults

    from pnn_gluon.config import NoticesConfig

    assert "notices" not in defaults(dag_pipeline)
    told = defaults(dag_pipeline.model_copy(update={"notices": NoticesConfig(connection="OPS")}))
    assert told["notices"] == "OPS"
    assert callable(told["on_failure_callback"])
