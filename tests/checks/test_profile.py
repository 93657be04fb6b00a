"""The profile of a day is a sum over its rows, and its cells follow from a number's bits."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnn_gluon.checks.profile import CELLS, DayProfile, cells, edge, profile_rows
from pnn_gluon.config import CategoricalField, Fields, MultiField, NumericField
from pnn_gluon.errors import InputError

FIELDS: Fields = (
    CategoricalField(name="site"),
    NumericField(kind="numeric", name="price"),
    MultiField(kind="multi", name="tags"),
)
SCHEMA = pa.schema(
    [("label", pa.int8()), ("site", pa.string()), ("price", pa.float64()), ("tags", pa.string())],
)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
ROW = st.fixed_dictionaries(
    {
        "label": st.integers(0, 1),
        "site": st.none() | st.sampled_from("abc"),
        "price": st.none() | NUMBERS,
        "tags": st.none() | st.sampled_from(["a|b", "c"]),
    }
)


def profile_of(folder: Path, rows: list[dict[str, Any]], rejects: int = 0) -> DayProfile:
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    return profile_rows(FIELDS, path, rejects)


@given(rows=st.lists(ROW, max_size=30), cut=st.integers(0, 30), rejects=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_the_profiles_of_parts_add_up_to_that_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], cut: int, rejects: tuple[int, int]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    parts = [profile_of(folder, part, n) for part, n in zip((rows[:cut], rows[cut:]), rejects, strict=True)]
    assert sum(parts, DayProfile()) == profile_of(folder, rows, sum(rejects)) + DayProfile()


def test_rows_clicks_and_missing_values_are_counted(tmp_path: Path) -> None:
    rows = [
        {"label": 1, "site": "a", "price": 1.0, "tags": None},
        {"label": 0, "site": None, "price": math.nan, "tags": "a|b"},
        {"label": 1, "site": None, "price": None, "tags": "c"},
    ]
    found = profile_of(tmp_path, rows, rejects=4)
    assert (found.rows, found.clicks, found.rejects) == (3, 2, 4)
    assert found.missing == {"site": 2, "price": 2, "tags": 1}
    assert found.numbers == {"price": {int(cells(np.array([1.0]))[0]): 1}}
    found.save(tmp_path / "profile.json")
    assert DayProfile.load(tmp_path / "profile.json") == found


@pytest.mark.parametrize("told", [True, False])
def test_missing_texts_are_counted_whether_the_footer_tells_of_them_or_not(tmp_path: Path, told: bool) -> None:
    rows = {"site": ["a", None, None] * 5, "price": [1.0] * 15, "tags": [None] * 14 + ["c"]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet", row_group_size=4, write_statistics=told)
    assert profile_rows(FIELDS, tmp_path / "rows.parquet", 0).missing == {"site": 10, "price": 0, "tags": 14}


def test_rows_that_lack_a_field_say_what_to_do(tmp_path: Path) -> None:
    pq.write_table(pa.table({"label": [1]}), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=r"rows\.parquet: can't be read: .*ingest the day with the present fields"):
        profile_rows(FIELDS, tmp_path / "rows.parquet", 0)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_cell_holds_what_lies_between_its_edge_and_the_next(values: list[float]) -> None:
    """Edges are the multiples of an eighth of the octave's lower end; the numbers of a cell keep their order."""
    rising = np.array(sorted(values))
    found = cells(rising).tolist()
    assert found == sorted(found)
    for value, cell in zip(rising.tolist(), found, strict=True):
        lower = math.ldexp(1, math.frexp(value)[1] - 1) if value else 0
        if value and lower >= 1e-300:  # below, an eighth of the octave is no number any more
            expected = lower + math.floor((abs(value) - lower) / (lower / CELLS)) * (lower / CELLS)
            assert edge(cell) == math.copysign(expected, value)
        else:
            assert abs(edge(cell)) <= abs(value)


def test_infinite_numbers_share_the_last_cell() -> None:
    assert cells(np.array([math.inf, -math.inf])).tolist() == cells(np.array([1.7e308, -1.7e308])).tolist()
