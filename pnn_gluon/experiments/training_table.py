"""The table `[training]` of paper mode: the library's options, the batches, and what early stopping looks at."""

import dataclasses
import typing
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model

from pnn_gluon.config import Section, TrainingConfig
from pnn_gluon.training.options import TrainingOptions

Metric = Literal["auc", "log_loss", "rmse"]

OF_TREES = frozenset({"metric", "patience"})
"""Options of training that gbdt takes."""


class OwnTraining(Section):
    """What training here takes besides the library's options: the batches, and what early stopping looks at."""

    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    metric: Metric | None = None
    pretrain_epochs: Annotated[int, Field(ge=0, le=1000)] = 0
    unseen_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0


def _library_options() -> dict[str, Any]:
    """Names, types and defaults of all options of `TrainingOptions`; the seed comes from the command line.

    Types with their ranges are those of the daily pipeline, which has all of them but the loss.
    """
    hints = typing.get_type_hints(TrainingOptions) | typing.get_type_hints(TrainingConfig, include_extras=True)
    fields = [field for field in dataclasses.fields(TrainingOptions) if field.name != "seed"]
    return {field.name: (hints[field.name], field.default) for field in fields}


if TYPE_CHECKING:
    TrainingTable = OwnTraining
else:
    TrainingTable = create_model("TrainingTable", __base__=OwnTraining, **_library_options())
