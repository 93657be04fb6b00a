"""The library that cuts delimited lines, which the package's build makes where there is a C++ compiler.

An instruction set that the processor offers is taken once a child process has cut a block with it, and cut it as the
plain instructions do; what came out is kept beside the trials of the operators.
"""

import ctypes
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pnn_gluon.atomic import write_atomically
from pnn_gluon.processor import processor_identity

LIBRARY = Path(__file__).with_name("_cutter.so")
"""What the package's build makes of `csrc`."""

SWITCH = "PNN_GLUON_OPERATORS"
"""Environment variable; `plain` leaves native code alone, here as in the operators."""

LIMIT = "PNN_GLUON_ISA"
"""Environment variable: the widest instruction set that may serve, here as in the operators."""

INSTRUCTION_SETS = ("avx512", "avx2", "baseline")
"""From the widest to the narrowest."""

SECONDS = 60.0
"""A trial that takes longer hangs; one takes a tenth of a second."""

TRIAL = """
import ctypes, hashlib, sys
library = ctypes.CDLL(sys.argv[1])
isa = sys.argv[2].encode()
library.pnn_cut_new.restype = library.pnn_cut_part.restype = ctypes.c_void_p
library.pnn_cut_part.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p]
data = b"".join(b"%d\\t%x\\t\\xc3\\xa9%d\\n" % (i, i * i, i % 7) + b"\\t\\n\\0\\n" * (i % 5 == 0) for i in range(3000))
numbers = lambda *values: (ctypes.c_int32 * len(values))(*values)
handle = ctypes.c_void_p(library.pnn_cut_new(isa, 3, 9, ctypes.c_int64(1000), 3, numbers(0, 1, 2), numbers(1, 2, 0),
    numbers(0, 0, 0), 0, None, None))
library.pnn_cut_block(handle, data, ctypes.c_int64(len(data)), ctypes.c_int64(0))
found, count = hashlib.sha256(), ctypes.c_int64()
sizes = {"lines": 4, "bad_lines": 4, "numbers": 8, "codes": 4, "bytes": 1}
for what in sizes:
    for column in range(3):
        at = library.pnn_cut_part(handle, what.encode(), column, ctypes.byref(count))
        found.update(ctypes.string_at(at, count.value * sizes[what]) if count.value else b"")
digests = ctypes.create_string_buffer(32 * 17)
library.pnn_md5_texts(isa, b"x", ctypes.c_int64(1), numbers(*range(0, 18 * 9, 9)), data, ctypes.c_int64(17), digests)
found.update(digests.raw)
print(found.hexdigest())
"""
"""The child: nothing of this package."""


@cache
def instruction_set() -> str | None:
    """The widest instruction set that works here; None where the library is not there or is to be left alone.

    The environment is read once.
    """
    if os.environ.get(SWITCH) == "plain" or not LIBRARY.is_file():
        return None
    try:
        library = load_library()
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be loaded: %s", LIBRARY, error)
        return None
    limit = os.environ.get(LIMIT, "")
    allowed = INSTRUCTION_SETS[INSTRUCTION_SETS.index(limit) :] if limit in INSTRUCTION_SETS else INSTRUCTION_SETS
    digests = _digests([name for name in allowed if library.pnn_cut_offers(name.encode())])
    for name, digest in digests.items():
        if digest and digest == digests["baseline"]:
            return name
        logging.getLogger(__name__).warning("instruction set %s is left out of the cutter (%s)", name, _record())
    return None


def _digests(names: Sequence[str]) -> dict[str, str]:
    """What came out of the trials with some instruction sets, now or earlier."""
    record = _record()
    known = _read(record)
    found = {name: known.get(name) or _digest(name) for name in names}
    if found != known:
        _write(record, found)
    return found


def _digest(name: str) -> str:
    """What a child makes of the trial with an instruction set; nothing if it ends otherwise."""
    command = [sys.executable, "-I", "-S", "-c", TRIAL, str(LIBRARY), name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _record() -> Path:
    """Where the outcomes for this library and processor are kept."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    key = hashlib.sha256(LIBRARY.read_bytes() + processor_identity().encode()).hexdigest()
    return folder / "pnn_gluon" / f"cutter-{key[:32]}.json"


def _read(record: Path) -> dict[str, str]:
    """What is known; nothing where there is no readable record, so that the trials are made."""
    try:
        known = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in known.items() if isinstance(v, str)} if isinstance(known, dict) else {}


def _write(record: Path, known: dict[str, str]) -> None:
    """Keep the outcomes; where that is not possible the next process makes the trials again."""
    try:
        write_atomically(record, json.dumps(known, indent=1).encode())
    except OSError as error:
        logging.getLogger(__name__).info("trials of the cutter are not kept: %s", error)


@cache
def load_library() -> Any:
    """The library, loaded.

    Raises:
        OSError: it is none, or not for this machine.
    """
    library = ctypes.CDLL(str(LIBRARY))
    for name in ("pnn_cut_new", "pnn_cut_part"):
        getattr(library, name).restype = ctypes.c_void_p
    library.pnn_cut_block.restype = ctypes.c_int64
    library.pnn_cut_free.restype = library.pnn_md5_texts.restype = None
    return library
