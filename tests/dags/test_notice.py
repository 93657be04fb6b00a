"""A webhook is told what failed, was refused or fell back, and is no reason to fail."""

import asyncio
import datetime
import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from pnn_gluon.config import Config, NoticesConfig
from pnn_gluon.scheduling import LOOK_ONCE
from tests.webhook import Webhook, listening

pytestmark = pytest.mark.usefixtures("dag_pipeline")  # Airflow is imported only once its home is set

REFUSED = {"step": "gate", "day": "2026-11-02", "status": "refused", "details": {"reasons": ["auc 0.4, limit 0.5"]}}
DETAILS = {"score_day": "2026-11-03", "model_day": "2026-11-01", "fallback": True, "why": "train failed"}
DATA = {
    "step": "check",
    "day": "2026-11-02",
    "status": "refused",
    "details": {"reasons": ["site: no value"], "findings": []},
}
FALLBACK = {"step": "score", "day": "2026-11-02", "status": "done", "details": DETAILS}


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with listening() as server:
        connection = {"conn_type": "http", "host": server.address("/hook"), "password": "s3cret-token"}
        monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps(connection))
        yield server


def context() -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="p_daily", task_id="gate", run_id="r", xcom_push=lambda **_: None)
    return {"ti": ti, "data_interval_start": datetime.datetime(2026, 11, 2, tzinfo=datetime.UTC)}


def run(outcome: dict[str, Any], status: int, **notices: Any) -> None:
    from airflow.sdk.exceptions import AirflowSkipException
    from pnn_gluon_job import JobOperator

    script = f"echo '{json.dumps(outcome)}'; exit {status}"
    told = NoticesConfig(**(notices or {"connection": "OPS"}))
    task = JobOperator(task_id="gate", bash_command=script, append_env=True, cwd="/", notices=told)
    try:
        task.execute(context())
    except AirflowSkipException:
        assert status == 4


def test_a_failure_is_told_in_the_jobs_own_words(webhook: Webhook) -> None:
    from pnn_gluon_notice import failure_notice

    failure_notice(NoticesConfig(connection="OPS"))({**context(), "exception": ValueError("no files of 2026-11-02")})
    ((path, token, body),) = webhook.received
    assert (path, token) == ("/hook", "Bearer s3cret-token")
    assert body["text"] == "p_daily: gate 2026-11-02 failed: no files of 2026-11-02"
    assert (body["event"], body["day"], body["task"]) == ("failed", "2026-11-02", "gate")


def test_a_refusal_and_a_fallback_are_told_and_an_ordinary_day_is_not(webhook: Webhook) -> None:
    run(REFUSED, 4)
    run(FALLBACK, 0)
    run(DATA, 4)
    run({**FALLBACK, "status": "skipped"}, 0)
    run({"step": "count", "day": "2026-11-02", "status": "done", "details": {}}, 0)
    assert [body["event"] for _, _, body in webhook.received] == ["refused", "fallback", "refused"]
    assert webhook.received[0][2]["why"] == "gate 2026-11-02 refused: auc 0.4, limit 0.5"
    assert webhook.received[1][2]["why"] == "scores of 2026-11-03 by the model of 2026-11-01: train failed"
    assert webhook.received[2][2]["why"] == "check 2026-11-02 refused: site: no value"


def test_a_webhook_that_does_not_answer_changes_nothing_and_shows_no_secret(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps({"conn_type": "http", "host": "http://127.0.0.1:1/s3cret"}))
    run(FALLBACK, 0)
    run(FALLBACK, 0, connection="nosuch")
    run(FALLBACK, 0, connection=None)
    assert not webhook.received
    assert "s3cret" not in caplog.text


def _by_a_task(notices: NoticesConfig) -> None:
    run({**REFUSED, "details": {"reasons": ["auc <b>0.4</b>"]}}, 4, smtp=notices.smtp, to=notices.to)


def _by_the_triggerer(notices: NoticesConfig) -> None:
    from pnn_gluon_notice import message, send_from_triggerer

    why = "gate 2026-11-02 refused: auc <b>0.4</b>"
    asyncio.run(send_from_triggerer(notices, message("refused", "p_daily", "gate", "2026-11-02", "r", why)))


@pytest.mark.parametrize("send", [_by_a_task, _by_the_triggerer])
def test_a_mail_goes_to_everybody_that_is_named(
    monkeypatch: pytest.MonkeyPatch, send: Callable[[NoticesConfig], None]
) -> None:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        extra = {"from_email": "pnn@example.org", "disable_ssl": True, "disable_tls": True}
        where = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.server_address[1], "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(where))
        send(NoticesConfig(smtp="MAIL", to=("ann@example.org", "bob@example.org")))
        server.shutdown()
    ((sent, text),) = server.received
    assert sent == [" FROM:<pnn@example.org>", " TO:<ann@example.org>", " TO:<bob@example.org>"]
    mail = email.message_from_string(text, policy=email.policy.default)
    assert mail["Subject"] == "p_daily: gate 2026-11-02 refused"
    body = mail.get_body(("html",))
    assert body is not None
    assert "gate 2026-11-02 refused: auc &lt;b&gt;0.4&lt;/b&gt;" in body.get_content()


class MailServer(socketserver.TCPServer):
    """Takes mails as any server does, and keeps them: the lines of the envelope, and the text."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MailHandler)
        self.received: list[tuple[list[str], str]] = []


class _MailHandler(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        envelope: list[str] = []
        self.wfile.write(b"220 test\r\n")
        for line in iter(lambda: self.rfile.readline().decode().strip(), "quit"):
            verb = line[:4].lower()
            if verb in {"mail", "rcpt"}:
                envelope.append(line[4:])
            if verb != "data":
                self.wfile.write(b"250 ok\r\n")
                continue
            self.wfile.write(b"354 go on\r\n")
            text = "".join(iter(lambda: self.rfile.readline().decode(), ".\r\n"))
            self.server.received.append((envelope, text))
            self.wfile.write(b"250 kept\r\n")
            return


NOW = datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize(("ago", "told"), [(datetime.timedelta(seconds=3), 1), (datetime.timedelta(hours=2), 0)])
def test_a_day_that_is_late_is_told_and_the_past_days_of_a_backfill_are_not(
    webhook: Webhook, dag_pipeline: Config, ago: datetime.timedelta, told: int
) -> None:
    from airflow.api_fastapi.core_api.datamodels.dag_run import DAGRunResponse
    from pnn_gluon_late import tell

    run = {"dag_id": "p_daily", "dag_run_id": "r", "state": "running", "logical_date": "2026-11-02T00:00:00Z"}
    assert run.keys() <= DAGRunResponse.model_fields.keys()  # what Airflow's context holds of a run
    context = {"dag_run": run, "deadline": {"deadline_time": NOW - ago}}
    asyncio.run(tell(context, {"connection": "OPS", "smtp": None, "to": []}, "06:00"))
    assert [body["text"] for _, _, body in webhook.received] == told * [
        "p_daily: 2026-11-02 late: not done by 06:00 UTC: the run is running"
    ]


def test_the_tasks_of_a_pipeline_with_a_webhook_tell_it_and_a_late_day_does(
    dag_pipeline: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnn_gluon_late import deadline
    from pnn_gluon_tasks import defaults

    told = dag_pipeline.model_copy(update={"notices": NoticesConfig(connection="OPS")})
    assert "on_failure_callback" not in defaults(dag_pipeline)
    assert defaults(told)["notices"].connection == "OPS"
    assert callable(defaults(told)["on_failure_callback"])
    monkeypatch.delenv(LOOK_ONCE, raising=False)
    alert = deadline(told)
    assert alert is not None
    assert alert.interval == datetime.timedelta(hours=30)
    assert alert.callback.path == "pnn_gluon_late.tell"
    assert deadline(dag_pipeline) is None
    monkeypatch.setenv(LOOK_ONCE, "1")
    assert deadline(told) is None


@pytest.mark.parametrize("given", [{"smtp": "MAIL"}, {"to": ["a@b.c"]}, {"smtp": "MAIL", "to": ["a@b.c, d@e.f"]}])
def test_a_mail_without_a_server_or_without_a_good_address_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NoticesConfig(**given)
