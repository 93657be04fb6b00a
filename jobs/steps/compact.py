"""The day's map and the model in force without the ids that no row is read by: later days grow from these."""

import logging
from pathlib import Path

from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.details import CompactionDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.tables import CHAMPIONS, MAP_FILE, MAPS
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)


def compacted(inputs: Inputs, folder: Path, reason: str, by: str | None, at: str | None) -> Built:
    """Write the compact map, and the model in force by it where later days go on from that.

    Args:
        inputs: The map and the champion of the day.
        folder: Where to write.
        reason: Why, as recorded.
        by: Who asked for it.
        at: When.

    Raises:
        ConfigError: nothing would go, or training goes on from a model of another day's map.
    """
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.serving.compaction import compact_bundle

    before = FeatureMap.load(inputs[Need(MAPS)].file(MAP_FILE))
    compact, kept = before.compacted()
    if compact.size == before.size:
        raise ConfigError(
            f"compact {inputs.day}: no id of the map is expired or of a field that was given up; "
            "see feature_map.expire_days"
        )
    compact.save(folder / MAP_FILE)
    bundle = _bundle(inputs)
    if bundle is not None:
        compact_bundle(bundle, folder, compact, kept)
    log.info("compact %s: %s of %s ids stay", inputs.day, f"{compact.size:,}", f"{before.size:,}")
    details = CompactionDetails(
        new_ids=compact.size - before.size,
        unfitted=compact.unfitted or None,
        compacted=True,
        champion=inputs[Need(CHAMPIONS)].details.pointer.run if bundle else None,
        reason=reason,
        by=by,
        at=at,
    )
    return Built(compact.size, details)


def _bundle(inputs: Inputs) -> Path | None:
    """The bundle in force, where a warm start is to go on from it."""
    champion = inputs[Need(CHAMPIONS)]
    if not inputs.config.training.warm_start or champion.details.pointer.run is None:
        return None
    if champion.details.pointer.map_day != str(inputs.day):
        raise ConfigError(
            f"compact {inputs.day}: the model in force is by the map of {champion.details.pointer.map_day}, and a warm "
            "start goes on from it: compact a day whose own candidate was promoted"
        )
    return inputs.bundle_in_force(champion)
