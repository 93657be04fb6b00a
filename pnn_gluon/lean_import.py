"""MXNet imported with a third of the work.

It imports SciPy, scikit-learn and onnx where they are installed, and does without where they are not. And it compiles
Python functions of its thousand operators, for arrays and for symbols, of which a process calls some ten: here a
function is compiled when it is called first, so that its documentation is not there before.
"""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from typing import Any

UNUSED = ("onnx", "scipy", "sklearn")
"""Packages that stay out; so MXNet's conversions from and to SciPy's sparse matrices say that there is no SciPy."""

_MAKES_FUNCTIONS = "mxnet.ndarray.register"
"""The first module that makes functions of operators."""


class _Watch(MetaPathFinder):
    """Asked for every module that one thread imports; packages that were imported before are there."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if threading.get_ident() != self._thread:
            return
        if name.partition(".")[0] in UNUSED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name == _MAKES_FUNCTIONS:
            base: Any = sys.modules["mxnet.base"]
            base._init_op_module = _with_late_functions(base._init_op_module)


@contextlib.contextmanager
def lean_import() -> Iterator[None]:
    """Within the block this thread imports MXNet so, unless it was imported before."""
    watch = _Watch()
    sys.meta_path.insert(0, watch)
    try:
        yield
    finally:
        sys.meta_path.remove(watch)


def _with_late_functions(put_functions: Callable[..., None]) -> Callable[..., None]:
    """MXNet's function that puts those of all operators in a module, with functions that are made late."""
    return lambda root, module, make: put_functions(root, module, _late(make))


def _late(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that makes the function of an operator when it is called first, and calls it."""

    def make_late(*operator: Any) -> Callable[..., Any]:
        made: list[Callable[..., Any]] = []

        def function(*arguments: Any, **options: Any) -> Any:
            if not made:
                made.append(make(*operator))
            return made[0](*arguments, **options)

        function.__name__, function.__doc__ = operator[-1], ""
        return function

    return make_late
