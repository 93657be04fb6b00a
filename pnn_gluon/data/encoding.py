"""Raw rows to ids: the one code path of training shards, evaluation and scoring."""

import datetime
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pnn_gluon.arrays import Ids
from pnn_gluon.data.bucketing import UNREADABLE, bucket_of
from pnn_gluon.data.coded_rows import FAULTS, coded_rows
from pnn_gluon.data.coded_texts import CodedTexts, KnownTexts, coded_texts
from pnn_gluon.data.feature_map import FeatureMap, MapField
from pnn_gluon.data.sampled_rows import RawRows, SampledRows
from pnn_gluon.data.shard_others import OthersSeen, others_of
from pnn_gluon.data.shard_patch import Cells, Patch, patch_of
from pnn_gluon.data.shards import SHARES, ShardWriter
from pnn_gluon.errors import InputError
from pnn_gluon.warehouse.duckdb_engine import identifier, parquet_path, statement

Source: TypeAlias = str | RawRows
"""The name of a relation of the connection, one or more Parquet files, or rows with their shares."""

LookUp: TypeAlias = Callable[[int, Any], Ids]
"""The ids of distinct words (Arrow array) of the field at a position; *other* for those without one."""

BATCH_ROWS = 65536
WINDOW_ROWS = 8 * BATCH_ROWS
"""Rows of a file that SQL reads together: bounds memory, and the time to the first batch."""
ID_LIMIT = 2**31


@dataclass(frozen=True)
class EncodedBatch:
    """Rows in the order of their source.

    Attributes:
        ids: int32 (B, S), the slots of the map's layout.
        columns: Arrow array (B,) of each column that was asked for, unchanged.
    """

    ids: Ids
    columns: Mapping[str, Any]


def encode_rows(
    connection: duckdb.DuckDBPyConnection,
    feature_map: FeatureMap,
    source: Source,
    columns: Sequence[str] = (),
    where: str = "true",
    batch_rows: int = BATCH_ROWS,
) -> Generator[EncodedBatch, None, None]:
    """The ids of the source's rows, in its order (Parquet: file after file, by row number), batch by batch.

    An unknown value is *other*, NULL is *missing*; a number goes to its bucket, NULL and NaN to *missing*.
    A multi-valued field is split, blanks around values trimmed, empty ones and duplicates dropped, the
    unknown ones together one *other*; the first `width` remain in order of appearance, then padding; if
    none remains, *missing* stands in the first slot.

    Args:
        columns: names of columns to carry along, such as label or row_id; a field's raw value too.
        where: SQL condition on the source's columns, part of the program and not of its input.

    Don't use the connection for other queries before the last batch: that ends the stream.

    Raises:
        InputError: a file or a column is missing.
    """
    known = KnownTexts()
    try:
        for table in _tables(source):
            with _texts_of(table, feature_map, where) as texts:
                fields = [field for field in feature_map.fields if texts is None or field.name not in texts.names]
                for relation, ordered in _relations(connection, table, feature_map.layout.names):
                    query = _query(fields, relation, ordered, columns, where)
                    for batch in connection.sql(query).to_arrow_reader(batch_rows):
                        if batch.num_rows:
                            yield _encoded(feature_map, batch, columns, texts, known)
    except (*UNREADABLE, *FAULTS) as error:  # Arrow's, where a file turns out to be damaged between two batches
        raise _refused(source, feature_map, error) from error


def _tables(source: Source) -> Sequence[str | SampledRows]:
    """What to read, one after the other: a relation, or files."""
    if isinstance(source, str):
        return [source]
    files = [source] if isinstance(source, Path | SampledRows) else source
    return [each if isinstance(each, SampledRows) else SampledRows(each) for each in files]


def _texts_of(
    table: str | SampledRows, feature_map: FeatureMap, where: str
) -> AbstractContextManager[CodedTexts | None]:
    """What reads texts beside SQL; None where that joins or chooses rows, or the file's texts are better left to it."""
    if isinstance(table, str) or table.shares is not None or where != "true":
        return nullcontext()
    return coded_texts(table.rows, [field.name for field in feature_map.fields if field.kind != "numeric"])


def _encoded(
    feature_map: FeatureMap, batch: Any, columns: Sequence[str], texts: CodedTexts | None, known: KnownTexts
) -> EncodedBatch:
    """The rows of a record batch, some of whose fields may be read beside it."""
    if texts is None or not texts.names:
        return encode_batch(feature_map, batch, columns)
    others = [field.name for field in feature_map.fields if field.name not in texts.names]
    ids, start = [], 0
    for piece in texts.take(batch.num_rows):
        given = dict(zip(others, batch.slice(start, piece.num_rows).columns, strict=False))  # carried columns follow
        given |= dict(zip(piece.schema.names, piece.columns, strict=True))
        whole = pa.record_batch([given[name] for name in feature_map.layout.names], feature_map.layout.names)
        ids.append(encode_batch(feature_map, whole, known=known).ids)
        start += piece.num_rows
    carried = dict(zip(columns, batch.columns[len(others) : len(others) + len(columns)], strict=True))
    return EncodedBatch(ids[0] if len(ids) == 1 else np.concatenate(ids), carried)


def _refused(source: Source, feature_map: FeatureMap, error: Exception) -> InputError:
    return InputError(
        f"{source}: can't be encoded with the feature map of {feature_map.day}: {error}; "
        "make these rows again with the present configuration"
    )


def clip_to_map(ids: Ids, size: int, other_of: Callable[[Ids], Ids]) -> Ids:
    """Ids as an older map of the same lineage has them: those it did not know yet become *other*.

        id < size: id;  id >= size: other_of(id)

    Where that gives a row the same id twice (several new values in one multi-valued field), the first stays
    and the others become padding, as the older map would have had one *other*.

    Args:
        ids: int32 (B, S) or (S,) by the newer map.
        size: V of the older map.
        other_of: `FeatureMap.other_of` of the newer map.
    """
    new = ids >= size
    if not new.any():
        return ids
    clipped: Ids = np.where(new, other_of(ids), ids).astype(np.int32)
    rows = clipped.reshape(-1, ids.shape[-1])  # (B, S), a view
    ordered = np.sort(rows, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)).any(axis=1)
    if twice.any():
        rows[twice] = _without_repeats(rows[twice])
    return clipped


def write_shard(
    connection: duckdb.DuckDBPyConnection,
    feature_map: FeatureMap,
    sample: SampledRows,
    shard_path: Path,
    day: datetime.date,
    carried: bool = True,
) -> dict[str, int]:
    """Encode the train and calibrate shares of a day's sample into one shard; the gate share never is.

    The shard holds the ids by the map of its own day before any of them expired, a patch beside it what the map has
    learned and forgotten since; with multi-valued fields, whose slots depend on each other, it holds them by this map.
    If the shard is to be carried on to later maps, a third file has the values that it holds as *other*.

    Returns the number of rows of each share.

    Raises:
        InputError: the sample is missing, or its train share has more than one rate.
    """
    rate = _train_rate(connection, sample.shares or sample.rows)
    rows = dict.fromkeys(SHARES, 0)
    cells, others = {share: [Cells.none()] for share in SHARES}, OthersSeen(SHARES)
    slots, size = feature_map.layout.slots, feature_map.own_size_on(day)
    whole = feature_map if feature_map.has_sets else feature_map.unexpired
    with ShardWriter(
        shard_path, day=day.isoformat(), slots=slots, rate=rate, size=size, weighted=sample.weighted
    ) as shard:
        for texts, batch in _encoded_shares(whole, sample):
            label, own = batch.columns["label"].to_numpy(), clip_to_map(batch.ids, size, feature_map.other_of)
            ids = batch.ids if feature_map.has_sets else feature_map.live(batch.ids)
            for share in SHARES:
                chosen = np.flatnonzero(pc.equal(batch.columns["share"], share).to_numpy(False))
                weight = batch.columns["weight"].to_numpy()[chosen] if sample.weighted else None
                shard.append(share, own[chosen], label[chosen], weight)
                if carried and not feature_map.has_sets:
                    _note_others(others, feature_map, share, rows[share], own[chosen], texts.take(pa.array(chosen)))
                if own is not ids:
                    cells[share].append(Cells.between(own[chosen], ids[chosen], rows[share]))
                rows[share] += len(chosen)
    if feature_map.reads_otherwise(size):
        joined = {share: Cells.joined(parts) for share, parts in cells.items()}
        Patch(day.isoformat(), feature_map.size, joined).write(patch_of(shard_path))
    if carried:
        others.write(others_of(shard_path), day.isoformat(), size)
    return rows


def _note_others(others: OthersSeen, feature_map: FeatureMap, share: str, first: int, own: Ids, texts: Any) -> None:
    """Note the values of a record batch of B rows of a share that their ids (B, S) have as *other*."""
    for position, (field, slot) in enumerate(zip(feature_map.fields, feature_map.layout.starts, strict=True)):
        if field.kind == "categorical":
            at = np.flatnonzero(own[:, slot] == feature_map.other_id(position))
            others.add(slot, share, first + at, texts.column(position).take(pa.array(at)))


def _encoded_shares(feature_map: FeatureMap, sample: SampledRows) -> Iterator[tuple[Any, EncodedBatch]]:
    """The rows of the shares of a shard, raw and encoded, with `label`, `weight` if they are weighted, and `share`."""
    columns = ("label", "weight") if sample.weighted else ("label",)
    try:
        for batch in coded_rows(sample, feature_map.fields, columns, SHARES):
            yield batch, encode_batch(feature_map, batch, (*columns, "share"))
    except FAULTS as error:
        raise _refused(sample, feature_map, error) from error


def _train_rate(connection: duckdb.DuckDBPyConnection, shares: Path) -> float:
    """The rate at which the train share's negatives were kept, which all its rows carry; 1 if it has no rows."""
    query = statement("train_rate", shares=str(shares))
    try:
        rates = [float(rate) for (rate,) in connection.execute(query).fetchall()]
    except UNREADABLE as error:
        raise InputError(f"{shares}: can't be read as a sample: {error}; run sample again") from error
    if len(rates) > 1:
        raise InputError(
            f"{shares}: expected a train share of one rate, received {rates}; run sample for that day again"
        )
    return rates[0] if rates else 1.0


def _relations(
    connection: duckdb.DuckDBPyConnection, table: str | SampledRows, fields: Sequence[str]
) -> Iterator[tuple[str, bool]]:
    """What to read from, some thousand rows each, and whether its rows have to be put in order."""
    if isinstance(table, str):
        yield identifier(table), False
        return
    query = f"select num_rows from parquet_file_metadata({parquet_path(table.rows)})"
    for (rows,) in connection.execute(query).fetchall():
        empty = table.lacks(fields)
        for start in range(0, max(rows, 1), WINDOW_ROWS):  # an empty file's columns are checked, too
            window = f"file_row_number between {start} and {start + WINDOW_ROWS - 1}"
            yield table.relation(window, empty), table.shares is not None


def _query(fields: Sequence[MapField], relation: str, ordered: bool, columns: Sequence[str], where: str) -> str:
    named = [{"name": field.name, "kind": field.kind} for field in fields]
    return statement("encode", fields=named, relation=relation, ordered=ordered, columns=columns, where=where)


def encode_batch(
    feature_map: FeatureMap,
    batch: Any,
    columns: Sequence[str] = (),
    look_up: LookUp | None = None,
    known: KnownTexts | None = None,
) -> EncodedBatch:
    """The ids of rows in memory, as `encode_rows` gives them.

    Args:
        feature_map: What gives them their ids.
        batch: Arrow record batch: a column for each field of the map, in its order, then those to carry along.
        columns: Names of the latter.
        look_up: What knows the ids of words; by default the map's dictionaries are searched once.
        known: The ids of texts in the dictionaries of the batch before, if it had any.
    """
    look_up = look_up or partial(_look_up_in_map, feature_map)
    by_slot: Ids = np.zeros((feature_map.layout.slots, batch.num_rows), np.int32)
    for position, (field, start) in enumerate(zip(feature_map.fields, feature_map.layout.starts, strict=True)):
        column = batch.column(position)
        if field.kind == "numeric":
            by_slot[start] = _bucket_ids(feature_map, position, column)
            continue
        sets = partial(_sets, feature_map, position, look_up)
        ids_of = sets if field.kind == "multi" else partial(_values, position, look_up)
        if known is not None and pa.types.is_dictionary(column.type):
            ids_of = partial(known.ids, position, ids_of)
        _take(ids_of, feature_map.missing_id(position), column, by_slot[start : start + field.width])
    carried = {name: batch.column(len(feature_map.fields) + k) for k, name in enumerate(columns)}
    return EncodedBatch(np.ascontiguousarray(by_slot.T), carried)


def _take(ids_of: Callable[[Any], Ids], missing_id: int, column: Any, slots: Ids) -> None:
    """Write the ids of texts (B,) into their slots (width, B), looking at each distinct text once.

    Args:
        ids_of: The ids of distinct texts of a field, (texts, width).
        missing_id: That of a null.
        column: The texts, with or without a dictionary.
        slots: Where the ids go.
    """
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    missing: Ids = np.zeros((1, len(slots)), np.int32)
    missing[0, 0] = missing_id
    ids = np.concatenate([ids_of(coded.dictionary.cast(pa.large_string())), missing])
    places = coded.indices.fill_null(len(ids) - 1).to_numpy()
    for slot, of_slot in zip(slots, np.ascontiguousarray(ids.T), strict=True):
        np.take(of_slot, places, out=slot, mode="clip")


def _values(position: int, look_up: LookUp, texts: Any) -> Ids:
    return look_up(position, texts)[:, np.newaxis]


def _bucket_ids(feature_map: FeatureMap, position: int, column: Any) -> Ids:
    values: npt.NDArray[np.float64] = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)  # NULL is NaN
    missing = np.int32(feature_map.missing_id(position))
    if feature_map.fields[position].name in feature_map.unfitted:
        return np.where(np.isnan(values), missing, np.int32(feature_map.other_id(position)))
    ids = bucket_of(feature_map.fields[position].edges, values) + np.int32(feature_map.first_bucket(position))
    return np.where(np.isnan(values), missing, ids)


def _sets(feature_map: FeatureMap, position: int, look_up: LookUp, texts: Any) -> Ids:
    """The ids of the set in each text, (texts, width), padded.

    Taken apart here and not in SQL: there, splitting and grouping again costs six times as much.
    """
    field = feature_map.fields[position]
    slots: Ids = np.zeros((len(texts), field.width), np.int32)
    lists = pc.split_pattern(texts, field.separator)
    words = pc.utf8_trim(lists.flatten(), " ")
    kept = pc.not_equal(words, "")
    rows = pc.list_parent_indices(lists).filter(kept).to_numpy()  # (W,), rising
    coded = words.filter(kept).dictionary_encode()
    word_ids = look_up(position, coded.dictionary)
    ids = word_ids[coded.indices.to_numpy()]  # (W,)
    _, first = np.unique(rows * ID_LIMIT + ids, return_index=True)
    first.sort()  # back to the order of appearance
    rows, ids = rows[first], ids[first]
    found = np.bincount(rows, minlength=len(slots))  # (texts,)
    places = np.arange(len(rows)) - (np.cumsum(found) - found)[rows]
    fit = places < field.width
    slots[rows[fit], places[fit]] = ids[fit]
    slots[found == 0, 0] = feature_map.missing_id(position)
    return slots


def _look_up_in_map(feature_map: FeatureMap, position: int, words: Any) -> Ids:
    return _look_up(words, feature_map.dictionary(position), feature_map.other_id(position))


def _look_up(words: Any, dictionary: Any, other: int) -> Ids:
    """The id of each of some distinct words; `other` for those the dictionary does not have.

    The larger of both is sought in the smaller one, which alone is hashed.
    """
    if len(dictionary) < len(words):
        places = pc.index_in(words, value_set=dictionary["value"]).fill_null(len(dictionary)).to_numpy()
        found: Ids = np.append(dictionary["id"].to_numpy(), np.int32(other))[places]
        return found
    match = pc.index_in(dictionary["value"], value_set=words)
    known = pc.is_valid(match)
    ids: Ids = np.full(len(words), other, np.int32)
    ids[match.filter(known).to_numpy()] = dictionary["id"].filter(known).to_numpy()
    return ids


def _without_repeats(rows: Ids) -> Ids:
    """Rows (B, S) with every id that stands further left in its row replaced by padding."""
    repeated = np.zeros(rows.shape, bool)
    for slot in range(1, rows.shape[1]):
        repeated[:, slot] = (rows[:, :slot] == rows[:, slot : slot + 1]).any(axis=1)
    return np.where(repeated, np.int32(0), rows)
