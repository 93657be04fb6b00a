"""Which model was in force on a day, by the champion pointer."""

import datetime
from pathlib import Path

from pnn_gluon.days import parse_day
from pnn_gluon.errors import InputError
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store


def champion_folder(store: Store, champion: Manifest | None) -> Path | None:
    """The bundle a champion pointer names; None when no model was in force yet."""
    if champion is None or champion.details["run"] is None:
        return None
    day = parse_day(champion.details["day"])
    return store.run_folder(champion.details["table"], day, champion.details["run"])


def serving_folder(store: Store, champion: Manifest, day: datetime.date) -> Path:
    """The bundle in force, which must be there.

    Raises:
        InputError: when every candidate so far was refused.
    """
    folder = champion_folder(store, champion)
    if folder is None:
        raise InputError(
            f"no model is in force on {day}: every candidate so far was refused by the gate. See why with "
            f"`pnn-gluon status --day {day}`, or promote one with "
            f"`pnn-gluon rollback --day {day} --to {day} --reason ...`"
        )
    return folder
