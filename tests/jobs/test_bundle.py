"""A bundle scores raw rows to the bits of the training code, and refuses to be something else."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pnn_gluon import __version__
from pnn_gluon.config import Config, EngineConfig
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.data.shards import open_shard
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.calibration import correct_sampling
from pnn_gluon.models.registry import create_model
from pnn_gluon.ops import operators, plain_operators
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.serving.bundle import Bundle, BundleCard
from pnn_gluon.training.export import exported_values, predict_logits
from pnn_gluon.training.parameters import put_values
from pnn_gluon.warehouse.duckdb_engine import connect
from tests.jobs.small_pipeline import DAYS, sample_of

LAST = DAYS[-1]


@pytest.fixture
def bundle_folder(five_days: Config, tmp_path: Path) -> Path:
    store = open_store(five_days)
    manifest = store.manifest("bundles", LAST)
    assert manifest is not None
    shutil.copytree(store.folder(manifest), tmp_path / "bundle")
    return tmp_path / "bundle"


def scored(
    folder: Path, table: Path | SampledRows, where: str = "share = 'calibrate'"
) -> tuple[np.ndarray, np.ndarray]:
    bundle = Bundle.load(folder)
    with connect(EngineConfig()) as connection:
        batches = list(bundle.score(connection, table, where=where))
    return np.concatenate([b.logit for b in batches]), np.concatenate([b.probability for b in batches])


def test_raw_rows_get_the_bits_of_the_gluon_model_on_encoded_rows(five_days: Config, bundle_folder: Path) -> None:
    bundle = Bundle.load(bundle_folder)
    net = create_model(
        five_days.model.name, bundle.feature_map.layout, bundle.feature_map.size, **five_days.model.options
    )
    net.initialize()
    put_values(net, exported_values(net, bundle_folder))
    net.hybridize(static_alloc=True)
    store = open_store(five_days)
    manifest = store.manifest("shards", LAST)
    assert manifest is not None
    with open_shard(store.folder(manifest) / f"{LAST}.h5") as shard:
        ids, _ = shard.read("calibrate")
    logit, probability = scored(bundle_folder, sample_of(five_days, LAST))
    np.testing.assert_array_equal(logit, predict_logits(net, ids))
    with plain_operators():
        net.hybridize(static_alloc=True)
        plain_logit, _ = scored(bundle_folder, sample_of(five_days, LAST))
        np.testing.assert_array_equal(plain_logit, predict_logits(net, ids))
    np.testing.assert_allclose(logit, plain_logit, rtol=1e-5, atol=1e-5)
    expected = bundle.calibrator.probability(correct_sampling(logit, five_days.sampling.negative_rate))
    np.testing.assert_array_equal(probability, expected)


def test_a_rows_score_does_not_depend_on_the_rows_beside_it(five_days: Config, bundle_folder: Path) -> None:
    table = sample_of(five_days, LAST).rows
    whole, _ = scored(bundle_folder, table, "true")
    few, _ = scored(bundle_folder, table, "file_row_number % 7 = 3")
    np.testing.assert_array_equal(few, whole[3::7])


OTHER_PROCESS = """
import sys
from pathlib import Path
from pnn_gluon.config import EngineConfig
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.warehouse.duckdb_engine import connect
with connect(EngineConfig()) as connection:
    table = SampledRows(*map(Path, sys.argv[2:]))
    for batch in Bundle.load(Path(sys.argv[1])).score(connection, table, where="share = 'calibrate'"):
        sys.stdout.buffer.write(batch.logit.tobytes())
"""


def test_another_process_gets_the_same_bits(five_days: Config, bundle_folder: Path) -> None:
    table = sample_of(five_days, LAST)
    command = [sys.executable, "-c", OTHER_PROCESS, str(bundle_folder), str(table.rows), str(table.shares)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout == scored(bundle_folder, table)[0].tobytes()


def test_the_card_says_what_the_bundle_is(five_days: Config, bundle_folder: Path) -> None:
    card = BundleCard.read(bundle_folder)
    assert (card.model["name"], card.model_day, card.map_day) == (five_days.model.name, str(LAST), str(LAST))
    assert card.rate == five_days.sampling.negative_rate
    assert card.config["model.name"] == five_days.model.name
    assert card.metrics["rows"] > 0


@pytest.mark.parametrize("name", ["map.h5", "model-0000.params"])
def test_a_bundle_with_another_file_inside_is_refused(bundle_folder: Path, name: str) -> None:
    content = (bundle_folder / name).read_bytes()
    (bundle_folder / name).unlink()
    (bundle_folder / name).write_bytes(content + b"x")
    with pytest.raises(InputError, match=f"{name}: not the file this bundle was made with"):
        Bundle.load(bundle_folder)


def test_a_bundle_of_another_format_or_none_is_refused(bundle_folder: Path, tmp_path: Path) -> None:
    card = dataclasses.asdict(BundleCard.read(bundle_folder))
    (bundle_folder / "bundle.json").unlink()
    (bundle_folder / "bundle.json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(InputError, match="bundle format 99, expected 1"):
        Bundle.load(bundle_folder)
    with pytest.raises(InputError, match="not a bundle"):
        Bundle.load(tmp_path)


def test_manifests_of_scores_say_what_their_last_bits_depend_on(five_days: Config, bundle_folder: Path) -> None:
    store, expected = open_store(five_days), Bundle.load(bundle_folder).last_bits
    assert expected["operators"] == operators()
    for table in ("models", "bundles", "gates", "evaluations", "scores"):
        manifest = store.manifest(table, LAST)
        assert manifest is not None
        assert {**expected, "pnn_gluon": __version__} == manifest.made_by, table
