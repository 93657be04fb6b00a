"""The examples in docstrings give what they say."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("pnn_gluon", "jobs")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if re.search(r"^ *>>> (?!.*doctest: .SKIP)", path.read_text(), re.M)
]


def test_there_are_modules_with_examples() -> None:
    assert "pnn_gluon.days" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_say(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0
