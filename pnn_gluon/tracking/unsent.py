"""What this machine told a tracker of which day, and what it still has to: notes beside the store, not in it."""

import datetime
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from pnn_gluon.atomic import write_atomically
from pnn_gluon.days import parse_day
from pnn_gluon.store.store import Store
from pnn_gluon.tracking.address import Kind, login_of


class Notes:
    """The notes on one tracker, by its address without login. Whoever loses them sends things again, no more."""

    def __init__(self, store: Store, kind: Kind, address: str) -> None:
        where = login_of(address).url if "://" in address else address
        self._folder: Path = store.told(f"{kind}-{hashlib.sha256(where.encode()).hexdigest()[:12]}")

    def unsent(self) -> set[datetime.date]:
        """The days that could not be sent."""
        return {
            parse_day(path.stem) for path in self._folder.glob("*.json") if not json.loads(path.read_text())["whole"]
        }

    def sent(self, day: datetime.date) -> set[str]:
        """The names of what was sent of a day."""
        path = self._path(day)
        return set(json.loads(path.read_text())["sent"]) if path.is_file() else set()

    def write(self, day: datetime.date, sent: Iterable[str], whole: bool) -> None:
        """Note what was sent of a day, and whether that is all of it."""
        told = json.dumps({"sent": sorted(sent), "whole": whole})
        write_atomically(self._path(day), told.encode())

    def _path(self, day: datetime.date) -> Path:
        return self._folder / f"{day}.json"
