"""Start the local Airflow."""

from typing import Annotated, Literal, TypeAlias

import typer

from jobs.command import SomeConfigsOption
from pnn_gluon.config import load_config
from pnn_gluon.ports import HOST

Executor: TypeAlias = Literal["local", "celery"]


def command(
    configs: SomeConfigsOption = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the UI; default: a free one from 8080.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address the UI listens on, 0.0.0.0 for all; one that others reach needs --user.")
    ] = HOST,
    user: Annotated[list[str] | None, typer.Option(help="name:role; with it, the UI asks for a login.")] = None,
    executor: Annotated[Executor, typer.Option(help="Who runs tasks: the scheduler, or workers by Celery.")] = "local",
) -> None:
    """Start the local Airflow of a folder of pipelines, by default conf/; returns when every part is healthy."""
    from jobs.airflow import local_airflow as local
    from jobs.airflow.homes import DEFAULT_CONFIGS, home_of
    from jobs.airflow.settings import Settings

    chosen = configs or DEFAULT_CONFIGS
    if chosen.is_file():
        load_config(chosen)  # of several, one that is wrong stands back for the others; alone, it is an error
    local.up(home_of(chosen), Settings(str(chosen.resolve()), port or 0, host, tuple(user or ()), executor))
