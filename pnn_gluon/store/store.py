"""The store: `<root>/<table>/ds=D/run=<content>/...` immutable, `<root>/<table>/ds=D.json` the manifest.

The root is a local folder or an object-store URL. Readers trust only manifests. Files are made in a staging
folder, hashed, moved (or uploaded) to their run folder, and only then does the manifest name that run.
"""

import contextlib
import datetime
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from pnn_gluon.abandoned import is_abandoned, remove_abandoned
from pnn_gluon.atomic import move_folder, sync_folder, temporaries, write_atomically
from pnn_gluon.days import parse_day
from pnn_gluon.disk_errors import naming
from pnn_gluon.errors import DamagedError, InputError
from pnn_gluon.file_hash import vouch
from pnn_gluon.file_lock import file_lock
from pnn_gluon.store.cache import Cache
from pnn_gluon.store.discarded import DISCARDED, LOCAL_STATE, discard
from pnn_gluon.store.lease import lease
from pnn_gluon.store.manifest import (
    FORMAT,
    Manifest,
    StoredFile,
    content_run,
    damage,
    damages,
    describe_files,
    fingerprint,
)
from pnn_gluon.store.objects import ChangedSince, Version
from pnn_gluon.store.remote import Remote
from pnn_gluon.store.runs import Run, local_runs

_NAME = re.compile(r"\w+", re.ASCII)
"""Of tables and runs, which are folders of the store."""


def _manifest_name(table: str, day: datetime.date) -> str:
    return f"{table}/ds={day}.json"


def _by_its_command(table: str, day: datetime.date) -> str:
    return f"the command that made {table}, for {day}"


class Store:
    """Partitions of every table of one pipeline.

    For a URL root, run folders are kept in a local cache, of `cache_limit` bytes at most, and the manifest's upload is
    the commit. `mend` gives the command that makes a day of a table again, which errors name.
    """

    def __init__(
        self,
        root: str,
        cache: Path | None = None,
        mend: Callable[[str, datetime.date], str] = _by_its_command,
        cache_limit: int | None = None,
    ) -> None:
        self.remote = Remote(root) if "://" in root else None
        self.root, self.mend = root, mend
        self.local = (cache or _cache_of(root)) if self.remote else Path(root)
        self._cache = Cache(self.local, cache_limit)
        self._begun: dict[tuple[str, datetime.date], Version | None] = {}

    def manifest(self, table: str, day: datetime.date) -> Manifest | None:
        """The manifest in force of a day, or None when the day was never made.

        Raises:
            DamagedError: when it is not what was written.
        """
        name = _manifest_name(table, day)
        try:
            content = self.remote.read(name) if self.remote else (self.local / name).read_bytes()
        except FileNotFoundError:
            return None
        try:
            manifest = Manifest.from_json(content)
            if (manifest.table, manifest.day) != (table, day):
                raise DamagedError(f"the manifest of {manifest.table} {manifest.day}")
        except DamagedError as error:
            raise DamagedError(f"{self.root}/{name}: {error}; {self._mend(table, day)}") from error
        return manifest

    def days(self, table: str) -> list[datetime.date]:
        """The days that a table holds, in order."""
        if self.remote:
            names = self.remote.names(table)
        else:
            folder = self.local / table
            names = [path.name for path in folder.glob("ds=*.json")] if folder.is_dir() else []
        return sorted(
            parse_day(name[3:-5])
            for name in names
            if name.startswith("ds=") and name.endswith(".json") and len(name) == 18
        )

    def written(self, table: str, day: datetime.date) -> datetime.datetime | None:
        """When the manifest in force of a day was written (UTC), for people; it decides nothing. None if never."""
        name = _manifest_name(table, day)
        return self.remote.written(name) if self.remote else _written(self.local / name)

    def content(self, manifest: Manifest, name: str) -> bytes:
        """The bytes of one small file of a run, without the others.

        Raises:
            DamagedError: it is not there, or not what was written.
        """
        path = f"{self.relative(manifest.table, manifest.day, manifest.run)}/{name}"
        try:
            content = self.remote.read(path) if self.remote else (self.local / path).read_bytes()
        except FileNotFoundError:
            content = b""
        file = manifest.file(name)
        if file is None or hashlib.sha256(content).hexdigest() != file.sha256:
            mend = self._mend(manifest.table, manifest.day)
            raise DamagedError(f"{self.root}/{path}: missing, or not the bytes that were written; {mend}")
        return content

    def tables(self) -> list[str]:
        """The names of the tables that hold anything."""
        if self.remote:
            return self.remote.folders()
        return sorted({path.parent.name for path in self.local.glob("*/ds=*.json")})

    def tables_with_runs(self) -> list[str]:
        """The names of the tables that have runs, named by a manifest or not."""
        if self.remote:
            return self.remote.folders()
        return sorted({path.parent.parent.name for path in self.local.glob("*/ds=*/run=*")})

    def runs(self, table: str) -> list[Run]:
        """Every run of a table, by day and name, whether a manifest names it or not."""
        return self.remote.runs(table) if self.remote else local_runs(self.local, table)

    @contextlib.contextmanager
    def collecting(self) -> Generator[None, None, None]:
        """Keep all others away that remove old runs, also those on other machines of an object store.

        Raises:
            InputError: another is at it.
        """
        with self.lock("gc"), lease(self.remote, self.root, "gc.lock") if self.remote else contextlib.nullcontext():
            yield

    def remove_run(self, run: Run) -> bool:
        """Remove a run that is not in force; False where it is by now, or its day is being made on this machine."""
        name = self.relative(run.table, run.day, run.name)
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(self.lock(f"{run.table}-{run.day}"))
            except InputError:
                return False
            manifest = self.manifest(run.table, run.day)
            if manifest is not None and manifest.run == run.name:
                return False
            if self.remote:
                self.remote.remove(name)
            discard(self.local, self.local / name)
            with contextlib.suppress(OSError):  # other runs of the day are there
                (self.local / name).parent.rmdir()
        return True

    def verify(self, manifest: Manifest) -> None:
        """Compare every file of a run with its SHA-256 where the store is, whatever a cache holds.

        Raises:
            InputError: when the run is not there.
            DamagedError: when a file is not what was written.
        """
        if not self.remote:
            self.folder(manifest)
            return
        for file in manifest.files:
            name = f"{self.relative(manifest.table, manifest.day, manifest.run)}/{file.name}"
            if self.remote.sha256(name) != file.sha256:
                mend = self._mend(manifest.table, manifest.day)
                raise DamagedError(f"{self.root}/{name}: missing, or not the bytes that were written; {mend}")

    def folder(self, manifest: Manifest) -> Path:
        """The local folder with a run's files, each of which has been compared with its SHA-256.

        Raises:
            InputError: when the run is not there.
            DamagedError: when a file is not what was written.
        """
        relative = self.relative(manifest.table, manifest.day, manifest.run)
        folder = self.local / relative
        if not self.remote:
            self._existing(manifest.table, manifest.day, manifest.run)
            found = damages(folder, manifest)
            if found:
                raise DamagedError(f"{found[0]}; {self._mend(manifest.table, manifest.day)}")
        elif not self._cache.use(folder) or damages(folder, manifest):
            discard(self.local, folder)
            self._cache.make_room(sum(file.size for file in manifest.files))
            self._bring(manifest.table, manifest.day, relative, {file.name: file.sha256 for file in manifest.files})
        return folder

    def whole_file(self, manifest: Manifest, name: str) -> Path | None:
        """One file of a run, compared with its SHA-256 without a look at the others; None if it is not as written.

        Of an object store the whole run is brought first, if it is not in the cache.
        """
        folder = self.local / self.relative(manifest.table, manifest.day, manifest.run)
        if self.remote and not self._cache.use(folder) and self.damages(manifest):
            return None
        file = manifest.file(name)
        return folder / name if file is not None and damage(folder / name, file) is None else None

    def link(self, manifest: Manifest, name: str, target: Path) -> bool:
        """Put a file of a run into another one, which records it as its manifest does; False if it is not as written.

        A file that is older than the manifest that tells of it, and of that size, is not read for this: whoever reads
        it compares it.
        """
        file = manifest.file(name)
        path = self.local / self.relative(manifest.table, manifest.day, manifest.run) / name
        if file is None or not (self._stands_since(manifest, file, path) or self.whole_file(manifest, name)):
            return False
        link_file(path, target)
        if target.samefile(path):
            vouch(target, file.sha256)
        return True

    def _stands_since(self, manifest: Manifest, file: StoredFile, path: Path) -> bool:
        """Whether a file was last changed before its manifest was written; where that lies elsewhere, nobody knows."""
        try:
            state, written = path.stat(), (self.local / _manifest_name(manifest.table, manifest.day)).stat()
        except FileNotFoundError:
            return False
        return state.st_size == file.size and state.st_mtime_ns < written.st_mtime_ns

    def _bring(self, table: str, day: datetime.date, relative: str, hashes: Mapping[str, str | None]) -> None:
        """Bring a run of an object store into the cache, and let it stay there."""
        assert self.remote is not None
        while not self._cache.use(self.local / relative):
            try:
                self.remote.download(relative, hashes, self.local / relative)
            except DamagedError as error:
                raise DamagedError(f"{self.root}: {error}; {self._mend(table, day)}") from error

    def run_folder(self, table: str, day: datetime.date, run: str) -> Path:
        """The local folder of a run by name, also of one no longer in force.

        Only the manifest in force knows the files of its run; a bundle that it no longer names is checked by its card.

        Raises:
            InputError: when the run is not there, or there can be none of these names.
            DamagedError: when it is in force, and a file is not what was written.
        """
        if not (_NAME.fullmatch(table) and _NAME.fullmatch(run)):
            raise InputError(f"{self.root}: no run can be called {run!r} of table {table!r}; what names it is damaged")
        manifest = self.manifest(table, day)
        if manifest is not None and manifest.run == run:
            return self.folder(manifest)
        relative = self.relative(table, day, run)
        if self.remote and not self._cache.use(self.local / relative):
            if recorded := self.remote.recorded(relative):
                self._bring(table, day, relative, recorded)
            self._cache.make_room(0)
        return self._existing(table, day, run)

    def _existing(self, table: str, day: datetime.date, run: str) -> Path:
        folder = self.local / self.relative(table, day, run)
        if not folder.is_dir():
            raise InputError(f"{folder}: run of {table} {day} is missing; {self._mend(table, day)}")
        return folder

    def _mend(self, table: str, day: datetime.date) -> str:
        return f"make it again: {self.mend(table, day)}"

    @staticmethod
    def relative(table: str, day: datetime.date, run: str) -> str:
        """A run's folder relative to the root."""
        return f"{table}/ds={day}/run={run}"

    @contextlib.contextmanager
    def staging(
        self,
        table: str,
        day: datetime.date,
        wait: bool = False,
        alone: contextlib.AbstractContextManager[None] | None = None,
    ) -> Generator[Path, None, None]:
        """An empty folder to make a day in, under the day's lock; what killed runs left in the store is removed.

        The lock keeps away other processes of this machine. `alone` is held as well, once the lock is.

        Raises:
            InputError: when another process is making the same day of the same table, and `wait` is off.
        """
        folder = self.local / LOCAL_STATE / "staging" / f"{table}-{day}"
        with (
            self.lock(folder.name, wait),
            naming(folder),
            alone or contextlib.nullcontext(),
            self._beginning(table, day),
        ):
            discard(self.local, folder)
            self._sweep(table)
            folder.mkdir(parents=True)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _beginning(self, table: str, day: datetime.date) -> Generator[None, None, None]:
        """Remember the manifest that work begins with, in whose place alone its own may be put."""
        if self.remote:
            self._begun[table, day] = self.remote.version(_manifest_name(table, day))
        try:
            yield
        finally:
            self._begun.pop((table, day), None)

    def leftovers(self, table: str) -> list[Path]:
        """What killed runs may have left beside a table: living ones' staging and files are among them."""
        state = self.local / LOCAL_STATE
        folders = [path for name in ("staging", DISCARDED) for path in sorted((state / name).glob("*"))]
        return (
            folders
            + temporaries(self.local / table)
            + [path for name in ("failures", "raw") for path in temporaries(state / name)]
        )

    def abandoned(self, path: Path) -> bool:
        """Whether nobody is at work on one of the leftovers."""
        if path.parent.name == DISCARDED:
            return True
        if path.parent.name != "staging":
            return is_abandoned(path)
        try:
            with self.lock(path.name):
                return True
        except InputError:
            return False

    def _sweep(self, table: str) -> None:
        """Remove those of the leftovers that nobody is at work on."""
        for path in self.leftovers(table):
            self._remove_leftover(path)

    def _remove_leftover(self, path: Path) -> None:
        if path.parent.name == DISCARDED:
            shutil.rmtree(path, ignore_errors=True)
        elif path.parent.name != "staging":
            remove_abandoned([path])
        else:
            with contextlib.suppress(InputError), self.lock(path.name):  # else somebody is at work in it
                discard(self.local, path)

    @contextlib.contextmanager
    def lock(self, name: str, wait: bool = False) -> Generator[None, None, None]:
        """Hold a lock of this store; the system frees it when the process ends, however it ends."""
        path = self.lock_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(file_lock(path, wait))
            except BlockingIOError:
                raise InputError(f"{name}: another process is at work on it; wait until it ends, then rerun") from None
            yield

    def lock_file(self, name: str) -> Path:
        """The file that a lock is held on."""
        return self.local / LOCAL_STATE / "locks" / name

    def scratch(self, table: str, day: datetime.date, key: str) -> Path:
        """A folder that outlives a kill (checkpoints), for one table, day and set of inputs."""
        parent = self._scratch(table, day)
        for other in parent.glob("*"):
            if other.name != key:
                discard(self.local, other)
        folder = parent / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def scratches(self, table: str, day: datetime.date) -> list[Path]:
        """The scratch folders that there are of a day that is being made, or that a kill has left."""
        return sorted(path for path in self._scratch(table, day).glob("*") if path.is_dir())

    def drop_scratch(self, table: str, day: datetime.date) -> None:
        """Remove the scratch folders of a day that is done."""
        discard(self.local, self._scratch(table, day))

    def _scratch(self, table: str, day: datetime.date) -> Path:
        return self.local / LOCAL_STATE / "scratch" / f"{table}-{day}"

    def tidy(self, table: str, day: datetime.date) -> None:
        """Remove what earlier runs left of a day that stands: its failure and, after a kill, scratch and leftovers.

        Raises:
            InputError: when another process is making the day.
            OSError: when the store cannot be written to.
        """
        self.clear_failure(table, day)
        self._sweep(table)
        if self._scratch(table, day).is_dir():
            with self.lock(f"{table}-{day}"):
                self.drop_scratch(table, day)

    def commit(
        self,
        table: str,
        day: datetime.date,
        folder: Path,
        *,
        rows: int,
        inputs: Mapping[str, str | None],
        options: Mapping[str, Any],
        version: int,
        made_by: Mapping[str, str],
        details: Mapping[str, Any],
        afresh: bool = False,
    ) -> Manifest:
        """Make a staged folder the day in force: move or upload the files, then write the manifest.

        With `afresh` every file is uploaded, also one that an object store records as the same.

        Raises:
            InputError: in an object store, when another machine made the day otherwise since the folder was staged.
        """
        details, options = json.loads(json.dumps(details)), json.loads(json.dumps(options))
        files = describe_files(folder)
        run = content_run(files, rows, details)
        manifest = Manifest(
            table,
            day,
            run,
            rows,
            files,
            dict(inputs),
            fingerprint(options),
            dict(made_by),
            details,
            options,
            version,
            FORMAT,
        )
        target = self.local / self.relative(table, day, run)
        if target.is_dir() and damages(target, manifest):
            discard(self.local, target)
        if not target.is_dir():
            move_folder(folder, target)
        if self.remote:
            manifest = self._upload(self.remote, manifest, target, afresh)
        else:
            self._name_run(manifest, target)
        self.clear_failure(table, day)
        return manifest

    def _upload(self, remote: Remote, manifest: Manifest, target: Path, afresh: bool) -> Manifest:
        """Upload the files of a run, then its manifest; the one in force then."""
        self._cache.use(target)
        name = self.relative(manifest.table, manifest.day, manifest.run)
        remote.upload(target, name, manifest.files, afresh)
        in_force = self._put_in_force(remote, manifest)
        self._cache.make_room(0)
        return in_force

    def _name_run(self, manifest: Manifest, target: Path) -> None:
        """Write the manifest once the names above its run are on the disk, also those that a killed run made."""
        for above in (target.parent, target.parent.parent):
            sync_folder(above)
        write_atomically(self.local / _manifest_name(manifest.table, manifest.day), manifest.to_json())

    def _put_in_force(self, remote: Remote, manifest: Manifest) -> Manifest:
        """Put a manifest in the place of the one that work began with; the manifest in force then.

        That of a machine which made the same from the same meanwhile is as good.
        """
        table, day = manifest.table, manifest.day
        try:
            remote.replace(_manifest_name(table, day), manifest.to_json(), self._begun[table, day])
        except ChangedSince:
            other = self.manifest(table, day)
            if other is not None and other.same_work(manifest):
                return other
            raise InputError(
                f"{table} of {day}: another machine made it while this one was at work, as run "
                f"{other.run if other else 'unknown'} (here {manifest.run}). That one is in force, and nothing of it "
                "was replaced; run again to see whether anything is left to do"
            ) from None
        return manifest

    def lacking(self, manifest: Manifest) -> list[str]:
        """What is wrong with a run where the store is, one text for each; empty when nothing is.

        In a folder every file is compared. In an object store none is read: sizes count, and the SHA-256 recorded
        when a file was put; whoever reads it compares it.
        """
        if not self.remote:
            return self.damages(manifest)
        mend = self._mend(manifest.table, manifest.day)
        name = self.relative(manifest.table, manifest.day, manifest.run)
        return [f"{self.root}: {text}; {mend}" for text in self.remote.lacking(name, manifest.files)]

    def damages(self, manifest: Manifest) -> list[str]:
        """What is wrong with the files of a run, one text for each; empty when all are as they were written."""
        try:
            self.folder(manifest)
        except InputError as error:
            return [str(error)]
        return []

    def intact(self, table: str, day: datetime.date) -> Manifest | None:
        """The manifest of a day whose manifest and files are all as they were written, else None."""
        try:
            manifest = self.manifest(table, day)
            if manifest is not None:
                self.folder(manifest)
        except InputError:
            return None
        return manifest

    def record_failure(self, table: str, day: datetime.date, message: str) -> None:
        """Remember on this machine that a step failed, for `status`; only this user may read why."""
        write_atomically(self._failure(table, day), message.encode(), mode=0o600)

    def failure(self, table: str, day: datetime.date) -> str | None:
        """The message of the last failure since the day was last made."""
        try:
            return self._failure(table, day).read_text()
        except FileNotFoundError:
            return None
        except PermissionError:
            return f"failed; why is in {self._failure(table, day)}, for the user who ran it"

    def failed_at(self, table: str, day: datetime.date) -> datetime.datetime | None:
        """When the failure that is remembered happened (UTC); None if there is none."""
        return _written(self._failure(table, day))

    def clear_failure(self, table: str, day: datetime.date) -> None:
        """Forget a failure that a later run mended."""
        if self._failure(table, day).exists():
            self._failure(table, day).unlink(missing_ok=True)

    def note_seconds(self, manifest: Manifest, seconds: float) -> None:
        """Remember on this machine how long it took to make a day; nothing that is made depends on it."""
        write_atomically(self._seconds(manifest), json.dumps(round(seconds, 3)).encode())

    def seconds(self, manifest: Manifest) -> float | None:
        """How long it took to make a day, where this machine made it."""
        try:
            return float(self._seconds(manifest).read_text())
        except (OSError, ValueError):
            return None

    def raw_digests(self, kind: str, day: datetime.date) -> Path:
        """Where this machine may note what it knows of the raw files of a kind and day."""
        return self.local / LOCAL_STATE / "raw" / f"{kind}-{day}.json"

    def told(self, listener: str) -> Path:
        """The folder where this machine may note what it told somebody of the days."""
        return self.local / LOCAL_STATE / "told" / listener

    def _seconds(self, manifest: Manifest) -> Path:
        return self.local / LOCAL_STATE / "seconds" / f"{manifest.table}-{manifest.day}-{manifest.run}.json"

    def _failure(self, table: str, day: datetime.date) -> Path:
        return self.local / LOCAL_STATE / "failures" / f"{table}-{day}.txt"


def _written(path: Path) -> datetime.datetime | None:
    """When a file was last written (UTC), to the millisecond; None when there is none."""
    try:
        return datetime.datetime.fromtimestamp(path.stat().st_mtime_ns // 10**6 / 1000, datetime.UTC)
    except FileNotFoundError:
        return None


def _cache_of(url: str) -> Path:
    """The local folder that mirrors an object store: in $PNN_GLUON_CACHE, by default the user's cache folder."""
    base = os.environ.get("PNN_GLUON_CACHE") or Path.home() / ".cache" / "pnn_gluon"
    return Path(base) / hashlib.sha256(url.encode()).hexdigest()[:16]


def link_file(source: Path, target: Path) -> None:
    """Put an immutable file into another folder without copying it where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
