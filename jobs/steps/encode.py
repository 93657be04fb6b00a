"""Samples of the training window, with complete labels, under today's map -> HDF5 shards of int32 ids."""

import datetime
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from jobs.steps.sampled import sampled_rows
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.details import ShardDetails
from pnn_gluon.pipeline.inputs import Labelled, LabelledOver, Need, Saved
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.steps import SHARDS_BEFORE
from pnn_gluon.pipeline.tables import MAP_FILE, MAPS, SHARD_SUFFIX, SHARDS
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.parts import part_path, parts_in, remove_files

if TYPE_CHECKING:
    from pnn_gluon.data.shard_growth import ShardGrowth

log = logging.getLogger(__name__)

SAMPLES = LabelledOver("training.window_days")
Samples: TypeAlias = Mapping[datetime.date, Labelled]
Rows: TypeAlias = dict[str, Mapping[str, int]]
"""By day and share."""


def build(inputs: Inputs, folder: Path) -> Built:
    """Take over what was made from the same samples and map, carry on what is of yesterday's map, encode the rest."""
    from pnn_gluon.data.encode_part import load_map

    samples = inputs[SAMPLES]
    rows = _take_over(inputs, folder)
    if rest := {day: sample for day, sample in samples.items() if str(day) not in rows}:
        rows |= _encode(inputs, folder, rest)
    details = ShardDetails(
        map=inputs[Need(MAPS)].run,
        samples={str(day): sample.partition.run for day, sample in samples.items()},
        rows={str(day): rows[str(day)] for day in samples},
        rate=_rate(inputs, samples),
        other=_other(inputs, folder, max(samples)) if samples else None,
    )
    load_map.cache_clear()  # later steps of this process need the room
    return Built(sum(sum(share.values()) for share in rows.values()), details)


def _other(inputs: Inputs, folder: Path, day: datetime.date) -> dict[str, float] | None:
    """By field the share of *other* on a day, from the shards in the folder."""
    from pnn_gluon.data.encode_part import load_map
    from pnn_gluon.data.other_values import other_shares

    feature_map = load_map(inputs[Need(MAPS)].file(MAP_FILE))
    return other_shares(feature_map, parts_in(folder / _shard(day))) or None


def _take_over(inputs: Inputs, folder: Path) -> Rows:
    """Link the shards of the day in force that were made from the same samples under the same map."""
    from pnn_gluon.data.shard_others import OTHERS_SUFFIX

    before = None if inputs.force else inputs[Saved(SHARDS)]
    if before is None or before.details.map != inputs[Need(MAPS)].run:
        return {}
    rows: Rows = {}
    for day in _same_samples(before, inputs[SAMPLES]):
        names = [file.name for file in before.manifest.files if file.name.startswith(str(day))]
        same = _carried(inputs) == any(name.endswith(OTHERS_SUFFIX) for name in names)
        read = names if day == max(inputs[SAMPLES]) else []  # by `_other`
        if same and all(map(before.whole_file, read)) and all(before.link(name, folder) for name in names):
            rows[str(day)] = before.details.rows[str(day)]
            log.info("encode %s: %s unchanged, taken over", inputs.day, day)
        else:
            _clear(folder, day)
    return rows


def _encode(inputs: Inputs, folder: Path, samples: Samples) -> Rows:
    """Link yesterday's shards of the same samples with what the map has learned since, and encode the other days."""
    from pnn_gluon.data.encode_part import EncodePart, encode_part
    from pnn_gluon.warehouse.part_engine import map_parts

    rows = _carry_on(inputs, folder, samples)
    map_file, carried = inputs[Need(MAPS)].file(MAP_FILE), _carried(inputs)
    parts = [
        EncodePart(part_path(folder / _shard(day), number), map_file, drawn, day, carried)
        for day, sample in samples.items()
        if str(day) not in rows
        for number, drawn in enumerate(sampled_rows(sample.partition))
    ]
    for part, encoded in zip(parts, map_parts(inputs.config.engine, encode_part, parts), strict=True):
        of_day = rows.get(str(part.day), {})
        rows[str(part.day)] = {share: of_day.get(share, 0) + count for share, count in encoded.items()}
        log.info("encode %s: %s %s", inputs.day, part.path.stem, encoded)
    return rows


def _carry_on(inputs: Inputs, folder: Path, samples: Samples) -> Rows:
    """Link yesterday's shards of the same samples, and write what the map has learned since beside them."""
    from pnn_gluon.data.encode_part import load_map
    from pnn_gluon.data.shard_growth import ShardGrowth

    rows: Rows = {}
    if (before := _yesterday(inputs, samples)) is None:
        return rows
    feature_map = load_map(inputs[Need(MAPS)].file(MAP_FILE))
    growth = ShardGrowth(feature_map, feature_map.size_on(before.day))
    possible = growth.possible and feature_map.has_fields_of(before.day)
    for day in _same_samples(before, samples) if possible else ():
        cells = [_carry(before, shard, growth, folder) for shard in before.part_names(_shard(day))]
        known = [number for number in cells if number is not None]
        if known and len(known) == len(cells):
            rows[str(day)] = before.details.rows[str(day)]
            log.info("encode %s: %s carried on, %s cells read otherwise", inputs.day, day, f"{sum(known):,}")
        else:
            _clear(folder, day)
    return rows


def _carry(before: Partition[ShardDetails], name: str, growth: "ShardGrowth", folder: Path) -> int | None:
    """Link a shard and write its patch; the number of its cells. None where it is to be encoded.

    Files that are read are compared here; those that are only linked, by whoever reads them.
    """
    from pnn_gluon.data.shard_others import others_of
    from pnn_gluon.data.shard_patch import patch_of

    if (others := before.whole_file(others_of(Path(name)).name)) is None:
        return None
    shard = others.with_name(name)
    patched = patch_of(shard).exists() or before.manifest.file(patch_of(shard).name) is not None
    read = [patch_of(shard).name] * patched + [name] * growth.reads_shards
    if any(before.whole_file(each) is None for each in read):
        return None
    cells = growth.carry(shard, folder / name)
    linked = cells is not None and before.link(name, folder) and before.link(others.name, folder)
    return cells if linked else None


def _clear(folder: Path, day: datetime.date) -> None:
    """Remove what is there of a day that is to be encoded: a link must not be written through."""
    remove_files(folder.glob(f"{day}*"))


def _carried(inputs: Inputs) -> bool:
    """Whether later days train on the day, too, and carry it on to their maps."""
    return inputs.config.training.window_days > 1


def _shard(day: datetime.date) -> str:
    return f"{day}{SHARD_SUFFIX}"


def _yesterday(inputs: Inputs, samples: Samples) -> Partition[ShardDetails] | None:
    """Yesterday's shards, if some may be carried on: of the map that today's grew from."""
    before = None if inputs.force else inputs[SHARDS_BEFORE]
    if before is None or before.details.map != inputs[Need(MAPS)].manifest.inputs.get(f"{MAPS.name}/{before.day}"):
        return None
    return before if _same_samples(before, samples) else None


def _same_samples(before: Partition[ShardDetails], samples: Samples) -> Samples:
    """The samples that earlier shards were made from, too."""
    return {day: each for day, each in samples.items() if before.details.samples.get(str(day)) == each.partition.run}


def _rate(inputs: Inputs, samples: Samples) -> float:
    """The one rate of all samples."""
    rates = {day: sample.rate for day, sample in samples.items()}
    if len(set(rates.values())) > 1:
        shown = ", ".join(f"{day} {rate:g}" for day, rate in rates.items())
        raise InputError(
            f"samples of the window were kept at different rates ({shown}): rerun `pnn-gluon step sample` for each"
        )
    return rates[max(rates)] if rates else inputs.config.sampling.negative_rate
