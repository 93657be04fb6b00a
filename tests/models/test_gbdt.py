"""Gradient boosted trees: logits from the definition, learning, early stopping, files."""

import dataclasses
import hashlib
import json
import os
from subprocess import run
from sys import executable

import numpy as np
import pytest

from pnn_gluon.blocks.id_numbers import IdNumbers
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.models.declared import declared
from pnn_gluon.models.gbdt import CARD_FILE, COUNTS_FILE, GBDT, MODEL_FILE, SCORING_ROWS, GBDTOptions
from pnn_gluon.training.gbdt import Validation, in_memory, train_gbdt
from pnn_gluon.training.trees import FAMILY

LAYOUT = FieldLayout.from_widths({"a": 1, "tags": 2, "b": 1})
SIZE = 60
SMALL = GBDTOptions(trees=8, depth=4, shrinkage=0.3)


def problem(rows, seed=0):
    """Frequent ids of the first field are clicked more often; so are rows whose `a` and `b` lie on one side."""
    random = np.random.default_rng(seed)
    a = 1 + np.minimum(random.geometric(0.15, rows), 19)
    tags = random.integers(20, 40, (rows, 2)) * (random.random((rows, 2)) < 0.7)
    b = random.integers(40, SIZE, rows)
    score = np.where(a <= 5, 1.0, -1.0) + np.where((a <= 3) == (b < 50), 1.5, -1.5)
    label = (random.random(rows) < 1 / (1 + np.exp(-score))).astype(np.float32)
    return np.column_stack([a, tags, b]).astype(np.int32), label


TRAIN, HELD_OUT = problem(3000), problem(2000, seed=1)


def log_loss(label, logits):
    """Mean of log(1 + exp(-z)) for clicks and log(1 + exp(z)) for the rest."""
    return float(np.logaddexp(0, np.where(label == 1, -1, 1) * logits.astype(np.float64)).mean())


def fit(options=SMALL, rows=TRAIN, **keywords):
    return train_gbdt(LAYOUT, SIZE, in_memory(*rows), options, **keywords)


def held_out(patience=10, loss=log_loss):
    return Validation(in_memory(*HELD_OUT), loss, patience)


def content(model, folder):
    folder.mkdir()
    return [path.read_bytes() for path in model.save(folder)]


@pytest.fixture(scope="module")
def fitted():
    return fit().model


def leaf(tree, numbers):
    """Value of the leaf that one row's numbers fall in, by XGBoost's description of its JSON."""
    node = 0
    while tree["left_children"][node] != -1:
        number = numbers[tree["split_indices"][node]]
        missing = bool(tree["default_left"][node])
        left = missing if np.isnan(number) else number < np.float32(tree["split_conditions"][node])
        node = tree["left_children" if left else "right_children"][node]
    return tree["split_conditions"][node]


def test_logits_are_base_and_sum_of_leaves(fitted, tmp_path):
    fitted.save(tmp_path)
    learner = json.loads((tmp_path / MODEL_FILE).read_text())["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    ids = HELD_OUT[0][:50]
    expected = [np.log(base / (1 - base)) + sum(leaf(tree, row) for tree in trees) for row in fitted.numbers(ids)]
    np.testing.assert_allclose(fitted.logits(ids), expected, rtol=1e-4, atol=1e-5)
    assert fitted.parameters == sum(len(tree["left_children"]) for tree in trees)
    assert fitted.trees == len(trees) == 8


def test_frequencies_and_interactions_are_learnt():
    model = fit(GBDTOptions(trees=40, depth=4, shrinkage=0.2)).model
    label = HELD_OUT[1]
    constant = log_loss(label, np.full(len(label), np.log(label.mean() / (1 - label.mean()))))
    truth = log_loss(label, _true_logits(HELD_OUT[0]))
    found = log_loss(label, model.logits(HELD_OUT[0]))
    assert truth < found < truth + 0.2 * (constant - truth)


def _true_logits(ids):
    a, b = ids[:, 0], ids[:, 3]
    return np.where(a <= 5, 1.0, -1.0) + np.where((a <= 3) == (b < 50), 1.5, -1.5)


def test_a_logit_does_not_depend_on_the_rows_beside_it(fitted):
    ids = np.resize(HELD_OUT[0], (SCORING_ROWS + 10, LAYOUT.slots))
    whole = fitted.logits(ids)
    np.testing.assert_array_equal(
        fitted.logits(ids[SCORING_ROWS - 3 : SCORING_ROWS + 4]), whole[SCORING_ROWS - 3 :][:7]
    )
    assert fitted.logits(ids[:0]).shape == (0,)
    assert whole.dtype == np.float32


def test_saved_and_loaded_model_is_the_same(fitted, tmp_path):
    before = content(fitted, tmp_path / "one")
    loaded = FAMILY.load(tmp_path / "one", {"name": "gbdt"}, LAYOUT)
    assert content(loaded, tmp_path / "two") == before
    np.testing.assert_array_equal(loaded.logits(HELD_OUT[0]), fitted.logits(HELD_OUT[0]))


@pytest.mark.parametrize("subsample", [1.0, 0.5])
def test_equal_rows_and_options_give_equal_bytes(tmp_path, subsample):
    options = dataclasses.replace(SMALL, subsample=subsample)
    first = content(fit(options).model, tmp_path / "one")
    fit(options, seed=9)  # what another run draws in between plays no part
    assert content(fit(options).model, tmp_path / "two") == first


OTHER_PROCESS = """
import sys
from pathlib import Path
from tests.models.test_gbdt import fit
fit().model.save(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("threads", ["1", "3"])
def test_another_process_with_other_threads_gives_equal_bytes(fitted, tmp_path, threads):
    before = content(fitted, tmp_path / "one")
    (tmp_path / "two").mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    run([executable, "-c", OTHER_PROCESS, str(tmp_path / "two")], check=True, env=environment)
    assert [(tmp_path / "two" / name).read_bytes() for name in (CARD_FILE, MODEL_FILE, COUNTS_FILE)] == before


def test_scoring_with_trees_loads_no_mxnet(fitted, tmp_path):
    fitted.save(tmp_path)
    code = (
        "import sys; from pathlib import Path; from pnn_gluon.blocks.layout import FieldLayout;"
        "from pnn_gluon.training.families import family_of;"
        "layout = FieldLayout.from_widths({'a': 1, 'tags': 2, 'b': 1});"
        "family_of('gbdt').load(Path(sys.argv[1]), {'name': 'gbdt'}, layout); assert 'mxnet' not in sys.modules"
    )
    run([executable, "-c", code, str(tmp_path)], check=True)


OTHER = {"trees": 5, "depth": 2, "shrinkage": 0.1, "min_child_weight": 40.0, "subsample": 0.5, "bins": 4}


@pytest.mark.parametrize("option", OTHER)
def test_every_option_has_an_effect(fitted, option):
    other = fit(dataclasses.replace(SMALL, **{option: OTHER[option]})).model
    assert not np.array_equal(other.logits(HELD_OUT[0]), fitted.logits(HELD_OUT[0]))


def test_options_are_those_of_the_configuration():
    assert set(OTHER) == {field.name for field in dataclasses.fields(GBDTOptions)} == declared("gbdt").options.keys()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("trees", 0),
        ("depth", 0),
        ("bins", 1),
        ("shrinkage", 0.0),
        ("shrinkage", 1.5),
        ("subsample", 0.0),
        ("min_child_weight", -1.0),
        ("min_child_weight", float("nan")),
    ],
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=f"gbdt: {option} must be"):
        GBDTOptions(**{option: value})


def test_a_patience_below_one_is_refused():
    with pytest.raises(ConfigError, match="patience must be 1 or more, not 0"):
        held_out(patience=0)


def test_the_seed_decides_the_draws_of_rows(fitted):
    half = dataclasses.replace(SMALL, subsample=0.5)
    one, two = (fit(half, seed=seed).model.logits(HELD_OUT[0]) for seed in (1, 2))
    assert not np.array_equal(one, two)


def test_validation_sees_the_models_own_logits_and_the_labels_after_each_tree(fitted):
    seen = []

    def loss(label, logits):
        seen.append((label.copy(), logits.copy()))
        return -float(len(seen))

    found = fit(validation=held_out(loss=loss))
    assert found.history == tuple(-float(n) for n in range(1, 9))
    np.testing.assert_array_equal(seen[-1][0], HELD_OUT[1])
    np.testing.assert_array_equal(seen[-1][1], fitted.logits(HELD_OUT[0]))


def test_training_stops_when_validation_does_not_improve_and_keeps_the_best_trees(tmp_path):
    values = iter([5.0, 3.0, 4.0, 3.0, 9.0, 9.0, 9.0])
    found = fit(validation=held_out(patience=3, loss=lambda label, logits: next(values)))
    assert found.history == (5.0, 3.0, 4.0, 3.0, 9.0)
    two = fit(dataclasses.replace(SMALL, trees=2))
    assert content(found.model, tmp_path / "stopped") == content(two.model, tmp_path / "two")


def test_the_held_out_rows_decide_nothing_but_the_number_of_trees(tmp_path):
    found = fit(validation=Validation(in_memory(HELD_OUT[0][:100], 1 - HELD_OUT[1][:100]), log_loss, 8))
    alone = fit(dataclasses.replace(SMALL, trees=found.model.trees))
    assert content(found.model, tmp_path / "one") == content(alone.model, tmp_path / "two")


def test_progress_tells_trees_and_validation():
    told = []
    found = fit(
        GBDTOptions(trees=100, depth=2, shrinkage=0.05),
        validation=held_out(100),
        progress=lambda trees, value: told.append((trees, value)),
    )
    assert told == [(50, found.history[49]), (100, found.history[99])]


def test_a_validation_without_a_value_is_an_error():
    with pytest.raises(PnnError, match="validation after tree 1 gave nan"):
        fit(validation=held_out(loss=lambda label, logits: float("nan")))


def test_no_rows_and_bad_ids_are_refused():
    with pytest.raises(InputError, match="no rows"):
        fit(rows=(TRAIN[0][:0], TRAIN[1][:0]))
    with pytest.raises(InputError, match=rf"row 0: id {SIZE}, expected"):
        fit(rows=(np.full((1, LAYOUT.slots), SIZE, np.int32), np.zeros(1)))


def test_an_error_while_reading_is_the_readers_own():
    reads = []

    def rows():
        reads.append(1)
        yield TRAIN
        if len(reads) > 2:
            raise InputError("day-3.h5: cannot be read")

    with pytest.raises(InputError, match=r"day-3\.h5"):
        train_gbdt(LAYOUT, SIZE, rows, SMALL)


def test_ids_that_training_never_saw_are_scored():
    rows = (TRAIN[0][TRAIN[0][:, 0] != 4], TRAIN[1][TRAIN[0][:, 0] != 4])
    model = fit(rows=rows).model
    unseen = TRAIN[0][TRAIN[0][:, 0] == 4]
    assert model.numbers.counts[4] == 0
    assert np.isfinite(model.logits(unseen)).all()


def test_ids_beyond_the_table_are_refused_when_scoring(fitted):
    with pytest.raises(InputError, match=rf"id {SIZE}, expected ids in \[0, {SIZE}\)"):
        fitted.logits(np.full((1, LAYOUT.slots), SIZE, np.int32))


@pytest.mark.parametrize("damage", [b"", b"no", b"{}"])
@pytest.mark.parametrize("name", [CARD_FILE, MODEL_FILE, COUNTS_FILE])
def test_damaged_files_are_refused(fitted, tmp_path, name, damage):
    fitted.save(tmp_path)
    (tmp_path / name).write_bytes(damage)
    with pytest.raises(InputError, match="train it again"):
        GBDT.load(tmp_path)


def test_a_missing_file_and_counts_of_another_model_are_refused(fitted, tmp_path):
    with pytest.raises(InputError, match="cannot be read as a gbdt model"):
        GBDT.load(tmp_path)
    GBDT(IdNumbers(LAYOUT, fitted.numbers.counts + 1), fitted.booster).save(tmp_path)
    counts = (tmp_path / COUNTS_FILE).read_bytes()
    fitted.save(tmp_path)
    (tmp_path / COUNTS_FILE).write_bytes(counts)
    with pytest.raises(InputError, match=f"{COUNTS_FILE}: not the file the model was saved with"):
        GBDT.load(tmp_path)


def test_one_hash_names_the_whole_model(fitted, tmp_path):
    fitted.save(tmp_path)
    assert FAMILY.parameters_file() == CARD_FILE
    card = json.loads((tmp_path / CARD_FILE).read_text())
    hashes = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in (MODEL_FILE, COUNTS_FILE)}
    assert card == {"fields": {"a": 1, "tags": 2, "b": 1}, "sha256": hashes}
