"""What is known of raw files may be lost, damaged or stale, and is never wrong."""

import hashlib
from pathlib import Path

import pytest

from pnn_gluon.data import known_digests
from pnn_gluon.data.known_digests import KnownDigests
from pnn_gluon.data.raw_files import RawFile


def raw_file(path: Path, content: bytes) -> RawFile:
    path.write_bytes(content)
    return RawFile(path.name, str(path), len(content), str(path.parent))


def test_a_file_read_before_is_read_again_only_if_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes, file = tmp_path / "raw" / "notes.json", raw_file(tmp_path / "a.tsv", b"0")
    assert KnownDigests(notes).recall(file) == ""
    first = KnownDigests(notes).read(file)
    assert first == hashlib.sha256(b"0").hexdigest()
    with monkeypatch.context() as patch:
        patch.delattr(known_digests, "fingerprint")
        assert KnownDigests(notes).recall(file) == first
    file = raw_file(tmp_path / "a.tsv", b"1")
    assert KnownDigests(notes).recall(file) == hashlib.sha256(b"1").hexdigest()


def test_an_object_counts_as_changed_by_its_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(known_digests, "fingerprint", lambda file: f"read at {file.modified}")
    then, now = (RawFile("a", "memory://raw/a", 1, "memory://raw", modified) for modified in (5, 6))
    known = KnownDigests(tmp_path / "notes.json")
    known.read(then)
    assert known.recall(then) == "read at 5"
    assert known.recall(now) == "read at 6"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a.tsv": []}', b'{"a.tsv": 5}'])
def test_damaged_notes_are_made_again(tmp_path: Path, content: bytes) -> None:
    notes, file = tmp_path / "notes.json", raw_file(tmp_path / "a.tsv", b"0")
    notes.write_bytes(content)
    assert KnownDigests(notes).recall(file) == ""
    assert KnownDigests(notes).read(file) == KnownDigests(notes).recall(file)


def test_where_no_note_can_be_kept_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"no folder")
    known = KnownDigests(tmp_path / "raw" / "notes.json")
    assert known.read(raw_file(tmp_path / "a.tsv", b"0")) == hashlib.sha256(b"0").hexdigest()
