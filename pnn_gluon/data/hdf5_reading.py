"""HDF5 that is read: a file says how much there is in it, and need not be right."""

from pathlib import Path
from typing import Any

import h5py


def refuse_large(file: Any, path: Path) -> None:
    """See that nothing in an open file says that it is larger than the file; ours are not compressed.

    Raises:
        ValueError: naming what does.
    """
    size = path.stat().st_size

    def visit(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and found.nbytes > size:
            raise ValueError(f"{name} of {found.nbytes:,} bytes in a file of {size:,}")

    file.visititems(visit)
