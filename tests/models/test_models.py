"""What holds for every model by name."""

import sys
from subprocess import run

import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, small_model, some_ids
from numpy_models import backward, gradients, int32, randomize

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import MODELS, model_options
from pnn_gluon.ops import plain_operators
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import export_model, load_exported, predict_logits

MULTI = LAYOUTS["multi"]


@pytest.mark.parametrize("name", MODELS)
def test_saved_and_loaded_model_gives_the_same_bits(name, tmp_path):
    net, ids = small_model(name, MULTI), int32(some_ids(MULTI))
    randomize(net, 4)
    net.save_parameters(str(tmp_path / "net.params"))
    other = small_model(name, MULTI)
    other.load_parameters(str(tmp_path / "net.params"))
    np.testing.assert_array_equal(net(ids).asnumpy(), other(ids).asnumpy())


@pytest.mark.parametrize("name", MODELS)
def test_exported_graph_gives_the_bits_of_plain_operators_and_equal_models_the_same_file(name, tmp_path):
    ids, files = some_ids(MULTI), []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        net = small_model(name, MULTI)
        randomize(net, 4)
        files.append([path.read_bytes() for path in export_model(net, folder, MULTI.slots)])
    assert files[0] == files[1]
    exported = predict_logits(load_exported(tmp_path / "one"), ids)
    with plain_operators():
        np.testing.assert_array_equal(exported, predict_logits(net, ids))
    net.hybridize()
    np.testing.assert_allclose(exported, predict_logits(net, ids), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_two_devices_give_the_outputs_and_gradients_of_one(name):
    net, ids = small_model(name, MULTI), some_ids(MULTI)
    randomize(net, 5)
    weights = np.random.default_rng(3).normal(size=len(ids))
    whole = backward(net, [int32(ids)], weights)
    expected = gradients(net)
    places = [mx.cpu(0), mx.cpu(1)]
    net.collect_params().reset_ctx(places)
    net.hybridize(static_alloc=True)
    parts = [slice(0, 2), slice(2, None)]
    with mx.autograd.record():
        outputs = [net(mx.nd.array(ids[p], dtype="int32", ctx=c)) for p, c in zip(parts, places, strict=True)]
        totals = [(o * mx.nd.array(weights[p], ctx=o.context)).sum() for o, p in zip(outputs, parts, strict=True)]
    mx.autograd.backward(totals)
    assert outputs[1].context == mx.cpu(1)
    np.testing.assert_allclose(np.concatenate([o.asnumpy() for o in outputs]), whole, rtol=1e-5, atol=1e-6)
    for parameter, gradient in _summed(net).items():
        np.testing.assert_allclose(gradient, expected[parameter], rtol=1e-4, atol=1e-5, err_msg=parameter)


def _summed(net):
    parameters = net._collect_params_with_prefix().items()
    return {
        name: sum(g.tostype("default").asnumpy() for g in p.list_grad())
        for name, p in parameters
        if p.grad_req != "null"
    }


@pytest.mark.parametrize("name", MODELS)
def test_padding_never_contributes(name):
    net, ids = small_model(name, MULTI), some_ids(MULTI)
    randomize(net, 6)
    before = net(int32(ids)).asnumpy()
    for parameter in net.collect_params().values():
        if parameter.shape[0] == SIZE:
            value = parameter.data().asnumpy()
            value[0] = 1e6
            parameter.set_data(mx.nd.array(value))
    np.testing.assert_array_equal(net(int32(ids)).asnumpy(), before)


NORMALIZED = [name for name in MODELS if "normalization" in model_options(name)]


@pytest.mark.parametrize("name", MODELS)
def test_starting_values_give_finite_logits_and_gradients(name):
    _check_finite(small_model(name, MULTI), some_ids(MULTI))


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("normalization", ["layer", "batch"])
@pytest.mark.parametrize("name", NORMALIZED)
def test_a_short_last_batch_with_normalization_gives_finite_gradients(name, normalization, hybrid):
    layout = FieldLayout.single_valued(tuple("abcdefgh"))  # more products than rows
    net = small_model(name, layout, normalization=normalization, **({"history": "b"} if name == "din" else {}))
    net.hybridize(active=hybrid)
    _check_finite(net, some_ids(layout, rows=2))


def _check_finite(net, ids):
    mx.random.seed(1)
    net.initialize()
    assert np.isfinite(backward(net, [int32(ids)], np.ones(len(ids)))).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients(net).values())


def test_names_do_not_depend_on_what_was_built_before():
    first, second = small_model("deepfm", MULTI), small_model("deepfm", MULTI)
    assert list(first.collect_params()) == list(second.collect_params())


def test_creating_a_model_imports_no_other_model():
    code = (
        "import sys; from pnn_gluon.models.registry import create_model; assert 'mxnet' not in sys.modules;"
        "from pnn_gluon.blocks.layout import FieldLayout;"
        "create_model('lr', FieldLayout(('a',), (1,)), 5);"
        "from pnn_gluon.models.registry import MODELS;"
        "print([name for name in MODELS if f'pnn_gluon.models.{name}' in sys.modules])"
    )
    out = run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=True, text=True)
    assert out.stdout.strip() == "['lr']"
