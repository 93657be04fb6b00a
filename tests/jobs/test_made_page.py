"""The page of what a task made: its run, its rows and rejects, what went wrong; no raw line is shown."""

import re
from pathlib import Path

import pytest

from jobs.airflow.plugin.made_page import SHOWN_REJECTS, made_page
from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from tests.jobs.small_pipeline import DAYS, FIRST

LAST = DAYS[-1]
HOSTILE = "<script>alert(1)</script>"


def logs_of(config: Config) -> Path:
    return next((config.path.parent / "raw" / "logs" / str(LAST)).glob("*.tsv"))


def test_a_run_says_where_it_lies_what_is_in_it_and_what_it_was_made_from(five_days: Config) -> None:
    manifest = open_store(five_days).manifest("bundles", LAST)
    assert manifest is not None
    page = made_page(five_days, step("calibrate"), LAST)
    assert f"bundles/ds={LAST}/run={manifest.run}" in page
    assert all(file.sha256 in page for file in manifest.files)
    assert all(name in page for name in manifest.inputs)
    assert "No line was set aside." in page


def test_lines_that_were_set_aside_are_named_and_not_shown(pipeline: Config) -> None:
    logs = logs_of(pipeline)
    good = logs.read_bytes()
    logs.write_bytes(good + HOSTILE.encode() + b"\n" + b"no row\n" * SHOWN_REJECTS)
    given = pipeline.path.read_text()
    pipeline.path.write_text(re.sub(r"max_reject_share = .*", "max_reject_share = 0.9", given))
    config = load_config(pipeline.path)
    run_step(step("ingest"), config, LAST)
    page = made_page(config, step("ingest"), LAST)
    first = good.count(b"\n") + 1
    assert f"Set aside, the first {SHOWN_REJECTS}:" in page
    assert f"<td>{first}</td>" in page
    assert "script" not in page
    assert "no row" not in page


def test_a_day_that_was_never_made_says_how_and_one_that_failed_why(pipeline: Config) -> None:
    assert f"step train --config {pipeline.path} --day {LAST} --force" in made_page(pipeline, step("train"), LAST)
    with pytest.raises(InputError):
        run_step(step("sample"), pipeline, LAST)
    page = made_page(pipeline, step("sample"), LAST)
    assert "The last run ended in an error:" in page
    assert f"rows of {LAST}" in page


def test_a_damaged_manifest_is_said_on_the_page(built: Config) -> None:
    path = Path(built.store_root) / "maps" / f"ds={FIRST}.json"
    path.write_text(path.read_text().replace('"rows"', '"rowz"', 1))
    assert "its content does not agree with its checksum" in made_page(built, step("feature_map"), FIRST)
