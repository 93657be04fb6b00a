"""A cluster of a master and two workers, as processes of this machine."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from part_functions import Number, write, write_slowly

from pnn_gluon.config import EngineConfig
from pnn_gluon.warehouse.part_engine import map_parts

pyspark = pytest.importorskip("pyspark")
TESTS = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def begin(name: str, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
    command = [str(program), f"org.apache.spark.deploy.{name}", *arguments]
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineConfig]:
    """Two workers of one core each."""
    folder, port = tmp_path_factory.mktemp("cluster"), free_port()
    url = f"spark://127.0.0.1:{port}"
    here = ["--host", "127.0.0.1", "--webui-port", "0"]
    master = begin("master.Master", folder / "master.log", *here, "--port", str(port))
    wait_for(lambda: "I have been elected leader" in (folder / "master.log").read_text())
    work = [*here, "--cores", "1", "--memory", "1g", "--work-dir", str(folder / "work"), url]
    workers = [begin("worker.Worker", folder / f"worker{n}.log", *work) for n in range(2)]
    options = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "512m",
        "spark.pyspark.python": sys.executable,
        "spark.executorEnv.PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
    }
    try:
        yield EngineConfig(kind="spark", memory_limit="300MB", spark_master=url, spark_options=options)
    finally:
        from pnn_gluon.warehouse.spark_engine import end_sessions

        end_sessions()
        for process in (*workers, master):
            process.terminate()
        for process in (*workers, master):
            process.wait(timeout=30)


def executors() -> list[psutil.Process]:
    """The processes of this test's executors."""
    own = psutil.Process().children(recursive=True)
    return [each for each in own if any("CoarseGrainedExecutorBackend" in word for word in words_of(each))]


def words_of(process: psutil.Process) -> list[str]:
    """How a process was begun; nothing of one that has ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def numbers(folder: Path, count: int) -> list[Number]:
    folder.mkdir()
    return [Number(number, folder / f"{number}.txt") for number in range(count)]


def test_two_workers_share_the_parts(cluster: EngineConfig, tmp_path: Path) -> None:
    assert map_parts(cluster, write, numbers(tmp_path / "made", 6)) == [(n, 1, "300MB") for n in range(6)]
    assert len(executors()) == 2


def test_parts_of_an_executor_that_is_killed_are_made_again(cluster: EngineConfig, tmp_path: Path) -> None:
    killed = []

    def kill_one() -> None:
        wait_for(lambda: any((tmp_path / "made").glob(".attempt-*/*.txt")))
        killed.append(executors()[0])
        killed[0].kill()

    parts, killer = numbers(tmp_path / "made", 4), threading.Thread(target=kill_one)
    killer.start()
    found = map_parts(cluster, write_slowly, parts)
    killer.join()
    assert len(killed) == 1
    assert [number for number, _ in found] == [*range(4)]
    assert [part.path.read_text() for part in parts] == [*"0123"]
    assert len([*(tmp_path / "made").glob("at-*")]) > 4  # one part was begun twice
