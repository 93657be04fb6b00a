from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pnn_gluon.checks.field_statistics import Numbers, field_statistics
from pnn_gluon.checks.profile import DayProfile, profile_rows
from pnn_gluon.config import CategoricalField, NumericField

FIELDS = [CategoricalField(name="site"), NumericField(name="price", kind="numeric")]


@pytest.fixture
def days(tmp_path: Path) -> tuple[Path, Path]:
    """Rows with weights, and the same written out."""
    random = np.random.default_rng(2)
    weight = random.integers(1, 2000, 400)
    price = pa.array(random.normal(size=400), mask=random.random(400) < 0.2)
    site = pa.array(random.choice(["a", "b"], 400), mask=random.random(400) < 0.3)
    label = pa.array(random.integers(0, 2, 400), pa.int8())
    rows = pa.table({"label": label, "weight": weight, "site": site, "price": price})
    paths = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    pq.write_table(rows, paths[0])
    pq.write_table(rows.take(np.repeat(np.arange(400), weight)).drop_columns("weight"), paths[1])
    return paths


def test_a_profile_is_that_of_the_rows_written_out(days: tuple[Path, Path]) -> None:
    found = profile_rows(FIELDS, days[0], 7, weighted=True)
    assert found == profile_rows(FIELDS, days[1], 7)
    assert found.rows > 100 * 400 / 2 > 400
    assert min(found.missing.values()) > 400


def statistics(path: Path, weighted: bool) -> dict[str, dict[str, float | int]]:
    numbers = {"price": Numbers()}
    missing = profile_rows(FIELDS, path, 7, weighted, numbers).missing
    return field_statistics(FIELDS, numbers, missing, {"site": 2})


def test_statistics_of_fields_are_those_of_the_rows_written_out(days: tuple[Path, Path]) -> None:
    found, expected = statistics(days[0], weighted=True), statistics(days[1], weighted=False)
    assert found.keys() == expected.keys()
    assert found["site"] == expected["site"]
    assert found["price"] == pytest.approx(expected["price"], rel=1e-9)
    assert found["price"]["mean"] != statistics(days[0], weighted=False)["price"]["mean"]


def test_shares_of_rejects_are_of_lines(tmp_path: Path) -> None:
    one, other = DayProfile(rows=900, rejects=5, lines=90), DayProfile(rows=100, rejects=1, lines=10)
    assert (one.read, (one + other).read, DayProfile(rows=90, rejects=5).read) == (95, 106, 95)
    one.save(tmp_path / "profile.json")
    assert DayProfile.load(tmp_path / "profile.json") == one
    DayProfile(rows=90).save(tmp_path / "plain.json")
    assert "lines" not in (tmp_path / "plain.json").read_text()
