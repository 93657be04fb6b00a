"""Memory in huge pages for commands that train.

glibc's malloc asks the kernel for them where `GLIBC_TUNABLES` said so when the process started, so such a command
starts itself anew, as the same process. `PNN_GLUON_HUGE_PAGES=0` leaves it as it is.
"""

import contextlib
import os
import sys
from pathlib import Path

SWITCH = "PNN_GLUON_HUGE_PAGES"
_TUNABLES, _NAME = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
_SINCE = (2, 35)
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def start_with_huge_pages() -> None:
    """Replace this process by the same command with huge pages; return if it has them, or cannot or shall not."""
    tunables = os.environ.get(_TUNABLES, "")
    if os.environ.get(SWITCH) == "0" or _NAME in tunables or not _offered():
        return
    variables = {_TUNABLES: ":".join(filter(None, (tunables, f"{_NAME}=1")))}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **variables})  # noqa: S606


def _offered() -> bool:
    """Whether the kernel gives huge pages to those who ask, and this C library can ask."""
    with contextlib.suppress(OSError, ValueError):
        library, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        numbers = tuple(int(number) for number in version.split(".")[:2])
        return library == "glibc" and numbers >= _SINCE and "[madvise]" in _KERNEL.read_text()
    return False
