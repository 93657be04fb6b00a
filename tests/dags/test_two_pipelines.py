"""Two pipelines in one Airflow: neither sees anything of the other."""

from pathlib import Path

import pytest

from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from tests.dags.conftest import DAG_DAYS, OtherDay, fresh_copy
from tests.jobs.small_pipeline import UNPUBLISHED, build, tree


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


def test_a_day_of_one_is_no_day_of_the_other(other_day: OtherDay, tmp_path: Path) -> None:
    assert other_day.states == ([], ["success"])
    before, after = other_day.small
    assert after == before

    by_hand = fresh_copy(other_day.config, tmp_path)
    build(by_hand, DAG_DAYS[:1], UNPUBLISHED)
    made = other_day.made
    assert tree(Path(by_hand.store_root)) == {name: made[name] for name in made if not name.startswith("published")}
