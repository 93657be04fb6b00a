"""File systems by URL, through pyarrow, or fsspec for the schemes pyarrow does not know."""

from typing import Any

import pyarrow as pa
import pyarrow.fs

from pnn_gluon.errors import ConfigError


def open_filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path inside it, without a slash at the end.

    Raises:
        ConfigError: for a URL that neither pyarrow nor fsspec can open.
    """
    try:
        filesystem, path = pyarrow.fs.FileSystem.from_uri(url)
    except (pa.ArrowInvalid, ValueError):
        filesystem, path = _fsspec(url)
    except OSError as error:
        raise ConfigError(f"{url}: cannot be reached: {error}") from error
    return filesystem, path.rstrip("/")


def _fsspec(url: str) -> tuple[Any, str]:
    import fsspec

    scheme, _, path = url.partition("://")
    try:
        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fsspec.filesystem(scheme))), "/" + path.lstrip("/")
    except (ValueError, ImportError) as error:
        raise ConfigError(f"{url}: no file system for {scheme}://: {error}") from error
