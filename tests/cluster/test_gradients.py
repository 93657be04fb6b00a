from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pnn_gluon.cluster.gradients import added_up, from_floats, in_floats, packed, unpacked


@given(st.lists(st.integers(0, 2**40 - 1), max_size=20, unique=True))
def test_rows_travel_exactly_beside_their_gradients(rows):
    gradients = np.random.default_rng(len(rows)).standard_normal((len(rows), 3)).astype(np.float32)
    found, values = unpacked(packed(np.array(rows, np.int64), gradients))
    assert found.tolist() == rows
    np.testing.assert_array_equal(values, gradients)


@given(st.lists(st.lists(st.integers(0, 6), unique=True, max_size=7), min_size=1, max_size=4))
def test_gradients_are_added_in_the_order_of_the_parts(held):
    draw = np.random.default_rng(sum(map(len, held)))
    gradients = [
        (draw.standard_normal((len(rows), 2)) * 10.0 ** draw.integers(-6, 6)).astype(np.float32) for rows in held
    ]
    parts = np.repeat(np.arange(len(held)), [len(rows) for rows in held])
    rows, total = added_up(np.array([*chain(*held)], np.int64), np.concatenate(gradients), parts)
    expected: dict[int, np.ndarray] = {}
    for of_part, values in zip(held, gradients, strict=True):
        for row, value in zip(of_part, values, strict=True):
            expected[row] = expected[row] + value if row in expected else value
    assert rows.tolist() == sorted(expected)
    assert all(np.array_equal(total[i], expected[row]) for i, row in enumerate(rows))


@given(st.lists(st.floats(1e-15, 1e30) | st.floats(-1e30, -1e-15) | st.just(0.0) | st.integers(0, 2**53), max_size=5))
def test_numbers_of_float64_travel_exactly_in_float32(numbers):
    parts = in_floats(numbers)
    assert parts.dtype == np.float32
    assert from_floats(parts).tolist() == [float(number) for number in numbers]
