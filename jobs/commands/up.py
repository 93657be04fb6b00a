"""Start the local Airflow."""

from typing import Annotated

import typer

from jobs.command import SomeConfigsOption
from pnn_gluon.config import load_config


def command(
    configs: SomeConfigsOption = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the UI on 127.0.0.1; default: a free one from 8080.")
    ] = None,
    user: Annotated[list[str] | None, typer.Option(help="name:role; with it, the UI asks for a login.")] = None,
) -> None:
    """Start the local Airflow of a folder of pipelines, by default conf/; returns when every part is healthy."""
    from jobs.airflow import local_airflow as local

    chosen = configs or local.DEFAULT_CONFIGS
    if chosen.is_file():
        load_config(chosen)  # of several, one that is wrong stands back for the others; alone, it is an error
    home = local.home_of(chosen)
    local.up(home, chosen, local.port_for(home) if port is None else port, users=user or ())
