from pathlib import Path

import pytest

from pnn_gluon.store.parts import named, part_names, part_path, parts_in


@pytest.mark.parametrize("name", ["rows.parquet", "2026-11-01.h5", "scores.csv.gz"])
def test_parts_of_a_file_are_found_in_order(tmp_path: Path, name: str) -> None:
    parts = [part_path(tmp_path / name, number) for number in (0, 1, 2, 11, 123_456)]
    for path in reversed(parts):
        path.touch()
    (tmp_path / "rows.csv").touch()
    assert parts_in(tmp_path / name) == parts


@pytest.mark.parametrize(
    "other", ["rows-1.parquet", "rows-00001.csv", "rows-0000a.parquet", "my-rows.parquet", "rows-00001-00002.parquet"]
)
def test_other_names_are_no_parts(other: str) -> None:
    assert part_names("rows.parquet", [other, "rows.parquet"]) == ["rows.parquet"]


def test_a_day_is_no_part_of_another() -> None:
    names = ["2026-11-01.h5", "2026-11-01-00001.h5", "2026-11-02.h5", "2026-11-02-00001.h5"]
    assert part_names("2026-11-02.h5", names) == names[2:]


def test_files_are_named_by_the_first() -> None:
    assert named(Path("a")) == "a"
    assert named([Path("a"), Path("b"), Path("c")]) == "a and 2 more"
