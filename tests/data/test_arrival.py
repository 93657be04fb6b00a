"""When the raw files of a day count as complete."""

import datetime
import os
from pathlib import Path

import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.data.arrival import arrival
from pnn_gluon.errors import ConfigError

DAY = datetime.date(2026, 11, 2)
OVER = datetime.datetime(2026, 11, 3, tzinfo=datetime.UTC).timestamp()
"""The end of the day."""

TEXT = """
name = "p"
first_day = 2026-11-01
[store]
root = "store"
[source]
preset = "criteo"
logs = "logs/{day}/*.tsv"
requests = "requests/{day}/*.tsv"
[model]
name = "lr"
[arrival]
"""


def configured(folder: Path, rules: str) -> Config:
    (folder / "p.toml").write_text(TEXT + rules)
    return load_config(folder / "p.toml")


def deliver(folder: Path, name: str, changed: float, kind: str = "logs", size: int = 100) -> None:
    path = folder / kind / str(DAY) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (changed, changed))


def test_without_a_file_what_was_looked_for_is_said(tmp_path: Path) -> None:
    found = arrival(configured(tmp_path, ""), "logs", DAY, OVER)
    assert (found.files, found.size) == (0, 0)
    assert "logs/2026-11-02/*.tsv" in found.missing


def test_a_day_of_another_zone_has_to_be_over_there(tmp_path: Path) -> None:
    config = configured(tmp_path, "")
    source = config.source.model_copy(update={"time_zone": "America/New_York"})
    config = config.model_copy(update={"source": source})
    deliver(tmp_path, "a.tsv", OVER - 3600)
    deliver(tmp_path, "a.tsv", OVER - 3600, "requests")
    there = OVER + 5 * 3600
    assert arrival(config, "logs", DAY, there - 1).missing == "the day ends at 2026-11-03 05:00 UTC (source.time_zone)"
    assert arrival(config, "logs", DAY, there).missing == ""
    assert arrival(config, "requests", DAY, OVER).missing == ""
    assert config.patience_hours == config.arrival.patience_hours + 5


def test_a_marker_lies_in_the_folder_of_each_hour_of_the_day(tmp_path: Path) -> None:
    text = TEXT.replace('logs/{day}/*.tsv"\nreq', 'logs/{day}/{hh}/*.tsv"\ntime_zone = "Europe/Berlin"\nreq')
    (tmp_path / "p.toml").write_text(f'{text}marker = "_SUCCESS"\n')
    config = load_config(tmp_path / "p.toml")
    day = datetime.date(2027, 3, 28)  # without an hour 02
    for hour in (each for each in range(24) if each not in (2, 7)):
        for name in ("a.tsv", "_SUCCESS"):
            path = tmp_path / f"logs/{day}/{hour:02}/{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    later = datetime.datetime(2027, 4, 1, tzinfo=datetime.UTC).timestamp()
    assert "07/_SUCCESS" in arrival(config, "logs", day, later).missing
    (tmp_path / f"logs/{day}/07").mkdir()
    (tmp_path / f"logs/{day}/07/_SUCCESS").write_bytes(b"")
    assert arrival(config, "logs", day, later).missing == ""


def test_click_files_have_to_be_there_with_the_logs(tmp_path: Path) -> None:
    text = TEXT.replace('preset = "criteo"', 'preset = "ipinyou_raw"\nclicks = "clicks/{day}/*.tsv"')
    (tmp_path / "p.toml").write_text(f"{text}min_bytes = 150\n")
    config = load_config(tmp_path / "p.toml")
    deliver(tmp_path, "a.tsv", OVER, size=200)
    later = OVER + 20 * 60
    assert "clicks/2026-11-02/*.tsv" in arrival(config, "logs", DAY, later).missing
    deliver(tmp_path, "a.tsv", later - 60, "clicks", size=10)
    assert arrival(config, "logs", DAY, later).missing.startswith("changed 1.0 minutes ago")
    assert arrival(config, "logs", DAY, later + 300) == (2, 200, "")
    deliver(tmp_path, "a.tsv", OVER, size=149)
    assert "149 bytes of logs" in arrival(config, "logs", DAY, later + 300).missing


@pytest.mark.parametrize(("minutes", "missing"), [(4.9, "changed 4.9 minutes ago"), (5, "")])
def test_files_have_to_be_quiet_for_a_while(tmp_path: Path, minutes: float, missing: str) -> None:
    config = configured(tmp_path, "")
    deliver(tmp_path, "a.tsv", OVER)
    deliver(tmp_path, "b.tsv", OVER + 60)
    found = arrival(config, "logs", DAY, OVER + 60 + 60 * minutes)
    assert (found.files, found.size) == (2, 200)
    assert found.missing.startswith(missing)
    assert bool(found.missing) == bool(missing)


def test_files_of_a_day_that_is_long_over_need_not_be_quiet(tmp_path: Path) -> None:
    config = configured(tmp_path, "patience_hours = 2")
    late = OVER + 2 * 3600
    deliver(tmp_path, "a.tsv", late)
    assert arrival(config, "logs", DAY, late).missing
    assert not arrival(config, "logs", DAY, late + 1).missing


def test_a_marker_is_waited_for_beside_the_files(tmp_path: Path) -> None:
    config = configured(tmp_path, 'marker = "_SUCCESS"\nquiet_minutes = 0')
    deliver(tmp_path, "a.tsv", OVER)
    assert "_SUCCESS" in arrival(config, "logs", DAY, OVER).missing
    deliver(tmp_path, "_SUCCESS", OVER, size=0)
    assert arrival(config, "logs", DAY, OVER) == (1, 100, "")


def test_logs_may_have_to_be_of_a_size_and_requests_not(tmp_path: Path) -> None:
    config = configured(tmp_path, "min_bytes = 101\nquiet_minutes = 0")
    for kind in ("logs", "requests"):
        deliver(tmp_path, "a.tsv", OVER, kind)
    assert arrival(config, "logs", DAY, OVER).missing == "100 bytes of logs, and arrival.min_bytes is 101"
    assert not arrival(config, "requests", DAY, OVER).missing


def test_requests_that_nobody_configured_are_an_error_at_once(tmp_path: Path) -> None:
    config = configured(tmp_path, "")
    (tmp_path / "p.toml").write_text(config.path.read_text().replace('requests = "requests/{day}/*.tsv"', ""))
    with pytest.raises(ConfigError, match=r"source\.requests: needed here"):
        arrival(load_config(tmp_path / "p.toml"), "requests", DAY)


def test_a_list_of_patterns_waits_for_each_and_its_marker(tmp_path: Path) -> None:
    def waits_for() -> str:
        return arrival(config, "logs", DAY, now=OVER).missing

    (tmp_path / "p.toml").write_text(
        TEXT.replace('"logs/{day}/*.tsv"', '["logs/{day}/*.tsv", "more/{day}/*.tsv"]') + 'marker = "_SUCCESS"'
    )
    config = load_config(tmp_path / "p.toml")
    deliver(tmp_path, "a.tsv", OVER - 3600)
    assert waits_for().startswith("more/{day}/*.tsv: no raw file")
    deliver(tmp_path, "a.tsv", OVER - 3600, kind="more")
    deliver(tmp_path, "_SUCCESS", OVER - 3600)
    assert waits_for().startswith("more/{day}/_SUCCESS: no raw file")
    deliver(tmp_path, "_SUCCESS", OVER - 3600, kind="more")
    assert waits_for() == ""
    assert arrival(config, "logs", DAY, now=OVER).files == 2
