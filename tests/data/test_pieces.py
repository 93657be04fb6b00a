import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.data.lines import WHOLE, Span, read_lines
from pnn_gluon.data.log_files import DelimitedLog
from pnn_gluon.data.pieces import Together, cut_lines, plan
from pnn_gluon.data.raw_files import RawFile

BYTES = st.lists(
    st.sampled_from([b"a,b", b"", b"\xef\xbb\xbf", b"\xff", b"x\r", b"\0", "ü,ß".encode()]), max_size=40
).map(b"\n".join)


def raw(path: Path) -> RawFile:
    return RawFile(path.name, str(path), path.stat().st_size, str(path.parent))


def lines_of(path: Path, *spans: Span) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for span in spans:
        for block in read_lines(raw(path), 16, span):
            found += [tuple(row.values()) for table in block for row in table.to_pylist()]
    return sorted(found, key=str)


@settings(max_examples=200)
@given(BYTES, st.booleans(), st.integers(1, 7))
def test_pieces_of_a_file_hold_its_lines_with_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ended: bool, lines: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "log"
    path.write_bytes(content + b"\n" * ended)
    digests: dict[str, str] = {}
    spans = cut_lines(raw(path), lines, digests)
    assert digests == {"log": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert lines_of(path, *spans) == lines_of(path, WHOLE)
    assert [span.first for span in spans] == [1 + lines * k for k in range(len(spans))]
    for span in spans:
        assert (
            sum(block.lines.num_rows + block.rejected.num_rows for block in read_lines(raw(path), span=span)) <= lines
        )


def test_places_are_found_beyond_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pnn_gluon.data.pieces._CHUNK", 8)
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%d\n" % line for line in range(1000)))
    spans = cut_lines(raw(path), 7)
    assert len(spans) == 143
    assert lines_of(path, spans[142]) == sorted([(line + 1, str(line)) for line in range(994, 1000)], key=str)


def test_a_compressed_file_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"a\n" * 100))
    assert cut_lines(raw(path), 7) == [WHOLE]


def test_neighbouring_small_files_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pnn_gluon.data.pieces.TOGETHER_BYTES", 10)
    logs = []
    for name, size in {"a": 4, "b": 6, "c": 1, "d": 30, "e": 2, "f": 3}.items():
        (tmp_path / name).write_bytes(b"x\n" * (size // 2) + b"x" * (size % 2))
        logs.append(DelimitedLog(raw(tmp_path / name), ("a",), ",", "", 0))
    assert names(plan(logs, cut=True, part_lines=10)) == ["ab", "c", "d", "d", "ef"]
    assert names(plan(logs, cut=False, part_lines=10)) == ["ab", "c", "d", "ef"]


def names(planned: list[Together]) -> list[str]:
    """The names of the files of each task."""
    return ["".join(piece.log.raw.name for piece in pieces) for group in planned for pieces in group.tasks]
