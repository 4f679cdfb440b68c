# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""_core: the C core with Python buffers: buffers in, buffers out, error code to exception.

No policy lives here: `arraycodec.codec` decides about dtypes, memory order, tolerances and
allocation.  The GIL is released around every call into C.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.ref cimport Py_XDECREF, PyObject
from libc.stdint cimport uint64_t

from arraycodec.errors import (
    ChecksumError, FormatError, ParameterError, SizeError, TruncatedError, VersionError,
)

from core cimport *

cdef extern from "Python.h":
    PyObject *PyBytes_FromStringAndSize(const char *v, Py_ssize_t n) except NULL
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t n) except -1  # in place; on failure *bytes is NULL

FORMAT_VERSION = AC_FORMAT_VERSION
MAX_NDIM = AC_MAX_NDIM
MAX_BLOCK = AC_MAX_BLOCK
MAX_THREADS = AC_MAX_THREADS
FLOAT32 = AC_FLOAT32
FLOAT64 = AC_FLOAT64
MODES = {AC_MODE_RAW: "raw", AC_MODE_CONSTANT: "constant", AC_MODE_WINDOWS: "windows"}

cdef object EXCEPTIONS = {
    AC_E_PARAM: ParameterError,
    AC_E_MEMORY: MemoryError,
    AC_E_DST_SIZE: SizeError,
    AC_E_ISA: RuntimeError,
    AC_E_FORMAT: FormatError,
    AC_E_TRUNCATED: TruncatedError,
    AC_E_CHECKSUM: ChecksumError,
    AC_E_VERSION: VersionError,
}


cdef int check(int code) except -1:
    if code != AC_OK:
        raise EXCEPTIONS[code](ac_error_name(code).decode())
    return 0


cdef int describe(ac_array *array, int dtype, bint big_endian, bint f_order, tuple shape) except -1:
    if len(shape) > AC_MAX_NDIM:
        raise ParameterError(f"an array of {len(shape)} dimensions; at most {AC_MAX_NDIM} are supported")
    array.dtype = <unsigned char>dtype
    array.big_endian = big_endian
    array.f_order = f_order
    array.ndim = <unsigned char>len(shape)
    for i in range(len(shape)):
        array.shape[i] = shape[i]
    return 0


def isa():
    """Name of the instruction set in use (the environment variable ARRAYCODEC_ISA forces one)."""
    cdef const char *name = ac_isa()
    if name is NULL:
        raise EXCEPTIONS[AC_E_ISA](ac_error_name(AC_E_ISA).decode())
    return name.decode()


def bound(int dtype, tuple shape):
    """Largest number of bytes `encode` can return for this dtype code and shape."""
    cdef ac_array array
    cdef size_t size = 0
    describe(&array, dtype, False, False, shape)
    check(ac_bound(&array, NULL, &size))
    return size


def encode(src, int dtype, bint big_endian, bint f_order, tuple shape, double tol,
           unsigned threads=1, uint32_t block_len=0, int group=0, int lanes=0, int prob_bits=0):
    """Encode a contiguous buffer of `shape` elements to bytes.  The last four force encoder choices (tests)."""
    cdef ac_array array
    cdef ac_tuning tuning
    cdef Py_buffer buf
    cdef size_t capacity = 0, size = 0
    cdef int code
    cdef void *dst
    cdef PyObject *chunk = NULL
    describe(&array, dtype, big_endian, f_order, shape)
    tuning.block_len = block_len
    if not (0 <= group < 256 and 0 <= lanes < 256 and 0 <= prob_bits < 256):
        raise ParameterError(f"group={group}, lanes={lanes}, prob_bits={prob_bits} are not all valid")
    tuning.group = <unsigned char>group
    tuning.lanes = <unsigned char>lanes
    tuning.prob_bits = <unsigned char>prob_bits
    check(ac_bound(&array, &tuning, &capacity))
    PyObject_GetBuffer(src, &buf, PyBUF_SIMPLE)
    try:
        # straight into the result: what is not written of it is cut off, and was never touched
        chunk = PyBytes_FromStringAndSize(NULL, capacity)
        dst = PyBytes_AS_STRING(<object>chunk)
        with nogil:
            code = ac_encode(&array, tol, &tuning, threads, buf.buf, buf.len, dst, capacity, &size)
        check(code)
        _PyBytes_Resize(&chunk, size)
        return <object>chunk
    finally:
        Py_XDECREF(chunk)
        PyBuffer_Release(&buf)


def peek(src):
    """What the header of a chunk says, as a dict; needs only header and index."""
    cdef Py_buffer buf
    cdef ac_info info
    PyObject_GetBuffer(src, &buf, PyBUF_SIMPLE)
    try:
        check(ac_peek(buf.buf, buf.len, &info))
    finally:
        PyBuffer_Release(&buf)
    return {
        "version": info.version, "codec": info.codec, "dtype": info.array.dtype,
        "big_endian": bool(info.array.big_endian), "f_order": bool(info.array.f_order),
        "shape": tuple([info.array.shape[i] for i in range(info.array.ndim)]),
        "tol": info.tol, "delta": info.delta, "count": info.count,
        "block_len": info.block_len, "n_blocks": info.n_blocks, "header_size": info.header_size,
    }


def decode_into(src, out, unsigned threads=1):
    """Decode a whole chunk into a writable contiguous buffer of exactly the array's size."""
    cdef Py_buffer a, b
    cdef int code
    PyObject_GetBuffer(src, &a, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(out, &b, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            with nogil:
                code = ac_decode(a.buf, a.len, b.buf, b.len, threads)
            check(code)
        finally:
            PyBuffer_Release(&b)
    finally:
        PyBuffer_Release(&a)


def decode_range_into(src, uint64_t first, uint64_t count, out):
    """Decode `count` values from `first` on, in memory order."""
    cdef Py_buffer a, b
    cdef int code
    PyObject_GetBuffer(src, &a, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(out, &b, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            with nogil:
                code = ac_decode_range(a.buf, a.len, first, count, b.buf, b.len)
            check(code)
        finally:
            PyBuffer_Release(&b)
    finally:
        PyBuffer_Release(&a)


def inspect(src):
    """Describe all blocks of a chunk, as a list of dicts."""
    cdef Py_buffer buf
    cdef ac_info info
    cdef ac_block_info *blocks
    cdef ac_block_info b
    cdef uint64_t i
    cdef int code
    PyObject_GetBuffer(src, &buf, PyBUF_SIMPLE)
    try:
        check(ac_peek(buf.buf, buf.len, &info))
        blocks = <ac_block_info *>PyMem_RawMalloc((info.n_blocks + 1) * sizeof(ac_block_info))
        if blocks is NULL:
            raise MemoryError(f"no memory for the description of {info.n_blocks} blocks")
        try:
            with nogil:
                code = ac_inspect(buf.buf, buf.len, &info, blocks, info.n_blocks)
            check(code)
            result = []
            for i in range(info.n_blocks):
                b = blocks[i]
                result.append({
                    "mode": MODES[b.mode], "offset": b.offset, "size": b.size, "count": b.count,
                    "classes": b.n_classes, "lanes": b.lanes, "prob_bits": b.prob_bits, "group": b.group,
                    "window_exceptions": b.window_exceptions, "raw_exceptions": b.raw_exceptions,
                })
            return result
        finally:
            PyMem_RawFree(blocks)
    finally:
        PyBuffer_Release(&buf)


def check_bound(int dtype, a, b, double tol):
    """(violations, lost, max_error) of two native contiguous buffers of equal size."""
    cdef Py_buffer x, y
    cdef ac_check result
    cdef int code
    cdef size_t n
    PyObject_GetBuffer(a, &x, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(b, &y, PyBUF_SIMPLE)
        try:
            if x.len != y.len:
                raise SizeError(f"buffers of {x.len} and {y.len} bytes")
            n = x.len // (4 if dtype == AC_FLOAT32 else 8)
            with nogil:
                code = ac_check_bound(dtype, x.buf, y.buf, n, tol, &result)
            check(code)
            return result.violations, result.lost, result.max_error
        finally:
            PyBuffer_Release(&y)
    finally:
        PyBuffer_Release(&x)
