"""The optimizer's states from one day's training to the next: a warm start goes on as if it had not ended.

A model that is to be gone on from has the files `optimizer.params`, states and numbers of updates by the parameter's
structural name, and `optimizer.json`, whose states they are. They are those of the epoch whose parameters were kept.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.id_table import is_last_part, is_row_parameter, whole_name
from pnn_gluon.errors import InputError
from pnn_gluon.runtime import HybridBlock, Tensor, mx
from pnn_gluon.training.cut_tables import by_whole_name, first_rows, named_parts, rows_between, taken
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import Values, named_parameters, read_values, save_values, shapes_of
from pnn_gluon.training.states import state_parts

STATES_FILE = "optimizer.params"
KIND_FILE = "optimizer.json"

_UPDATES = "updates"
_OF_FTRL = ("learning_rate", "l1", "embedding_l2", "weight_decay", "attention_l2")
"""What the state z of FTRL depends on besides the gradients: a weight is a function of it and of these."""


def kind_of(options: TrainingOptions) -> dict[str, Any]:
    """What states depend on besides the batches: another optimizer's, or FTRL's by other options, are no use."""
    kind: dict[str, Any] = {"optimizer": options.optimizer}
    if options.optimizer == "ftrl":
        kind |= {name: getattr(options, name) for name in _OF_FTRL}
    return kind


def unusable(folder: Path, options: TrainingOptions) -> str | None:
    """Why training with these options cannot go on with the states beside an exported model; None if it can.

    Raises:
        InputError: what is there cannot be read.
    """
    path = folder / KIND_FILE
    if not path.is_file():
        return "it has none"
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: not the kind of an optimizer's states ({error}); train that day anew") from error
    expected = kind_of(options)
    return None if found == expected else f"they are of {found}, those of today of {expected}"


@dataclass(frozen=True)
class CarriedStates:
    """The states that training begins with, and those it leaves.

    Attributes:
        to: Folder where to write them at the end of training, beside the exported model.
        kind: What they depend on, see `kind_of`.
        source: Folder of an earlier export whose states to begin with; None to begin without.
        anew: Parameters by structural name that do not go on with theirs.
    """

    to: Path
    kind: Mapping[str, Any]
    source: Path | None = None
    anew: Collection[str] = frozenset()

    def give(self, net: HybridBlock, trainer: Any) -> None:
        """Put the earlier states into the trainer, on all its devices; rows that the tables have since start fresh.

        Raises:
            InputError: they cannot be read, or are not of this network.
        """
        if self.source is None:
            return
        path = self.source / STATES_FILE
        arrays, first = by_whole_name(read_values(path), str(path)), first_rows(shapes_of(net))
        going_on = {name: each for name, each in named_parameters(net).items() if name not in self.anew}
        try:
            for name, parameter in going_on.items():
                _restore(trainer, trainer._param2idx[parameter.name], name, first[name], arrays)
        except (KeyError, ValueError, mx.MXNetError) as error:
            raise InputError(
                f"{path}: not the optimizer's states of this network ({error}); set carry_optimizer = false for a day"
            ) from error
        optimizer = trainer._optimizer
        optimizer.num_update = max(optimizer._index_update_count.values(), default=0)

    def write(self, states: Values | Path) -> None:
        """Write the files of these states, or of those in a file."""
        if isinstance(states, Path):
            shutil.copyfile(states, self.to / STATES_FILE)
        else:
            save_values(self.to / STATES_FILE, states)
        (self.to / KIND_FILE).write_text(json.dumps(dict(self.kind), indent=1, sort_keys=True) + "\n")


def states_of(net: HybridBlock, trainer: Any) -> Values:
    """The first device's states themselves (the others' are equal) after an epoch, with the numbers of updates.

    AdamW's sums of decay that rows missed are left out: at the end of an epoch every row has all of it.
    """
    found: Values = {}
    states, counts = trainer._updaters[0].states, trainer._optimizer._all_index_update_counts[0]
    for name, parameter in named_parameters(net).items():
        index = trainer._param2idx[parameter.name]
        if index in counts:
            parts = enumerate(_lasting(states[index]))
            found |= {_key(name, part): array for part, array in parts}
            found[_key(whole_name(name), _UPDATES)] = mx.nd.array([counts[index]], dtype="int64")
    return found


def _restore(trainer: Any, index: int, name: str, first: int, arrays: Mapping[str, list[Tensor]]) -> None:
    """The earlier state of a parameter, over the first rows of a fresh one; a part has its table's from `first` on."""
    updates = arrays.get(_key(whole_name(name), _UPDATES))
    if updates is None:
        return
    optimizer = trainer._optimizer
    for device, updater in enumerate(trainer._updaters):
        state = optimizer.create_state_multi_precision(index, trainer._params[index].list_data()[device])
        for part, array in enumerate(_lasting(state)):
            _fill(array, name, first, arrays[_key(whole_name(name), part)])
        updater.states[index], updater.states_synced[index] = state, True
        optimizer._all_index_update_counts.setdefault(device, {})[index] = int(updates[0].asscalar())
    optimizer._index_update_count = optimizer._all_index_update_counts[0]


def _fill(array: Tensor, name: str, first: int, earlier: list[Tensor]) -> None:
    """Give a state the rows that an earlier one has of its part of the table, which is from row `first` on."""
    rows, at = sum(map(len, earlier)), 0
    if earlier[0].shape[1:] != array.shape[1:] or (is_last_part(name) and rows > first + len(array)):
        raise ValueError(f"{name} has a state of the shape {(rows, *earlier[0].shape[1:])}, expected {array.shape}")
    for each in rows_between(earlier, first, first + len(array)):
        array[at : at + len(each)] = each.as_in_context(array.context)
        at += len(each)


def _lasting(state: Any) -> tuple[Tensor, ...]:
    return state_parts(state)[:2]


def _key(name: str, part: int | str) -> str:
    return f"{name}:{part}"


def compact_states(source: Path, folder: Path, kept: NDArray[np.int64]) -> None:
    """Write the states beside a model, if there are any, for one whose tables have only the rows `kept` of its tables.

    Args:
        source: Folder of the model.
        folder: Where to write.
        kept: The old row of each new one (V,).
    """
    if not (source / KIND_FILE).is_file():
        return
    compact: Values = {}
    for key, parts in by_whole_name(read_values(source / STATES_FILE), str(source)).items():
        compact |= named_parts(key, taken(parts, kept) if _of_rows(key) else parts)
    save_values(folder / STATES_FILE, compact)
    shutil.copyfile(source / KIND_FILE, folder / KIND_FILE)


def _of_rows(key: str) -> bool:
    name, _, part = key.rpartition(":")
    return is_row_parameter(name) and part != _UPDATES
