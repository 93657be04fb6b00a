"""Which encoded rows of the window are trained on, and which early stopping looks at."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.steps import REFUSED_DAYS
from pnn_gluon.pipeline.tables import SHARD_SUFFIX, SHARDS
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.data.unseen import Unseen

CHUNK = 1 << 16
"""Rows read at once."""


class Split(NamedTuple):
    """Shards to train on, shards to validate on, the share of these that counts and its sampling rate.

    Without validation, `valid` is empty.
    """

    train: list[Path]
    valid: list[Path]
    share: str
    rate: float


def split(inputs: Inputs) -> Split:
    """The calibrate share of all days, judged at the natural rate; or the last day's train share, as it is.

    Days whose data were refused are left out.

    The last day is the last with rows. Where it, or what is left without it, lacks clicks or non-clicks, the calibrate
    share serves. Rows of one class say nothing about when to stop: then there is no validation, `epochs` decides.
    """
    shards, validation = inputs[Need(SHARDS)], inputs.config.training.validation
    refused = {str(day) for day in inputs[REFUSED_DAYS]}
    by_day = [shards.parts(f"{day}{SHARD_SUFFIX}") for day in sorted(shards.details.samples) if day not in refused]
    paths = [path for parts in by_day for path in parts]
    if validation == "none":
        return Split(paths, [], "calibrate", shards.details.rate)
    last = next((parts for parts in reversed(by_day) if any(clicks(path, "train")[0] for path in parts)), [])
    earlier = [path for path in paths if path not in last]
    if validation == "last_day" and not one_class(earlier, "train") and not one_class(last, "train"):
        return Split(earlier, last, "train", 1.0)
    valid = [] if one_class(paths, "calibrate") else paths
    return Split(paths, valid, "calibrate", shards.details.rate)


def clicks(path: Path, share: str) -> tuple[int, int]:
    """Rows of a share of a shard, and how many of them are clicks."""
    from pnn_gluon.data.shards import open_shard

    with open_shard(path) as shard:
        label = shard.labels(share)
    return len(label), int(label.sum())


def one_class(paths: list[Path], share: str) -> str:
    """What is said of shares of shards that have no rows, no clicks or only clicks; empty when both are there."""
    counts = [clicks(path, share) for path in paths]
    rows, positives = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return "" if 0 < positives < rows else f"{positives:,} clicks in {rows:,} rows of the {share} shares"


def unseen(inputs: Inputs, feature_map: "FeatureMap") -> "Unseen | None":
    """What hides some fields of the training rows, so that *other* and *missing* are trained, if any."""
    from pnn_gluon.data.feeder import Feeder
    from pnn_gluon.data.unseen import Unseen, count_ids

    training = inputs.config.training
    if not training.unseen_share:
        return None
    slots, size = feature_map.layout.slots, feature_map.size
    rows = Feeder(split(inputs).train, "train", batch_size=CHUNK, slots=slots, size=size, order="sequential")
    counts = count_ids(rows.batches(), size)
    return Unseen.of_map(feature_map, counts, rows.impressions, share=training.unseen_share, seed=training.seed)
