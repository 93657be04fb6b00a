import numpy as np
import pytest
from training_cases import model

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx
from pnn_gluon.training.adagrad import GroupAdaGrad
from pnn_gluon.training.adamw import catch_up_decay
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import named_parameters

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
        self.seen = np.zeros(len(values["table"]))  # step in which a row was last in a batch
        self.m = {name: np.zeros_like(value) for name, value in values.items()}
        self.n = {name: np.zeros_like(value) for name, value in values.items()}
        self.z = {n: -w * (1 / RATE + strength[n]) - np.sign(w) * options.l1 for n, w in values.items()}

    def step(self, ids):
        self.steps += 1
        gradients = oracle_gradients(self.values, ids)
        for name, gradient in gradients.items():
            rows = np.unique(ids) if name == "table" and self.options.lazy_update else slice(None)
            rule = self.options.optimizer + ("_decoupled" if self.options.decoupled else "")
            getattr(self, rule)(name, rows, gradient[rows])

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

    def adam_decoupled(self, name, rows, g):
        w, m, v, t = self.values[name], self.m[name], self.n[name], self.steps
        steps = self.steps - self.seen[rows, None] if name == "table" and self.options.catch_up_decay else 1
        w[rows] *= (1 - RATE * self.l2[name]) ** steps
        if name == "table":
            self.seen[rows] = self.steps
        m[rows] = 0.9 * m[rows] + 0.1 * g
        v[rows] = 0.999 * v[rows] + 0.001 * g**2
        scale = RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        w[rows] -= scale * m[rows] / (np.sqrt(v[rows]) + (self.options.epsilon or 1e-8))

    def groupadagrad(self, name, rows, g):
        w, n = self.values[name], self.n[name]
        for r in np.arange(len(w))[rows]:
            gradient = g[list(np.arange(len(w))[rows]).index(r)] + self.l2[name] * w[r]
            n[r] += np.mean(gradient**2)
            w[r] -= RATE * gradient / np.sqrt(n[r] + (self.options.epsilon or 1e-5))

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
    {"optimizer": "groupadagrad"},
    {"optimizer": "groupadagrad", "epsilon": 0.1},
    {"optimizer": "ftrl"},
    {"optimizer": "ftrl", "l1": L1},
]


STRENGTHS = {"embedding_l2": L2, "weight_decay": DECAY}
DECOUPLED = [
    {"decoupled": True},
    {"decoupled": True, "lazy_update": False},
    {"decoupled": True, "epsilon": 0.1},
]


def assert_equal(parameters, oracle):
    for name, parameter in parameters.items():
        np.testing.assert_allclose(parameter.data().asnumpy(), oracle.values[name], rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("case", [*CASES, *({**case, **STRENGTHS} for case in CASES + DECOUPLED)], ids=str)
def test_first_updates_equal_the_documented_rule(case):
    options = TrainingOptions(learning_rate=RATE, **case)
    net, trainer, parameters, oracle = start(options)
    for ids in BATCHES:
        step(net, trainer, ids)
        oracle.step(ids)
        assert_equal(parameters, oracle)


def test_rows_get_the_decay_of_all_steps_since_they_were_last_seen():
    options = TrainingOptions(learning_rate=RATE, decoupled=True, catch_up_decay=True, **STRENGTHS)
    net, trainer, parameters, oracle = start(options)
    for ids in (*BATCHES, np.array([[4, 1], [1, 1]])):
        step(net, trainer, ids)
        oracle.step(ids)
        assert_equal(parameters, oracle)
    oracle.values["table"] *= (1 - RATE * L2) ** (4 - oracle.seen[:, None])
    for _ in range(2):
        catch_up_decay(trainer)
        assert_equal(parameters, oracle)


def test_decay_that_is_caught_up_follows_the_learning_rate_of_each_step():
    options = TrainingOptions(learning_rate=RATE, decoupled=True, catch_up_decay=True, **STRENGTHS)
    net, trainer, parameters, _ = start(options)
    before = parameters["table"].data().asnumpy()
    for rate in (0.5, 0.001):
        trainer.set_learning_rate(rate)
        step(net, trainer, BATCHES[0])
    catch_up_decay(trainer)
    expected = before[4] * (1 - 0.5 * L2) * (1 - 0.001 * L2)
    np.testing.assert_allclose(parameters["table"].data().asnumpy()[4], expected, rtol=1e-6)


def test_small_decay_over_many_steps_is_not_lost_in_rounding():
    rate, l2, steps = 1e-3, 1e-6, 300
    options = TrainingOptions(learning_rate=rate, decoupled=True, catch_up_decay=True, embedding_l2=l2)
    net, trainer, _, _ = start(options)
    for _ in range(steps):
        step(net, trainer, BATCHES[0])
    (total,) = (state[3] for state in trainer._updaters[0].states.values() if len(state) == 4)
    assert float(total.asscalar()) == pytest.approx(steps * np.log1p(-rate * l2), rel=1e-9)


class Attentive(Net):
    """A net with one more dense weight, of an attention."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.attention = mx.gluon.nn.Dense(1, in_units=2, prefix="attention_")

    def hybrid_forward(self, F, ids):
        return super().hybrid_forward(F, ids) + 0 * self.attention(F.sum(self.embedding(ids), axis=1))


@pytest.mark.parametrize(("given", "expected"), [(0.75, 0.75), (0.0, 0.0), (None, DECAY)])
def test_attention_weights_have_an_l2_of_their_own(given, expected):
    net = Attentive()
    net.initialize(mx.init.One())
    trainer = make_trainer(
        net, TrainingOptions(optimizer="sgd", learning_rate=RATE, weight_decay=DECAY, attention_l2=given)
    )
    net.dense.weight.set_data(mx.nd.zeros((1, 2)))
    before = {name: p.data().asnumpy() for name, p in named_parameters(net).items()}
    step(net, trainer, BATCHES[0])
    after = {name: p.data().asnumpy() for name, p in named_parameters(net).items()}
    np.testing.assert_allclose(after["attention.weight"], before["attention.weight"] * (1 - RATE * expected), rtol=1e-6)
    np.testing.assert_array_equal(after["attention.bias"], before["attention.bias"])
    np.testing.assert_array_equal(after["embedding.embedding_weight"], before["embedding.embedding_weight"])


def test_other_dense_weights_keep_weight_decay_beside_an_attentions_l2():
    net = Attentive()
    net.initialize(mx.init.One())
    make_trainer(net, TrainingOptions(weight_decay=DECAY, attention_l2=0.75, embedding_l2=L2))
    strengths = {name: parameter.wd_mult for name, parameter in named_parameters(net).items()}
    assert strengths == {
        "embedding.embedding_weight": L2,
        "dense.weight": DECAY,
        "dense.bias": 0,
        "attention.weight": 0.75,
        "attention.bias": 0,
    }


@pytest.mark.parametrize("name", ["afm", "autoint"])
def test_models_with_attention_have_weights_for_its_l2(name):
    net = model(name)
    net.initialize()
    make_trainer(net, TrainingOptions(weight_decay=DECAY, attention_l2=0.75))
    strengths = {name: p.wd_mult for name, p in named_parameters(net).items() if name.startswith("attention")}
    assert strengths
    assert all(value == (0.75 if name.endswith("weight") else 0) for name, value in strengths.items())


def test_an_attentions_l2_for_a_network_without_one_is_refused():
    net = Net()
    net.initialize()
    with pytest.raises(ConfigError, match=r"attention_l2 = 0.1 has no effect: no dense weight .* 'attention'"):
        make_trainer(net, TrainingOptions(attention_l2=0.1))


def test_group_adagrad_keeps_one_number_a_row():
    net, trainer, _, _ = start(TrainingOptions(optimizer="groupadagrad"))
    step(net, trainer, BATCHES[0])
    shapes = {tuple(p.shape): tuple(trainer._updaters[0].states[i].shape) for i, p in enumerate(trainer._params)}
    assert shapes == {(6, 2): (6, 1), (1, 2): (1, 1), (1,): (1,)}


def test_group_adagrad_takes_weights_of_more_dimensions():
    gradient = mx.nd.array(np.arange(12).reshape((2, 3, 2)))
    squares = GroupAdaGrad(eps=1.0).squares(gradient)
    expected = [[[np.mean(np.arange(6.0) ** 2)]], [[np.mean(np.arange(6.0, 12) ** 2)]]]
    np.testing.assert_allclose(squares.asnumpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize(
    ("choice", "moved"),
    [
        ({"embedding_l2": L2}, [1, 2]),  # each active row
        ({"embedding_l2": L2, "lazy_update": False}, [0, 1, 2, 3, 4, 5]),  # the whole table
        ({"embedding_l2": 0.0}, []),  # none
    ],
)
def test_l2_of_embeddings_is_of_active_rows_of_the_table_or_none(optimizer, choice, moved):
    net, trainer, parameters, _ = start(TrainingOptions(learning_rate=RATE, optimizer=optimizer, **choice))
    net.dense.weight.set_data(mx.nd.zeros((1, 2)))  # no gradient but that of L2
    before = parameters["table"].data().asnumpy()
    step(net, trainer, BATCHES[0])
    after = parameters["table"].data().asnumpy()
    assert np.flatnonzero((after != before).all(axis=1)).tolist() == moved
    if optimizer == "sgd":
        np.testing.assert_allclose(after[moved], (1 - RATE * L2) * before[moved], rtol=1e-6)


OPTIMIZERS = ["sgd", "adam", "adagrad", "groupadagrad", "ftrl"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rows_that_no_batch_touched_keep_their_bits(optimizer):
    net, trainer, parameters, _ = start(TrainingOptions(learning_rate=RATE, optimizer=optimizer, embedding_l2=L2))
    before = parameters["table"].data().asnumpy()
    for ids in BATCHES:
        step(net, trainer, ids)
    after = parameters["table"].data().asnumpy()
    np.testing.assert_array_equal(after[[0, 4, 5]], before[[0, 4, 5]])
    assert (after[[1, 2, 3]] != before[[1, 2, 3]]).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
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
        ({"optimizer": "adamw"}, "optimizer: Input should be 'adam', 'adagrad', 'ftrl', 'groupadagrad' or 'sgd'"),
        ({"device": "tpu"}, "device: .*'cpu' or 'gpu'.*'tpu'"),
        ({"kvstore": "dist_async"}, "kvstore: .*'none'"),
        ({"epochs": 0}, "epochs: .*greater than or equal to 1"),
        ({"learning_rate": 0}, r"learning_rate: .*greater than 0 \(received 0\)"),
        ({"learning_rate": float("nan")}, "learning_rate: .*finite number"),
        ({"clip_norm": -1}, "clip_norm: .*greater than 0"),
        ({"embedding_l2": -1}, "embedding_l2: .*greater than or equal to 0"),
        ({"seed": -1}, "seed: .*greater than or equal to 0"),
        ({"loss": "hinge"}, "loss: .*'log' or 'squared'"),
        ({"schedule": "step"}, "schedule: .*'constant', 'linear', 'cosine' or 'plateau'"),
        ({"schedule": "linear", "final_rate_share": 1}, "final_rate_share: .*less than 1"),
        ({"plateau_factor": 1.0}, "plateau_factor: .*less than 1"),
        ({"warmup_steps": -1}, "warmup_steps: .*greater than or equal to 0"),
        ({"attention_l2": -1}, "attention_l2: .*greater than or equal to 0"),
        ({"average_decay": 1.0}, "average_decay: .*less than 1"),
        ({"final_rate_share": 0.1}, "final_rate_share has no effect with schedule 'constant'"),
        ({"schedule": "linear", "plateau_factor": 0.1}, "plateau_factor has no effect with schedule 'linear'"),
        ({"schedule": "plateau", "epochs": 9}, "has no effect with patience 1 and 9 epochs"),
        ({"schedule": "plateau", "epochs": 2, "patience": 2}, "has no effect with patience 2 and 2 epochs"),
        ({"optimizer": "ftrl", "schedule": "cosine"}, "leave schedule and warmup_steps out"),
        ({"optimizer": "ftrl", "warmup_steps": 2}, "leave schedule and warmup_steps out"),
        ({"optimizer": "sgd", "decoupled": True, "weight_decay": 0.1}, "decoupled has no effect with optimizer 'sgd'"),
        ({"decoupled": True}, "decoupled has no effect without"),
        ({"decoupled": True, "weight_decay": 2e3}, "it must be below 1"),
        ({"catch_up_decay": True, "embedding_l2": 0.1}, "catch_up_decay has an effect with decoupled"),
        ({"catch_up_decay": True, "decoupled": True, "weight_decay": 0.1}, "catch_up_decay has an effect with"),
        (
            {"catch_up_decay": True, "decoupled": True, "embedding_l2": 0.1, "average_decay": 0.9},
            "take one of the two",
        ),
        ({"learning_rates": 0.1}, "learning_rates: Extra inputs are not permitted"),
        ({"l1": 0.1}, "l1 = 0.1 has no effect with optimizer 'adam'"),
        ({"optimizer": "sgd", "epsilon": 0.1}, "epsilon has no effect with optimizer 'sgd'"),
        ({"optimizer": "ftrl", "lazy_update": False}, "'ftrl' always updates lazily"),
        ({"kvstore": "none", "devices": 2}, "adds no gradients up"),
        ({"kvstore": "dist_sync", "average_decay": 0.9}, "goes without average_decay: servers keep no means"),
        ({"kvstore": "dist_sync", "lazy_update": False}, "goes without lazy_update = false: a step would pass"),
        (
            {"kvstore": "dist_sync", "decoupled": True, "catch_up_decay": True, "embedding_l2": 0.1},
            "goes without catch_up_decay: servers do not keep",
        ),
        ({"kvstore": "dist_sync", "devices": 2}, "with several take 'dist_device_sync'"),
        ({"kvstore": "dist_device_sync"}, "with one take 'dist_sync'"),
    ],
)
def test_impossible_and_contradictory_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        TrainingOptions(**options)
