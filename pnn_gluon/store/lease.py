"""One machine at a time at an object store: an object that says who is at work, put only where none is."""

import contextlib
import datetime
import os
import secrets
import socket
from collections.abc import Generator

from pnn_gluon.errors import InputError
from pnn_gluon.store.objects import ChangedSince
from pnn_gluon.store.remote import Remote

LONGEST = datetime.timedelta(hours=12)
"""After so long whoever put it is taken for dead."""


@contextlib.contextmanager
def lease(remote: Remote, root: str, name: str) -> Generator[None, None, None]:
    """Keep all other machines away that ask for the same.

    Where the place of the objects cannot compare, two that ask at the same moment may both go on.

    Raises:
        InputError: another holds it; it says who, and since when.
    """
    version = remote.version(name)
    if version is not None:
        _refuse_held(remote, root, name)
    mine = f"{socket.gethostname()}, process {os.getpid()} ({secrets.token_hex(4)})".encode()
    try:
        remote.replace(name, mine, version)
    except (ChangedSince, FileNotFoundError):
        raise InputError(f"{root}/{name}: another machine is at work by now; wait until it ends, then rerun") from None
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):  # taken over, and given back by whoever did
            if remote.read(name) == mine:
                remote.objects.remove([name])


def _refuse_held(remote: Remote, root: str, name: str) -> None:
    """Refuse what was put less than `LONGEST` ago."""
    since = remote.written(name)
    if since is not None and datetime.datetime.now(datetime.UTC) - since >= LONGEST:
        return
    try:
        who = remote.read(name).decode(errors="replace")
    except FileNotFoundError:
        return  # given back just now
    when = "" if since is None else f" since {since:%Y-%m-%d %H:%M} UTC"
    raise InputError(
        f"{root}/{name}: {who} is at work{when}; wait until it ends, then rerun; if it died, remove this object"
    )
