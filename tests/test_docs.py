"""The documents say what the code does."""

from pathlib import Path

import pytest

from pnn_gluon.config import MODEL_OPTIONS, ModelConfig

MODELS = (Path(__file__).parents[1] / "docs" / "models.md").read_text()


@pytest.mark.parametrize("name", [*MODEL_OPTIONS, *(set(ModelConfig.model_fields) - {"name"})])
def test_every_model_and_option_is_documented(name):
    assert f"`{name}`" in MODELS
