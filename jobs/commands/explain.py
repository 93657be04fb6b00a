"""What a model has learned: of any bundle, or of a pipeline's day."""

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pnn_gluon.explaining.rows import Rows
    from pnn_gluon.serving.bundle import Bundle

FORMS = (".json", ".html")
"""Endings of what is written."""

OptionalConfig = Annotated[
    Path | None, typer.Option("--config", envvar="PNN_GLUON_CONFIG", help="With --day: the pipeline's TOML file.")
]


def command(
    bundle: Annotated[Path | None, typer.Argument(help="The bundle's folder; or else --config and --day.")] = None,
    rows: Annotated[
        Path | None, typer.Option(help="Parquet, with a column for each field of the bundle, and label (0 or 1).")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="A column of it, whose rows are drawn together.")] = None,
    weight: Annotated[str | None, typer.Option(help="A column of it: how many impressions a row stands for.")] = None,
    at_most: Annotated[int, typer.Option(help="Rows, chosen by a hash.", min=2, max=20_000)] = 20_000,
    repeats: Annotated[int, typer.Option(help="Of the bootstrap.", min=10, max=10_000)] = 100,
    config: OptionalConfig = None,
    day: Annotated[str | None, typer.Option(help="What the step `explain` found, YYYY-MM-DD.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write a page (.html) or all numbers (.json).")] = None,
) -> None:
    """Importance of fields, strength of pairs of fields, norms of layers, the learning curve.

    A bundle by itself tells pairs and norms; with labelled rows also what each field is worth, and gradients.
    """
    if output is not None and output.suffix not in FORMS:
        raise ConfigError(f"--output {output}: give a name that ends in {' or '.join(FORMS)}")
    if bundle is not None and day is None:
        for option, column in (("--cluster", cluster), ("--weight", weight)):
            if column is not None and rows is None:
                raise ConfigError(f"{option} {column}: a column of --rows, which is not given")
        title, told = f"{bundle}", explained_bundle(bundle, rows, cluster, weight, at_most, repeats)
    elif bundle is None and day is not None and config is not None and rows is None:
        options = load_config(config)
        title, told = f"{options.name}: {day}", explained_day(options, parse_day(day))
    else:
        raise ConfigError("name a bundle's folder, with --rows or without; or a pipeline's day: --config and --day")
    _show(told) if output is None else _write(output, title, told)


def explained_bundle(
    folder: Path, table: Path | None, cluster: str | None, weight: str | None, at_most: int, repeats: int
) -> dict[str, Any]:
    """The explanation of a bundle as plain values.

    Args:
        folder: The bundle's.
        table: Labelled raw rows.
        cluster: A column of theirs.
        weight: That of how many impressions each stands for.
        at_most: How many of them are taken.
        repeats: Of the bootstrap.

    Raises:
        InputError: the bundle or the table cannot be read, or a column is missing.
    """
    from pnn_gluon.explaining.explanation import explain
    from pnn_gluon.explaining.rows import Rows
    from pnn_gluon.serving.bundle import Bundle

    bundle = Bundle.load(folder)
    nothing = Rows.none(bundle.feature_map.layout.slots)
    rows = nothing if table is None else _read(bundle, table, cluster, weight, at_most)
    told: dict[str, Any] = json.loads(explain(bundle, folder, rows, repeats).to_json())
    return told


def _read(bundle: "Bundle", table: Path, cluster: str | None, weight: str | None, at_most: int) -> "Rows":
    from jobs.raw_table import check_columns, described
    from pnn_gluon.config import EngineConfig
    from pnn_gluon.explaining.rows import read_rows

    _, types = described(table)
    needed = ("label", *(name for name in (cluster, weight) if name is not None))
    check_columns(table, types, bundle.feature_map, needed, "the clicks `label`")
    row_id = "row_id" if "row_id" in types else None
    return read_rows(
        bundle.feature_map, EngineConfig(), [table], at_most, row_id=row_id, cluster=cluster, weight=weight
    )


def explained_day(config: Config, day: datetime.date) -> dict[str, Any]:
    """What the step found of the candidate of a day, with the curve of its training.

    Raises:
        InputError: the step has not run, or it had nothing to look at.
    """
    from jobs.day_documents import learning_history
    from pnn_gluon.pipeline.opening import open_store
    from pnn_gluon.pipeline.partition import open_partition
    from pnn_gluon.pipeline.steps import mending_command
    from pnn_gluon.pipeline.tables import EXPLANATION_FILE, EXPLANATIONS, MODELS

    store = open_store(config)
    made = open_partition(store, EXPLANATIONS, day)
    content = None if made is None else made.content(EXPLANATION_FILE)
    if content is None:
        why = "was not looked at" if made is None else f"was not looked at: {made.details.unexplained}"
        command = mending_command(EXPLANATIONS.name, day, config.path)
        raise InputError(f"the candidate of {day} {why}; to do so: {command.removesuffix(' --force')}")
    told: dict[str, Any] = json.loads(content)
    return {**told, "history": told["history"] or learning_history(open_partition(store, MODELS, day))}


def _show(told: Mapping[str, Any]) -> None:
    from jobs.terminal import console
    from pnn_gluon.report.explanation_tables import explanation_tables, explanation_words

    out = console()
    for words in explanation_words(told):
        out.print(words, markup=False, soft_wrap=True)
    for table in explanation_tables(told):
        out.print(table)


def _write(output: Path, title: str, told: Mapping[str, Any]) -> None:
    from pnn_gluon.atomic import write_atomically
    from pnn_gluon.report.pages import render_explanation

    if output.suffix == ".html":
        text = render_explanation(f"{title}: what the model learned", told)
    else:
        text = json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_atomically(output.resolve(), text.encode())
    print(output)
