"""A task's wait for tasks of earlier days, whatever became of them: order comes from what a step reads, not from luck.

Nothing waits for a success. A day that failed is over; what a step then misses, it refuses itself, and says so.
"""

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.standard.triggers.external_task import WorkflowTrigger

SETTLED = ("success", "failed", "skipped", "upstream_failed", "removed")
"""States in which a task has ended, well or not."""

OPEN_RUNS = ["queued", "running"]
"""States of a run whose tasks may still end."""

PATIENCE = datetime.timedelta(hours=12)
"""For the tasks of earlier days; each has a time limit of its own."""


def unsettled(context: Any, waits: Mapping[str, int]) -> "WorkflowTrigger | None":
    """What tells when tasks of earlier days have ended; None if all have.

    Args:
        context: Of the task that waits.
        waits: By the id of a task of the same DAG, how many of the days before are waited for. A day without an open
            run is not waited for: it was not asked for, or is over.
    """
    if not waits:
        return None
    ti, day = context["ti"], context["data_interval_start"]
    for name, back in waits.items():
        days = [day - datetime.timedelta(days=n) for n in range(1, back + 1)]
        open_days = [each for each in days if _count(ti.get_dr_count, ti, each, OPEN_RUNS)]
        late = [each for each in open_days if not _count(ti.get_ti_count, ti, each, list(SETTLED), [name])]
        if late:
            from airflow.providers.standard.triggers.external_task import WorkflowTrigger  # dear, and seldom needed

            return WorkflowTrigger(
                external_dag_id=ti.dag_id,
                external_task_ids=[name],
                logical_dates=late,
                allowed_states=list(SETTLED),
                poke_interval=5.0,
            )
    return None


def _count(ask: Any, ti: Any, day: datetime.datetime, states: list[str], tasks: list[str] | None = None) -> int:
    """How many runs, or tasks of runs, of a day are in one of these states."""
    named = {"task_ids": tasks} if tasks else {}
    return int(ask(dag_id=ti.dag_id, logical_dates=[day], states=states, **named))
