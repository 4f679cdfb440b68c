"""Codecs that misbehave in every way that real ones do, for the benchmark to report."""

import os
import signal
import time
import zlib

import numpy as np

from arraycodec.cli.bench.peers.base import BOUNDED, Adapter


class Honest(Adapter):
    """Stores the bytes; in its own memory, so that results are not in `like`."""

    name = "honest"
    family = BOUNDED

    def encode(self, array, tol):
        return array.tobytes()

    def decode(self, data, like):
        return np.frombuffer(data, like.dtype).reshape(like.shape).copy()


class Rounds(Honest):
    """Keeps a bound: multiples of 2 tol, exact in float64."""

    name = "rounds"
    kinds = ("f8",)
    keeps_nan = False

    def encode(self, array, tol):
        assert np.isfinite(array).all()
        self._step = 2 * tol
        return zlib.compress(np.rint(array / self._step).astype("i4"))

    def decode(self, data, like):
        return (np.frombuffer(zlib.decompress(data), "i4") * self._step).reshape(like.shape)


class Aborts(Honest):
    name = "aborts"

    def encode(self, array, tol):
        print("what a library prints", flush=True)
        os.abort()


class Segfaults(Honest):
    name = "segfaults"

    def decode(self, data, like):
        os.kill(os.getpid(), signal.SIGSEGV)


class Exits(Honest):
    name = "exits"

    def decode(self, data, like):
        os._exit(3)


class Hangs(Honest):
    name = "hangs"

    def decode(self, data, like):
        time.sleep(600)


class Raises(Honest):
    name = "raises"

    def encode(self, array, tol):
        raise ValueError("no such\nthing")


class RaisesLater(Honest):
    """In the second round, when it has been checked."""

    name = "raises later"
    calls = 0

    def decode(self, data, like):
        self.calls += 1
        if self.calls > 5:
            raise RuntimeError("tired")
        return super().decode(data, like)


class LosesNan(Honest):
    name = "loses NaN"

    def decode(self, data, like):
        return np.nan_to_num(super().decode(data, like), nan=0.0)


class OtherNan(Honest):
    """NaN stays NaN, with other bits; that is no loss."""

    name = "other NaN"

    def decode(self, data, like):
        values = super().decode(data, like)
        values[np.isnan(values)] = -np.float32(np.nan)
        values.view(np.uint32)[np.isnan(values)] |= 1
        return values


class Violates(Honest):
    name = "violates"

    def decode(self, data, like):
        values = super().decode(data, like)
        values.reshape(-1)[1] += 1.0
        return values


class WrongShape(Honest):
    name = "wrong shape"

    def decode(self, data, like):
        return super().decode(data, like).reshape(-1)[:-1]


class ForgetsValues(Honest):
    """Leaves a value of the given memory as it is."""

    name = "forgets values"

    def decode(self, data, like):
        np.copyto(like.reshape(-1)[1:], np.frombuffer(data, like.dtype)[1:])
        return like


class Slow(Honest):
    name = "slow"

    def encode(self, array, tol):
        time.sleep(0.1)
        return super().encode(array, tol)


class Impostor(Violates):
    """What it would look like if ours broke its bound."""

    name = "arraycodec"


class Missing(Honest):
    name = "missing"

    def __init__(self):
        raise ImportError("no package of that name")


class Slices(Honest):
    """Smaller for every axis that it does not get."""

    name = "SZ3 slices"
    axes = 3

    def encode(self, array, tol):
        return array.tobytes() + bytes(1000 * array.ndim**4)

    def decode(self, data, like):
        return super().decode(data[: like.nbytes], like)


class BrokenSlices(Slices):
    """Smallest where it breaks its bound."""

    name = "SZ3 broken slices"

    def decode(self, data, like):
        return super().decode(data, like) + (like.ndim == 2)


class NeedsNumbers(Honest):
    """Cannot take NaN."""

    name = "needs numbers"
    keeps_nan = False

    def encode(self, array, tol):
        if np.isnan(array).any():
            os.abort()
        return super().encode(array, tol)


class LikesNumbers(Honest):
    """Smaller without NaN."""

    name = "likes numbers"

    def encode(self, array, tol):
        return array.tobytes() + bytes(int(np.isnan(array).any()))

    def decode(self, data, like):
        return super().decode(data[: like.nbytes], like)


class Checked(Honest):
    """Notices damage, and refuses what is no tolerance."""

    name = "checked"

    def encode(self, array, tol):
        if not 0 < tol < np.inf:
            raise ValueError(tol)
        data = array.tobytes()
        return zlib.crc32(data).to_bytes(4, "little") + data

    def decode(self, data, like):
        if zlib.crc32(data[4:]).to_bytes(4, "little") != data[:4]:
            return self.damaged(len(data) - 4 - like.nbytes, like)
        return super().decode(data[4:], like)

    def damaged(self, more, like):
        """What becomes of damage by which a chunk has got `more` bytes."""
        raise ValueError("damaged")


class CrashesOnDamage(Checked):
    """If bytes are added; if some are missing, it asks for too much memory."""

    name = "crashes on damage"

    def damaged(self, more, like):
        if more > 0:
            os.abort()
        if more < 0:
            bytearray(1 << 34)  # the process may have 8 GiB
        raise KeyError("damaged")


class HangsOnDamage(Checked):
    """If many bytes are added; of others it notices only that they are too many or too few."""

    name = "hangs on damage"

    def decode(self, data, like):
        if len(data) > like.nbytes + 34:
            time.sleep(600)
        if len(data) < like.nbytes + 4:
            raise Panic
        return Honest.decode(self, data[4:], like)


class Panic(BaseException):
    """As those of Rust: no Exception."""


class BreaksBound(Honest):
    """Of constant arrays."""

    name = "breaks bound"

    def decode(self, data, like):
        values = super().decode(data, like)
        if values.size == 1000 and values[0] > 0 and (values == values[0]).all():
            values += 2
        return values


class Misplaces(Honest):
    """Bytes as they stand in memory."""

    name = "misplaces"

    def encode(self, array, tol):
        if np.isinf(array).any():
            raise OverflowError
        return array.tobytes("A")


class DecodesNothing(Honest):
    """Changes its input, fails, or returns one value too few, by the number of axes."""

    name = "decodes nothing"

    def encode(self, array, tol):
        if array.shape == (6, 8, 10) and array.flags.c_contiguous:
            array += 1
        return super().encode(array, tol)

    def decode(self, data, like):
        if like.ndim == 4:
            raise IndexError
        return super().decode(data, like).reshape(-1)[1:] if like.ndim == 5 else super().decode(data, like)


class UncleanImpostor(Checked):
    """What it would look like if ours met damage with an exception that is none for damage."""

    name = "arraycodec"
