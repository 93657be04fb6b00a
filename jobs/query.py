"""A statement for the score server, and its answer as a table."""

from rich.table import Table

from jobs.score_server import score_server
from jobs.terminal import console
from pnn_gluon.config import Config
from pnn_gluon.errors import InputError


def print_query(config: Config, sql: str) -> None:
    """Run the statement and print at most 1,000 rows.

    Raises:
        InputError: with the server's words, when it refuses the statement.
    """
    import adbc_driver_postgresql.dbapi as adbc
    from adbc_driver_manager import Error

    with score_server(config) as uri, adbc.connect(uri) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(sql)
            answer = cursor.fetch_arrow_table()
        except Error as error:
            raise InputError(f"the score server refused the statement: {error}") from error
    table = Table(*answer.schema.names)
    for row in zip(*(column.slice(0, 1000).to_pylist() for column in answer.columns), strict=True):
        table.add_row(*map(str, row))
    out = console()
    out.print(table)
    if answer.num_rows > 1000:
        out.print(f"{answer.num_rows - 1000:,} more rows")
