"""Commands that train ask for huge pages: glibc's malloc does where it was told before the process started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.huge_pages import SWITCH

KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")
NAME = "glibc.malloc.hugetlb"
ASK = """
from jobs.huge_pages import start_with_huge_pages
start_with_huge_pages()
import ctypes, os, re
size, library = 64 << 20, ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
ctypes.memset(library.malloc(ctypes.c_size_t(size)), 1, size)
huge = re.search(r"AnonHugePages: +(\\d+) kB", open("/proc/self/smaps_rollup").read())
print(os.getpid(), os.environ.get("GLIBC_TUNABLES"), int(huge[1]) >> 10)
"""
COMMAND = """
import os

def execve(program, command, environment):
    print("again", environment["GLIBC_TUNABLES"], *command[-2:])
    raise SystemExit

os.execve = execve
from jobs.cli import main
main()
"""

pytestmark = pytest.mark.skipif(
    not KERNEL.exists() or "[madvise]" not in KERNEL.read_text() or os.confstr("CS_GNU_LIBC_VERSION") < "glibc 2.35",
    reason="this system has no huge pages for those who ask",
)


def run(program, *arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in {"GLIBC_TUNABLES", SWITCH}}
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env={**environment, **variables}, stdout=subprocess.PIPE, text=True
    )
    return process.pid, process.communicate(timeout=60)[0].split()


@pytest.mark.parametrize("before", ["", "glibc.malloc.arena_max=3"])
def test_the_same_process_goes_on_with_huge_pages(before):
    pid, (found, tunables, megabytes) = run(ASK, **({"GLIBC_TUNABLES": before} if before else {}))
    assert int(found) == pid
    assert tunables == (f"{before}:{NAME}=1" if before else f"{NAME}=1")
    assert int(megabytes) >= 32


def test_it_can_be_turned_off():
    assert run(ASK, **{SWITCH: "0"})[1][1:] == ["None", "0"]
    assert run(ASK, GLIBC_TUNABLES=f"{NAME}=0")[1][1:] == [f"{NAME}=0", "0"]


COMMANDS = [("step train", True), ("fit", True), ("bench", True), ("step ingest", False)]


@pytest.mark.parametrize(("arguments", "trains"), COMMANDS)
def test_commands_that_train_have_them(arguments, trains):
    said = run(COMMAND, *arguments.split(), "--help")[1]
    assert (said == ["again", f"{NAME}=1", arguments.split()[-1], "--help"]) == trains
