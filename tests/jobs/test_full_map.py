"""A map that comes near to the most ids says so; one that is full admits no more values, and the days go on."""

from pathlib import Path

import pytest

from jobs.commands.status import print_status
from jobs.day_overview import overview
from jobs.day_reports import day_reports
from jobs.running import Outcome, run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.states import day_states
from pnn_gluon.pipeline.steps import step
from pnn_gluon.store.manifest import Manifest
from tests.jobs.odd_days import day, odd_pipeline, write
from tests.jobs.small_pipeline import UNPUBLISHED, build

RESERVED = 5
MAPPED = ("ingest", "sample", "count", "feature_map")


def text(number: int, labelled: bool = True) -> str:
    """Ten sites of the day and those of the day before, ten rows each; half of the sites click."""
    rows = [(site, n) for site in range(10 * (number - 1), 10 * (number + 1)) for n in range(10)]
    return "".join(f"{f'{int((site + n) % 3 == 0)},' if labelled else ''}s{site},{n}\n" for site, n in rows)


@pytest.fixture
def filling(tmp_path: Path) -> Config:
    """Twenty sites on the first day and ten new ones on each after it, and four buckets."""
    config = odd_pipeline(tmp_path, 0)
    for number in range(1, 5):
        write(config, "logs", number, text(number))
        write(config, "requests", number + 1, text(number + 1, labelled=False))
    return config


def limit(monkeypatch: pytest.MonkeyPatch, ids: int) -> None:
    monkeypatch.setattr("pnn_gluon.data.map_room.TENSOR_LIMIT", ids + 1)


def manifest(config: Config, number: int) -> Manifest:
    found = open_store(config).manifest("maps", day(number))
    assert found is not None
    return found


def map_of(config: Config, number: int) -> FeatureMap:
    return FeatureMap.load(open_store(config).folder(manifest(config, number)) / "map.h5")


def grown(config: Config, number: int) -> Outcome:
    build(config, [day(number)], MAPPED[:-1])
    return run_step(step("feature_map"), config, day(number))


def notes(outcome: Outcome) -> list[str]:
    found: list[str] = outcome.details.get("notes", [])
    return found


def test_a_map_far_from_the_limit_says_nothing(filling: Config) -> None:
    assert "notes" not in grown(filling, 1).details
    assert not [key for key in manifest(filling, 1).inputs if key.startswith("room/")]


def test_from_four_fifths_on_the_day_says_when_the_map_will_be_full(
    filling: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limit(monkeypatch, RESERVED + 20 + 4 + 15)
    assert not notes(grown(filling, 1))
    (note,) = notes(grown(filling, 2))
    assert "39 of at most 44 ids" in note
    assert f"full on {plus(day(2), 1)}" in note
    assert f"feature_map {day(2)}: {note}" in [record.getMessage() for record in caplog.records]


def test_a_full_map_admits_no_more_and_the_day_is_trained_and_scored(
    filling: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limit(monkeypatch, RESERVED + 20 + 4 + 15)
    for number in (1, 2, 3, 4):
        assert set(build(filling, [day(number)], UNPUBLISHED)) <= {"done", "kept"}
    assert [map_of(filling, number).size for number in (1, 2, 3, 4)] == [29, 39, 44, 44]
    assert map_of(filling, 4).continues(map_of(filling, 1))
    capsys.readouterr()
    print_status(filling, [day(4)])
    assert f"feature_map {day(4)} warns: the map is full: 44 of at most 44 ids" in capsys.readouterr().out
    assert set(day_states(filling, [day(4)])[day(4)].values()) - {"missing"}
    (shown,) = overview(filling, [day(4)], plus(day(4), 1))["days"]
    assert shown["steps"]["feature_map"]["word"] == "warns"
    (report,) = day_reports(filling, [day(4)])
    assert any(note.startswith("feature_map: the map is full") for note in report.notes)


def test_a_model_with_more_numbers_an_id_makes_only_maps_near_the_limit_stale(
    filling: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, 4 * (RESERVED + 20 + 4 + 15))
    for number in (1, 2):
        grown(filling, number)
    edited = filling.path.read_text().replace('name = "lr"', 'name = "mlr"')
    filling.path.write_text(edited)
    states = day_states(load_config(filling.path), [day(1), day(2)])
    assert {states[each]["feature_map"].word for each in (day(1), day(2))} == {"done"}  # its tables can be cut
    filling.path.write_text(edited.replace("[training]", '[training]\ndevice = "gpu"'))
    states = day_states(load_config(filling.path), [day(1), day(2)])
    assert states[day(1)]["feature_map"].word == "done"
    assert states[day(2)]["feature_map"].reasons == ("input: room/ids was not read then",)
    monkeypatch.setattr("pnn_gluon.data.map_room.TENSOR_LIMIT", 2**31)
    states = day_states(load_config(filling.path), [day(1), day(2)])
    assert states[day(2)]["feature_map"].word == "done"
