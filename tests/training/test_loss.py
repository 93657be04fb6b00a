import numpy as np
import pytest
from training_cases import Source, model, problem, source, values_of

from pnn_gluon.runtime import mx
from pnn_gluon.training.export import predict_logits
from pnn_gluon.training.loop import train
from pnn_gluon.training.loss import make_loss
from pnn_gluon.training.options import TrainingOptions

Z = np.array([-100.0, -30.0, -0.5, 0.0, 2.0, 30.0, 100.0])


def row_losses(name, label):
    """Losses of the outputs Z for one label, and their gradients."""
    z, y = mx.nd.array(Z), mx.nd.full(len(Z), label)
    z.attach_grad()
    with mx.autograd.record():
        losses = make_loss(name)(z, y)
    losses.backward()
    return losses.asnumpy(), z.grad.asnumpy()


@pytest.mark.parametrize("label", [0, 1])
def test_log_loss_is_that_of_the_sigmoid(label):
    losses, gradient = row_losses("log", label)
    sign = 2 * label - 1
    np.testing.assert_allclose(losses, np.logaddexp(0, -sign * Z), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, -sign / (1 + np.exp(sign * Z)), rtol=1e-5, atol=1e-30)


def test_negatives_count_in_the_first_step_of_a_network_that_starts_at_zero():
    net = model("lr")
    ids, _ = problem(32)
    train(net, Source(ids, np.zeros(32, np.float32)), TrainingOptions(epochs=1, optimizer="sgd", learning_rate=1.0))
    assert net.linear.bias.data().asscalar() == -0.5


@pytest.mark.parametrize(("label", "target"), [(0, -1), (1, 1)])
def test_squared_loss_takes_labels_as_minus_one_and_one(label, target):
    losses, gradient = row_losses("squared", label)
    np.testing.assert_allclose(losses, (Z - target) ** 2, rtol=1e-6)
    np.testing.assert_allclose(gradient, 2 * (Z - target), rtol=1e-6)


def test_training_lowers_the_loss_it_is_given():
    """Outputs fitted to squared loss lie near -1 and 1 and have less of it than outputs fitted to log loss."""
    ids, label = problem(1000, seed=9)
    errors, histories = {}, {}
    for loss in ("log", "squared"):
        net = model("fm")
        histories[loss] = train(net, source(6000, 60), TrainingOptions(epochs=4, learning_rate=0.02, loss=loss)).history
        errors[loss] = np.mean((predict_logits(net, ids, 64) - (2 * label - 1)) ** 2)
    assert errors["squared"] < 0.9 * min(errors["log"], np.var(2 * label - 1))
    assert histories["squared"][-1].loss < histories["squared"][0].loss


def test_the_first_mean_of_squared_loss_is_one_where_outputs_are_zero():
    """All parameters of lr start at 0, so each row's error is its target, -1 or 1."""
    net = model("lr")
    result = train(net, source(100, 100), TrainingOptions(epochs=1, loss="squared"))
    assert result.history[0].loss == 1
    assert any(np.any(value) for value in values_of(net).values())
