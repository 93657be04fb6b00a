"""A real local Airflow over the small pipeline: backfills of it, what became of their tasks, and what runs."""

import datetime
import http.client
import json
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import psutil
import pytest

from jobs.airflow.local_airflow import down, up
from jobs.airflow.settings import Settings
from jobs.airflow.supervisor_calls import rpc
from pnn_gluon.config import Config, load_config
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.small_pipeline import PIPELINE, SCORES_VARIABLE, build, tree, write_raw

PATIENCE = 1800.0
DAG = "small_daily"
SOON = """[core]
parallelism = 8
[scheduler]
task_instance_heartbeat_timeout = 60
task_instance_heartbeat_timeout_detection_interval = 5
"""
"""Settings of a user who wants to know within a minute that a task's process is gone."""


@dataclass(frozen=True)
class Live:
    """A running Airflow, and who asks it: nobody in particular, or a user of its own with a password."""

    home: Path
    config: Config
    settings: Settings
    user: str | None = None

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return self.settings.own_address

    @property
    def passwords(self) -> dict[str, str]:
        """By user."""
        found: dict[str, str] = json.loads((self.home / "secrets" / "passwords.json").read_text())
        return found

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the public API."""
        return self.ask(f"/api/v2{path}", method=method, body=body)

    def page(self, method: str, path: str) -> Any:
        """Call what our pages call."""
        return self.ask(f"/pnn_gluon{path}", method=method)

    def ask(self, path: str, user: str | None = None, method: str = "GET", body: Any = None) -> Any:
        """What the server answers, to `self.user` unless it says whom; what only reads is asked again for a minute."""
        until = time.monotonic() + (60 if method == "GET" else 0)
        while True:
            try:
                return self._send(path, method, body, {"Authorization": f"Bearer {self._token(user or self.user)}"})
            except (OSError, http.client.HTTPException) as error:  # the server is away for a moment
                if isinstance(error, urllib.error.HTTPError) or time.monotonic() > until:
                    raise
                time.sleep(1)

    def _token(self, user: str | None) -> str:
        if user is None:
            return str(self._send("/auth/token", "GET", None, {})["access_token"])
        login = {"username": user, "password": self.passwords[user]}
        return str(self._send("/auth/token", "POST", login, {})["access_token"])

    def _send(self, path: str, method: str, body: Any, headers: dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers |= {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code >= 500:  # the answer does not say why, and the log goes with the folder
                error.add_note((self.home / "logs" / "api-server.log").read_text(errors="replace")[-8000:])
            raise
        return json.loads(text) if text.startswith(("{", "[")) else text

    def backfill(self, days: Sequence[datetime.date], at_once: int = 2) -> None:
        """Start the days."""
        self.api("PATCH", f"/dags/{DAG}?update_mask=is_paused", {"is_paused": False})
        body = {
            "dag_id": DAG,
            "from_date": f"{days[0]}T00:00:00Z",
            "to_date": f"{days[-1]}T00:00:00Z",
            "reprocess_behavior": "failed",
            "max_active_runs": at_once,
        }
        self.api("POST", "/backfills", body)

    def runs(self) -> dict[str, str]:
        """The state of the run of each day."""
        found = self.api("GET", f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]
        return {run["logical_date"][:10]: run["state"] for run in found}

    def tasks(self, day: datetime.date) -> list[dict[str, Any]]:
        """The tasks of a day."""
        found = self.api("GET", f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]
        (run,) = [quote(run["dag_run_id"], safe="") for run in found if run["logical_date"][:10] == str(day)]
        tasks: list[dict[str, Any]] = self.api("GET", f"/dags/{DAG}/dagRuns/{run}/taskInstances")["task_instances"]
        return tasks

    def state(self, day: datetime.date, task: str) -> str | None:
        """How a task of a day is."""
        return next((each["state"] for each in self.tasks(day) if each["task_id"] == task), None)

    def wait_until_over(self, days: Sequence[datetime.date]) -> None:
        """Wait until the run of every day has ended well."""
        wanted = dict.fromkeys(map(str, days), "success")
        wait_for(lambda: not {"queued", "running"} & set(self.runs().values()) and len(self.runs()) >= len(days))
        found = self.runs()
        unwell = {
            day: [(t["task_id"], t["state"]) for t in self.tasks(datetime.date.fromisoformat(day))] for day in found
        }
        assert {day: found.get(day) for day in wanted} == wanted, unwell

    def pid(self, part: str) -> int:
        """The process of a part, by supervisord's word."""
        return int(next(each["pid"] for each in rpc(self.home).getAllProcessInfo() if each["name"] == part))

    def family(self) -> list[psutil.Process]:
        """supervisord and all that it started."""
        root = psutil.Process(int(rpc(self.home).getPID()))
        return [root, *root.children(recursive=True)]


def wait_for(what: Callable[[], Any], patience: float = PATIENCE, pause: float = 1.0) -> float:
    """Wait until something is so, through outages of what is asked; the seconds that it took."""
    began = time.monotonic()
    while True:
        try:
            if what():
                return time.monotonic() - began
        except (OSError, http.client.HTTPException):  # the server is away for a moment
            pass
        assert time.monotonic() - began < patience, "it did not come to be in time"
        time.sleep(pause)


@contextmanager
def running(
    postgres: EmbeddedPostgres,
    days: Sequence[datetime.date],
    executor: Literal["local", "celery"],
    change: Callable[[str], str] = lambda text: text,
) -> Iterator[Live]:
    """An Airflow with the raw logs of some days and an empty store; `change` makes the configuration another one."""
    folder = Path(tempfile.mkdtemp(prefix=f"live {executor} 100% "))
    folder.chmod(0o755)
    text = PIPELINE.replace("last_day = 2026-11-30", f"last_day = {days[-1]}")
    (folder / "small.toml").write_text(change(text))
    write_raw(folder / "raw", days)
    (folder / "home").mkdir(mode=0o711)
    (folder / "home" / "airflow.cfg").write_text(SOON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, fresh_database(postgres, f"live_{executor}"))
        patch.setenv("PNN_GLUON_RETRY_SECONDS", "5")
        settings = Settings(str(folder / "small.toml"), free_port(), executor=executor)
        try:
            up(folder / "home", settings)
            yield Live(folder / "home", load_config(folder / "small.toml"), settings)
        finally:
            down(folder / "home")
            shutil.rmtree(folder)


def free_port() -> int:
    """Any port that nobody listens on: several Airflows that start at once choose different ones."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fresh_database(postgres: EmbeddedPostgres, name: str) -> str:
    """A new database for scores; its URI."""
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(postgres.uri("postgres"), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"drop database if exists {name} with (force)")
    postgres.ensure_database(name)
    return postgres.uri(name)


def by_hand(postgres: EmbeddedPostgres, days: Sequence[datetime.date], folder: Path) -> dict[str, bytes]:
    """The store of days that were run one by one, without Airflow."""
    folder.mkdir()
    (folder / "small.toml").write_text(PIPELINE.replace("last_day = 2026-11-30", f"last_day = {days[-1]}"))
    write_raw(folder / "raw", days)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, fresh_database(postgres, "by_hand"))
        build(load_config(folder / "small.toml"), days)
    return tree(folder / "store")
