"""A DAG file for each pipeline, so that one whose configuration does not load stands alone with its error."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from pnn_gluon.atomic import write_atomically
from pnn_gluon.configurations import pipeline_files
from pnn_gluon.errors import ConfigError

DAGS = Path(__file__).resolve().parents[2] / "dags"
"""Where the builder of the DAGs lies."""

MARK = '"""Written by pnn-gluon for Airflow: the DAGs of one pipeline. Not to be edited: it is written again."""\n'
"""How every stub begins; Airflow loads only files with the words airflow and dag in them."""

_STUB = (
    MARK
    + """
import sys

if {dags} not in sys.path:
    sys.path.append({dags})

from pnn_gluon_pipeline import dags_of

globals().update(dags_of({arguments}))
"""
)
_CALL = re.compile(r"^globals\(\)\.update\(dags_of(\(.*\))\)$", re.MULTILINE)


def write_stubs(configs: Path, folder: Path, pods: Path | None = None) -> list[Path]:
    """Write the stubs of the pipelines in `configs`, and remove those whose configuration is gone; no other file.

    Args:
        configs: A folder of configuration files, or a single one.
        folder: Where Airflow looks for DAG files.
        pods: Where the pods of tasks are, for Kubernetes.

    Raises:
        ConfigError: there are no configurations, or a file in the way is no stub, or that of another file.
    """
    files, configs = pipeline_files(configs), configs.resolve()
    stubs = {stub_of(file, folder): _text(file, configs, pods) for file in files}
    for stub, file in zip(stubs, files, strict=True):
        _refuse_other(stub, file)
    for stub in _stubs_in(folder):
        if not _configuration_of(stub).is_file():
            stub.unlink(missing_ok=True)
    for stub, text in stubs.items():
        if not stub.exists() or stub.read_text() != text:
            write_atomically(stub, text.encode())
    return list(stubs)


def stub_of(file: Path, folder: Path) -> Path:
    """The stub of a configuration file in a folder of DAG files."""
    return folder / f"pipeline_{file.stem}.py"


def _text(file: Path, configs: Path, pods: Path | None) -> str:
    """The stub's text; all in ASCII, however odd the paths are."""
    arguments = [file, None if configs == file else configs, pods]
    while arguments[-1] is None:
        arguments.pop()
    words = ", ".join(ascii(str(path)) if path else "None" for path in arguments)
    return _STUB.format(dags=ascii(str(DAGS)), arguments=words)


def _refuse_other(stub: Path, file: Path) -> None:
    """Refuse to write over what is not the stub of this configuration, unless that of one that is gone."""
    if not stub.exists():
        return
    if not _is_stub(stub):
        raise ConfigError(f"{stub} is in the way and was not written by pnn-gluon: move it, or choose another folder")
    other = _configuration_of(stub)
    if other != file and other.is_file():
        raise ConfigError(f"{stub} is of {other}, not of {file}: rename one of the two, or choose another folder")


def _stubs_in(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("pipeline_*.py")) if _is_stub(path))


def _is_stub(path: Path) -> bool:
    text = path.read_text(errors="replace")
    return text.startswith(MARK) and _CALL.search(text) is not None


def _configuration_of(stub: Path) -> Path:
    """The configuration file that a stub names."""
    call = _CALL.search(stub.read_text())
    assert call is not None  # it is a stub
    arguments = ast.literal_eval(call[1])
    return Path(arguments if isinstance(arguments, str) else arguments[0])
