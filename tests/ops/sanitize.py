"""Builds the native libraries with every compiler at every level, and with sanitizers, and runs their tests on each.

The operators all so; the cutter of log lines with sanitizers, for the tests that compare it with SQL and for the lines
of the fuzzer.

`python -m tests.ops.sanitize [FILTER]` from the root of a checkout, or `make sanitize`; FILTER is a part of the names
of the builds to take. It prints a table and ends with status 1 if something failed; logs lie in work/sanitize.
Besides g++ it needs clang++ with OpenMP and the sanitizers' library (Debian: clang, libomp-dev, libclang-rt-14-dev).
"""

import importlib.util
import itertools
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pnn_gluon.ops import LIBRARY
from pnn_gluon.ops.trials import EMULATED, outcomes

SOURCES = {"operators": Path("pnn_gluon/ops/csrc"), "cutter": Path("pnn_gluon/data/csrc")}
VARIABLES = {"operators": "PNN_GLUON_TEST_LIBRARY", "cutter": "PNN_GLUON_TEST_CUTTER"}
"""What names a library to `other_library.py`."""

FOLDER = Path("work/sanitize")
FLAGS = ["-std=gnu++17", "-fPIC", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
FLAGS += ["-Wno-psabi", "-Wno-unknown-pragmas"]
SANITIZED = ["-O1", "-g1", "-fno-omit-frame-pointer", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
QUICK = ["tests/ops/test_dense.py", "tests/ops/test_layer_norm.py", "tests/ops/test_pair_network_operator.py"]
QUICK += ["tests/ops/test_embedding_operator.py", "tests/ops/test_optimizers.py", "tests/ops/test_inner_products.py"]
QUICK += ["tests/ops/test_pair_network_precision.py", "tests/ops/test_normalized_dense.py"]
CUTTER = ("tests/data/test_row_cutter.py", "tests/fuzz/test_fuzz.py::test_what_is_read_is_right_or_refused[lines]")
IN_CHILDREN = "threads or instruction_set or asked_for or tile_configuration or trial or library"
"""Tests that start processes of their own, which take the installed library, or that look at no library."""


@dataclass(frozen=True)
class Build:
    """A compiler with its flags, and the tests that its library is held to."""

    compiler: str
    flags: tuple[str, ...]
    tests: tuple[str, ...]
    sanitized: bool = False
    library: Literal["operators", "cutter"] = "operators"

    @property
    def name(self) -> str:
        """Compiler and flags in one word, with the library if it is the cutter."""
        kind = "sanitizers" if self.sanitized else "".join(self.flags)
        named = f"{self.compiler}{'-' if self.sanitized else ''}{kind}"
        return named if self.library == "operators" else f"{named}-{self.library}"

    @property
    def instruction_sets(self) -> tuple[str, ...]:
        """Those that the tests are run under; those of the cutter go through all by themselves.

        With sanitizers all that this processor has, since each has kernels of its own that may reach too far.
        """
        if self.library == "cutter":
            return ("all",)
        return (EMULATED, *outcomes(LIBRARY)) if self.sanitized else (EMULATED, "baseline")


def builds() -> list[Build]:
    """Every compiler x level x aliasing with the quick tests; with sanitizers all tests of operators."""
    plain = [
        Build(compiler, (level, *aliasing), tuple(QUICK))
        for compiler, level, aliasing in itertools.product(
            ("g++", "clang++"), ("-O0", "-O1", "-O2", "-O3"), ((), ("-fno-strict-aliasing",))
        )
    ]
    sanitized = [Build(c, tuple(SANITIZED), ("tests/ops",), sanitized=True) for c in ("g++", "clang++")]
    return sanitized + [replace(each, tests=CUTTER, library="cutter") for each in sanitized] + plain


def compiled(build: Build) -> Path:
    """Compile all sources, two at a time, and link the library.

    Raises:
        CalledProcessError: the compiler refused; its words are on standard error.
    """
    folder = FOLDER / build.name
    folder.mkdir(parents=True, exist_ok=True)
    spec = importlib.util.find_spec("mxnet")
    assert spec is not None
    assert spec.origin is not None
    include = f"-I{Path(spec.origin).parent / 'include'}"

    def compile_one(source: Path) -> Path:
        to = folder / f"{source.stem}.o"
        subprocess.run([build.compiler, *FLAGS, *build.flags, include, "-c", source, "-o", to], check=True)
        return to

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sorted(SOURCES[build.library].glob("*.cc"))))
    sanitizers = [flag for flag in build.flags if flag.startswith("-fsanitize")]
    if sanitizers and build.compiler == "clang++":
        sanitizers.append("-shared-libasan")
    library = folder / "_native.so"
    subprocess.run([build.compiler, "-shared", "-fopenmp", *sanitizers, *objects, "-o", library], check=True)
    return library.resolve()


def environment(build: Build, library: Path) -> dict[str, str]:
    """Where the tests find the library, and what a sanitizer needs beneath a Python that was built without it."""
    found = {VARIABLES[build.library]: str(library), "XDG_CACHE_HOME": str((FOLDER / "cache").resolve())}
    if build.sanitized:
        runtime = "libasan.so" if build.compiler == "g++" else "libclang_rt.asan-x86_64.so"
        # The library of C++ too, or the sanitizer finds no __cxa_throw when MXNet throws.
        asked = ([build.compiler, f"-print-file-name={name}"] for name in (runtime, "libstdc++.so.6"))
        paths = (subprocess.run(each, capture_output=True, text=True, check=True).stdout.strip() for each in asked)
        found["LD_PRELOAD"] = " ".join(paths)
        log = f"log_path={library.parent / 'report'}"  # pytest captures what a dying process writes
        found["ASAN_OPTIONS"] = f"detect_leaks=0:handle_segv=0:{log}"
        found["PYTHONMALLOC"] = "malloc"  # else Python's small objects lie side by side in memory that is all its own
        found["UBSAN_OPTIONS"] = f"print_stacktrace=1:{log}"
    return {**os.environ, "PYTHONPATH": f"{os.getcwd()}:{Path(__file__).parent}", **found}


def tested(build: Build, library: Path, isa: str) -> str:
    """Run the tests under an instruction set; the last line that pytest prints."""
    command = [sys.executable, "-m", "pytest", "-p", "other_library", "-p", "no:cacheprovider"]
    command += [*build.tests, *(["-k", f"not ({IN_CHILDREN})"] if build.library == "operators" else [])]
    environ = {**environment(build, library), "PNN_GLUON_PRECISION": "auto"}
    environ |= {"PNN_GLUON_ISA": isa} if isa != "all" else {}
    if isa == EMULATED:
        environ["PNN_GLUON_PRECISION"] = "x3"
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    (library.parent / f"{isa}.log").write_text(done.stdout + done.stderr)
    lines = done.stdout.strip().splitlines() or ["nothing printed"]
    if "passed" in lines[-1]:
        return lines[-1]
    reports = ", ".join(str(path) for path in sorted(library.parent.glob("report.*")))
    return f"ended with status {done.returncode}: {reports or lines[-1]}"


def main() -> int:
    """Build and test each; 1 if something failed."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = False
    print("| build | instruction set | seconds | tests |\n| --- | --- | --- | --- |", flush=True)
    for build in builds():
        if wanted not in build.name:
            continue
        begin = time.monotonic()
        try:
            library = compiled(build)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            failed = True
            print(f"| {build.name} | none | {time.monotonic() - begin:.0f} | not built: {error} |", flush=True)
            continue
        for isa in build.instruction_sets:
            begin = time.monotonic()
            result = tested(build, library, isa)
            failed |= "failed" in result or "passed" not in result
            print(f"| {build.name} | {isa} | {time.monotonic() - begin:.0f} | {result} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
