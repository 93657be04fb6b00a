"""Two outcomes of `fit` are compared only when they are whole, and of the same test rows and seeds."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from jobs.commands import compare, fit
from pnn_gluon.errors import InputError
from pnn_gluon.experiments.outcome import check_comparable, load_outcome
from pnn_gluon.experiments.significance import compare as compared

CONFIG = """
name = "generated"
data = { format = "csv", train = "train.csv", valid = "valid.csv", test = "test.csv" }
model = { name = "lr" }
training = { epochs = 2, batch_size = 40 }
[models.fm.model]
embedding_size = 2
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """A folder with the outcomes of lr and fm for the seeds 1 and 2, on 90 test rows."""
    folder = tmp_path_factory.mktemp("outcomes")
    (folder / "fit.toml").write_text(CONFIG)
    for seed, (name, rows) in enumerate({"train": 300, "valid": 60, "test": 90}.items()):
        a, b = np.random.default_rng(seed).integers(0, 6, (2, rows))
        lines = [f"{int((i + j) % 3 == 0)},{i},{j}" for i, j in zip(a, b, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join(["label,a,b", *lines]) + "\n")
    for model in ("lr", "fm"):
        fit.command(folder / "fit.toml", model=model, seeds="1..2", output=folder / f"{model}.json")
    return folder


@pytest.fixture
def folder(outcomes, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(outcomes, tmp_path / "copy")


def rewrite(path, **arrays):
    """Put other arrays into an `npz` file."""
    with np.load(path) as old:
        np.savez(path, **{**old, **arrays})


def test_an_outcome_is_what_fit_wrote(outcomes):
    found = load_outcome(outcomes / "fm.json")
    assert (found.model, found.seeds, found.label.size, len(found.runs)) == ("fm", (1, 2), 90, 2)
    labels = [float(line[0]) for line in (outcomes / "test.csv").read_text().splitlines()[1:]]
    assert found.label.tolist() == labels
    runs = json.loads((outcomes / "fm.json").read_text())["seeds"]
    for run, probability in zip(runs, found.runs, strict=True):
        loss = -np.mean(np.log(np.where(found.label == 1, probability, 1 - probability)))
        assert run["log_loss"] == pytest.approx(loss)
    for logit, probability in zip(found.logits, found.runs, strict=True):
        np.testing.assert_allclose(1 / (1 + np.exp(-logit)), probability, rtol=1e-12)


def test_an_outcome_of_an_earlier_release_has_no_logits(folder):
    with np.load(folder / "fm.npz") as new:
        np.savez(folder / "fm.npz", **{name: new[name] for name in ("seed", "label", "probability")})
    found = load_outcome(folder / "fm.json")
    assert found.logits is None
    assert len(found.runs) == 2


def test_an_outcome_with_a_damaged_output_is_refused(folder):
    rewrite(folder / "fm.npz", output=np.full((2, 90), np.nan, np.float32))
    with pytest.raises(InputError, match="expected a finite output for each of 90 rows and 2 runs"):
        load_outcome(folder / "fm.json")


def test_the_command_compares_first_with_second(outcomes):
    paths = [str(outcomes / "fm.json"), str(outcomes / "lr.json")]
    arguments = [sys.executable, "-m", "jobs.cli", "compare", *paths, "--repeats", "50", "--seed", "3"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    assert (found["first"], found["second"], found["rows"], found["runs"]) == ("fm", "lr", 90, 2)
    first, second = (json.loads((outcomes / f"{name}.json").read_text())["mean"] for name in ("fm", "lr"))
    for metric in ("auc", "log_loss"):
        assert found["bootstrap"][metric]["difference"] == pytest.approx(first[metric] - second[metric], abs=1e-12)
    one, two = load_outcome(outcomes / "fm.json"), load_outcome(outcomes / "lr.json")
    expected = compared(one.label, one.runs, two.runs, repeats=50, seed=3)
    assert found["bootstrap"]["auc"]["low"] == expected.bootstrap["auc"].low
    assert found["wilcoxon_rows"] == expected.wilcoxon_rows


def test_repeats_and_seed_decide_the_interval(outcomes, capsys):
    found = []
    for options in ({"repeats": 20}, {"repeats": 20}, {"repeats": 30}, {"repeats": 20, "seed": 2}):
        compare.command(outcomes / "fm.json", outcomes / "lr.json", **{"repeats": 20, "seed": 1, **options})
        found.append(json.loads(capsys.readouterr().out)["bootstrap"]["auc"])
    assert found[0] == found[1]
    assert len({each["low"] for each in found}) == 3


def test_other_seeds_are_refused(folder):
    fit.command(folder / "fit.toml", model="fm", seeds="1..3", output=folder / "fm.json")
    one, two = load_outcome(folder / "fm.json"), load_outcome(folder / "lr.json")
    with pytest.raises(InputError, match=r"the seeds 1, 2, 3, .*lr\.json 1, 2: fit both with the same --seeds"):
        check_comparable(one, two)


def test_another_loss_is_refused_and_the_same_compared_by_auc(folder, capsys):
    for model in ("lr", "fm"):
        options = ["training.loss=squared"]
        fit.command(folder / "fit.toml", model=model, seeds="1..2", options=options, output=folder / f"{model}2.json")
    with pytest.raises(InputError, match=r"of log loss, .*lr2\.json of squared loss"):
        check_comparable(load_outcome(folder / "fm.json"), load_outcome(folder / "lr2.json"))
    capsys.readouterr()
    compare.command(folder / "fm2.json", folder / "lr2.json", repeats=20, seed=1)
    assert json.loads(capsys.readouterr().out)["bootstrap"].keys() == {"auc"}


@pytest.mark.parametrize("change", [lambda label: 1 - label, lambda label: label[:-1]])
def test_other_test_rows_are_refused(folder, change):
    lines = (folder / "test.csv").read_text().splitlines()
    labels = change(np.array([int(line[0]) for line in lines[1:]]))
    rows = [f"{label}{line[1:]}" for label, line in zip(labels, lines[1:], strict=False)]
    (folder / "test.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    fit.command(folder / "fit.toml", model="fm", seeds="1..2", output=folder / "fm.json")
    with pytest.raises(InputError, match=r"fit both models on the same data"):
        compare.command(folder / "fm.json", folder / "lr.json", repeats=10, seed=1)


def test_missing_and_damaged_files_are_refused(folder):
    path, scores = folder / "fm.json", folder / "fm.npz"
    text, content = path.read_text(), scores.read_bytes()
    for damaged in ("", "{", "[]", "{}", '{"model": "fm"}'):
        path.write_text(damaged)
        refused(path)
    path.write_text(text)
    for cut in (b"", content[:100], content[: len(content) // 2], content[:200] + b"\0" * 200 + content[400:]):
        scores.write_bytes(cut)
        refused(path)
    scores.unlink()
    refused(path)
    path.unlink()
    refused(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"seed": np.array([1, 3])},
        {"seed": np.array([1])},
        {"label": np.zeros(89)},
        {"label": np.full(90, 2.0)},
        {"probability": np.full((2, 89), 0.5)},
        {"probability": np.full((1, 90), 0.5)},
        {"probability": np.full(90, 0.5)},
        {"probability": np.full((2, 90), np.nan)},
        {"probability": np.full((2, 90), 1.5)},
        {"probability": np.full((2, 90), "x")},
        {"probability": np.full((2, 90), None)},
    ],
)
def test_scores_that_are_not_those_of_the_runs_are_refused(folder, arrays):
    rewrite(folder / "fm.npz", **arrays)
    refused(folder / "fm.json")


def test_an_outcome_without_rows_is_refused(folder):
    rewrite(folder / "fm.npz", label=np.zeros(0), probability=np.zeros((2, 0)), output=np.zeros((2, 0)))
    refused(folder / "fm.json")


@pytest.mark.parametrize("value", [None, [], {}, [None], "x", [1]])
@pytest.mark.parametrize("key", ["model", "config", "seeds"])
def test_a_summary_with_another_value_is_refused_or_read(folder, key, value):
    summary = json.loads((folder / "fm.json").read_text())
    (folder / "fm.json").write_text(json.dumps(summary | {key: value}))
    if (key, value) == ("model", "x"):
        assert load_outcome(folder / "fm.json").model == "x"
    else:
        refused(folder / "fm.json")


def refused(path):
    with pytest.raises(InputError, match="expected a file of `pnn-gluon fit --output") as caught:
        load_outcome(path)
    assert str(path) in str(caught.value)


def test_an_error_ends_the_command_with_its_status_and_no_output(outcomes):
    arguments = [sys.executable, "-m", "jobs.cli", "compare", str(outcomes / "fm.json"), str(outcomes / "none.json")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "none.json: expected a file of `pnn-gluon fit --output" in done.stderr
    assert "Traceback" not in done.stderr
