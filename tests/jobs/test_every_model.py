"""Each model through the daily pipeline: configuration, training, calibration, gate, scoring, bundle."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pnn_gluon.config import Config, EngineConfig, load_config
from pnn_gluon.days import plus
from pnn_gluon.models.declared import declared, declared_models
from pnn_gluon.ops import PRECISION, native_operators, plain_operators
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.portable.export import export_onnx
from pnn_gluon.portable.score import Scorer
from pnn_gluon.serving.bundle import Bundle, BundleCard
from pnn_gluon.store.store import Store
from pnn_gluon.warehouse.duckdb_engine import connect
from tests.jobs.small_pipeline import DAILY, build

DAY = datetime.date(2026, 11, 1)
ROWS, REQUESTS = 3000, 50

PIPELINE = """
name = "every"
first_day = 2026-11-01
fields = [
    { name = "item" }, { name = "site" }, { name = "hour" },
    { name = "past", kind = "multi", separator = "|", max_values = 3 },
]
[store]
root = "store"
[source]
logs = "logs/{day}.tsv"
requests = "requests/{day}.tsv"
columns = ["label", "item", "site", "hour", "past"]
[feature_map]
min_impressions = 3
"""

TRAINING = {"epochs": "5", "batch_size": "100", "learning_rate": "0.02", "window_days": "1", "patience": "5"}
OPTIONS = {
    "din": 'candidate = "item"\nhistory = "past"',
    "wdl": 'crosses = [["item", "site"]]\ncross_buckets = 50',
    "kfm": "embedding_size = 4\nadaptive_c = 1.0",
    "gbdt": "trees = 20\ndepth = 3",
}
QUICK = {"lr", "fm", "kfm", "wdl", "din", "gbdt", "ipnn", "autoint"}
"""Models with options, columns or files that others do not have; every network is scored in tests/portable as well."""

SMALL = {"hidden": "[16, 8]", "feature_maps": "[6, 4]", "residual_units": "[8]", "filters": "[4]"}


def write_rows(path: Path, rows: int, labels: bool) -> None:
    """Clicks depend on the item, and on whether it is in the past."""
    random = np.random.default_rng(len(path.name) + rows)
    item, site, hour = random.integers(0, 12, rows), random.integers(0, 5, rows), random.integers(0, 24, rows)
    past = [[int(i) for i in random.integers(0, 12, random.integers(0, 4))] for _ in range(rows)]
    score = np.where(item % 3 == 0, 1.5, -1.0) + [1.0 if i in p else -0.5 for i, p in zip(item, past, strict=True)]
    click = random.random(rows) < 1 / (1 + np.exp(-score))
    lines = (
        [f"{int(c)}"] * labels + [f"i{i}", f"s{s}", f"h{h}", "|".join(f"i{v}" for v in p)]
        for c, i, s, h, p in zip(click, item, site, hour, past, strict=True)
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join("\t".join(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day's rows, encoded: what every model starts from."""
    folder = tmp_path_factory.mktemp("every")
    write_rows(folder / "logs" / f"{DAY}.tsv", ROWS, True)
    write_rows(folder / "requests" / f"{plus(DAY, 1)}.tsv", REQUESTS, False)
    build(configured(folder, "lr"), [DAY], DAILY[: DAILY.index("train")])
    return folder


def configured(folder: Path, model: str) -> Config:
    """The pipeline with this model in the small."""
    small = [f"{option} = {value}" for option, value in SMALL.items() if option in declared(model).options]
    training = {} if model == "gbdt" else TRAINING
    (folder / "pipeline.toml").write_text(
        "\n".join(
            [PIPELINE, "[model]", f'name = "{model}"', OPTIONS.get(model, ""), *small, "[training]"]
            + [f"{option} = {value}" for option, value in training.items()]
        )
    )
    return load_config(folder / "pipeline.toml")


@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in declared_models()]
)
def test_a_day_is_trained_calibrated_and_scored(encoded: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRECISION, "f32")
    config = configured(encoded, model)
    steps = DAILY[DAILY.index("train") : DAILY.index("publish")]
    assert build(config, [DAY], steps)[0] == "done"
    store = open_store(config)
    bundle, scores = (store.manifest(table, DAY) for table in ("bundles", "scores"))
    assert bundle is not None
    assert scores is not None
    assert BundleCard.read(store.folder(bundle)).metrics["auc"] > 0.65
    table = pq.read_table(store.folder(scores) / "scores.parquet")
    probability = table["probability"].to_numpy()
    assert table.num_rows == REQUESTS
    assert ((probability > 0) & (probability < 1)).all()
    assert probability.std() > 0.05
    check_native_and_plain_scores(store.folder(bundle), rows_of(store), model)
    if model != "gbdt":
        check_exported_scores(store.folder(bundle), rows_of(store), encoded / f"onnx-{model}")


def rows_of(store: Store) -> Path:
    manifest = store.manifest("rows", DAY)
    assert manifest is not None
    return store.folder(manifest) / "rows.parquet"


def check_native_and_plain_scores(bundle: Path, rows: Path, model: str) -> None:
    """Native operators serve what the plain graph does, up to the last bits."""
    native, served = logits_of(bundle, rows)
    with plain_operators():
        plain, plainly_served = logits_of(bundle, rows)
    np.testing.assert_allclose(native, plain, rtol=1e-5, atol=2e-5)
    if model != "gbdt":
        assert plainly_served["operators"] == "plain"
        assert (served["operators"] != "plain") == native_operators()


def check_exported_scores(bundle: Path, rows: Path, folder: Path) -> None:
    """What `export-onnx` writes scores raw rows as the bundle does; a probability is that of the logit beside it."""
    export_onnx(bundle, folder)
    logit, probability = Scorer(folder)(pq.read_table(rows))
    with connect(EngineConfig()) as connection:
        batches = list((loaded := Bundle.load(bundle)).score(connection, rows))
    np.testing.assert_allclose(logit, np.concatenate([batch.logit for batch in batches]), rtol=1e-5, atol=1e-5)
    expected = loaded.probability(logit, np.concatenate([batch.ids for batch in batches]))
    np.testing.assert_allclose(probability, expected, rtol=1e-12)


def logits_of(bundle: Path, rows: Path) -> tuple[np.ndarray, dict[str, str]]:
    loaded = Bundle.load(bundle)
    with connect(EngineConfig()) as connection:
        logits = [batch.logit for batch in loaded.score(connection, rows)]
        return np.concatenate(logits), loaded.last_bits
