"""Scores in PostgreSQL: one table partitioned by day, each day replaced as a whole or not at all.

A day is replaced by one transaction that deletes its rows, copies the new ones in, notes the run they are
of in the table ``<name>$runs`` and adds a line to ``<name>$served``, the record of all that was ever served.
Readers of any isolation level see the old day or the new one, whole; none waits for a publication, and none holds
one up. Killed at any time, the old day stays.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, cast

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
        pa.field("fallback", pa.bool_()),
    ]
)
_SQL_TYPES = {
    "day": "date",
    "row_id": "text",
    "logit": "double precision",
    "probability": "double precision",
    "model_day": "date",
    "map_day": "date",
    "fallback": "boolean",
}
_NEWER_COLUMN = "fallback"  # tables of releases that had none get it
_ACCEPTED = {
    pa.string(): (pa.string(), pa.large_string()),
    pa.float64(): (pa.float64(), pa.float32()),
    pa.date32(): (pa.date32(),),
}
_TABLE_NAME = re.compile(r"(?:([a-z_][a-z0-9_]{0,40})\.)?([a-z_][a-z0-9_]{0,40})")
SERVED_MARK = "$served"
RUNS_MARK = "$runs"  # no table name may hold a $, so no score table can look like one of these
_OLD_STAGING_MARK = "$new$"  # what releases before this one loaded a day into
LOCK_WAIT = "600s"
"""For another publisher of the day, or for somebody who locked the table by hand."""

PATIENCE = 600.0
"""Seconds for another machine that publishes the same day."""
_AGAIN = 0.2  # seconds until the next look

_ISOLATION = "set transaction isolation level read committed"  # whatever the server's default is
_LOCKED_OUT = {"55P03", "40P01"}  # lock not available, deadlock detected
_HINTS = {
    "42501": "The user in the URI must own the table and its partitions, or be allowed to create them in its schema",
    "25006": "Give the URI of the primary server, and a user whose transactions may write",
    "57014": "Give the user a longer statement_timeout, or none",
}
_UNREACHABLE = ("08", "57P")  # states that begin so: connection, shutdown


@dataclass(frozen=True)
class MadeFrom:
    """What a published day was made from.

    Attributes:
        run: The run of its scores.
        store: The store that holds the run.
        model_day: The day of the model.
        fallback: Whether that is an older model than the day's own decision, which was not there.
        why: The reason for a fallback, or that of a person who chose the model.
        at_least: The least number that this publication of the day may have.
    """

    run: str = ""
    store: str = ""
    model_day: date | None = None
    fallback: bool = False
    why: str = ""
    at_least: int = 1


class Published(NamedTuple):
    """The number of rows of a publication, and its number among those of its day that differ, from 1."""

    rows: int
    sequence: int


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

    def day_table(self, day: date) -> str:
        return self.named(self.partition(day))

    @property
    def runs(self) -> str:
        return self.named(self.name + RUNS_MARK)

    @property
    def served(self) -> str:
        return self.named(self.name + SERVED_MARK)

    def lock_key(self, what: str) -> int:
        """A 64-bit advisory lock number for this table and purpose."""
        text = f"pnn_gluon:{self.schema}.{self.name}:{what}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def publish_scores(
    uri: str,
    table: str,
    day: date,
    batches: pa.RecordBatchReader | pa.Table,
    made_from: MadeFrom = MadeFrom(),
    take_over: bool = False,
) -> Published:
    """Make `batches` the whole of `day` in the score table.

    Args:
        uri: PostgreSQL address, e.g. ``postgresql://user:password@host:5432/scores``.
        table: ``name`` or ``schema.name``; created when missing, with its schema, as
            ``(day date, row_id text, logit double precision, probability double precision, model_day date,
            map_day date, fallback boolean, primary key (day, row_id)) partition by range (day)``.
        day: The day the rows are scores of.
        batches: The columns above in any order, without ``fallback``; ``day`` may be left out, other columns are
            ignored. Floats may be of 32 or 64 bits. No rows is a valid day.
        made_from: Noted in ``<table>$runs`` and ``<table>$served`` by the transaction that replaces the rows. The
            store that publishes first owns the table.
        take_over: Make the table this store's when it is another's.

    Raises:
        ConfigError: the table name is not lower-case letters, digits and underscores (41 at most), or the table belongs
            to another store.
        InputError: missing or wrongly typed columns, nulls, a probability outside [0, 1], another day, or a row id that
            comes twice. The old day stays.
        PnnError: the server can't be reached, or somebody kept the table locked. The old day stays.
    """
    schema, name = _checked_name(table)
    day = _checked_day(day)
    reader = batches.to_reader() if isinstance(batches, pa.Table) else batches
    _check_columns(reader.schema)
    with _connected(uri) as connection:
        target = _Table(schema or _current_schema(connection), name)
        _ensure_tables(connection, target)
        _ensure_partition(connection, target, day)
        _run(connection, _ISOLATION, f"select pg_advisory_xact_lock({target.lock_key(day.isoformat())})")
        _check_owner(connection, target, day, made_from, take_over)
        rows = _replace(connection, target, day, _Source(reader, day, made_from.fallback))
        sequence = _note_served(connection, target, day, made_from, rows)
        _note_run(connection, target, day, made_from)
        connection.commit()
    _vacuum(uri, target, day)
    return Published(rows, sequence)


def standing_run(uri: str, table: str, day: date) -> str | None:
    """The run whose scores the day holds; None if it was never published, or its rows were changed since."""
    schema, name = _checked_name(table)
    with _connected(uri) as connection:
        _run(connection, "set transaction isolation level repeatable read read only")
        target = _Table(schema or _current_schema(connection), name)
        if not (_exists(connection, target.runs) and _exists(connection, target.day_table(day))):
            return None
        noted = _rows(connection, f"select run, rows, checksum from {target.runs} where day = '{day}'")
        if not noted or _content(connection, target, day) != noted[0][1:]:
            return None
        return str(noted[0][0])


@contextmanager
def publishing(uri: str, table: str, day: date) -> Iterator[None]:
    """Be the only one that publishes a day of a table, on whatever machine, while the block lasts.

    Another one is waited for. The lock is of a transaction that does nothing else, so that a pool of connections in
    front of the server keeps it too; the server frees it when the connection ends, however it ends.

    Raises:
        PnnError: another one held it for longer than `PATIENCE`, or the server can't be reached.
    """
    schema, name = _checked_name(table)
    with _connected(uri) as connection:
        _run(connection, _ISOLATION, "set local idle_in_transaction_session_timeout = 0")
        target = _Table(schema or _current_schema(connection), name)
        lock, deadline = target.lock_key(f"publishing {day}"), time.monotonic() + PATIENCE
        while not _value(connection, f"select pg_try_advisory_xact_lock({lock})"):
            if time.monotonic() > deadline:
                raise PnnError(
                    f"{target.parent} of {day}: another process, maybe of another machine, has been publishing it for "
                    f"{PATIENCE:.0f} s; see who in pg_locks and pg_stat_activity, then publish again"
                )
            time.sleep(_AGAIN)
        yield


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
        if field.name == _NEWER_COLUMN or (position < 0 and field.name == "day"):
            continue
        if position < 0:
            raise InputError(f"scores have no column {field.name}; they have {', '.join(schema.names)}")
        if schema.field(position).type not in _ACCEPTED[field.type]:
            raise InputError(
                f"scores column {field.name}: expected {field.type}, received {schema.field(position).type}"
            )


class _Source:
    """The batches as the table wants them, with the rows that went by and the error that stopped them."""

    def __init__(self, reader: pa.RecordBatchReader, day: date, fallback: bool) -> None:
        self._reader = reader
        self._filled = {"day": pa.scalar(day, pa.date32()), "fallback": pa.scalar(fallback)}
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
        arrays = [self._column(batch, field) for field in COLUMNS]
        return pa.RecordBatch.from_arrays(arrays, schema=COLUMNS)

    def _column(self, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
        if field.name == _NEWER_COLUMN or field.name not in batch.schema.names:
            return pa.repeat(self._filled[field.name], batch.num_rows)
        return batch.column(field.name).cast(field.type)


# -- connection ------------------------------------------------------------------------------------


@contextmanager
def _connected(uri: str, autocommit: bool = False) -> Iterator[adbc.Connection]:
    """A connection for one call; whatever the database refuses becomes an error of ours."""
    try:
        with adbc.connect(uri, autocommit=autocommit) as connection:
            _run(connection, f"set lock_timeout = '{LOCK_WAIT}'")
            yield connection
    except Error as error:
        raise _explained(error) from error


def _explained(error: Error) -> PnnError:
    state, said = error.sqlstate or "", " ".join(str(error).split())
    if state[:2] in {"22", "23"}:
        return InputError(f"PostgreSQL refused the scores, and the day is as it was: {said}")
    if state in _LOCKED_OUT:
        return PnnError(
            f"somebody kept the score table locked for {LOCK_WAIT}, and the day is as it was: {said}. "
            "See who in pg_locks and pg_stat_activity, then publish again"
        )
    if not state or state.startswith(_UNREACHABLE):
        return PnnError(
            f"the score server can't be reached, or the connection was lost: {said}. Is it running, and do the "
            "host, port, database and password in its URI hold? Then publish again: the day is the old one or the "
            "new one, whole"
        )
    hint = _HINTS.get(state)
    return PnnError(f"PostgreSQL refused, and the day is as it was: {said}" + (f". {hint}" if hint else ""))


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


def _current_schema(connection: adbc.Connection) -> str:
    schema = _value(connection, "select current_schema()")
    if schema is None:
        raise ConfigError("the score server's user has no schema of its own: give publish.table as schema.name")
    return str(schema)


def _exists(connection: adbc.Connection, name: str) -> bool:
    return bool(_value(connection, f"select to_regclass('{name}') is not null"))


# -- steps of a publication ------------------------------------------------------------------------


def _ensure_tables(connection: adbc.Connection, table: _Table) -> None:
    """Create the partitioned table and that of its runs once; refuse a table of that name with other columns."""
    columns = ", ".join(_column(name) for name in _SQL_TYPES)
    if not all(_exists(connection, name) for name in (table.parent, table.runs, table.served)):
        connection.commit()
        _run(connection, _ISOLATION, f"select pg_advisory_xact_lock({table.lock_key('tables')})")
        _ensure_schema(connection, table)
        _run(
            connection,
            f"create table if not exists {table.parent} ({columns}, primary key (day, row_id), "
            "check (probability between 0 and 1)) partition by range (day)",
            f"create table if not exists {table.runs} (day date primary key, run text not null, store text not null, "
            "rows bigint not null, checksum text not null, published_at timestamptz not null default now())",
            f"create table if not exists {table.served} (day date, sequence int, state text not null, model_day date, "
            "run text not null, rows bigint not null, why text not null, published_at timestamptz not null default "
            "now(), primary key (day, sequence))",
        )
    wanted, found = [(name, kind, True) for name, kind in _SQL_TYPES.items()], _columns(connection, table)
    if found == wanted[:-1]:
        _run(connection, f"alter table {table.parent} add column if not exists {_column(_NEWER_COLUMN)}")
        found = _columns(connection, table)
    if found != wanted:
        connection.rollback()
        raise InputError(
            f"{table.parent} is not a score table: expected a partitioned table with ({columns}), found "
            f"{', '.join(f'{name} {kind}' for name, kind, _ in found)}; give another name or drop it"
        )
    connection.commit()


def _column(name: str) -> str:
    return f"{name} {_SQL_TYPES[name]} not null{' default false' if name == _NEWER_COLUMN else ''}"


def _columns(connection: adbc.Connection, table: _Table) -> list[tuple[Any, ...]]:
    """The name and type of every column of the score table, and whether it is a partitioned one."""
    return _rows(
        connection,
        "select attname, format_type(atttypid, atttypmod), relkind::text = 'p' from pg_attribute join "
        f"pg_class on attrelid = pg_class.oid where attrelid = '{table.parent}'::regclass and attnum > 0 "
        "and not attisdropped order by attnum",
    )


def _ensure_schema(connection: adbc.Connection, table: _Table) -> None:
    found = _value(connection, f"select exists (select from pg_namespace where nspname = '{table.schema}')")
    if not found:
        _run(connection, f'create schema "{table.schema}"')


def _ensure_partition(connection: adbc.Connection, table: _Table, day: date) -> None:
    """Attach an empty partition for the day unless it has one; no reader is in its way or waits for it."""
    partition = table.day_table(day)
    _run(connection, _ISOLATION, f"select pg_advisory_xact_lock({table.lock_key('tables')})")
    if not _exists(connection, partition):
        _run(
            connection,
            f"create table {partition} (like {table.parent} including defaults including constraints)",
            f"alter table {table.parent} attach partition {partition} "
            f"for values from ('{day}') to ('{day + timedelta(days=1)}')",
        )
    elif not _value(
        connection,
        f"select exists (select from pg_inherits where inhrelid = '{partition}'::regclass and inhparent = "
        f"'{table.parent}'::regclass)",
    ):
        raise InputError(f"{partition} exists and is not a partition of {table.parent}: rename or drop it first")
    _drop_old_staging(connection, table)
    connection.commit()


def _drop_old_staging(connection: adbc.Connection, table: _Table) -> None:
    """Drop what a killed publication of an older release left behind."""
    names = _rows(
        connection,
        f"select relname from pg_class where relnamespace = '\"{table.schema}\"'::regnamespace "
        f"and relkind = 'r' and starts_with(relname, '{table.name}{_OLD_STAGING_MARK}')",
    )
    _run(connection, *(f"drop table {table.named(name)}" for (name,) in names))


def _check_owner(connection: adbc.Connection, table: _Table, day: date, made_from: MadeFrom, take_over: bool) -> None:
    """Refuse a table that another store publishes into, unless the day is of the same run there."""
    others = _rows(
        connection,
        f"select store, count(*), bool_or(day = '{day}' and run = {_literal(made_from.run)}) from {table.runs} "
        f"where store not in ('', {_literal(made_from.store)}) group by store order by 1",
    )
    if not others or not made_from.store:
        return
    if take_over:
        _run(connection, f"update {table.runs} set store = {_literal(made_from.store)}")
    elif not any(same for _, _, same in others):
        store, days, _ = others[0]
        raise ConfigError(
            f"{table.parent} on the score server holds {days} days that the store {store} published, and this is the "
            f"store {made_from.store}: give another name (publish.table, or that of the export), or take it over "
            "once with --force of the command that writes it. Nothing was changed"
        )


def _replace(connection: adbc.Connection, table: _Table, day: date, source: _Source) -> int:
    """Delete the day's rows and copy the new ones in, within the transaction at hand."""
    _run(connection, f"delete from {table.day_table(day)}")
    try:
        with connection.cursor() as cursor:
            cursor.adbc_ingest(table.partition(day), source.stream(), mode="append", db_schema_name=table.schema)
    except Error as error:
        if source.failure:
            raise source.failure from error
        raise
    return source.rows


def _note_served(connection: adbc.Connection, table: _Table, day: date, made_from: MadeFrom, rows: int) -> int:
    """Add the publication to the record, within the transaction at hand; its number.

    The same run again is the same publication. A day that an earlier release published counts as its first.
    """
    last = _rows(
        connection,
        f"select sequence, run from {table.served} where day = '{day}' union all select 1, run from {table.runs} "
        f"where day = '{day}' order by 1 desc limit 1",
    )
    number, run = last[0] if last else (0, None)
    sequence: int = max(made_from.at_least, number if run == made_from.run else number + 1)
    model_day = f"'{made_from.model_day}'" if made_from.model_day else "null"
    _run(
        connection,
        f"insert into {table.served} (day, sequence, state, model_day, run, rows, why) values ('{day}', {sequence}, "
        f"'{'fallback' if made_from.fallback else 'final'}', {model_day}, {_literal(made_from.run)}, {rows}, "
        f"{_literal(made_from.why)}) on conflict do nothing",
    )
    return sequence


def _note_run(connection: adbc.Connection, table: _Table, day: date, made_from: MadeFrom) -> None:
    """Note what the rows in place are of, within the transaction that put them there."""
    rows, checksum = _content(connection, table, day)
    _run(
        connection,
        f"insert into {table.runs} (day, run, store, rows, checksum) values ('{day}', {_literal(made_from.run)}, "
        f"{_literal(made_from.store)}, {rows}, '{checksum}') on conflict (day) do update set run = excluded.run, "
        f"store = case when {table.runs}.store = '' then excluded.store else {table.runs}.store end, "
        "rows = excluded.rows, checksum = excluded.checksum, published_at = excluded.published_at",
    )


def _content(connection: adbc.Connection, table: _Table, day: date) -> tuple[int, str]:
    """The number of the day's rows and the sum of their hashes, which is the same in any order of rows."""
    days = "(model_day - date '2000-01-01') * 100000::bigint + (map_day - date '2000-01-01')"
    hashed = f"hashtextextended(row_id, hashfloat8extended(logit, hashfloat8extended(probability, {days})))"
    return cast(
        "tuple[int, str]",
        _rows(connection, f"select count(*), coalesce(sum({hashed}), 0)::text from {table.day_table(day)}")[0],
    )


def _vacuum(uri: str, table: _Table, day: date) -> None:
    """Give the space of the deleted rows to the next publication, and the planner its figures."""
    with _connected(uri, autocommit=True) as connection:
        _run(connection, f"vacuum (analyze, truncate false, skip_locked) {table.day_table(day)}")


def _literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
