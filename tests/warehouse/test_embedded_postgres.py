import json
import multiprocessing
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import psutil
import pytest

from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.warehouse import embedded_postgres
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres

REPOSITORY = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder that any user may pass through; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="pg-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def stopped() -> Iterator[EmbeddedPostgres]:
    """A server with an empty data folder, made once; every test leaves it stopped."""
    path = Path(tempfile.mkdtemp(prefix="pg-"))
    path.chmod(0o755)
    server = EmbeddedPostgres(path / "pg")
    server.init()
    yield server
    server.stop()
    shutil.rmtree(path)


def ask(server: EmbeddedPostgres, query: str) -> list[tuple[object, ...]]:
    with adbc.connect(server.uri("postgres"), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall()) if cursor.description else []


def postmaster(server: EmbeddedPostgres) -> psutil.Process:
    return psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))


def test_start_is_idempotent_and_only_127_0_0_1_listens(postgres: EmbeddedPostgres) -> None:
    assert not postgres.start()
    listening = [
        link.laddr for link in postmaster(postgres).net_connections(kind="tcp") if link.status == psutil.CONN_LISTEN
    ]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", postgres.port)]


def test_a_wrong_password_is_refused_on_every_way_in(postgres: EmbeddedPostgres) -> None:
    password = (postgres.base / "password").read_text()
    with pytest.raises(adbc.OperationalError, match="password authentication failed"):
        adbc.connect(postgres.uri("postgres").replace(password, "wrong"))
    rules = ask(postgres, "select distinct auth_method from pg_hba_file_rules")
    assert rules == [("scram-sha-256",)]


def test_password_and_data_are_closed_to_others(postgres: EmbeddedPostgres) -> None:
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (postgres.base / "password", postgres.base / "s", postgres.base / "cluster", postgres.data)
    }
    assert modes == {"password": 0o600, "s": 0o700, "cluster": 0o700, "data": 0o700}


def test_database_is_created_once_and_bad_names_are_refused(postgres: EmbeddedPostgres) -> None:
    postgres.ensure_database("twice")
    postgres.ensure_database("twice")
    assert ask(postgres, "select count(*) from pg_database where datname = 'twice'") == [(1,)]
    with pytest.raises(ConfigError, match="database name"):
        postgres.ensure_database('x"; drop database twice')


def test_killed_server_recovers_with_its_rows_although_its_number_is_a_zombies(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    server.init()
    code = (
        f"from pathlib import Path; from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres; "
        f"EmbeddedPostgres(Path({str(server.root)!r})).serve()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    try:
        while not server.is_running():
            assert child.poll() is None
        assert postmaster(server).pid == child.pid
        ask(server, "create table kept as select 42 as answer")
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and left a zombie on purpose
        assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
        assert server.start()
        assert ask(server, "select answer from kept") == [(42,)]
    finally:
        server.stop()
        child.wait()


def test_stop_leaves_no_process_and_the_port_is_remembered(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    with server.running() as running:
        port, main = running.port, postmaster(running)
        family = [main, *main.children(recursive=True)]
    psutil.wait_procs(family, timeout=10)
    assert not [process for process in family if process.is_running() and process.status() != "zombie"]
    assert not server.is_running()
    with EmbeddedPostgres(folder / "pg").running() as again:
        assert again.port == port


def test_running_does_not_stop_what_it_did_not_start(postgres: EmbeddedPostgres) -> None:
    with EmbeddedPostgres(postgres.root).running():
        pass
    assert postgres.is_running()


USER = (
    "import sys; from pathlib import Path; from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres\n"
    "with EmbeddedPostgres(Path(sys.argv[1])).running(): print('in', flush=True); sys.stdin.read()"
)


def start_user(root: Path) -> "subprocess.Popen[str]":
    """Another process that uses the server until its input ends."""
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(root)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "in\n"
    return user


def test_the_server_lives_until_its_last_user_leaves_whoever_launched_it(stopped: EmbeddedPostgres) -> None:
    launcher = start_user(stopped.root)
    with stopped.running() as server:
        launcher.communicate()
        assert ask(server, "select 1") == [(1,)]
    assert not server.is_running()


def test_a_killed_launcher_neither_stops_the_server_nor_keeps_it(stopped: EmbeddedPostgres) -> None:
    launcher = start_user(stopped.root)
    with stopped.running() as server:
        launcher.kill()
        launcher.communicate()
        assert ask(server, "select 1") == [(1,)]
    assert not server.is_running()


def test_connected_clients_keep_the_server_until_the_next_last_user(
    stopped: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as short:
        short.setattr(embedded_postgres, "CLIENTS_TIMEOUT", 0.1)
        with stopped.running() as server:
            client = adbc.connect(server.uri("postgres"), autocommit=True)
    with client, client.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchall() == [(1,)]
    with server.running():
        pass
    assert not server.is_running()


def test_a_server_started_to_stay_outlives_its_users(stopped: EmbeddedPostgres) -> None:
    with stopped.running():
        pass
    try:
        assert stopped.start()
        with stopped.running():
            pass
        assert stopped.is_running()
    finally:
        stopped.stop()


def test_a_taken_port_is_refused_if_asked_for_and_replaced_if_not(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} .* taken"):
            EmbeddedPostgres(folder / "pg", port).start()
        (folder / "pg" / "settings.json").write_text(json.dumps({"port": port}))
        with EmbeddedPostgres(folder / "pg").running() as server:
            assert server.port != port
            assert ask(server, "select 1") == [(1,)]


def _start(root: str, results: "multiprocessing.SimpleQueue[bool]") -> None:
    results.put(EmbeddedPostgres(Path(root)).start())


def test_of_two_that_start_at_once_one_launches_and_both_find_it_running(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.SimpleQueue[bool] = context.SimpleQueue()
    starters = [context.Process(target=_start, args=(str(folder / "pg"), results)) for _ in range(2)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    try:
        assert sorted([results.get(), results.get()]) == [False, True]
        assert EmbeddedPostgres(folder / "pg").is_running()
    finally:
        EmbeddedPostgres(folder / "pg").stop()


def test_a_path_too_long_for_a_socket_still_serves_tcp(folder: Path) -> None:
    with EmbeddedPostgres(folder / ("x" * 100) / "pg").running() as server:
        assert ask(server, "select current_setting('unix_socket_directories')") == [("",)]


def test_failure_to_start_quotes_the_end_of_the_log(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    server.init()
    with (server.data / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(PnnError, match="no_such_setting"):
        server.start()


def test_interrupted_init_is_made_again(folder: Path) -> None:
    half_made = folder / "pg" / "cluster" / "data.new"
    half_made.mkdir(parents=True)
    (folder / "pg").chmod(0o711)
    (half_made / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder / "pg").running() as server:
        assert ask(server, "select 1") == [(1,)]


def test_port_of_a_server_never_started_is_an_error(folder: Path) -> None:
    with pytest.raises(InputError, match="start it first"):
        EmbeddedPostgres(folder / "pg").uri("postgres")


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another user")
def test_root_loosens_no_closed_folder_but_puts_the_files_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(embedded_postgres, "RELOCATED", folder / "elsewhere")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "pg").running() as server:
        assert server.base.parent == folder / "elsewhere"
        assert postmaster(server).uids().real == server.data.stat().st_uid != 0
        assert str(server.base) in capfd.readouterr().err
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert EmbeddedPostgres(closed / "pg").base == server.base


@pytest.mark.skipif(not AS_ROOT, reason="already an ordinary user: every other test here shows it")
def test_an_ordinary_user_runs_a_server_of_its_own(folder: Path) -> None:
    python = shutil.which("python3.11", path="/usr/bin:/usr/local/bin") or sys.executable
    user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    if subprocess.run([*user, python, "-c", f"open({__file__!r})"], check=False).returncode:
        pytest.skip(f"user nobody can't run {python} and read this repository")
    home = folder / "home"
    home.mkdir(mode=0o700)
    shutil.chown(home, "nobody", "nogroup")
    code = (
        "from pathlib import Path; from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres\n"
        f"with EmbeddedPostgres(Path({str(home / 'pg')!r})).running() as server:\n"
        "    server.ensure_database('mine'); print(server.is_running())"
    )
    paths = os.pathsep.join([str(REPOSITORY), *sys.path])
    done = subprocess.run(
        [*user, "env", f"PYTHONPATH={paths}", python, "-c", code],
        cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "True\n", done.stderr
