"""Types of models' options, for the files that declare options and for the configuration; loads no MXNet."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

NAME_PATTERN = r"^[a-z_][a-z0-9_]{0,40}$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class OfField:
    """Marks a text as the name of one of the pipeline's fields."""


FieldName = Annotated[str, Field(pattern=NAME_PATTERN), OfField]
"""The name of one of the pipeline's fields."""


def one_is_a_tuple(value: Any) -> Any:
    """A single number as a tuple of one."""
    return (value,) if isinstance(value, int) else value


Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(one_is_a_tuple)]
"""Some sizes; a single number is a tuple of one."""

Count = Annotated[int, Field(ge=1, lt=2**31)]
Scale = Annotated[float, Field(gt=0)]
Rate = Annotated[float, Field(ge=0, lt=1)]

Activation = Literal["relu", "tanh", "sigmoid", "elu", "selu", "prelu", "dice"]
HiddenActivation = Literal["relu", "tanh", "elu", "selu", "prelu", "dice"]
"""Those of hidden layers in a row, where sigmoids stop learning."""

Normalization = Literal["layer", "batch", "none"]
SubnetNormalization = Literal["fused", "layer", "none"]
Kernel = Literal["matrix", "vector", "number"]
