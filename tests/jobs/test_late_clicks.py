"""Clicks in files of their own that come on the day after: what is read again, and what is stale by then."""

import datetime
import random
from pathlib import Path

import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from tests.jobs.small_pipeline import FIRST, build, state_words

NEXT = plus(FIRST, 1)
ROWS = 500
SPLIT = ("ingest", "sample", "count")
TEXT = """
name = "late"
first_day = 2026-11-01
fields = [{ name = "site" }, { name = "hour_of_day" }]
store = { root = "store" }
[source]
logs = "imp/{day}/*"
clicks = "clk/{day}/*"
delimiter = ","
columns = ["id", "time", "site"]
id_column = "id"
time_column = "time"
time_zone = "Europe/Berlin"
time_format = "iso8601"
click_files = { columns = ["id", "time"] }
attribution_hours = 24
[model]
name = "lr"
[calibration]
maturity_days = 1
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "p.toml").write_text(TEXT)
    return load_config(tmp_path / "p.toml")


def deliver(folder: Path, kind: str, day: datetime.date, lines: list[str]) -> None:
    path = folder / kind / str(day) / "a.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def impressions_and_clicks(folder: Path, day: datetime.date, clicks_of_before: list[str]) -> list[str]:
    """Write a day, in which all clicks of the day before have come; the clicks that are to come tomorrow."""
    draw = random.Random(day.toordinal())
    ids = [f"{day}-{n}" for n in range(ROWS)]
    deliver(folder, "imp", day, [f"{name},{day}T12:{n % 60:02}:00,s{n % 7}" for n, name in enumerate(ids)])
    clicked = draw.sample(ids, 100)
    now, later = clicked[:60], clicked[60:]
    deliver(folder, "clk", day, [*clicks_of_before, *(f"{name},{day}T23:30:00" for name in now)])
    return [f"{name},{plus(day, 1)}T01:00:00" for name in later]


def positives(config: Config, table: str, day: datetime.date) -> int:
    manifest = open_store(config).manifest(table, day)
    assert manifest is not None
    return int(manifest.details["positives"])


def test_late_clicks_make_a_day_stale_and_mature_reads_them(config: Config) -> None:
    folder = config.path.parent
    late = impressions_and_clicks(folder, FIRST, [])
    build(config, [FIRST], SPLIT)
    assert (positives(config, "rows", FIRST), state_words(config, [FIRST])[FIRST]["ingest"]) == (60, "done")
    impressions_and_clicks(folder, NEXT, late)
    assert state_words(config, [FIRST])[FIRST]["ingest"] == "stale"
    build(config, [NEXT], (*SPLIT, "mature"))
    matured = open_store(config).manifest("matured", NEXT)
    assert matured is not None
    assert (matured.details["day"], positives(config, "rows", NEXT)) == (str(FIRST), 60)
    build(config, [FIRST], SPLIT)
    assert positives(config, "rows", FIRST) == 100
    again, first = (open_store(config).manifest(*table) for table in (("rows", FIRST), ("matured", NEXT)))
    assert again is not None
    assert first is not None
    named = {file.name: file.sha256 for file in first.files}
    assert named["rows.parquet"] == {file.name: file.sha256 for file in again.files}["rows.parquet"]
