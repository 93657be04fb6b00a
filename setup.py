"""Builds the native libraries, which are no Python extensions. All else is in setup.cfg.

The operators, for `mx.library.load`: headers and the source of the interface come from the MXNet wheel, which has to be
there when the package is built. The cutter of log lines, for ctypes. What cannot be built is left out, and the package
installed without it: plain operators and SQL serve.
"""

import importlib.util
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

# Python's own flags stand before these, and differ from one Python to the next: all that bits depend on is said here.
FLAGS = ["-std=gnu++17", "-O3", "-g0", "-Wall", "-Wno-psabi", "-Wno-unknown-pragmas"]
FLAGS += ["-fno-fast-math", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
FLAGS += ["-fno-strict-aliasing", "-fwrapv", "-fno-lto"]
OPERATORS = "pnn_gluon.ops._native"


class BuildLibrary(build_ext):
    """A shared library without the name tag and the entry function of a Python module."""

    def get_ext_filename(self, fullname: str) -> str:
        """Where the library goes, without a tag of the Python version."""
        return f"{fullname.replace('.', '/')}.so"

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """None: there is no `PyInit_` function."""
        return []

    def build_extension(self, ext: Extension) -> None:
        """Compile, operators with the headers of the installed MXNet; after a CompileError setuptools goes on."""
        if ext.name == OPERATORS:
            ext.include_dirs = [self._mxnet_headers()]
        super().build_extension(ext)

    def _mxnet_headers(self) -> str:
        spec = importlib.util.find_spec("mxnet")
        if spec is None or spec.origin is None:
            raise CompileError("the native operators need MXNet to be there when the package is built")
        return str(Path(spec.origin).parent / "include")


def library(name: str, flags: tuple[str, ...] = ()) -> Extension:
    """The library of the sources in `csrc` beside it."""
    sources = Path(*name.split(".")[:-1]) / "csrc"
    return Extension(
        name,
        sorted(map(str, sources.glob("*.cc"))),
        depends=sorted(map(str, [*sources.glob("*.h"), *sources.glob("*.inc")])),
        extra_compile_args=[*FLAGS, *flags],
        extra_link_args=list(flags),
        language="c++",
        optional=True,
    )


setup(
    cmdclass={"build_ext": BuildLibrary},
    ext_modules=[library(OPERATORS, ("-fopenmp",)), library("pnn_gluon.data._cutter")],
)
