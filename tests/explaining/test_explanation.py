"""The document of a bundle: networks, trees, a model of the user's; strict JSON, the same bytes every time."""

import json
from pathlib import Path
from typing import Any

import pytest

from pnn_gluon.config import EngineConfig
from pnn_gluon.explaining.explanation import Explanation, explain
from pnn_gluon.explaining.rows import Rows, read_rows
from pnn_gluon.serving.bundle import Bundle
from tests.explaining.small_bundles import NETWORK, make_bundle, raw_rows, write_rows

OWN = Path(__file__).parents[2] / "examples" / "own_model"


def explained(folder: Path, rows: int = 800, limit: int = 600) -> Explanation:
    bundle = Bundle.load(folder)
    if not rows:
        return explain(bundle, folder, Rows.none(bundle.feature_map.layout.slots), 20)
    path = write_rows(folder.parent / "rows.parquet", raw_rows(rows))
    return explain(bundle, folder, read_rows(bundle.feature_map, EngineConfig(), [path], limit), 20)


def strict(explanation: Explanation) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    told: dict[str, Any] = json.loads(explanation.to_json(), parse_constant=refuse)
    return told


def test_a_network_is_explained_whole_and_the_same_bundle_is_the_same_bytes(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle", "ipnn", **NETWORK)
    found = explained(folder)
    told = strict(found)
    assert found.to_json() == explained(folder).to_json()
    assert (told["model"], told["model_day"], told["rows"], told["rows_available"]) == ("ipnn", "2026-11-01", 600, 800)
    assert {each["field"] for each in told["importance"]} == {"site", "tags", "hour"}
    assert told["importance"] == sorted(told["importance"], key=lambda each: -each["log_loss"])
    assert told["pairs"]["fields"] == ["site", "tags", "hour"]
    assert [row[place] for place, row in enumerate(told["pairs"]["strength"])] == [None] * 3
    layers = ["embedding", "product.1", "mlp.layers.0", "mlp.layers.1", "mlp.layers.2"]
    assert [each["layer"] for each in told["layers"]] == layers
    assert all(each["gradient_norm"] > 0 for each in told["layers"])
    assert [key for key in told if key.endswith("_missing") and told[key]] == []


def test_without_rows_the_bundle_alone_tells_pairs_and_norms(tmp_path: Path) -> None:
    told = strict(explained(make_bundle(tmp_path / "bundle", "fm", embedding_size=4), rows=0))
    assert told["pairs"]["kind"] == "inner products of mean embeddings"
    assert told["importance"] == []
    assert "labelled rows" in told["importance_missing"]
    assert {each["gradient_norm"] for each in told["layers"]} == {None}


def test_trees_have_importance_and_say_why_there_is_no_more(tmp_path: Path) -> None:
    told = strict(explained(make_bundle(tmp_path / "bundle", "gbdt")))
    assert len(told["importance"]) == 3
    assert (told["pairs"], told["layers"]) == (None, [])
    assert told["pairs_missing"].startswith("gbdt has trees")
    assert told["layers_missing"].startswith("gbdt has trees")


def test_a_model_of_the_users_is_explained_by_its_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(OWN)
    folder = make_bundle(tmp_path / "bundle", "bottleneck:Bottleneck", embedding_size=4, width=3)
    monkeypatch.undo()
    told = strict(explained(folder))
    assert len(told["importance"]) == 3
    assert "model of your own" in told["pairs_missing"]
    assert sum(each["parameters"] for each in told["layers"]) > 0
    assert max(each["gradient_norm"] for each in told["layers"]) > 0
