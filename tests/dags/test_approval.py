"""The task that asks a person, and the form that puts a model in force, in Airflow without a scheduler."""

import datetime
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.airflow import dag_runner
from pnn_gluon.config import Config
from pnn_gluon.errors import PnnError
from pnn_gluon.pipeline.opening import open_store
from tests.dags.conftest import DAG_DAYS, LAST, OTHER, OtherDay
from tests.jobs.small_pipeline import tree

FIRST = DAG_DAYS[0]


@pytest.fixture
def asked(other_day: OtherDay) -> Config:
    """A pipeline that asks a person about every candidate, after a day without a scheduler."""
    return other_day.config


def details(config: Config, table: str, day: datetime.date) -> dict[str, Any]:
    found = open_store(config).manifest(table, day)
    assert found is not None
    return dict(found.details)


def task_states(name: str) -> dict[str, str]:
    from airflow.models.dagrun import DagRun

    run = max(DagRun.find(dag_id=name), key=lambda each: each.start_date)
    return {ti.task_id: ti.state for ti in run.get_task_instances()}


def test_only_a_pipeline_that_may_ask_has_the_task(asked: Config, dags: dict[str, Any]) -> None:
    assert "approval" not in dags["small_daily"].task_ids
    task = dags["other_daily"].get_task("approval")
    assert (task.upstream_task_ids, task.downstream_task_ids) == ({"gate"}, {"promote"})
    assert (task.pool, task.trigger_rule, task.retries) == ("other", "none_failed", 2)
    assert (task.options, task.defaults) == (["Approve", "Reject"], ["Reject"])
    assert task.assigned_users == [{"id": name, "name": name} for name in ("otto", "dag_test")]
    assert dags["other_daily"].get_task("promote").upstream_task_ids == {"gate", "approval"}


def test_without_a_scheduler_nobody_is_asked_and_the_day_ends(asked: Config) -> None:
    states = task_states("other_daily")
    assert (states["approval"], states["promote"]) == ("skipped", "success")
    assert details(asked, "champions", FIRST)["reason"].startswith("waits for approval: pnn-gluon approve")


def test_the_form_puts_a_model_in_force_and_takes_it_back(asked: Config, dags: dict[str, Any]) -> None:
    form = {"day": str(FIRST), "model": str(FIRST), "take_back": False, "reason": "it's fine"}
    dag_runner.run_day(dags["other_promote"], LAST, form)
    champion = details(asked, "champions", FIRST)
    assert (champion["decision"], champion["reason"], champion["by"]) == ("override", "it's fine", "dag_test")
    assert datetime.datetime.fromisoformat(champion["at"]).tzinfo is not None
    published = open_store(asked).manifest("published", FIRST)
    assert published is not None
    export = json.loads((open_store(asked).folder(published) / "export.json").read_text())
    assert (export["override"], export["decided"]["by"]) == ("it's fine", "dag_test")
    dag_runner.run_day(dags["other_promote"], LAST, form | {"model": None, "take_back": True, "reason": "a mistake"})
    assert details(asked, "champions", FIRST)["reason"].startswith("waits for approval")
    assert details(asked, "overrides", FIRST)["by"] == "dag_test"


@pytest.mark.parametrize(
    "form",
    [
        {"reason": "$(touch {mark})", "model": "2026-11-01; touch {mark}"},
        {"day": "2026-11-01`touch {mark}`"},
        {"model": "2027-01-01", "reason": '"; touch {mark}; "'},
        {"model": None},
        {"take_back": True},
        {"take_back": "$(touch {mark})"},
        {"reason": "two\nlines"},
        {"reason": None},
    ],
)
def test_a_hostile_or_odd_form_is_refused_and_changes_nothing(
    asked: Config, dags: dict[str, Any], tmp_path: Path, form: dict[str, Any]
) -> None:
    mark = tmp_path / "mark"
    values = {
        key: value.replace("{mark}", str(mark)) if isinstance(value, str) else value for key, value in form.items()
    }
    before = tree(Path(asked.store_root))
    base = {"day": str(FIRST), "model": str(FIRST), "take_back": False, "reason": "x"}
    with pytest.raises((PnnError, ValueError)):
        dag_runner.run_day(dags["other_promote"], LAST, {**base, **values})
    assert not mark.exists()
    assert tree(Path(asked.store_root)) == before


def test_the_form_refuses_who_is_no_approver_in_plain_words(asked: Config, dags: dict[str, Any]) -> None:
    closed = asked.path.read_text().replace(', "dag_test"', "")
    asked.path.write_text(closed)
    form = {"day": str(FIRST), "model": str(FIRST), "reason": "x"}
    log = Path(os.environ["PNN_GLUON_TASK_LOG"])
    try:
        with pytest.raises(PnnError, match=r"other_promote .* ended as failed"):
            dag_runner.run_day(dags["other_promote"], LAST, form)
    finally:
        asked.path.write_text(OTHER)
    assert log.read_text().endswith("dag_test may not decide about models of other; approval.approvers are otto\n")


def test_a_cleared_run_of_the_form_repeats_nobodys_decision(dags: dict[str, Any]) -> None:
    """Whoever may clear runs could otherwise force a model in the name of an approver."""
    from airflow.sdk.exceptions import AirflowFailException

    refuse = dags["small_promote"].get_task("promote")._pre_execute_hook
    refuse({"dag_run": SimpleNamespace(clear_number=0, triggering_user_name="otto")})
    with pytest.raises(AirflowFailException, match=r"sent by otto and its run was cleared, .*trigger the DAG again"):
        refuse({"dag_run": SimpleNamespace(clear_number=1, triggering_user_name="otto")})


class Pushed:
    """Stands for the task instance."""

    dag_id, task_id, run_id, id = "other_daily", "approval", "scheduled__2026-11-02T00:00:00+00:00", "an id"

    def xcom_push(self, key: str, value: Any) -> None:
        raise AssertionError("nothing is pushed by hand")


QUESTION = {
    "step": "approval",
    "day": "2026-11-01",
    "status": "waiting",
    "details": {"candidate": "0123", "words": "w", "subject": "May it?", "body": "because", "reasons": ["w"]},
}
ANSWERED = datetime.datetime(2026, 11, 2, 7, 30, tzinfo=datetime.UTC)


def approval(script: str, hours: float | None = 0.5) -> Any:
    """The task with a script in place of its jobs."""
    from pnn_gluon_approval import SHOW, PromotionApproval

    return PromotionApproval(
        task_id="approval",
        bash_command=f"{script} # {SHOW}",
        append_env=True,
        env={},
        cwd="/",
        hours=hours,
        approvers=("otto",),
    )


def test_a_question_waits_without_a_slot_for_exactly_this_candidate(
    dag_pipeline: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.standard.operators import hitl
    from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

    asked: dict[str, Any] = {}
    notices: list[tuple[Any, ...]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **given: asked.update(given))
    monkeypatch.setattr("pnn_gluon_approval.notify", lambda who, event, context, why: notices.append((event, why)))
    script = f"echo '{json.dumps(QUESTION)}'; exit 4"
    with pytest.raises(TaskAwaitingInput) as waiting:
        approval(script).execute({"ti": Pushed(), "task_instance": Pushed()})
    assert (waiting.value.method_name, waiting.value.kwargs) == ("answered", {"candidate": "0123"})
    assert waiting.value.timeout == datetime.timedelta(minutes=30)
    assert (asked["subject"], asked["defaults"]) == ("May it?", ["Reject"])
    assert notices == [("approval", "w")]
    link = "/dags/other_daily/runs/scheduled__2026-11-02T00%3A00%3A00%2B00%3A00/plugin/pnn-run-report)"
    assert asked["body"].startswith("because\n\n[Report](")
    assert asked["body"].endswith(link)
    with pytest.raises(AirflowSkipException, match="approval 2026-11-01 waiting: w"):
        approval(script, hours=None).execute({"ti": Pushed()})


OTTO = {"id": "7", "name": "otto"}
HOSTILE = "'; touch /x; $(reboot) `x` --nobody"


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        (
            {"chosen_options": ["Approve"], "params_input": {"reason": HOSTILE}, "responded_by_user": OTTO},
            ["--reason", HOSTILE, "--by", "otto", "--user-id", "7"],
        ),
        (
            {"chosen_options": ["Reject"], "params_input": {}, "responded_by_user": OTTO},
            ["--reason", "no reason given", "--by", "otto", "--user-id", "7", "--reject"],
        ),
        ({"chosen_options": ["Reject"], "params_input": {"reason": ""}, "responded_by_user": None}, ["--nobody"]),
    ],
)
def test_an_answer_reaches_its_job_whole(
    dag_pipeline: Config, monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], arguments: list[str]
) -> None:
    monkeypatch.setenv("PNN_GLUON_DAY", "2026-11-01")
    script = """python3 -c 'import json, sys; print(json.dumps({"said": sys.argv[1:]}))'"""
    task = approval("")
    task.bash_command = task.bash_command.replace(" # ", f"{script} ")
    said = task.answered({"ti": Pushed()}, event | {"responded_at": ANSWERED}, "0123")
    common = ["approve", "--day", "2026-11-01", "--candidate", "0123", "--at", ANSWERED.isoformat()]
    assert said["said"] == [*common, *arguments]


def test_an_answer_that_does_not_count_leaves_the_day_to_promote(dag_pipeline: Config) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    event = {"chosen_options": ["Approve"], "params_input": {}, "responded_at": ANSWERED, "responded_by_user": OTTO}
    script = "echo 'error: otto may not decide' >&2; exit 2"
    with pytest.raises(AirflowSkipException, match=r"^the answer does not count: otto may not decide$"):
        approval(script).answered({"ti": Pushed()}, event, "0123")
    assert "PNN_GLUON_BY" not in os.environ
