"""Ids as numbers for trees, against loops written from their definition."""

import math

import numpy as np
import pytest

from pnn_gluon.blocks.id_numbers import IdNumbers
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import InputError

MULTI = FieldLayout.from_widths({"a": 1, "tags": 3, "b": 1})
SIZE = 9
TRAINED = np.array([[1, 4, 5, 0, 7], [2, 5, 0, 0, 7], [1, 0, 0, 0, 8], [1, 5, 6, 0, 7]], np.int32)


def mean(values):
    return sum(values) / len(values) if values else math.nan


def expected(layout, trained, ids):
    """The definition, row by row and field by field."""
    times = [int((trained == i).sum()) for i in range(SIZE)]
    places = {i: sum(times[k] > 0 for k in range(1, i + 1)) for i in range(1, SIZE) if times[i]}
    rows = []
    for row in ids.tolist():
        fields = [row[s : s + w] for s, w in zip(layout.starts, layout.widths, strict=True)]
        frequency = [mean([math.log(1 + times[i]) for i in field if i]) for field in fields]
        place = [mean([places[i] for i in field if i in places]) for field in fields]
        rows.append(frequency + place)
    return np.array(rows)


@pytest.mark.parametrize(
    "layout", [MULTI, FieldLayout.single_valued(("a", "b", "c", "d", "e"))], ids=["multi", "single"]
)
def test_numbers_are_log_counts_and_places_among_the_ids_seen(layout):
    ids = np.array([[1, 4, 5, 0, 7], [3, 3, 6, 4, 8], [0, 0, 0, 0, 0], [2, 3, 0, 0, 3]], np.int32)
    numbers = IdNumbers.counted(layout, SIZE, [TRAINED])
    found = numbers(ids)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(layout, TRAINED, ids), rtol=1e-6)


def test_counts_do_not_depend_on_the_batches():
    whole, parts = (IdNumbers.counted(MULTI, SIZE, batches) for batches in ([TRAINED], np.array_split(TRAINED, 3)))
    np.testing.assert_array_equal(whole.counts, parts.counts)
    assert whole.counts[7] == 3


def test_a_rows_numbers_do_not_depend_on_the_rows_beside_it():
    ids = np.random.default_rng(1).integers(0, SIZE, (200, MULTI.slots)).astype(np.int32)
    numbers = IdNumbers.counted(MULTI, SIZE, [ids[:50]])
    np.testing.assert_array_equal(numbers(ids)[17:23], numbers(ids[17:23]))
    assert numbers(ids[:0]).shape == (0, 2 * MULTI.fields)


@pytest.mark.parametrize("wrong", [-1, SIZE])
def test_ids_outside_the_table_are_refused_by_row_and_value(wrong):
    numbers = IdNumbers.counted(MULTI, SIZE, [TRAINED])
    ids = TRAINED.copy()
    ids[2, 1] = wrong
    with pytest.raises(InputError, match=rf"row 2: id {wrong}, expected ids in \[0, {SIZE}\)"):
        numbers(ids)
    with pytest.raises(InputError, match="row 2"):
        IdNumbers.counted(MULTI, SIZE, [ids])


def test_rows_of_another_width_are_refused():
    with pytest.raises(InputError, match=r"expected ids \(rows, 5\), not \(4, 4\)"):
        IdNumbers.counted(MULTI, SIZE, [TRAINED[:, :4]])
