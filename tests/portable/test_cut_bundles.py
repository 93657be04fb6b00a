"""A bundle whose tables are cut into several tensors scores raw rows as one of whole tables, by every engine."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.commands.score_table import command
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.models.registry import create_model
from pnn_gluon.serving.bundle import read_bundle, write_bundle
from pnn_gluon.training.export import PARAMETERS_FILE, export_model, restore_exported
from pnn_gluon.training.parameters import read_values
from tests.portable.raw_bundles import make_bundle, raw_rows, write_rows
from tests.training.cut_cases import LIMIT, tensors_of

OPTIONS = {"embedding_size": 4, "hidden": (16, 8)}


def cut_bundle(source: Path, folder: Path, name: str) -> Path:
    """The bundle of the same values; under a lower limit."""
    card, feature_map, calibration = read_bundle(source)
    shutil.copytree(source, folder)
    net = restore_exported(create_model(name, feature_map.layout, feature_map.size, **OPTIONS), source)
    export_model(net, folder, feature_map.layout.slots)
    assert sum("embedding_weight_" in key for key in read_values(folder / PARAMETERS_FILE)) > 5
    card = dataclasses.replace(card, parameters_sha256=sha256_of(folder / PARAMETERS_FILE))
    write_bundle(folder, card, calibration)
    return folder


def scores(bundle: Path, folder: Path, engine: str) -> np.ndarray:
    rows, output = write_rows(folder / "rows.parquet", raw_rows()), folder / "scores.parquet"
    command(bundle, rows, output, overwrite=True, engine=engine)
    found: np.ndarray = pq.read_table(output)["logit"].to_numpy()
    return found


@pytest.mark.parametrize("name", ["deepfm", "ipnn"])
def test_every_engine_scores_cut_tables_as_whole_ones(tmp_path: Path, name: str) -> None:
    whole = make_bundle(tmp_path / "whole", name, **OPTIONS)
    expected = {engine: scores(whole, tmp_path, engine) for engine in ("native", "plain", "onnxruntime")}
    with tensors_of(LIMIT):
        cut = cut_bundle(whole, tmp_path / "cut", name)
        for engine, logits in expected.items():
            np.testing.assert_array_equal(scores(cut, tmp_path, engine), logits, err_msg=engine)
    for engine, logits in expected.items():  # the limit of the machine that scores does not matter
        np.testing.assert_array_equal(scores(cut, tmp_path, engine), logits, err_msg=engine)
