"""A library of operators given to MXNet, which makes Python functions of the new operators alone.

`mx.library.load` makes those of MXNet's own thousand operators anew as well, twice: half a second of every start.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pnn_gluon.runtime import mx


def load_operators(library: Path) -> None:
    """Load a library, and put its operators in `mx.nd` and `mx.sym`; those that begin with `_` are for MXNet alone.

    Raises:
        MXNetError: MXNet cannot load it.
    """
    from mxnet.ndarray.register import _make_ndarray_function
    from mxnet.symbol.register import _make_symbol_function

    before = _operators()
    mx.base.check_call(mx.base._LIB.MXLoadLib(mx.base.c_str(str(library)), 0))
    for name in sorted(_operators() - before):
        if not name.startswith("_"):
            _put(mx.nd, _make_ndarray_function, name)
            _put(mx.sym, _make_symbol_function, name)


def _operators() -> set[str]:
    """Names of all operators that MXNet has."""
    size, names = ctypes.c_uint(), ctypes.POINTER(ctypes.c_char_p)()
    mx.base.check_call(mx.base._LIB.MXListAllOpNames(ctypes.byref(size), ctypes.byref(names)))
    return {names[number].decode() for number in range(size.value)}


def _put(module: Any, make: Callable[..., Any], name: str) -> None:
    """Put the function of an operator in a module, as MXNet puts those of its own there."""
    handle = mx.base.OpHandle()
    mx.base.check_call(mx.base._LIB.NNGetOpHandle(mx.base.c_str(name), ctypes.byref(handle)))
    function = make(handle, name, name)
    setattr(module.op, name, function)
    setattr(module, name, function)
