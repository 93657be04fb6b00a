"""Train, validation and test rows as ids in memory."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.config import Fields
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.experiments.config import DataConfig, FitConfig
from pnn_gluon.experiments.csv_rows import read_csv
from pnn_gluon.experiments.encoded import encode_parts
from pnn_gluon.experiments.lib_rows import read_libffm, read_libsvm
from pnn_gluon.experiments.rows import Rows

_READERS: dict[str, Callable[[Path, DataConfig, Fields | None], Rows]] = {
    "csv": read_csv,
    "libsvm": read_libsvm,
    "libffm": read_libffm,
}


@dataclass(frozen=True, eq=False)
class Examples:
    """Encoded rows: ids int32 (rows, S), labels float32 (rows,), 0 or 1."""

    ids: NDArray[np.int32]
    label: NDArray[np.float32]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of ids and labels."""
        digest = hashlib.sha256(repr(self.ids.shape).encode())
        digest.update(np.ascontiguousarray(self.ids).data)
        digest.update(np.ascontiguousarray(self.label).data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """What models are fitted to, chosen by, and measured on; what ids stand for is learnt from train alone."""

    feature_map: FeatureMap
    train: Examples
    valid: Examples
    test: Examples

    @property
    def layout(self) -> FieldLayout:
        """How the S slots of a row are divided into fields."""
        return self.feature_map.layout

    @property
    def size(self) -> int:
        """Number of ids V."""
        return self.feature_map.size

    def summary(self) -> dict[str, Any]:
        """Numbers of rows, fields, slots and ids, and what the rows are, fit for JSON."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {
            "rows": {name: len(part.label) for name, part in parts.items()},
            "positives": {name: int(part.label.sum()) for name, part in parts.items()},
            "fields": self.layout.fields,
            "slots": self.layout.slots,
            "ids": self.size,
            "sha256": {name: part.fingerprint for name, part in parts.items()},
        }


def load_dataset(config: FitConfig, folder: Path | None = None) -> Dataset:
    """Read, divide and encode the rows of a configuration.

    Args:
        config: Its `data` says what to read.
        folder: Where the files lie, in place of the configuration's folder.

    Raises:
        ConfigError: none of the configuration's folders exists.
        InputError: a file is missing or malformed, or a part has no rows.
    """
    data = config.data
    parts = _parts(data, folder or find_folder(config))
    for name, rows in zip(("train", "valid", "test"), parts, strict=True):
        if not len(rows.label):
            raise InputError(f"{config.path}: data: the {name} rows are none; every part needs at least one row")
    if not parts[0].fields:
        raise InputError(f"{config.path}: data: the train rows have no fields besides the label")
    feature_map, ids = encode_parts(parts, data.min_count)
    train, valid, test = (Examples(each, rows.label) for each, rows in zip(ids, parts, strict=True))
    return Dataset(feature_map, train, valid, test)


def find_folder(config: FitConfig) -> Path:
    """The first folder of `data.folder` that exists.

    Folders are relative to the configuration file; `$VARIABLE` is filled in.

    Raises:
        ConfigError: none does.
    """
    tried = [os.path.expandvars(folder) for folder in config.data.folder]
    for folder in tried:
        path = (config.path.parent / folder).resolve()
        if "$" not in folder and path.is_dir():
            return path
    places = ", ".join(f"{folder} (not set)" if "$" in folder else folder for folder in tried)
    raise ConfigError(
        f"{config.path}: data.folder: expected a folder with {', '.join(_files(config.data))}, none of these exists: "
        f"{places}; put the files there or say --data FOLDER"
    )


def _files(data: DataConfig) -> list[str]:
    return [name for name in (data.file, data.train, data.valid, data.test) if name is not None]


def _parts(data: DataConfig, folder: Path) -> list[Rows]:
    """Rows of train, validation and test, in this order."""
    paths = [folder / name for name in _files(data)]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: no such file; data.folder or --data says where files lie")
    read = _READERS[data.format]
    first = read(paths[0], data, None)
    if data.file is None:
        return [first, *(read(path, data, first.fields) for path in paths[1:])]
    return [first.take(rows) for rows in random_split(len(first.label), data.split, data.split_seed)]


def random_split(rows: int, shares: tuple[float, float, float], seed: int) -> list[NDArray[np.int64]]:
    """Row numbers of the three parts, rising in each: every row is in exactly one, drawn from the seed.

    Part sizes are the shares of the rows with their running sums rounded.
    """
    order = np.random.default_rng(seed).permutation(rows)
    bounds = np.rint(np.cumsum(shares)[:-1] * rows).astype(np.int64)
    return [np.sort(part) for part in np.split(order, bounds)]
