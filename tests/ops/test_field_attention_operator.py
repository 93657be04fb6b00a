"""Attention of fields to one another, native and plain."""

import hashlib

import numpy as np
import pytest
from ops_checks import check_twins, check_x3, told_by_a_child
from test_dense import bfloat16

from pnn_gluon.blocks.field_attention import FieldAttention
from pnn_gluon.ops import LIBRARY, PRECISIONS, dense_precision, native_operators
from pnn_gluon.ops.trials import outcomes
from pnn_gluon.runtime import mx


@pytest.mark.parametrize(("heads", "size"), [(1, 1), (2, 16), (3, 5), (1, 33), (4, 8)])
@pytest.mark.parametrize(("rows", "fields", "inputs"), [(1, 1, 1), (3, 2, 4), (130, 7, 3), (2, 39, 20), (66, 17, 5)])
def test_native_equals_plain(rows, fields, inputs, heads, size):
    check_twins(lambda: FieldAttention(inputs, heads, size), [(rows, fields, inputs)], rtol=5e-4, atol=5e-5)


@pytest.mark.parametrize(("heads", "size"), [(1, 1), (2, 16), (4, 8)])
@pytest.mark.parametrize(("rows", "fields", "inputs"), [(3, 2, 4), (130, 7, 3), (66, 17, 5)])
def test_x3_is_as_near_as_its_16_bits_allow(rows, fields, inputs, heads, size):
    check_x3(lambda: FieldAttention(inputs, heads, size), [(rows, fields, inputs)], rtol=5e-4, atol=5e-5)


def attention(x, heads):
    """(N, 4 H S) -> (N, H S) in float64."""
    query, key, value, residual = (part.reshape(len(x), heads, -1) for part in np.split(np.float64(x), 4, axis=1))
    scores = np.einsum("ihs,jhs->hij", query, key)
    powers = np.exp(scores - scores.max(axis=2, keepdims=True))
    attended = np.einsum("hij,jhs->ihs", powers / powers.sum(axis=2, keepdims=True), value)
    return np.maximum(attended + residual, 0).reshape(len(x), -1)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_scores_of_any_size_give_the_softmax(scale):
    x = np.random.default_rng(1).normal(size=(9, 19, 4 * 2 * 5)).astype(np.float32)
    x[:, :, :20] *= scale  # queries and keys
    itself = mx.nd.eye(40)
    found = mx.nd.pnn_field_attention(mx.nd.array(x), itself, heads=2).asnumpy()
    tolerance = 1e-6 * max(1, scale**2)
    np.testing.assert_allclose(found, [attention(example, 2) for example in x], rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize(
    ("vectors", "weight", "heads"),
    [
        ((2, 3), (4, 3), 1),
        ((2, 3, 5), (12, 5), 2),
        ((2, 3, 5), (8, 5), 0),
        ((2, 3, 5), (8, 4), 1),
        ((2, 3, 5), (8,), 1),
    ],
)
def test_impossible_shapes_are_refused(vectors, weight, heads):
    with pytest.raises(mx.MXNetError, match=f"with heads = {heads}"):
        mx.nd.pnn_field_attention(mx.nd.ones(vectors), mx.nd.ones(weight), heads=heads).wait_to_read()


def run(x, weight, dy, heads, precision):
    """Result and gradients of vectors and weight of the operator."""
    assert native_operators()
    inputs = mx.nd.array(x), mx.nd.array(weight)
    for each in inputs:
        each.attach_grad()
    with mx.autograd.record():
        y = mx.nd.pnn_field_attention(*inputs, heads=heads, precision=precision)
    y.backward(mx.nd.array(dy))
    return y.asnumpy(), *(each.grad.asnumpy() for each in inputs)


def draw(rows, fields, inputs, heads, size):
    """Vectors, weight, and gradient of the result."""
    draws = np.random.default_rng(rows)
    shapes = (rows, fields, inputs), (4 * heads * size, inputs), (rows, fields, heads * size)
    x, weight, dy = (draws.normal(size=shape).astype(np.float32) for shape in shapes)
    return x, weight / np.float32(inputs) ** 0.5, dy


def oracle(x, weight, dy, heads, rounded):
    """Result and gradients in float64, of operands rounded where they are multiplied."""

    def product(subscripts, a, b):
        return np.einsum(subscripts, rounded(np.float64(a)), rounded(np.float64(b)))

    projected = product("bid,ud->biu", x, weight).reshape((*x.shape[:2], 4, heads, -1))  # (B, N, 4, H, S)
    query, key, value, residual = np.moveaxis(projected, 2, 0)
    scores = product("bihs,bjhs->bhij", query, key)
    powers = np.exp(scores - scores.max(axis=3, keepdims=True))
    attention = powers / powers.sum(axis=3, keepdims=True)
    y = np.maximum(product("bhij,bjhs->bihs", attention, value) + residual, 0)
    d = np.where(y > 0, dy.reshape(y.shape), 0.0)
    d_attention = product("bihs,bjhs->bhij", d, value)
    d_scores = attention * (d_attention - (attention * d_attention).sum(axis=3, keepdims=True))
    gradients = (
        product("bhij,bjhs->bihs", d_scores, key),
        product("bhij,bihs->bjhs", d_scores, query),
        product("bhij,bihs->bjhs", attention, d),
        d,
    )
    d_projected = np.stack(gradients, axis=2).reshape((*x.shape[:2], -1))
    d_vectors, d_weight = product("biu,ud->bid", d_projected, weight), product("biu,bid->ud", d_projected, x)
    return y.reshape(dy.shape), d_vectors, d_weight


BOUNDS = {"f32": 2e-6, "x3": 5e-5, "bf16": 1e-3}
"""Of an error in units of the result. For bf16 a number beside the middle of two may be rounded to the other one."""


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "shape", [(2, 1, 1, 1, 1), (3, 2, 5, 2, 3), (35, 7, 3, 3, 5), (17, 39, 20, 2, 16), (66, 17, 33, 1, 33)]
)
def test_results_and_gradients_equal_the_formula_in_every_precision(shape, precision):
    operands = (*draw(*shape), shape[3])
    rounded = (lambda z: bfloat16(np.float32(z)).astype(np.float64)) if precision == "bf16" else np.asarray
    for found, wanted in zip(run(*operands, precision), oracle(*operands, rounded), strict=True):
        assert np.linalg.norm(found - wanted) <= BOUNDS[precision] * np.linalg.norm(wanted)


def test_the_result_in_x3_is_that_in_float32():
    operands = (*draw(3, 5, 4, 2, 4), 2)
    for one, other in zip(run(*operands, "f32")[:2], run(*operands, "x3")[:2], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_field_that_is_not_a_number_stays_visible_in_its_example(precision):
    x, weight, dy = draw(35, 5, 3, 2, 3)
    x[33, 2, 1] = np.nan
    y, gradient, d_weight = run(x, weight, dy, 2, precision)
    assert np.isnan(y[33]).all()
    assert np.isnan(d_weight).any()
    assert not np.isnan(np.delete(y, 33, axis=0)).any()
    assert not np.isnan(np.delete(gradient, 33, axis=0)).any()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_bits_of_an_example_do_not_depend_on_its_neighbours(precision):
    x, weight, dy = draw(35, 7, 3, 2, 5)
    y, gradient, _ = run(x, weight, dy, 2, precision)
    for some in (slice(0, 1), slice(13, 35)):
        one, other, _ = run(x[some], weight, dy[some], 2, precision)
        np.testing.assert_array_equal(one, y[some])
        np.testing.assert_array_equal(other, gradient[some])


def test_an_unknown_precision_is_refused():
    assert native_operators()
    with pytest.raises(mx.MXNetError, match="precision must be f32, x3 or bf16, not f16"):
        mx.nd.pnn_field_attention(mx.nd.ones((2, 3, 4)), mx.nd.ones((8, 4)), precision="f16").wait_to_read()


def test_the_block_takes_the_precision_of_dense_layers():
    for precision in PRECISIONS:
        with dense_precision(precision):
            assert f'precision": "{precision}"' in FieldAttention(3, 2, 2)(mx.sym.var("v")).tojson()


DIGEST = "from test_field_attention_operator import digests; print(*digests())"


def digests():
    """Of result and gradient of the vectors in every precision, and of all gradients."""
    of_examples, of_all = hashlib.sha256(), hashlib.sha256()
    for precision in PRECISIONS:
        y, d_vectors, d_weight = run(*draw(1300, 7, 3, 2, 5), 2, precision)
        of_examples.update(y.tobytes() + d_vectors.tobytes())
        of_all.update(d_weight.tobytes())
    return of_examples.hexdigest(), of_examples.hexdigest() + of_all.hexdigest()


def test_bits_do_not_depend_on_the_number_of_threads():
    """One thread takes blocks of 9100 rows for the gradient of the weight, three take its rows."""
    found = {told_by_a_child(DIGEST, OMP_NUM_THREADS=threads).split()[1] for threads in ("1", "2", "3")}
    assert len(found) == 1


def test_emulated_tiles_give_examples_the_bits_of_the_processors_own_words():
    if "avx512_bf16" not in outcomes(LIBRARY):
        pytest.skip("this processor does not multiply bfloat16, or PNN_GLUON_ISA forbids it")
    emulated, own = (told_by_a_child(DIGEST, PNN_GLUON_ISA=isa).split()[0] for isa in ("emulated_tiles", "avx512_bf16"))
    assert emulated == own
