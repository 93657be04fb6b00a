"""How many parameters a model has, or all models of the paper's Table 10; one JSON line."""

import dataclasses
import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Annotated, Any

import typer

from pnn_gluon.config import ModelConfig, checked_model
from pnn_gluon.errors import ConfigError
from pnn_gluon.training.families import family_of

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}
"""What the command needs of typer: the model's own options are read here."""


def command(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="A model's name.")] = None,
    ids: Annotated[int, typer.Option(help="Number of ids V.", min=1)] = 1_000_000,
    fields: Annotated[int, typer.Option(help="Number of single-valued fields N.", min=1)] = 39,
    paper_table: Annotated[bool, typer.Option("--paper-table", help="Millions of weights, as in Table 10.")] = False,
) -> None:
    """Weights, biases and normalization parameters of a model.

    The model's options follow by name: --embedding-size 20 --hidden 700,700,700 --kernel vector.
    """
    from pnn_gluon.experiments import parameter_counts

    if paper_table == (model is not None):
        raise ConfigError("count-parameters: give either --model NAME or --paper-table")
    if model is None:
        print(json.dumps(parameter_counts.paper_table()))
        return
    if not family_of(model).counted_untrained:
        raise ConfigError(f"count-parameters: the size of {model} is known once it is trained; `fit` tells it")
    options = model_options(model, context.args)
    counts = parameter_counts.count_parameters(model, ids, fields, options.options)
    print(
        json.dumps(
            {
                "model": model,
                "ids": ids,
                "fields": fields,
                "options": options.options,
                **dataclasses.asdict(counts),
                "total": counts.total,
            }
        )
    )


def model_options(model: str, arguments: Sequence[str]) -> ModelConfig:
    """The options of `--name value` pairs, checked as those of a configuration.

    A value is read as JSON where it is JSON, `a,b,c` is a list.

    Raises:
        ConfigError: an option without a value, unknown, or of a wrong value.
    """
    given: dict[str, Any] = {}
    for option, value in zip_longest(arguments[::2], arguments[1::2]):
        if not option.startswith("--") or value is None:
            raise ConfigError(f"model options: expected --name value, received {' '.join(arguments)!r}")
        given[option.removeprefix("--").replace("-", "_")] = _read(value)
    if "adaptive_c" in given:
        raise ConfigError("count-parameters: --adaptive-c needs the ids of each field: give --embedding-sizes")
    return checked_model(model, given)


def _read(value: str) -> Any:
    if "," in value and not value.startswith(("[", '"')):
        return [_read(part) for part in value.split(",") if part]
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
