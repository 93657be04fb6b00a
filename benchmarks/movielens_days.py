"""Twenty consecutive days of MovieLens 100K through the daily DAG, against the popularity of an item.

    python -m benchmarks.movielens_days --data ml100k_joined.csv.gz

The days before are built first, by the steps alone, so that model and peer have seen the same past. The peer is the
item's mean response over all days before (the mean of all where the item is new), which is what a ranking by
popularity would use. Ends with one JSON line.
"""

import datetime
import gzip
import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table

from jobs.airflow import dag_runner
from jobs.running import run_step
from pnn_gluon.config import load_config
from pnn_gluon.days import day_range, plus
from pnn_gluon.evaluation.metrics import Auc
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.store.store import Store
from tests.jobs.small_pipeline import DAILY

START = datetime.date(1997, 11, 5)
CONFIG = Path(__file__).parents[1] / "conf" / "movielens.toml"


def main(
    data: Annotated[Path, typer.Option(help="ml100k_joined.csv.gz")],
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/movielens"),
    days: Annotated[int, typer.Option(min=2)] = 20,
) -> None:
    """Run the days and compare."""
    (work / "raw" / "requests").mkdir(parents=True, exist_ok=True)
    (work / "conf").mkdir(exist_ok=True)
    shutil.copy(data, work / "raw" / "ml100k_joined.csv.gz")
    path = work.resolve() / "conf" / "movielens.toml"
    path.write_text(CONFIG.read_text().replace("../work/movielens/", "../"))
    config = load_config(path)
    before, wanted = day_range(config.first_day, plus(START, -1)), day_range(START, plus(START, days - 1))
    _write_requests(data, [plus(day, 1) for day in before + wanted], work / "raw" / "requests")
    for day in before:
        for name in DAILY[:-2]:
            run_step(step(name), config, day)
    dag_runner.prepare(work.resolve() / "airflow", path)
    dag_runner.run_days(dag_runner.load_dag("movielens_daily"), wanted, lambda task: None)
    _compare(open_store(config), data, wanted)


def _write_requests(data: Path, days: list[datetime.date], folder: Path) -> None:
    """What was asked on each day: the ratings without their rating and label."""
    with gzip.open(data, "rt") as lines:
        header = next(lines).rstrip("\n").split(",")
        hidden = header.index("rating")
        names = [name for n, name in enumerate(header) if n != hidden]
        rows: dict[str, list[str]] = {str(day): [",".join(names)] for day in days}
        for line in lines:
            cells = line.rstrip("\n").split(",")
            if cells[header.index("date")] in rows:
                rows[cells[header.index("date")]].append(",".join(c for n, c in enumerate(cells) if n != hidden))
    for day, text in rows.items():
        (folder / f"{day}.csv").write_text("\n".join(text) + "\n")


def _compare(store: Store, data: Path, days: list[datetime.date]) -> None:
    ratings = pyarrow.csv.read_csv(data)
    date = np.array([str(day) for day in ratings["date"].to_pylist()])
    item, label = ratings["item_id"].to_numpy(), ratings["label"].to_numpy()
    table = Table("day", "model of", "rows", "AUC", "popularity AUC", "log loss", "PCOC")
    pooled: dict[str, Any] = {"model": Auc(), "popularity": Auc()}
    for day in days:
        evaluation = store.manifest("evaluations", day)
        assert evaluation is not None
        summary = evaluation.details["summary"]
        if summary is None:
            continue
        predictions = pq.read_table(store.folder(evaluation) / "predictions.parquet")
        past, today = date < str(day), date == str(day)
        popularity = _item_means(item[past], label[past], item[today])
        peer = Auc().update(label[today], popularity)
        pooled["model"] += Auc().update(predictions["label"].to_numpy(), predictions["probability"].to_numpy())
        pooled["popularity"] += peer
        cells = (summary["auc"], peer.value(), summary["log_loss"], summary["pcoc"])
        table.add_row(
            str(day), evaluation.details["model_day"], str(summary["rows"]), *(f"{cell:.4f}" for cell in cells)
        )
    Console().print(table)
    print(json.dumps({name: round(auc.value(), 4) for name, auc in pooled.items()}))


def _item_means(items: Any, labels: Any, wanted: Any) -> Any:
    size = int(max(items.max(), wanted.max())) + 1
    shown, liked = np.bincount(items, minlength=size), np.bincount(items, weights=labels, minlength=size)
    mean = np.where(shown > 0, liked / np.maximum(shown, 1), labels.mean())
    return mean[wanted]


if __name__ == "__main__":
    typer.run(main)
