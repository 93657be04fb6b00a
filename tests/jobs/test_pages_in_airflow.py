"""The pages in a real Airflow: exactly the stale days run, a run that hangs is mended, and a browser shows it all."""

import datetime
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from jobs.airflow.local_airflow import down, up
from jobs.airflow.settings import Settings
from pnn_gluon.config import Config, load_config
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs import chromium
from tests.jobs.real_airflow import Live, free_port, wait_for
from tests.jobs.small_pipeline import DAYS, PIPELINE, SCORES_VARIABLE, build, state_words, write_raw

pytestmark = pytest.mark.long

THREE = DAYS[:3]
RANGE = f"first={THREE[0]}&last={THREE[-1]}"


class Site(Live):
    """The days page of the pipeline, and what its calls lead to."""

    def look(self) -> Any:
        return self.ask(f"/pnn_gluon/dags/small_daily/days?{RANGE}")

    def plan(self) -> Any:
        return self.ask(f"/pnn_gluon/dags/small_daily/plan?{RANGE}", method="POST")

    def start(self, plan: Any) -> None:
        """Make the calls of a plan as the page does."""
        for call in plan["calls"]:
            self.ask(f"/api/v2{call['path']}", method=call["method"], body=call["body"])

    def ended(self) -> dict[datetime.date, list[tuple[str, str]]]:
        """By day when tasks ended, once every run has."""
        wait_for(lambda: self._open() == 0)
        return {
            day: [(each["task_id"], each["end_date"]) for each in self._tasks(day)]
            for day in THREE
            if str(day) in self.look()["dag"]["runs"]
        }

    def _open(self) -> int:
        runs = self.look()["dag"]["runs"].values()
        return sum(run["state"] in {"queued", "running"} for run in runs)

    def _tasks(self, day: datetime.date) -> Any:
        run = self.look()["dag"]["runs"][str(day)]["run_id"]
        return self.ask(f"/api/v2/dags/small_daily/dagRuns/{quote(run, safe='')}/taskInstances")["task_instances"]


def change(config: Config, day: datetime.date) -> None:
    """A late line of a day's log."""
    file = next((config.path.parent / "raw" / "logs" / str(day)).glob("*.tsv"))
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[-1]]) + "\n")


@pytest.fixture(scope="module")
def site(postgres: EmbeddedPostgres) -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="pages-"))
    folder.chmod(0o755)
    (folder / "pipeline.toml").write_text(PIPELINE.replace("last_day = 2026-11-30", f"last_day = {THREE[-1]}"))
    write_raw(folder / "raw", THREE)
    config = load_config(folder / "pipeline.toml")
    postgres.ensure_database("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, postgres.uri("pages"))
        patch.setenv("PNN_GLUON_RETRY_SECONDS", "1")
        try:
            build(config, THREE)
            wanted = Settings(str(config.path), free_port(), users=("otto:op", "vera:viewer"))
            up(folder / "home", wanted)
            yield Site(folder / "home", config, wanted, "otto")
        finally:
            down(folder / "home")
            shutil.rmtree(folder)


def words(config: Config) -> dict[datetime.date, bool]:
    """Whether every step of each day is done."""
    return {day: set(states.values()) == {"done"} for day, states in state_words(config, THREE).items()}


def test_exactly_the_stale_days_run_in_order_also_while_the_dag_is_paused_first(site: Site) -> None:
    assert not any(day["unwell"] for day in site.look()["days"])
    assert site.plan()["days"] == []
    change(site.config, THREE[1])
    shown = site.look()
    assert [day["day"] for day in shown["days"] if day["unwell"]] == [str(day) for day in THREE[1:]]
    assert shown["dag"]["paused"]
    assert (shown["dag"]["missing_pools"], shown["may_start"]) == ([], True)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        site.ask(f"/pnn_gluon/dags/small_daily/plan?{RANGE}", user="vera", method="POST")

    plan = site.plan()
    assert [call["path"] for call in plan["calls"]] == ["/backfills"]
    for call in plan["calls"]:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            site.ask(f"/api/v2{call['path']}", user="vera", method=call["method"], body=call["body"])
    site.start(plan)
    assert site.plan()["notes"] == [f"already under way: {THREE[1]}, {THREE[2]}"]
    site.ask("/api/v2/dags/small_daily?update_mask=is_paused", method="PATCH", body={"is_paused": False})
    ran = site.ended()
    assert list(ran) == THREE[1:]
    ends = {task: [dict(tasks)[task] for tasks in ran.values()] for task in ("feature_map", "promote")}
    assert ends == {task: sorted(times) for task, times in ends.items()}
    assert words(site.config) == dict.fromkeys(THREE, True)
    assert not any(day["unwell"] for day in site.look()["days"])


def test_days_with_runs_are_cleared_and_no_other_day_runs(site: Site) -> None:
    change(site.config, THREE[2])
    before = site.ended()
    plan = site.plan()
    assert (plan["days"], len(plan["calls"])) == ([str(THREE[2])], 1)
    assert plan["calls"][0]["path"] == "/dags/small_daily/clearDagRuns"
    site.start(plan)
    after = site.ended()
    assert after[THREE[1]] == before[THREE[1]]
    assert after[THREE[2]] != before[THREE[2]]
    assert words(site.config) == dict.fromkeys(THREE, True)


def test_a_run_that_hangs_since_its_backfill_was_cancelled_is_shown_and_mended(site: Site) -> None:
    """Airflow 3.3.2 queues a cleared run of a cancelled backfill for ever."""
    paused = "/api/v2/dags/small_daily?update_mask=is_paused"
    site.ask(paused, method="PATCH", body={"is_paused": True})
    body = {
        "dag_id": "small_daily",
        "from_date": f"{THREE[0]}T00:00:00Z",
        "to_date": f"{THREE[0]}T00:00:00Z",
        "reprocess_behavior": "failed",
        "max_active_runs": 1,
    }
    wait_for(
        lambda: all(each["completed_at"] for each in site.ask("/api/v2/backfills?dag_id=small_daily")["backfills"])
    )
    backfill = site.ask("/api/v2/backfills", method="POST", body=body)["id"]
    site.ask(f"/api/v2/backfills/{backfill}/cancel", method="PUT")
    run = site.look()["dag"]["runs"][str(THREE[0])]
    assert run["state"] == "failed"
    clear = {"dry_run": False, "dag_runs": [{"dag_run_id": run["run_id"]}]}
    site.ask("/api/v2/dags/small_daily/clearDagRuns", method="POST", body=clear)
    site.ask(paused, method="PATCH", body={"is_paused": False})
    time.sleep(15)
    run = site.look()["dag"]["runs"][str(THREE[0])]
    assert (run["state"], run["hangs"]) == ("queued", True)

    plan = site.plan()
    assert [call["method"] for call in plan["calls"]] == ["PATCH", "POST"]
    site.start(plan)
    site.ended()
    run = site.look()["dag"]["runs"][str(THREE[0])]
    assert (run["state"], run["hangs"]) == ("success", False)


def test_the_report_is_served_behind_the_login(site: Site) -> None:
    page = site.ask("/pnn_gluon/dags/small_daily/report", user="vera")
    assert f"small: {THREE[0]} to {THREE[-1]}" in page
    run = site.look()["dag"]["runs"][str(THREE[1])]["run_id"]
    assert f"small: {THREE[0]} to {THREE[1]}" in site.ask(
        f"/pnn_gluon/dags/small_daily/report?run={quote(run, safe='')}", user="vera"
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{site.address}/pnn_gluon/dags/small_daily/report")


FRAME = "document.querySelector('iframe').contentDocument"


@pytest.mark.skipif(not chromium.found(), reason="there is no chromium on this machine")
@pytest.mark.parametrize("user", ["vera", "otto"])
def test_a_browser_shows_the_days_and_the_report_and_starts_what_is_stale(site: Site, user: str) -> None:
    if user == "otto":
        change(site.config, THREE[2])
    with chromium.tab() as tab:
        tab.log_in(site.address, user, site.passwords[user])
        tab.open(f"{site.address}/plugin/pnn-days")
        rows = f"[...{FRAME}.querySelectorAll('tbody tr th')].map(each => each.textContent).join()"
        tab.wait_for(f"{rows} === '{','.join(str(day) for day in reversed(THREE))}'")
        hidden = tab.run(f"{FRAME}.getElementById('backfill').hidden")
        tab.picture(f"days-{user}")
        assert hidden == (user == "vera")
        if user == "otto":
            _start_in_the_page(site, tab)
        tab.open(f"{site.address}/dags/small_daily/plugin/pnn-dag-report")
        tab.wait_for(f"{FRAME}.body.innerText.includes('small: {THREE[0]} to {THREE[-1]}')")
        tab.picture(f"report-{user}")
        run = quote(site.look()["dag"]["runs"][str(THREE[1])]["run_id"], safe="")
        for place in (f"runs/{run}/plugin/pnn-run-report", f"runs/{run}/tasks/train/plugin/pnn-task-report"):
            tab.open(f"{site.address}/dags/small_daily/{place}")
            tab.wait_for(f"{FRAME}.body.innerText.includes('small: {THREE[0]} to {THREE[1]}')")


def _start_in_the_page(site: Site, tab: chromium.Tab) -> None:
    """Press the button, agree, and see the day become well."""
    cells = f"[...{FRAME}.querySelectorAll('td.stale, td.failed, td.missing')].length"
    assert tab.run(cells) > 0
    tab.run(f"{FRAME}.getElementById('backfill').click()")
    tab.wait_for(f"!{FRAME}.getElementById('plan').hidden")
    assert tab.run(f"{FRAME}.getElementById('calls').textContent") == f"run again: {THREE[2]}"
    tab.picture("plan")
    tab.run(f"{FRAME}.getElementById('go').click()")
    tab.wait_for(f"{FRAME}.getElementById('message').textContent.startsWith('Started.')")
    site.ended()
    assert words(site.config) == dict.fromkeys(THREE, True)
    tab.wait_for(f"{FRAME}.querySelectorAll('td.stale, td.failed').length === 0")
