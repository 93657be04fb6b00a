"""Which model was in force on a day, by the champion pointer."""

from pathlib import Path

from pnn_gluon.days import parse_day
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store


def champion_folder(store: Store, champion: Manifest | None) -> Path | None:
    """The bundle a champion pointer names; None when no model was in force yet."""
    if champion is None or champion.details["run"] is None:
        return None
    day = parse_day(champion.details["day"])
    return store.run_folder(champion.details["table"], day, champion.details["run"])
