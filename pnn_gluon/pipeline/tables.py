"""The tables of the store: their names, what their manifests tell, and the names of the files in their runs."""

import dataclasses
from typing import Generic, TypeVar

from pnn_gluon.pipeline import details
from pnn_gluon.pipeline.details import Details

D = TypeVar("D", bound=Details)
D_co = TypeVar("D_co", bound=Details, covariant=True)

ROWS_FILE = "rows.parquet"
"""Clean typed rows: of the logs in `rows` and `matured`."""
REJECTS_FILE = "rejects.parquet"
"""Lines that were set aside, with their reason."""
SAMPLE_FILE = "sample.parquet"
COUNTS_FILE = "counts.parquet"
MAP_FILE = "map.h5"
PREDICTIONS_FILE = "predictions.parquet"
METRICS_FILE = "metrics.json"
SCORES_FILE = "scores.parquet"
EXPORT_FILE = "export.json"
OVERRIDE_FILE = "override.json"
SKIP_FILE = "skip.json"
SHARD_SUFFIX = ".h5"
"""Of the shards, which are named by the day of their rows."""


@dataclasses.dataclass(frozen=True)
class Table(Generic[D]):
    """A table by name, and what its manifests tell."""

    name: str
    details: type[D]


ROWS = Table("rows", details.RowsDetails)
SAMPLES = Table("samples", details.SampleDetails)
COUNTS = Table("counts", details.CountDetails)
MAPS = Table("maps", details.MapDetails)
MATURED = Table("matured", details.MaturedDetails)
SHARDS = Table("shards", details.ShardDetails)
EVALUATIONS = Table("evaluations", details.EvaluationDetails)
MODELS = Table("models", details.ModelDetails)
BUNDLES = Table("bundles", details.BundleDetails)
GATES = Table("gates", details.GateDetails)
CHAMPIONS = Table("champions", details.ChampionDetails)
SCORES = Table("scores", details.ScoreDetails)
PUBLISHED = Table("published", details.PublishedDetails)
REEVALUATIONS = Table("reevaluations", details.ReevaluationDetails)
RECALIBRATED = Table("recalibrated", details.RecalibratedDetails)
OVERRIDES = Table("overrides", details.OverrideDetails)
SKIPS = Table("skips", details.SkipDetails)


def exports(name: str) -> Table[details.ExportDetails]:
    """The table of an export by hand."""
    return Table(f"exports_{name}", details.ExportDetails)
