"""Which encoded rows of the window are trained on, and which early stopping looks at."""

from pathlib import Path
from typing import NamedTuple

from jobs.reading import Reading


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
