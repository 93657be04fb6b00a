"""The pipelines that the pages know; nothing else is ever looked up."""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pnn_gluon.config import Config
from pnn_gluon.configurations import load_all, pipeline_files

DAILY = "_daily"
"""What a pipeline's daily DAG is named after it."""

_DAG = re.compile(r"(?P<name>.+)_(?:daily|nightly|scores|export|promote)")


class Pipelines(NamedTuple):
    """The pipelines by name, and the names of the files that do not load, which Airflow lists as import errors."""

    known: dict[str, Config]
    broken: tuple[str, ...]

    def of_dag(self, dag_id: str) -> Config | None:
        """The pipeline that a DAG belongs to, None for a DAG of something else."""
        found = _DAG.fullmatch(dag_id)
        return None if found is None else self.known.get(found["name"])

    def of_daily(self, dag_id: str) -> Config | None:
        """The pipeline whose daily DAG this is, None for any other DAG."""
        return self.known.get(dag_id.removesuffix(DAILY)) if dag_id.endswith(DAILY) else None


def pipelines(configs: Path) -> Pipelines:
    """The pipelines of a folder, or of a single file, as the files are now.

    Raises:
        ConfigError: there is no such folder, or nothing in it.
    """
    found = [(path, path.stat()) for path in pipeline_files(configs)]
    return _loaded(configs, tuple((path.name, stat.st_mtime_ns, stat.st_size) for path, stat in found))


@lru_cache(maxsize=1)
def _loaded(configs: Path, files: tuple[tuple[str, int, int], ...]) -> Pipelines:
    """Those that have DAGs, while the files are in this state."""
    loaded, _ = load_all(configs)
    there = {config.path.name for config in loaded}
    broken = tuple(name for name, _, _ in files if name not in there)
    return Pipelines({config.name: config for config in loaded}, broken)
