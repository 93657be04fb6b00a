"""Two days of training with the optimizer's states carried over are one training that had not ended between them."""

import re

import numpy as np
import pytest
from training_cases import LAYOUT, SIZE, same, source, values_of

from pnn_gluon.errors import InputError
from pnn_gluon.models.registry import create_model
from pnn_gluon.training.carried_states import CarriedStates, compact_states, kind_of, unusable
from pnn_gluon.training.export import export_model
from pnn_gluon.training.growth import warm_start
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import read_values

OPTIMIZERS = [
    {},
    {"decoupled": True, "embedding_l2": 0.01},
    {"optimizer": "adagrad", "learning_rate": 0.05},
    {"optimizer": "groupadagrad", "learning_rate": 0.05},
    {"optimizer": "ftrl", "learning_rate": 0.05, "l1": 0.001},
    {"optimizer": "adagrad", "devices": 2},
]
NO_PARENTS = np.empty(0, np.int64)


def options_of(given, epochs):
    return TrainingOptions(**{"learning_rate": 0.02, **given, "epochs": epochs})


def one_day(folder, given, before=None, new=NO_PARENTS, rows=None, **how):
    """A model trained for an epoch, from the folder of an earlier one if told, and saved with its states."""
    folder.mkdir(exist_ok=True)
    net = create_model("fm", LAYOUT, SIZE + len(new), embedding_size=4)
    if before is not None:
        warm_start(net, before, new)
    options = options_of(given, how.pop("epochs", 1))
    carried = CarriedStates(folder, kind_of(options), before)
    train(net, rows or source(), options, carried=carried, **how)
    export_model(net, folder, LAYOUT.slots)
    return net


def arrays(folder):
    return {name: value.asnumpy() for name, value in read_values(folder / "optimizer.params").items()}


@pytest.mark.parametrize("given", OPTIMIZERS)
def test_two_days_are_one_training_that_went_on(tmp_path, given):
    whole = create_model("fm", LAYOUT, SIZE, embedding_size=4)
    train(whole, source(), options_of(given, 2))
    one_day(tmp_path / "1", given)
    assert same(values_of(one_day(tmp_path / "2", given, tmp_path / "1")), values_of(whole))


def test_decay_that_rows_missed_is_not_counted_twice(tmp_path):
    given = {"decoupled": True, "embedding_l2": 0.05, "catch_up_decay": True}
    whole = create_model("fm", LAYOUT, SIZE, embedding_size=4)
    train(whole, source(), options_of(given, 2))
    one_day(tmp_path / "1", given)
    found, expected = values_of(one_day(tmp_path / "2", given, tmp_path / "1")), values_of(whole)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-8)


def test_adagrads_sums_are_those_of_all_gradients_and_those_of_new_ids_begin_at_zero(tmp_path):
    given = {"optimizer": "adagrad"}
    one_day(tmp_path / "1", given)
    one_day(tmp_path / "2", given, tmp_path / "1", np.array([2, 4]))
    first, second = arrays(tmp_path / "1"), arrays(tmp_path / "2")
    table = "embedding.embedding_weight:0"
    assert second[table].shape == (SIZE + 2, 4)
    assert (second[table][SIZE:] == 0).all()
    assert (second[table][:SIZE] >= first[table]).all()
    assert (second[table][:SIZE] > first[table]).any()
    assert second["embedding.embedding_weight:updates"] == 2 * first["embedding.embedding_weight:updates"]


@pytest.mark.parametrize("best", [0, 2])
def test_the_states_left_are_those_of_the_epoch_whose_parameters_are_kept(tmp_path, best):
    """Epochs are judged by number: the first or the last of three is best."""
    judged = iter([1.0, 2.0, 3.0] if best == 0 else [3.0, 2.0, 1.0])
    one_day(tmp_path / "a", {"patience": 3}, epochs=3, validate=lambda net: next(judged))
    one_day(tmp_path / "b", {}, epochs=best + 1)
    for file in ("optimizer.params", "model-0000.params"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


class Stop(Exception):
    pass


@pytest.mark.parametrize("stop_after", [3, 13, 29])
def test_a_stopped_day_goes_on_to_the_same_states(tmp_path, stop_after):
    given = {"optimizer": "adagrad", "checkpoint_every": 4, "patience": 3}
    one_day(tmp_path / "1", given)

    def second_day(folder, progress=None):
        judged = {10: 2.0, 20: 1.0, 30: 3.0}
        steps = {"n": 0}

        def judge(net):
            return judged[steps["n"]]

        def count(told):
            steps["n"] = 10 * told.epoch + told.batches
            if progress is not None and steps["n"] >= stop_after:
                raise Stop

        how = {"validate": judge, "progress": count, "checkpoint_dir": folder / "checkpoints", "epochs": 3}
        one_day(folder, given, tmp_path / "1", **how)
        return [(folder / name).read_bytes() for name in ("optimizer.params", "model-0000.params")]

    expected = second_day(tmp_path / "undisturbed")
    with pytest.raises(Stop):
        second_day(tmp_path / "stopped", progress=True)
    assert second_day(tmp_path / "stopped") == expected
    assert second_day(tmp_path / "stopped") == expected  # a finished one has its states too


@pytest.mark.parametrize(
    ("then", "why"),
    [
        ({"optimizer": "adam"}, "they are of .*'ftrl'.*those of today of .*'adam'"),
        ({"optimizer": "ftrl", "learning_rate": 0.1}, "they are of .*'learning_rate': 0.02.*'learning_rate': 0.1"),
        ({"optimizer": "ftrl"}, None),
    ],
)
def test_states_of_another_kind_are_told(tmp_path, then, why):
    one_day(tmp_path, {"optimizer": "ftrl"})
    found = unusable(tmp_path, options_of(then, 1))
    assert found is None if why is None else re.match(why, found)


def test_a_model_without_states_is_told(tmp_path):
    assert unusable(tmp_path, options_of({}, 1)) == "it has none"


def test_states_of_another_network_are_refused(tmp_path):
    one_day(tmp_path, {})
    carried = CarriedStates(tmp_path / "new", kind_of(options_of({}, 1)), tmp_path)
    with pytest.raises(InputError, match=r"optimizer.params: .*expected \(30, 3\).*carry_optimizer = false"):
        train(create_model("fm", LAYOUT, SIZE, embedding_size=3), source(), options_of({}, 1), carried=carried)


def test_compact_states_have_the_rows_that_are_kept(tmp_path):
    (tmp_path / "compact").mkdir()
    one_day(tmp_path, {})
    kept = np.array([0, 2, 5, 29])
    compact_states(tmp_path, tmp_path / "compact", kept)
    before, after = arrays(tmp_path), arrays(tmp_path / "compact")
    assert before.keys() == after.keys()
    for key, value in before.items():
        rows = kept if "_weight:" in key and not key.endswith("updates") else slice(None)
        np.testing.assert_array_equal(after[key], value[rows])
    assert (tmp_path / "compact" / "optimizer.json").read_text() == (tmp_path / "optimizer.json").read_text()
