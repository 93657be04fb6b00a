import datetime
import hashlib
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines import pipeline
from weighted import Row, weighted_lines, written_out

from pnn_gluon.config import EngineConfig, NumericField, SamplingConfig
from pnn_gluon.data.bucketing import fit_quantiles
from pnn_gluon.data.counting import count_values
from pnn_gluon.data.ingest import Targets, ingest_logs
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.data.sampling import sample_rows
from pnn_gluon.errors import InputError
from pnn_gluon.warehouse.duckdb_engine import connect

ENGINE = EngineConfig(threads=2)
TRAIN = SamplingConfig(salt="s", train=0.999998, calibrate=1e-6, gate=1e-6)


def h60(text: str) -> int:
    return int(hashlib.md5(text.encode()).hexdigest()[:15], 16)


def ingested(folder: Path, lines: list[str]) -> Path:
    path = folder / "logs/2026-11-02/a.csv"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    report = ingest_logs(weighted_lines(folder), ENGINE, datetime.date(2026, 11, 2), targets)
    assert report.rejects == 0
    return targets.rows


def day(folder: Path) -> Path:
    lines = [
        f"{i},{1 + i % 7},{i % 3 % (2 + i % 7)},2026-11-02 {i % 24:02}:00:00,s{i % 11},1,a|b{i % 5}|a"
        for i in range(300)
    ]
    return ingested(folder, lines)


def written(folder: Path, rows: Path) -> Path:
    """The same day, an impression a row."""
    schema = pq.read_schema(rows)
    path = folder / "written_out.parquet"
    out = pa.Table.from_pylist(
        list(written_out(pq.read_table(rows).to_pylist())), schema.remove(schema.get_field_index("weight"))
    )
    pq.write_table(out, path)
    return path


def test_counts_are_the_bytes_of_those_of_the_day_written_out(tmp_path: Path) -> None:
    rows, fields = day(tmp_path), pipeline(tmp_path).fields
    weighted, plain = tmp_path / "weighted.parquet", tmp_path / "plain.parquet"
    report = count_values(fields, ENGINE, rows, weighted, weighted=True)
    assert report == count_values(fields, ENGINE, written(tmp_path, rows), plain)
    assert weighted.read_bytes() == plain.read_bytes()
    found = pq.read_table(weighted).to_pylist()
    sites = [each for each in found if each["field"] == "site"]
    assert sum(each["impressions"] for each in sites) > 1000 > sum(each["clicks"] for each in sites) > 200


def test_counts_of_many_impressions_are_whole_numbers_of_64_bits(tmp_path: Path) -> None:
    rows = ingested(tmp_path, [f"{i},4294967295,4294967295,2026-11-02 01:00:00,s,1,a" for i in range(3)])
    count_values(pipeline(tmp_path).fields, ENGINE, rows, tmp_path / "counts.parquet", weighted=True)
    table = pq.read_table(tmp_path / "counts.parquet")
    assert set(table["impressions"].to_pylist()) == set(table["clicks"].to_pylist()) == {3 * 4294967295}
    assert table.schema.types[2:] == [pa.int64(), pa.int64()]


def sampled(folder: Path, rows: list[Row], sampling: SamplingConfig) -> list[Row]:
    schema = pa.schema({"row_id": pa.string(), "label": pa.int8(), "weight": pa.int64()})
    files = folder / "rows.parquet", folder / "shares.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema), files[0])
    report = sample_rows(sampling, ENGINE, *files, weighted=True)
    found: list[Row] = SampledRows(*files).read().to_pylist()
    with connect(ENGINE) as connection:
        query = (
            f"select row_id, label, weight, share, rate from {SampledRows(*files).relation()} order by file_row_number"
        )
        assert connection.sql(query).to_arrow_table().to_pylist() == found
    assert (report.rows, report.dropped) == (len(found), len(rows) - len(found))
    return found


@settings(max_examples=12)
@given(
    rows=st.lists(
        st.tuples(st.text("abc|'é0", max_size=6), st.integers(0, 1), st.integers(1, 50)), min_size=1, max_size=99
    ),
    rate=st.floats(1e-3, 1),
)
def test_a_negative_keeps_the_impressions_that_the_formula_says(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, int]], rate: float
) -> None:
    given = [{"row_id": row_id, "label": label, "weight": weight} for row_id, label, weight in rows]
    sampling = SamplingConfig(salt="s", negative_rate=rate, train=0.5, calibrate=0.25, gate=0.25)
    expected = []
    for row in given:
        place, weight = h60(f"s|share|{row['row_id']}") % 10**6, row["weight"]
        share = "train" if place < 500_000 else "calibrate" if place < 750_000 else "gate"
        if share == "train" and row["label"] == 0:
            kept = Fraction(weight * rate)
            chance = Fraction(h60(f"s|negative|{row['row_id']}"), 2**60)
            weight = math.floor(kept) + (chance < kept - math.floor(kept))
        if weight:
            expected.append(row | {"weight": weight, "share": share, "rate": rate if share == "train" else 1.0})
    assert sampled(tmp_path_factory.mktemp("sample"), given, sampling) == expected


@pytest.mark.parametrize("rate", [0.07, 0.5, 1.0])
def test_rows_of_one_impression_are_sampled_as_rows_without_weights(tmp_path: Path, rate: float) -> None:
    rows = [{"row_id": f"id {i}", "label": int(i % 9 == 0), "weight": 1} for i in range(3000)]
    sampling = SamplingConfig(negative_rate=rate)
    weighted = sampled(tmp_path, rows, sampling)
    sample_rows(sampling, ENGINE, tmp_path / "rows.parquet", tmp_path / "plain.parquet")
    assert SampledRows(tmp_path / "rows.parquet", tmp_path / "plain.parquet").read().to_pylist() == weighted


@pytest.mark.parametrize(("rate", "weight"), [(0.3, 1), (0.3, 2), (0.25, 3), (0.01, 7), (0.9, 5)])
def test_impressions_are_kept_at_the_rate_in_the_mean(tmp_path: Path, rate: float, weight: int) -> None:
    rows = [{"row_id": f"id {i}", "label": 0, "weight": weight} for i in range(20_000)]
    kept = [row["weight"] for row in sampled(tmp_path, rows, TRAIN.model_copy(update={"negative_rate": rate}))]
    exact, whole = 20_000 * weight * rate, math.floor(weight * rate)
    part = weight * rate - whole
    assert set(kept) <= {whole, whole + 1}
    assert abs(sum(kept) - exact) < 4.5 * math.sqrt(20_000 * part * (1 - part)) + 1e-6


def test_both_rows_of_a_line_are_of_one_share(tmp_path: Path) -> None:
    rows = day(tmp_path)
    files = rows, tmp_path / "shares.parquet"
    sample_rows(SamplingConfig(), ENGINE, *files, weighted=True)
    share: dict[str, set[str]] = {}
    for row in SampledRows(*files).read().to_pylist():
        share.setdefault(row["row_id"], set()).add(row["share"])
    assert {len(shares) for shares in share.values()} == {1}
    assert set.union(*share.values()) == {"train", "calibrate", "gate"}


def test_rows_without_the_weights_that_are_expected_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"row_id": ["a"], "label": pa.array([1], pa.int8())}), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="expected the columns row_id and label and weight; ingest"):
        sample_rows(SamplingConfig(), ENGINE, tmp_path / "rows.parquet", tmp_path / "shares.parquet", weighted=True)


def test_quantile_edges_are_those_of_the_rows_written_out(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    values, weight = random.normal(size=500).round(2), random.integers(1, 40, 500)
    rows, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"x": values, "weight": weight}), rows)
    pq.write_table(pa.table({"x": np.repeat(values, weight)}), out)
    fields = [NumericField(name="x", kind="numeric", buckets=13)]
    with connect(ENGINE) as connection:
        found = fit_quantiles(connection, fields, rows, weighted=True)
        assert found == fit_quantiles(connection, fields, out)
        assert found != fit_quantiles(connection, fields, rows)
