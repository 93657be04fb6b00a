"""Defects of earlier public code for these models: none of them may come back. One test for each."""

import numpy as np
import pyarrow.compute as pc
import pytest
from numpy_models import backward, gradients, int32, randomize

from jobs.running import run_step
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.data.bucketing import bucket_of
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.shards import first_bad_row, open_shard
from pnn_gluon.experiments.config import load_fit_config
from pnn_gluon.experiments.dataset import load_dataset
from pnn_gluon.models.registry import MODELS, create_model, model_options
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import predict_logits
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.step import TrainingStep
from tests.jobs.small_pipeline import DAYS, sample_of

LAYOUT = FieldLayout.single_valued(("a", "b", "c"))


def folder_of(config, table, day=DAYS[0]):
    store = open_store(config)
    return store.folder(store.manifest(table, day))


@pytest.mark.parametrize("name", ["kfm", "kpnn"])
def test_the_default_kernel_type_works(name):
    net = create_model(name, LAYOUT, 9)
    net.initialize()
    assert np.isfinite(net(int32(np.array([[1, 2, 3]]))).asnumpy()).all()


@pytest.mark.parametrize("name", [name for name in MODELS if name != "din"])
def test_no_term_is_built_and_left_out_of_the_logit(name):
    """(din alone has terms that one row can leave at 0: the weights of a history.)"""
    net = create_model(name, LAYOUT, 9, **({"hidden": (5,)} if "hidden" in model_options(name) else {}))
    randomize(net, 1)
    random = np.random.default_rng(1)
    backward(net, [int32(random.integers(1, 9, (40, 3)))], random.normal(size=40))
    untouched = [parameter for parameter, gradient in gradients(net).items() if not gradient.any()]
    assert untouched == []


def test_a_constant_row_is_normalized_to_numbers():
    net = MLP(3, MLPOptions((4,), normalization="layer"))
    net.initialize()
    assert np.isfinite(backward(net, [mx.nd.zeros((2, 3))], np.ones((2, 1)))).all()


@pytest.mark.parametrize("options", [{"normalization": "batch"}, {"activation": "dice"}])
def test_batch_statistics_are_frozen_at_inference(options):
    net = create_model("fnn", LAYOUT, 9, hidden=(4,), **options)
    randomize(net, 2)
    ids = np.random.default_rng(3).integers(1, 9, (20, 3)).astype(np.int32)
    backward(net, [int32(ids)], np.ones(20))  # moves the running statistics
    alone = np.concatenate([net(int32(ids[i : i + 1])).asnumpy() for i in range(20)])
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), alone, rtol=1e-5)


@pytest.mark.parametrize("devices", [1, 2, 3])
@pytest.mark.parametrize("rows", [2, 3, 7, 12])
def test_devices_divide_a_batch_without_overlap(devices, rows):
    step = TrainingStep(None, None, [mx.cpu(i) for i in range(devices)], None)
    ids = np.arange(rows, dtype=np.int32)[:, None]
    parts = [x.asnumpy()[:, 0] for x, _, share in step._divide(ids, np.zeros(rows, np.float32), None) if share]
    assert sorted(np.concatenate(parts)) == list(range(rows))


def test_train_and_validation_are_not_swapped(tmp_path):
    for name, label in (("train", 1), ("valid", 0), ("test", 1)):
        (tmp_path / f"{name}.csv").write_text("label,a\n" + f"{label},{name}\n" * 3)
    files = "\n".join(f'{name} = "{name}.csv"' for name in ("train", "valid", "test"))
    (tmp_path / "fit.toml").write_text(f'name = "x"\n[data]\nformat = "csv"\n{files}\n[model]\nname = "lr"\n')
    data = load_dataset(load_fit_config(tmp_path / "fit.toml"))
    assert (data.train.label.mean(), data.valid.label.mean(), data.test.label.mean()) == (1, 0, 1)
    assert set(data.train.ids.ravel()).isdisjoint(data.valid.ids.ravel())


def test_the_padding_id_lies_inside_the_table_and_counts_nothing():
    layout = FieldLayout.from_widths({"tags": 3})
    net = FieldEmbedding(layout, 4, EmbeddingOptions(2))
    randomize(net, 4)
    table = net.embedding_weight.data().asnumpy()
    found = net(int32(np.array([[0, 0, 0], [3, 0, 0]]))).asnumpy()[:, 0]
    np.testing.assert_allclose(found, [[0, 0], table[3]])


def test_the_rate_of_negatives_travels_with_the_sample(five_days):
    details = run_step(step("sample"), five_days, five_days.first_day).details
    assert details["rate"] == five_days.sampling.negative_rate


def test_ids_beyond_the_whole_numbers_of_float32_find_their_own_rows():
    size = 2**24 + 4
    net = create_model("lr", FieldLayout.single_valued(("a",)), size)
    net.initialize()
    weight = np.zeros((size, 1), np.float32)
    weight[2**24 :, 0] = [1, 2, 3, 4]
    net.linear.linear_weight.set_data(mx.nd.array(weight))
    ids = np.arange(2**24, size, dtype=np.int32)[:, None]
    assert predict_logits(net, ids, batch_size=4).tolist() == [1, 2, 3, 4]


def test_l2_touches_only_the_rows_of_the_batch():
    net = create_model("fm", LAYOUT, 9)
    values = randomize(net, 5)["embedding.embedding_weight"]

    class OneBatch:
        fingerprint, batch_count = "one", 1

        def batches(self, epoch, start_batch):
            yield np.array([[1, 2, 3]], np.int32), np.ones(1, np.float32)

    train(net, OneBatch(), TrainingOptions(epochs=1, embedding_l2=10.0))
    moved = np.any(net.embedding.embedding_weight.data().asnumpy() != values.astype(np.float32), axis=1)
    assert np.flatnonzero(moved).tolist() == [1, 2, 3]


def test_ids_of_unseen_values_stay_where_they_are_when_the_map_grows(five_days):
    maps = [FeatureMap.load(folder_of(five_days, "maps", day) / "map.h5") for day in (DAYS[0], DAYS[-1])]
    assert maps[1].size > maps[0].size
    others = [[each.other_id(field) for field in range(len(each.fields))] for each in maps]
    assert others[0] == others[1]


def test_numeric_buckets_are_applied_as_fitted(five_days):
    feature_map = FeatureMap.load(folder_of(five_days, "maps") / "map.h5")
    with open_shard(next(folder_of(five_days, "shards").glob("*.h5"))) as shard:
        ids, _ = shard.read("train")
    rows = sample_of(five_days, DAYS[0]).read().filter(pc.field("share") == "train")
    numeric = [i for i, field in enumerate(feature_map.fields) if field.edges]
    assert numeric
    for i in numeric:
        value = rows[feature_map.fields[i].name].to_numpy().astype(float)
        bucket = feature_map.first_bucket(i) + bucket_of(feature_map.fields[i].edges, value)
        assert np.array_equal(ids[:, i], np.where(np.isnan(value), feature_map.missing_id(i), bucket))


def test_an_id_outside_the_table_is_found_and_not_clipped():
    assert first_bad_row(np.array([[1], [5]], np.int32), np.zeros(2, np.uint8), 5) == 1
