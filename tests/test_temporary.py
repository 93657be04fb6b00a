import shutil
import threading
from pathlib import Path

import pytest

from pnn_gluon.abandoned import remove_abandoned
from pnn_gluon.temporary import temporary_folder


def test_a_folder_that_another_process_removes_at_the_same_time_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = shutil.rmtree

    def with_a_cleaner(path: Path, ignore_errors: bool = False) -> None:
        removed(path)  # the cleaner, who came between the lock and the folder
        removed(path, ignore_errors)

    with temporary_folder(tmp_path, "parts-") as folder:
        (folder / "file").touch()
        monkeypatch.setattr("pnn_gluon.temporary.shutil.rmtree", with_a_cleaner)
        monkeypatch.setattr("pnn_gluon.abandoned.shutil.rmtree", removed)
    assert list(tmp_path.iterdir()) == []


def test_many_make_and_remove_folders_side_by_side(tmp_path: Path) -> None:
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                with temporary_folder(tmp_path, "parts-") as folder:
                    (folder / "file").touch()
                remove_abandoned(tmp_path.glob("parts-*"))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
