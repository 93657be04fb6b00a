"""The day's model as a network: what the step train does for this family."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.steps.train_by_many import train_by_many
from jobs.steps.training_split import CHUNK, split, unseen
from jobs.steps.warm_start import Start, warm_start_of
from pnn_gluon.pipeline.details import ModelDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.tables import MAP_FILE, MAPS, SHARDS
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.data.feeder import Feeder
    from pnn_gluon.runtime import HybridBlock
    from pnn_gluon.training.carried_states import CarriedStates
    from pnn_gluon.training.loop import Progress, TrainingResult

log = logging.getLogger(__name__)


def build_network(inputs: Inputs, folder: Path) -> Built:
    """Train the network, from scratch or from an earlier model's parameters, and export it.

    Args:
        inputs: The shards, the map, the model to start from and the configuration.
        folder: Where to export.
    """
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.models.registry import create_model, model_options
    from pnn_gluon.training.history import few_steps
    from pnn_gluon.training.networks import FAMILY, training_bits

    config = inputs.config
    feature_map = FeatureMap.load(inputs[Need(MAPS)].file(MAP_FILE))
    start = warm_start_of(inputs, feature_map)
    chosen = network_options(inputs, feature_map, start)
    net = create_model(config.model.name, feature_map.layout, feature_map.size, **chosen)
    feeder = training_feeder(inputs, feature_map)
    pretraining, anew = None, frozenset[str]()
    if start is not None:
        anew = _start_warm(inputs, net, start, feature_map)
    elif config.training.pretrain_epochs:
        pretraining = _pretrain(inputs, net, feature_map, feeder)
    carried = _carried(inputs, folder, start, anew) if config.training.carry_optimizer else None
    if config.training.distributed:
        result = train_by_many(inputs, net, chosen, feature_map)
    else:
        result = _train_here(inputs, net, feeder, carried)
    if few := few_steps(result.steps):
        log.info("train %s: %s", inputs.day, few)
    FAMILY.save(net, folder, feature_map.layout.slots)
    options = model_options(config.model.name) | chosen
    details = ModelDetails(
        model={"name": config.model.name, "options": options, "size": feature_map.size},
        fields=dict(zip(feature_map.layout.names, feature_map.layout.widths, strict=True)),
        rate=inputs[Need(SHARDS)].details.rate,
        pretraining=None if pretraining is None else dataclasses.asdict(pretraining),
        started_from=None if start is None else start.name,
        optimizer_from=None if start is None or carried is None or carried.source is None else start.name,
        **dataclasses.asdict(result),
    )
    return Built(result.examples, details, training_bits(config.training.precision))


def _train_here(
    inputs: Inputs, net: "HybridBlock", feeder: "Feeder", carried: "CarriedStates | None"
) -> "TrainingResult":
    """Train in this process; a run that was stopped goes on."""
    from pnn_gluon.training.loop import train

    return train(
        net,
        feeder,
        inputs.config.training.options,
        validate=_validation(inputs),
        checkpoint_dir=inputs.scratch() / "training",
        progress=_progress(inputs),
        carried=carried,
    )


def network_options(inputs: Inputs, feature_map: "FeatureMap", start: "Start | None") -> dict[str, Any]:
    """The model's options; a warm start keeps the adaptive sizes of the model it goes on from."""
    model = inputs.config.model
    if model.adaptive_c is None or start is None or not start.same_fields:
        return model.options_for(feature_map.vocabulary)
    return model.options | {"embedding_sizes": tuple(start.model["options"]["embedding_sizes"])}


def training_feeder(inputs: Inputs, feature_map: "FeatureMap") -> "Feeder":
    """The rows that are trained on, shuffled; for several devices in the order of a cluster's."""
    from pnn_gluon.data.batch_part import WHOLE
    from pnn_gluon.data.feeder import Feeder

    training = inputs.config.training
    return Feeder(
        split(inputs).train,
        "train",
        batch_size=training.batch_size,
        slots=feature_map.layout.slots,
        size=feature_map.size,
        seed=training.seed,
        unseen=unseen(inputs, feature_map),
        part=WHOLE if training.devices > 1 else None,
    )


def _validation(inputs: Inputs) -> "Callable[[HybridBlock], float] | None":
    """Log loss after an epoch: of the calibrate shares at the natural rate, or of the last day's train share."""
    _, paths, share, rate = split(inputs)
    if not paths:
        return None
    from pnn_gluon.data.shards import open_shard
    from pnn_gluon.evaluation.calibration import correct_sampling
    from pnn_gluon.evaluation.metrics import LogLoss
    from pnn_gluon.training.export import predict_logits

    def log_loss(net: "HybridBlock") -> float:
        loss = LogLoss()
        for path in paths:
            with open_shard(path) as shard:
                for start in range(0, shard.rows(share), CHUNK):
                    ids, label = shard.read(share, start, start + CHUNK)
                    weight = shard.weights(share, start, start + CHUNK)
                    loss = loss.update_logits(label, correct_sampling(predict_logits(net, ids), rate), weight)
        return loss.value()

    return log_loss


def _start_warm(inputs: Inputs, net: "HybridBlock", start: "Start", feature_map: "FeatureMap") -> frozenset[str]:
    """Give the network an earlier model's parameters, grown to today's map; of other fields what is common.

    Returns:
        Names of the parameters that start anew.
    """
    from pnn_gluon.training.growth import warm_start, warm_start_from_common

    size = start.model["size"]
    parents = feature_map.other_of(np.arange(size, feature_map.size, dtype=np.int32))
    if start.same_fields:
        warm_start(net, start.folder, parents)
        return frozenset()
    wider = _wider(inputs, feature_map)
    anew = warm_start_from_common(net, wider, start.folder, np.where(parents < size, parents, 0))
    log.info("train %s: the fields are not those of %s; anew start %s", inputs.day, start.name, ", ".join(anew))
    return frozenset(anew)


def _carried(inputs: Inputs, folder: Path, start: "Start | None", anew: frozenset[str]) -> "CarriedStates":
    """The states of the model that is gone on from, where they are of use, and that states are left."""
    from pnn_gluon.training.carried_states import CarriedStates, kind_of, unusable

    options = inputs.config.training.options
    source = None if start is None else start.folder
    if start is not None and (why := unusable(start.folder, options)) is not None:
        log.info("train %s: without the optimizer's states of %s: %s", inputs.day, start.name, why)
        source = None
    return CarriedStates(folder, kind_of(options), source, anew)


def _wider(inputs: Inputs, feature_map: "FeatureMap") -> "HybridBlock":
    """The network of rows with one more field, without values: what grows with the fields is larger in it."""
    from pnn_gluon.blocks.layout import FieldLayout
    from pnn_gluon.models.registry import create_model

    model, layout = inputs.config.model, feature_map.layout
    wider = FieldLayout((*layout.names, "one_more_field"), (*layout.widths, 1))
    options = {name: value for name, value in model.options.items() if name != "embedding_sizes"}
    return create_model(model.name, wider, feature_map.size, **options)


def _pretrain(inputs: Inputs, net: "HybridBlock", feature_map: "FeatureMap", feeder: "Feeder") -> "TrainingResult":
    """Let the network start from the tables of an FM with its embedding options, trained on the same rows."""
    from pnn_gluon.training.pretraining import matching_fm, pretrain

    model, training = inputs.config.model, inputs.config.training
    return pretrain(
        net,
        matching_fm(model.name, feature_map.layout, feature_map.size, model.options),
        feeder,
        training.options,
        training.pretrain_epochs,
        checkpoint_dir=inputs.scratch() / "pretraining",
        progress=_progress(inputs, "pre-training"),
    )


def _progress(inputs: Inputs, what: str = "train") -> "Callable[[Progress], None]":
    def show(progress: "Progress") -> None:
        log.info(
            "%s %s: epoch %s, %s examples, log loss %.5f",
            what,
            inputs.day,
            progress.epoch + 1,
            f"{progress.examples:,}",
            progress.loss,
        )

    return show
