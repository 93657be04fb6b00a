"""Clicks in files of their own, of any kind: which impression they are of, and for how long they count."""

import datetime
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines import changed, pipeline

from pnn_gluon.config import Config
from pnn_gluon.data.ingest import IngestReport, RawLines, Targets, ingest_logs, ingest_requests
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.reading import Reading

DAY = datetime.date(2026, 11, 2)
START = datetime.datetime(2026, 11, 2)
FIELDS = 'fields = [{ name = "site" }]'
SOURCE = """
logs = "imp/{day}.csv"
clicks = "clk/{day}.csv"
delimiter = ","
columns = ["id", "time", "site"]
id_column = "id"
time_column = "time"
max_reject_share = 1.0
click_files = { columns = ["clicked_at", "impression"], id_column = "impression", time_column = "clicked_at" }
attribution_hours = 24
"""


class Read(NamedTuple):
    """What became of the lines of a day."""

    report: IngestReport
    labels: dict[str, int]
    rejects: list[tuple[int, str]]


def deliver(folder: Path, name: str, lines: list[str]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def ingest(config: Config, folder: Path, day: datetime.date = DAY) -> Read:
    """The report, labels by site, and rejects by line; every line is accounted for."""
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    report = ingest_logs(RawLines(config.source, config.fields, folder), config.engine, day, targets)
    rows, rejects = (pq.read_table(path).to_pylist() for path in (targets.rows, targets.rejects))
    assert report.lines == report.rows + report.joined + report.rejects + report.other_days
    assert (len(rows), sum(row["label"] for row in rows)) == (report.rows, report.positives)
    labels = {row["site"]: row["label"] for row in rows}
    return Read(report, labels, [(row["line"], row["reason"]) for row in rejects])


def test_click_files_have_columns_of_their_own(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", ["a,2026-11-02 13:00:00,A", "b,2026-11-02 13:00:00,B"])
    deliver(tmp_path, "clk/2026-11-02.csv", ["2026-11-02 13:00:05,b", "soon,a", "2026-11-02 13:00:09,b"])
    read = ingest(pipeline(tmp_path, SOURCE, FIELDS), tmp_path)
    assert read.labels == {"A": 0, "B": 1}
    assert read.rejects == [
        (2, "click line: clicked_at: not a time of the form %Y-%m-%d %H:%M:%S"),
        (3, "click line: repeated click"),
    ]
    assert (read.report.clicks, read.report.joined) == (3, 1)
    (row, _) = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert row["row_id"] == hashlib.md5(b"delimited|a").hexdigest()


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_click_files_may_be_of_another_kind(tmp_path: Path, kind: str) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", ["a,2026-11-02 13:00:00,A", "b,2026-11-02 13:00:00,B"])
    if kind == "json":
        deliver(tmp_path, "clk/2026-11-02.csv", [json.dumps({"imp": {"id": "b"}, "at": "2026-11-02T15:00:00Z"})])
        own = '{ kind = "json", id_column = "imp.id", time_column = "at", time_format = "iso8601" }'
    else:
        (tmp_path / "clk").mkdir()
        at = pa.array([datetime.datetime(2026, 11, 2, 15)], pa.timestamp("us"))
        pq.write_table(pa.table({"Id": ["b"], "at": at}), tmp_path / "clk/2026-11-02.csv")
        own = '{ kind = "parquet", time_column = "at" }'
    assert ingest(pipeline(tmp_path, changed(SOURCE, click_files=own), FIELDS), tmp_path).labels == {"A": 0, "B": 1}


def test_without_hours_click_files_need_no_time(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", ["a,2026-11-02 13:00:00,A", "b,2026-11-02 13:00:00,B"])
    deliver(tmp_path, "clk/2026-11-02.csv", ["b", "x"])
    source = changed(SOURCE, click_files='{ columns = ["id"] }').replace("attribution_hours = 24", "")
    read = ingest(pipeline(tmp_path, source, FIELDS), tmp_path)
    assert (read.labels, read.rejects) == ({"A": 0, "B": 1}, [(2, "click line: no impression of its id")])


def test_a_click_counts_within_its_hours_and_is_refused_before_its_impression(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", [f"{name},2026-11-02 10:00:00,{name}" for name in "abcde"])
    clicks = ["10:00:00,a", "13:00:00,b", "13:00:01,c", "09:59:59,d", "09:00:00,a", "10:00:01,a"]
    deliver(tmp_path, "clk/2026-11-02.csv", [f"2026-11-02 {click}" for click in clicks])
    read = ingest(pipeline(tmp_path, changed(SOURCE, attribution_hours="3"), FIELDS), tmp_path)
    assert read.labels == {"a": 1, "b": 1, "c": 0, "d": 0, "e": 0}
    assert read.rejects == [
        (3, "click line: more than 3 hours after its impression"),
        (4, "click line: before its impression"),
        (5, "click line: before its impression"),
        (6, "click line: repeated click"),
    ]


@pytest.mark.parametrize(("rule", "labels", "joined"), [("first", {"A": 0}, 0), ("last", {"B": 1}, 1)])
def test_a_click_joins_the_impression_that_stays_or_none(
    tmp_path: Path, rule: str, labels: dict[str, int], joined: int
) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", ["a,2026-11-02 10:00:00,A", "a,2026-11-02 12:00:00,B"])
    deliver(tmp_path, "clk/2026-11-02.csv", ["2026-11-02 12:30:00,a"])
    source = changed(SOURCE, attribution_hours="1", on_repeat=f'"{rule}"', max_conflict_share="1.0")
    read = ingest(pipeline(tmp_path, source, FIELDS), tmp_path)
    assert (read.labels, read.report.joined) == (labels, joined)
    late = (1, "click line: more than 1 hours after its impression")
    assert (late in read.rejects) == (joined == 0)


def test_clicks_after_midnight_are_found_in_the_files_of_later_days(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", ["a,2026-11-02 23:00:00,A", "b,2026-11-02 23:00:00,B"])
    deliver(tmp_path, "clk/2026-11-02.csv", ["2026-11-02 01:00:00,yesterday", "2026-11-02 05:00:00,nobody"])
    config = pipeline(tmp_path, changed(SOURCE, attribution_hours="4"), FIELDS)
    assert ingest(config, tmp_path).labels == {"A": 0, "B": 0}
    deliver(tmp_path, "clk/2026-11-03.csv", ["2026-11-03 02:59:59,b", "2026-11-03 03:00:01,a", "2026-11-03 09:00:00,c"])
    deliver(tmp_path, "clk/2026-11-04.csv", ["2026-11-03 02:00:00,a"])
    read = ingest(config, tmp_path)
    assert read.labels == {"A": 0, "B": 1}
    assert sorted(read.rejects) == [
        (2, "click line: more than 4 hours after its impression"),
        (2, "click line: no impression of its id"),
    ]
    assert read.report.other_days == 2


def test_click_files_of_later_days_are_inputs_once_they_are_there(tmp_path: Path) -> None:
    config = pipeline(tmp_path, changed(SOURCE, attribution_hours="25"), FIELDS)
    for day in ("02", "04", "05"):
        deliver(tmp_path, f"clk/2026-11-{day}.csv", [day])
    reading = Reading(config, open_store(config), DAY)
    reading.raw("clicks", DAY)
    assert sorted(reading.recorded) == ["raw/clicks/2026-11-02.csv", "raw/clicks/2026-11-04.csv"]
    deliver(tmp_path, "clk/2026-11-03.csv", ["late"])
    later = Reading(config, open_store(config), DAY)
    later.raw("clicks", DAY)
    assert later.changed(reading.recorded) == ["raw/clicks/2026-11-03.csv"]


@pytest.mark.parametrize("hours", [None, "24"])
@pytest.mark.parametrize("clicks", ["clk/{day}.csv", "clk/{day}/a.csv"])
def test_clicks_of_one_day_that_were_delivered_for_the_next_too_are_refused(
    tmp_path: Path, clicks: str, hours: str | None
) -> None:
    given = SOURCE if hours else SOURCE.replace("attribution_hours = 24", "")
    config = pipeline(tmp_path, changed(given, clicks=f'"{clicks}"'), FIELDS)
    deliver(tmp_path, "imp/2026-11-02.csv", [f"{n},2026-11-02 13:00:00,A" for n in range(200)])
    deliver(tmp_path, "imp/2026-11-03.csv", [f"{n},2026-11-03 13:00:00,A" for n in range(200, 400)])
    for day in ("2026-11-02", "2026-11-03"):
        deliver(tmp_path, clicks.format(day=day), [f"2026-11-02 13:00:05,{n}" for n in range(200)])
    said = r"2026-11-03\S*: holds the same bytes as \S*2026-11-02\S*: one file delivered twice, or for two days"
    with pytest.raises(InputError, match=said):
        ingest(config, tmp_path, datetime.date(2026, 11, 3))
    if hours:
        with pytest.raises(InputError, match=said):
            ingest(config, tmp_path)
    else:
        assert ingest(config, tmp_path).report.joined == 200


def test_few_clicks_may_be_the_same_on_two_days(tmp_path: Path) -> None:
    config = pipeline(tmp_path, SOURCE.replace("attribution_hours = 24", ""), FIELDS)
    for day in ("2026-11-02", "2026-11-03"):
        deliver(tmp_path, f"imp/{day}.csv", [f"a,{day} 13:00:00,A"])
        deliver(tmp_path, f"clk/{day}.csv", ["2026-11-02 13:00:05,a"])
    assert ingest(config, tmp_path, datetime.date(2026, 11, 3)).labels == {"A": 1}


@settings(max_examples=12)
@given(st.data())
def test_labels_are_those_of_a_join_by_id_and_time(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("join")
    hours = data.draw(st.sampled_from([1, 7, 30]))
    impressions = data.draw(st.lists(st.integers(0, 86399), min_size=1, max_size=30))
    pair = st.tuples(st.integers(0, len(impressions) + 2), st.integers(-3600, 3 * 86400 - 1))
    clicks = data.draw(st.lists(pair, max_size=60))
    written = [f"{n},{START + datetime.timedelta(seconds=at)},{n}" for n, at in enumerate(impressions)]
    deliver(folder, "imp/2026-11-02.csv", written)
    days: dict[str, list[str]] = {"2026-11-02": []}
    for n, at in clicks:
        moment = START + datetime.timedelta(seconds=at)
        days.setdefault(str(max(moment, START).date()), []).append(f"{moment},{n}")
    for day, lines in days.items():
        deliver(folder, f"clk/{day}.csv", lines)
    read = ingest(pipeline(folder, changed(SOURCE, attribution_hours=str(hours)), FIELDS), folder)
    counting = {n for n, at in clicks if n < len(impressions) and 0 <= at - impressions[n] <= 3600 * hours}
    assert read.labels == {str(n): int(n in counting) for n in range(len(impressions))}
    assert read.report.joined == len(counting)


def test_the_days_of_clicks_are_those_of_the_zone(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", ["a,2026-11-01T23:00:00Z,A", "b,2026-11-02T22:59:59Z,B"])
    clicks = ["2026-11-02 00:00:01,a", "2026-11-02T23:59:59,b", "2026-11-01T22:59:59Z,x"]
    deliver(tmp_path, "clk/2026-11-02.csv", clicks)
    source = changed(SOURCE, time_zone='"Europe/Berlin"', time_format='"iso8601"')
    read = ingest(pipeline(tmp_path, source, FIELDS), tmp_path)
    assert (read.labels, read.rejects, read.report.other_days) == ({"A": 1, "B": 1}, [], 1)


def test_columns_that_logs_may_lack_are_not_those_of_click_files_with_columns_of_their_own(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", ["a,2026-11-02 13:00:00,A", "b,2026-11-02 13:00:00,B,x"])
    deliver(tmp_path, "clk/2026-11-02.csv", ["2026-11-02 13:00:05,b"])
    source = changed(SOURCE, columns='["id", "time", "site", "more"]', optional_columns='["more"]')
    assert ingest(pipeline(tmp_path, source, FIELDS), tmp_path).labels == {"A": 0, "B": 1}


def test_click_files_may_lack_columns_of_their_own(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", ["a,2026-11-02 13:00:00,A", "b,2026-11-02 13:00:00,B"])
    deliver(tmp_path, "clk/2026-11-02.csv", ["2026-11-02 13:00:05,b", "2026-11-02 13:00:05,a,tap"])
    own = '{ columns = ["time", "id", "how"], optional_columns = ["how"] }'
    read = ingest(pipeline(tmp_path, changed(SOURCE, click_files=own), FIELDS), tmp_path)
    assert (read.labels, read.rejects) == ({"A": 1, "B": 1}, [])


def test_folders_tell_the_time_of_clicks(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/2026-11-02.csv", ["a,2026-11-02 13:00:00,A", "b,2026-11-02 13:00:00,B"])
    deliver(tmp_path, "clk/dt=2026-11-02/hour=12/a.csv", ["b"])
    deliver(tmp_path, "clk/dt=2026-11-02/hour=14/a.csv", ["a"])
    own = 'columns = ["id"], path_columns = ["dt", "hour"], time_column = ["dt", "hour"], time_format = "%Y-%m-%d %H"'
    source = changed(SOURCE, clicks='"clk/dt={day}/*/*"', click_files=f"{{ {own} }}")
    read = ingest(pipeline(tmp_path, source, FIELDS), tmp_path)
    assert (read.labels, read.rejects) == ({"A": 1, "B": 0}, [(1, "click line: before its impression")])


BY_FOLDER = changed(
    SOURCE,
    logs='"imp/dt={day}/*/*"',
    columns='["id", "site"]',
    path_columns='["dt", "hour"]',
    time_column='["dt", "hour"]',
    time_format='"%Y-%m-%d %H"',
    click_files='{ columns = ["id"] }',
)


def test_click_files_lie_in_folders_as_those_of_logs_do(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/dt=2026-11-02/hour=13/a.csv", ["a,A", "b,B"])
    deliver(tmp_path, "clk/dt=2026-11-02/hour=14/a.csv", ["a"])
    deliver(tmp_path, "clk/dt=2026-11-02/hour=12/a.csv", ["b"])
    read = ingest(pipeline(tmp_path, changed(BY_FOLDER, clicks='"clk/dt={day}/*/*"'), FIELDS), tmp_path)
    assert (read.labels, read.rejects) == ({"A": 1, "B": 0}, [(1, "click line: before its impression")])


def test_folders_that_click_files_and_requests_do_not_need_may_be_missing(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/dt=2026-11-02/hour=13/a.csv", ["a,A", "b,B"])
    deliver(tmp_path, "clk/2026-11-02.csv", ["a"])
    deliver(tmp_path, "req/2026-11-02.csv", ["c,C"])
    source = changed(BY_FOLDER, requests='"req/{day}.csv"').replace("attribution_hours = 24\n", "")
    config = pipeline(tmp_path, source, FIELDS)
    assert ingest(config, tmp_path).labels == {"A": 1, "B": 0}
    targets = Targets(tmp_path / "requests.parquet", tmp_path / "rejected.parquet")
    raw = RawLines(config.source, config.fields, tmp_path)
    assert ingest_requests(raw, config.engine, DAY, targets).rows == 1


def test_hours_are_counted_over_a_change_of_the_clocks_many_days_later(tmp_path: Path) -> None:
    day = datetime.date(2026, 3, 23)  # in Berlin the clocks are put on six days later
    deliver(tmp_path, "imp/2026-03-23.csv", [f"{name},2026-03-23 12:00:00,{name}" for name in "ab"])
    deliver(tmp_path, "clk/2026-03-23.csv", [])
    deliver(tmp_path, "clk/2026-03-30.csv", ["2026-03-30 13:00:00,a", "2026-03-30 13:00:01,b"])
    source = changed(SOURCE, time_zone='"Europe/Berlin"', attribution_hours="168")
    read = ingest(pipeline(tmp_path, source, FIELDS), tmp_path, day)
    assert read.labels == {"a": 1, "b": 0}
    assert read.rejects == [(2, "click line: more than 168 hours after its impression")]


def test_after_a_day_of_23_hours_clicks_are_looked_for_a_day_further(tmp_path: Path) -> None:
    deliver(tmp_path, "imp/2026-03-28.csv", ["a,2026-03-28 23:30:00,A"])
    deliver(tmp_path, "clk/2026-03-28.csv", [])
    deliver(tmp_path, "clk/2026-03-30.csv", ["2026-03-30 00:30:00,a"])
    config = pipeline(tmp_path, changed(SOURCE, time_zone='"Europe/Berlin"'), FIELDS)
    assert ingest(config, tmp_path, datetime.date(2026, 3, 28)).labels == {"A": 1}
    days = [datetime.date(2026, 3, number) for number in (27, 28, 29)] + [datetime.date(2026, 10, 24)]
    assert [config.source.click_days(day) for day in days] == [1, 2, 1, 1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": '{ column = "site" }'}, "`label` has no effect with `clicks`"),
        (
            {"click_files": '{ columns = ["clicked_at"], time_column = "clicked_at" }'},
            "click_files: no column 'id' in `columns`",
        ),
        ({"click_files": '{ columns = ["id"] }'}, "`attribution_hours` needs the times of impressions and of clicks"),
        ({"click_files": '{ kind = "xml" }'}, r"source\.click_files\.kind"),
        ({"click_files": '{ quote = "," }'}, "`click_files`: `quote` and `delimiter` are both ','"),
        ({"click_files": '{ columns = ["id", "time"], path_columns = ["id"] }'}, "'id' is in `columns`, too"),
        ({"click_files": '{ optional_columns = ["id"] }'}, "`click_files`: `optional_columns`: 'id' is needed"),
        ({"click_files": '{ time_format = "soon" }'}, "`click_files`: `time_format`: no form 'soon'"),
        ({"attribution_hours": "0"}, r"source\.attribution_hours"),
    ],
)
def test_click_files_that_cannot_be_joined_are_configuration_errors(
    tmp_path: Path, options: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        pipeline(tmp_path, changed(SOURCE, **options), FIELDS)


@pytest.mark.parametrize(
    ("left_out", "said"), [("clicks", "say where they lie"), ("id_column", "joined by `id_column`")]
)
def test_what_joining_clicks_needs_is_asked_for(tmp_path: Path, left_out: str, said: str) -> None:
    kept = [line for line in SOURCE.splitlines() if not line.startswith(f"{left_out} = ")]
    with pytest.raises(ConfigError, match=said):
        pipeline(tmp_path, "\n".join(kept), FIELDS)
