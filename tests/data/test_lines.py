import bz2
import gzip
import hashlib
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pnn_gluon.data import lines as lines_module
from pnn_gluon.data.lines import HOLDS_NUL, NOT_UTF8, TOO_LONG, Span, read_lines
from pnn_gluon.data.raw_files import RawFile
from pnn_gluon.errors import InputError

Line = tuple[int, str]


def raw(path: Path) -> RawFile:
    return RawFile(path.name, str(path), path.stat().st_size, str(path.parent))


def read(path: Path, block_bytes: int = 1 << 20) -> tuple[list[Line], list[tuple[int, str, str]]]:
    good: list[Line] = []
    bad: list[tuple[int, str, str]] = []
    for block in read_lines(raw(path), block_bytes):
        block.lines.validate(full=True)
        good += [(row["line"], row["text"]) for row in block.lines.to_pylist()]
        bad += [(row["line"], row["reason"], row["text"]) for row in block.rejected.to_pylist()]
    return good, bad


def expected(data: bytes) -> tuple[list[Line], list[tuple[int, str]]]:
    """The definition: cut at newlines, drop one return before each, decode."""
    pieces = data.split(b"\n")
    good: list[Line] = []
    bad: list[tuple[int, str]] = []
    for number, piece in enumerate(pieces[:-1] if not pieces[-1] else pieces, 1):
        line = piece.removesuffix(b"\r")
        try:
            text = line.decode()
        except UnicodeDecodeError:
            bad.append((number, HOLDS_NUL if b"\0" in line else NOT_UTF8))
            continue
        if "\0" in text:
            bad.append((number, HOLDS_NUL))
        else:
            good.append((number, text))
    return good, bad


chunks = st.sampled_from([b"\n", b"\r\n", b"\r", b"a\tb", "é€😀".encode(), b"\xff", b"\xc3", b"\0", b" ", b""])
contents = st.lists(st.one_of(chunks, st.binary(max_size=6)), max_size=30).map(b"".join)


@settings(max_examples=200)
@given(data=contents, block_bytes=st.sampled_from([1, 2, 3, 7, 64, 1 << 20]))
@example(data=b"\r", block_bytes=1)
@example(data=b"a\r\r\n\r\n\n\r", block_bytes=2)
@example(data="é".encode() * 3 + b"\n\xc3\n\xa9", block_bytes=3)
def test_every_line_is_read_or_rejected_as_the_definition_says(data: bytes, block_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(data)
        good, bad = read(path, block_bytes)
    wanted_good, wanted_bad = expected(data)
    assert good == wanted_good
    assert [(number, reason) for number, reason, _ in bad] == wanted_bad


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("compressed", list(COMPRESS))
@pytest.mark.parametrize("suffix", ["", ".csv", ".gz", ".GZ", ".zst", ".Zst", ".bz2", ".BZ2", ".zip"])
def test_a_file_is_decompressed_by_its_content_whatever_its_suffix(
    tmp_path: Path, compressed: str, suffix: str
) -> None:
    parts = [b"".join(b"%d\tvalue\r\n" % i for i in range(start, start + 500)) for start in (0, 500)]
    (tmp_path / "plain").write_bytes(b"".join(parts))
    plain, none_bad = read(tmp_path / "plain", 1000)
    assert (len(plain), none_bad) == (1000, [])
    (tmp_path / f"log{suffix}").write_bytes(b"".join(COMPRESS[compressed](part) for part in parts))
    assert read(tmp_path / f"log{suffix}", 1000) == (plain, [])


@pytest.mark.parametrize("suffix", [".gz", ".ZST", ".bz2"])
def test_text_that_is_called_compressed_is_text(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"log{suffix}").write_bytes(("a" + "é" * 511 + "\nb\n").encode())
    assert read(tmp_path / f"log{suffix}") == ([(1, "a" + "é" * 511), (2, "b")], [])


@pytest.mark.parametrize("compressed", list(COMPRESS))
def test_a_compressed_file_of_no_line_is_empty(tmp_path: Path, compressed: str) -> None:
    (tmp_path / "log").write_bytes(COMPRESS[compressed](b""))
    assert read(tmp_path / "log") == ([], [])


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ("xz", lzma.compress(b"a\n")),
        ("lz4", pa.compress(b"a\n", "lz4", asbytes=True)),
        ("zip", b"PK\x03\x04 and so on"),
        ("Parquet", b"PAR1\x15\x04 and so on"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_holds_no_lines_is_an_input_error_that_says_what_it_is(
    tmp_path: Path, content: str, data: bytes, suffix: str
) -> None:
    (tmp_path / f"log{suffix}").write_bytes(data)
    with pytest.raises(InputError, match=f"log{suffix}: holds {content}; expected lines, plain or compressed"):
        read(tmp_path / f"log{suffix}")


@pytest.mark.parametrize("damage", ["cut off", "flipped", "begins wrong", "trailing"])
@pytest.mark.parametrize("suffix", list(COMPRESS))
def test_a_damaged_file_is_an_input_error_that_names_it(tmp_path: Path, suffix: str, damage: str) -> None:
    text = b"".join(b"%d\n" % (i * i) for i in range(50_000))
    whole = COMPRESS[suffix](text)
    middle = len(whole) // 2
    bad = {
        "cut off": whole[:middle],
        "flipped": whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 50]) + whole[middle + 50 :],
        "begins wrong": b"\0\xff" + whole[2:],
        "trailing": whole + b"junk that is no member",
    }
    path = tmp_path / f"log{suffix}"
    path.write_bytes(bad[damage])
    with pytest.raises(InputError, match=f"log{suffix}.*damaged"):
        read(path)


def test_rejected_text_shows_the_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"ok\nA\xff\n\0B\n")
    assert read(tmp_path / "log")[1] == [(2, NOT_UTF8, "A\\xff"), (3, HOLDS_NUL, "\\x00B")]


@pytest.mark.parametrize("block_bytes", [7, 1 << 10, 1 << 22])
def test_a_monstrous_line_is_one_reject_whatever_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 1 << 12)
    monkeypatch.setattr(lines_module, "SHOWN_CHARACTERS", 5)
    fits = "y" * (1 << 12)
    (tmp_path / "log").write_bytes(b"a\r\n" + b"x" * 20_000 + b"\n" + fits.encode() + b"\r\nb\n" + b"z" * 5000)
    good, bad = read(tmp_path / "log", block_bytes)
    assert good == [(1, "a"), (3, fits), (4, "b")]
    assert bad == [(2, TOO_LONG, "xxxxx"), (5, TOO_LONG, "zzzzz")]


@pytest.mark.parametrize("lines", [b"\n" * 1000, b"\n" * 3 + b"a" * 500 + b"\n" + b"b\n" * 40, b"a" * 90 + b"\n"])
def test_blocks_of_short_lines_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: bytes) -> None:
    monkeypatch.setattr(lines_module, "BLOCK_LINES", 7)
    (tmp_path / "log").write_bytes(lines)
    blocks = list(read_lines(raw(tmp_path / "log")))
    assert max(block.lines.num_rows for block in blocks) <= 7
    assert read(tmp_path / "log")[0] == [(i, text.decode()) for i, text in enumerate(lines.split(b"\n")[:-1], 1)]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"")
    assert read(tmp_path / "log") == ([], [])


@pytest.mark.parametrize("content", [b"", b"a\n", b"\xef\xbb\xbfa\nb", b"a\r\n" * 1000])
def test_a_whole_file_is_hashed_while_it_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log").write_bytes(content)
    file, digests = raw(tmp_path / "log"), dict[str, str]()
    list(read_lines(file, 64, Span(0, 1, 1), digests=digests))
    assert digests == {}
    assert list(read_lines(file, 64, digests=digests)) == list(read_lines(file, 64))
    assert digests == {"log": hashlib.sha256(content).hexdigest()}


def test_neither_a_file_that_was_left_nor_a_compressed_one_is_hashed(tmp_path: Path) -> None:
    digests: dict[str, str] = {}
    (tmp_path / "log").write_bytes(b"a\n" * 1000)
    next(read_lines(raw(tmp_path / "log"), 64, digests=digests))
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"a\n" * 1000))
    list(read_lines(raw(tmp_path / "log.gz"), 64, digests=digests))
    assert digests == {}
