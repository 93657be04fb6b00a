"""Training by processes that something else starts: the files for it, and some of them run for real."""

import ast
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import kubernetes_validate
import pytest
import typer
import yaml

from jobs.commands.train_cluster import command
from jobs.outside.files import cluster_files, processes_of
from jobs.running import run_step
from pnn_gluon.cluster.member import await_scheduler, own_host, role_of, root_of
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from tests.jobs.small_pipeline import DAILY, DAYS, PIPELINE, build, write_raw

DAY = DAYS[0]
MPIRUN = """#!{python}
import os, subprocess, sys
count, command = int(sys.argv[2]), sys.argv[3:]
assert sys.argv[1] == "-n"
while command[0] == "-x":
    assert command.pop(0) and os.environ[command.pop(0)]
ranks = [subprocess.Popen(command, env=os.environ | {{"OMPI_COMM_WORLD_RANK": str(rank)}}) for rank in range(count)]
sys.exit(max(rank.wait() for rank in ranks))
"""
"""Stands for Open MPI on one machine."""


def distributed(folder: Path, lines: str = "", workers: int = 2) -> Config:
    """A pipeline whose model is trained by a cluster."""
    path = folder / "pipeline.toml"
    text = PIPELINE.replace("[training]\n", f'[training]\nkvstore = "dist_sync"\nworkers = {workers}\n')
    path.write_text(f"{text}\n[engine.cluster]\nstall_seconds = 300\n{lines}\n")
    return load_config(path)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pipeline with a day that waits to be trained on."""
    folder = tmp_path_factory.mktemp("encoded")
    write_raw(folder / "raw", [DAY])
    build(distributed(folder), [DAY], DAILY[: DAILY.index("train")])
    return folder


def copied(encoded: Path, folder: Path, workers: int = 2) -> Config:
    shutil.copytree(encoded, folder)
    return distributed(folder, workers=workers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def model(config: Config) -> dict[str, bytes]:
    """The files of the day's model."""
    store = open_store(config)
    manifest = store.manifest("models", DAY)
    assert manifest is not None
    folder = store.folder(manifest)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "manifest.json"}


def render(config: Config, kind: str, into: Path) -> list[Path]:
    """The files that the command writes for this machine."""
    into.mkdir()
    command(config.path, str(DAY), render=kind, into=into, port=free_port())
    return sorted(into.iterdir())


@pytest.mark.long
def test_what_mpi_starts_trains_the_model_of_the_step(encoded: Path, tmp_path: Path) -> None:
    one, other = copied(encoded, tmp_path / "one"), copied(encoded, tmp_path / "other")
    assert run_step(step("train"), one, DAY).status == "done"
    hosts, script = render(other, "mpi", tmp_path / "files")
    assert hosts.read_text() == "127.0.0.1 slots=4\n"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mpirun").write_text(MPIRUN.format(python=sys.executable))
    (tmp_path / "bin" / "mpirun").chmod(0o755)
    variables = os.environ | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    for status in ("done", "skipped"):  # a second time servers and workers find nothing to do and end
        done = subprocess.run(["sh", script], capture_output=True, text=True, env=variables, check=False)
        assert done.returncode == 0, done.stderr
        assert f'"status": "{status}"' in done.stdout
    assert model(other) == model(one)


def test_pods_of_a_cluster_are_pods_of_the_step_train(tmp_path: Path) -> None:
    config = distributed(
        tmp_path, 'servers = 2\n[workers]\nimage = "registry.example.com/pnn:1"\nmemory = { train = "3Gi" }'
    )
    (text,) = cluster_files("kubernetes", config, DAY, 9091).values()
    service, job = yaml.safe_load_all(text)
    for document in (service, job):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 5, 5)
    name = service["metadata"]["name"]
    assert spec["template"]["spec"]["subdomain"] == name
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    (container,) = spec["template"]["spec"]["containers"]
    assert (container["image"], container["resources"]["limits"]["memory"]) == ("registry.example.com/pnn:1", "3Gi")
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert root_of(given) == (f"{name}-0.{name}", 9091)
    assert len(f"{name}-0") < 64


def test_mpi_gets_a_slot_for_each_process_and_the_scheduler_first(tmp_path: Path) -> None:
    lines = 'servers = 3\nworker_hosts = ["w1", "w2"]\nserver_hosts = ["s1", "w1"]\naddress = "10.0.0.5"'
    script, hosts = cluster_files("mpi", distributed(tmp_path, lines), DAY, 9091).values()
    assert hosts == "10.0.0.5 slots=1\ns1 slots=2\nw1 slots=2\nw2 slots=1\n"
    assert "DMLC_PS_ROOT_URI=10.0.0.5 DMLC_PS_ROOT_PORT=9091" in script
    assert "mpirun -n 6 " in script


def test_a_process_is_what_its_number_says(tmp_path: Path) -> None:
    names = processes_of(distributed(tmp_path, "servers = 2"))
    for variable in ("PNN_GLUON_CLUSTER_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "JOB_COMPLETION_INDEX"):
        roles = [role_of({variable: str(rank)}, servers=2, workers=2) for rank in range(5)]
        assert roles == [name.partition("_")[0] for name in names]
        with pytest.raises(ConfigError, match=f"{variable} is '5', expected 0 to 4: one scheduler, 2 servers"):
            role_of({variable: "5"}, servers=2, workers=2)
    assert role_of({"DMLC_ROLE": "server", "PMI_RANK": "0"}, 1, 1) == "server"
    with pytest.raises(ConfigError, match="DMLC_ROLE is 'boss'"):
        role_of({"DMLC_ROLE": "boss"}, 1, 1)
    with pytest.raises(ConfigError, match="no variable says which process"):
        role_of({}, 1, 1)


@pytest.mark.parametrize("port", ["0", "65536", "x", ""])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ConfigError, match="expected a host and a port"):
        root_of({"DMLC_PS_ROOT_URI": "10.0.0.5", "DMLC_PS_ROOT_PORT": port})


def test_a_process_listens_where_it_is_told_or_where_the_scheduler_sees_it() -> None:
    assert own_host({"DMLC_NODE_HOST": "10.0.0.7"}, ("127.0.0.1", 9091)) == "10.0.0.7"
    assert own_host({}, ("127.0.0.1", 9091)) == "127.0.0.1"


def test_the_scheduler_is_waited_for_no_longer_than_stated() -> None:
    port = free_port()
    assert not await_scheduler(("127.0.0.1", port), 5, lambda: True)
    with pytest.raises(PnnError, match=rf"no scheduler listened on 127.0.0.1:{port} within 0.5 seconds"):
        await_scheduler(("127.0.0.1", port), 0.5, lambda: False)
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        threading.Timer(0.5, server.listen).start()
        assert await_scheduler(("127.0.0.1", port), 20, lambda: False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"render": "slurm"}, "--render 'slurm': expected one of mpi, kubernetes, spark, airflow"),
        ({"one_role": True}, "no variable says which process this is to be"),
        ({"worker_hosts": "a,b"}, "--worker-hosts.*worker_hosts, server_hosts and address go together"),
        ({"render": "kubernetes"}, "workers.image: needed for pods"),
    ],
)
def test_what_cannot_be_started_is_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        command(distributed(tmp_path).path, str(DAY), **options)  # type: ignore[arg-type]


def test_one_role_needs_to_know_where_the_scheduler_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "1")
    with pytest.raises(ConfigError, match="--one-role needs DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT"):
        command(distributed(tmp_path).path, str(DAY), one_role=True)


def test_a_pipeline_of_one_process_has_no_cluster(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    with pytest.raises(ConfigError, match=r"training.kvstore = 'device' has no cluster: set 'dist_sync'"):
        command(tmp_path / "pipeline.toml", str(DAY))


def test_hosts_of_the_command_take_the_place_of_those_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr("jobs.commands.train_cluster.run_step", lambda *given: seen.append(given[1]) or 0)
    lines = 'servers = 3\nworker_hosts = ["w1"]\nserver_hosts = ["s1"]\naddress = "10.0.0.5"'
    with pytest.raises(typer.Exit):
        command(
            distributed(tmp_path, lines).path, str(DAY), worker_hosts="w2,w3", server_hosts="s2", address="10.0.0.6"
        )
    cluster = seen[0].engine.cluster
    assert (cluster.servers, cluster.stall_seconds) == (3, 300)
    assert (cluster.worker_hosts, cluster.server_hosts, cluster.address) == (("w2", "w3"), ("s2",), "10.0.0.6")


def test_the_program_for_spark_is_whole(tmp_path: Path) -> None:
    (text,) = cluster_files("spark", distributed(tmp_path), DAY, 9091).values()
    names = {
        each.targets[0].id: each.value
        for each in ast.parse(text).body
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    }
    assert ast.literal_eval(names["COMMAND"])[-2:] == ["--day", str(DAY)]


@pytest.mark.long
def test_a_barrier_stage_of_spark_trains_the_model_of_the_step(encoded: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed: make .venv/spark.stamp")
    if shutil.which("java") is None:
        pytest.skip("no Java on this machine")
    one, other = (copied(encoded, tmp_path / name, workers=1) for name in ("one", "other"))
    assert run_step(step("train"), one, DAY).status == "done"
    (script,) = render(other, "spark", tmp_path / "files")
    variables = os.environ | {"PYSPARK_SUBMIT_ARGS": "--master local[3] --conf spark.ui.enabled=false pyspark-shell"}
    variables |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, done.stderr
    assert model(other) == model(one)
