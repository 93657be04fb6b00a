"""The family of gradient boosted trees: trained by `pnn_gluon.training.gbdt`, scored without MXNet."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.models.declared import resolved_options
from pnn_gluon.processor import processor_features
from pnn_gluon.section import Section
from pnn_gluon.training.family import Family, Scorer
from pnn_gluon.training.options import PrecisionName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pnn_gluon.models.gbdt import GBDT

TRAINING = frozenset({"window_days", "validation", "patience", "seed", "unseen_share"})
"""Options of `[training]` of a pipeline that have an effect on trees."""


class Trees:
    """See `pnn_gluon.training.family.Family`."""

    in_batches = False
    counted_untrained = False
    paper_options: frozenset[str] | None = frozenset({"metric", "patience"})
    paper_defaults: Mapping[str, Any] = MappingProxyType({"patience": 10})
    unpruned_epochs = 50

    def parameters_file(self) -> str:
        """The card, which holds the hashes of the other files."""
        from pnn_gluon.models.gbdt import CARD_FILE

        return CARD_FILE

    def idle_training(self, model: str, given: Mapping[str, Any]) -> Mapping[str, str]:
        """None: every option of `paper_options` has an effect, whatever the trees are."""
        return {}

    def pipeline_faults(self, model: str, given: Mapping[str, Any], training: Section) -> Iterator[str]:
        """Options that are given, even at their defaults: those were made for networks."""
        draws = resolved_options(model, given)["subsample"] < 1 or training.model_dump()["unseen_share"] > 0
        allowed = TRAINING if draws else TRAINING - {"seed"}
        idle = sorted(training.model_fields_set - allowed)
        if idle == ["seed"]:
            yield (
                f"training.seed has an effect on model {model!r} with model.subsample below 1 or unseen_share above 0 "
                "only"
            )
        elif idle:
            yield (
                f"training.{idle[0]} has no effect on model {model!r}, which starts anew each day: leave it out; "
                f"its options of training: {', '.join(sorted(allowed))}"
            )

    def numbers_an_id(self, model: str, options: Mapping[str, Any], layout: FieldLayout, *, cut: bool = False) -> int:
        """Trees have no table of ids."""
        return 1

    def take_rows(
        self,
        source: Path,
        folder: Path,
        model: Mapping[str, Any],
        layout: FieldLayout,
        kept: "NDArray[np.int64]",
    ) -> None:
        """Trees have no rows of ids."""
        raise ConfigError(f"{model['name']} has no rows of ids that could be left out")

    def save(self, trained: "GBDT", folder: Path, slots: int) -> tuple[Path, Path, Path]:
        """Write card, trees and counts of ids, see `GBDT.save`."""
        return trained.save(folder)

    def load(
        self, folder: Path, model: Mapping[str, Any], layout: FieldLayout, precision: PrecisionName = "auto"
    ) -> Scorer:
        """The trees in a folder, whose fields must be those of the layout; a precision is refused."""
        from pnn_gluon.models.gbdt import GBDT

        if precision != "auto":
            raise ConfigError(f"precision {precision!r} has no effect on model {model['name']!r}: leave it out")
        trees = GBDT.load(folder)
        if trees.numbers.layout != layout:
            raise InputError(
                f"{folder}: trees of the fields {trees.numbers.layout}, expected {layout}; train them again"
            )
        return trees

    def last_bits(self, model: str, precision: PrecisionName = "auto") -> dict[str, str]:
        """XGBoost and the processor, which the trees depend on as well."""
        import xgboost as xgb

        return {"xgboost": xgb.__version__, "processor": processor_features()}


FAMILY: Family = Trees()
