"""Raw rows scored by the files beside this: `python score.py rows.parquet scores.parquet [columns to carry ...]`."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


class Scorer:
    """Scores tables that have a column for each field; needs numpy, pyarrow and onnxruntime only."""

    def __init__(self, folder: Path) -> None:
        self.fields = pq.ParquetFile(folder / "fields.parquet").read().to_pylist()
        values = pq.ParquetFile(folder / "values.parquet").read()
        self.known = {f["name"]: values.filter(pc.equal(values["field"], f["name"])) for f in self.fields}
        self.model = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])

    def __call__(self, rows: Any, batch: int = 4096) -> list[Any]:
        """Logits and probabilities (rows,) of a table."""
        ids = np.hstack([self.ids_of(rows[f["name"]].combine_chunks(), f) for f in self.fields])
        parts = [self.model.run(None, {"ids": ids[i : i + batch]}) for i in range(0, max(1, len(ids)), batch)]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def ids_of(self, column: Any, f: Any) -> Any:
        """Ids (rows, width) of a field f: the bucket of a number, else of each value; NULL and NaN are *missing*."""
        if f["kind"] == "numeric":
            numbers = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
            ids = f["other"] if f["bucket"] is None else f["bucket"] + np.searchsorted(f["edges"], numbers, "right")
            return np.where(np.isnan(numbers), f["missing"], ids).astype(np.int32)[:, np.newaxis]
        coded = pc.cast(column, pa.large_string()).dictionary_encode()
        ids = (self.sets if f["kind"] == "multi" else self.look_up)(coded.dictionary, f).reshape(-1, f["width"])
        missing = np.array([[f["missing"], *[0] * (f["width"] - 1)]], np.int32)
        return np.concatenate([ids, missing])[coded.indices.fill_null(len(ids)).to_numpy()]

    def look_up(self, words: Any, f: Any) -> Any:
        """The id of each of some distinct words; *other* where there is none."""
        known, ids = self.known[f["name"]], np.full(len(words), f["other"], np.int32)
        places = pc.index_in(known["value"], value_set=words)
        ids[places.drop_null().to_numpy()] = known["id"].filter(pc.is_valid(places)).to_numpy()
        return ids

    def sets(self, texts: Any, f: Any) -> Any:
        """The first ids (texts, width) of the values of each text, each once; 0 where there are no more."""
        lists = [[word.strip(" ") for word in text.split(f["separator"])] for text in texts.to_pylist()]
        words = list({word for each in lists for word in each})
        id_of = dict(zip(words, self.look_up(pa.array(words, pa.large_string()), f).tolist(), strict=True))
        found = [list(dict.fromkeys(id_of[word] for word in each if word)) or [f["missing"]] for each in lists]
        return np.array([(ids + [0] * f["width"])[: f["width"]] for ids in found], np.int32)


if __name__ == "__main__":
    table = pq.ParquetFile(sys.argv[1]).read()
    for name, found in zip(("logit", "probability"), Scorer(Path(__file__).parent)(table), strict=True):
        table = table.append_column(name, pa.array(found, pa.float64()))
    pq.write_table(table.select([*sys.argv[3:], "logit", "probability"]), sys.argv[2])
