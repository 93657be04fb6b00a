"""Our pages on Airflow's server: who may see and start what, what is looked up, and what they cost other processes."""

import asyncio
import datetime
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from jobs.airflow.plugin_stub import write_plugin
from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from tests.dags.conftest import DAG_DAYS, LAST

PLUGIN = Path(__file__).parents[2] / "jobs/airflow/plugin"
ROLES = ("viewer", "user", "op", "admin")
READING = (
    "/page",
    "/page.js",
    "/page.css",
    "/pipelines",
    "/dags/small_daily/days",
    "/dags/small_daily/report",
    "/dags/small_daily/days?dag_id=~",
)
PLAN = f"/dags/small_daily/plan?first={DAG_DAYS[0]}&last={DAG_DAYS[-1]}"


class Site:
    """The pages, asked by users of every role."""

    def __init__(self, app: Any) -> None:
        from airflow.api_fastapi.app import create_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        manager = create_auth_manager()
        self._loop = asyncio.Runner()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://airflow")
        self._tokens = {role: manager.generate_jwt(SimpleAuthManagerUser(username=role, role=role)) for role in ROLES}

    def ask(self, path: str, role: str | None = None, method: str = "GET", token: str = "") -> httpx.Response:
        token = self._tokens[role] if role else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._loop.run(self._client.request(method, path, headers=headers))

    def close(self) -> None:
        self._loop.run(self._client.aclose())
        self._loop.close()


@pytest.fixture(scope="module")
def site(dags: dict[str, Any], dag_pipeline: Config) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of the test's, of no less than 64 bytes: " + "x" * 64)
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", ",".join(f"{role}:{role}" for role in ROLES))
        from jobs.airflow.plugin.entry import OnDemand  # it imports Airflow, whose home has to be set before

        site = Site(OnDemand(dag_pipeline.path))
        yield site
        site.close()


@pytest.mark.parametrize("path", READING)
def test_whoever_is_not_logged_in_sees_nothing_and_every_role_may_read(site: Site, path: str) -> None:
    assert site.ask(path).status_code == 401
    answers = {role: site.ask(path, role).status_code for role in ROLES}
    nothing_to_report = 409 if "report" in path and answers["viewer"] == 409 else 200
    assert answers == dict.fromkeys(ROLES, nothing_to_report)


def test_only_who_may_start_runs_gets_a_plan(site: Site) -> None:
    assert site.ask(PLAN, method="POST").status_code == 401
    assert site.ask(PLAN, "viewer", "POST").status_code == 403
    assert {site.ask(PLAN, role, "POST").status_code for role in ROLES[1:]} <= {200, 409}  # 409: the DAG is not loaded
    assert site.ask(PLAN, "op").status_code == 405


def test_a_forged_token_is_refused(site: Site) -> None:
    answer = site.ask("/pipelines", token="eyJhbGciOiJub25lIn0.e30.")
    assert answer.status_code in {401, 403}


def test_every_address_asks_for_a_right(site: Site) -> None:
    """Also those that FastAPI adds by itself, and one that is added later."""
    from fastapi.routing import APIRoute

    from jobs.airflow.plugin.app import app_of

    routes = app_of(Path("conf")).routes
    assert len(routes) == 6
    assert {type(route) for route in routes} == {APIRoute}
    for route in routes:
        for method in route.methods:  # type: ignore[attr-defined]
            path = re.sub(r"{\w+}", "x", route.path)  # type: ignore[attr-defined]
            assert site.ask(path, method=method).status_code == 401, path
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert site.ask(path).status_code in {401, 404}


@pytest.mark.parametrize(
    "dag_id",
    [
        "nosuch_daily",
        "~",
        "small",
        "small_nightly",
        "..%2f..%2fetc%2fpasswd_daily",
        "small_daily%00",
        "%24%7Bx%7D_daily",
    ],
)
def test_only_known_pipelines_are_looked_up(site: Site, dag_id: str) -> None:
    for role in ("viewer", "admin"):
        assert site.ask(f"/dags/{dag_id}/days", role).status_code == 404
    assert site.ask(f"/dags/{dag_id}/plan?first=2026-11-01&last=2026-11-02", "admin", "POST").status_code == 404


@pytest.mark.parametrize("day", ["2026-13-01", "yesterday", "2026-11-01'; drop table dag", "--config=x", "20261101"])
def test_a_day_that_is_none_is_refused(site: Site, day: str) -> None:
    for path in (f"/dags/small_daily/days?first={day}", f"/dags/small_daily/report?last={day}"):
        answer = site.ask(path, "viewer")
        assert answer.status_code == 422
        assert "expected a date such as" in answer.json()["detail"]


def test_ranges_are_bounded_and_in_order(site: Site) -> None:
    much = site.ask("/dags/small_daily/days?first=0001-01-01&last=9999-12-31", "viewer")
    assert much.json()["days"][0]["day"] == str(DAG_DAYS[0])
    assert len(much.json()["days"]) <= 30
    turned = site.ask("/dags/small_daily/days?first=2026-11-05&last=2026-11-01", "viewer")
    assert turned.status_code == 409
    assert "the first day is after the last" in turned.json()["detail"]


def test_a_report_of_a_run_that_is_none_and_of_a_dag_that_is_none_is_said_in_words(site: Site) -> None:
    for path in ("/dags/small_daily/report?run=%3Cscript%3E", "/dags/%3Cscript%3E_daily/report"):
        answer = site.ask(path, "viewer")
        assert answer.status_code == 404
        assert "<script>" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_page_of_a_task_is_about_the_day_of_its_run(site: Site, ran: Config) -> None:
    from airflow.models.dagrun import DagRun

    run = next(run for run in DagRun.find(dag_id="small_daily") if run.logical_date.date() == LAST)
    made = "/dags/small_daily/made"
    page = site.ask(f"{made}/ingest?run={quote(run.run_id)}", "viewer")
    assert page.status_code == 200
    assert f"small: ingest of {LAST}" in page.text
    assert f"rows/ds={LAST}/run=" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in (f"{made}/ingest?run=no", f"{made}/--help?run={quote(run.run_id)}", "/dags/x_daily/made/ingest?run=no"):
        assert site.ask(path, "viewer").status_code == 404


def test_the_days_name_the_steps_and_the_state_of_each(site: Site) -> None:
    shown = site.ask(f"/dags/small_daily/days?first={DAG_DAYS[0]}&last={DAG_DAYS[-1]}", "viewer").json()
    assert [day["day"] for day in shown["days"]] == [str(day) for day in DAG_DAYS]
    assert shown["daily"][0] == "ingest"
    assert {step["word"] for day in shown["days"] for step in day["steps"].values()} <= {
        *("done", "kept", "stale", "missing", "failed", "fallback", "refused")
    }
    assert (shown["may_start"], shown["dag_id"]) == (False, "small_daily")
    assert site.ask("/dags/small_daily/days", "op").json()["may_start"]


def test_the_page_is_shown_in_airflow_alone_and_runs_no_script_but_its_own(site: Site) -> None:
    headers = site.ask("/page", "viewer").headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_page_puts_data_into_itself_as_text_only() -> None:
    script = (PLUGIN / "page.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://", script)
    page = (PLUGIN / "page.html").read_text()
    assert not re.search(r"https?://|<script>|onclick|style=", page)


def test_airflow_loads_the_plugin_and_its_views_and_a_task_process_nothing_with_it(tmp_path: Path) -> None:
    """Every task's process imports it."""
    configs = tmp_path / "a 'conf'"
    configs.mkdir()
    (configs / "a.toml").write_text("")
    stub = write_plugin(configs, tmp_path / "plugins")
    code = f"""
import sys
import airflow.plugins_manager
before = set(sys.modules)
import importlib.util
spec = importlib.util.spec_from_file_location("stub", {str(stub)!r})
stub = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stub)
assert airflow.plugins_manager.is_valid_plugin(stub.Pages)
assert str(stub.Pages.fastapi_apps[0]["app"]._configs) == {str(configs)!r}
print(sorted({{view["destination"] for view in stub.Pages.external_views}}))
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    views, loaded = done.stdout.splitlines()[-2:]
    assert views == "['dag', 'dag_run', 'nav', 'task_instance']"
    ours = {"jobs", "jobs.airflow", "jobs.airflow.plugin", "jobs.airflow.plugin.entry"}
    assert set(re.findall(r"'([^']+)'", loaded)) <= ours


def test_the_server_that_shows_the_pages_loads_no_table_and_no_model(dag_pipeline: Config) -> None:
    code = """
import sys
before = set(sys.modules)
import airflow.api_fastapi.core_api.security
from jobs.airflow.plugin.app import app_of
from pathlib import Path
app_of(Path(sys.argv[1]))
from jobs.airflow.plugin.pipelines import pipelines
assert "small" in pipelines(Path(sys.argv[1])).known
print([name for name in ("mxnet", "duckdb", "h5py", "pyarrow", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(dag_pipeline.path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_file_of_the_users_in_the_way_of_the_plugin_is_left_alone(tmp_path: Path, dag_pipeline: Config) -> None:
    (tmp_path / "pnn_gluon_pages.py").write_text("mine = 1\n")
    with pytest.raises(ConfigError, match=r"pnn_gluon_pages\.py is in the way and was not written by pnn-gluon"):
        write_plugin(dag_pipeline.path, tmp_path)
    assert (tmp_path / "pnn_gluon_pages.py").read_text() == "mine = 1\n"


def test_days_that_are_not_over_are_not_shown(site: Site) -> None:
    tomorrow = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(1)
    shown = site.ask(f"/dags/small_daily/days?first={tomorrow}&last={tomorrow}", "viewer").json()
    assert shown["days"] == []


def test_the_command_for_another_airflow_installs_the_pages_where_it_is_told(
    tmp_path: Path, dag_pipeline: Config
) -> None:
    places = {"--configs": dag_pipeline.path, "--into": tmp_path / "dags", "--plugins": tmp_path / "plugins"}
    command = [sys.executable, "-m", "jobs", "dags", *(str(part) for place in places.items() for part in place)]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=bare, timeout=120)
    assert done.returncode == 0, done.stderr
    plugin = tmp_path / "plugins" / "pnn_gluon_pages.py"
    assert str(plugin) in done.stdout.splitlines()
    assert repr(str(dag_pipeline.path)) in plugin.read_text()
