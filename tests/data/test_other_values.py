"""The share of *other* by field: at the rate at which rows came, by their weights, over all parts."""

from pathlib import Path

import numpy as np
import pytest
from feature_map_oracle import FIRST, config_of, grow, write_counts

from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.other_values import other_shares
from pnn_gluon.data.shards import ShardWriter

Row = tuple[str, list[str], int, int]
"""Site, two tags, label and weight."""


@pytest.fixture
def known(tmp_path: Path) -> FeatureMap:
    config = config_of([{"name": "site"}, {"name": "tags", "kind": "multi", "max_values": 2}])
    counts = write_counts(tmp_path / "counts.parquet", dict.fromkeys([("site", "a"), ("tags", "x")], (1, 0)))
    found: FeatureMap = grow(None, config, FIRST, [counts], None, "")
    return found


def write(path: Path, known: FeatureMap, shares: dict[str, list[Row]], weighted: bool = False) -> Path:
    ids = {"": 0, "a": 5, "x": 6}
    with ShardWriter(path, day=str(FIRST), slots=3, rate=0.25, size=known.size, weighted=weighted) as shard:
        for share, rows in shares.items():
            places = [
                [ids.get(site, known.other_id(0)), *(ids.get(tag, known.other_id(1)) for tag in tags)]
                for site, tags, *_ in rows
            ]
            label, weight = (np.array([row[place] for row in rows]) for place in (2, 3))
            shard.append(share, np.array(places, np.int32), label, weight if weighted else None)
    return path


TRAIN: list[Row] = [("new", ["x", ""], 0, 3), ("a", ["x", "new"], 0, 1), ("a", ["x", ""], 1, 5)]
CALIBRATE: list[Row] = [("new", ["new", ""], 1, 2), ("a", ["x", ""], 0, 7)]


def test_a_negative_that_was_kept_stands_for_those_that_were_not(tmp_path: Path, known: FeatureMap) -> None:
    path = write(tmp_path / "day.h5", known, {"train": TRAIN, "calibrate": CALIBRATE})
    assert other_shares(known, [path]) == {"site": (4 + 1) / 11, "tags": (4 + 1) / 11}


def test_weights_count(tmp_path: Path, known: FeatureMap) -> None:
    path = write(tmp_path / "day.h5", known, {"train": TRAIN, "calibrate": CALIBRATE}, weighted=True)
    total = (3 + 1) * 4 + 5 + 2 + 7
    assert other_shares(known, [path]) == {"site": (3 * 4 + 2) / total, "tags": (1 * 4 + 2) / total}


def test_parts_count_together_and_a_day_without_rows_has_no_shares(tmp_path: Path, known: FeatureMap) -> None:
    whole = write(tmp_path / "whole.h5", known, {"train": TRAIN, "calibrate": CALIBRATE})
    parts = [
        write(tmp_path / "0.h5", known, {"train": TRAIN[:1]}),
        write(tmp_path / "1.h5", known, {"train": TRAIN[1:], "calibrate": CALIBRATE}),
    ]
    assert other_shares(known, parts) == other_shares(known, [whole])
    assert other_shares(known, [write(tmp_path / "none.h5", known, {})]) == {}
