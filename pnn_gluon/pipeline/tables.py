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
PARTS_FILE = "parts.json"
"""Which raw files were read together, into how many parts of the rows; of a day of several such."""
SHARES_FILE = "shares.parquet"
COUNTS_FILE = "counts.parquet"
PROFILE_FILE = "profile.json"
MAP_FILE = "map.h5"
PREDICTIONS_FILE = "predictions.parquet"
METRICS_FILE = "metrics.json"
SCORES_FILE = "scores.parquet"
CSV_FILE = "scores.csv.gz"
DECISION_FILE = "decision.json"
REPORT_FILE = "report.html"
NUMBERS_FILE = "report.json"
EXPLANATION_FILE = "explanation.json"
EXPORT_FILE = "export.json"
OVERRIDE_FILE = "override.json"
SKIP_FILE = "skip.json"
APPROVAL_FILE = "approval.json"
SHARD_SUFFIX = ".h5"
"""Of the shards, which are named by the day of their rows."""


@dataclasses.dataclass(frozen=True)
class Table(Generic[D]):
    """A table by name, what its manifests tell, and what is in a run, for people."""

    name: str
    details: type[D]
    holds: str = ""


ROWS = Table(
    "rows",
    details.RowsDetails,
    f"`{ROWS_FILE}` (row_id, file, line, label, one column a field), `{REJECTS_FILE}` (file, line, reason, text); "
    "of a large day also `rows-00001.parquet` and so on",
)
SAMPLES = Table(
    "samples",
    details.SampleDetails,
    f"`{ROWS_FILE}`: the rows of the day; `{SHARES_FILE}`: `share` and `rate` of each, in order, empty if left out; "
    "both in the parts of the rows",
)
COUNTS = Table(
    "counts",
    details.CountDetails,
    f"`{COUNTS_FILE}`: field, value, impressions, clicks",
)
CHECKS = Table(
    "checks",
    details.CheckDetails,
    f"`{PROFILE_FILE}`: rows, clicks, rejects, missing values by field, numbers by cell; findings, and each field "
    "in numbers, are in the manifest",
)
MAPS = Table(
    "maps",
    details.MapDetails,
    f"`{MAP_FILE}`: values, ids, counts and first day, bucket edges, field table, parent's hash",
)
MATURED = Table(
    "matured",
    details.MaturedDetails,
    f"the logs of the day whose labels are complete by then: `{ROWS_FILE}`, `{REJECTS_FILE}`, `{SHARES_FILE}`",
)
SHARDS = Table(
    "shards",
    details.ShardDetails,
    f"for each day of the training window `DAY{SHARD_SUFFIX}`: labels, and int32 ids by the map of that day; "
    "`DAY.patch`: the cells that the map of today reads otherwise; `DAY.others`, with a window of several days: the "
    "values that the shard has as *other*, in which later maps are sought; each for each part of the rows",
)
EVALUATIONS = Table(
    "evaluations",
    details.EvaluationDetails,
    f"`{PREDICTIONS_FILE}`; `{METRICS_FILE}`: on all rows, on those with a value new to the model, on slices",
)
MODELS = Table(
    "models",
    details.ModelDetails,
    "the model as its family writes it: `model-symbol.json` and `model-0000.params` of a network",
)
BUNDLES = Table(
    "bundles",
    details.BundleDetails,
    f"the model with `{MAP_FILE}`, `calibrator.json`, `history.json` and `bundle.json`",
)
GATES = Table(
    "gates",
    details.GateDetails,
    "`decision.json`: the decision, its reasons and numbers as in the manifest, and rule by rule in words",
)
CHAMPIONS = Table(
    "champions",
    details.ChampionDetails,
    "no file: the manifest names the bundle in force",
)
SCORES = Table(
    "scores",
    details.ScoreDetails,
    f"`{SCORES_FILE}` (row_id, file, line, logit, probability), `{REJECTS_FILE}`",
)
PUBLISHED = Table(
    "published",
    details.PublishedDetails,
    f"`{EXPORT_FILE}`: what a bidding system needs to fetch the scores and know that they are whole",
)
EXPLANATIONS = Table(
    "explanations",
    details.ExplanationDetails,
    f"`{EXPLANATION_FILE}`: importance of fields, strength of pairs of fields, statistics of layers",
)
REPORTS = Table(
    "reports",
    details.ReportDetails,
    f"`{REPORT_FILE}`: what the day's model is worth, for people; `{NUMBERS_FILE}`: the same numbers",
)
REEVALUATIONS = Table(
    "reevaluations",
    details.ReevaluationDetails,
    "as `evaluations`, by matured labels",
)
RECALIBRATED = Table(
    "recalibrated",
    details.RecalibratedDetails,
    "the bundle in force with a new calibrator",
)
OVERRIDES = Table(
    "overrides",
    details.OverrideDetails,
    f"`{OVERRIDE_FILE}`: which model a person put in force, who, when and why",
)
APPROVALS = Table(
    "approvals",
    details.ApprovalDetails,
    f"`{APPROVAL_FILE}`: the answer about a candidate, by whom, when and why",
)
SKIPS = Table(
    "skips",
    details.SkipDetails,
    f"`{SKIP_FILE}`: whether the day was declared an outage, and why",
)


COMPACTIONS = Table(
    "compactions",
    details.CompactionDetails,
    f"`{MAP_FILE}` without expired ids and those of former fields; the bundle in force by it, where training goes on "
    "from that",
)


def exports(name: str) -> Table[details.ExportDetails]:
    """The table of an export by hand."""
    return Table(
        f"exports_{name}",
        details.ExportDetails,
        f"`{SCORES_FILE}` or `{CSV_FILE}`: chosen days by a chosen model; `{EXPORT_FILE}`: what was asked for and made",
    )
