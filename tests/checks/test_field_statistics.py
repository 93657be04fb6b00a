import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pnn_gluon.checks.field_statistics import Numbers, field_statistics
from pnn_gluon.checks.profile import profile_rows
from pnn_gluon.config import CategoricalField, NumericField

FIELDS = (CategoricalField(name="site"), NumericField(name="price", kind="numeric"))


def statistics(paths: list[Path]) -> dict[str, dict[str, float | int]]:
    numbers = {"price": Numbers()}
    missing = profile_rows(FIELDS, paths, 0, numbers=numbers).missing
    return field_statistics(FIELDS, numbers, missing, {"site": 9})


def told(folder: Path, *parts: list[float | None]) -> dict[str, float | int]:
    paths = []
    for number, values in enumerate(parts):
        paths.append(folder / f"{number}.parquet")
        columns = {"site": [None] * len(values), "price": pa.array(values, pa.float64())}
        pq.write_table(pa.table(columns), paths[-1], row_group_size=7)
    return statistics(paths)["price"]


def test_fields_without_numbers_tell_what_is_missing_and_how_many_values_there_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"site": ["a", None], "price": [1.0, 2.0]}), tmp_path / "rows.parquet")
    assert statistics([tmp_path / "rows.parquet"])["site"] == {"missing": 1, "distinct": 9}


def test_numbers_of_all_parts_are_those_of_numpy(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(3, 100, 50)
    found = told(tmp_path, values[:20].tolist(), values[20:].tolist())
    assert (found["least"], found["greatest"]) == (values.min(), values.max())
    assert found["mean"] == pytest.approx(math.fsum(values) / 50, rel=1e-12)


def test_missing_and_infinite_values_are_left_out(tmp_path: Path) -> None:
    found = told(tmp_path, [None, 2.0, math.nan, math.inf], [-math.inf, 4.0])
    assert found == {"missing": 2, "least": 2.0, "greatest": 4.0, "mean": 3.0}


def test_a_field_without_a_value_has_no_extremes(tmp_path: Path) -> None:
    assert told(tmp_path, [None, None], []) == {"missing": 2}


def test_the_mean_of_the_largest_numbers_is_one(tmp_path: Path) -> None:
    largest = np.finfo(np.float64).max
    assert told(tmp_path, [largest] * 5)["mean"] == largest
