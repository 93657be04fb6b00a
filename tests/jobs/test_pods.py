"""Pods for Kubernetes: valid by its own schema, with what each step needs, made by the command for DAG files."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from jobs.commands import dags
from pnn_gluon.config import load_config
from pnn_gluon.errors import ConfigError
from tests.jobs.small_pipeline import NAMED_PIPELINE

WORKERS = """
[workers]
image = "registry.example.com:5000/pnn_gluon:1.0"
cpu = { train = 8, count = 0.5 }
memory = { train = "24Gi", publish = "512Mi" }
gpus = { train = 1 }
"""
OWN_POD = """
apiVersion: v1
kind: Pod
metadata:
  name: ours
  namespace: bids
  labels: {team: ads}
spec:
  serviceAccountName: pipeline
  restartPolicy: Never
  nodeSelector: {disk: fast}
  containers:
    - name: base
      image: to-be-replaced
      env:
        - {name: OMP_NUM_THREADS, value: "64"}
        - {name: TMPDIR, value: /scratch}
      envFrom: [{secretRef: {name: object-store}}]
      volumeMounts: [{name: scratch, mountPath: /scratch}]
    - name: proxy
      image: proxy:1
  volumes: [{name: scratch, emptyDir: {}}]
"""


def rendered(tmp_path: Path, workers: str = WORKERS, engine: str = "") -> dict[str, Any]:
    """The pods of a pipeline by the name of their file, as the command writes them."""
    (tmp_path / "a.toml").write_text(NAMED_PIPELINE.format(name="a") + workers + engine)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
            patch.delenv(name)
        dags.command(tmp_path / "a.toml", tmp_path / "dags", None, tmp_path / "pods")
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((tmp_path / "pods").glob("*.yaml"))}


def base(pod: Mapping[str, Any]) -> dict[str, Any]:
    (found,) = [each for each in pod["spec"]["containers"] if each["name"] == "base"]
    return dict(found)


@pytest.mark.parametrize("own", [False, True])
def test_every_pod_is_one_by_kubernetes_own_schema(tmp_path: Path, own: bool) -> None:
    (tmp_path / "own.yaml").write_text(OWN_POD)
    found = rendered(tmp_path, WORKERS + ('pod = "own.yaml"\n' if own else ""))
    assert len(found) > 10
    for pod in found.values():
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    wrong = dict(found["a"]) | {"spec": found["a"]["spec"] | {"restartPolicies": "Never"}}
    with pytest.raises(kubernetes_validate.ValidationError, match="restartPolicies"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_each_step_gets_what_the_configuration_says_and_else_what_it_is_known_to_need(tmp_path: Path) -> None:
    found = rendered(tmp_path, engine='[engine]\nmemory_limit = "3GB"\nthreads = 3\n')
    resources = {name: base(pod)["resources"] for name, pod in found.items()}
    assert resources["a-train"] == {
        "requests": {"cpu": "8", "memory": "24Gi"},
        "limits": {"memory": "24Gi", "nvidia.com/gpu": "1"},
    }
    assert resources["a-ingest"] == {"requests": {"cpu": "3", "memory": "5Gi"}, "limits": {"memory": "5Gi"}}
    assert resources["a-count"]["requests"] == {"cpu": "0.5", "memory": "5Gi"}
    assert resources["a-publish"]["limits"] == {"memory": "512Mi"}
    assert resources["a"] == resources["a-ingest"]
    threads = {name: base(pod)["env"] for name, pod in found.items()}
    assert threads["a-train"] == [{"name": "OMP_NUM_THREADS", "value": "8"}]
    assert threads["a-count"] == [{"name": "OMP_NUM_THREADS", "value": "1"}]


def test_a_pod_of_one_s_own_keeps_all_but_image_resources_and_threads(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN_POD)
    own = yaml.safe_load(OWN_POD)
    for pod in rendered(tmp_path, WORKERS + 'pod = "own.yaml"\n').values():
        assert base(pod)["image"] == "registry.example.com:5000/pnn_gluon:1.0"
        assert base(pod)["envFrom"] == base(own)["envFrom"]
        assert {"name": "TMPDIR", "value": "/scratch"} in base(pod)["env"]
        assert [each["name"] for each in base(pod)["env"]].count("OMP_NUM_THREADS") == 1
        assert pod["spec"]["containers"][1] == own["spec"]["containers"][1]
        assert pod["spec"]["volumes"] == own["spec"]["volumes"]
        assert pod["metadata"]["labels"]["team"] == "ads"


def test_the_image_may_come_from_the_pod_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN_POD)
    assert base(rendered(tmp_path, '[workers]\npod = "own.yaml"\n')["a"])["image"] == "to-be-replaced"


def test_the_stub_names_the_folder_of_the_pods(tmp_path: Path) -> None:
    rendered(tmp_path)
    (stub,) = (tmp_path / "dags").glob("pipeline_*.py")
    assert f"dags_of({str(tmp_path / 'a.toml')!r}, None, {str(tmp_path / 'pods')!r})" in stub.read_text()
    dags.command(tmp_path / "a.toml", tmp_path / "dags", None, None)
    assert f"dags_of({str(tmp_path / 'a.toml')!r})" in stub.read_text()


@pytest.mark.parametrize(
    ("workers", "own", "said"),
    [
        ("", "", r"workers\.image: needed for pods"),
        ('[workers]\nimage = "a"\npod = "nowhere.yaml"\n', "", r"workers\.pod .*nowhere\.yaml: expected a YAML file"),
        ('[workers]\nimage = "a"\npod = "own.yaml"\n', "kind: [", "expected a YAML file with a pod"),
        ('[workers]\nimage = "a"\npod = "own.yaml"\n', "kind: Deployment", r"\(kind: Pod\)"),
        ('[workers]\nimage = "a"\npod = "own.yaml"\n', "kind: Pod\nspec: {containers: [{name: x}]}", "named base"),
    ],
)
def test_what_makes_no_pod_is_said_and_the_dag_files_are_there(
    tmp_path: Path, workers: str, own: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "own.yaml").write_text(own)
    with pytest.raises(typer.Exit) as ended:
        rendered(tmp_path, workers)
    assert ended.value.exit_code == ConfigError.exit_status
    assert len(caplog.messages) == 1
    assert re.search(said, caplog.text)
    assert list((tmp_path / "dags").glob("pipeline_*.py"))
    assert not list(tmp_path.glob("pods/*"))


def test_a_file_of_one_s_own_in_the_way_is_not_written_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "pods").mkdir()
    (tmp_path / "pods" / "a-train.yaml").write_text("mine")
    with pytest.raises(typer.Exit):
        rendered(tmp_path)
    assert "is in the way" in caplog.text
    assert (tmp_path / "pods" / "a-train.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("option", "value"),
    [("cpu", "0"), ("cpu", "257"), ("memory", '"8GB"'), ("memory", '"0Gi"'), ("gpus", "-1"), ("gpus", "1.5")],
)
def test_resources_that_cannot_be_are_refused(tmp_path: Path, option: str, value: str) -> None:
    text = NAMED_PIPELINE.format(name="a") + f"[workers]\n{option} = {{ train = {value} }}\n"
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=rf"workers\.{option}\.train: "):
        load_config(tmp_path / "a.toml")


@pytest.mark.parametrize("image", ["", "a b", "a;b", "-a", "a'b", "$(x)"])
def test_an_image_with_an_odd_name_is_refused(tmp_path: Path, image: str) -> None:
    (tmp_path / "a.toml").write_text(NAMED_PIPELINE.format(name="a") + f'[workers]\nimage = "{image}"\n')
    with pytest.raises(ConfigError, match=r"workers\.image: "):
        load_config(tmp_path / "a.toml")
