"""What the local Airflow of a home was started with."""

import dataclasses
import ipaddress
import json
import re
import socket
from pathlib import Path
from typing import Literal, Self

from pnn_gluon.atomic import write_atomically
from pnn_gluon.configurations import pipeline_files
from pnn_gluon.errors import ConfigError
from pnn_gluon.ports import ANY, HOST, is_free

EARLIER = "of an earlier release"
"""In place of a folder: such an Airflow has the DAG files of its time."""

_USER = re.compile(r"[A-Za-z0-9_.-]+:(admin|op|user|viewer)")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to start an Airflow.

    Attributes:
        configs: A folder of pipelines' configurations, or a single one.
        port: Of the user interface; 0 stands for that of last time, or a free one.
        host: The IPv4 address that the user interface listens on; 0.0.0.0 stands for all.
        users: ``name:role`` of those who may log in; without any, everybody is an admin.
        executor: ``local``, where the scheduler runs tasks itself, or ``celery``, where workers do.
    """

    configs: str
    port: int = 0
    host: str = HOST
    users: tuple[str, ...] = ()
    executor: Literal["local", "celery"] = "local"

    def check(self) -> None:
        """Refuse what could not work, or would let everybody in.

        Raises:
            ConfigError: naming the option, what was given and what is expected.
        """
        pipeline_files(Path(self.configs))
        for user in self.users:
            if not _USER.fullmatch(user):
                raise ConfigError(f"user {user!r}: expected name:role with role admin, op, user or viewer")
        if not is_free(0, str(self._address())):
            raise ConfigError(f"host {self.host} is no address of this machine; {ANY} stands for all it has")
        if not self._address().is_loopback and not self.users:
            raise ConfigError(
                f"host {self.host} lets other machines in, and without users everybody is an admin: name those who may "
                "log in, such as --user ann:admin --user bob:viewer"
            )

    def _address(self) -> ipaddress.IPv4Address:
        try:
            return ipaddress.IPv4Address(self.host)
        except ValueError:
            expected = f"expected an IPv4 address of this machine, such as {HOST} or {ANY}"
            raise ConfigError(f"host {self.host!r}: {expected}") from None

    @property
    def own_host(self) -> str:
        """The address at which this machine itself reaches the user interface."""
        return HOST if self.host == ANY else self.host

    @property
    def own_address(self) -> str:
        """Where the user interface answers, seen from this machine."""
        return f"http://{self.own_host}:{self.port}"

    @property
    def address(self) -> str:
        """Where the user interface is, for people; by the machine's name if it listens on all its addresses."""
        return f"http://{socket.gethostname() if self.host == ANY else self.host}:{self.port}"

    def differences(self, wanted: Self) -> list[str]:
        """In words what is otherwise than wanted."""
        pairs = [(field.name, getattr(self, field.name), getattr(wanted, field.name)) for field in _fields()]
        return [f"{name} {_shown(found)}, not {_shown(other)}" for name, found, other in pairs if found != other]

    def write(self, home: Path) -> None:
        """Keep these settings in a home."""
        write_atomically(_file(home), (json.dumps(dataclasses.asdict(self), indent=1) + "\n").encode(), mode=0o600)


def _fields() -> tuple[dataclasses.Field[object], ...]:
    return dataclasses.fields(Settings)


def _shown(value: object) -> str:
    return (" ".join(value) or "none") if isinstance(value, tuple) else str(value)


def _file(home: Path) -> Path:
    return home / "settings.json"


def settings_of(home: Path) -> Settings | None:
    """What an Airflow was last started with, also by an earlier release; None if none ever was."""
    if not _file(home).exists():
        return None
    found = json.loads(_file(home).read_text())
    return Settings(
        configs=found.get("configs", EARLIER),
        port=found["port"],
        host=found.get("host", HOST),
        users=tuple(found.get("users", ())),
        executor=found.get("executor", "local"),
    )
