"""The paper's small experiments on generated data: plots, their curves as JSON, and one JSON line on stdout."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands.study_plots import Line, Panel, draw_png
from pnn_gluon.atomic import write_atomically
from pnn_gluon.extras import require

if TYPE_CHECKING:
    from pnn_gluon.experiments.batch_bias import BiasPoint
    from pnn_gluon.experiments.poly2_study import Curve

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

OutputOption = Annotated[Path, typer.Option(help="Folder for the plots and the JSON of the curves.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="A small version of some seconds.")]
SeedOption = Annotated[int, typer.Option(help="Decides all that is drawn.", min=0, max=2**28)]

DEFAULT_OUTPUT = Path("docs/figures")
BIAS_IDS = (1000, 2000, 4000, 8000)
BIAS_DROPOUTS = (0.0, 0.25, 0.5, 0.75)
BIAS_BATCH_SIZES = tuple(range(100, 1001, 100))
BIAS_ROWS = 50_000
QUICK_BIAS_IDS = (100, 200)
QUICK_BIAS_ROWS = 2000

_PAPER_NAMES = ("DNN 1 x 128", "DNN 1 x 512", "DNN 3 x 128", "poly-2")
_PRODUCT_NAMES = ("fm", "kfm", "ipnn", "kpnn")
_ROWS_SEEN = "training rows seen (thousands), each once"
_AUC = "AUC on validation rows"


@app.command()
def poly2(output: OutputOption = DEFAULT_OUTPUT, quick: QuickOption = False, seed: SeedOption = 1) -> None:
    """Networks on data of second degree: sparsity and convergence ([PNN] 5.4, Figure 20)."""
    from pnn_gluon.experiments.poly2_study import (
        QUICK,
        StudySize,
        convergence_curves,
        sparsity_curves,
        true_function_auc,
    )

    require("matplotlib")
    size = QUICK if quick else StudySize()
    ideal = true_function_auc(size, seed)
    sparsity = tuple(sparsity_curves(size, seed))
    convergence = tuple(convergence_curves(size, seed))
    curves = {
        "seed": seed,
        "size": dataclasses.asdict(size),
        "sparsity": list(map(dataclasses.asdict, sparsity)),
        "convergence": list(map(dataclasses.asdict, convergence)),
        "true_function_auc": ideal,
    }
    plots = {"poly2_sparsity": sparsity_panels(sparsity), "poly2_convergence": convergence_panels(convergence, ideal)}
    _write("poly2", output, curves, plots, {curve.name: curve.auc[-1] for curve in (*sparsity, *convergence)})


@app.command("batch-bias")
def batch_bias(output: OutputOption = DEFAULT_OUTPUT, quick: QuickOption = False, seed: SeedOption = 1) -> None:
    """How far the ids of a batch are from their distribution ([PNN] 4.4.2, Figure 10)."""
    from pnn_gluon.experiments.batch_bias import bias_curves

    require("matplotlib")
    ids, rows = (QUICK_BIAS_IDS, QUICK_BIAS_ROWS) if quick else (BIAS_IDS, BIAS_ROWS)
    by_ids = tuple(bias_curves(ids, (0.0,), BIAS_BATCH_SIZES, rows=rows, seed=seed))
    by_dropout = tuple(bias_curves(ids[:1], BIAS_DROPOUTS, BIAS_BATCH_SIZES, rows=rows, seed=seed))
    curves = {
        "seed": seed,
        "rows": rows,
        "by_ids": list(map(dataclasses.asdict, by_ids)),
        "by_dropout": list(map(dataclasses.asdict, by_dropout)),
    }
    last = BIAS_BATCH_SIZES[-1]
    found = {f"N = {p.ids}, dropout {p.dropout}": p.bias for p in (*by_ids, *by_dropout) if p.batch_size == last}
    _write("batch_bias", output, curves, {"batch_bias": bias_panels(by_ids, by_dropout)}, found)


def sparsity_panels(curves: "Sequence[Curve]") -> tuple[Panel, ...]:
    """Figure 20 (a)."""
    return (Panel("Sparsity: DNN 3 x 128 with N categories", _ROWS_SEEN, _AUC, [_line(curve) for curve in curves]),)


def convergence_panels(curves: "Sequence[Curve]", true_function: float) -> tuple[Panel, ...]:
    """Figure 20 (b), and product models on the same rows beside it."""
    named, end = {curve.name: curve for curve in curves}, curves[0].examples[-1] / 1000
    bound = Line("the true function", (0, end), (true_function, true_function), quiet=True)
    paper = [*(_line(named[name]) for name in _PAPER_NAMES), bound]
    ours = [_line(named[name], name.upper()) for name in _PRODUCT_NAMES]
    rivals = [_line(named[name], quiet=True) for name in ("poly-2", "DNN 3 x 128", "lr")]
    return (
        Panel("DNNs and poly-2 regression", _ROWS_SEEN, _AUC, paper),
        Panel("Product models on the same rows", _ROWS_SEEN, _AUC, [*ours, *rivals]),
    )


def bias_panels(by_ids: "Sequence[BiasPoint]", by_dropout: "Sequence[BiasPoint]") -> tuple[Panel, ...]:
    """Figure 10."""
    x, y = "batch size (rows)", "KL divergence from all rows (nats)"
    sparsity = _grouped({f"N = {p.ids}": p.ids for p in by_ids}, "ids", by_ids)
    dropout = _grouped({f"dropout {p.dropout}": p.dropout for p in by_dropout}, "dropout", by_dropout)
    return (
        Panel("(a) N ids, no dropout", x, y, sparsity),
        Panel(f"(b) N = {by_dropout[0].ids}, inputs dropped", x, y, dropout),
    )


def _grouped(groups: Mapping[str, float], attribute: str, points: "Sequence[BiasPoint]") -> list[Line]:
    """A line for each group of points that have its value."""
    lines = []
    for name, value in groups.items():
        own = [p for p in points if getattr(p, attribute) == value]
        lines.append(Line(name, [p.batch_size for p in own], [p.bias for p in own]))
    return lines


def _line(curve: "Curve", name: str | None = None, quiet: bool = False) -> Line:
    return Line(name or curve.name, [rows / 1000 for rows in curve.examples], curve.auc, quiet)


def _write(
    study: str, folder: Path, curves: Mapping[str, Any], plots: Mapping[str, Sequence[Panel]], last: Mapping[str, float]
) -> None:
    """Write the files, and print the one JSON line: what was written and the last value of each curve."""
    files = {folder / f"{name}.png": draw_png(panels) for name, panels in plots.items()}
    files[folder / f"{study}.json"] = (json.dumps(curves, indent=1) + "\n").encode()
    for path, content in files.items():
        write_atomically(path, content)
    print(json.dumps({"study": study, "files": [str(path) for path in files], "last": last}), flush=True)
