"""Names of columns as raw files have them: any text where a file names its columns itself, paths in JSON lines."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from pnn_gluon.option_types import NAME_PATTERN

_PLAIN = re.compile(NAME_PATTERN)
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\"\\]")


def _checked(column: str) -> str:
    if _FORBIDDEN.search(column):
        raise ValueError("expected a column's name without control characters, double quotes and backslashes")
    if column != column.strip():
        raise ValueError("expected a column's name without blanks around it")
    return column


Column = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_checked)]
"""A column of raw files: its name, or a path of keys with dots between them into the object of a line of JSON."""


def is_plain(column: str) -> bool:
    """Whether a column is named as a field is: lower-case letters, digits and underscores."""
    return _PLAIN.fullmatch(column) is not None


def is_path(column: str) -> bool:
    """Whether a column is a path of keys: none is empty, and none is `*`, which DuckDB takes for all keys.

    >>> is_path("device.geo.country"), is_path("device..country")
    (True, False)
    """
    return not {"", "*"} & set(column.split("."))


def json_path(column: str) -> str:
    """A path as DuckDB takes it, each key in double quotes, so that no character of a key has a meaning.

    >>> json_path("device.geo country")
    '$."device"."geo country"'
    """
    return "$" + "".join(f'."{key}"' for key in column.split("."))
