import numpy as np
import pytest
from numpy_models import int32
from training_cases import LAYOUT, Source, model, problem, same, values_of

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import create_model
from pnn_gluon.runtime import mx
from pnn_gluon.training.averaging import MeanWeights
from pnn_gluon.training.export import export_model, exported_values
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions

DECAY = 0.6


class Recording(Source):
    """Notes the parameters that each step but the last of an epoch left behind."""

    def __init__(self, net, rows):
        super().__init__(*problem(rows))
        self.net, self.seen = net, []

    def batches(self, epoch, start_batch):
        for number, batch in enumerate(super().batches(epoch, start_batch)):
            if epoch or number:
                self.seen.append(values_of(self.net))
            yield batch


def weighted_mean(values):
    """sum_s share_s w_s with share_s = (1 - d_s) d_{s+1} ... d_t, straight from the definition."""
    decays = [min(DECAY, (t - 1) / (t + 2)) for t in range(1, len(values) + 1)]
    shares = [(1 - d) * np.prod(decays[s + 1 :]) for s, d in enumerate(decays)]
    assert sum(shares) == pytest.approx(1)
    return {
        name: sum(share * value[name].astype(float) for share, value in zip(shares, values, strict=True))
        for name in values[0]
    }


def run(rows=160, validate=None, epochs=2, normalization="layer", **options):
    """The network after training with means, and what each step left behind, found by training without them."""
    options = {"epochs": epochs, "learning_rate": 0.05} | options
    plain = model("deepfm", normalization=normalization)
    recorded = Recording(plain, rows)
    train(plain, recorded, TrainingOptions(**options))
    net = model("deepfm", normalization=normalization)
    result = train(net, Source(*problem(rows)), TrainingOptions(**options, average_decay=DECAY), validate=validate)
    return net, [*recorded.seen, values_of(plain)], result


def assert_close(values, expected):
    for name in expected:
        np.testing.assert_allclose(values[name], expected[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("devices", [1, 2])
def test_training_ends_with_the_weighted_mean_of_all_steps(devices):
    net, steps, _ = run(devices=devices)
    assert len(steps) == 10
    assert_close(values_of(net), weighted_mean(steps))
    assert not same(values_of(net), steps[-1])


def test_the_mean_of_one_step_is_that_step_to_the_bit():
    net, steps, _ = run(rows=32, epochs=1)
    assert same(values_of(net), steps[-1])


def test_validation_and_best_values_are_those_of_the_mean_and_training_goes_on_from_its_own():
    seen, judged = [], iter([2.0, 1.0, 3.0, 4.0])

    def validate(net):
        seen.append(values_of(net))
        return next(judged)

    net, steps, result = run(validate=validate, epochs=4, patience=2)
    assert result.best_epoch == 1
    for epoch, values in enumerate(seen):
        assert_close(values, weighted_mean(steps[: 5 * (epoch + 1)]))
    assert same(values_of(net), seen[1])


def test_the_mean_is_exported(tmp_path):
    net, steps, _ = run()
    export_model(net, tmp_path, LAYOUT.slots)
    exported = {name: value.asnumpy() for name, value in exported_values(net, tmp_path).items()}
    assert_close(exported, weighted_mean(steps))


def test_running_statistics_are_averaged():
    net, steps, _ = run(normalization="batch")
    values = values_of(net)
    assert any("running_var" in name for name in values)
    assert_close(values, weighted_mean(steps))


def test_an_error_in_between_gives_the_network_its_own_values_back():
    net = model("lr")
    net.initialize()
    net.linear.bias.set_data(mx.nd.array([7.0]))
    means = MeanWeights(net, DECAY)

    def fail():
        with means.in_network():
            assert net.linear.bias.data().asscalar() == 0
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert net.linear.bias.data().asscalar() == 7


def test_a_convolution_gets_its_own_values_back_after_inference():
    layout = FieldLayout.single_valued(tuple("abcdefghij"))
    net = create_model("ccpm", layout, 50, embedding_size=10, hidden=(4,))  # 256 filters: re-ordered for inference
    ids = int32(np.random.default_rng(1).integers(1, 50, (200, 10)))
    net.initialize()
    net.hybridize(static_alloc=True)
    for _ in range(2):
        with mx.autograd.record():
            net(ids).backward()
    means = MeanWeights(net, 0.5)
    own = {name: parameter.data().asnumpy() for name, parameter in means._parameters.items()}
    with means.in_network():
        for _ in range(2):
            net(ids).wait_to_read()
    assert same({name: parameter.data().asnumpy() for name, parameter in means._parameters.items()}, own)
