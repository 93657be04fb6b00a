"""Scores in PostgreSQL: one table partitioned by day, each day replaced as a whole or not at all.

A day is loaded into a staging table of its own while readers go on using the old one, then swapped in by
one short transaction. Killed at any time, the old day is whole; what the kill left behind is dropped by
the next call. Publishing a day again is the same call.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_postgresql import dbapi as adbc

from pnn_gluon.errors import ConfigError, InputError, PnnError

COLUMNS = pa.schema(
    [
        pa.field("day", pa.date32()),
        pa.field("row_id", pa.string()),
        pa.field("logit", pa.float64()),
        pa.field("probability", pa.float64()),
        pa.field("model_day", pa.date32()),
        pa.field("map_day", pa.date32()),
    ]
)
_SQL_TYPES = {
    "day": "date",
    "row_id": "text",
    "logit": "double precision",
    "probability": "double precision",
    "model_day": "date",
    "map_day": "date",
}
_ACCEPTED = {
    pa.string(): (pa.string(), pa.large_string()),
    pa.float64(): (pa.float64(), pa.float32()),
    pa.date32(): (pa.date32(),),
}
_TABLE_NAME = re.compile(r"(?:([a-z_][a-z0-9_]{0,40})\.)?([a-z_][a-z0-9_]{0,40})")
_STAGING_MARK = "$new$"  # no table name may hold a $, so no table or partition can look like a staging table
_BOUND = re.compile(r"FOR VALUES FROM \('(\d{4}-\d{2}-\d{2})'\)")

PUBLISHER_WAIT = "600s"  # for another publisher of the same day
SWAP_LOCK_WAIT = "2s"  # new readers queue behind a waiting swap, so it must give up soon
SWAP_ATTEMPTS = 30
_LOCKED_OUT = {"55P03", "40P01"}  # lock not available, deadlock detected
_UNIQUE_VIOLATION = "23505"


@dataclass(frozen=True)
class _Table:
    """A table whose names are checked: every name made from it may stand in a statement."""

    schema: str
    name: str

    def named(self, name: str) -> str:
        return f'"{self.schema}"."{name}"'

    @property
    def parent(self) -> str:
        return self.named(self.name)

    def partition(self, day: date) -> str:
        return f"{self.name}_{day:%Y%m%d}"

    def staging(self, day: date) -> str:
        return f"{self.name}{_STAGING_MARK}{day:%Y%m%d}"

    def lock_key(self, what: str) -> int:
        """A 64-bit advisory lock number for this table and purpose."""
        text = f"pnn_gluon:{self.schema}.{self.name}:{what}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def publish_scores(uri: str, table: str, day: date, batches: pa.RecordBatchReader | pa.Table) -> int:
    """Make `batches` the whole of `day` in the score table, and return the number of rows.

    Parameters
    ----------
    uri : PostgreSQL address, e.g. ``postgresql://user:password@host:5432/scores``.
    table : ``name`` or ``schema.name``; created when missing as
        ``(day date, row_id text, logit double precision, probability double precision, model_day date,
        map_day date, primary key (day, row_id)) partition by range (day)``.
    day : the day the rows are scores of.
    batches : the columns above in any order; ``day`` may be left out, other columns are ignored. Floats may
        be of 32 or 64 bits. No rows is a valid day.

    Raises
    ------
    ConfigError
        The table name is not lower-case letters, digits and underscores (41 at most).
    InputError
        Missing or wrongly typed columns, nulls, a probability outside [0, 1], another day, or a row id
        that comes twice (examples named). The old day stays.
    PnnError
        The server can't be reached, or readers kept the table locked. The old day stays.
    """
    schema, name = _checked_name(table)
    day = _checked_day(day)
    reader = batches.to_reader() if isinstance(batches, pa.Table) else batches
    _check_columns(reader.schema)
    with _connected(uri) as connection:
        target = _Table(schema or _value(connection, "select current_schema()"), name)
        _ensure_parent(connection, target)
        with _publisher_lock(connection, target, day):
            _drop_leftovers(connection, target, day)
            rows = _load(connection, target, day, reader)
            _swap(connection, target, day)
        return rows


def published_days(uri: str, table: str) -> list[date]:
    """The days the score table holds, in order; none if there is no such table.

    A day published with no rows is among them: this reads the catalogue, not the rows.
    """
    schema, name = _checked_name(table)
    with _connected(uri) as connection:
        target = _Table(schema or _value(connection, "select current_schema()"), name)
        bounds = _rows(
            connection,
            "select pg_get_expr(child.relpartbound, child.oid) from pg_inherits join pg_class child "
            f"on child.oid = inhrelid where inhparent = to_regclass('{target.parent}')",
        )
    found = (_BOUND.match(bound) for (bound,) in bounds)
    return sorted(date.fromisoformat(match[1]) for match in found if match)


# -- what comes in ---------------------------------------------------------------------------------


def _checked_name(table: str) -> tuple[str | None, str]:
    match = _TABLE_NAME.fullmatch(table)
    if not match:
        raise ConfigError(
            f"score table {table!r}: expected name or schema.name, each of at most 41 lower-case letters, "
            "digits and underscores, no digit first"
        )
    return match[1], match[2]


def _checked_day(day: date) -> date:
    if isinstance(day, datetime) or not isinstance(day, date):
        raise InputError(f"day {day!r}: expected a date without a time")
    return day


def _check_columns(schema: pa.Schema) -> None:
    """Refuse missing or wrongly typed columns before anything is sent."""
    for field in COLUMNS:
        position = schema.get_field_index(field.name)
        if position < 0 and field.name == "day":
            continue
        if position < 0:
            raise InputError(f"scores have no column {field.name}; they have {', '.join(schema.names)}")
        if schema.field(position).type not in _ACCEPTED[field.type]:
            raise InputError(
                f"scores column {field.name}: expected {field.type}, received {schema.field(position).type}"
            )


class _Source:
    """The batches as the table wants them, with the rows that went by and the error that stopped them."""

    def __init__(self, reader: pa.RecordBatchReader, day: date) -> None:
        self._reader = reader
        self._day = day
        self.rows = 0
        self.failure: Exception | None = None

    def stream(self) -> pa.RecordBatchReader:
        """All batches, once."""
        return pa.RecordBatchReader.from_batches(COLUMNS, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._reader:
                self.rows += batch.num_rows
                yield self._aligned(batch)
        except Exception as error:  # it goes through a C interface that keeps its text alone
            self.failure = error
            raise

    def _aligned(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if "day" not in batch.schema.names:
            batch = batch.append_column("day", pa.repeat(pa.scalar(self._day, pa.date32()), batch.num_rows))
        arrays = [batch.column(field.name).cast(field.type) for field in COLUMNS]
        return pa.RecordBatch.from_arrays(arrays, schema=COLUMNS)


# -- connection ------------------------------------------------------------------------------------


@contextmanager
def _connected(uri: str) -> Iterator[adbc.Connection]:
    """A connection for one call; whatever the database refuses becomes an error of ours."""
    try:
        with adbc.connect(uri) as connection:
            yield connection
    except Error as error:
        bad_rows = (error.sqlstate or "")[:2] in {"22", "23"}
        kind = InputError if bad_rows else PnnError
        raise kind(f"PostgreSQL refused (nothing was changed): {error}") from error


def _run(connection: adbc.Connection, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _rows(connection: adbc.Connection, query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def _value(connection: adbc.Connection, query: str) -> Any:
    return _rows(connection, query)[0][0]


# -- steps of a publication ------------------------------------------------------------------------


def _ensure_parent(connection: adbc.Connection, table: _Table) -> None:
    """Create the partitioned table once; refuse a table of that name with other columns."""
    columns = ", ".join(f"{name} {kind} not null" for name, kind in _SQL_TYPES.items())
    if _value(connection, f"select to_regclass('{table.parent}')::text") is None:
        _run(
            connection,
            f"select pg_advisory_xact_lock({table.lock_key('swap')})",
            f"create table if not exists {table.parent} ({columns}, primary key (day, row_id), "
            "check (probability between 0 and 1)) partition by range (day)",
        )
    found = _rows(
        connection,
        "select attname, format_type(atttypid, atttypmod), relkind::text = 'p' from pg_attribute join "
        f"pg_class on attrelid = pg_class.oid where attrelid = '{table.parent}'::regclass and attnum > 0 "
        "and not attisdropped order by attnum",
    )
    connection.commit()
    if found != [(name, kind, True) for name, kind in _SQL_TYPES.items()]:
        raise InputError(
            f"{table.parent} is not a score table: expected a partitioned table with ({columns}), found "
            f"{', '.join(f'{name} {kind}' for name, kind, _ in found)}; give another name or drop it"
        )


@contextmanager
def _publisher_lock(connection: adbc.Connection, table: _Table, day: date) -> Iterator[None]:
    """Be the only publisher of this day; the server lets go when the connection ends, however it ends."""
    key = table.lock_key(day.isoformat())
    _run(connection, f"set lock_timeout = '{PUBLISHER_WAIT}'", f"select pg_advisory_lock({key})")
    connection.commit()
    yield
    _run(connection, f"select pg_advisory_unlock({key})")
    connection.commit()


def _drop_leftovers(connection: adbc.Connection, table: _Table, day: date) -> None:
    """Drop staging tables that no publisher owns any more: ours, and those of other days."""
    prefix = f"{table.name}{_STAGING_MARK}"
    names = _rows(
        connection,
        f"select relname from pg_class where relnamespace = '\"{table.schema}\"'::regnamespace "
        f"and relkind = 'r' and starts_with(relname, '{prefix}')",
    )
    for (name,) in names:
        staged = datetime.strptime(name.removeprefix(prefix), "%Y%m%d").date()
        owned = staged == day or _value(
            connection, f"select pg_try_advisory_xact_lock({table.lock_key(staged.isoformat())})"
        )
        if owned:
            _run(connection, f"drop table if exists {table.named(table.staging(staged))}")
        connection.commit()


def _load(connection: adbc.Connection, table: _Table, day: date, reader: pa.RecordBatchReader) -> int:
    """Fill the staging table and prove it fit to be the partition."""
    staging = table.named(table.staging(day))
    source = _Source(reader, day)
    _run(connection, f"create table {staging} (like {table.parent} including defaults including constraints)")
    try:
        with connection.cursor() as cursor:
            name = table.staging(day)
            cursor.adbc_ingest(name, source.stream(), mode="append", db_schema_name=table.schema)
    except Error as error:
        if source.failure:
            raise source.failure from error
        raise
    connection.commit()
    _prove(connection, table, day)
    return source.rows


def _prove(connection: adbc.Connection, table: _Table, day: date) -> None:
    """Add the primary key and the check that every row is of this day; rows that fail are dropped."""
    staging = table.named(table.staging(day))
    try:
        _run(
            connection,
            f'alter table {staging} add constraint "{table.staging(day)}_pkey" primary key (day, row_id)',
            f"alter table {staging} add constraint one_day check "
            f"(day >= '{day}' and day < '{day + timedelta(days=1)}')",
        )
        connection.commit()
    except Error as error:
        connection.rollback()
        message = _duplicates(connection, staging, day) if error.sqlstate == _UNIQUE_VIOLATION else ""
        _run(connection, f"drop table {staging}")
        connection.commit()
        if message:
            raise InputError(message) from error
        raise


def _duplicates(connection: adbc.Connection, staging: str, day: date) -> str:
    examples = _rows(
        connection,
        f"select row_id, count(*) from {staging} group by day, row_id having count(*) > 1 order by 1 limit 5",
    )
    listed = ", ".join(f"{row_id!r} ({count} times)" for row_id, count in examples)
    return f"scores of {day}: row ids must be unique, but there are {listed}; the published day is unchanged"


def _swap(connection: adbc.Connection, table: _Table, day: date) -> None:
    """Put the staging table in the old partition's place, in one transaction; retry if readers hold it."""
    _retried(connection, f"{table.parent}, {day}", lambda: _swap_once(connection, table, day))


def _swap_once(connection: adbc.Connection, table: _Table, day: date) -> None:
    staging, partition = table.staging(day), table.partition(day)
    _run(
        connection,
        f"set local lock_timeout = '{SWAP_LOCK_WAIT}'",
        f"select pg_advisory_xact_lock({table.lock_key('swap')})",
        *_removal(connection, table, partition),
        f'alter table {table.named(staging)} rename to "{partition}"',
        f'alter index {table.named(f"{staging}_pkey")} rename to "{partition}_pkey"',
        f"alter table {table.parent} attach partition {table.named(partition)} "
        f"for values from ('{day}') to ('{day + timedelta(days=1)}')",
        f"alter table {table.named(partition)} drop constraint one_day",
    )
    connection.commit()


def _removal(connection: adbc.Connection, table: _Table, partition: str) -> list[str]:
    """The statements that remove the old partition; a stranger under its name is never removed."""
    old = table.named(partition)
    found = _rows(
        connection,
        "select exists (select from pg_inherits where inhrelid = pg_class.oid and inhparent = "
        f"'{table.parent}'::regclass) from pg_class where oid = to_regclass('{old}')",
    )
    if not found:
        return []
    if not found[0][0]:
        raise InputError(f"{old} exists and is not a partition of {table.parent}: rename or drop it first")
    return [f"alter table {table.parent} detach partition {old}", f"drop table {old}"]


def _retried(connection: adbc.Connection, what: str, action: Callable[[], None]) -> None:
    """Do `action` again while locks are in its way, each time from a clean transaction."""
    for attempt in range(SWAP_ATTEMPTS):
        try:
            action()
            return
        except Error as error:
            connection.rollback()
            if error.sqlstate not in _LOCKED_OUT:
                raise
        time.sleep(min(0.1 * 2**attempt, 2.0))
    raise PnnError(
        f"{what}: readers kept the table locked through {SWAP_ATTEMPTS} attempts; the published day is "
        "unchanged. End long transactions that read it, then publish again"
    )
