"""The file in Airflow's folder of plugins that brings our pages."""

from pathlib import Path

from jobs.airflow.stubs import DAGS
from pnn_gluon.atomic import write_atomically
from pnn_gluon.configurations import pipeline_files
from pnn_gluon.errors import ConfigError

MARK = '"""Written by pnn-gluon for Airflow: the pages of its pipelines. Not to be edited: it is written again."""\n'
"""How the file begins."""

_STUB = (
    MARK
    + """
import sys

if {repository} not in sys.path:
    sys.path.append({repository})

from jobs.airflow.plugin.entry import plugin_of

Pages = plugin_of({configs})
"""
)


def write_plugin(configs: Path, folder: Path) -> Path:
    """Write the plugin that shows the pipelines in `configs`; no other file is touched.

    Args:
        configs: A folder of configuration files, or a single one.
        folder: Where Airflow looks for plugins.

    Raises:
        ConfigError: there are no configurations, or a file of that name is in the way.
    """
    pipeline_files(configs)
    path = folder / "pnn_gluon_pages.py"
    if path.exists() and not path.read_text(errors="replace").startswith(MARK):
        raise ConfigError(f"{path} is in the way and was not written by pnn-gluon: move it, or choose another folder")
    text = _STUB.format(repository=ascii(str(DAGS.parent)), configs=ascii(str(configs.resolve())))
    if not path.exists() or path.read_text() != text:
        write_atomically(path, text.encode())
    return path
