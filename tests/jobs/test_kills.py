"""Every part of the local Airflow killed in the middle of a day: supervisord brings it back, and no byte is another.

How long each took is printed: `python -m pytest tests/jobs/test_kills.py -m long -n 0 -s`.
"""

import datetime
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, TypeAlias

import psutil
import pytest

from jobs.airflow.local_airflow import status
from pnn_gluon.days import day_range, plus
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.real_airflow import Live, by_hand, running, wait_for
from tests.jobs.small_pipeline import FIRST, tree

Executor: TypeAlias = Literal["local", "celery"]

pytestmark = pytest.mark.long

PARTS: Mapping[Executor, tuple[str, ...]] = {
    "local": ("scheduler", "dag-processor", "api-server", "triggerer", "postgres"),
    "celery": ("scheduler", "api-server", "postgres", "worker-etl", "worker-training", "redis"),
}
DURING = {"worker-etl": "ingest"}
"""The task in the middle of which a part is killed, where it is not the training."""


DAYS = day_range(FIRST, plus(FIRST, max(map(len, PARTS.values())) - 1))
"""Each part is killed on a day of its own."""


@pytest.fixture(scope="module")
def undisturbed(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The store of the days run by hand."""
    return by_hand(postgres, DAYS, tmp_path_factory.mktemp("days") / "hand")


@pytest.fixture(scope="module")
def airflow_with(postgres: EmbeddedPostgres) -> Iterator[Callable[[Executor], Live]]:
    """Gives the Airflow with an executor; it is up until one with another is asked for."""
    with ExitStack() as held:
        there: dict[str, Live] = {}

        def given(executor: Executor) -> Live:
            if executor not in there:
                held.close()
                there.clear()
                there[executor] = held.enter_context(running(postgres, DAYS, executor))
            return there[executor]

        yield given


def killed(live: Live, part: str) -> None:
    """End a part at once; a worker with all that it runs."""
    process = psutil.Process(live.pid(part))
    family = [process, *process.children(recursive=True)] if part.startswith("worker") else [process]
    for each in family:
        each.kill()


KILLS = [(executor, part) for executor, parts in PARTS.items() for part in parts]


@pytest.mark.parametrize(("executor", "part"), KILLS)
def test_the_day_ends_well_although_a_part_was_killed(
    airflow_with: Callable[[Executor], Live], undisturbed: Mapping[str, bytes], executor: Executor, part: str
) -> None:
    if executor == "celery" and importlib.util.find_spec("celery") is None:
        pytest.skip("the extra celery is not installed: make long installs it")
    live, day = airflow_with(executor), DAYS[PARTS[executor].index(part)]
    wait_for(lambda: live.backfill(day_range(FIRST, day)) or True)  # the end of the one before is noticed late
    wait_for(lambda: live.state(day, DURING.get(part, "train")) == "running", pause=0.2)
    before, began = live.pid(part), time.monotonic()
    killed(live, part)
    wait_for(lambda: live.pid(part) not in {0, before} and status(live.home).healthy)
    back = time.monotonic() - began
    live.wait_until_over([day])
    over = time.monotonic() - began
    print(f"\n{executor} {part}: healthy again after {back:.0f} s, the day over {over:.0f} s after the kill")
    assert day_of(tree(Path(live.config.store_root)), day) == day_of(undisturbed, day)


def day_of(files: Mapping[str, bytes], day: datetime.date) -> dict[str, bytes]:
    """The files of a day."""
    found = {name: content for name, content in files.items() if f"ds={day}" in name}
    assert found
    return found
