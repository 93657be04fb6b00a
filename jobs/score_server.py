"""The PostgreSQL server that holds the score tables, as the configuration names it."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError

DATABASE = "pnn_gluon"
CONNECTION_VARIABLE = "PNN_GLUON_SCORES_URI"
"""Where the DAG puts the URI of the Airflow connection that `server = "connection:ID"` names."""


@contextmanager
def score_server(config: Config) -> Generator[str, None, None]:
    """The server's URI while it runs; the embedded server is started if it is down, and then stopped again."""
    if config.publish.server != "embedded":
        yield server_uri(config)
        return
    from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres

    postgres = EmbeddedPostgres(embedded_folder(config), config.publish.port)
    with postgres.running():
        postgres.ensure_database(DATABASE)
        yield postgres.uri(DATABASE)


def embedded_folder(config: Config) -> Path:
    """Where the embedded server keeps its data: `publish.folder`, or beside a local store."""
    if config.publish.folder:
        return Path(config.resolve(config.publish.folder))
    if "://" in config.store_root:
        raise ConfigError(f"{config.path}: publish.folder: needed, since the store is not a local folder")
    return Path(config.store_root).parent / "postgres"


def server_uri(config: Config) -> str:
    """The URI of a server that is not ours, from the environment: never from a file of the project.

    Raises:
        ConfigError: naming the variable that is not set.
    """
    kind, _, name = config.publish.server.partition(":")
    variable = name if kind == "env" else CONNECTION_VARIABLE
    uri = os.environ.get(variable)
    if not uri:
        raise ConfigError(f"environment variable {variable}: not set; it must hold the URI of the score server")
    return uri.replace("postgres://", "postgresql://", 1)
