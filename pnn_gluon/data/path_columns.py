"""Columns that the path of a file tells by folders named after them, as Hive names its partitions: `country=DE/`."""

import urllib.parse

from pnn_gluon.data.raw_files import RawFile
from pnn_gluon.errors import InputError

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What Hive, Spark and pandas call the folder of rows without a value."""


def tells(raw: RawFile, column: str) -> bool:
    """Whether a folder has the name of a column."""
    return _found(raw, column) is not None


def path_value(raw: RawFile, column: str) -> str | None:
    """The value of a column, by the innermost folder with its name in either case; None for rows without a value.

    Raises:
        InputError: no folder below the pattern's fixed one has such a name, or it holds what is no text.
    """
    found = _found(raw, column)
    if found is None:
        raise InputError(
            f"{raw.path}: no folder {column}=... in {raw.name!r}, the part below the fixed folder of its pattern, for "
            "`path_columns`; write the folder with a wildcard in the pattern, or correct the path"
        )
    value = urllib.parse.unquote(found, errors="backslashreplace")
    if "\0" in value:
        raise InputError(f"{raw.path}: the folder {column}=... holds a NUL character; name it otherwise")
    return None if value == NO_VALUE else value


def _found(raw: RawFile, column: str) -> str | None:
    folders = (folder.partition("=") for folder in reversed(raw.name.split("/")[:-1]))
    return next((value for name, equals, value in folders if equals and name.lower() == column.lower()), None)
