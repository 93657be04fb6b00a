"""A Criteo-like log to ids with FuxiCTR's `FeatureProcessor`, for `benchmarks.etl`: LOG FOLDER.

The fields and the rule for numbers are those of its Criteo example; values of fewer than 20 appearances are one. It
reads, fits and transforms as its `build_dataset` does, but for Ray: there the batches go to processes of Ray's, whose
start and messages would come on top of what is measured here.
"""

import shutil
import sys

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from fuxictr.preprocess import FeatureProcessor

DENSE, SPARSE = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]
BATCH_ROWS = 100_000  # of its map_batches


class CriteoProcessor(FeatureProcessor):
    def convert_to_bucket(self, name):
        value = pl.col(name)
        squared = (value.log() ** 2).floor()
        return pl.when(value > 2).then(squared).otherwise(value).cast(pl.Int32).cast(pl.String)


def main():
    log, folder = sys.argv[1:]
    shutil.rmtree(folder, ignore_errors=True)
    number = {"name": DENSE, "active": True, "dtype": "float", "type": "categorical", "preprocess": "convert_to_bucket"}
    text = {"name": SPARSE, "active": True, "dtype": "str", "type": "categorical"}
    label = {"name": "label", "dtype": "float"}
    processor = CriteoProcessor([number, text], label, dataset_id="day", data_root=folder)
    rows = processor.preprocess(read(processor, log))
    processor.fit(rows, min_categr_count=20)
    writer = None
    for part in rows.collect().iter_slices(BATCH_ROWS):
        batch = processor.transform({name: part[name].to_numpy() for name in part.columns})
        table = pa.table(batch)
        writer = writer or pq.ParquetWriter(f"{folder}/day/train.parquet", table.schema)
        writer.write_table(table)
    writer.close()


def read(processor, log):
    """Its `read_data` without the header that it expects in the file."""
    types = {name: {float: pl.Float64, str: pl.String}[kind] for name, kind in processor.dtype_dict.items()}
    names = ["label", *DENSE, *SPARSE]
    return pl.scan_csv(
        log, separator="\t", has_header=False, new_columns=names, schema_overrides=types, low_memory=False
    )


if __name__ == "__main__":
    main()
