"""`export-onnx`: a folder that scores raw rows as the bundle does, where neither MXNet nor this package is."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.commands.export_onnx import command
from jobs.commands.score_table import command as score_table
from pnn_gluon.errors import ConfigError, DamagedError
from pnn_gluon.evaluation.calibrators import PlattCalibration
from pnn_gluon.evaluation.segments import Calibration
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.portable import export
from pnn_gluon.portable.export import export_onnx
from pnn_gluon.portable.score import Scorer
from pnn_gluon.serving.bundle import Bundle, BundleCard, write_bundle
from tests.data.feature_map_oracle import config_of, day_number, grow, write_counts
from tests.explaining.small_bundles import make_bundle as small_bundle
from tests.portable.raw_bundles import FIELDS, make_bundle, raw_rows, write_rows

FILES = ["fields.parquet", "manifest.json", "model.onnx", "score.py", "values.parquet"]
ALONE = """
import runpy, sys
sys.modules["mxnet"] = sys.modules["pnn_gluon"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not {"duckdb", "h5py", "onnx"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, its export, and raw rows."""
    folder = tmp_path_factory.mktemp("portable")
    make_bundle(folder / "bundle", embedding_size=4, hidden=(64, 32))
    export_onnx(folder / "bundle", folder / "onnx")
    write_rows(folder / "rows.parquet", raw_rows())
    return folder


def read_alone(folder: Path, rows: Path, output: Path, *columns: str) -> pa.Table:
    """What the exported reader makes of rows, in a process that can import neither MXNet nor this package."""
    words = [sys.executable, "-I", "-c", ALONE, str(folder / "score.py"), str(rows), str(output), *columns]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=output.parent)
    assert done.returncode == 0, done.stderr
    return pq.read_table(output)


def product(folder: Path, rows: Path, output: Path) -> pa.Table:
    score_table(folder / "bundle", rows, output, columns="row_id", precision="f32")
    return pq.read_table(output)


def check_equal(found: pa.Table, expected: pa.Table) -> None:
    assert found.column_names == expected.column_names
    assert found["row_id"].equals(expected["row_id"])
    for name in ("logit", "probability"):
        np.testing.assert_allclose(found[name].to_numpy(), expected[name].to_numpy(), rtol=1e-5, atol=1e-5)


def test_the_reader_scores_raw_rows_as_score_table_does(folder: Path, tmp_path: Path) -> None:
    found = read_alone(folder / "onnx", folder / "rows.parquet", tmp_path / "found.parquet", "row_id")
    expected = product(folder, folder / "rows.parquet", tmp_path / "expected.parquet")
    check_equal(found, expected)
    assert expected["probability"].to_numpy().std() > 0.05


def test_the_reader_has_the_ids_of_the_product(folder: Path) -> None:
    from pnn_gluon.config import EngineConfig
    from pnn_gluon.warehouse.duckdb_engine import connect

    scorer, rows = Scorer(folder / "onnx"), raw_rows()
    with connect(EngineConfig()) as connection:
        batches = Bundle.load(folder / "bundle").score(connection, folder / "rows.parquet")
        expected = np.concatenate([batch.ids for batch in batches])
    found = [scorer.ids_of(rows[field["name"]].combine_chunks(), field) for field in scorer.fields]
    np.testing.assert_array_equal(np.hstack(found), expected)


@pytest.mark.parametrize("count", [0, 1])
def test_few_rows_and_none_are_scored(folder: Path, tmp_path: Path, count: int) -> None:
    rows = write_rows(tmp_path / "rows.parquet", raw_rows().slice(3, count))
    found = read_alone(folder / "onnx", rows, tmp_path / "found.parquet", "row_id")
    assert found.num_rows == count
    check_equal(found, product(folder, rows, tmp_path / "expected.parquet"))


def test_columns_of_nothing_but_null_and_of_dictionaries_are_read(folder: Path, tmp_path: Path) -> None:
    rows = raw_rows()
    for name, column in {
        "site": rows["site"].dictionary_encode(),
        "tags": pa.nulls(rows.num_rows),
        "price": pa.nulls(rows.num_rows),
    }.items():
        rows = rows.set_column(rows.column_names.index(name), name, column)
    path = write_rows(tmp_path / "rows.parquet", rows)
    found = read_alone(folder / "onnx", path, tmp_path / "found.parquet", "row_id")
    check_equal(found, product(folder, path, tmp_path / "expected.parquet"))


def test_a_numeric_field_without_buckets_yet_is_read(tmp_path: Path) -> None:
    fields = [*FIELDS, {"name": "later", "kind": "numeric", "bucketing": "quantile", "buckets": 4}]
    counts = write_counts(tmp_path / "counts.parquet", {("site", "s1"): (1, 0)})
    rows = write_rows(tmp_path / "none.parquet", pa.table({"later": pa.array([], pa.float64())}))
    feature_map = grow(None, config_of(fields), day_number(0), [counts], rows, "")
    (told,) = export._fields(feature_map).slice(len(FIELDS)).to_pylist()
    assert (told["name"], told["bucket"], told["edges"]) == ("later", None, [])


def test_the_manifest_names_every_file_and_what_it_was_made_from(folder: Path) -> None:
    manifest = json.loads((folder / "onnx" / "manifest.json").read_text())
    assert sorted(path.name for path in (folder / "onnx").iterdir()) == FILES
    assert manifest["files"] == {name: sha256_of(folder / "onnx" / name) for name in FILES if name != "manifest.json"}
    assert manifest["bundle_sha256"] == sha256_of(folder / "bundle" / "bundle.json")
    assert (manifest["model"], manifest["rate"], manifest["opset"]) == ("ipnn", 0.25, 21)
    assert manifest["ids"] == {"slots": 9, "below": BundleCard.read(folder / "bundle").model["size"]}


def test_the_reader_has_sixty_lines() -> None:
    assert len(Path(export.__file__).with_name("score.py").read_text().splitlines()) <= 60


def test_equal_bundles_give_equal_bytes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(folder / "bundle", tmp_path / "again")
    assert json.loads(capsys.readouterr().out)["folder"] == str(tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / "onnx" / name).read_bytes(), name
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_model_too_large_for_one_file_keeps_its_numbers_beside_it(folder: Path, tmp_path: Path) -> None:
    export_onnx(folder / "bundle", tmp_path / "large", largest=10_000)
    beside = tmp_path / "large" / "model.onnx.data"
    assert beside.stat().st_size > 17_000
    assert (tmp_path / "large" / "model.onnx").stat().st_size < (folder / "onnx" / "model.onnx").stat().st_size
    manifest = json.loads((tmp_path / "large" / "manifest.json").read_text())
    assert manifest["files"]["model.onnx.data"] == sha256_of(beside)
    rows = raw_rows()
    for large, small in zip(Scorer(tmp_path / "large")(rows), Scorer(folder / "onnx")(rows), strict=True):
        np.testing.assert_array_equal(large, small)


def test_the_model_says_its_versions_and_names(folder: Path) -> None:
    model = onnx.load(folder / "onnx" / "model.onnx")
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 21)]
    assert model.ir_version == 10
    assert [each.name for each in model.graph.input] == ["ids"]
    assert [each.name for each in model.graph.output] == ["logit", "probability"]
    assert {each.key: each.value for each in model.metadata_props}["model_day"] == "2026-11-01"


@pytest.mark.parametrize("model", ["din", "wdl", "ccpm"])
def test_other_models_are_read_alike(model: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "din": {"candidate": "site", "history": "tags"},
        "wdl": {"crosses": (("site", "hour"),), "cross_buckets": 50},
        "ccpm": {"filters": (4, 3)},
    }[model]
    make_bundle(tmp_path / "bundle", model, **options)
    export_onnx(tmp_path / "bundle", tmp_path / "onnx")
    rows = write_rows(tmp_path / "rows.parquet", raw_rows())
    logit, probability = Scorer(tmp_path / "onnx")(raw_rows())
    expected = product(tmp_path, rows, tmp_path / "expected.parquet")
    np.testing.assert_allclose(logit, expected["logit"].to_numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(probability, expected["probability"].to_numpy(), rtol=1e-5, atol=1e-5)


def test_expired_values_are_other(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", "lr")
    loaded = Bundle.load(bundle)
    last_day = np.where(np.arange(loaded.feature_map.size) % 2, loaded.feature_map.first_day, 0).astype(np.int32)
    aging = dataclasses.replace(loaded.feature_map, last_day=last_day, expire_days=5)
    aging.save(bundle / "map.h5")
    card = dataclasses.replace(loaded.card, map_sha256=sha256_of(bundle / "map.h5"))
    write_bundle(bundle, card, Calibration(PlattCalibration(1.0, 0.0)))
    export_onnx(bundle, tmp_path / "onnx")
    rows = write_rows(tmp_path / "rows.parquet", raw_rows())
    scorer = Scorer(tmp_path / "onnx")
    assert len(scorer.known["site"]) < loaded.feature_map.dictionary(0).num_rows
    expected = product(tmp_path, rows, tmp_path / "expected.parquet")
    np.testing.assert_allclose(scorer(raw_rows())[0], expected["logit"].to_numpy(), rtol=1e-5, atol=1e-5)


def test_a_folder_that_exists_is_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        export_onnx(folder / "bundle", tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_trees_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    small_bundle(tmp_path / "bundle", "gbdt")
    with pytest.raises(ConfigError, match="model 'gbdt' is no network and has no ONNX form"):
        export_onnx(tmp_path / "bundle", tmp_path / "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_damaged_bundle_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "bundle", tmp_path / "bundle")
    with (tmp_path / "bundle" / "model-symbol.json").open("a") as file:
        file.write(" ")
    with pytest.raises(DamagedError, match=r"model-symbol\.json"):
        export_onnx(tmp_path / "bundle", tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
