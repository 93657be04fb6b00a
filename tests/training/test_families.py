"""What differs between networks and boosted trees is asked of a model's family, by nobody's own comparison."""

import ast
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from sys import executable

import pytest

from pnn_gluon.errors import ConfigError
from pnn_gluon.models.declared import declared_models
from pnn_gluon.training.families import FAMILIES, family_of

ROOT = Path(__file__).parents[2]
OF_TREES = {
    "pnn_gluon/models/gbdt.py",
    "pnn_gluon/models/declare.py",
    "pnn_gluon/training/gbdt.py",
    "pnn_gluon/training/trees.py",
    "pnn_gluon/experiments/fit_trees.py",
    "jobs/steps/train_trees.py",
}
"""The family's own modules, and what writes its options into the table."""


def names_and_texts(source: str) -> Iterator[str]:
    """Every name, and every text that is a word, such as a model's name; not prose."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value
        for field in ("id", "attr", "name", "module", "arg"):
            if isinstance(named := getattr(node, field, None), str):
                yield named


def test_no_module_outside_the_family_names_the_trees() -> None:
    modules = [path for top in ("pnn_gluon", "jobs", "dags") for path in (ROOT / top).rglob("*.py")]
    found = {
        path.relative_to(ROOT).as_posix()
        for path in modules
        if any("gbdt" in name.lower() for name in names_and_texts(path.read_text()))
    }
    assert found == OF_TREES


def test_no_module_compares_a_model_with_a_name() -> None:
    for path in [path for top in ("pnn_gluon", "jobs", "dags") for path in (ROOT / top).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            names = {side.value for side in sides if isinstance(side, ast.Constant) and isinstance(side.value, str)}
            assert not names & declared_models().keys(), f"{path}:{node.lineno}"  # type: ignore[attr-defined]


def test_every_model_is_of_a_family_that_is_there() -> None:
    assert {model.family for model in declared_models().values()} == FAMILIES.keys()
    assert family_of("gbdt") is not family_of("fm")
    with pytest.raises(ConfigError, match="no model 'gdbt', did you mean 'gbdt'"):
        family_of("gdbt")


ASKED = """
import sys
from pnn_gluon.models.declared import declared_models
from pnn_gluon.training.families import family_of
from pnn_gluon.config import TrainingConfig
for model in declared_models():
    family = family_of(model)
    family.idle_training(model, {}), list(family.pipeline_faults(model, {}, TrainingConfig()))
    family.in_batches, family.counted_untrained, family.paper_options, family.paper_defaults, family.unpruned_epochs
print(sorted({"mxnet", "xgboost", "numpy"} & set(sys.modules)))
"""


def test_what_the_configuration_asks_of_a_family_loads_nothing_heavy() -> None:
    done = run([executable, "-c", ASKED], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
