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
[models.wdl]
model = { hidden = [6], crosses = [["a", "b"]], cross_buckets = 50 }
[models.gbdt]
model = { trees = 5, min_child_weight = 0.1 }
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


def table(folder, change=lambda text: text, types=None):
    """The test file as Parquet, null where it has no text."""
    with (folder / "test.csv").open() as file:
        header, *lines = csv.reader(file)
    columns = {name: [change(line[k]) or None for line in lines] for k, name in enumerate(header)}
    columns = {name: pa.array(column).cast((types or {}).get(name, pa.string())) for name, column in columns.items()}
    pq.write_table(pa.table(columns), folder / "test.parquet")
    return folder / "test.parquet"


@pytest.mark.parametrize("model", ["lr", "fm", "ffm", "fnn", "kpnn", "wdl", "gbdt"])
def test_rows_scored_are_fits_own_test_predictions_to_the_bit(folder, model):
    command(folder / "fit.toml", model=model, output=folder / "a.json", bundle=folder / "kept" / "b")
    scored_are_own(folder, table(folder))
    assert sorted(path.name for path in (folder / "kept").iterdir()) == ["b"]


def test_numbers_and_sets_are_scored_as_they_were_fitted(folder):
    for name in ("train", "valid", "test"):
        path = folder / f"{name}.csv"
        head, *lines = path.read_text().splitlines()
        more = [f"{line},{'' if n % 9 == 0 else n % 31 / 4},t{n % 5}|t{n % 3}" for n, line in enumerate(lines)]
        path.write_text("\n".join([f"{head},price,tags", *more]) + "\n")
    fields = (
        'data.fields=[{name="a"},{name="price",kind="numeric",buckets=8},'
        '{name="tags",kind="multi",separator="|",max_values=2}]'
    )
    command(folder / "fit.toml", options=[fields], output=folder / "a.json", bundle=folder / "kept" / "b")
    scored_are_own(folder, table(folder, types={"price": pa.float64()}))


def scored_are_own(folder, rows):
    """Scores of the kept model on the test rows are those that the run measured, and differ between rows."""
    score(folder / "kept" / "b", rows, folder / "scores.parquet", columns="label")
    found = pq.read_table(folder / "scores.parquet").to_pydict()
    own = np.load(folder / "a.npz")
    assert np.array_equal(np.array(found["label"], np.float32), own["label"])
    assert np.array_equal(np.array(found["logit"], np.float32), own["output"][0])
    assert np.array_equal(found["probability"], own["probability"][0])
    assert len(set(found["logit"])) > 10


def test_a_libffm_model_scores_tables_of_its_fields(folder):
    lines = [f"{n % 2} 0:{n % 7}:1 1:{n % 5}:1 1:{n % 3}:1\n" for n in range(70)]
    for name in ("train", "valid", "test"):
        (folder / f"{name}.csv").write_text("".join(lines))
    sets = ["data.format=libffm"]
    command(folder / "fit.toml", options=sets, output=folder / "a.json", bundle=folder / "kept" / "b")
    columns = {
        "label": [str(n % 2) for n in range(70)],
        "field_0": [f"{n % 7}" for n in range(70)],
        "field_1": [f"{n % 5}|{n % 3}" for n in range(70)],
    }
    pq.write_table(pa.table(columns), folder / "test.parquet")
    scored_are_own(folder, folder / "test.parquet")


def test_the_card_says_what_was_fitted(folder, capsys):
    command(folder / "fit.toml", seed=4, bundle=folder / "b")
    found, card = json.loads(capsys.readouterr().out), json.loads((folder / "b" / "bundle.json").read_text())
    (epoch,) = json.loads((folder / "b" / "history.json").read_text())
    assert (epoch["epoch"], epoch["examples"]) == (0, 200)
    assert card["config"]["fit"] == {"seed": 4, **found["config"]}
    assert card["metrics"] == {"auc": found["auc"], "log_loss": found["log_loss"]}
    (folder / "b" / "model-0000.params").write_bytes(b"x")
    with pytest.raises(DamagedError):
        score(folder / "b", table(folder), folder / "scores.parquet")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"seeds": "1..2"}, "keeps one model"),
        ({"options": ["training.loss=squared"]}, "a bundle gives probabilities of logits"),
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
