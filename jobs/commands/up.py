"""Start the local Airflow."""

from typing import Annotated

import typer

from jobs.command import ConfigOption
from pnn_gluon.config import load_config


def command(
    config: ConfigOption,
    port: Annotated[
        int | None, typer.Option(help="Port of the UI on 127.0.0.1; default: a free one from 8080.")
    ] = None,
    user: Annotated[list[str] | None, typer.Option(help="name:role; with it, the UI asks for a login.")] = None,
) -> None:
    """Start this pipeline's local Airflow with its UI on 127.0.0.1; returns when every part is healthy."""
    from jobs.airflow import local_airflow as local

    path = load_config(config).path
    home = local.home_of(path)
    local.up(home, path, local.port_for(home) if port is None else port, users=user or ())
