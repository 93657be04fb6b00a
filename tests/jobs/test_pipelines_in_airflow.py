"""Pipelines side by side in a real Airflow for five days: stores, tables, pools and notices of one are not the other's.

A third one is late, which its webhook is told.
"""

import datetime
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import adbc_driver_postgresql.dbapi as adbc
import pytest

from jobs.airflow.local_airflow import down, port_for, up
from jobs.airflow.settings import Settings
from pnn_gluon.config import load_config
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.real_airflow import Live, fresh_database, wait_for
from tests.jobs.small_pipeline import DAYS, PIPELINE, SCORES_VARIABLE, build, in_force, tree, write_raw
from tests.webhook import Webhook, listening

pytestmark = pytest.mark.long

LOST = DAYS[2]
"""The day whose logs the second pipeline lacks at first."""

TWO = ("one", "two")
DATABASE = "pipelines"


def configuration(name: str, **changes: str) -> str:
    """The small pipeline under another name, with store, raw logs, table and webhook of its own."""
    text = PIPELINE.replace('name = "small"', f'name = "{name}"').replace('"raw/', f'"{name}/raw/')
    text = text.replace("last_day = 2026-11-30", f"last_day = {DAYS[-1]}")  # else yesterday has a run, too
    text = text.replace('root = "store"', f'root = "{name}/store"') + f'table = "{name}"\n'
    for before, after in changes.items():
        assert before in text
        text = text.replace(f"{before} = ", f"{before} = {after} # ")
    return f'{text}[notices]\nconnection = "hook_{name}"\n'


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with listening() as server:
        yield server


@pytest.fixture(scope="module")
def live(postgres: EmbeddedPostgres, webhook: Webhook) -> Iterator[Live]:
    folder = Path(tempfile.mkdtemp(prefix="pipelines-"))
    folder.chmod(0o755)
    for part in ("confs", "home"):
        (folder / part).mkdir(mode=0o711)
    (folder / "confs" / "one.toml").write_text(configuration("one"))
    (folder / "confs" / "two.toml").write_text(configuration("two", negative_rate="0.9", min_impressions="2"))
    for name in TWO:
        write_raw(folder / "confs" / name / "raw", DAYS)
    shutil.move(folder / "confs" / "two" / "raw" / "logs" / str(LOST), folder / "lost")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, fresh_database(postgres, DATABASE))
        patch.setenv("PNN_GLUON_RETRY_SECONDS", "1")
        settings = Settings(str(folder / "confs"), port_for(folder / "home"))
        try:
            up(folder / "home", settings)
            live = Live(folder / "home", load_config(folder / "confs" / "one.toml"), settings)
            for name in (*TWO, "late"):
                where = {"connection_id": f"hook_{name}", "conn_type": "http", "host": webhook.address(f"/{name}")}
                live.api("POST", "/connections", where)
            yield live
        finally:
            down(folder / "home")
            shutil.rmtree(folder)


def runs(live: Live, name: str) -> dict[str, str]:
    found = live.api("GET", f"/dags/{name}_daily/dagRuns?limit=100")["dag_runs"]
    return {run["logical_date"][:10]: run["state"] for run in found}


def over(live: Live, name: str) -> bool:
    return len(runs(live, name)) == len(DAYS) and not {"queued", "running"} & set(runs(live, name).values())


def pools(live: Live, name: str) -> set[str]:
    """The pools that tasks of a pipeline ran in."""
    found = set()
    for run in live.api("GET", f"/dags/{name}_daily/dagRuns?limit=100")["dag_runs"]:
        where = f"/dags/{name}_daily/dagRuns/{quote(run['dag_run_id'], safe='')}/taskInstances"
        found |= {task["pool"] for task in live.api("GET", where)["task_instances"]}
    return found


def undisturbed(name: str, live: Live, folder: Path) -> dict[str, bytes]:
    """The store of a pipeline whose days were run by hand, without what says how often they were published."""
    confs = folder / name
    shutil.copytree(live.config.path.parent / name / "raw", confs / name / "raw")
    text = (live.config.path.parent / f"{name}.toml").read_text()
    (confs / f"{name}.toml").write_text(text.replace(f'table = "{name}"', f'table = "{name}_by_hand"'))
    config = load_config(confs / f"{name}.toml")
    build(config, DAYS)
    return in_force(tree(Path(config.store_root)))


def ask(server: str, query: str) -> list[tuple[Any, ...]]:
    with adbc.connect(server) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_five_days_of_two_pipelines_at_once_know_nothing_of_each_other(
    live: Live, webhook: Webhook, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    for name in TWO:
        live.api("PATCH", f"/dags/{name}_daily?update_mask=is_paused", {"is_paused": False})
        ends = {"from_date": f"{DAYS[0]}T00:00:00Z", "to_date": f"{DAYS[-1]}T00:00:00Z"}
        body = {"dag_id": f"{name}_daily", "reprocess_behavior": "failed", "max_active_runs": 3}
        live.api("POST", "/backfills", body | ends)
    wait_for(lambda: all(over(live, name) for name in TWO))
    assert set(runs(live, "one").values()) == {"success"}
    assert [day for day, state in sorted(runs(live, "two").items()) if state == "failed"] == list(map(str, DAYS[2:]))
    told = [(path, body["task"], body["day"]) for path, _, body in webhook.received]
    assert told
    assert {path for path, _, _ in told} == {"/two"}
    assert ("/two", "wait_for_logs", str(LOST)) in told

    shutil.move(live.home.parent / "lost", live.config.path.parent / "two" / "raw" / "logs" / str(LOST))
    for call in live.page("POST", f"/dags/two_daily/plan?first={DAYS[0]}&last={DAYS[-1]}")["calls"]:
        live.api(call["method"], call["path"], call["body"])
    wait_for(lambda: over(live, "two"))
    assert set(runs(live, "two").values()) == {"success"}

    server, confs = postgres.uri(DATABASE), live.config.path.parent
    for name in TWO:
        assert pools(live, name) == {name}
        assert ask(server, f"select count(distinct day), count(*) from {name}") == [(5, 1500)]
        assert in_force(tree(confs / name / "store")) == undisturbed(name, live, tmp_path)
    equal = "select count(*) from one join two using (day, row_id) where one.probability = two.probability"
    assert ask(server, equal) == [(0,)]


def test_a_day_that_is_late_is_told_and_the_days_of_the_backfill_were_not(live: Live, webhook: Webhook) -> None:
    assert not [body for _, _, body in webhook.received if body["event"] == "late"]
    now = datetime.datetime.now(datetime.UTC)
    due = now + datetime.timedelta(minutes=3)
    if due.date() != now.date():
        pytest.skip("the deadline of a test would be tomorrow's: it is about midnight (UTC)")
    yesterday = now.date() - datetime.timedelta(1)
    text = configuration("late", first_day=str(yesterday)).replace(f"last_day = {DAYS[-1]}\n", "")
    text = text.replace('table = "late"', f'table = "late"\ndeadline = "{due:%H:%M}"')
    (live.config.path.parent / "late.toml").write_text(f"{text}[arrival]\npatience_hours = 240\n")
    up(live.home, live.settings)
    wait_for(lambda: live.api("PATCH", "/dags/late_daily?update_mask=is_paused", {"is_paused": False}), pause=5)
    wait_for(lambda: any(path == "/late" for path, _, _ in webhook.received), 600)
    told = [body for path, _, body in webhook.received if path == "/late"]
    assert [(body["event"], body["day"]) for body in told] == [("late", str(yesterday))]
    assert f"not done by {due:%H:%M} UTC: the run is running" in told[0]["text"]
