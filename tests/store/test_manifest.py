"""The bytes of a manifest and the name of a run are fixed: earlier and later releases read the same."""

import dataclasses
import datetime
import hashlib
import json
from pathlib import Path

import pytest

from pnn_gluon.errors import DamagedError
from pnn_gluon.store.manifest import (
    CHECKSUM,
    FORMAT,
    Manifest,
    StoredFile,
    content_run,
    damages,
    describe_files,
)

FILES = (StoredFile("b/c.txt", 3, "02"), StoredFile("a.txt", 2, "01"))
WRITTEN = """{
 "config": "c",
 "day": "2026-11-02",
 "details": {
  "y": 1,
  "x": 2.5
 },
 "files": [
  {
   "name": "b/c.txt",
   "sha256": "02",
   "size": 3
  },
  {
   "name": "a.txt",
   "sha256": "01",
   "size": 2
  }
 ],
 "format": 2,
 "inputs": {
  "raw/a": null
 },
 "made_by": {},
 "options": {
  "training.epochs": 3
 },
 "rows": 7,
 "run": "RUN",
 "table": "rows",
 "version": 4
}"""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


RUN = sha256('[[["a.txt", "01"], ["b/c.txt", "02"]], 7, {"x": 2.5, "y": 1}]')[:16]


def manifest() -> Manifest:
    return Manifest(
        table="rows",
        day=datetime.date(2026, 11, 2),
        run=RUN,
        rows=7,
        files=FILES,
        inputs={"raw/a": None},
        config="c",
        made_by={},
        details={"y": 1, "x": 2.5},
        options={"training.epochs": 3},
        version=4,
        format=FORMAT,
    )


def test_a_manifest_is_sorted_json_with_the_hash_of_the_rest() -> None:
    fields = json.loads(WRITTEN.replace("RUN", RUN))
    text = json.dumps(fields, indent=1, sort_keys=True)
    expected = json.dumps({**fields, "checksum": sha256(text)}, indent=1, sort_keys=True) + "\n"
    assert manifest().to_json().decode() == expected
    assert Manifest.from_json(expected.encode()) == manifest()


def test_a_run_is_named_by_its_files_rows_and_details_in_whatever_order() -> None:
    details = {"y": 1, "x": 2.5}
    assert content_run(FILES, 7, details) == content_run(FILES[::-1], 7, details) == RUN


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_run(FILES, 7, {"x": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        dataclasses.replace(manifest(), options={"x": float("nan")}).to_json()


def test_a_manifest_of_the_first_format_has_neither_options_nor_version() -> None:
    fields = json.loads(manifest().to_json())
    for later in ("options", "version", "format", CHECKSUM):
        del fields[later]
    read = Manifest.from_json(json.dumps(fields).encode())
    assert read == dataclasses.replace(manifest(), options=None, version=1, format=1)


def test_a_manifest_of_a_newer_release_asks_for_that() -> None:
    newer = dataclasses.replace(manifest(), format=FORMAT + 1).to_json()
    with pytest.raises(DamagedError, match=f"of format {FORMAT + 1}, written by a newer release than this"):
        Manifest.from_json(newer)


def test_a_changed_manifest_says_that_it_was_changed() -> None:
    changed = manifest().to_json().replace(b'"config": "c"', b'"config": "d"')
    with pytest.raises(DamagedError, match="its content does not agree with its checksum"):
        Manifest.from_json(changed)


def test_files_are_described_by_name_size_and_hash_and_every_damage_is_told(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    contents = {"b.txt": "bb", "d/a.txt": "a" * 2000, "e.txt": "e", "a.txt": ""}
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    found = describe_files(tmp_path)
    assert found == tuple(StoredFile(name, len(contents[name]), sha256(contents[name])) for name in sorted(contents))
    whole = dataclasses.replace(manifest(), files=found)
    assert damages(tmp_path, whole) == []
    (tmp_path / "a.txt").unlink()
    (tmp_path / "b.txt").write_text("bc")
    (tmp_path / "d/a.txt").write_text("a")
    for stray in ("y", "d/x"):
        (tmp_path / stray).write_text("x")
    assert damages(tmp_path, whole) == [
        f"{tmp_path}/a.txt: missing",
        f"{tmp_path}/b.txt: not the bytes that were written (SHA-256 differs)",
        f"{tmp_path}/d/a.txt: 1 bytes, expected 2,000",
        f"{tmp_path}/d/x: not a file of this run",
        f"{tmp_path}/y: not a file of this run",
    ]


def test_bytes_that_were_read_before_are_not_read_again_and_others_are() -> None:
    content = manifest().to_json()
    assert Manifest.from_json(content) is Manifest.from_json(bytes(content))
    with pytest.raises(DamagedError):
        Manifest.from_json(content.replace(b'"rows": ', b'"rows": 1'))
