"""The cells of a Criteo-like log to ids with Polars, and nothing else, for `benchmarks.etl`: LOG OUTPUT.

Values of 20 and more appearances get an id, the others share one, and so do missing ones; numbers go to the buckets
floor(ln v) that ours have. One int32 column for each field is written, uncompressed.
"""

import sys

import polars as pl

DENSE, SPARSE = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]
THRESHOLD = 20


def category(data, name):
    counts = data[name].drop_nulls().value_counts()
    kept = pl.Enum(counts.filter(pl.col("count") >= THRESHOLD)[name])
    ids = data[name].cast(kept, strict=False).to_physical().cast(pl.Int32) + 2
    other = pl.when(data[name].is_null()).then(0).otherwise(1)
    return data.select(pl.coalesce(ids, other).cast(pl.Int32).alias(name)).to_series()


def bucket(name):
    v = pl.col(name)
    log = v.log().floor().cast(pl.Int32, strict=False)
    return pl.when(v.is_null()).then(0).when(v < 0).then(1).when(v == 0).then(2).otherwise(log + 24).cast(pl.Int32)


def main():
    types = {"label": pl.Int8} | dict.fromkeys(DENSE, pl.Float64) | dict.fromkeys(SPARSE, pl.String)
    data = pl.read_csv(sys.argv[1], separator="\t", has_header=False, new_columns=list(types), schema_overrides=types)
    encoded = data.select("label", *(bucket(name).alias(name) for name in DENSE))
    encoded = encoded.with_columns(category(data, name) for name in SPARSE)
    encoded.write_parquet(sys.argv[2], compression="uncompressed")


if __name__ == "__main__":
    main()
