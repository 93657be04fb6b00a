"""Another value of an option than its default, from what the model's file declares."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from pnn_gluon.models.declared import declared

OF_FOUR_FIELDS = {"embedding_sizes": (2, 3, 2, 3), "crosses": (("a", "b"),)}
VALUES = ((3, 2), (2, 3), 2, 3, 0.5, 0.25, "c", True, False)
"""Values that keep a model small, one or more of every type; "c" is a field of the tests."""


def other_value(model: str, option: str) -> Any:
    """A value that the option takes and that is not the model's default.

    Raises:
        LookupError: there is none among those that are tried.
    """
    if option in OF_FOUR_FIELDS:
        return OF_FOUR_FIELDS[option]
    taken = declared(model).options[option]
    check = TypeAdapter(taken.annotation)
    for value in (*reversed(taken.form.get("choices", ())), *VALUES):
        if value != taken.default and _is_taken(check, value):
            return value
    raise LookupError(f"{model}.{option}: none of the values of this module is one of {taken.form}")


def _is_taken(check: TypeAdapter[Any], value: Any) -> bool:
    try:
        check.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
