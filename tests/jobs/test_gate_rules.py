"""The gate on the rows of real days: how many they are, how much of them the candidate knows, and its document."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.tables import DECISION_FILE
from tests.jobs.odd_days import day, lines, odd_pipeline, write
from tests.jobs.test_odd_days import made, run

STEPS = ("ingest", "sample", "count", "check", "feature_map", "encode", "train", "calibrate", "gate")


def gate(config: Config, number: int) -> Mapping[str, Any]:
    return run(config, number, STEPS)["gate"].details


def edited(config: Config, text: str) -> Config:
    config.path.write_text(config.path.read_text().replace("bootstrap_repeats = 10", f"bootstrap_repeats = 10\n{text}"))
    return load_config(config.path)


def test_a_day_with_far_fewer_rows_than_the_days_before_is_refused(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 3, {"min_rows = 1": "trailing_days = 7\nmin_rows = 1"}, rows=1500)
    assert all(gate(config, number)["accepted"] for number in (1, 2))
    write(config, "logs", 3, lines(3, 300))
    found = gate(config, 3)
    usual = sum(made(config, "samples", number).details["gate"] for number in (1, 2)) / 2
    rows = made(config, "samples", 3).details["gate"]
    assert found["measures"]["rows_share"] == {"value": rows / usual, "usual": usual, "limit": 0.5}
    assert found["reasons"] == [
        f"rows: {rows / usual:.4g} of the {usual:g} of the days before, limit at least 0.5; all rows"
    ]


def test_values_that_the_map_does_not_know_are_counted_value_by_value(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 1)
    text = "".join(f"{n % 3 == 0:d},{'s0' if n % 2 else f'new{n}'},5\n" for n in range(400))
    write(config, "logs", 1, text)
    found = gate(config, 1)["measures"]["new_share"]
    assert found["limit"] == 0.5
    assert found["value"] == pytest.approx(0.5, abs=0.15)  # of the sites of the gate share; prices have no *other*
    refused = gate(edited(config, "max_new_share = 0.1"), 1)
    assert refused["reasons"] == [
        f"new values: {found['value']:.4g} of the values have no id in the candidate's map, limit 0.1; all rows"
    ]


def test_the_decision_is_a_document(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 2, {"min_rows = 1": "min_rows = 1\nmin_clicks = 2"})
    for number in (1, 2):
        run(config, number)
    manifest = made(config, "gates", 2)
    document = json.loads((open_store(config).folder(manifest) / DECISION_FILE).read_text())
    rules = {each["rule"]: each["outcome"] for each in document.pop("rules")}
    assert document.items() <= dict(manifest.details).items()
    assert rules == {
        "finite scores": "passed",
        "rows": "passed",
        "new values": "passed",
        "auc": "passed",
        "pcoc": "passed",
        "against the champion": "passed",
        "distance from the champion": "told",
    }
    assert manifest.details.get("asks") is None


def test_a_share_of_rows_without_days_to_compare_with_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`min_rows_share` belongs to trailing_days of 1 or more"):
        edited(odd_pipeline(tmp_path, 1), "min_rows_share = 0.3")


def test_without_trailing_days_nothing_more_is_read(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 2)
    for number in (1, 2):
        gate(config, number)
    assert not [name for name in made(config, "gates", 2).inputs if name.startswith(f"samples/{day(1)}")]
