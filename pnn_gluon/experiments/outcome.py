"""What `fit` wrote, read again: a model's test probabilities for each seed."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import Floats
from pnn_gluon.experiments.summary import scores_path


@dataclass(frozen=True, eq=False)
class Outcome:
    """A model on some test rows.

    Attributes:
        path: The JSON file.
        model: Its name.
        label: 0 or 1, float64 (rows,).
        seeds: One for each run.
        runs: Probabilities (rows,) of each run.
    """

    path: Path
    model: str
    label: Floats
    seeds: tuple[int, ...]
    runs: tuple[Floats, ...]


def load_outcome(path: Path) -> Outcome:
    """Read `A.json` and the `A.npz` beside it.

    Raises:
        InputError: one of them is missing or damaged.
    """
    try:
        model = str(json.loads(path.read_text())["model"])
        with np.load(scores_path(path), allow_pickle=False) as arrays:
            label, probability = arrays["label"].astype(np.float64), arrays["probability"]
            seeds = tuple(int(seed) for seed in arrays["seed"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: expected a file of `pnn-gluon fit --output {path}` and its scores beside it ({error})"
        ) from error
    return Outcome(path, model, label, seeds, tuple(probability))


def same_rows(first: Outcome, second: Outcome) -> None:
    """Raise InputError unless both are of the same test rows and seeds."""
    if not np.array_equal(first.label, second.label):
        raise InputError(
            f"{first.path} has {first.label.size} test rows, {second.path} {second.label.size}, or other labels: "
            "fit both models on the same data"
        )
    if first.seeds != second.seeds:
        raise InputError(
            f"{first.path} has the seeds {first.seeds}, {second.path} {second.seeds}: fit both with the same --seeds"
        )
