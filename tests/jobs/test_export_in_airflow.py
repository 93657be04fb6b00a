"""Exports by the form of a real Airflow, and secrets that must show nowhere in what it leaves behind."""

import html
import http.client
import json
import secrets
import shutil
import tempfile
import threading
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import psycopg
import pytest

from jobs.airflow.local_airflow import down, up
from jobs.airflow.settings import Settings
from jobs.day_reports import html_of
from pnn_gluon.config import load_config
from pnn_gluon.data.synthetic import write_requests
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs import chromium
from tests.jobs.real_airflow import Live, free_port, wait_for
from tests.jobs.small_pipeline import DAYS, PIPELINE, SCORES_VARIABLE, build, raw_options, write_raw
from tests.webhook import Webhook, listening

pytestmark = pytest.mark.long

DAY = DAYS[0]
SERVER = 'server = "env:PNN_GLUON_TEST_SCORES"'
MADE_BEFORE = [
    "ingest",
    "sample",
    "count",
    "feature_map",
    "encode",
    "evaluate",
    "train",
    "calibrate",
    "gate",
    "promote",
]
FORM = {"first_day": str(DAY), "last_day": str(DAY), "model": str(DAY), "rows": "logs", "name": "form"}
PASSWORD = f"p@ss/w:rd%41#ü{secrets.token_hex(4)}"
TOKEN = f"t0ken+/={secrets.token_hex(6)}"


@dataclass
class Watched:
    """An Airflow whose score server and webhook have passwords, and every command line seen while it ran."""

    site: Live
    webhook: Webhook
    postgres: EmbeddedPostgres
    commands: set[str] = field(default_factory=set)

    def run(self, dag: str, conf: dict[str, Any], state: str) -> str:
        """A run by hand, once it has ended as it should; its id."""
        body = {"logical_date": None, "conf": conf}
        run = self.site.ask(f"/api/v2/dags/{dag}/dagRuns", method="POST", body=body, user="otto")["dag_run_id"]
        self.wait(dag, run, state)
        return str(run)

    def wait(self, dag: str, run: str, state: str) -> None:
        path = f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}"
        wait_for(lambda: self._state(path) in {"success", "failed"})
        assert self.site.ask(path)["state"] == state, self.tasks(dag, run)

    def _state(self, path: str) -> str:
        """The state of a run; none while the server is away, which its supervisor starts again."""
        try:
            return str(self.site.ask(path)["state"])
        except (urllib.error.URLError, http.client.HTTPException):
            return ""

    def tasks(self, dag: str, run: str) -> Any:
        path = f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances"
        return self.site.ask(path)["task_instances"]


@pytest.fixture(scope="module")
def watched(postgres: EmbeddedPostgres) -> Iterator[Watched]:
    folder = Path(tempfile.mkdtemp(prefix="exports-"))
    folder.chmod(0o755)
    text = PIPELINE.replace("last_day = 2026-11-30", f"last_day = {DAY}")
    write_raw(folder / "raw", [DAY])
    write_requests(raw_options(), DAY, folder / "raw")
    (folder / "pipeline.toml").write_text(text)
    postgres.ensure_database("exported")
    with pytest.MonkeyPatch.context() as patch, listening() as webhook:
        patch.setenv(SCORES_VARIABLE, postgres.uri("exported"))
        build(load_config(folder / "pipeline.toml"), [DAY], MADE_BEFORE)
        patch.delenv(SCORES_VARIABLE)
        (folder / "pipeline.toml").write_text(
            text.replace(SERVER, 'server = "connection:scores"') + '[notices]\nconnection = "ops"\n'
        )
        config = load_config(folder / "pipeline.toml")
        patch.setenv("PNN_GLUON_RETRY_SECONDS", "1")
        wanted = Settings(str(config.path), free_port(), users=("otto:op", "ada:admin", "vera:viewer"))
        try:
            up(folder / "home", wanted)
            site = Live(folder / "home", config, wanted, "otto")
            found = Watched(site, webhook, postgres)
            _connect(found)
            wait_for(lambda: _known(site, "small_export"))
            site.ask("/api/v2/dags/small_export?update_mask=is_paused", "otto", "PATCH", {"is_paused": False})
            yield found
        finally:
            down(folder / "home")
            shutil.rmtree(folder)


def _known(site: Live, dag: str) -> bool:
    """Whether Airflow has read the DAG's file."""
    return dag in {each["dag_id"] for each in site.ask("/api/v2/dags")["dags"]}


def _connect(watched: Watched) -> None:
    """Connections of Airflow whose passwords need percent-encoding, and the role on the score server."""
    with psycopg.connect(watched.postgres.uri("exported"), autocommit=True) as connection:
        quoted = PASSWORD.replace("'", "''")
        connection.execute(f"create role bidder login password '{quoted}'")
        connection.execute("grant create on schema public to bidder")
    server = psycopg.conninfo.conninfo_to_dict(watched.postgres.uri("exported"))
    scores = {
        "connection_id": "scores",
        "conn_type": "postgres",
        "host": server["host"],
        "port": int(str(server["port"])),
    }
    scores |= {"login": "bidder", "password": PASSWORD, "schema": "exported"}
    ops = {"connection_id": "ops", "conn_type": "http", "host": watched.webhook.address("/hook"), "password": TOKEN}
    for each in (scores, ops):
        watched.site.ask("/api/v2/connections", "ada", "POST", each)


@pytest.mark.parametrize(
    "conf",
    [
        {"name": "../x"},
        {"name": "form\n"},
        {"slice": "city = Bern"},
        {"slice": "c1 = a\nb"},
        {"slice": 'c1" or 1 = 1'},
        {"model": "$(id)"},
        {"format": "xlsx"},
        {"precision": "all"},
    ],
)
def test_the_server_refuses_a_hostile_form(watched: Watched, conf: dict[str, str]) -> None:
    body = {"logical_date": None, "conf": FORM | conf}
    with pytest.raises(urllib.error.HTTPError, match="400"):
        watched.site.ask("/api/v2/dags/small_export/dagRuns", "otto", "POST", body)


def test_a_viewer_cannot_export(watched: Watched) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        watched.site.ask("/api/v2/dags/small_export/dagRuns", "vera", "POST", {"logical_date": None, "conf": FORM})


@pytest.mark.skipif(not chromium.found(), reason="there is no chromium on this machine")
def test_a_browser_fills_the_form_in(watched: Watched) -> None:
    site, runs = watched.site, "/api/v2/dags/small_export/dagRuns"
    before = len(site.ask(runs)["dag_runs"])
    with chromium.tab() as tab:
        tab.log_in(site.address, "otto", site.passwords["otto"])
        _open_form(site, tab)
        tab.put("[name=element_slice]", "city = Bern")
        _trigger(tab)
        tab.wait_for("document.body.innerText.includes('Invalid input for param slice')")
        tab.picture("export-refused")
        assert len(site.ask(runs)["dag_runs"]) == before
        _open_form(site, tab)
        for name, text in (("slice", "file = none"), ("model", str(DAY)), ("name", "browser")):
            tab.put(f"[name=element_{name}]", text)
        tab.picture("export-form")
        _trigger(tab)
        tab.wait_for("location.pathname.includes('/runs/')")
    (made,) = (run for run in site.ask(runs)["dag_runs"] if run["conf"]["name"] == "browser")
    watched.wait("small_export", made["dag_run_id"], "success")
    assert open_store(site.config).days("exports_browser") == [DAY]


def _open_form(site: Live, tab: chromium.Tab) -> None:
    tab.open(f"{site.address}/dags/small_export")
    tab.wait_for("!!document.querySelector('[data-testid=trigger-dag-button]')")
    tab.run("document.querySelector('[data-testid=trigger-dag-button]').click()")
    tab.wait_for("!!document.querySelector('[name=element_slice]')")


def _trigger(tab: chromium.Tab) -> None:
    """Press the button at the foot of the form."""
    buttons = "[...document.querySelectorAll('[role=dialog] button')]"
    tab.wait_for(f"{buttons}.some(each => each.textContent.trim() === 'Trigger' && !each.disabled)")
    tab.run(f"{buttons}.filter(each => each.textContent.trim() === 'Trigger').pop().click()")


def test_planted_secrets_show_nowhere_after_a_day_and_exports(watched: Watched) -> None:
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(watched.commands, stop))
    watcher.start()
    site = watched.site
    try:
        site.ask("/api/v2/dags/small_daily?update_mask=is_paused", "otto", "PATCH", {"is_paused": False})
        midnight = f"{DAY}T00:00:00Z"
        backfill = {"dag_id": "small_daily", "from_date": midnight, "to_date": midnight, "max_active_runs": 1}
        site.ask("/api/v2/backfills", "otto", "POST", backfill | {"reprocess_behavior": "failed"})
        hostile = "c1 = {{ 7 * 7 }}'; $(id) %s"
        runs = [
            ("small_export", watched.run("small_export", FORM | {"format": "table", "slice": hostile}, "success")),
            ("small_export", watched.run("small_export", FORM | {"format": "table"}, "success")),
            ("small_export", watched.run("small_export", FORM | {"last_day": "2026-10-30"}, "failed")),
        ]
        daily = "/api/v2/dags/small_daily/dagRuns"
        wait_for(lambda: bool(site.ask(daily)["dag_runs"]))
        (run,) = site.ask(daily)["dag_runs"]
        watched.wait("small_daily", run["dag_run_id"], "success")
        runs.append(("small_daily", run["dag_run_id"]))
    finally:
        stop.set()
        watcher.join()
    assert f"Bearer {TOKEN}" in [token for _, token, _ in watched.webhook.received]
    store = open_store(site.config)
    for table in ("published", "exports_form"):
        made = store.manifest(table, DAY)
        assert made is not None
        assert made.rows > 0
    trail = dict(_trail(watched, runs))
    for name in ("table rendered_task_instance_fields", "table dag_run", f"rendered small_export {runs[0][1]} export"):
        assert "7 * 7" in trail[name]  # what is no secret is found where it was put
    assert "zero rows" in "".join(text for name, text in trail.items() if name.startswith("file "))
    for secret in (PASSWORD, TOKEN, _own_password(site.home)):
        leaks = [(name, form) for name, text in trail.items() for form in _spellings(secret) if form in text]
        assert not leaks


def _watch(seen: set[str], stop: threading.Event) -> None:
    """Every command line on the machine, some times a second."""
    while not stop.wait(0.1):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:  # it has ended
                continue


def _trail(watched: Watched, runs: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """All that a day leaves behind: files, tables of Airflow, answers of its API, command lines, and the report."""
    site = watched.site
    yield "command lines", "\n".join(watched.commands)
    yield "report", html_of(site.config, [DAY])
    for path in [*site.home.rglob("*"), *Path(site.config.store_root).rglob("*")]:
        if path.is_file() and not {"secrets", "postgres"} & set(path.relative_to(site.home.parent).parts):
            yield f"file {path}", path.read_bytes().decode(errors="replace")
    for dag, run in runs:
        for task in watched.tasks(dag, run):
            yield f"rendered {dag} {run} {task['task_id']}", json.dumps(task, ensure_ascii=False)
            yield from _answers(site, dag, run, task)
    yield from _tables(site.home)


def _answers(site: Live, dag: str, run: str, task: Any) -> Iterator[tuple[str, str]]:
    """Log of the last try and XCom of a task, as the user interface asks for them; all logs are among the files."""
    base = f"/api/v2/dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances/{task['task_id']}"
    yield f"log {dag} {run} {task['task_id']}", str(site.ask(f"{base}/logs/{task['try_number']}"))
    yield f"xcom {dag} {run} {task['task_id']}", str(site.ask(f"{base}/xcomEntries"))


def _tables(home: Path) -> Iterator[tuple[str, str]]:
    """Every row of every table of Airflow: rendered fields, XCom, the audit log, notes, runs, connections."""
    uri = (home / "secrets" / "database").read_text().strip().replace("+psycopg2", "")
    with psycopg.connect(uri) as connection:
        names = [name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'public'")]
        assert {"rendered_task_instance_fields", "xcom", "log", "connection", "dag_run"} <= set(names)
        for name in names:
            rows = connection.execute(f'select t::text from "{name}" t')
            yield f"table {name}", "\n".join(text for (text,) in rows)


def _own_password(home: Path) -> str:
    """That of Airflow's database."""
    return str(psycopg.conninfo.conninfo_to_dict(_database(home))["password"])


def _database(home: Path) -> str:
    return (home / "secrets" / "database").read_text().strip().replace("+psycopg2", "")


def _spellings(secret: str) -> set[str]:
    """Raw, percent-encoded either way, as Python, JSON and HTML write it."""
    plain = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return {
        form
        for text in plain
        for form in (text, repr(text)[1:-1], json.dumps(text)[1:-1], html.escape(text), ascii(text)[1:-1])
    }
