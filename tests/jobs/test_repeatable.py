"""The same days give the same bytes, in whatever order and after whatever accident."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.running import run_step
from pnn_gluon.config import Config
from pnn_gluon.data.synthetic import write_day
from pnn_gluon.days import day_range, plus
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.steps import step
from tests.jobs.small_pipeline import DAILY, DAYS, FIRST, build, raw_options, state_words, tree

PARENTLESS = ("ingest", "sample", "count")
CHAINED = tuple(name for name in DAILY if name not in PARENTLESS)


def store_of(config: Config) -> Path:
    return Path(config.store_root)


def test_a_second_run_changes_no_byte_and_says_so(built: Config) -> None:
    before = tree(store_of(built))
    assert set(build(built, DAYS)) == {"skipped"}
    assert tree(store_of(built)) == before


def test_parentless_steps_in_any_order_give_the_same_store(five_days: Config, pipeline: Config) -> None:
    three = DAYS[:3]
    days = random.Random(5).sample(three, len(three))
    jobs = [(day, "ingest") for day in days] + [(day, name) for name in ("count", "sample") for day in reversed(days)]
    for day, name in jobs:
        run_step(step(name), pipeline, day)
    build(pipeline, three, CHAINED)
    build(pipeline, [DAYS[1]], force=True)
    expected = tree(store_of(five_days)).items()
    assert tree(store_of(pipeline)) == {
        name: content for name, content in expected if name.partition("ds=")[2][:10] <= str(three[-1])
    }


KILLED = """
import os, signal, sys
import pnn_gluon.store.store as store
from jobs.running import run_step
from pnn_gluon.pipeline.steps import step
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_day

def kill(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def killed_write(path, *arguments, write=store.write_atomically, **options):
    return write(path, *arguments, **options) if ".local" in path.parts else kill()

if sys.argv[3] == "report":
    import pnn_gluon.report.charts as charts
    from tests.jobs.undrawn import undrawn
    charts.svg = undrawn

if sys.argv[4] == "files are made":
    store.move_folder = kill
elif sys.argv[4] == "manifest is due":
    store.write_atomically = killed_write
else:
    from pnn_gluon.training.checkpoint import Checkpoints
    save, calls = Checkpoints.save, []
    def killed_save(self, *arguments):
        save(self, *arguments)
        calls.append(1)
        if len(calls) == 2:
            kill()
    Checkpoints.save = killed_save
run_step(step(sys.argv[3]), load_config(sys.argv[1]), parse_day(sys.argv[2]), force=True)
"""


def kill_step(config: Config, name: str, when: str) -> None:
    command = [sys.executable, "-c", KILLED, str(config.path), str(DAYS[2]), name, when]
    killed = subprocess.run(command, check=False, capture_output=True, cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()


TWICE_KILLED = ("ingest", "train", "publish")
"""Steps with leftovers of their own: spill files, checkpoints, a server. How files are moved is the same for all."""

ALWAYS = {*TWICE_KILLED, "encode", "report"}
"""Steps that `make test` kills; `make long` kills all, and `make faults` at every call."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.long) for name in DAILY]
)
def test_a_step_killed_before_its_files_or_its_manifest_are_in_place_is_mended_by_rerunning(
    built: Config, name: str
) -> None:
    before = tree(store_of(built))
    manifest = store_of(built) / step(name).table.name / f"ds={DAYS[2]}.json"
    shutil.rmtree(manifest.with_suffix(""))
    manifest.unlink()
    if name in TWICE_KILLED:
        kill_step(built, name, "files are made")
        assert not manifest.with_suffix("").exists()
    kill_step(built, name, "manifest is due")
    assert not manifest.exists()
    assert run_step(step(name), built, DAYS[2]).status == "done"
    assert tree(store_of(built)) == before


def test_training_killed_between_checkpoints_ends_with_the_same_bytes(built: Config) -> None:
    before = tree(store_of(built))
    kill_step(built, "train", "training")
    assert list((store_of(built) / ".local/scratch").rglob("*.params")), "no checkpoint survived the kill"
    assert run_step(step("train"), built, DAYS[2], force=True).status == "done"
    assert tree(store_of(built)) == before
    assert not list((store_of(built) / ".local/scratch").rglob("*.params"))


def test_a_day_without_its_parent_is_refused_with_the_command_that_makes_it(pipeline: Config) -> None:
    build(pipeline, DAYS[:2], PARENTLESS)
    with pytest.raises(InputError) as caught:
        run_step(step("feature_map"), pipeline, DAYS[1])
    command = f"pnn-gluon step feature_map --config {pipeline.path} --day {DAYS[0]}"
    assert command in str(caught.value)


def test_a_late_file_makes_exactly_its_day_and_the_later_ones_stale_and_a_rerun_mends_them(built: Config) -> None:
    late = built.path.parent / "late"
    write_day(raw_options(), plus(FIRST, 20), late)
    (file,) = (late / "logs").rglob("*.tsv")
    shutil.copy(file, built.path.parent / f"raw/logs/{DAYS[1]}/part-9.tsv")
    states = state_words(built, DAYS)
    stale = [day for day in DAYS if "stale" in states[day].values()]
    assert stale == DAYS[1:]
    assert states[DAYS[2]]["ingest"] == "done"
    assert states[DAYS[2]]["feature_map"] == "stale"
    assert "done" in build(built, stale)
    assert {state for day in state_words(built, DAYS).values() for state in day.values()} == {"done"}


def test_a_changed_click_in_a_file_of_the_same_size_and_times_makes_its_day_stale(built: Config) -> None:
    run_step(step("ingest"), built, DAYS[0], force=True)
    log = built.path.parent / f"raw/logs/{DAYS[0]}/part-0.tsv"
    assert state_words(built, [DAYS[0]])[DAYS[0]]["ingest"] == "done"
    lines, times = log.read_bytes().splitlines(keepends=True), log.stat()
    first = next(number for number, line in enumerate(lines) if line.startswith(b"0\t"))
    lines[first] = b"1" + lines[first][1:]
    log.write_bytes(b"".join(lines))
    os.utime(log, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert state_words(built, [DAYS[0]])[DAYS[0]]["ingest"] == "stale"


def test_a_repaired_store_is_the_store_built_from_the_same_files_at_once(built: Config, pipeline: Config) -> None:
    for config in (built, pipeline):
        folder = config.path.parent / f"raw/logs/{DAYS[1]}"
        lines = (folder / "part-0.tsv").read_bytes().splitlines(keepends=True)
        (folder / "part-1.tsv").write_bytes(b"".join(lines[:200]))
    days = DAYS[:3]
    build(built, days)
    build(pipeline, days)
    in_force = {}
    for config in (built, pipeline):
        manifests = {name: content for name, content in tree(store_of(config)).items() if name.endswith(".json")}
        in_force[config.path] = {
            name: content
            for name, content in manifests.items()
            if name.count("/") == 1 and any(str(day) in name for day in days) and not name.startswith("published/")
        }  # what was published before stays on record
    assert in_force[built.path] == in_force[pipeline.path]


def test_days_before_the_first_are_refused(pipeline: Config) -> None:
    with pytest.raises(ConfigError, match="before the pipeline's first day"):
        run_step(step("ingest"), pipeline, plus(FIRST, -1))


def test_states_of_days_never_made_are_missing(pipeline: Config) -> None:
    states = state_words(pipeline, day_range(FIRST, FIRST))
    assert set(states[FIRST].values()) == {"missing"}


def test_a_failed_step_is_shown_until_it_succeeds(pipeline: Config) -> None:
    raw = pipeline.path.parent / "raw" / "logs" / str(FIRST)
    raw.rename(raw.with_name("away"))
    with pytest.raises(InputError):
        run_step(step("ingest"), pipeline, FIRST)
    assert state_words(pipeline, [FIRST])[FIRST]["ingest"] == "failed"
    raw.with_name("away").rename(raw)
    run_step(step("ingest"), pipeline, FIRST)
    assert state_words(pipeline, [FIRST])[FIRST]["ingest"] == "done"
