import dataclasses
import hashlib
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pipelines import CSV, FIELDS, pipeline

from pnn_gluon.config import EngineConfig, SamplingConfig
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.data.sampling import SampleReport, sample_rows
from pnn_gluon.errors import InputError
from pnn_gluon.warehouse.duckdb_engine import connect

Rows = list[dict[str, Any]]


def h60(text: str) -> int:
    return int(hashlib.md5(text.encode()).hexdigest()[:15], 16)


def expected(ids: list[str], labels: list[int], salt: str, rate: float, train: float, calibrate: float) -> Rows:
    """The definition, in whole numbers and fractions."""
    kept = []
    for row_id, label in zip(ids, labels, strict=True):
        place = h60(f"{salt}|share|{row_id}") % 10**6
        share = "train" if place < round(train * 10**6) else "gate"
        if share == "gate" and place < round((train + calibrate) * 10**6):
            share = "calibrate"
        lucky = Fraction(h60(f"{salt}|negative|{row_id}"), 2**60) < Fraction(rate)
        if share != "train" or label == 1 or lucky:
            kept.append({"row_id": row_id, "label": label, "share": share, "rate": rate if share == "train" else 1.0})
    return kept


def sample(
    folder: Path, ids: list[str], labels: list[int], sampling: str, engine: str = "threads = 2"
) -> tuple[SampleReport, Rows]:
    config = pipeline(folder, CSV, FIELDS, f"[sampling]\n{sampling}\n[engine]\n{engine}")
    pq.write_table(pa.table({"row_id": ids, "label": pa.array(labels, pa.int8())}), folder / "rows.parquet")
    files = folder / "rows.parquet", folder / "shares.parquet"
    report = sample_rows(config.sampling, config.engine, *files)
    rows: Rows = SampledRows(*files).read().to_pylist()
    with connect(config.engine) as connection:
        relation = SampledRows(*files).relation()
        query = f"select row_id, label, share, rate from {relation} order by file_row_number"
        assert connection.sql(query).to_arrow_table().to_pylist() == rows
    counted = {share: sum(row["share"] == share for row in rows) for share in ("train", "calibrate", "gate")}
    assert dataclasses.asdict(report) == {
        "rows": len(rows),
        **counted,
        "positives": sum(labels),
        "dropped": len(ids) - len(rows),
    }
    return report, rows


@settings(max_examples=12)
@given(
    rows=st.lists(st.tuples(st.text(alphabet="abc|'é0", max_size=6), st.integers(0, 1)), min_size=1, max_size=200),
    salt=st.text(alphabet="ab'|é", max_size=5),
    rate=st.floats(1e-6, 1, exclude_min=True),
    train=st.sampled_from([0.8, 0.5, 1 / 3]),
)
@example(rows=[("a", 0), ("b", 1)], salt="", rate=1.0, train=0.8)
@example(rows=[(f"row {i}", 0) for i in range(300)], salt="s", rate=0.1, train=0.8)
def test_the_decision_is_that_of_the_formula(rows: list[tuple[str, int]], salt: str, rate: float, train: float) -> None:
    ids, labels = [row[0] for row in rows], [row[1] for row in rows]
    options = f'salt = "{salt}"\nnegative_rate = {rate!r}\ntrain = {train!r}\ncalibrate = 0.1\ngate = {0.9 - train!r}'
    with tempfile.TemporaryDirectory() as folder:
        _, found = sample(Path(folder), ids, labels, options)
    assert found == expected(ids, labels, salt, rate, train, 0.1)


def test_a_row_at_the_end_of_a_share_belongs_to_the_next(tmp_path: Path) -> None:
    ids = [f"row {i}" for i in range(100)]
    place = sorted((h60(f"s|share|{row_id}") % 10**6, row_id) for row_id in ids)
    (train, first), (both, second) = place[40], place[60]
    options = f'salt = "s"\ntrain = {train / 10**6}\ncalibrate = {(both - train) / 10**6}\ngate = {1 - both / 10**6}'
    share = {row["row_id"]: row["share"] for row in sample(tmp_path, ids, [1] * 100, options)[1]}
    assert (share[first], share[second]) == ("calibrate", "gate")
    assert [list(share.values()).count(name) for name in ("train", "calibrate", "gate")] == [40, 20, 40]


def shares(end: float) -> str:
    """Options by which rows are of the train share up to a place, and nearly all others of the calibrate share."""
    return f'salt = "s"\ntrain = {end}\ncalibrate = {1 - end - 1e-6}\ngate = 1e-6'


def test_a_negative_just_behind_the_train_share_is_not_dropped(tmp_path: Path) -> None:
    row_id = next(row_id for row_id in map(str, range(100)) if h60(f"s|negative|{row_id}") > 2**59)
    end = h60(f"s|share|{row_id}") % 10**6 / 10**6
    (row,) = sample(tmp_path, [row_id], [0], f"negative_rate = 0.5\n{shares(end)}")[1]
    assert (row["share"], row["rate"]) == ("calibrate", 1.0)


def test_a_negative_exactly_at_the_rate_is_dropped(tmp_path: Path) -> None:
    row_id = next(row_id for row_id in map(str, range(2000)) if h60(f"s|negative|{row_id}") % 2**7 == 0)
    rate = h60(f"s|negative|{row_id}") / 2**60  # exact: the hash has 53 significant bits at most
    assert sample(tmp_path, [row_id], [0], f"negative_rate = {rate!r}\n{shares(0.999998)}")[1] == []


IDS = [f"id {i}" for i in range(20_000)]
LABELS = [int(i % 10 == 0) for i in range(20_000)]


def test_the_sample_has_about_the_shares_and_the_rate_asked_for(tmp_path: Path) -> None:
    report, rows = sample(tmp_path, IDS, LABELS, "negative_rate = 0.25")
    # Standard deviations: share of 20,000 rows 0.0028 and 0.0021; rate among 14,400 train negatives 0.0036.
    train = report.train + report.dropped
    assert train / 20_000 == pytest.approx(0.8, abs=0.012)
    assert report.calibrate / 20_000 == pytest.approx(0.1, abs=0.009)
    negatives = sum(row["label"] == 0 for row in rows if row["share"] == "train")
    assert negatives / (negatives + report.dropped) == pytest.approx(0.25, abs=0.015)


def test_a_lower_rate_keeps_a_subset(tmp_path: Path) -> None:
    kept = [
        {row["row_id"] for row in sample(tmp_path, IDS, LABELS, f"negative_rate = {r}")[1]} for r in (0.1, 0.4, 1.0)
    ]
    assert kept[0] < kept[1] < kept[2]
    assert len(kept[2]) == len(IDS)


def test_order_is_kept_and_bytes_do_not_depend_on_threads(tmp_path: Path) -> None:
    ids = [f"{i}" for i in range(300_000)]  # several row groups
    labels = [int(i % 7 == 0) for i in range(300_000)]
    contents = []
    for threads in (1, 2):
        _, rows = sample(tmp_path, ids, labels, "negative_rate = 0.5", f"threads = {threads}")
        contents.append((tmp_path / "shares.parquet").read_bytes())
    numbers = [int(row["row_id"]) for row in rows]
    assert numbers == sorted(numbers)
    assert contents[0] == contents[1]


def test_the_file_has_a_share_and_a_rate_for_each_row_and_few_bits_of_them(tmp_path: Path) -> None:
    sample(tmp_path, IDS, LABELS, "negative_rate = 0.25")
    found = pq.read_table(tmp_path / "shares.parquet")
    assert found.schema.equals(pa.schema([("share", pa.string()), ("rate", pa.float64())]))
    assert found.num_rows == len(IDS)
    assert found["share"].null_count == found["rate"].null_count > 10_000
    assert (tmp_path / "shares.parquet").stat().st_size * 8 < 4 * len(IDS)


def test_rows_without_labels_or_without_a_file_are_refused(tmp_path: Path) -> None:
    paths = tmp_path / "rows.parquet", tmp_path / "shares.parquet"
    with pytest.raises(InputError, match=r"rows\.parquet: can't be read as rows"):
        sample_rows(SamplingConfig(), EngineConfig(), *paths)
    pq.write_table(pa.table({"row_id": ["a"]}), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="expected the columns row_id and label"):
        sample_rows(SamplingConfig(), EngineConfig(), *paths)
