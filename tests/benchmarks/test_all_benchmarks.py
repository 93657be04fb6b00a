from pathlib import Path

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
    assert "| fm |  | 1.5 |" in text
    assert text.count("**failed**") == 2
    assert "No module named benchmarks.nothing_of_this_name" in text
    assert "## growth" in text


def test_a_record_keeps_the_runs_before_and_those_of_other_processors(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    command = "python -m x --model fm --variants f32{} --rounds 1"
    runs = [("1", "", {"f32": 1.5}), ("2", ",torch", None), ("3", ",torch", {"f32": 1.25, "torch": 4.5})]
    for day, variants, figures in runs:
        result = every.Result(
            "training_step", command.format(variants), 0.5, f"table {day}", figures, f"2026-11-0{day}"
        )
        every.write(folder / "this-one.json", result)
    every.write(folder / "other.json", every.Result("growth", "y", 0.5, "grown", {}, "2026-11-07"))
    text = (folder / "this-one.md").read_text()
    assert "table 3" in text
    assert "table 1" not in text
    assert "| 2026-11-03 | 1.25 | 4.5 |\n| 2026-11-01 | 1.5 |  |" in text
    index = (tmp_path / "benchmarks.md").read_text()
    assert "(benchmarks/this-one.md)" in index
    assert "| 2026-11-07 |" in index


def test_a_kind_of_processor_is_a_name_of_files(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("cpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC (TM) 9x\n\ncpu family\t: 1\n")
    assert every.processor_kind(told) == "amd-epyc-tm-9x-family-25-model-17"
    assert every.processor_kind(tmp_path / "none").isascii()


def test_a_command_that_does_not_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every, "LIMIT_SECONDS", 0.01)
    assert every.run("growth", "timeit").text == "not done after 0.01 seconds"


def test_every_model_is_measured_with_the_variants_that_have_it() -> None:
    commands = every.parts(quick=False)["training_step"]
    assert [command.split()[2] for command in commands] == list(MODELS)
    assert {name for command in commands for name in command.split()[4].split(",")} == set(VARIANTS)
    assert "fuxictr" not in commands[list(MODELS).index("pin")]
