"""GPUs of NVIDIA as their driver tells of them, and the libraries that the CUDA build of MXNet needs.

The wheel mxnet-cu112 brings none of NVIDIA's libraries and looks where the system's loader looks; those that
requirements/cu112.lock installs lie in packages of their own. They are loaded here by path, before MXNet is.
"""

import ctypes
import functools
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from pnn_gluon.errors import ConfigError

DRIVER = "libcuda.so.1"
LIBRARIES = (
    "libcudart.so.11.0",
    "libnvrtc.so.11.2",
    "libcublasLt.so.11",
    "libcublas.so.11",
    "libcufft.so.10",
    "libcurand.so.10",
    "libcusolver.so.11",
    "libcudnn.so.8",
    "libnccl.so.2",
    "libnvToolsExt.so.1",
)
"""What libmxnet.so of the wheel asks for, each after those that it asks for itself."""

NEWEST = 8
"""The largest major compute capability that mxnet-cu112 1.9.1 has code for."""

WAYS_OUT = (
    "take one of NVIDIA's MXNet containers (to release 24.06), a build of MXNet 2 with code for it (the community's "
    "port is in no registry), an older GPU, or device = 'cpu'"
)

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_NAME_BYTES = 256
_NO_DEVICE = 100


class Gpu(NamedTuple):
    """A GPU: its name and its compute capability."""

    name: str
    major: int
    minor: int

    @property
    def fault(self) -> str | None:
        """Why mxnet-cu112 cannot compute on it, and the ways out; None if it can."""
        if self.major <= NEWEST:
            return None
        return (
            f"{self.name} has compute capability {self.major}.{self.minor}, and mxnet-cu112 holds code up to "
            f"{NEWEST}.6: {WAYS_OUT}"
        )


@functools.cache
def load_libraries() -> None:
    """Load NVIDIA's libraries if MXNet's CUDA build is installed; else do nothing.

    Raises:
        ConfigError: there is no driver, or a library that MXNet needs is neither installed nor known to the loader.
    """
    try:
        version("mxnet-cu112")
    except PackageNotFoundError:
        return
    if missing := [name for name in LIBRARIES if not _loaded(name)]:
        raise ConfigError(
            f"mxnet-cu112 needs {', '.join(missing)}: install requirements/cu112.lock, or requirements/cpu.lock to "
            "compute without a GPU"
        )
    driver()


def _loaded(name: str) -> bool:
    """Whether a library could be loaded: from the system, or from NVIDIA's packages."""
    nvidia = find_spec("nvidia")
    folders = [] if nvidia is None else nvidia.submodule_search_locations or []
    for path in (name, *(str(found) for folder in folders for found in Path(folder).glob(f"*/lib/{name}"))):
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False


def driver(library: str = DRIVER) -> ctypes.CDLL:
    """NVIDIA's driver library.

    Raises:
        ConfigError: this machine has none.
    """
    try:
        return ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ConfigError(
            f"no NVIDIA driver ({error}): install it on a machine with a GPU, or requirements/cpu.lock instead of "
            "cu112.lock"
        ) from error


def gpus(library: str = DRIVER) -> list[Gpu]:
    """The GPUs that the driver reports.

    Raises:
        ConfigError: there is no driver, or it does not answer.
    """
    cuda, count = driver(library), ctypes.c_int()
    if (code := cuda.cuInit(0)) == _NO_DEVICE:
        return []
    _check("cuInit", code)
    _check("cuDeviceGetCount", cuda.cuDeviceGetCount(ctypes.byref(count)))
    return [_gpu(cuda, number) for number in range(count.value)]


def _gpu(cuda: ctypes.CDLL, number: int) -> Gpu:
    device, name, values = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES), (ctypes.c_int(), ctypes.c_int())
    _check("cuDeviceGet", cuda.cuDeviceGet(ctypes.byref(device), number))
    _check("cuDeviceGetName", cuda.cuDeviceGetName(name, _NAME_BYTES, device))
    for value, attribute in zip(values, (_MAJOR, _MINOR), strict=True):
        _check("cuDeviceGetAttribute", cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device))
    return Gpu(name.value.decode(errors="replace"), *(value.value for value in values))


def _check(function: str, code: int) -> None:
    if code:
        raise ConfigError(f"the NVIDIA driver does not answer: {function} gave error {code}; set device = 'cpu'")
