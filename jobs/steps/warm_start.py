"""The earlier model that a warm start goes on from."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.reading import Reading, kept_reason
from jobs.steps.serving_model import champion_folder
from pnn_gluon.errors import InputError
from pnn_gluon.store.manifest import Manifest

if TYPE_CHECKING:
    from pnn_gluon.data.feature_map import FeatureMap


@dataclasses.dataclass(frozen=True)
class Start:
    """A model to go on from: its name in the store, its day, its folder, what it is, and the folder of its map."""

    name: str
    day: str
    folder: Path
    model: Mapping[str, Any]
    map_folder: Path


def find_start(reading: Reading) -> Start | None:
    """The model in force since yesterday, or yesterday's own; None when there is none yet.

    Yesterday's own is the model in force if yesterday was kept. What is read is recorded as an input.
    """
    if reading.config.training.warm_start_from == "yesterday":
        yesterday = reading.parent("models")
        if yesterday is None:
            return None
        if kept_reason(yesterday.details) is None:
            return _candidate(reading, yesterday)
    return _champion(reading)


def _candidate(reading: Reading, model: Manifest) -> Start:
    store, feature_map = reading.store, reading.need("maps", model.day)
    return Start(
        f"{model.table}/{model.day}",
        str(model.day),
        store.folder(model),
        model.details["model"],
        store.folder(feature_map),
    )


def _champion(reading: Reading) -> Start | None:
    from pnn_gluon.serving.bundle import BundleCard

    champion = reading.parent("champions")
    folder = champion_folder(reading.store, champion)
    if champion is None or folder is None:
        return None
    day = champion.details["day"]
    return Start(f"{champion.details['table']}/{day}", day, folder, BundleCard.read(folder).model, folder)


def warm_start_of(reading: Reading, feature_map: "FeatureMap") -> Start | None:
    """The model to go on from, for a day whose map is `feature_map`; None to train from scratch.

    Raises:
        InputError: the model is of another kind, or of a map that today's did not grow from.
    """
    from pnn_gluon.data.feature_map import FeatureMap

    start = find_start(reading) if reading.config.training.warm_start else None
    if start is None:
        return None
    configured, day = reading.config.model.name, reading.day
    if start.model["name"] != configured:
        raise InputError(
            f"train {day}: expected to go on from a model {configured!r}, found "
            f"{start.model['name']!r} in {start.name}; "
            "set training.warm_start = false until a model of the new kind is in force"
        )
    if not feature_map.continues(FeatureMap.load(start.map_folder / "map.h5")):
        raise InputError(
            f"train {day}: the map of {day} did not grow from that of {start.name}, so ids mean something else; the "
            f"days between are stale: pnn-gluon run --config {reading.config.path} --day {start.day}..{day}"
        )
    return start
