"""A model of the user's, by its import path: the example, and what is refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.running import run_step
from pnn_gluon.blocks.embedding import LinearTerm
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.shards import open_shard
from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.config import load_fit_config
from pnn_gluon.experiments.parameter_counts import count_parameters
from pnn_gluon.models.registry import create_model
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.serving.bundle import Bundle, BundleCard
from pnn_gluon.serving.engine import NativeEngine
from tests.jobs.small_pipeline import DAILY, DAYS, build, write_raw

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_model"
NAME = "bottleneck:Bottleneck"
LAYOUT = FieldLayout.single_valued(("a", "b"))


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The example beside two days of logs, its folder on the path."""
    monkeypatch.syspath_prepend(EXAMPLE)
    shutil.copy(EXAMPLE / "pipeline.toml", tmp_path)
    write_raw(tmp_path / "raw", DAYS[:2])
    return load_config(tmp_path / "pipeline.toml")


def folder_of(config: Config, table: str, day_number: int = 0) -> Path:
    store = open_store(config)
    manifest = store.manifest(table, DAYS[day_number])
    assert manifest is not None
    return store.folder(manifest)


SCORED = """
import sys
from pathlib import Path
import numpy as np
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.serving.engine import NativeEngine
np.save(sys.argv[3], Bundle.load(Path(sys.argv[1])).logits(np.load(sys.argv[2])))
assert "bottleneck" not in sys.modules
"""


def test_the_example_is_trained_gated_and_scored_and_serves_without_its_module(example: Config, tmp_path: Path) -> None:
    assert set(build(example, DAYS[:1], DAILY[: DAILY.index("publish")])) == {"done"}
    bundle = folder_of(example, "bundles")
    card = BundleCard.read(bundle)
    assert (card.model["name"], card.model["options"]["width"]) == (NAME, 6)
    assert card.metrics["auc"] > 0.55
    scores = pq.read_table(folder_of(example, "scores") / "scores.parquet")["probability"].to_numpy()
    assert scores.std() > 0.01
    with open_shard(folder_of(example, "shards") / f"{DAYS[0]}.h5") as shard:
        ids, _ = shard.read("calibrate")
    np.save(tmp_path / "ids.npy", ids)
    without = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", SCORED, str(bundle), str(tmp_path / "ids.npy"), str(tmp_path / "logits.npy")],
        check=True,
        env=without,
    )
    logits = np.load(tmp_path / "logits.npy")
    np.testing.assert_array_equal(logits, Bundle.load(bundle).logits(ids))
    np.testing.assert_allclose(logits, _by_hand(bundle, ids), rtol=1e-4, atol=1e-5)
    assert Bundle.load(bundle).last_bits["operators"] == "plain"
    with pytest.raises(ConfigError, match="precision 'bf16' has no effect on model 'bottleneck:Bottleneck'"):
        Bundle.load(bundle, NativeEngine("bf16"))


def _by_hand(bundle: Path, ids: np.ndarray) -> np.ndarray:
    """The equation of the example in float64, from the parameters of the bundle; every field has one value."""
    stored = mx.nd.load(str(bundle / "model-0000.params"))
    values = {key.partition("_")[2]: value.asnumpy().astype(np.float64) for key, value in stored.items()}
    (linear,) = (value for key, value in values.items() if key.endswith("linear_weight"))
    (bias,) = (value for key, value in values.items() if "linear" in key and key.endswith("bias"))
    (table,) = (value for key, value in values.items() if key.endswith("embedding_weight"))
    dense = [values[key] for key in ("dense0_weight", "dense0_bias", "dense1_weight")]
    present = (ids != 0)[:, :, None]
    hidden = np.tanh((table[ids] * present).reshape(len(ids), -1) @ dense[0].T + dense[1])
    return ((linear.reshape(-1)[ids]) * present[:, :, 0]).sum(1) + bias + (hidden @ dense[2].T)[:, 0]


def test_a_warm_start_goes_on_from_the_users_own_model(example: Config) -> None:
    example.path.write_text(example.path.read_text().replace("[training]", "[training]\nwarm_start = true"))
    config = load_config(example.path)
    steps = DAILY[: DAILY.index("score")]
    assert set(build(config, DAYS[:2], steps)) == {"done"}
    assert run_step(step("train"), config, DAYS[1]).details["started_from"] == f"bundles/{DAYS[0]}"


def test_a_configuration_with_it_loads_neither_its_module_nor_mxnet() -> None:
    code = (
        "import sys; from pnn_gluon.config import load_config;"
        f"load_config({str(EXAMPLE / 'pipeline.toml')!r}); print(sorted({{'bottleneck', 'mxnet'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["../own:Net", "/tmp/own.py:Net", "own.Net", "own:Net()", "own:", "a b:Net"])
def test_only_an_import_path_names_a_model_of_the_users(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text((EXAMPLE / "pipeline.toml").read_text().replace(NAME, name))
    with pytest.raises(ConfigError, match="there is no model"):
        load_config(path)


def test_in_paper_mode_it_keeps_its_options(tmp_path: Path) -> None:
    (tmp_path / "fit.toml").write_text(
        f'''
name = "own"
[data]
format = "csv"
file = "rows.csv"
[[data.fields]]
name = "a"
[model]
name = "{NAME}"
width = 6
'''
    )
    config = load_fit_config(tmp_path / "fit.toml")
    assert config.plan(NAME).model.options == {"width": 6}
    assert config.plan("fm").model.options == {}


def test_its_parameters_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)
    counts = count_parameters(NAME, 100, 3, {"embedding_size": 2, "width": 4})
    assert counts.weights == 100 + 100 * 2 + 3 * 2 * 4 + 4


class Whole(HybridBlock):
    """What the refused ones differ from."""

    def __init__(self, layout: FieldLayout, size: int, *, width: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.extra = self.more(size)

    def more(self, size: int) -> Any:
        return None

    def hybrid_forward(self, F: Any, ids: Any) -> Any:
        return self.linear(ids)


class Column(Whole):
    def hybrid_forward(self, F: Any, ids: Any) -> Any:
        return self.linear(ids).expand_dims(1)


class Unscoped(Whole):
    def __init__(self, layout: FieldLayout, size: int, **kwargs: Any) -> None:
        super().__init__(layout, size, **kwargs)
        self.late = mx.gluon.nn.Dense(1, in_units=2)


class Deferred(Whole):
    def more(self, size: int) -> Any:
        return mx.gluon.nn.Dense(1)


class OddTable(Whole):
    def more(self, size: int) -> Any:
        return mx.gluon.nn.Embedding(size, 2)


class FixedTable(Whole):
    def more(self, size: int) -> Any:
        return LinearTerm(LAYOUT, 9)


class NoKeywords(HybridBlock):
    def __init__(self) -> None:
        super().__init__()


class NoPrefix(Whole):
    def __init__(self, layout: FieldLayout, size: int) -> None:
        super().__init__(layout, size)


NOT_A_BLOCK = 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nowhere_at_all:Net", {}, "cannot be imported here .* on PYTHONPATH"),
        ("own_models:Whol", {}, "has no 'Whol', did you mean 'Whole'"),
        ("own_models:NOT_A_BLOCK", {}, "expected a class derived from mxnet.gluon.HybridBlock, received 3"),
        ("own_models:NoKeywords", {}, r"expected __init__\(layout, size"),
        ("own_models:NoPrefix", {}, r"expected __init__\(layout, size, \*, \.\.\., \*\*kwargs\).*'prefix'"),
        ("own_models:Whole", {"with": 3}, "has no option 'with'"),
        ("own_models:Whole", {"width": "wide"}, "width: .*valid integer.*received 'wide'"),
        ("own_models:Column", {}, r"shape \(B,\), received \[\(2, 1\)\]"),
        ("own_models:Unscoped", {}, "another name in another network"),
        ("own_models:Deferred", {}, "give in_units"),
        ("own_models:OddTable", {}, "grows with the number of ids"),
        ("own_models:FixedTable", {}, r"a row for each of the 9 ids, received shape \(9, 1\)"),
    ],
)
def test_a_class_that_could_not_be_trained_or_kept_is_refused(
    name: str, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("own_models")
    vars(module).update({key: value for key, value in globals().items() if not key.startswith("_")})
    monkeypatch.setitem(sys.modules, "own_models", module)
    create_model("own_models:Whole", LAYOUT, 9, width=3)
    with pytest.raises(ConfigError, match=message):
        create_model(name, LAYOUT, 9, **options)
