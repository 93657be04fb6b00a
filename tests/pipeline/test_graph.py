"""The day as tasks: only what must come right after what, and only waits that the declared inputs ask for."""

from pathlib import Path

import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.pipeline.graph import tasks
from pnn_gluon.pipeline.inputs import LOOK_BACK
from pnn_gluon.pipeline.steps import daily_steps, nightly_steps, step

TEXT = """
name = "p"
first_day = 2026-11-01
[store]
root = "store"
[source]
preset = "criteo"
logs = "logs/{day}"
requests = "requests/{day}"
[model]
name = "lr"
"""
DAY = {
    "ingest": ((), {}),
    "sample": (("ingest",), {}),
    "count": (("ingest",), {}),
    "check": (("count",), {"count": 7, "check": 7}),
    "feature_map": (("count",), {"feature_map": 1, "count": 6}),
    "encode": (("sample", "feature_map"), {"sample": 6}),
    "evaluate": (("ingest",), {"promote": LOOK_BACK}),
    "train": (("check", "encode"), {"check": 6}),
    "calibrate": (("train",), {}),
    "gate": (("calibrate",), {"promote": LOOK_BACK}),
    "promote": (("gate",), {"promote": LOOK_BACK}),
    "score": (("promote",), {}),
    "publish": (("score",), {}),
    "explain": (("promote",), {}),
    "report": (("evaluate", "score", "explain"), {"evaluate": 13, "gate": 13}),
}
"""By step: what it comes right after, and the tasks that it waits for with the number of days before."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "p.toml").write_text(TEXT)
    return load_config(tmp_path / "p.toml")


def test_the_day_as_tasks(config: Config) -> None:
    found = {task.step.name: (task.after, task.waits) for task in tasks(config, daily_steps(config))}
    assert {name: found.get(name) for name in DAY} == DAY


def test_steps_whose_inputs_are_made_elsewhere_stand_alone(config: Config) -> None:
    night = {task.step.name: task for task in tasks(config, nightly_steps(config))}
    assert night["reevaluate"].after == night["recalibrate"].after == ("mature",)
    (alone,) = tasks(config, [step("gate")])
    assert (alone.after, alone.waits) == ((), {})
