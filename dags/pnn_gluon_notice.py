"""Notices of what failed, was refused, fell back to an older model or is late: to a webhook, by mail, or both.

The webhook is an Airflow connection of type HTTP: its URL in *host* (with schema and port beside it, or whole), a token
in *password*, which goes into the header Authorization, more headers in *extra*. It gets one POST of JSON. The mail
server is one of type SMTP, whose *extra* names the sender in `from_email`.
"""

import asyncio
import html
import json
import logging
import urllib.request
from collections.abc import Callable
from typing import Any, TypeAlias

from airflow.sdk import Connection

from pnn_gluon.config import NoticesConfig

log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds; a notice is not worth more of a task's time."""

Message: TypeAlias = dict[str, str]


def failure_notice(notices: NoticesConfig) -> Callable[[Any], None]:
    """What Airflow calls when a task has failed for good."""

    def tell(context: Any) -> None:
        notify(notices, "failed", context, str(context.get("exception") or "see the task's log"))

    return tell


def notify(notices: NoticesConfig, event: str, context: Any, why: str) -> None:
    """Tell of a task.

    Args:
        notices: Who is told.
        event: `failed`, `refused`, `fallback` or `approval`.
        context: Of the task.
        why: In the job's own words.
    """
    if not notices.anybody:
        return
    ti, start = context["ti"], context.get("data_interval_start")
    day = f"{start:%Y-%m-%d}" if start else ""
    send(notices, message(event, ti.dag_id, ti.task_id, day, ti.run_id, why))


def message(event: str, dag: str, task: str, day: str, run: str, why: str) -> Message:
    """A notice; chat programs show `text`."""
    text = " ".join([f"{dag}:", *filter(None, (task, day)), f"{event}: {why}"])
    return {"text": text, "event": event, "dag": dag, "task": task, "day": day, "run": run, "why": why}


def send(notices: NoticesConfig, told: Message) -> None:
    """Send a notice; one that cannot be sent is a warning in the log, and changes nothing else."""
    for name, post in ((notices.connection, _post_by), (notices.smtp, _mail)):
        if not name:
            continue
        try:
            post(name, notices, told)
            log.info("told %s: %s", name, told["event"])
        except Exception as error:  # a task must not end otherwise because nobody could be told
            _not_told(name, error)


async def send_from_triggerer(notices: NoticesConfig, told: Message) -> None:
    """The same where all triggers share one thread, which nobody may hold up."""
    for name, post in ((notices.connection, _apost_by), (notices.smtp, _amail)):
        if not name:
            continue
        try:
            await post(name, notices, told)
            log.info("told %s: %s", name, told["event"])
        except Exception as error:  # a mail that fails keeps no webhook from being told
            _not_told(name, error)


def _not_told(name: str, error: Exception) -> None:
    log.warning("%s could not be told of this: %s", name, type(error).__name__)


def _post_by(name: str, _: NoticesConfig, told: Message) -> None:
    _post(Connection.get(name), told)


async def _apost_by(name: str, _: NoticesConfig, told: Message) -> None:
    await asyncio.to_thread(_post, await Connection.async_get(name), told)


def _post(connection: Connection, told: Message) -> None:
    host = connection.host or ""
    port = f":{connection.port}" if connection.port else ""
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}{port}"
    headers = {"Content-Type": "application/json", **(connection.extra_dejson.get("headers") or {})}
    if connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    request = urllib.request.Request(url, json.dumps(told).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT):
        pass


def _mail(name: str, notices: NoticesConfig, told: Message) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    with SmtpHook(name) as mail:
        mail.send_email_smtp(**_as_mail(notices, told))


async def _amail(name: str, notices: NoticesConfig, told: Message) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    async with SmtpHook(name) as mail:
        await mail.asend_email_smtp(**_as_mail(notices, told))


def _as_mail(notices: NoticesConfig, told: Message) -> dict[str, Any]:
    body = "".join(f"<dt>{name}</dt><dd><pre>{html.escape(text)}</pre></dd>" for name, text in told.items() if text)
    subject = f"{told['dag']}: {told['task']} {told['day']} {told['event']}"
    return {"to": list(notices.to), "subject": subject, "html_content": f"<dl>{body}</dl>"}
