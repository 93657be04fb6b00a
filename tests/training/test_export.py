import subprocess
import sys

import numpy as np
import pytest
from training_cases import LAYOUT, model, problem, source

from pnn_gluon.errors import InputError
from pnn_gluon.ops import plain_operators
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import PARAMETERS_FILE, SYMBOL_FILE, export_model, load_exported, predict_logits
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions


def trained(name="ipnn", **options):
    net = model(name, **options)
    train(net, source(), TrainingOptions(epochs=1, learning_rate=0.02, **({"devices": 2} if name == "fm" else {})))
    return net


@pytest.mark.parametrize("name", ["lr", "fm", "fnn", "deepfm", "ipnn"])
def test_the_exported_network_gives_the_bits_of_plain_operators(name, tmp_path):
    net = trained(name, **({"dropout": 0.5} if name == "ipnn" else {}))
    files = export_model(net, tmp_path, LAYOUT.slots)
    assert sorted(path.name for path in tmp_path.iterdir()) == [PARAMETERS_FILE, SYMBOL_FILE]
    assert all(path.is_file() for path in files)
    ids, _ = problem(100, seed=3)
    with plain_operators():
        net.hybridize()
        expected = predict_logits(net, ids, 32)
    exported = predict_logits(load_exported(tmp_path), ids, 32)
    np.testing.assert_array_equal(exported, expected)
    assert len(np.unique(expected)) > 50
    net.hybridize()
    np.testing.assert_allclose(predict_logits(net, ids, 32), exported, rtol=1e-5, atol=1e-5)


def test_equal_networks_are_exported_to_equal_bytes(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        export_model(trained(), tmp_path / folder, LAYOUT.slots)
    for name in (PARAMETERS_FILE, SYMBOL_FILE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_exported_network_needs_none_of_our_code(tmp_path):
    net = trained()
    export_model(net, tmp_path, LAYOUT.slots)
    code = (
        "import sys, mxnet as mx, numpy as np;"
        f"net = mx.gluon.SymbolBlock.imports({str(tmp_path / SYMBOL_FILE)!r}, ['data'],"
        f" {str(tmp_path / PARAMETERS_FILE)!r});"
        "print(net(mx.nd.array([[1, 2, 0, 3]], dtype='int32')).asscalar());"
        "assert not any(name.startswith('pnn_gluon') for name in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=True, text=True)
    found = predict_logits(net, np.array([[1, 2, 0, 3]], np.int32), 1)[0]
    assert float(out.stdout) == pytest.approx(float(found), rel=1e-5)


def test_a_rows_logit_does_not_depend_on_its_company():
    net = trained(hidden=(300, 200))
    ids, _ = problem(700, seed=4)
    whole = predict_logits(net, ids, 256)
    order = np.random.default_rng(1).permutation(700)
    np.testing.assert_array_equal(predict_logits(net, ids[order], 256), whole[order])
    for rows in (1, 7, 255, 257, 513):
        np.testing.assert_array_equal(predict_logits(net, ids[:rows], 256), whole[:rows])


def test_logits_are_float32_and_no_rows_give_no_logits():
    net = trained("lr")
    logits = predict_logits(net, np.empty((0, LAYOUT.slots), np.int32))
    assert (logits.dtype, logits.shape) == (np.float32, (0,))


def test_scoring_does_not_drop_units():
    net = trained(dropout=0.5)
    ids, _ = problem(50)
    np.testing.assert_array_equal(predict_logits(net, ids, 64), predict_logits(net, ids, 64))
    with mx.autograd.train_mode():
        first, second = (net(mx.nd.array(ids, dtype="int32")).asnumpy() for _ in range(2))
    assert not np.array_equal(first, second)


def test_a_missing_or_damaged_export_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read as an exported model"):
        load_exported(tmp_path)
    export_model(trained("lr"), tmp_path, LAYOUT.slots)
    (tmp_path / PARAMETERS_FILE).write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read as parameters"):
        load_exported(tmp_path)
