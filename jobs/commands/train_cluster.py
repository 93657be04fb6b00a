"""Training by many processes: all that a step starts, one of them, or the files by which something else starts them."""

import datetime
import os
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from jobs.command import ConfigOption, DayOption, ForceOption, guarded, print_outcome
from jobs.running import run_step
from pnn_gluon.atomic import write_atomically
from pnn_gluon.config import ClusterConfig, Config, load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step

HostsOption = Annotated[str, typer.Option(help="By commas, reached by ssh; in place of the configuration's.")]


def command(
    config: ConfigOption,
    day: DayOption,
    force: ForceOption = False,
    worker_hosts: HostsOption = "",
    server_hosts: HostsOption = "",
    address: Annotated[str, typer.Option(help="This machine's, as those hosts reach it.")] = "",
    one_role: Annotated[
        bool, typer.Option("--one-role", help="Be the one process that variables of the environment say.")
    ] = False,
    render: Annotated[str, typer.Option(help="Write files instead: mpi, kubernetes, spark or airflow.")] = "",
    into: Annotated[Path, typer.Option(help="The folder for them.")] = Path(),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the scheduler, in these files.")] = 9091,
) -> None:
    """The step train of a day, whose processes all run here, or on hosts, or are started by something else."""
    options, when = _on_hosts(load_config(config), worker_hosts, server_hosts, address), parse_day(day)
    if not options.training.distributed:
        raise ConfigError(f"{config}: training.kvstore = {options.training.kvstore!r} has no cluster: set 'dist_sync'")
    if render:
        _write(options, when, render, into, port)
    elif one_role and (role := _role(options)) != "scheduler":
        _join(options, when, role, force)
    else:
        raise typer.Exit(print_outcome(guarded(lambda: run_step(step("train"), options, when, force))))


def _on_hosts(config: Config, workers: str, servers: str, address: str) -> Config:
    """The configuration with these hosts, if any are given."""
    if not (workers or servers or address):
        return config
    kept = config.engine.cluster.model_dump(include={"servers", "stall_seconds"})
    try:
        cluster = ClusterConfig(
            **kept, worker_hosts=_names(workers), server_hosts=_names(servers), address=address or None
        )
    except ValidationError as error:
        raise ConfigError(f"--worker-hosts, --server-hosts, --address: {error.errors()[0]['msg']}") from None
    return config.model_copy(update={"engine": config.engine.model_copy(update={"cluster": cluster})})


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _role(config: Config) -> str:
    """The role of this process; taken out of its environment, as MXNet would play it inside its import."""
    from pnn_gluon.cluster.member import role_of, root_of

    role = role_of(os.environ, config.engine.cluster.servers, config.training.workers)
    if root_of(os.environ) is None:
        raise ConfigError("--one-role needs DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT: where the scheduler listens")
    os.environ.pop("DMLC_ROLE", None)
    return role


def _join(config: Config, day: datetime.date, role: str, force: bool) -> None:
    """Be a server or a worker of the step that another process runs."""
    from pnn_gluon.cluster.job import JOB_FILE
    from pnn_gluon.cluster.launcher import join
    from pnn_gluon.cluster.member import await_scheduler, own_host, root_of
    from pnn_gluon.pipeline.states import day_states

    root, store, train = root_of(os.environ), open_store(config), step("train")
    assert root is not None

    def nothing_to_do() -> bool:
        return not force and day_states(config, [day])[day][train.name].word in {"done", "kept"}

    if await_scheduler(root, config.engine.cluster.stall_seconds, nothing_to_do):
        folders = (folder / "training" for folder in store.scratches(train.table.name, day))
        folder = next(folder for folder in folders if (folder / JOB_FILE).exists())
        join(folder, role, root, own_host(os.environ, root))


def _write(config: Config, day: datetime.date, kind: str, into: Path, port: int) -> None:
    """Write the files by which something else starts the processes, and print their paths."""
    from jobs.outside.files import cluster_files

    for name, text in cluster_files(kind, config, day, port).items():
        write_atomically(into / name, text.encode())
        print(into / name)
