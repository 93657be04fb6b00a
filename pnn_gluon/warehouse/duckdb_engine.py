"""DuckDB in process: a connection with limits and the prelude, and the statements of sql/."""

import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import jinja2

from pnn_gluon.config import EngineConfig
from pnn_gluon.errors import ConfigError
from pnn_gluon.temporary import temporary_folder

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@contextmanager
def connect(engine: EngineConfig) -> Generator[duckdb.DuckDBPyConnection, None, None]:
    """A connection with the prelude's functions, a memory limit and a spill folder of its own."""
    with temporary_folder(Path(tempfile.gettempdir()), "pnn-gluon-sql-") as spill, duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{engine.memory_limit}'")
        connection.execute(f"set threads = {engine.threads}")
        connection.execute("set preserve_insertion_order = true")
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"set temp_directory = {literal(spill)}")
        connection.execute(statement("prelude_duckdb"))
        yield connection


def statement(name: str, **values: Any) -> str:
    """The text of sql/<name>.sql with its values filled in.

    Inside a template, `{{ x | name }}` writes a checked column name and `{{ x | text }}` a quoted literal.
    """
    return _environment().get_template(f"{name}.sql").render(**values)


def identifier(name: str) -> str:
    """A column or table name, checked, in double quotes."""
    if not _IDENTIFIER.fullmatch(name):
        raise ConfigError(f"name {name!r}: expected letters, digits and underscores, not starting with a digit")
    return f'"{name}"'


def literal(value: object) -> str:
    """A value as a SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_sql_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(name=identifier, text=literal)
    return environment


def _sql_folder() -> Path:
    """sql/ beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parents[1]
    installed = package / "sql"
    return installed if installed.is_dir() else package.parent / "sql"
