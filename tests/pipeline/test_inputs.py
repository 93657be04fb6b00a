"""What each kind of input gives a step: which day of which table, and None or an error where it is not there."""

import datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.commands.rollback import roll_back
from jobs.running import Work, run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.details import Details
from pnn_gluon.pipeline.inputs import (
    Beside,
    InForceThen,
    Input,
    LabelledOver,
    Need,
    Newest,
    Over,
    Overridden,
    Parent,
    Saved,
    WarmStart,
    When,
)
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.room_for_ids import RoomForIds
from pnn_gluon.pipeline.step import Built, Step, kept
from pnn_gluon.pipeline.tables import BUNDLES, CHAMPIONS, COUNTS, MAPS, MATURED, MODELS, ROWS, SAMPLES, SHARDS, Table
from pnn_gluon.pipeline.work import Inputs

FIRST = datetime.date(2026, 11, 1)
DAYS = [plus(FIRST, number) for number in range(4)]
SAMPLED = dict.fromkeys(("rows", "train", "calibrate", "gate", "positives", "dropped"), 1)
LATE = "[calibration]\nmaturity_days = 1\n"


def configured(folder: Path, more: str = "") -> Config:
    path = folder / "pipeline.toml"
    text = 'name = "p"\nfirst_day = 2026-11-01\n[store]\nroot = "store"\n[source]\npreset = "criteo"\n'
    path.write_text(f'{text}logs = "logs/{{day}}.tsv"\n[model]\nname = "lr"\n{more}')
    return load_config(path)


def put(config: Config, table: Table[Any], *days: datetime.date, because: str | None = None, **details: Any) -> None:
    """Make days of a table; kept ones with a reason."""

    def build(inputs: Inputs, folder: Path) -> Built:
        return Built(1, details) if because is None else kept(because, details)

    for day in days:
        run_step(Step("maker", Table(table.name, Details)), config, day, force=True, work=Work(build))


def read(config: Config, day: datetime.date, *declared: Input[Any]) -> Any:
    """What the last of the inputs of a step gives it on a day."""
    given: list[Any] = []

    def build(inputs: Inputs, folder: Path) -> Built:
        given.append(inputs[declared[-1]])
        return Built(0, {})

    run_step(Step("odd", Table("odd", Details), inputs=declared), config, day, force=True, work=Work(build))
    return given[0]


def test_a_needed_table_is_that_of_the_day_and_its_parent_that_of_the_day_before(tmp_path: Path) -> None:
    config = configured(tmp_path)
    put(config, MAPS, *DAYS[1:3])
    assert read(config, DAYS[2], Need(MAPS)).day == DAYS[2]
    assert read(config, DAYS[2], Parent(MAPS)).day == DAYS[1]
    assert read(config, FIRST, Parent(MAPS)) is None
    for day, wanted, missing in ((FIRST, Need(MAPS), FIRST), (DAYS[1], Parent(MAPS), FIRST)):
        with pytest.raises(InputError, match=f"maps of {missing} is missing, needed for {day}"):
            read(config, day, wanted)


def recorded(config: Config, day: datetime.date) -> set[str]:
    """The names of what the step of `read` read on a day."""
    manifest = open_store(config).manifest("odd", day)
    assert manifest is not None
    return set(manifest.inputs)


def test_the_newest_day_of_a_table_is_found_and_what_it_passes_over_is_an_input(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert read(config, DAYS[2], Newest(CHAMPIONS, before=1)) is None
    assert recorded(config, DAYS[2]) == {f"champions/{day}" for day in DAYS[:2]}
    with pytest.raises(InputError, match=f"champions of {DAYS[2]} is missing, needed for {DAYS[2]}"):
        read(config, DAYS[2], Newest(CHAMPIONS))
    put(config, CHAMPIONS, FIRST, DAYS[3])
    assert read(config, DAYS[2], Newest(CHAMPIONS)).day == FIRST
    assert recorded(config, DAYS[2]) == {f"champions/{day}" for day in DAYS[:3]}
    assert read(config, DAYS[3], Newest(CHAMPIONS)).day == DAYS[3]
    assert recorded(config, DAYS[3]) == {f"champions/{DAYS[3]}"}
    assert read(config, DAYS[3], Newest(CHAMPIONS, before=1)).day == FIRST


def test_a_table_beside_another_is_of_the_same_day_and_of_yesterday_without_it(tmp_path: Path) -> None:
    config, newest = configured(tmp_path), Newest(CHAMPIONS, before=1)
    put(config, MATURED, *DAYS[:3])
    assert read(config, DAYS[3], newest, Beside(newest, MATURED)).day == DAYS[2]
    put(config, CHAMPIONS, DAYS[1])
    assert read(config, DAYS[3], newest, Beside(newest, MATURED)).day == DAYS[1]
    assert read(config, DAYS[3], newest, Beside(newest, ROWS)) is None


def test_a_window_ends_today_and_begins_with_the_first_day(tmp_path: Path) -> None:
    config = configured(tmp_path, "[feature_map]\nwindow_days = 2\n")
    put(config, COUNTS, *DAYS)
    counts = Over(COUNTS, "feature_map.window_days")
    assert [part.day for part in read(config, DAYS[3], counts).values()] == DAYS[2:]
    assert list(read(config, DAYS[0], counts)) == DAYS[:1]


@pytest.mark.parametrize(("more", "table"), [("", SAMPLES), (LATE, MATURED)])
def test_labelled_rows_are_those_of_the_newest_matured_days_with_their_rates(
    tmp_path: Path, more: str, table: Table[Any]
) -> None:
    config = configured(tmp_path, f"{more}[training]\nwindow_days = 2\n")
    late = config.calibration.maturity_days
    for number, day in enumerate(DAYS):
        put(config, table, day, **SAMPLED, day=str(plus(day, -late)), rate=(number + 1) / 8)
    found = read(config, DAYS[3], LabelledOver("training.window_days"))
    assert list(found) == [plus(DAYS[2], -late), plus(DAYS[3], -late)]
    assert [each.partition.day for each in found.values()] == DAYS[2:]
    assert [each.rate for each in found.values()] == [3 / 8, 4 / 8]
    if late:
        assert read(config, FIRST, LabelledOver("training.window_days")) == {}


@pytest.mark.parametrize(
    ("more", "table", "rate", "told"),
    [
        ("", SAMPLES, ["half"], r"cannot be read \(rate: .*received \['half'\]\)"),
        (LATE, MATURED, "half", r"cannot be read \(rate: .*received 'half'\)"),
        (LATE, MATURED, None, "has no rate"),
    ],
)
def test_a_rate_of_another_type_names_the_command_that_mends_it(
    tmp_path: Path, more: str, table: Table[Any], rate: Any, told: str
) -> None:
    config = configured(tmp_path, more)
    put(config, table, *DAYS[:2], **SAMPLED, day=str(FIRST), rate=rate)
    with pytest.raises(InputError, match=f"{table.name} of .*{told}.*; rerun: pnn-gluon"):
        read(config, DAYS[1], LabelledOver("training.window_days"))


def test_numbers_of_values_of_another_type_name_the_command_that_mends_them(tmp_path: Path) -> None:
    config = configured(tmp_path)
    put(config, COUNTS, FIRST, values="many", fields={})
    parent, counts = Parent(MAPS), Over(COUNTS, "feature_map.window_days")
    with pytest.raises(InputError, match=r"counts of .*cannot be read \(values: .*'many'\); rerun: pnn-gluon"):
        read(config, FIRST, parent, counts, RoomForIds(parent, counts))


def test_what_saves_work_is_of_the_day_or_of_the_matured_one_and_may_be_damaged(tmp_path: Path) -> None:
    config = configured(tmp_path, LATE)
    assert read(config, DAYS[1], Saved(SHARDS)) is None
    put(config, SHARDS, *DAYS[:2])
    assert read(config, DAYS[1], Saved(SHARDS)).day == DAYS[1]
    assert read(config, DAYS[1], Saved(SHARDS, matured=True)).day == DAYS[0]
    assert read(config, FIRST, Saved(SHARDS, matured=True)) is None
    (tmp_path / f"store/shards/ds={DAYS[1]}.json").write_text("{}")
    assert read(config, DAYS[1], Saved(SHARDS)) is None


@pytest.mark.parametrize("asked", [True, False])
def test_an_input_may_be_read_only_if_others_ask_for_it(tmp_path: Path, asked: bool) -> None:
    config = configured(tmp_path)
    put(config, MAPS, FIRST, asked=asked)
    put(config, ROWS, FIRST)

    def asks(known: Any) -> bool:
        return bool(known[Need(MAPS)].manifest.details["asked"])

    found = read(config, FIRST, Need(MAPS), When(asks, Need(ROWS)))
    assert (found is not None) == asked


def test_the_model_in_force_during_the_matured_day_is_that_of_the_day_before_it(tmp_path: Path) -> None:
    config = configured(tmp_path, LATE)
    put(config, CHAMPIONS, *DAYS[:2])
    assert [read(config, day, InForceThen()) for day in DAYS[:2]] == [None, None]
    assert read(config, DAYS[2], InForceThen()).day == DAYS[0]
    assert read(config, DAYS[3], InForceThen()).day == DAYS[1]


def test_a_persons_decision_comes_with_the_bundle_it_names_until_it_is_taken_back(tmp_path: Path) -> None:
    config = configured(tmp_path)
    put(config, BUNDLES, FIRST)
    assert read(config, DAYS[1], Overridden()) is None
    next(roll_back(config, DAYS[1], FIRST, "better", clear=False))
    override = read(config, DAYS[1], Overridden())
    assert (override.details.reason, override.bundle.day) == ("better", FIRST)
    next(roll_back(config, DAYS[1], None, "worse", clear=True))
    assert read(config, DAYS[1], Overridden()) is None


WARM = "[training]\nwindow_days = 1\nwarm_start = true\n"


def test_a_warm_start_goes_on_from_the_model_in_force(tmp_path: Path) -> None:
    config = configured(tmp_path, WARM)
    assert [edge.table for edge in WarmStart().edges(config)] == ["champions"]
    put(config, CHAMPIONS, FIRST)
    assert read(config, FIRST, WarmStart()) is None
    assert (read(config, DAYS[1], WarmStart()).name, read(configured(tmp_path), DAYS[1], WarmStart())) == (
        f"champions/{FIRST}",
        None,
    )


def test_a_warm_start_goes_on_from_yesterdays_own_model_unless_yesterday_was_kept(tmp_path: Path) -> None:
    config = configured(tmp_path, f'{WARM}warm_start_from = "yesterday"\n')
    assert [edge.table for edge in WarmStart().edges(config)] == ["models", "maps", "champions"]
    assert read(config, FIRST, WarmStart()) is None
    put(config, MODELS, FIRST)
    put(config, MAPS, *DAYS[:2])
    found = read(config, DAYS[1], WarmStart())
    assert (found.model.name, found.map.name) == (f"models/{FIRST}", f"maps/{FIRST}")
    put(config, MODELS, DAYS[1], because="no clicks")
    put(config, CHAMPIONS, *DAYS[:2])
    assert read(config, DAYS[2], WarmStart()).name == f"champions/{DAYS[1]}"
