import numpy as np
import pytest
from training_cases import LAYOUT, SIZE, model, problem, same, source, values_of

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import InputError
from pnn_gluon.models.registry import create_model
from pnn_gluon.training.export import export_model, exported_values, predict_logits
from pnn_gluon.training.growth import grow_values, warm_start, warm_start_from_common
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions

OTHER_A, OTHER_TAGS = 2, 4
PARENTS = np.array([OTHER_A, OTHER_TAGS, OTHER_A], np.int64)  # the new ids 30, 31, 32
OPTIONS = TrainingOptions(epochs=1, learning_rate=0.02)


@pytest.fixture
def trained(tmp_path):
    net = model("deepfm")
    train(net, source(), OPTIONS)
    export_model(net, tmp_path, LAYOUT.slots)
    return net, tmp_path


def grown_model(path, parents=PARENTS):
    net = create_model("deepfm", LAYOUT, SIZE + len(parents), embedding_size=4, hidden=(8, 4))
    warm_start(net, path, parents)
    return net


def test_rows_of_the_old_map_keep_the_bits_of_their_logits(trained):
    net, path = trained
    ids, _ = problem(200, seed=5)
    np.testing.assert_array_equal(predict_logits(grown_model(path), ids, 64), predict_logits(net, ids, 64))


def test_a_value_that_left_other_keeps_the_bits_of_its_logits(trained):
    net, path = trained
    old, _ = problem(200, seed=6)
    old[:, 0] = OTHER_A
    old[:, 1] = OTHER_TAGS
    new = old.copy()
    new[:100, 0], new[100:, 0], new[:, 1] = 30, 32, 31
    np.testing.assert_array_equal(predict_logits(grown_model(path), new, 64), predict_logits(net, old, 64))


def test_tables_grow_by_copies_of_the_parents_and_the_rest_stays(trained):
    net, path = trained
    before, after = values_of(net), values_of(grown_model(path))
    for name, value in before.items():
        if name.endswith(("embedding_weight", "linear_weight")):
            np.testing.assert_array_equal(after[name], np.concatenate([value, value[PARENTS]]))
        else:
            np.testing.assert_array_equal(after[name], value)


def test_no_new_ids_leave_everything_as_it_was(trained):
    net, path = trained
    assert same(values_of(grown_model(path, np.empty(0, np.int64))), values_of(net))


def test_a_grown_model_trains_its_new_rows(trained):
    before, path = trained
    net = grown_model(path)
    data = source()
    data.ids[:, 0] = 30
    train(net, data, OPTIONS)
    table = net.embedding.embedding_weight.data().asnumpy()
    assert (table[30] != table[OTHER_A]).all()
    np.testing.assert_array_equal(table[32], values_of(before)["embedding.embedding_weight"][OTHER_A])


@pytest.mark.parametrize("parents", [np.array([0]), np.array([SIZE]), np.array([-1])])
def test_parents_outside_the_old_map_are_refused(trained, parents):
    net, path = trained
    with pytest.raises(InputError, match=r"in \[1, 30\)"):
        grow_values(exported_values(net, path), parents)


def test_a_model_of_another_size_is_refused(trained):
    _, path = trained
    net = create_model("deepfm", LAYOUT, SIZE + 2, embedding_size=4, hidden=(8, 4))
    with pytest.raises(InputError, match=r"linear.linear_weight has the shape \(33, 1\), the model \(32, 1\)"):
        warm_start(net, path, PARENTS)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read as parameters"):
        warm_start(model(), tmp_path / "missing", PARENTS)


WIDER = FieldLayout((*LAYOUT.names, "new"), (*LAYOUT.widths, 1))
WIDEST = FieldLayout((*WIDER.names, "one more"), (*WIDER.widths, 1))


@pytest.mark.parametrize(
    ("name", "options", "anew"),
    [
        ("fm", {"embedding_size": 4}, []),
        ("deepfm", {"embedding_size": 4, "hidden": (8, 4)}, ["mlp.0.dense.weight"]),
        ("ffm", {"embedding_size": 2}, ["embedding.embedding_weight"]),
    ],
)
def test_a_model_of_other_fields_starts_with_all_that_no_field_has_a_part_in(tmp_path, name, options, anew):
    net = create_model(name, LAYOUT, SIZE, **options)
    train(net, source(), OPTIONS)
    export_model(net, tmp_path, LAYOUT.slots)
    grown, wider = (create_model(name, layout, SIZE + 3, **options) for layout in (WIDER, WIDEST))
    found = warm_start_from_common(grown, wider, tmp_path, np.array([0, 0, OTHER_A], np.int32))
    assert len(found) == len(anew)
    before, after = values_of(net), values_of(grown)
    for key, value in before.items():
        if key in found:
            assert value.shape != after[key].shape
        elif key.endswith(("embedding_weight", "linear_weight")):
            np.testing.assert_array_equal(after[key][:SIZE], value)
            np.testing.assert_array_equal(after[key][SIZE + 2], value[OTHER_A])
            if key.endswith("embedding_weight"):
                assert after[key][SIZE : SIZE + 2].any(axis=1).all()  # as the network starts
        else:
            np.testing.assert_array_equal(after[key], value)


def test_a_replaced_field_leaves_no_weight_of_the_old_one(tmp_path):
    """As many fields as before: shapes are equal, and what a field has a part in starts anew all the same."""
    net = model("deepfm")
    train(net, source(), OPTIONS)
    export_model(net, tmp_path, LAYOUT.slots)
    grown = create_model("deepfm", LAYOUT, SIZE, embedding_size=4, hidden=(8, 4))
    wider = create_model("deepfm", WIDER, SIZE, embedding_size=4, hidden=(8, 4))
    (anew,) = warm_start_from_common(grown, wider, tmp_path, np.empty(0, np.int32))
    assert not (values_of(grown)[anew] == values_of(net)[anew]).all()
