"""How many parameters a model has, by kind, without giving them values."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import create_model

CRITEO_IDS, CRITEO_FIELDS = 1_000_000, 39
_FFM_SIZE = 1
_DNN = {"hidden": (700,) * 5}
_SIZE = {"embedding_size": 20}

PAPER_TABLE: Mapping[str, Mapping[str, Any]] = {
    "lr": {},
    "fm": _SIZE,
    "afm": _SIZE | {"attention_size": 32},
    "ffm": {"embedding_size": _FFM_SIZE},
    "kfm": _SIZE,
    "nifm": _SIZE | {"subnet_hidden": 40},
    "fnn": _SIZE | _DNN,
    "ccpm": _SIZE | {"kernel_width": 7, "filters": (256,), "hidden": (256,) * 3},
    "deepfm": _SIZE | _DNN,
    "ipnn": _SIZE | _DNN,
    "kpnn": _SIZE | _DNN,
    "pin": _SIZE | _DNN | {"subnet_hidden": 40, "subnet_outputs": 5},
}
"""The models of [PNN] Table 10 with their options for Criteo ([PNN] Table 5; FFM with k = 1)."""


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers that training changes: weights and tables, biases, normalization (gain, shift), activation slopes."""

    weights: int
    biases: int
    normalization: int
    slopes: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(asdict(self).values())


def count_network(net: Any) -> ParameterCounts:
    """Counts of a network whose parameters have shapes; values are not needed."""
    counts = {"weights": 0, "biases": 0, "normalization": 0, "slopes": 0}
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null":
            counts[_kind(parameter.name)] += math.prod(parameter.shape)
    return ParameterCounts(**counts)


def count_parameters(name: str, ids: int, fields: int, options: Mapping[str, Any]) -> ParameterCounts:
    """Counts of the model of this name with that many ids and single-valued fields.

    Raises:
        ConfigError: an unknown name or option, or a value that the model refuses.
    """
    layout = FieldLayout.single_valued(tuple(f"field{i}" for i in range(fields)))
    return count_network(create_model(name, layout, ids, **options))


def paper_table() -> dict[str, float]:
    """Millions of weights of the models of [PNN] Table 10, rounded to the table's two digits.

    The table counts n vectors an id for FFM; the vector for an id's own field is never used, and ours leaves it out.
    It is added here, so that the number is the paper's.
    """
    weights = {
        name: count_parameters(name, CRITEO_IDS, CRITEO_FIELDS, options).weights
        for name, options in PAPER_TABLE.items()
    }
    weights["ffm"] += CRITEO_IDS * _FFM_SIZE
    return {name: round(count / 1e6, 2) for name, count in weights.items()}


def _kind(name: str) -> str:
    endings = {"bias": "biases", "gamma": "normalization", "beta": "normalization", "slope": "slopes"}
    return next((kind for ending, kind in endings.items() if name.endswith(ending)), "weights")
