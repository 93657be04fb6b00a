"""`fit --bundle`: the model of a run as a bundle, which `score-table` and everything else scores new rows with."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnn_gluon import __version__
from pnn_gluon.errors import ConfigError
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.training.options import GBDT_NAME

if TYPE_CHECKING:
    from pnn_gluon.experiments.config import FitConfig, Plan
    from pnn_gluon.experiments.dataset import Dataset
    from pnn_gluon.experiments.run import Run
    from pnn_gluon.experiments.served_map import ServedMap
    from pnn_gluon.runtime import HybridBlock


def check_bundle(folder: Path, config: "FitConfig", plan: "Plan", rows: "Dataset", runs: int) -> None:
    """Say before training why the model cannot be kept.

    Raises:
        ConfigError: the folder is there, there are several runs, or a bundle does not hold such a model.
    """
    from pnn_gluon.experiments.served_map import served_map

    if folder.exists():
        raise ConfigError(f"--bundle {folder}: exists already; give another name, or remove it")
    if runs > 1:
        raise ConfigError("--bundle keeps one model: give one --seed, not several --seeds")
    if plan.model.name == GBDT_NAME:
        raise ConfigError("--bundle: trees of gbdt split by ids, which a bundle numbers otherwise: keep a network")
    if plan.training.loss != "log":
        raise ConfigError('--bundle: a bundle gives probabilities of logits: train with loss = "log"')
    if plan.model.crosses:
        raise ConfigError("--bundle: crosses hash ids, which a bundle numbers otherwise: leave `crosses` out")
    if config.data.format != "csv":
        raise ConfigError(f"--bundle: expected format = 'csv', whose columns a table has, not {config.data.format!r}")
    served_map(rows.ids, config.data.min_count)


def write_fit_bundle(
    folder: Path, config: "FitConfig", plan: "Plan", rows: "Dataset", run: "Run", net: "HybridBlock"
) -> None:
    """Write the bundle of a run, as a whole or not at all.

    Args:
        folder: The bundle's, which is not there yet.
        config: Of the run.
        plan: Of the run.
        rows: Its data.
        run: What it gave; the metrics of the test rows go into the card.
        net: The network with the parameters of its best epoch.
    """
    from pnn_gluon.evaluation.calibration import calibrator_from_dict
    from pnn_gluon.experiments.served_map import served_map
    from pnn_gluon.serving.bundle import MAP, BundleCard, write_bundle
    from pnn_gluon.temporary import temporary_folder
    from pnn_gluon.training.export import PARAMETERS_FILE

    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.parent, f".{folder.name}.") as scratch:
        bundle = scratch / "bundle"
        bundle.mkdir()
        served = served_map(rows.ids, config.data.min_count)
        served.feature_map.save(bundle / MAP)
        options = _export(bundle, plan, rows, served, net)
        card = BundleCard(
            model={"name": plan.model.name, "options": options, "size": served.feature_map.size},
            model_day=str(served.feature_map.day),
            map_day=str(served.feature_map.day),
            map_sha256=sha256_of(bundle / MAP),
            parameters_sha256=sha256_of(bundle / PARAMETERS_FILE),
            rate=1.0,
            metrics=run.test,
            config={"fit": {"fingerprint": config.fingerprint(plan.model.name), "seed": run.seed, **plan.summary()}},
            pnn_gluon=__version__,
        )
        write_bundle(bundle, card, calibrator_from_dict({"method": "none"}))
        bundle.rename(folder)


def _export(bundle: Path, plan: "Plan", rows: "Dataset", served: "ServedMap", net: "HybridBlock") -> dict[str, Any]:
    """Export the network with the rows of its id tables where the feature map has them; its options."""
    from pnn_gluon.blocks.embedding import is_row_parameter
    from pnn_gluon.models.registry import create_model, model_options
    from pnn_gluon.runtime import mx
    from pnn_gluon.training.export import export_model
    from pnn_gluon.training.parameters import put_values, take_values

    options = model_options(plan.model.name) | plan.model.options_for(rows.vocabulary)
    kept = create_model(plan.model.name, rows.layout, served.feature_map.size, **options)
    kept.initialize(ctx=mx.cpu())
    origin = mx.nd.array(served.origin, dtype="int32")
    values = {
        name: mx.nd.take(value.as_in_context(mx.cpu()), origin) if is_row_parameter(name) else value
        for name, value in take_values(net).items()
    }
    put_values(kept, values)
    export_model(kept, bundle, rows.layout.slots)
    return options
