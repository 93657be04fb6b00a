"""Checkpoints of a training run: always one whole one on disk, from which the run goes on to the same bytes.

A checkpoint is a folder `epoch-EEEEEE-batch-BBBBBBBBBBBB` named after the batch that comes next, with the files
`net.params`, `optimizer.params`, `state.json` and, where the run keeps means of the parameters, `means.params`. It is
written under another name, synced, and renamed; then older ones go. The best epoch's values lie beside it as
`best-EEEEEE.params` and are written before the checkpoint that speaks of them.
"""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pnn_gluon.atomic import sync_file, sync_folder
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.training.history import EpochRecord
from pnn_gluon.training.parameters import Values, put_values, read_values, take_values
from pnn_gluon.training.states import Counts, load_states, save_states

_PARTIAL = "partial"


@dataclass
class RunState:
    """Where a run stands: the next batch, the sums of the current epoch, the epochs done.

    `fingerprint` says what the run depends on; a checkpoint of another one is refused. `updates` counts the
    optimizer's updates.
    """

    fingerprint: str
    epoch: int = 0
    batch: int = 0
    examples: int = 0
    loss_sum: float = 0.0
    history: list[EpochRecord] = field(default_factory=list)
    best_epoch: int | None = None
    finished: bool = False
    updates: Counts = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the checkpoint taken here; later ones sort after earlier ones."""
        return f"epoch-{self.epoch:06d}-batch-{self.batch:012d}"


class Checkpoints:
    """The checkpoints of one run in one folder, which is made if missing and belongs to the run alone.

    Args:
        folder: The folder.
        means: Means of the parameters that the run keeps, saved and restored in place; empty if it keeps none.
    """

    def __init__(self, folder: Path, means: Values) -> None:
        self._folder, self._means = folder, means
        folder.mkdir(parents=True, exist_ok=True)

    def save_best(self, epoch: int, values: Values) -> None:
        """Keep the values of the best epoch so far; they count once a checkpoint that names it is saved."""
        partial = self._folder / f"{_PARTIAL}-best"
        mx.nd.save(str(partial), values)
        sync_file(partial)
        partial.replace(self._best(epoch))

    def save(self, net: HybridBlock, trainer: Any, state: RunState) -> None:
        """Write a whole checkpoint, then remove what it replaces."""
        partial = self._folder / f"{_PARTIAL}-checkpoint"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        mx.nd.save(str(partial / "net.params"), take_values(net))
        if self._means:
            mx.nd.save(str(partial / "means.params"), self._means)
        state.updates = save_states(trainer, partial / "optimizer.params")
        (partial / "state.json").write_text(json.dumps(asdict(state), indent=1, sort_keys=True) + "\n")
        for path in (*partial.iterdir(), partial):
            sync_file(path)
        partial.rename(self._folder / state.name)
        sync_folder(self._folder)
        self._remove_all_but(state)

    def load(self, net: HybridBlock, trainer: Any, fingerprint: str) -> RunState | None:
        """Put the network and the trainer where the newest checkpoint left them; None if there is none.

        Raises:
            ConfigError: the checkpoint is of a run with other options or data.
            InputError: it does not fit the network.
        """
        newest = self._newest()
        if newest is None:
            return None
        state = _read_state(newest / "state.json")
        if state.fingerprint != fingerprint:
            raise ConfigError(
                f"{newest} is a checkpoint of a run with other training options or data: "
                f"remove {self._folder} to start anew, or restore the options"
            )
        put_values(net, read_values(newest / "net.params"), str(newest / "net.params"))
        load_states(trainer, newest / "optimizer.params", state.updates)
        if self._means:
            self._restore_means(newest / "means.params")
        return state

    def _restore_means(self, path: Path) -> None:
        saved = read_values(path)
        if saved.keys() != self._means.keys():
            raise InputError(f"{path}: not the means of this training run; remove {self._folder}")
        for name, mean in self._means.items():
            mean[:] = saved[name].as_in_context(mean.context)

    def load_best(self, epoch: int) -> Values:
        """The values of the best epoch."""
        return read_values(self._best(epoch))

    def _best(self, epoch: int) -> Path:
        return self._folder / f"best-{epoch:06d}.params"

    def _newest(self) -> Path | None:
        return max(self._folder.glob("epoch-*-batch-*"), default=None)

    def _remove_all_but(self, state: RunState) -> None:
        keep = {state.name} if state.best_epoch is None else {state.name, self._best(state.best_epoch).name}
        for old in self._folder.glob("epoch-*-batch-*"):
            if old.name not in keep:
                shutil.rmtree(old)
        for old in self._folder.glob("best-*.params"):
            if old.name not in keep:
                old.unlink()


def _read_state(path: Path) -> RunState:
    try:
        content = json.loads(path.read_text())
        history = [EpochRecord(**record) for record in content.pop("history")]
        return RunState(history=history, **content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the state of a training run ({error}); remove its folder") from error
