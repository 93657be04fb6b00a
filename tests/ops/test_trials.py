"""Instruction sets are trusted after a trial in a child process."""

import json
import logging
import os
import subprocess
import sys

import pytest

from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import LIBRARY, trials

DIES = "import os, signal\nprint('f32 0.0 x3', flush=True)\nos.kill(os.getpid(), signal.SIGILL)"
HANGS = "import time\nprint('f32 0.0 x3 0.0 bf16', flush=True)\ntime.sleep(600)"
WRONG = "print('f32 0.0 x3 0.5 bf16 0.0')"
NOT_A_NUMBER = "print('f32 nan x3 0.0 bf16 0.0')"
OUT_OF_MEMORY = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
RIGHT = "print('f32 0.0 x3 0.0 bf16 0.0')"
WIDEST = "import sys\nif sys.argv[2] == 'baseline':\n    print('f32 0.0 x3 0.0 bf16 0.0')\nelse:\n    "


@pytest.fixture(autouse=True)
def own_record(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(trials.LIMIT, raising=False)
    trials.outcomes.cache_clear()
    yield tmp_path
    trials.outcomes.cache_clear()


def found(monkeypatch, program, limit="baseline"):
    monkeypatch.setattr(trials, "PROGRAM", program)
    monkeypatch.setenv(trials.LIMIT, limit)
    trials.outcomes.cache_clear()
    return trials.outcomes(LIBRARY)["baseline"]


def test_every_kernel_of_this_processor_computes_the_known_problem(monkeypatch):
    monkeypatch.setenv(trials.LIMIT, trials.EMULATED)
    found = trials.outcomes(LIBRARY)
    assert set(found) >= {"baseline", trials.EMULATED}
    assert set(found.values()) == {trials.WORKS}


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        (DIES, "dies of SIGILL in x3"),
        (HANGS, "hangs in bf16"),
        (WRONG, "is wrong in x3: relative error 5.0e-01"),
        (NOT_A_NUMBER, "is wrong in f32"),
        (OUT_OF_MEMORY, "ended in loading"),
        ("raise OSError('no room')", "ended in loading: OSError: no room"),
        (RIGHT, trials.WORKS),
    ],
)
def test_a_kernel_that_dies_hangs_or_is_wrong_is_told_from_one_that_works(monkeypatch, caplog, program, outcome):
    caplog.set_level(logging.WARNING, trials.__name__)
    monkeypatch.setattr(trials, "SECONDS", 2.0 if program == HANGS else 60.0)
    assert found(monkeypatch, program).startswith(outcome)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.startswith(f"instruction set baseline is left out: {outcome}") for line in lines] == (
        [] if program == RIGHT else [True]
    )


def test_a_trial_is_made_once_for_a_library_and_a_processor(monkeypatch, own_record):
    assert found(monkeypatch, DIES).startswith("dies")
    assert found(monkeypatch, RIGHT).startswith("dies")
    monkeypatch.setattr(trials, "processor_identity", lambda: "another")
    assert found(monkeypatch, RIGHT) == trials.WORKS
    assert len(list(own_record.glob("pnn_gluon/kernels-*.json"))) == 2


def test_a_trial_that_was_killed_is_made_again(monkeypatch):
    assert found(monkeypatch, OUT_OF_MEMORY).startswith("ended")
    assert found(monkeypatch, RIGHT) == trials.WORKS


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"baseline": 3}'])
def test_a_damaged_record_is_made_again(monkeypatch, own_record, content):
    assert found(monkeypatch, RIGHT) == trials.WORKS
    (record,) = own_record.glob("pnn_gluon/*.json")
    record.write_bytes(content)
    assert found(monkeypatch, RIGHT) == trials.WORKS
    assert json.loads(record.read_bytes()) == {"baseline": trials.WORKS}


def test_a_cache_that_cannot_be_written_is_harmless(monkeypatch, own_record):
    (own_record / "pnn_gluon").write_text("a file stands where the folder belongs")
    assert found(monkeypatch, RIGHT) == trials.WORKS


def test_an_unknown_instruction_set_is_refused(monkeypatch):
    with pytest.raises(ConfigError, match=r"PNN_GLUON_ISA must be one of amx, .*, not 'sse'"):
        found(monkeypatch, RIGHT, limit="sse")


SERVING = """
import sys
from pnn_gluon.ops import trials
trials.PROGRAM = sys.argv[1]
from pnn_gluon.ops import library_state, operators
print(operators(), "|", library_state())
"""


def serving(program, folder):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SERVING, program],
        env={**os.environ, "PYTHONPATH": os.getcwd(), "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip(), done.stderr


def test_the_next_narrower_instruction_set_serves_for_one_that_is_left_out(own_record):
    output, log = serving(WIDEST + DIES.replace("\n", "\n    "), own_record)
    assert output == "baseline | loaded"
    offered = sum(line.startswith("instruction set ") for line in log.splitlines())
    assert offered == log.count("dies of SIGILL in x3")


def test_plain_operators_serve_where_no_instruction_set_works(own_record):
    assert serving(WRONG, own_record)[0] == "plain | left out: no instruction set passed its trial"
