"""Training options of the configuration reach training: devices, validation, optimizers."""

import dataclasses
import json

import numpy as np
import pytest

from jobs.pipeline import step
from jobs.reading import Reading
from jobs.train import training_options
from pnn_gluon.config import Config, TrainingConfig, load_config
from pnn_gluon.data.shards import open_shard
from pnn_gluon.store.store import Store
from pnn_gluon.training.export import load_exported, predict_logits
from pnn_gluon.training.options import TrainingOptions
from tests.jobs.small_pipeline import DAYS

DAY = DAYS[2]


def with_training(config: Config, lines: str) -> Config:
    config.path.write_text(config.path.read_text().replace("[training]\n", f"[training]\n{lines}\n"))
    return load_config(config.path)


def logits(config: Config) -> np.ndarray:
    """What the day's model says about the calibrate share."""
    store = Store.of(config)
    model, shards = store.manifest("models", DAY), store.manifest("shards", DAY)
    assert model is not None
    assert shards is not None
    with open_shard(store.folder(shards) / f"{DAY}.h5") as shard:
        return predict_logits(load_exported(store.folder(model)), shard.read("calibrate")[0])


def history(config: Config) -> list[dict[str, float]]:
    return list(step("train").run(config, DAY).details["history"])


@pytest.mark.parametrize("kvstore", ["device", "local"])
def test_two_devices_train_the_model_of_one(built: Config, kvstore: str) -> None:
    one = logits(built)
    two = with_training(built, f'devices = 2\nkvstore = "{kvstore}"')
    assert step("train").run(two, DAY).status == "done"
    np.testing.assert_allclose(logits(two), one, rtol=1e-3, atol=1e-4)


def test_the_last_day_can_be_held_out_instead_of_a_share(built: Config) -> None:
    held_out, last_day = history(built), history(with_training(built, 'validation = "last_day"'))
    assert last_day[0]["examples"] < held_out[0]["examples"]
    assert last_day[0]["validation"] != held_out[0]["validation"]


def test_on_the_first_day_the_calibrate_share_stands_in_for_the_last_day(built: Config) -> None:
    held_out = step("train").run(built, DAYS[0], force=True).details["history"]
    last_day = step("train").run(with_training(built, 'validation = "last_day"'), DAYS[0]).details["history"]
    assert [record["validation"] for record in last_day] == [record["validation"] for record in held_out]


def test_without_validation_every_epoch_is_trained(built: Config) -> None:
    records = history(with_training(built, 'validation = "none"'))
    assert [record["validation"] for record in records] == [None, None]


def test_patience_ends_training_early(built: Config) -> None:
    text = built.path.read_text().replace("epochs = 2", "epochs = 40").replace("5e-3", "5e-2")
    built.path.write_text(text)
    assert len(history(load_config(built.path))) < 40


@pytest.mark.parametrize(
    "lines",
    [
        'optimizer = "adagrad"',
        'optimizer = "ftrl"\nl1 = 0.01',
        'optimizer = "sgd"',
        "embedding_l2 = 0.1",
        "clip_norm = 0.01",
        "seed = 9",
    ],
)
def test_an_option_changes_the_model(built: Config, lines: str) -> None:
    before = logits(built)
    changed = with_training(built, lines)
    step("train").run(changed, DAY)
    assert not np.array_equal(logits(changed), before)


def test_every_option_of_training_is_passed_on(built: Config) -> None:
    ours = {"window_days", "warm_start", "batch_size", "validation"}
    names = {field.name for field in dataclasses.fields(TrainingOptions)}
    assert set(TrainingConfig.model_fields) - ours == names
    changed = with_training(built, "weight_decay = 0.5\nclip_norm = 2.0\ndevices = 2")
    options = training_options(Reading(changed, Store.of(changed), DAY))
    assert (options.weight_decay, options.clip_norm, options.devices) == (0.5, 2.0, 2)


def test_defaults_are_the_librarys() -> None:
    theirs = json.loads(json.dumps(dataclasses.asdict(TrainingOptions())))
    ours = TrainingConfig().model_dump(mode="json")
    differ = {name for name in theirs if ours[name] != theirs[name]}
    assert differ == {"epochs"}  # a pipeline stops early by itself, a call of the library does not
