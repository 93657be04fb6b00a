import sys
from subprocess import run

import numpy as np
import pytest
from numpy_models import backward, finite_differences, gradients, int32, logits, randomize

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import MODELS, create_model
from pnn_gluon.runtime import mx

SINGLE = FieldLayout.single_valued(("a", "b", "c"))
MULTI = FieldLayout.from_widths({"a": 1, "tags": 3, "b": 1})
SIZE, K, HIDDEN, ROWS = 8, 3, (4, 3), 5
DEEP = {"fnn", "deepfm", "ipnn"}
CASES = [(name, normalized) for name in MODELS for normalized in ([False, True] if name in DEEP else [False])]


def make(name, layout, normalized, **options):
    if name != "lr":
        options["embedding_size"] = K
    if name in DEEP:
        options |= {"hidden": HIDDEN, "activation": "tanh", "layer_norm": normalized}
    return create_model(name, layout, SIZE, **options)


def some_ids(layout):
    ids = np.random.default_rng(1).integers(1, SIZE, (ROWS, layout.slots)).astype(np.int32)
    if layout is MULTI:
        ids[0, 1:4], ids[1, 2:4] = 0, 0
    return ids


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", [SINGLE, MULTI])
@pytest.mark.parametrize(("name", "normalized"), CASES)
def test_logits_and_gradients_equal_the_papers_equation(name, normalized, layout, hybrid):
    net, ids = make(name, layout, normalized), some_ids(layout)
    values = randomize(net, 2)
    net.hybridize(active=hybrid, **({"static_alloc": True} if hybrid else {}))
    weights = np.random.default_rng(3).normal(size=ROWS)
    found = backward(net, [int32(ids)], weights)
    oracle = lambda v: logits(name, layout, ids, v, len(HIDDEN), "tanh", normalized)  # noqa: E731
    np.testing.assert_allclose(found, oracle(values), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (oracle(v) * weights).sum(), values)
    for parameter, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, expected[parameter], rtol=2e-3, atol=1e-4, err_msg=parameter)


@pytest.mark.parametrize("name", MODELS)
def test_saved_and_loaded_model_gives_the_same_bits(name, tmp_path):
    net, ids = make(name, MULTI, True), int32(some_ids(MULTI))
    randomize(net, 4)
    net.save_parameters(str(tmp_path / "net.params"))
    other = make(name, MULTI, True)
    other.load_parameters(str(tmp_path / "net.params"))
    np.testing.assert_array_equal(net(ids).asnumpy(), other(ids).asnumpy())


def test_a_model_on_a_second_device_gives_the_same_bits():
    net, ids = make("ipnn", MULTI, True), some_ids(MULTI)
    randomize(net, 5)
    net.collect_params().reset_ctx([mx.cpu(0), mx.cpu(1)])
    first, second = (net(mx.nd.array(ids, dtype="int32", ctx=place)) for place in (mx.cpu(0), mx.cpu(1)))
    assert second.context == mx.cpu(1)
    np.testing.assert_array_equal(first.asnumpy(), second.asnumpy())


def test_fm_with_orthogonal_embeddings_is_logistic_regression():
    net = make("fm", SINGLE, False)
    values = randomize(net, 6)
    ids = np.array([[1, 2, 3]], np.int32)
    table = np.zeros((SIZE, K))
    table[1:4] = np.eye(3)
    net.embedding.embedding_weight.set_data(mx.nd.array(table))
    linear = values["linear.linear_weight"][1:4].sum() + values["linear.bias"][0]
    assert net(int32(ids)).asscalar() == pytest.approx(linear, abs=1e-5)


def test_deepfm_is_fm_plus_fnn_on_the_same_embeddings():
    ids = int32(some_ids(MULTI))
    deepfm, fm, fnn = (make(name, MULTI, True) for name in ("deepfm", "fm", "fnn"))
    for net in (deepfm, fm, fnn):
        randomize(net, 7)
    parameters = deepfm._collect_params_with_prefix()
    for net in (fm, fnn):
        for name, parameter in net._collect_params_with_prefix().items():
            parameter.set_data(parameters[name].data())
    np.testing.assert_allclose(deepfm(ids).asnumpy(), fm(ids).asnumpy() + fnn(ids).asnumpy(), rtol=1e-5, atol=1e-6)


def test_ipnn_without_products_in_its_first_layer_is_fnn():
    ids = int32(some_ids(SINGLE))
    ipnn, fnn = make("ipnn", SINGLE, False), make("fnn", SINGLE, False)
    randomize(ipnn, 8)
    randomize(fnn, 8)
    for name, parameter in fnn._collect_params_with_prefix().items():
        value = ipnn._collect_params_with_prefix()[name].data()
        parameter.set_data(value[:, : SINGLE.fields * K] if name == "mlp.layers.0.weight" else value)
    ipnn.mlp.layers[0].weight.data()[:, SINGLE.fields * K :] = 0
    np.testing.assert_allclose(ipnn(ids).asnumpy(), fnn(ids).asnumpy(), rtol=1e-5, atol=1e-6)


def test_ipnn_of_two_fields_does_not_normalize_its_only_product_away():
    layout = FieldLayout.single_valued(("a", "b"))
    net = make("ipnn", layout, True)
    randomize(net, 9)
    assert net.product(mx.nd.array([[[1, 2, 3], [4, 5, 6]]])).asscalar() == 32


@pytest.mark.parametrize(
    ("name", "millions"), [("lr", 1.0), ("fm", 21.0), ("fnn", 22.51), ("deepfm", 23.51), ("ipnn", 23.03)]
)
def test_parameter_counts_equal_the_papers_table_10(name, millions):
    options = {} if name == "lr" else {"embedding_size": 20}
    if name in DEEP:
        options["hidden"] = (700,) * 5
    net = create_model(name, FieldLayout.single_valued(tuple(f"f{i}" for i in range(39))), 10**6, **options)
    weights = [p for n, p in net.collect_params().items() if n.endswith("weight")]
    assert sum(np.prod(p.shape) for p in weights) / 1e6 == pytest.approx(millions, abs=0.006)


def test_names_do_not_depend_on_what_was_built_before():
    first, second = make("deepfm", MULTI, True), make("deepfm", MULTI, True)
    assert list(first.collect_params()) == list(second.collect_params())


def test_creating_a_model_imports_no_other_model():
    code = (
        "import sys; from pnn_gluon.models.registry import create_model; assert 'mxnet' not in sys.modules;"
        "from pnn_gluon.blocks.layout import FieldLayout;"
        "create_model('lr', FieldLayout(('a',), (1,)), 5);"
        "print([m for m in sys.modules if m.startswith('pnn_gluon.models.')])"
    )
    out = run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=True, text=True)
    assert out.stdout.strip() == "['pnn_gluon.models.registry', 'pnn_gluon.models.lr']"
