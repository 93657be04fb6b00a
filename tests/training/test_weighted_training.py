from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
from training_cases import LAYOUT, SIZE, Source, model, problem, values_of

from pnn_gluon.evaluation.log_loss import LogLoss
from pnn_gluon.models.gbdt import GBDTOptions
from pnn_gluon.ops import plain_operators
from pnn_gluon.runtime import mx
from pnn_gluon.training.gbdt import Validation, train_gbdt
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.step import TrainingStep

PATHS = pytest.mark.parametrize("path", [nullcontext, plain_operators], ids=["native", "plain"])


@dataclass
class WeightedSource(Source):
    """Batches with the weights of their rows."""

    weight: np.ndarray = None

    def batches(self, epoch, start_batch):
        for number, batch in enumerate(super().batches(epoch, 0)):
            start = number * self.batch_size
            if number >= start_batch:
                yield *batch, self.weight[start : start + self.batch_size]


def weighted(rows=64, seed=3):
    ids, label = problem(rows, seed)
    weight = np.random.default_rng(seed).integers(1, 6, rows).astype(np.float32)
    return ids, label, weight


def started(name):
    """A network with the same starting values each time."""
    mx.random.seed(5)
    net = model(name)
    net.initialize(mx.init.Normal(0.1))
    return net


def fitted(name, source, **options):
    """The values after one batch an epoch, and the result."""
    net = started(name)
    result = train(net, source, TrainingOptions(epochs=3, learning_rate=0.1, **options))
    return values_of(net), result


@PATHS
@pytest.mark.parametrize("name", ["lr", "fm", "ipnn"])
@pytest.mark.parametrize(
    "options", [{"optimizer": "sgd"}, {"optimizer": "adam"}, {"optimizer": "sgd", "clip_norm": 0.05}]
)
def test_a_weighted_batch_is_the_batch_with_its_rows_written_out(path, name, options):
    ids, label, weight = weighted()
    times = weight.astype(int)
    with path():
        one, first = fitted(name, WeightedSource(ids, label, 64, "w", weight), **options)
        whole = Source(np.repeat(ids, times, axis=0), np.repeat(label, times), int(times.sum()))
        other, second = fitted(name, whole, **options)
        unweighted, _ = fitted(name, Source(ids, label, 64), **options)
    for key, values in one.items():
        np.testing.assert_allclose(values, other[key], rtol=2e-4, atol=2e-6)
    assert any(np.abs(values - unweighted[key]).max() > 1e-4 for key, values in one.items())
    assert first.examples == second.examples == 3 * times.sum()
    np.testing.assert_allclose([r.loss for r in first.history], [r.loss for r in second.history], rtol=1e-5)


@PATHS
def test_a_step_is_that_of_the_weighted_mean_loss(path):
    """Logistic regression from zero: the gradient of a row's loss by its logit is 1/2 - y."""
    ids, label, weight = weighted(40)
    with path():
        net = model("lr")
        train(
            net,
            WeightedSource(ids, label, 40, "w", weight),
            TrainingOptions(epochs=1, optimizer="sgd", learning_rate=1.0),
        )
    expected = -np.sum(weight.astype(float) * (0.5 - label)) / weight.sum()
    np.testing.assert_allclose(net.linear.bias.data().asscalar(), expected, rtol=1e-5)


@PATHS
def test_rows_for_several_devices_keep_their_weights(path):
    ids, label, weight = weighted(7)
    ways = []
    with path():
        for places in ([mx.cpu(0)], [mx.cpu(0), mx.cpu(1)], [mx.cpu(k) for k in range(9)]):
            net = model("lr")
            net.initialize(mx.init.Zero(), ctx=places)
            trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 1.0}, update_on_kvstore=False)
            losses = TrainingStep(net, trainer, places, None)(ids, label, weight)
            ways.append((sum(float(loss.asscalar()) for loss in losses), net.linear.bias.list_data()[0].asscalar()))
    np.testing.assert_allclose(ways, np.tile([weight.sum() * np.log(2), ways[0][1]], (3, 1)), rtol=1e-5)


def test_weights_of_one_change_no_bit():
    ids, label, weight = weighted()
    one, _ = fitted("ipnn", WeightedSource(ids, label, 16, "w", np.ones_like(weight)))
    other, _ = fitted("ipnn", Source(ids, label, 16))
    assert all(np.array_equal(values, other[key]) for key, values in one.items())


def test_trees_of_weighted_rows_are_those_of_the_rows_written_out():
    ids, label, weight = weighted(600)
    times = weight.astype(int)
    options = GBDTOptions(trees=20, depth=3)

    def loss(label, logit, *weight):
        return LogLoss().update_logits(label, logit, *weight).value()

    def fit(*columns):
        rows, held_out = (lambda: iter([columns])), (lambda: iter([tuple(each[::3] for each in columns)]))
        return train_gbdt(LAYOUT, SIZE, rows, options, validation=Validation(held_out, loss, 20))

    def written_out(part):
        return np.repeat(ids[part], times[part], axis=0), np.repeat(label[part], times[part])

    found = fit(ids, label, weight)
    held_out = written_out(slice(None, None, 3))
    validation = Validation(lambda: iter([held_out]), loss, 20)
    expected = train_gbdt(LAYOUT, SIZE, lambda: iter([written_out(slice(None))]), options, validation=validation)
    np.testing.assert_allclose(found.model.logits(ids), expected.model.logits(ids), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.history, expected.history, rtol=1e-5)
    plain = fit(ids, label)
    assert np.abs(plain.model.logits(ids) - found.model.logits(ids)).max() > 0.05
