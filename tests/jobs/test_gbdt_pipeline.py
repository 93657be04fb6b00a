"""The whole pipeline with gradient boosted trees in a network's place."""

import json
from pathlib import Path

import numpy as np
import pytest

from jobs.running import run_step
from pnn_gluon.config import Config, EngineConfig, load_config
from pnn_gluon.data.shards import open_shard
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.calibration import correct_sampling
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.models.gbdt import GBDT, GBDTOptions
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.serving.bundle import Bundle, BundleCard
from pnn_gluon.warehouse.duckdb_engine import connect
from tests.jobs.small_pipeline import DAYS, FIELDS, build, sample_of, tree

TREES = """
[model]
name = "gbdt"
trees = 40
depth = 4
[training]
window_days = 2
"""


def with_trees(config: Config, lines: str = "") -> Config:
    text = config.path.read_text()
    start, end = text.index("[model]"), text.index("[calibration]")
    config.path.write_text(text[:start] + TREES + lines + "\n" + text[end:])
    return load_config(config.path)


@pytest.fixture
def trees(built: Config) -> Config:
    """The five days with networks, to be trained again with trees."""
    return with_trees(built)


def folder_of(config: Config, table: str, day_number: int = -1) -> Path:
    store, day = open_store(config), DAYS[day_number]
    manifest = store.manifest(table, day)
    assert manifest is not None
    return store.folder(manifest)


def test_days_are_trained_gated_scored_and_published(pipeline: Config) -> None:
    pipeline.path.write_text(pipeline.path.read_text().removeprefix(FIELDS))  # all fields, of which trees can learn
    config = with_trees(pipeline)
    statuses = build(config, DAYS[:2])
    assert set(statuses) == {"done"}
    assert set(build(config, DAYS[:2])) == {"skipped"}
    details = run_step(step("train"), config, DAYS[1]).details
    assert details["model"]["name"] == "gbdt"
    assert details["model"]["options"]["trees"] == 40
    assert details["model"]["options"]["shrinkage"] == GBDTOptions().shrinkage
    assert BundleCard.read(folder_of(config, "bundles", 1)).metrics["auc"] > 0.55


def test_raw_rows_get_the_bits_of_the_trees_on_encoded_rows(trees: Config) -> None:
    build(trees, DAYS[-1:], ["train", "calibrate"])
    with open_shard(folder_of(trees, "shards") / f"{DAYS[-1]}.h5") as shard:
        ids, _ = shard.read("calibrate")
    bundle = Bundle.load(folder_of(trees, "bundles"))
    with connect(EngineConfig()) as connection:
        sample = sample_of(trees, DAYS[-1])
        batches = list(bundle.score(connection, sample, where="share = 'calibrate'"))
    logit = np.concatenate([batch.logit for batch in batches])
    np.testing.assert_array_equal(logit, GBDT.load(folder_of(trees, "models")).logits(ids))
    probability = np.concatenate([batch.probability for batch in batches])
    expected = bundle.calibrator.probability(correct_sampling(logit, trees.sampling.negative_rate))
    np.testing.assert_array_equal(probability, expected)


def test_training_again_gives_the_same_bytes(trees: Config) -> None:
    build(trees, DAYS[-1:], ["train", "calibrate"])
    before = tree(Path(trees.store_root), ["models", "bundles"])
    build(trees, DAYS[-1:], ["train", "calibrate"], force=True)
    assert tree(Path(trees.store_root), ["models", "bundles"]) == before


def test_validation_is_log_loss_of_the_calibrate_shares_at_the_natural_rate(trees: Config) -> None:
    history = run_step(step("train"), trees, DAYS[-1]).details["history"]
    model = GBDT.load(folder_of(trees, "models"))
    losses, rows = 0.0, 0
    for path in sorted(folder_of(trees, "shards").glob("*.h5")):
        with open_shard(path) as shard:
            ids, label = shard.read("calibrate")
        p = sigmoid(correct_sampling(model.logits(ids), trees.sampling.negative_rate))
        losses, rows = losses - np.log(np.where(label == 1, p, 1 - p)).sum(), rows + len(label)
    assert min(history) == pytest.approx(losses / rows, rel=1e-6)
    assert model.trees == history.index(min(history)) + 1


def test_training_options_reach_the_trees(trees: Config) -> None:
    patient = with_trees(trees, "patience = 4")
    assert len(run_step(step("train"), trees, DAYS[-1]).details["history"]) < 40
    assert len(run_step(step("train"), patient, DAYS[-1]).details["history"]) == 40
    details = run_step(step("train"), with_trees(trees, 'validation = "none"'), DAYS[-1]).details
    assert (details["trees"], list(details["history"])) == (40, [])
    last_day = run_step(step("train"), with_trees(trees, 'validation = "last_day"'), DAYS[-1]).details
    assert last_day["examples"] < details["examples"]


def test_the_seed_reaches_the_draws_of_rows(trees: Config) -> None:
    trees.path.write_text(trees.path.read_text().replace("depth = 4", "depth = 4\nsubsample = 0.5"))
    histories = [
        run_step(step("train"), with_seed, DAYS[-1]).details["history"]
        for with_seed in (load_config(trees.path), _seeded(trees.path, 9))
    ]
    assert histories[0] != histories[1]


def _seeded(path: Path, seed: int) -> Config:
    path.write_text(path.read_text().replace("[training]", f"[training]\nseed = {seed}"))
    return load_config(path)


@pytest.mark.parametrize("name", ["gbdt.json", "model.json", "counts.npy"])
def test_a_bundle_with_another_file_inside_is_refused(trees: Config, tmp_path: Path, name: str) -> None:
    build(trees, DAYS[-1:], ["train", "calibrate"])
    for path in folder_of(trees, "bundles").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b" ")
    with pytest.raises(InputError, match=f"{name}: not the file"):
        Bundle.load(tmp_path)


def test_the_models_card_names_the_fields(trees: Config) -> None:
    run_step(step("train"), trees, DAYS[-1])
    card = json.loads((folder_of(trees, "models") / "gbdt.json").read_text())
    assert list(card["fields"]) == [field.name for field in trees.fields]
