"""Times as logs write them, against Python's datetime."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines import CSV, changed, pipeline

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.ingest import IngestReport, RawLines, Targets, ingest_logs
from pnn_gluon.errors import ConfigError
from pnn_gluon.warehouse.duckdb_engine import connect

DAY = datetime.date(2026, 11, 2)
OFFSETS = {"": 0, "Z": 0, "+00": 0, "-00:00": 0, "+02": 120, "-11": -660, "+0545": 345, "-03:30": -210, "+23:59": 1439}
"""Offsets as they are written, in minutes east of Greenwich."""


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with connect(EngineConfig()) as connection:
        yield connection


def moment(engine: Any, call: str, text: str) -> datetime.datetime | None:
    found: datetime.datetime | None = engine.execute(f"select {call}", [text]).fetchall()[0][0]
    return found


def expected(numbers: tuple[int, ...], minutes_east: int) -> datetime.datetime | None:
    """The UTC time of year, month, day, hour, minute and second in a zone; None where the calendar has none."""
    zone = datetime.timezone(datetime.timedelta(minutes=minutes_east))
    try:
        local = datetime.datetime(*numbers, tzinfo=zone)  # type: ignore[arg-type, misc]
    except ValueError:
        return None
    return local.astimezone(datetime.UTC).replace(tzinfo=None)


NUMBERS = st.tuples(
    st.integers(1, 9990).map(lambda year: year + 5),
    *(st.integers(low, high) for low, high in [(0, 13), (0, 32), (0, 25), (0, 61), (0, 61)]),
)


@given(
    NUMBERS,
    st.sampled_from("T "),
    st.sampled_from(["", ".0", ".9999999", ",123456789"]),
    st.sampled_from(sorted(OFFSETS)),
)
def test_iso_times_are_those_of_the_calendar_in_utc(
    engine: Any, numbers: tuple[int, ...], blank: str, fraction: str, offset: str
) -> None:
    year, month, day, hour, minute, second = numbers
    written = f"{year:04}-{month:02}-{day:02}{blank}{hour:02}:{minute:02}:{second:02}{fraction}{offset}"
    assert moment(engine, "try_iso8601($1)", written) == expected(numbers, OFFSETS[offset])
    short = f"{year:04}-{month:02}-{day:02}{blank}{hour:02}:{minute:02}{offset}"
    assert moment(engine, "try_iso8601($1)", short) == expected((*numbers[:5], 0), OFFSETS[offset])


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-02", "2026-11-02T13", "2026-11-02T13:00:00+24:00", "2026-11-02T13:00+02:60", "1793624400"),
        *(
            "20261102T130000Z",
            "2026-11-02T13:00:00.Z",
            "2026-11-02T13:00:00 Z",
            "x2026-11-02T13:00",
            "2026-11-02T13:00Zx",
        ),
    ],
)
def test_what_is_no_iso_time_is_none(engine: Any, text: str) -> None:
    assert moment(engine, "try_iso8601($1)", text) is None


@given(st.integers(0, 99_999_999_999_999), st.sampled_from(["", ".", ".999"]))
def test_milliseconds_are_counted_from_1970(engine: Any, milliseconds: int, fraction: str) -> None:
    start = datetime.datetime(1970, 1, 1)
    assert moment(engine, "try_epoch_ms($1)", f"{milliseconds}{fraction}") == start + datetime.timedelta(
        milliseconds=milliseconds
    )


@pytest.mark.parametrize("text", ["", "-5", "1e12", "1793624400000s", "100000000000000", ".5"])
def test_what_is_no_number_of_milliseconds_is_none(engine: Any, text: str) -> None:
    assert moment(engine, "try_epoch_ms($1)", text) is None


def ingest(folder: Path, time_format: str, times: list[str]) -> tuple[IngestReport, list[Any], list[Any]]:
    """The report, the hours of the rows, and the rejects, of a day with a line for each time."""
    logs = folder / "logs/2026-11-02"
    logs.mkdir(parents=True)
    (logs / "a.csv").write_text("".join(f"{i},1,{time},a,1,\n" for i, time in enumerate(times)))
    config = pipeline(folder, changed(CSV, time_format=time_format))
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    report = ingest_logs(RawLines(config.source, config.fields, folder), config.engine, DAY, targets)
    rows, rejects = (pq.read_table(path).to_pylist() for path in (targets.rows, targets.rejects))
    return report, [(row["line"], row["hour_of_day"], row["weekday"]) for row in rows], rejects


def test_an_iso_time_lies_in_its_utc_day(tmp_path: Path) -> None:
    times = ["2026-11-02T13:00:00Z", "2026-11-03T01:30:00+02:00", "2026-11-03T00:00:00", "2026-11-02T23:59:59.9999999"]
    _, rows, rejects = ingest(tmp_path, '"iso8601"', [*times, "02/11/2026 13:00"])
    assert rows == [(1, "13", "1"), (2, "23", "1"), (4, "23", "1")]
    assert [row["reason"] for row in rejects] == ["time: another day", "time: not an ISO 8601 time"]


def test_milliseconds_are_utc_times(tmp_path: Path) -> None:
    last = int(datetime.datetime(2026, 11, 2, 23, 59, 59, 999000, datetime.UTC).timestamp() * 1000)
    _, rows, rejects = ingest(tmp_path, '"epoch_ms"', [str(last), str(last + 1), "soon"])
    assert rows == [(1, "23", "1")]
    assert [row["reason"] for row in rejects] == ["time: another day", "time: not milliseconds since 1970"]


def test_of_several_forms_the_first_that_fits_counts(tmp_path: Path) -> None:
    times = ["02/11/2026 05:00", "2026-11-02T06:00:00Z", "11/02/2026 07:00", "never"]
    _, rows, rejects = ingest(tmp_path, '["iso8601", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"]', times)
    assert rows == [(1, "5", "1"), (2, "6", "1")]
    assert [(row["line"], row["reason"]) for row in rejects] == [
        (3, "time: another day"),  # 11 February: day first is tried before month first
        (
            4,
            "time: not an ISO 8601 time or a time of the form %d/%m/%Y %H:%M or a time of the form %m/%d/%Y %H:%M",
        ),
    ]


@pytest.mark.parametrize(
    ("time_format", "said"),
    [
        ('"iso-8601"', r"no form 'iso-8601', did you mean 'iso8601'\?; epoch, epoch_ms, iso8601 or a strptime form"),
        ('["epoch", "ms"]', "no form 'ms'"),
        ("[]", "expected a form, or a list of different ones"),
        ('["epoch", "epoch"]', "expected a form, or a list of different ones"),
        ('["iso8601", "%Q"]', r"source\.time_format: '%Q'"),
        ("5", r"source\.time_format"),
    ],
)
def test_forms_that_are_none_are_configuration_errors(tmp_path: Path, time_format: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ingest(tmp_path, time_format, ["2026-11-02T13:00:00Z"])
