"""Two outcomes of `pnn-gluon fit --output` on the same test rows: is one model better than the other?"""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer


def command(
    first: Annotated[Path, typer.Argument(help="A.json of `pnn-gluon fit --output A.json`.")],
    second: Annotated[Path, typer.Argument(help="B.json, of the same data and seeds.")],
    repeats: Annotated[int, typer.Option(help="Draws of the bootstrap.", min=10)] = 1000,
    seed: Annotated[int, typer.Option(help="Decides the draws.", min=0)] = 1,
) -> None:
    """Wilcoxon's signed-rank test and the paired bootstrap, first minus second; one JSON line."""
    from pnn_gluon.experiments.outcome import check_comparable, load_outcome
    from pnn_gluon.experiments.significance import compare

    one, two = load_outcome(first), load_outcome(second)
    check_comparable(one, two)
    if one.logits is None or two.logits is None:
        found = compare(one.label, one.runs, two.runs, loss=one.loss, repeats=repeats, seed=seed)
    else:
        found = compare(one.label, one.logits, two.logits, logits=True, repeats=repeats, seed=seed)
    print(json.dumps({"first": one.model, "second": two.model, **dataclasses.asdict(found)}, allow_nan=False))
