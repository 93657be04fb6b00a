"""Events of a day sent to a catalogue of lineage by HTTP, or written to a file, an event a line."""

import datetime
import hashlib
import json
from typing import Any

from openlineage.client.serde import Serde
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import HttpConfig, HttpTransport

from pnn_gluon.config import Config
from pnn_gluon.tracking.address import login_of
from pnn_gluon.tracking.away import answering
from pnn_gluon.tracking.lineage_events import events_of
from pnn_gluon.tracking.masking import masked_values
from pnn_gluon.tracking.tracked_day import TrackedDay
from pnn_gluon.tracking.unsent import Notes

ENDPOINT = "api/v1/lineage"
TIMEOUT = 10.0
"""Seconds for an answer; nothing waits for a tracker for long."""


class OpenLineageTracker:
    """Sends what was not sent before; with `again` all of it."""

    def __init__(self, config: Config, address: str, notes: Notes, again: bool = False) -> None:
        self._config, self._notes, self._again = config, notes, again
        self._transport = transport_to(address)

    def send(self, day: datetime.date) -> None:
        """Send a day; what went out before an error is noted.

        Raises:
            AwayError: an event could not be sent.
        """
        sent, whole = set() if self._again else self._notes.sent(day), False
        events = [masked_values(Serde.to_dict(event)) for event in events_of(TrackedDay(self._config, day))]
        try:
            for event in events:
                if (name := _name(event)) not in sent:
                    with answering():
                        self._transport.emit(event)
                    sent.add(name)
            whole = True
        finally:
            self._notes.write(day, sent, whole)

    def finish(self) -> None:
        """Close the connection."""
        self._transport.close()


def _name(event: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()[:16]


def transport_to(address: str) -> Any:
    """What events go to: the endpoint below a URL, or a file."""
    if "://" not in address:
        return FileTransport(FileConfig(log_file_path=address, append=True))
    login = login_of(address)
    url = login.url.rstrip("/").removesuffix(f"/{ENDPOINT}") + "/"
    retry = {"total": 1, "backoff_factor": 0.3, "allowed_methods": ["POST"], "status_forcelist": [502, 503, 504]}
    return HttpTransport(
        HttpConfig(url=url, endpoint=ENDPOINT, timeout=TIMEOUT, retry=retry, custom_headers=login.headers)
    )
