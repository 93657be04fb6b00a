"""A row has the same bits in any company, and is computed without padding where its network's graph says so."""

import numpy as np
import pytest
from numpy_models import randomize

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import MODELS, create_model, model_options
from pnn_gluon.ops import native_operators, plain_operators
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import export_model, load_exported, predict_logits
from pnn_gluon.training.row_bits import keeps_bits

LAYOUT = FieldLayout.from_widths({"a": 1, "b": 1, "tags": 3, "c": 1, "d": 1, "e": 1})
SIZE, ROWS = 50, 300
PRODUCTS_OF_MXNET = {"afm", "ccpm", "din", "pnn_star", "xdeepfm"}
"""Networks with a matrix product or a convolution of MXNet's beside our own operators."""


def network(name, **options):
    wanted = {"embedding_size": 9, "hidden": (64, 48), "candidate": "a", "history": "tags", "crosses": (("a", "b"),)}
    net = create_model(name, LAYOUT, SIZE, **{k: v for k, v in (wanted | options).items() if k in model_options(name)})
    net.initialize()
    randomize(net, 4)
    net.hybridize(static_alloc=True)
    return net


def rows(count=ROWS):
    return np.random.default_rng(2).integers(0, SIZE, (count, LAYOUT.slots)).astype(np.int32)


def batches_of(net, monkeypatch):
    """The numbers of rows that the network is given from now on."""
    given, call = [], type(net).__call__
    monkeypatch.setattr(type(net), "__call__", lambda self, ids: (given.append(len(ids)), call(self, ids))[1])
    return given


@pytest.mark.parametrize("name", MODELS)
def test_a_row_has_the_same_bits_in_a_batch_of_any_size(name):
    ids = rows()
    for normalization in ("layer", "batch", "none") if "normalization" in model_options(name) else ("layer",):
        net = network(name, normalization=normalization)
        whole = predict_logits(net, ids, ROWS)
        assert len(np.unique(whole)) > ROWS // 2
        for start, count in [(0, 1), (5, 3), (0, 8), (17, 130), (1, ROWS - 1)]:
            np.testing.assert_array_equal(predict_logits(net, ids[start : start + count], ROWS), whole[start:][:count])
        assert keeps_bits(net, mx.nd.array(ids)) == (native_operators() and name not in PRODUCTS_OF_MXNET)


def test_few_rows_are_computed_alone(monkeypatch):
    if not native_operators():
        pytest.skip("needs the native operators")
    net = network("ipnn")
    given = batches_of(net, monkeypatch)
    predict_logits(net, rows(5), 64)
    predict_logits(net, rows(130), 64)
    assert given == [5, 64, 64, 2]


def test_plain_and_imperative_networks_are_given_whole_batches(tmp_path, monkeypatch):
    net = network("ipnn")
    export_model(net, tmp_path, LAYOUT.slots)
    exported = load_exported(tmp_path)
    net.hybridize(active=False)
    for each in (exported, net):
        given = batches_of(each, monkeypatch)
        predict_logits(each, rows(70), 64)
        assert given == [64, 64]


def test_a_network_that_is_traced_anew_is_looked_at_anew():
    net, ids = network("ipnn"), mx.nd.array(rows(3))
    assert keeps_bits(net, ids) == native_operators()
    with plain_operators():
        net.hybridize(static_alloc=True)
        assert not keeps_bits(net, ids)
