"""Peers are installed from the registry, for a benchmark alone and never by the product."""

import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path


def peer_python(folder: Path, packages: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages (arguments of pip), made when it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    subprocess.run([str(python), *install], check=True)
    return python
