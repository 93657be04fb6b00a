"""The feature map: which id each value of each field has. It grows day by day and never moves an id.

Ids are int32. 0 is padding. Then come two reserved ids per field in field order, *missing* and *other*
(field j has 1 + 2j and 2 + 2j). Then, ordered by (day first admitted, field, count descending, h60(value), value), the
values. A field that comes later has its two reserved ids at the beginning of its first day; the ids of one that is
given up stay as they are, and serve it again should it come back. On the day that fits a numeric field's edges, its
buckets stand where another field's values would: the first day, or for quantiles the first on which the field has a
value. Until then it has *missing* and *other* only.
"""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import duckdb
import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pnn_gluon.arrays import Ids
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.config import AnyField, EngineConfig, Fields, MultiField, NumericField
from pnn_gluon.data.bucketing import UNREADABLE, Edges, fit_quantiles, rule_edges
from pnn_gluon.data.counting import merge_counts
from pnn_gluon.data.hdf5_reading import refuse_large
from pnn_gluon.data.hdf5_writing import Hdf5Writing, written_hdf5
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.store.parts import Files
from pnn_gluon.warehouse.duckdb_engine import connect, statement

FORMAT_VERSION = 2
"""Of a map whose fields changed, or in which ids expire; another is of format 1, as releases before 0.3 read it."""
ID_LIMIT = 2**31 - 1
"""The most ids: they are int32."""
EPOCH = datetime.date(1970, 1, 1)
ENTRY = pa.schema({"field": pa.int16(), "value": pa.large_string(), "impressions": pa.int64(), "clicks": pa.int64()})


def _no_ids() -> Ids:
    return np.empty(0, np.int32)


@dataclass(frozen=True)
class MapField:
    """What gives the ids of one field their meaning; it is fixed for the life of a map.

    Attributes:
        width: id slots of a row, 1 unless multi-valued.
        separator: between the values of a multi-valued field, else empty.
        bucketing, buckets: the rule of a numeric field and its number of quantile buckets, else empty and 0.
        edges: rising bucket edges of a numeric field; see `pnn_gluon.data.bucketing`.
    """

    name: str
    kind: Literal["categorical", "numeric", "multi"]
    width: int = 1
    separator: str = ""
    bucketing: str = ""
    buckets: int = 0
    edges: Edges = ()

    @classmethod
    def from_config(cls, field: AnyField) -> Self:
        """The field as configured; quantile edges are still to be fitted."""
        if isinstance(field, NumericField):
            buckets = field.buckets if field.bucketing == "quantile" else 0
            return cls(field.name, "numeric", bucketing=field.bucketing, buckets=buckets, edges=rule_edges(field))
        if isinstance(field, MultiField):
            return cls(field.name, "multi", field.max_values, field.separator)
        return cls(field.name, "categorical")

    @property
    def unfitted(self) -> Self:
        """The field without what was learnt from data: two fields equal in this give ids the same meaning."""
        return dataclasses.replace(self, edges=()) if self.bucketing == "quantile" else self


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """All ids of one day; every array has one entry per id, V in all, and is read-only.

    Attributes:
        fields: the fields of a row, in their order.
        day: the day whose window admitted the newest values.
        parent_hash: SHA-256 of the file of the map this one grew from, empty for the first.
        threshold: least impressions in the window for a value to get an id.
        values: the value of each id, large_string; empty for padding, reserved ids and buckets.
        field_of: number of the field of each id, int16; -1 for padding. See `owners`.
        impressions, clicks: counts in the window that admitted the value, int64; 0 where there is no value.
        first_day: day of admission, int32 days since 1970-01-01.
        owners: the number of each field, for life; by default its position.
        retired: fields that rows have no more, with their numbers.
        fields_since: the day on which rows got these fields; None for those of the first day.
        last_day: the newest day on which the value passed the threshold, as first_day; None where no id expires.
        expire_days: after so many days without it an id is expired; 0 where none is.
        revived: ids that were expired in the map of the day before, and are not here.
    """

    fields: tuple[MapField, ...]
    day: datetime.date
    parent_hash: str
    threshold: int
    values: Any
    field_of: npt.NDArray[np.int16]
    impressions: npt.NDArray[np.int64]
    clicks: npt.NDArray[np.int64]
    first_day: npt.NDArray[np.int32]
    owners: tuple[int, ...] = ()
    retired: tuple[tuple[int, MapField], ...] = ()
    fields_since: datetime.date | None = None
    last_day: npt.NDArray[np.int32] | None = None
    expire_days: int = 0
    revived: Ids = dataclasses.field(default_factory=_no_ids)

    def __post_init__(self) -> None:
        object.__setattr__(self, "owners", self.owners or tuple(range(len(self.fields))))
        for array in (self.field_of, self.impressions, self.clicks, self.first_day, self.last_day, self.revived):
            if array is not None:
                array.flags.writeable = False

    @property
    def size(self) -> int:
        """Number of ids V, padding included."""
        return len(self.field_of)

    @property
    def begun(self) -> datetime.date:
        """The day of the first map, which this one grew from or is."""
        return EPOCH + datetime.timedelta(int(self.first_day[0]))

    @property
    def has_sets(self) -> bool:
        """Whether a field is multi-valued."""
        return any(field.kind == "multi" for field in self.fields)

    def size_on(self, day: datetime.date) -> int:
        """Number of ids that the map had on a day from its first on: they come in the order of their admission."""
        days = (day - EPOCH).days
        begun = 1 + 2 * sum(first == 1 + 2 * number for number, first in enumerate(self._missing))
        return int(max(begun, np.searchsorted(self.first_day, days, side="right")))

    def own_size_on(self, day: datetime.date) -> int:
        """Number of ids by which the rows of a day are known at first: those of the day, or of the newest fields.

        With multi-valued fields, whose slots depend on each other, all of them.
        """
        if self.has_sets:
            return self.size
        return self.size_on(day if self.fields_since is None else max(day, self.fields_since))

    def reads_otherwise(self, own_size: int) -> bool:
        """Whether rows by the first `own_size` ids, before any of them expired, may be read otherwise by this map."""
        return own_size < self.size or (not self.has_sets and bool(self.expired.any()))

    def has_fields_of(self, day: datetime.date) -> bool:
        """Whether rows had the same fields in the same order in the map of an earlier day."""
        return self.fields_since is None or self.fields_since <= day

    @cached_property
    def layout(self) -> FieldLayout:
        """How the S slots of an encoded row are divided into fields."""
        return FieldLayout(tuple(f.name for f in self.fields), tuple(f.width for f in self.fields))

    @cached_property
    def vocabulary(self) -> tuple[int, ...]:
        """Number of ids of each field, its two reserved ones included."""
        owned = np.bincount(self.position_of[self.position_of >= 0], minlength=len(self.fields))
        return tuple(int(count) for count in owned)

    @cached_property
    def position_of(self) -> npt.NDArray[np.int16]:
        """Position in a row of the field of each id (V,); -1 for padding and fields that rows have no more."""
        places = np.full(len(self._missing) + 1, -1, np.int16)  # the last is that of padding
        places[list(self.owners)] = np.arange(len(self.fields))
        found: npt.NDArray[np.int16] = places[self.field_of]
        return found

    @cached_property
    def expired(self) -> npt.NDArray[np.bool_]:
        """Whether rows with the value of an id are read as *other* of its field (V,); never those of buckets."""
        if self.last_day is None:
            return np.zeros(self.size, np.bool_)
        found: npt.NDArray[np.bool_] = (self.impressions > 0) & (
            (self.day - EPOCH).days - self.last_day >= self.expire_days
        )
        return found

    @cached_property
    def unexpired(self) -> Self:
        """The map in which every id is as it was before it expired."""
        return dataclasses.replace(self, last_day=None, expire_days=0, revived=_no_ids())

    def compacted(self) -> tuple[Self, npt.NDArray[np.int64]]:
        """A map without expired ids and those of former fields, in which ids move; and the id here of each of its ids.

        Reserved ids come first by the order of the fields, the others in their order; rows are read as they are here.
        """
        reserved = [self.missing_id(field) + other for field in range(len(self.fields)) for other in (0, 1)]
        stays = (self.position_of >= 0) & ~self.expired
        stays[reserved] = False
        kept = np.concatenate([[0], reserved, np.flatnonzero(stays)]).astype(np.int64)
        first_day = self.first_day[kept]
        first_day[: 1 + len(reserved)] = self.first_day[0]
        compact = dataclasses.replace(
            self,
            values=self.values.take(pa.array(kept)),
            field_of=self.position_of[kept],
            impressions=self.impressions[kept],
            clicks=self.clicks[kept],
            first_day=first_day,
            owners=(),
            retired=(),
            fields_since=None,
            last_day=None if self.last_day is None else self.last_day[kept],
            revived=_no_ids(),
        )
        return compact, kept

    def live(self, ids: Ids) -> Ids:
        """Single-valued rows (B, S) by `unexpired`, as this map reads them: *other* for expired ids."""
        gone = self.expired[ids]
        return np.where(gone, self.other_of(ids), ids) if gone.any() else ids

    @cached_property
    def table(self) -> tuple[MapField, ...]:
        """All fields that the map ever had, by number."""
        numbered = dict(self.retired) | dict(zip(self.owners, self.fields, strict=True))
        return tuple(numbered[number] for number in range(len(numbered)))

    @cached_property
    def _missing(self) -> npt.NDArray[np.int64]:
        """The id *missing* of each field by number; *other* follows it."""
        _, first = np.unique(self.field_of[1:], return_index=True)
        return np.asarray(first + 1, np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides how rows are encoded."""
        digest = hashlib.sha256(repr(self.fields).encode())
        if self.fields_since is not None:
            digest.update(repr(self.owners).encode())
        if self.last_day is not None:
            digest.update(self.expired.data)
        for part in (*_text_parts(self.values), self.field_of):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def missing_id(self, field: int) -> int:
        """The id of a field that a row leaves empty."""
        return int(self._missing[self.owners[field]])

    def other_id(self, field: int) -> int:
        """The id of the field's rare and unseen values."""
        return self.missing_id(field) + 1

    def first_bucket(self, field: int) -> int:
        """The id of a numeric field's bucket 0; the others follow it."""
        return self._runs[field][0][0]

    @cached_property
    def unfitted(self) -> tuple[str, ...]:
        """Names of the numeric fields without buckets: no day had a value that their quantiles could be fitted to."""
        fields = zip(self.fields, self._runs, strict=True)
        return tuple(field.name for field, runs in fields if field.kind == "numeric" and not runs)

    def other_of(self, ids: Ids) -> Ids:
        """For each id the *other* id of its field, same shape; padding stays padding.

        A value that is new in a grown map was read as *other* before: its row starts from there.
        """
        other = np.append(self._missing + 1, 0).astype(np.int32)  # the last is that of padding
        found: Ids = other[self.field_of[ids]]
        return found

    def continues(self, earlier: "FeatureMap") -> bool:
        """Whether this map grew from an earlier one (or is it): every id of that means the same here."""
        size, pairs = earlier.size, list(zip(self.table, earlier.table, strict=False))
        return (
            size <= self.size
            and len(earlier.table) <= len(self.table)
            and all(now.unfitted == then.unfitted for now, then in pairs)
            and all(now.edges == then.edges or then.name in earlier.unfitted for now, then in pairs)
            and bool((self.field_of[:size] == earlier.field_of).all())
            and bool(self.values.slice(0, size).equals(earlier.values))
        )

    def dictionary(self, field: int) -> Any:
        """Arrow table (value large_string, id int32) of one field's values, without those whose id is expired."""
        return self._dictionaries[field]

    @cached_property
    def known_values(self) -> tuple[Any, ...]:
        """Arrow table (value large_string, id int32) of each field's values, expired or not, without copying any."""
        every = pa.table({"value": self.values, "id": np.arange(self.size, dtype=np.int32)})
        none = every.slice(0, 0)
        return tuple(pa.concat_tables([none, *(every.slice(a, b - a) for a, b in runs)]) for runs in self._runs)

    @cached_property
    def _dictionaries(self) -> tuple[Any, ...]:
        found = self.known_values
        if not self.expired.any():
            return found
        return tuple(words.filter(~self.expired[words["id"].to_numpy()]) for words in found)

    @cached_property
    def _runs(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Per field, the id ranges [first, end) of its buckets or values: one for each day that admitted some."""
        runs: dict[int, list[tuple[int, int]]] = {number: [] for number in range(len(self.table))}
        for a, b, number in self._stretches:
            runs[number].append((a, b))
        return tuple(tuple(runs[number]) for number in self.owners)

    @cached_property
    def _stretches(self) -> tuple[tuple[int, int, int], ...]:
        """The id ranges [first, end) of buckets and values of one field, with its number, in the order of ids."""
        numbers = self.field_of.copy()
        numbers[self._missing] = numbers[self._missing + 1] = -1
        cuts = (np.flatnonzero(np.diff(numbers)) + 1).tolist()
        ends = pairwise([0, *cuts, self.size])
        return tuple((a, b, int(numbers[a])) for a, b in ends if numbers[a] >= 0)

    def save(self, path: Path) -> None:
        """Write the map as HDF5; equal maps give equal bytes. The id of an entry is its position."""
        offsets, content = _text_parts(self.values)
        table = [dataclasses.asdict(dataclasses.replace(field, edges=())) | {"edges": None} for field in self.table]
        with written_hdf5(path, libver=("v110", "v110"), track_order=False) as writing:
            file = writing.file
            file.attrs["format_version"] = 1
            if self.fields_since is not None or self.last_day is not None or len(self.revived):
                file.attrs["format_version"] = FORMAT_VERSION
            if self.last_day is not None:
                file.attrs["expire_days"] = self.expire_days
                _put(writing, "last_day", self.last_day)
            if len(self.revived):
                _put(writing, "revived", self.revived)
            if self.fields_since is not None:
                file.attrs["fields_since"] = self.fields_since.isoformat()
                _put(writing, "owners", np.array(self.owners, np.int16))
            file.attrs["day"] = self.day.isoformat()
            file.attrs["parent_hash"] = self.parent_hash
            file.attrs["threshold"] = self.threshold
            _put(writing, "fields", np.frombuffer(json.dumps(table).encode(), np.uint8))
            for field in self.table:
                _put(writing, f"edges/{field.name}", np.asarray(field.edges, np.float64))
            _put(writing, "value_offsets", offsets)
            _put(writing, "value_bytes", content)
            _put(writing, "field", self.field_of)
            _put(writing, "impressions", self.impressions)
            _put(writing, "clicks", self.clicks)
            _put(writing, "first_day", self.first_day)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a map written by `save`.

        Raises:
            InputError: no such file, not a feature map of this format, or its arrays do not fit each other.
        """
        try:
            with h5py.File(path, "r") as file:
                _check_format(file, path)
                refuse_large(file, path)
                found = cls._read(file)
            _check_arrays(found)
            return found
        except (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError, ConfigError) as error:
            raise InputError(f"{path}: expected a feature map (HDF5): {error}; build that day's map again") from error

    @classmethod
    def _read(cls, file: Any) -> Self:
        table = json.loads(file["fields"][:].tobytes())
        fields = [MapField(**{**entry, "edges": tuple(file[f"edges/{entry['name']}"][:].tolist())}) for entry in table]
        offsets, content = file["value_offsets"][:], file["value_bytes"][:]
        _check_offsets(offsets, content)
        since = file.attrs.get("fields_since")
        owners = range(len(fields)) if since is None else file["owners"][:].tolist()
        return cls(
            fields=tuple(fields[number] for number in owners),
            day=datetime.date.fromisoformat(file.attrs["day"]),
            parent_hash=file.attrs["parent_hash"],
            threshold=int(file.attrs["threshold"]),
            values=pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(content)),
            field_of=file["field"][:],
            impressions=file["impressions"][:],
            clicks=file["clicks"][:],
            first_day=file["first_day"][:],
            owners=tuple(owners),
            retired=tuple((number, field) for number, field in enumerate(fields) if number not in owners),
            fields_since=since and datetime.date.fromisoformat(since),
            last_day=file["last_day"][:] if "last_day" in file else None,
            expire_days=int(file.attrs.get("expire_days", 0)),
            revived=file["revived"][:] if "revived" in file else _no_ids(),
        )


class Growth(NamedTuple):
    """A day's map, and the number of values that passed the threshold and got no id for want of room."""

    map: FeatureMap
    left_out: int


def grow_map(
    parent: FeatureMap | None,
    fields: Fields,
    threshold: int,
    engine: EngineConfig,
    day: datetime.date,
    counts: Sequence[Path],
    rows: Files | None,
    parent_hash: str,
    most: int = ID_LIMIT,
    expire_days: int = 0,
    min_days: int = 1,
    weighted: bool = False,
) -> Growth:
    """The map of a day: its parent's, then every value that passes the threshold in the window and is new.

    Where there is no room for all of them, those with most impressions get an id, and the others stay *other*; equal
    ones come by field, h60(value), value. A numeric field gets all of its buckets, or none while they have no room.

    Args:
        parent: the map of the day before, None for the first.
        fields: fields of the rows; those that the parent does not have are new, of others its ids stay unused.
        threshold: least impressions in the window for a value to get an id.
        engine: limits of the SQL engine.
        day: last day of the window.
        counts: files of counts (field, value, impressions, clicks) of the days of the window.
        rows: rows of the day, which quantile edges are fitted to; read only while a field has none.
        parent_hash: SHA-256 of the parent's file, empty without a parent.
        most: The most ids that the map may have.
        expire_days: Days after which an id expires whose value does not pass the threshold any more; 0 for none. Its
            value has the id again from the day on which it passes.
        min_days: Least days of the window on which a value must have come to pass.
        weighted: Whether the rows have weights, which quantile edges count by.

    Raises:
        InputError: counts or rows are missing, or a field of the parent's name is another one.
    """
    base = _skeleton(fields, threshold, day) if parent is None else _with_fields(parent, fields, day)
    with connect(engine) as connection:
        fitted = _fit(connection, base, fields, rows, weighted) if base.unfitted else base
        admitted = _admitted(connection, base, counts, threshold, min_days)
        passing = _passing(connection, base, counts, threshold, min_days) if expire_days else _no_ids()
    room = max(0, most - base.size)
    entries = _with_buckets(fitted, base.unfitted, admitted, room)
    chosen = _with_room(entries, room)
    grown = _append(fitted, chosen, day, threshold, parent_hash)
    aged = _aged(grown, base, passing, expire_days)
    return Growth(aged, entries.num_rows - chosen.num_rows)


def _skeleton(fields: Fields, threshold: int, day: datetime.date) -> FeatureMap:
    """A map with padding and reserved ids only."""
    table = tuple(MapField.from_config(field) for field in fields)
    size = 1 + 2 * len(table)
    return FeatureMap(
        fields=table,
        day=day,
        parent_hash="",
        threshold=threshold,
        values=pa.array([""] * size, pa.large_string()),
        field_of=((np.arange(size) + 1) // 2 - 1).astype(np.int16),
        impressions=np.zeros(size, np.int64),
        clicks=np.zeros(size, np.int64),
        first_day=np.full(size, (day - EPOCH).days, np.int32),
    )


def _fit(
    connection: duckdb.DuckDBPyConnection, base: FeatureMap, fields: Fields, rows: Files | None, weighted: bool
) -> FeatureMap:
    """The map with the quantile edges of those fields that had none and have values now."""
    unfitted = [f for f in fields if isinstance(f, NumericField) and f.name in base.unfitted]
    quantile = [f for f in unfitted if f.bucketing == "quantile"]
    if not quantile:
        return base
    if rows is None:
        raise InputError(
            f"feature map of {base.day}: field {quantile[0].name!r} has quantile buckets, which are fitted to "
            f"the rows of the first day with values, and there are none; run ingest for {base.day} first"
        )
    edges = fit_quantiles(connection, quantile, rows, weighted)
    fitted = tuple(dataclasses.replace(f, edges=edges.get(f.name, f.edges)) for f in base.fields)
    return dataclasses.replace(base, fields=fitted)


def _with_fields(parent: FeatureMap, fields: Fields, day: datetime.date) -> FeatureMap:
    """The parent with the fields of today's rows: what they have in common keeps its ids, new ones get reserved ids."""
    if parent.day >= day:
        raise InputError(f"feature map of {day}: its parent must be of an earlier day, received {parent.day}")
    wanted = [MapField.from_config(field) for field in fields]
    numbers = {field.name: number for number, field in enumerate(parent.table)}
    for field in wanted:
        _refuse_another(parent, parent.table[numbers[field.name]] if field.name in numbers else field, field, day)
    if [field.name for field in wanted] == [field.name for field in parent.fields]:
        return parent
    new = [field for field in wanted if field.name not in numbers]
    table = (*parent.table, *new)
    numbers |= {field.name: len(parent.table) + place for place, field in enumerate(new)}
    owners = tuple(numbers[field.name] for field in wanted)
    return dataclasses.replace(
        _append(parent, _reserved_entries(len(parent.table), len(new)), day, parent.threshold, parent.parent_hash),
        fields=tuple(table[number] for number in owners),
        owners=owners,
        retired=tuple((number, field) for number, field in enumerate(table) if number not in owners),
        fields_since=day,
    )


def _refuse_another(parent: FeatureMap, known: MapField, wanted: MapField, day: datetime.date) -> None:
    if known.unfitted != wanted.unfitted:
        raise InputError(
            f"feature map of {day}: the map of {parent.day} has another field of this name: "
            f"expected {_describe(known)}, received {_describe(wanted)}. Ids would change their meaning: put it "
            "back, or give it another name and set its `column`"
        )


def _reserved_entries(first: int, new: int) -> Any:
    """The entries of *missing* and *other* of so many new fields, whose numbers begin at `first`."""
    numbers = np.repeat(np.arange(first, first + new, dtype=np.int16), 2)
    zeros = np.zeros(len(numbers), np.int64)
    return pa.table([numbers, pa.array([""] * len(numbers), pa.large_string()), zeros, zeros], schema=ENTRY)


def _describe(field: MapField) -> str:
    details = [f"{field.kind} field {field.name!r}"]
    if field.kind == "multi":
        details.append(f"separator {field.separator!r}, {field.width} values at most")
    if field.kind == "numeric":
        details.append(f"bucketing {field.bucketing}, {field.buckets or len(field.edges) + 1} buckets")
    return ", ".join(details)


def _admitted(
    connection: duckdb.DuckDBPyConnection, base: FeatureMap, counts: Sequence[Path], threshold: int, min_days: int
) -> Any:
    """Arrow table (field int16, value, impressions, clicks) of the values that get an id, of a field in their order."""
    try:
        named = connection.sql(statement("counted_fields", counts=counts)).fetchall()
        found = [
            table.add_column(0, "field", [np.full(len(table), number)]).cast(ENTRY)
            for number, table in _by_field(connection, "grow_map", base, counts, threshold, min_days)
        ]
    except UNREADABLE as error:
        raise InputError(f"feature map: can't read the counts of the window: {error}; run count again") from error
    if unknown := sorted({name for (name,) in named} - {field.name for field in base.table}):
        raise InputError(
            f"feature map: the counts of the window have the field {unknown[0]!r}, expected "
            f"{', '.join(field.name for field in base.fields)}; run count again for every day of the window"
        )
    return pa.concat_tables([ENTRY.empty_table(), *found])


def _passing(
    connection: duckdb.DuckDBPyConnection, base: FeatureMap, counts: Sequence[Path], threshold: int, min_days: int
) -> Ids:
    """The known ids whose values pass the threshold."""
    tables = [table["id"] for _, table in _by_field(connection, "passing_values", base, counts, threshold, min_days)]
    return np.concatenate([_no_ids(), *(ids.to_numpy() for ids in tables)])


def _by_field(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    base: FeatureMap,
    counts: Sequence[Path],
    threshold: int,
    min_days: int,
) -> Iterator[tuple[int, Any]]:
    """What a statement finds for each field that is counted, with the field's number.

    One field is summed at a time, so that memory is bounded by the values of the one that has most.
    """
    for field, number, known in zip(base.fields, base.owners, base.known_values, strict=True):
        if field.kind != "numeric":
            connection.register("known_values", known)
            window = merge_counts(counts, field.name, min_days)
            yield number, connection.sql(statement(name, window=window, threshold=threshold)).to_arrow_table()


def _aged(grown: FeatureMap, base: FeatureMap, passing: Ids, expire_days: int) -> FeatureMap:
    """The day's map with what expires in it; where it begins, the ids that are there passed on the day before."""
    if not expire_days:
        return dataclasses.replace(
            grown, last_day=None, expire_days=0, revived=np.flatnonzero(base.expired).astype(np.int32)
        )
    today = (grown.day - EPOCH).days
    if grown.last_day is None:
        last_day = np.where(np.arange(grown.size) < base.size, (base.day - EPOCH).days, today).astype(np.int32)
    else:
        last_day = grown.last_day.copy()
    last_day[passing] = today
    aged = dataclasses.replace(grown, last_day=last_day, expire_days=expire_days)
    revived = np.flatnonzero(base.expired & ~aged.expired[: base.size]).astype(np.int32)
    return dataclasses.replace(aged, revived=revived)


def _with_buckets(fitted: FeatureMap, unfitted: tuple[str, ...], admitted: Any, room: int) -> Any:
    """The entries of a day: the buckets of fields that were unfitted where another field's values would stand."""
    fields = sorted(zip(fitted.owners, fitted.fields, strict=True), key=lambda numbered: numbered[0])
    sizes = [len(field.edges) + 1 if field.name in unfitted and field.edges else 0 for _, field in fields]
    sizes = [size if so_far <= room else 0 for size, so_far in zip(sizes, np.cumsum(sizes), strict=True)]
    owners = np.repeat(np.array([number for number, _ in fields], np.int16), sizes)
    zeros = np.zeros(len(owners), np.int64)
    buckets = pa.table([owners, pa.array([""] * len(owners), pa.large_string()), zeros, zeros], schema=ENTRY)
    entries = pa.concat_tables([buckets, admitted])
    return entries.take(np.argsort(entries["field"].to_numpy(), kind="stable"))


def _with_room(entries: Any, room: int) -> Any:
    """So many of a day's entries, in their order: buckets, then the values with most impressions."""
    if entries.num_rows <= room:
        return entries
    counts = np.where(entries["impressions"].to_numpy() > 0, entries["impressions"].to_numpy(), np.iinfo(np.int64).max)
    return entries.take(np.sort(np.argsort(-counts, kind="stable")[:room]))


def _append(base: FeatureMap, entries: Any, day: datetime.date, threshold: int, parent_hash: str) -> FeatureMap:
    first_day = np.full(entries.num_rows, (day - EPOCH).days, np.int32)
    return dataclasses.replace(
        base,
        day=day,
        parent_hash=parent_hash,
        threshold=threshold,
        values=pa.concat_arrays([base.values, *entries["value"].chunks]),
        field_of=np.concatenate([base.field_of, entries["field"].to_numpy()]),
        impressions=np.concatenate([base.impressions, entries["impressions"].to_numpy()]),
        clicks=np.concatenate([base.clicks, entries["clicks"].to_numpy()]),
        first_day=np.concatenate([base.first_day, first_day]),
        last_day=None if base.last_day is None else np.concatenate([base.last_day, first_day]),
    )


def _text_parts(values: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets (V + 1,) and bytes of a large_string array that starts at offset 0 and has no NULL."""
    _, offsets, content = values.buffers()
    ends = np.frombuffer(offsets, np.int64, len(values) + 1)
    empty = np.empty(0, np.uint8)
    return ends, empty if content is None else np.frombuffer(content, np.uint8, int(ends[-1]))


def _put(writing: Hdf5Writing, name: str, array: npt.NDArray[Any]) -> None:
    writing.put(name, array, track_times=False)


def _check_offsets(offsets: npt.NDArray[Any], content: npt.NDArray[Any]) -> None:
    """See that offsets are those of texts in the content: Arrow reads wherever they point to."""
    if offsets.dtype != np.int64 or content.dtype != np.uint8 or offsets.ndim != 1 or content.ndim != 1:
        raise ValueError(f"texts of the types {offsets.dtype} and {content.dtype}")
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(content) or (np.diff(offsets) < 0).any():
        raise ValueError("offsets that are not those of its texts")


def _check_arrays(found: FeatureMap) -> None:
    """See that every id has all that belongs to it, and a field.

    Raises:
        ValueError: saying what does not fit.
    """
    kinds = {"field_of": "i2", "impressions": "i8", "clicks": "i8", "first_day": "i4", "last_day": "i4"}
    for name, kind in kinds.items():
        array = getattr(found, name)
        if array is not None and (array.dtype != kind or array.shape != (len(found.values),)):
            raise ValueError(f"{name}: {array.dtype} {array.shape}, expected {kind} ({len(found.values)},)")
    found.values.validate(full=True)
    numbers, counts = np.unique(found.field_of[1:], return_counts=True)
    if found.field_of[:1].tolist() != [-1] or numbers.tolist() != list(range(len(found.table))) or (counts < 2).any():
        raise ValueError(
            f"ids of the fields {numbers.tolist()[:20]}, expected two and more of each of {len(found.table)}"
        )
    if any(found.field_of[first : first + 2].tolist() != [number] * 2 for number, first in enumerate(found._missing)):
        raise ValueError("fields whose ids *missing* and *other* are not side by side")
    if found.revived.dtype != np.int32 or ((found.revived < 1) | (found.revived >= found.size)).any():
        raise ValueError("revived ids that are none of the map")
    for field in found.table:
        if field.kind not in {"categorical", "numeric", "multi"} or not isinstance(field.separator, str):
            raise ValueError(f"field {field.name!r} of the kind {field.kind!r}")
        if not np.isfinite(field.edges).all() or (np.diff(field.edges) <= 0).any():
            raise ValueError(f"field {field.name!r}: edges that do not rise")
    _ = found.layout


def _check_format(file: Any, path: Path) -> None:
    version = file.attrs.get("format_version")
    if version not in range(1, FORMAT_VERSION + 1):
        raise InputError(
            f"{path}: feature map format {version}, expected 1 to {FORMAT_VERSION}; build that day's map again"
        )
