"""Bundles: changed after they were written, or made to fit by whoever changed them."""

import contextlib
import dataclasses
import functools
import json
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pnn_gluon.config import EngineConfig
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.serving.bundle import CARD, Bundle, BundleCard, _checksum, read_history
from pnn_gluon.training.families import family_of
from pnn_gluon.warehouse.duckdb_engine import connect
from tests.explaining.small_bundles import NETWORK, make_bundle, raw_rows, write_rows
from tests.fuzz.target import VALUES, Case, changed, drawn_edit, drawn_put, edited, refusal

MODELS: dict[str, dict[str, Any]] = {"fnn": NETWORK, "lr": {}, "gbdt": {}}
ROWS = 20


class Bundles:
    """See `Target`: parts are changes of files."""

    def draw(self, drawn: random.Random) -> Case:
        """Changes of bytes, of values of a document, or of the arrays of the map."""
        model = drawn.choice(list(MODELS))
        parts = tuple(_drawn_change(drawn, _whole(model)) for _ in range(drawn.choice([1, 1, 2])))
        return Case(parts, {"model": model, "repaired": drawn.random() < 0.7})

    def check(self, case: Case, folder: Path) -> None:
        """It is loaded and scores, or is refused; refused in any case where hashes tell that it was changed."""
        bundle = folder / "bundle"
        whole = _whole(case.options["model"])
        shutil.copytree(whole, bundle)
        for file, change in case.parts:
            _apply(bundle / file, change)
        if case.options["repaired"]:
            with contextlib.suppress(Exception):  # a card of another shape cannot be made to fit
                _repair(bundle)
        same = all(path.read_bytes() == (bundle / path.name).read_bytes() for path in whole.iterdir())
        told = refusal(functools.partial(_score, bundle, write_rows(folder / "rows.parquet", _rows())))
        assert told is None or str(bundle) in told, f"does not name the bundle: {told}"
        if not case.options["repaired"]:
            assert (told is None) == same, "hashes tell that it was changed"
        assert sorted(path.name for path in folder.iterdir()) == ["bundle", "rows.parquet"]


@functools.cache
def _rows() -> Any:
    return raw_rows(ROWS)


@functools.cache
def _whole(model: str) -> Path:
    return make_bundle(Path(tempfile.mkdtemp(prefix="fuzz-bundle-")) / model, model, **MODELS[model])


def _drawn_change(drawn: random.Random, whole: Path) -> tuple[str, Any]:
    """The name of a file and a change of it."""
    path = drawn.choice(sorted(whole.iterdir()))
    if path.name == "map.h5" and drawn.random() < 0.8:
        return path.name, (drawn.choice(list(MAPS)), drawn.randrange(10**6))
    if path.suffix == ".json" and path.name != "model.json" and drawn.random() < 0.8:
        return path.name, drawn_put(drawn)
    return path.name, drawn_edit(drawn, path.stat().st_size)


def _apply(path: Path, change: Any) -> None:
    if isinstance(change, tuple):
        what, seed = change
        change_arrays(path, MAPS[what], seed)
    elif hasattr(change, "place"):
        path.write_bytes(edited(path.read_bytes(), [change]))
    else:
        with contextlib.suppress(ValueError):  # an earlier change left no document
            path.write_text(json.dumps(changed(json.loads(path.read_bytes()), change)))


def change_arrays(path: Path, change: Callable[[Any, random.Random], None], seed: int) -> None:
    """Change an HDF5 file, unless an earlier change left nothing to be changed in this way."""
    impossible = contextlib.suppress(KeyError, ValueError, TypeError, OSError, MemoryError, IndexError)
    with impossible, h5py.File(path, "r+") as file:
        change(file, random.Random(seed))


def _repair(bundle: Path) -> None:
    """Let the card name the files as they are, and agree with its checksum."""
    document = json.loads((bundle / CARD).read_bytes())
    files = {path.name: sha256_of(path) for path in bundle.iterdir() if path.name != CARD}
    card = dataclasses.replace(BundleCard(**document), files=files, map_sha256=files["map.h5"])
    parameters = family_of(str(card.model["name"])).parameters_file()
    card = dataclasses.replace(card, parameters_sha256=files[parameters])
    card = dataclasses.replace(card, checksum=_checksum(card))
    (bundle / CARD).write_text(json.dumps(dataclasses.asdict(card)))


def _score(folder: Path, rows: Path) -> None:
    bundle = Bundle.load(folder)
    read_history(folder)
    with connect(EngineConfig(threads=1)) as connection:
        for batch in bundle.score(connection, rows):
            assert len(batch.probability) == len(batch.logit)


def _put(file: Any, name: str, values: Any) -> None:
    del file[name]
    file[name] = values


def _other_values(file: Any, drawn: random.Random) -> None:
    name = drawn.choice(["field", "value_offsets", "value_bytes", "impressions", "first_day"])
    values = file[name][:]
    limits = np.iinfo(values.dtype)
    for _ in range(drawn.choice([1, 3])):
        values[drawn.randrange(len(values))] = drawn.choice([limits.min, limits.max, 0, 1, 2, 100, limits.max // 2])
    _put(file, name, values)


def _other_length(file: Any, drawn: random.Random) -> None:
    name = drawn.choice(["field", "value_offsets", "value_bytes", "impressions", "clicks", "first_day"])
    values = file[name][:]
    _put(file, name, np.resize(values, drawn.choice([0, 1, len(values) - 1, len(values) + 1, 2 * len(values)])))


def _other_type(file: Any, drawn: random.Random) -> None:
    name = drawn.choice(["field", "value_offsets", "value_bytes", "impressions", "first_day", "fields"])
    _put(file, name, file[name][:].astype(drawn.choice(["f8", "i8", "u1", "i2", "S1", ">i4"])))


def _other_field(file: Any, drawn: random.Random) -> None:
    table = json.loads(file["fields"][:].tobytes())
    entry = drawn.choice(table)
    entry[drawn.choice(list(entry))] = drawn.choice(VALUES)
    with contextlib.suppress(ValueError, UnicodeEncodeError):
        _put(file, "fields", np.frombuffer(json.dumps(table).encode(), np.uint8))


def _huge(file: Any, drawn: random.Random) -> None:
    name = drawn.choice(["field", "value_bytes", "value_offsets", "fields"])
    kind = file[name].dtype
    del file[name]
    file.create_dataset(name, (drawn.choice([2**33, 2**40]),), kind, chunks=(1024,))


def _other_attribute(file: Any, drawn: random.Random) -> None:
    name = drawn.choice(["day", "threshold", "parent_hash", "format_version", "fields_since", "expire_days"])
    file.attrs[name] = drawn.choice(["x", -1, 10**12, "9999-99-99", "2026-11-01", 2, [1, 2], b"\xff"])


def _elsewhere(file: Any, drawn: random.Random) -> None:
    name = drawn.choice(["field", "value_bytes"])
    del file[name]
    if drawn.random() < 0.5:
        file[name] = h5py.ExternalLink("../../x.h5", "/x")
    else:
        file.create_dataset(name, (100,), "u1", external=[("/etc/passwd", 0, 100)])


def _gone(file: Any, drawn: random.Random) -> None:
    del file[drawn.choice([*file])]


MAPS: dict[str, Callable[[Any, random.Random], None]] = {
    "values": _other_values,
    "length": _other_length,
    "type": _other_type,
    "field": _other_field,
    "huge": _huge,
    "attribute": _other_attribute,
    "elsewhere": _elsewhere,
    "gone": _gone,
}
"""Changes of the arrays of a map: the file stays HDF5."""
