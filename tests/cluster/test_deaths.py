"""A process of a cluster that dies or hangs: all end soon, with one line that says why, and a second run mends it."""

import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest
from cluster_cases import by_cluster, job_of, shard

from pnn_gluon.cluster.watch import LOOK_SECONDS
from pnn_gluon.errors import PnnError

STALL_SECONDS = 30  # on a busy machine processes take 15 to start
LONG = {"epochs": 40, "checkpoint_every": 30, "validate": False, "stall_seconds": STALL_SECONDS}


def nodes(role):
    """Processes of a role that this one has started."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.is_running() and child.environ().get("DMLC_ROLE") == role]


class Accident(threading.Thread):
    """Sends a signal to a process of a role once there is a checkpoint; notes when."""

    def __init__(self, folder, role, number):
        super().__init__(daemon=True)
        self.folder, self.role, self.number, self.at = folder, role, number, 0.0
        self.start()

    def run(self):
        while not list(self.folder.glob("checkpoints-*/epoch-*")):
            time.sleep(0.05)
        self.at = time.monotonic()
        os.kill(nodes(self.role)[-1].pid, self.number)


def ends(folder, job, role, number):
    """The message of a run with an accident, the seconds until all had ended, what was left."""
    accident = Accident(folder, role, number)
    with pytest.raises(PnnError) as error:
        by_cluster(job, folder)
    seconds = time.monotonic() - accident.at
    return str(error.value), seconds, psutil.Process().children(recursive=True)


@pytest.mark.long
@pytest.mark.parametrize("role", ["worker", "server", "scheduler"])
def test_a_killed_process_ends_all_and_a_second_run_gives_the_same_bytes(tmp_path, role):
    job = job_of(shard(tmp_path), "fm", **LONG)
    message, seconds, left = ends(tmp_path / "job", job, role, signal.SIGKILL)
    assert f"{role} " in message
    assert "SIGKILL" in message
    assert "\n" not in message
    assert seconds < 2 * LOOK_SECONDS + 10
    assert left == []
    short = job.model_copy(update={"training": job.training.replaced(epochs=LONG["epochs"])})
    result, values = by_cluster(short, tmp_path / "job")
    _, undisturbed = by_cluster(short, tmp_path / "undisturbed")
    assert len(result.history) == LONG["epochs"]
    assert all(np.array_equal(values[name], undisturbed[name]) for name in values)


@pytest.mark.long
@pytest.mark.parametrize("role", ["worker", "server"])
def test_a_process_that_hangs_ends_all(tmp_path, role):
    job = job_of(shard(tmp_path), "fm", **LONG)
    message, seconds, left = ends(tmp_path / "job", job, role, signal.SIGSTOP)
    assert f"nothing came from the others for {STALL_SECONDS} seconds" in message
    assert seconds < STALL_SECONDS + 2 * LOOK_SECONDS + 15
    assert left == []
