"""What is installed with one extra is enough for its commands; the others say which extra they need."""

import configparser
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.cli import COMMANDS
from pnn_gluon.config import Config
from pnn_gluon.extras import EXTRAS_OF
from tests.jobs.small_pipeline import DAYS, FIRST

ROOT = Path(__file__).parents[2]
SERVE = {module for module, extras in EXTRAS_OF.items() if {"serve", "cpu"} & set(extras)}
TEST_ONLY = {"sklearn", "hypothesis"}
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({missing!r}))  # None: an import of it fails as if it were not installed
from jobs.cli import main
sys.argv = ["pnn-gluon", *{words!r}]
main()
"""


def run_without(missing: set[str], *words: object) -> subprocess.CompletedProcess[str]:
    """A command in a process that does not find these modules."""
    code = WITHOUT.format(missing=sorted(missing | TEST_ONLY), words=[str(word) for word in words])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


def only(*extras: str) -> set[str]:
    """The modules that are missing when only these extras are installed."""
    return {module for module, brought_by in EXTRAS_OF.items() if not set(extras) & set(brought_by)}


def test_score_table_needs_no_more_than_serve(built: Config, tmp_path: Path) -> None:
    root = Path(built.store_root)
    bundle, rows = (next(root.glob(f"{name}/ds={DAYS[1]}/run=*")) for name in ("bundles", "rows"))
    done = run_without(only("cpu", "serve"), "score-table", bundle, rows / "rows.parquet", tmp_path / "scores.parquet")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] > 0


def test_a_step_needs_no_airflow_and_no_mxnet_where_it_trains_nothing(pipeline: Config) -> None:
    missing = only("serve")
    done = run_without(missing, "step", "ingest", "--config", pipeline.path, "--day", FIRST)
    assert json.loads(done.stdout)["status"] == "done", done.stderr


def test_every_command_tells_its_options_with_serve_alone() -> None:
    code = WITHOUT.partition("sys.argv")[0].format(missing=sorted(only("cpu", "serve")))
    code += "import importlib\n" + "\n".join(
        f"importlib.import_module('jobs.commands.{name.replace('-', '_')}')" for name in COMMANDS
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "missing", "extra"),
    [
        (("up", "--config", "conf/demo.toml"), "airflow", "airflow"),
        (("up", "--executor", "celery", "--config", "conf/demo.toml"), "celery", "celery"),
        (("compare", "a.json", "b.json"), "scipy", "experiments"),
        (("export-onnx", "bundle", "folder"), "onnx", "onnx"),
        (("study", "batch-bias", "--quick"), "matplotlib", "experiments"),
        (("step", "ingest", "--config", "conf/demo.toml", "--day", "2026-11-01"), "pyarrow", "serve"),
        (("track", "--config", "conf/demo.toml", "--day", "2026-11-01", "--mlflow", "a.db"), "mlflow", "tracking"),
    ],
)
def test_a_command_whose_extra_is_missing_names_it_in_one_line(
    words: tuple[str, ...], missing: str, extra: str
) -> None:
    done = run_without({missing}, *words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert f"error: {missing} is not installed" in done.stderr
    assert f"'pnn_gluon[{extra}]'" in done.stderr


def test_help_and_wrong_names_need_no_command_of_another_name() -> None:
    code = (
        "import sys, typer\nfrom jobs.cli import app\nfrom typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['compare', '--help']).exit_code == 0\n"
        "print([name for name in sys.modules if name.startswith('jobs.commands.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "['jobs.commands.compare']"


def test_the_extra_named_for_a_module_is_one_that_setup_cfg_brings_it_with() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = {
        extra: set(re.findall(r"^([\w-]+)", text, re.M)) for extra, text in setup["options.extras_require"].items()
    }
    providers = importlib.metadata.packages_distributions()
    for module, extras in EXTRAS_OF.items():
        brought = providers.get(module, [module])  # of an extra that is not installed; its packages have such names
        own = {"apache-airflow" if module == "airflow" else package.lower() for package in brought}
        own |= {"mxnet-cu112"} if module == "mxnet" else set()
        own |= {"adbc-driver-postgresql"} if module == "adbc_driver_manager" else set()
        own |= {"mlflow": {"mlflow-skinny"}, "openlineage": {"openlineage-python"}}.get(module, set())
        for extra in extras:
            assert own & packages[extra], (module, extra)
