"""Text of synthetic rows, whole or damaged, built as one byte matrix a block."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pnn_gluon.data.synthetic_world import CATEGORIES, NUMBERS, Rows

FAULTS = ("truncated", "extra_columns", "bad_label", "bad_integer")
_LABEL = int.from_bytes(b"0\t", "little")

# One line: label and tab, 13 numbers with their tabs padded with NUL, 26 times 8 digits and a separator.
_LINE = np.dtype([
    ("label", "<u2"),
    ("numbers", "<u8", (NUMBERS,)),
    ("categories", [("high", "<u4"), ("low", "<u4"), ("separator", "u1")], (CATEGORIES,)),
])  # fmt: skip


def _hex_quads() -> npt.NDArray[np.uint32]:
    """Four hexadecimal digits of every 16-bit number, seen as one word, (65536,)."""
    return np.frombuffer(b"".join(b"%04x" % number for number in range(1 << 16)), dtype="<u4")


_HEX = _hex_quads()


def lines_of(rows: Rows, number_text: npt.NDArray[np.uint64], labelled: bool) -> bytes:
    """Render rows as tab-separated lines, each ended by a newline.

    Args:
        rows: n drawn rows.
        number_text: text of each place of each number column, (13, places).
        labelled: put the label first (a log) or leave it out (requests).
    """
    matrix = np.zeros(len(rows.logit), dtype=_LINE)
    if labelled:
        matrix["label"] = rows.label.astype(np.uint16) + np.uint16(_LABEL)
    for column in range(NUMBERS):
        matrix["numbers"][:, column] = number_text[column].take(rows.numbers[column])
    for field in range(CATEGORIES):
        _write_category(matrix["categories"][:, field], rows.tokens[field], rows.missing.get(field))
    matrix["categories"]["separator"] = ord("\t")
    matrix["categories"]["separator"][:, -1] = ord("\n")
    return matrix.tobytes().translate(None, b"\0")


def _write_category(
    cells: npt.NDArray[np.void], tokens: npt.NDArray[np.uint32], missing: npt.NDArray[np.bool_] | None
) -> None:
    high, low = _HEX.take(tokens >> np.uint32(16)), _HEX.take(tokens & np.uint32(0xFFFF))
    if missing is not None:
        high[missing] = 0
        low[missing] = 0
    cells["high"], cells["low"] = high, low


def damage(text: bytes, share: float, generator: np.random.Generator) -> tuple[bytes, npt.NDArray[np.int8]]:
    """Damage a share of the lines; return the text and per line the place in `FAULTS`, or -1, (n,)."""
    lines = text.split(b"\n")[:-1]
    faults = generator.integers(0, len(FAULTS), len(lines), dtype=np.int8)
    faults[generator.random(len(lines)) >= share] = -1
    columns = generator.integers(1, 1 + NUMBERS, len(lines))
    for line in np.flatnonzero(faults >= 0):
        lines[line] = _damaged(lines[line], FAULTS[faults[line]], int(columns[line]))
    return b"\n".join(lines) + b"\n", faults


def _damaged(line: bytes, fault: str, column: int) -> bytes:
    """Damage one log line; ``column`` (1..13) says where."""
    cells = line.split(b"\t")
    if fault == "truncated":
        cells = cells[: 2 * column]
    elif fault == "extra_columns":
        cells += [b"extra"] * column
    elif fault == "bad_label":
        cells[0] = b"x"
    else:
        cells[column] = b"12a"
    return b"\t".join(cells)
