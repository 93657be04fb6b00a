"""Whole days with the store in a bucket: another machine has nothing to do, and asks for no file of a run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.commands.doctor import examine
from jobs.commands.verify import verify
from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import PnnError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from pnn_gluon.warehouse.score_table import publishing
from tests.jobs.small_pipeline import DAILY, DAYS, PIPELINE, SCORES_VARIABLE, build, write_raw
from tests.object_server import ObjectServer, Request

TWO = DAYS[:2]


@pytest.fixture(scope="module")
def bucket(object_server: ObjectServer) -> str:
    return object_server.new_bucket()


@pytest.fixture(scope="module")
def server_uri(postgres: EmbeddedPostgres) -> str:
    postgres.ensure_database("objects")
    return postgres.uri("objects")


@pytest.fixture(scope="module")
def two_days(
    tmp_path_factory: pytest.TempPathFactory, object_server: ObjectServer, bucket: str, server_uri: str
) -> Iterator[Config]:
    """Two days built in order by one machine, which keeps its cache; that has no room for them."""
    folder = tmp_path_factory.mktemp("objects")
    root = object_server.url(bucket, "small/store")
    in_bucket = f'root = "{root}"\ncache_limit = "1MB"'
    (folder / "pipeline.toml").write_text(PIPELINE.replace('root = "store"', in_bucket))
    write_raw(folder / "raw", TWO)
    config = load_config(folder / "pipeline.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, server_uri)
        patch.setenv("PNN_GLUON_CACHE", str(folder / "cache"))
        assert set(build(config, TWO)) <= {"done", "kept"}
        yield config


@pytest.fixture(autouse=True)
def scores_variable(two_days: Config, server_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCORES_VARIABLE, server_uri)


@pytest.fixture
def _another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNN_GLUON_CACHE", str(tmp_path / "cache"))


def of_runs(requests: list[Request]) -> list[Request]:
    """Those that read or write a file of a run."""
    return [request for request in requests if request.method != "HEAD" and "/run=" in request.key]


@pytest.mark.usefixtures("_another_machine")
def test_another_machine_finds_nothing_to_do_and_reads_no_run(
    two_days: Config, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.running._Run._make", lambda run, *read: pytest.fail(f"{run._step.name} is made again"))
    before = len(object_server.asked())
    assert set(build(two_days, TWO)) <= {"skipped", "kept"}
    asked = object_server.asked(before)
    assert of_runs(asked) == []
    assert {request.method for request in asked} == {"GET", "HEAD"}


@pytest.mark.usefixtures("_another_machine")
def test_another_machine_makes_the_same_bytes_of_a_day_from_what_it_brings_to_itself(two_days: Config) -> None:
    made = {name: open_store(two_days).manifest(step(name).table.name, TWO[1]) for name in DAILY}
    for name in ("feature_map", "encode", "calibrate", "gate", "score"):
        outcome = run_step(step(name), two_days, TWO[1], force=True)
        manifest = made[name]
        assert manifest is not None
        assert (name, outcome.run) == (name, manifest.run)


def test_the_cache_keeps_its_limit(two_days: Config) -> None:
    store = open_store(two_days)
    here = [path for path in store.local.rglob("*") if path.is_file() and "/run=" in str(path)]
    assert 0 < sum({path.stat().st_ino: path.stat().st_size for path in here}.values()) <= 10**6
    assert sum(file.size for table in store.tables() for run in store.runs(table) for file in run.files) > 10**6


def test_a_file_that_another_hand_put_is_made_again(two_days: Config, object_server: ObjectServer, bucket: str) -> None:
    manifest = open_store(two_days).manifest("counts", TWO[0])
    assert manifest is not None
    key = f"small/store/{open_store(two_days).relative('counts', TWO[0], manifest.run)}/{manifest.files[0].name}"
    object_server.client.put_object(Bucket=bucket, Key=key, Body=b"x" * (manifest.files[0].size - 1))
    assert run_step(step("count"), two_days, TWO[0]).status == "done"
    assert run_step(step("count"), two_days, TWO[0]).status == "skipped"


@pytest.mark.usefixtures("_another_machine")
def test_a_day_that_another_machine_publishes_is_waited_for(
    two_days: Config, server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pnn_gluon.warehouse.score_table.PATIENCE", 0.1)
    with publishing(server_uri, "scores", DAYS[2]):
        with pytest.raises(PnnError, match="another process, maybe of another machine, has been publishing it"):
            run_step(step("publish"), two_days, TWO[1], force=True)
        assert run_step(step("publish"), two_days, TWO[0], force=True).status == "done"
    assert run_step(step("publish"), two_days, TWO[1], force=True).status == "done"


def test_doctor_says_which_of_two_machines_wins(two_days: Config, capsys: pytest.CaptureFixture[str]) -> None:
    examine(two_days)
    assert "2 days with a champion; of two machines at a day the first wins" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.long
def test_two_machines_at_the_same_days_end_as_whole_days(
    two_days: Config, object_server: ObjectServer, tmp_path: Path
) -> None:
    """Whoever loses a day says so and goes on from the other's when it is run again."""
    root = object_server.url(object_server.new_bucket())
    text = two_days.path.read_text().replace(two_days.store_root, root)
    raw = f'"{two_days.path.parent}/raw/'
    (tmp_path / "pipeline.toml").write_text(text.replace('"raw/', raw) + 'table = "raced"\n')
    config = load_config(tmp_path / "pipeline.toml")
    for _ in range(2):
        machines = [_machine(config, tmp_path / name) for name in ("one", "other")]
        for machine in machines:
            _, said = machine.communicate(timeout=300)
            assert machine.returncode == 0 or "another machine made it" in said, said
    assert [machine.returncode for machine in machines] == [0, 0]
    assert not [damage for check in verify(open_store(config), None) for damage in check.damages]


def _machine(config: Config, cache: Path) -> "subprocess.Popen[str]":
    """A process that makes both days with a cache of its own."""
    command = [sys.executable, "-m", "jobs", "run", "--config", str(config.path), "--day", f"{TWO[0]}..{TWO[1]}"]
    environment = {**os.environ, "PNN_GLUON_CACHE": str(cache)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_no_object_of_whole_days_stands_for_a_folder(
    two_days: Config, object_server: ObjectServer, bucket: str
) -> None:
    keys = object_server.keys(bucket)
    assert len([key for key in keys if key.endswith(".json") and "/run=" not in key]) == len(DAILY) * len(TWO)
    assert [key for key in keys if key.endswith("/")] == []
