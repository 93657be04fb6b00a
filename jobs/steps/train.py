"""The training window's encoded shards -> the day's model."""

import logging
from collections.abc import Callable
from pathlib import Path

from jobs.steps.train_network import build_network
from jobs.steps.train_trees import build_trees
from jobs.steps.training_split import one_class, split
from pnn_gluon.models.declared import declared
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import REFUSED_DAYS
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)

BUILDS: dict[str, Callable[[Inputs, Path], Built]] = {"network": build_network, "trees": build_trees}
"""What trains the models of each family and saves them."""


def build(inputs: Inputs, folder: Path) -> Built:
    """Train, from scratch or from an earlier model's parameters, and export the model."""
    refused = inputs[REFUSED_DAYS]
    if inputs.day in refused:
        return kept(f"the data of the day were refused: {'; '.join(refused[inputs.day])}")
    for day in refused:
        log.info("train %s: without the rows of %s, whose data were refused", inputs.day, day)
    rows = split(inputs)
    if fault := one_class(rows.train, "train"):
        return kept(f"the training window has {fault}: nothing to learn from")
    if not rows.valid and inputs.config.training.validation != "none":
        if inputs.config.training.schedule == "plateau":
            return kept("no clicks and non-clicks to validate on, which the schedule 'plateau' needs")
        log.info("train %s: no clicks and non-clicks to validate on: no early stopping", inputs.day)
    return BUILDS[declared(inputs.config.model.name).family](inputs, folder)
