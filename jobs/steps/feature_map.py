"""Yesterday's feature map and the window's counts -> today's map; no id ever moves."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pnn_gluon.pipeline.details import MapDetails
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.steps import COUNTED, MAP_BEFORE, ROOM, ROWS_TO_FIT
from pnn_gluon.pipeline.tables import COUNTS_FILE, MAP_FILE, ROWS_FILE
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    from pnn_gluon.data.feature_map import FeatureMap

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Grow the map by the values that passed the threshold."""
    from pnn_gluon.data.feature_map import FeatureMap, grow_map

    parent, rows, room = inputs[MAP_BEFORE], inputs[ROWS_TO_FIT], inputs[ROOM]
    grown, left_out = grow_map(
        FeatureMap.load(parent.file(MAP_FILE)) if parent else None,
        inputs.config.fields,
        inputs.config.feature_map.min_impressions,
        inputs.config.engine,
        inputs.day,
        [counts.file(COUNTS_FILE) for counts in inputs[COUNTED].values()],
        rows.parts(ROWS_FILE) if rows else None,
        parent.sha256(MAP_FILE) if parent else "",
        room.most,
        inputs.config.feature_map.expire_days,
        inputs.config.feature_map.min_days,
        inputs.config.source.weights is not None,
    )
    grown.save(folder / MAP_FILE)
    new = grown.size - (parent.rows if parent else 0)
    log.info("feature_map %s: %s ids, %s new", inputs.day, f"{grown.size:,}", f"{new:,}")
    notes = [note] if (note := room.note(grown, left_out)) else []
    for words in notes:
        log.warning("feature_map %s: %s", inputs.day, words)
    details = MapDetails(new_ids=new, unfitted=grown.unfitted or None, notes=notes or None, **_expiry(inputs, grown))
    return Built(grown.size, details)


def _expiry(inputs: Inputs, grown: "FeatureMap") -> dict[str, int]:
    """How many ids are expired, and how many are so no more; nothing where none expires."""
    if not inputs.config.feature_map.expire_days:
        return {}
    expired, revived = int(grown.expired.sum()), len(grown.revived)
    log.info("feature_map %s: %s ids expired, %s are so no more", inputs.day, f"{expired:,}", f"{revived:,}")
    return {"expired": expired, "revived": revived}
