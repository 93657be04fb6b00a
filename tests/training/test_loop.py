import numpy as np
import pytest
from training_cases import SIZE, Source, model, problem, same, source, values_of

from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.runtime import mx
from pnn_gluon.training.devices import contexts, initialize
from pnn_gluon.training.export import predict_logits
from pnn_gluon.training.loop import train
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.step import TrainingStep, gradient_norm

FAST = TrainingOptions(epochs=3, learning_rate=0.02)


def log_loss(net, ids, label):
    z = predict_logits(net, ids, 64).astype(np.float64)
    return float(np.mean(np.logaddexp(0, z) - label * z))


@pytest.mark.parametrize(
    ("name", "share"), [("lr", 0.985), ("fm", 0.95), ("fnn", 0.95), ("deepfm", 0.95), ("ipnn", 0.95)]
)
def test_training_lowers_the_log_loss_of_unseen_rows(name, share):
    net = model(name)
    train(net, source(6000, 60), FAST.replaced(epochs=4, seed=3))
    ids, label = problem(1000, seed=9)
    base = label.mean()
    constant = -(base * np.log(base) + (1 - base) * np.log(1 - base))
    assert log_loss(net, ids, label) < share * constant


def test_history_counts_steps_examples_and_the_mean_loss():
    net, seen = model("lr"), []
    ids, label = problem(100)
    result = train(net, Source(ids, label, 32), TrainingOptions(epochs=2, checkpoint_every=3), progress=seen.append)
    assert [(r.epoch, r.steps, r.examples) for r in result.history] == [(0, 4, 100), (1, 4, 100)]
    assert (result.steps, result.examples, result.best_epoch) == (8, 200, 1)
    assert [(p.epoch, p.batches, p.examples) for p in seen] == [(0, 3, 96), (0, 4, 100), (1, 3, 96), (1, 4, 100)]
    assert seen[1].loss == result.history[0].loss
    still = train(model("lr"), Source(ids, label, 100), TrainingOptions(epochs=1))
    assert still.history[0].loss == pytest.approx(np.log(2), rel=1e-6)  # all parameters of lr start at 0


def test_equal_seeds_give_equal_bytes_and_other_seeds_others():
    def run(**options):
        net = model(dropout=0.3)
        train(net, source(), FAST.replaced(**options))
        return values_of(net)

    assert same(run(), run())
    assert not same(run(), run(seed=2))


@pytest.mark.parametrize("kvstore", ["device", "local"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "groupadagrad", "ftrl"])
def test_two_devices_equal_one(optimizer, kvstore):
    nets = []
    for devices in (1, 2):
        options = TrainingOptions(
            epochs=1, devices=devices, optimizer=optimizer, kvstore=kvstore, embedding_l2=0.1, learning_rate=0.05
        )
        nets.append(model())
        train(nets[-1], source(161), options)  # the last batch has one row for two devices
    one, two = (values_of(net) for net in nets)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=2e-3, atol=2e-5, err_msg=name)
    for parameter in nets[1].collect_params().values():
        first, second = parameter.list_data()
        np.testing.assert_array_equal(first.asnumpy(), second.asnumpy())


def test_one_device_without_kvstore_equals_one_with():
    first, second = model(), model()
    train(first, source(), FAST)
    train(second, source(), FAST.replaced(kvstore="none"))
    assert same(values_of(first), values_of(second))


def test_early_stopping_keeps_the_best_epoch():
    kept, judged = {}, iter([3.0, 1.0, 2.0, 1.0, 0.5])

    def validate(net):
        kept[len(kept)] = values_of(net)
        return next(judged)

    net = model()
    result = train(net, source(), FAST.replaced(epochs=9, patience=2), validate=validate)
    assert [r.validation for r in result.history] == [3.0, 1.0, 2.0, 1.0]
    assert result.best_epoch == 1
    assert same(values_of(net), kept[1])
    assert not same(kept[1], kept[3])


def test_without_validation_all_epochs_run_and_the_last_counts():
    result = train(model(), source(), FAST)
    assert (len(result.history), result.best_epoch) == (3, 2)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_divergence_is_an_error_that_says_where(clip):
    ids, label = problem(64)
    net = model("fm")
    net.initialize()
    net.embedding.embedding_weight.data()[:] = float("inf")
    with pytest.raises(PnnError, match=r"diverged in epoch 0 at batch 1: the loss is nan; lower learning_rate"):
        train(net, Source(ids, label), FAST.replaced(clip_norm=clip))


def test_a_parameter_that_became_infinite_in_the_last_step_is_an_error():
    with pytest.raises(PnnError, match="is not finite"):
        train(
            model("lr"), source(32), TrainingOptions(epochs=1, optimizer="sgd", learning_rate=3e38, weight_decay=3e38)
        )


def test_validation_that_is_not_finite_is_an_error():
    with pytest.raises(PnnError, match="validation of epoch 0 gave nan"):
        train(model(), source(), FAST, validate=lambda net: float("nan"))


def test_no_rows_are_an_error():
    with pytest.raises(InputError, match="no training examples"):
        train(model(), source(0), FAST)


def test_errors_of_the_source_pass_through():
    class Broken(Source):
        def batches(self, epoch, start_batch):
            yield self.ids[:4], self.label[:4]
            raise InputError("day-3.h5 row 7: id 1080")

    with pytest.raises(InputError, match="row 7"):
        train(model(), Broken(*problem(10)), FAST)


def test_starting_values_that_are_there_are_kept():
    net = model("lr")
    net.initialize()
    net.linear.bias.set_data(mx.nd.array([7.0]))
    train(net, source(32), TrainingOptions(epochs=1, optimizer="sgd", learning_rate=1e-9))
    assert net.linear.bias.data().asscalar() == pytest.approx(7)


def test_an_unusable_gpu_is_refused_with_advice():
    if mx.context.num_gpus():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match=r"1 GPU\(s\) asked for, 0 found.*device = 'cpu'"):
        train(model(), source(), TrainingOptions(device="gpu"))


def clipped(limit, devices):
    """Gradient norm of the mean loss of one batch, and how far a plain SGD step of rate 1 moves."""
    net, places = model(), contexts("cpu", devices)
    initialize(net, places, 3)
    trainer = make_trainer(net, TrainingOptions(optimizer="sgd", learning_rate=1.0))
    before = values_of(net)
    ids, label = problem(50)
    TrainingStep(net, trainer, places, limit)(ids, label)
    norm = gradient_norm(net.collect_params().values()) / 50
    after = values_of(net)
    moved = sum(((after[name] - before[name]).astype(np.float64) ** 2).sum() for name in before)
    return norm, np.sqrt(moved)


@pytest.mark.parametrize("devices", [1, 2])
def test_clipping_limits_the_norm_of_the_mean_gradient(devices):
    norm, moved = clipped(1e6, devices)
    assert moved == pytest.approx(norm, rel=1e-3)
    norm, moved = clipped(norm / 10, devices)
    assert moved == pytest.approx(norm / 10, rel=1e-3)


def test_all_rows_of_the_table_but_padding_were_trained():
    net = model("lr")
    train(net, source(), FAST)
    weight = net.linear.linear_weight.data().asnumpy()[:, 0]
    assert weight[0] == 0
    assert np.count_nonzero(weight) == SIZE - 1
