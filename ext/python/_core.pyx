# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""_core: the C core with Python buffers: buffers in, buffers out, error code to exception.

No policy lives here: `arraycodec.codec` decides about dtypes, memory order, tolerances and
allocation.  The *plain* functions take what needs no decision, and say so where it does.  The GIL is
released around every call into C.
"""
cimport cython
from cpython.buffer cimport (
    PyBUF_ANY_CONTIGUOUS, PyBUF_FORMAT, PyBUF_SIMPLE, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_IsContiguous,
    PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromObject
from cpython.ref cimport Py_XDECREF, PyObject
from libc.float cimport DBL_MAX
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc

from arraycodec.errors import (
    ChecksumError, FormatError, NotFiniteError, ParameterError, SizeError, TruncatedError, VersionError,
)

from core cimport *

cdef extern from "core/checksum.h" nogil:
    uint32_t ac_crc32c(const void *data, size_t size)

cdef extern from "python/resize.h":
    PyObject *PyBytes_FromStringAndSize(const char *v, Py_ssize_t n) except NULL
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t n) except -1  # in place; on failure *bytes is NULL
    bint ac_can_resize()

FORMAT_VERSION = AC_FORMAT_VERSION
MAX_NDIM = AC_MAX_NDIM
MAX_BLOCK = AC_MAX_BLOCK
MAX_THREADS = AC_MAX_THREADS
MIN_LEVEL = AC_MIN_LEVEL
DEFAULT_LEVEL = AC_DEFAULT_LEVEL
MAX_LEVEL = AC_MAX_LEVEL
#: Codes of predictors, by their names; 0 is the default.
PREDICTORS = {
    "none": AC_PREDICTOR_NONE, "auto": AC_PREDICTOR_AUTO, "lorenzo": AC_PREDICTOR_LORENZO,
    "interpolation": AC_PREDICTOR_INTERPOLATION, "linear": AC_PREDICTOR_LINEAR,
}
#: Codes of element types, by the name of the NumPy dtype (less the unit of a date).
DTYPES = {
    "float32": AC_FLOAT32, "float64": AC_FLOAT64, "float16": AC_FLOAT16, "bfloat16": AC_BFLOAT16,
    "complex64": AC_COMPLEX64, "complex128": AC_COMPLEX128,
    "int8": AC_INT8, "int16": AC_INT16, "int32": AC_INT32, "int64": AC_INT64,
    "uint8": AC_UINT8, "uint16": AC_UINT16, "uint32": AC_UINT32, "uint64": AC_UINT64,
    "bool": AC_BOOL, "datetime64": AC_DATETIME64, "timedelta64": AC_TIMEDELTA64,
}
NAMES = {code: name for name, code in DTYPES.items()}
#: Units of dates, by their codes.
UNITS = ("generic", "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
#: How values are rounded at random, what their step is a part of, and how levels are stored: codes by names.
METHODS = {"qsgd": AC_METHOD_QSGD, "dither": AC_METHOD_DITHER}
NORMS = {"l2": AC_NORM_L2, "max": AC_NORM_MAX}
PACKINGS = {"rans": AC_PACKING_RANS, "fixed": AC_PACKING_FIXED}
#: How factors were found.
FACTORS = {"svd": AC_FACTORS_SVD, "lplr": AC_FACTORS_LPLR, "lsvd": AC_FACTORS_LSVD, "dsvd": AC_FACTORS_DSVD}
MODES = {
    AC_MODE_RAW: "raw", AC_MODE_CONSTANT: "constant", AC_MODE_UNIFORM: "uniform", AC_MODE_EXACT: "exact",
    AC_MODE_LATTICE: "lattice", AC_MODE_AFFINE: "affine", AC_MODE_PREDICTED: "predicted", AC_MODE_SPLIT: "split",
}
QUANTIZED = AC_CODEC_ANSQUANT
BACKEND = AC_CODEC_BACKEND
STOCHASTIC = AC_CODEC_STOCHASTIC
LOW_RANK = AC_CODEC_LOW_RANK
#: Codecs, by their codes.
CODECS = {
    AC_CODEC_ANSQUANT: "quantized", AC_CODEC_BACKEND: "backend", AC_CODEC_STOCHASTIC: "stochastic",
    AC_CODEC_LOW_RANK: "low rank",
}
ORDERS = ("", "columns", "sorted", "columns, sorted")

cdef object EXCEPTIONS = {
    AC_E_PARAM: ParameterError,
    AC_E_MEMORY: MemoryError,
    AC_E_DST_SIZE: SizeError,
    AC_E_ISA: RuntimeError,
    AC_E_FORMAT: FormatError,
    AC_E_TRUNCATED: TruncatedError,
    AC_E_CHECKSUM: ChecksumError,
    AC_E_VERSION: VersionError,
    AC_E_NOT_FINITE: NotFiniteError,
    AC_E_BACKEND: VersionError,
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
    array.unit = 0
    array.multiple = 0
    for i in range(len(shape)):
        array.shape[i] = shape[i]
    return 0


def isa():
    """Name of the instruction set in use (the environment variable ARRAYCODEC_ISA forces one)."""
    cdef const char *name = ac_isa()
    if name is NULL:
        raise EXCEPTIONS[AC_E_ISA](ac_error_name(AC_E_ISA).decode())
    return name.decode()


def crc32c(data):
    """CRC-32C (Castagnoli, RFC 3720) of a contiguous buffer."""
    cdef Py_buffer buf
    cdef uint32_t value
    PyObject_GetBuffer(data, &buf, PyBUF_SIMPLE)
    with nogil:
        value = ac_crc32c(buf.buf, <size_t>buf.len)
    PyBuffer_Release(&buf)
    return value


def bound(int dtype, tuple shape):
    """Largest number of bytes `encode` can return for this dtype code and shape."""
    cdef ac_array array
    cdef size_t size = 0
    describe(&array, dtype, False, False, shape)
    check(ac_bound(&array, NULL, &size))
    return size


cdef tuple blocks_of(const ac_info *info):
    """How an array is cut: extents of a box by axis, or None; elements of a block; number of blocks."""
    cdef int d = info.array.ndim
    box = None
    if info.boxed:
        box = tuple([info.box[d - 1 - i if info.array.f_order else i] for i in range(d)])
    return box, info.block_len, info.n_blocks


def blocks(int dtype, bint f_order, tuple shape):
    """How `encode` cuts an array of this dtype code, order and shape, if it can be predicted: see `Chunk.blocks`."""
    cdef ac_array array
    cdef ac_info info
    describe(&array, dtype, False, f_order, shape)
    if dtype == AC_DATETIME64 or dtype == AC_TIMEDELTA64:
        array.multiple = 1
    check(ac_describe(&array, NULL, &info))
    return blocks_of(&info)


def most_blocks(int dtype, tuple shape):
    """The largest number of blocks that `encode` may make of an array in C order of this dtype code and shape."""
    cdef ac_array array
    cdef uint64_t n = 0
    describe(&array, dtype, False, False, shape)
    if dtype == AC_DATETIME64 or dtype == AC_TIMEDELTA64:
        array.multiple = 1
    check(ac_most_blocks(&array, NULL, &n))
    return n


@cython.final
cdef class _Room:
    """A bytes object that a chunk is made in, as large as it can get; what is not written of it is never touched."""
    cdef PyObject *bytes
    cdef char *at
    cdef size_t capacity

    def __cinit__(self, size_t capacity):
        self.capacity = capacity
        self.bytes = PyBytes_FromStringAndSize(NULL, capacity)
        self.at = PyBytes_AsString(<object>self.bytes)

    def __dealloc__(self):
        Py_XDECREF(self.bytes)

    cdef bytes cut(self, size_t size):
        """The first so many bytes; there is no room afterwards."""
        if not ac_can_resize():
            return PyBytes_FromObject(memoryview(<object>self.bytes)[:size])
        _PyBytes_Resize(&self.bytes, size)
        self.at, self.capacity = NULL, 0
        return <bytes>self.bytes


cdef bytes encode_memory(const ac_array *array, const ac_tolerance *tolerance, const ac_tuning *tuning,
                         unsigned threads, const Py_buffer *src):
    cdef size_t capacity = 0, size = 0
    cdef int code
    check(ac_bound(array, tuning, &capacity))
    cdef _Room room = _Room(capacity)
    with nogil:
        code = ac_encode(array, tolerance, tuning, threads, src.buf, src.len, room.at, capacity, &size)
    check(code)
    return room.cut(size)


cdef int set_fill(ac_tolerance *tolerance, int dtype, const unsigned char[::1] fill) except -1:
    tolerance.fill = NULL
    if fill is not None:
        if <size_t>fill.shape[0] != ac_element_size(dtype):
            raise ParameterError(f"a fill value of {fill.shape[0]} bytes for elements of {ac_element_size(dtype)}")
        tolerance.fill = &fill[0]
    return 0


def encode(src, int dtype, bint big_endian, bint f_order, tuple shape, double tol,
           unsigned threads=1, uint32_t block_len=0, int group=0, int lanes=0, int prob_bits=0,
           *, double rtol=0, const unsigned char[::1] fill=None, int unit=0, uint32_t multiple=0,
           int level=0, int predictor=0, int coder=0, uint32_t box_len=0):
    """Encode a contiguous buffer of `shape` elements to bytes.

    `fill`: the bytes of an element.  `level`: 1 … 9, 0 for the default.  `predictor`: a code of PREDICTORS, 0 for the
    default.  `coder`: 0 or 1, rANS; 2, varints.  block_len to prob_bits and box_len force encoder choices (tests).
    """
    cdef ac_array array
    cdef ac_tuning tuning
    cdef ac_tolerance tolerance
    cdef Py_buffer buf
    describe(&array, dtype, big_endian, f_order, shape)
    array.unit = <uint8_t>unit
    array.multiple = multiple
    tolerance.absolute = tol
    tolerance.relative = rtol
    set_fill(&tolerance, dtype, fill)
    tuning.block_len = block_len
    tuning.box_len = box_len
    for name, value in (("group", group), ("lanes", lanes), ("prob_bits", prob_bits), ("level", level),
                        ("predictor", predictor), ("coder", coder)):
        if not 0 <= value < 256:
            raise ParameterError(f"{name} {value} is not valid")
    tuning.group = <unsigned char>group
    tuning.lanes = <unsigned char>lanes
    tuning.prob_bits = <unsigned char>prob_bits
    tuning.level = <unsigned char>level
    tuning.predictor = <unsigned char>predictor
    tuning.coder = <unsigned char>coder
    PyObject_GetBuffer(src, &buf, PyBUF_SIMPLE)
    try:
        return encode_memory(&array, &tolerance, &tuning, threads, &buf)
    finally:
        PyBuffer_Release(&buf)


def encode_stochastic(src, int dtype, bint big_endian, bint f_order, tuple shape, int bits, int method, int norm,
                      int packing, uint64_t bucket, uint64_t seed, unsigned threads=1):
    """Encode a contiguous buffer of finite floats, rounded at random: see `ac_stochastic`."""
    cdef ac_array array
    cdef ac_stochastic how
    cdef Py_buffer buf
    cdef size_t capacity = 0, size = 0
    cdef int code
    describe(&array, dtype, big_endian, f_order, shape)
    how.bits = <uint8_t>bits
    how.method = <uint8_t>method
    how.norm = <uint8_t>norm
    how.packing = <uint8_t>packing
    how.bucket = bucket
    how.seed = seed
    check(ac_stochastic_bound(&array, &how, &capacity))
    cdef _Room room = _Room(capacity)
    PyObject_GetBuffer(src, &buf, PyBUF_SIMPLE)
    try:
        with nogil:
            code = ac_stochastic_encode(&array, &how, threads, buf.buf, buf.len, room.at, capacity, &size)
    finally:
        PyBuffer_Release(&buf)
    check(code)
    return room.cut(size)


def encode_low_rank(src, int dtype, bint big_endian, bint f_order, tuple shape, int rows_ndim, int factors, double scale,
                    const uint32_t[::1] weights, rows, columns, double tol, int level, unsigned threads=1):
    """Encode a contiguous buffer as a product of factors.

    `rows` and `columns`: int32 arrays of shape (rank, ...), contiguous in C or Fortran order, which is kept.
    """
    cdef ac_array array
    cdef ac_low_rank how
    cdef Py_buffer buf
    cdef size_t capacity = 0, size = 0
    cdef int code
    cdef size_t m = 1, n = 1
    describe(&array, dtype, big_endian, f_order, shape)
    for i, length in enumerate(shape[::-1] if f_order else shape):
        if i < rows_ndim:
            m *= length
        else:
            n *= length
    cdef const int32_t[::1] of_rows = rows.ravel("K")
    cdef const int32_t[::1] of_columns = columns.ravel("K")
    cdef Py_ssize_t rank = weights.shape[0]
    if rows.shape != (rank, m) or columns.shape != (rank, n):
        raise ParameterError(f"{rank} weights, and factors {rows.shape} and {columns.shape}, for a matrix of {m} x {n}")
    how.factors = <uint8_t>factors
    how.rows_ndim = <uint8_t>rows_ndim
    how.rank = <uint32_t>rank
    how.scale = scale
    how.weights = &weights[0] if how.rank else NULL
    how.rows = &of_rows[0] if how.rank else NULL
    how.columns = &of_columns[0] if how.rank else NULL
    how.rows_f_order = not rows.flags.c_contiguous
    how.columns_f_order = not columns.flags.c_contiguous
    how.tol = tol
    how.level = <uint8_t>level
    check(ac_low_rank_bound(&array, &how, &capacity))
    cdef _Room room = _Room(capacity)
    PyObject_GetBuffer(src, &buf, PyBUF_SIMPLE)
    try:
        with nogil:
            code = ac_low_rank_encode(&array, &how, threads, buf.buf, buf.len, room.at, capacity, &size)
    finally:
        PyBuffer_Release(&buf)
    check(code)
    return room.cut(size)


def wrap(const unsigned char[::1] chunk, int backend, const unsigned char[::1] compressed):
    """A chunk around what a backend (by its code) made of a chunk."""
    cdef size_t capacity = 0, size = 0
    cdef bytearray dst
    check(ac_backend_bound(compressed.shape[0], &capacity))
    dst = bytearray(capacity)
    check(ac_backend_wrap(&chunk[0], chunk.shape[0], <uint8_t>backend, &compressed[0], compressed.shape[0],
                          <char *>dst, capacity, &size))
    return bytes(memoryview(dst)[:size])


cdef uint8_t plain_dtype(const Py_buffer *buf) noexcept:
    """The dtype code of a buffer of native numbers, aligned to the element; 0 for all others."""
    cdef const char *f = buf.format
    cdef char c
    if f is NULL or buf.itemsize <= 0 or <uintptr_t>buf.buf % buf.itemsize:
        return 0
    if f[0] == b"Z" and f[1] != 0 and f[2] == 0:
        return AC_COMPLEX64 if f[1] == b"f" else AC_COMPLEX128 if f[1] == b"d" else 0
    if f[0] == 0 or f[1] != 0:
        return 0
    c = f[0]
    if c == b"f":
        return AC_FLOAT32
    if c == b"d":
        return AC_FLOAT64
    if c == b"e":
        return AC_FLOAT16
    if c == b"?":
        return AC_BOOL
    if c in b"bhilq":
        return (AC_INT8 if buf.itemsize == 1 else AC_INT16 if buf.itemsize == 2
                else AC_INT32 if buf.itemsize == 4 else AC_INT64)
    if c in b"BHILQ":
        return (AC_UINT8 if buf.itemsize == 1 else AC_UINT16 if buf.itemsize == 2
                else AC_UINT32 if buf.itemsize == 4 else AC_UINT64)
    return 0


def encode_plain(array, double tol, unsigned threads, int level=0, int predictor=0):
    """Encode a contiguous, aligned array of native numbers; None where anything is not that simple."""
    cdef ac_array description
    cdef ac_tolerance tolerance
    cdef ac_tuning tuning
    cdef Py_buffer buf
    if not 0 <= tol <= DBL_MAX or not 0 <= level <= AC_MAX_LEVEL or not 0 <= predictor < AC_PREDICTORS:
        return None
    try:
        PyObject_GetBuffer(array, &buf, PyBUF_ANY_CONTIGUOUS | PyBUF_FORMAT)
    except (BufferError, ValueError):  # not contiguous; a dtype that buffers do not know
        return None
    try:
        description.dtype = plain_dtype(&buf)
        if not description.dtype or buf.ndim > AC_MAX_NDIM:
            return None
        description.big_endian = 0
        description.f_order = not PyBuffer_IsContiguous(&buf, b"C")
        description.ndim = <uint8_t>buf.ndim
        description.unit = 0
        description.multiple = 0
        for i in range(buf.ndim):
            description.shape[i] = buf.shape[i]
        tolerance.absolute = tol
        tolerance.relative = 0
        tolerance.fill = NULL
        tuning.block_len = tuning.box_len = 0
        tuning.group = tuning.lanes = tuning.prob_bits = 0
        tuning.level = <uint8_t>level
        tuning.predictor = <uint8_t>predictor
        tuning.coder = AC_CODER_DEFAULT
        return encode_memory(&description, &tolerance, &tuning, threads, &buf)
    finally:
        PyBuffer_Release(&buf)


cdef class Chunk:
    """A chunk whose header has been read, once, and its memory, held until the object goes.

    The source must be a contiguous buffer.
    """

    cdef Py_buffer buf
    cdef ac_info info

    def __cinit__(self, src):
        PyObject_GetBuffer(src, &self.buf, PyBUF_SIMPLE)
        check(ac_peek(self.buf.buf, self.buf.len, &self.info))

    def __dealloc__(self):
        PyBuffer_Release(&self.buf)

    @property
    def element(self):
        """What makes the NumPy dtype, in one number: code | big-endian << 8 | unit << 9 | multiple << 16."""
        cdef const ac_array *a = &self.info.array
        return a.dtype | <uint64_t>a.big_endian << 8 | <uint64_t>a.unit << 9 | <uint64_t>a.multiple << 16

    @property
    def order(self):
        return "F" if self.info.array.f_order else "C"

    @property
    def shape(self):
        return tuple([self.info.array.shape[i] for i in range(self.info.array.ndim)])

    @property
    def tol(self):
        return self.info.tol

    @property
    def rtol(self):
        return self.info.rtol

    @property
    def delta(self):
        return self.info.delta

    @property
    def whole(self):
        """Integers: the tolerance in whole numbers."""
        return self.info.whole

    @property
    def count(self):
        return self.info.count

    @property
    def blocks(self):
        """Extents of a box along every axis (None: blocks are runs), elements of a block, number of blocks."""
        return blocks_of(&self.info)

    @property
    def header_size(self):
        return self.info.header_size

    @property
    def version(self):
        return self.info.version

    @property
    def codec(self):
        """Code of the codec: see CODECS."""
        return self.info.codec

    def block(self):
        """The block of a chunk of codecs that have one: a copy, its checksum verified."""
        cdef const uint8_t *start
        cdef size_t size = 0
        check(ac_open_block(self.buf.buf, self.buf.len, &self.info, &start, &size))
        return (<const char *>start)[:size]

    @property
    def size(self):
        """Bytes of the chunk."""
        return self.buf.len

    @property
    def nbytes(self):
        """Bytes of its values."""
        return self.info.count * ac_element_size(self.info.array.dtype)

    def decode_into(self, out, unsigned threads=1):
        """Decode all values into a writable contiguous buffer of exactly their size, in memory order."""
        cdef Py_buffer to
        PyObject_GetBuffer(out, &to, PyBUF_WRITABLE | PyBUF_ANY_CONTIGUOUS)
        try:
            self.decode_memory(&to, threads)
        finally:
            PyBuffer_Release(&to)

    cdef int decode_memory(self, const Py_buffer *to, unsigned threads) except -1:
        cdef int code
        with nogil:
            code = ac_decode(self.buf.buf, self.buf.len, &self.info, to.buf, to.len, threads)
        return check(code)

    def decode_plain(self, out, unsigned threads):
        """Decode into an aligned array of the chunk's shape, native dtype and order; False where `out` is not that."""
        cdef Py_buffer to
        try:
            PyObject_GetBuffer(out, &to, PyBUF_WRITABLE | PyBUF_ANY_CONTIGUOUS | PyBUF_FORMAT)
        except (BufferError, ValueError):  # also of what is read-only
            return False
        try:
            if plain_dtype(&to) != self.info.array.dtype or self.info.array.big_endian:
                return False
            if to.ndim != self.info.array.ndim:
                return False
            for i in range(to.ndim):
                if <uint64_t>to.shape[i] != self.info.array.shape[i]:
                    return False
            if not PyBuffer_IsContiguous(&to, b"F" if self.info.array.f_order else b"C"):
                return False
            self.decode_memory(&to, threads)
            return True
        finally:
            PyBuffer_Release(&to)

    def decode_range_into(self, uint64_t first, uint64_t count, out):
        """Decode `count` values from `first` on into a writable contiguous buffer of their size, in memory order."""
        cdef Py_buffer to
        cdef int code
        PyObject_GetBuffer(out, &to, PyBUF_WRITABLE | PyBUF_ANY_CONTIGUOUS)
        try:
            with nogil:
                code = ac_decode_range(self.buf.buf, self.buf.len, &self.info, first, count, to.buf, to.len)
            check(code)
        finally:
            PyBuffer_Release(&to)

    def decode_selection_into(self, tuple slices, out, unsigned threads=1):
        """Decode what (start, count, step) select along every axis into a writable buffer of that shape, with any strides."""
        cdef Py_buffer to
        cdef ac_slice along[32]
        cdef int code
        if len(slices) != self.info.array.ndim:
            raise ParameterError(f"{len(slices)} slices for an array of {self.info.array.ndim} dimensions")
        PyObject_GetBuffer(out, &to, PyBUF_WRITABLE | PyBUF_STRIDES)
        try:
            if <size_t>to.itemsize != ac_element_size(self.info.array.dtype) or to.ndim != self.info.array.ndim:
                raise SizeError(f"a buffer of {to.ndim} dimensions and items of {to.itemsize} bytes does not fit")
            for i in range(to.ndim):
                along[i].start, along[i].count, along[i].step = slices[i]
                along[i].stride = to.strides[i]
                if <uint64_t>to.shape[i] != along[i].count:
                    raise SizeError(f"a buffer of length {to.shape[i]} along axis {i} for {along[i].count} indices")
            with nogil:
                code = ac_decode_selection(self.buf.buf, self.buf.len, &self.info, along, to.buf, threads)
            check(code)
        finally:
            PyBuffer_Release(&to)

    def inspect(self):
        """Describe all blocks, as a list of dicts."""
        cdef ac_block_info *blocks
        cdef ac_block_info b
        cdef ac_info info
        cdef uint64_t i
        cdef int code
        blocks = <ac_block_info *>malloc((self.info.n_blocks + 1) * sizeof(ac_block_info))
        if blocks is NULL:
            raise MemoryError(f"no memory for the description of {self.info.n_blocks} blocks")
        try:
            with nogil:
                code = ac_inspect(self.buf.buf, self.buf.len, &info, blocks, self.info.n_blocks)
            check(code)
            result = []
            for i in range(self.info.n_blocks):
                b = blocks[i]
                result.append({
                    "mode": MODES[b.mode] if self.info.codec == AC_CODEC_ANSQUANT else CODECS[self.info.codec], "offset": b.offset, "size": b.size, "count": b.count, "varints": bool(b.varints),
                    "classes": b.n_classes, "lanes": b.lanes, "prob_bits": b.prob_bits, "group": b.group,
                    "low_bytes": b.low_bytes, "difference": b.difference, "folded": bool(b.folded),
                    "order": ORDERS[b.order], "row": b.row,
                    "masked": b.masked, "copies": b.copies,
                    "window_exceptions": b.window_exceptions, "raw_exceptions": b.raw_exceptions, "edges": b.edges,
                })
            return result
        finally:
            free(blocks)


def check_bound(int dtype, a, b, double tol, double rtol=0, const unsigned char[::1] fill=None):
    """(violations, lost, max_error) of two native contiguous buffers of equal size."""
    cdef Py_buffer x, y
    cdef ac_tolerance tolerance
    cdef ac_check result
    cdef int code
    cdef size_t n
    if dtype not in NAMES:
        raise ParameterError(f"no element type has the code {dtype}")
    tolerance.absolute = tol
    tolerance.relative = rtol
    set_fill(&tolerance, dtype, fill)
    PyObject_GetBuffer(a, &x, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(b, &y, PyBUF_SIMPLE)
        try:
            if x.len != y.len:
                raise SizeError(f"buffers of {x.len} and {y.len} bytes")
            n = x.len // ac_element_size(dtype)
            with nogil:
                code = ac_check_bound(dtype, x.buf, y.buf, n, &tolerance, &result)
            check(code)
            return result.violations, result.lost, result.max_error
        finally:
            PyBuffer_Release(&y)
    finally:
        PyBuffer_Release(&x)


STAGES = {
    "encode.quantize": AC_STAGE_QUANTIZE, "encode.plan": AC_STAGE_PLAN, "encode.split": AC_STAGE_SPLIT,
    "encode.rans": AC_STAGE_ENCODE, "encode.checksum": AC_STAGE_ENCODE_CHECKSUM, "encode.total": AC_STAGE_ENCODE_TOTAL,
    "decode.checksum": AC_STAGE_DECODE_CHECKSUM, "decode.tables": AC_STAGE_TABLES, "decode.rans": AC_STAGE_DECODE,
    "decode.total": AC_STAGE_DECODE_TOTAL,
}


def profile(src, int dtype, double tol, unsigned repeat):
    """Seconds by stage (fastest of `repeat`) to encode and decode a native contiguous buffer."""
    cdef Py_buffer buf
    cdef double seconds[AC_STAGES]
    cdef int code
    PyObject_GetBuffer(src, &buf, PyBUF_SIMPLE)
    try:
        with nogil:
            code = ac_profile(dtype, tol, buf.buf, buf.len // ac_element_size(dtype), repeat, seconds)
        check(code)
        return {name: seconds[stage] for name, stage in STAGES.items()}
    finally:
        PyBuffer_Release(&buf)
