"""The earlier model that a warm start goes on from."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.details import ChampionDetails, CompactionDetails
from pnn_gluon.pipeline.inputs import Candidate, WarmStart
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.tables import MAP_FILE
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    from pnn_gluon.data.feature_map import FeatureMap


@dataclasses.dataclass(frozen=True)
class Start:
    """A model to go on from: its name in the store, its day, its folder, what it is, and the file of its map.

    `same_fields` says whether its rows have the fields of today's, in their order.
    """

    name: str
    day: str
    folder: Path
    model: Mapping[str, Any]
    map: Path
    same_fields: bool = True


def _candidate(yesterday: Candidate) -> Start:
    model = yesterday.model
    return Start(model.name, str(model.day), model.folder, model.details.model, yesterday.map.file(MAP_FILE))


def _champion(inputs: Inputs, champion: Partition[ChampionDetails]) -> Start | None:
    from pnn_gluon.serving.bundle import BundleCard

    folder, pointer = inputs.bundle_in_force(champion), champion.details.pointer
    if folder is None or pointer.day is None:
        return None
    return Start(
        f"{pointer.table}/{pointer.day}", pointer.day, folder, BundleCard.read(folder).model, folder / MAP_FILE
    )


def _compact(compact: Partition[CompactionDetails]) -> Start | None:
    """The model by a compact map; None where none was in force, or no warm start was wanted."""
    from pnn_gluon.serving.bundle import BundleCard

    if compact.details.champion is None:
        return None
    folder = compact.folder
    return Start(compact.name, str(compact.day), folder, BundleCard.read(folder).model, folder / MAP_FILE)


def _start(inputs: Inputs) -> Start | None:
    found = inputs[WarmStart()]
    if found is None or isinstance(found, Candidate):
        return found and _candidate(found)
    if isinstance(found.details, CompactionDetails):
        return _compact(found)
    return _champion(inputs, found)


def warm_start_of(inputs: Inputs, feature_map: "FeatureMap") -> Start | None:
    """The model to go on from, for a day whose map is `feature_map`; None to train from scratch.

    Raises:
        InputError: the model is of another kind, or of a map that today's did not grow from.
    """
    from pnn_gluon.data.feature_map import FeatureMap

    start = _start(inputs)
    if start is None:
        return None
    configured, day = inputs.config.model.name, inputs.day
    if start.model["name"] != configured:
        raise InputError(
            f"train {day}: expected to go on from a model {configured!r}, found "
            f"{start.model['name']!r} in {start.name}; "
            "set training.warm_start = false until a model of the new kind is in force"
        )
    earlier = FeatureMap.load(start.map)
    if not feature_map.continues(earlier):
        raise InputError(
            f"train {day}: the map of {day} did not grow from that of {start.name}, so ids mean something else; the "
            f"days between are stale: pnn-gluon run --config {inputs.config.path} --day {start.day}..{day}"
        )
    return dataclasses.replace(start, same_fields=earlier.layout == feature_map.layout)
