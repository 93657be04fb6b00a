"""What a step reads on a day: bundles that people choose, declared outages, raw files that are only looked at."""

import datetime
import hashlib
from pathlib import Path

import pytest

from jobs.commands.skip_day import skip_day
from jobs.running import Build, Work, run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.details import Details
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import open_partition
from pnn_gluon.pipeline.reading import Reading
from pnn_gluon.pipeline.step import Built, Step, kept
from pnn_gluon.pipeline.tables import BUNDLES, Table
from pnn_gluon.pipeline.work import Inputs

FIRST = datetime.date(2026, 11, 1)
LAST = plus(FIRST, 13)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "pipeline.toml"
    text = 'name = "p"\nfirst_day = 2026-11-01\n[store]\nroot = "store"\n[source]\npreset = "criteo"\n'
    path.write_text(text + 'logs = "logs/{day}.tsv"\n[model]\nname = "lr"\n')
    return load_config(path)


def reading(config: Config, peek: bool = False) -> Reading:
    return Reading(config, open_store(config), LAST, peek)


def made(config: Config, day: datetime.date, build: Build) -> None:
    run_step(Step("calibrate", Table(BUNDLES.name, Details)), config, day, work=Work(build))


def something(inputs: Inputs, folder: Path) -> Built:
    return Built(1, {})


def nothing(inputs: Inputs, folder: Path) -> Built:
    return kept("no clicks", {"rows": 5})


def test_a_day_before_the_first_is_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match=f"day {plus(FIRST, -1)}: before the pipeline's first day {FIRST}"):
        Reading(config, open_store(config), plus(FIRST, -1))


def test_a_chosen_bundle_is_an_input(config: Config) -> None:
    made(config, FIRST, something)
    asked = reading(config)
    assert asked.recorded == {}
    assert asked.recorded == {f"bundles/{FIRST}": asked.bundle(FIRST).run}


def test_a_kept_day_says_why_and_what_readers_expect_all_the_same(config: Config) -> None:
    made(config, FIRST, nothing)
    partition = open_partition(open_store(config), BUNDLES, FIRST)
    assert partition is not None
    assert (partition.kept, partition.rows, partition.manifest.details["rows"]) == ("no clicks", 0, 5)
    assert Built(1, {"rows": 5}).to_json() == {"rows": 5}


def test_a_bundle_that_is_not_there_is_refused_with_those_that_are(config: Config) -> None:
    asked, second, third = reading(config), plus(FIRST, 1), plus(FIRST, 2)
    made(config, second, nothing)
    for day, why in ((second, "was not made: no clicks"), (plus(FIRST, -1), "was never made")):
        with pytest.raises(InputError) as error:
            asked.bundle(day)
        assert str(error.value) == f"the bundle of {day} {why}. Days with a bundle: none; choose one of them"
    made(config, FIRST, something)
    made(config, third, something)
    for day in (FIRST, third):
        assert asked.bundle(day).day == day
    with pytest.raises(InputError) as error:
        asked.bundle(plus(FIRST, 3))
    assert str(error.value) == (
        f"the bundle of {plus(FIRST, 3)} was never made. Days with a bundle: {FIRST}, {third}; choose one of them, "
        f"or make it first: pnn-gluon run --config {config.path} --day {FIRST}..{plus(FIRST, 3)}"
    )


def test_the_newest_ten_days_with_a_bundle_are_named(config: Config) -> None:
    for number in range(11):
        made(config, plus(FIRST, number), something)
    newest = ", ".join(str(plus(FIRST, number)) for number in range(1, 11))
    with pytest.raises(InputError, match=f"Days with a bundle: {newest} and maybe earlier ones; choose"):
        reading(config).bundle(LAST)


def test_only_a_day_that_is_declared_as_skipped_is_an_input(config: Config) -> None:
    asked = reading(config)
    assert (asked.skipped(FIRST), asked.recorded) == (None, {})
    outcome = skip_day(config, FIRST, "the logs are lost", clear=False)
    assert (asked.skipped(FIRST), asked.recorded) == ("the logs are lost", {f"skips/{FIRST}": outcome.run})
    skip_day(config, FIRST, "they came", clear=True)
    again = reading(config)
    assert (again.skipped(FIRST), again.recorded) == (None, {})


def test_who_only_looks_reads_no_file_that_nobody_read_before(config: Config) -> None:
    path = config.path.parent / f"logs/{FIRST}.tsv"
    path.parent.mkdir()
    path.write_text("click\n")
    looked, name = reading(config, peek=True), f"raw/logs/{FIRST}.tsv"
    looked.raw("logs", FIRST)
    assert looked.recorded == {name: "6:"}
    read = Reading(config, open_store(config), LAST)
    read.raw("logs", FIRST)
    assert read.recorded == {name: f"6:{hashlib.sha256(b'click' + bytes([10])).hexdigest()}"}
    again = reading(config, peek=True)
    again.raw("logs", FIRST)
    assert again.recorded == read.recorded


def test_sizes_decide_where_contents_are_not_known(config: Config) -> None:
    looked, read = reading(config, peek=True), reading(config)
    for each in (looked, read):
        each.recorded = {"raw/logs/a": "6:", "rows/2026-11-01": "r1", "skips/2026-11-01": None}
    then = {"raw/logs/a": "6:abc", "rows/2026-11-01": "r1", "skips/2026-11-01": None}
    assert looked.agrees(then)
    assert read.changed(then) == ["raw/logs/a"]
    assert looked.changed({**then, "raw/logs/a": "7:abc"}) == ["raw/logs/a"]
    assert looked.changed({**then, "rows/2026-11-01": "r2", "raw/logs/a": None}) == ["raw/logs/a", "rows/2026-11-01"]
    del then["skips/2026-11-01"]
    assert looked.changed({**then, "counts/2026-11-01": None}) == ["counts/2026-11-01", "skips/2026-11-01"]
