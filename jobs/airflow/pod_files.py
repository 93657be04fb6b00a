"""The files with the pods of pipelines' tasks, for an Airflow on Kubernetes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnn_gluon.atomic import write_atomically
from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from pnn_gluon.extras import require
from pnn_gluon.pods import pods_of

MARK = "# Written by pnn-gluon for Airflow on Kubernetes. Not to be edited: it is written again.\n"


def write_pods(config: Config, folder: Path) -> list[Path]:
    """Write the pods of a pipeline; the files.

    Raises:
        ConfigError: it names no image, its own pod cannot be read or is none, or a file of that name is in the way.
    """
    require("yaml")
    import yaml

    pods = pods_of(config, folder, own_pod(config))
    for path in pods:
        if path.exists() and not path.read_text(errors="replace").startswith(MARK):
            raise ConfigError(
                f"{path} is in the way and was not written by pnn-gluon: move it, or choose another folder"
            )
    for path, pod in pods.items():
        write_atomically(path, (MARK + yaml.safe_dump(pod, sort_keys=False)).encode())
    return list(pods)


def own_pod(config: Config) -> Mapping[str, Any] | None:
    """The pod that the configuration names, None if it names none."""
    import yaml

    if config.workers.pod is None:
        return None
    path = Path(config.resolve(config.workers.pod))
    expected = f"{config.path}: workers.pod {path}: expected a YAML file with a pod"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{expected}: {error}") from None
    if not isinstance(found, dict) or found.get("kind") != "Pod":
        raise ConfigError(f"{expected} (kind: Pod)")
    return found
