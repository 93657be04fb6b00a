"""What a step is known by: the options that differ from their defaults, and its version."""

import json
from pathlib import Path
from typing import Any

import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.configurations import pipeline_files
from pnn_gluon.models.declared import declared_models, default_options
from pnn_gluon.pipeline.options import chosen_options, differences
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.store.manifest import fingerprint

HERE = Path(__file__).parent
FILE = HERE / "fingerprints.json"
PIPELINES = pipeline_files(Path("conf"))
CHANGED = """
Fingerprints of conf/*.toml changed: an upgrade would make every day of every pipeline stale.
If that is meant, write the new ones: python -m tests.pipeline.test_fingerprints"""
DEFAULT_CHANGED = """
A default changed: days made before it are known by the same options and would count as done.
Raise the version of the steps that depend on it in pnn_gluon/pipeline/steps.py, say so in CHANGELOG.md, and write
the new defaults: python -m tests.pipeline.test_fingerprints"""


def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def fingerprints() -> dict[str, dict[str, str]]:
    found = {}
    for path in PIPELINES:
        config = load_config(path)
        found[path.name] = {each.name: fingerprint(each.chosen_options(config)) for each in STEPS}
    return found


def defaults() -> dict[str, Any]:
    """Every default of a section, by path; those of models by model."""
    found: dict[str, Any] = {
        f"model.{name}.{option}": json.loads(json.dumps(default))
        for name in declared_models()
        for option, default in default_options(name).items()
    }
    for name, field in Config.model_fields.items():
        section = field.annotation
        if hasattr(section, "model_fields"):
            for option, inner in section.model_fields.items():
                if not inner.is_required():
                    found[f"{name}.{option}"] = json.loads(
                        json.dumps(inner.get_default(call_default_factory=True), default=str)
                    )
    return found


def test_the_fingerprints_of_the_ready_configurations_are_what_they_were() -> None:
    assert len(PIPELINES) > 3
    assert fingerprints() == golden()["fingerprints"], CHANGED


def test_a_changed_default_is_a_changed_version_of_the_steps() -> None:
    now = {"defaults": defaults(), "versions": {each.name: each.version for each in STEPS}}
    assert now["defaults"] == golden()["defaults"], DEFAULT_CHANGED
    assert now["versions"] == golden()["versions"], "the version of a step changed: write it down, see above"


TEXT = """
name = "p"
first_day = 2026-11-01
[store]
root = "store"
[source]
preset = "criteo"
logs = "logs/{day}"
[model]
name = "ipnn"
"""


def configured(folder: Path, text: str) -> Config:
    (folder / "p.toml").write_text(text)
    return load_config(folder / "p.toml")


def test_only_what_differs_from_a_default_counts(tmp_path: Path) -> None:
    plain = configured(tmp_path, TEXT)
    assert chosen_options(plain, ("model", "training", "calibration")) == {"model.name": "ipnn"}
    said = configured(tmp_path, f'{TEXT}[training]\nepochs = 10\n[calibration]\nmethod = "isotonic"\n')
    assert chosen_options(said, ("model", "training", "calibration")) == {"model.name": "ipnn"}
    own = configured(tmp_path, f'{TEXT}embedding_size = 10\nnormalization = "layer"\n')
    assert own.model.given == {"embedding_size": 10, "normalization": "layer"}
    assert chosen_options(own, ("model",)) == {"model.name": "ipnn"}
    more = configured(tmp_path, f"{TEXT}hidden = [64]\n[training]\nepochs = 3\n")
    assert chosen_options(more, ("model", "training")) == {
        "model.name": "ipnn",
        "model.hidden": [64],
        "training.epochs": 3,
    }
    assert chosen_options(more, ("training.epochs",)) == {"training.epochs": 3}


def test_a_preset_counts_by_what_it_says_and_files_by_what_they_are_called(tmp_path: Path) -> None:
    one = configured(tmp_path, TEXT)
    written = chosen_options(one, ("source", "fields"))
    assert "source.preset" not in written
    assert written["source.logs"] == ["{day}"]
    moved = configured(tmp_path, TEXT.replace("logs/{day}", "/elsewhere/{day}"))
    assert chosen_options(moved, ("source", "fields")) == written


def test_several_patterns_count_by_what_lies_below_the_folder_in_common(tmp_path: Path) -> None:
    def logs(*patterns: str) -> Any:
        text = TEXT.replace('"logs/{day}"', json.dumps(patterns))
        return chosen_options(configured(tmp_path, text), ("source",))["source.logs"]

    assert logs("in/web/{day}", "in/app/{day}/*") == [["app", "{day}", "*"], ["web", "{day}"]]
    assert logs("/x/app/{day}/*", "/x/web/{day}") == logs("in/web/{day}", "in/app/{day}/*")
    assert logs("s3://a/app/{day}/*", "s3://a/web/{day}") == logs("in/web/{day}", "in/app/{day}/*")
    assert logs("in/web/{day}") == ["{day}"]


def test_differences_are_told_by_option() -> None:
    before, now = (
        {"training.epochs": 3, "model.name": "fm"},
        {"training.epochs": 5, "model.hidden": [64], "model.name": "fm"},
    )
    assert differences(before, now) == ["model.hidden its default -> [64]", "training.epochs 3 -> 5"]
    assert differences(now, now) == []


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_options_survive_their_manifest(path: Path) -> None:
    for each in STEPS:
        options = each.chosen_options(load_config(path))
        assert json.loads(json.dumps(options)) == options


if __name__ == "__main__":
    written = {
        "fingerprints": fingerprints(),
        "defaults": defaults(),
        "versions": {each.name: each.version for each in STEPS},
    }
    FILE.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")
