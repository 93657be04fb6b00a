"""A Criteo-like log to shards with Polars, doing by hand what our data steps do, for `benchmarks.etl`: LOG FOLDER.

Read, hashed and checked line by line: a line of another width, with a label other than 0 and 1 or with something else
where a number should be is set aside with its number, reason and text. Blanks around cells go. Good lines become typed
rows with an id, in Parquet by zstd; the id's hash gives each its share; every value of every field is counted with its
clicks; values of 20 and more appearances get an id, the commonest first; numbers go to the buckets floor(ln v). The
shares to train and calibrate on become int32 ids in HDF5. Every file is hashed and synced to the disk.

What it is let off: an id is Polars' own hash of 64 bits, not an MD5 that any engine gives; all of the day is in memory;
nothing can be done again, continued on a second day, read while it is written, or told when a process is killed.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import polars as pl

DENSE, SPARSE = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]
COLUMNS = ["label", *DENSE, *SPARSE]
THRESHOLD = 20
TRAIN, CALIBRATE, NEGATIVE_RATE = 0.9, 0.09, 1.0  # as the pipeline of benchmarks.etl has them
BUCKETS = 68
CHUNK_ROWS = 65536


def main():
    log, folder = map(Path, sys.argv[1:])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    digests = {"raw": sha256(log)}
    rows, rejects = read(log)
    rows.write_parquet(folder / "rows.parquet", compression="zstd", compression_level=1, statistics=False)
    rejects.write_parquet(folder / "rejects.parquet", compression="zstd", compression_level=1)
    shares = rows.select(share(pl.col("row_id"), pl.col("label")).alias("share"))
    shares.write_parquet(folder / "shares.parquet", compression="zstd", compression_level=1)
    counts = count(rows)
    counts.write_parquet(folder / "counts.parquet", compression="zstd", compression_level=1)
    ids = grow(counts)
    ids.write_parquet(folder / "map.parquet", compression="zstd", compression_level=1)
    write_shard(folder / "day.h5", encode(rows, ids), rows["label"], shares["share"])
    for path in sorted(folder.iterdir()):
        digests[path.name] = sha256(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    (folder / "manifest.json").write_text(json.dumps(digests))


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(log):
    """Typed rows, and the lines that are none with their reasons."""
    options = {"separator": "\x01", "quote_char": None, "has_header": False, "new_columns": ["text"]}
    lines = pl.read_csv(log, schema_overrides=[pl.String], **options).with_row_index("line", 1)
    wide = lines.select(pl.col("text").str.count_matches("\t", literal=True) == len(COLUMNS) - 1).to_series()
    text = lines.filter(wide)["text"].str.join("\n").item().encode()
    cells = pl.read_csv(
        text, separator="\t", quote_char=None, has_header=False, schema=dict.fromkeys(COLUMNS, pl.String)
    ).with_columns(pl.all().str.strip_chars(" "))
    cells = cells.with_columns(pl.when(pl.all() != "").then(pl.all()))
    numbers = cells.select(pl.col(DENSE).cast(pl.Float64, strict=False))
    label = cells["label"].cast(pl.Int8, strict=False)
    faults = {"label": label.is_null() | ~label.is_in([0, 1])}
    faults |= {name: numbers[name].is_null() & cells[name].is_not_null() for name in DENSE}
    reason = pl.select(pl.coalesce(pl.when(fault).then(pl.lit(name)) for name, fault in faults.items())).to_series()
    line = lines.filter(wide)["line"]
    rows = pl.DataFrame([line, label, *numbers, *cells.select(SPARSE)]).filter(reason.is_null())
    row_id = pl.concat_str(pl.lit(f"criteo|logs|{log.name}:"), pl.col("line")).hash(1)
    bad = pl.DataFrame({"line": line, "reason": reason, "text": lines.filter(wide)["text"]}).drop_nulls("reason")
    narrow = lines.filter(~wide).select("line", pl.lit("columns").alias("reason"), "text")
    rejects = pl.concat([narrow, bad]).sort("line").with_columns(pl.lit(log.name).alias("file"))
    return rows.with_columns(row_id.alias("row_id"), pl.lit(log.name).alias("file")), rejects


def share(row_id, label):
    place = row_id.hash(2) % 1_000_000
    kept = (label == 1) | (row_id.hash(3).cast(pl.Float64) < NEGATIVE_RATE * 2.0**64)
    train = pl.when(kept).then(pl.lit("train"))
    calibrate = pl.when(place < (TRAIN + CALIBRATE) * 1e6).then(pl.lit("calibrate")).otherwise(pl.lit("gate"))
    return pl.when(place < TRAIN * 1e6).then(train).otherwise(calibrate)


def count(rows):
    """Impressions and clicks of every value of every field, in order."""
    of_field = []
    for name in SPARSE:
        values = rows.select(pl.col(name).alias("value"), "label").drop_nulls("value").group_by("value")
        counted = values.agg(pl.len().alias("impressions"), pl.col("label").cast(pl.Int64).sum().alias("clicks"))
        of_field.append(counted.sort("value").select(pl.lit(name).alias("field"), pl.all()))
    return pl.concat(of_field)


def grow(counts):
    """The id of every value that has one: after those of the buckets, and of missing and other values of each field."""
    first = 1 + len(DENSE) * (BUCKETS + 1) + 2 * len(SPARSE)
    kept = counts.filter(pl.col("impressions") >= THRESHOLD)
    ordered = kept.sort("field", "impressions", "value", descending=[False, True, False])
    return ordered.with_row_index("id", first).with_columns(pl.col("id").cast(pl.Int32))


def encode(rows, ids):
    """int32 (rows, fields)."""
    found = np.empty((rows.height, len(DENSE) + len(SPARSE)), np.int32)
    for place, name in enumerate(DENSE):
        found[:, place] = rows.select(bucket(name) + 1 + place * (BUCKETS + 1)).to_series()
    for place, name in enumerate(SPARSE):
        missing = 1 + len(DENSE) * (BUCKETS + 1) + 2 * place
        of_field = ids.filter(pl.col("field") == name)
        known = rows[name].replace_strict(of_field["value"], of_field["id"], default=missing + 1, return_dtype=pl.Int32)
        found[:, len(DENSE) + place] = pl.select(
            pl.when(rows[name].is_null()).then(missing).otherwise(known)
        ).to_series()
    return found


def bucket(name):
    v = pl.col(name)
    log = v.log().floor().cast(pl.Int32, strict=False).clip(-20, 44)
    return pl.when(v.is_null()).then(0).when(v < 0).then(1).when(v == 0).then(2).otherwise(log + 23).cast(pl.Int32)


def write_shard(path, ids, label, share):
    with h5py.File(path, "w") as file:
        for name in ("train", "calibrate"):
            chosen = np.flatnonzero((share == name).fill_null(False).to_numpy())
            group, chunk = file.create_group(name), max(1, min(CHUNK_ROWS, len(chosen)))
            group.create_dataset("ids", data=ids[chosen], chunks=(chunk, ids.shape[1]))
            group.create_dataset("label", data=label.to_numpy()[chosen].astype(np.uint8), chunks=(chunk,))


if __name__ == "__main__":
    main()
