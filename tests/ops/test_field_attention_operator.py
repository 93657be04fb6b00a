"""Attention of fields to one another, native and plain."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from ops_checks import check_twins, check_x3
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
    found = mx.nd.pnn_field_attention(mx.nd.array(x), heads=2).asnumpy()
    tolerance = 1e-6 * max(1, scale**2)
    np.testing.assert_allclose(found, [attention(example, 2) for example in x], rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("place", range(4))
def test_not_a_number_stays_visible(place):
    x = np.ones((2, 3, 4, 5), np.float32)
    x[1, 2, place] = np.nan
    z = mx.nd.array(x.reshape((2, 3, 20)))
    z.attach_grad()
    with mx.autograd.record():
        y = mx.nd.pnn_field_attention(z)
    found = np.isnan(y.asnumpy())
    assert not found[0].any()
    assert found[1, 2].all()
    assert found[1, 0].all() == (place in {1, 2})  # keys and values reach all fields


@pytest.mark.parametrize(("shape", "heads"), [((2, 3), 1), ((2, 3, 12), 2), ((2, 3, 8), 0)])
def test_impossible_shapes_are_refused(shape, heads):
    with pytest.raises(mx.MXNetError, match=f"with heads = {heads}"):
        mx.nd.pnn_field_attention(mx.nd.ones(shape), heads=heads)


def run(x, dy, heads, precision):
    """Result and gradient of the operator."""
    assert native_operators()
    projected = mx.nd.array(x)
    projected.attach_grad()
    with mx.autograd.record():
        y = mx.nd.pnn_field_attention(projected, heads=heads, precision=precision)
    y.backward(mx.nd.array(dy))
    return y.asnumpy(), projected.grad.asnumpy()


def draw(rows, fields, heads, size):
    draws = np.random.default_rng(rows)
    x = draws.normal(size=(rows, fields, 4 * heads * size)).astype(np.float32)
    return x, draws.normal(size=(rows, fields, heads * size)).astype(np.float32)


def oracle(x, dy, heads, rounded):
    """Result and gradient in float64, of operands rounded where they are multiplied."""

    def product(subscripts, a, b):
        return np.einsum(subscripts, rounded(a), rounded(b))

    parts = np.float64(x).reshape((*x.shape[:2], 4, heads, -1))  # (B, N, 4, H, S)
    query, key, value, residual = np.moveaxis(parts, 2, 0)
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
    return y.reshape(dy.shape), np.stack(gradients, axis=2).reshape(x.shape)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 2, 2, 3), (35, 7, 3, 5), (17, 39, 2, 16), (66, 17, 1, 33)])
def test_results_and_gradients_equal_the_formula_in_every_precision(shape, precision):
    """A number beside the middle of two bfloat16 may be rounded to the other: the bound of bf16 has room for it."""
    x, dy = draw(*shape)
    rounded = (lambda z: bfloat16(np.float32(z)).astype(np.float64)) if precision == "bf16" else np.asarray
    found, wanted = run(x, dy, shape[2], precision), oracle(x, dy, shape[2], rounded)
    for one, other in zip(found, wanted, strict=True):
        assert np.linalg.norm(one - other) <= (3e-4 if precision == "bf16" else 2e-6) * np.linalg.norm(other)


def test_x3_is_float32():
    x, dy = draw(3, 5, 2, 4)
    for one, other in zip(run(x, dy, 2, "f32"), run(x, dy, 2, "x3"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bf16_hides_no_field_that_is_not_a_number():
    x, dy = draw(35, 5, 2, 3)
    x[33, 2, 2 * 6] = np.nan  # of a value of the first head
    y, gradient = run(x, dy, 2, "bf16")
    assert np.isnan(y[33, :, 0]).all()
    assert np.isnan(gradient[33]).any()
    assert not np.isnan(np.delete(y, 33, axis=0)).any()
    assert not np.isnan(np.delete(gradient, 33, axis=0)).any()


def test_bits_of_an_example_do_not_depend_on_its_neighbours():
    x, dy = draw(35, 7, 2, 5)
    for precision in PRECISIONS:
        y, gradient = run(x, dy, 2, precision)
        for some in (slice(0, 1), slice(13, 35)):
            one, other = run(x[some], dy[some], 2, precision)
            np.testing.assert_array_equal(one, y[some])
            np.testing.assert_array_equal(other, gradient[some])


def test_an_unknown_precision_is_refused():
    assert native_operators()
    with pytest.raises(mx.MXNetError, match="precision must be f32, x3 or bf16, not f16"):
        mx.nd.pnn_field_attention(mx.nd.ones((2, 3, 4)), precision="f16").wait_to_read()


def test_the_block_takes_the_precision_of_dense_layers():
    for precision in PRECISIONS:
        with dense_precision(precision):
            graph = FieldAttention(3, 2, 2)(mx.sym.var("v")).tojson()
        assert graph.count(f'precision": "{precision}"') == 2  # the projections' and its own


DIGEST = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_field_attention_operator import digest
print(digest())
"""


def digest():
    """Of results and gradients in every precision."""
    found = hashlib.sha256()
    for precision in PRECISIONS:
        for result in run(*draw(301, 7, 2, 5), 2, precision):
            found.update(result.tobytes())
    return found.hexdigest()


def digest_of_a_child(**variables):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DIGEST],
        env={**os.environ, "PYTHONPATH": os.getcwd(), **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_bits_do_not_depend_on_the_number_of_threads():
    digests = {digest_of_a_child(OMP_NUM_THREADS=threads) for threads in ("1", "2", "3")}
    assert len(digests) == 1
    assert digests.pop()


def test_emulated_tiles_give_the_bits_of_the_processors_own_words():
    if "avx512_bf16" not in outcomes(LIBRARY):
        pytest.skip("this processor does not multiply bfloat16, or PNN_GLUON_ISA forbids it")
    assert digest_of_a_child(PNN_GLUON_ISA="emulated_tiles") == digest_of_a_child(PNN_GLUON_ISA="avx512_bf16")
