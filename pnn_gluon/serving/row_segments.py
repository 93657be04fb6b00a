"""The segment that each encoded row is calibrated by."""

import numpy as np

from pnn_gluon.arrays import Ids
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.segments import RowSegments


def row_segments(feature_map: FeatureMap, field: str, *parts: Ids) -> RowSegments:
    """The id of a field's value in each row (B,) of parts of encoded rows (B, S); rare and unseen ones are *other*.

    Raises:
        InputError: the map has no such field of one value a row.
    """
    layout = feature_map.layout
    single = {name: place for place, name in enumerate(layout.names) if layout.widths[place] == 1}
    if field not in single:
        raise InputError(
            f"calibration.segment {field!r}: expected a field of one value a row that the model has, one of "
            f"{', '.join(single)}"
        )
    place = single[field]
    slot = layout.starts[place]
    return RowSegments(field, np.concatenate([ids[:, slot] for ids in parts]), feature_map.other_id(place))
