"""A database of DuckDB serves one block after the other, of which none notices another."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pnn_gluon.config import EngineConfig
from pnn_gluon.warehouse import duckdb_engine
from pnn_gluon.warehouse.duckdb_engine import connect

ONE = EngineConfig(threads=1, memory_limit="200MB")
TWO = EngineConfig(threads=2, memory_limit="100MB")
ROWS = "select random() as a, random() as b, random() as c from range(3000000)"
"""Some 72 MB."""


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What was made since the test began, with no database by at first."""
    databases: list[Any] = []

    def make(*arguments: Any) -> Any:
        databases.append(open_one(*arguments))
        return databases[-1]

    open_one = duckdb.connect
    monkeypatch.setattr(duckdb_engine, "_idle", [])
    monkeypatch.setattr(duckdb, "connect", make)
    yield databases
    for each in databases:
        each.close()


def setting(connection: Any, name: str) -> str:
    return str(connection.execute("select current_setting($name)", {"name": name}).fetchone()[0])


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def test_blocks_one_after_the_other_have_one_database_and_nothing_of_each_other(made: list[Any]) -> None:
    with connect(ONE) as connection:
        connection.execute("create temp table kept as select 1 as a")
        connection.execute("create temp view seen as select 1 as a")
        connection.execute("create or replace temp macro one() as 1")
        connection.register("given", pa.table({"a": [1]}))
        connection.execute("set TimeZone = 'Asia/Tokyo'")
        first = setting(connection, "temp_directory")
    with connect(TWO) as connection:
        for query in ("from kept", "from seen", "select one()", "from given"):
            with pytest.raises(duckdb.CatalogException):
                connection.execute(query)
        assert connection.execute("select h60('a')").fetchone() == (0x0CC175B9C0F1B6A,)
        assert (setting(connection, "threads"), setting(connection, "TimeZone")) == ("2", "UTC")
        assert setting(connection, "memory_limit") == "95.3 MiB"
        assert setting(connection, "temp_directory") != first
    assert len(made) == 1


def test_blocks_within_each_other_have_a_database_each(made: list[Any]) -> None:
    with connect(ONE) as outer, connect(TWO) as inner:
        assert (setting(outer, "threads"), setting(inner, "threads")) == ("1", "2")
        assert setting(outer, "temp_directory") != setting(inner, "temp_directory")
    with connect(ONE), connect(ONE):
        pass
    assert len(made) == 2


def test_a_database_whose_block_failed_serves_no_other(made: list[Any]) -> None:
    with pytest.raises(duckdb.CatalogException), connect(ONE) as connection:
        connection.execute("from nothing")
    with connect(ONE):
        pass
    assert len(made) == 2


def test_a_database_that_spilled_serves_no_other(made: list[Any]) -> None:
    for _ in range(2):
        with connect(EngineConfig(threads=1, memory_limit="32MB")) as connection:
            connection.execute(f"create temp table rows as {ROWS}")
            spill = Path(setting(connection, "temp_directory"))
            assert list(spill.iterdir())
        assert not spill.exists()
    assert len(made) == 2


def test_a_database_that_no_block_has_keeps_no_thread_folder_or_row() -> None:
    before = threads()
    with connect(EngineConfig(threads=3, memory_limit="200MB")) as connection:
        connection.execute(f"create temp table rows as {ROWS}")
        assert threads() > before
    assert threads() == before
    (database,) = duckdb_engine._idle
    assert setting(database, "temp_directory") == ""
    held = database.execute("select sum(memory_usage_bytes) from duckdb_memory()").fetchone()
    assert held is not None
    assert held[0] < 1 << 20
