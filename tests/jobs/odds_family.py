"""A third family of models: the log odds of each id, added up. Its module is all that the library is told."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.steps.training_split import split
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.shards import open_shard
from pnn_gluon.pipeline.details import ModelDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.tables import MAP_FILE, MAPS, SHARDS
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.section import Section
from pnn_gluon.training.family import Family

ODDS = "odds.npy"


@dataclasses.dataclass(frozen=True)
class Odds:
    """Log odds of each id (V,)."""

    of_id: NDArray[np.float32]

    def logits(self, ids: NDArray[np.int32], batch_rows: int | None = None) -> NDArray[np.float32]:
        return self.of_id[ids].sum(axis=1, dtype=np.float32)


class OddsFamily:
    in_batches = False
    counted_untrained = True
    paper_options: frozenset[str] | None = frozenset({"metric"})
    paper_defaults: Mapping[str, Any] = {}
    unpruned_epochs = 1

    def parameters_file(self) -> str:
        return ODDS

    def idle_training(self, model: str, given: Mapping[str, Any]) -> Mapping[str, str]:
        return {}

    def pipeline_faults(self, model: str, given: Mapping[str, Any], training: Section) -> Iterator[str]:
        yield from (f"training.{option} is not for odds" for option in sorted(training.model_fields_set))

    def save(self, trained: Odds, folder: Path, slots: int) -> tuple[Path]:
        np.save(folder / ODDS, trained.of_id)
        return (folder / ODDS,)

    def load(self, folder: Path, model: Mapping[str, Any], layout: FieldLayout, precision: str = "auto") -> Odds:
        return Odds(np.load(folder / ODDS))

    def last_bits(self, model: str, precision: str = "auto") -> dict[str, str]:
        return {"numpy": np.__version__}


FAMILY: Family = OddsFamily()


def build_odds(inputs: Inputs, folder: Path) -> Built:
    """What the step train does for this family."""
    feature_map = FeatureMap.load(inputs[Need(MAPS)].file(MAP_FILE))
    smooth = inputs.config.model.resolved["smooth"]
    counts = np.full((2, feature_map.size), smooth)
    rows = 0
    for path in split(inputs).train:
        with open_shard(path) as shard:
            ids, label = shard.read("train")
        rows += len(label)
        for value in (0, 1):
            counts[value] += np.bincount(ids[label == value].ravel(), minlength=feature_map.size)
    FAMILY.save(Odds(np.log(counts[1] / counts[0]).astype(np.float32)), folder, feature_map.layout.slots)
    model = inputs.config.model
    details = ModelDetails(
        model={"name": model.name, "options": model.resolved, "size": feature_map.size},
        fields=dict(zip(feature_map.layout.names, feature_map.layout.widths, strict=True)),
        rate=inputs[Need(SHARDS)].details.rate,
        examples=rows,
        history=(),
    )
    return Built(rows, details, FAMILY.last_bits(model.name))
