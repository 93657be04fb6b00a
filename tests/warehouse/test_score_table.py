import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import numpy as np
import psycopg
import pyarrow as pa
import pytest

from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from pnn_gluon.warehouse.score_table import MadeFrom, publish_scores, publishing, standing_run

REPOSITORY = Path(__file__).resolve().parents[2]
DAY, NEXT = date(2026, 1, 5), date(2026, 1, 6)


@pytest.fixture
def uri(postgres: EmbeddedPostgres) -> str:
    """A database with nothing in it."""
    postgres.ensure_database("score_table")
    address = postgres.uri("score_table")
    ask(address, "drop schema if exists bidding cascade; drop schema public cascade; create schema public")
    return address


def scores(rows: int, seed: int) -> pa.Table:
    logit = np.random.default_rng(seed).normal(size=rows)
    return pa.table(
        {
            "row_id": pa.array([f"{row:08x}" for row in range(rows)], pa.string()),
            "logit": logit,
            "probability": 1.0 / (1.0 + np.exp(-logit)),
            "model_day": pa.array([date(2026, 1, 4)] * rows, pa.date32()),
            "map_day": pa.array([date(2026, 1, 3)] * rows, pa.date32()),
        }
    )


def ask(uri: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri, autocommit=True) as connection:
        found = connection.execute(query.encode())
        return found.fetchall() if found.description else []


def published_days(uri: str, table: str) -> list[date]:
    return [day for (day,) in ask(uri, f"select day from {table}$runs order by day")]


def content(uri: str, day: date) -> list[tuple[Any, ...]]:
    return ask(uri, f"select * from scores where day = '{day}' order by row_id")


def expected(table: pa.Table, day: date) -> list[tuple[Any, ...]]:
    return [(day, *row.values(), False) for row in table.to_pylist()]


def test_published_rows_come_back_exactly_from_table_and_reader(uri: str) -> None:
    first, second = scores(500, 1), scores(700, 2)
    assert publish_scores(uri, "scores", DAY, first).rows == 500
    reader = pa.RecordBatchReader.from_batches(second.schema, second.to_batches(max_chunksize=64))
    assert publish_scores(uri, "scores", NEXT, reader).rows == 700
    assert content(uri, DAY) == expected(first, DAY)
    assert content(uri, NEXT) == expected(second, NEXT)
    assert published_days(uri, "scores") == [DAY, NEXT]


def test_rows_are_at_the_server_before_the_next_ones_are_read(uri: str) -> None:
    publish_scores(uri, "scores", DAY, scores(0, 1))
    table = scores(6000, 1)
    there = []

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in table.to_batches(max_chunksize=2000):
            there.append(ask(uri, "select pg_relation_size('scores_20260105')")[0][0])
            yield batch

    publish_scores(uri, "scores", DAY, pa.RecordBatchReader.from_batches(table.schema, batches()))
    assert there[0] == 0
    assert there[0] < there[1] < there[2]
    assert content(uri, DAY) == expected(table, DAY)


def test_publishing_a_day_again_replaces_it_and_no_other(uri: str) -> None:
    other = scores(10, 3)
    publish_scores(uri, "scores", NEXT, other)
    for seed in (1, 2, 1):
        publish_scores(uri, "scores", DAY, scores(100, seed))
        assert content(uri, DAY) == expected(scores(100, seed), DAY)
    assert content(uri, NEXT) == expected(other, NEXT)
    assert tables(uri) == {"scores", "scores$runs", "scores$served", "scores_20260105", "scores_20260106"}


def tables(uri: str) -> set[str]:
    found = ask(uri, "select relname from pg_class where relkind in ('r', 'p') and relname ~ '^scores'")
    return {name for (name,) in found}


def test_lookup_of_a_row_uses_one_index(uri: str) -> None:
    publish_scores(uri, "scores", DAY, scores(20_000, 1))
    publish_scores(uri, "scores", NEXT, scores(20_000, 1))
    with adbc.connect(uri) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})  # no COPY of an EXPLAIN
        cursor.execute(f"explain select * from scores where day = '{DAY}' and row_id = '00000007'")
        text = "\n".join(line for (line,) in cursor.fetchall())
    assert "scores_20260105_pkey" in text
    assert "20260106" not in text


def test_an_empty_day_is_a_published_day(uri: str) -> None:
    assert publish_scores(uri, "scores", DAY, scores(0, 1)).rows == 0
    assert published_days(uri, "scores") == [DAY]


def test_no_run_stands_in_a_table_that_is_not_there(uri: str) -> None:
    assert standing_run(uri, "scores", DAY) is None


def test_a_schema_may_be_named_and_is_made(uri: str) -> None:
    publish_scores(uri, "bidding.scores", DAY, scores(5, 1))
    assert ask(uri, "select count(*) from bidding.scores") == [(5,)]
    assert published_days(uri, "bidding.scores") == [DAY]
    assert tables(uri) == {"scores", "scores$runs", "scores$served", "scores_20260105"}


def test_duplicate_row_ids_are_named_and_the_old_day_stays(uri: str) -> None:
    old = scores(50, 1)
    publish_scores(uri, "scores", DAY, old)
    bad = pa.concat_tables([scores(50, 2), scores(3, 3)])
    with pytest.raises(InputError, match=r"already exists|duplicate key"):
        publish_scores(uri, "scores", DAY, bad)
    assert content(uri, DAY) == expected(old, DAY)
    assert tables(uri) == {"scores", "scores$runs", "scores$served", "scores_20260105"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns("map_day"), "no column map_day"),
        (lambda t: t.set_column(1, "logit", t["row_id"]), "column logit: expected double, received string"),
        (lambda t: t.set_column(2, "probability", pa.array([1.5] * 5)), "probability"),
        (lambda t: t.set_column(2, "probability", pa.array([float("nan")] * 5)), "probability"),
        (lambda t: t.set_column(0, "row_id", pa.array(["a", None, "b", "c", "d"])), "null value"),
        (lambda t: t.append_column("day", pa.array([NEXT] * 5)), "partition constraint"),
    ],
)
def test_bad_rows_are_refused_and_the_old_day_stays(uri: str, change: Any, message: str) -> None:
    old = scores(5, 1)
    publish_scores(uri, "scores", DAY, old)
    with pytest.raises(InputError, match=message):
        publish_scores(uri, "scores", DAY, change(scores(5, 2)))
    assert content(uri, DAY) == expected(old, DAY)


def test_smaller_floats_are_widened(uri: str) -> None:
    table = scores(5, 1)
    narrow = table.set_column(1, "logit", table["logit"].cast(pa.float32()))
    publish_scores(uri, "scores", DAY, narrow)
    assert [row[2] for row in content(uri, DAY)] == narrow["logit"].to_pylist()


def test_an_error_of_the_source_stays_itself_and_the_old_day_stays(uri: str) -> None:
    old = scores(5, 1)
    publish_scores(uri, "scores", DAY, old)

    def broken() -> Iterator[pa.RecordBatch]:
        yield from scores(5, 2).to_batches()
        raise InputError("part 2 is missing")

    with pytest.raises(InputError, match=r"^part 2 is missing$"):
        publish_scores(uri, "scores", DAY, pa.RecordBatchReader.from_batches(old.schema, broken()))
    assert content(uri, DAY) == expected(old, DAY)


@pytest.mark.parametrize("name", ["Scores", "1x", "a.b.c", "x" * 42, 'scores"; drop table scores', "a$new$b", ""])
def test_a_table_name_that_is_not_plain_is_refused(uri: str, name: str) -> None:
    with pytest.raises(ConfigError, match="score table"):
        publish_scores(uri, name, DAY, scores(1, 1))
    with pytest.raises(ConfigError, match="score table"):
        standing_run(uri, name, DAY)


def test_a_day_with_a_time_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="without a time"):
        publish_scores(uri, "scores", datetime(2026, 1, 5, 12), scores(1, 1))


def test_tables_that_are_not_ours_are_left_alone(uri: str) -> None:
    ask(uri, "create table other (a int)")
    with pytest.raises(InputError, match="not a score table"):
        publish_scores(uri, "other", DAY, scores(1, 1))
    ask(uri, "create table scores_20260105 (a int)")
    with pytest.raises(InputError, match="not a partition"):
        publish_scores(uri, "scores", DAY, scores(1, 1))
    assert ask(uri, "select count(*) from scores_20260105") == [(0,)]


def test_a_user_without_rights_is_told_which_are_needed(uri: str) -> None:
    publish_scores(uri, "scores", DAY, scores(1, seed=1))
    ask(uri, "drop role if exists stranger")
    ask(uri, "create role stranger login password 'x'")
    ask(uri, "grant usage on schema public to public")
    with pytest.raises(PnnError, match=r"permission denied .* must own the table"):
        publish_scores(f"postgresql://stranger:x@{uri.rpartition('@')[2]}", "scores", DAY, scores(2, seed=2))


def test_a_server_that_is_away_is_an_error_without_the_password() -> None:
    with pytest.raises(PnnError, match=r"can't be reached.*Is it running") as caught:
        standing_run("postgresql://pnn:s3cret@127.0.0.1:1/none", "scores", DAY)
    assert "s3cret" not in str(caught.value)


KILLED = """
import os, signal, sys
from datetime import date
sys.path.insert(0, {tests!r})
from pnn_gluon.warehouse import score_table
from test_score_table import scores, DAY
where = {where!r}
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
if where == "while loading":
    rows = scores(200_000, 2)
    whole = rows.to_batches(max_chunksize=1000)
    def broken():
        for number, batch in enumerate(whole):
            if number == 100:
                die()
            yield batch
    import pyarrow as pa
    rows = pa.RecordBatchReader.from_batches(rows.schema, broken())
else:
    rows = scores(1000, 2)
if where == "after loading":
    score_table._note_run = die
if where == "before loading":
    score_table._replace = die
score_table.publish_scores({uri!r}, "scores", DAY, rows)
"""


@pytest.mark.parametrize("where", ["before loading", "while loading", "after loading"])
def test_killed_publish_leaves_the_old_day_whole_and_the_next_run_mends(uri: str, where: str) -> None:
    old = scores(1000, 1)
    publish_scores(uri, "scores", DAY, old)
    code = KILLED.format(tests=str(Path(__file__).parent), where=where, uri=uri)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert content(uri, DAY) == expected(old, DAY)
    publish_scores(uri, "scores", NEXT, scores(10, 4))
    assert tables(uri) == {"scores", "scores$runs", "scores$served", "scores_20260105", "scores_20260106"}
    publish_scores(uri, "scores", DAY, scores(1000, 2))
    assert content(uri, DAY) == expected(scores(1000, 2), DAY)


def test_a_reader_never_sees_half_a_day(uri: str) -> None:
    sizes = {1: 3000, 2: 1000}
    publish_scores(uri, "scores", DAY, scores(sizes[1], 1))
    seen, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(ask(uri, f"select count(*), count(distinct model_day) from scores where day = '{DAY}'")[0])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for round_ in range(8):
        seed = 2 - round_ % 2
        publish_scores(uri, "scores", DAY, scores(sizes[seed], seed))
    done.set()
    for reader in readers:
        reader.join()
    assert {count for count, _ in seen} == set(sizes.values())


def test_two_publishers_of_a_day_end_as_one_whole_day(uri: str) -> None:
    def publish(seed: int) -> None:
        publish_scores(uri, "scores", DAY, scores(2000, seed))

    writers = [threading.Thread(target=publish, args=(seed,)) for seed in (1, 2, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert content(uri, DAY) in [expected(scores(2000, seed), DAY) for seed in (1, 2, 3)]
    assert tables(uri) == {"scores", "scores$runs", "scores$served", "scores_20260105"}


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_an_open_reader_keeps_its_day_and_holds_nobody_up(uri: str, isolation: str) -> None:
    old, new = scores(10, 1), scores(20, 2)
    publish_scores(uri, "scores", DAY, old)
    with adbc.connect(uri) as reader, reader.cursor() as cursor:
        cursor.execute(f"set transaction isolation level {isolation}")
        cursor.execute("select count(*) from scores")
        assert cursor.fetchone() == (10,)
        publish_scores(uri, "scores", DAY, new)
        publish_scores(uri, "scores", NEXT, new)
        cursor.execute("select count(*) from scores")
        assert cursor.fetchone() == ((40,) if isolation == "read committed" else (10,))
    assert content(uri, DAY) == expected(new, DAY)


def test_a_table_of_the_last_release_is_taken_over_with_its_days(uri: str) -> None:
    ask(uri, OLD_TABLE)
    ask(uri, "create table scores_20260105 partition of scores for values from ('2026-01-05') to ('2026-01-06')")
    ask(uri, "create table scores_20260106 partition of scores for values from ('2026-01-06') to ('2026-01-07')")
    for day in ("2026-01-05", "2026-01-06"):
        ask(uri, f"insert into scores values ('{day}', 'old', 0, 0.5, '2026-01-04', '2026-01-04')")
    ask(uri, 'create table "scores$new$20260107" (like scores)')
    assert standing_run(uri, "scores", DAY) is None
    publish_scores(uri, "scores", DAY, scores(5, 1), MadeFrom("a", "/store"))
    assert content(uri, DAY) == expected(scores(5, 1), DAY)
    assert [row[1] for row in content(uri, NEXT)] == ["old"]
    assert tables(uri) == {"scores", "scores$runs", "scores$served", "scores_20260105", "scores_20260106"}


OLD_TABLE = """create table scores (day date not null, row_id text not null, logit double precision not null,
    probability double precision not null, model_day date not null, map_day date not null,
    primary key (day, row_id), check (probability between 0 and 1)) partition by range (day)"""


def test_tables_of_the_superuser_go_on_under_the_role_that_publishes(postgres: EmbeddedPostgres, uri: str) -> None:
    publish_scores(uri, "bidding.scores", DAY, scores(1, seed=1))
    postgres.ensure_roles("score_table")
    publisher = postgres.publisher_uri("score_table")
    publish_scores(publisher, "bidding.scores", DAY, scores(2, seed=2))
    publish_scores(publisher, "bidding.scores", NEXT, scores(3, seed=3))
    assert ask(postgres.reader_uri("score_table"), "select count(*) from bidding.scores") == [(5,)]
    assert ask(publisher, "select rolsuper from pg_roles where rolname = current_user") == [(False,)]


@pytest.mark.parametrize(
    "change",
    [
        "delete from scores where row_id = '00000001'",
        "update scores set probability = 0.5 where row_id = '00000001'",
        "update scores set model_day = map_day where row_id = '00000001'",
        "insert into scores select day, 'more', logit, probability, model_day, map_day, fallback from scores limit 1",
        "drop table scores_20260105",
        "drop table scores",
        "delete from scores$runs",
    ],
)
def test_a_day_changed_by_hand_stands_no_more(uri: str, change: str) -> None:
    publish_scores(uri, "scores", DAY, scores(5, 1), MadeFrom("it's\\", "/store"))
    assert standing_run(uri, "scores", DAY) == "it's\\"
    ask(uri, change)
    assert standing_run(uri, "scores", DAY) is None
    publish_scores(uri, "scores", DAY, scores(5, 1), MadeFrom("b", "/store"))
    assert standing_run(uri, "scores", DAY) == "b"


def test_a_second_store_is_refused_until_it_takes_the_table_over(uri: str) -> None:
    mine, other = scores(5, 1), scores(6, 2)
    publish_scores(uri, "scores", DAY, mine, MadeFrom("a", "/mine"))
    publish_scores(uri, "scores", DAY, mine, MadeFrom("a", "/copy"))
    for day in (DAY, NEXT):
        with pytest.raises(ConfigError, match=r"the store /mine published.*store /other.*--force"):
            publish_scores(uri, "scores", day, other, MadeFrom("b", "/other"))
    assert content(uri, DAY) == expected(mine, DAY)
    publish_scores(uri, "scores", NEXT, other, MadeFrom("b", "/other"), take_over=True)
    with pytest.raises(ConfigError, match="the store /other published"):
        publish_scores(uri, "scores", DAY, other, MadeFrom("c", "/mine"))


def served(uri: str) -> list[tuple[Any, ...]]:
    return ask(uri, "select sequence, state, model_day, run, rows, why from scores$served order by day, sequence")


def test_every_publication_of_a_day_has_a_number_and_stays_on_record(uri: str) -> None:
    fallback = MadeFrom("a", "/store", date(2026, 1, 3), fallback=True, why="train of 2026-01-04 failed: it's")
    final = MadeFrom("b", "/store", date(2026, 1, 4))
    assert publish_scores(uri, "scores", DAY, scores(5, 1), fallback) == (5, 1)
    assert ask(uri, "select distinct fallback from scores") == [(True,)]
    assert publish_scores(uri, "scores", DAY, scores(5, 1), fallback) == (5, 1)
    assert publish_scores(uri, "scores", DAY, scores(6, 2), final) == (6, 2)
    assert ask(uri, "select distinct fallback from scores") == [(False,)]
    assert publish_scores(uri, "scores", NEXT, scores(6, 2), final) == (6, 1)
    assert served(uri) == [
        (1, "fallback", date(2026, 1, 3), "a", 5, "train of 2026-01-04 failed: it's"),
        (2, "final", date(2026, 1, 4), "b", 6, ""),
        (1, "final", date(2026, 1, 4), "b", 6, ""),
    ]


def test_the_numbers_go_on_where_the_server_lost_them(uri: str) -> None:
    assert publish_scores(uri, "scores", DAY, scores(5, 1), MadeFrom("c", "/store", at_least=3)) == (5, 3)
    assert publish_scores(uri, "scores", DAY, scores(5, 1), MadeFrom("d", "/store", at_least=2)) == (5, 4)


def test_a_table_without_the_column_of_fallbacks_gets_it_and_its_days_count_as_first(uri: str) -> None:
    publish_scores(uri, "scores", DAY, scores(5, 1), MadeFrom("a", "/store"))
    ask(uri, "alter table scores drop column fallback")
    ask(uri, "drop table scores$served")
    assert standing_run(uri, "scores", DAY) == "a"
    publish_scores(uri, "scores", NEXT, scores(4, 2), MadeFrom("b", "/store", fallback=True))
    assert ask(uri, "select day, bool_or(fallback) from scores group by day order by day") == [
        (DAY, False),
        (NEXT, True),
    ]
    assert publish_scores(uri, "scores", DAY, scores(5, 3), MadeFrom("c", "/store")).sequence == 2


HOLDER = """
import datetime, sys
from pnn_gluon.warehouse.score_table import publishing
with publishing(sys.argv[1], "scores", datetime.date(2026, 1, 5)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_publishes_a_day_until_it_ends_however_it_ends(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-c", HOLDER, uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with monkeypatch.context() as patch:
            patch.setattr("pnn_gluon.warehouse.score_table.PATIENCE", 0.1)
            with (
                pytest.raises(PnnError, match=r'"public"\."scores" of 2026-01-05: another process'),
                publishing(uri, "scores", DAY),
            ):
                pass
        with publishing(uri, "scores", NEXT), publishing(uri, "others", DAY):
            pass
        holder.kill()
    with publishing(uri, "scores", DAY):
        assert publish_scores(uri, "scores", DAY, scores(5, 1)).rows == 5
