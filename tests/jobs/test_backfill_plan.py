"""The calls that run exactly the days that need it."""

import datetime
from typing import Any

from jobs.airflow.plugin.plan import plan
from jobs.airflow.plugin.runs import Dag, Run

DAY = [datetime.date(2026, 11, 1) + datetime.timedelta(n) for n in range(9)]


def run(day: int, state: str = "success", cancelled: bool = False) -> tuple[datetime.date, Run]:
    return DAY[day], Run(f"scheduled__{DAY[day]}", state, cancelled)


def dag(*runs: tuple[datetime.date, Run], **other: Any) -> Dag:
    options = {"paused": False, "max_active_runs": 4, "backfill": None, "missing_pools": (), **other}
    return Dag(runs=dict(runs), **options)


def test_days_with_runs_are_cleared_in_one_call_and_the_others_backfilled_before_them() -> None:
    made = plan("a_daily", dag(run(0), run(3), run(4), run(7)), {DAY[3], DAY[7], DAY[8]})
    backfill, clear = made.calls
    assert (backfill.method, backfill.path) == ("POST", "/backfills")
    assert backfill.body == {
        "dag_id": "a_daily",
        "from_date": "2026-11-09T00:00:00+00:00",
        "to_date": "2026-11-09T00:00:00+00:00",
        "reprocess_behavior": "failed",
        "max_active_runs": 4,
    }
    assert (clear.method, clear.path) == ("POST", "/dags/a_daily/clearDagRuns")
    named = [{"dag_run_id": f"scheduled__{DAY[day]}"} for day in (3, 7)]
    assert clear.body == {"dry_run": False, "dag_runs": named}
    assert list(made.days) == [DAY[3], DAY[7], DAY[8]]


def test_nothing_is_done_twice() -> None:
    made = plan("a_daily", dag(run(1, "running"), run(2, "queued"), run(3)), {DAY[1], DAY[2]})
    assert made.calls == []
    assert made.notes == ["already under way: 2026-11-02, 2026-11-03"]


def test_a_failed_day_within_the_backfill_is_left_to_it() -> None:
    made = plan("a_daily", dag(run(2, "failed"), run(5, "failed")), {DAY[1], DAY[2], DAY[3], DAY[5]})
    backfill, clear = made.calls
    assert backfill.body["from_date"].startswith("2026-11-02")
    assert backfill.body["to_date"].startswith("2026-11-04")
    assert clear.body["dag_runs"] == [{"dag_run_id": f"scheduled__{DAY[5]}"}]


def test_days_that_the_backfill_runs_besides_are_named() -> None:
    made = plan("a_daily", dag(run(2), run(3, "failed")), {DAY[1], DAY[5]})
    assert made.notes == ["in the backfill's range, and with nothing to do: 2026-11-04, 2026-11-05"]


def test_a_run_that_hangs_is_given_up_and_backfilled_even_if_its_day_is_well() -> None:
    made = plan("a_daily", dag(run(2, "queued", cancelled=True)), set())
    give_up, backfill = made.calls
    assert (give_up.method, give_up.path) == ("PATCH", f"/dags/a_daily/dagRuns/scheduled__{DAY[2]}")
    assert give_up.body == {"state": "failed"}
    assert backfill.body["from_date"] == backfill.body["to_date"] == "2026-11-03T00:00:00+00:00"


def test_a_run_of_a_cancelled_backfill_is_never_cleared_for_it_would_hang() -> None:
    ended = dag(run(1, "success", cancelled=True), run(2, "failed", cancelled=True))
    calls = plan("a_daily", ended, {DAY[1], DAY[2]}).calls
    assert [(call.method, call.path.split("/")[-1]) for call in calls] == [
        ("PATCH", f"scheduled__{DAY[1]}"),
        ("POST", "backfills"),
    ]


def test_a_running_run_of_a_cancelled_backfill_is_left_to_end() -> None:
    assert plan("a_daily", dag(run(1, "running", cancelled=True)), {DAY[1]}).calls == []


def test_while_a_backfill_is_at_work_no_other_is_tried() -> None:
    for paused, word in ((False, "is at work; wait for its end"), (True, "is paused; unpause or cancel it first")):
        made = plan("a_daily", dag(run(1), backfill=(DAY[3], DAY[5], paused)), {DAY[1], DAY[2]})
        assert made.calls == []
        assert word in made.notes[0]
    cleared = plan("a_daily", dag(run(1), backfill=(DAY[3], DAY[5], False)), {DAY[1]})
    assert [call.path for call in cleared.calls] == ["/dags/a_daily/clearDagRuns"]


def test_odd_names_stay_within_their_part_of_the_address() -> None:
    odd = Run("manual/../x?a=b#c", "queued", cancelled=True)
    give_up = plan("a_daily", dag((DAY[1], odd)), set()).calls[0]
    assert give_up.path == "/dags/a_daily/dagRuns/manual%2F..%2Fx%3Fa%3Db%23c"


def test_many_days_are_told_shortly() -> None:
    made = plan("a_daily", dag(), set(DAY))
    assert made.calls[0].says == (
        "backfill: 2026-11-01, 2026-11-02, 2026-11-03, 2026-11-04, 2026-11-05, ... 2026-11-09 (9 days)"
    )
