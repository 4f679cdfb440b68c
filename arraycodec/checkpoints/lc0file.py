"""Networks of Leela Chess Zero: protobuf messages, compressed by gzip, whose layers are integers of 16 bits.

A layer has the least and the largest of its weights and for each weight an integer q, which stands for
q / 65535 * (largest - least) + least in single precision.  Here the integers are the tensors (the view "linear16",
counted from the one whose weight is next to 0), so that such a network comes back as what it was.  Everything else of
the message, fields that are not known here included, is the skeleton, byte for byte.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError, ParameterError, TruncatedError
from . import files
from .files import CheckpointFile, FileTensor
from .views import linear16

MAGIC = 0x1C0
_MOST = 4 << 30  # bytes of a network
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LINEAR16 = 1

# ---- the messages that lead to layers: names of fields by number, and what they are (lczero-common, net.proto) ----
_LAYER = "layer"
_CONV = {1: "weights", 2: "biases", 3: "bn_means", 4: "bn_stddivs", 5: "bn_gammas", 6: "bn_betas"}
_SE = {1: "w1", 2: "b1", 3: "w2", 4: "b2"}
_RESIDUAL = {1: ("conv1", _CONV), 2: ("conv2", _CONV), 3: ("se", _SE)}
_SMOLGEN = dict(enumerate((
    "compress", "dense1_w", "dense1_b", "ln1_gammas", "ln1_betas", "dense2_w", "dense2_b", "ln2_gammas", "ln2_betas",
), 1))  # fmt: skip
_MHA = {
    1: "q_w", 2: "q_b", 3: "k_w", 4: "k_b", 5: "v_w", 6: "v_b", 7: "dense_w", 8: "dense_b", 9: ("smolgen", _SMOLGEN),
    10: "rpe_q", 11: "rpe_k", 12: "rpe_v",
}  # fmt: skip
_FFN = {1: "dense1_w", 2: "dense1_b", 3: "dense2_w", 4: "dense2_b"}
_ENCODER = {
    1: ("mha", _MHA), 2: "ln1_gammas", 3: "ln1_betas", 4: ("ffn", _FFN), 5: "ln2_gammas", 6: "ln2_betas",
}  # fmt: skip
_POLICY = {
    1: "ip_pol_w", 2: "ip_pol_b", 3: "ip2_pol_w", 4: "ip2_pol_b", 5: "ip3_pol_w", 6: "ip3_pol_b", 7: "ip4_pol_w",
    8: ("pol_encoder", _ENCODER), 10: ("policy1", _CONV), 11: ("policy", _CONV),
}  # fmt: skip
_VALUE = {
    1: "ip_val_w", 2: "ip_val_b", 3: "ip1_val_w", 4: "ip1_val_b", 5: "ip2_val_w", 6: "ip2_val_b", 7: "ip_val_err_w",
    8: "ip_val_err_b", 9: "ip_val_cat_w", 10: "ip_val_cat_b", 11: ("value", _CONV),
}  # fmt: skip
_POLICIES = {
    1: "ip_pol_w", 2: "ip_pol_b", 3: ("vanilla", _POLICY), 4: ("optimistic_st", _POLICY), 5: ("soft", _POLICY),
    6: ("opponent", _POLICY), 7: ("policy_head_map", {2: ("value", _POLICY)}),
}  # fmt: skip
_VALUES = {
    1: ("winner", _VALUE), 2: ("q", _VALUE), 3: ("st", _VALUE), 4: ("value_head_map", {2: ("value", _VALUE)}),
}  # fmt: skip
_WEIGHTS = {
    1: ("input", _CONV), 2: ("residual", _RESIDUAL), 3: ("policy", _CONV), 4: "ip_pol_w", 5: "ip_pol_b",
    6: ("value", _CONV), 7: "ip1_val_w", 8: "ip1_val_b", 9: "ip2_val_w", 10: "ip2_val_b", 11: ("policy1", _CONV),
    12: ("moves_left", _CONV), 13: "ip1_mov_w", 14: "ip1_mov_b", 15: "ip2_mov_w", 16: "ip2_mov_b", 17: "ip2_pol_w",
    18: "ip2_pol_b", 19: "ip3_pol_w", 20: "ip3_pol_b", 21: ("pol_encoder", _ENCODER), 22: "ip4_pol_w",
    25: "ip_emb_w", 26: "ip_emb_b", 27: ("encoder", _ENCODER), 29: "ip_val_w", 30: "ip_val_b", 31: "ip_mov_w",
    32: "ip_mov_b", 33: "ip_mult_gate", 34: "ip_add_gate", 35: "smolgen_w", 36: "smolgen_b", 37: "ip_emb_preproc_w",
    38: "ip_emb_preproc_b", 39: "ip_emb_ln_gammas", 40: "ip_emb_ln_betas", 41: ("ip_emb_ffn", _FFN),
    42: "ip_emb_ffn_ln_gammas", 43: "ip_emb_ffn_ln_betas", 44: ("value_heads", _VALUES),
    45: ("policy_heads", _POLICIES),
}  # fmt: skip
_NET: dict[int, Any] = {10: ("", _WEIGHTS)}
_REPEATED = ("residual", "encoder", "pol_encoder", "policy_head_map", "value_head_map")


# ---- the wire format of protobuf ----
def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise TruncatedError("a message ends within a number")
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
        if shift > 63:
            raise FormatError("a number of more than 64 bits in a message")


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview, memoryview]]:
    """Number, kind, all bytes and value of each field of a message."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        first = at
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind == _BYTES:
            length, first = _varint(data, at)
            at = first + length
        elif kind in (_FIXED32, _FIXED64):
            at += 4 if kind == _FIXED32 else 8
        else:
            raise FormatError(f"a field of kind {kind} in a message")
        if at > len(data) or number == 0:
            raise TruncatedError("a field ends beyond its message")
        yield number, kind, data[start:at], data[first:at]


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: bytes) -> bytes:
    return _number(number << 3 | _BYTES) + _number(len(value)) + value


# ---- layers ----
#: What becomes of a layer's integers: takes its name, its two numbers and the integers; returns those to put there.
Each = Callable[[str, float, float, bytes], bytes]


def _rewritten(data: memoryview, messages: dict[int, Any], prefix: str, each: Each) -> bytes:
    """A message whose layers have got other integers."""
    out, counts = [], dict.fromkeys(_REPEATED, 0)
    for number, kind, whole, value in _fields(data):
        known = messages.get(number) if kind == _BYTES else None
        if known is None:
            out.append(bytes(whole))
        elif isinstance(known, str):
            out.append(_field(number, _layer(value, prefix + known, each)))
        else:
            name, inner = known
            if name in counts:
                counts[name] += 1
                name += f".{counts[name] - 1}"
            out.append(_field(number, _rewritten(value, inner, f"{prefix}{name}." if name else prefix, each)))
    return b"".join(out)


def _layer(data: memoryview, name: str, each: Each) -> bytes:
    fields = list(_fields(data))
    limits, params = {1: 0.0, 2: 0.0}, []
    for number, kind, _, value in fields:
        if number in limits and kind == _FIXED32:
            (limits[number],) = struct.unpack("<f", value)
        elif number == 3 and kind == _BYTES:
            params.append(bytes(value))
    if len(params) > 1 or len(params) == 1 and len(params[0]) % 2:
        raise FormatError(f"layer {name}: {len(params)} lists of integers, of {[len(p) for p in params]} bytes")
    out = []
    for number, kind, whole, _ in fields:
        is_params = number == 3 and kind == _BYTES
        out.append(_field(3, each(name, limits[1], limits[2], params[0])) if is_params else bytes(whole))
    return b"".join(out)


def _is_linear16(data: memoryview) -> bool:
    """Whether the message says that layers are what is known here."""
    encoding = 0
    for number, kind, _, value in _fields(data):
        if number == 4 and kind == _BYTES:  # Format
            for inner, of, _, content in _fields(value):
                if inner == 1 and of == _VARINT:
                    encoding, _ = _varint(content, 0)
    return encoding == _LINEAR16


def open_file(path: Path) -> CheckpointFile:
    """See `files.open_file`."""
    data = memoryview(_bytes(path))
    try:
        first = next(_fields(data), None)
        if first is None or first[:2] != (1, _FIXED32) or struct.unpack("<I", first[3])[0] != MAGIC:
            raise FormatError("no network of lc0")
        if not _is_linear16(data):
            raise FormatError("its layers are not of 16 bits (an ONNX model within a network is read by lc0 alone)")
        tensors: dict[str, FileTensor] = {}

        def take(name: str, low: float, high: float, params: bytes) -> bytes:
            if name in tensors:
                raise FormatError(f"layer {name} is there twice")
            view, q = linear16(low, high), np.frombuffer(params, "<u2")
            tensors[name] = FileTensor(name, view.stored, q.shape, view, lambda: q.astype("i4") - view.zero)
            return b""

        skeleton = _rewritten(data, _NET, "", take)
    except (FormatError, TruncatedError) as e:
        raise type(e)(f"{path}: {e}") from None
    return CheckpointFile("lc0", list(tensors.values()), skeleton=skeleton)


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as f:
            data = f.read(_MOST + 1)
    except (OSError, EOFError, zlib.error) as e:
        raise FormatError(f"{path}: not readable by gzip: {e}") from None
    if len(data) > _MOST:
        raise FormatError(f"{path}: more than {_MOST} bytes are no network")
    return data


class FileWriter(files.Writer):
    """A network with other integers."""

    format = "lc0"
    needs_skeleton = True

    def complete(self) -> None:
        """See `files.Writer`."""
        left = dict(self.tensors)

        def put(name: str, low: float, high: float, _: bytes) -> bytes:
            tensor = left.pop(name, None)
            view = linear16(low, high)
            if tensor is None or str(tensor.view) != str(view):
                raise ParameterError(f"the network's layer {name} ({view}) is not among the tensors")
            return view.integers(self.arrays[name]).astype("<u2", copy=False).tobytes()

        data = _rewritten(memoryview(self.skeleton), _NET, "", put)
        if left:
            raise ParameterError(f"a network of lc0 has no layer {next(iter(left))!r}")
        if self.final.name.lower().endswith(".pb"):
            self.path.write_bytes(data)
            return
        with open(self.path, "wb") as out, gzip.GzipFile("", "wb", fileobj=out, mtime=0) as f:
            f.write(data)
