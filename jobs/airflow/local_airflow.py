"""The local Airflow: its components, their database and its workers if any, on 127.0.0.1, kept running by supervisord.

Where it is told so, the user interface listens elsewhere, with a login; nothing else ever does.

``up`` starts everything and returns when it works, ``status`` says how it is, ``down`` leaves no process.
All its files are in one folder, `home`:

- ``postgres/`` the metadata database; ``secrets/`` passwords and keys (0600); ``logs/`` one log per part
- ``redis/`` what workers have to do, where it was started with workers
- ``airflow.cfg`` is the user's: settings not made here may be added to it
- ``environment.sh`` for using the airflow command on it: ``source work/airflow/.../environment.sh``

Every folder of configuration files has a home of its own below ``work/airflow``, with all its pipelines; so has a
single file that is given instead. ``dags/`` of the home holds a stub for each pipeline, and the user's own DAG files.

A part that ends is started again by supervisord; one that lives without a heartbeat is restarted by
`jobs.airflow.local_airflow_watch`.
"""

from __future__ import annotations

import base64
import dataclasses
import http.client
import importlib.metadata
import json
import os
import secrets
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobs.airflow import broker, celery_parts
from jobs.airflow.homes import homes
from jobs.airflow.plugin_stub import write_plugin
from jobs.airflow.pools import as_arguments, wanted_pools
from jobs.airflow.programs import HEALTH_NAMES, PARTS, parts_of, supervisor_config
from jobs.airflow.settings import Settings, settings_of
from jobs.airflow.stubs import write_stubs
from jobs.airflow.supervisor_calls import TIMEOUT, parts, rpc, socket_path, supervisor_answers
from jobs.airflow.variables import MARKER, environment, process_environment
from pnn_gluon.atomic import write_atomically
from pnn_gluon.configurations import load_all
from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.extras import require
from pnn_gluon.file_lock import file_lock
from pnn_gluon.ports import HOST, is_free
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres

FIRST_PORT = 8080
DATABASE = "airflow"
START_TIMEOUT = 240.0
DEATHS = 2  # ends of a part while it starts, after which it is given up
_PYTHON = (sys.executable, "-P")  # -P: nothing is imported from the folder it runs in

_OWN_SETTINGS = """\
# Airflow settings of your own; those in environment.sh come first.
[core]
parallelism = 8
"""


@dataclass(frozen=True)
class Status:
    """How the local Airflow is.

    Attributes:
        address: Where the user interface is, None when not up.
        parts: supervisord's word on each process (RUNNING, BACKOFF ...).
        health: Airflow's word on each component (healthy, unhealthy), and whether each worker answers; of what cannot
            be asked nothing.
        strays: Processes of an Airflow whose supervisord is gone; ``down`` ends them.
    """

    address: str | None
    parts: Mapping[str, str]
    health: Mapping[str, str]
    strays: int

    @property
    def healthy(self) -> bool:
        """Whether every process runs and every component has a heartbeat."""
        return (
            bool(self.parts)
            and set(self.parts.values()) == {"RUNNING"}
            and {"metadatabase", *HEALTH_NAMES} <= set(self.health)
            and set(self.health.values()) == {"healthy"}
        )


def port_for(home: Path, host: str = HOST) -> int:
    """The port an Airflow had last time if it is up or the port is free, else the first free one from 8080."""
    last = settings_of(home)
    if last is not None and (supervisor_answers(home) or is_free(last.port, host)):
        return last.port
    return next(port for port in range(FIRST_PORT, FIRST_PORT + 1000) if is_free(port, host))


def up(home: Path, wanted: Settings) -> str:
    """Start the local Airflow, wait until all of it works, print and return its address.

    A DAG file that does not load is a warning on standard error; the UI shows it as an import error. Users get
    generated passwords in ``secrets/passwords.json``. Pipelines that were added while it was up are taken up.

    Raises:
        ConfigError: no pipelines, a bad user or host, a taken port, or it is already up with other settings.
        PnnError: a part did not come up; nothing is left running, the log to read is named.
    """
    require("airflow", "supervisor", *(celery_parts.NEEDS if wanted.executor == "celery" else ()))
    home = home.resolve()
    wanted.check()
    with _locked(home):
        wanted = dataclasses.replace(wanted, port=wanted.port or port_for(home, wanted.host))
        if supervisor_answers(home):
            _refuse_other_settings(home, wanted)
            _take_up_new_files(home, wanted)
            print(f"Airflow is already up: {wanted.address}")
            return wanted.address
        _end_strays(home)
        _check_port(wanted)
        try:
            _start(home, wanted)
        except BaseException:
            _stop(home)
            raise
    print(f"Airflow is up: {wanted.address}")
    if wanted.users:
        print(f"Passwords: {home / 'secrets' / 'passwords.json'}")
    return wanted.address


def down(home: Path) -> None:
    """Stop every process of the local Airflow, also after a crash; running tasks get 20 seconds."""
    home = home.resolve()
    if not home.exists():
        print("Airflow is not up")
        return
    with _locked(home):
        was_up = _stop(home)
    print("Airflow is down" if was_up else "Airflow is not up")


def status(home: Path) -> Status:
    """Ask supervisord and Airflow how each part is; starts nothing, waits for nothing."""
    home = home.resolve()
    found = settings_of(home)
    if found is None or not supervisor_answers(home):
        return Status(None, {}, {}, len(_marked(home)))
    return Status(found.own_address, parts(home), (health(found.own_address) or {}) | workers_health(home, found), 0)


@contextmanager
def database_only(home: Path, configs: Path) -> Iterator[dict[str, str]]:
    """The variables for work on the metadata database of an Airflow that is not up; nothing is left running.

    ``up`` and ``down`` of this home wait for the end of the block. Call it before anything imports airflow.

    Raises:
        ConfigError: this Airflow is up: its scheduler could take the same runs in hand.
        PnnError: the database can't be started or prepared; the log to read is named.
    """
    require("airflow", "supervisor")
    home, configs = home.resolve(), configs.resolve()
    with _locked(home):
        if supervisor_answers(home):
            raise ConfigError(
                f"the Airflow of {configs} is up, and its scheduler could take the same runs in hand: "
                f"end it first (pnn-gluon down --configs {configs}), or backfill these days in its UI"
            )
        _end_strays(home)
        last = settings_of(home) or Settings("", port_for(home))
        wanted = dataclasses.replace(last, configs=str(configs), executor="local")
        _write_files(home, wanted)
        with EmbeddedPostgres(home / "postgres").running() as database:
            _open_database(home, database)
            _prepare_database(home, process_environment(home, wanted))
            yield environment(home, wanted)


# -- asking ----------------------------------------------------------------------------------------


def health(address: str, patience: float = 5) -> dict[str, str] | None:
    """Airflow's word on its components, None when its server does not answer within some seconds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/api/v2/monitor/health", timeout=patience) as answer:
            report = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return {name: str(part["status"]) for name, part in report.items()}


def workers_health(home: Path, found: Settings) -> dict[str, str]:
    """Whether the message server and each worker answer; empty where there are none."""
    return celery_parts.health(home) if found.executor == "celery" else {}


# -- checks ----------------------------------------------------------------------------------------


def _check_port(wanted: Settings) -> None:
    if not is_free(wanted.port, wanted.host):
        users = [f"; the Airflow in {home} is there" for home in homes() if _uses(home, wanted.port)]
        where = f"port {wanted.port} on {wanted.host}"
        raise ConfigError(f"{where} is taken{''.join(users)}; give another with --port, or none at all")


def _uses(home: Path, port: int) -> bool:
    found = settings_of(home)
    return found is not None and found.port == port and supervisor_answers(home)


def _refuse_other_settings(home: Path, wanted: Settings) -> None:
    found = settings_of(home)
    other = found.differences(wanted) if found else []
    if other:
        raise ConfigError(f"Airflow is already up with {'; '.join(other)}: take it down first")


def _check_listeners(home: Path, wanted: Settings) -> None:
    """Refuse to go on if anything of ours but the user interface can be reached from another machine than was asked."""
    root = psutil.Process(_supervisor_pid(home))
    for process in [root, *root.children(recursive=True)]:
        for address, port in _listening(process):
            if address != HOST and (address, port) != (wanted.host, wanted.port):
                raise PnnError(f"{process.name()} listens on {address}:{port}, expected {HOST} alone")


def _listening(process: psutil.Process) -> list[tuple[str, int]]:
    try:
        connections = process.net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        return []
    return [(link.laddr.ip, link.laddr.port) for link in connections if link.status == psutil.CONN_LISTEN]


# -- starting --------------------------------------------------------------------------------------


def _start(home: Path, wanted: Settings) -> None:
    """Database, schema, components, DAG files, health: in this order."""
    _write_files(home, wanted)
    variables = process_environment(home, wanted)
    database = EmbeddedPostgres(home / "postgres")
    database.init()
    subprocess.run(
        [*_PYTHON, "-m", "supervisor.supervisord", "-c", "supervisord.conf"],
        cwd=home,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    _wait(home, "PostgreSQL", database.is_running)
    _open_database(home, database)
    _prepare_database(home, variables)
    for name in ("api-server", "scheduler", "triggerer", *set(parts_of(wanted)) - set(PARTS)):
        rpc(home).startProcess(f"airflow:{name}", False)
    _make_pools(home, variables, Path(wanted.configs))
    _load_dags(home, variables, database)
    rpc(home).startProcess("airflow:dag-processor", False)
    rpc(home).startProcess("watch", False)
    _wait(home, "Airflow", lambda: status(home).healthy)
    _check_listeners(home, wanted)


def _wait(home: Path, what: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not ready():
        if not supervisor_answers(home):
            raise PnnError(f"supervisord ended; see {home / 'logs' / 'supervisord.log'}")
        _refuse_dead_parts(home)
        if time.monotonic() > deadline:
            late = ", ".join(f"{name} {state}" for name, state in {**parts(home), **status(home).health}.items())
            raise PnnError(f"{what} did not come up in {START_TIMEOUT:.0f} s ({late}); see {home / 'logs'}")
        time.sleep(0.2)


def _refuse_dead_parts(home: Path) -> None:
    """A part that ended again and again while starting will not come up: show the end of its log at once."""
    for name in [name for name, state in parts(home).items() if state in {"BACKOFF", "FATAL"}]:
        log = home / "logs" / f"{name}.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        if _deaths(home, name) >= DEATHS:
            tail = "\n".join(text.splitlines()[-15:])
            raise PnnError(f"{name} ended while starting; the end of {log}:\n{tail}")


def _deaths(home: Path, name: str) -> int:
    """How often supervisord has seen this part end since it was started last."""
    log = (home / "logs" / "supervisord.log").read_text(errors="replace")
    return log[log.rfind("supervisord started with pid") :].count(f"exited: {name} (")


def _open_database(home: Path, database: EmbeddedPostgres) -> None:
    """Have Airflow's database in the running server, and its address where the variables say it is."""
    database.ensure_database(DATABASE)
    _write_private(home / "secrets" / "database", database.uri(DATABASE, "postgresql+psycopg2"))


def _prepare_database(home: Path, variables: Mapping[str, str]) -> None:
    """Create or upgrade Airflow's tables, once for each version of Airflow."""
    version, done = importlib.metadata.version("apache-airflow-core"), home / "prepared"
    before = done.read_text().split() if done.exists() else []
    if version not in before:
        _airflow(home, variables, "db", "migrate")
    _write_private(done, version)


def _load_dags(home: Path, variables: Mapping[str, str], database: EmbeddedPostgres) -> None:
    """Load every DAG file into the database, and warn of those that do not load; they keep no other from running."""
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(database.uri(DATABASE), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("delete from import_error")  # else those of files that went while it was down stay for ever
        _airflow(home, variables, "dags", "reserialize")
        cursor.execute("select filename, stacktrace from import_error order by filename")
        for name, trace in cursor.fetchall():
            print(f"warning: {name} does not load: {_last_words(str(trace))}", file=sys.stderr)


def _last_words(trace: str) -> str:
    """The error at the end of a traceback, with all its lines."""
    lines = trace.strip().splitlines()
    frames = [at for at, line in enumerate(lines) if line.startswith("  ")]
    return "\n".join(lines[frames[-1] + 1 :] if frames else lines)


def _take_up_new_files(home: Path, wanted: Settings) -> None:
    """Have the DAG files and pools of pipelines that were added since this Airflow was started."""
    configs = Path(wanted.configs)
    write_stubs(configs, home / "dags")
    _make_pools(home, process_environment(home, wanted), configs)
    for fault in load_all(configs)[1]:
        print(f"warning: {fault}", file=sys.stderr)
    if supervisor_config(wanted) != (home / "supervisord.conf").read_text():
        print("warning: its workers do not take all queues that pipelines name by now: down, then up", file=sys.stderr)


def _make_pools(home: Path, variables: Mapping[str, str], configs: Path) -> None:
    """Have the pools of every pipeline; slots that somebody has changed stay."""
    pipelines, _ = load_all(configs)  # of the others there are no tasks
    _run(home, variables, "pools", "jobs.airflow.pools", *as_arguments(wanted_pools(pipelines)))


def _airflow(home: Path, variables: Mapping[str, str], *command: str) -> None:
    """Run one airflow command."""
    _run(home, variables, "-".join(command[:2]), "airflow", *command)


def _run(home: Path, variables: Mapping[str, str], name: str, module: str, *arguments: str) -> None:
    """Run a module as a command; its output goes to a log, which an error names and quotes."""
    log = home / "logs" / f"{name}.log"
    with log.open("w") as stream:
        done = subprocess.run(
            [*_PYTHON, "-m", module, *arguments],
            cwd=home,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
        raise PnnError(f"{module} {' '.join(arguments)} failed, see {log}:\n{tail}")


# -- files -----------------------------------------------------------------------------------------


def _write_files(home: Path, wanted: Settings) -> None:
    (home / "logs").mkdir(mode=0o700, exist_ok=True)
    folder = home / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    _keep_secret(folder / "fernet", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    _keep_secret(folder / "jwt", lambda: secrets.token_urlsafe(64))
    _keep_secret(folder / "session", lambda: secrets.token_urlsafe(32))
    _keep_secret(home / "airflow.cfg", lambda: _OWN_SETTINGS)
    _write_passwords(folder / "passwords.json", wanted.users)
    write_stubs(Path(wanted.configs), home / "dags")
    write_plugin(Path(wanted.configs), home / "plugins")  # where Airflow looks by default
    if wanted.executor == "celery":
        broker.write_config(home)
    _write_private(home / "supervisord.conf", supervisor_config(wanted))
    wanted.write(home)
    settings = environment(home, wanted)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()]
    _write_private(home / "environment.sh", "".join(lines))


def _write_passwords(path: Path, users: Sequence[str]) -> None:
    """Give every user a generated password; those that have one keep it."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    names = [user.split(":")[0] for user in users]
    _write_private(path, json.dumps({name: known.get(name) or secrets.token_urlsafe(12) for name in names}))


def _keep_secret(path: Path, make: Callable[[], str]) -> None:
    if not path.exists():
        _write_private(path, make())


def _write_private(path: Path, text: str) -> None:
    write_atomically(path, text.encode(), mode=0o600)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One up, down or demo at a time for a home; others say that they wait."""
    home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(home / "lock", wait=False, mode=0o600))
        except BlockingIOError:
            print(f"waiting for another up, down or demo that works on {home}", file=sys.stderr)
            held.enter_context(file_lock(home / "lock", mode=0o600))
        yield


# -- stopping --------------------------------------------------------------------------------------


def _stop(home: Path) -> bool:
    """End supervisord, what it started, and whatever a crash left; True if anything was running."""
    family = _family(home)
    if supervisor_answers(home):
        rpc(home).shutdown()
        psutil.wait_procs(family[:1], timeout=TIMEOUT)
    left = _end_strays(home, family)
    for left_behind in (socket_path(home), broker.broker_socket(home)):
        left_behind.unlink(missing_ok=True)
    (home / "supervisord.pid").unlink(missing_ok=True)
    return bool(family) or left


def _end_strays(home: Path, known: Sequence[psutil.Process] = ()) -> bool:
    """End processes that bear the marker of this home or are `known`, first politely; then the database."""
    strays = {*_marked(home), *(process for process in known if _lives(process))}
    for process in strays:
        _signal(process, process.terminate)
    _, stubborn = psutil.wait_procs([process for process in strays if _lives(process)], timeout=10)
    for process in {*stubborn, *_marked(home)}:
        _signal(process, process.kill)
    psutil.wait_procs(stubborn, timeout=10)
    EmbeddedPostgres(home / "postgres").stop()
    return bool(strays)


def _signal(process: psutil.Process, send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _supervisor_pid(home: Path) -> int:
    return int(rpc(home).getPID())


def _family(home: Path) -> list[psutil.Process]:
    """supervisord and all its descendants, supervisord first; empty when it does not answer."""
    if not supervisor_answers(home):
        return []
    root = psutil.Process(_supervisor_pid(home))
    return [root, *root.children(recursive=True)]


def _marked(home: Path) -> list[psutil.Process]:
    """Every live process that was started for this home, however far it has strayed."""
    return [process for process in psutil.process_iter() if _bears_marker(process, str(home))]


def _bears_marker(process: psutil.Process, home: str) -> bool:
    try:
        return process.environ().get(MARKER) == home and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
