"""A task ends as its job ended and says why in the job's own words."""

import datetime
import json
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from pnn_gluon.scheduling import LOOK_ONCE

pytestmark = pytest.mark.usefixtures("dag_pipeline")  # Airflow is imported only once its home is set

OUTCOME = {"step": "gate", "day": "2026-11-02", "status": "refused", "details": {"reasons": ["auc 0.4, limit 0.5"]}}


class Pushed:
    """Stands for the task instance: keeps what is pushed."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.values[key] = value


def run(script: str) -> tuple[Any, dict[str, Any]]:
    from pnn_gluon_job import JobOperator

    task = JobOperator(task_id="train", bash_command=script, append_env=True, cwd="/")
    pushed = Pushed()
    return task.execute({"ti": pushed}), pushed.values


def test_the_last_line_is_the_result() -> None:
    assert run("""echo progress >&2; echo '{"rows": 3}'""")[0] == {"rows": 3}


def test_what_a_job_says_is_kept_in_the_log_of_a_run_without_airflows_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNN_GLUON_TASK_LOG", str(tmp_path / "tasks.log"))
    run("""echo progress >&2; echo '{"rows": 3}'""")
    run("""echo '{"rows": 4}'""")
    assert (tmp_path / "tasks.log").read_text() == 'progress\n{"rows": 3}\n{"rows": 4}\n'


@pytest.mark.parametrize("status", [2, 3])
def test_what_only_a_person_can_mend_fails_at_once_with_the_jobs_own_words(status: int) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=r"(?s)^no files of 2026-11-02\nlook there$"):
        run(f"echo progress; printf 'error: no files of 2026-11-02\\nlook there\\n' >&2; exit {status}")


def test_a_crash_is_tried_again_and_shows_its_traceback() -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException, match=r"(?s)^Traceback .*ValueError: odd") as caught:
        run(f"""echo progress; exec {sys.executable} -c 'raise ValueError("odd")'""")
    assert not isinstance(caught.value, AirflowFailException)


def test_a_refused_day_is_skipped_with_its_reason_and_keeps_its_xcom() -> None:
    from airflow.sdk.exceptions import AirflowSkipException
    from pnn_gluon_job import JobOperator

    task = JobOperator(task_id="gate", bash_command=f"echo '{json.dumps(OUTCOME)}'; exit 4", append_env=True, cwd="/")
    pushed = Pushed()
    with pytest.raises(AirflowSkipException, match=r"gate 2026-11-02 refused: auc 0\.4, limit 0\.5"):
        task.execute({"ti": pushed})
    assert pushed.values == {"return_value": OUTCOME}


def test_the_reason_of_a_kept_day_is_said() -> None:
    from pnn_gluon_job import reason

    outcome = {"step": "train", "day": "2026-11-02", "status": "kept", "details": {"kept": "no clicks"}}
    assert reason(outcome) == "train 2026-11-02 kept: no clicks"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -ILL $$", "train was ended by SIGILL .*PNN_GLUON_ISA=avx2.*PNN_GLUON_OPERATORS=plain"),
        ("kill -SEGV $$", "train was ended by SIGSEGV .*PNN_GLUON_ISA=avx2"),
        ("exit 135", "train was ended by SIGBUS "),
        ("echo at epoch 1; kill -KILL $$", r"(?s)SIGKILL .*engine.memory_limit.*at epoch 1"),
    ],
)
def test_a_death_by_a_signal_is_named_with_what_to_set(script: str, words: str) -> None:
    from airflow.sdk.exceptions import AirflowException

    with pytest.raises(AirflowException, match=words):
        run(script)


def look(ended: datetime.timedelta) -> Any:
    """One look for raw files that are not there, so long after the end of the day; four hours are its patience."""
    from pnn_gluon_arrival import ArrivalOperator

    outcome = {"step": "wait_for_logs", "day": "x", "status": "waiting", "details": {"reasons": ["no a/*.tsv"]}}
    script = f"echo '{json.dumps(outcome)}'; exit 4"
    task = ArrivalOperator(
        task_id="wait_for_logs", bash_command=script, append_env=True, cwd="/", patience=datetime.timedelta(hours=4)
    )
    midnight = datetime.datetime.now(datetime.UTC) - ended - datetime.timedelta(days=1)
    return task.execute({"ti": Pushed(), "data_interval_start": _Midnight.of(midnight)})


class _Midnight(datetime.datetime):
    """A start of a day at any time, so that a test needs no clock of its own."""

    @classmethod
    def of(cls, moment: datetime.datetime) -> "_Midnight":
        return cls.fromtimestamp(moment.timestamp(), datetime.UTC)

    def replace(self, **_: Any) -> "_Midnight":  # type: ignore[override]
        return self


def test_a_wait_for_raw_files_gives_its_slot_back_until_its_own_deadline() -> None:
    from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

    with pytest.raises(TaskDeferred) as waiting:
        look(datetime.timedelta(hours=3.9))
    assert waiting.value.method_name == "go_on"
    with pytest.raises(AirflowFailException, match=r"not complete by .* UTC: wait_for_logs x waiting: no a/\*\.tsv"):
        look(datetime.timedelta(hours=4.1))


class Runs:
    """Stands for the task instance: answers how other days' runs and tasks are, and what it was asked."""

    dag_id = "p_daily"

    def __init__(self, open_days: set[int], settled: set[tuple[int, str]]) -> None:
        self.open_days, self.settled = open_days, settled

    def get_dr_count(self, dag_id: str, logical_dates: list[datetime.datetime], states: list[str]) -> int:
        assert (dag_id, states) == ("p_daily", ["queued", "running"])
        return sum((START - date).days < 10 and date.day in self.open_days for date in logical_dates)

    def get_ti_count(
        self, dag_id: str, logical_dates: list[datetime.datetime], states: list[str], task_ids: list[str]
    ) -> int:
        assert {"success", "failed", "upstream_failed", "skipped"} < set(states)
        return sum((date.day, name) in self.settled for date in logical_dates for name in task_ids)


START = datetime.datetime(2026, 11, 10, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("open_days", "settled", "waited"),
    [
        (set(), set(), None),  # nobody asked for the days before
        ({9}, {(9, "promote"), (9, "sample")}, None),  # ended, in whatever state
        ({9}, set(), "promote of 2026-11-09"),
        ({8, 9}, {(8, "promote"), (9, "promote")}, "sample of 2026-11-09"),
        ({8, 9}, {(8, "promote"), (9, "promote"), (9, "sample")}, "sample of 2026-11-08"),
        ({6}, {(6, "promote")}, None),  # none that is read
        ({6, 9}, {(9, "promote"), (9, "sample")}, "promote of 2026-11-06"),  # the day between ended early, in an error
    ],
)
def test_a_task_waits_for_the_end_of_what_it_reads_of_earlier_days(
    open_days: set[int], settled: set[tuple[int, str]], waited: str | None
) -> None:
    from pnn_gluon_waiting import unsettled

    context = {"ti": Runs(open_days, settled), "data_interval_start": START}
    assert unsettled(context, {"promote": 60, "sample": 3}) == waited


def test_a_wait_gives_its_slot_back_looks_again_and_ends_with_the_job_itself() -> None:
    from airflow.sdk.exceptions import TaskDeferred
    from pnn_gluon_job import JobOperator

    script = """echo '{"rows": 3}'"""
    task = JobOperator(task_id="gate", bash_command=script, append_env=True, cwd="/", waits={"promote": 1})
    runs = Runs({9}, set())
    context = {"ti": runs, "data_interval_start": START}
    with pytest.raises(TaskDeferred) as waiting:
        task.execute(context)
    assert (waiting.value.method_name, waiting.value.kwargs["looks"]) == ("go_on", 1)
    with pytest.raises(TaskDeferred) as again:
        task.go_on(context, **waiting.value.kwargs)
    assert again.value.kwargs == {"looks": 2, "since": waiting.value.kwargs["since"]}
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=13)
    assert task.go_on(context, looks=9, since=long_ago.isoformat()) == {"rows": 3}
    runs.settled.add((9, "promote"))
    assert task.go_on(context, **again.value.kwargs) == {"rows": 3}


@pytest.mark.parametrize(("here_for", "waits"), [(2, 15), (40, 80)])
def test_on_a_busy_machine_a_task_waits_longer_than_its_process_may_take_to_end(
    here_for: float, waits: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow fails a task that is at work again before it saw the process before end."""
    import pnn_gluon_waiting

    monkeypatch.delenv(LOOK_ONCE, raising=False)
    monkeypatch.setattr(pnn_gluon_waiting.time, "time", lambda: psutil.Process().create_time() + here_for)
    least = datetime.timedelta(seconds=15)
    assert pnn_gluon_waiting.pause(least).total_seconds() == pytest.approx(waits)
    monkeypatch.setenv(LOOK_ONCE, "1")
    assert pnn_gluon_waiting.pause(least) == least
