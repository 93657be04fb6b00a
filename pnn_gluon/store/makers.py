"""Who makes each table, and the command that makes a day of it again."""

import datetime
from pathlib import Path

MAKERS = {
    "rows": "ingest",
    "samples": "sample",
    "counts": "count",
    "maps": "feature_map",
    "shards": "encode",
    "evaluations": "evaluate",
    "models": "train",
    "bundles": "calibrate",
    "gates": "gate",
    "champions": "promote",
    "scores": "score",
    "published": "publish",
    "matured": "mature",
    "reevaluations": "reevaluate",
    "recalibrated": "recalibrate",
    "overrides": "rollback",
    "skips": "skip_day",
}
"""The step that makes each table."""


def mending_command(table: str, day: datetime.date, config: Path | None) -> str:
    """What to run so that a damaged day of a table is whole again."""
    where = f"--config {config} " if config else ""
    maker = MAKERS.get(table)
    if maker == "rollback":
        return f"pnn-gluon rollback {where}--day {day} --reason ... with the --to or --clear it was made with"
    if maker == "skip_day":
        return f"pnn-gluon skip-day {where}--day {day} --reason ..., with --clear if it was made so"
    if maker is None:
        return f"the command that made {table} (pnn-gluon export for exports), for {day}, with --force"
    return f"pnn-gluon step {maker} {where}--day {day} --force"
