"""What the models' files declare, without loading them: options with types and defaults, and what a network has.

`options.json` is made from the models' files by `python -m pnn_gluon.models.declare`; a test compares the two. A model
of the user's, `package.module:Class`, is known by its pattern alone: its options are checked when it is made.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError

from pnn_gluon.errors import ConfigError
from pnn_gluon.models.option import Option
from pnn_gluon.section import Section

TABLE = Path(__file__).with_name("options.json")

TRAITS = ("dense", "attention", "shared_embedding", "wide_without_hidden", "normalized_without_hidden")
"""What a network may have: dense weights, weights of an attention, an embedding of one vector an id; and without hidden
layers a dense layer of more than `EXACT_UNITS` units or products that have its precision, and something that
`normalization` acts on."""

NUMBERS: Mapping[str, Callable[[Mapping[str, Any], int], int]] = {
    "one": lambda options, fields: 1,
    "embedding_size": lambda options, fields: int(options.get("embedding_size", 0)),
    "embedding_size for each other field": lambda options, fields: int(options.get("embedding_size", 0)) * (fields - 1),
    "pieces": lambda options, fields: int(options.get("pieces", 0)),
}
"""How many numbers the widest table of a network has for each id, by options and number of fields."""

OWN_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*"
"""Names of models of the user's: the import path of a class, never a file."""

ADAPTIVE = "adaptive_c"
"""The option that stands for `embedding_sizes`, which it gives by each field's number of ids."""


@dataclass(frozen=True)
class Declared:
    """A model as its file declares it.

    Attributes:
        family: What trains and scores it, see `pnn_gluon.training.families`.
        options: Its options by name.
        has: What its networks have, of `TRAITS`.
        numbers: Which of `NUMBERS` counts the numbers of an id; empty where that is not known.
    """

    family: str
    options: Mapping[str, Option]
    has: frozenset[str]
    numbers: str = ""


@cache
def declared_models() -> Mapping[str, Declared]:
    """All models of the library by name."""
    table = json.loads(TABLE.read_text())
    return {
        name: Declared(
            model["family"],
            {option: Option(form["form"], with_tuples(form["default"])) for option, form in model["options"].items()},
            frozenset(model["has"]),
            model["numbers"],
        )
        for name, model in table.items()
    }


def is_own(name: str) -> bool:
    """Whether a model's name is the import path of a class of the user's."""
    return re.fullmatch(OWN_PATTERN, name) is not None


def declared(name: str) -> Declared:
    """A model of the library, or of the user's: a network that may have all, of options that are not known here.

    Raises:
        ConfigError: there is none of this name.
    """
    if is_own(name):
        return Declared("network", {}, frozenset(TRAITS))
    if name not in declared_models():
        raise ConfigError(unknown_model(name))
    return declared_models()[name]


def default_options(name: str) -> dict[str, Any]:
    """The options of a model with their defaults; none are known of a user's own."""
    return {option: each.default for option, each in declared(name).options.items()}


def resolved_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a model: the given ones over the defaults. `adaptive_c` is there only when given."""
    return default_options(name) | dict(given)


def numbers_an_id(name: str, given: Mapping[str, Any], fields: int) -> int | None:
    """How many numbers the widest table of a model has for each id; None for a user's own, which is not known here.

    Args:
        name: Of the model.
        given: Its options that differ from their defaults.
        fields: Number of fields N of a row.
    """
    count = NUMBERS.get(declared(name).numbers)
    return None if count is None else max(1, count(resolved_options(name, given), fields))


def options_of(name: str) -> frozenset[str]:
    """The options that a configuration may give a model of the library; none for a name that is no model's.

    Besides the declared ones there is `adaptive_c`, which stands for `embedding_sizes`.
    """
    model = declared_models().get(name)
    takes = frozenset(model.options if model else ())
    return takes | {ADAPTIVE} if "embedding_sizes" in takes else takes


def fields_of(name: str, given: Mapping[str, Any]) -> set[str]:
    """Names of the fields that a model's options speak of."""
    options = declared(name).options
    return {field for option in options.keys() & given.keys() for field in options[option].fields_in(given[option])}


def checked_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a model, each of its declared type; those of a user's own as they are, with tuples for lists.

    Raises:
        ValidationError: an option that the model does not take, or a value out of its range.
    """
    if is_own(name):
        return {option: with_tuples(value) for option, value in given.items()}
    try:
        return _table_of(name).model_validate(dict(given)).model_dump(exclude_unset=True)
    except ValidationError as error:
        lines = [_explained(name, item) for item in error.errors()]
        raise ValidationError.from_exception_data(name, lines) from None


def table_of(name: str, options: Mapping[str, Option]) -> type[Section]:
    """A table of options that are all optional and of their types."""
    return create_model(name, __base__=Section, **{key: (each.annotation, None) for key, each in options.items()})  # type: ignore[call-overload,no-any-return]


def unknown_model(name: str) -> str:
    """What is wrong with a name that is no model's."""
    known = declared_models()
    own = "; a class of your own is package.module:Class" if ":" in name or "." in name else ""
    return f"there is no model {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}{own}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that a misspelt one may be, as the end of a sentence."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def with_tuples(value: Any) -> Any:
    """A value as models take it: JSON and TOML have lists for tuples."""
    return tuple(map(with_tuples, value)) if isinstance(value, list | tuple) else value


@cache
def _table_of(name: str) -> type[Section]:
    options = dict(declared(name).options)
    if "embedding_sizes" in options:
        options[ADAPTIVE] = Option({"type": "float", "gt": 0}, None)
    return table_of(name, options)


def _explained(name: str, item: Any) -> InitErrorDetails:
    """An error of pydantic's; of an option that the model does not take, what it takes."""
    location, message, value = item["loc"], item["msg"], item["input"]
    if item["type"] == "extra_forbidden":
        location, message, value = *_not_taken(name, str(item["loc"][0])), {}
    return InitErrorDetails(type=PydanticCustomError("option", "{text}", {"text": message}), loc=location, input=value)


def _not_taken(name: str, option: str) -> tuple[tuple[str, ...], str]:
    """Where and why an option is wrong: one of another model, or of none."""
    takes = sorted(options_of(name))
    allowed = ", ".join(takes) or "none"
    if option == ADAPTIVE:
        return (), f"model {name!r} has no option {ADAPTIVE!r}: its vectors all have one size"
    if any(option in options_of(other) for other in declared_models()):
        return (), f"model {name!r} has no option {option!r}; its options: {allowed}"
    return (
        option,
    ), f"unknown key{did_you_mean(option, ['name', *takes])}; allowed here: {', '.join(['name', *takes])}"
