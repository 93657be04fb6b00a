"""Operators of our own: a native library for the CPU, with a twin of MXNet's plain operators for every one of them.

A block asks `native_operators()` while it is traced, or run imperatively, and takes `F.pnn_...` or the plain form. Both
have the same parameters, so a network trained with one runs with the other. The plain form serves where the library was
not built or cannot be used, on GPUs, for types other than float32, and in exported graphs, which must load anywhere.

The operators ignore MXNet's request to add to a gradient: `refuse_added_gradients` tells.
"""

import contextlib
import contextvars
import ctypes
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pnn_gluon.errors import ConfigError
from pnn_gluon.ops.loading import load_operators
from pnn_gluon.ops.trials import outcomes, use_widest
from pnn_gluon.runtime import HybridBlock, mx

LIBRARY = Path(__file__).with_name("_native.so")
"""What the package's build makes of `csrc` where there is a C++ compiler."""

SWITCH = "PNN_GLUON_OPERATORS"
"""Environment variable; `plain` leaves the native library alone."""

PRECISIONS = ("f32", "x3", "bf16")
"""How dense layers and pair networks multiply: float32; each number as the sum of two bfloat16, of whose products
three count, which is float32's quality where bfloat16 is much faster; numbers rounded to bfloat16. Sums are float32."""

PRECISION = "PNN_GLUON_PRECISION"
"""Environment variable: the precision where options say `auto`."""

_plain = contextvars.ContextVar("plain", default=False)
_precision = contextvars.ContextVar("precision", default="auto")


def native_operators() -> bool:
    """Whether blocks take the operators of the native library now."""
    return not _plain.get() and os.environ.get(SWITCH) != "plain" and library_state() == "loaded"


@contextlib.contextmanager
def plain_operators() -> Iterator[None]:
    """Blocks traced or run within take MXNet's operators only.

    A network hybridized before keeps the graph it has: call `hybridize` again to have it traced anew.
    """
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


@contextlib.contextmanager
def dense_precision(name: str) -> Iterator[None]:
    """Dense layers and pair networks traced or run within multiply with this precision: one of `PRECISIONS`, or `auto`.

    Raises:
        ConfigError: no precision has this name, or it is another than float32 and the native operators do not serve.
    """
    if name not in {"auto", *PRECISIONS}:
        raise ConfigError(f"precision must be one of auto, {', '.join(PRECISIONS)}, not {name!r}")
    if name in {"x3", "bf16"} and not native_operators():
        why = "on this device or by choice" if library_state() == "loaded" else library_state()
        raise ConfigError(f"precision {name!r} needs the native operators, which do not serve ({why}): take 'auto'")
    token = _precision.set(name)
    try:
        yield
    finally:
        _precision.reset(token)


def chosen_precision() -> str:
    """The precision of dense layers and pair networks now: as asked for, else what costs no quality and is fastest.

    Raises:
        ConfigError: the environment variable names no precision.
    """
    asked = _precision.get()
    if asked == "auto":
        asked = os.environ.get(PRECISION, "auto")
    if asked not in {"auto", *PRECISIONS}:
        raise ConfigError(f"{PRECISION} must be one of auto, {', '.join(PRECISIONS)}, not {asked!r}")
    if not native_operators():
        return "f32"
    return ("x3" if operators() == "amx" else "f32") if asked == "auto" else asked


@cache
def library_state() -> str:
    """`loaded`, or why the native library does not serve; loads it when first asked.

    Raises:
        ConfigError: PNN_GLUON_ISA names no instruction set.
    """
    if not LIBRARY.is_file():
        return "not built: the package was installed without a C++ compiler"
    try:
        if use_widest(LIBRARY) is None:
            return "left out: no instruction set passed its trial"
        load_operators(LIBRARY)
    except (mx.MXNetError, OSError) as error:
        return f"cannot be loaded: {str(error).strip().splitlines()[-1]}"
    return "loaded"


def kernel_trials() -> dict[str, str]:
    """`works`, or why it is left out, for each instruction set this processor offers, from the widest down.

    Raises:
        ConfigError: PNN_GLUON_ISA names no instruction set.
    """
    try:
        return outcomes(LIBRARY) if LIBRARY.is_file() else {}
    except OSError:
        return {}  # library_state says why


def operators() -> str:
    """What serves now: the widest instruction set of the native library, or `plain`.

    These are `amx`, `avx512_bf16`, `avx512`, `avx2` and `baseline`; in tests also `emulated_tiles`.
    """
    return _instruction_set() if native_operators() else "plain"


@cache
def _instruction_set() -> str:
    isa = ctypes.CDLL(str(LIBRARY)).pnn_isa
    isa.restype = ctypes.c_char_p
    return bytes(isa()).decode()


def refuse_added_gradients(net: HybridBlock) -> None:
    """Raise ConfigError if a parameter of the network adds up its gradients while native operators serve.

    They overwrite gradients: with `grad_req = 'add'` all passes but the last would be lost without a word.
    """
    parameters: Any = net.collect_params()
    adding = [name for name, parameter in parameters.items() if parameter.grad_req == "add"]
    if adding and native_operators():
        raise ConfigError(
            f"grad_req = 'add' is not possible with the native operators (parameters {', '.join(sorted(adding))}): "
            f"use grad_req = 'write', or set {SWITCH}=plain"
        )
