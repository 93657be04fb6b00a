"""A file of parameters that the disk did not take as a whole is an error, although MXNet says nothing."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from training_cases import LAYOUT, model

from pnn_gluon.runtime import mx
from pnn_gluon.training.export import export_model
from pnn_gluon.training.parameters import file_size, read_values, save_values

VALUES = {"a": mx.nd.ones((5, 3)), "bcd": mx.nd.ones((2, 3, 4), dtype="int32"), "é": mx.nd.ones((1,), dtype="float16")}


def cut(save, bytes_left: int):
    def short(path, values):
        save(path, values)
        os.truncate(path, bytes_left)

    return short


def test_the_size_of_a_file_is_known_beforehand(tmp_path: Path) -> None:
    save_values(tmp_path / "a", VALUES)
    assert (tmp_path / "a").stat().st_size == file_size(VALUES)
    np.testing.assert_array_equal(read_values(tmp_path / "a")["bcd"].asnumpy(), np.ones((2, 3, 4)))


@pytest.mark.parametrize("bytes_left", [0, 100, file_size(VALUES) - 1])
def test_a_short_file_is_an_error_that_names_it(tmp_path: Path, monkeypatch, bytes_left: int) -> None:
    monkeypatch.setattr(mx.nd, "save", cut(mx.nd.save, bytes_left))
    with pytest.raises(OSError, match=f"only {bytes_left} of {file_size(VALUES)} bytes .*a.params"):
        save_values(tmp_path / "a.params", VALUES)


def test_a_file_that_mxnet_could_not_write_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.params").mkdir()
    with pytest.raises(OSError, match=r"MXNet could not write the file: '.*a\.params'"):
        save_values(tmp_path / "a.params", VALUES)


def test_a_full_disk_is_told_from_other_troubles(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(mx.nd, "save", cut(mx.nd.save, 0))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(OSError, match="bytes were written") as raised:
        save_values(tmp_path / "a.params", VALUES)
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("name", ["model-symbol.json", "model-0000.params"])
def test_an_exported_model_that_is_cut_is_an_error(tmp_path: Path, monkeypatch, name: str) -> None:
    net = model()
    net.initialize()
    whole = type(net).export

    def short(self, path, epoch):
        whole(self, path, epoch=epoch)
        os.truncate(tmp_path / name, 50)

    monkeypatch.setattr(type(net), "export", short)
    with pytest.raises(OSError, match=r"model-0000\.params"):
        export_model(net, tmp_path, LAYOUT.slots)
