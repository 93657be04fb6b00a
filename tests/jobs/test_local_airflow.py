"""One real cycle of the local Airflow: up (twice at once), a killed database, down."""

import contextlib
import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import psutil
import pytest

from jobs.airflow import homes, local_airflow
from jobs.airflow.local_airflow import down, status, up
from jobs.airflow.programs import PARTS
from jobs.airflow.settings import EARLIER, Settings, settings_of
from jobs.airflow.supervisor_calls import rpc, socket_path
from jobs.airflow.variables import MARKER, environment
from jobs.commands import down as down_command
from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.small_pipeline import NAMED_PIPELINE

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 300.0
TINY_DAG = """
from airflow.sdk import dag, task

@dag(schedule=None)
def tiny():
    @task.bash
    def show():
        return 'cd / && python -c "import jobs; print(jobs.__name__, 1)"'
    show()

tiny()
"""


@dataclass(frozen=True)
class Local:
    """A running local Airflow and what starting it said."""

    home: Path
    configs: Path
    port: int
    said: tuple[str, ...]

    @property
    def settings(self) -> Settings:
        return Settings(str(self.configs), self.port)

    @property
    def database(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self.home / "postgres")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def place(folder: Path) -> Local:
    """A home whose name needs quoting, with one DAG file of the user's, and two pipelines and a broken one."""
    folder.chmod(0o755)
    (folder / "air flow 100%" / "dags").mkdir(parents=True)
    (folder / "air flow 100%" / "dags" / "tiny.py").write_text(TINY_DAG)
    (folder / "conf").mkdir()
    for name in ("alpha", "beta"):
        (folder / "conf" / f"{name}.toml").write_text(NAMED_PIPELINE.format(name=name))
    (folder / "conf" / "broken.toml").write_text(NAMED_PIPELINE.format(name="broken") + "nmae = 1\n")
    return Local(folder / "air flow 100%", folder / "conf", free_port(), ())


def up_command(place: Local) -> list[str]:
    code = (
        "import sys; from pathlib import Path; from jobs.airflow.local_airflow import up; "
        "from jobs.airflow.settings import Settings; up(Path(sys.argv[1]), Settings(sys.argv[2], int(sys.argv[3])))"
    )
    arguments = (place.home, place.configs, place.port)
    return [sys.executable, "-c", code, *map(str, arguments)]


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    folder = Path(tempfile.mkdtemp(prefix="airflow-"))
    here = place(folder)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "AIRFLOW__CORE__EXECUTOR": "NoSuchExecutor"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(up_command(here), env=environment, **pipes) for _ in range(2)]
    said = tuple(sorted("\n".join(map(str.strip, process.communicate())) for process in started))
    assert [process.returncode for process in started] == [0, 0]
    try:
        yield Local(here.home, here.configs, here.port, said)
    finally:
        down(here.home)
        shutil.rmtree(folder)


def family(home: Path) -> list[psutil.Process]:
    root = psutil.Process(int(rpc(home).getPID()))
    return [root, *root.children(recursive=True)]


def listening(local: Local) -> set[tuple[str, int]]:
    found = set()
    for process in family(local.home):
        with contextlib.suppress(psutil.NoSuchProcess):  # a task of the scheduler has just ended
            links = process.net_connections(kind="inet")
            found |= {(link.laddr.ip, link.laddr.port) for link in links if link.status == psutil.CONN_LISTEN}
    return found


def wait_for(what: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def ask(local: Local, query: str) -> list[tuple[Any, ...]]:
    with adbc.connect(local.database.uri("airflow")) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def api(local: Local, method: str, path: str, body: Any = None) -> Any:
    address = f"http://127.0.0.1:{local.port}"
    with urllib.request.urlopen(f"{address}/auth/token") as answer:
        token = json.load(answer)["access_token"]
    request = urllib.request.Request(
        f"{address}/api/v2{path}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or "null")


def started(local: Local, dag: str) -> str:
    """The id of a run of a DAG, just triggered."""
    api(local, "PATCH", f"/dags/{dag}", {"is_paused": False})
    return str(api(local, "POST", f"/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"])


def test_of_two_that_start_at_once_one_starts_and_the_other_finds_it_up(local: Local) -> None:
    address = f"http://127.0.0.1:{local.port}"
    already, fresh = local.said
    assert already.startswith(f"Airflow is already up: {address}")
    assert fresh.startswith(f"Airflow is up: {address}")


def test_a_configuration_that_does_not_load_is_said_and_takes_no_other_pipeline_down(local: Local) -> None:
    wrong = f"{local.configs / 'broken.toml'}: model.nmae: "
    assert f"warning: pipeline_broken.py does not load: pnn_gluon.errors.ConfigError: {wrong}" in local.said[1]
    (error,) = api(local, "GET", "/importErrors")["import_errors"]
    assert error["filename"] == "pipeline_broken.py"
    assert wrong in error["stack_trace"]


def test_every_part_is_healthy_and_the_dags_are_there(local: Local) -> None:
    found = status(local.home)
    assert found.healthy, found
    assert found.address == f"http://127.0.0.1:{local.port}"
    kinds = ("daily", "scores", "nightly", "retention", "export", "promote")
    names = {f"{name}_{kind}" for name in ("alpha", "beta") for kind in kinds}
    assert {name for (name,) in ask(local, "select dag_id from dag")} == {"tiny", *names}


def test_every_pipeline_has_pools_of_its_own(local: Local) -> None:
    pools = dict(ask(local, "select pool, slots from slot_pool where pool <> 'default_pool'"))
    assert pools == {"alpha": 4, "alpha_scores": 2, "beta": 4, "beta_scores": 2}


def test_a_task_gets_the_configuration_of_its_pipeline(local: Local) -> None:
    run = started(local, "alpha_export")
    task = f"/dags/alpha_export/dagRuns/{run}/taskInstances/export"
    wait_for(lambda: api(local, "GET", task)["state"] in {"failed", "success"})
    found = api(local, "GET", task)
    assert found["rendered_fields"]["env"]["PNN_GLUON_CONFIG"] == str(local.configs / "alpha.toml")
    assert found["pool"] == "alpha"


def test_a_missing_pool_is_said_in_the_details_of_the_task_and_up_makes_it(local: Local) -> None:
    api(local, "DELETE", "/pools/beta")
    run = started(local, "beta_export")
    task = f"/dags/beta_export/dagRuns/{run}/taskInstances/export"
    wait_for(lambda: api(local, "GET", task)["state"] == "scheduled")
    reasons = [each["reason"] for each in api(local, "GET", f"{task}/dependencies")["dependencies"]]
    assert any("non-existent pool 'beta'" in reason for reason in reasons), reasons
    up(local.home, local.settings)
    wait_for(lambda: api(local, "GET", task)["state"] in {"failed", "success"})


def test_a_file_that_is_added_while_it_is_up_is_taken_up(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    (local.configs / "gamma.toml").write_text(NAMED_PIPELINE.format(name="gamma"))
    up(local.home, local.settings)
    assert "broken.toml: model.nmae: " in capsys.readouterr().err
    wait_for(lambda: ask(local, "select 1 from dag where dag_id = 'gamma_daily'"))
    assert ask(local, "select slots from slot_pool where pool = 'gamma'") == [(4,)]
    (local.configs / "gamma.toml").unlink()


def test_only_127_0_0_1_listens(local: Local) -> None:
    assert listening(local) == {("127.0.0.1", local.port), ("127.0.0.1", local.database.port)}


def test_no_secret_is_in_an_environment_or_command_line_or_open_to_others(local: Local) -> None:
    files = list((local.home / "secrets").iterdir())
    values = [path.read_text() for path in files if path.name in {"fernet", "jwt", "session"}]
    values.append((local.database.base / "password").read_text())
    for process in family(local.home):
        shown = " ".join([*process.environ().values(), *process.cmdline()])
        assert not [value for value in values if value in shown]
    private = [*files, local.home / "airflow.cfg", local.home / "supervisord.conf"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_up_again_says_so_and_other_settings_are_refused(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    before = family(local.home)[0].pid
    up(local.home, local.settings)
    assert "already up" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=f"port {local.port}, not {local.port + 1}"):
        up(local.home, dataclasses.replace(local.settings, port=local.port + 1))
    assert family(local.home)[0].pid == before


@pytest.mark.long
def test_a_killed_database_comes_back_and_tasks_run(local: Local) -> None:
    beats = "select job_type, max(latest_heartbeat)::text from job group by 1 order by 1"
    old, before = int((local.database.data / "postmaster.pid").read_text().split()[0]), ask(local, beats)
    os.kill(old, signal.SIGKILL)
    wait_for(local.database.is_running)
    wait_for(lambda: all(new[1] > was[1] for new, was in zip(ask(local, beats), before, strict=True)))
    wait_for(lambda: status(local.home).healthy)
    assert int((local.database.data / "postmaster.pid").read_text().split()[0]) != old

    run = started(local, "tiny")
    states = lambda: api(local, "GET", f"/dags/tiny/dagRuns/{run}")["state"]  # noqa: E731
    wait_for(lambda: states() in {"success", "failed"})
    log = json.dumps(api(local, "GET", f"/dags/tiny/dagRuns/{run}/taskInstances/show/logs/1"))
    assert states() == "success", log
    assert "jobs 1" in log


def test_down_leaves_no_process_even_after_its_supervisor_was_killed(local: Local) -> None:
    processes = family(local.home)
    processes[0].kill()
    wait_for(lambda: status(local.home).address is None)
    assert status(local.home).strays >= len(PARTS)
    down(local.home)
    psutil.wait_procs(processes, timeout=10)
    assert not [process for process in processes if lives(process)]
    assert not [process for process in psutil.process_iter() if bears_marker(process, local.home)]
    assert not local.database.is_running()


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def bears_marker(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get(MARKER) == str(home)
    except psutil.Error:
        return False


def test_down_when_nothing_is_up_says_so(local: Local, capsys: pytest.CaptureFixture[str]) -> None:
    down(local.home)
    capsys.readouterr()
    down(local.home)
    assert "not up" in capsys.readouterr().out


def test_what_did_not_load_last_time_is_forgotten_with_its_file(
    local: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    down(local.home)
    (local.configs / "broken.toml").unlink()
    (local.home / "dags" / "tiny.py").write_text("from airflow.sdk import dag\nimport no_such_module\n")
    up(local.home, open_to_others(local))
    warned = capsys.readouterr().err
    assert re.fullmatch(r"warning: tiny\.py does not load: ModuleNotFoundError: .*no_such_module.*\n", warned)
    assert status(local.home).healthy
    assert not (local.home / "dags" / "pipeline_broken.py").exists()


def test_where_others_reach_it_the_ui_alone_listens_and_asks_for_a_login(local: Local) -> None:
    """It is up since the test before this one."""
    assert listening(local) == {("0.0.0.0", local.port), ("127.0.0.1", local.database.port)}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{local.port}/api/v2/dags")
    with pytest.raises(urllib.error.HTTPError, match="40"):
        api(local, "GET", "/dags")  # by the token that everybody gets who may come in without a login
    password = json.loads((local.home / "secrets" / "passwords.json").read_text())["ann"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{local.port}/auth/token",
        data=json.dumps({"username": "ann", "password": password}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["access_token"]


@pytest.mark.parametrize("user", ["ann", "ann:king", "a,b:admin", ""])
def test_a_bad_user_is_refused(local: Local, user: str) -> None:
    with pytest.raises(ConfigError, match="expected name:role"):
        up(local.home, dataclasses.replace(local.settings, users=(user,)))


def test_a_taken_port_is_refused(local: Local) -> None:
    down(local.home)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} .* taken"):
            up(local.home, dataclasses.replace(local.settings, port=port))


def open_to_others(local: Local) -> Settings:
    return dataclasses.replace(local.settings, host="0.0.0.0", users=("ann:admin",))


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("0.0.0.0", r"host 0\.0\.0\.0 lets other machines in.*--user ann:admin"),
        ("192.0.2.1", r"host 192\.0\.2\.1 is no address of this machine"),
        ("localhost; touch x", "expected an IPv4 address of this machine"),
        ("", "expected an IPv4 address"),
    ],
)
def test_a_host_that_cannot_be_or_would_let_everybody_in_is_refused(local: Local, host: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        up(local.home, dataclasses.replace(local.settings, host=host))


def test_a_missing_folder_is_refused(local: Local) -> None:
    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        up(local.home, Settings(str(local.home / "nowhere")))


def test_two_folders_have_airflows_of_their_own_and_so_has_a_single_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homes, "HOMES", tmp_path)
    found = {homes.home_of(Path(path)) for path in ("/a/conf", "/b/conf", "/a/conf/demo.toml")}
    assert len(found) == 3
    assert {home.parent for home in found} == {tmp_path}


def test_a_home_of_an_earlier_release_is_found_by_down_and_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(homes, "HOMES", tmp_path)
    for home in (tmp_path, tmp_path / "demo-12345678"):
        (home / "postgres").mkdir(parents=True)
        (home / "supervisord.conf").touch()
        (home / "settings.json").write_text(json.dumps({"config": "/a", "port": 8080, "dags": "/b", "users": []}))
        (home / "postgres" / "settings.json").write_text('{"port": 15432}')
    assert set(homes.homes()) == {tmp_path, tmp_path / "demo-12345678"}
    assert homes.home_of(Path("/a")) not in homes.homes()
    assert settings_of(tmp_path) == Settings(EARLIER, 8080)
    down_command.command()
    assert capsys.readouterr().out == "Airflow is not up\n" * 2


def test_the_airflow_of_a_file_that_never_was_is_an_error_and_of_one_that_is_gone_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homes, "HOMES", tmp_path)
    with pytest.raises(ConfigError, match=r"wrong\.toml: no such folder or file"):
        down_command.command(tmp_path / "wrong.toml")
    gone = homes.home_of(tmp_path / "gone.toml")
    gone.mkdir()
    assert homes.home_of_existing(tmp_path / "gone.toml") == gone


def test_a_port_in_use_is_passed_over_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(local_airflow, "FIRST_PORT", taken)
        assert local_airflow.port_for(tmp_path) > taken


def test_a_part_that_dies_while_starting_is_said_at_once_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "scheduler.log").write_text("NoSuchExecutor is not known\n")
    exits = "INFO exited: scheduler (exit status 1; not expected)\n"
    log = tmp_path / "logs" / "supervisord.log"
    monkeypatch.setattr(local_airflow, "parts", lambda home: {"scheduler": "BACKOFF"})
    log.write_text(f"{exits}{exits}INFO supervisord started with pid 7\n{exits}")
    local_airflow._refuse_dead_parts(tmp_path)  # one end may be bad luck, and earlier starts do not count
    log.write_text(log.read_text() + exits)
    with pytest.raises(PnnError, match=r"(?s)scheduler ended while starting.*NoSuchExecutor is not known"):
        local_airflow._refuse_dead_parts(tmp_path)


def test_a_user_without_an_account_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(ConfigError, match=r"user id \d+ has no account"):
        EmbeddedPostgres(tmp_path / "postgres").init()
    assert not (tmp_path / "postgres" / "cluster").exists()


def test_named_users_get_passwords_and_switch_the_open_door_off(tmp_path: Path) -> None:
    settings = environment(tmp_path, Settings("conf", 8080, users=("ann:admin", "bob:viewer")))
    assert settings["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
    assert settings["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "ann:admin,bob:viewer"
    everybody = environment(tmp_path, Settings("conf", 8080))
    assert everybody["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "True"


def test_a_long_home_gets_its_socket_in_a_private_folder(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 120)
    path = socket_path(home)
    assert len(os.fsencode(path)) < 107
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path != socket_path(tmp_path / ("y" * 120))


def test_the_database_alone_is_there_for_a_block_and_gone_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp(prefix="airflow-"))
    here = place(folder)
    migrated: list[str] = []
    monkeypatch.setattr(local_airflow, "_airflow", lambda home, variables, *command: migrated.append(command[1]))
    for _ in range(2):
        with local_airflow.database_only(here.home, here.configs) as variables:
            assert ask(here, "select 1") == [(1,)]
            named = shlex.split(variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD"])
            assert subprocess.check_output(named, text=True) == here.database.uri("airflow", "postgresql+psycopg2")
        assert not here.database.is_running()
    assert migrated == ["migrate"]
    assert variables["AIRFLOW__CORE__DAGS_FOLDER"] == str(here.home / "dags")
    shutil.rmtree(folder)


def test_the_database_alone_is_refused_while_its_airflow_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_airflow, "supervisor_answers", lambda home: True)
    with (
        pytest.raises(ConfigError, match=r"is up.*pnn-gluon down --configs .*demo\.toml"),
        local_airflow.database_only(tmp_path / "home", tmp_path / "demo.toml"),
    ):
        pass
    assert not (tmp_path / "home" / "postgres").exists()
