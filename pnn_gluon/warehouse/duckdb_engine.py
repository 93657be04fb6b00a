"""DuckDB in process: a connection with limits and the prelude, the statements of sql/, and how they open Parquet."""

import atexit
import re
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import jinja2

from pnn_gluon.config import EngineConfig
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.temporary import temporary_folder

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WILDCARD = re.compile(r"[*?\[]")


_idle: list[duckdb.DuckDBPyConnection] = []
"""Databases that no block has: to take one over takes a tenth of the time of registering all functions in a new one."""

_AT_REST = ("threads = 1", "async_threads = 0", "temp_directory = ''")
"""Settings of a database that no block has: a fork of the process misses no thread, and no folder waits for it."""


@contextmanager
def connect(engine: EngineConfig) -> Generator[duckdb.DuckDBPyConnection, None, None]:
    """A connection with the prelude's functions, a memory limit and a spill folder of its own.

    What a block makes in it must be temporary: its database serves later blocks, unless the block failed or spilled.
    """
    with temporary_folder(Path(tempfile.gettempdir()), "pnn-gluon-sql-") as spill:
        database = _taken()
        try:
            with database.cursor() as connection:
                _set(connection, f"memory_limit = '{engine.memory_limit}'", f"threads = {engine.threads}")
                _set(connection, f"temp_directory = {literal(spill)}", "TimeZone = 'UTC'")
                connection.execute("reset async_threads")
                yield connection
            _put_by(database)
        except BaseException:
            database.close()
            raise


def _taken() -> duckdb.DuckDBPyConnection:
    """A database for one block, in memory, with the prelude's functions."""
    with suppress(IndexError):
        return _idle.pop()
    database = duckdb.connect()
    _set(database, "preserve_insertion_order = true")
    for each in _prelude():
        database.execute(each)
    return database


def _put_by(database: duckdb.DuckDBPyConnection) -> None:
    """Keep a database for the next block; one that has spilled cannot have another folder, and ends."""
    try:
        _set(database, *_AT_REST)
    except duckdb.NotImplementedException:
        database.close()
    else:
        _idle.append(database)


@atexit.register
def _close_idle() -> None:
    while _idle:
        _idle.pop().close()


def _set(connection: duckdb.DuckDBPyConnection, *settings: str) -> None:
    for each in settings:
        connection.execute(f"set {each}")


@cache
def _prelude() -> list[duckdb.Statement]:
    """Parsed once: a third of the time of what makes them."""
    return duckdb.extract_statements(statement("prelude_duckdb"))


def statement(name: str, **values: Any) -> str:
    """The text of sql/<name>.sql with its values filled in.

    Inside a template, `{{ x | name }}` writes a checked column name, `{{ x | text }}` a quoted literal and
    `{{ x | parquet }}` the table in one or more Parquet files.
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


def parquet(paths: str | Path | Iterable[str | Path], row_numbers: bool = False) -> str:
    """The table in Parquet files, to stand after `from`: the files' own columns and nothing else.

    The only place that opens Parquet for SQL. By itself DuckDB reads columns from folders named `name=value` above a
    file, which hide the file's own, and takes paths for patterns.

    Args:
        paths: A file, or several of the same columns, one after the other.
        row_numbers: Whether a column `file_row_number`, from 0, is added.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    listed = ", ".join(parquet_path(path) for path in files)
    return f"read_parquet([{listed}], hive_partitioning = false, file_row_number = {str(row_numbers).lower()})"


def parquet_path(path: str | Path) -> str:
    """A path of one Parquet file as a SQL literal in which no character is a wildcard.

    Raises:
        InputError: DuckDB has no way to write it: it holds a wildcard and a backslash.
    """
    written = str(path)
    if not _WILDCARD.search(written):
        return literal(written)
    if "\\" in written:
        raise InputError(f"{written}: a path with a backslash and one of * ? [ can't be read; choose another folder")
    return literal(_WILDCARD.sub(lambda found: f"[{found.group()}]", written))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_sql_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(name=identifier, text=literal, parquet=parquet)
    return environment


def _sql_folder() -> Path:
    """sql/ beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parents[1]
    installed = package / "sql"
    return installed if installed.is_dir() else package.parent / "sql"
