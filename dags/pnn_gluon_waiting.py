"""A task's wait for tasks of earlier days, whatever became of them: order comes from what a step reads, not from luck.

Nothing waits for a success. A day that failed is over; what a step then misses, it refuses itself, and says so.

The task looks, gives its slot back for a while and looks again. Airflow 3.3.2 has a trigger that looks in its place
(`WorkflowTrigger`); with several of them at once its triggerer stopped answering.
"""

import datetime
import time
from collections.abc import Mapping
from typing import Any

import psutil

from pnn_gluon.scheduling import without_scheduler

SETTLED = ("success", "failed", "skipped", "upstream_failed", "removed")
"""States in which a task has ended, well or not."""

OPEN_RUNS = ("queued", "running")
"""States of a run whose tasks may still end."""

PATIENCE = datetime.timedelta(hours=12)
"""For the tasks of earlier days; each has a time limit of its own."""


def pause(least: datetime.timedelta) -> datetime.timedelta:
    """How long to give the slot back for: on a busy machine twice as long as this process took to get here.

    Airflow 3.3.2 fails a task that runs again before the process that gave its slot back was seen to end: both have
    the same try number. On a machine where four processes share a processor that end takes half a minute.
    """
    if without_scheduler():
        return least
    here_for = time.time() - psutil.Process().create_time()
    return max(least, 2 * datetime.timedelta(seconds=here_for))


def look_again(looks: int) -> datetime.timedelta:
    """How long to wait at least before the next look, after so many: 15 seconds at first, two minutes in the end."""
    return datetime.timedelta(seconds=min(15 * 2**looks, 120))


def unsettled(context: Any, waits: Mapping[str, int]) -> str | None:
    """The first task of an earlier day that has not ended, in words; None if all have.

    Args:
        context: Of the task that waits.
        waits: By the id of a task of the same DAG, how many of the days before are waited for. A day without an open
            run is not waited for: it was not asked for, or is over.
    """
    if not waits:
        return None
    today, under_way = context["data_interval_start"], _under_way(context, max(waits.values()))
    for name, back in waits.items():
        for earlier in (day for day in under_way if (today - day).days <= back):
            found = {"dag_id": context["ti"].dag_id, "logical_dates": [earlier]}
            if not context["ti"].get_ti_count(**found, states=list(SETTLED), task_ids=[name]):
                return f"{name} of {earlier:%Y-%m-%d}"
    return None


def _under_way(context: Any, back: int) -> list[datetime.datetime]:
    """The days before, so many at most, whose runs are open; the newest first."""
    ti, today = context["ti"], context["data_interval_start"]
    days = [today - datetime.timedelta(days=n) for n in range(1, back + 1)]
    found = {"dag_id": ti.dag_id, "states": list(OPEN_RUNS)}
    left = ti.get_dr_count(**found, logical_dates=days)
    under_way: list[datetime.datetime] = []
    for day in days:
        if len(under_way) == left:
            break
        if ti.get_dr_count(**found, logical_dates=[day]):
            under_way.append(day)
    return under_way
