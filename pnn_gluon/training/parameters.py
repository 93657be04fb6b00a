"""Values of a network's parameters: taken, put back, saved, checked."""

import errno
import resource
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.id_table import is_row_parameter, whole_shapes
from pnn_gluon.errors import InputError, PnnError
from pnn_gluon.runtime import HybridBlock, Tensor, mx
from pnn_gluon.training.array_file import mapped_arrays

Values = dict[str, Tensor]
"""Parameter values by structural name, as in a file of Gluon's `save_parameters`."""

PUT_BYTES = 2**24
"""Of a table of ids at once."""


def named_parameters(net: HybridBlock) -> dict[str, Any]:
    """Parameters by structural name, such as `embedding.embedding_weight`."""
    parameters: dict[str, Any] = net._collect_params_with_prefix()
    return parameters


def shapes_of(net: HybridBlock) -> dict[str, tuple[int, ...]]:
    """Shapes by structural name."""
    return {name: tuple(parameter.shape) for name, parameter in named_parameters(net).items()}


def take_values(net: HybridBlock) -> Values:
    """Copies of the values on the first device."""
    return {name: value.copy() for name, value in values_of(net).items()}


def values_of(net: HybridBlock) -> Values:
    """The values on the first device themselves, to be read before the network is trained on."""
    return {name: parameter.list_data()[0] for name, parameter in named_parameters(net).items()}


def put_values(net: HybridBlock, values: Mapping[str, Tensor], source: str = "given values") -> None:
    """Set every parameter of an initialized network, on all its devices.

    Raises:
        InputError: a parameter is missing, left over, or of another shape; the message names `source`.
    """
    _refuse_others(net, values, source)
    for name, parameter in named_parameters(net).items():
        set_value(parameter, values[name])


def _refuse_others(net: HybridBlock, values: Mapping[str, Tensor | NDArray[Any]], source: str) -> None:
    """Raise InputError unless these are all parameters of a network, in their shapes."""
    if odd := sorted(named_parameters(net).keys() ^ values.keys()):
        raise InputError(f"{source}: not the parameters of this model; these are only in one of the two: {odd}")
    refuse_other_shapes(net, values, source)


def refuse_other_shapes(net: HybridBlock, values: Mapping[str, Tensor | NDArray[Any]], source: str) -> None:
    """See that values have the shapes of a network's parameters, as far as these are known.

    Raises:
        InputError: one has another; the message names `source`.
    """
    shapes = whole_shapes({name: tuple(value.shape) for name, value in values.items()})
    wanted = whole_shapes(shapes_of(net))
    for name, expected in wanted.items():
        found = shapes[name]
        if len(found) != len(expected) or any(0 < one != other for one, other in zip(expected, found, strict=True)):
            raise InputError(f"{source}: {name} has the shape {found}, the model {expected}")


def set_value(parameter: Any, value: Tensor) -> None:
    """Give a parameter a value on all its devices.

    An operator writes it: `set_data` cannot copy into the weights of a convolution that has been used for inference,
    which have a memory layout of their own then.
    """
    for array in parameter.list_data():
        mx.nd.identity(value.as_in_context(array.context), out=array)


def put_file(net: HybridBlock, path: Path) -> None:
    """Set every parameter of an initialized network from a file, in the memory of the network and `PUT_BYTES` more.

    Raises:
        InputError: the file is damaged, or not of this network.
    """
    arrays = mapped_arrays(path)
    _refuse_others(net, arrays, str(path))
    for name, parameter in named_parameters(net).items():
        _put_rows(parameter, arrays[name])


def _put_rows(parameter: Any, array: NDArray[Any]) -> None:
    """Give a parameter a value on all its devices: a table of ids by parts, anything else as a whole."""
    if not is_row_parameter(parameter.name):
        set_value(parameter, mx.nd.array(array, dtype=array.dtype))
        return
    rows = max(1, PUT_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        part = mx.nd.array(array[start : start + rows], dtype=array.dtype)
        for held in parameter.list_data():
            held[start : start + rows] = part.as_in_context(held.context)


def read_values(path: Path) -> Values:
    """Values from a file of `save_parameters` or of a checkpoint, on the CPU.

    Raises:
        InputError: the file is missing or damaged.
    """
    return {name: mx.nd.array(array, dtype=array.dtype) for name, array in mapped_arrays(path).items()}


def save_values(path: Path, values: Mapping[str, Tensor]) -> None:
    """Write values as `read_values` reads them.

    Raises:
        OSError: when the disk did not take the whole file, which MXNet tells unclearly or not at all.
    """
    with written_whole(path, values):
        mx.nd.save(str(path), dict(values))


@contextmanager
def written_whole(path: Path, values: Mapping[str, Tensor]) -> Iterator[None]:
    """See that MXNet writes a file of these arrays as a whole inside the block; see `save_values`."""
    expected = file_size(values)
    try:
        yield
    except mx.MXNetError as error:
        raise OSError(_why_short(path, expected), "MXNet could not write the file", str(path)) from error
    if path.stat().st_size < expected:
        raise OSError(
            _why_short(path, expected), f"only {path.stat().st_size:,} of {expected:,} bytes were written", str(path)
        )


def _why_short(path: Path, expected: int) -> int:
    """The error number that MXNet kept to itself, as far as can be seen now."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY and limit < expected:
        return errno.EFBIG
    return errno.ENOSPC if shutil.disk_usage(path.parent).free < expected else errno.EIO


def file_size(values: Mapping[str, Tensor]) -> int:
    """Bytes of MXNet's file of dense arrays: 32 + for each 32 + 8 dimensions + its elements + the name's bytes."""
    each: Iterator[int] = (
        32 + 8 * len(array.shape) + array.size * np.dtype(array.dtype).itemsize + len(name.encode())
        for name, array in values.items()
        if array.stype == "default"
    )
    return 32 + sum(each)


def check_finite(net: HybridBlock, where: str) -> None:
    """Raise PnnError if any parameter holds NaN or infinity."""
    check_values_finite(values_of(net), where)


def check_values_finite(values: Mapping[str, Tensor], where: str) -> None:
    """Raise PnnError, with the moment of training, if any of these holds NaN or infinity."""
    for name, value in values.items():
        if not np.isfinite(mx.nd.multi_sum_sq(value, num_arrays=1).asscalar()):
            raise PnnError(f"training diverged {where}: {name} is not finite; lower learning_rate or set clip_norm")
