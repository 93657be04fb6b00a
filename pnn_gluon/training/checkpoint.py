"""Checkpoints of a training run: always one whole one on disk, from which the run goes on to the same bytes.

A checkpoint is a folder `epoch-EEEEEE-batch-BBBBBBBBBBBB` named after the batch that comes next, with the files
`net.params`, `optimizer.params`, `state.json` and, where the run keeps means of the parameters, `means.params`. It is
written under another name, synced, and renamed; then older ones go. The state has the SHA-256 of the other files and of
itself: a checkpoint that is not as it was written is not used. The best epoch's values lie beside it as
`best-EEEEEE.params` and are written before the checkpoint that speaks of them; `best-EEEEEE.optimizer.params` are that
epoch's states, where the run leaves them.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pnn_gluon.atomic import sync_file, sync_folder
from pnn_gluon.errors import ConfigError, DamagedError, InputError
from pnn_gluon.field_types import check_type, check_types
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.runtime import HybridBlock
from pnn_gluon.training.history import EpochRecord
from pnn_gluon.training.parameters import Values, put_file, read_values, save_values, values_of
from pnn_gluon.training.states import Counts, load_states, save_states

STATE = "state.json"
_PARTIAL = "partial"
_CHECKPOINTS = "epoch-*-batch-*"


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

    def save_best(self, epoch: int, values: Values, states: Values | None = None) -> None:
        """Keep the best epoch's values, and states if given; they count once a checkpoint that names it is saved."""
        self._keep(self._best(epoch), values)
        if states is not None:
            self._keep(self.best_states(epoch), states)

    def _keep(self, path: Path, values: Values) -> None:
        partial = self._folder / f"{_PARTIAL}-best"
        save_values(partial, values)
        sync_file(partial)
        partial.replace(path)

    def save(self, net: HybridBlock, trainer: Any, state: RunState) -> None:
        """Write a whole checkpoint, then remove what it replaces."""

        def fill(partial: Path) -> None:
            save_values(partial / "net.params", values_of(net))
            if self._means:
                save_values(partial / "means.params", self._means)
            state.updates = save_states(trainer, partial / "optimizer.params")

        self.commit(state, fill)

    def commit(self, state: RunState, fill: Callable[[Path], None]) -> None:
        """Let `fill` write the files of a checkpoint into a folder, and make it one; then remove what it replaces."""
        partial = self._folder / f"{_PARTIAL}-checkpoint"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        fill(partial)
        (partial / STATE).write_text(_written(state, self._hashes(partial, state)))
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
        found = self.newest(fingerprint)
        if found is None:
            return None
        newest, state = found
        put_file(net, newest / "net.params")
        load_states(trainer, newest / "optimizer.params", state.updates)
        if self._means:
            self._restore_means(newest / "means.params")
        return state

    def newest(self, fingerprint: str) -> tuple[Path, RunState] | None:
        """The newest checkpoint and its state; None if there is none.

        Raises:
            ConfigError: it is of a run with other options or data.
        """
        found = self._newest()
        if found is not None and found[1].fingerprint != fingerprint:
            raise ConfigError(
                f"{found[0]} is a checkpoint of a run with other training options or data: "
                f"remove {self._folder} to start anew, or restore the options"
            )
        return found

    def _restore_means(self, path: Path) -> None:
        saved = read_values(path)
        if saved.keys() != self._means.keys():
            raise InputError(f"{path}: not the means of this training run; remove {self._folder}")
        for name, mean in self._means.items():
            mean[:] = saved[name].as_in_context(mean.context)

    def put_best(self, net: HybridBlock, epoch: int) -> None:
        """Give the network the values of the best epoch."""
        put_file(net, self._best(epoch))

    def best_states(self, epoch: int) -> Path:
        """The optimizer's states after the best epoch, where they are kept."""
        return self._best(epoch).with_suffix(".optimizer.params")

    def _best(self, epoch: int) -> Path:
        return self._folder / f"best-{epoch:06d}.params"

    def best_prefix(self, epoch: int) -> str:
        """How the names of the files begin that hold the values of the best epoch, where there are several."""
        return str(self._best(epoch)).removesuffix("params")

    def _hashes(self, folder: Path, state: RunState) -> dict[str, str]:
        """SHA-256 of every file that a checkpoint needs, by name."""
        paths = sorted(folder.glob("*.params"))
        if state.best_epoch is not None:
            paths += sorted(self._folder.glob(f"best-{state.best_epoch:06d}.*params"))
        return {path.name: sha256_of(path) for path in paths}

    def _newest(self) -> tuple[Path, RunState] | None:
        """The newest checkpoint that is as it was written; what a kill or a disk left of others is removed."""
        for path in sorted(self._folder.glob(_CHECKPOINTS), reverse=True):
            try:
                state, hashes = read_state(path / STATE)
                self._verify(path, hashes)
            except DamagedError as error:
                logging.getLogger(__name__).warning("%s: training goes on without this checkpoint", error)
                _remove(path)
            else:
                return path, state
        return None

    def _verify(self, folder: Path, hashes: dict[str, str]) -> None:
        for name, expected in hashes.items():
            path = self._folder / name if name.startswith("best-") else folder / name
            if not path.is_file() or sha256_of(path) != expected:
                raise DamagedError(f"{path}: not the file that was written")

    def _remove_all_but(self, state: RunState) -> None:
        best = None if state.best_epoch is None else f"best-{state.best_epoch:06d}"
        for old in self._folder.glob(_CHECKPOINTS):
            if old.name != state.name:
                _remove(old)
        for old in self._folder.glob("best-*.params"):
            if old.name.partition(".")[0] != best:
                old.unlink()


def _remove(checkpoint: Path) -> None:
    """Remove a checkpoint; what a kill leaves of it is no checkpoint any more, since its state goes first."""
    (checkpoint / STATE).unlink(missing_ok=True)
    shutil.rmtree(checkpoint)


def _written(state: RunState, hashes: dict[str, str]) -> str:
    content = {**asdict(state), "files": hashes}
    return json.dumps({**content, "checksum": _checksum(content)}, indent=1, sort_keys=True) + "\n"


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_state(path: Path) -> tuple[RunState, dict[str, str]]:
    """The state of a run and the hashes of its files; none in checkpoints of earlier releases."""
    try:
        content = json.loads(path.read_text())
        if content.pop("checksum", None) not in {None, _checksum(content)}:
            raise DamagedError(f"{path}: its content does not agree with its checksum")
        hashes = content.pop("files", {})
        history = [EpochRecord(**record) for record in content.pop("history")]
        state = RunState(history=history, **content)
        check_type("files", hashes, dict[str, str])
        for each in (state, *history):
            check_types(each)
        return state, hashes
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path}: not the state of a training run ({error})") from error
