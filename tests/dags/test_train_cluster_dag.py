"""The DAG file that starts the processes of a cluster."""

import importlib.util
from pathlib import Path

import pytest

from jobs.outside.files import cluster_files, processes_of
from pnn_gluon.config import load_config
from tests.jobs.small_pipeline import DAYS, PIPELINE

pytestmark = pytest.mark.usefixtures("dag_pipeline")  # Airflow is imported only once its home is set


def test_each_process_of_a_cluster_is_a_task(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text(
        PIPELINE.replace("[training]\n", '[training]\nkvstore = "dist_sync"\nworkers = 2\n')
        + '[engine.cluster]\nservers = 2\nworker_hosts = ["w"]\nserver_hosts = ["s"]\naddress = "10.0.0.5"\n'
    )
    config = load_config(path)
    ((name, text),) = cluster_files("airflow", config, DAYS[0], 9091).items()
    (tmp_path / name).write_text(text)
    spec = importlib.util.spec_from_file_location("rendered", tmp_path / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag = next(value for value in vars(module).values() if getattr(value, "dag_id", "") == "small_train_cluster")
    assert sorted(task.task_id for task in dag.tasks) == sorted(processes_of(config))
    ranks = {task.task_id: task.env["PNN_GLUON_CLUSTER_RANK"] for task in dag.tasks}
    assert ranks == {name: str(rank) for rank, name in enumerate(processes_of(config))}
    for task in dag.tasks:
        assert not task.upstream_list
        assert (task.env["DMLC_PS_ROOT_URI"], task.env["DMLC_PS_ROOT_PORT"]) == ("10.0.0.5", "9091")
        assert "--one-role" in task.bash_command
        assert "--day '{{ params.day }}'" in task.bash_command
        assert task.pool_slots == 1
    assert dag.max_active_tasks == 5
