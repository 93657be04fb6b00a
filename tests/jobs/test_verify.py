"""`pnn-gluon verify` finds every damage of a store, says what mends it, and ends with status 3."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pnn_gluon.config import Config
from pnn_gluon.pipeline.opening import open_store
from tests.jobs.small_pipeline import DAILY, DAYS
from tests.jobs.test_damaged_store import change_last_byte, mend_as_told, run_folder

LAST = DAYS[-1]


def verify(config: Config, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", "--config", str(config.path), *options])
    return result.exit_code, result.output


def test_a_whole_store_is_said_to_be_whole(built: Config) -> None:
    status, text = verify(built)
    assert status == 0
    assert "everything is as it was written" in text
    for table in open_store(built).tables():
        assert f" {table} " in text
    assert len(open_store(built).tables()) == len(DAILY)


def test_every_damage_is_listed_and_its_command_mends_it(built: Config) -> None:
    store = open_store(built)
    change_last_byte(run_folder(built, "rows") / "rows.parquet")
    (run_folder(built, "bundles") / "calibrator.json").unlink()
    (store.local / f"gates/ds={LAST}.json").write_text("{}")
    status, text = verify(built)
    damages = [line for line in text.splitlines() if line.startswith("damaged: ")]
    assert status == 3
    assert [any(name in damage for damage in damages) for name in ("rows.parquet", "calibrator.json", "gates/ds=")]
    assert "rows.parquet" in damages[0]  # what comes first in the pipeline is mended first
    assert verify(built, "--day", str(DAYS[0]))[0] == 0
    for damage in damages:
        if "champions" not in damage:
            mend_as_told(built, damage)
    assert verify(built)[0] == 0


def test_a_champion_whose_bundle_is_gone_is_found(built: Config) -> None:
    store = open_store(built)
    (store.local / f"bundles/ds={DAYS[1]}.json").unlink()
    change_last_byte(next((store.local / f"bundles/ds={DAYS[1]}").glob("run=*/map.h5")))
    status, text = verify(built)
    assert status == 3
    assert f"champions {DAYS[1]}: " in text
    assert "map.h5: not the file this bundle was made with" in text


def test_what_killed_runs_left_is_listed_and_is_no_damage(built: Config) -> None:
    left = [
        open_store(built).local / ".local/staging/rows-2026-10-01",
        open_store(built).local / "rows/.ds=2026-11-01.json.0a1b2c3d",
    ]
    left[0].mkdir(parents=True)
    left[1].write_text("half")
    status, text = verify(built)
    assert status == 0
    for path in left:
        assert f"left by a killed run: {path};" in text


@pytest.mark.parametrize("day", ["2026-11-99", "../../etc"])
def test_a_wrong_day_is_an_error(built: Config, day: str) -> None:
    result = CliRunner().invoke(app, ["verify", "--config", str(built.path), "--day", day])
    assert "expected a date" in str(result.exception)


def test_the_file_that_is_told_exists_below_the_store(built: Config) -> None:
    path = run_folder(built, "maps") / "map.h5"
    change_last_byte(path)
    _, text = verify(built)
    told = next(line for line in text.splitlines() if line.startswith("damaged: ")).split(": ")[1]
    assert Path(told) == path
