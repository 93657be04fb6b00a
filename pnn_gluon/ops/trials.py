"""Which instruction sets of the native library are trusted: those that computed a small known problem in a child.

What a processor offers need not work, or not with what a compiler made of the kernels; and an instruction that fails
ends the process. So each instruction set is tried once in every precision, in a child process, against float64.
What came out is kept in the user's cache folder, by the bytes of the library and by the processor.
"""

import ctypes
import hashlib
import json
import logging
import math
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

from pnn_gluon.atomic import write_atomically
from pnn_gluon.errors import ConfigError
from pnn_gluon.processor import processor_identity

INSTRUCTION_SETS = ("amx", "avx512_bf16", "avx512", "avx2", "baseline")
"""From the widest to the narrowest."""

EMULATED = "emulated_tiles"
"""AMX's tiles in memory: for tests only, served only when asked for."""

LIMIT = "PNN_GLUON_ISA"
"""Environment variable: the widest instruction set that may serve."""

WORKS = "works"

SECONDS = 60.0
"""A trial that takes longer hangs; one takes a tenth of a second."""

_TERMS = 2100
_SUMS = math.sqrt(_TERMS) * 2.0**-24
BOUNDS = {"f32": _SUMS, "x3": _SUMS + 3 * 2.0**-18, "bf16": _SUMS}
"""The largest error in units of the sum of what is added up, in absolute values: the longest of the trial's sums has
2,100 terms, whose roundings add up like a random walk. x3 leaves out of each number less than 2^-18 of it, and the
product of two remainders of less than 2^-9."""

PROGRAM = """
import ctypes, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
library = ctypes.CDLL(sys.argv[1])
library.pnn_error_of_products.restype = ctypes.c_double
assert library.pnn_use(sys.argv[2].encode())
for number, precision in enumerate(sys.argv[3:]):
    print(precision, flush=True)
    print(library.pnn_error_of_products(number), flush=True)
"""
"""The child: no MXNet, nothing of this package. Says what it tries before it does."""

_FAULTS = {signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGABRT}


@cache
def outcomes(library: Path) -> dict[str, str]:
    """`works`, or why it is left out, for every instruction set this processor offers and `PNN_GLUON_ISA` allows.

    Raises:
        ConfigError: the environment variable names no instruction set.
        OSError: the library cannot be loaded.
    """
    loaded = ctypes.CDLL(str(library))
    if not hasattr(loaded, "pnn_offers"):
        raise OSError("it was built from other sources: install the package again")
    offered = [name for name in _allowed() if loaded.pnn_offers(name.encode())]
    record = _record_of(library)
    known = _read(record)
    found = {name: known.get(name) or _try(library, name) for name in offered}
    lasting = {name: outcome for name, outcome in found.items() if not outcome.startswith("ended")}
    if not lasting.items() <= known.items():
        _write(record, known | lasting)
    for name, outcome in found.items():
        if outcome != WORKS:
            logging.getLogger(__name__).warning("instruction set %s is left out: %s (%s)", name, outcome, record)
    return found


def use_widest(library: Path) -> str | None:
    """Make the library take the widest instruction set that works, and return its name; None if none does."""
    for name, outcome in outcomes(library).items():
        if outcome == WORKS:
            ctypes.CDLL(str(library)).pnn_use(name.encode())
            return name
    return None


def _allowed() -> tuple[str, ...]:
    asked = os.environ.get(LIMIT, "")
    if asked == "":
        return INSTRUCTION_SETS
    if asked == EMULATED:
        return (EMULATED, *INSTRUCTION_SETS)
    if asked not in INSTRUCTION_SETS:
        raise ConfigError(f"{LIMIT} must be one of {', '.join(INSTRUCTION_SETS)}, not {asked!r}")
    return INSTRUCTION_SETS[INSTRUCTION_SETS.index(asked) :]


def _try(library: Path, name: str) -> str:
    """Run the trial of an instruction set in a child process."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(library), name, *BOUNDS]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        return f"hangs in {_last_precision((error.stdout or b'').decode())}"
    except OSError as error:
        return f"ended before its trial: {error}"
    return _judge(done.stdout, done.returncode, done.stderr)


def _judge(output: str, status: int, complaint: str) -> str:
    if status < 0 and -status in _FAULTS:
        return f"dies of {signal.Signals(-status).name} in {_last_precision(output)}"
    if status != 0:
        reason = complaint.strip().splitlines()[-1:] or [f"status {status}"]
        return f"ended in {_last_precision(output)}: {reason[0]}"
    words = output.split()
    errors = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    for precision, bound in BOUNDS.items():
        if not errors[precision] <= bound:
            return f"is wrong in {precision}: relative error {errors[precision]:.1e}, expected at most {bound:.1e}"
    return WORKS


def _last_precision(output: str) -> str:
    words = [word for word in output.split() if word in BOUNDS]
    return words[-1] if words else "loading"


def _record_of(library: Path) -> Path:
    """Where the outcomes for this library and processor are kept."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    key = hashlib.sha256(library.read_bytes() + processor_identity().encode()).hexdigest()
    return folder / "pnn_gluon" / f"kernels-{key[:32]}.json"


def _read(record: Path) -> dict[str, str]:
    """What is known; nothing where there is no readable record, so that the trials are made."""
    try:
        known = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    names = {EMULATED, *INSTRUCTION_SETS}
    return {k: v for k, v in known.items() if k in names and isinstance(v, str)} if isinstance(known, dict) else {}


def _write(record: Path, found: dict[str, str]) -> None:
    """Keep the outcomes; where that is not possible the next process makes the trials again."""
    try:
        write_atomically(record, json.dumps(found, indent=1).encode())
    except OSError as error:
        logging.getLogger(__name__).info("trials of kernels are not kept: %s", error)
