"""A few hundred inputs of every fuzzer on each run, always the same; `make fuzz` draws others for as long as one likes.

Findings that were mended have tests of their own beside what was mended.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

from pnn_gluon.errors import InputError
from tests.fuzz import search, worker
from tests.fuzz.search import Worker, kind_of, searched, smaller
from tests.fuzz.target import Case, Edit, Put, changed, drawn_case, edited
from tests.fuzz.targets import TARGETS

QUICK = {"lines": 25, "json": 25, "typed": 60, "documents": 12, "bundles": 25, "own": 50}
"""How many inputs: a second or two of each."""


@pytest.mark.parametrize("name", QUICK)
def test_what_is_read_is_right_or_refused(name: str, tmp_path: Path) -> None:
    for seed in range(QUICK[name]):
        folder = tmp_path / str(seed)
        folder.mkdir()
        TARGETS[name].check(drawn_case(TARGETS[name], name, seed), folder)


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found_in_a_minute_of_other_inputs(name: str) -> None:
    process = Worker()
    found = searched(process, name, 10**6, 60.0, None)
    process.close()
    assert found == 0


def test_every_fuzzer_is_tried() -> None:
    assert QUICK.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_follows_from_its_seed(name: str) -> None:
    cases = [drawn_case(TARGETS[name], name, seed) for seed in (1, 1, 2)]
    assert repr(cases[0]) == repr(cases[1]) != repr(cases[2])


def test_bytes_and_values_are_changed_where_it_is_said() -> None:
    assert edited(b"abcdef", [Edit(0.5, 2, b"x"), Edit(0, 0, b"y")]) == b"yabcxf"
    assert changed({"a": [1, 2]}, Put(2, "x")) == {"a": [1, "x"]}
    assert changed({"a": [1, 2]}, Put(1, None, gone=True)) == {"a": [2]}
    assert changed({"a": 1}, Put(29, 5)) == 5


def test_a_finding_is_made_as_small_as_it_gets() -> None:
    tries: list[Any] = []

    def still(kept: Any) -> bool:
        tries.append(kept)
        return {3, 50, 51} <= set(kept)

    assert smaller(100, still) == [3, 50, 51]
    assert len(tries) < 60
    assert kind_of("ValueError: 5 of 70\nin a.py") == kind_of("ValueError: 17 of 8\nin b.py")


class Wrong:
    """A fuzzer of something that is read wrongly."""

    def draw(self, drawn: Any) -> Case:
        return Case(tuple(range(drawn.randrange(5, 9))))

    def check(self, case: Case, folder: Path) -> None:
        if 3 in case.parts:
            raise InputError("three")


class InProcess(Worker):
    """The worker without a process."""

    def tried(self, name: str, seed: int, kept: Any = None) -> str | None:
        case = drawn_case(Wrong(), name, seed)
        return "InputError: three" if 3 in (case if kept is None else case.with_parts(kept)).parts else None


def test_what_is_found_is_printed_once_with_its_seed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(search.TARGETS, "wrong", Wrong())
    assert searched(InProcess(), "wrong", 7, 60.0, 5) == 1
    said = capsys.readouterr().out
    assert said.count("wrong, seed 7: InputError: three") == said.count("seed 7: ") == 1
    assert "parts [3] of " in said
    assert "wrong: 5 inputs from seed 7, 1 kinds of findings" in said


SMALL_WORKER = """
import json, os, sys, time
for line in sys.stdin:
    seed = json.loads(line)["seed"]
    if seed == 2:
        os.abort()
    if seed == 3:
        time.sleep(60)
    print(json.dumps("ValueError: 1" if seed == 1 else None), flush=True)
"""


def test_an_input_that_ends_its_process_or_hangs_is_a_finding_and_the_next_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "COMMAND", (sys.executable, "-c", SMALL_WORKER))
    monkeypatch.setattr(search, "PATIENCE", 2.0)
    process = Worker()
    found = [process.tried("json", seed) for seed in range(5)]
    process.close()
    assert found == [None, "ValueError: 1", "End: status -6 of the process", "Hang: no answer after 2 seconds", None]


def test_what_a_fuzzer_raises_and_memory_without_bound_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "wrong", Wrong())
    assert str(worker.found("wrong", 7, None)).startswith("InputError: three\n")
    assert worker.found("wrong", 7, [0, 1, 2]) is None
    monkeypatch.setattr(worker, "MOST_GROWTH", -1)
    assert str(worker.found("wrong", 7, [0])).startswith("MemoryPeak: ")
