"""Paper mode: a model trained on train, stopped by validation, measured on test; one JSON line."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands.fit_bundle import check_bundle, write_fit_bundle
from pnn_gluon.errors import ConfigError, PnnError

if TYPE_CHECKING:
    from pnn_gluon.experiments.config import Plan
    from pnn_gluon.experiments.dataset import Dataset
    from pnn_gluon.experiments.run import Run

log = logging.getLogger(__name__)


def command(
    config: Annotated[Path, typer.Argument(help="A TOML file with [data], [model] and [training].")],
    model: Annotated[str | None, typer.Option(help="The model; default: the file's model.name.")] = None,
    seed: Annotated[int | None, typer.Option(help="One run with this seed; default: 1.", min=0)] = None,
    seeds: Annotated[str | None, typer.Option(help="A run for each seed, first..last, with mean and spread.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data files.")] = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", help="table.key=value over the file, such as training.epochs=3.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Also write A.json, and A.npz with the test scores.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Keep the model in this folder, for score-table.")] = None,
) -> None:
    """Train one model on explicit train, validation and test rows; one JSON line on stdout."""
    from pnn_gluon.experiments.classes import undefined_metrics
    from pnn_gluon.experiments.config import load_fit_config
    from pnn_gluon.experiments.dataset import load_dataset
    from pnn_gluon.experiments.summary import check_output, summarize, write_outcome

    chosen = _seeds(seed, seeds)
    check_output(output)
    settings = load_fit_config(config, model, options or ())
    name = model or settings.model.name
    plan = settings.plan(name)
    rows = load_dataset(settings, data)
    if bundle is not None:
        check_bundle(bundle, plan, rows, len(chosen))
    log.info(f"fit {name}: {len(rows.train.label):,} train rows, {rows.layout.fields} fields, {rows.size:,} ids")
    for text in undefined_metrics(rows):
        log.info("fit %s: %s", name, text)

    runs: list[Run] = []

    def keep(run: "Run", net: Any) -> None:
        runs.append(run)
        if output is not None:
            write_outcome(output, summarize(settings, name, rows, runs, seeds is not None), rows, runs)
        if bundle is not None:
            write_fit_bundle(bundle, settings, plan, rows, run, net)

    failed = _fit_each(plan, rows, chosen, keep)
    if runs:
        print(json.dumps(summarize(settings, name, rows, runs, seeds is not None), allow_nan=False), flush=True)
    if failed:
        raise PnnError(f"fit {name}: of the seeds {seeds} these failed: {', '.join(map(str, failed))}; see above")


def _fit_each(plan: "Plan", rows: "Dataset", seeds: list[int], keep: "Callable[[Run, Any], None]") -> list[int]:
    """Fit with each seed and keep what it gave at once, whatever comes after; the seeds that failed."""
    from pnn_gluon.experiments.fit import fit

    failed = []
    for seed in seeds:
        try:
            run, net = fit(plan, rows, seed)
        except PnnError as error:
            if len(seeds) == 1:
                raise
            log.error("fit %s seed %d: failed: %s", plan.model.name, seed, error)
            failed.append(seed)
        else:
            keep(run, net)
    return failed


def _seeds(seed: int | None, seeds: str | None) -> list[int]:
    """The seeds asked for: one, or first..last."""
    if seeds is None:
        return [1 if seed is None else seed]
    bounds = re.fullmatch(r"([0-9]{1,9})(?:\.\.([0-9]{1,9}))?", seeds)
    if seed is not None or bounds is None or int(bounds[2] or bounds[1]) < int(bounds[1]):
        raise ConfigError(f"--seeds {seeds}: expected first..last, such as 1..5, and no --seed beside it")
    return list(range(int(bounds[1]), int(bounds[2] or bounds[1]) + 1))
