"""The DAG files of pipelines for an Airflow of one's own."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from jobs.airflow.plugin_stub import write_plugin
from jobs.airflow.pod_files import write_pods
from jobs.airflow.pools import as_arguments, wanted_pools
from jobs.airflow.stubs import write_stubs
from jobs.command import ConfigsOption
from pnn_gluon.config import Config
from pnn_gluon.configurations import load_all
from pnn_gluon.errors import ConfigError, PnnError

log = logging.getLogger(__name__)

_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def command(
    configs: ConfigsOption,
    into: Annotated[Path, typer.Option(help="The folder in which your Airflow looks for DAG files.")],
    plugins: Annotated[
        Path | None, typer.Option(help="The folder in which it looks for plugins: with it, the pages are installed.")
    ] = None,
    pods: Annotated[
        Path | None, typer.Option(help="For Kubernetes: the folder for the pods of tasks, which the scheduler reads.")
    ] = None,
) -> None:
    """Write a DAG file for each pipeline, remove those of pipelines whose file is gone, and make the pools they need.

    The pools are made in the Airflow that the environment names; if it names none that answers, the commands are told.
    A configuration that does not load is told on standard error, and the exit status is 2; the others are ready.
    """
    pipelines, faults = load_all(configs)
    for path in write_stubs(configs, into.resolve(), pods and pods.resolve()):
        print(path)
    if pods is not None:
        faults += _write_pods(pipelines, pods.resolve())
    if plugins is not None:
        print(write_plugin(configs, plugins.resolve()))
    _make_pools(wanted_pools(pipelines))
    for fault in faults:
        log.error("error: %s", fault)
    if faults:
        raise typer.Exit(ConfigError.exit_status)


def _write_pods(pipelines: Iterable[Config], folder: Path) -> list[str]:
    """Write the pods of pipelines; what is wrong with those that have none."""
    faults = []
    for config in pipelines:
        try:
            for path in write_pods(config, folder):
                print(path)
        except ConfigError as error:
            faults.append(str(error))
    return faults


def _make_pools(wanted: Mapping[str, int]) -> None:
    """Make the missing pools, or else say how to."""
    try:
        made = _made(wanted)
    except PnnError as error:
        print(f"Pools were not looked at: {error}. A task waits for ever for a pool that is missing; make them by")
        made = []
        for name, slots in wanted.items():
            print(f"airflow pools set {name} {slots} pnn_gluon")
    for name in made:
        print(f"pool {name}: {wanted[name]} slots")


def _made(wanted: Mapping[str, int]) -> list[str]:
    """The pools that were missing in the Airflow of this environment, now made.

    Raises:
        PnnError: there is none, or it cannot be used.
    """
    if not any(name.startswith(("AIRFLOW_HOME", _DATABASE)) for name in os.environ):
        raise PnnError(f"neither AIRFLOW_HOME nor {_DATABASE} names an Airflow")
    command = [sys.executable, "-m", "jobs.airflow.pools", *as_arguments(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = re.findall(r"(?m)^[\w.]*(?:Error|Exception|NotFound): .*", done.stderr)
        raise PnnError((errors or [f"it ended with status {done.returncode}"])[-1])
    return [name for name in done.stdout.split() if name in wanted]
