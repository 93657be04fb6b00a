"""The training window's encoded shards -> the day's model."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.reading import Reading
from jobs.step import Built, Report, Step, kept
from jobs.steps.gbdt import build_gbdt
from jobs.steps.training_split import CHUNK, one_class, split, unseen
from jobs.steps.warm_start import Start, find_start, warm_start_of
from pnn_gluon.training.options import GBDT_NAME

if TYPE_CHECKING:
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.data.feeder import Feeder
    from pnn_gluon.runtime import HybridBlock
    from pnn_gluon.training.loop import Progress, TrainingResult

SECTIONS = ("model", "training")


def reads(reading: Reading) -> None:
    """The shards, the map that encoded them and, for a warm start, the model that it goes on from."""
    reading.need("shards")
    reading.need("maps")
    if reading.config.training.warm_start:
        find_start(reading)


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Train, from scratch or from an earlier model's parameters, and export the model."""
    rows = split(reading)
    if fault := one_class(rows.train, "train"):
        return kept(f"the training window has {fault}: nothing to learn from")
    if not rows.valid and reading.config.training.validation != "none":
        if reading.config.training.schedule == "plateau":
            return kept("no clicks and non-clicks to validate on, which the schedule 'plateau' needs")
        report(f"train {reading.day}: no clicks and non-clicks to validate on: no early stopping")
    if reading.config.model.name == GBDT_NAME:
        return build_gbdt(reading, folder, report)
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.models.registry import create_model, model_options
    from pnn_gluon.training.export import export_model
    from pnn_gluon.training.history import few_steps
    from pnn_gluon.training.loop import train
    from pnn_gluon.training.scorer import last_bits

    config, shards = reading.config, reading.need("shards")
    feature_map = FeatureMap.load(reading.store.folder(reading.need("maps")) / "map.h5")
    start = warm_start_of(reading, feature_map)
    chosen = network_options(reading, feature_map, start)
    net = create_model(config.model.name, feature_map.layout, feature_map.size, **chosen)
    feeder = training_feeder(reading, feature_map)
    pretraining = None
    if start is not None:
        _start_warm(net, start, feature_map)
    elif config.training.pretrain_epochs:
        pretraining = _pretrain(reading, net, feature_map, feeder, report)
    result = train(
        net,
        feeder,
        config.training.options,
        validate=_validation(reading, feature_map),
        checkpoint_dir=_checkpoints(reading) / "training",
        progress=_progress(reading, report),
    )
    if few := few_steps(result.steps):
        report(f"train {reading.day}: {few}")
    export_model(net, folder, feature_map.layout.slots)
    options = model_options(config.model.name) | chosen
    details = {
        "model": {"name": config.model.name, "options": options, "size": feature_map.size},
        "fields": dict(zip(feature_map.layout.names, feature_map.layout.widths, strict=True)),
        "rate": shards.details["rate"],
        **({} if pretraining is None else {"pretraining": dataclasses.asdict(pretraining)}),
        **({} if start is None else {"started_from": start.name}),
        **dataclasses.asdict(result),
    }
    return Built(result.examples, details, last_bits(config.model.name, config.training.precision))


def network_options(reading: Reading, feature_map: "FeatureMap", start: "Start | None") -> dict[str, Any]:
    """The model's options; a warm start keeps the adaptive sizes of the model it goes on from."""
    model = reading.config.model
    if model.adaptive_c is None or start is None:
        return model.options_for(feature_map.vocabulary)
    return model.options | {"embedding_sizes": tuple(start.model["options"]["embedding_sizes"])}


def training_feeder(reading: Reading, feature_map: "FeatureMap") -> "Feeder":
    """The rows that are trained on, shuffled."""
    from pnn_gluon.data.feeder import Feeder

    training = reading.config.training
    return Feeder(
        split(reading).train,
        "train",
        batch_size=training.batch_size,
        slots=feature_map.layout.slots,
        size=feature_map.size,
        seed=training.seed,
        unseen=unseen(reading, feature_map),
    )


def _validation(reading: Reading, feature_map: "FeatureMap") -> "Callable[[HybridBlock], float] | None":
    """Log loss after an epoch: of the calibrate shares at the natural rate, or of the last day's train share."""
    _, paths, share, rate = split(reading)
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
                    loss = loss.update_logits(label, correct_sampling(predict_logits(net, ids), rate))
        return loss.value()

    return log_loss


def _start_warm(net: "HybridBlock", start: "Start", feature_map: "FeatureMap") -> None:
    """Give the network an earlier model's parameters, grown to today's map."""
    from pnn_gluon.training.growth import warm_start

    new = np.arange(start.model["size"], feature_map.size, dtype=np.int32)
    warm_start(net, start.folder, feature_map.other_of(new))


def _pretrain(
    reading: Reading, net: "HybridBlock", feature_map: "FeatureMap", feeder: "Feeder", report: Report
) -> "TrainingResult":
    """Let the network start from the tables of an FM with its embedding options, trained on the same rows."""
    from pnn_gluon.training.pretraining import matching_fm, pretrain

    model, training = reading.config.model, reading.config.training
    return pretrain(
        net,
        matching_fm(model.name, feature_map.layout, feature_map.size, model.options),
        feeder,
        training.options,
        training.pretrain_epochs,
        checkpoint_dir=_checkpoints(reading) / "pretraining",
        progress=_progress(reading, report, "pre-training"),
    )


def _checkpoints(reading: Reading) -> Path:
    """Folder for the checkpoints of exactly these inputs and options."""
    text = json.dumps([reading.inputs, reading.config.fingerprint(*SECTIONS)], sort_keys=True)
    return reading.store.scratch("models", reading.day, hashlib.sha256(text.encode()).hexdigest()[:16])


def _progress(reading: Reading, report: Report, what: str = "train") -> "Callable[[Progress], None]":
    def show(progress: "Progress") -> None:
        report(
            f"{what} {reading.day}: epoch {progress.epoch + 1}, {progress.examples:,} examples, "
            f"log loss {progress.loss:.5f}"
        )

    return show


STEP = Step(
    "train", "models", SECTIONS, reads, build, after=lambda reading: reading.store.drop_scratch("models", reading.day)
)
