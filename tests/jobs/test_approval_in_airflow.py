"""Approval in a real Airflow: approved, rejected in a browser, not answered in time; the form that forces a model."""

import datetime
import json
import shutil
import tempfile
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from jobs.airflow.local_airflow import down, port_for, up
from jobs.airflow.settings import Settings
from jobs.approval import Answer, record
from jobs.signature import Signature
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs import chromium
from tests.jobs.real_airflow import Live, wait_for
from tests.jobs.small_pipeline import DAILY, DAYS, PIPELINE, SCORES_VARIABLE, build, export, write_raw

pytestmark = pytest.mark.long

FIRST, SECOND = DAYS[:2]
BRIEF_HOURS = 0.01
USERS = ("otto:op", "olga:op", "vera:viewer", "ada:admin")


def asking(name: str, hours: float) -> str:
    """The small pipeline under another name, which asks otto or ada about every candidate."""
    text = PIPELINE.replace('"small"', f'"{name}"').replace('root = "store"', f'root = "{name}"')
    text = text.replace("last_day = 2026-11-30", f"last_day = {SECOND}")
    text = text.replace("bootstrap_repeats = 20", 'bootstrap_repeats = 20\napproval = "always"')
    return f'{text}table = "{name}"\n[approval]\nhours = {hours}\napprovers = ["otto", "ada"]\n'


@pytest.fixture(scope="module")
def site(postgres: EmbeddedPostgres) -> Iterator[Live]:
    """Two pipelines whose steps are made by hand up to the questions, so that the runs have little to do."""
    folder = Path(tempfile.mkdtemp(prefix="approval-"))
    folder.chmod(0o755)
    for name, hours in (("asks", 6.0), ("brief", BRIEF_HOURS)):
        (folder / f"{name}.toml").write_text(asking(name, hours))
    write_raw(folder / "raw", (FIRST, SECOND))
    postgres.ensure_database("approval")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, postgres.uri("approval"))
        patch.setenv("PNN_GLUON_RETRY_SECONDS", "1")
        try:
            build(load_config(folder / "asks.toml"), [FIRST, SECOND])
            brief = load_config(folder / "brief.toml")
            until_gate = DAILY[: DAILY.index("promote")]
            build(brief, [FIRST], until_gate)
            record(brief, FIRST, Answer(True, "the first", Signature("ada", "2026-11-02T06:00:00+00:00")))
            build(brief, [FIRST], DAILY[DAILY.index("promote") :])
            build(brief, [SECOND], until_gate)
            wanted = Settings(str(folder), port_for(folder / "home"), users=USERS)
            up(folder / "home", wanted)
            yield Live(folder / "home", load_config(folder / "asks.toml"), wanted, "otto")
        finally:
            down(folder / "home")
            shutil.rmtree(folder)


def of(site: Live, name: str) -> Config:
    return load_config(site.config.path.with_name(f"{name}.toml"))


def told(config: Config, table: str, day: datetime.date) -> dict[str, Any]:
    manifest = open_store(config).manifest(table, day)
    return {} if manifest is None else dict(manifest.details)


def unpause(site: Live, dag: str) -> None:
    """Unpause a DAG, as soon as it is known."""
    change = {"method": "PATCH", "body": {"is_paused": False}}
    wait_for(lambda: site.ask(f"/api/v2/dags/{dag}?update_mask=is_paused", **change), patience=300)


def backfill(site: Live, name: str, first: datetime.date, last: datetime.date) -> None:
    unpause(site, f"{name}_daily")
    body = {
        "dag_id": f"{name}_daily",
        "from_date": f"{first}T00:00:00Z",
        "to_date": f"{last}T00:00:00Z",
        "reprocess_behavior": "completed",
        "max_active_runs": 2,
    }
    site.ask("/api/v2/backfills", method="POST", body=body)


def runs(site: Live, dag: str) -> dict[str, tuple[str, str]]:
    """By logical date the id and the state of a run."""
    found = site.ask(f"/api/v2/dags/{dag}/dagRuns?limit=50")["dag_runs"]
    return {str(run["logical_date"])[:10]: (run["dag_run_id"], run["state"]) for run in found}


def task(site: Live, dag: str, run: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = site.ask(f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances/{name}")
    return found


def waits(site: Live, name: str, day: datetime.date) -> bool:
    """Whether the question about the candidate of a day waits."""
    run, _ = runs(site, f"{name}_daily").get(str(day), ("", ""))
    return bool(run) and task(site, f"{name}_daily", run, "approval")["state"] == "awaiting_input"


def question_of(site: Live, name: str, day: datetime.date) -> str:
    """Where the question about the candidate of a day is in the API."""
    run = quote(runs(site, f"{name}_daily")[str(day)][0], safe="")
    return f"/api/v2/dags/{name}_daily/dagRuns/{run}/taskInstances/approval/-1/hitlDetails"


def ended(site: Live, name: str, day: datetime.date) -> dict[str, str]:
    """The states of the last tasks of a day, once its run has ended."""
    wait_for(lambda: runs(site, f"{name}_daily").get(str(day), ("", ""))[1] in {"success", "failed"})
    run, state = runs(site, f"{name}_daily")[str(day)]
    return {"run": state} | {
        each: task(site, f"{name}_daily", run, each)["state"] for each in ("approval", "promote", "score", "publish")
    }


WELL = dict.fromkeys(("run", "approval", "promote", "score", "publish"), "success")


def test_nobody_answers_in_time_and_scores_go_out_by_the_champion(site: Live) -> None:
    backfill(site, "brief", SECOND, SECOND)
    assert ended(site, "brief", SECOND) == WELL
    config = of(site, "brief")
    champion = told(config, "champions", SECOND)
    assert (champion["decision"], champion["reason"]) == ("kept", f"nobody answered within {BRIEF_HOURS} h")
    assert "by" not in champion
    assert told(config, "approvals", SECOND)["by"] is None
    assert told(config, "scores", SECOND)["model_day"] == str(FIRST)
    shown = export(config, SECOND)
    assert (shown["state"], shown["decided"]["by"], shown["decided"]["at"]) == ("final", None, champion["at"])


def test_approved_by_an_approver_and_by_nobody_else(site: Live) -> None:
    backfill(site, "asks", FIRST, SECOND)
    wait_for(lambda: waits(site, "asks", FIRST))
    where = question_of(site, "asks", FIRST)
    asked = site.ask(where, user="vera")
    assert asked["subject"] == f"asks: promote the model of {FIRST}?"
    assert "/plugin/pnn-run-report" in asked["body"]
    assert [user["id"] for user in asked["assigned_users"]] == ["otto", "ada"]
    yes = {"chosen_options": ["Approve"], "params_input": {"reason": "looks fine"}}
    for user in ("vera", "olga"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            site.ask(where, user=user, method="PATCH", body=yes)
    site.ask(where, user="otto", method="PATCH", body=yes)
    assert ended(site, "asks", FIRST) == WELL
    champion = told(site.config, "champions", FIRST)
    assert (champion["decision"], champion["by"]) == ("promoted", "otto")
    assert champion["reason"] == "accepted by the gate, approved by otto: looks fine"
    answered = datetime.datetime.fromisoformat(champion["at"])
    assert abs((datetime.datetime.now(datetime.UTC) - answered).total_seconds()) < 3600
    assert export(site.config, FIRST)["decided"]["by"] == "otto"


@pytest.mark.skipif(not chromium.found(), reason="there is no chromium on this machine")
def test_rejected_in_a_browser_and_shown_on_the_days_page(site: Live) -> None:
    wait_for(lambda: waits(site, "asks", SECOND))
    run = quote(runs(site, "asks_daily")[str(SECOND)][0], safe="")
    with chromium.tab() as tab:
        tab.log_in(site.address, "ada", site.passwords["ada"])
        tab.open(f"{site.address}/dags/asks_daily/runs/{run}/tasks/approval/required_actions")
        tab.wait_for(f"{BUTTON.replace('TEXT', 'Reject')} !== undefined")
        tab.wait_for("document.body.innerText.includes('Without an answer within 6 h')")
        tab.picture("approval-question")
        tab.put("[name=element_reason]", "moves bids <b>too</b> far")
        tab.picture("approval-reason")
        tab.run(f"{BUTTON.replace('TEXT', 'Reject')}.click()")
        assert ended(site, "asks", SECOND) == WELL
        champion = told(site.config, "champions", SECOND)
        assert (champion["decision"], champion["by"]) == ("kept", "ada")
        assert champion["reason"] == "rejected by ada: moves bids <b>too</b> far"
        assert told(site.config, "scores", SECOND)["model_day"] == str(FIRST)
        tab.open(f"{site.address}/dags/asks_daily/plugin/pnn-dag-days")
        frame = "document.querySelector('iframe').contentDocument"
        tab.wait_for(f"{frame}.body.innerText.includes('promote: rejected by ada: moves bids <b>too</b> far')")
        tab.picture("approval-days")


BUTTON = "[...document.querySelectorAll('button')].find(each => each.textContent.trim() === 'TEXT')"


def test_a_day_that_was_answered_is_run_again_and_nobody_is_asked(site: Live) -> None:
    before = told(site.config, "champions", FIRST)
    run = runs(site, "asks_daily")[str(FIRST)][0]
    clear = {"dry_run": False, "dag_runs": [{"dag_run_id": run}]}
    site.ask("/api/v2/dags/asks_daily/clearDagRuns", method="POST", body=clear)
    wait_for(lambda: runs(site, "asks_daily")[str(FIRST)][1] in {"queued", "running"}, pause=0.2)
    assert ended(site, "asks", FIRST) == WELL
    assert told(site.config, "champions", FIRST) == before


def runs_of_form(site: Live, run: str) -> str:
    """How a run of the form is."""
    state: str = site.ask(f"/api/v2/dags/asks_promote/dagRuns/{quote(run, safe='')}")["state"]
    return state


def force(site: Live, user: str, **form: Any) -> tuple[str, str]:
    """Fill in the form; the id of the run and how it ended."""
    given = {"day": str(SECOND), "model": str(SECOND), "take_back": False, "reason": "the bids are meant to move"}
    body = {"logical_date": None, "conf": given | form}
    run = site.ask("/api/v2/dags/asks_promote/dagRuns", user=user, method="POST", body=body)["dag_run_id"]
    path = f"/api/v2/dags/asks_promote/dagRuns/{quote(run, safe='')}"
    wait_for(lambda: site.ask(path)["state"] in {"success", "failed"})
    return run, site.ask(path)["state"]


def reject(site: Live) -> None:
    """Answer the question about the second candidate, as the test with a browser does where there is one."""
    wait_for(lambda: waits(site, "asks", SECOND))
    no = {"chosen_options": ["Reject"], "params_input": {"reason": "moves bids too far"}}
    site.ask(question_of(site, "asks", SECOND), user="ada", method="PATCH", body=no)
    assert ended(site, "asks", SECOND) == WELL


def test_the_form_forces_a_model_for_approvers_only_and_says_what_was_done(site: Live) -> None:
    if not chromium.found():
        reject(site)
    unpause(site, "asks_promote")
    before = told(site.config, "champions", SECOND)
    assert before["decision"] == "kept"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        force(site, "vera")
    refused, state = force(site, "olga")
    assert state == "failed"
    assert "olga may not decide about models of asks; approval.approvers are otto, ada" in log(site, refused)
    assert told(site.config, "champions", SECOND) == before

    run, state = force(site, "otto")
    assert state == "success"
    champion = told(site.config, "champions", SECOND)
    assert (champion["decision"], champion["model_day"], champion["by"]) == ("override", str(SECOND), "otto")
    path = f"/api/v2/dags/asks_promote/dagRuns/{quote(run, safe='')}/taskInstances/promote/xcomEntries/return_value"
    value = site.ask(path)["value"]
    outcome = json.loads(value) if isinstance(value, str) else value
    assert (outcome["details"]["by"], outcome["details"]["in_force"]) == ("otto", str(SECOND))
    shown = export(site.config, SECOND)
    assert (shown["override"], shown["decided"]["by"]) == ("the bids are meant to move", "otto")
    days = site.ask(f"/pnn_gluon/dags/asks_daily/days?first={SECOND}&last={SECOND}")["days"]
    assert days[0]["champion"]["word"] == "by hand"
    report = site.ask(f"/pnn_gluon/dags/asks_daily/report?first={SECOND}&last={SECOND}", user="vera")
    assert f"the model of {SECOND} was put in force by otto" in report
    assert shown["day"] == str(plus(SECOND, 1))

    clear = {"dry_run": False, "dag_runs": [{"dag_run_id": run}]}
    site.ask("/api/v2/dags/asks_promote/clearDagRuns", user="olga", method="POST", body=clear)
    wait_for(lambda: runs_of_form(site, run) == "failed")
    assert told(site.config, "champions", SECOND) == champion

    _, state = force(site, "ada", model=None, take_back=True, reason="no, after all")
    assert state == "success"
    assert told(site.config, "champions", SECOND) == before


def log(site: Live, run: str) -> str:
    """What the task of a form said, once its log is there."""
    path = f"/api/v2/dags/asks_promote/dagRuns/{quote(run, safe='')}/taskInstances/promote/logs/1?full_content=true"
    for _ in range(30):
        found = json.dumps(site.ask(path))
        if "may not decide" in found:
            return found
        time.sleep(1)
    return found
