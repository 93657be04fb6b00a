"""One statement for the score server, which only reads, and its answer as plain text."""

from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.cells import cell_len

from jobs.command import ConfigOption
from jobs.score_server import reading_server
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError, PnnError

if TYPE_CHECKING:
    import psycopg

SHOWN_ROWS = 1000
NULL = "NULL"

_Cells = Sequence[str | None]
_Rows = Generator[_Cells, None, None]


def command(
    config: ConfigOption,
    sql: Annotated[str, typer.Argument(help="A statement for the score server, such as: select * from scores limit 5")],
) -> None:
    """Ask the score server; the embedded one is started for it."""
    print_query(load_config(config), sql)


def print_query(config: Config, sql: str) -> None:
    """Run one statement in a read-only transaction and print at most 1,000 rows.

    Raises:
        ConfigError: with the server's words, when it refuses the statement.
        PnnError: when the server can't be reached.
    """
    if not sql.strip():
        raise ConfigError("the statement is empty: give one such as: select * from scores limit 5")
    with reading_server(config) as uri:
        names, rows = _answer(uri, sql)
    if names:
        _print(names, rows[:SHOWN_ROWS])
    if len(rows) > SHOWN_ROWS:
        print(f"more rows: only the first {SHOWN_ROWS:,} are shown; narrow the statement to see others")


def _answer(uri: str, sql: str) -> tuple[list[str], list[_Cells]]:
    """The columns' names, and one row more than is shown, if there are so many; the rest is never fetched."""
    import psycopg

    try:
        with psycopg.connect(uri, client_encoding="utf8", connect_timeout=30) as connection:
            connection.read_only = True
            _keep_text(connection)
            # The extended protocol, which stream() uses, takes one statement only.
            with connection.cursor() as cursor, closing(cast("_Rows", cursor.stream(sql.encode()))) as rows:
                kept = list(islice(rows, SHOWN_ROWS + 1))
                return [column.name for column in cursor.description or ()], kept
    except psycopg.Error as error:
        raise _explained(error) from error


def _keep_text(connection: "psycopg.Connection") -> None:
    """Leave every value as the text that the server sent."""
    from psycopg.types.string import TextLoader

    for oid in {0} | {oid for kind in connection.adapters.types for oid in (kind.oid, kind.array_oid)}:
        connection.adapters.register_loader(oid, TextLoader)


def _explained(error: "psycopg.Error") -> PnnError:
    """One line; without a state it is about the connection, and may quote the URI, so its words are left out."""
    said = " ".join((error.diag.message_primary or str(error)).split())
    state = error.sqlstate or ""
    if not state and not error.diag.message_primary and type(error).__name__ == "ProgrammingError":
        return ConfigError(
            "the score server's URI, or the kind of statement, can't be used: special characters of a URI are "
            "percent-encoded, and copy to the client is not supported"
        )
    if not state or state.startswith(("08", "28", "57P", "3D")):
        return PnnError(
            "the score server can't be reached, or the connection was lost: is it running, and do the host, port, "
            "database, user and password in its URI hold?"
        )
    hint = "; query only reads" if state in {"25006", "42501"} else ""
    return ConfigError(f"the score server refused the statement: {said}{hint}")


def _print(names: Sequence[str], rows: Sequence[_Cells]) -> None:
    """Columns as wide as their widest cell: no markup, no folding, nothing cut off."""
    lines = [[_visible(cell) for cell in row] for row in (names, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        print(" │ ".join(padded).rstrip())


def _visible(cell: str | None) -> str:
    """NULL as a word, and characters that would move a terminal's cursor as escapes such as ``\\n``."""
    if cell is None:
        return NULL
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in cell)
