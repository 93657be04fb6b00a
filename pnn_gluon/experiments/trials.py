"""The journal of a search: a file of JSON lines that keeps every trial, whatever becomes of the process.

The first line says what is searched, `{"search": {...}}`. Each trial has a line when it begins,
`{"begun": number, "options": {...}}`, and one when it ends, `{"trial": {...}}`, with the fields of `Trial`. One that
somebody interrupted has `{"interrupted": number}` instead: it begins again, and its beginning does not count.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pnn_gluon.atomic import sync_folder
from pnn_gluon.errors import ConfigError, InputError

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """Options that were tried.

    Attributes:
        number: From 0.
        state: `complete`, `pruned` (stopped as hopeless), or `failed` (diverged, or options that are impossible).
        options: `table.key` to value.
        value: Validation metric of the best epoch; None unless complete.
        validations: The metric after each epoch (of boosted trees: each tree).
        seconds: From beginning to end.
        reason: Why there is no value; None if complete.
    """

    number: int
    state: State
    options: dict[str, Any]
    value: float | None
    validations: tuple[float, ...]
    seconds: float
    reason: str | None


def shown_options(options: Mapping[str, Any]) -> str:
    """Options as text for people: without their tables, numbers in four digits."""
    texts = {key: f"{value:.4g}" if isinstance(value, float) else json.dumps(value) for key, value in options.items()}
    return ", ".join(f"{key.partition('.')[2]} {text}" for key, text in texts.items())


@dataclass
class Journal:
    """What a journal's file holds, and writes to it.

    Attributes:
        path: The file.
        search: What is searched; empty if there is no file.
        trials: Those that ended, by number.
        begun: How often the trial after them has begun, without being interrupted.
    """

    path: Path
    search: dict[str, Any] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    begun: int = 0

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """Read a journal; a last line that was cut off while it was written does not count.

        Raises:
            InputError: the file is no journal, or damaged.
        """
        journal = cls(path)
        content = path.read_bytes() if path.exists() else b""
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):
            try:
                journal._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{path} line {number}: expected a line of `pnn-gluon tune` ({error!r}); take another --journal"
                ) from error
        return journal

    @classmethod
    def open(cls, path: Path, search: Mapping[str, Any]) -> "Journal":
        """Read the journal of a search to go on with it, or begin one; the caller is alone with the file.

        Raises:
            ConfigError: it is the journal of another search.
            InputError: the file is no journal, or damaged.
        """
        journal = cls.read(path)
        _drop_torn_line(path)
        if not journal.search:
            journal._write({"search": search})
            sync_folder(path.parent)
        elif changed := _changed(journal.search, json.loads(json.dumps(search))):
            raise ConfigError(
                f"{path}: holds the trials of another search (what differs first: {', '.join(changed[:3])}); "
                "take another --journal, or remove this one"
            )
        return journal

    def best(self) -> Trial | None:
        """The complete trial with the best value, the first of equally good ones; None if none is complete."""
        sign = 1 if self.search.get("metric") == "auc" else -1
        complete = [(sign * trial.value, -trial.number) for trial in self.trials if trial.value is not None]
        return self.trials[-max(complete)[1]] if complete else None

    def begin(self, options: dict[str, Any]) -> None:
        """Note that the next trial begins."""
        self._write({"begun": len(self.trials), "options": options})

    def interrupt(self) -> None:
        """Note that somebody interrupted the trial that began."""
        self._write({"interrupted": len(self.trials)})

    def end(self, trial: Trial) -> None:
        """Keep a trial."""
        self._write({"trial": dataclasses.asdict(trial)})

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, allow_nan=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(json.loads(text))

    def _take(self, line: dict[str, Any]) -> None:
        """Add what a line says."""
        if not self.search:
            self.search = dict(line["search"])
        elif "begun" in line:
            self._check_number(line["begun"])
            self.begun += 1
        elif "interrupted" in line:
            self._check_number(line["interrupted"])
            self.begun -= 1
        else:
            trial = Trial(**{**line["trial"], "validations": tuple(line["trial"]["validations"])})
            self._check_number(trial.number)
            self.trials.append(trial)
            self.begun = 0

    def _check_number(self, number: int) -> None:
        if number != len(self.trials):
            raise ValueError(f"expected trial {len(self.trials)}, received {number}")


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line without an end: the process was killed while it wrote it."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The keys by which two searches differ, in their order."""
    found = []
    for key in dict.fromkeys((*old, *new)):
        one, two = old.get(key), new.get(key)
        if isinstance(one, dict) and isinstance(two, dict):
            found += _changed(one, two, f"{prefix}{key} ")
        elif one != two:
            found.append(f"{prefix}{key}")
    return found
