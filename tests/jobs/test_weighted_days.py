"""Days of lines of counts through the steps, beside the same days with a line for each impression."""

import datetime
import json
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_pipeline import FIRST, NIGHTLY, SCORES_VARIABLE, UNPUBLISHED, build

from jobs.running import run_step
from jobs.steps.export import work_of_export
from jobs.steps.sampled import sampled_rows
from pnn_gluon.config import Config, SourceConfig, load_config
from pnn_gluon.data.encode_part import EncodePart, encode_part
from pnn_gluon.data.shards import open_shard
from pnn_gluon.days import plus
from pnn_gluon.pipeline.exports import Export, export_step
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import Partition, open_partition
from pnn_gluon.pipeline.tables import (
    BUNDLES,
    COUNTS,
    COUNTS_FILE,
    EVALUATIONS,
    EXPLANATION_FILE,
    EXPLANATIONS,
    EXPORT_FILE,
    GATES,
    MAP_FILE,
    MAPS,
    MODELS,
    NUMBERS_FILE,
    PREDICTIONS_FILE,
    PUBLISHED,
    RECALIBRATED,
    REEVALUATIONS,
    REPORT_FILE,
    REPORTS,
    ROWS,
    ROWS_FILE,
    SAMPLES,
    SCORES,
    SCORES_FILE,
    SHARDS,
)
from pnn_gluon.tracking.lineage_columns import origins_of

DAYS = (FIRST, plus(FIRST, 1))
LATE = (*DAYS, plus(FIRST, 2))
WEIGHTS = 'weights = { impressions = "n", clicks = "k" }'
PARTS = 3
"""Of 250 lines at most, in a day of 700."""
COLUMNS = ("label", "c1", "c2", "i1")

PIPELINE = """
name = "{name}"
first_day = 2026-11-01
fields = [{{ name = "c1" }}, {{ name = "c2" }}, {{ name = "i1", kind = "numeric", buckets = 8 }}]
[store]
root = "store"
[source]
logs = "logs/{{day}}.tsv"
requests = "requests/{{day}}.tsv"
id_column = "id"
on_repeat = "first"
columns = {columns}
{weights}
max_conflict_share = 1.0
[feature_map]
min_impressions = 30
[sampling]
train = 0.6
calibrate = 0.2
gate = 0.2
[model]
{model}
[calibration]
method = "platt"
{calibration}
[explain]
rows = 150
repeats = 20
[gate]
min_auc = 0.4
min_rows = 300
pcoc_low = 0.2
pcoc_high = 5.0
max_regression = 0.5
bootstrap_repeats = 20
slices = ["c1"]
[engine]
threads = 1
[publish]
server = "env:PNN_GLUON_TEST_SCORES"
table = "{name}"
"""
"""One thread starts no process for a part; test_days_in_parts.py has several."""
LR = """
name = "lr"
[training]
epochs = 3
batch_size = 100000
learning_rate = 0.3
optimizer = "sgd"
"""
TREES = """
name = "gbdt"
trees = 20
depth = 3
"""


def lines(day: int) -> Iterator[tuple[str, int, int, str]]:
    """Id, impressions, clicks and the rest of each line."""
    random = np.random.default_rng(day)
    for number in range(700):
        a, b = random.integers(0, 6), random.integers(0, 9)
        shown = int(random.integers(1, 12))
        clicked = int(random.binomial(shown, 0.05 + 0.1 * a))
        yield f"{day}-{number}", shown, clicked, f"a{a}\tb{b}\t{random.normal():.3f}"


def loaded(folder: Path, name: str, columns: tuple[str, ...], weights: str = "", **options: str) -> Config:
    folder.mkdir(exist_ok=True)
    given = {"model": LR, "calibration": "", **options}
    text = PIPELINE.format(name=name, columns=list(columns), weights=weights, **given)
    (folder / "pipeline.toml").write_text(text)
    return load_config(folder / "pipeline.toml")


def of_counts(folder: Path, **options: str) -> Config:
    """The pipeline of lines of counts, with its logs and requests."""
    config = of_counts_again(folder, **options)
    for number, day in enumerate(LATE):
        write(folder, "logs", day, (f"{i}\t{n}\t{k}\t{rest}\n" for i, n, k, rest in lines(number)))
        write(folder, "requests", plus(day, 1), (f"{i}\t{rest}\n" for i, _, _, rest in lines(number + 50)))
    return config


def of_counts_again(folder: Path, **options: str) -> Config:
    """The same with other options, its files as they are."""
    return loaded(folder, "counts", ("id", "n", "k", *COLUMNS[1:]), WEIGHTS, **options)


def write(folder: Path, kind: str, day: datetime.date, given: Iterable[str]) -> None:
    (folder / kind).mkdir(exist_ok=True)
    (folder / kind / f"{day}.tsv").write_text("".join(given))


def test_label_and_weight_come_from_the_columns_of_counts(tmp_path: Path) -> None:
    origins = origins_of(of_counts(tmp_path), "rows")
    assert [[each.column for each in origins[name]] for name in ("label", "weight")] == [["n", "k"], ["n", "k"]]


def test_the_columns_of_counts_are_needed_and_a_column_called_label_is_not() -> None:
    given = {"logs": "{day}.csv", "columns": ("n", "k", "label"), "weights": {"impressions": "n", "clicks": "k"}}
    assert SourceConfig(**given, optional_columns=("label",)).label_columns == ("n", "k")
    with pytest.raises(ValueError, match="`optional_columns`: 'k' is needed"):
        SourceConfig(**given, optional_columns=("k", "label"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, five_days_server: str) -> tuple[Config, Config]:
    """Days of counts, and the same written out with the ids of the lines."""
    folder = tmp_path_factory.mktemp("weighted")
    configs = of_counts(folder / "counts"), loaded(folder / "single", "single", ("id", "label", *COLUMNS[1:]))
    for number, day in enumerate(DAYS):
        each = (f"{i}.{m}\t{int(m < k)}\t{rest}\n" for i, n, k, rest in lines(number) for m in range(n))
        write(folder / "single", "logs", day, each)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, five_days_server)
        assert set(build(configs[0], DAYS)) == {"done"}
    build(configs[1], DAYS, ("ingest", "count", "sample", "feature_map"))
    return configs


def part(config: Config, table: Any, day: Any = DAYS[1]) -> Partition[Any]:
    found = open_partition(open_store(config), table, day)
    assert found is not None
    return found


def test_counts_and_maps_are_those_of_the_days_written_out(both: tuple[Config, Config]) -> None:
    counts = [part(config, COUNTS).file(COUNTS_FILE).read_bytes() for config in both]
    assert counts[0] == counts[1]
    maps = [part(config, MAPS).file(MAP_FILE).read_bytes() for config in both]
    assert maps[0] == maps[1]


def test_what_is_told_of_the_rows_is_of_impressions(both: tuple[Config, Config]) -> None:
    weighted, single = (part(config, ROWS).details for config in both)
    assert (weighted.impressions, weighted.positives) == (single.rows, single.positives)
    assert weighted.rows == weighted.lines + weighted.halves < single.rows


def of_share(config: Config, share: str, day: Any = DAYS[1]) -> list[dict[str, Any]]:
    (sample,) = sampled_rows(part(config, SAMPLES, day))
    return [row for row in sample.read().to_pylist() if row["share"] == share]


def test_shards_hold_the_weights_of_the_sample(both: tuple[Config, Config]) -> None:
    for share in ("train", "calibrate"):
        (path,) = part(both[0], SHARDS).parts(f"{DAYS[1]}.h5")
        with open_shard(path) as shard:
            weight = shard.weights(share)
            assert weight is not None
            assert weight.tolist() == [row["weight"] for row in of_share(both[0], share)]


def test_a_part_that_was_sent_away_is_encoded_with_its_weights(both: tuple[Config, Config], tmp_path: Path) -> None:
    (sample,), (path,) = sampled_rows(part(both[0], SAMPLES)), part(both[0], SHARDS).parts(f"{DAYS[1]}.h5")
    here = EncodePart(tmp_path / path.name, part(both[0], MAPS).file(MAP_FILE), sample, DAYS[1], carried=False)
    away = pickle.loads(pickle.dumps(here)).within(tmp_path / "away")
    away.folder.mkdir()
    encode_part(both[0].engine, away)
    with open_shard(path) as known, open_shard(away.path) as made:
        for share in ("train", "calibrate"):
            ids, label = made.read(share)
            assert (ids.tolist(), label.tolist()) == tuple(each.tolist() for each in known.read(share))
            found, expected = made.weights(share), known.weights(share)
            assert found is not None
            assert expected is not None
            assert found.tolist() == expected.tolist()


def test_examples_metrics_and_decisions_count_impressions(both: tuple[Config, Config]) -> None:
    config = both[0]
    train = sum(row["weight"] for day in DAYS for row in of_share(config, "train", day))
    assert part(config, MODELS).details.examples in {3 * train, 3 * sum(r["weight"] for r in of_share(config, "train"))}
    calibrated = part(config, BUNDLES).details.summary
    rows = of_share(config, "calibrate")
    assert calibrated["positives"] / calibrated["rows"] == pytest.approx(calibrated["ctr"])
    assert calibrated["rows"] >= sum(row["weight"] for row in rows) > len(rows)
    assert calibrated["pcoc"] == pytest.approx(1, abs=1e-4)
    gate = part(config, GATES).details
    assert gate.measures["rows"] == sum(row["weight"] for row in of_share(config, "gate"))
    assert gate.accepted, gate.reasons


def test_the_evaluation_is_that_of_the_predictions_by_weight(both: tuple[Config, Config]) -> None:
    found = part(both[0], EVALUATIONS)
    told = pq.read_table(found.file(PREDICTIONS_FILE))
    label, p, weight = (told[name].to_numpy().astype(float) for name in ("label", "probability", "weight"))
    summary = found.details.summary
    assert (summary["rows"], summary["positives"]) == (weight.sum(), (weight * label).sum())
    assert summary["rows"] == part(both[0], ROWS).details.impressions
    assert summary["log_loss"] == pytest.approx(-np.average(np.log(np.where(label == 1, p, 1 - p)), weights=weight))
    assert summary["pcoc"] == pytest.approx((weight * p).sum() / (weight * label).sum())
    assert summary["auc"] > 0.6
    assert (
        found.details.intervals["log_loss"]["low"] < summary["log_loss"] < found.details.intervals["log_loss"]["high"]
    )


def test_scores_of_requests_have_a_row_for_each_line_and_no_weight(both: tuple[Config, Config]) -> None:
    scores, published = part(both[0], SCORES), part(both[0], PUBLISHED)
    table = pq.read_table(scores.file(SCORES_FILE))
    assert (table.num_rows, scores.details.rejects) == (700, 0)
    assert "weight" not in table.column_names
    assert json.loads(published.file(EXPORT_FILE).read_text())["rows"] == 700


def test_the_explanation_counts_impressions_and_takes_both_rows_of_a_line(both: tuple[Config, Config]) -> None:
    told = json.loads(part(both[0], EXPLANATIONS).file(EXPLANATION_FILE).read_text())
    rows = of_share(both[0], "gate")
    ids = {row["row_id"] for row in rows}
    assert told["rows_available"] == len(rows)
    assert 150 < told["rows"] < 300
    assert len(ids) <= 150 or told["impressions"] < sum(row["weight"] for row in rows)
    assert told["impressions"] > 3 * told["rows"]
    assert told["importance"][0]["field"] == "c1"


def test_the_page_of_the_day_names_rows_and_impressions(both: tuple[Config, Config]) -> None:
    page = json.loads(part(both[0], REPORTS).file(NUMBERS_FILE).read_text())
    details = part(both[0], ROWS).details
    told = {each["what"]: each["rows"] for each in page["volumes"] if each["step"] == "ingest"}
    assert (told["lines"], told["rows"]) == (details.lines, details.rows)
    assert (told["impressions"], told["clicks"]) == (details.impressions, details.positives)
    assert page["report"]["summary"]["rows"] == details.impressions > details.rows
    assert ">Lines, rows or impressions<" in part(both[0], REPORTS).file(REPORT_FILE).read_text()


@pytest.mark.parametrize("form", ["parquet", "table"])
def test_an_export_of_the_logs_has_each_line_once(both: tuple[Config, Config], form: str) -> None:
    asked = Export(f"weighted_{form}", DAYS[1], rows="logs", format=form)
    outcome = run_step(export_step(asked), both[0], DAYS[1], work=work_of_export(asked))
    table = pq.read_table(Path(both[0].store_root) / outcome.path / SCORES_FILE)
    assert table["line"].to_pylist() == list(range(1, 701))
    told = pq.read_table(part(both[0], ROWS).file(ROWS_FILE))
    assert len(told) > len(table) == len(set(told["row_id"].to_pylist()))


def test_days_in_parts_are_the_days_in_one(
    both: tuple[Config, Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = of_counts(tmp_path / "parts")
    monkeypatch.setattr("pnn_gluon.data.ingest.PART_LINES", 250)
    assert set(build(config, DAYS, UNPUBLISHED)) == {"done"}
    assert len(part(config, SHARDS).parts(f"{DAYS[1]}.h5")) == PARTS
    assert part(config, COUNTS).file(COUNTS_FILE).read_bytes() == part(both[0], COUNTS).file(COUNTS_FILE).read_bytes()
    ours, theirs = (part(each, EVALUATIONS).details.summary for each in (config, both[0]))
    assert (ours["rows"], ours["positives"]) == (theirs["rows"], theirs["positives"])
    assert ours["log_loss"] == pytest.approx(theirs["log_loss"], rel=1e-3)


def test_trees_learn_from_weighted_rows(both: tuple[Config, Config], tmp_path: Path) -> None:
    config = of_counts(tmp_path / "trees", model=TREES)
    assert set(build(config, DAYS, UNPUBLISHED)) == {"done"}
    summary = part(config, EVALUATIONS).details.summary
    assert summary["rows"] == part(config, ROWS).details.impressions
    assert summary["auc"] > 0.6
    assert summary["pcoc"] == pytest.approx(1, abs=0.25)


def test_counts_that_come_late_recalibrate_the_model_in_force(tmp_path: Path) -> None:
    folder = tmp_path / "late"
    build(of_counts(folder), LATE, UNPUBLISHED)
    write(folder, "logs", DAYS[1], (f"{i}\t{n}\t{min(n, 2 * k)}\t{rest}\n" for i, n, k, rest in lines(1)))
    config = of_counts_again(folder, calibration="maturity_days = 1")
    assert set(build(config, LATE[2:], NIGHTLY)) == {"done"}
    first, again = part(config, EVALUATIONS).details.summary, part(config, REEVALUATIONS, LATE[2]).details.summary
    assert again["rows"] == first["rows"]
    assert again["positives"] > 1.5 * first["positives"]
    made = part(config, RECALIBRATED, LATE[2]).details
    assert made.before["pcoc"] < 0.8
    assert made.after["pcoc"] == pytest.approx(1, abs=0.02)
    assert made.after["rows"] > 3 * len(of_share(config, "calibrate"))
