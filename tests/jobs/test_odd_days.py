"""Days that are not like the others: what can't be made is kept with a reason, and the days after it go on."""

import shutil
from pathlib import Path

import pytest

from jobs.commands.skip_day import skip_day
from jobs.running import Outcome, run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.store.manifest import Manifest
from tests.jobs.odd_days import day, lines, odd_pipeline, requests, with_own_table, write
from tests.jobs.small_pipeline import DAILY, NIGHTLY, UNPUBLISHED, state_words

STEPS = UNPUBLISHED
"""All but publish, which a test of its own covers."""

ODD = ("no_clicks", "only_clicks", "one_row", "no_rows", "no_files", "few_clicks")


def make_odd(config: Config, kind: str, number: int) -> None:
    texts = {
        "no_clicks": lines(50, 300, click_rate=0),
        "only_clicks": lines(50, 300, click_rate=1),
        "one_row": "1,s1,5\n",
        "no_rows": "",
        "few_clicks": lines(50, 300, click_rate=0) + "1,s1,5\n" * 2,
    }
    if kind == "no_files":
        shutil.rmtree(config.path.parent / "logs" / str(day(number)))
        skip_day(config, day(number), "the collector was down", False)
    else:
        write(config, "logs", number, texts[kind])


def run(config: Config, number: int, steps: tuple[str, ...] = STEPS) -> dict[str, Outcome]:
    return {name: run_step(step(name), config, day(number)) for name in steps}


def made(config: Config, table: str, number: int) -> Manifest:
    found = open_store(config).manifest(table, day(number))
    assert found is not None
    return found


def map_of(config: Config, number: int) -> FeatureMap:
    return FeatureMap.load(open_store(config).folder(made(config, "maps", number)) / "map.h5")


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Four days of logs of which two are made; read only."""
    config = odd_pipeline(tmp_path_factory.mktemp("two"), 4)
    for number in (1, 2):
        run(config, number)
    return config


@pytest.fixture
def begun(two_days: Config, tmp_path: Path) -> Config:
    """A copy of the two days that a test may change."""
    shutil.copytree(two_days.path.parent, tmp_path / "begun")
    return with_own_table(tmp_path / "begun")


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_first_day_is_kept_and_the_next_days_go_on(tmp_path: Path, kind: str) -> None:
    config = odd_pipeline(tmp_path, 2)
    make_odd(config, kind, 1)
    first = run(config, 1)
    assert {outcome.exit_status for outcome in first.values()} <= {0, 4}
    if kind != "few_clicks":  # whose few clicks may all be in one share
        assert (first["score"].status, first["score"].exit_status) == ("kept", 4)
        assert "no model is in force yet" in first["score"].details["kept"]
    second = run(config, 2)
    assert second["gate"].details["accepted"], second["gate"].details
    assert second["score"].details["model_day"] == str(day(2))
    assert second["score"].rows == 20
    assert "price" not in map_of(config, 2).unfitted
    assert map_of(config, 2).continues(map_of(config, 1))
    states = state_words(config, [day(1), day(2)])
    assert {states[day(n)][name] for n in (1, 2) for name in STEPS} <= {"done", "kept"}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_day_among_others_keeps_the_model_and_scores_go_out(begun: Config, kind: str) -> None:
    make_odd(begun, kind, 3)
    odd = run(begun, 3)
    assert {outcome.exit_status for outcome in odd.values()} <= {0, 4}
    assert odd["score"].rows == 20
    if kind != "few_clicks":
        assert (odd["gate"].status, odd["gate"].exit_status) == ("kept", 4)
        assert (odd["promote"].status, odd["promote"].details["decision"]) == ("done", "kept")
        assert odd["promote"].details["reason"] == odd["gate"].details["kept"]
        assert odd["promote"].details["model_day"] == odd["score"].details["model_day"] == str(day(2))
    after = run(begun, 4)
    assert after["promote"].details["model_day"] == str(day(4))
    assert after["evaluate"].details["summary"]["rows"] == 300
    assert map_of(begun, 4).continues(map_of(begun, 2))
    assert set(state_words(begun, [day(4)])[day(4)].values()) == {"done", "missing"}


@pytest.mark.parametrize("kind", ["no_clicks", "no_rows"])
def test_an_odd_day_in_a_window_with_others_adds_nothing_to_it(begun: Config, kind: str) -> None:
    begun.path.write_text(begun.path.read_text().replace("window_days = 1", "window_days = 3"))
    config = load_config(begun.path)
    make_odd(config, kind, 3)
    odd = run(config, 3)
    assert odd["train"].status == "done"
    assert odd["train"].rows == 2 * sum(made(config, "samples", n).details["train"] for n in (1, 2, 3))
    assert (odd["gate"].status, odd["promote"].details["model_day"]) == ("kept", str(day(2)))


def test_a_kept_day_built_again_is_the_same_bytes(tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        config = odd_pipeline(tmp_path / name, 3)
        make_odd(config, "no_rows", 1)
        runs.append([outcome.run for number in (1, 2) for outcome in run(config, number).values()])
    assert runs[0] == runs[1]
    assert {outcome.status for outcome in run(config, 2).values()} == {"skipped"}


@pytest.mark.parametrize("kind", ["no_clicks", "no_rows"])
def test_trees_keep_an_odd_day_too(tmp_path: Path, kind: str) -> None:
    edits = {'name = "lr"': 'name = "gbdt"\ntrees = 5', "epochs = 2\nbatch_size = 50\nlearning_rate = 0.01\n": ""}
    config = odd_pipeline(tmp_path, 3, edits)
    make_odd(config, kind, 2)
    run(config, 1)
    assert run(config, 2)["promote"].details["model_day"] == str(day(1))
    assert run(config, 3)["promote"].details["model_day"] == str(day(3))


def test_missing_logs_are_an_error_that_names_skip_day_until_they_are_declared(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 2)
    shutil.move(tmp_path / "logs" / str(day(1)), tmp_path / "aside")
    with pytest.raises(InputError, match=f"pnn-gluon skip-day --config .* --day {day(1)} --reason"):
        run(config, 1, ("ingest",))
    skip_day(config, day(1), "disk lost", False)
    kept = run(config, 1, ("ingest",))["ingest"]
    assert (kept.status, kept.exit_status, kept.rows) == ("kept", 4, 0)
    assert kept.details["kept"] == "declared as skipped: disk lost"
    shutil.move(tmp_path / "aside", tmp_path / "logs" / str(day(1)))
    assert run(config, 1, ("ingest",))["ingest"].status == "kept"
    skip_day(config, day(1), "found after all", True)
    assert run(config, 1, ("ingest",))["ingest"].rows == 300


def test_skip_day_mends_a_day_of_too_many_rejects(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 1)
    write(config, "logs", 1, "nonsense\n" * 50)
    with pytest.raises(InputError, match=r"max_reject_share.*skip-day"):
        run(config, 1, ("ingest",))
    skip_day(config, day(1), "wrong format delivered", False)
    assert run(config, 1, ("ingest",))["ingest"].status == "kept"


def test_skip_day_makes_what_was_read_before_stale(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 1)
    run(config, 1)
    skip_day(config, day(1), "bots", False)
    states = state_words(config, [day(1)])[day(1)]
    assert (states["ingest"], states["train"]) == ("stale", "stale")


def test_skip_day_needs_a_reason_and_a_day_of_the_pipeline(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 1)
    with pytest.raises(ConfigError, match="--reason"):
        skip_day(config, day(1), " ", False)
    with pytest.raises(ConfigError, match="first day"):
        skip_day(config, day(0), "x", False)


def test_missing_requests_of_a_declared_day_are_kept_and_of_another_an_error(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 2)
    shutil.rmtree(tmp_path / "requests" / str(day(2)))
    run(config, 1, DAILY[: DAILY.index("score")])
    with pytest.raises(InputError, match="skip-day"):
        run(config, 1, ("score",))
    skip_day(config, day(2), "outage", False)
    score = run(config, 1, ("score",))["score"]
    assert score.status == "kept"
    assert "outage" in score.details["kept"]
    write(config, "requests", 2, requests(7))
    assert run(config, 1, ("score",))["score"].rows == 20


def test_an_empty_file_of_requests_is_kept_and_published_as_nothing(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 1)
    write(config, "requests", 2, "")
    outcomes = run(config, 1, DAILY)
    assert [outcomes[name].status for name in ("score", "publish")] == ["kept", "kept"]
    assert outcomes["publish"].details["kept"].startswith("no scores: the requests of 2026-11-02 hold no row")


@pytest.mark.parametrize("kind", ["no_clicks", "no_rows", "no_files"])
def test_the_night_after_an_odd_day_is_kept_and_the_next_takes_it_up(tmp_path: Path, kind: str) -> None:
    config = odd_pipeline(tmp_path, 3, {'method = "platt"': 'method = "platt"\nmaturity_days = 0'})
    make_odd(config, kind, 2)
    for number in (1, 2):
        run(config, number)
    night = run(config, 2, NIGHTLY)
    assert night["recalibrate"].status == "kept"
    assert night["reevaluate"].status == ("done" if kind == "no_clicks" else "kept")
    assert run(config, 3)["promote"].details["model_day"] == str(day(3))
    assert run(config, 3, NIGHTLY)["recalibrate"].status == "done"


def test_a_recalibration_before_a_kept_day_is_taken_up_by_it(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 2)
    run(config, 1)
    again = run(config, 1, NIGHTLY)["recalibrate"]
    make_odd(config, "no_clicks", 2)
    kept = run(config, 2)
    assert (kept["promote"].details["table"], kept["promote"].details["run"]) == ("recalibrated", again.run)
    assert kept["score"].rows == 20


def test_a_numeric_field_without_values_gets_its_buckets_on_the_first_day_that_has_some(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 3)
    for number in (1, 2):
        text = lines(number, 300)
        write(config, "logs", number, "".join(line.rpartition(",")[0] + ",\n" for line in text.splitlines()))
    for number in (1, 2, 3):
        run(config, number)
    assert [map_of(config, number).unfitted for number in (1, 2, 3)] == [("price",), ("price",), ()]
    assert len(map_of(config, 3).fields[1].edges) == 3
    assert map_of(config, 3).continues(map_of(config, 1))


def test_a_validation_day_without_clicks_trains_without_early_stopping_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = odd_pipeline(tmp_path, 1)
    text = lines(1, 300)
    write(config, "logs", 1, text)
    run(config, 1, STEPS[: STEPS.index("train")])
    caplog.set_level("INFO")
    from jobs.steps import training_split

    monkey = pytest.MonkeyPatch()
    monkey.setattr(training_split, "one_class", lambda paths, share: "none" if share == "calibrate" else "")
    with monkey.context():
        trained = run_step(step("train"), config, day(1))
    monkey.undo()
    assert any("no early stopping" in line for line in caplog.messages)
    assert [epoch["validation"] for epoch in trained.details["history"]] == [None, None]


def test_status_days_and_report_tell_of_a_kept_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from jobs.commands.status import print_status
    from jobs.day_reports import day_reports, write_html

    config = odd_pipeline(tmp_path, 2)
    make_odd(config, "no_rows", 2)
    for number in (1, 2):
        run(config, number)
    print_status(load_config(config.path), [day(1), day(2)])
    shown = capsys.readouterr().out
    assert f"ingest {day(2)} kept: the logs of {day(2)} hold no row" in shown
    assert f"gate {day(2)} kept: no candidate" in shown
    assert "refused" not in shown
    reports = day_reports(config, [day(1), day(2)])
    assert (reports[1].gate, reports[1].summary["rows"]) == ("kept", 0)
    write_html(config, [day(1), day(2)], tmp_path / "report.html")
    assert "no candidate" in (tmp_path / "report.html").read_text()
