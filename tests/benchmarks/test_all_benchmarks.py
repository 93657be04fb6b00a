import pytest

from benchmarks import all as every
from benchmarks.arithmetic import MODELS
from benchmarks.training_step import VARIANTS


def test_a_part_that_fails_is_said_so_and_the_others_stand() -> None:
    good = every.run("growth", "json.tool --help")
    assert good.figures is None  # it ends well, but not with a line of JSON
    assert "not JSON" in good.text
    missing = every.run("scoring", "benchmarks.nothing_of_this_name")
    assert "status 1" in missing.text
    measured = every.Result("training_step", "python -m x --model fm --rounds 1", 0.5, "a table", {"f32": 1.5})
    text = every.document([measured, good, missing])
    assert "| fm | 1.5 |" in text
    assert text.count("**failed**") == 2
    assert "No module named benchmarks.nothing_of_this_name" in text
    assert "## growth" in text


def test_a_command_that_does_not_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every, "LIMIT_SECONDS", 0.01)
    assert every.run("growth", "timeit").text == "not done after 0.01 seconds"


def test_every_model_is_measured_with_the_variants_that_have_it() -> None:
    commands = every.parts(quick=False)["training_step"]
    assert [command.split()[2] for command in commands] == list(MODELS)
    assert {name for command in commands for name in command.split()[4].split(",")} == set(VARIANTS)
    assert "fuxictr" not in commands[list(MODELS).index("pin")]
