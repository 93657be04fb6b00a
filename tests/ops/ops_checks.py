"""What every native operator is held to: the outputs and gradients of its plain twin."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from pnn_gluon.ops import dense_precision, library_state, native_operators, plain_operators
from pnn_gluon.runtime import mx


def told_by_a_child(program, **variables):
    """What a process prints that runs a program in Python with these variables; it may import what tests here do."""
    path = os.pathsep.join([os.getcwd(), str(Path(__file__).parent)])
    command, env = [sys.executable, "-W", "ignore", "-c", program], {**os.environ, "PYTHONPATH": path, **variables}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def check_twins(make, shapes, *, seed=1, rtol=2e-4, atol=2e-5, hybrids=(False, True)):
    """The block of `make()` gives the same outputs and gradients with native as with plain operators.

    Inputs are normal numbers of the given shapes; parameters are drawn anew, so that none is 0 or 1 all over. Dense
    products are float32.
    """
    assert library_state() == "loaded"
    draws = np.random.default_rng(seed)
    inputs = [draws.normal(size=shape).astype(np.float32) for shape in shapes]
    values = None
    for hybrid in hybrids:
        with plain_operators():
            values, expected = _run(make(), inputs, values, draws, hybrid=False)
        assert native_operators()
        with dense_precision("f32"):
            _, found = _run(make(), inputs, values, draws, hybrid=hybrid)
        assert expected.keys() == found.keys()
        for name, wanted in expected.items():
            scale = max(1.0, float(np.abs(wanted).max())) if wanted.size else 1.0
            np.testing.assert_allclose(found[name], wanted, rtol=rtol, atol=atol * scale, err_msg=name)


def check_x3(make, shapes, *, seed=1, rtol=2e-4, atol=2e-5):
    """In precision x3 the block is as far from its plain twin as operands changed in their last of 16 bits bring it.

    x3 counts 16 bits of each operand of a dense product, so that its result is that of operands within 2^-16 of theirs;
    what this does to a block is measured, on the plain twin. Four times the largest of eight draws bounds it, and the
    tolerance of float32 comes on top.
    """
    draws = np.random.default_rng(seed)
    inputs = [draws.normal(size=shape).astype(np.float32) for shape in shapes]
    with plain_operators():
        values, expected = _run(make(), inputs, None, draws, hybrid=False)
        changed = [_run(make(), *_changed(inputs, values, draws), draws, hybrid=False)[1] for _ in range(8)]
    with dense_precision("x3"):
        _, found = _run(make(), inputs, values, draws, hybrid=False)
    for name, wanted in expected.items():
        moved = max(float(np.abs(results[name] - wanted).max()) for results in changed)
        bound = 4 * moved + atol * max(1.0, float(np.abs(wanted).max())) + rtol * np.abs(wanted)
        assert (np.abs(found[name] - wanted) <= bound).all(), name


def _changed(inputs, values, draws):
    def change(x):
        return x * (1 + 2.0**-16 * draws.choice([-1, 1], x.shape)).astype(np.float32)

    return [change(x) for x in inputs], {name: change(x) for name, x in values.items()}


def _run(block, inputs, values, draws, hybrid):
    block.initialize()
    parameters = block._collect_params_with_prefix()
    if values is None:
        values = {name: draws.normal(size=p.shape).astype(np.float32) for name, p in parameters.items()}
    for name, parameter in parameters.items():
        if parameter.grad_req != "null":
            parameter.set_data(mx.nd.array(values[name]))
    if hybrid:
        block.hybridize(static_alloc=True)
    arrays = [mx.nd.array(x) for x in inputs]
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        output = block(*arrays)
    weights = np.random.default_rng(0).normal(size=output.shape).astype(np.float32)
    output.backward(mx.nd.array(weights))
    results = {"output": output.asnumpy()}
    results |= {f"gradient of input {i}": array.grad.asnumpy() for i, array in enumerate(arrays)}
    trained = {name: p for name, p in parameters.items() if p.grad_req != "null"}
    return values, results | {f"gradient of {name}": p.grad().asnumpy() for name, p in trained.items()}
