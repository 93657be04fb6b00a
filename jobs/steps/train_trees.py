"""The day's model as gradient boosted trees: what the step train does for this family."""

import dataclasses
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.steps.training_split import CHUNK, split, unseen
from pnn_gluon.pipeline.details import ModelDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.tables import MAP_FILE, MAPS, SHARDS
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.data.unseen import Unseen
    from pnn_gluon.training.gbdt import Rows, Validation

ROUNDS = 10
"""Trees that count as one epoch of `training.patience`."""


log = logging.getLogger(__name__)


def build_trees(inputs: Inputs, folder: Path) -> Built:
    """Fit the trees to the shards and save them.

    Args:
        inputs: The shards, the map and the configuration.
        folder: Where to save.
    """
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.models.gbdt import GBDTOptions
    from pnn_gluon.training.gbdt import train_gbdt
    from pnn_gluon.training.trees import FAMILY

    config = inputs.config
    feature_map = FeatureMap.load(inputs[Need(MAPS)].file(MAP_FILE))
    options = GBDTOptions(**config.model.options)
    fitted = train_gbdt(
        feature_map.layout,
        feature_map.size,
        _rows(split(inputs).train, "train", feature_map, unseen(inputs, feature_map)),
        options,
        validation=_validation(inputs, feature_map),
        seed=config.training.seed,
        progress=_progress(inputs),
    )
    FAMILY.save(fitted.model, folder, feature_map.layout.slots)
    details = ModelDetails(
        model={"name": config.model.name, "options": dataclasses.asdict(options), "size": feature_map.size},
        fields=dict(zip(feature_map.layout.names, feature_map.layout.widths, strict=True)),
        rate=inputs[Need(SHARDS)].details.rate,
        examples=fitted.examples,
        trees=fitted.model.trees,
        history=fitted.history,
    )
    return Built(fitted.examples, details, FAMILY.last_bits(config.model.name))


def _rows(paths: list[Path], share: str, feature_map: "FeatureMap", unseen: "Unseen | None" = None) -> "Rows":
    """The rows of a share of the shards, in their order."""
    from pnn_gluon.data.feeder import Feeder

    slots, size = feature_map.layout.slots, feature_map.size
    return Feeder(paths, share, batch_size=CHUNK, slots=slots, size=size, order="sequential", unseen=unseen).batches


def _validation(inputs: Inputs, feature_map: "FeatureMap") -> "Validation | None":
    """Log loss of the calibrate shares at the natural rate, or of the last day's train share."""
    from pnn_gluon.training.gbdt import Validation

    training = inputs.config.training
    _, paths, share, rate = split(inputs)
    if not paths:
        return None
    return Validation(_rows(paths, share, feature_map), partial(_log_loss, rate), ROUNDS * training.patience)


def _log_loss(
    rate: float, label: "NDArray[np.float32]", logit: "NDArray[np.float32]", *weight: "NDArray[np.float32]"
) -> float:
    from pnn_gluon.evaluation.calibration import correct_sampling
    from pnn_gluon.evaluation.metrics import LogLoss

    return LogLoss().update_logits(label, correct_sampling(logit, rate), *weight).value()


def _progress(inputs: Inputs) -> Callable[[int, float | None], None]:
    def show(trees: int, log_loss: float | None) -> None:
        value = "" if log_loss is None else f", validation log loss {log_loss:.5f}"
        log.info("train %s: %s trees%s", inputs.day, trees, value)

    return show
