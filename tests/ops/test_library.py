"""The library of native operators: what serves when, and what does not depend on threads or instruction sets."""

import json

import numpy as np
import pytest
from ops_checks import told_by_a_child

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.normalization import LayerNorm
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model
from pnn_gluon.ops import library_state, native_operators, operators, plain_operators, refuse_added_gradients
from pnn_gluon.runtime import mx

DIGESTS = """
import hashlib, json
from pnn_gluon.blocks.compressed_interaction import CompressedInteraction
from pnn_gluon.blocks.cross_network import CrossNetwork
from pnn_gluon.blocks.field_attention import FieldAttention
from pnn_gluon.blocks.field_aware_product import FieldAwareProduct
from pnn_gluon.blocks.inner_product import InnerProduct
from pnn_gluon.blocks.kernel_product import KernelProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.blocks.normalization import LayerNorm
from pnn_gluon.blocks.pair_network import PairNetwork
from pnn_gluon.ops import operators
from pnn_gluon.runtime import mx

layout = FieldLayout.single_valued(tuple("abcdefg"))
blocks = [
    (LayerNorm(37, "relu"), (301, 37)),
    (MLP(1100, MLPOptions((70, 33))), (301, 1100)),
    (MLP(33, MLPOptions((70,), normalization="none"), 5), (301, 33)),
    (InnerProduct(layout), (301, 7, 5)),
    (CrossNetwork(37, 3), (301, 37)),
    (CompressedInteraction(layout, 5, (33, 4, 2)), (301, 7, 5)),
    (FieldAttention(5, 2, 3), (301, 7, 5)),
    (FieldAwareProduct(layout, 5), (301, 7, 30)),
    *((KernelProduct(layout, 5, kernel), (301, 7, 5)) for kernel in ("matrix", "vector", "number")),
    *((PairNetwork(layout, 5, 9, 2, normalization=name), (301, 7, 5)) for name in ("fused", "layer", "none")),
]
found = {"operators": operators()}
for block, shape in blocks:
    mx.random.seed(1)
    block.initialize()
    x = mx.nd.random.normal(shape=shape)
    x.attach_grad()
    with mx.autograd.record():
        y = block(x)
    y.backward(mx.nd.random.normal(shape=y.shape))
    gradients = [p.grad() for p in block.collect_params().values() if p.grad_req != "null"]
    found[block.name] = hashlib.sha256(b"".join(z.asnumpy().tobytes() for z in (y, x.grad, *gradients))).hexdigest()
print(json.dumps(found))
"""


def digests(**variables):
    return json.loads(told_by_a_child(DIGESTS, **variables))


@pytest.mark.parametrize(
    ("isa", "precision"),
    [
        ("amx", "f32"),
        ("emulated_tiles", "x3"),
        *(pytest.param(*both, marks=pytest.mark.long) for both in [("amx", "x3"), ("amx", "bf16"), ("avx2", "f32")]),
        pytest.param("emulated_tiles", "bf16", marks=pytest.mark.long),
    ],
)
def test_bits_do_not_depend_on_the_number_of_threads(isa, precision):
    """Under the widest instruction set up to this one."""
    how = {"PNN_GLUON_ISA": isa, "PNN_GLUON_PRECISION": precision}
    assert digests(OMP_NUM_THREADS="1", **how) == digests(OMP_NUM_THREADS="3", **how)


def test_a_narrower_instruction_set_and_plain_operators_can_be_asked_for():
    assert digests(PNN_GLUON_ISA="baseline")["operators"] == "baseline"
    assert digests(PNN_GLUON_OPERATORS="plain")["operators"] == "plain"


LOAD = """
from pnn_gluon.runtime import mx
from pnn_gluon.ops import library_state
dots, known = (mx.nd.dot, mx.sym.dot), set(dir(mx.nd))
assert library_state() == "loaded"
assert (mx.nd.dot, mx.sym.dot) == dots
for module in (mx.nd, mx.nd.op, mx.sym, mx.sym.op):
    print(*sorted(name for name in dir(module) if "pnn_" in name))
print(*sorted(set(dir(mx.nd)) - known))
"""


def test_loading_adds_the_librarys_operators_and_makes_no_others_anew():
    added = set(told_by_a_child(LOAD).splitlines())
    assert len(added) == 1
    assert {"pnn_dense", "pnn_embedding", "pnn_layer_norm"} <= set(added.pop().split())


def test_a_library_that_was_not_built_leaves_plain_operators(monkeypatch, tmp_path):
    monkeypatch.setattr("pnn_gluon.ops.LIBRARY", tmp_path / "_native.so")
    library_state.cache_clear()
    try:
        assert library_state().startswith("not built")
        assert not native_operators()
        assert operators() == "plain"
    finally:
        library_state.cache_clear()


def test_a_damaged_library_leaves_plain_operators(monkeypatch, tmp_path):
    (tmp_path / "_native.so").write_bytes(b"no library")
    monkeypatch.setattr("pnn_gluon.ops.LIBRARY", tmp_path / "_native.so")
    library_state.cache_clear()
    try:
        assert library_state().startswith("cannot be loaded")
        assert not native_operators()
    finally:
        library_state.cache_clear()


def test_plain_operators_serve_within_their_context_only():
    net = LayerNorm(3)
    names = []
    for context in (plain_operators, None):
        if context is None:
            names.append(net(mx.sym.var("x")).get_internals().list_outputs()[-1])
        else:
            with context():
                names.append(net(mx.sym.var("x")).get_internals().list_outputs()[-1])
    assert ["pnn_layer_norm" in name for name in names] == [False, True]


def test_parameters_that_add_up_gradients_are_refused():
    net = create_model("fnn", FieldLayout.single_valued(("a", "b")), 5, embedding_size=2, hidden=(3,))
    refuse_added_gradients(net)
    next(iter(net.collect_params("mlp.*|.*weight").values())).grad_req = "add"
    with pytest.raises(ConfigError, match="grad_req = 'add'"):
        refuse_added_gradients(net)
    with plain_operators():
        refuse_added_gradients(net)


def test_other_types_are_refused_with_a_reason():
    x = mx.nd.array(np.ones((2, 3)), dtype="float64")
    with pytest.raises(mx.MXNetError, match="float32 only"):
        mx.nd.pnn_layer_norm(x, mx.nd.ones((3,), dtype="float64"), mx.nd.ones((3,), dtype="float64")).wait_to_read()
