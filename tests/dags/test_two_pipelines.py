"""Two pipelines in one Airflow: neither sees anything of the other."""

from pathlib import Path
from typing import Any

import pytest

from jobs.airflow import dag_runner
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError
from tests.dags.conftest import DAG_DAYS, fresh_copy
from tests.jobs.small_pipeline import UNPUBLISHED, build, tree

DAY = DAG_DAYS[0]


def states(dag: str) -> list[str]:
    from airflow.models.dagrun import DagRun

    return [run.state for run in DagRun.find(dag_id=dag)]


def test_of_two_that_publish_into_one_table_the_second_does_not_load(dag_pipeline: Config, tmp_path: Path) -> None:
    from pnn_gluon_pipeline import dags_of

    for name in ("one", "two"):
        text = dag_pipeline.path.read_text().replace('"small"', f'"{name}"').replace('"store"', f'"{name}"')
        (tmp_path / f"{name}.toml").write_text(text)
    one, two = str(tmp_path / "one.toml"), str(tmp_path / "two.toml")
    assert "one_daily" in dags_of(one, str(tmp_path))
    assert "two_daily" in dags_of(two)
    with pytest.raises(ConfigError, match=r"two\.toml: publish\.table: 'scores' on .* is that of .*one\.toml"):
        dags_of(two, str(tmp_path))


def test_a_day_of_one_is_no_day_of_the_other(ran: Config, dags: dict[str, Any], tmp_path: Path) -> None:
    before, runs = tree(Path(ran.store_root)), states("small_daily")
    other = load_config(ran.path.parent / "other.toml")
    assert not states("other_daily")
    assert not Path(other.store_root).exists()

    dag_runner.run_day(dags["other_daily"], DAY)

    assert states("other_daily") == ["success"]
    assert (tree(Path(ran.store_root)), states("small_daily")) == (before, runs)
    by_hand = fresh_copy(other, tmp_path)
    build(by_hand, [DAY], UNPUBLISHED)
    made = tree(Path(other.store_root))
    assert tree(Path(by_hand.store_root)) == {name: made[name] for name in made if not name.startswith("published")}
