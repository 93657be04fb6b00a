"""The PostgreSQL server that holds the score tables, as the configuration names it."""

import os
import re
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pnn_gluon.config import Config, embedded_folder
from pnn_gluon.errors import ConfigError
from pnn_gluon.secrets_masking import SECRET_VARIABLES

if TYPE_CHECKING:
    from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres

DATABASE = "pnn_gluon"
CONNECTION_VARIABLE = "PNN_GLUON_SCORES_URI"
"""Where the DAG puts the URI of the Airflow connection that `server = "connection:ID"` names."""
CONNECT_TIMEOUT = "30"
"""Seconds for a host that says nothing, unless the URI or the environment gives another."""

_PAIR = re.compile(r"\w+\s*=\s*(?:'(?:\\.|[^'\\])*'|[^\s']\S*|(?=\s|$))")
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]@:/?,]*)(?::[0-9]*)?"
_PARTS = re.compile(rf"(?:[^@:/?]*(?::[^@/?]*)?@)?{_HOST}(?:,{_HOST})*(?:/[^@/?]*)?(?:\?(?:\w+=[^&=]*(?:&|$))*)?")


def score_server(config: Config) -> AbstractContextManager[str]:
    """The server's URI while it runs; the embedded server is started if it is down.

    Of the embedded server it is that of the role that owns the score tables.
    """
    return _server(config, lambda postgres: postgres.publisher_uri(DATABASE))


def reading_server(config: Config) -> AbstractContextManager[str]:
    """Like `score_server`; of the embedded server it is the URI of the role that can only read."""
    return _server(config, lambda postgres: postgres.reader_uri(DATABASE))


@contextmanager
def _server(config: Config, uri_of: "Callable[[EmbeddedPostgres], str]") -> Generator[str, None, None]:
    """The configured URI, or that of the embedded server with its database and its roles."""
    if config.publish.server != "embedded":
        yield server_uri(config)
        return
    from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres

    with EmbeddedPostgres(server_folder(config), config.publish.port).running() as postgres:
        postgres.ensure_database(DATABASE)
        postgres.ensure_roles(DATABASE)
        yield uri_of(postgres)


def server_folder(config: Config) -> Path:
    """Where the embedded server keeps its data: `publish.folder`, or beside a local store."""
    folder = embedded_folder(config.publish.folder, config.store_root, config.path.parent)
    if folder is None:
        raise ConfigError(f"{config.path}: publish.folder: needed, since the store is not a local folder")
    return Path(folder)


def server_uri(config: Config) -> str:
    """The URI of a server that is not ours, from the environment: never from a file of the project.

    Raises:
        ConfigError: naming the variable that is not set or holds no URI; never with what it holds.
    """
    kind, _, name = config.publish.server.partition(":")
    variable = name if kind == "env" else CONNECTION_VARIABLE
    SECRET_VARIABLES.add(variable)
    uri = os.environ.get(variable)
    if not uri:
        raise ConfigError(f"environment variable {variable}: not set; it must hold the URI of the score server")
    if (wrong := _flaw(uri)) is not None:
        raise ConfigError(
            f"environment variable {variable}: {wrong}; it must hold a URI like postgresql://USER:PASSWORD@HOST:5432/"
            "DATABASE, with special characters of the user and the password percent-encoded (@ as %40, / as %2F)"
        )
    os.environ.setdefault("PGCONNECT_TIMEOUT", CONNECT_TIMEOUT)
    return re.sub(r"^postgres://", "postgresql://", uri)


def _flaw(uri: str) -> str | None:
    """What is wrong with a URI or key=value DSN, in words that hold nothing of it; libpq's own words would."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return "neither a URI nor pairs of key=value" if _PAIR.sub("", uri).strip() else None
    if scheme not in {"postgres", "postgresql"}:
        return "its scheme is not postgresql"
    if re.search(r"[\s#]|%(?![0-9A-Fa-f]{2})", rest):
        return "it holds a space, a # or a % that is not percent-encoded"
    return None if _PARTS.fullmatch(rest) else "its user, password, host, port and database cannot be told apart"
