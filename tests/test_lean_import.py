"""MXNet without what it imports and makes in vain."""

import os
import subprocess
import sys

UNUSED = """
import sys
from pnn_gluon.lean_import import UNUSED
from pnn_gluon.runtime import mx
assert not sys.modules.keys() & set(UNUSED)
mx.nd.zeros((2, 2)).tostype("row_sparse").asnumpy()
import scipy.stats
"""

LATE = """
from pnn_gluon.runtime import mx
import mxnet.ndarray.register as register
import mxnet.symbol.register as symbols
made = []
def watched(make):
    return lambda *operator: (made.append(operator[-1]), make(*operator))[1]
register._generate_ndarray_function_code = watched(register._generate_ndarray_function_code)
symbols._generate_symbol_function_code = watched(symbols._generate_symbol_function_code)
two = mx.nd.ones((2, 2))
assert "dot" not in made
for _ in range(3):
    assert (mx.nd.dot(two, two) == 2).asnumpy().all()
    x = mx.sym.var("x")
    assert mx.sym.dot(x, x, name="d").name == "d"
assert made.count("dot") == 2
assert (mx.nd.dot.__name__, mx.nd.dot.__module__) == ("dot", "ndarray")
"""


def run(code: str) -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env={**os.environ, "PYTHONPATH": os.getcwd()}, check=True
    )


def test_what_mxnet_would_import_without_need_is_not_imported_and_can_be() -> None:
    run(UNUSED)


def test_the_function_of_an_operator_is_made_when_it_is_called_first() -> None:
    run(LATE)
