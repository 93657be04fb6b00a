"""The bundle: a model with everything it needs to answer a calibrated probability for a raw row.

A folder with the plain graph (`model-symbol.json`, `model-0000.params`), the feature map (`map.h5`), the
calibrator (`calibrator.json`), how training went (`history.json`) and what they are (`bundle.json`). Where native
operators serve, scores are computed with them by a network built anew from the card; else by the plain graph. Either
scores raw rows to the same bits as the training code with the same operators, in this process or any other.
"""

import dataclasses
import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats, Ids
from pnn_gluon.data.encoding import encode_rows
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.read_ahead import read_ahead
from pnn_gluon.data.sampled_rows import RawRows
from pnn_gluon.errors import DamagedError, InputError, PnnError
from pnn_gluon.evaluation.calibration import correct_sampling
from pnn_gluon.evaluation.segments import Calibration, RowSegments, calibration_from_dict
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.serving.engine import NATIVE, Engine
from pnn_gluon.serving.row_segments import row_segments
from pnn_gluon.training.families import family_of
from pnn_gluon.training.family import Scorer

FORMAT = 1
MAP = "map.h5"
CALIBRATOR = "calibrator.json"
HISTORY = "history.json"
"""The epochs, or trees, of the training; bundles of earlier releases have none."""
CARD = "bundle.json"
REMEDY = "copy the bundle again, or rebuild it: pnn-gluon step calibrate --day ... --force"


@dataclasses.dataclass(frozen=True)
class BundleCard:
    """What a bundle is: which model, trained when, on which map, at which rate, by which configuration.

    `files` has the SHA-256 of every other file of the bundle, `checksum` that of the card's own content; bundles of
    earlier releases have neither, and only their map and parameters can be verified.
    """

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
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    checksum: str | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The card of the bundle in a folder.

        Raises:
            InputError: when there is none, or it is of another format.
            DamagedError: when it is not what was written.
        """
        try:
            card = cls(**json.loads((folder / CARD).read_text()))
            whole = card.checksum in {None, _checksum(card)}
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{folder}: not a bundle ({error})") from error
        if card.format != FORMAT:
            raise InputError(
                f"{folder}: bundle format {card.format}, expected {FORMAT}: rebuild it with `pnn-gluon step calibrate`"
            )
        if not whole:
            raise DamagedError(f"{folder / CARD}: its content does not agree with its checksum; {REMEDY}")
        return card

    def verify(self, folder: Path) -> None:
        """Compare every file of the bundle that the card knows with its SHA-256.

        Raises:
            DamagedError: naming the first that is not the file the bundle was made with.
        """
        try:
            parameters = family_of(self.model["name"]).parameters_file()
            known = {MAP: self.map_sha256, parameters: self.parameters_sha256, **self.files}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{folder / CARD}: names no model and files ({error}); {REMEDY}") from error
        for name, expected in known.items():
            path = folder / name
            if not path.is_file() or sha256_of(path) != expected:
                raise DamagedError(f"{path}: not the file this bundle was made with; {REMEDY}")


@dataclasses.dataclass(frozen=True)
class ScoredBatch:
    """Some rows of a table: the columns carried over, ids, the model's raw logit, and what calibration makes of it.

    `new_fields` says in how many fields a row has a value without an id of its own in the model's map: it counts as
    *other*.
    """

    columns: Mapping[str, Any]
    ids: Ids  # (B, S)
    logit: NDArray[np.float32]  # (B,)
    calibrated_logit: Floats  # (B,)
    probability: Floats  # (B,)
    new_fields: NDArray[np.intp]  # (B,)

    @property
    def new_value(self) -> NDArray[np.bool_]:
        """Whether a row has such a value at all (B,)."""
        return self.new_fields > 0

    def arrow(self) -> pa.RecordBatch:
        """The carried columns, then logit and probability as doubles."""
        columns = {**self.columns, "logit": self.logit.astype(np.float64), "probability": self.probability}
        return pa.RecordBatch.from_pydict(columns)


class Bundle:
    """A loaded bundle. `probability` is at the natural rate of the logs, whatever rate the model was trained at."""

    def __init__(
        self,
        card: BundleCard,
        feature_map: FeatureMap,
        scorer: Scorer,
        calibrator: Calibration,
        engine: Engine = NATIVE,
    ) -> None:
        self.card, self.feature_map, self.scorer, self.calibrator = card, feature_map, scorer, calibrator
        self._engine = engine

    @classmethod
    def load(cls, folder: Path, engine: Engine = NATIVE) -> Self:
        """Read a bundle and check that its files are the ones its card names.

        Args:
            folder: Where it is.
            engine: What computes its logits.
        """
        card, feature_map, calibrator = read_bundle(folder)
        with _loading(folder):
            scorer = engine.load(folder, card.model, feature_map.layout)
        return cls(card, feature_map, scorer, calibrator, engine)

    @property
    def last_bits(self) -> dict[str, str]:
        """What the last bits of a score depend on besides bundle and row."""
        return self._engine.last_bits(self.card.model["name"])

    def logits(self, ids: Ids) -> NDArray[np.float32]:
        """Raw logits (B,) of encoded rows (B, S)."""
        return self.scorer.logits(ids)

    def probability(self, logit: NDArray[np.float32], ids: Ids) -> Floats:
        """Calibrated probability (B,): the exact sampling correction, then the calibrator of the row's segment.

        Args:
            logit: Raw (B,).
            ids: Of the same rows (B, S).
        """
        return self.calibrator.probability(correct_sampling(logit, self.card.rate), self._segment(ids))

    def calibrated_logit(self, logit: NDArray[np.float32], ids: Ids) -> Floats:
        """The logit of that probability (B,), from which losses are exact."""
        return self.calibrator.logit(correct_sampling(logit, self.card.rate), self._segment(ids))

    def _segment(self, ids: Ids) -> RowSegments | None:
        field = self.calibrator.field
        return None if field is None else row_segments(self.feature_map, field, ids)

    def score(
        self, connection: Any, table: RawRows, columns: Sequence[str] = ("row_id",), where: str = "true"
    ) -> Generator[ScoredBatch, None, None]:
        """Score the raw rows of Parquet files in order, some thousands at a time.

        A thread, which has the connection to itself until the last batch or `close`, reads and encodes the rows after
        those that the model works on: two batches wait at most.
        """
        other = self._other_of_slots()
        encoded = encode_rows(connection, self.feature_map, table, where=where, columns=columns)
        with closing(read_ahead(encoded, "encoder")) as batches:
            for batch in batches:
                logit = self.logits(batch.ids)
                calibrated = self.calibrated_logit(logit, batch.ids), self.probability(logit, batch.ids)
                new_fields = (batch.ids == other).sum(axis=1)
                yield ScoredBatch(batch.columns, batch.ids, logit, *calibrated, new_fields)

    def _other_of_slots(self) -> Ids:
        """The id *other* of each slot's field (S,)."""
        widths = self.feature_map.layout.widths
        return np.repeat([self.feature_map.other_id(field) for field in range(len(widths))], widths).astype(np.int32)


def read_bundle(folder: Path) -> tuple[BundleCard, FeatureMap, Calibration]:
    """What a bundle has besides its model, after a check that all its files are the ones its card names."""
    card = BundleCard.read(folder)
    card.verify(folder)
    with _loading(folder):
        calibrator = calibration_from_dict(json.loads((folder / CALIBRATOR).read_text()))
        feature_map = FeatureMap.load(folder / MAP)
        if not 0 < card.rate <= 1:
            raise ValueError(f"a rate of {card.rate}, expected more than 0 and at most 1")
        if card.model["size"] != feature_map.size:
            raise ValueError(f"a model of {card.model['size']} ids, and a map of {feature_map.size:,}")
    return card, feature_map, calibrator


@contextmanager
def _loading(folder: Path) -> Generator[None, None, None]:
    """Say of what follows from a file of another release, or another hand, which bundle it is in."""
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise InputError(f"{folder}: not a bundle this release can load ({error}); {REMEDY}") from error
    except PnnError as error:
        raise error if str(folder) in str(error) else type(error)(f"{folder}: {error}") from error


def write_bundle(
    folder: Path, card: BundleCard, calibrator: Calibration, history: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Put calibrator and card beside the graph, the parameters and the map that are already in the folder.

    Args:
        folder: The bundle's.
        card: Its card, but for the hashes.
        calibrator: What its probabilities go through.
        history: How training went, see `pnn_gluon.training.history`; by default what is in the folder already, if so.
    """
    (folder / CALIBRATOR).write_text(_canonical(calibrator.to_dict()))
    if history:
        (folder / HISTORY).write_text(_canonical(list(history)))
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != CARD}
    card = dataclasses.replace(card, files=files)
    card = dataclasses.replace(card, checksum=_checksum(card))
    (folder / CARD).write_text(_canonical(dataclasses.asdict(card)))


def read_history(folder: Path) -> list[Mapping[str, Any]]:
    """How the training of a bundle's model went, epoch by epoch or tree by tree; empty where it is not known."""
    path = folder / HISTORY
    found: list[Mapping[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    return found


def _checksum(card: BundleCard) -> str:
    """SHA-256 of everything in the card besides the checksum itself."""
    return hashlib.sha256(_canonical({**dataclasses.asdict(card), "checksum": None}).encode()).hexdigest()


def _canonical(value: Mapping[str, Any] | Sequence[Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
