"""A file of the store of which one byte is another, or some are missing, is named by the step that reads it."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.store.store import Store
from tests.faults.changed_day import DAY, ChangedDay
from tests.faults.warm_process import Warm
from tests.jobs.small_pipeline import tree


def flipped(content: bytes, drawn: random.Random) -> bytes:
    at = drawn.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << drawn.randrange(8)]) + content[at + 1 :]


def cut(content: bytes, drawn: random.Random) -> bytes:
    return content[: drawn.randrange(len(content))]


def zeroed(content: bytes, drawn: random.Random) -> bytes:
    start = drawn.randrange(len(content))
    return content[:start] + bytes(len(content) - start)


def run_in_force(day: ChangedDay, table: str) -> list[Path]:
    """The files of a table's day."""
    manifest = open_store(day.config).manifest(table, DAY)
    assert manifest is not None
    return sorted((day.store / Store.relative(table, DAY, manifest.run)).iterdir())


@pytest.mark.parametrize("damage", [flipped, cut, zeroed])
@pytest.mark.parametrize(
    ("table", "reader"), [("rows", "sample"), ("rows", "count"), ("samples", "encode"), ("maps", "encode")]
)
def test_no_damaged_file_is_read(
    warm: Warm, data_day: ChangedDay, table: str, reader: str, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    data_day.begin(reader)
    for number, path in enumerate(run_in_force(data_day, table)):
        whole = path.read_bytes()
        path.write_bytes(damage(whole, random.Random(number)))
        before = tree(data_day.store)
        end = warm.run(data_day.config.path, reader, DAY)
        assert end.error is not None, path
        assert end.error.startswith("DamagedError"), end
        assert str(path) in end.error
        assert tree(data_day.store) == before
        path.write_bytes(whole)
    assert warm.run(data_day.config.path, reader, DAY).status == "done"
    assert tree(data_day.store) == data_day.after(reader)
