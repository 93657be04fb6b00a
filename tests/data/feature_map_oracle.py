"""What a feature map and an encoded row must be, with dictionaries and loops."""

import datetime
import hashlib
import math
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pnn_gluon.config import Config
from pnn_gluon.data.feature_map import grow_map

FIRST = datetime.date(2026, 11, 1)
COUNTS = pa.schema({"field": pa.string(), "value": pa.string(), "impressions": pa.int64(), "clicks": pa.int64()})


def config_of(fields, threshold=1, threads=1, model=None, window_days=7):
    return Config.model_validate(
        {
            "name": "test",
            "first_day": FIRST,
            "store": {"root": "store"},
            "source": {"logs": "logs-{day}.tsv", "header": True},
            "fields": fields,
            "feature_map": {"min_impressions": threshold, "window_days": window_days},
            "model": model or {"name": "fm"},
            "engine": {"threads": threads, "memory_limit": "500MB"},
            "path": Path("/nowhere/pipeline.toml"),
        }
    )


def grow(parent, config, day, counts, rows, parent_hash):
    """The map of a day of a pipeline."""
    return growth(parent, config, day, counts, rows, parent_hash).map


def growth(parent, config, day, counts, rows, parent_hash, **more):
    """The map of a day of a pipeline, and what it left out."""
    threshold = config.feature_map.min_impressions
    return grow_map(parent, config.fields, threshold, config.engine, day, counts, rows, parent_hash, **more)


def day_number(number):
    return FIRST + datetime.timedelta(number)


def write_counts(path, counts):
    """Write {(field, value): (impressions, clicks)} as a day's counts."""
    columns = zip(*[(f, v, n, c) for (f, v), (n, c) in counts.items()], strict=True)
    arrays = [list(column) for column in columns] or [[], [], [], []]
    pq.write_table(pa.table(arrays, schema=COUNTS), path)
    return path


def h60(value):
    return int(hashlib.md5(value.encode()).hexdigest()[:15], 16)


def grown_entries(known, names, window, threshold):
    """New entries [(field, value, impressions, clicks)] in the order of their ids, given the known (field, value)."""
    sums = defaultdict(lambda: [0, 0])
    for counts in window:
        for key, (impressions, clicks) in counts.items():
            sums[key][0] += impressions
            sums[key][1] += clicks
    new = [(f, v, n, c) for (f, v), (n, c) in sums.items() if n >= threshold and (f, v) not in known]
    return sorted(new, key=lambda e: (names.index(e[0]), -e[2], h60(e[1]), e[1].encode()))


def bucket(edges, value):
    return sum(edge <= value for edge in edges)


def encoded_row(row, fields, ids, edges, first_bucket):
    """The ids of a row: {field: value or None}; `ids` is {(field, value): id}."""
    slots = []
    for j, field in enumerate(fields):
        name, value = field["name"], row[field["name"]]
        missing, other = 1 + 2 * j, 2 + 2 * j
        kind = field.get("kind", "categorical")
        if kind == "multi":
            slots += encoded_set(value, field, ids, missing, other)
        elif value is None or (kind == "numeric" and math.isnan(value)):
            slots.append(missing)
        elif kind == "numeric":
            slots.append(first_bucket[name] + bucket(edges[name], value))
        else:
            slots.append(ids.get((name, value), other))
    return slots


def encoded_set(text, field, ids, missing, other):
    chosen = []
    for part in (text or "").split(field["separator"]):
        word = part.strip(" ")
        if word:
            found = ids.get((field["name"], word), other)
            if found not in chosen:
                chosen.append(found)
    chosen = (chosen or [missing])[: field["max_values"]]
    return chosen + [0] * (field["max_values"] - len(chosen))
