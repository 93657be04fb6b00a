"""The first reading of a day's logs hashes them on the way; what is recorded is what was read."""

import dataclasses
import datetime
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jobs.steps.ingest as ingest_step
from jobs.running import Outcome, Work, run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.data import ingest, known_digests
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from tests.jobs.small_pipeline import NAMED_PIPELINE

DAY = datetime.date(2026, 11, 1)
LOGS = b"".join(b"%d,v%d\n" % (line % 2, line % 5) for line in range(100))
OTHER = LOGS.replace(b"v", b"w")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "one").mkdir()
    text = (
        NAMED_PIPELINE.format(name="one").replace("{day}.tsv", "{day}*").replace('"c1"] }', '"c1"], delimiter = "," }')
    )
    (tmp_path / "one.toml").write_text(text)
    return load_config(tmp_path / "one.toml")


def deliver(config: Config, content: bytes, name: str = ".tsv") -> Path:
    path = config.path.parent / "one" / "logs" / f"{DAY}{name}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def run(config: Config, force: bool = False, after: Callable[[], Any] = lambda: None) -> Outcome:
    """Ingest, and something that happens before it ends."""

    def build(inputs: Any, folder: Path) -> Any:
        built = ingest_step.build(inputs, folder)
        after()
        return built

    return run_step(step("ingest"), config, DAY, force, work=Work(build))


def recorded(config: Config) -> list[str | None]:
    manifest = open_store(config).manifest("rows", DAY)
    assert manifest is not None
    return [value for name, value in manifest.inputs.items() if name.startswith("raw/logs/")]


def sha256(content: bytes) -> str:
    return f"{len(content)}:{hashlib.sha256(content).hexdigest()}"


def never(*_: object) -> str:
    raise AssertionError("a file was read only to be hashed")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lines", [7, 1000])
def test_logs_are_read_once(config: Config, monkeypatch: pytest.MonkeyPatch, threads: int, lines: int) -> None:
    deliver(config, LOGS)
    monkeypatch.setattr(ingest, "PART_LINES", lines)
    config = config.model_copy(update={"engine": config.engine.model_copy(update={"threads": threads})})
    with monkeypatch.context() as patch:
        patch.setattr(known_digests, "fingerprint", never)
        assert run(config).rows == 100
        assert recorded(config) == [sha256(LOGS)]
        assert run(config, force=True).status == "done"
    assert run(config).status == "skipped"


def test_a_file_that_changes_afterwards_makes_the_day_stale(config: Config) -> None:
    path = deliver(config, LOGS)
    run(config, after=lambda: path.write_bytes(OTHER))
    assert recorded(config) == [sha256(LOGS)]
    assert run(config).status == "done"
    assert recorded(config) == [sha256(OTHER)]


def test_a_compressed_file_is_hashed_as_it_was_when_it_was_read(config: Config) -> None:
    content, other = (gzip.compress(each, mtime=0) for each in (LOGS, OTHER))
    path = deliver(config, content, ".tsv.gz")
    run(config)
    assert recorded(config) == [sha256(content)]
    run(config, force=True, after=lambda: path.write_bytes(other))
    assert recorded(config) not in ([sha256(content)], [sha256(other)])
    assert run(config).status == "done"
    assert recorded(config) == [sha256(other)]


@pytest.mark.parametrize(("name", "pack"), [(".tsv", bytes), (".tsv.gz", gzip.compress)])
def test_a_file_may_go_once_it_was_read(config: Config, name: str, pack: Callable[[bytes], bytes]) -> None:
    path = deliver(config, pack(LOGS), name)
    assert run(config, after=path.unlink).rows == 100
    deliver(config, pack(OTHER), name)
    assert run(config).status == "done"


def test_a_day_that_another_process_made_meanwhile_stands(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(config, LOGS)
    store = type(open_store(config))
    staging, made = store.staging, []

    def after_another(self: Any, *args: Any) -> Any:
        monkeypatch.setattr(store, "staging", staging)
        made.append(run(config))
        return staging(self, *args)

    monkeypatch.setattr(store, "staging", after_another)
    outcome = run_step(step("ingest"), config, DAY, wait=True)
    assert (outcome.status, outcome.run) == ("skipped", made[0].run)


def test_the_rows_tell_nothing_of_it(config: Config) -> None:
    deliver(config, LOGS)
    assert "digests" not in dataclasses.asdict(run(config))["details"]
