"""The outcome of one or several runs: as one JSON object, and as files that `compare` reads."""

import io
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pnn_gluon.atomic import write_atomically
from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.config import FitConfig
from pnn_gluon.experiments.dataset import Dataset
from pnn_gluon.experiments.run import Run

_NOT_METRICS = {"seed", "epochs", "best_epoch", "seconds", "seconds_per_epoch"}


def summarize(config: FitConfig, model: str, data: Dataset, runs: Sequence[Run], several: bool) -> dict[str, Any]:
    """What the runs of one model gave, with what decided it.

    Args:
        config: The configuration of the runs.
        model: The model's name.
        data: The rows.
        runs: At least one.
        several: Whether to list the runs under `seeds`, with mean and standard deviation (n - 1; None for one run)
            of each metric, None where rows of one class leave it undefined; else the only run's numbers stand at the
            top.
    """
    shared = {
        "model": model,
        "parameters": runs[0].parameters,
        "config": {"fingerprint": config.fingerprint(model), **config.plan(model).summary()},
        "data": data.summary(),
    }
    results = [run.summary() for run in runs]
    if not several:
        return results[0] | shared
    metrics = [name for name in results[0] if name not in _NOT_METRICS]
    mean = {name: _mean([result[name] for result in results]) for name in metrics}
    spread = {name: _deviation([result[name] for result in results]) for name in metrics}
    return {**shared, "seeds": results, "mean": mean, "std": spread}


def _mean(values: Sequence[float | None]) -> float | None:
    """Of all runs; None where one has no value."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _deviation(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) == len(values) > 1 else None


def check_output(output: Path | None) -> None:
    """Refuse the name of an outcome's file unless it ends in `.json`: the scores go to `.npz` beside it.

    Raises:
        ConfigError: it does not.
    """
    if output is not None and output.suffix != ".json":
        raise ConfigError(f"--output {output}: expected a name that ends in .json; the scores go to .npz beside it")


def scores_path(output: Path) -> Path:
    """The file of test scores beside a JSON file."""
    return output.with_suffix(".npz")


def write_outcome(output: Path, summary: dict[str, Any], data: Dataset, runs: Sequence[Run]) -> None:
    """Write the summary as `A.json`, and `A.npz` beside it with what comparisons of models on the same rows need.

    Arrays of `A.npz`: seed int64 (runs,), label float32 (rows,), probability float64 and output float32 (runs, rows),
    of the test rows in the order of their file; for log loss an output is a logit.
    """
    scores = io.BytesIO()
    np.savez_compressed(
        scores,
        seed=np.array([run.seed for run in runs], np.int64),
        label=data.test.label,
        probability=np.stack([run.probability for run in runs]),
        output=np.stack([run.output for run in runs]),
    )
    write_atomically(scores_path(output), scores.getvalue())
    write_atomically(output, (json.dumps(summary, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())
