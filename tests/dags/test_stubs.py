"""Every pipeline has a DAG file of its own, and no other file is touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.airflow.pools import make_pools
from jobs.airflow.stubs import write_stubs
from pnn_gluon.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "a.toml").write_text("name = 'a'\n")
    (folder / "b.toml").write_text("name = 'b'\n")
    return folder


def called_with(stub: Path, tmp_path: Path) -> list[str]:
    """What a stub hands to the builder, which is another one here."""
    (tmp_path / "pnn_gluon_pipeline.py").write_text("def dags_of(*arguments):\n    return {'called': arguments}\n")
    code = f"import runpy; print(*runpy.run_path({str(stub)!r})['called'], sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(tmp_path)}
    )
    return done.stdout.splitlines()


def test_a_stub_names_its_file_and_the_folder_of_all(configs: Path, tmp_path: Path) -> None:
    stubs = write_stubs(configs, tmp_path / "dags")
    assert [stub.name for stub in stubs] == ["pipeline_a.py", "pipeline_b.py"]
    assert called_with(stubs[0], tmp_path) == [str(configs / "a.toml"), str(configs)]
    (alone,) = write_stubs(configs / "b.toml", tmp_path / "alone")
    assert called_with(alone, tmp_path) == [str(configs / "b.toml")]


def test_an_odd_path_reaches_the_builder_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "odd"\\ é'
    folder.mkdir()
    (folder / "a b.c'.toml").touch()
    (stub,) = write_stubs(folder, tmp_path / "dags")
    assert called_with(stub, tmp_path) == [str(folder / "a b.c'.toml"), str(folder)]
    assert write_stubs(folder, tmp_path / "dags") == [stub]


def test_airflow_takes_a_stub_for_a_dag_file(configs: Path, tmp_path: Path) -> None:
    """It loads only files in which it finds certain words."""
    for stub in write_stubs(configs, tmp_path / "dags"):
        assert b"airflow" in stub.read_bytes().lower()
        assert b"dag" in stub.read_bytes().lower()


def test_the_stub_of_a_file_that_is_gone_goes_and_nothing_else(configs: Path, tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    write_stubs(configs, dags)
    mine = {"pipeline_mine.py": "import airflow\n", "other.py": "x = 1\n"}
    for name, text in mine.items():
        (dags / name).write_text(text)
    (configs / "a.toml").unlink()
    before = (dags / "pipeline_b.py").stat().st_ino
    write_stubs(configs, dags)
    assert sorted(path.name for path in dags.iterdir()) == ["other.py", "pipeline_b.py", "pipeline_mine.py"]
    assert {name: (dags / name).read_text() for name in mine} == mine
    assert (dags / "pipeline_b.py").stat().st_ino == before  # one that is right is not written again


def test_a_file_in_the_way_is_left_alone_and_said(configs: Path, tmp_path: Path) -> None:
    (tmp_path / "pipeline_b.py").write_text("mine = 1\n")
    with pytest.raises(ConfigError, match=r"pipeline_b\.py is in the way and was not written by pnn-gluon"):
        write_stubs(configs, tmp_path)
    assert (tmp_path / "pipeline_b.py").read_text() == "mine = 1\n"
    assert not (tmp_path / "pipeline_a.py").exists()


def test_files_of_one_name_from_two_folders_are_refused_while_both_are_there(configs: Path, tmp_path: Path) -> None:
    write_stubs(configs, tmp_path / "dags")
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.toml").touch()
    with pytest.raises(ConfigError, match=r"pipeline_a\.py is of .*/conf/a\.toml, not of .*/other/a\.toml"):
        write_stubs(other, tmp_path / "dags")
    os.replace(configs / "a.toml", tmp_path / "kept.toml")
    assert called_with(write_stubs(other, tmp_path / "dags")[0], tmp_path)[0] == str(other / "a.toml")


def dags_command(configs: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """What the command says where no Airflow is named."""
    command = [sys.executable, "-m", "jobs", "dags", "--configs", str(configs), "--into", str(into)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_command_writes_the_stubs_and_tells_how_to_make_the_pools(tmp_path: Path) -> None:
    done = dags_command(ROOT / "conf" / "demo.toml", tmp_path)
    assert done.returncode == 0, done.stderr
    stub, pools, *commands = done.stdout.splitlines()
    assert stub == str(tmp_path / "pipeline_demo.py")
    assert "neither AIRFLOW_HOME nor" in pools
    assert commands == ["airflow pools set demo 4 pnn_gluon", "airflow pools set demo_scores 2 pnn_gluon"]


def test_the_command_names_what_does_not_load_and_is_done_with_the_others(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf" / "broken.toml").write_text("name = 'broken'\n")
    done = dags_command(tmp_path / "conf", tmp_path / "dags")
    assert done.returncode == 2
    assert "broken.toml: first_day: " in done.stderr
    assert (tmp_path / "dags" / "pipeline_broken.py").exists()
    assert "airflow pools set demo 4 pnn_gluon" in done.stdout
    assert "pools set broken" not in done.stdout


def test_missing_pools_are_made_and_changed_ones_stay(dags: dict[str, Any]) -> None:
    from airflow.models.pool import Pool

    Pool.create_or_update_pool("here", 7, "by hand", include_deferred=True)
    assert make_pools({"here": 4, "here_scores": 2}) == ["here_scores"]
    assert make_pools({"here": 4, "here_scores": 2}) == []
    assert [Pool.get_pool(name).slots for name in ("here", "here_scores")] == [7, 2]
