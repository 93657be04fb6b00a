"""Clicks that come a day late: what is served is right, and both figures are shown."""

import datetime
import random
import shutil
from pathlib import Path

import pytest

from jobs.day_reports import day_reports
from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import daily_steps, step
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.parts import parts_in
from tests.jobs.small_pipeline import DAILY, DAYS, build, state_words


def manifest(config: Config, table: str, day: datetime.date) -> Manifest:
    found = open_store(config).manifest(table, day)
    assert found is not None
    return found


def log(config: Config, day: datetime.date) -> Path:
    (path,) = (config.path.parent / f"raw/logs/{day}").glob("*.tsv")
    return path


def late(config: Config, **calibration: int) -> Config:
    text = config.path.read_text()
    options = "".join(f"\n{key} = {value}" for key, value in calibration.items())
    config.path.write_text(text.replace('method = "platt"', f'method = "platt"{options}'))
    return load_config(config.path)


def run_days(config: Config, days: list[datetime.date]) -> None:
    """Day after day: the clicks of yesterday are complete, 40 % of today's are still missing."""
    draw = random.Random(4)
    whole = {day: log(config, day).read_text() for day in days}
    steps = [each.name for each in daily_steps(config) if each.name != "publish"]
    for day in days:
        lines = whole[day].split("\n")
        missing = ("0" + line[1:] if line.startswith("1\t") and draw.random() < 0.4 else line for line in lines)
        log(config, day).write_text("\n".join(missing))
        if day > days[0]:
            log(config, plus(day, -1)).write_text(whole[plus(day, -1)])
        build(config, [day], steps)


def served(config: Config, day: datetime.date) -> float:
    """Clicks foretold by what served the day, over those that had come a day later."""
    summary = manifest(config, "evaluations", day).details["summary"]
    clicks = sum(line.startswith("1\t") for line in log(config, day).read_text().split("\n"))
    return float(summary["pcoc"] * summary["positives"] / clicks)


def copied(config: Config, folder: Path) -> Config:
    shutil.copytree(config.path.parent, folder)
    return load_config(folder / config.path.name)


@pytest.mark.long
def test_models_learn_from_complete_labels_only(pipeline: Config, tmp_path: Path) -> None:
    late_pipeline = late(copied(pipeline, tmp_path / "late"), maturity_days=1)
    run_days(late_pipeline, DAYS[:4])
    assert list(manifest(late_pipeline, "shards", DAYS[2]).details["samples"]) == [str(DAYS[0]), str(DAYS[1])]
    read = manifest(late_pipeline, "gates", DAYS[2]).inputs
    assert f"matured/{DAYS[2]}" in read
    assert f"samples/{DAYS[2]}" not in read
    run_days(pipeline, DAYS[:4])
    assert served(late_pipeline, DAYS[2]) > 1.25 * served(pipeline, DAYS[2]), "40 % of the clicks were missing"


def test_matured_pcoc_stands_beside_the_first_one(pipeline: Config) -> None:
    config = late(pipeline, maturity_days=1)
    run_days(config, DAYS[:4])
    build(config, [DAYS[3]], ("reevaluate",))
    (shown,) = day_reports(config, [DAYS[2]])
    first, matured = (shown.summary[name] for name in ("pcoc", "matured_pcoc"))
    assert first is not None
    assert matured == pytest.approx(served(config, DAYS[2]), rel=0.03)
    assert matured == pytest.approx(0.6 * first, rel=0.1)


def test_the_first_days_have_no_model_and_days_after_them_go_on(pipeline: Config) -> None:
    config = late(pipeline, maturity_days=1)
    steps = [each.name for each in daily_steps(config) if each.name != "publish"]
    outcomes = {day: {name: run_step(step(name), config, day).status for name in steps} for day in DAYS[:2]}
    assert (outcomes[DAYS[0]]["train"], outcomes[DAYS[0]]["score"]) == ("kept", "kept")
    assert set(outcomes[DAYS[1]].values()) == {"done"}
    states = state_words(config, DAYS[:2])
    assert all(state == "done" for name, state in states[DAYS[1]].items() if name != "publish")


def test_reading_again_is_a_step_of_the_day_only_where_labels_come_late(pipeline: Config) -> None:
    assert tuple(each.name for each in daily_steps(pipeline)) == DAILY
    with_late = [each.name for each in daily_steps(late(pipeline, maturity_days=1))]
    assert set(with_late) - set(DAILY) == {"mature"}
    assert with_late.index("ingest") < with_late.index("mature") < with_late.index("encode")


def test_of_a_day_whose_labels_came_late_only_the_files_that_changed_are_read_again(
    pipeline: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pnn_gluon.data.pieces.TOGETHER_BYTES", 1)
    config = late(pipeline, maturity_days=1)
    one = log(config, DAYS[0])
    lines = one.read_text().splitlines(keepends=True)
    one.write_text("".join(lines[:100]))
    one.with_name("z.tsv").write_text("".join(lines[100:]))
    run_step(step("ingest"), config, DAYS[0])
    one.write_text("".join("1" + line[1:] for line in lines[:100]))
    run_step(step("mature"), config, DAYS[1])
    folders = [open_store(config).folder(manifest(config, *day)) for day in (("rows", DAYS[0]), ("matured", DAYS[1]))]
    first, again = ({path.stat().st_ino for path in parts_in(folder / "rows.parquet")} for folder in folders)
    assert (len(first), len(again), len(first & again)) == (2, 2, 1)
    run = manifest(config, "matured", DAYS[1]).run
    assert run_step(step("mature"), config, DAYS[1], force=True).run == run
