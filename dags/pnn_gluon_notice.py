"""Notices of what failed, was refused or fell back to an older model: one POST of JSON each, to a webhook.

The webhook is an Airflow connection of type HTTP: its URL in *host* (with schema and port beside it, or whole), a token
in *password*, which goes into the header Authorization, more headers in *extra*.
"""

import json
import logging
import urllib.request
from collections.abc import Callable
from typing import Any

from airflow.sdk import Connection

log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds; a notice is not worth more of a task's time."""


def failure_notice(connection_id: str) -> Callable[[Any], None]:
    """What Airflow calls when a task has failed for good."""

    def tell(context: Any) -> None:
        notify(connection_id, "failed", context, str(context.get("exception") or "see the task's log"))

    return tell


def notify(connection_id: str, event: str, context: Any, why: str) -> None:
    """Send a notice; one that cannot be sent is a warning in the task's log, and changes nothing else.

    Args:
        connection_id: Of the webhook; "" for no notices.
        event: `failed`, `refused` or `fallback`.
        context: Of the task.
        why: In the job's own words.
    """
    if not connection_id:
        return
    try:
        with urllib.request.urlopen(_request(connection_id, _message(event, context, why)), timeout=TIMEOUT):
            log.info("told the webhook %s: %s", connection_id, event)
    except Exception as error:  # a task must not end otherwise because nobody could be told
        log.warning("the webhook %s could not be told of this: %s", connection_id, type(error).__name__)


def _message(event: str, context: Any, why: str) -> dict[str, str]:
    """The notice; chat programs show `text`."""
    ti, start = context["ti"], context.get("data_interval_start")
    day = f"{start:%Y-%m-%d}" if start else ""
    return {
        "text": f"{ti.dag_id}: {ti.task_id} {day} {event}: {why}",
        "event": event,
        "dag": ti.dag_id,
        "task": ti.task_id,
        "day": day,
        "run": ti.run_id,
        "why": why,
    }


def _request(connection_id: str, message: dict[str, str]) -> urllib.request.Request:
    connection = Connection.get(connection_id)
    host = connection.host or ""
    port = f":{connection.port}" if connection.port else ""
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}{port}"
    headers = {"Content-Type": "application/json", **(connection.extra_dejson.get("headers") or {})}
    if connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    return urllib.request.Request(url, json.dumps(message).encode(), headers, method="POST")
