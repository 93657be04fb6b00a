"""`score-table --engine`: the same scores from each, and which one it was."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest

from jobs.commands.score_table import command
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import plain_operators
from pnn_gluon.portable import engines
from pnn_gluon.portable.engines import engine_named, fastest_bundle
from pnn_gluon.serving.bundle import Bundle
from tests.explaining.small_bundles import make_bundle as small_bundle
from tests.portable.raw_bundles import make_bundle, raw_rows, write_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    make_bundle(folder / "bundle", embedding_size=4, hidden=(16, 8))
    write_rows(folder / "rows.parquet", raw_rows())
    return folder


def scored(folder: Path, output: Path, capsys: Any, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
    command(folder / "bundle", folder / "rows.parquet", output, overwrite=True, **options)
    return pq.read_table(output)["logit"].to_numpy(), json.loads(capsys.readouterr().out.splitlines()[-1])


def test_every_engine_has_the_same_scores_and_says_what_made_them(folder: Path, tmp_path: Path, capsys: Any) -> None:
    native, said = scored(folder, tmp_path / "native.parquet", capsys, precision="f32")
    assert said["engine"] == "native"
    plain, said = scored(folder, tmp_path / "plain.parquet", capsys, engine="plain")
    assert (said["engine"], said["made_by"]["operators"]) == ("plain", "plain")
    by_onnx, said = scored(folder, tmp_path / "onnx.parquet", capsys, engine="onnxruntime")
    assert (said["engine"], said["made_by"]["onnxruntime"]) == ("onnxruntime", onnxruntime.__version__)
    np.testing.assert_allclose(plain, native, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(by_onnx, native, rtol=1e-5, atol=1e-5)
    assert not np.array_equal(by_onnx, plain)
    with plain_operators():
        np.testing.assert_array_equal(plain, scored(folder, tmp_path / "forced.parquet", capsys)[0])


@pytest.mark.parametrize("engine", ["plain", "onnxruntime"])
def test_a_row_has_the_same_bits_in_any_company(folder: Path, engine: str) -> None:
    bundle = Bundle.load(folder / "bundle", engine_named(engine))
    ids = np.random.default_rng(3).integers(1, bundle.feature_map.size, (5000, 9)).astype(np.int32)
    whole = bundle.logits(ids)
    for rows in (slice(0, 1), slice(4090, 4100), slice(0, 0), slice(17, 4999)):
        np.testing.assert_array_equal(bundle.logits(ids[rows]), whole[rows])


def test_the_fastest_is_measured_and_said(
    folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(
        [0.001, 9.0, 2.0, 1.0, 2.0, 1.5, 2.0, 1.5]
    )  # in turns native and onnxruntime; the first do not count
    monkeypatch.setattr(engines, "_seconds", lambda logits, ids: (logits(ids), next(seconds))[1])
    found, said = scored(folder, tmp_path / "out.parquet", capsys, engine="fastest")
    assert said["engine"] == "onnxruntime"
    assert said["engine_rows_per_second"] == {"native": 2048, "onnxruntime": 4096}
    assert "onnxruntime" in said["made_by"]
    by_onnx, _ = scored(folder, tmp_path / "onnx.parquet", capsys, engine="onnxruntime")
    np.testing.assert_array_equal(found, by_onnx)
    seconds = iter([9.0, 0.001, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
    assert fastest_bundle(folder / "bundle")[0] == "native"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine": "torch"}, "engine 'torch': expected one of native, plain, onnxruntime, fastest"),
        ({"engine": "onnxruntime", "precision": "bf16"}, "engine onnxruntime knows float32 only"),
        ({"engine": "plain", "precision": "x3"}, "engine plain knows float32 only"),
    ],
)
def test_what_cannot_be_had_is_refused(folder: Path, tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        command(folder / "bundle", folder / "rows.parquet", tmp_path / "out.parquet", **options)


@pytest.mark.parametrize("engine", ["plain", "onnxruntime", "fastest"])
def test_trees_have_one_engine(tmp_path: Path, engine: str) -> None:
    bundle = small_bundle(tmp_path / "bundle", "gbdt")
    with pytest.raises(ConfigError, match="model 'gbdt' is no network"):
        command(bundle, _rows(tmp_path), tmp_path / "out.parquet", engine=engine)


def _rows(folder: Path) -> Path:
    from tests.explaining.small_bundles import raw_rows as rows
    from tests.explaining.small_bundles import write_rows as write

    return write(folder / "rows.parquet", rows(5))
