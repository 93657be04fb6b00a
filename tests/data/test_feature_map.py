import time

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_map_oracle import config_of, day_number, grow, grown_entries, growth, h60, write_counts
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.data import feature_map as feature_map_module
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import InputError

FIELDS = [
    {"name": "site"},
    {"name": "price", "kind": "numeric", "bucketing": "edges", "edges": [1.5, 2.5]},
    {"name": "tags", "kind": "multi", "separator": "|", "max_values": 3},
    {"name": "app"},
]
NAMES = ["site", "price", "tags", "app"]
RESERVED = 9
BUCKETS = [("price", "", 0, 0)] * 3

words = st.sampled_from(["a", "b", "é", "e\u0301", " ", "", "日本", "😀", "a\tb", "'", "\u00a0x", "A"]) | st.text(
    max_size=3
)
keys = st.tuples(st.sampled_from(["site", "tags", "app"]), words.filter(lambda word: "\0" not in word))
tallies = st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
days = st.lists(st.dictionaries(keys, tallies, max_size=12), min_size=1, max_size=3)


def grow_over(folder, config, counts, window=2):
    """The maps of consecutive days, each from the one before."""
    paths = [write_counts(folder / f"{day}.parquet", content) for day, content in enumerate(counts)]
    maps = [None]
    for day in range(len(paths)):
        files = paths[max(0, day + 1 - window) : day + 1]
        maps.append(grow(maps[-1], config, day_number(day), files, None, f"hash of {day - 1}" if day else ""))
    return maps[1:]


def entries_of(feature_map):
    owners = [NAMES[j] for j in feature_map.field_of[RESERVED:]]
    values = feature_map.values.to_pylist()[RESERVED:]
    rest = (feature_map.impressions[RESERVED:].tolist(), feature_map.clicks[RESERVED:].tolist())
    return list(zip(owners, values, *rest, strict=True))


@settings(max_examples=12)
@given(counts=days, threshold=st.integers(1, 5), threads=st.integers(1, 2))
def test_maps_grow_like_a_dictionary_and_old_ids_never_move(tmp_path_factory, counts, threshold, threads):
    folder = tmp_path_factory.mktemp("counts")
    expected, known = [], set()
    for day, grown in enumerate(grow_over(folder, config_of(FIELDS, threshold, threads), counts)):
        new = grown_entries(known, NAMES, counts[max(0, day - 1) : day + 1], threshold)
        known |= {entry[:2] for entry in new}
        first = BUCKETS if day == 0 else []
        expected += (
            [(entry, day) for entry in sorted(first + new, key=lambda e: NAMES.index(e[0]))]
            if first
            else [(entry, day) for entry in new]
        )
        assert entries_of(grown) == [entry for entry, _ in expected]
        admitted = (day_number(0) - feature_map_module.EPOCH).days + np.array([d for _, d in expected])
        np.testing.assert_array_equal(grown.first_day[RESERVED:], admitted)


def test_the_first_map_lists_padding_reserved_ids_then_fields_in_order(tmp_path):
    counts = {("app", "z"): (9, 1), ("site", "rare"): (2, 0), ("site", "x"): (3, 1), ("site", "y"): (5, 0)}
    counts[("tags", "t")] = (4, 4)
    (grown,) = grow_over(tmp_path, config_of(FIELDS, 3), [counts])
    assert grown.values.to_pylist() == [""] * 9 + ["y", "x", "", "", "", "t", "z"]
    assert grown.field_of.tolist() == [-1, 0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1, 1, 2, 3]
    assert [grown.missing_id(j) for j in range(4)] == [1, 3, 5, 7]
    assert [grown.other_id(j) for j in range(4)] == [2, 4, 6, 8]
    assert grown.first_bucket(1) == 11
    assert grown.size == 16
    assert grown.layout.names == tuple(NAMES)
    assert grown.layout.widths == (1, 1, 3, 1)


def test_ties_of_counts_are_broken_by_h60(tmp_path):
    values = [f"v{n}" for n in range(50)]
    (grown,) = grow_over(tmp_path, config_of(FIELDS), [{("app", value): (1, 0) for value in values}])
    assert grown.values.to_pylist()[-50:] == sorted(values, key=h60)


COLLISION = tuple(f"TEXTCOLLBYfGiJUETHQ4h{letter}cKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aHeAuaKnak" for letter in "AE")
"""Two texts of one MD5, by Marc Stevens (2024)."""


@pytest.mark.parametrize("order", [1, -1])
def test_values_of_one_hash_are_ordered_by_themselves(tmp_path, order):
    assert h60(COLLISION[0]) == h60(COLLISION[1])
    (grown,) = grow_over(tmp_path, config_of(FIELDS), [{("app", value): (1, 0) for value in COLLISION[::order]}])
    assert grown.values.to_pylist()[-2:] == list(COLLISION)


def test_vocabulary_counts_the_ids_of_each_field(tmp_path):
    counts = [write_counts(tmp_path / "counts.parquet", {("site", "a"): (10, 0), ("site", "b"): (10, 0)})]
    grown = grow(None, config_of(FIELDS), day_number(0), counts, None, "")
    assert grown.vocabulary == tuple(int((grown.field_of == field).sum()) for field in range(len(grown.fields)))
    assert sum(grown.vocabulary) == grown.size - 1


def test_other_of_gives_the_other_id_of_the_field(tmp_path):
    (grown,) = grow_over(tmp_path, config_of(FIELDS), [{("site", "x"): (1, 0), ("app", "z"): (1, 0)}])
    found = grown.other_of(np.arange(grown.size, dtype=np.int32))
    assert found.tolist() == [0, 2, 2, 4, 4, 6, 6, 8, 8, 2, 4, 4, 4, 8]
    assert found.dtype == np.int32
    assert grown.other_of(np.array([[9, 13], [0, 7]], np.int32)).tolist() == [[2, 8], [0, 8]]


def big_counts(seed):
    rng = np.random.default_rng(seed)
    return {
        (field, f"{field}-{n}"): (int(rng.integers(1, 20)), 1) for field in ("site", "tags", "app") for n in range(4000)
    }


def test_threads_and_the_time_of_writing_leave_no_trace_in_the_file(tmp_path):
    fields = [*FIELDS, {"name": "bid", "kind": "numeric", "buckets": 10}]
    rows = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"bid": np.random.default_rng(0).lognormal(size=30_000)}), rows, row_group_size=2048)
    counts = [write_counts(tmp_path / f"{n}.parquet", big_counts(n)) for n in range(2)]
    content = []
    for threads in (1, 2):
        config = config_of(fields, 5, threads)
        first = grow(None, config, day_number(0), counts[:1], rows, "")
        grow(first, config, day_number(1), counts, None, "parent").save(tmp_path / f"{threads}.h5")
        content.append((tmp_path / f"{threads}.h5").read_bytes())
        time.sleep(1.1)  # HDF5 keeps times in whole seconds
    assert content[0] == content[1]


@pytest.fixture
def two_days(tmp_path):
    counts = [{("site", "a"): (3, 1), ("tags", "日本"): (2, 0)}, {("site", "b"): (4, 2), ("site", "a"): (9, 9)}]
    return grow_over(tmp_path, config_of(FIELDS, 2), counts)


def test_a_saved_map_loads_as_it_was(two_days, tmp_path):
    grown = two_days[1]
    grown.save(tmp_path / "map.h5")
    loaded = FeatureMap.load(tmp_path / "map.h5")
    assert (loaded.fields, loaded.day, loaded.parent_hash, loaded.threshold) == (
        grown.fields, day_number(1), "hash of 0", 2,
    )  # fmt: skip
    assert loaded.values.equals(grown.values)
    for name in ("field_of", "impressions", "clicks", "first_day"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(grown, name))
        assert getattr(loaded, name).dtype == getattr(grown, name).dtype
    assert loaded.fingerprint == grown.fingerprint != two_days[0].fingerprint
    loaded.save(tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "map.h5").read_bytes()


def test_a_map_grown_from_a_loaded_parent_equals_one_grown_in_memory(two_days, tmp_path):
    two_days[0].save(tmp_path / "parent.h5")
    parent = FeatureMap.load(tmp_path / "parent.h5")
    again = grow(
        parent, config_of(FIELDS, 2), day_number(1), [tmp_path / "0.parquet", tmp_path / "1.parquet"], None, ""
    )
    assert again.fingerprint == two_days[1].fingerprint


def test_a_map_cannot_be_changed(two_days):
    with pytest.raises(ValueError, match="read-only"):
        two_days[0].field_of[3] = 1


def test_dictionaries_share_the_memory_of_the_map(two_days):
    grown = two_days[1]
    table = grown.dictionary(0)
    assert table["value"].to_pylist() == ["a", "b"]
    assert table["id"].to_pylist() == [9, 14]
    content = grown.values.buffers()[2].address
    assert [chunk.buffers()[2].address for chunk in table["value"].chunks if len(chunk)] == [content, content]


def test_edges_are_fitted_once_and_then_kept(tmp_path):
    fields = [{"name": "bid", "kind": "numeric", "buckets": 4}]
    config = config_of(fields)
    counts = [write_counts(tmp_path / "counts.parquet", {})]
    for name, factor in (("first", 1.0), ("later", 100.0)):
        pq.write_table(pa.table({"bid": np.arange(1, 9) * factor}), tmp_path / f"{name}.parquet")
    first = grow(None, config, day_number(0), counts, tmp_path / "first.parquet", "")
    later = grow(first, config, day_number(1), counts, tmp_path / "later.parquet", "")
    assert later.fields[0].edges == first.fields[0].edges == (2.0, 4.0, 6.0)
    assert later.size == first.size == 3 + 4


def test_a_map_continues_itself_and_what_it_grew_from(two_days):
    first, second = two_days
    assert second.continues(first)
    assert first.continues(first)
    assert not first.continues(second)


WORDS = [{"name": "site"}, {"name": "tags", "kind": "multi", "max_values": 3}]


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        (WORDS, ("site", "b")),  # another value
        (WORDS, ("tags", "a")),  # of another field
        ([WORDS[0], {**WORDS[1], "max_values": 4}], ("site", "a")),
    ],
)
def test_a_map_does_not_continue_one_whose_ids_mean_something_else(tmp_path, fields, counted):
    (ours,) = grow_over(tmp_path, config_of(fields), [{counted: (1, 0)}])
    (theirs,) = grow_over(tmp_path, config_of(WORDS), [{("site", "a"): (1, 0)}])
    assert ours.size == theirs.size
    assert not ours.continues(theirs)
    assert not theirs.continues(ours)


def test_fitted_edges_are_continued_where_there_were_none_and_not_where_there_were_others(tmp_path):
    config = config_of([{"name": "bid", "kind": "numeric", "buckets": 2}])
    counts = [write_counts(tmp_path / "counts.parquet", {})]
    maps = []
    for number, values in enumerate(([], [1.0, 2.0], [8.0, 9.0])):
        rows = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"bid": pa.array(values, pa.float64())}), rows)
        maps.append(grow(None, config, day_number(0), counts, rows, ""))
    none, low, high = maps
    assert low.continues(none)
    assert high.continues(none)
    assert not none.continues(low)
    assert not high.continues(low)


@pytest.mark.parametrize(
    ("position", "change", "expected", "received"),
    [
        (0, {"kind": "multi"}, "categorical field 'site'", "multi field 'site'"),
        (2, {"separator": ";"}, "separator '|'", "separator ';'"),
        (2, {"max_values": 4}, "3 values at most", "4 values at most"),
        (1, {"edges": [1.5, 2.5, 9]}, "bucketing edges, 3 buckets", "bucketing edges, 4 buckets"),
        (1, {"edges": [], "bucketing": "log"}, "bucketing edges", "bucketing log"),
        (1, {"edges": [], "bucketing": "quantile", "buckets": 5}, "bucketing edges", "bucketing quantile, 5 buckets"),
    ],
)
def test_another_field_of_a_name_of_the_parents_is_refused(two_days, tmp_path, position, change, expected, received):
    fields = [{**field, **change} if n == position else field for n, field in enumerate(FIELDS)]
    with pytest.raises(InputError, match="another field of this name") as error:
        grow(two_days[1], config_of(fields), day_number(2), [tmp_path / "1.parquet"], None, "")
    message = str(error.value)
    assert expected in message.split("received")[0]
    assert received in message.split("received")[1]


NEW = [{"name": "extra"}, FIELDS[3], {"name": "size", "kind": "numeric", "bucketing": "edges", "edges": [7]}, FIELDS[0]]


@pytest.fixture
def changed(two_days, tmp_path):
    """A third day without price and tags, with two new fields, in another order."""
    content = {("extra", ""): (4, 0), ("app", "new"): (3, 0), ("site", "new"): (2, 0), ("tags", "late"): (9, 0)}
    path = write_counts(tmp_path / "third.parquet", content)
    return grow(two_days[1], config_of(NEW), day_number(2), [path], None, "")


def test_fields_come_and_go_and_no_id_moves(two_days, changed):
    before = two_days[1]
    assert changed.continues(before)
    assert not before.continues(changed)
    assert changed.field_of[: before.size].tolist() == before.field_of.tolist()
    assert changed.values.slice(0, before.size).equals(before.values)
    first = before.size
    assert [(changed.missing_id(j), changed.other_id(j)) for j in range(4)] == [
        (first, first + 1),
        (7, 8),
        (first + 2, first + 3),
        (1, 2),
    ]
    assert changed.values.to_pylist()[first:] == ["", "", "", "", "new", "new", "", "", ""]
    assert changed.position_of[first:].tolist() == [0, 0, 2, 2, 3, 1, 0, 2, 2]
    assert changed.first_bucket(2) == changed.size - 2
    assert changed.dictionary(0).to_pylist() == [{"value": "", "id": first + 6}]
    assert {"value": "new", "id": first + 4} in changed.dictionary(3).to_pylist()
    owned = {name: int((changed.position_of == j).sum()) for j, name in enumerate(changed.layout.names)}
    assert changed.vocabulary == tuple(owned.values())


def test_each_id_of_a_field_that_came_later_has_its_own_other(changed):
    found = changed.other_of(np.arange(changed.size, dtype=np.int32))
    for position in range(4):
        assert set(found[changed.position_of == position].tolist()) == {changed.other_id(position)}
    assert found[0] == 0


def test_a_map_whose_fields_changed_survives_its_file_and_goes_on(changed, tmp_path):
    changed.save(tmp_path / "changed.h5")
    again = FeatureMap.load(tmp_path / "changed.h5")
    assert again.fingerprint == changed.fingerprint
    assert again.continues(changed)
    assert changed.continues(again)
    assert (again.fields, again.owners, again.retired) == (changed.fields, changed.owners, changed.retired)
    counts = [write_counts(tmp_path / "fourth.parquet", {("extra", ""): (4, 0), ("extra", "x"): (1, 0)})]
    grown = grow(again, config_of(NEW), day_number(3), counts, None, "")
    assert grown.values.to_pylist()[changed.size :] == ["x"]
    assert grown.has_fields_of(day_number(2))
    assert not grown.has_fields_of(day_number(1))
    assert [grown.own_size_on(day_number(n)) for n in range(4)] == [*[changed.size] * 3, grown.size]


def test_a_field_that_comes_back_has_its_ids_again(two_days, changed, tmp_path):
    counts = [write_counts(tmp_path / "back.parquet", {("site", "new"): (2, 0)})]
    back = grow(changed, config_of(FIELDS), day_number(3), counts, None, "")
    assert back.size == changed.size
    assert [field.name for _, field in back.retired] == ["extra", "size"]
    for position in (1, 2, 3):
        known = two_days[1].dictionary(position).to_pylist()
        assert back.dictionary(position).to_pylist()[: len(known)] == known
    assert back.first_bucket(1) == two_days[1].first_bucket(1)


def test_a_map_whose_fields_never_changed_is_written_as_before(two_days, tmp_path):
    two_days[1].save(tmp_path / "map.h5")
    with h5py.File(tmp_path / "map.h5") as file:
        assert file.attrs["format_version"] == 1
        assert "owners" not in file


def test_another_source_column_or_threshold_keeps_the_lineage(two_days, tmp_path):
    fields = [{**FIELDS[0], "column": "renamed"}, *FIELDS[1:]]
    grown = grow(two_days[1], config_of(fields, 1), day_number(2), [tmp_path / "1.parquet"], None, "")
    assert grown.threshold == 1


def test_a_parent_of_the_same_or_a_later_day_is_refused(two_days, tmp_path):
    with pytest.raises(InputError, match=r"earlier day, received 2026-11-02"):
        grow(two_days[1], config_of(FIELDS), day_number(1), [tmp_path / "1.parquet"], None, "")


@pytest.mark.parametrize("name", ["gone", "zone"])
def test_counts_of_a_field_that_is_not_configured_are_refused(tmp_path, name):
    path = write_counts(tmp_path / "counts.parquet", {("site", "a"): (1, 0), (name, "b"): (1, 0)})
    with pytest.raises(InputError, match=rf"'{name}'.*count"):
        grow(None, config_of(FIELDS), day_number(0), [path], None, "")


def test_missing_inputs_are_named(tmp_path):
    quantile = [{"name": "bid", "kind": "numeric"}]
    counts = write_counts(tmp_path / "counts.parquet", {})
    with pytest.raises(InputError, match=r"(?s)absent\.parquet.*run count"):
        grow(None, config_of(FIELDS), day_number(0), [tmp_path / "absent.parquet"], None, "")
    with pytest.raises(InputError, match="run count"):
        grow(None, config_of(FIELDS), day_number(0), [], None, "")
    with pytest.raises(InputError, match=r"'bid' has quantile buckets.*run ingest for 2026-11-01"):
        grow(None, config_of(quantile), day_number(0), [counts], None, "")


def test_files_that_are_no_feature_map_are_refused(two_days, tmp_path):
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match=r"absent\.h5"):
        FeatureMap.load(tmp_path / "absent.h5")
    with pytest.raises(InputError, match=r"text\.h5: expected a feature map"):
        FeatureMap.load(tmp_path / "text.h5")
    two_days[0].save(tmp_path / "newer.h5")
    with h5py.File(tmp_path / "newer.h5", "a") as file:
        file.attrs["format_version"] = 3
    with pytest.raises(InputError, match="format 3, expected 1 to 2"):
        FeatureMap.load(tmp_path / "newer.h5")


def ranked(entries):
    """Entries of a day by how soon they get an id where there is no room for all."""
    return sorted(entries, key=lambda e: (-e[2], NAMES.index(e[0]), h60(e[1]), e[1].encode()))


@settings(max_examples=12)
@given(counts=days, room=st.integers(0, 14))
def test_a_map_without_room_admits_the_most_frequent_values_and_no_more(tmp_path_factory, counts, room):
    folder = tmp_path_factory.mktemp("counts")
    config, most, parent, known = config_of(FIELDS), RESERVED + 3 + room, None, set()
    for day, content in enumerate(counts):
        path = write_counts(folder / f"{day}.parquet", content)
        new = grown_entries(known, NAMES, [content], 1)
        size = RESERVED + 3 if parent is None else parent.size
        chosen = set(ranked(new)[: most - size])
        grown, left_out = growth(parent, config, day_number(day), [path], None, "", most=most)
        kept = [entry for entry in new if entry in chosen]
        begun = [e for e in entries_of(grown) if e not in BUCKETS][len(known) :]
        assert begun == kept
        assert left_out == len(new) - len(kept)
        assert grown.size <= most
        known |= {entry[:2] for entry in kept}
        parent = grown


def test_buckets_come_before_values_and_all_of_them_or_none(tmp_path):
    counts = [write_counts(tmp_path / "counts.parquet", {("site", "x"): (9, 0), ("app", "y"): (5, 0)})]
    config = config_of(FIELDS)
    tight, left_out = growth(None, config, day_number(0), counts, None, "", most=RESERVED + 2)
    assert tight.unfitted == ("price",)
    assert (entries_of(tight), left_out) == ([("site", "x", 9, 0), ("app", "y", 5, 0)], 0)
    some, left_out = growth(None, config, day_number(0), counts, None, "", most=RESERVED + 4)
    assert (entries_of(some), left_out) == ([("site", "x", 9, 0), *BUCKETS], 1)
    later, _ = growth(tight, config, day_number(1), counts, None, "", most=RESERVED + 5)
    assert entries_of(later)[2:] == BUCKETS
    assert later.continues(tight)


@settings(max_examples=12)
@given(
    counts=st.lists(st.dictionaries(keys, tallies, max_size=8), min_size=2, max_size=6),
    threshold=st.integers(1, 4),
    expire=st.integers(1, 3),
)
def test_an_id_is_expired_once_its_value_did_not_pass_for_so_many_days(tmp_path_factory, counts, threshold, expire):
    folder, parent, passed = tmp_path_factory.mktemp("counts"), None, {}
    for day, content in enumerate(counts):
        path = write_counts(folder / f"{day}.parquet", content)
        config = config_of(FIELDS, threshold)
        grown = growth(parent, config, day_number(day), [path], None, "", expire_days=expire).map
        passed |= {key: day for key, (impressions, _) in content.items() if impressions >= threshold}
        for position, name in enumerate(NAMES):
            if name != "price":
                known = set(grown.dictionary(position)["value"].to_pylist())
                assert known == {v for (field, v), last in passed.items() if field == name and day - last < expire}
        assert parent is None or grown.continues(parent)
        assert grown.size == RESERVED + 3 + len(passed)
        again = [] if parent is None else np.flatnonzero(parent.expired & ~grown.expired[: parent.size]).tolist()
        assert grown.revived.tolist() == again
        grown.save(folder / "map.h5")
        parent = FeatureMap.load(folder / "map.h5")
        assert parent.fingerprint == grown.fingerprint
        assert parent.expired.tolist() == grown.expired.tolist()


def test_a_value_that_comes_back_has_its_id_again(tmp_path):
    counts = [{("site", "x"): (1, 0)}, {("site", "y"): (1, 0)}, {("site", "x"): (1, 0)}]
    paths = [write_counts(tmp_path / f"{day}.parquet", content) for day, content in enumerate(counts)]
    maps = [None]
    for day, path in enumerate(paths):
        maps.append(growth(maps[-1], config_of(FIELDS), day_number(day), [path], None, "", expire_days=1).map)
    first, without, back = (grown.dictionary(0).to_pylist() for grown in maps[1:])
    assert [entry["value"] for entry in without] == ["y"]
    assert back == first
    assert maps[3].revived.tolist() == [first[0]["id"]]


def test_where_expiry_begins_what_is_known_counts_from_the_day_before_and_where_it_ends_all_comes_back(tmp_path):
    path = write_counts(tmp_path / "first.parquet", {("site", "x"): (1, 0)})
    none = write_counts(tmp_path / "none.parquet", {})
    begun = growth(None, config_of(FIELDS), day_number(0), [path], None, "").map
    second = growth(begun, config_of(FIELDS), day_number(1), [none], None, "", expire_days=2).map
    third = growth(second, config_of(FIELDS), day_number(2), [none], None, "", expire_days=2).map
    ended = growth(third, config_of(FIELDS), day_number(3), [none], None, "").map
    assert [grown.expired.sum() for grown in (begun, second, third, ended)] == [0, 0, 1, 0]
    assert ended.revived.tolist() == np.flatnonzero(third.expired).tolist()


def test_ids_of_a_field_that_comes_later_expire_as_others(changed, tmp_path):
    none = [write_counts(tmp_path / "none.parquet", {})]
    later = growth(changed, config_of(NEW), day_number(3), none, None, "", expire_days=1).map
    gone = growth(later, config_of(FIELDS), day_number(4), none, None, "", expire_days=1).map
    assert later.expired.sum() == (changed.impressions > 0).sum()
    assert gone.expired.tolist() == later.expired.tolist()


def test_a_compact_map_has_the_values_that_rows_are_read_by_and_no_others(changed, tmp_path):
    none = [write_counts(tmp_path / "some.parquet", {("site", "new"): (2, 0), ("extra", ""): (4, 0)})]
    aged = growth(changed, config_of(NEW), day_number(3), none, None, "", expire_days=1).map
    compact, kept = aged.compacted()
    assert compact.layout == aged.layout
    assert compact.owners == (0, 1, 2, 3)
    assert [compact.missing_id(position) for position in range(4)] == [1, 3, 5, 7]
    for position in range(4):
        assert kept[compact.missing_id(position)] == aged.missing_id(position)
        assert kept[compact.other_id(position)] == aged.other_id(position)
        ours, theirs = compact.dictionary(position), aged.dictionary(position)
        assert ours["value"].to_pylist() == theirs["value"].to_pylist()
        assert kept[ours["id"].to_numpy()].tolist() == theirs["id"].to_pylist()
    assert kept[compact.first_bucket(2)] == aged.first_bucket(2)
    assert compact.size == 9 + 2 + 2  # the two values that passed, and the two buckets of `size`
    compact.save(tmp_path / "compact.h5")
    again = FeatureMap.load(tmp_path / "compact.h5")
    assert again.fingerprint == compact.fingerprint
    assert growth(again, config_of(NEW), day_number(4), none, None, "", expire_days=1).map.continues(compact)


def test_a_value_passes_once_it_came_on_enough_days_of_the_window(tmp_path):
    contents = [
        {("site", "once"): (9, 0), ("site", "twice"): (1, 0)},
        {("site", "twice"): (1, 0), ("app", "z"): (5, 0)},
    ]
    paths = [write_counts(tmp_path / f"{day}.parquet", content) for day, content in enumerate(contents)]
    config = config_of(FIELDS, 2)
    first = growth(None, config, day_number(0), paths[:1], None, "", min_days=2).map
    second = growth(first, config, day_number(1), paths, None, "", min_days=2, expire_days=1).map
    assert entries_of(second) == [*BUCKETS, ("site", "twice", 2, 0)]
    third = growth(second, config, day_number(2), paths[1:], None, "", min_days=2, expire_days=1).map
    assert third.dictionary(0).num_rows == 0
