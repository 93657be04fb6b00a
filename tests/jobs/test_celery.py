"""Days on workers: each task on the worker of its queue, a killed worker in the middle, the same bytes as by hand."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobs.airflow.local_airflow import status
from pnn_gluon.queues import ETL, TRAINING
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.real_airflow import Live, by_hand, running, wait_for
from tests.jobs.small_pipeline import DAYS, tree

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        importlib.util.find_spec("celery") is None, reason="the extra celery is not installed: make long installs it"
    ),
]

TWO = DAYS[:2]


@pytest.fixture(scope="module")
def live(postgres: EmbeddedPostgres) -> Iterator[Live]:
    with running(postgres, TWO, "celery") as found:
        yield found


def test_every_part_is_healthy_and_only_127_0_0_1_listens(live: Live) -> None:
    found = status(live.home)
    assert found.healthy, found
    assert {"redis", "worker-etl", "worker-training"} <= set(found.parts)
    assert {"redis", "worker-etl", "worker-training"} <= set(found.health)
    heard = {
        (link.laddr.ip, link.laddr.port)
        for process in live.family()
        for link in process.net_connections(kind="inet")
        if link.status == psutil.CONN_LISTEN
    }
    assert heard == {("127.0.0.1", live.settings.port), ("127.0.0.1", EmbeddedPostgres(live.home / "postgres").port)}


def test_a_worker_killed_in_the_middle_of_a_day_changes_no_byte(
    live: Live, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    live.backfill(TWO)
    wait_for(lambda: live.state(TWO[0], "train") == "running", pause=0.2)
    worker = psutil.Process(live.pid("worker-training"))
    for process in [worker, *worker.children(recursive=True)]:
        process.kill()
    wait_for(lambda: live.pid("worker-training") not in {0, worker.pid})
    live.wait_until_over(TWO)
    assert tree(Path(live.config.store_root)) == by_hand(postgres, TWO, tmp_path / "hand")


def test_each_task_ran_on_the_worker_of_its_queue(live: Live) -> None:
    """After the days of the test before this one."""
    queues = {task["task_id"]: task["queue"] for day in TWO for task in live.tasks(day)}
    assert queues == dict.fromkeys(queues, ETL) | {"train": TRAINING}
    received = {
        name: set(re.findall(r"task_id='(\w+)'", (live.home / "logs" / f"worker-{name}.log").read_text()))
        for name in (ETL, TRAINING)
    }
    assert received == {ETL: set(queues) - {"train"}, TRAINING: {"train"}}


def test_no_secret_is_in_a_command_line_an_environment_or_a_worker_s_log(live: Live) -> None:
    values = [(live.home / "secrets" / name).read_text() for name in ("fernet", "jwt", "session")]
    values.append((EmbeddedPostgres(live.home / "postgres").base / "password").read_text())
    shown = [json.dumps([process.environ(), process.cmdline()]) for process in live.family()]
    shown += [path.read_text(errors="replace") for path in (live.home / "logs").glob("*.log")]
    assert not [value for value in values for text in shown if value in text]
    assert not [text for text in shown if re.search(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.", text)]
