import numpy as np
import pytest
from local_activation_oracle import local_activation
from model_checks import LAYOUTS, SIZE, K, check_equation, small_model, some_ids
from numpy_models import backward, field_values, field_vectors, gradients, int32, mlp, randomize, within

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import plain_operators
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import export_model, load_exported, predict_logits

MULTI = LAYOUTS["multi"]


def interests(layout, ids, values, candidate, history, hidden, activation):
    """Sum over a row's history of weight times vector: (B, K)."""
    table, v = values["embedding.embedding_weight"], field_vectors(layout, ids, values["embedding.embedding_weight"])
    histories = [list(field_values(layout, row))[layout.names.index(history)] for row in ids]
    owners = [row for row, past in enumerate(histories) for _ in past]
    pairs = [(table[i], v[row, layout.names.index(candidate)]) for row, past in enumerate(histories) for i in past]
    weights = local_activation(pairs, within(values, "activation"), hidden, activation)
    total = np.zeros((len(ids), table.shape[1]))
    for row, weight, (e, _) in zip(owners, weights, pairs, strict=True):
        total[row] += weight * e
    return total


def oracle_of(candidate="a", history="tags", attention_hidden=(3,), attention_activation="tanh", activation="tanh"):
    def din(layout, ids, values):
        v = field_vectors(layout, ids, values["embedding.embedding_weight"])
        found = interests(layout, ids, values, candidate, history, len(attention_hidden), attention_activation)
        v[:, layout.names.index(history)] = found
        return mlp(v.reshape(len(ids), -1), within(values, "mlp"), 2, activation)[:, 0]

    return din


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(
    ("layout", "candidate", "history"),
    [
        (MULTI, "a", "tags"),
        (MULTI, "c", "tags"),
        (FieldLayout.from_widths({"past": 2, "b": 1, "tags": 2, "item": 1}), "item", "past"),
        (FieldLayout.from_widths({"item": 1, "past": 3}), "item", "past"),
        (LAYOUTS["single"], "a", "b"),
        (LAYOUTS["single"], "c", "a"),
    ],
)
def test_logits_and_gradients_equal_the_equation(layout, candidate, history, hybrid):
    fields = {"candidate": candidate, "history": history}
    check_equation("din", oracle_of(**fields), layout, hybrid, **fields)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"attention_hidden": (3, 2)},
        {"attention_activation": "prelu"},
        {"attention_activation": "dice", "attention_hidden": (4, 3)},
        {"activation": "prelu"},
        {"activation": "dice", "attention_activation": "dice"},
    ],
)
def test_options_have_the_effect_of_the_equation(options, hybrid):
    check_equation("din", oracle_of(**options), MULTI, hybrid, **options)


def test_constant_weights_of_one_give_the_sum_of_the_history():
    ids, net = some_ids(MULTI), small_model("din", MULTI)
    values = randomize(net, 5)
    net.activation.output.weight.data()[:] = 0
    net.activation.output.bias.data()[:] = 1
    table = values["embedding.embedding_weight"]
    v = field_vectors(MULTI, ids, table)
    v[:, 1] = [table[past].sum(axis=0) for _, past, *_ in (list(field_values(MULTI, row)) for row in ids)]
    expected = mlp(v.reshape(len(ids), -1), within(values, "mlp"), 2)[:, 0]
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def trained_a_step(ids, width, padding_row=0.0):
    """Logits in training, gradients and running means of a net with batch statistics, for a history of some width."""
    net = small_model("din", FieldLayout.from_widths({"a": 1, "tags": width, "b": 1}), attention_activation="dice")
    randomize(net, 6)
    net.embedding.embedding_weight.data()[0] = padding_row
    net.hybridize()
    logits = backward(net, [int32(ids)], np.linspace(-1, 2, len(ids)))
    frozen = net.activation.activations[0].normalize
    means = {"mean": frozen.running_mean.data().asnumpy(), "var": frozen.running_var.data().asnumpy()}
    return {"logits": logits, **gradients(net), **means}


def test_wider_padding_and_its_row_have_no_influence_on_batch_statistics_either():
    ids = np.random.default_rng(7).integers(1, SIZE, (5, 5))
    ids[0, 1:4], ids[1, 2:4] = 0, 0
    ids[2, 0] = 0  # a candidate without a value
    wide = np.insert(ids, [4] * 4, 0, axis=1)
    narrow, other = trained_a_step(ids, 3), trained_a_step(wide, 7, padding_row=1e6)
    for name, value in narrow.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_trained_and_exported_dice_gives_the_same_bits_with_frozen_means(tmp_path):
    ids, net = some_ids(MULTI, rows=6), small_model("din", MULTI, activation="dice", attention_activation="dice")
    randomize(net, 8)
    net.hybridize()
    backward(net, [int32(ids)], np.ones(6))
    export_model(net, tmp_path, MULTI.slots)
    net.hybridize()
    with plain_operators():
        expected = predict_logits(net, ids)
    np.testing.assert_array_equal(predict_logits(load_exported(tmp_path), ids), expected)
    alone = np.concatenate([predict_logits(net, row[None]) for row in ids])
    np.testing.assert_allclose(alone, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidate": "items"}, r"`candidate` must name a field, not 'items' \(known: a, tags, b, c\)"),
        ({"history": ""}, r"`history` must name a field, not '' \(known: a, tags, b, c\)"),
        ({"candidate": "tags", "history": "a"}, "field 'tags' has 3"),
        ({"candidate": "a", "history": "a"}, "different fields"),
        ({"attention_hidden": ()}, "attention_hidden"),
        ({"attention_activation": "relo"}, "activation must be one of"),
    ],
)
def test_fields_and_options_that_can_not_be_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        small_model("din", MULTI, **options)


def test_starting_values_are_finite_for_a_batch_without_any_history():
    net = small_model("din", MULTI, activation="dice", attention_activation="dice")
    mx.random.seed(1)
    net.initialize()
    ids = some_ids(MULTI)
    ids[:, 1:4] = 0
    assert np.isfinite(backward(net, [int32(ids)], np.ones(len(ids)))).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients(net).values())
    assert net.embedding.embedding_weight.shape == (SIZE, K)
