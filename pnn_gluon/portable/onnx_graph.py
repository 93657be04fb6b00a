"""An ONNX graph in the making: nodes and constants are added, and it is written as a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pnn_gluon.disk_errors import naming

OPSET = 21
"""The operators' version: that of ONNX 1.16, which onnxruntime runs from 1.20 on."""

IR_VERSION = 10
"""The format of the file, of the same release."""

LARGEST_FILE = 2**31 - 2**24
"""Bytes of constants beyond which they lie beside the file: a protobuf message ends at 2 GiB."""

_INSIDE = 1024
"""Bytes of a constant that is in the file all the same."""

_PAGE = 4096
"""Constants beside the file begin at multiples of it, so that they can be mapped into memory."""


class Named(NamedTuple):
    """An input or output: its name, its type, and its shape, with a name for what varies."""

    name: str
    dtype: Any
    dims: tuple[int | str, ...]


class OnnxGraph:
    """Nodes in the order of their making, each of which uses what is there already."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, NDArray[Any]] = {}
        self._narrow: dict[str, str] = {}

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output; its name."""
        return self.add_many(op, 1, *inputs, **attributes)[0]

    def add_many(self, op: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node; the names of its outputs."""
        name = f"{op}_{len(self._nodes)}"
        made = [f"{name}_{number}" if number else name for number in range(outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), made, name, **attributes))
        return made

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        """Add an array; its name."""
        name = name or f"constant_{len(self._constants)}"
        self._constants[name] = np.ascontiguousarray(value).reshape(value.shape)
        return name

    def integers(self, *values: int) -> str:
        """Add a list of integers, such as a shape; its name."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float, dtype: Any) -> str:
        """Add a number; its name."""
        return self.constant(np.array(value, dtype))

    def cast(self, name: str, dtype: Any) -> str:
        """Numbers as those of another type."""
        return self.add("Cast", name, to=_onnx_type(dtype))

    def reshape(self, name: str, *dims: int) -> str:
        """The numbers of a tensor in another shape; -1 for the one dimension that varies."""
        return self.add("Reshape", name, self.integers(*dims))

    def widen(self, narrow: str, dims: Sequence[int]) -> str:
        """Repeat a tensor along its dimensions of 1; what calculates number by number may take `narrow_of` it."""
        wide = self.add("Expand", narrow, self.integers(*dims))
        self._narrow[wide] = narrow
        return wide

    def narrow_of(self, name: str) -> str:
        """The tensor that `widen` made this one from, else itself."""
        return self._narrow.get(name, name)

    def rename(self, name: str, wanted: str) -> None:
        """Give a tensor a name by which it can be an output."""
        self._nodes.append(helper.make_node("Identity", [name], [wanted], f"Identity_{wanted}"))

    def write(
        self,
        path: Path,
        inputs: Sequence[Named],
        outputs: Sequence[Named],
        metadata: Mapping[str, str],
        largest: int = LARGEST_FILE,
    ) -> list[Path]:
        """Write what the outputs need as a file, check it, and tell the files.

        Equal graphs give equal bytes.

        Args:
            path: The file; `<path>.data` beside it holds the constants of a graph of more than `largest` bytes.
            inputs: What is given.
            outputs: What is asked for.
            metadata: Of the model, as texts.
            largest: Bytes of constants in the file.

        Raises:
            OSError: when the disk did not take the whole files.
        """
        nodes = self._needed({output.name for output in outputs})
        used = {name for node in nodes for name in node.input}
        constants = {name: value for name, value in self._constants.items() if name in used}
        beside = path.with_name(f"{path.name}.data") if _bytes(constants) > largest else None
        graph = helper.make_graph(
            nodes, "pnn_gluon", [_info(each) for each in inputs], [_info(each) for each in outputs]
        )
        graph.initializer.extend(_tensors(constants, beside))
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="pnn_gluon")
        helper.set_model_props(model, dict(sorted(metadata.items())))
        with naming(path):
            path.write_bytes(model.SerializeToString(deterministic=True))
        onnx.checker.check_model(str(path), full_check=True)
        return [path] if beside is None else [path, beside]

    def _needed(self, wanted: set[str]) -> list[onnx.NodeProto]:
        """The nodes that these tensors come from, in their order."""
        kept = []
        for node in reversed(self._nodes):
            if wanted & set(node.output):
                kept.append(node)
                wanted |= set(node.input)
        return kept[::-1]


def _onnx_type(dtype: Any) -> int:
    number: int = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return number


def _info(named: Named) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(named.name, _onnx_type(named.dtype), named.dims)


def _bytes(constants: Mapping[str, NDArray[Any]]) -> int:
    return sum(value.nbytes for value in constants.values())


def _tensors(constants: Mapping[str, NDArray[Any]], beside: Path | None) -> list[TensorProto]:
    """The constants; the large ones without their numbers, which are written beside."""
    if beside is None:
        return [numpy_helper.from_array(value, name) for name, value in constants.items()]
    with naming(beside), beside.open("wb") as file:
        return [_outside(name, value, file, beside.name) for name, value in constants.items()]


def _outside(name: str, value: NDArray[Any], file: Any, location: str) -> TensorProto:
    if value.nbytes < _INSIDE:
        return numpy_helper.from_array(value, name)
    file.write(b"\0" * (-file.tell() % _PAGE))
    place = {"location": location, "offset": str(file.tell()), "length": str(value.nbytes)}
    file.write(value.reshape(-1).view(np.uint8).data)
    tensor = TensorProto(name=name, data_type=_onnx_type(value.dtype), dims=value.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in place.items():
        tensor.external_data.add(key=key, value=text)
    return tensor
