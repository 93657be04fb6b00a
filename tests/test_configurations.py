"""The pipelines of a folder: which files are meant, and what no two of them may share."""

import re
from pathlib import Path

import pytest

from pnn_gluon.config import load_config
from pnn_gluon.configurations import load_all, pipeline_files, refuse_shared
from pnn_gluon.errors import ConfigError

TEXT = """
name = "{name}"
first_day = 2026-11-01
fields = [{{ name = "c1" }}]
[store]
root = "{root}"
[source]
logs = "logs/{{day}}.tsv"
columns = ["label", "c1"]
[model]
name = "fm"
"""


def write(folder: Path, file: str, name: str, root: str, publish: str = "") -> Path:
    path = folder / file
    path.write_text(TEXT.format(name=name, root=root) + publish)
    return path


def test_every_toml_file_of_a_folder_is_a_pipeline_and_a_file_is_one_alone(tmp_path: Path) -> None:
    for name in ("b.toml", "a.toml", ".#a.toml", "a.toml~", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "experiments").mkdir()
    assert pipeline_files(tmp_path) == [tmp_path / "a.toml", tmp_path / "b.toml"]
    assert pipeline_files(tmp_path / "b.toml") == [tmp_path / "b.toml"]


def test_no_folder_and_an_empty_one_are_errors_that_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: no such folder of pipelines' TOML files"):
        pipeline_files(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no \*\.toml in it: expected one for each pipeline"):
        pipeline_files(tmp_path)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (("a", "two/store", ""), "name: 'a'"),
        (("a_scores", "two/store", ""), "name: 'a_scores', with or without _scores,"),
        (("b", "./one/../one/store", ""), "store.root: {folder}/one/store"),
        (("b", "one/other", ""), "publish.table: 'scores' on the server {folder}/one/postgres"),
        (("b", "two/store", '[publish]\nfolder = "one/postgres"\n'), "publish.table: 'scores' on the server"),
    ],
)
def test_of_two_pipelines_with_one_name_store_or_table_one_is_refused_and_both_are_named(
    tmp_path: Path, other: tuple[str, str, str], said: str
) -> None:
    one, two = write(tmp_path, "one.toml", "a", "one/store"), write(tmp_path, "two.toml", *other)
    with pytest.raises(ConfigError, match=re.escape(said.format(folder=tmp_path))) as caught:
        refuse_shared(load_config(two), tmp_path)
    assert str(caught.value).startswith(str(two))
    assert f" is that of {one}; " in str(caught.value)
    refuse_shared(load_config(one), tmp_path)


def test_a_copy_does_not_stop_the_pipeline_that_it_is_a_copy_of(tmp_path: Path) -> None:
    original, copy = (write(tmp_path, f"{stem}.toml", "mine", "mine/store") for stem in ("mine", "a_copy_of_mine"))
    refuse_shared(load_config(original), tmp_path)
    with pytest.raises(ConfigError, match=rf"name: 'mine', .* is that of {original};"):
        refuse_shared(load_config(copy), tmp_path)
    loaded, faults = load_all(tmp_path)
    assert [config.path for config in loaded] == [original]
    assert len(faults) == 1


def test_tables_of_one_name_on_one_server_are_refused_and_on_two_servers_are_not(tmp_path: Path) -> None:
    two = load_config(write(tmp_path, "two.toml", "b", "two/store", '[publish]\nserver = "env:SCORES"\n'))
    write(tmp_path, "one.toml", "a", "one/store")
    refuse_shared(two, tmp_path)
    write(tmp_path, "one.toml", "a", "one/store", '[publish]\nserver = "env:SCORES"\n')
    with pytest.raises(ConfigError, match=r"two\.toml: publish\.table: 'scores' on the server env:SCORES"):
        refuse_shared(two, tmp_path)


def test_a_file_that_is_a_link_is_no_rival_of_itself(tmp_path: Path) -> None:
    """As files of a Kubernetes ConfigMap are."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "data").mkdir()
    real = write(tmp_path / "data", "version_7.toml", "mine", "../store")
    (tmp_path / "conf" / "mine.toml").symlink_to(real)
    write(tmp_path / "conf", "other.toml", "mine", "other/store")
    assert [config.path for config in load_all(tmp_path / "conf")[0]] == [real]


def test_a_broken_neighbour_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    (tmp_path / "paper.toml").write_text('name = "a"\n')
    refuse_shared(load_config(write(tmp_path, "one.toml", "a", "one/store")), tmp_path)
