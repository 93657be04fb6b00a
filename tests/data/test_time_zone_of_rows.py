"""Rows of a day of a business: its hours, its longest and its shortest day, times in two columns, folders of hours."""

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines import CSV, changed, pipeline

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.ingest import RawLines, Targets, ingest_logs
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.time_zones import clocks, zone_of
from pnn_gluon.warehouse.duckdb_engine import connect, statement

SPRING, AUTUMN = datetime.date(2026, 3, 29), datetime.date(2026, 10, 25)
ZONED = changed(CSV, time_zone='"Europe/Berlin"', time_format='["iso8601", "epoch", "%d.%m.%Y %H:%M:%S %z"]')
FIELDS = 'fields = [{ name = "hour_of_day" }, { name = "weekday" }]'


def ingest(folder: Path, source: str, day: datetime.date) -> tuple[list[Any], list[Any]]:
    """Lines and their hours and weekdays; lines set aside and their reasons."""
    config = pipeline(folder, source, FIELDS)
    config = config.model_copy(update={"first_day": datetime.date(2026, 1, 1)})
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    ingest_logs(RawLines(config.source, config.fields, folder), config.engine, day, targets)
    rows, rejects = (pq.read_table(path).to_pylist() for path in (targets.rows, targets.rejects))
    return (
        [(row["line"], row["hour_of_day"], row["weekday"]) for row in rows],
        [(row["line"], row["reason"]) for row in rejects],
    )


def deliver(folder: Path, day: datetime.date, times: list[str], name: str = "logs/{day}/a.csv") -> None:
    path = folder / name.format(day=day)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{path.parent.name}-{n},1,{time},a,1,\n" for n, time in enumerate(times)))


def test_a_day_is_that_of_the_zone_and_offsets_are_kept(tmp_path: Path) -> None:
    day = datetime.date(2026, 11, 2)
    times = ["2026-11-02T00:00", "2026-11-01T23:00:00Z", "2026-11-01T22:59:59Z", "2026-11-02T23:59:59", "1793660399"]
    deliver(tmp_path, day, [*times, "1793660400", "02.11.2026 20:00:00 -0300", "2026-11-02 12:00+00:00"])
    rows, rejects = ingest(tmp_path, ZONED, day)
    assert rows == [(1, "0", "1"), (2, "0", "1"), (4, "23", "1"), (5, "23", "1"), (8, "13", "1")]
    assert rejects == [(3, "time: another day"), (6, "time: another day"), (7, "time: another day")]


def test_a_time_that_the_clocks_skip_is_a_reject(tmp_path: Path) -> None:
    times = ["2026-03-29 01:59:59", "2026-03-29 02:00:00", "2026-03-29 02:59:59", "2026-03-29 03:00:00"]
    deliver(tmp_path, SPRING, [*times, "2026-03-29T01:00:00Z", "2026-03-29 02:30:00+01:00", "2026-03-28T23:00Z", "x"])
    rows, rejects = ingest(tmp_path, ZONED, SPRING)
    assert rows == [(1, "1", "7"), (4, "3", "7"), (5, "3", "7"), (6, "3", "7"), (7, "0", "7")]
    skipped = "time: skipped by the clocks of Europe/Berlin"
    assert rejects[:2] == [(2, skipped), (3, skipped)]
    assert rejects[2][1].startswith("time: not an ISO 8601 time or seconds")


def test_a_time_that_the_clocks_show_twice_is_the_first(tmp_path: Path) -> None:
    times = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25 02:30:00", "2026-10-25T22:59:59Z"]
    deliver(tmp_path, AUTUMN, times)
    rows, rejects = ingest(tmp_path, ZONED, AUTUMN)
    assert rows == [(1, "2", "7"), (2, "2", "7"), (3, "2", "7"), (4, "23", "7")]
    assert not rejects
    with connect(EngineConfig()) as engine:
        engine.execute(statement("clocks", **clocks(AUTUMN, "Europe/Berlin")._asdict()))
        (found,) = engine.execute("select utc_of(timestamp '2026-10-25 02:30:00')").fetchall()
    assert found == (datetime.datetime(2026, 10, 25, 0, 30),)


@settings(max_examples=12)
@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"]),
    st.dates(datetime.date(1980, 1, 1), datetime.date(2036, 1, 1)),
    st.lists(st.integers(-86400, 2 * 86400), min_size=50, max_size=200),
)
def test_clocks_in_sql_are_those_of_the_calendar(zone: str, day: datetime.date, seconds: list[int]) -> None:
    times = [datetime.datetime.combine(day, datetime.time()) + datetime.timedelta(seconds=n) for n in seconds]
    with connect(EngineConfig()) as engine:
        engine.execute(statement("clocks", **clocks(day, zone)._asdict()))
        engine.register("times", pa.table({"t": pa.array(times, pa.timestamp("us"))}))
        found = engine.execute("select utc_of(t), is_skipped(t), clock_at(t) from times").fetchall()
    for time, (utc, skipped, clock) in zip(times, found, strict=True):
        local = time.replace(tzinfo=zone_of(zone))
        exact = local.astimezone(datetime.UTC)
        exists = exact.astimezone(zone_of(zone)).replace(tzinfo=None) == time
        assert (utc, skipped) == ((exact.replace(tzinfo=None), False) if exists else (None, True))
        assert clock == time.replace(tzinfo=datetime.UTC).astimezone(zone_of(zone)).replace(tzinfo=None)


@pytest.mark.parametrize(("kind", "hours"), [(pa.timestamp("us"), ["13", "23"]), (pa.timestamp("us", "UTC"), ["14"])])
def test_times_of_parquet_are_moments_only_with_a_zone(tmp_path: Path, kind: Any, hours: list[str]) -> None:
    day = datetime.date(2026, 11, 2)
    moments = [datetime.datetime(2026, 11, 2, hour) for hour in (13, 23)]
    path = tmp_path / f"logs/{day}/a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"click": [1] * 2, "time": pa.array(moments, kind)}), path)
    source = 'kind = "parquet"\nlogs = "logs/{day}/*"\nlabel = { column = "click" }\ntime_column = "time"\n'
    rows, _ = ingest(tmp_path, source + 'time_zone = "Europe/Berlin"\nmax_reject_share = 1.0\n', day)
    assert [hour for _, hour, _ in rows] == hours


def test_an_archive_has_the_lines_of_the_days_of_the_zone(tmp_path: Path) -> None:
    times = [
        "2026-10-24T21:59:59Z",
        "2026-10-24T22:00:00Z",
        "2026-10-25 12:00",
        "2026-10-25T23:00:00Z",
        "2026-10-26 00:00",
    ]
    deliver(tmp_path, AUTUMN, times, "all.csv")
    rows, rejects = ingest(tmp_path, changed(ZONED, logs='"all.csv"'), AUTUMN)
    assert ([line for line, *_ in rows], rejects) == ([2, 3], [])


def test_a_time_may_be_in_several_columns(tmp_path: Path) -> None:
    day = datetime.date(2026, 11, 2)
    (tmp_path / f"logs/{day}").mkdir(parents=True)
    lines = ["1,2026-11-02,5", "0,2026-11-02,", "0,2026-11-03,7", "1, 2026-11-02 , 23 "]
    (tmp_path / f"logs/{day}/a.csv").write_text("\n".join(lines))
    source = (
        'logs = "logs/{day}/*"\ndelimiter = ","\ncolumns = ["click", "date", "hour"]\nlabel = { column = "click" }\n'
    )
    source += 'time_column = ["date", "hour"]\ntime_format = "%Y-%m-%d %H"\nmax_reject_share = 1.0\n'
    rows, rejects = ingest(tmp_path, source, day)
    assert rows == [(1, "5", "1"), (4, "23", "1")]
    assert rejects == [(2, "date and hour: not a time of the form %Y-%m-%d %H"), (3, "date and hour: another day")]


def test_folders_of_hours_are_those_of_the_day(tmp_path: Path) -> None:
    source = changed(ZONED, logs='"logs/{yyyy}/{mm}/{dd}/{hh}/*.csv"').replace('id_column = "id"\n', "")
    for hour in ("00", "09", "23"):
        deliver(tmp_path, AUTUMN, [f"2026-10-25 {hour}:30:00"], f"logs/2026/10/25/{hour}/a.csv")
    deliver(tmp_path, AUTUMN, ["2026-10-25 05:30:00"], "logs/2026/10/25/late/a.csv")
    rows, _ = ingest(tmp_path, source, AUTUMN)
    assert [hour for _, hour, _ in rows] == ["0", "9", "23"]
    with pytest.raises(InputError, match=r"looked for .*2026/10/26/\[0-2\]\[0-9\]/\*\.csv"):
        ingest(tmp_path, source, datetime.date(2026, 10, 26))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"time_zone": '"Europe/Berlinn"'}, r"source\.time_zone: no time zone 'Europe/Berlinn', did you mean"),
        ({"time_column": '["time", "time"]'}, "`time_column` names a column twice"),
        ({"time_column": '["time"]'}, r"source\.time_column"),
        ({"time_column": '["time", "when"]'}, "time1: no column 'when'"),
        ({"logs": '"logs/{hh}/*"', "time_column": "0"}, r"source\.time_column"),
    ],
)
def test_zones_and_columns_that_are_none_are_configuration_errors(
    tmp_path: Path, options: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        pipeline(tmp_path, changed(ZONED, **options))
