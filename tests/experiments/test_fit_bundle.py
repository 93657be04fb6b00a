"""A model that `fit` keeps scores new rows as it scored its own test rows."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.commands.fit import command
from jobs.commands.score_table import command as score
from pnn_gluon.errors import ConfigError, DamagedError, PnnError

CONFIG = """
name = "small"
data = { format = "csv", train = "train.csv", valid = "valid.csv", test = "test.csv", min_count = 2 }
[model]
name = "fm"
embedding_size = 3
[training]
epochs = 1
batch_size = 20
learning_rate = 0.05
[models.fnn]
model = { hidden = [6] }
[models.kpnn]
model = { hidden = [6], adaptive_c = 1.0 }
"""


@pytest.fixture
def folder(tmp_path):
    """Rows with empty texts in one field, and rare and new values."""
    (tmp_path / "fit.toml").write_text(CONFIG)
    random = np.random.default_rng(1)
    for name, rows in {"train": 200, "valid": 60, "test": 70}.items():
        a, b = random.integers(0, 12, (2, rows))
        label = (a + random.integers(0, 6, rows) > 8).astype(int)
        lines = [f"{y},{'' if i == 3 else i}, x{i * j} " for y, i, j in zip(label, a, b, strict=True)]
        (tmp_path / f"{name}.csv").write_text("label,a,b\n" + "".join(f"{line}\n" for line in lines))
    return tmp_path


def table(folder, change=lambda text: text):
    """The test file as Parquet."""
    with (folder / "test.csv").open() as file:
        header, *lines = csv.reader(file)
    columns = {name: [change(line[k]) for line in lines] for k, name in enumerate(header)}
    pq.write_table(pa.table(columns), folder / "test.parquet")
    return folder / "test.parquet"


@pytest.mark.parametrize("model", ["lr", "fm", "ffm", "fnn", "kpnn"])
def test_rows_scored_are_fits_own_test_predictions_to_the_bit(folder, model):
    command(folder / "fit.toml", model=model, output=folder / "a.json", bundle=folder / "kept" / "b")
    score(folder / "kept" / "b", table(folder), folder / "scores.parquet", columns="label")
    found = pq.read_table(folder / "scores.parquet").to_pydict()
    own = np.load(folder / "a.npz")
    assert np.array_equal(np.array(found["label"], np.float32), own["label"])
    assert np.array_equal(np.array(found["logit"], np.float32), own["output"][0])
    assert np.array_equal(found["probability"], own["probability"][0])
    assert len(set(found["logit"])) > 10
    assert sorted(path.name for path in (folder / "kept").iterdir()) == ["b"]


def test_a_null_scores_as_an_empty_text_or_where_train_has_none_as_other(folder):
    command(folder / "fit.toml", bundle=folder / "b")

    def scored(change, name):
        score(folder / "b", table(folder, change), folder / name)
        return pq.read_table(folder / name)["logit"].to_pylist()

    assert scored(lambda text: text or None, "null") == scored(lambda text: text, "text")
    nulled = scored(lambda text: None if "x" in text else text, "missing")
    assert nulled == scored(lambda text: "new" if "x" in text else text, "other")


def test_the_card_says_what_was_fitted(folder, capsys):
    command(folder / "fit.toml", seed=4, bundle=folder / "b")
    found, card = json.loads(capsys.readouterr().out), json.loads((folder / "b" / "bundle.json").read_text())
    assert card["config"]["fit"] == {"seed": 4, **found["config"]}
    assert card["metrics"] == {"auc": found["auc"], "log_loss": found["log_loss"]}
    (folder / "b" / "model-0000.params").write_bytes(b"x")
    with pytest.raises(DamagedError):
        score(folder / "b", table(folder), folder / "scores.parquet")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"seeds": "1..2"}, "keeps one model"),
        ({"model": "gbdt"}, "trees of gbdt split by ids"),
        ({"options": ["training.loss=squared"]}, "a bundle gives probabilities of logits"),
        ({"model": "wdl", "options": ['model.crosses=[["a", "b"]]']}, "crosses hash ids"),
        ({"options": ['data.fields=[{name="a", separator="1", max_values=2}]']}, "field 'a' has several values"),
        (
            {"options": ['data.fields=[{name="a b", column="a"}]']},
            "name 'a b': expected letters, digits and underscores",
        ),
        ({"options": ['data.fields=[{name="row_id", column="a"}]']}, "field name 'row_id' is taken by scoring"),
    ],
)
def test_a_model_that_no_bundle_holds_is_refused_before_training(folder, capsys, arguments, expected):
    with pytest.raises(ConfigError, match=expected):
        command(folder / "fit.toml", bundle=folder / "b", **arguments)
    assert "epoch" not in capsys.readouterr().err


def test_a_bundle_that_is_there_is_not_replaced(folder):
    (folder / "b").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        command(folder / "fit.toml", bundle=folder / "b")


def test_a_run_that_fails_leaves_no_bundle(folder):
    with pytest.raises(PnnError):
        command(
            folder / "fit.toml", bundle=folder / "b", options=["training.optimizer=sgd", "training.learning_rate=1e38"]
        )
    assert not (folder / "b").exists()
