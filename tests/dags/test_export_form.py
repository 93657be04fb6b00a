"""The export form: what it asks for is made, and what cannot be made is refused before or by the job, in words."""

import inspect
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.airflow import dag_runner
from jobs.commands import export
from jobs.running import run_step
from jobs.steps.export import work_of_export
from pnn_gluon.config import Config
from pnn_gluon.errors import InputError, PnnError
from pnn_gluon.pipeline.exports import Export, export_step
from pnn_gluon.pipeline.opening import open_store
from tests.dags.conftest import DAG_DAYS, LAST

BASE = {"first_day": str(LAST), "last_day": str(LAST), "model": str(LAST), "rows": "logs", "name": "bad"}


def told(config: Config, table: str) -> dict[str, Any]:
    store = open_store(config)
    made = store.manifest(table, LAST)
    assert made is not None
    found: dict[str, Any] = json.loads((store.folder(made) / "export.json").read_text())
    return found


def test_the_export_form_exports(ran: Config, dags: dict[str, Any]) -> None:
    form = BASE | {"first_day": str(DAG_DAYS[0]), "name": "form"}
    dag_runner.run_day(dags["small_export"], LAST, form)
    assert open_store(ran).days("exports_form") == DAG_DAYS
    assert (told(ran, "exports_form")["model_day"], told(ran, "exports_form")["format"]) == (str(LAST), "parquet")


def test_every_choice_of_the_form_reaches_the_export(ran: Config, dags: dict[str, Any]) -> None:
    form = BASE | {"model": "champion", "slice": "label = 1", "format": "table", "precision": "5", "name": "all"}
    dag_runner.run_day(dags["small_export"], LAST, form)
    wanted = {
        "choice": "champion",
        "model_day": str(DAG_DAYS[-2]),
        "slice": "label = 1",
        "table": "scores_all",
        "precision": "5",
        "sequence": 1,
    }
    found = told(ran, "exports_all")
    assert {key: found[key] for key in wanted} == wanted
    assert found["rows"] > 0


HOSTILE = "$(touch {mark}) {{{{ 7 * 7 }}}} '; touch {mark}; ' \"; touch {mark}; \" `touch {mark}` %(x)s"


def test_a_hostile_value_of_a_slice_is_a_value_like_any_other(
    ran: Config, dags: dict[str, Any], tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    text = HOSTILE.format(mark=mark)
    dag_runner.run_day(dags["small_export"], LAST, BASE | {"slice": f"c1 = {text}", "name": "hostile"})
    found = told(ran, "exports_hostile")
    assert (found["slice"], found["rows"]) == (f"c1 = {text}", 0)
    assert not mark.exists()


@pytest.mark.parametrize(
    "form",
    [
        {"name": "x; touch {mark}"},
        {"name": "bad\n"},
        {"name": "../bad"},
        {"first_day": "2026-11-01$(touch {mark})"},
        {"last_day": '2026-11-01" ; touch {mark} ; "'},
        {"model": "`touch {mark}`"},
        {"model": "champion\n"},
        {"rows": "logs' && touch {mark} && '"},
        {"format": "xlsx"},
        {"precision": "float16"},
        {"slice": "city = Bern"},
        {"slice": "c1 = a\nb"},
        {"slice": 'c1" or 1 = 1 -- = x'},
        {"slice": "c1 = " + "x" * 1000},
    ],
)
def test_a_hostile_form_is_refused_before_anything_runs(
    ran: Config, dags: dict[str, Any], tmp_path: Path, form: dict[str, str]
) -> None:
    mark = tmp_path / "mark"
    values = {key: value.replace("{mark}", str(mark)) for key, value in form.items()}
    with pytest.raises(ValueError, match="Invalid input for param"):
        dag_runner.run_day(dags["small_export"], LAST, BASE | values)
    assert not mark.exists()
    assert not open_store(ran).days("exports_bad")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"first_day": "2026-11-02", "last_day": "2026-11-01"}, "the first day is after the last"),
        ({"last_day": "2028-11-01"}, "731 days, expected at most 366"),
        ({"model": "2031-01-01"}, "Days with a bundle: "),
        ({"slice": "i1 = many"}, "i1 holds numbers, received 'many'"),
        ({"rows": "requests", "slice": "label = 1"}, "requests have no field 'label'"),
    ],
)
def test_what_the_form_cannot_know_the_job_refuses_in_its_own_words(
    ran: Config, dags: dict[str, Any], form: dict[str, str], words: str
) -> None:
    with pytest.raises(PnnError, match=words):
        dag_runner.run_day(dags["small_export"], LAST, BASE | form)
    assert not open_store(ran).days("exports_bad")


def test_the_export_form_and_the_command_have_the_same_defaults(dags: dict[str, Any]) -> None:
    command, form = inspect.signature(export.command).parameters, dags["small_export"].params
    for name in ("model", "rows", "format", "precision"):
        assert form[name] == command[name].default


def test_only_a_table_gets_the_score_servers_connection(dag_pipeline: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    from pnn_gluon_export import export_dag

    monkeypatch.setenv("AIRFLOW_CONN_SCORES", "postgres://bob:hush@db/x")
    publish = dag_pipeline.publish.model_copy(update={"server": "connection:scores"})
    task = export_dag(dag_pipeline.model_copy(update={"publish": publish})).get_task("export")
    assert "hush" in task.get_env({"params": {"format": "table"}})["PNN_GLUON_SCORES_URI"]
    assert "PNN_GLUON_SCORES_URI" not in task.get_env({"params": {"format": "parquet"}})


def test_an_export_by_a_model_that_is_not_there_names_those_that_are(ran: Config) -> None:
    never = DAG_DAYS[0].replace(year=2031)
    asked = Export("none", never, "logs")
    with pytest.raises(InputError, match=rf"the bundle of 2031-.*Days with a bundle: .*{LAST}; choose one of them"):
        run_step(export_step(asked), ran, LAST, work=work_of_export(asked))
    assert not open_store(ran).days("exports_none")


def test_the_champions_export_of_a_day_is_what_was_served(ran: Config) -> None:
    asked = Export("served")
    outcome = run_step(export_step(asked), ran, LAST, work=work_of_export(asked))
    store = open_store(ran)
    served = store.manifest("scores", DAG_DAYS[-2])
    assert served is not None
    exported = pq.read_table(Path(ran.store_root) / outcome.path / "scores.parquet")
    assert exported.equals(pq.read_table(store.folder(served) / "scores.parquet"))
