"""The numbers of a day: what is served is what is reported, and nothing finite is called infinite."""

import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.day_reports import day_reports, write_html, write_pages
from jobs.running import run_step
from jobs.steps.train_network import _validation
from jobs.steps.train_trees import _log_loss
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.metrics import ClickMetrics
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.reading import Reading
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.report.day_report import COMPARED
from pnn_gluon.store.manifest import Manifest
from tests.jobs.small_pipeline import DAYS, FIRST

DAY = DAYS[2]


def manifest(config: Config, table: str) -> Manifest:
    found = open_store(config).manifest(table, DAY)
    assert found is not None
    return found


def changed(config: Config, old: str, new: str) -> Config:
    text = config.path.read_text()
    assert old in text
    config.path.write_text(text.replace(old, new))
    return load_config(config.path)


def test_rows_with_new_values_are_a_slice_of_the_next_day(five_days: Config) -> None:
    """Counted anew from raw values: a categorical value without an id in the map of the model in force."""
    from pnn_gluon.data.feature_map import FeatureMap

    store, evaluation = open_store(five_days), manifest(five_days, "evaluations")
    model_map = store.manifest("maps", DAYS[1])
    assert model_map is not None
    feature_map = FeatureMap.load(store.folder(model_map) / "map.h5")
    rows = store.folder(manifest(five_days, "rows")) / "rows.parquet"
    table = pq.read_table(rows)
    new = np.zeros(table.num_rows, bool)
    for position, field in enumerate(feature_map.fields):
        if field.kind == "categorical":
            known = set(feature_map.dictionary(position)["value"].to_pylist())
            new |= np.array([value is not None and value not in known for value in table[field.name].to_pylist()])
    scored = pq.read_table(store.folder(evaluation) / "predictions.parquet")
    label, logit, probability = (scored[name].to_numpy()[new] for name in ("label", "logit", "probability"))
    expected = ClickMetrics().update(label, logit, probability).summary()
    assert 0 < new.sum() < table.num_rows
    assert evaluation.details["new_values"] == {
        name: value if isinstance(value, int) else pytest.approx(value, rel=1e-9) for name, value in expected.items()
    }
    (report,) = day_reports(five_days, [DAY])
    assert (report.summary["new_rows"], report.summary["new_pcoc"]) == (
        expected["rows"],
        pytest.approx(expected["pcoc"]),
    )


def test_what_is_reported_is_what_is_served(five_days: Config) -> None:
    summary = manifest(five_days, "evaluations").details["summary"]
    assert summary["served_auc"] == summary["auc"]
    judged = manifest(five_days, "gates").details["measures"]["candidate"]
    assert judged["served_auc"] == judged["auc"]


def test_a_calibrator_that_merges_ranks_shows_in_served_auc_and_in_the_notes(built: Config) -> None:
    """As a bundle of an earlier release with its flat pieces would."""
    champion = open_store(built).manifest("bundles", DAYS[1])
    assert champion is not None
    from pnn_gluon.evaluation.segments import calibration_from_dict
    from pnn_gluon.serving.bundle import Bundle

    bundle = Bundle.load(open_store(built).folder(champion))
    flat = calibration_from_dict({"method": "isotonic", "logit": [-1.0, 1.0], "probability": [0.1, 0.1]})
    merged = Bundle(bundle.card, bundle.feature_map, bundle.scorer, flat)
    logit = np.linspace(-3, 3, 50, dtype=np.float32)
    ids = np.zeros((50, 1), np.int32)
    metrics = ClickMetrics().update(
        np.tile([0, 1], 25), logit, merged.probability(logit, ids), merged.calibrated_logit(logit, ids)
    )
    assert metrics.summary()["served_auc"] == 0.5
    assert metrics.warnings() == ["calibration merges ranks: 1 probabilities of 50 scores; calibrate the model again"]


def test_isotonic_on_few_clicks_falls_back_and_the_report_says_so(built: Config, tmp_path: Path) -> None:
    config = changed(built, 'method = "platt"', 'method = "isotonic"\nmin_clicks = 1000')
    details = run_step(step("calibrate"), config, DAY).details
    (note,) = details["notes"]
    assert note.startswith("platt in place of isotonic: ")
    calibrator = json.loads((open_store(config).folder(manifest(config, "bundles")) / "calibrator.json").read_text())
    assert calibrator["method"] == "platt"
    (report,) = day_reports(config, [DAY])
    assert report.notes == [f"calibrate: {note}"]
    write_html(config, [DAY], tmp_path / "report.html")
    assert f"calibrate: {note}" in (tmp_path / "report.html").read_text()
    again = changed(config, "min_clicks = 1000", "min_clicks = 10")
    assert run_step(step("calibrate"), again, DAY).details["notes"] == []


def test_the_gates_min_clicks_decides_what_is_compared(built: Config) -> None:
    assert "difference" in manifest(built, "gates").details["measures"]["regression"]
    config = changed(built, "min_auc = 0.4", "min_auc = 0.4\nmin_clicks = 5000")
    measures = run_step(step("gate"), config, DAY).details["measures"]
    assert "limit at least 5000 of each class" in measures["regression"]["skipped"]
    assert measures["notes"][0].startswith("not judged by auc and against the champion: ")


def test_validation_of_certain_and_wrong_logits_is_finite(built: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """sigmoid(40) is exactly 1 in float64; the log loss of a non-click there is 40, not infinite."""
    logits = lambda net, ids: np.full(len(ids), 40, np.float32)  # noqa: E731
    monkeypatch.setattr("pnn_gluon.training.export.predict_logits", logits)
    inputs = Inputs.read(step("train"), Reading(built, open_store(built), DAY))
    validate = _validation(inputs)
    assert validate is not None
    assert 25 < validate(None) < 40  # type: ignore[arg-type]
    assert _log_loss(1.0, np.float32([0, 1]), np.float32([40, 40])) == pytest.approx(20)


def test_a_report_of_days_without_data_is_an_error_and_writes_nothing(five_days: Config, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    days = [FIRST.replace(month=12)]
    for make in (lambda: day_reports(five_days, days), lambda: write_html(five_days, days, page)):
        with pytest.raises(InputError, match="nothing to report: no day from 2026-12-01 to 2026-12-01 was evaluated"):
            make()
    assert not page.exists()


def test_the_report_of_a_day_is_a_step_whose_page_and_numbers_tell_what_the_others_found(five_days: Config) -> None:
    made, store = manifest(five_days, "reports"), open_store(five_days)
    told = json.loads((store.folder(made) / "report.json").read_text())
    assert told["report"]["summary"]["auc"] == manifest(five_days, "evaluations").details["summary"]["auc"]
    assert [day["day"] for day in told["trend"]] == [str(day) for day in DAYS[:3]]
    assert told["scores"]["model_day"] == manifest(five_days, "scores").details["model_day"]
    assert {each["step"]: each["run"] for each in told["lineage"]}["train"] == manifest(five_days, "models").run
    assert {each["rule"] for each in told["rules"]} >= {"finite scores", "auc", "pcoc", "against the champion"}
    assert {each["outcome"] for each in told["rules"]} == {"passed", "told"}
    page = (store.folder(made) / "report.html").read_text()
    assert all(sentence in page for sentence in made.details["verdict"])


def test_a_report_that_is_made_again_is_the_same_to_the_byte(built: Config) -> None:
    before = manifest(built, "reports").run
    assert (run_step(step("report"), built, DAY).status, run_step(step("report"), built, DAY, force=True).run) == (
        "skipped",
        before,
    )


def test_an_option_of_the_report_says_how_many_days_its_page_shows(built: Config) -> None:
    config = changed(built, "[publish]", "[report]\ntrend_days = 1\n[publish]")
    run_step(step("report"), config, DAY)
    told = json.loads((open_store(config).folder(manifest(config, "reports")) / "report.json").read_text())
    assert [day["day"] for day in told["trend"]] == [str(DAYS[1]), str(DAY)]


def test_the_way_of_candidate_and_champion_is_that_of_the_gates_of_these_days(built: Config) -> None:
    run_step(step("report"), built, DAY, force=True)
    store = open_store(built)
    told = json.loads((store.folder(manifest(built, "reports")) / "report.json").read_text())
    for day in told["trend"]:
        gate = store.manifest("gates", datetime.date.fromisoformat(day["day"]))
        assert gate is not None
        measures = gate.details["measures"]
        sides = {side: measures[side] for side in ("candidate", "champion") if measures.get(side)}
        found = {side: {name: numbers[name] for name in COMPARED} for side, numbers in sides.items()}
        assert day["judged"] == found
    assert [sorted(day["judged"]) for day in told["trend"]] == [["candidate"], *[["candidate", "champion"]] * 2]
    write_html(built, [DAY], built.path.parent / "day.html")
    write_html(built, DAYS, built.path.parent / "days.html")
    for name in ("day.html", "days.html"):
        assert "Candidate and champion by day" in (built.path.parent / name).read_text()


def test_pages_of_several_days_lie_in_a_folder_and_say_what_differs_and_how_long_it_took(
    built: Config, tmp_path: Path
) -> None:
    run_step(step("evaluate"), built, DAY, force=True)
    index = write_pages(built, DAYS, tmp_path / "pages")
    assert {path.name for path in index.parent.iterdir()} == {
        "index.html",
        *(f"{day}.{kind}" for day in DAYS for kind in ("html", "json")),
    }
    assert f'<a href="{DAY}.html">' in index.read_text()
    page = (index.parent / f"{DAY}.html").read_text()
    assert f"Against {DAYS[1]}" in page
    assert "Seconds" in page
    write_html(built, [DAY], tmp_path / "one.html", DAYS[0])
    assert f"Against {DAYS[0]}" in (tmp_path / "one.html").read_text()


def test_a_gate_without_rows_keeps_the_champion_in_words(built: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.steps.gate._gate_clicks", lambda *arguments: (0, 0))
    outcome = run_step(step("gate"), built, DAY, force=True)
    assert outcome.status == "kept"
    assert outcome.details["reasons"] == ["0 clicks in 0 rows of the gate shares: nothing to judge by"]
    json.dumps(outcome.details, allow_nan=False)
