"""An object store as the root: run folders go up file by file, the manifest last."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.fs

from pnn_gluon.store.filesystem import open_filesystem
from pnn_gluon.temporary import temporary_folder


class Remote:
    """Objects below one URL."""

    def __init__(self, url: str) -> None:
        self.filesystem: Any
        self.filesystem, self.base = open_filesystem(url)

    def read(self, name: str) -> bytes:
        """The bytes of an object; FileNotFoundError when there is none."""
        with self.filesystem.open_input_stream(f"{self.base}/{name}") as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        """Put an object; object stores show it whole or not at all."""
        path = f"{self.base}/{name}"
        self.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        with self.filesystem.open_output_stream(path) as stream:
            stream.write(content)

    def names(self, folder: str) -> list[str]:
        """The names of the objects directly below a folder."""
        selector = pyarrow.fs.FileSelector(f"{self.base}/{folder}", allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in infos if info.type == pyarrow.fs.FileType.File)

    def upload(self, folder: Path, name: str) -> None:
        """Put every file of a folder below name."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            target = f"{self.base}/{name}/{path.relative_to(folder).as_posix()}"
            self.filesystem.create_dir(target.rpartition("/")[0], recursive=True)
            with path.open("rb") as source, self.filesystem.open_output_stream(target) as sink:
                shutil.copyfileobj(source, sink, 1 << 22)

    def download(self, name: str, folder: Path) -> bool:
        """Bring everything below name into a new local folder; False when there is nothing."""
        base = f"{self.base}/{name}"
        selector = pyarrow.fs.FileSelector(base, allow_not_found=True, recursive=True)
        files = [info for info in self.filesystem.get_file_info(selector) if info.type == pyarrow.fs.FileType.File]
        if not files:
            return False
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder.parent, ".download-") as temporary:
            whole = temporary / "run"
            for info in files:
                target = whole / info.path[len(base) + 1 :]
                target.parent.mkdir(parents=True, exist_ok=True)
                with self.filesystem.open_input_stream(info.path) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 22)
            whole.rename(folder)
        return True
