import numpy as np
import pytest
from training_cases import LAYOUT, SIZE, model, same, source, values_of

from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model
from pnn_gluon.training.devices import contexts, initialize
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.pretraining import matching_fm, pretrain

OPTIONS = TrainingOptions(epochs=3, learning_rate=0.02, seed=5)
TABLE = "embedding.embedding_weight"


def trained_fm(**options):
    fm = model("fm")
    train(fm, source(), OPTIONS.replaced(epochs=2, **options))
    return values_of(fm)


def untrained(name):
    """Starting values of a network without pre-training."""
    net = model(name)
    initialize(net, contexts("cpu", 1), OPTIONS.seed)
    return values_of(net)


@pytest.mark.parametrize("name", ["deepfm", "ipnn", "fnn"])
def test_a_network_starts_from_the_tables_of_the_fm_and_its_own_hidden_layers(name):
    net, expected = model(name), trained_fm()
    result = pretrain(net, model("fm"), source(), OPTIONS, 2)
    assert len(result.history) == 2
    before, after = untrained(name), values_of(net)
    for parameter, value in after.items():
        if parameter in expected:
            np.testing.assert_array_equal(value, expected[parameter])
        else:
            np.testing.assert_array_equal(value, before[parameter])
    assert not np.array_equal(after[TABLE], before[TABLE])
    assert ("linear.linear_weight" in after) == (name == "deepfm")


def test_training_goes_on_from_the_tables():
    histories = []
    for epochs in (0, 5):
        net = model("fnn")
        if epochs:
            pretrain(net, model("fm"), source(), OPTIONS, epochs)
        histories.append(train(net, source(), OPTIONS.replaced(learning_rate=1e-3)).history)
    without, with_tables = histories
    assert with_tables[0].loss != without[0].loss


def test_options_that_end_with_the_networks_run_are_not_the_fms():
    net = model("fnn")
    plan = OPTIONS.replaced(schedule="plateau", patience=2, attention_l2=0.1, decoupled=True)
    pretrain(net, model("fm"), source(), plan, 2)
    np.testing.assert_array_equal(values_of(net)[TABLE], trained_fm()[TABLE])


def test_a_stopped_pretraining_goes_on_to_the_same_bytes(tmp_path):
    class StoppedError(Exception):
        pass

    def stop(progress):
        if progress.epoch == 1:
            raise StoppedError

    plan, whole, stopped = OPTIONS.replaced(checkpoint_every=3), model("ipnn"), model("ipnn")
    pretrain(whole, model("fm"), source(), plan, 3)
    with pytest.raises(StoppedError):
        pretrain(stopped, model("fm"), source(), plan, 3, checkpoint_dir=tmp_path, progress=stop)
    pretrain(stopped, model("fm"), source(), plan, 3, checkpoint_dir=tmp_path)
    assert same(values_of(stopped), values_of(whole))


def test_a_network_without_an_embedding_is_refused_before_the_fm_is_trained():
    fm = model("fm")
    with pytest.raises(ConfigError, match=r"embedding\.embedding_weight, which this one does not have"):
        pretrain(model("lr"), fm, source(), OPTIONS, 1)
    assert fm.embedding.embedding_weight._data is None


@pytest.mark.parametrize("other", [{"embedding_size": 5}, {"size": SIZE + 1}])
def test_an_fm_of_another_size_is_refused(other):
    size = other.get("size", SIZE)
    fm = create_model("fm", LAYOUT, size, embedding_size=other.get("embedding_size", 4))
    with pytest.raises(ConfigError, match=r"has the shape \(\d+, \d\), the network needs \(30, [14]\)"):
        pretrain(model("deepfm"), fm, source(), OPTIONS, 1)


def test_the_matching_fm_has_the_embedding_options_of_the_model():
    for size in (3, 7):
        fm = matching_fm("ipnn", LAYOUT, SIZE, {"embedding_size": size, "hidden": (5,), "init_scale": 1e-6})
        initialize(fm, contexts("cpu", 1), 1)
        table = fm.embedding.embedding_weight.data().asnumpy()
        assert table.shape == (SIZE, size)
        assert 0 < abs(table).max() < 1e-3
