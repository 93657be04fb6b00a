"""The day's model as gradient boosted trees: what the step train does when the model is gbdt."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.reading import Reading
from jobs.step import Built, Report
from jobs.steps.training_split import CHUNK, split, unseen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.data.unseen import Unseen
    from pnn_gluon.training.gbdt import Rows, Validation

ROUNDS = 10
"""Trees that count as one epoch of `training.patience`."""


def build_gbdt(reading: Reading, folder: Path, report: Report) -> Built:
    """Fit the trees to the shards and save them.

    Args:
        reading: The shards, the map and the configuration.
        folder: Where to save.
        report: Takes lines about the progress.
    """
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.models.gbdt import GBDTOptions
    from pnn_gluon.training.gbdt import train_gbdt
    from pnn_gluon.training.scorer import last_bits

    config = reading.config
    feature_map = FeatureMap.load(reading.store.folder(reading.need("maps")) / "map.h5")
    options = GBDTOptions(**config.model.options)
    fitted = train_gbdt(
        feature_map.layout,
        feature_map.size,
        _rows(split(reading).train, "train", feature_map, unseen(reading, feature_map)),
        options,
        validation=_validation(reading, feature_map),
        seed=config.training.seed,
        progress=_progress(reading, report),
    )
    fitted.model.save(folder)
    details = {
        "model": {"name": config.model.name, "options": dataclasses.asdict(options), "size": feature_map.size},
        "fields": dict(zip(feature_map.layout.names, feature_map.layout.widths, strict=True)),
        "rate": reading.need("shards").details["rate"],
        "examples": fitted.examples,
        "trees": fitted.model.trees,
        "history": fitted.history,
    }
    return Built(fitted.examples, details, last_bits(config.model.name))


def _rows(paths: list[Path], share: str, feature_map: "FeatureMap", unseen: "Unseen | None" = None) -> "Rows":
    """The rows of a share of the shards, in their order."""
    from pnn_gluon.data.feeder import Feeder

    slots, size = feature_map.layout.slots, feature_map.size
    return Feeder(paths, share, batch_size=CHUNK, slots=slots, size=size, order="sequential", unseen=unseen).batches


def _validation(reading: Reading, feature_map: "FeatureMap") -> "Validation | None":
    """Log loss of the calibrate shares at the natural rate, or of the last day's train share."""
    from pnn_gluon.training.gbdt import Validation

    training = reading.config.training
    _, paths, share, rate = split(reading)
    if not paths:
        return None
    return Validation(_rows(paths, share, feature_map), partial(_log_loss, rate), ROUNDS * training.patience)


def _log_loss(rate: float, label: "NDArray[np.float32]", logit: "NDArray[np.float32]") -> float:
    from pnn_gluon.evaluation.calibration import correct_sampling
    from pnn_gluon.evaluation.metrics import LogLoss

    return LogLoss().update_logits(label, correct_sampling(logit, rate)).value()


def _progress(reading: Reading, report: Report) -> Callable[[int, float | None], None]:
    def show(trees: int, log_loss: float | None) -> None:
        value = "" if log_loss is None else f", validation log loss {log_loss:.5f}"
        report(f"train {reading.day}: {trees} trees{value}")

    return show
