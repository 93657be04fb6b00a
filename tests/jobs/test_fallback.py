"""Scores by the newest champion where the day's own decision is not there, and what a bidder sees of it."""

import datetime
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pytest

from jobs.commands.status import print_status
from jobs.running import run_step
from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.states import day_states
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.tables import BUNDLES, CHAMPIONS, GATES, MODELS, PUBLISHED, SCORES
from tests.jobs.small_pipeline import DAILY, DAYS, FIRST, SCORES_VARIABLE, build, export, state_words, tree

LAST, BEFORE = DAYS[-1], DAYS[-2]
UNDECIDED = (MODELS, BUNDLES, GATES, CHAMPIONS)
"""The tables of a day that a failed train leaves out."""


@pytest.fixture
def failed(built: Config) -> Config:
    """Five days, on the last of which train failed before anything was scored."""
    forget(built, LAST, [table.name for table in (*UNDECIDED, SCORES, PUBLISHED)])
    open_store(built).record_failure(MODELS.name, LAST, "PnnError: the device is lost\nsecond line")
    return built


def forget(config: Config, day: datetime.date, tables: Sequence[str]) -> None:
    for table in tables:
        (Path(config.store_root) / table / f"ds={day}.json").unlink()


def details(config: Config, table: str, day: datetime.date) -> dict[str, Any]:
    manifest = open_store(config).manifest(table, day)
    assert manifest is not None
    return dict(manifest.details)


def ask(query: str) -> list[tuple[Any, ...]]:
    with adbc.connect(os.environ[SCORES_VARIABLE]) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_a_day_without_a_decision_is_scored_by_the_newest_champion_and_says_why(
    failed: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    build(failed, [LAST], ["score", "publish"])
    told = details(failed, "scores", LAST)
    why = f"train of {LAST} failed: PnnError: the device is lost"
    assert (told["fallback"], told["why"], told["model_day"]) == (True, why, str(BEFORE))
    shown = export(failed, LAST)
    assert (shown["state"], shown["fallback"], shown["why"]) == ("fallback", True, why)
    assert shown["model_day"] == str(BEFORE)
    rows = ask(f"select distinct fallback, model_day from scores where day = '{plus(LAST, 1)}'")
    assert rows == [(True, BEFORE)]
    assert state_words(failed, [LAST])[LAST]["score"] == "done"
    print_status(failed, [LAST])
    assert f"score {LAST} fallback: by the model of {BEFORE}: {why}" in capsys.readouterr().out


def test_a_step_that_is_late_is_named(failed: Config) -> None:
    open_store(failed).clear_failure(MODELS.name, LAST)
    build(failed, [LAST], ["score"])
    assert details(failed, "scores", LAST)["why"] == f"train of {LAST} is not done"


def test_the_mended_day_takes_over_with_the_bytes_of_a_day_that_never_failed(built: Config) -> None:
    undisturbed = tree(Path(built.store_root), ["scores", "champions"])
    first = export(built, LAST)
    forget(built, LAST, [table.name for table in UNDECIDED])
    build(built, [LAST], ["score", "publish"])
    state = day_states(built, [LAST])[LAST]["score"]
    assert state.word == "done"
    build(built, [LAST], ["train", "calibrate", "gate", "promote"])
    assert f"input: champions/{LAST} has come" in day_states(built, [LAST])[LAST]["score"].reasons
    build(built, [LAST], ["score", "publish"])
    assert set(state_words(built, DAYS)[LAST].values()) == {"done"}
    files = tree(Path(built.store_root), ["scores", "champions"])
    assert {name: files[name] for name in undisturbed} == undisturbed
    last = export(built, LAST)
    assert (first["sequence"], last["sequence"], last["state"]) == (1, 3, "final")
    assert last["parquet"] == first["parquet"]
    served = [(each["sequence"], each["state"]) for each in details(built, "published", LAST)["earlier"]]
    assert served == [(1, "final"), (2, "fallback")]
    record = ask(f"select sequence, state, model_day from scores$served where day = '{plus(LAST, 1)}' order by 1")
    assert record == [(1, "final", LAST), (2, "fallback", BEFORE), (3, "final", LAST)]


def test_a_failed_train_does_not_stop_the_next_day(built: Config) -> None:
    forget(built, BEFORE, [table.name for table in UNDECIDED])
    again = dict(zip(DAILY, build(built, [LAST], DAILY), strict=True))
    assert {name for name, status in again.items() if status == "done"} == {"evaluate", "gate", "promote", "report"}
    champion = details(built, "gates", LAST)
    assert champion["accepted"]
    assert details(built, "evaluations", LAST)["model_day"] == str(DAYS[-3])
    build(built, [BEFORE], ["train", "calibrate", "gate", "promote"])
    words = state_words(built, [LAST])[LAST]
    assert (words["evaluate"], words["gate"], words["score"], words["train"]) == ("stale", "stale", "stale", "done")


def test_without_any_champion_the_step_that_makes_one_is_named(built: Config) -> None:
    forget(built, FIRST, ["champions"])
    with pytest.raises(InputError, match=rf"champions of {FIRST} is missing.*pnn-gluon step promote"):
        run_step(step("score"), built, FIRST)


def test_the_bidders_client_of_the_documents_reads_every_new_publication_once(failed: Config, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "bidding.md").read_text()
    client = tmp_path / "client.py"
    client.write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0])
    day = str(plus(LAST, 1))

    def poll(seen: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(client), failed.store_root, day, str(seen)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert (poll().returncode, poll().stdout) == (3, "")
    build(failed, [LAST], ["score", "publish"])
    shown = json.loads(poll().stdout)
    sequence = shown["sequence"]
    assert (shown["state"], shown["rows"]) == ("fallback", 300)
    assert poll(sequence).returncode == 3
    build(failed, [LAST], ["train", "calibrate", "gate", "promote", "score", "publish"])
    assert json.loads(poll(sequence).stdout)["state"] == "final"
    (Path(failed.store_root) / export(failed, LAST)["parquet"]["path"]).write_bytes(b"torn")
    assert "not the bytes that were published" in poll(sequence).stderr
