"""Models on generated logs whose true click probabilities are known, with most negatives left out of training.

    python -m benchmarks.generated_days [--rows 600000] [--days 4] [--models lr,fm,ipnn] [--rate 0.05] [--seeds 1]

Every step of the day but `publish` runs in this process. For each model and next day: AUC, log loss, normalized
entropy and PCOC of the model in force, and the mean |p - true p| of three probabilities made from its logit z:

    calibrated     calibrator(z + ln r), which is what the pipeline answers
    corrected      sigmoid(z + ln r), the exact sampling correction alone
    uncorrected    sigmoid(z)

once on the log of the day (`log`) and once on the scores of its requests (`requests`). The lines of `truth` measure the
true probabilities on the same rows: what no model can beat, and how far PCOC strays from 1 by chance. `bias` is
mean p / mean true p: PCOC without that chance.

The calibration (isotonic, on the newest day) was chosen in world 11 among isotonic and platt on 1, 2 and 3 days: every
older day adds to the lag behind the drift of the click rate. World 1 had no part in that choice.
Ends with one JSON line.
"""

import dataclasses
import datetime
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import duckdb
import numpy as np
import typer
from rich.table import Table

from jobs.logs import show_on_stderr
from jobs.running import run_step
from jobs.terminal import console
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.synthetic import write_day, write_requests
from pnn_gluon.data.synthetic_options import SyntheticOptions
from pnn_gluon.days import day_range, parse_day, plus
from pnn_gluon.evaluation.calibration import correct_sampling
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.metrics import ClickMetrics
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store
from tests.jobs.small_pipeline import DAILY

log = logging.getLogger("benchmarks.generated_days")

FIRST = datetime.date(2026, 11, 1)
UPSTREAM = ("ingest", "sample", "count", "feature_map", "encode")
"""Steps that know nothing of the model: made once and shared by all."""
DOWNSTREAM = tuple(name for name in DAILY if name not in (*UPSTREAM, "publish"))

MODELS = {
    "lr": ('model = { name = "lr" }', 1e-4),
    "fm": ('model = { name = "fm", embedding_size = 8 }', 1e-3),
    "ipnn": ('model = { name = "ipnn", embedding_size = 8, hidden = [64, 64] }', 1e-2),
}
"""The model and its L2 strength."""

PIPELINE = """
name = "generated_days"
first_day = {first}
{model}
[store]
root = "{store}"
[source]
preset = "criteo"
logs = "raw/logs/{{day}}/*.tsv"
requests = "raw/requests/{{day}}/*.tsv"
[sampling]
negative_rate = {rate}
train = 0.7
calibrate = 0.2
gate = 0.1
[feature_map]
min_impressions = 10
window_days = {window_days}
[training]
window_days = {window_days}
epochs = 10
batch_size = 500
learning_rate = 3e-3
embedding_l2 = {embedding_l2}
patience = 1
[calibration]
method = "{calibration}"
window_days = {calibration_days}
[gate]
max_regression = 0.02
"""

LOG_ROWS = """
select p.label, p.logit, p.probability, t.probability as truth
from read_parquet($made) p
join read_parquet($rows) r on r.row_id = p.row_id
join read_parquet($truth) t on r.file = concat($day, '/', t.file) and r.line = t.line
"""
REQUEST_ROWS = """
select t.label, s.logit, s.probability, t.probability as truth
from read_parquet($made) s
join read_parquet($truth) t on s.row_id = md5(concat('criteo|requests|', $day, '/', t.file, ':', t.line))
"""

COLUMNS = {
    "seed": "seed",
    "rows_of": "rows of",
    "day": "day",
    "model": "model",
    "model_day": "model of",
    "rows": "rows",
    "ctr": "ctr",
    "auc": "AUC",
    "log_loss": "log loss",
    "normalized_entropy": "NE",
    "pcoc": "PCOC",
    "bias": "p / true",
    "pcoc_uncorrected": "PCOC uncorrected",
    "gap": "mean |p - true|",
    "gap_corrected": "corrected",
    "gap_uncorrected": "uncorrected",
}
"""Columns of the table, and their headings."""

Figures = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is the same for all models and worlds."""

    rows: int
    days: int
    rate: float
    window_days: int
    calibration: str
    calibration_days: int


def main(
    rows: Annotated[int, typer.Option(min=10_000, help="Log lines a day.")] = 600_000,
    days: Annotated[int, typer.Option(min=2)] = 4,
    models: Annotated[str, typer.Option(help="Separated by commas.")] = ",".join(MODELS),
    rate: Annotated[float, typer.Option(help="Share of the train negatives kept.")] = 0.05,
    seeds: Annotated[str, typer.Option(help="Worlds, separated by commas.")] = "1",
    window_days: Annotated[int, typer.Option(min=1, help="Days to train on.")] = 3,
    calibration: Annotated[str, typer.Option(help="isotonic, platt or none.")] = "isotonic",
    calibration_days: Annotated[int, typer.Option(min=1, help="Days to calibrate on.")] = 1,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
) -> None:
    """Run the days and compare with the truth."""
    settings = Settings(rows, days, rate, window_days, calibration, calibration_days)
    folder, names = work.resolve() / "generated_days", models.split(",")
    figures = [line for seed in seeds.split(",") for line in _world(settings, int(seed), names, folder / seed)]
    console().print(_table(figures))
    rounded = [{name: round(v, 5) if isinstance(v, float) else v for name, v in line.items()} for line in figures]
    print(json.dumps({"settings": dataclasses.asdict(settings), "mean": _means(figures), "days": rounded}))


def _world(settings: Settings, seed: int, models: list[str], folder: Path) -> Iterator[Figures]:
    """Figures of every model on every next day of one generated world."""
    shutil.rmtree(folder, ignore_errors=True)
    days = day_range(FIRST, plus(FIRST, settings.days - 1))
    _write_raw(settings, seed, days, folder / "raw")
    run_days(_config(folder, "upstream", models[0], settings), UPSTREAM, days)
    for number, model in enumerate(models):
        shutil.copytree(
            folder / "upstream", folder / model, copy_function=os.link, ignore=shutil.ignore_patterns(".local")
        )
        config = _config(folder, model, model, settings)
        run_days(config, DOWNSTREAM, days)
        for line in _measured(config, folder / "raw", days, settings.rate):
            if number == 0 or line["model"] != "truth":
                yield {"seed": seed, **line}


def _write_raw(settings: Settings, seed: int, days: Iterable[datetime.date], folder: Path) -> None:
    options = SyntheticOptions(
        seed=seed, first_day=FIRST, rows_per_day=settings.rows, request_rows_per_day=settings.rows // 3
    )
    for day in days:
        write_day(options, day, folder)
        write_requests(options, plus(day, 1), folder)


def _config(folder: Path, store: str, model: str, settings: Settings) -> Config:
    """The pipeline of one model, with a store of its own."""
    text, embedding_l2 = MODELS[model]
    path = folder / f"{store}.toml"
    path.write_text(
        PIPELINE.format(first=FIRST, model=text, store=store, embedding_l2=embedding_l2, **dataclasses.asdict(settings))
    )
    return load_config(path)


def run_days(config: Config, steps: Iterable[str], days: Iterable[datetime.date]) -> None:
    """Run these steps of each day in this process."""
    steps = tuple(steps)
    for day in days:
        for name in steps:
            outcome = run_step(step(name), config, day)
            log.info(f"{Path(config.store_root).name} {day} {name}: {outcome.status} in {outcome.seconds:.1f} s")


def _measured(config: Config, raw: Path, days: list[datetime.date], rate: float) -> Iterator[Figures]:
    """Figures of the log of every day but the first, and of the scores of the requests of every next day."""
    store = open_store(config)
    for day in days[1:]:
        made, rows = _manifest(store, "evaluations", day), _manifest(store, "rows", day)
        values = {
            "made": store.folder(made) / "predictions.parquet",
            "rows": store.folder(rows) / "rows*.parquet",
            "truth": raw / "truth" / f"{day}.parquet",
            "day": day,
        }
        yield from _lines(config, "log", day, made, _joined(LOG_ROWS, values, made.rows), rate)
    for made in (_manifest(store, "scores", day) for day in days):
        day = parse_day(made.details["score_day"])
        values = {
            "made": store.folder(made) / "scores.parquet",
            "truth": raw / "truth_requests" / f"{day}.parquet",
            "day": day,
        }
        yield from _lines(config, "requests", day, made, _joined(REQUEST_ROWS, values, made.rows), rate)


def _manifest(store: Store, table: str, day: datetime.date) -> Manifest:
    manifest = store.manifest(table, day)
    if manifest is None:
        raise RuntimeError(f"{table} of {day} was not made")
    return manifest


def _joined(query: str, values: dict[str, Any], rows: int) -> dict[str, Any]:
    """Label, logit, probability and truth of every row made; each must have its truth."""
    with duckdb.connect() as connection:
        found = connection.execute(query, {name: str(value) for name, value in values.items()}).fetchnumpy()
    if len(found["truth"]) != rows or not rows:
        raise RuntimeError(f"{values['made']}: {rows} rows, {len(found['truth'])} with a truth")
    return {name: np.asarray(column, np.float64) for name, column in found.items()}


def _lines(
    config: Config, where: str, day: datetime.date, made: Manifest, found: dict[str, Any], rate: float
) -> Iterator[Figures]:
    label, logit, truth = found["label"], found["logit"], found["truth"]
    model = {"model": config.model.name, "rows_of": where, "day": str(day), "model_day": made.details["model_day"]}
    corrected, uncorrected = sigmoid(correct_sampling(logit, rate)), sigmoid(logit)
    yield {
        **model,
        **_quality(label, logit, found["probability"]),
        "bias": float(found["probability"].sum() / truth.sum()),
        "gap": _gap(found["probability"], truth),
        "gap_corrected": _gap(corrected, truth),
        "gap_uncorrected": _gap(uncorrected, truth),
        "pcoc_corrected": float(corrected.sum() / label.sum()),
        "pcoc_uncorrected": float(uncorrected.sum() / label.sum()),
    }
    yield {**model, "model": "truth", "model_day": "", **_quality(label, np.log(truth / (1 - truth)), truth)}


def _quality(label: Any, logit: Any, probability: Any) -> Figures:
    summary = ClickMetrics().update(label, logit, probability).summary()
    return {name: summary[name] for name in ("rows", "ctr", "auc", "log_loss", "normalized_entropy", "pcoc")}


def _gap(probability: Any, truth: Any) -> float:
    return float(np.abs(probability - truth).mean())


def _means(figures: list[Figures]) -> dict[str, Figures]:
    """Means over days and worlds, and the least and largest PCOC, by model and rows."""
    groups: dict[str, list[Figures]] = {}
    for line in figures:
        groups.setdefault(f"{line['model']} {line['rows_of']}", []).append(line)
    return {name: _mean(lines) for name, lines in groups.items()}


def _mean(lines: list[Figures]) -> Figures:
    names = [name for name, value in lines[0].items() if isinstance(value, float)]
    means = {name: round(float(np.mean([line[name] for line in lines])), 5) for name in names}
    pcoc = [line["pcoc"] for line in lines]
    return {**means, "pcoc_least": round(min(pcoc), 4), "pcoc_largest": round(max(pcoc), 4)}


def _table(figures: list[Figures]) -> Table:
    table = Table(*COLUMNS.values())
    for line in sorted(figures, key=lambda line: (line["seed"], line["rows_of"], line["day"])):
        table.add_row(*(_cell(line.get(name, "")) for name in COLUMNS))
    return table


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    show_on_stderr([log.name])
    typer.run(main)
