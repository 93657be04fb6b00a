"""Values that are new tomorrow, when every value of the training rows has an id of its own."""

import datetime

import numpy as np
import pytest

from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.warehouse.duckdb_engine import connect

DAY = datetime.date(2026, 11, 1)
RATE = 0.11
PIPELINE = """
name = "unseen"
first_day = 2026-11-01
fields = [{{ name = "site" }}, {{ name = "ad" }}, {{ name = "tags", kind = "multi" }}]
store = {{ root = "store" }}
feature_map = {{ min_impressions = 1 }}
model = {{ {model} }}
training = {{ {training} }}
calibration = {{ method = "none" }}
[source]
logs = "logs/{{day}}.tsv"
columns = ["label", "site", "ad", "tags"]
"""


def trained(folder, model, training) -> Config:
    """A day of 20,000 rows of 40 sites, 30 ads and some tags, none empty; the click rate is the same for all."""
    draw = np.random.default_rng(1)
    sites, ads, tags, more = (draw.integers(count, size=20_000) for count in (40, 30, 5, 5))
    label = (draw.random(20_000) < RATE).astype(int)
    lines = [f"{y}\tsite{s}\tad{a}\tt{t}|u{u}" for y, s, a, t, u in zip(label, sites, ads, tags, more, strict=True)]
    (folder / "logs").mkdir()
    (folder / "logs" / f"{DAY}.tsv").write_text("\n".join(lines) + "\n")
    (folder / "p.toml").write_text(PIPELINE.format(model=model, training=training))
    config = load_config(folder / "p.toml")
    for name in ("ingest", "sample", "count", "feature_map", "encode", "train", "calibrate"):
        run_step(step(name), config, DAY)
    return config


def scored(config, *rows):
    """Probabilities of rows of site, ad and tags."""
    store = open_store(config)
    manifest = store.manifest("bundles", DAY)
    bundle = Bundle.load(store.folder(manifest))
    with connect(config.engine) as connection:
        values = ", ".join(f"({', '.join('null' if cell is None else repr(cell) for cell in row)})" for row in rows)
        connection.execute(f"create temp table asked as select * from (values {values}) as t(site, ad, tags)")
        return np.concatenate([batch.probability for batch in bundle.score(connection, "asked", ())])


ROWS = (("new", "new", "new"), ("site1", "new", "t1|u1"), (None, None, None), ("site1", None, "t1|new"))
LR = 'name = "lr"'


@pytest.mark.parametrize(
    ("model", "training"),
    [
        (LR, "batch_size = 100, epochs = 5, learning_rate = 1e-2"),
        ('name = "fm", embedding_size = 4', "batch_size = 100, epochs = 5, learning_rate = 1e-2"),
        ('name = "gbdt", trees = 20, depth = 4', "seed = 1"),
    ],
)
def test_values_new_or_missing_tomorrow_score_near_the_rate_of_all(tmp_path, model, training):
    probability = scored(trained(tmp_path, model, training), *ROWS)
    assert (np.abs(np.log(probability / RATE)) < np.log(1.6)).all(), probability


def test_without_a_share_new_values_score_by_the_numbers_they_started_from(tmp_path):
    training = "batch_size = 100, epochs = 5, learning_rate = 1e-2, unseen_share = 0.0"
    assert scored(trained(tmp_path, LR, training), *ROWS)[0] > 2 * RATE
