"""Restart parts of the local Airflow that live without a heartbeat; supervisord runs this.

A component may survive a database outage with a dead loop inside: its process runs, so supervisord is
content, but Airflow calls it unhealthy. Six looks in a row, ten seconds apart, and it is restarted. One that was just
started, by whomever, has four minutes, since a busy machine is no fault: restarted meanwhile it would never be there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from jobs.airflow import broker
from jobs.airflow.local_airflow import health, workers_health
from jobs.airflow.programs import HEALTH_NAMES
from jobs.airflow.settings import Settings, settings_of
from jobs.airflow.supervisor_calls import ages, parts, rpc
from jobs.airflow.variables import MARKER

INTERVAL = 10.0
PATIENCE = 6
ANSWER = 30.0
"""Seconds in which the server has to answer: one that many tasks call at once is not dead."""

STARTING = 180.0
"""Seconds from the start of a part until it has to be well."""


def misses(
    before: Mapping[str, int],
    running: Mapping[str, str],
    report: Mapping[str, str] | None,
    workers: Mapping[str, str],
) -> dict[str, int]:
    """How many looks in a row each part was alive but not well.

    Args:
        before: The counts up to the last look.
        running: supervisord's word on each part.
        report: Airflow's word on each component, None when its server does not answer.
        workers: Whether the message server and each worker answer.

    While the database is away nobody is to blame for a missing heartbeat, and without an answer only
    the api-server is. While the message server does not answer, it is to blame and no worker is.
    """
    if report is None:
        unwell = {"api-server"}
    elif report.get("metadatabase") != "healthy":
        unwell = set()
    else:
        unwell = {part for name, part in HEALTH_NAMES.items() if report.get(name) != "healthy"}
    silent = {part for part, word in workers.items() if word != "healthy"}
    unwell |= {broker.PART} if broker.PART in silent else silent
    return {part: before.get(part, 0) + 1 for part in unwell if running.get(part) == "RUNNING"}


def watch(home: Path, started_with: Settings) -> None:
    """Look at every part, restart the unwell, and again; ends only with its process."""
    counts: dict[str, int] = {}
    while True:
        time.sleep(INTERVAL)
        young = {name for name, age in ages(home).items() if age < STARTING}
        running = {name: state for name, state in parts(home).items() if name not in young}
        counts = misses(counts, running, health(started_with.own_address, ANSWER), workers_health(home, started_with))
        for part in [part for part, count in counts.items() if count >= PATIENCE]:
            print(f"{part} has no heartbeat: restarting it", flush=True)
            process = part if part == broker.PART else f"airflow:{part}"
            rpc(home).stopProcess(process, True)
            rpc(home).startProcess(process, False)


if __name__ == "__main__":
    found = settings_of(Path(os.environ[MARKER]))
    assert found is not None
    watch(Path(os.environ[MARKER]), found)
