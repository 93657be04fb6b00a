"""Bundles that were changed, with hashes that fit what they hold now, are refused before memory is taken for them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pnn_gluon.errors import InputError
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.serving.bundle import CALIBRATOR, CARD, Bundle, BundleCard, _checksum
from tests.explaining.small_bundles import make_bundle


def changed(folder: Path, **values: Any) -> Path:
    """The bundle with other values in its card, which agrees with its checksum."""
    card = BundleCard(**{**json.loads((folder / CARD).read_bytes()), **values})
    (folder / CARD).write_text(json.dumps(dataclasses.asdict(dataclasses.replace(card, checksum=_checksum(card)))))
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle", "fnn", embedding_size=4, hidden=(8,))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": {}}, "names no model and files"),
        ({"model": "fnn"}, "names no model and files"),
        ({"files": [1]}, "names no model and files"),
        ({"rate": "x"}, "not a bundle this release can load"),
        ({"rate": 0}, "a rate of 0, expected more than 0"),
        ({"model": {"name": "fnn", "options": {}, "size": 10**12}}, "a model of 1000000000000 ids, and a map of"),
    ],
)
def test_a_card_with_other_values_is_refused(bundle: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        Bundle.load(changed(bundle, **values))
    assert str(bundle) in str(error.value)


def test_a_card_of_wider_layers_than_its_parameters_have_takes_no_memory_for_them(bundle: Path) -> None:
    model = BundleCard.read(bundle).model
    wide = {**model, "options": {**model["options"], "hidden": [10**9]}}
    with pytest.raises(InputError, match=r"bundle: .* has the shape"):
        Bundle.load(changed(bundle, model=wide))


def test_a_calibrator_that_is_none_is_told_with_its_bundle(bundle: Path) -> None:
    (bundle / CALIBRATOR).write_text('{"method": "platt", "scale": "x", "shift": 0}')
    files = {**BundleCard.read(bundle).files, CALIBRATOR: sha256_of(bundle / CALIBRATOR)}
    with pytest.raises(InputError, match=f"{bundle}: calibrator: "):
        Bundle.load(changed(bundle, files=files))


def test_trees_of_other_fields_than_the_map_are_refused(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "trees", "gbdt")
    card = json.loads((bundle / "gbdt.json").read_bytes())
    card["fields"]["site"] = 2
    (bundle / "gbdt.json").write_text(json.dumps(card))
    digest = sha256_of(bundle / "gbdt.json")
    files = {**BundleCard.read(bundle).files, "gbdt.json": digest}
    with pytest.raises(InputError, match=f"{bundle}: trees of the fields"):
        Bundle.load(changed(bundle, files=files, parameters_sha256=digest))
