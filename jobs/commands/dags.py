"""The DAG files of pipelines for an Airflow of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.command import ConfigsOption


def command(
    configs: ConfigsOption,
    into: Annotated[Path, typer.Option(help="The folder in which your Airflow looks for DAG files.")],
) -> None:
    """Write a DAG file for each pipeline, and remove those of pipelines whose file is gone."""
    from jobs.airflow.stubs import write_stubs

    for stub in write_stubs(configs, into.resolve()):
        print(stub)
