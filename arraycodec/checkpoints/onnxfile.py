"""ONNX: the initializers of a model's graph, and of graphs within it.

The model without their values is the skeleton.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError as ProtobufError
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from ..errors import FormatError, ParameterError
from . import files, views
from .files import CheckpointFile, FileTensor, unique

_VALUES = (
    "raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data", "external_data",
    "data_location",
)  # fmt: skip
_MOST = (1 << 31) - 1  # bytes of a protobuf message


def open_file(path: Path) -> CheckpointFile:
    """See `files.open_file`."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (ProtobufError, ValueError) as e:
        raise FormatError(f"{path}: not a readable ONNX model: {e}") from None
    if not model.HasField("graph"):
        raise FormatError(f"{path}: an ONNX model without a graph")
    skeleton = onnx.ModelProto()
    skeleton.CopyFrom(model)
    for _, tensor in _initializers(skeleton):
        for field in _VALUES:
            tensor.ClearField(field)
    tensors = [_tensor(name, tensor, path) for name, tensor in _initializers(model)]
    return CheckpointFile("onnx", tensors, skeleton=skeleton.SerializeToString(deterministic=True))


def _initializers(model: onnx.ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Each with a name that no other has; texts are left where they are."""
    taken: set[str] = set()

    def walk(graph: onnx.GraphProto, prefix: str) -> Iterator[tuple[str, TensorProto]]:
        for tensor in graph.initializer:
            if tensor.data_type == TensorProto.STRING:
                continue
            name = unique(prefix + tensor.name, taken)
            taken.add(name)
            yield name, tensor
        for node in graph.node:
            for attribute in node.attribute:
                inner = [attribute.g] if attribute.HasField("g") else attribute.graphs
                for within in inner:
                    yield from walk(within, f"{prefix}{node.name or node.op_type}.{attribute.name}/")

    yield from walk(model.graph, "")


def _tensor(name: str, tensor: TensorProto, path: Path) -> FileTensor:
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError) as e:
        raise FormatError(f"{path}: {name!r} has an unknown type, {tensor.data_type}: {e}") from None
    view = views.of_dtype(dtype)
    stored = dtype if view is None else view.stored
    shape = tuple(tensor.dims)

    def read() -> np.ndarray:
        whole = tensor
        try:
            if external_data_helper.uses_external_data(tensor):
                whole = TensorProto()
                whole.CopyFrom(tensor)
                external_data_helper.load_external_data_for_tensor(whole, str(path.parent))
            values = np.asarray(numpy_helper.to_array(whole))
        except (OSError, ValueError, TypeError, onnx.checker.ValidationError) as e:
            raise FormatError(f"{path}: {name!r} is not readable: {e}") from None
        if values.shape != shape:
            raise FormatError(f"{path}: {name!r} has values of shape {values.shape}, not {shape}")
        return values.view(stored)

    return FileTensor(name, stored, shape, view, read)


class FileWriter(files.Writer):
    """The model with other values, all in the one file."""

    format = "onnx"
    needs_skeleton = True

    def complete(self) -> None:
        """See `files.Writer`."""
        model, left = onnx.ModelProto(), dict(self.tensors)
        try:
            model.ParseFromString(self.skeleton)
        except ProtobufError as e:
            raise FormatError(f"what is kept of the ONNX model is not readable: {e}") from None
        total = len(self.skeleton) + sum(array.nbytes for array in self.arrays.values())
        outside = _Outside(self.final.with_name(self.final.name + ".data")) if total > _MOST else None
        for name, tensor in _initializers(model):
            wanted = left.pop(name, None)
            if wanted is None or wanted.shape != tuple(tensor.dims):
                raise ParameterError(f"the model's initializer {name!r} {list(tensor.dims)} is not among the tensors")
            values = self.arrays[name] if wanted.view is None else wanted.view.values(self.arrays[name])
            if helper.np_dtype_to_tensor_dtype(values.dtype) != tensor.data_type:
                raise ParameterError(f"the model's initializer {name!r} has another type than {values.dtype}")
            tensor.raw_data = numpy_helper.from_array(np.ascontiguousarray(values)).raw_data
            if outside is not None:
                outside.take(tensor)
        if left:
            raise ParameterError(f"the ONNX model has no initializer {next(iter(left))!r}")
        if outside is not None:
            outside.close()
        self.path.write_bytes(model.SerializeToString(deterministic=True))


class _Outside:
    """The file beside a model that is larger than a message can be, for the values of its large tensors."""

    _LEAST, _ALIGNMENT = 1024, 4096

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise ParameterError(f"{path} exists: a model of more than {_MOST} bytes needs it for its values")
        self._path, self._file = path, open(path, "xb")

    def take(self, tensor: TensorProto) -> None:
        """Write the values of a tensor, which then says where they are."""
        data = tensor.raw_data
        if len(data) < self._LEAST:
            return
        self._file.write(bytes(-self._file.tell() % self._ALIGNMENT))
        offset = self._file.tell()
        self._file.write(data)
        external_data_helper.set_external_data(tensor, self._path.name, offset, len(data))
        tensor.ClearField("raw_data")

    def close(self) -> None:
        """All of it is written."""
        self._file.close()
