"""The task that tells of a day: only where somebody is to be told, after all others, and no run fails by it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.airflow import dag_runner
from pnn_gluon.config import Config, TrackingConfig
from pnn_gluon.errors import PnnError
from tests.dags.conftest import DAG_DAYS

DAY = DAG_DAYS[0]
LINEAGE = TrackingConfig(openlineage="events.jsonl")


def daily(config: Config, tracking: TrackingConfig = LINEAGE, python: str = "") -> Any:
    """The daily DAG with tracking; its jobs are run by `python`, if one is given."""
    import pnn_gluon_pipeline

    dag = pnn_gluon_pipeline.daily(config.model_copy(update={"tracking": tracking}))
    for task in dag.tasks:
        task.env = {**task.env, **({"PNN_GLUON_PYTHON": python} if python else {})}
    return dag


def stand_in(folder: Path, **outcomes: int) -> str:
    """What is run in place of Python: it notes its command; those named end with another status than 0."""
    path = folder / "python"
    cases = "".join(
        f"  *' {name} '*) echo 'error: {name} is broken' >&2; exit {code};;\n" for name, code in outcomes.items()
    )
    path.write_text(
        f'#!/bin/sh\necho "$*" >> {folder}/said\ncase " $* " in\n{cases}esac\n'
        'echo "{\\"step\\": \\"x\\", \\"day\\": \\"$PNN_GLUON_DAY\\", \\"status\\": \\"done\\", \\"details\\": {}}"\n'
    )
    path.chmod(0o755)
    return str(path)


def test_nobody_is_told_unless_the_configuration_says_so(dags: dict[str, Any]) -> None:
    assert not any("track" in dag.task_ids for dag in dags.values())


def test_the_task_comes_after_everything_and_says_what_it_does(dag_pipeline: Config) -> None:
    dag = daily(dag_pipeline)
    task = dag.get_task("track")
    assert task.get_flat_relative_ids(upstream=True) == set(dag.task_ids) - {"track"}
    assert (task.is_teardown, task.on_failure_fail_dagrun) == (True, False)
    for words in ("**Reads:** ", "**When it fails:** ", "**By hand:** `pnn-gluon track "):
        assert re.search(rf"{re.escape(words)}[\w`*-]", task.doc_md)
    assert "track" in _nightly(dag_pipeline).task_ids


def _nightly(config: Config) -> Any:
    import pnn_gluon_pipeline

    return pnn_gluon_pipeline.nightly(config.model_copy(update={"tracking": LINEAGE}))


@pytest.mark.parametrize(("outcomes", "failed"), [({}, False), ({"track": 1}, False), ({"publish": 3}, True)])
def test_a_run_ends_as_without_the_task_which_always_runs(
    dag_pipeline: Config, dags: dict[str, Any], tmp_path: Path, outcomes: dict[str, int], failed: bool
) -> None:
    dag = daily(dag_pipeline, python=stand_in(tmp_path, **outcomes))
    for task in dag.tasks:
        task.retries = 0
    if failed:
        with pytest.raises(PnnError, match="publish is broken"):
            dag_runner.run_day(dag, DAY)
    else:
        dag_runner.run_day(dag, DAY)
    said = (tmp_path / "said").read_text().splitlines()
    assert said[-1] == f"-m jobs track --day {DAY}"


LOADED = """
import sys
import pnn_gluon_pipeline
assert any("track" in dag.task_ids for dag in pnn_gluon_pipeline.dags_of(sys.argv[1]).values())
heavy = {"mxnet", "numpy", "pyarrow", "mlflow", "openlineage", "pnn_gluon.store", "pnn_gluon.tracking"}
print(sorted(heavy & set(sys.modules)))
"""


def test_a_dag_file_with_tracking_loads_nothing_heavy(dag_pipeline: Config, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(dag_pipeline.path.read_text() + '[tracking]\nmlflow = "env:A"\n')
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": f"{root}:{root / 'dags'}", "PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path)}
    command = [sys.executable, "-c", LOADED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "ML": {"host": "https://ml.example/base", "password": "t0ken/1"},
        "OL": {"host": "ol.example", "port": 5000, "schema": "http", "login": "bob", "password": "s3cr@t"},
    }
    for name, connection in told.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps({"conn_type": "http", **connection}))


@pytest.mark.usefixtures("connections")
def test_urls_of_connections_reach_the_job_and_no_eye(dag_pipeline: Config) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    task = daily(dag_pipeline, TrackingConfig(mlflow="connection:ML", openlineage="connection:OL")).get_task("track")
    assert not any("PNN_GLUON_MLFLOW" in str(getattr(task, field)) for field in task.template_fields)
    environment = task.get_env({})
    assert environment["PNN_GLUON_MLFLOW_URI"] == "https://:t0ken%2F1@ml.example/base"
    assert environment["PNN_GLUON_OPENLINEAGE_URL"] == "http://bob:s3cr%40t@ol.example:5000"
    for said in ("t0ken/1", "t0ken%2F1", "s3cr@t", "s3cr%40t"):
        assert redact(f"no {said} there") == "no *** there"


def test_a_connection_that_does_not_exist_is_named(dag_pipeline: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.delenv("AIRFLOW_CONN_ML", raising=False)
    task = daily(dag_pipeline, TrackingConfig(mlflow="connection:ML")).get_task("track")
    with pytest.raises(AirflowFailException, match=r"tracking\.mlflow names the Airflow connection ML"):
        task.get_env({})


def test_the_job_looks_for_urls_where_the_task_puts_them() -> None:
    from pnn_gluon_track import VARIABLES

    from pnn_gluon.tracking import address

    assert VARIABLES == address.VARIABLES
