"""Runs of paper mode: what trains, what stops, what is measured, and the one line that comes out."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from jobs.commands.compare import command as compared
from jobs.commands.fit import command
from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.experiments import fit as fitting
from pnn_gluon.experiments.config import load_fit_config
from pnn_gluon.experiments.dataset import load_dataset
from pnn_gluon.experiments.fit import fit
from pnn_gluon.experiments.judge import Judge
from pnn_gluon.experiments.outcome import load_outcome
from pnn_gluon.experiments.scores import measure, probabilities
from pnn_gluon.experiments.significance import compare
from pnn_gluon.training import export, loop
from pnn_gluon.training.export import predict_logits

CONFIG = """
name = "generated"
[data]
format = "csv"
train = "train.csv"
valid = "valid.csv"
test = "test.csv"
[model]
name = "fm"
embedding_size = 3
[training]
epochs = 3
batch_size = 50
learning_rate = 0.05
[models.fnn]
model = { hidden = [6] , dropout = 0.2 }
"""


def lines_of(rows, seed, turned=False):
    """CSV lines whose labels depend on the first column and on the pair of the others."""
    random = np.random.default_rng(seed)
    a, b, c = random.integers(0, 8, (3, rows))
    score = np.sin(a) + np.where(b % 2 == c % 2, 1.0, -1.0)
    label = (random.random(rows) < 1 / (1 + np.exp(-2 * score))) != turned
    return ["label,a,b,c", *(f"{int(y)},{i},{j},{k}" for y, i, j, k in zip(label, a, b, c, strict=True))]


@pytest.fixture
def folder(tmp_path):
    """A configuration and its three files."""
    (tmp_path / "fit.toml").write_text(CONFIG)
    for seed, (name, rows) in enumerate({"train": 600, "valid": 200, "test": 150}.items()):
        put(tmp_path, name, lines_of(rows, seed))
    return tmp_path


def put(folder, name, lines):
    (folder / f"{name}.csv").write_text("".join(f"{line}\n" for line in lines))


def run(folder, model="fm", seed=1, *overrides):
    config = load_fit_config(folder / "fit.toml", model, overrides)
    data = load_dataset(config)
    found, net = fit(config.plan(model), data, seed)
    parameters = {} if model == "gbdt" else net._collect_params_with_prefix()
    return found, {name: parameter.data().asnumpy() for name, parameter in parameters.items()}


def same(left, right):
    return all(np.array_equal(left[name], right[name]) for name in left)


def test_training_sees_exactly_the_train_rows_and_validation_the_validation_rows(folder, monkeypatch):
    seen, judged, train, score = [], [], loop.train, export.predict_logits

    def spy(net, source, options, *, validate, progress):
        seen.extend(source.batches(0, 0))
        result = train(net, source, options, validate=validate, progress=progress)
        assert all(ids is data.valid.ids for ids in judged)
        return result

    def watched(net, ids):
        judged.append(ids)
        return score(net, ids)

    monkeypatch.setattr(loop, "train", spy)
    monkeypatch.setattr(export, "predict_logits", watched)
    config = load_fit_config(folder / "fit.toml")
    data = load_dataset(config)
    fit(config.plan("fm"), data, 1)
    rows = np.concatenate([np.column_stack((ids, label)) for ids, label in seen])
    expected = np.column_stack((data.train.ids, data.train.label))
    assert sorted(map(tuple, rows)) == sorted(map(tuple, expected))
    assert [ids is data.test.ids for ids in judged] == [False, False, False, True, False]
    assert [len(label) for _, label in seen] == [50] * 12


def numbers_of(rows, seed):
    """CSV lines whose labels depend on a number that is never the same twice, missing now and then."""
    random = np.random.default_rng(seed)
    price = random.normal(size=rows)
    label = random.random(rows) < 1 / (1 + np.exp(-3 * price))
    texts = ["" if n % 20 == 0 else repr(x) for n, x in enumerate(price)]
    return ["label,price", *(f"{int(y)},{text}" for y, text in zip(label, texts, strict=True))]


def test_numbers_are_learnt_from_by_their_buckets(folder):
    for seed, (name, rows) in enumerate({"train": 600, "valid": 200, "test": 400}.items()):
        put(folder, name, numbers_of(rows, seed))
    as_texts, _ = run(folder, "lr")
    as_numbers, _ = run(folder, "lr", 1, 'data.fields=[{name="price",kind="numeric",buckets=8}]')
    assert as_texts.test["auc"] < 0.6
    assert as_numbers.test["auc"] > 0.8


def test_other_and_missing_are_trained_where_fields_of_train_rows_are_hidden(folder):
    def trained(share):
        """Whether the rows of *missing* and *other* of the first field move in the second epoch."""
        sets = [[f"training.epochs={epochs}", f"training.unseen_share={share}"] for epochs in (1, 2)]
        first, second = (run(folder, "fm", 1, *each, "training.patience=9")[1] for each in sets)
        tables = [name for name, values in first.items() if len(values) == 1 + 6 + 24]
        return [any(bool((first[name][row] != second[name][row]).any()) for name in tables) for row in (1, 2)]

    assert trained(0.0) == [False, False]
    assert trained(0.3) == [True, True]


def test_the_test_file_changes_no_parameter(folder):
    one, values = run(folder, "fnn")
    put(folder, "test", lines_of(90, 8, turned=True))
    other, again = run(folder, "fnn")
    assert same(values, again)
    assert one.valid == other.valid
    assert one.test != other.test


def test_validation_stops_training_and_chooses_the_epoch(folder):
    patience = ("training.epochs=6", "training.patience=2")
    right, _ = run(folder, "fm", 1, *patience)
    put(folder, "valid", lines_of(200, 1, turned=True))
    turned, _ = run(folder, "fm", 1, *patience)
    assert (turned.best_epoch, turned.epochs) == (1, 3)
    assert right.best_epoch > 1


def test_the_numbers_are_those_of_the_network_handed_back(folder):
    config = load_fit_config(folder / "fit.toml", "fm", ["training.epochs=6"])
    data = load_dataset(config)
    found, net = fit(config.plan("fm"), data, 1)
    for rows, metrics in ((data.test, found.test), (data.valid, found.valid)):
        assert metrics == measure(rows.label, predict_logits(net, rows.ids), "log")
    assert np.array_equal(found.probability, probabilities(predict_logits(net, data.test.ids), "log"))
    assert found.parameters == data.size * (3 + 1) + 1
    assert found.test["auc"] > 0.6


def test_equal_seeds_give_equal_bytes_and_other_seeds_others(folder):
    (one, values), (other, again) = run(folder, "fnn", 3), run(folder, "fnn", 3)
    assert same(values, again)
    assert one.test == other.test
    assert not same(values, run(folder, "fnn", 4)[1])


@pytest.mark.parametrize("override", ["training.batch_size=60", "data.min_count=60", "training.weight_decay=0.1"])
def test_options_have_an_effect(folder, override):
    before, after = run(folder, "fnn")[1], run(folder, "fnn", 1, override)[1]
    assert any(
        before[name].shape != after[name].shape or not np.array_equal(before[name], after[name]) for name in after
    )


@pytest.mark.parametrize(("loss", "metric"), [("log", "auc"), ("log", "log_loss"), ("squared", "rmse")])
def test_early_stopping_looks_at_the_metric_asked_for(loss, metric):
    label, output, told = np.array([1, 0, 1, 0], np.float32), np.array([0.5, -1, 0.2, 0.3], np.float32), []
    value = Judge(label, loss, metric, told.append).value(lambda: output)
    assert value == (-1 if metric == "auc" else 1) * measure(label, output, loss)[metric]
    assert told == [measure(label, output, loss)]


def test_log_loss_and_auc_are_those_of_the_definition():
    random = np.random.default_rng(1)
    label, output = (random.random(40) < 0.4).astype(np.float32), random.integers(-3, 4, 40).astype(np.float32)
    p = 1 / (1 + np.exp(-output.astype(np.float64)))
    pairs = [(i > j) + (i == j) / 2 for i in output[label == 1] for j in output[label == 0]]
    expected = {"auc": np.mean(pairs), "log_loss": -np.mean(np.where(label == 1, np.log(p), np.log(1 - p)))}
    assert measure(label, output, "log") == pytest.approx(expected, rel=1e-12)


def test_rmse_is_that_of_clipped_outputs_against_labels_of_minus_1_and_1():
    label, output = np.array([1, 0, 1], np.float32), np.array([3.0, -0.5, -2.0], np.float32)
    assert measure(label, output, "squared") == pytest.approx(
        {"auc": 0.5, "rmse": math.sqrt((0 + 0.25 + 4) / 3)}, rel=1e-12
    )
    assert probabilities(output, "squared").tolist() == [1.0, 0.25, 0.0]


def test_squared_loss_reports_rmse(folder):
    found, _ = run(folder, "fm", 1, "training.loss=squared", "training.learning_rate=0.02")
    assert set(found.test) == set(found.valid) == {"auc", "rmse"}
    assert found.valid["rmse"] < 1  # that of the constant 0
    assert found.summary().keys() >= {"auc", "rmse", "valid_auc", "valid_rmse"}


def test_a_network_starts_from_a_machine_trained_before(folder, caplog):
    plain, pretrained = run(folder, "fnn")[1], run(folder, "fnn", 1, "training.pretrain_epochs=2")[1]
    assert not same(plain, pretrained)
    caplog.set_level("INFO", "pnn_gluon")
    caplog.clear()
    config = load_fit_config(folder / "fit.toml", "fnn", ["training.pretrain_epochs=2"])
    fit(config.plan("fnn"), load_dataset(config), 1)
    told = [message.split(":")[1].strip() for message in caplog.messages[:3]]
    assert told == ["pre-training epoch 1", "pre-training epoch 2", "epoch 1"]


def test_trees_are_fitted_and_stopped_by_validation(folder):
    trees = ("model.trees=20", "model.depth=3", "training.patience=3", "training.metric=log_loss")
    right, _ = run(folder, "gbdt", 1, *trees)
    assert right.test["auc"] > 0.6
    assert right.best_epoch > 1
    put(folder, "valid", lines_of(200, 1, turned=True))
    turned, _ = run(folder, "gbdt", 1, *trees)
    assert turned.epochs == turned.best_epoch + 3 < 20


def outcome(capsys):
    """The one JSON line of stdout, and stderr."""
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=pytest.fail), err


def test_a_run_prints_one_json_line_and_progress_apart(folder, capsys, shown_log):
    command(folder / "fit.toml", model="fnn", seed=3, options=["training.patience=9"])
    found, err = outcome(capsys)
    assert (found["model"], found["seed"], found["epochs"]) == ("fnn", 3, 3)
    assert found.keys() >= {"auc", "log_loss", "valid_auc", "valid_log_loss", "best_epoch", "seconds", "parameters"}
    assert found["seconds_per_epoch"] == pytest.approx(found["seconds"] / 3, abs=1e-3)
    assert found["data"]["rows"] == {"train": 600, "valid": 200, "test": 150}
    assert found["config"]["model"] == {"name": "fnn", "embedding_size": 3, "hidden": [6], "dropout": 0.2}
    assert found["config"]["training"]["batch_size"] == 50
    assert "fit fnn seed 3: epoch 3: loss 0." in err
    assert "validation auc 0." in err


def test_a_run_of_few_steps_says_so(folder, capsys, shown_log):
    command(folder / "fit.toml")
    assert "fit fm seed 1: only 36 steps: lower training.batch_size or raise epochs" in outcome(capsys)[1]
    command(folder / "fit.toml", options=["training.batch_size=3", "training.epochs=1"])
    assert "steps" not in outcome(capsys)[1]


def test_several_seeds_give_one_line_with_mean_and_spread(folder, capsys):
    command(folder / "fit.toml", seeds="2..4", options=["training.epochs=1"])
    found, _ = outcome(capsys)
    assert [each["seed"] for each in found["seeds"]] == [2, 3, 4]
    for metric in ("auc", "log_loss", "valid_auc", "valid_log_loss"):
        values = [each[metric] for each in found["seeds"]]
        assert found["mean"][metric] == pytest.approx(np.mean(values), rel=1e-12)
        assert found["std"][metric] == pytest.approx(np.std(values, ddof=1), rel=1e-9)
    command(folder / "fit.toml", seeds="2", options=["training.epochs=1"])
    one, _ = outcome(capsys)
    timed = {"seconds", "seconds_per_epoch"}
    first, alone = found["seeds"][0], one["seeds"][0]
    assert {k: first[k] for k in first.keys() - timed} == {k: alone[k] for k in alone.keys() - timed}
    assert one["std"]["auc"] is None


def test_the_output_files_hold_the_line_and_what_a_comparison_needs(folder, capsys, shown_log):
    for name, options in (("a", []), ("b", ["model.embedding_size=1"])):
        command(folder / "fit.toml", seeds="1..2", options=options, output=folder / f"{name}.json")
        found, _ = outcome(capsys)
        assert json.loads((folder / f"{name}.json").read_text()) == found
    first, second = (np.load(folder / f"{name}.npz", allow_pickle=False) for name in "ab")
    assert first["seed"].tolist() == [1, 2]
    assert first["probability"].shape == (2, 150)
    data = load_dataset(load_fit_config(folder / "fit.toml"))
    assert np.array_equal(first["label"], data.test.label)
    result = compare(first["label"], [*first["probability"]], [*second["probability"]], repeats=20)
    means = [json.loads((folder / f"{name}.json").read_text())["mean"]["auc"] for name in "ab"]
    assert result.bootstrap["auc"].difference == pytest.approx(means[0] - means[1], abs=1e-12)
    before = (folder / "a.npz").read_bytes()
    command(folder / "fit.toml", seeds="1..2", output=folder / "a.json")
    assert (folder / "a.npz").read_bytes() == before


def turn(folder, name, label):
    """Give all rows of a part one label."""
    lines = (folder / f"{name}.csv").read_text().splitlines()
    put(folder, name, [lines[0], *(f"{label}{line[1:]}" for line in lines[1:])])


@pytest.mark.parametrize(
    ("part", "label", "expected"),
    [
        ("train", 0, "all 600 train rows have the label 0: there is nothing to learn"),
        ("valid", 1, "all 200 validation rows have the label 1: they have no AUC to stop by; set training.metric = "),
    ],
)
def test_rows_of_one_class_are_refused_before_an_epoch(folder, capsys, shown_log, part, label, expected):
    turn(folder, part, label)
    for model in ("fm", "gbdt"):
        with pytest.raises(InputError, match=expected):
            command(folder / "fit.toml", model=model)
    assert "epoch" not in capsys.readouterr().err


def test_metrics_that_are_not_defined_are_null_and_said_before_an_epoch(folder, capsys, shown_log):
    turn(folder, "valid", 0)
    turn(folder, "test", 0)
    options = ["training.metric=log_loss", "training.epochs=1"]
    command(folder / "fit.toml", seeds="1..2", options=options, output=folder / "a.json")
    found, err = outcome(capsys)
    assert err.index("all test rows have the label 0: their AUC is null") < err.index("epoch 1")
    assert err.index("all validation rows have the label 0: their AUC is null") < err.index("epoch 1")
    for table in ("mean", "std"):
        assert (found[table]["auc"], found[table]["valid_auc"]) == (None, None)
        assert found[table]["log_loss"] > 0
    assert "NaN" not in (folder / "a.json").read_text()
    compared(folder / "a.json", folder / "a.json", repeats=10)
    found, _ = outcome(capsys)
    assert (found["bootstrap"]["auc"], found["wilcoxon_runs"]["auc"]) == (None, None)
    assert found["bootstrap"]["log_loss"]["difference"] == 0


def test_a_seed_that_fails_takes_no_other_along(folder, capsys, shown_log, monkeypatch):
    real = fitting.fit

    def failing(plan, data, seed):
        if seed == 2:
            raise PnnError("training diverged")
        return real(plan, data, seed)

    monkeypatch.setattr(fitting, "fit", failing)
    with pytest.raises(PnnError, match=r"of the seeds 1\.\.3 these failed: 2"):
        command(folder / "fit.toml", seeds="1..3", options=["training.epochs=1"], output=folder / "a.json")
    found, err = outcome(capsys)
    assert [run["seed"] for run in found["seeds"]] == [1, 3]
    assert found["std"]["auc"] is not None
    assert "fit fm seed 2: failed: training diverged" in err
    assert load_outcome(folder / "a.json").seeds == (1, 3)


def test_runs_that_are_done_are_kept_when_a_later_one_is_interrupted(folder, monkeypatch):
    real = fitting.fit

    def interrupted(plan, data, seed):
        if seed == 3:
            raise KeyboardInterrupt
        return real(plan, data, seed)

    monkeypatch.setattr(fitting, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command(folder / "fit.toml", seeds="1..3", options=["training.epochs=1"], output=folder / "a.json")
    assert load_outcome(folder / "a.json").seeds == (1, 2)


def test_scores_that_are_all_equal_are_said(folder, capsys, shown_log):
    command(folder / "fit.toml", model="lr", options=["training.epochs=1", "data.min_count=601"])
    assert "seed 1: all 150 test rows have one score: the model tells no row from another" in outcome(capsys)[1]


def test_files_may_lie_elsewhere(folder, tmp_path_factory, capsys):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = elsewhere / "fit.toml"
    path.write_text(CONFIG)
    command(path, data=folder, options=["training.epochs=1"])
    assert outcome(capsys)[0]["data"]["rows"]["train"] == 600


@pytest.mark.parametrize("arguments", [{"seeds": "5..1"}, {"seeds": "a"}, {"seeds": "1..2", "seed": 1}])
def test_seeds_of_another_form_are_refused(folder, arguments):
    with pytest.raises(ConfigError, match=r"--seeds .*: expected first\.\.last"):
        command(folder / "fit.toml", **arguments)


def test_an_output_of_another_kind_is_refused_before_training(folder):
    with pytest.raises(ConfigError, match=r"expected a name that ends in \.json"):
        command(folder / "fit.toml", output=folder / "a.txt")


def test_an_error_ends_the_process_with_its_status_and_no_output(folder):
    arguments = [sys.executable, "-m", "jobs", "fit", str(folder / "fit.toml"), "--model", "fmm"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no model 'fmm', did you mean 'fm'?" in done.stderr
    assert "Traceback" not in done.stderr
