"""An export has each line of counts once, however its two rows lie in batches."""

import pyarrow as pa
import pytest

from pnn_gluon.serving.exports import begins_line, key_of

KEYS = [("a", 1), ("a", 1), ("a", 2), ("b", 2), ("b", 3), ("b", 3), ("c", 3)]


def batch_of(keys: list[tuple[str, int]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"file": [file for file, _ in keys], "line": [line for _, line in keys]})


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_first_row_of_each_line_begins_it(size: int) -> None:
    found, last = [], None
    for start in range(0, len(KEYS), size):
        batch = batch_of(KEYS[start : start + size])
        found += begins_line(batch, last).to_pylist()
        last = key_of(batch, -1)
    assert [key for key, first in zip(KEYS, found, strict=True) if first] == list(dict.fromkeys(KEYS))
