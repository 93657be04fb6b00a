"""The pipelines that the pages know are those of the folder, as its files are at the moment."""

from pathlib import Path

import pytest

from jobs.airflow.plugin.pipelines import pipelines
from pnn_gluon.errors import ConfigError
from tests.jobs.small_pipeline import NAMED_PIPELINE


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    for name in ("a", "a_daily", "b"):
        (tmp_path / f"{name}.toml").write_text(NAMED_PIPELINE.format(name=name))
    return tmp_path


def test_a_dag_is_of_the_pipeline_whose_name_it_has_before_one_of_our_endings(configs: Path) -> None:
    found = pipelines(configs)

    def name(dag_id: str) -> str | None:
        config = found.of_dag(dag_id)
        return None if config is None else config.name

    assert [name(f"b_{each}") for each in ("daily", "nightly", "scores", "export")] == ["b"] * 4
    assert (name("a_daily_nightly"), name("a_nightly")) == ("a_daily", "a")
    assert [name(each) for each in ("b", "b_", "_daily", "c_daily", "b_daily_", "B_daily", "../b_daily")] == [None] * 7
    daily = found.of_daily("b_daily")
    assert daily is not None
    assert daily.name == "b"
    assert found.of_daily("b_nightly") is None


def test_files_that_have_no_dags_are_named_and_a_mended_one_is_known_at_once(configs: Path) -> None:
    (configs / "b.toml").write_text("name = 1")
    (configs / "twin.toml").write_text(NAMED_PIPELINE.format(name="a"))
    found = pipelines(configs)
    assert (sorted(found.known), found.broken) == (["a", "a_daily"], ("b.toml", "twin.toml"))
    assert found.known["a"].path.name == "a.toml"
    (configs / "a.toml").unlink()
    (configs / "b.toml").write_text(NAMED_PIPELINE.format(name="bb"))
    mended = pipelines(configs)
    assert (sorted(mended.known), mended.broken) == (["a", "a_daily", "bb"], ())
    assert mended.known["a"].path.name == "twin.toml"


def test_a_single_file_is_a_pipeline_and_a_folder_that_is_gone_an_error(configs: Path) -> None:
    assert list(pipelines(configs / "b.toml").known) == ["b"]
    with pytest.raises(ConfigError, match="no such folder of pipelines"):
        pipelines(configs / "nowhere")
