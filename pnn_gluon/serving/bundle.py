"""The bundle: a model with everything it needs to answer a calibrated probability for a raw row.

A folder with the plain graph (`model-symbol.json`, `model-0000.params`), the feature map (`map.h5`), the
calibrator (`calibrator.json`) and what they are (`bundle.json`). It scores raw rows to the same bits as the
training code did, in this process or any other.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pnn_gluon.data.encoding import encode_rows
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.calibration import Calibrator, calibrator_from_dict, correct_sampling
from pnn_gluon.store.manifest import sha256_of
from pnn_gluon.training.scorer import Scorer, load_scorer, parameters_file

FORMAT = 1
MAP = "map.h5"
CALIBRATOR = "calibrator.json"
CARD = "bundle.json"


@dataclasses.dataclass(frozen=True)
class BundleCard:
    """What a bundle is: which model, trained when, on which map, at which rate, by which configuration."""

    model: Mapping[str, Any]
    model_day: str
    map_day: str
    map_sha256: str
    parameters_sha256: str
    rate: float
    metrics: Mapping[str, Any]
    config: Mapping[str, Any]
    pnn_gluon: str
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The card of the bundle in a folder.

        Raises:
            InputError: when there is none, or it is of another format.
        """
        try:
            card = cls(**json.loads((folder / CARD).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{folder}: not a bundle ({error})") from error
        if card.format != FORMAT:
            raise InputError(
                f"{folder}: bundle format {card.format}, expected {FORMAT}: rebuild it with jobs.calibrate"
            )
        return card


@dataclasses.dataclass(frozen=True)
class ScoredBatch:
    """Some rows of a table: the columns carried over, the model's raw logit, the calibrated probability."""

    columns: Mapping[str, Any]
    logit: NDArray[np.float32]  # (B,)
    probability: NDArray[np.float64]  # (B,)


class Bundle:
    """A loaded bundle. `probability` is at the natural rate of the logs, whatever rate the model was trained at."""

    def __init__(self, card: BundleCard, feature_map: FeatureMap, scorer: Scorer, calibrator: Calibrator) -> None:
        self.card, self.feature_map, self.scorer, self.calibrator = card, feature_map, scorer, calibrator

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a bundle and check that its files are the ones its card names."""
        card = BundleCard.read(folder)
        model = card.model["name"]
        for name, expected in ((MAP, card.map_sha256), (parameters_file(model), card.parameters_sha256)):
            if sha256_of(folder / name) != expected:
                raise InputError(f"{folder / name}: not the file this bundle was made with; rebuild it with --force")
        calibrator = calibrator_from_dict(json.loads((folder / CALIBRATOR).read_text()))
        return cls(card, FeatureMap.load(folder / MAP), load_scorer(folder, model), calibrator)

    def logits(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Raw logits (B,) of encoded rows (B, S)."""
        return self.scorer.logits(ids)

    def probability(self, logit: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probability (B,): the exact sampling correction, then the calibrator."""
        return self.calibrator.probability(correct_sampling(logit, self.card.rate))

    def score(
        self, connection: Any, table: Path, columns: Sequence[str] = ("row_id",), where: str = "true"
    ) -> Iterator[ScoredBatch]:
        """Score the raw rows of a Parquet file in order, some thousands at a time."""
        for batch in encode_rows(connection, self.feature_map, table, where=where, columns=columns):
            logit = self.logits(batch.ids)
            yield ScoredBatch(batch.columns, logit, self.probability(logit))


def write_bundle(folder: Path, card: BundleCard, calibrator: Calibrator) -> None:
    """Put card and calibrator beside the graph, the parameters and the map that are already in the folder."""
    (folder / CALIBRATOR).write_text(_canonical(calibrator.to_dict()))
    (folder / CARD).write_text(_canonical(dataclasses.asdict(card)))


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


def scored_batches(batches: Iterable[ScoredBatch]) -> Iterator[pa.RecordBatch]:
    """Scored rows as Arrow: the carried columns, then logit and probability as doubles."""
    for batch in batches:
        columns = {**batch.columns, "logit": batch.logit.astype(np.float64), "probability": batch.probability}
        yield pa.RecordBatch.from_pydict(columns)
