"""Training options of the configuration reach training: devices, validation, optimizers."""

import numpy as np
import pytest

from jobs.running import run_step
from pnn_gluon.config import Config, TrainingConfig, load_config
from pnn_gluon.data.shards import open_shard
from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.training_table import TrainingTable
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.training.export import load_exported, predict_logits
from pnn_gluon.training.options import FittingOptions, TrainingOptions
from tests.jobs.small_pipeline import DAILY, DAYS, PROMOTED, build

DAY = DAYS[2]
DEFAULTS = TrainingOptions()


def with_training(config: Config, lines: str) -> Config:
    config.path.write_text(config.path.read_text().replace("[training]\n", f"[training]\n{lines}\n"))
    return load_config(config.path)


def logits(config: Config) -> np.ndarray:
    """What the day's model says about the calibrate share."""
    store = open_store(config)
    model, shards = store.manifest("models", DAY), store.manifest("shards", DAY)
    assert model is not None
    assert shards is not None
    with open_shard(store.folder(shards) / f"{DAY}.h5") as shard:
        return predict_logits(load_exported(store.folder(model)), shard.read("calibrate")[0])


def history(config: Config) -> list[dict[str, float]]:
    return list(run_step(step("train"), config, DAY).details["history"])


@pytest.mark.parametrize("kvstore", ["device", "local"])
def test_two_devices_train_the_model_of_one(built: Config, kvstore: str) -> None:
    one = logits(built)
    two = with_training(built, f'devices = 2\nkvstore = "{kvstore}"')
    assert run_step(step("train"), two, DAY).status == "done"
    np.testing.assert_allclose(logits(two), one, rtol=1e-3, atol=1e-4)


def test_two_workers_with_a_server_train_the_model_of_two_devices(built: Config) -> None:
    two = with_training(built, "devices = 2")
    history_of_two = history(two)
    expected = logits(two)
    text = two.path.read_text().replace("devices = 2", 'kvstore = "dist_sync"\nworkers = 2')
    two.path.write_text(text + "\n[engine.cluster]\nservers = 1\n")
    history_of_many = history(load_config(two.path))
    np.testing.assert_allclose(logits(two), expected, rtol=1e-5, atol=1e-6)
    told = ("loss", "validation")
    for many, one in zip(history_of_many, history_of_two, strict=True):
        assert [many[key] for key in told] == pytest.approx([one[key] for key in told], rel=1e-6)


def test_options_of_a_cluster_without_one_are_refused(built: Config) -> None:
    with pytest.raises(ConfigError, match="`workers` has no effect with kvstore = 'device': take 'dist_sync'"):
        with_training(built, "workers = 2")


def test_the_last_day_can_be_held_out_instead_of_a_share(built: Config) -> None:
    held_out, last_day = history(built), history(with_training(built, 'validation = "last_day"'))
    assert last_day[0]["examples"] < held_out[0]["examples"]
    assert last_day[0]["validation"] != held_out[0]["validation"]


def test_on_the_first_day_the_calibrate_share_stands_in_for_the_last_day(built: Config) -> None:
    held_out = run_step(step("train"), built, DAYS[0], force=True).details["history"]
    last_day = run_step(step("train"), with_training(built, 'validation = "last_day"'), DAYS[0]).details["history"]
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
        'schedule = "cosine"\nwarmup_steps = 5',
        "average_decay = 0.9",
        "seed = 9",
    ],
)
def test_an_option_changes_the_model(built: Config, lines: str) -> None:
    before = logits(built)
    changed = with_training(built, lines)
    run_step(step("train"), changed, DAY)
    assert not np.array_equal(logits(changed), before)


def test_pretraining_gives_a_model_the_tables_of_an_fm(built: Config) -> None:
    built.path.write_text(built.path.read_text().replace('name = "fm"', 'name = "fnn"\nhidden = [4]'))
    plain = load_config(built.path)
    run_step(step("train"), plain, DAY)
    before = logits(plain)
    details = run_step(step("train"), with_training(plain, "pretrain_epochs = 3"), DAY).details
    assert [record["epoch"] for record in details["pretraining"]["history"]] == [0, 1, 2]
    assert not np.array_equal(logits(plain), before)


def test_a_model_that_goes_on_from_yesterdays_is_not_pretrained(pipeline: Config) -> None:
    text = pipeline.path.read_text().replace("window_days = 2", "window_days = 1\nwarm_start = true")
    pipeline.path.write_text(text.replace('name = "fm"', 'name = "fnn"\nhidden = [4]'))
    config = with_training(pipeline, "pretrain_epochs = 1")
    build(config, DAYS[:1], PROMOTED)
    build(config, DAYS[1:2], DAILY[: DAILY.index("train") + 1])
    first, second = (open_store(config).manifest("models", day) for day in DAYS[:2])
    assert first is not None
    assert second is not None
    assert ("pretraining" in first.details, "pretraining" in second.details) == (True, False)


def test_pretraining_of_a_model_without_embedding_is_refused(built: Config) -> None:
    built.path.write_text(built.path.read_text().replace('name = "fm"\nembedding_size = 4', 'name = "lr"'))
    with pytest.raises(ConfigError, match=r"pretrain_epochs has no effect on model 'lr'.*: leave it out"):
        with_training(built, "pretrain_epochs = 1")


def test_every_option_of_training_is_passed_on(built: Config) -> None:
    ours = {"window_days", "warm_start", "warm_start_from", "carry_optimizer", "pretrain_epochs", "unseen_share"}
    names = set(TrainingOptions.model_fields)
    of_pipeline = set(TrainingConfig.model_fields) - {*ours, "batch_size", "validation", "workers"}
    assert of_pipeline == names - {"loss"}  # a pipeline's outputs are logits
    options = with_training(built, "embedding_l2 = 0.5\nclip_norm = 2.0\ndevices = 2").training.options
    assert (options.embedding_l2, options.clip_norm, options.devices) == (0.5, 2.0, 2)


@pytest.mark.parametrize("table", [TrainingOptions, TrainingConfig, TrainingTable])
def test_options_that_library_pipeline_and_paper_mode_share_are_declared_once(table: type[FittingOptions]) -> None:
    assert FittingOptions.model_fields.keys() <= table.model_fields.keys()
    assert not FittingOptions.model_fields.keys() & table.__annotations__.keys()


def test_defaults_are_the_librarys() -> None:
    assert TrainingConfig().options == DEFAULTS
