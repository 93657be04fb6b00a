import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from feature_map_oracle import config_of, day_number, encoded_row, grow, write_counts
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.coded_rows import coded_rows
from pnn_gluon.data.encoding import clip_to_map, encode_rows, write_shard
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.errors import InputError
from pnn_gluon.warehouse.duckdb_engine import connect

FIELDS = [
    {"name": "tags", "kind": "multi", "separator": "|", "max_values": 3},
    {"name": "site"},
    {"name": "price", "kind": "numeric", "bucketing": "edges", "edges": [-1.0, 0.0, 2.5]},
    {"name": "value"},
    {"name": "lists", "kind": "multi", "separator": "'", "max_values": 2},
]
TYPES = {"numeric": pa.float64()}
EDGES, FIRST_BUCKET = {"price": [-1.0, 0.0, 2.5]}, "price"


def write_rows(path, rows, fields=FIELDS, **more):
    """Write rows [{field: value}] and further columns."""
    columns = {
        f["name"]: pa.array([row[f["name"]] for row in rows], TYPES.get(f.get("kind"), pa.string())) for f in fields
    }
    pq.write_table(
        pa.table(columns | {name: pa.array(column) for name, column in more.items()}), path, row_group_size=4
    )
    return path


def map_of(folder, values, fields=FIELDS, parent=None, day=0):
    """A map that knows these (field, value)."""
    counts = write_counts(folder / f"counts-{day}.parquet", dict.fromkeys(values, (1, 0)))
    return grow(parent, config_of(fields), day_number(day), [counts], None, "")


def ids_by_value(feature_map):
    names = feature_map.layout.names
    values = feature_map.values.to_pylist()
    start = 1 + 2 * len(names)
    return {(names[feature_map.field_of[i]], values[i]): i for i in range(start, feature_map.size)}


def encode(feature_map, source, threads=1, **options):
    with connect(EngineConfig(threads=threads)) as connection:
        batches = list(encode_rows(connection, feature_map, source, **options))
    ids = [batch.ids for batch in batches]
    return np.concatenate(ids) if ids else np.empty((0, feature_map.layout.slots), np.int32)


words = st.sampled_from(["a", "b", "é", "e\u0301", " a", "a ", " ", "", "日本", "😀", "\ta", "\u00a0", "A"])
texts = st.lists(words, max_size=6).flatmap(lambda w: st.sampled_from(["|".join(w), "'".join(w)]))
rows = st.lists(
    st.fixed_dictionaries(
        {
            "tags": st.none() | texts,
            "site": st.none() | words,
            "price": st.none() | st.sampled_from([-1.0, 0.0, -0.0, 2.5, np.nan, np.inf, -np.inf]) | st.floats(-3, 3),
            "value": st.none() | words,
            "lists": st.none() | texts,
        }
    ),
    max_size=12,
)
values = st.sets(st.tuples(st.sampled_from(["tags", "site", "value", "lists"]), words))


@settings(max_examples=12)
@given(rows=rows, known=values, later=values, threads=st.integers(1, 2))
def test_rows_encode_as_dictionaries_say(tmp_path_factory, rows, known, later, threads):
    folder = tmp_path_factory.mktemp("rows")
    first = map_of(folder, known)
    grown = map_of(folder, later, parent=first, day=1)
    path = write_rows(folder / "rows.parquet", rows)
    for feature_map in (first, grown):
        found = encode(feature_map, path, threads, batch_rows=5)
        buckets = {FIRST_BUCKET: feature_map.first_bucket(2)}
        expected = [encoded_row(row, FIELDS, ids_by_value(feature_map), EDGES, buckets) for row in rows]
        np.testing.assert_array_equal(found, np.array(expected, np.int32).reshape(-1, 8))
        assert found.dtype == np.int32


def test_rare_unseen_and_missing_values_have_ids_of_their_own(tmp_path):
    fields = [{"name": "site"}]
    counts = write_counts(tmp_path / "counts.parquet", {("site", "known"): (2, 0), ("site", "rare"): (1, 0)})
    feature_map = grow(None, config_of(fields, threshold=2), day_number(0), [counts], None, "")
    rows = [{"site": value} for value in ("known", "rare", "unseen", None)]
    assert encode(feature_map, write_rows(tmp_path / "rows.parquet", rows, fields)).tolist() == [[3], [2], [2], [1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b|a", [4, 3, 0]),
        (" a | b ", [3, 4, 0]),
        ("||a||", [3, 0, 0]),
        ("a|a|b|a", [3, 4, 0]),
        ("x|a|y", [2, 3, 0]),
        ("a|x|b|y|c", [3, 2, 4]),
        ("x|y|c", [2, 5, 0]),
        ("c|b|a|x", [5, 4, 3]),
        ("", [1, 0, 0]),
        (" | ", [1, 0, 0]),
        (None, [1, 0, 0]),
    ],
)
def test_sets_are_trimmed_deduplicated_cut_and_padded(tmp_path, text, expected):
    fields = [FIELDS[0]]
    counts = {("tags", "a"): (3, 0), ("tags", "b"): (2, 0), ("tags", "c"): (1, 0)}
    path = write_counts(tmp_path / "counts.parquet", counts)
    feature_map = grow(None, config_of(fields), day_number(0), [path], None, "")
    assert encode(feature_map, write_rows(tmp_path / "rows.parquet", [{"tags": text}], fields)).tolist() == [expected]


def test_numbers_go_to_their_buckets_and_nan_to_missing(tmp_path):
    fields = [FIELDS[2]]
    rows = [{"price": price} for price in (-np.inf, -1.0, -0.0, 0.0, 2.4, 2.5, np.inf, np.nan, None)]
    found = encode(map_of(tmp_path, [], fields), write_rows(tmp_path / "rows.parquet", rows, fields))
    assert found.ravel().tolist() == [3, 4, 5, 5, 5, 6, 6, 1, 1]


@pytest.fixture
def many(tmp_path):
    """A map and 50,000 rows, enough for joins to leave their order, with `line` = row number."""
    rng = np.random.default_rng(0)
    rows = 50_000
    codes = rng.integers(0, 3000, (3, rows))
    columns = {
        "tags": [f"t{a}|t{b}" for a, b in zip(codes[0], codes[1], strict=True)],
        "site": [f"s{a}" for a in codes[2]],
        "price": rng.normal(size=rows),
        "value": [f"v{a}" for a in codes[0]],
        "lists": [f"t{a}" for a in codes[1]],
        "line": np.arange(rows),
        "label": (codes[0] == 0).astype(np.int8),
        "share": [("train", "calibrate", "gate")[c % 3] for c in codes[1]],
        "rate": [0.25 if c % 3 == 0 else 1.0 for c in codes[1]],
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet", row_group_size=5000)
    known = {(f, f"{f[0]}{n}") for f in ("tags", "site", "value") for n in range(0, 3000, 2)}
    return map_of(tmp_path, known), tmp_path / "rows.parquet"


def test_rows_keep_their_order_and_threads_change_nothing(many):
    feature_map, path = many
    found = []
    for threads in (1, 2):
        with connect(EngineConfig(threads=threads)) as connection:
            batches = list(encode_rows(connection, feature_map, path, ["line"], batch_rows=7000))
        lines = np.concatenate([batch.columns["line"].to_numpy() for batch in batches])
        np.testing.assert_array_equal(lines, np.arange(50_000))
        found.append(np.concatenate([batch.ids for batch in batches]))
    np.testing.assert_array_equal(found[0], found[1])
    sites = pq.read_table(path)["site"].to_pylist()
    known = ids_by_value(feature_map)
    assert found[0][:, 3].tolist() == [known.get(("site", site), 4) for site in sites]
    assert found[0].min() >= 0
    assert found[0].max() < feature_map.size


def test_a_condition_chooses_rows_and_leaves_their_order(many):
    feature_map, path = many
    shares = np.array(pq.read_table(path)["share"].to_pylist())
    chosen = encode(feature_map, path, where="share = 'gate'")
    np.testing.assert_array_equal(chosen, encode(feature_map, path)[shares == "gate"])


def test_several_files_come_one_after_the_other(tmp_path):
    rows = [dict.fromkeys((f["name"] for f in FIELDS), None) | {"site": f"s{n}"} for n in range(6)]
    feature_map = map_of(tmp_path, {("site", f"s{n}") for n in range(6)})
    later = write_rows(tmp_path / "a.parquet", rows[3:])
    earlier = write_rows(tmp_path / "b.parquet", rows[:3])
    whole = write_rows(tmp_path / "whole.parquet", rows)
    np.testing.assert_array_equal(encode(feature_map, [earlier, later]), encode(feature_map, whole))


def test_a_relation_encodes_like_a_file(many):
    feature_map, path = many
    with connect(EngineConfig()) as connection:
        connection.register("requests", pq.read_table(path))
        found = np.concatenate([batch.ids for batch in encode_rows(connection, feature_map, "requests")])
    np.testing.assert_array_equal(found, encode(feature_map, path))


def test_carried_columns_come_unchanged_also_a_fields_raw_value(tmp_path):
    rows = [dict.fromkeys((f["name"] for f in FIELDS), None) | {"site": site} for site in ("x", None, "y")]
    path = write_rows(tmp_path / "rows.parquet", rows, label=[1, 0, 1], row_id=["r1", "r2", "r3"])
    with connect(EngineConfig()) as connection:
        (batch,) = encode_rows(connection, map_of(tmp_path, {("site", "y")}), path, ["row_id", "site", "label"])
    assert {name: column.to_pylist() for name, column in batch.columns.items()} == {
        "row_id": ["r1", "r2", "r3"],
        "site": ["x", None, "y"],
        "label": [1, 0, 1],
    }


def test_two_maps_in_one_connection_do_not_mix(tmp_path):
    fields = [{"name": "site"}]
    path = write_rows(tmp_path / "rows.parquet", [{"site": "a"}, {"site": "b"}], fields)
    one, other = (map_of(tmp_path, values, fields) for values in ({("site", "a")}, {("site", "b")}))
    with connect(EngineConfig()) as connection:
        found = [next(encode_rows(connection, m, path)).ids.ravel().tolist() for m in (one, other, one)]
    assert found == [[3, 2], [2, 3], [3, 2]]


def test_absent_files_and_columns_are_refused(tmp_path):
    path = write_rows(tmp_path / "rows.parquet", [], FIELDS[:2])
    (tmp_path / "damaged.parquet").write_text("not Parquet at all")
    feature_map = map_of(tmp_path, [])
    absent, damaged = tmp_path / "absent.parquet", tmp_path / "damaged.parquet"
    for source, message in ((path, "price"), (absent, "absent"), (damaged, "damaged"), ("nothing", "nothing")):
        with pytest.raises(InputError, match=rf"(?s){message}.*make these rows again"):
            encode(feature_map, source)


def test_a_field_that_the_rows_of_its_day_did_not_have_is_missing_in_all_of_them(tmp_path):
    texts = {"site": ["x", None], "tags": ["a|b", "b"], "lists": ["a", "c"], "price": [2.0, 0.5]}
    columns = {field["name"]: texts.get(field["name"], ["a", "b"]) for field in FIELDS}
    rows = [{name: values[n] for name, values in columns.items()} for n in range(2)]
    feature_map = map_of(tmp_path, {("site", "x"), ("tags", "a"), ("tags", "b"), ("lists", "c")})
    whole = write_rows(tmp_path / "whole.parquet", rows, FIELDS)
    names = [field["name"] for field in FIELDS]
    for absent in names:
        some = tmp_path / f"without {absent}.parquet"
        table = pq.read_table(whole)
        pq.write_table(table.drop_columns([absent]), some)
        at, given_ids = names.index(absent), encode(feature_map, whole)
        start, width = feature_map.layout.starts[at], feature_map.layout.widths[at]
        expected = given_ids.copy()
        expected[:, start : start + width] = 0
        expected[:, start] = feature_map.missing_id(at)
        np.testing.assert_array_equal(encode(feature_map, SampledRows(some, gaps=True)), expected)
        with pytest.raises(InputError, match=absent):
            encode(feature_map, SampledRows(some))


def test_a_column_that_is_carried_along_is_never_made_up(tmp_path):
    feature_map, some = map_of(tmp_path, set()), write_rows(tmp_path / "rows.parquet", [], FIELDS)
    with pytest.raises(InputError, match='column "weight" not found'):
        encode(feature_map, SampledRows(some, gaps=True), columns=["weight"])


@settings(max_examples=12)
@given(rows=rows, known=values, later=values)
def test_clipped_ids_are_those_of_the_older_map(tmp_path_factory, rows, known, later):
    folder = tmp_path_factory.mktemp("rows")
    fields = [{**f, "max_values": 20} if f.get("kind") == "multi" else f for f in FIELDS]
    old = map_of(folder, known, fields)
    new = map_of(folder, later, fields, parent=old, day=1)
    path = write_rows(folder / "rows.parquet", rows, fields)
    clipped = clip_to_map(encode(new, path), old.size, new.other_of)
    expected = encode(old, path)
    assert clipped.dtype == np.int32
    for start, end, multi in old.layout.runs():
        left, right = clipped[:, start:end], expected[:, start:end]
        np.testing.assert_array_equal(np.sort(left) if multi else left, np.sort(right) if multi else right)


def test_several_new_values_of_a_set_clip_to_one_other(tmp_path):
    fields = [{"name": "tags", "kind": "multi", "separator": "|", "max_values": 4}]
    old = map_of(tmp_path, {("tags", "a")}, fields)  # a is 3
    new = map_of(tmp_path, {("tags", "b"), ("tags", "c")}, fields, parent=old, day=1)
    path = write_rows(tmp_path / "rows.parquet", [{"tags": text} for text in ("b|a|c|x", "x|c", "b|a", "a")], fields)
    ids = encode(new, path)
    assert {4, 5} <= set(ids.ravel().tolist())
    clipped = clip_to_map(ids, old.size, new.other_of)
    assert clipped.tolist() == [[2, 3, 0, 0], [2, 0, 0, 0], [2, 3, 0, 0], [3, 0, 0, 0]]


def test_known_ids_pass_clipping_untouched(tmp_path):
    feature_map = map_of(tmp_path, {("site", "a")})
    ids = np.array([[1, 0, 0], [11, 12, 13]], np.int32)
    np.testing.assert_array_equal(clip_to_map(ids, feature_map.size, feature_map.other_of), ids)
    assert clip_to_map(np.array([3, 14], np.int32), 14, feature_map.other_of).tolist() == [3, 6]


def test_a_shard_holds_train_and_calibrate_and_never_the_gate(many, tmp_path):
    feature_map, path = many
    table = pq.read_table(path)
    shares, labels = np.array(table["share"].to_pylist()), table["label"].to_numpy()
    whole = encode(feature_map, path)
    with connect(EngineConfig()) as connection:
        counts = write_shard(connection, feature_map, SampledRows(path), tmp_path / "shard.h5", day_number(0))
    assert counts == {share: int((shares == share).sum()) for share in ("train", "calibrate")}
    with h5py.File(tmp_path / "shard.h5") as shard:
        assert set(shard) == {"train", "calibrate"}
        told = {"day": "2026-11-01", "slots": 8, "rate": 0.25, "size": feature_map.size, "format": 1}
        assert dict(shard.attrs) == told
        for share in shard:
            np.testing.assert_array_equal(shard[share]["ids"][:], whole[shares == share])
            np.testing.assert_array_equal(shard[share]["label"][:], labels[shares == share])


def test_shards_of_one_and_two_threads_have_the_same_bytes(many, tmp_path):
    feature_map, path = many
    for threads in (1, 2):
        with connect(EngineConfig(threads=threads)) as connection:
            write_shard(connection, feature_map, SampledRows(path), tmp_path / f"{threads}.h5", day_number(0))
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_shares_in_a_file_of_their_own_give_the_same_shard(many, tmp_path):
    feature_map, path = many
    table = pq.read_table(path)
    dropped = np.arange(table.num_rows) % 3 == 1
    given = table.select(["share", "rate"]).to_pydict()
    given = {name: pa.array(values, mask=dropped) for name, values in given.items()}
    pq.write_table(table.drop(["share", "rate"]), tmp_path / "rows.parquet")
    pq.write_table(pa.table(given), tmp_path / "shares.parquet")
    pq.write_table(table.filter(pa.array(~dropped)), tmp_path / "copied.parquet")
    samples = {
        "apart": SampledRows(tmp_path / "rows.parquet", tmp_path / "shares.parquet"),
        "copied": SampledRows(tmp_path / "copied.parquet"),
    }
    for name, sample in samples.items():
        with connect(EngineConfig(threads=2)) as connection:
            write_shard(connection, feature_map, sample, tmp_path / f"{name}.h5", day_number(0))
    assert (tmp_path / "apart.h5").read_bytes() == (tmp_path / "copied.h5").read_bytes()


@pytest.mark.parametrize("group_rows", [1, 700, 60_000])
def test_row_groups_of_rows_and_shares_do_not_show(many, tmp_path, group_rows):
    feature_map, path = many
    table = pq.read_table(path)
    pq.write_table(table.drop(["share", "rate"]), tmp_path / "whole.parquet", row_group_size=4_999)
    pq.write_table(table.select(["share", "rate"]).slice(0, 40_000), tmp_path / "some.parquet")
    pq.write_table(table.select(["share", "rate"]), tmp_path / "shares.parquet", row_group_size=max(group_rows, 50))
    sample = SampledRows(tmp_path / "whole.parquet", tmp_path / "shares.parquet")
    rows = pa.concat_tables(pa.table([*b.columns], ["site", "label", "share"]) for b in coded(feature_map, sample))
    kept = table.filter(pc.is_in(table["share"], pa.array(["train", "gate"])))
    assert rows.to_pydict() == kept.select(["site", "label", "share"]).to_pydict()
    with pytest.raises(InputError, match=r"some.parquet: has 40,000 rows, fewer"):
        list(coded(feature_map, SampledRows(tmp_path / "whole.parquet", tmp_path / "some.parquet")))


def coded(feature_map, sample):
    site = [field for field in feature_map.fields if field.name == "site"]
    return coded_rows(sample, site, ["label"], ["train", "gate"])


@pytest.mark.parametrize("missing", ["rows", "shares", "site", "label", "share"])
def test_a_sample_that_lacks_something_is_refused(many, tmp_path, missing):
    feature_map, path = many
    table = pq.read_table(path)
    shares = table.select(["share", "rate"])
    pq.write_table(table.drop(["share", "rate", *({missing} & {"site", "label"})]), tmp_path / "rows.parquet")
    pq.write_table(
        shares.rename_columns(["other", "rate"]) if missing == "share" else shares, tmp_path / "shares.parquet"
    )
    if missing in ("rows", "shares"):
        (tmp_path / f"{missing}.parquet").write_bytes(b"PAR1 but no more")
    sample = SampledRows(tmp_path / "rows.parquet", tmp_path / "shares.parquet")
    with connect(EngineConfig()) as connection, pytest.raises(InputError, match="again"):
        write_shard(connection, feature_map, sample, tmp_path / "shard.h5", day_number(0))
    assert not (tmp_path / "shard.h5").exists()


def write_sample(folder, rates, labels):
    rows = [dict.fromkeys((f["name"] for f in FIELDS), None)] * len(rates)
    more = {"label": pa.array(labels, pa.int8()), "share": pa.array(["train"] * len(rates), pa.string())}
    return write_rows(folder / "sample.parquet", rows, **more, rate=pa.array(rates, pa.float64()))


def test_a_train_share_of_two_rates_is_refused(tmp_path):
    feature_map = map_of(tmp_path, [])
    sample = write_sample(tmp_path, [0.5, 0.25, 0.25], [0, 0, 1])
    with connect(EngineConfig()) as connection, pytest.raises(InputError, match=r"one rate, received \[0.25, 0.5\]"):
        write_shard(connection, feature_map, SampledRows(sample), tmp_path / "shard.h5", day_number(0))
    assert not (tmp_path / "shard.h5").exists()


@pytest.mark.parametrize(("rates", "expected"), [([0.25, 0.25], 0.25), ([], 1.0)])
def test_the_rate_of_a_shard_is_that_of_its_train_share_also_without_negatives(tmp_path, rates, expected):
    feature_map = map_of(tmp_path, [])
    sample = write_sample(tmp_path, rates, [1] * len(rates))
    with connect(EngineConfig()) as connection:
        write_shard(connection, feature_map, SampledRows(sample), tmp_path / "shard.h5", day_number(0))
    with h5py.File(tmp_path / "shard.h5") as shard:
        assert shard.attrs["rate"] == expected
