"""`pnn_normalized_dense`: a dense layer that normalizes what it reads, forward and back."""

import hashlib

import numpy as np
import pytest
from ops_checks import check_twins, told_by_a_child

from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.ops import dense_precision, native_operators, plain_operators
from pnn_gluon.runtime import mx

EPSILON = 1e-5
SHAPES = [(1, 1, 1), (3, 5, 7), (15, 33, 2), (31, 16, 33), (100, 700, 50), (70, 2500, 9), (1100, 65, 40), (129, 20, 4)]
"""(B, inputs, units): few units and many, rows of several runs, rows longer than a block of a product."""
BOUNDS = {"f32": 2e-5, "x3": 2e-4, "bf16": 4e-2}
"""Of the largest error, in units of the largest number: bfloat16 operands are right to 2^-8 each."""


def draw(shape, seed=1):
    """x, shift, gamma, beta, weight, bias and the output's gradient."""
    rows, inputs, units = shape
    draws = np.random.default_rng(seed)
    sizes = ((rows, inputs), (inputs,), (inputs,), (inputs,), (units, inputs), (units,), (rows, units))
    return [draws.normal(size=size).astype(np.float32) for size in sizes]


def run(operands, units, precision, biased):
    """Output and gradients."""
    assert native_operators()
    *inputs, dy = [mx.nd.array(v) for v in operands]
    inputs = inputs if biased else inputs[:-1]
    for array in inputs:
        array.attach_grad()
    with mx.autograd.record():
        how = {"units": units, "epsilon": EPSILON, "precision": precision, "no_bias": int(not biased)}
        y = mx.nd.pnn_normalized_dense(*inputs, **how)
    y.backward(dy)
    return [array.asnumpy() for array in (y, *(array.grad for array in inputs))]


def oracle(operands, biased):
    """The same by the formulas, in float64."""
    x, shift, gamma, beta, weight, bias, dy = (np.asarray(v, np.float64) for v in operands)
    z = x + shift
    centred = z - z.mean(axis=1, keepdims=True)
    scale = 1 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
    hat = centred * scale
    h = np.maximum(hat * gamma + beta, 0)
    d = (dy @ weight) * (h > 0)
    t = d * gamma
    dx = scale * (t - t.mean(axis=1, keepdims=True) - hat * (t * hat).mean(axis=1, keepdims=True))
    y = h @ weight.T + (bias if biased else 0)
    gradients = [dx, dx.sum(axis=0), (d * hat).sum(axis=0), d.sum(axis=0), dy.T @ h]
    return [y, *gradients, *([dy.sum(axis=0)] if biased else [])]


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_gradients_equal_the_formula(shape, biased, precision):
    operands = draw(shape)
    found, expected = run(operands, shape[2], precision, biased), oracle(operands, biased)
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() <= BOUNDS[precision] * max(np.abs(other).max(), 1e-2)


@pytest.mark.parametrize("hidden", [(9,), (16, 5), (33, 40, 3)])
def test_a_network_equals_its_plain_twin(hidden):
    check_twins(lambda: MLP(6, MLPOptions(hidden)), [(70, 6)])


def test_parts_side_by_side_are_one_input():
    check_twins(lambda: MLP(9, MLPOptions((12, 7))), [(40, 2), (40, 6), (40, 1)])
    check_twins(lambda: MLP(9, MLPOptions(())), [(40, 2), (40, 6), (40, 1)])


def two_operators(operands, units, precision):
    """What `run` returns, by layer normalization and then a dense layer."""
    *inputs, dy = [mx.nd.array(v) for v in operands]
    for array in inputs:
        array.attach_grad()
    with mx.autograd.record():
        x, shift, gamma, beta, weight, bias = inputs
        h = mx.nd.pnn_layer_norm(mx.nd.broadcast_add(x, shift), gamma, beta, epsilon=EPSILON, activation="relu")
        y = mx.nd.pnn_dense(h, weight, bias, units=units, precision=precision)
    y.backward(dy)
    return [array.asnumpy() for array in (y, *(array.grad for array in inputs))]


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("shape", [(150, 70, 33), (150, 70, 3), (70, 1100, 40)])
def test_it_is_two_operators_to_the_bit_but_for_the_order_of_sums_over_rows(shape, precision):
    operands = draw(shape)
    found, expected = run(operands, shape[2], precision, True), two_operators(operands, shape[2], precision)
    summed = (2, 3, 4)  # gradients of shift, gamma and beta
    for i, (one, other) in enumerate(zip(found, expected, strict=True)):
        if i in summed:
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("precision", BOUNDS)
def test_the_bits_of_a_row_do_not_depend_on_how_many_there_are(precision):
    *inputs, _ = map(mx.nd.array, draw((150, 70, 33)))
    how = {"units": 33, "epsilon": EPSILON, "precision": precision}
    all_rows = mx.nd.pnn_normalized_dense(*inputs, **how).asnumpy()
    for rows in (1, 7, 29):
        few = mx.nd.pnn_normalized_dense(inputs[0][:rows], *inputs[1:], **how).asnumpy()
        np.testing.assert_array_equal(few, all_rows[:rows])


DIGEST = """
import hashlib
from test_normalized_dense import draw, run
digest = hashlib.sha256()
for precision in ("f32", "x3", "bf16"):
    for shape in ((1100, 65, 40), (70, 300, 3)):
        for array in run(draw(shape), shape[2], precision, True):
            digest.update(array.tobytes())
print(digest.hexdigest())
"""


@pytest.mark.parametrize("kind", ["", "avx2", "emulated_tiles"])
def test_bits_do_not_depend_on_the_number_of_threads(kind):
    variables = {"PNN_GLUON_ISA": kind} if kind else {}
    digests = {told_by_a_child(DIGEST, OMP_NUM_THREADS=threads, **variables).strip() for threads in ("1", "2", "3")}
    assert len(digests) == 1
    assert len(digests.pop()) == len(hashlib.sha256().hexdigest())


def test_not_a_number_is_not_hidden():
    x, shift, gamma, beta, weight, bias, _ = draw((20, 40, 9))
    x[3, 7] = np.nan
    for precision in BOUNDS:
        for units in (9, 2):
            arrays = [mx.nd.array(v) for v in (x, shift, gamma, beta, weight[:units], bias[:units])]
            y = mx.nd.pnn_normalized_dense(*arrays, units=units, epsilon=EPSILON, precision=precision).asnumpy()
            assert np.isnan(y[3]).all()
            assert np.isfinite(np.delete(y, 3, axis=0)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"units": 0}, "units must be 1 or more, not 0"), ({"units": 2, "precision": "f16"}, "not f16")],
)
def test_unknown_options_are_refused(options, message):
    operands = [mx.nd.ones(shape) for shape in ((2, 3), (3,), (3,), (3,), (2, 3), (2,))]
    with pytest.raises(mx.MXNetError, match=message):
        mx.nd.pnn_normalized_dense(*operands, **options).wait_to_read()


def test_a_network_stores_no_normalized_units():
    net = MLP(6, MLPOptions((8, 5)))
    with dense_precision("bf16"):
        graph = net(mx.sym.var("a"), mx.sym.var("b")).tojson()
    assert graph.count('"op": "pnn_normalized_dense"') == 2
    assert "LayerNorm" not in graph
    assert "pnn_layer_norm" not in graph
    with plain_operators():
        plain = net(mx.sym.var("a")).tojson()
    assert plain.count('"op": "LayerNorm"') == 2
