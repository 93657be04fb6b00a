"""How many ids a map may have, and when it will have them."""

import datetime
from pathlib import Path

import pytest
from feature_map_oracle import FIRST, config_of, day_number, grow, write_counts

from pnn_gluon.data.feature_map import ID_LIMIT, FeatureMap
from pnn_gluon.data.map_room import MapRoom, ids_after

FIELDS = [{"name": "site"}]


def grown_by(folder: Path, new: list[int]) -> FeatureMap:
    """A map whose days admit so many values each; 3 ids are reserved."""
    parent, seen = None, 0
    for day, number in enumerate(new):
        counts = {("site", f"v{seen + n}"): (1, 0) for n in range(number)}
        path = write_counts(folder / f"{day}.parquet", counts)
        parent, seen = grow(parent, config_of(FIELDS), day_number(day), [path], None, ""), seen + number
    assert parent is not None
    return parent


def test_all_ids_of_the_widest_table_stay_below_two_to_the_31_numbers() -> None:
    for numbers in (1, 2, 7, 10, 380, 2**20):
        most = MapRoom(numbers).most
        assert most * numbers < 2**31 <= (most + 1) * numbers


def test_a_map_is_near_from_four_fifths_on() -> None:
    room = MapRoom(2**31 // 1000)  # 1,000 ids
    assert room.most == 1000
    assert [room.near(ids) for ids in (799, 800, 1000)] == [False, True, True]


@pytest.mark.parametrize(
    ("new", "days"),
    [
        ([100, 10, 10], 9),  # 3 + 120 ids, 77 left, 10 a day: 7.7 days
        ([100, 5, 5, 5, 5, 5, 5, 5, 5], 12),  # 140 + 3 ids, 57 left, 5 a day: 11.4
        ([100, 60, 1, 1, 1, 1, 1, 1, 1], 30),  # as the last seven days: 167 + 3 ids, 30 left
    ],
)
def test_the_day_it_is_full_on_follows_from_the_growth_of_the_last_days(
    tmp_path: Path, new: list[int], days: int
) -> None:
    grown = grown_by(tmp_path, new)
    room = MapRoom(2**31 // 200)  # 200 ids
    left = -(-(200 - grown.size) * min(7, len(new) - 1) // sum(new[-min(7, len(new) - 1) :]))
    assert room.full_on(grown) == day_number(len(new) - 1) + datetime.timedelta(left)
    assert left in {days, days - 1}


def test_a_first_map_and_one_that_does_not_grow_have_no_such_day(tmp_path: Path) -> None:
    assert MapRoom(10).full_on(grown_by(tmp_path, [50])) is None
    assert MapRoom(10).full_on(grown_by(tmp_path, [50, 0, 0])) is None
    assert MapRoom(1).full_on(grown_by(tmp_path, [1, 1])) is None  # after the calendar ends


def test_a_note_says_the_numbers_the_day_and_what_to_do(tmp_path: Path) -> None:
    grown = grown_by(tmp_path, [100, 10, 10])
    assert MapRoom(2**31 // 1000).note(grown, 0) is None
    near = MapRoom(2**31 // 150).note(grown, 0)
    assert near is not None
    assert "123 of at most 150 ids" in near
    assert f"full on {FIRST + datetime.timedelta(2 + 3)}" in near
    full = MapRoom(2**31 // 123).note(grown, 7)
    assert full is not None
    assert "a tensor holds fewer than 2,147,483,648" in full
    assert "model.embedding_size" in full
    assert "7 values that passed the threshold stay *other*" in full
    assert "min_impressions" in full


def test_where_tables_are_cut_the_ids_themselves_are_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = grown_by(tmp_path, [100, 10, 10])
    assert MapRoom(1).most == ID_LIMIT
    monkeypatch.setattr("pnn_gluon.data.map_room.TENSOR_LIMIT", 124)
    note = MapRoom(1).note(grown, 0)
    assert note is not None
    assert "123 of at most 123 ids (they are int32)" in note
    assert "embedding_size" not in note


def test_no_more_ids_can_come_than_values_and_buckets() -> None:
    fields = config_of(
        [
            {"name": "site"},
            {"name": "price", "kind": "numeric", "buckets": 8},
            {"name": "size", "kind": "numeric", "bucketing": "edges", "edges": [1.0, 2.0]},
        ]
    ).fields
    assert ids_after(0, 5, fields) == 7 + 5 + 8 + 3
    assert ids_after(100, 5, fields) == 100 + 7 + 5 + 8 + 3  # every field may be new
