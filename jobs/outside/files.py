"""The files by which MPI, Kubernetes, Spark or Airflow start the processes of a cluster."""

import datetime
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.airflow.pod_files import own_pod
from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from pnn_gluon.extras import require
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pods import BASE, pod
from pnn_gluon.ports import HOST

KINDS = ("mpi", "kubernetes", "spark", "airflow")

POOL = "pnn_gluon_cluster"

_AIRFLOW_DAY = "{{ params.day }}"


def cluster_files(kind: str, config: Config, day: datetime.date, port: int) -> Mapping[str, str]:
    """What is in the files for a way to start the step train of a day, by their names.

    Args:
        kind: One of `KINDS`.
        config: The pipeline.
        day: The day; that of Airflow is a parameter of the run, and this its default.
        port: Where the scheduler listens.

    Raises:
        ConfigError: no such kind, or for Kubernetes the configuration names no image.
    """
    name = _name(config, day)
    if kind == "kubernetes":
        return {f"{name}.yaml": _kubernetes(config, day, port)}
    given = _given(config, day, port)
    files = {
        "mpi": {f"{name}.mpi.sh": "mpi.sh.j2", f"{name}.hosts.txt": "hosts.txt.j2"},
        "spark": {f"{name}.spark.py": "spark.py.j2"},
        "airflow": {f"{_dag_id(config)}.py": "airflow.py.j2"},
    }
    if kind not in files:
        raise ConfigError(f"--render {kind!r}: expected one of {', '.join(KINDS)}")
    if kind == "airflow":
        given["command"] = _command(config, _AIRFLOW_DAY)
    return {name: _filled(template, given) for name, template in files[kind].items()}


def processes_of(config: Config) -> list[str]:
    """What each process is, by its number: the scheduler, then servers, then workers."""
    servers, workers = config.engine.cluster.servers, config.training.workers
    return ["scheduler", *(f"server_{i}" for i in range(servers)), *(f"worker_{i}" for i in range(workers))]


def _given(config: Config, day: datetime.date, port: int) -> dict[str, Any]:
    """What the templates are filled with."""
    cluster, name = config.engine.cluster, _name(config, day)
    return {
        "name": name,
        "day": day,
        "dag_id": _dag_id(config),
        "processes": processes_of(config),
        "made_of": f"a scheduler, {cluster.servers} servers, {config.training.workers} workers",
        "command": _command(config, str(day)),
        "root": cluster.address or HOST,
        "port": port,
        "hosts": _slots(config),
        "hostfile": f"{name}.hosts.txt",
        "pool": POOL,
        "hours": step("train").hours,
    }


def _slots(config: Config) -> dict[str, int]:
    """How many processes each host gets; the scheduler's is the first."""
    cluster, slots = config.engine.cluster, dict[str, int]()
    wanted = [(cluster.server_hosts, cluster.servers), (cluster.worker_hosts, config.training.workers)]
    for host in (cluster.address or HOST, *(host for hosts, count in wanted for host in _turns(hosts, count))):
        slots[host] = slots.get(host, 0) + 1
    return slots


def _turns(hosts: tuple[str, ...], count: int) -> list[str]:
    return [(hosts or (HOST,))[number % len(hosts or (HOST,))] for number in range(count)]


def _command(config: Config, day: str) -> list[str]:
    """What every process runs."""
    return [sys.executable, "-m", "jobs", *_arguments(config, day)]


def _arguments(config: Config, day: str) -> list[str]:
    return ["train-cluster", "--one-role", "--config", str(config.path.resolve()), "--day", day]


def _kubernetes(config: Config, day: datetime.date, port: int) -> str:
    """A headless service and an Indexed Job, whose pod is that of the step train: its image, resources and volumes.

    Pod 0 is the scheduler, and the service gives it its name.
    """
    require("yaml")
    import yaml

    name, count = _name(config, day), len(processes_of(config))
    template = pod(config, step("train"), own_pod(config))
    spec, labels = template["spec"], template["metadata"]["labels"]
    container = next(each for each in spec["containers"] if each["name"] == BASE)
    container["command"] = ["pnn-gluon", *_arguments(config, str(day))]  # as the image has it
    container["env"] += [
        {"name": "DMLC_PS_ROOT_URI", "value": f"{name}-0.{name}"},
        {"name": "DMLC_PS_ROOT_PORT", "value": str(port)},
        {"name": "DMLC_NODE_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    spec |= {"subdomain": name, "restartPolicy": "Never"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,  # the scheduler is looked for before it listens
            "selector": {"job-name": name},
            "ports": [{"name": "scheduler", "port": port}],
        },
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": count,
            "backoffLimit": 0,  # a process cannot come back alone: apply the job again, it goes on from its checkpoint
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    return str(yaml.safe_dump_all([service, job], sort_keys=False))


def _name(config: Config, day: datetime.date) -> str:
    """A name that everything allows, Kubernetes too."""
    return f"train-{re.sub('[^a-z0-9]+', '-', config.name.lower())[:40].strip('-')}-{day}"


def _dag_id(config: Config) -> str:
    return f"{config.name}_train_cluster"


def _filled(template: str, given: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    environment.filters.update(python=repr, quoted=shlex.quote, joined=shlex.join)
    return environment.get_template(template).render(given)
