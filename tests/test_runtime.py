import json
import os
import signal
import subprocess
import sys

import pytest

from pnn_gluon import runtime

SHOW = """
import json, os, sys, warnings
warnings.simplefilter("error", FutureWarning)
import pnn_gluon.runtime as runtime
before = "mxnet" in sys.modules
runtime.mx.nd.ones((1,)).asnumpy()
names = ("OMP_NUM_THREADS", "GOMP_SPINCOUNT", "MXNET_EXEC_INPLACE_GRAD_SUM_CAP")
print(json.dumps([before, runtime.available_processors(), [os.environ[n] for n in names]]))
"""


def run(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "MXNET_"))}
    out = subprocess.run(
        [sys.executable, "-c", SHOW],
        env={**kept, "PYTHONPATH": os.getcwd(), **variables},
        capture_output=True,
        check=True,
    )
    return json.loads(out.stdout)


def test_defaults_use_all_available_processors_and_import_is_lazy():
    before, processors, settings = run()
    assert not before
    assert settings == [str(processors), "1000", "100000"]


def test_the_users_settings_are_respected():
    assert run(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="7")[2] == ["1", "7", "100000"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000"}, 4),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "900000 100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 4),
    ],
)
def test_processors_are_the_affinity_mask_limited_by_the_quota(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    assert runtime.available_processors(tmp_path) == expected


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'mxx'"):
        runtime.mxx  # noqa: B018


RAISE_EACH = """
import ctypes, os, sys
from pnn_gluon.runtime import mx
for number in map(int, sys.argv[1:]):
    child = os.fork()
    if not child:
        ctypes.CDLL(None)["raise"](number)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_fatal_signal_ends_the_process_at_once_and_is_named():
    numbers = [int(each) for each in (signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RAISE_EACH, *map(str, numbers)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert [int(status) for status in done.stdout.split()] == [-number for number in numbers]
    assert done.stderr.count("Fatal Python error: ") == len(numbers)
