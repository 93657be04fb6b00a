"""The Kubernetes pods that tasks run in: one for each step, with what it needs, and one for all that is no step."""

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.queues import TRAINING

BASE = "base"
"""The container that Airflow runs the task in."""

TRAINING_CPU, TRAINING_MEMORY = 4.0, "8Gi"
OTHER_MEMORY = 2
"""GiB beside the SQL engine: Python, the model, Airflow's own process of the task."""


def pod_file(folder: Path, config: Config, task: str) -> Path:
    """Where the pod of a task is; every task that is no step has that of the pipeline."""
    steps = {step.name for step in _steps()}
    return folder / (f"{config.name}-{task}.yaml" if task in steps else f"{config.name}.yaml")


def pods_of(config: Config, folder: Path, base: Mapping[str, Any] | None = None) -> dict[Path, dict[str, Any]]:
    """The pods of a pipeline, by the file that each goes to.

    Args:
        config: Of the pipeline.
        folder: For the files.
        base: A pod of the user's own that they are made from.

    Raises:
        ConfigError: no image is named, or `base` has no container for the task.
    """
    whole = {pod_file(folder, config, step.name): pod(config, step, base) for step in _steps()}
    return {pod_file(folder, config, ""): pod(config, None, base), **whole}


def pod(config: Config, step: Step | None, base: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The pod of a step, or of what is none: `base` with the image, and what the step asks for in place of its own."""
    made: dict[str, Any] = copy.deepcopy(dict(base)) if base is not None else _plain()
    container = _container(made, config)
    container["image"] = config.workers.image or container.get("image") or _no_image(config)
    asked = _resources(config, step)
    container["resources"] = asked
    threads = str(max(1, math.floor(float(asked["requests"]["cpu"]))))
    kept = [each for each in container.get("env", []) if each.get("name") != "OMP_NUM_THREADS"]
    container["env"] = [*kept, {"name": "OMP_NUM_THREADS", "value": threads}]  # else a thread for each core of the node
    labels = made.setdefault("metadata", {}).setdefault("labels", {})
    labels |= {"app": "pnn-gluon", "pipeline": config.name} | ({"step": step.name} if step else {})
    return made


def _plain() -> dict[str, Any]:
    """A pod with nothing but a container for the task."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pnn-gluon"},  # Airflow gives each its own
        "spec": {"restartPolicy": "Never", "containers": [{"name": BASE}]},
    }


def _container(made: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The container of the task in a pod."""
    spec = made.get("spec")
    found = spec.get("containers") if isinstance(spec, Mapping) else None
    named = [each for each in found or () if isinstance(each, dict) and each.get("name") == BASE]
    if not named:
        raise ConfigError(
            f"{config.path}: workers.pod {config.workers.pod}: expected a pod with a container named {BASE}, in which "
            "Airflow runs the task"
        )
    return named[0]


def _no_image(config: Config) -> str:
    raise ConfigError(
        f"{config.path}: workers.image: needed for pods: the image that holds Airflow, pnn_gluon, this checkout and "
        "its configurations, such as registry.example.com/pnn_gluon:1.0"
    )


def _resources(config: Config, step: Step | None) -> dict[str, Any]:
    """What a container gets: memory is a limit, processors are not, so that idle ones serve whoever needs them."""
    name, given = step.name if step else "", config.workers
    trains = step is not None and step.queue == TRAINING
    cpu = given.cpu.get(name, TRAINING_CPU if trains else float(config.engine.threads))
    memory = given.memory.get(name, TRAINING_MEMORY if trains else f"{_engine_gib(config) + OTHER_MEMORY}Gi")
    gpus = given.gpus.get(name, 0)
    limits = {"memory": memory, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return {"requests": {"cpu": f"{cpu:g}", "memory": memory}, "limits": limits}


def _engine_gib(config: Config) -> int:
    """The memory limit of the SQL engine, in whole GiB."""
    return math.ceil(config.engine.megabytes * 10**6 / 2**30)


def _steps() -> list[Step]:
    return [step for step in STEPS if not step.by_hand]
