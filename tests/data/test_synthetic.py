import gzip
from collections import Counter
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import scipy.sparse
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import roc_auc_score

from pnn_gluon.data.synthetic import FAULTS, SyntheticOptions, write_day, write_requests
from pnn_gluon.data.synthetic_world import NUMBERS, PAIRS, World, mix
from pnn_gluon.errors import ConfigError, InputError

FIRST, SECOND, THIRD = date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)
SMALL = SyntheticOptions(seed=7, first_day=FIRST, rows_per_day=3000, request_rows_per_day=2000)
HEX = set("0123456789abcdef")


def cells_of(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def bytes_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_log_line_has_criteo_columns(tmp_path):
    text = write_day(SMALL, FIRST, tmp_path).log_files[0].read_text()
    rows = [line.split("\t") for line in text.splitlines()]
    assert text.endswith("\n")
    assert len(rows) == 3000
    assert {len(row) for row in rows} == {40}
    assert {row[0] for row in rows} == {"0", "1"}
    assert all(cell == "" or str(int(cell)) == cell for row in rows for cell in row[1:14])
    assert all(cell == "" or (len(cell) == 8 and set(cell) <= HEX) for row in rows for cell in row[14:])
    assert {"-1", "-2"} <= {row[2] for row in rows}
    assert all(any(row[column] == "" for row in rows) for column in (1, 16, 39))


def test_the_hour_column_walks_through_24_tokens_in_order(tmp_path):
    tokens = [row[19] for row in cells_of(write_day(SMALL, SECOND, tmp_path).log_files[0])]
    changes = sum(one != other for one, other in pairwise(tokens))
    assert len(set(tokens)) == 24
    assert changes == 23


@pytest.mark.parametrize("compression", ["none", "gz", "zst"])
def test_days_have_the_same_bytes_in_any_order(tmp_path, compression):
    options = replace(SMALL, compression=compression, files_per_day=2, bad_line_share=0.1)
    for day in (FIRST, SECOND, THIRD):
        write_day(options, day, tmp_path / "one")
        write_requests(options, day, tmp_path / "one")
    for day in (THIRD, FIRST, SECOND):
        write_requests(options, day, tmp_path / "other")
        write_day(options, day, tmp_path / "other")
    assert bytes_below(tmp_path / "one") == bytes_below(tmp_path / "other")
    assert len(bytes_below(tmp_path / "one")) == 3 * (2 + 1 + 1 + 1)


def test_compression_does_not_change_the_lines(tmp_path):
    plain = write_day(SMALL, FIRST, tmp_path / "plain").log_files[0].read_bytes()
    gz = write_day(replace(SMALL, compression="gz"), FIRST, tmp_path / "gz").log_files[0]
    zst = write_day(replace(SMALL, compression="zst"), FIRST, tmp_path / "zst").log_files[0]
    assert (gz.name, zst.name) == ("part-0.tsv.gz", "part-0.tsv.zst")
    assert gzip.decompress(gz.read_bytes()) == plain
    assert pa.CompressedInputStream(str(zst), "zstd").read() == plain


def test_rewriting_a_day_leaves_no_file_of_its_old_version(tmp_path):
    write_day(replace(SMALL, files_per_day=3), FIRST, tmp_path)
    write_day(SMALL, FIRST, tmp_path)
    assert sorted(bytes_below(tmp_path)) == ["logs/2024-02-28/part-0.tsv", "truth/2024-02-28.parquet"]


def test_an_interrupted_rewrite_leaves_the_old_day_whole(tmp_path, monkeypatch):
    write_day(SMALL, FIRST, tmp_path)
    before = bytes_below(tmp_path)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pnn_gluon.data.synthetic._truth", stop)
    with pytest.raises(KeyboardInterrupt):
        write_day(replace(SMALL, seed=8), FIRST, tmp_path)
    assert bytes_below(tmp_path) == before


def test_truth_names_every_line_of_every_file(tmp_path):
    written = write_day(replace(SMALL, files_per_day=3, rows_per_day=1000), FIRST, tmp_path)
    truth = pq.read_table(written.truth_file).to_pydict()
    expected = [
        (path.name, line) for path in written.log_files for line in range(1, 1 + len(path.read_text().splitlines()))
    ]
    assert list(zip(truth["file"], truth["line"], strict=True)) == expected
    assert written.rows == len(expected) == 1000


@pytest.fixture(scope="module")
def three_days(tmp_path_factory):
    """Cells (rows, 39), labels and true probabilities of three days of the default world, and their bounds."""
    options = SyntheticOptions(seed=3, first_day=FIRST, rows_per_day=100_000, request_rows_per_day=100_000)
    folder, names = tmp_path_factory.mktemp("days"), [f"column{i}" for i in range(40)]
    tables, truths = [], []
    for day in (FIRST, SECOND, THIRD):
        written = write_day(options, day, folder)
        tables.append(
            pyarrow.csv.read_csv(
                written.log_files[0],
                pyarrow.csv.ReadOptions(column_names=names),
                pyarrow.csv.ParseOptions(delimiter="\t"),
                pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
            )
        )
        truths.append(pq.read_table(written.truth_file))
    requests = pq.read_table(write_requests(options, THIRD, folder).truth_file)
    return pa.concat_tables(tables), pa.concat_tables(truths), requests


def binned_z(label, probability, bins=20):
    """Largest |clicks - expected| / deviation over bins of equal size, ordered by probability."""
    order = np.argsort(probability)
    scores = []
    for part in np.array_split(order, bins):
        variance = (probability[part] * (1 - probability[part])).sum()
        scores.append((label[part].sum() - probability[part].sum()) / np.sqrt(variance))
    return np.abs(scores).max()


def test_clicks_of_logs_and_requests_follow_the_true_probability(three_days):
    log, truth, requests = three_days
    probability = truth["probability"].to_numpy()
    label = log["column0"].to_numpy().astype(int)
    assert binned_z(label, probability) < 3.5
    assert binned_z(label, np.clip(probability * 1.1, 0, 1)) > 3.5  # the test can tell a 10 % error
    assert binned_z(requests["label"].to_numpy(), requests["probability"].to_numpy()) < 3.5
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-truth["logit"].to_numpy())), rtol=1e-12)


@pytest.mark.parametrize("click_rate", [0.02, 0.3])
def test_the_first_day_clicks_at_the_asked_rate(tmp_path, click_rate):
    options = replace(SMALL, click_rate=click_rate, rows_per_day=50_000)
    truth = pq.read_table(write_day(options, FIRST, tmp_path).truth_file)
    assert truth["probability"].to_numpy().mean() == pytest.approx(click_rate, rel=0.03)


def test_values_have_a_long_tail(three_days):
    log = three_days[0]
    counts = np.array(sorted(Counter(log["column16"].to_pylist()).values(), reverse=True))  # C3
    assert len(counts) > 3000
    assert counts[:70].sum() > 0.45 * counts.sum()
    assert (counts <= 5).sum() > 0.15 * len(counts)


@pytest.mark.parametrize("drift", [0.02, 0.1])
def test_the_asked_share_of_values_begins_every_day(drift):
    world = World(replace(SMALL, drift=drift, vocabulary="criteo"))
    slots = np.arange(12_517, dtype=np.uint32)  # C7
    seen = set(world.values(6, slots, 0).tolist())
    for day_number in (1, 2, 3):
        fresh = set(world.values(6, slots, day_number).tolist()) - seen
        assert len(fresh) / len(slots) == pytest.approx(drift, rel=0.2)
        assert min(fresh) >= len(slots)  # beyond every value of the first day
        seen |= fresh


def test_a_popular_value_fades_while_its_successor_grows():
    world = World(replace(SMALL, drift=0.1))
    slots = np.zeros(4, dtype=np.uint32)
    patience = np.arange(4, dtype=np.uint32)
    old = world.values(6, slots, 0)[0]
    shares = [np.mean(world.values(6, slots, day_number, patience) == old) for day_number in range(20)]
    birth = shares.index(0.75)
    assert shares[birth - 1 : birth + 4] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert set(shares[:birth]) == {1.0}


def test_without_drift_no_value_ever_changes():
    world = World(replace(SMALL, drift=0.0))
    slots = np.arange(1000, dtype=np.uint32)
    np.testing.assert_array_equal(world.values(6, slots, 300), world.values(6, slots, 0))


def test_distinct_values_have_distinct_tokens():
    assert len(np.unique(mix(np.arange(1 << 20, dtype=np.uint32)))) == 1 << 20


def test_requests_are_lines_without_label_that_no_log_holds(tmp_path):
    log = cells_of(write_day(SMALL, FIRST, tmp_path).log_files[0])
    written = write_requests(SMALL, FIRST, tmp_path)
    requests = cells_of(written.request_files[0])
    assert (len(requests), {len(row) for row in requests}) == (2000, {39})
    assert not {tuple(row) for row in requests} & {tuple(row[1:]) for row in log}
    assert len({row[18] for row in requests} & {row[19] for row in log}) == 24  # the same world
    assert pq.read_table(written.truth_file)["line"].to_pylist() == list(range(1, 2001))


def fault_in(line):
    """What a strict reader would say of a line."""
    cells = line.split("\t")
    if len(cells) != 40:
        return "truncated" if len(cells) < 40 else "extra_columns"
    if cells[0] not in {"0", "1"}:
        return "bad_label"
    numeric = all(cell == "" or cell.lstrip("-").isdigit() for cell in cells[1:14])
    return None if numeric else "bad_integer"


def test_truth_says_which_lines_are_bad_and_why(tmp_path):
    options = replace(SMALL, bad_line_share=0.2)
    bad, good = write_day(options, FIRST, tmp_path / "bad"), write_day(SMALL, FIRST, tmp_path / "good")
    lines, truth = bad.log_files[0].read_text().splitlines(), pq.read_table(bad.truth_file)
    faults = truth["fault"].to_pylist()
    assert [fault_in(line) for line in lines] == faults
    assert {fault for fault in faults if fault} == set(FAULTS)
    assert 500 < sum(fault is not None for fault in faults) < 700
    for column in ("probability", "logit"):
        assert [value is None for value in truth[column].to_pylist()] == [fault is not None for fault in faults]
    whole = good.log_files[0].read_text().splitlines()
    assert all(line == whole[i] for i, line in enumerate(lines) if faults[i] is None)


def one_hot(columns, width=1 << 18):
    """Hashed one-hot rows of integer columns, (rows, width)."""
    places = [(codes * 40503 + 1_000_003 * j) % width for j, codes in enumerate(columns)]
    indices = np.stack(places, axis=1)
    rows, cells = indices.shape
    pointers = np.arange(0, rows * cells + 1, cells)
    return scipy.sparse.csr_matrix((np.ones(rows * cells), indices.ravel(), pointers), (rows, width))


def test_crosses_beat_ids_and_truth_beats_both(three_days):
    log, truth, _ = three_days
    codes = [log[f"column{i}"].combine_chunks().dictionary_encode().indices.to_numpy() for i in range(1, 40)]
    codes = [codes_of.astype(np.int64) for codes_of in codes]
    crosses = [codes[NUMBERS + a] * 7919 + codes[NUMBERS + b] for a, b in PAIRS]
    label, train, test = log["column0"].to_numpy().astype(int), slice(0, 200_000), slice(200_000, None)

    def auc(columns):
        rows = one_hot(columns)
        model = SGDClassifier(loss="log_loss", alpha=2e-5, max_iter=5, tol=None, average=True, random_state=0)
        return roc_auc_score(label[test], model.fit(rows[train], label[train]).decision_function(rows[test]))

    linear, crossed = auc(codes), auc(codes + crosses)
    best = roc_auc_score(label[test], truth["probability"].to_numpy()[test])
    print(f"AUC: ids {linear:.4f}, with crosses {crossed:.4f}, truth {best:.4f}")
    assert 0.78 < best < 0.82
    assert linear > 0.6
    assert crossed > linear + 0.015
    assert best > crossed + 0.01


def test_interaction_strength_and_hour_effect_change_the_truth(tmp_path):
    def logit(name, **changes):
        written = write_day(replace(SMALL, **changes), FIRST, tmp_path / name)
        return pq.read_table(written.truth_file)["logit"].to_numpy()

    base = logit("base")
    assert logit("strong", interaction_strength=2.0).std() > 1.2 * base.std()
    assert logit("none", interaction_strength=0.0).std() < 0.85 * base.std()
    flat, wavy = logit("flat", hour_effect=0.0), logit("wavy", hour_effect=1.0)
    assert (wavy - flat).max() - (wavy - flat).min() == pytest.approx(2.0, rel=1e-6)


def test_vocabulary_options_set_the_number_of_values():
    demo, criteo = SMALL.sizes, replace(SMALL, vocabulary="criteo").sizes
    assert max(demo) < 10_000 < 10_000_000 < max(criteo)
    assert demo[5] == criteo[5] == 24
    assert max(replace(SMALL, vocabulary_scale=0.5).sizes) == round(max(demo) * 0.5)


def test_a_day_before_the_world_is_refused_and_leaves_nothing(tmp_path):
    for write in (write_day, write_requests):
        with pytest.raises(InputError, match="2024-02-28 or later"):
            write(SMALL, date(2024, 2, 27), tmp_path)
    assert not list(Path(tmp_path).iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("rows_per_day", 0),
        ("request_rows_per_day", 0),
        ("vocabulary", "huge"),
        ("vocabulary_scale", 0.0),
        ("click_rate", 0.0),
        ("drift", 1.5),
        ("interaction_strength", -1.0),
        ("hour_effect", float("nan")),
        ("bad_line_share", 1.1),
        ("files_per_day", 3001),
        ("compression", "bz2"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f"SyntheticOptions.{name}: expected .* received"):
        replace(SMALL, **{name: value})
