"""The DAGs in real Airflow: they load light, run days in order, and let no value into a shell."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.airflow import dag_runner
from pnn_gluon.config import Config, LimitsConfig, WorkersConfig, load_config
from pnn_gluon.data.synthetic import write_requests
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.pipeline.graph import tasks
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import daily_steps, nightly_steps, refuse_unknown_steps, step
from tests.dags.conftest import AFTER, DAG_DAYS, LAST, fresh_copy
from tests.jobs.small_pipeline import DAILY, build, raw_options, tree

ROOT = Path(__file__).parents[2]

LINK_NAMES = ["Run in the store", "Rows and rejects", "Report of the day"]

LOADED = """
import sys
import pnn_gluon_pipeline
assert pnn_gluon_pipeline.dags_of(sys.argv[1])
heavy = {"mxnet", "numpy", "duckdb", "pyarrow", "h5py", "sklearn"}
heavy |= {"pnn_gluon.store", "pnn_gluon.data", "pnn_gluon.warehouse", "pnn_gluon.runtime"}
print(sorted(heavy & set(sys.modules)))
"""


def test_dag_files_load_nothing_heavy(dag_pipeline: Config, tmp_path: Path) -> None:
    environment = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'dags'}",
        "PATH": "/usr/bin:/bin",
        "AIRFLOW_HOME": str(tmp_path),
    }
    command = [sys.executable, "-c", LOADED, str(dag_pipeline.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_day_is_complete_ordered_and_bounded(dags: dict[str, Any]) -> None:
    dag = dags["small_daily"]
    assert set(dag.task_ids) == {*DAILY, "wait_for_logs", "wait_for_requests"}
    for task in dag.tasks:
        assert task.retries == 2
        assert task.execution_timeout is not None
    assert dag.get_task("train").max_active_tis_per_dag == 1


@pytest.mark.parametrize(("name", "steps"), [("small_daily", daily_steps), ("small_nightly", nightly_steps)])
def test_tasks_are_joined_and_wait_for_earlier_days_as_the_steps_inputs_ask(
    dags: dict[str, Any], dag_pipeline: Config, name: str, steps: Callable[[Config], tuple[Step, ...]]
) -> None:
    known = tasks(dag_pipeline, steps(dag_pipeline))
    waiting = {"ingest": {"wait_for_logs"}, "score": {"wait_for_requests"}}
    arrivals = {each for name in waiting.keys() & {task.step.name for task in known} for each in waiting[name]}
    assert set(dags[name].task_ids) == {task.step.name for task in known} | arrivals
    for task in known:
        made = dags[name].get_task(task.step.name)
        assert made.upstream_task_ids == set(task.after) | waiting.get(task.step.name, set())
        assert (made.waits, made.depends_on_past) == (task.waits, False)


def test_a_day_has_three_groups_whose_tasks_keep_their_names(dags: dict[str, Any]) -> None:
    groups = dags["small_daily"].task_group.children
    assert list(groups) == ["data", "model", "scores"]
    assert set(groups["data"].children) == {
        "wait_for_logs",
        "ingest",
        "sample",
        "count",
        "check",
        "feature_map",
        "encode",
    }
    assert set(groups["model"].children) == {"evaluate", "train", "calibrate", "gate", "promote", "explain"}
    assert set(groups["scores"].children) == {"wait_for_requests", "score", "publish", "report"}


@pytest.mark.parametrize("name", ["small_daily", "small_scores", "small_nightly"])
def test_every_task_has_an_owner_says_what_it_is_about_and_links_to_what_it_made(
    dags: dict[str, Any], name: str
) -> None:
    for task in dags[name].tasks:
        assert task.owner == "pnn_gluon"
        for words in ("**Reads:** ", "**When it fails:** ", "**By hand:** `pnn-gluon "):
            assert re.search(rf"{re.escape(words)}[\w`*]", task.doc_md), task.task_id
        waits = task.task_id.startswith("wait_for_")
        assert [link.name for link in task.operator_extra_links] == ([] if waits else LINK_NAMES)


def test_a_link_leads_to_the_page_of_its_run_whatever_the_server_is_called(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = dags["small_daily"].get_task("ingest")
    key = SimpleNamespace(dag_id="small_daily", task_id="ingest", run_id="manual__2026-11-02T00:00:00+00:00")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/flow/")
    run, rows, report = (link.get_link(task, ti_key=key) for link in task.operator_extra_links)
    query = "run=manual__2026-11-02T00%3A00%3A00%2B00%3A00"
    assert run == f"/flow/pnn_gluon/dags/small_daily/made/ingest?{query}"
    assert rows == f"{run}#rows"
    assert report == f"/flow/pnn_gluon/dags/small_daily/report?{query}"


@pytest.mark.parametrize(
    "name", ["small_daily", "small_scores", "small_nightly", "small_retention", "small_export", "other_daily"]
)
def test_tasks_run_in_the_pool_of_their_pipeline_with_its_configuration(
    dags: dict[str, Any], dag_pipeline: Config, name: str
) -> None:
    pipeline = name.partition("_")[0]
    file = {"small": "pipeline.toml", "other": "other.toml"}[pipeline]
    pool = name if name.endswith("_scores") else pipeline
    assert {task.pool for task in dags[name].tasks} == {pool}
    assert {task.env["PNN_GLUON_CONFIG"] for task in dags[name].tasks} == {str(dag_pipeline.path.parent / file)}
    assert f"airflow pools set {pool} " in dags[name].doc_md


@pytest.mark.parametrize("folder", ["{{ 7 * 7 }}", "{% raise %}", "{# no #}"])
def test_a_path_that_airflow_would_render_is_refused(dag_pipeline: Config, tmp_path: Path, folder: str) -> None:
    from pnn_gluon_pipeline import dags_of

    (tmp_path / folder).mkdir()
    path = shutil.copy(dag_pipeline.path, tmp_path / folder / "p.toml")
    with pytest.raises(ConfigError, match="would take a part of this path for a template"):
        dags_of(str(path))


def test_a_step_has_a_time_limit_of_its_own_and_the_configuration_may_give_another(
    dags: dict[str, Any], dag_pipeline: Config
) -> None:
    limits = {name: dags["small_daily"].get_task(name).execution_timeout for name in ("train", "ingest", "publish")}
    assert {name: limit.total_seconds() / 3600 for name, limit in limits.items()} == {
        "train": 6,
        "ingest": 2,
        "publish": 1,
    }
    changed = dag_pipeline.model_copy(update={"limits": LimitsConfig(hours={"train": 0.5})})
    assert (step("train").limit(changed), step("ingest").limit(changed)) == (0.5, 2)
    unknown = dag_pipeline.model_copy(update={"limits": LimitsConfig(hours={"trian": 1})})
    with pytest.raises(ConfigError, match=r"limits\.hours: no step 'trian'; the steps: ingest, "):
        refuse_unknown_steps(unknown)


def test_a_task_goes_to_the_queue_of_its_step_and_the_configuration_may_name_another(
    dags: dict[str, Any], dag_pipeline: Config
) -> None:
    queues = {task.task_id: task.queue for name in dags if name.startswith("small_") for task in dags[name].tasks}
    assert queues == dict.fromkeys(queues, "etl") | {"train": "training"}
    changed = dag_pipeline.model_copy(update={"workers": WorkersConfig(queues={"train": "gpu", "score": "gpu"})})
    import pnn_gluon_pipeline

    for make in (pnn_gluon_pipeline.daily, pnn_gluon_pipeline.scores):
        moved = {task.task_id for task in make(changed).tasks if task.queue == "gpu"}
        assert moved == {"train", "score"} & set(make(changed).task_ids)
    unknown = dag_pipeline.model_copy(update={"workers": WorkersConfig(queues={"trian": "gpu"})})
    with pytest.raises(ConfigError, match=r"workers\.queues: no step 'trian'"):
        refuse_unknown_steps(unknown)


def test_on_kubernetes_each_task_names_its_pod_and_nothing_of_kubernetes_is_loaded(
    dag_pipeline: Config, tmp_path: Path
) -> None:
    import pnn_gluon_pipeline

    from pnn_gluon.pods import pods_of

    made = pnn_gluon_pipeline.dags_of(str(dag_pipeline.path), None, str(tmp_path))
    named = {dag.task_dict[name].executor_config["pod_template_file"] for dag in made.values() for name in dag.task_ids}
    with_image = dag_pipeline.model_copy(update={"workers": WorkersConfig(image="a")})
    written = {str(path): pod for path, pod in pods_of(with_image, tmp_path).items()}
    assert named <= set(written)
    assert made["small_scores"].get_task("score").executor_config["pod_template_file"].endswith("small-score.yaml")
    assert not pnn_gluon_pipeline.dags_of(str(dag_pipeline.path))["small_daily"].get_task("train").executor_config
    assert not [name for name in sys.modules if name.split(".")[0] == "kubernetes"]


def test_days_begin_with_the_pipelines_first_and_end_with_its_last(dag_pipeline: Config) -> None:
    import pnn_gluon_tasks

    bounds = pnn_gluon_tasks.every_day(dag_pipeline)
    assert (str(bounds["start_date"].date()), str(bounds["end_date"].date())) == ("2026-11-01", "2026-11-30")
    assert bounds["catchup"] is False


def test_the_pipelines_last_day_runs_whole(ran: Config, dags: dict[str, Any]) -> None:
    """A run that leaves tasks out is an error, not a success."""
    with pytest.raises(PnnError, match=r"(?s)wait_for_logs: .*no raw file.*Log: .*tasks\.log"):
        dag_runner.run_days(dags["small_daily"], [ran.last_day])


def test_a_run_is_dated_as_the_schedulers_is(ran: Config) -> None:
    """Else a backfill beside it would wait for the wrong day."""
    from airflow.models.dagrun import DagRun

    def dates() -> list[tuple[str, str]]:
        runs = sorted(DagRun.find(dag_id="small_daily"), key=lambda run: run.logical_date)
        return [(str(run.logical_date), run.state) for run in runs if run.state == "success"]

    assert dates() == [(f"{LAST} 00:00:00+00:00", "success")]


def test_the_dag_makes_the_same_bytes_as_the_steps_by_hand(ran: Config, tmp_path: Path) -> None:
    by_hand = fresh_copy(ran, tmp_path)
    build(by_hand, DAG_DAYS)
    assert tree(Path(by_hand.store_root)) == tree(Path(ran.store_root))


def test_the_night_runs_after_the_day(ran: Config, dags: dict[str, Any]) -> None:
    dag_runner.run_day(dags["small_nightly"], LAST, {"day": str(LAST)})
    store = open_store(ran)
    made = store.manifest("reevaluations", LAST)
    assert made is not None
    assert made.details["day"] == str(LAST)
    assert store.manifest("recalibrated", LAST) is not None


def test_at_the_deadline_nothing_is_left_to_do_where_the_day_has_published(ran: Config, dags: dict[str, Any]) -> None:
    before = tree(Path(ran.store_root), ["scores", "published"])
    dag_runner.run_day(dags["small_scores"], LAST)
    assert tree(Path(ran.store_root), ["scores", "published"]) == before


def test_at_the_deadline_a_day_whose_run_never_was_is_scored_by_the_newest_model(
    ran: Config, dags: dict[str, Any]
) -> None:
    write_requests(raw_options(), plus(AFTER, 1), ran.path.parent / "raw")
    dag_runner.run_day(dags["small_scores"], AFTER)
    made = open_store(ran).manifest("published", AFTER)
    assert made is not None
    assert (made.details["state"], made.details["model_day"]) == ("fallback", str(LAST))


def test_the_deadline_is_on_the_clock_and_waits_for_nothing(dags: dict[str, Any], dag_pipeline: Config) -> None:
    dag = dags["small_scores"]
    assert dag.timetable.expression == "0 6 * * *"
    assert dag_pipeline.publish.deadline == "06:00"
    assert [dag.get_task(name).upstream_task_ids for name in ("score", "publish")] == [set(), {"score"}]
    assert {task.pool for task in dag.tasks} == {"small_scores"}
    assert not any(task.depends_on_past or task.waits for task in dag.tasks)


@pytest.mark.parametrize("removes", [True, False])
def test_old_runs_go_where_the_configuration_says_so(ran: Config, tmp_path: Path, removes: bool) -> None:
    from pnn_gluon_pipeline import dags_of

    path = tmp_path / "pipeline.toml"
    asked = f"[store]\ndelete_old_runs = {str(removes).lower()}\nold_run_hours = 72\n"
    path.write_text(ran.path.read_text().replace("[store]\n", asked))
    task = dags_of(str(path))["small_retention"].get_task("gc")
    assert task.bash_command.endswith(" gc --delete" if removes else " gc")
    assert load_config(path).store.old_run_hours == 72


def test_old_runs_are_looked_for_every_night(ran: Config, dags: dict[str, Any]) -> None:
    from airflow.models.dagrun import DagRun

    dag_runner.run_day(dags["small_retention"], LAST)
    (run,) = DagRun.find(dag_id="small_retention")
    assert {task.task_id: task.state for task in run.get_task_instances()} == {"gc": "success"}
