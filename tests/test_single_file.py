"""The single-file form: read as docs/single-file.md says, and damaged in every way that comes to mind."""

import json
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arraycodec
from arraycodec import (
    AnsQuant,
    ChecksumError,
    DecodeError,
    FormatError,
    ParameterError,
    SizeError,
    TruncatedError,
    VarintQuant,
    VersionError,
    verify,
)
from arraycodec.checkpoints.arrc import MAGIC, Reader, Writer
from arraycodec.checkpoints.stores import codec_of

RNG = np.random.default_rng(0)
TENSORS = {
    "weight": RNG.normal(0, 1, (60, 50)).astype("f4"),
    "bias": RNG.normal(0, 1, 50).astype("f4"),
    "ids": np.arange(30),
    "scalar": np.float64(3),
    "none": np.zeros((0, 4), "f4"),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.arrc"
    arraycodec.save(path, TENSORS, {"bias": 0, "*": 1e-3}, pack=0, attrs={"epoch": 3})
    return path


def parts(data):
    """Head, chunks, index and footer, by the document."""
    offset, size, length, crc = struct.unpack_from("<QQQI", data, len(data) - 40)
    return data[:16], data[16:offset], data[offset : offset + size], (offset, size, length, crc)


def mended(data, change=lambda index: None, text=None):
    """A file whose index is changed, with checksums that are right."""
    head, chunks, packed, _ = parts(data)
    if text is None:
        index = json.loads(zlib.decompress(packed))
        index = change(index) or index
        text = json.dumps(index).encode()
    packed = zlib.compress(text)
    footer = struct.pack("<QQQI", 16 + len(chunks), len(packed), len(text), zlib.crc32(packed))
    return head + chunks + packed + footer + struct.pack("<I", zlib.crc32(footer, zlib.crc32(head))) + MAGIC


def read_all(path):
    with arraycodec.load(path) as store:
        return {name: np.asarray(store[name]) for name in store}


def test_layout_is_the_documents(path):
    data = path.read_bytes()
    head, chunks, packed, (offset, size, length, crc) = parts(data)
    assert head == b"\x89ARRC\r\n\x1a" + struct.pack("<II", 0, 0)
    assert offset + size + 40 == len(data) and zlib.crc32(packed) == crc
    assert data[-8:] == MAGIC and struct.unpack_from("<I", data, len(data) - 12)[0] == zlib.crc32(head + data[-40:-12])
    index = json.loads(zlib.decompress(packed))
    assert len(zlib.decompress(packed)) == length
    assert index["attrs"] == {"epoch": 3} and index["groups"] == {}
    arrays = {entry["name"]: entry for entry in index["arrays"]}
    assert list(arrays) == list(TENSORS)
    where = 16
    for name, entry in arrays.items():  # back to back, in the order of the index
        for begin, n in zip(entry["offsets"], entry["sizes"], strict=True):
            assert begin == where
            where += n
            part = arraycodec.decode(data[begin : begin + n])
            assert entry["dtype"] == part.dtype.str and entry["shape"] == list(part.shape)
            assert verify(TENSORS[name], part, entry["codec"]["tol"])
    assert where == offset and mended(data) != data


def test_groups_chunks_and_other_codecs(tmp_path):
    x = RNG.normal(size=(5, 7, 9)).astype("f4")
    with open(tmp_path / "x", "w"), pytest.raises(FileExistsError):
        Writer(tmp_path / "x")
    writer = Writer(tmp_path / "a.arrc")
    writer.group("g", {"title": "one"})
    codec = VarintQuant(1e-3, backend="zlib")
    new = writer.create("g/x", x.dtype, x.shape, codec, {"units": "K"}, (2, 7, 4), dimension_names=["a", None, "c"])
    with pytest.raises(ParameterError, match="named 'g/x' is there"):
        writer.create("g/x", x.dtype, x.shape, codec)
    with pytest.raises(TypeError):
        writer.create("text", np.dtype("U3"), (), codec)
    whole = slice(0, 7)
    writer.write(new, (slice(0, 2), whole, slice(4, 9)), x[:2, :, 4:])  # in any order
    with pytest.raises(ParameterError, match="cuts through chunks"):
        writer.write(new, (slice(0, 1), whole, slice(0, 4)), x[:1, :, :4])
    with pytest.raises(ParameterError, match="cuts through chunks"):
        writer.write(new, (slice(1, 2), whole, slice(0, 4)), x[:1, :, :4])
    with pytest.raises(ParameterError, match="values of shape"):
        writer.write(new, (slice(0, 2), whole, slice(0, 4)), x)
    with pytest.raises(ParameterError, match="is written already"):
        writer.write(new, (slice(0, 2), whole, slice(4, 8)), x[:2, :, 4:8])
    with pytest.raises(ParameterError, match="'g/x': 7 chunks were not written"):
        writer.complete()
    writer.write(new, (slice(0, 2), whole, slice(0, 4)), x[:2, :, :4])
    writer.write(new, (slice(2, 5), whole, slice(0, 9)), x[2:], threads=3)
    assert verify(x, writer.read(new, (slice(0, 5), whole, slice(0, 9))), 1e-3)
    writer.complete()
    writer.close()
    writer.close()
    with Reader(tmp_path / "a.arrc") as reader:
        (array,) = reader.arrays
        assert array.entry.more == {"dimension_names": ["a", None, "c"]} and array.entry.attrs == {"units": "K"}
        assert reader.groups == {"g": {"title": "one"}} and array.size == new.stored
        assert verify(x[::-2, 3, 1:], array[::-2, 3, 1:], 1e-3)
    with arraycodec.load(tmp_path / "a.arrc") as store:
        assert store["g/x"].codec == codec


def test_codecs_as_metadata_say_them():
    for codec in (AnsQuant(1e-3, fill_value=1 + 2j), VarintQuant(0.5), AnsQuant(0, level=9)):
        assert codec_of(codec.get_config()) == codec
    for config in ({}, {"id": "blosc"}, {"id": "ansquant", "tol": -1}, {"id": "ansquant", "new": [1]}, {"id": [1]}):
        assert codec_of(config) is None


def test_every_byte_matters(path):
    """Any change of a byte is noticed, by an exception of this package."""
    data, expected = path.read_bytes(), read_all(path)
    with Reader(path) as reader:
        chunks = {int(o) for a in reader.arrays for o in a.entry.offsets.reshape(-1)}
    unnoticed = []
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        try:
            same = all(np.array_equal(x, expected[name]) for name, x in read_all(path).items())
            unnoticed.append((at, same))
        except DecodeError:
            pass
    assert unnoticed == [] and len(chunks) == 4


def test_every_length_matters(path):
    data = path.read_bytes()
    for length in [*range(0, 200), *range(200, len(data), 101), *range(len(data) - 60, len(data))]:
        path.write_bytes(data[:length])
        with pytest.raises(DecodeError):
            read_all(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(DecodeError):
        read_all(path)


def test_kinds_of_damage(path):
    data = path.read_bytes()
    for changed, error, text in (
        (data[:8] + b"\1" + data[9:], VersionError, "version 1"),
        (data[:12] + b"\1" + data[13:], ChecksumError, "footer or the head"),
        (data[:30], TruncatedError, "no whole file"),
        (data[:-1], TruncatedError, "cut off"),
        (data[:-30] + b"?" + data[-29:], ChecksumError, "footer"),
        (data[:-50] + b"?" + data[-49:], ChecksumError, "index"),
        (data[:40] + b"?" + data[41:], ChecksumError, "chunk at"),
    ):  # fmt: skip
        path.write_bytes(changed)
        with pytest.raises(error, match=text):
            read_all(path)


def changes():
    """Indexes that are not right, each of which the reader has to refuse by itself."""
    def of_first(**new):
        return lambda index: index["arrays"][0].update(new)

    def without(key):
        return lambda index: index["arrays"][0].pop(key) and None

    for key in ("name", "dtype", "shape", "chunks", "offsets", "sizes", "codec", "attrs"):
        yield without(key)
        for value in (None, 7, "x", [], {}, [None], [[1]], [-1], [1.5, 2], [True, True], [2**63, 1], {"a": 1}, 1e300):
            # what is right for some of these
            if (key, repr(value)) in (("name", "'x'"), ("codec", "{}"), ("attrs", "{}"), ("attrs", "{'a': 1}"),
                                      ("codec", "{'a': 1}")):  # fmt: skip
                continue
            yield of_first(**{key: value})
    yield of_first(name="bias")
    for dtype in ("<f8", ">f4", "<f2", "<U3", "O", "f4,f4", "(2,)<f4", "V4", "<f16", "<i4", "<M8[ns]", "a5", "=f4"):
        yield of_first(dtype=dtype)
    yield of_first(shape=[50, 60])
    yield of_first(shape=[60, 50, 1])
    yield of_first(shape=[2**61, 2**61])
    yield of_first(shape=[60, 50], chunks=[30, 50])
    yield of_first(shape=[2**40, 2**20], chunks=[2**40, 2**20])
    yield of_first(chunks=[60, 0])
    yield of_first(chunks=[60])
    yield of_first(shape=[1] * 33, chunks=[1] * 33)
    for offset, size in ((0, 20), (15, 20), (16, 10**9), (10**9, 20), (2**61, 2**61), (16, 0), (17, 30), (16, 12)):
        yield of_first(offsets=[offset], sizes=[size])
    yield lambda index: index["arrays"][0].update(offsets=index["arrays"][1]["offsets"])
    yield of_first(dimension_names=3)
    yield of_first(dimension_names=[3])
    for key, value in (("attrs", None), ("attrs", []), ("groups", []), ("groups", {"a": 1}), ("arrays", {}),
                       ("arrays", [1]), ("arrays", None)):  # fmt: skip
        yield lambda index, key=key, value=value: index.update({key: value})
    yield lambda index: ["no object"]


@pytest.mark.parametrize("change", list(changes()))
def test_what_the_index_says_is_checked(path, change):
    path.write_bytes(mended(path.read_bytes(), change))
    with pytest.raises(DecodeError):
        read_all(path)


def test_texts_that_are_no_index(path):
    data = path.read_bytes()
    for text in (b"", b"{", b"\xff", b"[" * 100_000, b"1" * 10_000, b'{"arrays": ' + b"[" * 100_000, b"null"):
        path.write_bytes(mended(data, text=text))
        with pytest.raises(FormatError):
            read_all(path)


def test_an_index_that_is_not_as_long_as_it_says(path):
    head, chunks, packed, (offset, size, length, crc) = parts(path.read_bytes())
    for claim in (0, 1, length - 1, length + 1, 1 << 27, (1 << 28) + 1, 2**63):
        footer = struct.pack("<QQQI", offset, size, claim, crc)
        end = struct.pack("<I", zlib.crc32(footer, zlib.crc32(head))) + MAGIC
        path.write_bytes(head + chunks + packed + footer + end)
        with pytest.raises(FormatError):
            read_all(path)


def test_memory_is_not_asked_for_on_a_mere_claim(tmp_path):
    """A list of many chunks of much, which are all the same little one."""
    path = tmp_path / "a.arrc"
    arraycodec.save(path, {"x": np.zeros(4, "f4"), "y": np.zeros(20_000, "f4")}, 0, pack=0)

    def grow(index):
        entry = index["arrays"][0]
        n = 1000
        entry.update(shape=[n << 40], chunks=[1 << 40], offsets=entry["offsets"] * n, sizes=entry["sizes"] * n)

    path.write_bytes(mended(path.read_bytes(), grow))
    with arraycodec.load(path) as store:
        assert store["x"].nbytes > 1 << 50
        with pytest.raises(SizeError, match=r"chunk at \(0,\) of 'x': it holds float32 \(4,\)"):
            store["x"][:]
        assert (store["y"][:] == 0).all()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_random_damage(tmp_path_factory, data):
    """With and without mended checksums: an exception of this package, or tensors of the shapes that were there."""
    folder = tmp_path_factory.mktemp("damage", numbered=True)
    path = folder / "a.arrc"
    arraycodec.save(path, TENSORS, 1e-3)
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        text = bytearray(zlib.decompress(parts(bytes(raw))[2]))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(text) - 1))
            text[at] = data.draw(st.sampled_from(b'0123456789[]{},:"-.ae\xff'))
        raw = mended(bytes(raw), text=bytes(text))
    else:
        first = data.draw(st.integers(0, len(raw)))
        raw[first : first + data.draw(st.integers(0, 50))] = data.draw(st.binary(max_size=50))
    path.write_bytes(raw)
    try:
        read_all(path)
    except DecodeError:
        pass
    finally:
        path.unlink()
        os.rmdir(folder)


def test_a_writer_that_is_not_completed_leaves_no_store(tmp_path):
    writer = Writer(tmp_path / "a.arrc")
    x = np.zeros((100, 100), "f4")
    writer.write(writer.create("x", x.dtype, x.shape, AnsQuant(0)), (slice(0, 100), slice(0, 100)), x)
    writer.close()
    with pytest.raises(TruncatedError):
        arraycodec.load(tmp_path / "a.arrc")
