"""What Airflow's database says of a pipeline's daily DAG: its runs, its backfill, its pools. Only read."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError

_OF_DAYS = ("scheduled", "backfill")
"""Kinds of runs whose logical date is the day they work on; a run by hand has the date it was given."""


class Run(NamedTuple):
    """The run of a day.

    Attributes:
        run_id: Its name.
        state: queued, running, success or failed.
        cancelled: Whether it belongs to a backfill that was cancelled: Airflow never starts such a run again.
    """

    run_id: str
    state: str
    cancelled: bool

    @property
    def hangs(self) -> bool:
        """Whether it waits for a start that never comes."""
        return self.state == "queued" and self.cancelled

    @property
    def open(self) -> bool:
        """Whether it is under way, or will be."""
        return self.state in {"queued", "running"} and not self.hangs


class Dag(NamedTuple):
    """The daily DAG.

    Attributes:
        paused: Whether its runs wait until somebody unpauses it.
        max_active_runs: How many of its runs may be under way at a time.
        backfill: The days of the backfill that is at work, and whether that is paused; None without one.
        missing_pools: Pools of the pipeline that are not there: their tasks wait for ever.
        runs: By day.
    """

    paused: bool
    max_active_runs: int
    backfill: tuple[datetime.date, datetime.date, bool] | None
    missing_pools: Sequence[str]
    runs: Mapping[datetime.date, Run]


def midnight(day: datetime.date) -> datetime.datetime:
    """The logical date of a day's run."""
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC)


def read_dag(session: Any, dag_id: str, pools: Iterable[str], first: datetime.date, last: datetime.date) -> Dag | None:
    """A daily DAG, its runs of some days, which of the pools are missing; None if Airflow has not loaded it."""
    from airflow.models import DagModel
    from airflow.models.backfill import Backfill
    from sqlalchemy import select

    dag = session.get(DagModel, dag_id)
    if dag is None or dag.is_stale:
        return None
    open_backfill = select(Backfill).where(Backfill.dag_id == dag_id, Backfill.completed_at.is_(None))
    backfill = session.scalars(open_backfill.order_by(Backfill.id).limit(1)).first()
    span = None if backfill is None else (backfill.from_date.date(), backfill.to_date.date(), backfill.is_paused)
    return Dag(
        dag.is_paused, dag.max_active_runs, span, _missing_pools(session, pools), _runs(session, dag_id, first, last)
    )


def _runs(session: Any, dag_id: str, first: datetime.date, last: datetime.date) -> dict[datetime.date, Run]:
    from airflow.models import DagRun
    from airflow.models.backfill import Backfill
    from sqlalchemy import select

    asked = (
        select(DagRun.logical_date, DagRun.run_id, DagRun.state, Backfill.completed_at, Backfill.is_paused)
        .join(Backfill, Backfill.id == DagRun.backfill_id, isouter=True)
        .where(DagRun.dag_id == dag_id, DagRun.run_type.in_(_OF_DAYS))
        .where(DagRun.logical_date.between(midnight(first), midnight(last)))
    )
    return {
        date.date(): Run(run_id, str(state), completed is not None and bool(paused))
        for date, run_id, state, completed, paused in session.execute(asked)
    }


def newest_run(session: Any, dag_id: str) -> datetime.date | None:
    """The newest day that a DAG has a run of, whatever became of it."""
    from airflow.models import DagRun
    from sqlalchemy import func, select

    of_days = (DagRun.dag_id == dag_id, DagRun.run_type.in_(_OF_DAYS))
    newest = session.scalar(select(func.max(DagRun.logical_date)).where(*of_days))
    return None if newest is None else newest.date()


def run_day(session: Any, dag_id: str, run_id: str) -> datetime.date | None:
    """The day that a run of any DAG works on; None if there is no such run."""
    from airflow.models import DagRun
    from sqlalchemy import select

    asked = select(DagRun.data_interval_start, DagRun.partition_key).where(
        DagRun.dag_id == dag_id, DagRun.run_id == run_id
    )
    start, partition = session.execute(asked).first() or (None, None)
    try:
        return start.date() if start else parse_day(partition or "")  # a night has its day as its partition
    except ConfigError:
        return None


def _missing_pools(session: Any, wanted: Iterable[str]) -> list[str]:
    from airflow.models import Pool
    from sqlalchemy import select

    return sorted(set(wanted) - set(session.scalars(select(Pool.pool))))
