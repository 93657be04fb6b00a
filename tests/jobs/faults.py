"""Faults planted in the commands of steps: a step of a day that ends in an error, or hangs with its lock held.

A `sitecustomize`, which Python runs before anything of ours, looks for a file that names pipeline, step and day. The
deadline's own attempt (`--overtake`) is spared.
"""

import datetime
import os
from pathlib import Path
from typing import Literal

import pytest

PLAN = "PNN_GLUON_TEST_FAULTS"

SITE_CUSTOMIZE = f"""
import os, sys, time
from pathlib import Path

argv, plan = sys.orig_argv, os.environ.get("{PLAN}")
if plan and argv[1:4] == ["-m", "jobs", "step"] and "--overtake" not in argv:
    name, day, config = argv[4], argv[argv.index("--day") + 1], os.environ["PNN_GLUON_CONFIG"]
    fault = Path(plan, f"{{Path(config).stem}} {{name}} {{day}}")
    if fault.exists():
        from pnn_gluon.config import load_config
        from pnn_gluon.pipeline.opening import open_store
        from pnn_gluon.pipeline.steps import step

        with open_store(load_config(config)).lock(f"{{step(name).table.name}}-{{day}}", wait=True):
            Path(f"{{fault}} met").touch()
            if fault.read_text() == "hang":
                time.sleep(3600)
        print("error: a fault of the test", file=sys.stderr, flush=True)
        os._exit(3)
"""


class Faults:
    """The faults of what is started while `patch` lasts; they are kept below a folder."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder = folder / "faults"
        for each in (self._folder, folder / "python"):
            each.mkdir(mode=0o711)
        (folder / "python" / "sitecustomize.py").write_text(SITE_CUSTOMIZE)
        patch.setenv(PLAN, str(self._folder))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "python"), os.environ.get("PYTHONPATH", "")]))

    def plant(self, pipeline: str, step: str, day: datetime.date, fault: Literal["fail", "hang"]) -> None:
        """From now on the step of the day fails, or hangs."""
        (self._folder / f"{pipeline} {step} {day}").write_text(fault)

    def met(self) -> int:
        """How many of them have happened."""
        return len(list(self._folder.glob("* met")))

    def mend(self) -> None:
        """None of them happens any more."""
        for fault in self._folder.iterdir():
            fault.unlink()
