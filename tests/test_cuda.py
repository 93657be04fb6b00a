"""What a driver says of GPUs, by a stand-in for it; and, `long`, the CUDA build of MXNet on a machine without a GPU.

The long tests need `make .venv-cu112/stamp`: an environment of requirements/cu112.lock, 4.7 GB.
"""

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from pnn_gluon import cuda
from pnn_gluon.cuda import Gpu, driver, gpus
from pnn_gluon.errors import ConfigError

HERE = Path(__file__).parent
PYTHON = HERE.parent / ".venv-cu112" / "bin" / "python"


def stub(folder, count=0, capability=(8, 6), fault=0):
    """A driver library of so many GPUs; each has a path of its own, since a process loads a path once."""
    path = folder / "libcuda.so.1"
    given = {"GPUS": count, "MAJOR": capability[0], "MINOR": capability[1], "FAULT": fault}
    defined = [f"-D{name}={value}" for name, value in given.items()]
    subprocess.run(["cc", "-shared", "-fPIC", *defined, "-o", path, HERE / "cuda_stub.c"], check=True)
    return path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"count": 2}, [Gpu("Stub", 8, 6)] * 2),
        ({"count": 1, "capability": (9, 0)}, [Gpu("Stub", 9, 0)]),
    ],
)
def test_gpus_are_those_that_the_driver_reports(tmp_path, given, expected):
    assert gpus(str(stub(tmp_path, **given))) == expected


def test_a_driver_that_does_not_answer_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cuInit gave error 999; set device = 'cpu'"):
        gpus(str(stub(tmp_path, fault=999)))


def test_a_machine_without_a_driver_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"no NVIDIA driver .*requirements/cpu.lock"):
        driver(str(tmp_path / "libcuda.so.1"))


@pytest.mark.parametrize(("capability", "usable"), [((5, 0), True), ((8, 9), True), ((9, 0), False), ((10, 0), False)])
def test_gpus_newer_than_the_build_are_refused_with_the_ways_out(capability, usable):
    fault = Gpu("Stub", *capability).fault
    assert fault is None if usable else "containers (to release 24.06)" in fault


def test_libraries_of_the_cuda_build_that_are_nowhere_are_named(monkeypatch):
    cuda.load_libraries.cache_clear()
    monkeypatch.setattr(cuda, "version", lambda _: "1.9.1")
    monkeypatch.setattr(cuda, "LIBRARIES", ("libc.so.6", "libnowhere.so.7"))
    with pytest.raises(ConfigError, match=r"needs libnowhere.so.7: install requirements/cu112.lock"):
        cuda.load_libraries()


def test_libraries_are_found_in_nvidias_packages(tmp_path, monkeypatch):
    folder = tmp_path / "nvidia" / "some" / "lib"
    folder.mkdir(parents=True)
    stub(tmp_path).rename(folder / "libfound.so.1")
    monkeypatch.syspath_prepend(tmp_path)
    cuda.load_libraries.cache_clear()
    monkeypatch.setattr(cuda, "version", lambda _: "1.9.1")
    monkeypatch.setattr(cuda, "LIBRARIES", ("libfound.so.1",))
    monkeypatch.setattr(cuda, "driver", lambda: ctypes.CDLL(None))
    cuda.load_libraries()
    assert str(folder) in Path("/proc/self/maps").read_text()


def with_cuda_build(libraries, *arguments):
    """Run Python of the CUDA build's environment, which finds a driver in this folder."""
    if not PYTHON.is_file():
        pytest.skip("no environment of requirements/cu112.lock: make .venv-cu112/stamp")
    return subprocess.run(
        [PYTHON, *arguments],
        env={**os.environ, "LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": str(HERE.parent), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_the_cuda_build_says_that_the_driver_is_missing(tmp_path):
    done = with_cuda_build(tmp_path, "-m", "jobs.cli", "doctor")
    assert done.returncode == 1
    assert "no NVIDIA driver (libcuda.so.1" in done.stdout


@pytest.mark.long
def test_the_cuda_build_computes_on_the_cpu_where_the_driver_reports_no_gpu(tmp_path):
    stub(tmp_path)
    done = with_cuda_build(tmp_path, "-m", "jobs.cli", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not usable: the driver reports no GPU" in done.stdout
    text = "from pnn_gluon.runtime import mx; print(mx.runtime.Features().is_enabled('CUDA'), mx.nd.ones(2).sum())"
    assert with_cuda_build(tmp_path, "-c", text).stdout.split()[:2] == ["True", "[2.]"]


@pytest.mark.long
def test_the_cuda_build_refuses_to_train_on_a_gpu_that_it_has_no_code_for(tmp_path):
    stub(tmp_path, 1, (9, 0))
    assert "Stub has compute capability 9.0" in with_cuda_build(tmp_path, "-m", "jobs.cli", "doctor").stdout
    text = "from pnn_gluon.training.devices import contexts; contexts('gpu', 1)"
    refused = with_cuda_build(tmp_path, "-c", text)
    assert refused.returncode == 1
    assert "ConfigError: Stub has compute capability 9.0, and mxnet-cu112 holds code up to 8.6" in refused.stderr
