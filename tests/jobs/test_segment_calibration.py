"""A calibrator by segment through the day: fitted, judged, served and refitted at night as one thing."""

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.calibration import correct_sampling
from pnn_gluon.evaluation.calibrators import calibrator_from_dict
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.metrics import ClickMetrics
from pnn_gluon.evaluation.segments import calibration_from_dict
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.serving.scoring import score_batches
from pnn_gluon.store.manifest import Manifest
from tests.jobs.small_pipeline import DAYS, NIGHTLY, build, sample_of

TODAY, TOMORROW = DAYS[2], DAYS[3]
FIELD = "c20"
"""Four values, and none in 44 % of the rows."""

HOSTILE = ("'; drop table x; --", '"a","b"', "Zürich 東京 \u202e🙂", "..\\..\\%s {day} $HOME", "x" * 500)


def by_segment(config: Config, maturity_days: int = 0, field: str = FIELD) -> Config:
    options = f'method = "auto"\nmin_clicks = 20\nsegment = "{field}"\nmaturity_days = {maturity_days}'
    config.path.write_text(config.path.read_text().replace('method = "platt"', options))
    return load_config(config.path)


def manifest(config: Config, table: str, day: datetime.date) -> Manifest:
    found = open_store(config).manifest(table, day)
    assert found is not None
    return found


def folder(config: Config, table: str, day: datetime.date) -> Path:
    return open_store(config).folder(manifest(config, table, day))


def expected(bundle: Path, rate: float, rows: Any, logit: Any, field: str = FIELD) -> Any:
    """Probabilities by the bundle's JSON and the raw values of its field: the definition, row by row."""
    told = json.loads((bundle / "calibrator.json").read_text())
    assert (told["method"], told["field"]) == ("segments", field)
    lines = {each: line for each, *line in zip(told["ids"], told["scale"], told["shift"], strict=True)}
    feature_map = FeatureMap.load(bundle / "map.h5")
    place = [each.name for each in feature_map.fields].index(field)
    known = feature_map.dictionary(place).to_pydict()
    id_of = dict(zip(known["value"], known["id"], strict=True)) | {None: feature_map.missing_id(place)}
    whole = calibrator_from_dict(told["whole"]).logit(correct_sampling(logit, rate))
    line = np.array([lines.get(id_of.get(value, -1), (1.0, 0.0)) for value in rows[field].to_pylist()])
    return sigmoid(line[:, 0] * whole + line[:, 1])


def test_the_probability_of_the_segment_is_judged_and_served(built: Config) -> None:
    config = by_segment(built)
    build(config, [TODAY], ("calibrate", "gate", "promote"))
    build(config, [TOMORROW], ("evaluate",))
    bundle = folder(config, "bundles", TODAY)
    details = manifest(config, "bundles", TODAY).details["calibration"]
    assert details["method"] in details["losses"]
    assert (details["segments"]["field"], details["segments"]["carried"]) == (FIELD, 5)
    assert len(set(json.loads((bundle / "calibrator.json").read_text())["shift"])) == 5

    rate = config.sampling.negative_rate
    scored = pq.read_table(folder(config, "evaluations", TOMORROW) / "predictions.parquet")
    rows = pq.read_table(folder(config, "rows", TOMORROW) / "rows.parquet")
    served = expected(bundle, rate, rows, scored["logit"].to_numpy())
    np.testing.assert_allclose(scored["probability"].to_numpy(), served, rtol=1e-12)

    sample = sample_of(config, TODAY)
    with score_batches(Bundle.load(bundle), config.engine, sample, ("label", FIELD), "share = 'gate'") as batches:
        (batch,) = batches
    judged = expected(bundle, rate, batch.columns, batch.logit)
    summary = ClickMetrics().update(batch.columns["label"].to_numpy(), batch.logit, judged).summary()
    candidate = manifest(config, "gates", TODAY).details["measures"]["candidate"]
    for name in ("pcoc", "log_loss", "served_auc"):
        assert candidate[name] == pytest.approx(summary[name], rel=1e-9)


def test_values_that_the_fit_did_not_see_are_served_as_the_whole(built: Config) -> None:
    config = by_segment(built, field="c3")
    build(config, [TODAY], ("calibrate", "gate", "promote"))
    build(config, [TOMORROW], ("evaluate",))
    bundle = folder(config, "bundles", TODAY)
    scored = pq.read_table(folder(config, "evaluations", TOMORROW) / "predictions.parquet")
    rows = pq.read_table(folder(config, "rows", TOMORROW) / "rows.parquet")
    values = FeatureMap.load(bundle / "map.h5").values.to_pylist()
    assert sum(value is not None and value not in values for value in rows["c3"].to_pylist()) > 100
    served = expected(bundle, config.sampling.negative_rate, rows, scored["logit"].to_numpy(), "c3")
    np.testing.assert_allclose(scored["probability"].to_numpy(), served, rtol=1e-12)


def test_the_night_chooses_and_fits_segments_again(built: Config) -> None:
    config = by_segment(built, maturity_days=1)
    build(config, [TODAY], NIGHTLY)
    made = manifest(config, "recalibrated", TODAY)
    assert made.details["calibration"]["segments"]["field"] == FIELD
    assert set(made.details["calibration"]["losses"]) == {"none", "temperature", "platt", "beta", "isotonic"}
    bundle = folder(config, "recalibrated", TODAY)
    assert json.loads((bundle / "calibrator.json").read_text())["method"] == "segments"
    assert (bundle / "history.json").read_bytes() == (folder(config, "bundles", TODAY) / "history.json").read_bytes()
    build(config, [TODAY], ("recalibrate",), force=True)
    assert manifest(config, "recalibrated", TODAY).run == made.run
    build(load_config(_with_platt(config)), [TODAY], ("recalibrate",))
    assert manifest(config, "recalibrated", TODAY).details["after"]["pcoc"] == pytest.approx(1, abs=0.02)
    whole = load_config(_without_segments(config))
    build(whole, [TODAY], ("recalibrate",))
    assert json.loads((folder(whole, "recalibrated", TODAY) / "calibrator.json").read_text())["method"] != "segments"


def _with_platt(config: Config) -> Path:
    """Platt's method leaves no mean off; which one `auto` takes is a matter of chance with so few rows."""
    config.path.write_text(config.path.read_text().replace('method = "auto"', 'method = "platt"'))
    return config.path


def _without_segments(config: Config) -> Path:
    config.path.write_text(config.path.read_text().replace(f'segment = "{FIELD}"\n', ""))
    return config.path


def test_a_bundle_without_segments_tells_nothing_of_them(five_days: Config) -> None:
    assert "calibration" not in manifest(five_days, "bundles", TODAY).details
    calibrator = json.loads((folder(five_days, "bundles", TODAY) / "calibrator.json").read_text())
    assert set(calibrator) == {"method", "scale", "shift"}


def test_hostile_values_are_segments_like_any_other(pipeline: Config) -> None:
    config = by_segment(pipeline)
    _with_hostile_values(config, DAYS[0])
    steps = ("ingest", "sample", "count", "feature_map", "encode", "train", "calibrate")
    assert build(config, [DAYS[0]], steps) == ["done"] * len(steps)
    assert manifest(config, "bundles", DAYS[0]).details["calibration"]["segments"]["carried"] == 1 + len(HOSTILE)
    bundle = folder(config, "bundles", DAYS[0])
    sample = sample_of(config, DAYS[0])
    with score_batches(Bundle.load(bundle), config.engine, sample, (FIELD,)) as batches:
        for batch in batches:
            assert {value for value in batch.columns[FIELD].to_pylist() if value} == set(HOSTILE)
            served = expected(bundle, config.sampling.negative_rate, batch.columns, batch.logit)
            np.testing.assert_allclose(batch.probability, served, rtol=1e-12)


def _with_hostile_values(config: Config, day: datetime.date) -> None:
    (path,) = (config.path.parent / f"raw/logs/{day}").glob("*.tsv")
    lines = [line.split("\t") for line in path.read_text().split("\n")]
    column = 1 + 13 + 19
    for number, cells in enumerate(lines):
        if len(cells) == 40 and cells[column]:
            cells[column] = HOSTILE[number % len(HOSTILE)]
    path.write_text("\n".join("\t".join(cells) for cells in lines))


def test_a_segment_that_the_model_has_not_is_refused_in_words(built: Config) -> None:
    bundle = folder(built, "bundles", TODAY)
    told = {"method": "segments", "whole": {"method": "none"}, "field": "c99", "ids": [], "scale": [], "shift": []}
    loaded = Bundle.load(bundle)
    odd = Bundle(loaded.card, loaded.feature_map, loaded.scorer, calibration_from_dict(told))
    with pytest.raises(InputError, match=r"'c99': expected a field of one value a row that the model has, one of i1,"):
        odd.probability(np.float32([0]), np.zeros((1, 14), np.int32))


def test_a_changed_segment_makes_the_bundle_stale_and_the_same_one_does_not(built: Config) -> None:
    config = by_segment(built)
    assert run_step(step("calibrate"), config, TODAY).status == "done"
    assert run_step(step("calibrate"), config, TODAY).status == "skipped"
