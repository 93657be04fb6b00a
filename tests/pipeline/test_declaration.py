"""The pipeline is declared once: what a step gets, who makes what, and what the DAG waits for."""

import datetime
import importlib
from pathlib import Path

import pytest

from jobs.running import Work, run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.details import Details
from pnn_gluon.pipeline.graph import Task, tasks
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built, Step
from pnn_gluon.pipeline.steps import STEPS, daily_steps, maker, mending_command, nightly_steps, step
from pnn_gluon.pipeline.tables import COUNTS, ROWS, Table
from pnn_gluon.pipeline.work import Inputs

CONFIGS = sorted(Path("conf").glob("*.toml"))
DAY = datetime.date(2026, 11, 2)
LATE = "[calibration]\nmaturity_days = 3"
WARM = "[training]\nwindow_days = 1\nwarm_start = true"
YESTERDAYS = f'{WARM}\nwarm_start_from = "yesterday"'


@pytest.fixture(params=["", LATE, WARM, YESTERDAYS])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    path = tmp_path / "pipeline.toml"
    path.write_text(
        f"""
name = "p"
first_day = 2026-11-01
[store]
root = "store"
[source]
preset = "criteo"
logs = "logs/{{day}}"
requests = "requests/{{day}}"
[model]
name = "lr"
{request.param}
"""
    )
    return load_config(path)


def test_every_step_has_its_work_in_a_module_of_its_name() -> None:
    for each in STEPS:
        if not each.by_hand:
            module = importlib.import_module(f"jobs.steps.{each.name}")
            assert module.build.__annotations__["return"] is Built


def test_every_table_has_one_maker() -> None:
    tables = [each.table.name for each in STEPS]
    assert len(set(tables)) == len(tables)
    assert [maker(table) for table in tables] == list(STEPS)
    assert maker("exports_x") is None


def test_a_day_reads_only_what_was_made_before_it(config: Config) -> None:
    made: set[str] = set()
    for each in (*daily_steps(config), *nightly_steps(config)):
        needed = {edge.table for edge in each.edges(config) if edge.needed and not edge.back}
        assert needed <= made, each.name
        made.add(each.table.name)


def before(task: str, known: dict[str, Task]) -> set[str]:
    """Everything that a task comes after."""
    found: set[str] = set()
    for name in known[task].after:
        found |= {name} | before(name, known)
    return found


def test_a_task_waits_for_all_that_its_step_reads(config: Config) -> None:
    """Of the same day by what it comes after; of earlier days by waiting for as many as it reads."""
    known = {task.step.name: task for task in tasks(config, daily_steps(config))}
    makers = {task.step.table.name: name for name, task in known.items()}
    for name, task in known.items():
        for edge in (edge for edge in task.step.edges(config) if edge.needed and edge.table in makers):
            if edge.back:
                assert task.waits[makers[edge.table]] >= edge.back
            else:
                assert makers[edge.table] in before(name, known)


def test_late_labels_make_a_nightly_step_a_daily_one(config: Config) -> None:
    late = bool(config.calibration.maturity_days)
    assert ("mature" in [each.name for each in daily_steps(config)]) == late
    assert ("mature" in [each.name for each in nightly_steps(config)]) != late


def test_a_step_gets_what_it_declares_and_nothing_else(tmp_path: Path) -> None:
    config = any_config(tmp_path)
    asked: list[object] = [Need(COUNTS), "training", "engine"]

    def build(inputs: Inputs, folder: Path) -> Built:
        with pytest.raises(LookupError, match=r"step odd does not declare the input Need.*counts"):
            inputs[Need(COUNTS)]
        with pytest.raises(LookupError, match="step odd does not declare the option training"):
            _ = inputs.config.training
        with pytest.raises(LookupError, match="step odd does not declare the option method"):
            _ = inputs.config.calibration.method
        assert inputs.config.calibration.window_days == 1
        assert inputs.config.engine.threads == 2  # decides no byte, so every step may see it
        asked.clear()
        return Built(0, {})

    odd = Step("odd", Table("odd", Details), options=("calibration.window_days",))
    run_step(odd, config, DAY, work=Work(build))
    assert not asked


def any_config(folder: Path) -> Config:
    path = folder / "pipeline.toml"
    text = 'name = "p"\nfirst_day = 2026-11-01\n[store]\nroot = "store"\n[source]\npreset = "criteo"\n'
    path.write_text(text + 'logs = "logs/{day}"\n[model]\nname = "lr"\n')
    return load_config(path)


def test_the_words_about_a_missing_table_name_its_maker() -> None:
    for each in STEPS:
        command = mending_command(each.table.name, DAY, Path("p.toml"))
        shown = {name: f"pnn-gluon {name.replace('_', '-')}" for name in ("rollback", "approve", "compact", "skip_day")}
        assert command.startswith(shown.get(each.name, f"pnn-gluon step {each.name}"))
        assert "--config p.toml --day 2026-11-02" in command
    assert "pnn-gluon export" in mending_command("exports_x", DAY, None)


def test_a_missing_table_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=rf"{ROWS.name} of {DAY} is missing.*pnn-gluon step ingest --config \S+ --day {DAY} \("
    ):
        run_step(step("sample"), any_config(tmp_path), DAY)
