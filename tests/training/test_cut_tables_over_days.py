"""Tables grow from one tensor into several and back, with the optimizer's states, over checkpoints and compaction."""

import numpy as np
import pytest
from cut_cases import LAYOUT, LIMIT, SIZE, WHOLE, loss_of, network, rows, started, tensors_of, whole_values
from training_cases import Source

from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.explaining.layer_statistics import layer_statistics
from pnn_gluon.explaining.pair_strength import pair_strength
from pnn_gluon.explaining.rows import Rows
from pnn_gluon.models.registry import create_model
from pnn_gluon.ops import plain_operators
from pnn_gluon.training.carried_states import CarriedStates, kind_of
from pnn_gluon.training.export import PARAMETERS_FILE, export_model, exported_values, predict_logits, restore_exported
from pnn_gluon.training.families import family_of
from pnn_gluon.training.growth import warm_start, warm_start_from_common
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import read_values, save_values, take_values
from pnn_gluon.training.pretraining import copy_tables
from tests.models.model_checks import LAYOUTS, SMALL

NEW = np.array([2, 4, 2, 2, 4, 2, 2], np.int64)
"""Parents of the ids that come on the second day: the last part grows and others follow."""

LIMITS = {"cut on the second day": (WHOLE, LIMIT, LIMIT), "cut on two days": (LIMIT, LIMIT, WHOLE)}
OPTIMIZERS = [{}, {"optimizer": "adagrad"}, {"optimizer": "groupadagrad"}, {"optimizer": "ftrl", "devices": 2}]


def source():
    return Source(*rows(LAYOUT), 32)


def days(folder, limits, given):
    """Three days of an FM, each going on from the one before; the second has more ids. Values after each."""
    found = []
    for day, most in enumerate(limits):
        with tensors_of(most):
            before, new = (folder / str(day - 1), NEW if day == 1 else NEW[:0])
            net = started("fm") if day == 0 else network("fm", size=SIZE + len(NEW))
            if day:
                warm_start(net, before, new)
            options = TrainingOptions(**{"epochs": 1, "learning_rate": 0.05, **given})
            (folder / str(day)).mkdir(parents=True)
            carried = CarriedStates(folder / str(day), kind_of(options), before if day else None)
            train(net, source(), options, carried=carried)
            export_model(net, folder / str(day), LAYOUT.slots)
            found.append(whole_values(take_values(net)))
    return found


@pytest.mark.parametrize("given", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_days_go_on_from_tables_that_are_cut_otherwise(tmp_path, limits, given):
    expected = days(tmp_path / "whole", (WHOLE,) * 3, given)
    found = days(tmp_path / "cut", limits, given)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            np.testing.assert_array_equal(one[name], value, err_msg=name)


@pytest.mark.parametrize(("before", "after"), [(WHOLE, LIMIT), (LIMIT, WHOLE), (LIMIT, LIMIT)])
def test_compaction_takes_rows_and_states_of_tables_however_they_are_cut(tmp_path, before, after):
    kept = np.array([*range(9), 29, 17, 12, *range(20, 28)], np.int64)
    model = {"name": "fm", "options": {"embedding_size": SMALL["embedding_size"]}}
    options = TrainingOptions(epochs=1, optimizer="groupadagrad")
    found = {}
    for place, (one, other) in {"whole": (WHOLE, WHOLE), "cut": (before, after)}.items():
        big, small = tmp_path / place / "big", tmp_path / place / "small"
        for folder in (big, small):
            folder.mkdir(parents=True)
        with tensors_of(one):
            net = started("fm")
            train(net, source(), options, carried=CarriedStates(big, kind_of(options)))
            export_model(net, big, LAYOUT.slots)
        with tensors_of(other):
            family_of("fm").take_rows(big, small, model, LAYOUT, kept)
            values = exported_values(network("fm", size=len(kept)), small)
        states = whole_values(read_values(small / "optimizer.params"))
        found[place] = {**whole_values(values), **states}
    assert found["cut"].keys() == found["whole"].keys()
    for name, value in found["whole"].items():
        np.testing.assert_array_equal(found["cut"][name], value, err_msg=name)


class Stop(Exception):
    pass


@pytest.mark.parametrize("stop_after", [3, 7])
def test_a_stopped_run_of_cut_tables_goes_on_to_the_same_bytes(tmp_path, stop_after):
    options = TrainingOptions(epochs=3, patience=3, checkpoint_every=2, average_decay=0.9)

    def run(folder, progress=None):
        with tensors_of(LIMIT):
            net = started("deepfm")
            train(net, source(), options, validate=loss_of, checkpoint_dir=folder, progress=progress)
            return whole_values(take_values(net))

    def stop(told):
        if 5 * told.epoch + told.batches >= stop_after:
            raise Stop

    expected = run(tmp_path / "undisturbed")
    with pytest.raises(Stop):
        run(tmp_path / "stopped", stop)
    found = run(tmp_path / "stopped")
    assert all(np.array_equal(found[name], value) for name, value in expected.items())


def test_new_fields_begin_with_what_is_common(tmp_path):
    found = []
    for most in (WHOLE, LIMIT):
        with tensors_of(WHOLE):
            folder = tmp_path / str(most)
            folder.mkdir()
            export_model(started("fm"), folder, LAYOUT.slots)
        with tensors_of(most):
            net, wider = network("fm", size=SIZE + 3), network("fm", LAYOUTS["single"], SIZE + 3)
            anew = warm_start_from_common(net, wider, folder, np.array([2, 0, 4]))
            values = whole_values(take_values(net))
        found.append((anew, {name: value[:SIZE] if value.ndim > 1 else value for name, value in values.items()}))
        for name in ("embedding.embedding_weight", "linear.linear_weight"):
            np.testing.assert_array_equal(values[name][SIZE], values[name][2])
            np.testing.assert_array_equal(values[name][SIZE + 2], values[name][4])
    (anew, values), (cut_anew, cut_values) = found
    assert cut_anew == anew
    assert all(np.array_equal(cut_values[name], value) for name, value in values.items())


def test_a_network_takes_the_cut_tables_of_a_machine():
    with tensors_of(LIMIT):
        net, fm = network("deepfm"), started("fm")
        copy_tables(net, fm, 1)
        theirs, ours = (whole_values(take_values(each)) for each in (fm, net))
        for name in ("embedding.embedding_weight", "linear.linear_weight"):
            np.testing.assert_array_equal(ours[name], theirs[name])
        with pytest.raises(ConfigError, match=r"embedding_weight has the shape \(30, 3\), the network needs \(30, 4\)"):
            copy_tables(network("deepfm", embedding_size=4), fm, 1)


def test_plain_operators_do_not_train_cut_tables():
    with (
        tensors_of(LIMIT),
        plain_operators(),
        pytest.raises(ConfigError, match=r"embedding_weight, .*linear_weight: more numbers than the 20 of a tensor"),
    ):
        train(started("fm"), source(), TrainingOptions(epochs=1))


def test_files_of_which_a_part_is_missing_or_of_another_size_are_refused(tmp_path):
    with tensors_of(LIMIT):
        export_model(started("fm"), tmp_path, LAYOUT.slots)
        values = read_values(tmp_path / PARAMETERS_FILE)
        with pytest.raises(InputError, match=r"linear_weight has the shape \(30, 1\), the model \(31, 1\)"):
            restore_exported(network("fm", size=SIZE + 1), tmp_path)
        save_values(tmp_path / PARAMETERS_FILE, {k: v for k, v in values.items() if "embedding_weight_1of" not in k})
        with pytest.raises(InputError, match=r"parts of \w+embedding_weight are missing"):
            restore_exported(network("fm"), tmp_path)


def test_a_file_whose_parts_do_not_go_together_is_refused(tmp_path):
    with tensors_of(LIMIT):
        export_model(started("fm"), tmp_path, LAYOUT.slots)
        values = read_values(tmp_path / PARAMETERS_FILE)
        wrong = next(name for name in values if "embedding_weight_1of" in name)
        save_values(tmp_path / PARAMETERS_FILE, {**values, wrong: values[wrong][:, :2]})
        with pytest.raises(InputError, match=r"parts of \w+embedding_weight differ in more than their rows"):
            restore_exported(network("fm"), tmp_path)


def test_a_bundle_made_before_a_limit_was_lowered_scores_the_same_bits(tmp_path):
    export_model(net := started("din"), tmp_path, LAYOUT.slots)
    ids, _ = rows(LAYOUT, 40)
    with tensors_of(LIMIT):
        again = restore_exported(network("din"), tmp_path)
    np.testing.assert_array_equal(predict_logits(again, ids, 64), predict_logits(net, ids, 64))


@pytest.mark.parametrize("size", [SIZE, 2 * LIMIT])
def test_a_model_of_the_users_may_have_our_blocks_with_cut_tables(size):
    with tensors_of(LIMIT):
        net = create_model("pnn_gluon.models.fm:FM", LAYOUT, size, embedding_size=3)
    assert [len(block.parts) for block in (net.linear, net.embedding)] == [2, -(-size // 6)]


def test_statistics_of_layers_are_those_of_whole_tables():
    ids, label = rows(LAYOUT)
    number = np.arange(len(ids), dtype=np.uint64)
    found = []
    for most in (WHOLE, LIMIT):
        with tensors_of(most):
            found.append(layer_statistics(started("fm"), Rows(ids, label.astype(float), number, number, len(ids)), 0.5))
    for cut, whole in zip(*reversed(found), strict=True):
        assert (cut.layer, cut.parameters) == (whole.layer, whole.parameters)
        np.testing.assert_allclose([*vars(cut).values()][1:], [*vars(whole).values()][1:], rtol=1e-6)


def test_the_strength_of_pairs_is_that_of_whole_tables():
    field_of = np.array([-1, *(number % 4 for number in range(1, SIZE))], np.int16)
    found = []
    for most in (WHOLE, LIMIT):
        with tensors_of(most):
            found.append(pair_strength("fm", started("fm"), LAYOUT, field_of, rows(LAYOUT)[0]))
    assert found[0] == found[1]
