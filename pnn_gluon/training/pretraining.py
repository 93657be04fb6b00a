"""Pre-training: a network starts from the tables of a factorization machine trained on the same rows."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pnn_gluon.blocks.id_table import whole_shapes
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model, model_options
from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.training.devices import initialize
from pnn_gluon.training.loop import BatchSource, Progress, TrainingResult, train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import named_parameters, set_value, shapes_of

_TABLE = "embedding.embedding_weight"


def pretrain(
    net: HybridBlock,
    fm: HybridBlock,
    source: BatchSource,
    options: TrainingOptions,
    epochs: int,
    *,
    checkpoint_dir: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train a factorization machine, then let a network start from its tables ([PNN] 4.2, 5.2.2).

    The machine is trained for all `epochs`, without validation, with a constant learning rate after the warm-up and
    otherwise with the options of the network. See `copy_tables` for what the network takes over.

    Args:
        net: Network that `train` is to fit next.
        fm: The FM, with the ids and embedding size of the network; see `matching_fm`.
        source: The training batches.
        options: Of the network's training; its seed decides both networks' starting values.
        epochs: Passes over the batches.
        checkpoint_dir: Folder for the checkpoints of this run alone; None to keep none.
        progress: As of `train`.

    Raises:
        ConfigError: the network has no such embedding, or what `train` raises.
    """
    _shared(net, fm)
    result = train(fm, source, _options(options, epochs), checkpoint_dir=checkpoint_dir, progress=progress)
    copy_tables(net, fm, options.seed)
    return result


def matching_fm(name: str, layout: FieldLayout, size: int, options: Mapping[str, Any]) -> HybridBlock:
    """The factorization machine with the embedding options of the model `create_model(name, layout, size, **options)`.

    Raises:
        ConfigError: an unknown model or option.
    """
    of_model, of_fm = model_options(name) | dict(options), model_options("fm")
    return create_model("fm", layout, size, **{option: of_model[option] for option in of_fm if option in of_model})


def copy_tables(net: HybridBlock, fm: HybridBlock, seed: int) -> None:
    """Give a network the embedding of a trained FM and, if it has one, the linear part; the rest is drawn from `seed`.

    Parameters are matched by structural name: `embedding.embedding_weight`, `linear.linear_weight`, `linear.bias`.
    The network is initialized on the CPU, as `train` would do it.

    Raises:
        ConfigError: the network has no `embedding.embedding_weight`, or one of these is of another shape.
    """
    names = _shared(net, fm)
    initialize(net, [mx.cpu()], seed)
    theirs, ours = named_parameters(fm), named_parameters(net)
    for name in names:
        set_value(ours[name], theirs[name].list_data()[0])


def _shared(net: HybridBlock, fm: HybridBlock) -> list[str]:
    """Names of the FM's parameters that the network has."""
    theirs, ours = named_parameters(fm), named_parameters(net)
    shapes, given = whole_shapes(shapes_of(net)), whole_shapes(shapes_of(fm))
    if _TABLE not in shapes:
        raise ConfigError(f"FM pre-training gives a network its {_TABLE}, which this one does not have: leave it out")
    for name, shape in given.items():
        if name in shapes and shape != shapes[name]:
            raise ConfigError(
                f"FM pre-training: {name} has the shape {shape}, the network needs {shapes[name]}: give both "
                "the same ids and embedding size, or leave pre-training out"
            )
    return [name for name in theirs if name in ours]


def _options(options: TrainingOptions, epochs: int) -> TrainingOptions:
    """For the FM: no schedule that ends with the network's run, no attention."""
    return options.replaced(
        epochs=epochs,
        schedule="constant",
        final_rate_share=0.0,
        plateau_factor=None,
        attention_l2=None,
        decoupled=options.decoupled and bool(options.embedding_l2 or options.weight_decay),
    )
