"""What HDF5 says of a disk that refuses a write is an error of the disk, with the file's name."""

import errno
from pathlib import Path

import h5py
import numpy as np
import pytest

from pnn_gluon.data.hdf5_writing import disk_errors, put_dataset, written_hdf5

REFUSED = "can't write (file write failed: filename = 'x', file descriptor = 5, errno = 28, error message = 'full')"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with written_hdf5(tmp_path / "a.h5") as file:
        put_dataset(file, "group/ids", np.arange(5))
    with h5py.File(tmp_path / "a.h5", "r") as file:
        np.testing.assert_array_equal(file["group/ids"][:], np.arange(5))


@pytest.mark.parametrize("kind", [OSError, RuntimeError, ValueError])
def test_an_error_of_the_disk_is_told_as_such_whatever_its_type(kind: type[Exception]) -> None:
    with pytest.raises(OSError, match=r"No space left on device: 'a\.h5'") as raised, disk_errors(Path("a.h5")):
        raise kind(REFUSED)
    assert raised.value.errno == errno.ENOSPC


def closed_after_a_refused_write() -> None:
    try:
        raise ValueError(REFUSED)
    finally:
        raise RuntimeError("slist already enabled")


def test_an_error_of_the_disk_is_told_when_closing_fails_after_it() -> None:
    with pytest.raises(OSError, match="No space left on device"), disk_errors(Path("a.h5")):
        closed_after_a_refused_write()


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="shape"), disk_errors(Path("a.h5")):
        raise ValueError("shape")
