"""Lines of counts and the same written out, an impression a line: a weighted day must be equal to the latter."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from pipelines import CSV, changed, pipeline

from pnn_gluon.config import SourceConfig, WeightsConfig
from pnn_gluon.data.ingest_part import RawLines

Row: TypeAlias = dict[str, Any]

COLUMNS = '["id", "imps", "clks", "time", "site", "price", "tags"]'


def weighted_lines(folder: Path, **options: str) -> RawLines:
    """How lines of counts are read, with some options of the source replaced."""
    config = pipeline(folder, changed(CSV, columns='["id", "click", "time", "site", "price", "tags"]', **options))
    given = config.source.model_dump(exclude_unset=True) | {"weights": WeightsConfig(impressions="imps", clicks="clks")}
    given |= {"columns": ("id", "imps", "clks", "time", "site", "price", "tags")}
    given.pop("label")
    return RawLines(SourceConfig(**given), config.fields, folder)


def written_out(rows: Iterable[Row]) -> Iterator[Row]:
    """Each row of rows with weights as often as it stands for an impression, without its weight."""
    for row in rows:
        yield from [{key: value for key, value in row.items() if key != "weight"}] * row["weight"]
