"""Which encoded rows of the window are trained on, and which early stopping looks at."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jobs.reading import Reading

if TYPE_CHECKING:
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.data.unseen import Unseen

CHUNK = 1 << 16
"""Rows read at once."""


class Split(NamedTuple):
    """Shards to train on, shards to validate on, the share of these that counts and its sampling rate."""

    train: list[Path]
    valid: list[Path]
    share: str
    rate: float


def split(reading: Reading) -> Split:
    """The calibrate share of all days, judged at the natural rate; or the last day's train share, as it is.

    A window of one day has no last day to hold out: then the calibrate share serves.
    """
    shards = reading.need("shards")
    paths = sorted(reading.store.folder(shards).glob("*.h5"))
    if reading.config.training.validation == "last_day" and len(paths) > 1:
        return Split(paths[:-1], paths[-1:], "train", 1.0)
    return Split(paths, paths, "calibrate", shards.details["rate"])


def unseen(reading: Reading, feature_map: "FeatureMap") -> "Unseen | None":
    """What hides some fields of the training rows, so that *other* and *missing* are trained, if any."""
    from pnn_gluon.data.feeder import Feeder
    from pnn_gluon.data.unseen import Unseen, count_ids

    training = reading.config.training
    if not training.unseen_share:
        return None
    slots, size = feature_map.layout.slots, feature_map.size
    rows = Feeder(split(reading).train, "train", batch_size=CHUNK, slots=slots, size=size, order="sequential")
    counts = count_ids(rows.batches(), size)
    return Unseen.of_map(feature_map, counts, rows.rows, share=training.unseen_share, seed=training.seed)
