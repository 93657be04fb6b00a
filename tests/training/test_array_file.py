"""A file of arrays is read as MXNet reads it; where it is not what MXNet writes, it is refused, and nothing hangs."""

import functools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnn_gluon.errors import InputError
from pnn_gluon.runtime import mx
from pnn_gluon.training.array_file import TYPES, mapped_arrays
from pnn_gluon.training.parameters import Values, read_values
from tests.fuzz.target import drawn_edit, edited, refusal

NUMBER = 24
"""Where the first array begins."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An array of every type and some shapes, the odd sizes first, so that those after them lie anywhere."""
    path = tmp_path_factory.mktemp("arrays") / "a.params"
    kinds = [*sorted(TYPES, key=lambda kind: np.dtype(kind).itemsize), "f4"]
    values = (np.arange(3 + each).reshape(-1, 1).astype(kind) for each, kind in enumerate(kinds))
    mx.nd.save(str(path), {f"é.{each}": mx.nd.array(value, dtype=value.dtype) for each, value in enumerate(values)})
    return path


def in_numpy(values: Values) -> dict[str, Any]:
    return {name: array.asnumpy() for name, array in values.items()}


def same_bytes(path: Path) -> bool:
    found, expected = mapped_arrays(path), in_numpy(mx.nd.load(str(path)))
    given = in_numpy(read_values(path))
    return [*found] == [*expected] == [*given] and all(
        (one[name].dtype, one[name].shape, one[name].tobytes()) == (each.dtype, each.shape, each.tobytes())
        for name, each in expected.items()
        for one in (found, given)
    )


def test_arrays_are_those_that_mxnet_reads(whole: Path) -> None:
    assert {array.dtype.str.lstrip("<|") for array in mapped_arrays(whole).values()} >= {*TYPES} - {"?"}
    assert same_bytes(whole)


@given(drawn=st.randoms(use_true_random=False))
def test_a_cut_or_changed_file_is_read_as_mxnet_reads_it_or_refused(whole: Path, drawn) -> None:
    content = whole.read_bytes()
    changed = whole.with_name("changed.params")
    changed.write_bytes(edited(content, [drawn_edit(drawn, len(content)) for _ in range(drawn.choice([1, 1, 2]))]))
    told = refusal(functools.partial(mapped_arrays, changed))
    assert same_bytes(changed) if told is None else told.startswith(f"{changed}: cannot be read as parameters")


def test_a_file_cut_anywhere_is_refused(whole: Path) -> None:
    cut = whole.with_name("cut.params")
    for size in range(whole.stat().st_size):
        cut.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(InputError, match=r"cut\.params: cannot be read as parameters"):
            mapped_arrays(cut)


def test_a_name_with_a_zero_which_mxnet_would_cut_there_is_refused(whole: Path) -> None:
    changed = whole.with_name("changed.params")
    changed.write_bytes(whole.read_bytes().replace("é.3".encode(), b"\xc3\xa9.\0"))
    with pytest.raises(InputError, match="expected a name in UTF-8 without zeros, found"):
        mapped_arrays(changed)


@pytest.mark.parametrize(
    ("place", "form", "number", "told"),
    [
        (0, "<Q", 0x111, r"begins with 274, found 273 at byte 24 of"),
        (16, "<Q", 2**40, r"room for what is counted, found 1,099,511,627,776 in"),
        (NUMBER, "<I", 0xF993FAC8, r"kind \(4187224777, 0\), found \(4187224776, 0\)"),
        (NUMBER + 4, "<i", 1, r"kind \(4187224777, 0\), found \(4187224777, 1\)"),
        (NUMBER + 8, "<i", -1, r"1 to 32 dimensions, found -1"),
        (NUMBER + 12, "<q", 2**60, r"expected [\d,]+ bytes more"),
        (NUMBER + 12, "<q", -3, r"sizes from 1 on"),
        (NUMBER + 36, "<i", 12, r"a type below 8, found \(\(3, 1\), 12\)"),
    ],
)
def test_the_error_says_what_was_expected_and_found(whole, tmp_path, place: int, form: str, number: int, told) -> None:
    content = bytearray(whole.read_bytes())
    struct.pack_into(form, content, place, number)
    (tmp_path / "b.params").write_bytes(content)
    with pytest.raises(InputError, match=rf"b\.params: .*{told}.*; copy the file again, or run again what wrote it"):
        mapped_arrays(tmp_path / "b.params")


def test_sparse_arrays_and_arrays_without_names_are_refused(tmp_path: Path) -> None:
    for values in ({"a": mx.nd.ones((4, 3)).tostype("row_sparse")}, [mx.nd.ones(3)]):
        mx.nd.save(str(tmp_path / "a"), values)
        with pytest.raises(InputError, match="cannot be read as parameters"):
            mapped_arrays(tmp_path / "a")


def test_an_array_that_is_written_to_leaves_the_file_as_it_is(whole: Path) -> None:
    content = whole.read_bytes()
    (*_, array) = mapped_arrays(whole).values()
    array[:] = 7
    assert whole.read_bytes() == content
