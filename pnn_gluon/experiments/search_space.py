"""The table `[tune]` of paper mode: which options to search over, and between what."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationError, create_model, model_validator

from pnn_gluon.config import ModelOptions
from pnn_gluon.experiments.training_table import TrainingTable
from pnn_gluon.models.declared import declared_models, options_of
from pnn_gluon.section import Section
from pnn_gluon.training.families import family_of

_DECIDE_THE_VALUE = {"metric", "loss"}
"""Options of training that are not searched over: values of trials with others could not be compared."""

# fmt: off
_FIRST_DRAWN = (
    "embedding_size", "embedding_init", "init_scale", "hidden", "activation", "dropout", "normalization",
    "attention_size", "temperature", "pooling_dropout", "kernel", "embedding_sizes", "adaptive_c",
    "subnet_hidden", "subnet_outputs", "subnet_normalization", "kernel_width", "filters", "pooled_values",
    "crosses", "cross_buckets", "residual_units", "pieces", "cross_layers", "feature_maps", "attention_layers",
    "heads", "head_size", "candidate", "history", "attention_hidden", "attention_activation", "trees", "depth",
    "shrinkage", "min_child_weight", "subsample", "bins",
)
# fmt: on
"""Options of models in the order in which they are drawn and shown; all others come after them, by name.

A value depends on how many were drawn before it, so the order is part of what a seed means: it never changes.
"""


class Range(Section):
    """Numbers from low to high, both included; `log` for steps by ratio.

    They are whole for an option that takes whole numbers. Integers in the file for another option are made floats.
    """

    low: int | float
    high: int | float
    step: Annotated[int | float, Field(gt=0)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"`low` {self.low} must be below `high` {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("`log` needs `low` above 0 and no `step`")
        steps = (self.high - self.low) / self.step if self.step else 1.0
        if abs(steps - round(steps)) > 1e-8:
            raise ValueError(f"`high` {self.high} is not `low` {self.low} and a number of steps of {self.step}")
        return self

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int) and isinstance(self.step or 1, int)


Choices = tuple[Any, ...]
"""Any of some values, which may be lists."""

_Searched = Annotated[
    Annotated[Range, Tag("table")] | Annotated[Choices, Field(min_length=1), Tag("list")],
    Discriminator(
        lambda given: (
            "list" if isinstance(given, list | tuple) else "table" if isinstance(given, dict | Range) else None
        ),
        custom_error_type="neither_range_nor_choices",
        custom_error_message="expected a list of values, or a table with `low` and `high`",
    ),
]


def _value_of(table: type[Section], key: str, given: dict[str, Any], value: Any) -> Any:
    """A value as the option's table takes it."""
    try:
        return getattr(table.model_validate({**given, key: value}), key)
    except ValidationError as error:
        raise ValueError(f"{value!r}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _fitted(check: Callable[[Any], Any], searched: Range | Choices) -> Range | Choices:
    """Ranges and choices whose values the option takes."""
    if isinstance(searched, Range):
        ends = check(searched.low), check(searched.high)
        whole = not any(isinstance(end, float) for end in ends)
        if whole and not searched.whole:
            raise ValueError("takes whole numbers: `low`, `high` and `step` must be whole")
        made = {name: getattr(searched, name) for name in ("low", "high", "step")}
        floats = {name: None if number is None else float(number) for name, number in made.items()}
        return searched if whole else searched.model_copy(update=floats)
    for number, choice in enumerate(searched):
        check(choice)
        if choice in searched[:number]:
            raise ValueError(f"{choice!r} is there twice")
    return searched


def _table(name: str, checks: dict[str, Callable[[Any], Any]]) -> Any:
    """A table that takes a range or choices for each of some options."""
    fields: Any = {
        key: (Annotated[_Searched, AfterValidator(partial(_fitted, check))] | None, None)
        for key, check in checks.items()
    }
    return create_model(name, __base__=Section, **fields)


def _model_checks() -> dict[str, Callable[[Any], Any]]:
    """For each option of models, what checks a value, on a model that takes it."""
    holders = {key: model for model in declared_models() for key in options_of(model)}
    keys = [*_FIRST_DRAWN, *sorted(holders.keys() - set(_FIRST_DRAWN))]
    return {key: partial(_value_of, ModelOptions, key, {"name": holders[key]}) for key in keys}


def _training_checks() -> dict[str, Callable[[Any], Any]]:
    keys = [key for key in TrainingTable.model_fields if key not in _DECIDE_THE_VALUE]
    return {key: partial(_value_of, TrainingTable, key, {}) for key in keys}


if TYPE_CHECKING:
    _ModelSpace = Section
    _TrainingSpace = Section
else:
    _ModelSpace = _table("ModelSpace", _model_checks())
    _TrainingSpace = _table("TrainingSpace", _training_checks())


class _Space(Section):
    """Options by table, each with its range or choices."""

    model: _ModelSpace = _ModelSpace()
    training: _TrainingSpace = _TrainingSpace()


class SearchSpace(Section):
    """What a search varies, and whether hopeless trials are stopped early."""

    space: _Space
    prune: bool = False

    def space_of(self, model: str) -> dict[str, Range | Choices]:
        """The options `table.key` that a model takes: those of training, and those of models that are its own."""
        of_family = family_of(model).paper_options
        training = frozenset(TrainingTable.model_fields) if of_family is None else of_family
        takes = {"model": options_of(model), "training": training}
        return {
            f"{table}.{key}": searched
            for table, options in self.space
            for key, searched in options
            if searched is not None and key in takes[table]
        }
