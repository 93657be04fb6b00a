"""Two pipelines in one Airflow: neither sees anything of the other."""

from pathlib import Path
from typing import Any

from jobs.airflow import dag_runner
from pnn_gluon.config import Config, load_config
from tests.dags.conftest import DAG_DAYS, fresh_copy
from tests.jobs.small_pipeline import DAILY, build, tree

DAY = DAG_DAYS[0]


def states(dag: str) -> list[str]:
    from airflow.models.dagrun import DagRun

    return [run.state for run in DagRun.find(dag_id=dag)]


def test_a_day_of_one_is_no_day_of_the_other(ran: Config, dags: dict[str, Any], tmp_path: Path) -> None:
    before, runs = tree(Path(ran.store_root)), states("small_daily")
    other = load_config(ran.path.parent / "other.toml")
    assert not states("other_daily")
    assert not Path(other.store_root).exists()

    dag_runner.run_day(dags["other_daily"], DAY)

    assert states("other_daily") == ["success"]
    assert (tree(Path(ran.store_root)), states("small_daily")) == (before, runs)
    by_hand = fresh_copy(other, tmp_path)
    build(by_hand, [DAY], DAILY[:-1])
    made = tree(Path(other.store_root))
    assert tree(Path(by_hand.store_root)) == {name: made[name] for name in made if not name.startswith("published")}
