"""A Parquet file of raw rows that a person names: whether it can be read through a bundle."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnn_gluon.errors import InputError

if TYPE_CHECKING:
    from pnn_gluon.data.feature_map import FeatureMap


def described(table: Path) -> tuple[int, dict[str, Any]]:
    """The number of rows of a Parquet file, and the Arrow type of each column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(table) as file:
            return file.metadata.num_rows, {field.name: field.type for field in file.schema_arrow}
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{table}: expected a Parquet file, and cannot read it as one: {error}") from error


def check_columns(
    table: Path, types: dict[str, Any], feature_map: "FeatureMap", carried: Iterable[str], advice: str
) -> None:
    """Raise InputError unless every field has a column that it can be read from, and every carried column is there.

    Args:
        table: The file.
        types: What `described` told of it.
        feature_map: The bundle's.
        carried: Columns that are read besides.
        advice: What to do about one that is missing.
    """
    kinds = {field.name: field.kind for field in feature_map.fields}
    if missing := [name for name in dict.fromkeys((*kinds, *carried)) if name not in types]:
        raise InputError(
            f"{table}: expected the columns {', '.join(missing)}, received only {', '.join(types)}; "
            f"name the columns as the bundle's fields, and {advice}"
        )
    for name, kind in kinds.items():
        if not _readable(types[name], kind):
            expected = f"expected {_EXPECTED[kind]} for a {kind} field, received {types[name]}"
            raise InputError(f"{table}: column {name}: {expected}; cast it")


_EXPECTED = {"categorical": "text or integers", "numeric": "numbers", "multi": "text with separators"}


def _readable(given: Any, kind: str) -> bool:
    """Whether a field of this kind can be read from a column of this Arrow type; a column of nulls always."""
    import pyarrow as pa

    types = pa.types
    value = given.value_type if types.is_dictionary(given) else given
    text = types.is_string(value) or types.is_large_string(value) or types.is_string_view(value)
    number = types.is_floating(value) or types.is_decimal(value)
    readable = {"categorical": text, "numeric": number, "multi": text}[kind]
    return readable or types.is_null(value) or (types.is_integer(value) and kind != "multi")
