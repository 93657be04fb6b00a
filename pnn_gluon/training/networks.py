"""The family of networks: all models of `pnn_gluon.models.registry`, trained by `pnn_gluon.training.loop`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.idle_options import idle_training_options
from pnn_gluon.models.declared import is_own, numbers_an_id, with_tuples
from pnn_gluon.processor import processor_features
from pnn_gluon.section import Section
from pnn_gluon.training.family import Family, Scorer
from pnn_gluon.training.options import PrecisionName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pnn_gluon.runtime import HybridBlock


class NetworkScorer:
    """A network of `create_model` or `load_exported` as a scorer, its dense layers of some precision."""

    def __init__(self, net: "HybridBlock", precision: PrecisionName = "auto") -> None:
        self._net, self._precision = net, precision

    def logits(self, ids: "NDArray[np.int32]", batch_rows: int | None = None) -> "NDArray[np.float32]":
        """Logits (rows,) of ids int32 (rows, S); see `pnn_gluon.training.export.predict_logits`."""
        from pnn_gluon.ops import dense_precision
        from pnn_gluon.training.export import SCORING_ROWS, predict_logits

        with dense_precision(self._precision):
            return predict_logits(self._net, ids, batch_rows or SCORING_ROWS)


class Networks:
    """See `pnn_gluon.training.family.Family`."""

    in_batches = True
    counted_untrained = True
    paper_options: frozenset[str] | None = None
    paper_defaults: Mapping[str, Any] = MappingProxyType({})
    unpruned_epochs = 3

    def parameters_file(self) -> str:
        """The exported parameters."""
        from pnn_gluon.training.export import PARAMETERS_FILE

        return PARAMETERS_FILE

    def idle_training(self, model: str, given: Mapping[str, Any]) -> Mapping[str, str]:
        """See `idle_training_options`."""
        return idle_training_options(model, given)

    def pipeline_faults(self, model: str, given: Mapping[str, Any], training: Section) -> Iterator[str]:
        """Options without an effect that are not at their defaults."""
        idle = self.idle_training(model, given)
        for option in training.model_dump(include=set(idle), exclude_defaults=True):
            yield f"training.{option} {idle[option]}"

    def numbers_an_id(self, model: str, options: Mapping[str, Any], layout: FieldLayout, *, cut: bool = False) -> int:
        """As the model's file declares it; a model of the user's is made to be asked."""
        declared = numbers_an_id(model, options, layout.fields)
        if declared is None:
            return _numbers_of_own(model, options, layout, cut)
        return 1 if cut else declared

    def take_rows(
        self,
        source: Path,
        folder: Path,
        model: Mapping[str, Any],
        layout: FieldLayout,
        kept: "NDArray[np.int64]",
    ) -> None:
        """The network with these rows of its tables of ids, and all else as it is."""
        from pnn_gluon.models.registry import create_model
        from pnn_gluon.runtime import mx
        from pnn_gluon.training.carried_states import compact_states
        from pnn_gluon.training.export import exported_values
        from pnn_gluon.training.growth import take_rows
        from pnn_gluon.training.parameters import put_values

        options = {name: with_tuples(value) for name, value in model["options"].items()}
        net = create_model(model["name"], layout, len(kept), **options)
        net.initialize(ctx=mx.cpu())
        put_values(net, take_rows(exported_values(net, source), kept), str(source))
        self.save(net, folder, layout.slots)
        compact_states(source, folder, kept)

    def save(self, trained: "HybridBlock", folder: Path, slots: int) -> tuple[Path, Path]:
        """Write the graph and the parameters, see `pnn_gluon.training.export.export_model`."""
        from pnn_gluon.training.export import export_model

        return export_model(trained, folder, slots)

    def load(
        self, folder: Path, model: Mapping[str, Any], layout: FieldLayout, precision: PrecisionName = "auto"
    ) -> Scorer:
        """The network in a folder.

        Where native operators serve, it is built anew from its description and computes with them; else it is the
        exported graph. Logits of the two differ in the last bits. A model of the user's is always the exported graph,
        for which its module need not be there, and takes no precision.
        """
        from pnn_gluon.models.registry import create_model
        from pnn_gluon.ops import dense_precision, native_operators
        from pnn_gluon.training.export import load_exported, restore_exported

        if is_own(model["name"]):
            if precision != "auto":
                raise ConfigError(f"precision {precision!r} has no effect on model {model['name']!r}: leave it out")
            return NetworkScorer(load_exported(folder))
        with dense_precision(precision):  # raises if it cannot be had
            if not native_operators():
                return NetworkScorer(load_exported(folder), precision)
        options = {name: with_tuples(value) for name, value in model["options"].items()}
        net = create_model(model["name"], layout, model["size"], **options)
        return NetworkScorer(restore_exported(net, folder), precision)

    def last_bits(self, model: str, precision: PrecisionName = "auto") -> dict[str, str]:
        """As of training; of a model of the user's, with the plain operators."""
        from pnn_gluon.ops import plain_operators

        with plain_operators() if is_own(model) else nullcontext():
            return training_bits(precision)


def _numbers_of_own(model: str, options: Mapping[str, Any], layout: FieldLayout, cut: bool) -> int:
    from pnn_gluon.blocks.embedding import widest_table
    from pnn_gluon.models.registry import create_model

    return widest_table(create_model(model, layout, 1 + 2 * layout.fields, **options), one_tensor=cut)


def training_bits(precision: PrecisionName = "auto") -> dict[str, str]:
    """What the last bits of parameters depend on: MXNet, threads, processor, operators, precision of dense layers."""
    from pnn_gluon.ops import chosen_precision, dense_precision, operators
    from pnn_gluon.runtime import mx

    with dense_precision(precision):
        return {
            "mxnet": mx.__version__,
            "threads": os.environ["OMP_NUM_THREADS"],
            "processor": processor_features(),
            "operators": operators(),
            "precision": chosen_precision(),
        }


FAMILY: Family = Networks()
