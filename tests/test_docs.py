"""The documents say what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

from jobs import document
from pnn_gluon.config import (
    CalibrationConfig,
    ChecksConfig,
    ClusterConfig,
    Config,
    EngineConfig,
    FeatureMapConfig,
    GateConfig,
    SamplingConfig,
    SourceConfig,
    TrainingConfig,
)
from pnn_gluon.experiments.config import DataConfig
from pnn_gluon.experiments.training_table import TrainingTable
from pnn_gluon.models.declared import declared_models, options_of

DOCS = Path(__file__).parents[1] / "docs"
MODELS = (DOCS / "models.md").read_text()


@pytest.mark.parametrize("name", [*declared_models(), *sorted(set().union(*map(options_of, declared_models())))])
def test_every_model_and_option_is_documented(name):
    assert f"`{name}`" in MODELS


SECTIONS = {
    "sampling": SamplingConfig,
    "feature_map": FeatureMapConfig,
    "calibration": CalibrationConfig,
    "engine": EngineConfig,
    "engine.cluster": ClusterConfig,
}
TABLES = {
    ("configuration.md", "key", "Source"): SourceConfig,
    ("configuration.md", "key", "Training"): TrainingConfig,
    ("configuration.md", "key", "Sampling, map, calibration, engine"): None,
    ("configuration.md", "key", "Checks"): ChecksConfig,
    ("configuration.md", "key", "Gate"): GateConfig,
    ("experiments.md", "`training` key", "Configuration"): TrainingTable,
    ("experiments.md", "`data` key", "Configuration"): DataConfig,
}
"""A table of options by its document, first heading and chapter; None where the keys name their section."""

SAID_IN_WORDS = {
    "": None,
    "required": ...,
    "needed to score": None,
    "tab": "\t",
    "as `weight_decay`": None,
    "the number in brackets": None,
    "auc; rmse for squared loss": None,
    "see below": (),
}
BY_OTHERS = {"label", "click_files", "columns", "quote", "slices", "plateau_factor", "time_format", "folder"}
"""Options whose default is a rule, or none of the words above."""


def options_of(document, first, chapter):
    """Each option of a table with the text of its default."""
    part = (DOCS / document).read_text().partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    table = re.search(rf"^\| {re.escape(first)} \|[^\n]*\n((?:\|[^\n]*\n)+)", part, re.M)
    for line in table[1].splitlines()[1:]:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        keys, default = re.findall(r"`([^`]+)`", cells[0]), cells[-1]
        section = keys[0].rpartition(".")[0]
        texts = re.findall(r"(?:`[^`]*`|[^,`])+", default) if len(keys) > 1 and default else [default] * len(keys)
        for key, text in zip(keys, texts, strict=True):
            yield section, key.removeprefix(f"{section}."), text.strip()


def value_of(text):
    if text in SAID_IN_WORDS:
        return SAID_IN_WORDS[text]
    try:
        value = tomllib.loads(f"v = {text.strip('`')}")["v"]
    except tomllib.TOMLDecodeError:
        return None if text == "none" else text.strip("`")
    return tuple(value) if isinstance(value, list) else value


def default_of(section, key):
    field = section.model_fields[key]
    return ... if field.is_required() else field.default


@pytest.mark.parametrize("where", TABLES, ids=str)
def test_the_defaults_in_the_documents_are_those_of_the_code(where):
    found = list(options_of(*where))
    assert len(found) > 3
    for name, key, text in found:
        if key not in BY_OTHERS:
            assert default_of(TABLES[where] or SECTIONS[name], key) == value_of(text), key


def is_section(field):
    return hasattr(field.annotation, "model_fields")


def options_said_of(section):
    """The row of a section in the first table of the configuration, and its own chapter."""
    text = (DOCS / "configuration.md").read_text()
    row = re.search(rf"^\| `\[{section}\]` \|[^\n]*", text, re.M)
    chapter = text.partition(f"\n## {section.capitalize()}\n")[2].partition("\n## ")[0]
    return (row[0] if row else "") + chapter


@pytest.mark.parametrize("name", [name for name, field in Config.model_fields.items() if is_section(field)])
def test_every_option_of_the_configuration_is_documented(name):
    said = options_said_of(name)
    for option in Config.model_fields[name].annotation.model_fields:
        assert f"`{option}`" in said, f"docs/configuration.md says nothing of [{name}] {option}"


@pytest.mark.parametrize("name", sorted(document.PARTS))
def test_what_follows_from_the_declared_pipeline_is_derived(name: str) -> None:
    assert (DOCS / name).read_text() == document.derived(name), "write it anew: python -m jobs.document"
