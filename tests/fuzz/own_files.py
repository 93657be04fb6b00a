"""Feature maps, shards and what lies beside them, checkpoints: with bytes and arrays that are not what was written."""

import datetime
import functools
import random
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pyarrow as pa

from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.packed_numbers import put_packed, read_packed
from pnn_gluon.data.shard_others import Others, OthersSeen, others_of
from pnn_gluon.data.shard_patch import Cells, Patch, patch_of
from pnn_gluon.data.shards import ShardWriter, open_shard
from pnn_gluon.runtime import mx
from pnn_gluon.training.checkpoint import Checkpoints, RunState
from tests.explaining.small_bundles import make_bundle
from tests.fuzz.bundles import MAPS, change_arrays
from tests.fuzz.target import Case, drawn_edit, edited, refusal

DAY = datetime.date(2026, 11, 1)
SLOTS, SIZE, ROWS = 3, 50, 100
WORDS = ["a", "b", "ü", "", "b"]
KINDS = ("map", "shard", "patch", "others", "checkpoint", "checkpoint")


class OwnFiles:
    """See `Target`: parts are changes of one file."""

    def draw(self, drawn: random.Random) -> Case:
        """Changes of arrays, which hashes do not tell in files of earlier releases; of a checkpoint, of bytes."""
        kind = drawn.choice(KINDS)
        count = drawn.choice([1, 1, 2])
        if kind == "checkpoint":
            files = [path.name for path in sorted(_whole().glob("epoch-*/*"))]
            name = drawn.choice(files)
            parts = tuple((name, drawn_edit(drawn, 2000)) for _ in range(count))
        elif kind == "map":
            parts = tuple((drawn.choice(list(MAPS)), drawn.randrange(10**6)) for _ in range(count))
        else:
            changes = [*ARRAYS, *PACKED] if kind == "others" else [*ARRAYS]
            parts = tuple((drawn.choice(changes), drawn.randrange(10**6)) for _ in range(count))
        return Case(parts, {"kind": kind})

    def check(self, case: Case, folder: Path) -> None:
        """It is read or refused; a checkpoint that was changed is left out."""
        shutil.copytree(_whole(), folder / "whole")
        READERS[case.options["kind"]](folder / "whole", case.parts)


@functools.cache
def _whole() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-own-")) / "whole"
    folder.mkdir()
    shutil.copyfile(make_bundle(folder.parent / "bundle", "lr") / "map.h5", folder / "map.h5")
    drawn = np.random.default_rng(1)
    with ShardWriter(folder / "a.h5", day=str(DAY), slots=SLOTS, rate=0.5, size=SIZE, weighted=True) as shard:
        ids = drawn.integers(0, SIZE, (ROWS, SLOTS)).astype(np.int32)
        shard.append("train", ids, drawn.integers(0, 2, ROWS), np.ones(ROWS, np.uint32))
    cells = Cells(np.array([1, 5, 9]), np.array([0, 2, 1], np.int32), np.array([51, 52, 53], np.int32))
    Patch(str(DAY), SIZE + 5, {"train": cells}).write(patch_of(folder / "a.h5"))
    seen = OthersSeen(["train"])
    for slot in range(SLOTS):
        seen.add(slot, "train", np.arange(slot, ROWS, 7), pa.array(WORDS * ROWS).slice(0, len(range(slot, ROWS, 7))))
    seen.write(others_of(folder / "a.h5"), str(DAY), SIZE)
    net, trainer = _net()
    Checkpoints(folder, {}).save(net, trainer, RunState("f", epoch=1, batch=2, examples=3, loss_sum=0.5))
    return folder


def _net() -> tuple[Any, Any]:
    net = mx.gluon.nn.Dense(2, in_units=3)
    net.initialize(mx.init.One())
    return net, mx.gluon.Trainer(net.collect_params(), "adam")


def _read_map(folder: Path, parts: tuple[Any, ...]) -> None:
    for what, seed in parts:
        change_arrays(folder / "map.h5", MAPS[what], seed)
    _named(folder / "map.h5", lambda: _used(FeatureMap.load(folder / "map.h5")))


def _used(found: FeatureMap) -> None:
    for field in range(len(found.fields)):
        found.dictionary(field).to_pylist()
        found.other_id(field)
    _ = found.vocabulary, found.fingerprint, found.known_values, found.expired
    found.other_of(np.arange(found.size, dtype=np.int32))


def _read_shard(folder: Path, parts: tuple[Any, ...]) -> None:
    _change_arrays(folder / "a.h5", parts)
    _named(folder / "a.h5", lambda: _read_rows(folder / "a.h5"))


def _read_patch(folder: Path, parts: tuple[Any, ...]) -> None:
    _change_arrays(patch_of(folder / "a.h5"), parts)
    _named(folder / "a", lambda: _read_rows(folder / "a.h5"))


def _read_others(folder: Path, parts: tuple[Any, ...]) -> None:
    _change_arrays(others_of(folder / "a.h5"), parts)
    _named(folder / "a", lambda: _carried(folder / "a.h5"))


def _carried(shard: Path) -> None:
    """As a grown map is: two words of each slot have got an id."""
    others = Others.read(others_of(shard))
    words = pa.array(["b", "new"], pa.large_string())
    new = {slot: pa.table({"value": words, "id": pa.array([SIZE, SIZE + 1], pa.int32())}) for slot in range(SLOTS)}
    cells = {share: Cells.joined([each]) for share, each in others.cells(new).items()}
    Patch(others.day, SIZE + 2, cells).write(patch_of(shard))
    _read_rows(shard)


def _read_rows(path: Path) -> None:
    with open_shard(path) as shard:
        for share in shard.shares:
            ids, label = shard.read(share)
            weight = shard.weights(share)
            assert ids.dtype == np.int32
            assert ids.shape == (shard.rows(share), shard.slots)
            assert label.shape == ids.shape[:1]
            assert weight is None or weight.shape == label.shape
            shard.read(share, 3, 7)


def _read_checkpoint(folder: Path, parts: tuple[Any, ...]) -> None:
    (checkpoint,) = folder.glob("epoch-*")
    same = True
    for name, edit in parts:
        whole = (checkpoint / name).read_bytes()
        (checkpoint / name).write_bytes(edited(whole, [edit]))
        same = same and edited(whole, [edit]) == whole
    net, trainer = _net()
    state = Checkpoints(folder, {}).load(net, trainer, "f")
    assert (state is not None) == same
    assert checkpoint.exists() == same


def _named(path: Path, work: Any) -> None:
    told = refusal(work)
    assert told is None or str(path) in told, f"names no file: {told}"


READERS = {
    "map": _read_map,
    "shard": _read_shard,
    "patch": _read_patch,
    "others": _read_others,
    "checkpoint": _read_checkpoint,
}


def _change_arrays(path: Path, parts: tuple[Any, ...]) -> None:
    for what, seed in parts:
        change_arrays(path, {**ARRAYS, **PACKED}[what], seed)


def _datasets(file: Any) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, found: names.append(name) if isinstance(found, h5py.Dataset) else None)
    return names


def _some(file: Any, drawn: random.Random) -> tuple[str, Any, dict[str, Any]]:
    """Take an array out; its name, values and attributes."""
    name = drawn.choice(_datasets(file))
    values, attributes = file[name][:], dict(file[name].attrs)
    del file[name]
    return name, values, attributes


def _put(file: Any, name: str, values: Any, attributes: dict[str, Any]) -> None:
    file[name] = values
    file[name].attrs.update(attributes)


def _values(file: Any, drawn: random.Random) -> None:
    name, values, attributes = _some(file, drawn)
    limits = np.iinfo(values.dtype)
    if values.size:
        values.flat[drawn.randrange(values.size)] = drawn.choice([limits.min, limits.max, 0, 1, 99])
    _put(file, name, values, attributes)


def _length(file: Any, drawn: random.Random) -> None:
    name, values, attributes = _some(file, drawn)
    shape = drawn.choice([(0,), (1,), (ROWS - 1, *values.shape[1:]), (ROWS, SLOTS + 1), (ROWS, 1, 1), ()])
    _put(file, name, np.resize(values, shape), attributes)


def _type(file: Any, drawn: random.Random) -> None:
    name, values, attributes = _some(file, drawn)
    _put(file, name, values.astype(drawn.choice(["f4", "i8", "i2", ">i4", "S2"])), attributes)


def _large(file: Any, drawn: random.Random) -> None:
    name, values, attributes = _some(file, drawn)
    file.create_dataset(name, (2**35, *values.shape[1:]), values.dtype, chunks=(64, *values.shape[1:]))
    file[name].attrs.update(attributes)


def _attribute(file: Any, drawn: random.Random) -> None:
    file.attrs[drawn.choice([*file.attrs])] = drawn.choice(
        ["x", -1, 0, 1, 2, 10**9, [1, 2], np.nan, "2026-11-02", b"\xff"]
    )


def _gone(file: Any, drawn: random.Random) -> None:
    if drawn.random() < 0.3:
        del file.attrs[drawn.choice([*file.attrs])]
    else:
        _some(file, drawn)


def _numbers(file: Any, drawn: random.Random) -> None:
    """Other numbers in a packed array, as `put_packed` writes them."""
    name = drawn.choice(_datasets(file))
    values = read_packed(file[name]).astype(np.int64)
    del file[name]
    if values.size and drawn.random() < 0.7:
        values[drawn.randrange(values.size)] = drawn.choice([0, 1, 2, ROWS, 255, 2**31, 2**40, 2**63 - 1])
    else:
        values = np.resize(values, drawn.choice([0, 1, max(0, len(values) - 1), len(values) + 1]))
    put_packed(SimpleNamespace(file=file, put=file.__setitem__), name, values)  # type: ignore[arg-type]


def _told(file: Any, drawn: random.Random) -> None:
    """Another type or number of them said of a packed array."""
    said = file[drawn.choice(_datasets(file))].attrs
    said[drawn.choice([*said])] = drawn.choice(["|u1", "<u2", "<u8", "<f4", "x", -1, 0, 1, 2**40, [1, 2], b"\xff"])


def _group(file: Any, drawn: random.Random) -> None:
    del file["train"]
    file["train"] = np.arange(3)


ARRAYS = {
    "values": _values,
    "length": _length,
    "type": _type,
    "large": _large,
    "attribute": _attribute,
    "gone": _gone,
    "group": _group,
}

PACKED = {"numbers": _numbers, "told": _told}
"""Changes of arrays that are packed."""
