"""Writes an ONNX model (opset 17 and onnxruntime's own operators) without the `onnx` package.

The format is protocol buffers; the field numbers are those of onnx.proto3
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}
IR_VERSION, OPSET = 8, 17
MICROSOFT = "com.microsoft"


class Graph:
    """A graph under construction. `add` puts in an operator and returns the name of its output."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._count = 0

    def input(self, name: str, kind: str, shape: Sequence[str | int]) -> str:
        self._parts.append(field(11, value_info(name, kind, shape)))
        return name

    def output(self, name: str, kind: str, shape: Sequence[str | int]) -> None:
        self._parts.append(field(12, value_info(name, kind, shape)))

    def constant(self, value: NDArray[np.generic]) -> str:
        """A tensor of the model: its name."""
        name = self._name("w")
        dims = b"".join(number(1, size) for size in value.shape)
        kind = number(2, TYPES[str(value.dtype)])
        self._parts.append(field(5, dims + kind + field(8, name.encode()) + field(9, value.tobytes())))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: float | int | Sequence[int]) -> str:
        name = self._name("x")
        node = b"".join(field(1, source.encode()) for source in inputs) + field(2, name.encode())
        node += field(4, operator.encode())
        node += b"".join(field(5, attribute(key, value)) for key, value in attributes.items())
        self._parts.append(field(1, node + (field(7, domain.encode()) if domain else b"")))
        return name

    def model(self) -> bytes:
        """The finished model."""
        graph = b"".join([*self._parts, field(2, b"bert")])
        opsets = field(8, number(2, OPSET)) + field(8, field(1, MICROSOFT.encode()) + number(2, 1))
        return number(1, IR_VERSION) + field(2, b"kitestring") + field(7, graph) + opsets

    def _name(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"


def value_info(name: str, kind: str, shape: Sequence[str | int]) -> bytes:
    dims = (field(2, size.encode()) if isinstance(size, str) else number(1, size) for size in shape)
    tensor = number(1, TYPES[kind]) + field(2, b"".join(field(1, dim) for dim in dims))
    return field(1, name.encode()) + field(2, field(1, tensor))


def attribute(name: str, value: float | int | Sequence[int]) -> bytes:
    head = field(1, name.encode())
    if isinstance(value, float):
        return head + b"\x15" + struct.pack("<f", value) + number(20, 1)
    if isinstance(value, int):
        return head + number(3, value) + number(20, 2)
    return head + b"".join(number(8, item) for item in value) + number(20, 7)


def field(tag: int, data: bytes) -> bytes:
    """A length-delimited field."""
    return varint(tag << 3 | 2) + varint(len(data)) + data


def number(tag: int, value: int) -> bytes:
    """An integer field; a negative number takes the ten bytes of its 64-bit two's complement."""
    return varint(tag << 3) + varint(value & 0xFFFFFFFFFFFFFFFF)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
