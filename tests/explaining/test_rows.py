"""The rows of an explanation: at most so many, the same ones however they come."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.identity import text_identities
from pnn_gluon.explaining.rows import Rows, read_rows
from tests.explaining.small_bundles import make_bundle, raw_rows, write_rows

ENGINE = EngineConfig()


@pytest.fixture(scope="module")
def feature_map(tmp_path_factory: pytest.TempPathFactory) -> FeatureMap:
    return FeatureMap.load(make_bundle(tmp_path_factory.mktemp("rows") / "bundle", "lr") / "map.h5")


def same(one: Rows, other: Rows) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("ids", "label", "row", "unit", "available")
    )


def test_the_same_rows_are_chosen_in_any_order_from_any_files(feature_map: FeatureMap, tmp_path: Path) -> None:
    rows = raw_rows(500)
    whole = write_rows(tmp_path / "whole.parquet", rows)
    order = np.random.default_rng(1).permutation(500)
    parts = [write_rows(tmp_path / f"{i}.parquet", rows.take(order[i::3])) for i in range(3)]
    one = read_rows(feature_map, ENGINE, [whole], 100)
    assert (len(one.ids), one.available) == (100, 500)
    assert same(one, read_rows(feature_map, ENGINE, parts, 100))


def test_fewer_rows_are_the_first_of_more_and_not_the_first_of_the_file(
    feature_map: FeatureMap, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "rows.parquet", raw_rows(500))
    many, few = (read_rows(feature_map, ENGINE, [path], limit) for limit in (1000, 50))
    assert len(many.ids) == many.available == 500
    np.testing.assert_array_equal(few.row, many.row[:50])
    assert len(set(few.row) & set(text_identities(f"r5-{i}" for i in range(50)))) < 15


def test_rows_carry_their_labels_and_ids(feature_map: FeatureMap, tmp_path: Path) -> None:
    table = raw_rows(300)
    found = read_rows(feature_map, ENGINE, [write_rows(tmp_path / "rows.parquet", table)], 300)
    place = {row: at for at, row in enumerate(text_identities(table["row_id"].to_pylist()))}
    labels = table["label"].to_numpy()[[place[row] for row in found.row]]
    np.testing.assert_array_equal(found.label, labels)
    sites = [table["site"][place[row]].as_py() for row in found.row]
    assert [feature_map.values[int(i)].as_py() for i in found.ids[:, 0]] == sites
    np.testing.assert_array_equal(found.unit, found.row)


def test_clusters_are_what_rows_are_drawn_by_and_a_condition_leaves_rows_out(
    feature_map: FeatureMap, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "rows.parquet", raw_rows(300))
    found = read_rows(feature_map, ENGINE, [path], 300, where="site <> 's0'", cluster="site")
    assert len(set(found.unit)) == 5
    assert found.available < 300


def test_rows_without_an_id_are_known_by_their_place(feature_map: FeatureMap, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.parquet", raw_rows(300).drop_columns("row_id"))
    found = read_rows(feature_map, ENGINE, [path], 300, row_id=None)
    assert set(found.row) == set(text_identities(str(place) for place in range(300)))


def test_labels_must_be_0_or_1_and_columns_there(feature_map: FeatureMap, tmp_path: Path) -> None:
    rows = raw_rows(20)
    odd = rows.set_column(1, "label", [[3] * 20])
    with pytest.raises(InputError, match="expected 0 or 1, received 3"):
        read_rows(feature_map, ENGINE, [write_rows(tmp_path / "odd.parquet", odd)], 20)
    with pytest.raises(InputError, match="site"):
        read_rows(feature_map, ENGINE, [write_rows(tmp_path / "no.parquet", rows.drop_columns("site"))], 20)


def weighted_rows(lines: int) -> pa.Table:
    """Lines of counts: two rows of an id, its clicks and its other impressions, in any order."""
    once = raw_rows(lines)
    both = pa.concat_tables([once.set_column(1, "label", [pa.array([label] * lines, pa.int8())]) for label in (0, 1)])
    order, weight = np.random.default_rng(2).permutation(2 * lines), np.arange(2 * lines) % 9 + 1
    return both.append_column("weight", pa.array(weight)).take(order)


def test_the_rows_of_a_line_are_chosen_together_however_they_come(feature_map: FeatureMap, tmp_path: Path) -> None:
    rows = weighted_rows(300)
    whole = write_rows(tmp_path / "whole.parquet", rows)
    parts = [write_rows(tmp_path / f"{i}.parquet", rows.take(np.arange(600)[i::3])) for i in range(3)]
    one = read_rows(feature_map, ENGINE, [whole], 101, weight="weight")
    other = read_rows(feature_map, ENGINE, parts, 101, weight="weight")
    assert same(one, other)
    np.testing.assert_array_equal(one.weights, other.weights)
    assert (len(one.ids), len(set(one.row)), one.available) == (202, 101, 600)
    assert one.label.tolist() == [0, 1] * 101
    weight = dict(
        zip(
            zip(rows["row_id"].to_pylist(), rows["label"].to_pylist(), strict=True),
            rows["weight"].to_pylist(),
            strict=True,
        )
    )
    names = dict(zip(text_identities(rows["row_id"].to_pylist()), rows["row_id"].to_pylist(), strict=True))
    told = [weight[names[row], label] for row, label in zip(one.row, one.label, strict=True)]
    assert one.weights.tolist() == told


def test_weights_must_be_above_0(feature_map: FeatureMap, tmp_path: Path) -> None:
    rows = raw_rows(20).append_column("n", pa.array([1] * 19 + [0]))
    with pytest.raises(InputError, match="column 'n': expected numbers above 0"):
        read_rows(feature_map, ENGINE, [write_rows(tmp_path / "rows.parquet", rows)], 20, weight="n")
