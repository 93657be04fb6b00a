import ctypes

import numpy as np
import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.dense import Dense
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import LIBRARY, chosen_precision, dense_precision, native_operators, operators, plain_operators
from pnn_gluon.runtime import mx
from pnn_gluon.training.options import TrainingOptions

SHAPES = [(1, 1, 1), (3, 5, 7), (2, 40, 3), (14, 32, 32), (15, 33, 33), (100, 700, 50), (37, 2500, 70), (6, 65, 129)]
SHAPES += [(17000, 3, 6)]
"""(B, inputs, units): one of each, odd ones, whole blocks and a little more, several blocks along each axis."""


def bfloat16(x):
    """The nearest bfloat16, ties to even, as float64."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(np.float64)


def run_dense(operands, **options):
    """Output and gradients of `pnn_dense`; the output's gradient is the last operand."""
    assert native_operators()
    *inputs, dy = [mx.nd.array(x) for x in operands]
    for array in inputs:
        array.attach_grad()
    with mx.autograd.record():
        y = mx.nd.pnn_dense(*inputs, **options)
    y.backward(dy)
    return [array.asnumpy() for array in (y, *(array.grad for array in inputs))]


def oracle(operands, active, rounded):
    """The same in float64, of operands rounded as the precision rounds them; `active` is where ReLU passes."""
    x, weight, bias, dy = (np.asarray(v, np.float64) for v in operands)
    d = dy * active
    y = (rounded(x) @ rounded(weight).T + bias) * active
    return [y, rounded(d) @ rounded(weight), rounded(d).T @ rounded(x), d.sum(axis=0)]


def worst_error(shape, activation, precision, seed=1):
    """Largest error of output and gradients, each in units of its largest number."""
    rows, inputs, units = shape
    draws = np.random.default_rng(seed)
    sizes = ((rows, inputs), (units, inputs), (units,), (rows, units))
    operands = [draws.normal(size=size).astype(np.float32) for size in sizes]
    found = run_dense(operands, units=units, activation=activation, precision=precision)
    active = found[0] > 0 if activation == "relu" else np.ones_like(found[0])
    rounded = bfloat16 if precision == "bf16" and units > 4 else lambda v: v
    expected = oracle(operands, active, rounded)
    return max(np.abs(f - e).max() / max(np.abs(e).max(), 1e-30) for f, e in zip(found, expected, strict=True))


BOUNDS = {"f32": 3e-6, "x3": 3e-5, "bf16": 3e-6}


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_and_gradients_equal_the_formula(shape, activation, precision):
    assert worst_error(shape, activation, precision) < BOUNDS[precision]


@pytest.fixture
def emulated_tiles():
    """AMX's tiles in memory serve; afterwards what served before."""
    assert native_operators()
    library, before = ctypes.CDLL(str(LIBRARY)), operators()
    assert library.pnn_use(b"emulated_tiles")
    yield
    assert library.pnn_use(before.encode())


def without_denormals(v):
    v = v.astype(np.float32)
    return np.where(np.abs(v) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), v), v)


def tdpbf16ps(total, x, weight):
    """The tile `total` + x weight^T as AMX adds: even and odd numbers apart, fused, from 0; denormal numbers are 0."""
    sums = [np.zeros_like(total) for _ in range(2)]
    for k in range(x.shape[1]):
        sums[k % 2] = without_denormals(sums[k % 2] + np.outer(x[:, k], weight[:, k]))
    return without_denormals(total + without_denormals(sums[0] + sums[1]))


def by_tiles(x, weight, precision):
    """x weight^T as tiles compute it: 32 numbers at a time; x3 adds low high, high high, high low of them."""
    (x, x_low), (weight, weight_low) = (
        (without_denormals(high := bfloat16(v)).astype(np.float64), without_denormals(bfloat16(v - high)).astype(float))
        for v in (x, weight)
    )
    pairs = [(x_low, weight), (x, weight), (x, weight_low)] if precision == "x3" else [(x, weight)]
    total = np.zeros((len(x), len(weight)), np.float32)
    for begin in range(0, x.shape[1], 32):
        for left, right in pairs:
            total = tdpbf16ps(total, left[:, begin : begin + 32], right[:, begin : begin + 32])
    return total


@pytest.mark.parametrize("scale", [1.0, 1e-19])
@pytest.mark.parametrize("inputs", [150, 2100])
@pytest.mark.parametrize("precision", ["bf16", "x3"])
@pytest.mark.usefixtures("emulated_tiles")
def test_emulated_tiles_give_the_bits_of_the_instruction(precision, inputs, scale):
    draws = np.random.default_rng(5)
    x, weight = (scale * draws.normal(size=(rows, inputs)).astype(np.float32) for rows in (21, 37))
    operands = [mx.nd.array(v) for v in (x, weight, np.zeros(37))]
    found = mx.nd.pnn_dense(*operands, units=37, precision=precision).asnumpy()
    np.testing.assert_array_equal(found, by_tiles(x, weight, precision))
    assert (found == 0).any() == (scale < 1)  # where products are denormal


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("inputs", [33, 2500])
def test_the_bits_of_a_row_do_not_depend_on_how_many_there_are(inputs, precision):
    draws = np.random.default_rng(6)
    x, weight, bias = (mx.nd.array(draws.normal(size=shape)) for shape in ((150, inputs), (70, inputs), (70,)))
    all_rows = mx.nd.pnn_dense(x, weight, bias, units=70, precision=precision).asnumpy()
    for rows in (1, 7, 29, 70):
        few = mx.nd.pnn_dense(x[:rows], weight, bias, units=70, precision=precision).asnumpy()
        np.testing.assert_array_equal(few, all_rows[:rows])


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("shape", [(3, 5, 7), (6, 5, 2)])
def test_the_block_equals_its_plain_twin(shape, activation):
    rows, inputs, units = shape
    check_twins(lambda: Dense(units, inputs, activation), [(rows, inputs)])
    check_twins(lambda: Dense(units, inputs, activation), [(rows, 2, inputs)])
    check_twins(lambda: Dense(units, inputs, activation, bias=False), [(rows, inputs)])


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("units", [3, 50])
@pytest.mark.parametrize("rows", [1, 150])
def test_parts_have_the_bits_of_one_input(rows, units, precision):
    draws = np.random.default_rng(8)
    widths = (1, 40, 2100, 33)
    parts = [draws.normal(size=(rows, width)).astype(np.float32) for width in widths]
    weight, bias, dy = (draws.normal(size=s).astype(np.float32) for s in ((units, sum(widths)), units, (rows, units)))
    how = {"units": units, "activation": "relu", "precision": precision}
    y, dx, *others = run_dense([np.hstack(parts), weight, bias, dy], **how)
    found = run_dense([*parts, weight, bias, dy], parts=len(parts), **how)
    for one, other in zip(found, [y, *np.split(dx, np.cumsum(widths)[:-1], axis=1), *others], strict=True):
        np.testing.assert_array_equal(one, other)


def test_parts_of_other_rows_are_refused():
    operands = [mx.nd.ones(shape) for shape in ((2, 3), (3, 3), (5, 6), (5,))]
    with pytest.raises(mx.MXNetError, match="parts of x must have the same axes"):
        mx.nd.pnn_dense(*operands, units=5, parts=2).wait_to_read()
    with pytest.raises(mx.MXNetError, match="parts must be 1 or more, not 0"):
        mx.nd.pnn_dense(*operands, units=5, parts=0).wait_to_read()


def test_not_a_number_is_not_hidden():
    x, weight, bias = np.ones((20, 40), np.float32), np.ones((9, 40), np.float32), np.zeros(9, np.float32)
    x[3, 7] = np.nan
    for precision in BOUNDS:
        for units in (9, 2):
            y = mx.nd.pnn_dense(
                *(mx.nd.array(v) for v in (x, weight[:units], bias[:units])),
                units=units,
                activation="relu",
                precision=precision,
            ).asnumpy()
            assert np.isnan(y[3]).all()
            assert np.isfinite(np.delete(y, 3, axis=0)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "units must be 1 or more, not 0"),
        ({"units": 2, "activation": "tanh"}, "activation must be identity or relu, not tanh"),
        ({"units": 2, "precision": "f16"}, "precision must be f32, x3 or bf16, not f16"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(mx.MXNetError, match=message):
        mx.nd.pnn_dense(mx.nd.ones((2, 3)), mx.nd.ones((2, 3)), mx.nd.ones((2,)), **options).wait_to_read()


def test_precision_is_what_was_asked_for(monkeypatch):
    monkeypatch.delenv("PNN_GLUON_PRECISION", raising=False)
    default = "x3" if operators() == "amx" else "f32"
    assert chosen_precision() == default
    with dense_precision("bf16"):
        assert chosen_precision() == "bf16"
        net = Dense(8, 3)
        graph = net(mx.sym.var("x"))
        assert 'precision": "bf16"' in graph.tojson()
        with plain_operators():
            assert chosen_precision() == "f32"
    monkeypatch.setenv("PNN_GLUON_PRECISION", "x3")
    assert chosen_precision() == "x3"
    with dense_precision("f32"):
        assert chosen_precision() == "f32"
    monkeypatch.setenv("PNN_GLUON_PRECISION", "f16")
    with pytest.raises(ConfigError, match="not 'f16'"):
        chosen_precision()


def test_precision_that_cannot_be_had_is_refused():
    with (
        plain_operators(),
        pytest.raises(ConfigError, match="'bf16' needs the native operators"),
        dense_precision("bf16"),
    ):
        pass
    with pytest.raises(ConfigError, match="not 'f16'"), dense_precision("f16"):
        pass
    with pytest.raises(ConfigError, match="precision 'x3' is for the CPU"):
        TrainingOptions(precision="x3", device="gpu")
