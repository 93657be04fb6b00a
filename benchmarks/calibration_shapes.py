"""Calibration methods where the shape that they have to find is known: how near each comes, and what it takes.

    python -m benchmarks.calibration_shapes [--rows 20000,100000,1000000] [--seeds 1,2,3]

The model's logit z is normal (-3, 1.2), some 8 % clicks; the true logit is a function of it: `right` z, `too sure`
0.8 z - 0.3, `bent` 1.6 z + 1.2 below z = -2 and z above, `waves` z + 0.4 sin 2z. Each method is fitted on so many rows
and judged by the truth on 400,000 others: ece, the mean over 50 bins of equal rows of |mean p - mean true p| in units
of the click rate (mean over seeds), and the median of the seconds of a fit. `auto` also names its choice for each
seed. The last line is JSON.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import typer

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.calibration import Method
from pnn_gluon.evaluation.fitted_calibration import fit_calibration
from pnn_gluon.evaluation.log_odds import sigmoid

SHAPES: Mapping[str, Callable[[Floats], Floats]] = {
    "right": lambda z: z,
    "too sure": lambda z: 0.8 * z - 0.3,
    "bent": lambda z: np.where(z > -2, z, 1.6 * z + 1.2),
    "waves": lambda z: z + 0.4 * np.sin(2 * z),
}
METHODS: tuple[Method, ...] = ("none", "platt", "beta", "isotonic", "auto")
JUDGED = 400_000
BINS = 50


def main(
    rows: Annotated[str, typer.Option(help="Rows that calibrators are fitted on.")] = "20000,100000,1000000",
    seeds: Annotated[str, typer.Option(help="Draws of rows.")] = "1,2,3",
) -> None:
    """Measure and print."""
    draws, found = [int(seed) for seed in seeds.split(",")], []
    for size in (int(size) for size in rows.split(",")):
        for shape in SHAPES:
            for method in METHODS:
                found.append(told(shape, method, size, draws))
                print("{rows:9} {shape:9} {method:9} ece {ece:.4f} {seconds:6.2f} s {chosen}".format(**found[-1]))
    print(json.dumps({"seeds": draws, "fits": found}))


def told(shape: str, method: Method, rows: int, seeds: list[int]) -> dict[str, Any]:
    """The fits of a method on draws of a shape."""
    errors, seconds, chosen = [], [], []
    for seed in seeds:
        logit, truth = drawn(shape, rows, seed)
        label = (np.random.default_rng([seed, rows]).random(rows) < sigmoid(truth)).astype(np.float64)
        began = time.perf_counter()
        fitted = fit_calibration(method, logit, label)
        seconds.append(time.perf_counter() - began)
        logit, truth = drawn(shape, JUDGED, seed + 1000)
        errors.append(ece(fitted.calibration.logit(logit), truth))
        chosen += [fitted.choice.method] if fitted.choice else []
    numbers = {"ece": round(float(np.mean(errors)), 5), "seconds": round(statistics.median(seconds), 3)}
    return {"rows": rows, "shape": shape, "method": method, **numbers, "chosen": chosen}


def drawn(shape: str, rows: int, seed: int) -> tuple[Floats, Floats]:
    """Logits of a model, and the true ones."""
    logit = np.random.default_rng(seed).normal(-3, 1.2, rows)
    return logit, SHAPES[shape](logit)


def ece(logit: Floats, truth: Floats) -> float:
    """Distance of calibrated logits (B,) from true ones (B,), as said above."""
    p, true = sigmoid(logit), sigmoid(truth)
    gaps = [abs(float((p[part] - true[part]).mean())) for part in np.array_split(np.argsort(p, kind="stable"), BINS)]
    return float(np.mean(gaps) / true.mean())


if __name__ == "__main__":
    typer.run(main)
