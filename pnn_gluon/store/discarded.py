"""Folders that go: out of their place at once, and then from the disk."""

import secrets
import shutil
from pathlib import Path

LOCAL_STATE = ".local"
"""What a store keeps for this machine only, below its local folder."""

DISCARDED = "discarded"
"""Where in it folders lie that are being removed."""


def discard(root: Path, folder: Path) -> None:
    """Remove a folder of a store so that a kill leaves it whole or gone, never half of it in its place."""
    if not folder.is_dir():
        return
    gone = root / LOCAL_STATE / DISCARDED / secrets.token_hex(8)
    gone.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
