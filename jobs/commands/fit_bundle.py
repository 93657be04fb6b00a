"""`fit --bundle`: the model of a run as a bundle, which `score-table` and everything else scores new rows with."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnn_gluon import __version__
from pnn_gluon.config import RESERVED_NAMES
from pnn_gluon.errors import ConfigError
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.models.declared import resolved_options

if TYPE_CHECKING:
    from pnn_gluon.experiments.config import FitConfig, Plan
    from pnn_gluon.experiments.dataset import Dataset
    from pnn_gluon.experiments.run import Run


def check_bundle(folder: Path, plan: "Plan", rows: "Dataset", runs: int) -> None:
    """Say before training why the model cannot be kept.

    Raises:
        ConfigError: the folder is there, there are several runs, or a bundle does not hold such a model.
    """
    if folder.exists():
        raise ConfigError(f"--bundle {folder}: exists already; give another name, or remove it")
    if runs > 1:
        raise ConfigError("--bundle keeps one model: give one --seed, not several --seeds")
    if plan.training.loss != "log":
        raise ConfigError('--bundle: a bundle gives probabilities of logits: train with loss = "log"')
    if taken := sorted(RESERVED_NAMES & set(rows.layout.names)):
        raise ConfigError(f"--bundle: field name {taken[0]!r} is taken by scoring; name it otherwise in data.fields")


def write_fit_bundle(folder: Path, config: "FitConfig", plan: "Plan", rows: "Dataset", run: "Run", model: Any) -> None:
    """Write the bundle of a run, as a whole or not at all.

    Args:
        folder: The bundle's, which is not there yet.
        config: Of the run.
        plan: Of the run.
        rows: Its data.
        run: What it gave; the metrics of the test rows go into the card.
        model: As `fit` gives it.
    """
    from pnn_gluon.evaluation.calibrators import NoCalibration
    from pnn_gluon.evaluation.segments import Calibration
    from pnn_gluon.serving.bundle import MAP, BundleCard, write_bundle
    from pnn_gluon.temporary import temporary_folder
    from pnn_gluon.training.families import family_of

    family = family_of(plan.model.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.parent, f".{folder.name}.") as scratch:
        bundle = scratch / "bundle"
        bundle.mkdir()
        rows.feature_map.save(bundle / MAP)
        family.save(model, bundle, rows.layout.slots)
        options = resolved_options(plan.model.name, plan.model.options_for(rows.feature_map.vocabulary))
        card = BundleCard(
            model={"name": plan.model.name, "options": options, "size": rows.size},
            model_day=str(rows.feature_map.day),
            map_day=str(rows.feature_map.day),
            map_sha256=sha256_of(bundle / MAP),
            parameters_sha256=sha256_of(bundle / family.parameters_file()),
            rate=1.0,
            metrics=run.test,
            config={"fit": {"fingerprint": config.fingerprint(plan.model.name), "seed": run.seed, **plan.summary()}},
            pnn_gluon=__version__,
        )
        write_bundle(bundle, card, Calibration(NoCalibration()), run.history)
        bundle.rename(folder)
