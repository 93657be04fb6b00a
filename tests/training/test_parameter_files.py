"""A file of parameters that the disk did not take as a whole is an error, although MXNet says nothing."""

import errno
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from training_cases import LAYOUT, model

from pnn_gluon.ops import plain_operators
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import PARAMETERS_FILE, SYMBOL_FILE, export_model, predict_logits
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


@pytest.mark.parametrize("name", [SYMBOL_FILE, PARAMETERS_FILE])
def test_an_exported_model_that_a_full_disk_cuts_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    net = model()
    net.initialize()
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(OSError, match=re.escape(str(tmp_path / name))):
        export_model(net, tmp_path, LAYOUT.slots)


def initialized():
    mx.random.seed(5)
    net = model("deepfm", normalization="batch")
    net.initialize()
    return net


def test_an_exported_model_is_that_of_gluons_own_export(tmp_path: Path) -> None:
    export_model(initialized(), tmp_path, LAYOUT.slots)
    net = initialized()
    with plain_operators():
        net.hybridize(static_alloc=True)
        predict_logits(net, np.zeros((1, LAYOUT.slots), np.int32), batch_size=1)
        net.export(str(tmp_path / "own"), epoch=0)
    for name in (SYMBOL_FILE, PARAMETERS_FILE):
        assert (tmp_path / name).read_bytes() == (tmp_path / name.replace("model", "own")).read_bytes()
