"""A raw table through a bundle: the scores of `Bundle.score`, those of the network itself, and errors that help."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.commands.score_table import command
from pnn_gluon import __version__
from pnn_gluon.config import EngineConfig
from pnn_gluon.data import encoding
from pnn_gluon.data.encoding import EncodedBatch
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.evaluation.calibrators import PlattCalibration
from pnn_gluon.evaluation.segments import Calibration
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.models.registry import create_model, model_options
from pnn_gluon.ops import PRECISION, operators, plain_operators
from pnn_gluon.runtime import mx
from pnn_gluon.serving import bundle as serving
from pnn_gluon.serving.bundle import Bundle, BundleCard, write_bundle
from pnn_gluon.training.export import export_model, predict_logits
from pnn_gluon.warehouse.duckdb_engine import connect
from tests.data.feature_map_oracle import config_of, day_number, encoded_row, grow, write_counts

ROOT = Path(__file__).parents[2]
FIELDS = [
    {"name": "site"},
    {"name": "tags", "kind": "multi", "separator": "|", "max_values": 3},
    {"name": "price", "kind": "numeric", "bucketing": "edges", "edges": [-1.0, 0.0, 2.5]},
    {"name": "hour"},
]
EDGES, FIRST_BUCKET = {"price": [-1.0, 0.0, 2.5]}, "price"
OPTIONS = {"embedding_size": 4, "hidden": [16, 8], "dropout": 0.5}
ROWS = 5000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of an untrained network with large weights, and a table of raw rows."""
    folder = tmp_path_factory.mktemp("score_table")
    values = [("site", f"s{i}") for i in range(9)] + [("tags", f"t{i}") for i in range(7)]
    values += [("hour", f"{i}") for i in range(24)]
    counts = write_counts(folder / "counts.parquet", dict.fromkeys(values, (1, 0)))
    feature_map = grow(None, config_of(FIELDS), day_number(0), [counts], None, "")
    (folder / "bundle").mkdir()
    feature_map.save(folder / "bundle" / "map.h5")
    export_model(network(feature_map), folder / "bundle", feature_map.layout.slots)
    card = BundleCard(
        model={"name": "ipnn", "options": model_options("ipnn") | OPTIONS, "size": feature_map.size},
        model_day="2026-11-01",
        map_day="2026-11-01",
        map_sha256=sha256_of(folder / "bundle" / "map.h5"),
        parameters_sha256=sha256_of(folder / "bundle" / "model-0000.params"),
        rate=0.25,
        metrics={},
        config={},
        pnn_gluon=__version__,
    )
    write_bundle(folder / "bundle", card, Calibration(PlattCalibration(0.8, 0.1)))
    pq.write_table(table_of(rows()), folder / "rows.parquet", row_group_size=700)
    return folder


def network(feature_map: FeatureMap) -> Any:
    mx.random.seed(3)
    net = create_model("ipnn", feature_map.layout, feature_map.size, **OPTIONS)
    net.initialize(mx.init.Normal(0.5))
    net.hybridize(static_alloc=True)
    return net


def rows() -> list[dict[str, Any]]:
    random = np.random.default_rng(5)
    sites, tags = [None, *(f"s{i}" for i in range(11))], [f"t{i}" for i in range(9)]
    return [
        {
            "site": sites[random.integers(len(sites))],
            "tags": "|".join(random.choice(tags, random.integers(0, 5))),
            "price": None if random.random() < 0.1 else float(random.normal(0, 2)),
            "hour": str(random.integers(0, 26)),
        }
        for _ in range(ROWS)
    ]


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """The rows as they may come: an integer column for a categorical field, columns in another order."""
    table = pa.Table.from_pylist(rows).select(["hour", "price", "tags", "site"])
    table = table.set_column(0, "hour", table["hour"].cast(pa.int16()))
    return table.append_column("row_id", pa.array([f"r{i}" for i in range(len(rows))]))


def run(*words: object) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "jobs", "score-table", *words)
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table in five windows."""
    monkeypatch.setattr(encoding, "WINDOW_ROWS", 1000)


def scored(folder: Path, columns: tuple[str, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    bundle = Bundle.load(folder / "bundle")
    with connect(EngineConfig()) as connection:
        batches = list(bundle.score(connection, folder / "rows.parquet", columns))
    return np.concatenate([b.logit for b in batches]), np.concatenate([b.probability for b in batches])


def test_scores_are_those_of_the_bundle_and_the_bits_of_the_network(folder: Path, tmp_path: Path) -> None:
    done = run(folder / "bundle", folder / "rows.parquet", tmp_path / "out.parquet", "--columns", "row_id,site")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["rows"], said["made_by"]["operators"]) == (ROWS, operators())
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["row_id", "site", "logit", "probability"]
    assert table["row_id"].to_pylist() == [f"r{i}" for i in range(ROWS)]
    logit, probability = scored(folder)
    np.testing.assert_array_equal(table["logit"].to_numpy(), logit)
    np.testing.assert_array_equal(table["probability"].to_numpy(), probability)
    feature_map = Bundle.load(folder / "bundle").feature_map
    np.testing.assert_array_equal(logit, predict_logits(network(feature_map), ids_of(feature_map)))


def ids_of(feature_map: FeatureMap) -> np.ndarray:
    """Each row as a dictionary encodes it."""
    names, values = feature_map.layout.names, feature_map.values.to_pylist()
    first = 1 + 2 * len(names)
    known = {(names[feature_map.field_of[i]], values[i]): i for i in range(first, feature_map.size)}
    first_bucket = {FIRST_BUCKET: feature_map.first_bucket(names.index(FIRST_BUCKET))}
    return np.array([encoded_row(row, FIELDS, known, EDGES, first_bucket) for row in rows()], np.int32)


def test_windows_change_nothing(folder: Path, tmp_path: Path, small_windows: None) -> None:
    command(folder / "bundle", folder / "rows.parquet", tmp_path / "out.parquet", columns="row_id")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["row_id"].to_pylist() == [f"r{i}" for i in range(ROWS)]
    whole = pq.read_table(folder / "rows.parquet")
    for start in (0, 999, 1000, 3500):
        part = tmp_path / f"{start}.parquet"
        pq.write_table(whole.slice(start, 7), part)
        command(folder / "bundle", part, tmp_path / "part.parquet", overwrite=True)
        expected = table.slice(start, 7).select(["logit", "probability"])
        assert pq.read_table(tmp_path / "part.parquet").equals(expected)


def test_native_operators_serve_what_the_plain_graph_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRECISION, "f32")
    native, _ = scored(folder)
    with plain_operators():
        plain, _ = scored(folder)
        assert Bundle.load(folder / "bundle").last_bits["operators"] == "plain"
        bundle = Bundle.load(folder / "bundle")
        expected = predict_logits(network(bundle.feature_map), ids_of(bundle.feature_map))
    np.testing.assert_array_equal(plain, expected)
    np.testing.assert_allclose(native, plain, rtol=1e-5, atol=1e-5)


def test_precision_is_that_of_the_network(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logits = {}
    for name in ("f32", "bf16"):
        command(folder / "bundle", folder / "rows.parquet", tmp_path / name, precision=name)
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["made_by"]["precision"] == name
        logits[name] = pq.read_table(tmp_path / name)["logit"].to_numpy()
    assert not np.array_equal(logits["f32"], logits["bf16"])
    np.testing.assert_allclose(logits["bf16"], logits["f32"], rtol=0.05, atol=0.05)
    with pytest.raises(ConfigError, match="expected one of auto, f32, x3, bf16"):
        command(folder / "bundle", folder / "rows.parquet", tmp_path / "f16", precision="f16")


def test_an_empty_table_gives_an_empty_table(folder: Path, tmp_path: Path) -> None:
    pq.write_table(table_of(rows()[:1]).slice(0, 0), tmp_path / "empty.parquet")
    command(folder / "bundle", tmp_path / "empty.parquet", tmp_path / "out.parquet", columns="row_id")
    table = pq.read_table(tmp_path / "out.parquet")
    assert (table.num_rows, table.column_names) == (0, ["row_id", "logit", "probability"])


def test_few_batches_are_encoded_ahead_and_closing_ends_the_thread(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counting(*arguments: Any, **options: Any) -> Iterator[EncodedBatch]:
        for batch in encoding.encode_rows(*arguments, **options):
            made.append(len(batch.ids))
            yield batch

    monkeypatch.setattr(serving, "encode_rows", counting)
    monkeypatch.setattr(encoding, "WINDOW_ROWS", 100)
    with connect(EngineConfig()) as connection:
        batches = Bundle.load(folder / "bundle").score(connection, folder / "rows.parquet")
        next(batches)
        while len(made) < 3:
            time.sleep(0.001)
        time.sleep(0.05)
        assert made == [100, 100, 100]  # in use, waiting, finished but not yet handed over
        batches.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "encoder"]


def without(table: pa.Table, name: str) -> pa.Table:
    return table.drop_columns([name])


def with_column(table: pa.Table, name: str, value: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array([value] * table.num_rows))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: without(table, "tags"), "expected the columns tags, received only hour, price, site, row_id"),
        (lambda table: without(table, "row_id"), "expected the columns row_id"),
        (lambda table: with_column(table, "site", 0.5), "column site: expected text or integers .* received double"),
        (lambda table: with_column(table, "price", "5"), "column price: expected numbers .* received string"),
        (lambda table: with_column(table, "tags", ["a"]), "column tags: expected text with separators .* list"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder: Path, tmp_path: Path, change: Any, said: str) -> None:
    pq.write_table(change(table_of(rows()[:5])), tmp_path / "odd.parquet")
    with pytest.raises(InputError, match=said):
        command(folder / "bundle", tmp_path / "odd.parquet", tmp_path / "out.parquet", columns="row_id")
    assert not (tmp_path / "out.parquet").exists()


def test_what_is_not_parquet_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("site,tags\na,b\n")
    for name in ("rows.csv", "none.parquet"):
        with pytest.raises(InputError, match=f"{name}: expected a Parquet file"):
            command(folder / "bundle", tmp_path / name, tmp_path / "out.parquet")


def test_a_table_damaged_inside_is_refused_and_leaves_nothing(
    folder: Path, tmp_path: Path, small_windows: None
) -> None:
    content = bytearray((folder / "rows.parquet").read_bytes())
    start, end = len(content) // 2, len(content) * 3 // 4  # rows of later windows
    content[start:end] = b"\xff" * (end - start)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "rows.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"rows\.parquet"):
        command(folder / "bundle", tmp_path / "bad" / "rows.parquet", tmp_path / "out" / "scores.parquet")
    assert list((tmp_path / "out").iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "encoder"]


def test_an_output_that_exists_is_replaced_only_when_told(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    output.write_text("mine")
    done = run(folder / "bundle", folder / "rows.parquet", output)
    assert (done.returncode, output.read_text()) == (3, "mine")
    assert "--overwrite" in done.stderr
    command(folder / "bundle", folder / "rows.parquet", output, overwrite=True)
    assert pq.read_table(output).num_rows == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.parametrize("columns", ["logit", "row_id,row_id", "row_id,probability", ","])
def test_columns_that_cannot_be_carried_are_refused(folder: Path, tmp_path: Path, columns: str) -> None:
    with pytest.raises((ConfigError, InputError), match="expected"):
        command(folder / "bundle", folder / "rows.parquet", tmp_path / "out.parquet", columns=columns)


@pytest.mark.parametrize(("memory", "threads"), [("much", 1), ("1GB", 1000)])
def test_limits_out_of_range_are_refused(folder: Path, tmp_path: Path, memory: str, threads: int) -> None:
    with pytest.raises(ConfigError, match="expected a memory such as"):
        command(folder / "bundle", folder / "rows.parquet", tmp_path / "out.parquet", "", memory, threads)
