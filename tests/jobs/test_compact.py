"""A compact map and the model by it score as before to the bit, and later days go on from them."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.commands.compact import compact
from jobs.commands.status import print_status, print_why
from jobs.signature import UNSIGNED
from pnn_gluon.blocks.id_table import whole_name
from pnn_gluon.config import Config, EngineConfig, load_config
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.shards import open_shard
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.serving.scoring import write_scores
from pnn_gluon.training.export import PARAMETERS_FILE
from pnn_gluon.training.parameters import read_values
from tests.jobs.odd_days import day, lines, odd_pipeline, requests, write
from tests.jobs.small_pipeline import UNPUBLISHED, build, state_words
from tests.training.cut_cases import LIMIT, WHOLE, tensors_of

EDITS = {
    "min_impressions = 3\nwindow_days = 3": "min_impressions = 3\nwindow_days = 1\nexpire_days = 2",
    "window_days = 1\nepochs": "window_days = 1\nwarm_start = true\ncarry_optimizer = true\nepochs",
    '{ name = "site" }': '{ name = "former", column = "site", until = 2026-11-02 }, { name = "site" }',
    'method = "platt"': 'method = "platt"\nsegment = "site"',
}


def folder_of(config: Config, table: str, number: int) -> Path:
    store = open_store(config)
    manifest = store.manifest(table, day(number))
    assert manifest is not None, (table, number)
    return store.folder(manifest)


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Config]:
    """By model, made when it is asked for: sites of the first day expire, a field ends with the second; read only."""
    return cache(lambda model: _made(tmp_path_factory.mktemp(model), model))


@pytest.fixture
def built(three_days: Callable[[str], Config], tmp_path: Path) -> Callable[[str], Config]:
    """A copy of the three days that a test may change."""

    def copied(model: str) -> Config:
        shutil.copytree(three_days(model).path.parent, tmp_path / "days")
        return load_config(tmp_path / "days/pipeline.toml")

    return copied


def _made(folder: Path, model: str) -> Config:
    config = odd_pipeline(folder, 0, {**EDITS, 'name = "lr"': f'name = "{model}"'})
    for number in range(1, 6):
        text = lines(number, 900)
        write(config, "logs", number, text.replace("s1,", "gone,").replace("s2,", "gone too,") if number == 1 else text)
        write(config, "requests", number + 1, requests(100 + number))
    for number in (1, 2, 3):
        assert set(build(config, [day(number)], UNPUBLISHED)) <= {"done", "kept"}
    return config


def scored(bundle: Path, rows: Path, to: Path) -> list[bytes]:
    write_scores(Bundle.load(bundle), EngineConfig(), rows, to)
    table = pq.read_table(to)
    return [table[name].to_numpy().tobytes() for name in ("logit", "probability")]


@pytest.mark.parametrize("model", ["fm", "fnn"])
def test_requests_have_the_same_scores_before_and_after_to_the_bit(
    built: Callable[[str], Config], tmp_path: Path, model: str
) -> None:
    config = built(model)
    compact(config, day(3), "the map is nearly full", UNSIGNED)
    before, after = folder_of(config, "bundles", 3), folder_of(config, "compactions", 3)
    old, new = (FeatureMap.load(folder / "map.h5") for folder in (before, after))
    assert new.size == old.size - int((old.expired | (old.position_of < 0)).sum()) + 1  # padding is of no field
    assert new.size < old.size - 8
    rows = tmp_path / "rows.parquet"
    sites = [*(f"s{n}" for n in range(10)), "gone", "gone too", "never seen", None]
    asked = [(site, price) for site in sites for price in (0.0, 7.0, 55.0, None)]
    columns = {"site": [site for site, _ in asked], "price": [price for _, price in asked]}
    names = {"row_id": [str(n) for n in range(len(asked))], "file": ["f"] * len(asked), "line": list(range(len(asked)))}
    pq.write_table(pa.table({**names, **columns}), rows)
    assert scored(before, rows, tmp_path / "a.parquet") == scored(after, rows, tmp_path / "b.parquet")
    assert (after / "model-0000.params").stat().st_size < (before / "model-0000.params").stat().st_size


def test_later_days_grow_from_it_and_training_goes_on(built: Callable[[str], Config]) -> None:
    config = built("fm")
    compact(config, day(3), "the map is nearly full", UNSIGNED)
    assert set(build(config, [day(4), day(5)], UNPUBLISHED)) <= {"done", "kept"}
    base = FeatureMap.load(folder_of(config, "compactions", 3) / "map.h5")
    maps = [FeatureMap.load(folder_of(config, "maps", number) / "map.h5") for number in (4, 5)]
    assert maps[0].continues(base)
    assert maps[1].continues(maps[0])
    manifest = open_store(config).manifest("models", day(4))
    assert manifest is not None
    assert manifest.details["started_from"] == manifest.details["optimizer_from"] == f"compactions/{day(3)}"
    later = open_store(config).manifest("models", day(5))
    assert later is not None
    assert later.details["started_from"] == f"bundles/{day(4)}"
    with open_shard(folder_of(config, "shards", 5) / f"{day(5)}.h5") as shard:
        assert np.isin(shard.read("train")[0], np.arange(maps[1].size)).all()
    words = state_words(config, [day(3), day(4), day(5)])
    assert {words[day(number)][name] for number in (3, 4, 5) for name in UNPUBLISHED} <= {"done", "kept"}


def test_taken_back_the_day_after_grows_from_the_days_own_map(built: Callable[[str], Config]) -> None:
    config = built("fm")
    compact(config, day(3), "the map is nearly full", UNSIGNED)
    build(config, [day(4)], UNPUBLISHED)
    compact(config, day(3), "it was not needed", UNSIGNED, clear=True)
    assert state_words(config, [day(4)])[day(4)]["feature_map"] == "stale"
    build(config, [day(4)], UNPUBLISHED)
    maps = [FeatureMap.load(folder_of(config, "maps", number) / "map.h5") for number in (3, 4)]
    assert maps[1].continues(maps[0])


def test_nothing_to_win_is_said(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 1)
    build(config, [day(1)], UNPUBLISHED)
    with pytest.raises(ConfigError, match="no id of the map is expired or of a field that was given up"):
        compact(config, day(1), "why not", UNSIGNED)


def test_a_day_whose_own_candidate_is_not_in_force_is_refused_where_training_goes_on(
    built: Callable[[str], Config],
) -> None:
    config = built("fm")
    config.path.write_text(config.path.read_text().replace("min_auc = 0.0", "min_auc = 0.999"))
    build(load_config(config.path), [day(3)], ("gate", "promote"))
    with pytest.raises(ConfigError, match=f"by the map of {day(2)}.*whose own candidate was promoted"):
        compact(load_config(config.path), day(3), "the map is nearly full", UNSIGNED)


def test_a_compact_map_of_a_map_that_was_made_again_is_shown_stale(built: Callable[[str], Config], capsys) -> None:
    config = built("fm")
    compact(config, day(3), "the map is nearly full", UNSIGNED)
    build(config, [day(4)], UNPUBLISHED)
    assert state_words(config, [day(3)])[day(3)]["compact"] == "done"
    write(config, "logs", 3, lines(3, 900).replace("s3,", "new,"))
    build(config, [day(3)], UNPUBLISHED)
    words = state_words(config, [day(3), day(4)])
    assert (words[day(3)]["feature_map"], words[day(3)]["compact"]) == ("done", "stale")
    assert words[day(4)]["feature_map"] == "stale"
    print_status(config, [day(3)])
    said = capsys.readouterr().out
    assert f"compact {day(3)} stale: input: maps/{day(3)} was made again" in said
    assert f"pnn-gluon compact --config {config.path} --day {day(3)} --reason" in said
    compact(config, day(3), "the map is nearly full", UNSIGNED, clear=True)
    assert "compact" not in state_words(config, [day(3)])[day(3)]


def test_why_a_step_that_has_no_state_stands_so_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"--why {day(1)} compact: .*; these have one: ingest, "):
        print_why(odd_pipeline(tmp_path, 1), day(1), "compact")


@pytest.mark.long
def test_a_compact_model_and_the_days_after_it_may_have_tables_of_several_tensors(
    built: Callable[[str], Config], tmp_path: Path
) -> None:
    """Two days more, of warm starts that carry the optimizer on, give the scores of whole tables to the bit."""
    config, found = built("fnn"), []
    shutil.copytree(config.path.parent, tmp_path / "cut")
    for path, most in ((config.path, WHOLE), (tmp_path / "cut/pipeline.toml", LIMIT)):
        with tensors_of(most):
            days = load_config(path)
            compact(days, day(3), "the map is nearly full", UNSIGNED)
            assert set(build(days, [day(4), day(5)], UNPUBLISHED)) <= {"done", "kept"}
        names = read_values(folder_of(days, "models", 5) / PARAMETERS_FILE)
        assert any(whole_name(name) != name for name in names) == (most == LIMIT)
        found.append(pq.read_table(folder_of(days, "scores", 5) / "scores.parquet"))
    assert found[0].equals(found[1])
