"""Which slice a row is of: by known or new values whatever the fields are called, and by the values of fields."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.steps.slicing import IDS, KNOWN_OR_NEW, MISSING, OTHERS, Slicing
from pnn_gluon.option_types import NAME_PATTERN


def test_no_field_takes_the_place_of_known_and_new_values() -> None:
    assert not re.match(NAME_PATTERN, IDS)
    slicing = Slicing({"ids": ("a", "b"), "known": ("c",)})
    values = {name: each.values for name, each in slicing.empty().by.items()}
    assert values == {IDS: KNOWN_OR_NEW, "ids": ("a", "b", OTHERS, MISSING), "known": ("c", OTHERS, MISSING)}
    columns = {"ids": pa.array(["b", None, "z", "a"]), "known": pa.array(["c", "c", "d", None])}
    batch: Any = SimpleNamespace(new_value=np.array([True, False, False, True]), columns=columns)
    found = {name: each.tolist() for name, each in slicing.where(batch).items()}
    assert found == {IDS: [1, 0, 0, 1], "ids": [1, 3, 2, 0], "known": [0, 0, 1, 2]}
