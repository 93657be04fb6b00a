"""A family of models that the library does not know: its module is all that it needs besides a line in each table."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.steps.train import BUILDS
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.declared import Declared, declared_models
from pnn_gluon.models.option import Option
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.serving.bundle import Bundle, BundleCard
from pnn_gluon.training.families import FAMILIES
from tests.jobs.odds_family import ODDS, Odds, build_odds
from tests.jobs.small_pipeline import DAILY, DAYS, build


@pytest.fixture
def odds(pipeline: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    models = cast("dict[str, Any]", declared_models())
    smooth = Option({"type": "float", "gt": 0}, 10.0)
    monkeypatch.setitem(models, "odds", Declared("odds", {"smooth": smooth}, frozenset()))
    monkeypatch.setitem(FAMILIES, "odds", "tests.jobs.odds_family")
    monkeypatch.setitem(BUILDS, "odds", build_odds)
    text = pipeline.path.read_text()
    start, end = text.index("[model]"), text.index("[calibration]")
    pipeline.path.write_text(f'{text[:start]}[model]\nname = "odds"\n{text[end:]}')
    return load_config(pipeline.path)


def folder_of(config: Config, table: str) -> Path:
    store = open_store(config)
    manifest = store.manifest(table, DAYS[0])
    assert manifest is not None
    return store.folder(manifest)


def test_a_third_family_is_trained_bundled_and_scored(odds: Config) -> None:
    steps = DAILY[: DAILY.index("publish")]
    assert set(build(odds, DAYS[:1], steps)) == {"done"}
    bundle = folder_of(odds, "bundles")
    card = BundleCard.read(bundle)
    assert card.model["options"] == {"smooth": 10.0}
    assert card.metrics["auc"] > 0.55
    scorer = Bundle.load(bundle).scorer
    assert isinstance(scorer, Odds)
    np.testing.assert_array_equal(scorer.of_id, np.load(folder_of(odds, "models") / ODDS))
    scores = pq.read_table(folder_of(odds, "scores") / "scores.parquet")["probability"].to_numpy()
    assert scores.std() > 0.01


def test_a_third_family_says_which_options_of_training_it_takes(odds: Config) -> None:
    odds.path.write_text(odds.path.read_text() + "[training]\nepochs = 2\n")
    with pytest.raises(ConfigError, match=r"training\.epochs is not for odds"):
        load_config(odds.path)
