"""What every native operator is held to: the outputs and gradients of its plain twin."""

import numpy as np

from pnn_gluon.ops import library_state, native_operators, plain_operators
from pnn_gluon.runtime import mx


def check_twins(make, shapes, *, seed=1, rtol=2e-4, atol=2e-5, hybrids=(False, True)):
    """The block of `make()` gives the same outputs and gradients with native as with plain operators.

    Inputs are normal numbers of the given shapes; parameters are drawn anew, so that none is 0 or 1 all over.
    """
    assert library_state() == "loaded"
    draws = np.random.default_rng(seed)
    inputs = [draws.normal(size=shape).astype(np.float32) for shape in shapes]
    values = None
    for hybrid in hybrids:
        with plain_operators():
            values, expected = _run(make(), inputs, values, draws, hybrid=False)
        assert native_operators()
        _, found = _run(make(), inputs, values, draws, hybrid=hybrid)
        assert expected.keys() == found.keys()
        for name, wanted in expected.items():
            scale = max(1.0, float(np.abs(wanted).max())) if wanted.size else 1.0
            np.testing.assert_allclose(found[name], wanted, rtol=rtol, atol=atol * scale, err_msg=name)


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
