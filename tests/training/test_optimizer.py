import numpy as np
import pytest

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import TrainingOptions

RATE, L2, DECAY, L1 = 0.1, 0.5, 0.25, 0.05
BATCHES = (np.array([[1, 1], [2, 1]]), np.array([[2, 3], [3, 3]]), np.array([[3, 1], [2, 2]]))


class Net(mx.gluon.HybridBlock):
    """sum over the batch of <h, v_1 + v_2> + c: one row-sparse weight, one dense weight, one bias."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.embedding = FieldEmbedding(FieldLayout.single_valued(("a", "b")), 6, EmbeddingOptions(2))
            self.dense = mx.gluon.nn.Dense(1, in_units=2)

    def hybrid_forward(self, F, ids):
        return self.dense(F.sum(self.embedding(ids), axis=1))


def oracle_gradients(values, ids):
    table, dense = values["table"], values["dense"]
    gradient = np.zeros_like(table)
    for i in ids.ravel():
        gradient[i] += dense[0] / len(ids)
    total = table[ids.ravel()].sum(axis=0, keepdims=True) / len(ids)
    return {"table": gradient, "dense": total, "bias": np.ones(1)}


class Oracle:
    """The documented update rules on dense arrays, rows that are not in the batch left alone."""

    def __init__(self, options, values):
        self.options, self.values, self.steps = options, values, 0
        strength = {"table": options.embedding_l2, "dense": options.weight_decay, "bias": 0.0}
        self.l2 = strength
        self.m = {name: np.zeros_like(value) for name, value in values.items()}
        self.n = {name: np.zeros_like(value) for name, value in values.items()}
        self.z = {n: -w * (1 / RATE + strength[n]) - np.sign(w) * options.l1 for n, w in values.items()}

    def step(self, ids):
        self.steps += 1
        gradients = oracle_gradients(self.values, ids)
        for name, gradient in gradients.items():
            rows = np.unique(ids) if name == "table" and self.options.lazy_update else slice(None)
            getattr(self, self.options.optimizer)(name, rows, gradient[rows])

    def sgd(self, name, rows, g):
        w = self.values[name]
        w[rows] -= RATE * (g + self.l2[name] * w[rows])

    def adam(self, name, rows, g):
        w, m, v, t = self.values[name], self.m[name], self.n[name], self.steps
        g = g + self.l2[name] * w[rows]
        m[rows] = 0.9 * m[rows] + 0.1 * g
        v[rows] = 0.999 * v[rows] + 0.001 * g**2
        scale = RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        w[rows] -= scale * m[rows] / (np.sqrt(v[rows]) + (self.options.epsilon or 1e-8))

    def adagrad(self, name, rows, g):
        w, n = self.values[name], self.n[name]
        g = g + self.l2[name] * w[rows]
        n[rows] += g**2
        w[rows] -= RATE * g / np.sqrt(n[rows] + (self.options.epsilon or 1e-7))

    def ftrl(self, name, rows, g):
        w, n, z = self.values[name], self.n[name], self.z[name]
        z[rows] += g - (np.sqrt(n[rows] + g**2) - np.sqrt(n[rows])) / RATE * w[rows]
        n[rows] += g**2
        new = (np.sign(z[rows]) * self.options.l1 - z[rows]) / ((1 + np.sqrt(n[rows])) / RATE + self.l2[name])
        w[rows] = np.where(np.abs(z[rows]) > self.options.l1, new, 0)


def start(options):
    net = Net()
    net.initialize()
    values = {
        "table": np.arange(12, dtype=float).reshape(6, 2) / 10 - 0.55,
        "dense": np.array([[0.4, -0.7]]),
        "bias": np.array([0.3]),
    }
    parameters = {
        "table": net.embedding.embedding_weight,
        "dense": net.dense.weight,
        "bias": net.dense.bias,
    }
    for name, parameter in parameters.items():
        parameter.set_data(mx.nd.array(values[name]))
    return net, make_trainer(net, options), parameters, Oracle(options, values)


def step(net, trainer, ids):
    with mx.autograd.record():
        output = net(mx.nd.array(ids, dtype="int32"))
    output.backward()
    trainer.step(len(ids))


CASES = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "lazy_update": False},
    {"optimizer": "adam"},
    {"optimizer": "adam", "epsilon": 0.1},
    {"optimizer": "adam", "lazy_update": False},
    {"optimizer": "adagrad"},
    {"optimizer": "adagrad", "epsilon": 0.1},
    {"optimizer": "ftrl"},
    {"optimizer": "ftrl", "l1": L1},
]


@pytest.mark.parametrize("strengths", [{}, {"embedding_l2": L2, "weight_decay": DECAY}])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_first_updates_equal_the_documented_rule(case, strengths):
    options = TrainingOptions(learning_rate=RATE, **case, **strengths)
    net, trainer, parameters, oracle = start(options)
    for ids in BATCHES:
        step(net, trainer, ids)
        oracle.step(ids)
        for name, parameter in parameters.items():
            np.testing.assert_allclose(
                parameter.data().asnumpy(), oracle.values[name], rtol=2e-5, atol=2e-6, err_msg=name
            )


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "ftrl"])
def test_rows_that_no_batch_touched_keep_their_bits(optimizer):
    net, trainer, parameters, _ = start(TrainingOptions(learning_rate=RATE, optimizer=optimizer, embedding_l2=L2))
    before = parameters["table"].data().asnumpy()
    for ids in BATCHES:
        step(net, trainer, ids)
    after = parameters["table"].data().asnumpy()
    np.testing.assert_array_equal(after[[0, 4, 5]], before[[0, 4, 5]])
    assert (after[[1, 2, 3]] != before[[1, 2, 3]]).all()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "ftrl"])
def test_l2_counts_a_row_once_however_often_the_batch_has_it(optimizer):
    moved = []
    for ids in (np.array([[1, 1], [1, 1]]), np.array([[1, 2], [3, 4]])):
        net, trainer, parameters, _ = start(TrainingOptions(learning_rate=RATE, optimizer=optimizer, embedding_l2=L2))
        net.dense.weight.set_data(mx.nd.zeros((1, 2)))  # no gradient but that of L2
        step(net, trainer, ids)
        moved.append(parameters["table"].data()[1].asnumpy())
    np.testing.assert_array_equal(moved[0], moved[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamw"}, "optimizer must be one of adam, adagrad, ftrl, sgd"),
        ({"device": "tpu"}, "device must be one of"),
        ({"kvstore": "dist_sync"}, "kvstore must be one of"),
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"clip_norm": -1}, "clip_norm must be above 0"),
        ({"embedding_l2": -1}, "embedding_l2 must be 0 or more"),
        ({"seed": -1}, "seed must be in"),
        ({"l1": 0.1}, "l1 = 0.1 has no effect with optimizer 'adam'"),
        ({"optimizer": "sgd", "epsilon": 0.1}, "epsilon has no effect with optimizer 'sgd'"),
        ({"optimizer": "ftrl", "lazy_update": False}, "'ftrl' always updates lazily"),
        ({"kvstore": "none", "devices": 2}, "adds no gradients up"),
    ],
)
def test_impossible_and_contradictory_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        TrainingOptions(**options)
