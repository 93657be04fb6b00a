"""One day of one table as a step reads it: typed details, and files by name."""

import datetime
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Generic

from pnn_gluon.errors import InputError
from pnn_gluon.field_types import check_types
from pnn_gluon.pipeline.details import KEPT
from pnn_gluon.pipeline.tables import D_co, Table
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.parts import part_names
from pnn_gluon.store.store import Store


def kept_reason(details: Mapping[str, Any]) -> str | None:
    """Why a day was kept, by the details of its manifest; None for a day that was made."""
    reason: str | None = details.get(KEPT)
    return reason


class Partition(Generic[D_co]):
    """A day of a table. What is opened by `file` was compared with its SHA-256 before."""

    def __init__(self, store: Store, table: Table[D_co], manifest: Manifest) -> None:
        self._store, self._table, self.manifest = store, table, manifest

    @property
    def day(self) -> datetime.date:
        """Its day."""
        return self.manifest.day

    @property
    def run(self) -> str:
        """What names its content."""
        return self.manifest.run

    @property
    def rows(self) -> int:
        """Its number of rows."""
        return self.manifest.rows

    @property
    def name(self) -> str:
        """Table and day, as inputs are named."""
        return f"{self.manifest.table}/{self.manifest.day}"

    @property
    def kept(self) -> str | None:
        """Why nothing could be made on this day; None if something was."""
        return kept_reason(self.manifest.details)

    @cached_property
    def details(self) -> D_co:
        """What its manifest tells.

        Raises:
            InputError: it does not tell all of that, because the day was kept or another release made it.
        """
        try:
            details = self._table.details.from_json(self.manifest.details)
            check_types(details)
            return details
        except KeyError as error:
            where = f"{self.manifest.table} of {self.day}"
            if self.kept is not None:
                raise InputError(f"{where} was kept, so there is no {error} of it: {self.kept}") from error
            raise InputError(
                f"{where} was made by an older version of its step, and has no {error}; "
                f"rerun: {self._store.mend(self.manifest.table, self.day)}"
            ) from error
        except TypeError as error:
            raise InputError(
                f"{self.manifest.table} of {self.day}: its manifest cannot be read ({error}); "
                f"rerun: {self._store.mend(self.manifest.table, self.day)}"
            ) from error

    @cached_property
    def folder(self) -> Path:
        """The local folder with its files, all of them as they were written."""
        return self._store.folder(self.manifest)

    def file(self, name: str) -> Path:
        """One of its files."""
        return self.folder / name

    def parts(self, name: str) -> list[Path]:
        """The parts of one of its files, in order."""
        return [self.file(each) for each in self.part_names(name)]

    def part_names(self, name: str) -> list[str]:
        """The names of the parts of one of its files, in order."""
        return part_names(name, (file.name for file in self.manifest.files))

    def whole_file(self, name: str) -> Path | None:
        """One of its files, compared without a look at the others; None if it is not as it was written."""
        return self._store.whole_file(self.manifest, name)

    def link(self, name: str, folder: Path) -> bool:
        """Put one of its files into another folder without reading it; False if it is seen not to be as written."""
        return self._store.link(self.manifest, name, folder / name)

    def content(self, name: str) -> bytes | None:
        """The bytes of one small file, without looking at the others; None where there is none of this name.

        Raises:
            DamagedError: it is not what was written.
        """
        known = any(file.name == name for file in self.manifest.files)
        return self._store.content(self.manifest, name) if known else None

    @property
    def whole(self) -> bool:
        """Whether all of its files are as they were written."""
        return not self._store.damages(self.manifest)

    def sha256(self, name: str) -> str:
        """SHA-256 of one of its files."""
        return next(file.sha256 for file in self.manifest.files if file.name == name)


def open_partition(store: Store, table: Table[D_co], day: datetime.date) -> Partition[D_co] | None:
    """A day of a table, None if it was never made.

    Raises:
        DamagedError: its manifest is not what was written.
    """
    manifest = store.manifest(table.name, day)
    return None if manifest is None else Partition(store, table, manifest)
