"""Builds the native operators: a library for `mx.library.load`, not a Python extension. All else is in setup.cfg.

Headers and the source of the interface come from the MXNet wheel, which has to be there when the package is built. If
it is not, or there is no C++ compiler, the package is installed without the library: plain operators serve.
"""

import importlib.util
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

# Python's own flags stand before these, and differ from one Python to the next: all that bits depend on is said here.
FLAGS = ["-std=gnu++17", "-O3", "-fopenmp", "-g0", "-Wall", "-Wno-psabi", "-Wno-unknown-pragmas"]
FLAGS += ["-fno-fast-math", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
FLAGS += ["-fno-strict-aliasing", "-fwrapv", "-fno-lto"]
SOURCES = Path("pnn_gluon/ops/csrc")


class BuildLibrary(build_ext):
    """A shared library without the name tag and the entry function of a Python module."""

    def get_ext_filename(self, fullname: str) -> str:
        """Where the library goes, without a tag of the Python version."""
        return f"{fullname.replace('.', '/')}.so"

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """None: there is no `PyInit_` function."""
        return []

    def build_extension(self, ext: Extension) -> None:
        """Compile with the headers of the installed MXNet; after a CompileError setuptools goes on without it."""
        spec = importlib.util.find_spec("mxnet")
        if spec is None or spec.origin is None:
            raise CompileError("the native operators need MXNet to be there when the package is built")
        ext.include_dirs = [str(Path(spec.origin).parent / "include")]
        super().build_extension(ext)


setup(
    cmdclass={"build_ext": BuildLibrary},
    ext_modules=[
        Extension(
            "pnn_gluon.ops._native",
            sorted(map(str, SOURCES.glob("*.cc"))),
            depends=sorted(map(str, [*SOURCES.glob("*.h"), *SOURCES.glob("*.inc")])),
            extra_compile_args=FLAGS,
            extra_link_args=["-fopenmp"],
            language="c++",
            optional=True,
        )
    ],
)
