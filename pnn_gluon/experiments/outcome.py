"""What `fit` wrote, read again: a model's test probabilities for each seed."""

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.experiments.scores import Loss
from pnn_gluon.experiments.summary import scores_path

_UNREADABLE = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class Outcome:
    """A model on some test rows.

    Attributes:
        path: The JSON file.
        model: Its name.
        loss: What it was trained on, `log` or `squared`.
        label: 0 or 1, float64 (rows,).
        seeds: One for each run.
        runs: Probabilities (rows,) of each run.
        logits: Their logits (rows,) of each run; None for squared loss, and in files of earlier releases.
    """

    path: Path
    model: str
    loss: Loss
    label: Floats
    seeds: tuple[int, ...]
    runs: tuple[Floats, ...]
    logits: tuple[Floats, ...] | None = None


def load_outcome(path: Path) -> Outcome:
    """Read `A.json` and the `A.npz` beside it.

    Raises:
        InputError: one of them is missing or damaged.
    """
    try:
        summary = json.loads(path.read_text())
        with np.load(scores_path(path), allow_pickle=False) as arrays:
            label, probability = arrays["label"].astype(np.float64), arrays["probability"].astype(np.float64)
            seeds = tuple(int(seed) for seed in arrays["seed"])
            output = tuple(arrays["output"].astype(np.float64)) if "output" in arrays else None
        loss: Loss = summary["config"]["training"].get("loss", "log")  # boosted trees have no choice of loss
        logits = output if loss == "log" else None
        found = Outcome(path, summary["model"], loss, label, seeds, tuple(probability), logits)
        _check(found, [run["seed"] for run in summary.get("seeds", [summary])])
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: expected a file of `pnn-gluon fit --output {path}` and its scores beside it ({error})"
        ) from error
    return found


def _check(outcome: Outcome, seeds: list[int]) -> None:
    """Raise ValueError unless scores and summary are of the same runs, and labels and probabilities are such."""
    if not isinstance(outcome.model, str):
        raise ValueError(f"expected the name of a model, received {outcome.model!r}")
    if not seeds or not outcome.label.size:
        raise ValueError(f"{len(seeds)} runs on {outcome.label.size} rows, expected some")
    if seeds != list(outcome.seeds) or len(outcome.runs) != len(seeds):
        raise ValueError(f"seeds {seeds} in it, {list(outcome.seeds)} and {len(outcome.runs)} runs beside it")
    if any(run.shape != outcome.label.shape or not np.all((run >= 0) & (run <= 1)) for run in outcome.runs):
        raise ValueError(f"expected a probability in [0, 1] for each of {outcome.label.size} rows")
    if outcome.logits is not None and not _are_logits(outcome, outcome.logits):
        raise ValueError(f"expected a finite output for each of {outcome.label.size} rows and {len(seeds)} runs")
    if not np.all((outcome.label == 0) | (outcome.label == 1)):
        raise ValueError("expected labels 0 and 1")


def _are_logits(outcome: Outcome, logits: tuple[Floats, ...]) -> bool:
    whole = len(logits) == len(outcome.runs)
    return whole and all(run.shape == outcome.label.shape and np.isfinite(run).all() for run in logits)


def check_comparable(first: Outcome, second: Outcome) -> None:
    """Raise InputError unless both are of the same test rows, seeds and loss."""
    if first.loss != second.loss:
        raise InputError(
            f"{first.path} is of {first.loss} loss, {second.path} of {second.loss} loss: fit both with the same"
        )
    if not np.array_equal(first.label, second.label):
        raise InputError(
            f"{first.path} has {first.label.size} test rows, {second.path} {second.label.size}, or other labels: "
            "fit both models on the same data"
        )
    if first.seeds != second.seeds:
        raise InputError(
            f"{first.path} has the seeds {_listed(first.seeds)}, {second.path} {_listed(second.seeds)}: "
            "fit both with the same --seeds"
        )


def _listed(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))
