"""A warm start continues yesterday's model; growing the map moves no id and changes no score."""

import datetime
from pathlib import Path

import numpy as np
import pytest

from jobs.commands.rollback import roll_back
from jobs.running import run_step
from pnn_gluon.config import Config, EngineConfig, load_config
from pnn_gluon.data.encoding import encode_rows
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import InputError
from pnn_gluon.models.registry import create_model
from pnn_gluon.ops import plain_operators
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.states import day_states
from pnn_gluon.pipeline.steps import step
from pnn_gluon.training.export import load_exported, predict_logits
from pnn_gluon.training.growth import warm_start
from pnn_gluon.warehouse.duckdb_engine import connect
from tests.jobs.small_pipeline import DAILY, DAYS, PROMOTED, build

TRAINING = DAILY[: DAILY.index("train") + 1]


@pytest.fixture
def warm(encoded: Config) -> Config:
    text = encoded.path.read_text().replace("window_days = 2", "window_days = 1\nwarm_start = true")
    encoded.path.write_text(text)
    return load_config(encoded.path)


def folder_of(config: Config, table: str, day: datetime.date) -> Path:
    store = open_store(config)
    manifest = store.manifest(table, day)
    assert manifest is not None
    return store.folder(manifest)


def test_a_warm_start_goes_on_from_yesterday_and_a_cold_one_does_not(warm: Config) -> None:
    build(warm, DAYS[:2], PROMOTED)
    history = run_step(step("train"), warm, DAYS[1]).details["history"]
    cold = load_config(_with(warm.path, "warm_start = true", "warm_start = false"))
    assert history[0]["loss"] < run_step(step("train"), cold, DAYS[1]).details["history"][0]["loss"]


def _with(path: Path, old: str, new: str) -> Path:
    path.write_text(path.read_text().replace(old, new))
    return path


@pytest.mark.parametrize("start", ["", 'warm_start_from = "yesterday"\n'])
def test_a_day_after_one_without_a_model_trains_from_scratch_until_that_is_mended(warm: Config, start: str) -> None:
    config = load_config(_with(warm.path, "warm_start = true", f"warm_start = true\n{start}"))
    made = DAILY[: DAILY.index("evaluate")]
    build(config, DAYS[:2], made)
    assert "started_from" not in run_step(step("train"), config, DAYS[1]).details
    build(config, DAYS[:1], PROMOTED)
    state = day_states(config, [DAYS[1]])[DAYS[1]]["train"]
    assert state.word == "stale"
    assert any(reason.endswith("has come") for reason in state.reasons)


def test_growing_the_map_by_a_tenth_moves_no_id_and_changes_no_score(built: Config) -> None:
    """Three days on, the map has many more ids; yesterday's model, grown to it, scores every row to the same bits."""
    first, last = DAYS[0], DAYS[-1]
    old, new = (FeatureMap.load(folder_of(built, "maps", day) / "map.h5") for day in (first, last))
    assert new.size > 1.1 * old.size
    assert new.field_of[: old.size].tolist() == old.field_of.tolist()
    assert new.values.slice(0, len(old.values)).equals(old.values)
    rows = folder_of(built, "rows", last) / "rows.parquet"
    with connect(EngineConfig()) as connection:
        under_old = np.concatenate([batch.ids for batch in encode_rows(connection, old, rows)])
        under_new = np.concatenate([batch.ids for batch in encode_rows(connection, new, rows)])
    assert (under_new != under_old).any()
    grown = create_model(built.model.name, new.layout, new.size, **built.model.options)
    model = folder_of(built, "models", first)
    warm_start(grown, model, new.other_of(np.arange(old.size, new.size, dtype=np.int32)))
    expected = predict_logits(load_exported(model), under_old)
    with plain_operators():  # those of the exported graph
        np.testing.assert_array_equal(predict_logits(grown, under_new), expected)


def test_a_warm_start_keeps_the_adaptive_sizes_of_yesterday(warm: Config) -> None:
    kfm = 'name = "kfm"\nembedding_size = 9\nadaptive_c = 1.3'
    config = load_config(_with(warm.path, 'name = "fm"\nembedding_size = 4', kfm))
    build(config, DAYS[:2], PROMOTED)
    sizes = [run_step(step("train"), config, day).details["model"]["options"]["embedding_sizes"] for day in DAYS[:2]]
    assert sizes[0] == sizes[1]
    assert 1 <= min(sizes[0]) < max(sizes[0]) <= 9


@pytest.fixture
def carrying(warm: Config) -> Config:
    return load_config(_with(warm.path, "warm_start = true", "warm_start = true\ncarry_optimizer = true"))


def test_a_warm_start_with_the_optimizers_states_goes_on_from_the_model_in_force(carrying: Config) -> None:
    build(carrying, DAYS[:2], PROMOTED)
    build(carrying, DAYS[2:3], TRAINING)
    store = open_store(carrying)
    models = [store.manifest("models", day) for day in DAYS[:3]]
    found = [manifest.details.get("optimizer_from") for manifest in models if manifest]
    assert found == [None, f"bundles/{DAYS[0]}", f"bundles/{DAYS[1]}"]
    carried = folder_of(carrying, "models", DAYS[2]) / "optimizer.params"
    before, again = carried.read_bytes(), run_step(step("train"), carrying, DAYS[2], force=True)
    assert (folder_of(carrying, "models", DAYS[2]) / "optimizer.params").read_bytes() == before
    fresh = load_config(_with(carrying.path, "carry_optimizer = true", "carry_optimizer = false"))
    assert run_step(step("train"), fresh, DAYS[2]).details["history"] != again.details["history"]


def test_states_of_another_optimizer_are_left_and_told(carrying: Config, caplog: pytest.LogCaptureFixture) -> None:
    build(carrying, DAYS[:1], PROMOTED)
    build(carrying, DAYS[1:2], TRAINING[:-1])
    other = load_config(_with(carrying.path, "carry_optimizer = true", 'carry_optimizer = true\noptimizer = "adagrad"'))
    with caplog.at_level("INFO"):
        made = run_step(step("train"), other, DAYS[1])
    assert "optimizer_from" not in made.details
    assert made.details["started_from"] == f"bundles/{DAYS[0]}"
    assert f"without the optimizer's states of bundles/{DAYS[0]}: they are of" in caplog.text


@pytest.fixture
def refusing(warm: Config) -> Config:
    """Two days of which the second's candidate was refused."""
    build(warm, DAYS[:2], PROMOTED)
    build(load_config(_with(warm.path, "min_auc = 0.4", "min_auc = 0.999")), DAYS[1:2], PROMOTED)
    build(warm, DAYS[2:3], TRAINING[:-1])
    return load_config(_with(warm.path, "min_auc = 0.999", "min_auc = 0.4"))


def test_a_warm_start_goes_on_from_the_model_in_force_not_from_a_refused_candidate(refusing: Config) -> None:
    details = run_step(step("train"), refusing, DAYS[2]).details
    assert details["started_from"] == f"bundles/{DAYS[0]}"
    again = run_step(step("train"), refusing, DAYS[2], force=True)
    assert again.details == details


def test_a_warm_start_from_yesterday_goes_on_from_a_refused_candidate(refusing: Config) -> None:
    edit = _with(refusing.path, "warm_start = true", 'warm_start = true\nwarm_start_from = "yesterday"')
    champion = run_step(step("train"), refusing, DAYS[2])
    yesterday = run_step(step("train"), load_config(edit), DAYS[2])
    assert yesterday.details["started_from"] == f"models/{DAYS[1]}"
    assert yesterday.details["history"] != champion.details["history"]


def test_a_rollback_repairs_the_chain_of_warm_starts(refusing: Config) -> None:
    list(roll_back(refusing, DAYS[1], DAYS[1], "the gate was wrong", False))
    assert run_step(step("train"), refusing, DAYS[2]).details["started_from"] == f"bundles/{DAYS[1]}"


def test_a_warm_start_after_a_kept_day_goes_on_from_the_model_in_force(warm: Config) -> None:
    (log,) = (warm.path.parent / "raw" / "logs" / str(DAYS[1])).glob("*.tsv")
    log.write_text("")
    edit = _with(warm.path, "warm_start = true", 'warm_start = true\nwarm_start_from = "yesterday"')
    config = load_config(edit)
    build(config, DAYS[:2], PROMOTED)
    build(config, DAYS[2:3], TRAINING)
    store = open_store(config)
    models = [store.manifest("models", day) for day in DAYS[:3]]
    assert [manifest.details.get("started_from") for manifest in models if manifest] == [
        None,
        None,
        f"bundles/{DAYS[0]}",
    ]


def test_a_warm_start_from_a_model_of_another_kind_is_refused_with_what_to_do(warm: Config) -> None:
    build(warm, DAYS[:2], PROMOTED)
    other = load_config(_with(warm.path, 'name = "fm"\nembedding_size = 4', 'name = "lr"'))
    with pytest.raises(InputError, match=r"expected to go on from a model 'lr', found 'fm'.*warm_start = false"):
        run_step(step("train"), other, DAYS[1])
