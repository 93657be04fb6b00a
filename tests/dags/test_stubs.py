"""Every pipeline has a DAG file of its own, and no other file is touched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.airflow.stubs import write_stubs
from pnn_gluon.errors import ConfigError


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


def test_the_command_writes_the_stubs_and_says_which(configs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs", "dags", "--configs", str(configs), "--into", str(tmp_path / "dags")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [str(tmp_path / "dags" / f"pipeline_{name}.py") for name in "ab"]
