"""The step check on a small pipeline: what was planted is named by field, and nothing is found where nothing is."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.running import Outcome, run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from tests.jobs.odd_days import day, odd_pipeline, write
from tests.jobs.small_pipeline import build

CHECKED = ("ingest", "count", "check")
FIELDS = (
    '[{ name = "site" }, { name = "user" }, { name = "price", kind = "numeric" }, { name = "tags", kind = "multi" }]'
)
EDITS = {
    'fields = [{ name = "site" }, { name = "price", kind = "numeric", buckets = 4 }]': f"fields = {FIELDS}",
    'columns = ["label", "site", "price"]': 'columns = ["label", "site", "user", "price", "tags"]',
}
Row = dict[str, str]


def rows_of(seed: int, number: int = 1000) -> list[Row]:
    """Rows of the same world on every day: sites of which some are rare, many users, prices, tags."""
    draw = random.Random(seed)
    return [
        {
            "label": str(int(draw.random() < 0.1)),
            "site": f"s{min(int(draw.expovariate(0.4)), 15)}",
            "user": f"u{draw.randrange(3000)}",
            "price": "" if draw.random() < 0.05 else f"{draw.lognormvariate(3, 1):.2f}",
            "tags": "|".join(sorted({f"t{draw.randrange(5)}" for _ in range(draw.randrange(3))})),
        }
        for _ in range(number)
    ]


def text(rows: list[Row], labelled: bool = True) -> str:
    columns = ["label", "site", "user", "price", "tags"][0 if labelled else 1 :]
    return "".join(",".join(row[name] for name in columns) + "\n" for row in rows)


def checked_days(folder: Path, edits: dict[str, str] | None = None, rows: int = 1000) -> Config:
    """A pipeline whose three days before the fourth were checked."""
    config = odd_pipeline(folder, 0, {**EDITS, **(edits or {})})
    for number in (1, 2, 3):
        write(config, "logs", number, text(rows_of(number, rows)))
        build(config, [day(number)], CHECKED)
    return config


def checked(config: Config, rows: list[Row], requests: list[Row] | None = None) -> Outcome:
    """The fourth day."""
    write(config, "logs", 4, text(rows))
    (config.path.parent / "requests" / str(day(4)) / "a.csv").unlink(missing_ok=True)
    if requests is not None:
        write(config, "requests", 4, text(requests, labelled=False))
    build(config, [day(4)], ("ingest", "count"))
    return run_step(step("check"), config, day(4))


def found(outcome: Outcome) -> list[tuple[str, str | None]]:
    return [(finding["check"], finding["field"]) for finding in outcome.details["findings"]]


def recorded(config: Config) -> Any:
    """The inputs of the fourth day's checks."""
    made: Any = open_store(config).manifest("checks", day(4))
    return made.inputs


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Read only but for its fourth day."""
    return checked_days(tmp_path_factory.mktemp("checked"))


def with_column(name: str, change: Callable[[str], str]) -> list[Row]:
    return [{**row, name: change(row[name])} for row in rows_of(4)]


def with_option(config: Config, option: str) -> Config:
    """The pipeline with an option of `[checks]`, or with a table of its own."""
    path = config.path.with_name("changed.toml")
    section = "" if option.startswith("[") else "[checks]\n"
    path.write_text(f"{config.path.read_text()}\n{section}{option}\n")
    return load_config(path)


SHUFFLED = {f"s{n}": f"s{(n + 7) % 16}" for n in range(16)}
PLANTED: dict[str, tuple[list[Row], set[tuple[str, str | None]]]] = {
    "values shuffled among categories": (with_column("site", SHUFFLED.__getitem__), {("drift", "site")}),
    "a field goes missing in part": (
        [{**row, "site": "" if n % 3 else row["site"]} for n, row in enumerate(rows_of(4))],
        {("missing", "site")},
    ),
    "a field goes missing": (with_column("site", lambda value: ""), {("absent", "site")}),
    "half the volume": (rows_of(4, 500), {("volume", None)}),
    "three times the label rate": (
        [{**row, "label": str(int(n % 10 < 3))} for n, row in enumerate(rows_of(4))],
        {("label_rate", None)},
    ),
    "prices in another unit": (
        with_column("price", lambda value: value and f"{float(value) * 3:.2f}"),
        {("drift", "price")},
    ),
    "ids in another form": (with_column("user", str.upper), {("new_values", "user")}),
    "one tag in every row": (with_column("tags", lambda value: "t1"), {("drift", "tags"), ("missing", "tags")}),
}


@pytest.mark.parametrize("what", PLANTED)
def test_planted_drift_is_named_by_field(three_days: Config, what: str) -> None:
    rows, expected = PLANTED[what]
    outcome = checked(three_days, rows)
    assert set(found(outcome)) == expected
    for finding in outcome.details["findings"]:
        assert finding["value"] > finding["limit"]
        assert finding["field"] is None or finding["field"] in finding["words"]
        assert f"{finding['limit']:.3g}" in finding["words"]


def test_logs_of_the_day_before_that_came_again_are_told(three_days: Config) -> None:
    outcome = checked(three_days, rows_of(3))
    words = f"copies: {day(4)}/a.csv is, byte for byte, {day(3)}/a.csv of the day before (limit 0)"
    assert [finding["words"] for finding in outcome.details["findings"]] == [words]
    assert f"rows/{day(3)}" in recorded(three_days)
    failing, silent = (with_option(three_days, f'copies = "{level}"') for level in ("fail", "off"))
    assert run_step(step("check"), failing, day(4)).details["reasons"] == [words]
    assert run_step(step("check"), silent, day(4)).details["findings"] == []


def test_small_logs_may_be_those_of_the_day_before(tmp_path: Path) -> None:
    config = checked_days(tmp_path, rows=100)
    outcome = checked(config, rows_of(3, 100))
    assert outcome.details["findings"] == []
    assert f"rows/{day(3)}" not in recorded(config)


def test_without_drift_nothing_is_found(three_days: Config) -> None:
    outcome = checked(three_days, rows_of(4))
    assert (outcome.status, outcome.details["findings"]) == ("done", [])
    assert outcome.details["days"] == [str(day(number)) for number in (1, 2, 3)]


def test_a_field_that_is_always_missing_stops_the_day_before_training(three_days: Config) -> None:
    outcome = checked(three_days, PLANTED["a field goes missing"][0])
    assert (outcome.status, outcome.exit_status) == ("refused", 4)
    assert outcome.details["reasons"] == ["site: 100 % of the rows have no value, 0 % before (limit 0)"]


SKEWED: dict[str, Callable[[str], str]] = {
    "shuffled": SHUFFLED.__getitem__,
    "missing": lambda value: "",
    "in another form": str.upper,
}


@pytest.mark.parametrize("how", SKEWED)
def test_a_skew_between_logs_and_requests_is_named_by_field(three_days: Config, how: str) -> None:
    name = "user" if how == "in another form" else "site"
    requests = [{**row, name: SKEWED[how](row[name])} for row in rows_of(14, 1500)]
    outcome = checked(three_days, rows_of(4), requests)
    assert set(found(outcome)) == {("skew", name)}
    assert outcome.details["findings"][0]["words"].startswith("skew of logs to requests: ")


def test_requests_like_the_logs_are_no_skew(three_days: Config) -> None:
    assert found(checked(three_days, rows_of(4), rows_of(14, 700))) == []


def test_requests_that_cannot_be_read_are_said_and_stop_nothing(three_days: Config) -> None:
    write(three_days, "requests", 4, "too,many,columns,by,far,here\n" * 10)
    write(three_days, "logs", 4, text(rows_of(4)))
    build(three_days, [day(4)], ("ingest", "count"))
    outcome = run_step(step("check"), three_days, day(4))
    assert outcome.status == "done"
    (note,) = outcome.details["notes"]
    assert note.startswith("the requests of the day cannot be read, and were not compared")


def test_the_first_day_is_compared_with_nothing_and_says_so(three_days: Config) -> None:
    first: Any = open_store(three_days).manifest("checks", day(1))
    assert (first.details["days"], first.details["findings"]) == ([], [])
    assert first.details["notes"] == ["no day before to compare with: none was checked and passed"]


def test_without_drift_small_days_raise_at_most_one_false_alarm(tmp_path: Path) -> None:
    """12 days of 300 to 3,000 rows, each after three of as many, and with requests."""
    sizes = {rows: checked_days(tmp_path / str(rows), rows=rows) for rows in (300, 1000, 3000)}
    alarms = []
    for seed in range(12):
        rows = list(sizes)[seed % 3]
        outcome = checked(sizes[rows], rows_of(100 + seed, rows), rows_of(200 + seed, rows // 2))
        alarms += [finding["words"] for finding in outcome.details["findings"]]
    assert len(alarms) <= 1, alarms


HOSTILE = "s'; drop\u202e\x1b[31m table 💥 <b>{{ x }}"


def test_hostile_values_are_shown_safely(three_days: Config) -> None:
    rows = [{**row, "site": HOSTILE if n % 2 else row["site"]} for n, row in enumerate(rows_of(4))]
    words = [
        finding["words"] for finding in checked(three_days, rows).details["findings"] if finding["check"] == "drift"
    ]
    assert len(words) == 1
    assert words[0].isprintable()
    assert r"\u202e\x1b[31m" in words[0]


@pytest.mark.parametrize(
    ("option", "rows"),
    [
        ('drift = "off"', "values shuffled among categories"),
        ("drift_limit = 0.9", "values shuffled among categories"),
        ('[checks.fields.site]\ndrift = "off"', "values shuffled among categories"),
        ("[checks.fields.site]\ndrift_limit = 0.9", "values shuffled among categories"),
        ('missing = "off"', "a field goes missing in part"),
        ("missing_limit = 0.9", "a field goes missing in part"),
        ('absent = "off"', "a field goes missing"),
        ('volume = "off"', "half the volume"),
        ("volume_limit = 2.5", "half the volume"),
        ('label_rate = "off"', "three times the label rate"),
        ("label_rate_limit = 4.0", "three times the label rate"),
        ('new_values = "off"', "ids in another form"),
        ("new_values_limit = 0.95", "ids in another form"),
    ],
)
def test_an_option_lets_pass_what_would_be_found(three_days: Config, option: str, rows: str) -> None:
    changed = with_option(three_days, option)
    assert found(checked(changed, PLANTED[rows][0])) == []


@pytest.mark.parametrize("option", ['skew = "off"', "skew_limit = 1.0", '[checks.fields.site]\nskew = "off"'])
def test_an_option_lets_a_skew_pass(three_days: Config, option: str) -> None:
    requests = [{**row, "site": SHUFFLED[row["site"]]} for row in rows_of(14, 1500)]
    assert found(checked(with_option(three_days, option), rows_of(4), requests)) == []


def test_what_only_warns_may_stop_the_day_instead(three_days: Config) -> None:
    changed = with_option(three_days, 'volume = "fail"')
    assert checked(changed, rows_of(4, 500)).details["reasons"] == ["volume: 500 rows, 1,000 a day before (limit 1.6)"]


def test_the_window_says_how_many_days_are_compared_with(three_days: Config) -> None:
    outcome = checked(with_option(three_days, "window_days = 2"), rows_of(4))
    assert outcome.details["days"] == [str(day(2)), str(day(3))]


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ('drift = "off"\ndrift_limit = 0.2', r"`drift_limit` has no effect with drift = 'off'"),
        ('[checks.fields.site]\nskew = "off"\nskew_limit = 0.2', r"`fields.site.skew_limit` has no effect with skew"),
        ('[checks.fields.sight]\ndrift = "off"', r"checks.fields: no field 'sight', did you mean 'site'\?"),
        ('[checks.fields.price]\nnew_values = "off"', r"checks.fields.price: new_values has no effect on a numeric"),
        ('[checks.fields.site]\nvolume = "off"', r"unknown key"),
        ("volume_limit = 0.5", r"checks.volume_limit: .*greater than 1"),
    ],
)
def test_an_option_without_an_effect_is_refused(three_days: Config, option: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        with_option(three_days, option)


def test_more_rejects_than_before_are_found(tmp_path: Path) -> None:
    config = checked_days(tmp_path, {'delimiter = ","': 'delimiter = ","\nmax_reject_share = 0.5'})
    write(config, "logs", 4, text(rows_of(4)) + "broken\n" * 100)
    build(config, [day(4)], ("ingest", "count"))
    outcome = run_step(step("check"), config, day(4))
    assert found(outcome) == [("rejects", None)]
    assert "9.09 % of the lines, 0 % before" in outcome.details["findings"][0]["words"]


def test_a_day_of_the_week_is_no_drift(tmp_path: Path) -> None:
    """Every day has another one, and each is new in the first week."""
    config = odd_pipeline(tmp_path, 0, EDITS)
    written = config.path.read_text().replace('{ name = "tags", kind = "multi" }', '{ name = "weekday" }')
    timed = '"price", "time"]\ntime_column = "time"\ntime_format = "%Y-%m-%d"'
    config.path.write_text(written.replace('"price", "tags"]', timed))
    config = load_config(config.path)
    for number in (1, 2):
        rows = [{**row, "tags": str(day(number))} for row in rows_of(number)]
        write(config, "logs", number, text(rows))
        build(config, [day(number)], CHECKED)
    made: Any = open_store(config).manifest("checks", day(2))
    assert (made.details["days"], made.details["findings"]) == ([str(day(1))], [])


@pytest.mark.parametrize(("first", "absent"), [(3, {"tags", "words"}), (4, {"tags"})])
def test_a_field_that_came_later_is_compared_with_the_days_that_had_it(
    tmp_path: Path, first: int, absent: set[str]
) -> None:
    came = f'{{ name = "words", column = "tags", since = {day(first)} }}'  # a third of the rows have none
    known = '{ name = "tags", kind = "multi" }'
    config = checked_days(tmp_path, {known: f"{known}, {came}"})
    assert found(checked(config, rows_of(4))) == []
    without = [{**row, "tags": ""} for row in rows_of(4)]
    assert {field for check, field in found(checked(config, without)) if check == "absent"} == absent
