from pathlib import Path

import pytest
from part_functions import Number, die, refuse_two, write

from pnn_gluon.config import EngineConfig
from pnn_gluon.errors import InputError, PnnError
from pnn_gluon.warehouse.part_engine import map_parts

SPARK = EngineConfig(kind="spark", threads=7, memory_limit="300MB", spark_master="local[2]")


def numbers(folder: Path, count: int) -> list[Number]:
    return [Number(number, folder / f"{number}.txt") for number in range(count)]


def test_results_come_in_the_order_of_the_parts_and_files_under_their_names(tmp_path: Path) -> None:
    assert map_parts(SPARK, write, numbers(tmp_path, 5)) == [(number, 1, "300MB") for number in range(5)]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {f"{n}.txt": str(n) for n in range(5)}


def test_the_error_of_a_part_is_told_as_it_is_and_leaves_no_half_file_of_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^part 2: not readable; deliver it again$"):
        map_parts(SPARK, refuse_two, numbers(tmp_path, 4))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.txt", "1.txt", "3.txt"]


def test_a_task_that_is_killed_ends_the_step_with_a_word_about_spark(tmp_path: Path) -> None:
    with pytest.raises(PnnError, match=r"Spark at local\[2\] gave up: "):
        map_parts(SPARK, die, numbers(tmp_path, 2))
    assert list(tmp_path.iterdir()) == []


def test_without_parts_no_session_is_begun() -> None:
    nowhere = EngineConfig(kind="spark", spark_master="spark://nowhere:1")
    assert map_parts(nowhere, write, []) == []
