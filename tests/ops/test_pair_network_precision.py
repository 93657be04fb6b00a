"""Pair networks in every precision, against their equations in float64 on operands rounded as the precision does."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from test_dense import bfloat16

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pair_network import SUBNET_NORMALIZATIONS, PairNetwork
from pnn_gluon.ops import dense_precision, native_operators
from pnn_gluon.runtime import mx

SIZES = [(2, 2, 1, 5, 1), (5, 4, 3, 5, 1), (33, 3, 17, 19, 3), (70, 3, 5, 7, 2), (97, 2, 21, 33, 5)]
"""B, N, K, H, D: words with and without a second number, parts of tiles and more than one of rows."""

BOUNDS = {"f32": 1e-5, "x3": 1e-4, "bf16": 5e-4}
"""Of the relative error of an output or gradient as a whole. bf16 rounds u's gradient, which is of float32: where that
is near the middle between two bfloat16, the other one may be taken."""


def draw(size, normalization, products, seed):
    """Operands by name and the gradient of the output, float32."""
    b, n, k, h, d = size
    pairs, x = n * (n - 1) // 2, k * (3 if products else 2)
    gain = {"fused": (h,), "layer": (pairs, h)}.get(normalization)
    shapes = {"v": (b, n, k), "w1": (pairs, x, h), "b1": (pairs, h), "w2": (pairs, h, d), "b2": (pairs, d)}
    shapes |= {"gamma": gain, "beta": gain} if gain else {}
    draws = np.random.default_rng(seed)
    operands = {name: draws.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return operands, draws.normal(size=(b, pairs * d)).astype(np.float32)


def oracle(operands, df, rounded, normalization, products, epsilon=1e-5):
    """Output, gradients by name, and the size of the hidden unit that is nearest to ReLU's corner."""
    o = {name: x.astype(np.float64) for name, x in operands.items()}
    v, (b, n, k) = o["v"], operands["v"].shape
    pairs = [(i, j) for j in range(1, n) for i in range(j)]
    df = df.astype(np.float64).reshape(b, len(pairs), -1)
    x = [np.concatenate([v[:, i], v[:, j], *([v[:, i] * v[:, j]] if products else [])], axis=1) for i, j in pairs]
    x, w1 = rounded(np.stack(x, axis=1)), rounded(o["w1"])
    u = np.einsum("bpx,pxh->bph", x, w1) + o["b1"]
    axes = {"fused": (1, 2), "layer": (2,)}.get(normalization)
    gamma, beta = o.get("gamma", np.ones(1)), o.get("beta", np.zeros(1))
    mean = u.mean(axis=axes, keepdims=True) if axes else 0.0
    scale = 1 / np.sqrt(u.var(axis=axes, keepdims=True) + epsilon) if axes else 1.0
    xhat = (u - mean) * scale
    z = xhat * gamma + beta
    y = np.maximum(z, 0)
    f = np.einsum("bph,phd->bpd", y, o["w2"]) + o["b2"]
    dz = np.einsum("bpd,phd->bph", df, o["w2"]) * (z > 0)
    d = dz * gamma
    if axes:
        d = scale * (d - d.mean(axis=axes, keepdims=True) - xhat * (d * xhat).mean(axis=axes, keepdims=True))
    dx = np.einsum("bph,pxh->bpx", rounded(d), w1)
    dv = np.zeros_like(v)
    for p, (i, j) in enumerate(pairs):
        dv[:, i] += dx[:, p, :k] + (dx[:, p, 2 * k :] * v[:, j] if products else 0)
        dv[:, j] += dx[:, p, k : 2 * k] + (dx[:, p, 2 * k :] * v[:, i] if products else 0)
    found = {"f": f.reshape(b, -1), "v": dv, "w1": np.einsum("bpx,bph->pxh", x, rounded(d)), "b1": d.sum(axis=0)}
    found |= {"w2": np.einsum("bph,bpd->phd", y, df), "b2": df.sum(axis=0)}
    if axes:
        over = (0, 1) if normalization == "fused" else 0
        found |= {"gamma": (dz * xhat).sum(axis=over), "beta": dz.sum(axis=over)}
    return found, np.abs(z).min()


def run(operands, df, **options):
    """The same by the operator."""
    assert native_operators()
    arrays = {name: mx.nd.array(x) for name, x in operands.items()}
    for array in arrays.values():
        array.attach_grad()
    with mx.autograd.record():
        result = mx.nd.pnn_pair_network(*arrays.values(), **options)
        f = result[0] if isinstance(result, list) else result
    f.backward(mx.nd.array(df))
    return {"f": f.asnumpy(), **{name: array.grad.asnumpy() for name, array in arrays.items()}}


def operands_away_from_the_corner(size, normalization, products):
    """Operands whose hidden units ReLU treats alike in every precision but bf16, which has an oracle of its own."""
    for seed in range(1, 200):
        operands, df = draw(size, normalization, products, seed)
        distances = (oracle(operands, df, how, normalization, products)[1] for how in (np.asarray, bfloat16))
        if min(distances) > 2e-5 * size[2]:
            return operands, df
    raise AssertionError("no such operands")


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("products", [True, False])
@pytest.mark.parametrize("normalization", SUBNET_NORMALIZATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_outputs_and_gradients_equal_the_equations(size, normalization, products, precision):
    operands, df = operands_away_from_the_corner(size, normalization, products)
    found = run(operands, df, normalization=normalization, products=int(products), precision=precision)
    rounded = bfloat16 if precision == "bf16" else np.asarray
    expected, _ = oracle(operands, df, rounded, normalization, products)
    for name, wanted in expected.items():
        error = np.linalg.norm(found[name] - wanted) / max(np.linalg.norm(wanted), 1e-3)
        assert error < BOUNDS[precision], name


@pytest.mark.parametrize("precision", BOUNDS)
def test_a_vector_that_is_not_a_number_is_seen_where_it_counts(precision):
    operands, df = draw((70, 4, 3, 5, 2), "layer", True, 1)
    operands["v"][67, 1, 0] = np.nan  # in the second tile
    found = run(operands, df, normalization="layer", precision=precision)
    with_field = np.array([True, False, True, False, True, False])  # 12, 13, 23, 14, 24, 34
    np.testing.assert_array_equal(np.isnan(found["f"][67]).reshape(6, 2), np.stack([with_field] * 2, axis=1))
    np.testing.assert_array_equal(np.isnan(found["w1"]).any(axis=(1, 2)), with_field)
    assert not np.isnan(np.delete(found["f"], 67, axis=0)).any()
    assert not np.isnan(np.delete(found["v"], 67, axis=0)).any()
    assert np.isnan(found["v"][67]).any()


def test_an_unknown_precision_is_refused():
    assert native_operators()
    operands, _ = draw((3, 2, 3, 5, 2), "none", True, 1)
    with pytest.raises(mx.MXNetError, match="precision must be f32, x3 or bf16, not f16"):
        mx.nd.pnn_pair_network(
            *map(mx.nd.array, operands.values()), normalization="none", precision="f16"
        ).wait_to_read()


def test_the_block_takes_the_precision_of_dense_layers():
    net = PairNetwork(FieldLayout.single_valued(("a", "b", "c")), 4, 5, 2)
    for precision in BOUNDS:
        with dense_precision(precision):
            assert f'precision": "{precision}"' in net(mx.sym.var("v")).tojson()


DIGEST = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_pair_network_precision import digest
print(digest())
"""


def digest():
    """Of outputs and gradients in every precision."""
    found = hashlib.sha256()
    for precision in BOUNDS:
        for normalization in SUBNET_NORMALIZATIONS:
            operands, df = draw((301, 5, 7, 9, 2), normalization, True, 1)
            for result in run(operands, df, normalization=normalization, precision=precision).values():
                found.update(result.tobytes())
    return found.hexdigest()


def test_bits_do_not_depend_on_the_number_of_threads():
    digests = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", DIGEST],
            env={**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "3")
    ]
    assert len(set(digests)) == 1
    assert digests[0]
