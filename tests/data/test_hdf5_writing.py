"""What is written as HDF5 is what HDF5 itself would put on the disk, and an error of the disk is told as such."""

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pnn_gluon.data.hdf5_writing import PAGE, Hdf5Writing, written_hdf5

COLUMNS: dict[str, Any] = {
    "none": np.zeros(0),
    "few": np.arange(5),
    "group/pages": np.arange(3 * PAGE),
    "group/other": np.arange(2 * PAGE + 1, dtype=np.uint8),
}
ROWS = 5000


def batches() -> Iterator[Any]:
    """Rows int32 (B, 3): two batches of as many, one of fewer."""
    every = np.arange(3 * (2 * ROWS + 7), dtype=np.int32).reshape(-1, 3)
    yield from np.split(every, [ROWS, 2 * ROWS])


def growing(file: Any, name: str) -> Any:
    return file.create_dataset(name, (0, 3), np.int32, maxshape=(None, 3), chunks=(ROWS, 3))


def write(writing: Hdf5Writing) -> None:
    writing.file.attrs["day"] = "2026-11-01"
    for name, values in COLUMNS.items():
        writing.put(name, values, track_times=False)
    dataset = growing(writing.file, "ids")
    for rows in batches():
        writing.extend(dataset, rows)


def write_without(file: Any) -> None:
    """The same by HDF5 alone."""
    file.attrs["day"] = "2026-11-01"
    for name, values in COLUMNS.items():
        file.create_dataset(name, data=values, track_times=False).flush()
    dataset = growing(file, "ids")
    for rows in batches():
        start = len(dataset)
        dataset.resize(start + len(rows), axis=0)
        dataset[start:] = rows
        dataset.flush()


@pytest.mark.parametrize("options", [{}, {"libver": ("v110", "v110")}])
def test_the_bytes_are_those_of_hdf5(tmp_path: Path, options: dict[str, Any]) -> None:
    with written_hdf5(tmp_path / "a.h5", **options) as writing:
        write(writing)
    with h5py.File(tmp_path / "b.h5", "w", **options) as file:
        write_without(file)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with written_hdf5(tmp_path / "a.h5") as writing:
        write(writing)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        for name, values in COLUMNS.items():
            np.testing.assert_array_equal(file[name][:], values)
        np.testing.assert_array_equal(file["ids"][:], np.concatenate(list(batches())))


def test_pages_that_are_on_the_disk_leave_the_memory(tmp_path: Path) -> None:
    with written_hdf5(tmp_path / "a.h5") as writing:
        memory = os.fstat(writing.file.id.get_vfd_handle())
        assert memory.st_dev != tmp_path.stat().st_dev
        for number in range(20):
            writing.put(str(number), np.ones(2**17))
        assert os.fstat(writing.file.id.get_vfd_handle()).st_blocks * 512 < 2**20


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda disk, content, at: whole(disk, content[:1000], at))
    test_what_is_written_is_read(tmp_path)


def test_an_error_of_the_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(disk: int, content: memoryview, at: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*a\.h5'"),
        written_hdf5(tmp_path / "a.h5") as writing,
    ):
        write(writing)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none/a\.h5"), written_hdf5(tmp_path / "none" / "a.h5"):
        pass


def test_a_file_over_the_limit_of_the_process_is_named(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with written_hdf5(tmp_path / "a.h5") as writing:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, before[1]))
        try:
            with pytest.raises(OSError, match=r"a\.h5") as raised:
                writing.put("large", np.zeros(2**21, np.uint8))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.errno == errno.EFBIG
