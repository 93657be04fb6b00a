"""Which calls of Airflow's public API run exactly the days that need it; pure, so that it can be read and tested.

Days with a run are cleared in one call, days without one made by one backfill: a loop in the browser would lose days
when the page is closed. The backfill goes first, so that a cleared day finds the runs of earlier days to wait for.
"""

import datetime
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from jobs.airflow.plugin.runs import Dag, midnight
from pnn_gluon.days import day_range


class Call(NamedTuple):
    """A call of Airflow's API.

    Attributes:
        method: POST or PATCH.
        path: Below /api/v2.
        body: What is sent, as JSON has it.
        says: What it does, in words.
    """

    method: str
    path: str
    body: dict[str, Any]
    says: str


class Plan(NamedTuple):
    """What would be done, and what a person should know before.

    Attributes:
        days: The days that will run, in order.
        calls: To be made in this order.
        notes: In words.
    """

    days: Sequence[datetime.date]
    calls: Sequence[Call]
    notes: Sequence[str]


def plan(dag_id: str, dag: Dag, unwell: Collection[datetime.date]) -> Plan:
    """How to run the days that are stale, missing or failed, and those whose run hangs."""
    hanging = {day for day, run in dag.runs.items() if run.hangs}
    under_way = sorted(day for day in unwell if day in dag.runs and dag.runs[day].open)
    days = sorted({*unwell, *hanging} - set(under_way))
    # A cleared run of a cancelled backfill is never started again (Airflow's issue 72054); a failed one may be redone.
    freed = [day for day in days if day in dag.runs and dag.runs[day].cancelled]
    anew = [day for day in days if day not in dag.runs or day in freed]
    if anew:  # in its range a backfill runs failed days, too
        anew = [day for day in days if day in anew or (anew[0] < day < anew[-1] and dag.runs[day].state == "failed")]
    cleared = [day for day in days if day not in anew]
    notes = [f"already under way: {_list(under_way)}"] if under_way else []
    if anew and dag.backfill is not None:
        first, last, paused = dag.backfill
        word = "is paused; unpause or cancel it first" if paused else "is at work; wait for its end"
        return Plan(days, [], [*notes, f"a backfill of {first} to {last} {word} (Airflow allows one at a time)"])
    also = [day for day in day_range(anew[0], anew[-1]) if day not in days and _redone(dag, day)] if anew else []
    if also:
        notes.append(f"in the backfill's range, and with nothing to do: {_list(also)}")
    calls = [_fail(dag_id, dag.runs[day].run_id, day) for day in freed if dag.runs[day].state != "failed"]
    calls += [_backfill(dag_id, anew, dag.max_active_runs)] if anew else []
    calls += [_clear(dag_id, [dag.runs[day].run_id for day in cleared], cleared)] if cleared else []
    return Plan(days, calls, notes)


def _redone(dag: Dag, day: datetime.date) -> bool:
    """Whether the backfill would run a day in its range: one without a run, or with a failed one."""
    return day not in dag.runs or dag.runs[day].state == "failed"


def _fail(dag_id: str, run_id: str, day: datetime.date) -> Call:
    path = f"/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
    return Call("PATCH", path, {"state": "failed"}, f"give up the run of {day}, which belongs to a cancelled backfill")


def _backfill(dag_id: str, days: Sequence[datetime.date], max_active_runs: int) -> Call:
    body = {
        "dag_id": dag_id,
        "from_date": midnight(days[0]).isoformat(),
        "to_date": midnight(days[-1]).isoformat(),
        "reprocess_behavior": "failed",
        "max_active_runs": max_active_runs,  # Airflow's default is 10, whatever the DAG says
    }
    return Call("POST", "/backfills", body, f"backfill: {_list(days)}")


def _clear(dag_id: str, run_ids: Sequence[str], days: Sequence[datetime.date]) -> Call:
    body = {"dry_run": False, "dag_runs": [{"dag_run_id": run_id} for run_id in run_ids]}
    return Call("POST", f"/dags/{quote(dag_id, safe='')}/clearDagRuns", body, f"run again: {_list(days)}")


def _list(days: Sequence[datetime.date]) -> str:
    """Days in words: at most six of them one by one."""
    words = [str(day) for day in days]
    return ", ".join(words if len(words) <= 6 else [*words[:5], f"... {words[-1]} ({len(words)} days)"])
