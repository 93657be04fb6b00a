"""Days of lines of counts through the steps, beside the same days with a line for each impression."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_pipeline import FIRST, build

from jobs.steps.sampled import sampled_rows
from pnn_gluon.config import Config, SourceConfig, WeightsConfig, load_config
from pnn_gluon.data.shards import open_shard
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import Partition, open_partition
from pnn_gluon.pipeline.tables import (
    BUNDLES,
    COUNTS,
    COUNTS_FILE,
    EVALUATIONS,
    GATES,
    MAP_FILE,
    MAPS,
    MODELS,
    PREDICTIONS_FILE,
    ROWS,
    SAMPLES,
    SHARDS,
)

DAYS = (FIRST, plus(FIRST, 1))
STEPS = (
    "ingest",
    "sample",
    "count",
    "check",
    "feature_map",
    "encode",
    "evaluate",
    "train",
    "calibrate",
    "gate",
    "promote",
)
COLUMNS = ("label", "c1", "c2", "i1")

PIPELINE = """
name = "{name}"
first_day = 2026-11-01
fields = [{{ name = "c1" }}, {{ name = "c2" }}, {{ name = "i1", kind = "numeric", buckets = 8 }}]
[store]
root = "store"
[source]
logs = "logs/{{day}}.tsv"
id_column = "id"
on_repeat = "first"
columns = {columns}
[feature_map]
min_impressions = 30
[sampling]
train = 0.6
calibrate = 0.2
gate = 0.2
[model]
name = "lr"
[training]
epochs = 3
batch_size = 100000
learning_rate = 0.3
optimizer = "sgd"
[calibration]
method = "platt"
[explain]
rows = 0
[gate]
min_auc = 0.4
min_rows = 300
pcoc_low = 0.2
pcoc_high = 5.0
max_regression = 0.5
bootstrap_repeats = 20
slices = ["c1"]
"""


def lines(day: int) -> Iterator[tuple[str, int, int, str]]:
    """Id, impressions, clicks and the rest of each line."""
    random = np.random.default_rng(day)
    for number in range(700):
        a, b = random.integers(0, 6), random.integers(0, 9)
        shown = int(random.integers(1, 12))
        clicked = int(random.binomial(shown, 0.05 + 0.1 * a))
        yield f"{day}-{number}", shown, clicked, f"a{a}\tb{b}\t{random.normal():.3f}"


def loaded(folder: Path, name: str, columns: list[str]) -> Config:
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.toml").write_text(PIPELINE.format(name=name, columns=columns))
    return load_config(folder / "pipeline.toml")


def of_counts(folder: Path) -> Config:
    """The pipeline of lines of counts."""
    config = loaded(folder, "counts", ["id", "label", *COLUMNS[1:]])
    given = config.source.model_dump(exclude_unset=True)
    given |= {"columns": ("id", "n", "k", *COLUMNS[1:]), "weights": WeightsConfig(impressions="n", clicks="k")}
    return config.model_copy(update={"source": SourceConfig(**given)})


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Config]:
    """Days of counts, and the same written out with the ids of the lines."""
    folder = tmp_path_factory.mktemp("weighted")
    counts, single = folder / "counts", folder / "single"
    configs = of_counts(counts), loaded(single, "single", ["id", "label", *COLUMNS[1:]])
    for number, day in enumerate(DAYS):
        for where in (counts, single):
            (where / "logs").mkdir(exist_ok=True)
        given = list(lines(number))
        (counts / f"logs/{day}.tsv").write_text("".join(f"{i}\t{n}\t{k}\t{rest}\n" for i, n, k, rest in given))
        written = [f"{i}.{m}\t{int(m < k)}\t{rest}\n" for i, n, k, rest in given for m in range(n)]
        (single / f"logs/{day}.tsv").write_text("".join(written))
    build(configs[0], DAYS, STEPS)
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
