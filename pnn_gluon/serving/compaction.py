"""A bundle without the ids that no row is read by: expired ones, and those of fields that were given up."""

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.evaluation.segments import Calibration, Segments
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.serving.bundle import MAP, read_bundle, read_history, write_bundle
from pnn_gluon.training.families import family_of


def compact_bundle(source: Path, folder: Path, compact: FeatureMap, kept: NDArray[np.int64]) -> None:
    """Write a bundle by a compact map, of which every row has the score of the given bundle, to the bit.

    Args:
        source: The bundle.
        folder: Where the compact map is already.
        compact: That map.
        kept: The id by the bundle's map of each id of the compact one (V,).

    Raises:
        InputError: the bundle is damaged.
        ConfigError: models of its family cannot be compacted, or its model is not there.
    """
    card, _, calibrator = read_bundle(source)
    family, model = family_of(card.model["name"]), card.model
    family.take_rows(source, folder, model, compact.layout, kept)
    card = dataclasses.replace(
        card,
        model={**model, "size": compact.size},
        map_sha256=sha256_of(folder / MAP),
        parameters_sha256=sha256_of(folder / family.parameters_file()),
    )
    write_bundle(folder, card, _moved(calibrator, kept), read_history(source))


def _moved(calibration: Calibration, kept: NDArray[np.int64]) -> Calibration:
    """The calibrator with the segments' new ids; a segment whose id is gone has no rows."""
    lines = calibration.segments
    if lines is None:
        return calibration
    lasting = {int(old): new for new, old in enumerate(kept)}
    each = zip(lines.ids, lines.scale, lines.shift, strict=True)
    moved = sorted((lasting[old], scale, shift) for old, scale, shift in each if old in lasting)
    ids, scales, shifts = zip(*moved, strict=True) if moved else ((), (), ())
    return dataclasses.replace(calibration, segments=Segments(lines.field, ids, scales, shifts))
