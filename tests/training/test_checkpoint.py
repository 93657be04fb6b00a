import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_cases import LAYOUT, SIZE, Source, model, problem, same, source, values_of

from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.models.registry import create_model
from pnn_gluon.training import parameters
from pnn_gluon.training.export import export_model
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions

OPTIONS = TrainingOptions(epochs=3, learning_rate=0.02, checkpoint_every=3, patience=5)


class Stopped(Exception):
    pass


def validate(net):
    """A value that depends on the parameters only, so that a resumed run sees the same."""
    return float(abs(net.mlp.layers[0].weight.data().asnumpy()).sum()) % 1


def worse_and_worse(net):
    return 1 - validate(net)


def run(folder, stop_after=None, options=OPTIONS, judge=validate, **model_options):
    """Parameters and result; `stop_after` batches the source breaks down."""

    class Breaking(Source):
        given = 0

        def batches(self, epoch, start_batch):
            for batch in super().batches(epoch, start_batch):
                if self.given == stop_after:
                    raise Stopped
                self.given += 1
                yield batch

    net = model(**({"dropout": 0.3} | model_options))
    result = train(net, Breaking(*problem(320)), options, validate=judge, checkpoint_dir=folder)
    return values_of(net), result


@functools.cache
def never_stopped(judge=validate):
    """Parameters and result of a run without checkpoints."""
    return run(None, judge=judge)


@pytest.mark.parametrize("stop_after", [1, 4, 9, 10, 11, 25, 29])
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path, stop_after):
    undisturbed, expected = never_stopped()
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", stop_after)
    values, result = run(tmp_path / "stopped")
    assert same(values, undisturbed)
    assert result == expected


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "groupadagrad", "ftrl"])
@pytest.mark.parametrize("devices", [1, 2])
def test_states_of_every_optimizer_are_resumed(tmp_path, optimizer, devices):
    options = OPTIONS.replaced(optimizer=optimizer, devices=devices, embedding_l2=0.01, clip_norm=0.5)
    undisturbed, _ = run(tmp_path / "undisturbed", options=options)
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", 14, options)
    assert same(run(tmp_path / "stopped", options=options)[0], undisturbed)


DECOUPLED = {"decoupled": True, "embedding_l2": 0.5}


@pytest.mark.parametrize(
    "choice",
    [
        {"loss": "squared"},
        {"schedule": "linear", "final_rate_share": 0.1},
        {"schedule": "cosine", "warmup_steps": 13},
        {"schedule": "plateau", "plateau_factor": 0.5},
        DECOUPLED,
        {**DECOUPLED, "catch_up_decay": True},
        {**DECOUPLED, "catch_up_decay": True, "devices": 2},
        {"average_decay": 0.9},
        {"average_decay": 0.9, "devices": 2},
    ],
    ids=str,
)
def test_a_stopped_run_goes_on_to_the_same_bytes_with_each_option(tmp_path, choice):
    options, judge = OPTIONS.replaced(**choice), worse_and_worse if "plateau_factor" in choice else validate
    undisturbed, expected = run(tmp_path / "undisturbed", None, options, judge)
    assert expected != never_stopped(judge)[1]
    for stop_after in (4, 14):
        with pytest.raises(Stopped):
            run(tmp_path / "stopped", stop_after, options, judge)
    values, result = run(tmp_path / "stopped", None, options, judge)
    assert same(values, undisturbed)
    assert result == expected
    assert same(run(tmp_path / "stopped", 0, options, judge)[0], undisturbed)


def test_means_are_resumed_without_validation(tmp_path):
    def run_without(folder, stop_after=None):
        class Breaking(Source):
            def batches(self, epoch, start_batch):
                for number, batch in enumerate(super().batches(epoch, start_batch)):
                    if (epoch, number) == stop_after:
                        raise Stopped
                    yield batch

        net = model()
        train(net, Breaking(*problem(320)), OPTIONS.replaced(average_decay=0.9), checkpoint_dir=folder)
        return values_of(net)

    undisturbed = run_without(None)
    with pytest.raises(Stopped):
        run_without(tmp_path, (1, 5))
    assert same(run_without(tmp_path), undisturbed)
    assert same(run_without(tmp_path, (0, 0)), undisturbed)


def test_keeping_checkpoints_does_not_change_the_result(tmp_path):
    assert same(never_stopped()[0], run(tmp_path / "kept")[0])


def test_a_finished_run_returns_at_once(tmp_path):
    values, result = run(tmp_path)
    again, same_result = run(tmp_path, stop_after=0)
    assert same(values, again)
    assert same_result == result


def test_one_checkpoint_and_one_best_are_kept(tmp_path):
    _, result = run(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"best-{result.best_epoch:06d}.params", "epoch-000003-batch-000000000000"]


def test_a_half_written_checkpoint_is_not_used(tmp_path):
    undisturbed, _ = never_stopped()
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", 8)
    (tmp_path / "stopped" / "partial-checkpoint").mkdir()
    (tmp_path / "stopped" / "partial-checkpoint" / "net.params").write_bytes(b"half")
    assert same(run(tmp_path / "stopped")[0], undisturbed)


@pytest.mark.parametrize("change", [{"learning_rate": 0.03}, {"seed": 5}, {"epochs": 4}])
def test_a_checkpoint_of_other_options_is_refused(tmp_path, change):
    run(tmp_path)
    with pytest.raises(ConfigError, match="other training options or data"):
        run(tmp_path, options=OPTIONS.replaced(**change))


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(ConfigError, match="other training options or data"):
        train(model(), Source(*problem(320), fingerprint="other"), OPTIONS, checkpoint_dir=tmp_path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(InputError, match=r"mlp.layers.0.weight has the shape"):
        run(tmp_path, hidden=(9, 4))
    with pytest.raises(InputError, match="not the parameters of this model"):
        run(tmp_path, normalization="none")


@pytest.mark.parametrize("name", ["net.params", "optimizer.params", "means.params", "state.json", "best"])
@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_checkpoint_is_left_out_and_training_ends_with_the_same_bytes(tmp_path, name, damage):
    options = OPTIONS.replaced(average_decay=0.9)
    undisturbed, expected = run(tmp_path, options=options)
    (newest,) = tmp_path.glob("epoch-*")
    (best,) = tmp_path.glob("best-*")
    path = best if name == "best" else newest / name
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content.replace(b"batch", b"bitch") if name == "state.json" else content[:-1] + b"?")
    else:
        path.unlink()
    values, result = run(tmp_path, options=options)
    assert same(values, undisturbed)
    assert result == expected


def test_a_checkpoint_of_an_earlier_release_is_gone_on_with(tmp_path):
    undisturbed, _ = never_stopped()
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", 8)
    (path,) = (tmp_path / "stopped").glob("epoch-*/state.json")
    state = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in state.items() if key not in {"files", "checksum"}}))
    assert same(run(tmp_path / "stopped")[0], undisturbed)
    assert path.parent.name > "epoch-000000-batch-000000000000"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"batch": "4"}, r"batch: .*received '4'"),
        ({"examples": 1.5}, r"examples: .*received 1\.5"),
        ({"loss_sum": None}, "loss_sum: .*received None"),
        ({"best_epoch": True}, "best_epoch: .*received True"),
        ({"finished": "no"}, "finished: .*received 'no'"),
        ({"updates": {"0": 3}}, "updates: .*received"),
        ({"history": [{"epoch": 0, "steps": 4, "examples": 8, "loss": "low", "validation": None}]}, "loss: .*'low'"),
        ({"files": {"net.params": 7}}, "files: .*received"),
        ({"files": ["net.params"]}, "files: .*received"),
    ],
)
def test_a_state_of_other_types_is_left_out_and_says_which(tmp_path, caplog, damage, told):
    undisturbed, _ = never_stopped()
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", 8)
    (path,) = (tmp_path / "stopped").glob("epoch-*/state.json")
    state = json.loads(path.read_text()) | damage
    del state["checksum"]
    path.write_text(json.dumps(state))
    assert same(run(tmp_path / "stopped")[0], undisturbed)
    assert re.search(rf"state\.json: not the state of a training run \({told}", caplog.text)


VICTIM = """
import sys, time
from pathlib import Path
from training_cases import model, source
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions

folder, pause = Path(sys.argv[1]), float(sys.argv[2])
net = model(dropout=0.3)
options = TrainingOptions(epochs=4, learning_rate=0.02, checkpoint_every=2)
train(net, source(), options, checkpoint_dir=folder / "checkpoints", progress=lambda _: time.sleep(pause))
net.save_parameters(str(folder / "net.params"))
"""


def start_victim(folder, pause):
    folder.mkdir(exist_ok=True)
    here = Path(__file__).parent
    paths = os.pathsep.join(str(path) for path in (here, here.parents[1]))
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", VICTIM, str(folder), str(pause)], env={**os.environ, "PYTHONPATH": paths}
    )


@pytest.mark.long
def test_a_killed_process_goes_on_to_the_same_bytes(tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    whole, victim = start_victim(undisturbed, 0), start_victim(killed, 0.1)
    while not list(killed.glob("checkpoints/epoch-000001-batch-*")):
        assert victim.poll() is None
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    assert not (killed / "net.params").exists()
    assert start_victim(killed, 0).wait() == 0
    assert whole.wait() == 0
    assert (killed / "net.params").read_bytes() == (undisturbed / "net.params").read_bytes()


@pytest.mark.parametrize("name", ["fm", "ccpm", "afm"])
def test_the_best_epoch_is_the_same_from_disk_and_from_memory(tmp_path, monkeypatch, name):
    """On disk a table comes back part by part; weights of convolutions have a memory layout of their own."""
    monkeypatch.setattr(parameters, "PUT_BYTES", 64)
    found = []
    for folder in (None, tmp_path):
        judged, net = iter([2.0, 1.0, 3.0]), create_model(name, LAYOUT, SIZE, embedding_size=4)
        options = TrainingOptions(epochs=3, patience=3, learning_rate=0.02)
        train(net, source(), options, validate=lambda net, of=judged: next(of), checkpoint_dir=folder)
        export_model(net, tmp_path, LAYOUT.slots)
        found.append((values_of(net), (tmp_path / "model-0000.params").read_bytes()))
    assert same(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
