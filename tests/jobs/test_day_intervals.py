"""A day's numbers with their intervals, as the pipeline writes them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.running import run_step
from jobs.steps.slicing import IDS
from pnn_gluon.config import Config, load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from tests.jobs.small_pipeline import DAYS

DAY = DAYS[2]
GATE = "[gate]"


def details(config: Config, table: str = "evaluations") -> dict[str, Any]:
    found = open_store(config).manifest(table, DAY)
    assert found is not None
    return dict(found.details)


def metrics(config: Config) -> dict[str, Any]:
    """What stands beside the manifest."""
    store = open_store(config)
    found = store.manifest("evaluations", DAY)
    assert found is not None
    return dict(json.loads(store.content(found, "metrics.json")))


def evaluated(config: Config, text: str, name: str = "evaluate") -> dict[str, Any]:
    """What the step tells with more of the configuration."""
    config.path.write_text(config.path.read_text().replace(GATE, f"{text}\n{GATE}"))
    outcome = run_step(step(name), load_config(config.path), DAY)
    assert outcome.status == "done"
    return details(config, step(name).table.name)


def test_every_headline_number_has_an_interval(five_days: Config) -> None:
    told = details(five_days)
    for name in ("auc", "served_auc", "log_loss", "normalized_entropy", "rig", "pcoc", "brier", "rmse"):
        bounds = told["intervals"][name]
        assert bounds["low"] < told["summary"][name] < bounds["high"]
    parts = told["brier_parts"]
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"]
    total += parts["within_variance"] - parts["within_covariance"]
    assert total == pytest.approx(told["summary"]["brier"], rel=1e-10)
    assert "auc_by" not in told
    store = open_store(five_days)
    manifest = store.manifest("evaluations", DAY)
    assert manifest is not None
    assert json.loads((store.folder(manifest) / "metrics.json").read_text())["intervals"] == told["intervals"]


def test_measuring_again_changes_no_byte(built: Config) -> None:
    store = open_store(built)
    before = store.manifest("evaluations", DAY)
    run_step(step("evaluate"), built, DAY, force=True)
    after = store.manifest("evaluations", DAY)
    assert before is not None
    assert after is not None
    assert after.run == before.run


def test_rows_of_a_cluster_are_drawn_together_by_evaluate_and_gate(built: Config) -> None:
    before, judged = details(built), details(built, "gates")
    after = evaluated(built, '[evaluation]\ncluster = "c3"')
    assert after["summary"] == before["summary"]
    for name, bounds in after["intervals"].items():
        assert bounds != before["intervals"][name]
        assert bounds["low"] < after["summary"][name] < bounds["high"]
    run_step(step("gate"), load_config(built.path), DAY)
    regression = details(built, "gates")["measures"]["regression"]
    assert regression["difference"] == pytest.approx(judged["measures"]["regression"]["difference"], rel=1e-9)
    assert regression["low"] != judged["measures"]["regression"]["low"]


def test_columns_that_are_drawn_or_grouped_by_are_not_among_the_predictions(built: Config) -> None:
    told = evaluated(built, '[evaluation]\ncluster = "c1"\nauc_by = ["c1", "c3"]')
    store = open_store(built)
    manifest = store.manifest("evaluations", DAY)
    assert manifest is not None
    path: Path = store.folder(manifest) / "predictions.parquet"
    assert pq.read_schema(path).names == ["row_id", "label", "logit", "probability"]
    for name in ("c1", "c3"):
        within = told["auc_by"][name]
        assert 0.4 < within["value"] < 1
        assert within["rows"] + within["one_class_rows"] == told["summary"]["rows"]


def test_few_clicks_are_noted(built: Config) -> None:
    told = evaluated(built, "[evaluation]\nmin_clicks = 500")
    assert told["intervals"] == {}
    assert told["notes"][-1].startswith("no intervals: ")
    assert told["notes"][-1].endswith("limit 500 each")


def test_more_repeats_move_the_bounds_a_little(built: Config) -> None:
    before = details(built)["intervals"]["pcoc"]
    after = evaluated(built, "[evaluation]\nbootstrap_repeats = 1000")["intervals"]["pcoc"]
    assert after != before
    assert after == pytest.approx(before, rel=0.1)


def test_slices_are_the_values_that_were_asked_for_the_largest_one_by_one(built: Config) -> None:
    told = evaluated(built, '[evaluation]\nslices = ["c9", "c6"]\nslice_values = 2')
    slices, store = metrics(built)["slices"], open_store(built)
    rows = store.manifest("rows", DAY)
    assert rows is not None
    counted = Counter(pq.read_table(store.folder(rows) / "rows.parquet", columns=["c6"])["c6"].to_pylist())
    missing = counted.pop(None, 0)
    largest = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:2]
    expected = dict(largest) | {"all other values": sum(counted.values()) - sum(n for _, n in largest)}
    found = {each["value"]: each["rows"] for each in slices if each["by"] == "c6"}
    assert found == expected | ({"no value": missing} if missing else {})
    by = Counter(each["by"] for each in slices)
    assert 9 <= by["score decile"] <= 10  # fewer only where many rows have one score
    assert {each["value"] for each in slices if each["by"] == IDS} == {"known", "new"}
    new = next(each for each in slices if each["value"] == "new")
    assert new["rows"] == told["new_values"]["rows"]
    assert new["pcoc"] == pytest.approx(told["new_values"]["pcoc"], rel=1e-9)


def test_the_reliability_before_calibration_is_that_of_the_corrected_logit(five_days: Config) -> None:
    told = details(five_days) | metrics(five_days)
    assert sum(row["rows"] for row in told["reliability_before"]) == told["summary"]["rows"]
    assert told["reliability_before"] != told["reliability"]
