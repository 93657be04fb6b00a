"""Optimizer states as plain arrays and numbers: nothing of a checkpoint is ever executed when it is read."""

from pathlib import Path
from typing import Any

from pnn_gluon.errors import InputError
from pnn_gluon.runtime import Tensor, mx
from pnn_gluon.training.parameters import read_values, save_values

Counts = dict[str, dict[str, int]]
"""Updates so far by device and parameter number, both written as text."""


def save_states(trainer: Any, path: Path) -> Counts:
    """Write the states of the first device's optimizer (the others' are equal); the counts of updates."""
    states = trainer._updaters[0].states
    arrays = {f"{index}.{part}": array for index in states for part, array in enumerate(state_parts(states[index]))}
    save_values(path, arrays or {"none": mx.nd.zeros(1)})
    counts = trainer._optimizer._all_index_update_counts
    return {str(device): {str(index): n for index, n in counts[device].items()} for device in counts}


def load_states(trainer: Any, path: Path, counts: Counts) -> None:
    """Put the optimizer of every device where it was.

    Raises:
        InputError: the file cannot be read, or does not fit the trainer's optimizer and parameters.
    """
    arrays = read_values(path)
    arrays.pop("none", None)
    try:
        for device, updater in enumerate(trainer._updaters):
            for index in {int(name.partition(".")[0]) for name in arrays}:
                updater.states[index] = _restored(trainer, device, index, arrays)
                updater.states_synced[index] = True
    except (KeyError, IndexError, mx.MXNetError, ValueError) as error:
        raise InputError(
            f"{path}: not the optimizer states of this training run ({error}); remove its folder"
        ) from error
    _restore_counts(trainer._optimizer, counts)


def _restored(trainer: Any, device: int, index: int, arrays: dict[str, Tensor]) -> Any:
    weight = trainer._params[index].list_data()[device]
    state = trainer._optimizer.create_state_multi_precision(index, weight)
    for part, array in enumerate(state_parts(state)):
        array[:] = arrays[f"{index}.{part}"].as_in_context(array.context)
    return state


def _restore_counts(optimizer: Any, counts: Counts) -> None:
    restored = {int(device): {int(index): n for index, n in of.items()} for device, of in counts.items()}
    optimizer._all_index_update_counts = restored
    optimizer._index_update_count = restored.setdefault(0, {})
    optimizer.num_update = max((n for of in restored.values() for n in of.values()), default=0)


def state_parts(state: Any) -> tuple[Tensor, ...]:
    """The arrays of an optimizer's state of one parameter."""
    if state is None:
        return ()
    return tuple(state) if isinstance(state, tuple | list) else (state,)
