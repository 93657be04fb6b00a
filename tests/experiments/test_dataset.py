"""Ids are learnt from train alone, parts are never mixed up, and folders are found."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.experiments.batches import MemoryBatches
from pnn_gluon.experiments.config import load_fit_config
from pnn_gluon.experiments.dataset import Examples, find_folder, load_dataset, random_split

THREE = 'format = "csv"\ntrain = "train.csv"\nvalid = "valid.csv"\ntest = "test.csv"'
TRAIN = ["label,a,b", "1,x,1", "0,x,2", "1,y,2", "0,z,2"]


def load(folder, data=THREE, **files):
    for name, lines in files.items():
        (folder / f"{name}.csv").write_text("".join(f"{line}\n" for line in lines))
    path = folder / "fit.toml"
    path.write_text(f'name = "test"\n[data]\n{data}\n[model]\nname = "lr"\n')
    return load_dataset(load_fit_config(path))


def test_ids_are_those_of_a_feature_map_over_the_train_rows(tmp_path):
    data = load(tmp_path, train=TRAIN, valid=["label,a,b", "0,y,1"], test=["label,a,b", "0,,2"])
    # padding 0, missing and other of a (1, 2) and b (3, 4); a: x (2 rows), then y and z; b: 2 (3 rows), 1
    values = data.feature_map.values.to_pylist()
    assert (values[:6], values[8:]) == ([""] * 5 + ["x"], ["2", "1"])
    y, z = values.index("y"), values.index("z")
    assert {y, z} == {6, 7}
    assert data.train.ids.tolist() == [[5, 9], [5, 8], [y, 8], [z, 8]]
    assert data.valid.ids.tolist() == [[y, 9]]
    assert data.test.ids.tolist() == [[1, 8]]
    assert (data.size, data.layout.names, data.layout.widths) == (10, ("a", "b"), (1, 1))
    assert data.train.ids.dtype == np.int32


NUMBERS = """
fields = [{ name = "a" }, { name = "price", kind = "numeric", buckets = 4 }]"""


def test_edges_of_numbers_are_quantiles_of_the_train_rows_and_of_nothing_else(tmp_path):
    def loaded(shift):
        rest = ["label,a,price", *(f"{n % 2},x,{shift + n}" for n in range(8)), "1,x,"]
        train = ["label,a,price", *(f"{n % 2},x,{n}" for n in range(8)), "1,x,"]
        return load(tmp_path, THREE + NUMBERS, train=train, valid=rest, test=rest)

    data, other = loaded(0), loaded(1000)
    first = data.feature_map.first_bucket(1)
    assert data.feature_map.fields[1].edges == (1.0, 3.0, 5.0)  # the values below or at which 1/4, 1/2, 3/4 lie
    buckets = [0, 1, 1, 2, 2, 3, 3, 3]
    assert data.train.ids[:, 1].tolist() == [*(first + bucket for bucket in buckets), 3]  # without a number: missing
    assert data.valid.ids[:, 1].tolist() == data.train.ids[:, 1].tolist()
    assert other.feature_map.fingerprint == data.feature_map.fingerprint
    assert other.train.fingerprint == data.train.fingerprint
    assert set(other.test.ids[:8, 1].tolist()) == {first + 3}


def test_unseen_and_rare_values_are_the_other_of_their_field(tmp_path):
    parts = {"valid": ["label,a,b", "0,new,1"], "test": ["label,b,a", "1,2,1"]}
    data = load(tmp_path, THREE + "\nmin_count = 2", train=TRAIN, **parts)
    # only x of a and 2 of b are in two rows or more
    assert data.size == 7
    assert data.train.ids.tolist() == [[5, 4], [5, 6], [2, 6], [2, 6]]
    assert data.valid.ids.tolist() == [[2, 4]]
    assert data.test.ids.tolist() == [[2, 6]]


def test_labels_decide_no_id(tmp_path):
    turned = [TRAIN[0], *(f"{1 - int(line[0])}{line[1:]}" for line in TRAIN[1:])]
    rest = {"valid": TRAIN, "test": TRAIN}
    one, other = load(tmp_path, train=TRAIN, **rest), load(tmp_path, train=turned, **rest)
    assert np.array_equal(one.train.ids, other.train.ids)
    assert np.array_equal(one.train.label, 1 - other.train.label)


def test_parts_are_the_files_of_their_names(tmp_path):
    parts = {
        "train": ["label,a", *["0,t"] * 5, "1,u"],
        "valid": ["label,a", *["1,t"] * 3],
        "test": ["label,a", "0,u", "1,v"],
    }
    data = load(tmp_path, **parts)
    t, u, other = 3, 4, 2
    assert data.train.ids[:, 0].tolist() == [t] * 5 + [u]
    assert data.valid.ids[:, 0].tolist() == [t] * 3
    assert data.test.ids[:, 0].tolist() == [u, other]
    assert [part.label.tolist() for part in (data.train, data.valid, data.test)] == [[0] * 5 + [1], [1] * 3, [0, 1]]
    assert data.summary()["rows"] == {"train": 6, "valid": 3, "test": 2}
    assert data.summary()["positives"] == {"train": 1, "valid": 3, "test": 1}


def test_sets_of_values_are_cut_and_hold_no_id_twice(tmp_path):
    fields = '\nfields = [{ name = "s", separator = "|", max_values = 2 }]'
    head = "label,s"
    train = [head, "1,a|b|a", "0,a", "0,"]
    valid = [head, "1,n|m|b", "0,b|a|b", "0,b|a|n"]
    data = load(tmp_path, THREE + fields, train=train, valid=valid, test=train)
    # padding 0, missing 1, other 2, a 3, b 4
    assert data.train.ids.tolist() == [[3, 4], [3, 0], [1, 0]]
    assert data.valid.ids.tolist() == [[2, 4], [4, 3], [4, 3]]
    assert data.layout.widths == (2,)


def test_a_libffm_field_is_as_wide_as_its_longest_train_row(tmp_path):
    lines = {"train": "1 0:5:1 0:5:1 0:6:1\n0 1:5:1\n", "valid": "1 0:6:1 0:5:1 0:9:1\n", "test": "0 1:4:1\n"}
    for name, text in lines.items():
        (tmp_path / f"{name}.csv").write_text(text)
    data = load(tmp_path, THREE.replace('"csv"', '"libffm"', 1))
    # padding 0, missing and other of field 0 (1, 2) and 1 (3, 4), then 5 and 6 of field 0, 5 of field 1
    assert data.layout.widths == (2, 1)
    values = data.feature_map.values.to_pylist()
    five, six = values.index("5"), values.index("6")
    assert {five, six} == {5, 6}
    assert data.train.ids.tolist() == [[five, six, 3], [1, 0, 7]]
    assert data.valid.ids.tolist() == [[six, five, 3]]
    assert data.test.ids.tolist() == [[1, 0, 4]]


@settings(max_examples=50)
@given(st.integers(0, 300), st.integers(0, 2**31 - 1), st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.3, 0.2)]))
def test_a_random_split_is_disjoint_complete_and_of_the_shares(rows, seed, shares):
    parts = random_split(rows, shares, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows))
    assert all(abs(len(part) - share * rows) <= 1 for part, share in zip(parts, shares, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(parts, random_split(rows, shares, seed), strict=True))


def test_another_seed_splits_another_way():
    assert not np.array_equal(random_split(100, (0.8, 0.1, 0.1), 1)[0], random_split(100, (0.8, 0.1, 0.1), 2)[0])


def test_one_file_is_divided_and_ids_are_those_of_its_train_rows(tmp_path):
    whole = ["label,a", *(f"{n % 2},{n}" for n in range(50))]
    data = load(tmp_path, 'format = "csv"\nfile = "all.csv"\nsplit = [0.6, 0.2, 0.2]\nsplit_seed = 4', all=whole)
    train, valid, _ = random_split(50, (0.6, 0.2, 0.2), 4)
    assert data.summary()["rows"] == {"train": 30, "valid": 10, "test": 10}
    assert data.train.label.tolist() == (train % 2).tolist()
    assert data.valid.label.tolist() == (valid % 2).tolist()
    assert sorted(data.train.ids[:, 0]) == list(range(3, 33))
    assert set(data.valid.ids[:, 0]) == {2}


def test_a_pass_holds_each_row_once_in_an_order_of_seed_and_epoch():
    examples = Examples(np.arange(10, dtype=np.int32)[:, None], np.arange(10, dtype=np.float32))

    def one_pass(seed, epoch, start=0):
        found = list(MemoryBatches(examples, 4, seed).batches(epoch, start))
        assert all(np.array_equal(ids[:, 0], label) for ids, label in found)
        return [ids[:, 0].tolist() for ids, _ in found]

    first = one_pass(1, 0)
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(np.concatenate(first).tolist()) == list(range(10))
    assert one_pass(1, 0) == first
    assert one_pass(1, 0, 1) == first[1:]
    assert one_pass(1, 1) != first
    assert one_pass(2, 0) != first
    assert MemoryBatches(examples, 4, 1).batch_count == 3


def test_batches_of_other_rows_sizes_or_seeds_have_another_fingerprint():
    ids, label = np.zeros((3, 1), np.int32), np.zeros(3, np.float32)
    cases = [(ids, label, 2, 1), (ids + 1, label, 2, 1), (ids, label + 1, 2, 1), (ids, label, 3, 1), (ids, label, 2, 2)]
    assert len({MemoryBatches(Examples(i, y), size, seed).fingerprint for i, y, size, seed in cases}) == len(cases)


def folder_of(tmp_path, folder):
    path = tmp_path / "fit.toml"
    path.write_text(f'name = "test"\n[data]\n{THREE}\nfolder = {folder}\n[model]\nname = "lr"\n')
    return find_folder(load_fit_config(path))


def test_the_first_folder_that_exists_counts(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there" / "frappe").mkdir(parents=True)
    candidates = '["$SOME_DATA/frappe", "nowhere", "here"]'
    monkeypatch.delenv("SOME_DATA", raising=False)
    assert folder_of(tmp_path, candidates) == tmp_path / "here"
    monkeypatch.setenv("SOME_DATA", str(tmp_path / "there"))
    assert folder_of(tmp_path, candidates) == tmp_path / "there" / "frappe"


def test_missing_data_are_an_error_that_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("SOME_DATA", raising=False)
    with pytest.raises(ConfigError) as caught:
        folder_of(tmp_path, '["$SOME_DATA/frappe", "nowhere"]')
    assert "expected a folder with train.csv, valid.csv, test.csv" in str(caught.value)
    assert "$SOME_DATA/frappe (not set), nowhere" in str(caught.value)
    with pytest.raises(InputError, match=r"valid\.csv: no such file"):
        load(tmp_path, train=TRAIN)


def test_a_part_without_rows_is_refused(tmp_path):
    with pytest.raises(InputError, match="the valid rows are none"):
        load(tmp_path, train=TRAIN, valid=TRAIN[:1], test=TRAIN)


def test_rows_without_fields_are_refused(tmp_path):
    with pytest.raises(InputError, match="no fields besides the label"):
        load(tmp_path, train=["label", "1"], valid=["label", "1"], test=["label", "0"])


def test_frappe_has_its_published_sizes(real_data):
    folder = real_data("frappe")
    data = load_dataset(load_fit_config(Path(__file__).parents[2] / "conf" / "experiments" / "frappe.toml"), folder)
    assert data.summary()["rows"] == {"train": 202027, "valid": 57722, "test": 28860}
    assert (data.layout.fields, data.layout.slots) == (10, 10)
    assert data.size == 1 + 20 + 5379  # padding, missing and other of each field, the values in train
    assert data.train.ids.min() == 21
    assert data.train.ids.max() == data.size - 1
    assert np.bincount(data.train.ids.ravel(), minlength=data.size)[21:].min() >= 1
