"""Tables of several tensors train, save and score as tables of one, to the bit."""

import numpy as np
import pytest
from cut_cases import LAYOUT, LIMIT, WHOLE, loss_of, rows, started, tensors_of, whole_values
from training_cases import Source

from pnn_gluon.blocks.id_table import whole_name
from pnn_gluon.models.registry import MODELS
from pnn_gluon.training.export import export_model, load_exported, predict_logits
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import take_values

OPTIMIZERS = {
    "adam": {"embedding_l2": 0.01},
    "adam on all rows": {"lazy_update": False, "embedding_l2": 0.01},
    "adamw": {"decoupled": True, "embedding_l2": 0.01},
    "adamw that catches up": {"decoupled": True, "embedding_l2": 0.05, "catch_up_decay": True},
    "adagrad": {"optimizer": "adagrad", "embedding_l2": 0.01},
    "groupadagrad": {"optimizer": "groupadagrad"},
    "ftrl": {"optimizer": "ftrl", "l1": 0.001},
    "sgd": {"optimizer": "sgd", "embedding_l2": 0.01},
    "sgd on all rows": {"optimizer": "sgd", "lazy_update": False, "embedding_l2": 0.01},
    "a limited norm": {"clip_norm": 0.01},
    "two devices": {"devices": 2},
    "means": {"average_decay": 0.9},
}


def trained(name, given, **how):
    net = started(name)
    ids, label = rows(LAYOUT)
    options = TrainingOptions(**{"epochs": 2, "learning_rate": 0.05, "patience": 3, **given})
    return net, train(net, Source(ids, label, 32), options, **how)


def check(name, given, folder):
    """Losses, values and scores of tables of one tensor and of several, trained and exported."""
    found = []
    for most in (WHOLE, LIMIT):
        with tensors_of(most):
            net, result = trained(name, given, validate=loss_of)
            (folder / str(most)).mkdir()
            export_model(net, folder / str(most), LAYOUT.slots)
        found.append((result.history, whole_values(take_values(net)), scores(net, folder / str(most))))
    (history, values, scored), (cut_history, cut_values, cut_scored) = found
    assert cut_history == history
    assert cut_values.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(cut_values[name], value, err_msg=name)
    for one, other in zip(cut_scored, scored, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(whole_name(name) != name for name in net._collect_params_with_prefix())


def scores(net, folder):
    """By the network, and by the exported graph."""
    ids, _ = rows(LAYOUT, 60, seed=2)
    return [predict_logits(each, ids, 64) for each in (net, load_exported(folder))]


@pytest.mark.parametrize("name", ["deepfm", "din"])
def test_tables_of_several_tensors_train_and_score_as_one(name, tmp_path):
    check(name, OPTIMIZERS["adam"], tmp_path)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_so_they_do_with_every_optimizer(optimizer, tmp_path):
    check("fm", OPTIMIZERS[optimizer], tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_so_does_every_network_with_every_optimizer(name, optimizer, tmp_path):
    check(name, OPTIMIZERS[optimizer], tmp_path)
