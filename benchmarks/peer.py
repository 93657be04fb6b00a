"""Peers are installed from the registry, for a benchmark alone and never by the product."""

import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path


def peer_python(folder: Path, packages: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages (arguments of pip), made when it is not there."""
    python, record = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(_content(each) for each in packages)
    if record.exists() and record.read_text() == wanted:
        return python
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = ["-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check", *packages]
    subprocess.run([str(python), *install], check=True)
    record.write_text(wanted)
    return python


def _content(argument: str) -> str:
    """What an argument of pip stands for: the lines of a locked file, or itself."""
    return Path(argument).read_text() if argument.endswith(".lock") else argument
