# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""_coders: the entropy coders of ext/coders with Python arrays: arrays in, arrays out, error code to exception.

Arguments come as `arraycodec.coders` prepares them: contiguous arrays of the right types; what memory safety needs
is checked here.  The GIL is released in every loop but those that call back into Python.
"""
cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy

from arraycodec.errors import DecodeError, ParameterError

cdef extern from *:
    """
    static int enter(char *busy) { return __atomic_exchange_n(busy, 1, __ATOMIC_ACQUIRE); }
    static void leave(char *busy) { __atomic_store_n(busy, 0, __ATOMIC_RELEASE); }
    """
    bint enter(char *busy) noexcept nogil
    void leave(char *busy) noexcept nogil

cdef extern from "coders/coders.h" nogil:
    enum:
        ACC_DEFAULT, ACC_SMALL, ACC_PRESETS
    enum:
        ACC_OK, ACC_E_MEMORY, ACC_E_SYMBOL, ACC_E_LOCATION, ACC_E_SCALE, ACC_E_PROBABILITY, ACC_E_SUM, ACC_E_COUNT
        ACC_E_MODEL, ACC_E_END, ACC_E_REMAINDERS, ACC_E_DATA, ACC_E_CALLBACK
    enum:
        ACC_CATEGORICAL, ACC_FREQUENCIES, ACC_BERNOULLI, ACC_UNIFORM, ACC_GAUSSIAN, ACC_LAPLACE, ACC_CAUCHY
        ACC_CUSTOM
    enum:
        ACC_STACK, ACC_CHAIN, ACC_ENCODER, ACC_DECODER
    enum:
        ACC_CHAIN_PLAIN, ACC_CHAIN_SEALED, ACC_CHAIN_REMAINDERS
    ctypedef struct acc_slot:
        uint32_t left, size
    ctypedef struct acc_family:
        int kind, precision, perfect, f32
        int32_t min, max
        const double *a
        const double *b
        size_t a_step, b_step
        const int32_t *sizes
        size_t sizes_step
        const void *rows
        size_t width, row_step
        void *scratch
        size_t count
    ctypedef struct acc_divisor:
        pass
    ctypedef struct acc_table:
        int precision
        int32_t min
        size_t n
        uint32_t *cdf
        uint32_t *first
        uint64_t *direct
        unsigned shift
        acc_divisor *divide
    ctypedef struct acc_words:
        void *data
        size_t len
    ctypedef struct acc_coder:
        acc_words words, rest
        uint64_t state, head, point, pos, waiting
        uint32_t first_waiting
    ctypedef struct acc_ending:
        int any, inverted, zero
        uint32_t first, middle, last
        uint64_t repeat
    ctypedef int (*acc_find)(void *, size_t, uint32_t, int32_t *, acc_slot *) noexcept nogil
    ctypedef int (*acc_left)(void *, int64_t, uint32_t *) noexcept nogil
    ctypedef struct acc_ops:
        int (*encode_table)(acc_coder *, const acc_table *, const int32_t *, size_t, size_t *) noexcept nogil
        int (*encode_slots)(acc_coder *, const acc_slot *, size_t, size_t *) noexcept nogil
        int (*decode_table)(acc_coder *, const acc_table *, int32_t *, size_t, size_t *) noexcept nogil
        int (*decode_each)(acc_coder *, acc_find, void *, int32_t *, size_t, size_t *) noexcept nogil
    int acc_precision(int)
    size_t acc_word_size(int)
    size_t acc_scratch_size(const acc_family *)
    int acc_find_in_family(void *, size_t, uint32_t, int32_t *, acc_slot *) noexcept
    int acc_find_in_table(void *, size_t, uint32_t, int32_t *, acc_slot *) noexcept
    int acc_family_slots(acc_family *, const int32_t *, size_t, acc_slot *, size_t *)
    int acc_search(acc_left, void *, int, int32_t, int32_t, double, uint32_t, int32_t *, acc_slot *)
    uint32_t acc_leaky(double, int, int32_t, int32_t, int64_t)
    int acc_family_size(const acc_family *, size_t *)
    void acc_table_free(acc_table *)
    int acc_table_make(acc_table *, const acc_family *)
    int acc_table_make_first(acc_table *)
    int acc_table_make_divide(acc_table *)
    int acc_table_slots(const acc_table *, const int32_t *, size_t, acc_slot *, size_t *)
    const acc_ops *acc_ops_of(int, int)
    int acc_words_copy(acc_words *, const acc_words *, size_t)
    int acc_words_set(acc_words *, const void *, size_t, size_t)
    void acc_coder_free(acc_coder *)
    bint acc_stack_open(acc_coder *, int, int)
    int acc_stack_tail(const acc_coder *, int, int, uint32_t *)
    bint acc_chain_open(acc_coder *, int, int)
    int acc_chain_tail(const acc_coder *, int, int, uint32_t *)
    void acc_encoder_open(acc_coder *, int)
    void acc_encoder_ending(const acc_coder *, int, acc_ending *)
    void acc_decoder_open(acc_coder *, int, uint64_t)
    bint acc_decoder_exhausted(const acc_coder *, int)
    ctypedef struct acc_lanes:
        acc_words words
        void *heads
        size_t n
        int preset
    int acc_lanes_push(acc_lanes *, const acc_table *, const int32_t *, size_t *)
    int acc_lanes_pop(acc_lanes *, const acc_table *, int32_t *, size_t *)

PRESETS = {"default": ACC_DEFAULT, "small": ACC_SMALL}
STACK, CHAIN, ENCODER, DECODER = ACC_STACK, ACC_CHAIN, ACC_ENCODER, ACC_DECODER
CATEGORICAL, FREQUENCIES = ACC_CATEGORICAL, ACC_FREQUENCIES
BERNOULLI, UNIFORM = ACC_BERNOULLI, ACC_UNIFORM
GAUSSIAN, LAPLACE, CAUCHY, CUSTOM = ACC_GAUSSIAN, ACC_LAPLACE, ACC_CAUCHY, ACC_CUSTOM
PLAIN, SEALED, REMAINDERS = ACC_CHAIN_PLAIN, ACC_CHAIN_SEALED, ACC_CHAIN_REMAINDERS

cdef int PRECISION[2]
PRECISION[:] = [acc_precision(ACC_DEFAULT), acc_precision(ACC_SMALL)]
cdef size_t WORD_SIZE[2]
WORD_SIZE[:] = [acc_word_size(ACC_DEFAULT), acc_word_size(ACC_SMALL)]
cdef tuple WORDS = (numpy.dtype("uint32"), numpy.dtype("uint16"))

# From how few symbols on a table is worth it, of a support that has not many.
cdef enum:
    SMALL_SUPPORT = 4096
    MANY_SYMBOLS = 256

# More words than any coder has: what is restored does not overflow.
cdef uint64_t MOST_WORDS = <uint64_t>1 << 48


cdef class View:
    """A contiguous buffer for as long as this lives."""

    cdef Py_buffer buffer
    cdef void *data
    cdef size_t n

    def __cinit__(self, array, Py_ssize_t itemsize, bint writable=False):
        PyObject_GetBuffer(array, &self.buffer, PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
        if self.buffer.itemsize != itemsize:
            PyBuffer_Release(&self.buffer)
            raise ParameterError(f"items of {itemsize} bytes are needed, not of {self.buffer.itemsize}")
        self.data = self.buffer.buf
        self.n = <size_t>(self.buffer.len // itemsize)

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)  # does nothing where there is none


cdef class Call:
    """What the callbacks of a custom model need while a coder runs."""

    cdef object cdf, ppf, error
    cdef list params
    cdef tuple at
    cdef int precision
    cdef int32_t min, max
    cdef size_t place

    cdef int start(self, size_t i):
        self.place = i
        self.at = tuple([column[i] for column in self.params])
        return 0

    cdef int left(self, int64_t symbol, uint32_t *value) except -1:
        if symbol <= self.min:
            value[0] = 0
        elif symbol > self.max:
            value[0] = <uint32_t>1 << self.precision
        else:
            value[0] = acc_leaky(self.number(self.cdf, symbol - 0.5), self.precision, self.min, self.max, symbol)
        return 0

    cdef double number(self, function, double x) except? -1:
        """What a function of the model returns; a cumulated probability may be off by rounding."""
        cdef double value
        result = function(x, *self.at)
        try:
            value = float(result)
        except (TypeError, ValueError):
            raise ParameterError(f"{function!r} must return a number; at {x}, position {self.place}, it returns {result!r}") from None
        if function is self.cdf and not -1e-9 <= value <= 1 + 1e-9:
            raise ParameterError(f"a cdf must be in 0 .. 1; at {x}, position {self.place}, it is {value}")
        return value


cdef int custom_left(void *context, int64_t symbol, uint32_t *left) noexcept:
    cdef Call call = <Call>context
    try:
        call.left(symbol, left)
    except BaseException as error:
        call.error = error
        return ACC_E_CALLBACK
    return ACC_OK


cdef int custom_find(void *context, size_t i, uint32_t quantile, int32_t *symbol, acc_slot *slot) noexcept:
    cdef Call call = <Call>context
    cdef double guess
    try:
        call.start(i)
        guess = call.number(call.ppf, (quantile + 0.5) / (1 << call.precision))
    except BaseException as error:
        call.error = error
        return ACC_E_CALLBACK
    return acc_search(
        <acc_left><void *>custom_left, context, call.precision, call.min, call.max, guess, quantile, symbol, slot)


cdef class Model:
    """A model, or a family of models where parameters are missing."""

    cdef acc_family family
    cdef acc_table[25] tables  # by precision
    cdef View frequencies
    cdef bint opened
    cdef double[2] values
    cdef int32_t size
    cdef View rows
    cdef object cdf, ppf
    cdef readonly tuple missing
    cdef object probabilities

    def __cinit__(self, *args, **kwargs):
        memset(&self.family, 0, sizeof(acc_family))
        memset(self.tables, 0, sizeof(self.tables))
        self.missing = ()

    def __dealloc__(self):
        for i in range(25):
            acc_table_free(&self.tables[i])

    def _open(self, int kind, tuple missing, *, int32_t lo=0, int32_t hi=0, double a=0, double b=0, int32_t size=0,
              rows=None, bint f32=False, bint perfect=False, frequencies=None, cdf=None, ppf=None):
        cdef acc_family *f = &self.family
        if self.opened:
            raise ParameterError("a model is made once")
        self.opened = True
        f.kind, f.min, f.max, f.f32, f.perfect = kind, lo, hi, f32, perfect
        self.values[0], self.values[1], self.size = a, b, size
        f.a, f.b, f.sizes = &self.values[0], &self.values[1], &self.size
        if rows is not None:
            self.probabilities = rows
            self.rows = View(rows, 4 if f32 else 8)
            f.rows, f.width = self.rows.data, self.rows.n
        if frequencies is not None:
            self.frequencies = View(frequencies, 4)
            f.sizes, f.width = <const int32_t *>self.frequencies.data, self.frequencies.n
        self.cdf, self.ppf, self.missing = cdf, ppf, missing
        # a model is refused when it is made, not when it is used; but not for a preset that may not be meant
        if not missing and kind != ACC_CUSTOM:
            if kind == ACC_CATEGORICAL:
                self.table(PRECISION[ACC_DEFAULT], 0)
            elif kind != ACC_FREQUENCIES:
                self.probe()

    cdef int probe(self) except -1:
        cdef acc_family f = self.family
        cdef acc_slot slot
        cdef int32_t symbol = f.min
        cdef size_t place = 0
        f.precision = PRECISION[0]
        cdef int status = acc_family_slots(&f, &symbol, 1, &slot, &place)
        if status != ACC_OK:
            raise failure(status, 0, None, self, (), f.precision)
        return 0

    cdef Call call(self, int preset, tuple params):
        cdef Call call = Call()
        cdef int64_t size = <int64_t>self.family.max - self.family.min + 1
        if size > <int64_t>1 << PRECISION[preset]:
            raise failure(ACC_E_COUNT, 0, None, self, (), PRECISION[preset])
        call.cdf, call.ppf = self.cdf, self.ppf
        call.at = ()
        call.params = [column.tolist() for column in params]
        call.precision, call.min, call.max = PRECISION[preset], self.family.min, self.family.max
        return call

    cdef acc_table *table(self, int precision, size_t n) except? NULL:
        """The table of a concrete model, if it is worth it for n symbols."""
        cdef acc_table *table = &self.tables[precision]
        cdef acc_family f = self.family
        cdef acc_table made
        cdef size_t size = 0
        cdef int status
        f.precision = precision
        if f.kind == ACC_CUSTOM:
            return NULL
        with cython.critical_section(self):
            if table.cdf is not NULL:
                return table
        status = acc_family_size(&f, &size)
        if status == ACC_OK:
            if f.kind > ACC_FREQUENCIES and size > SMALL_SUPPORT and size // 8 > n:
                return NULL
            with nogil:  # two threads may make the same; one is kept
                status = acc_table_make(&made, &f)
        if status != ACC_OK:
            raise failure(status, 0, None, self, (), precision)
        with cython.critical_section(self):
            if table.cdf is NULL:
                table[0] = made
            else:
                acc_table_free(&made)
        return table

    cdef int complete(self, acc_table *table, bint decoding) except -1:
        cdef int status
        cdef acc_table more
        with cython.critical_section(self):
            if (table.first if decoding else table.divide) is not NULL:
                return 0
            more = table[0]
        with nogil:
            status = acc_table_make_first(&more) if decoding else acc_table_make_divide(&more)
        if status != ACC_OK:
            raise MemoryError
        with cython.critical_section(self):
            if not decoding and table.divide is NULL:
                table.divide = more.divide
            elif decoding and table.first is NULL:
                table.shift, table.direct, table.first = more.shift, more.direct, more.first
            elif decoding:
                free(more.first)
                free(more.direct)
            else:
                free(more.divide)
        return 0

    cdef int bind(self, acc_family *f, int preset, size_t n, tuple params, list keep) except -1:
        """Family with the parameters of a call; n symbols."""
        f[0] = self.family
        f.precision = PRECISION[preset]
        cdef View view
        cdef size_t each = 1
        for name, param in zip(self.missing, params, strict=True):
            if name == "probabilities":
                f.f32 = param.dtype.itemsize == 4
                f.width = param.shape[1]
                f.row_step = 1
                f.count = n
                each = f.width
                view = View(param, 4 if f.f32 else 8)
                f.rows = view.data
            elif name == "size":
                view = View(param, 4)
                f.sizes, f.sizes_step = <const int32_t *>view.data, 1
            else:
                view = View(param, 8)
                if name in ("mean", "loc", "p"):
                    f.a, f.a_step = <const double *>view.data, 1
                else:
                    f.b, f.b_step = <const double *>view.data, 1
            if view.n != n * each:
                raise ParameterError(f"{name}: {view.n} numbers for {n} symbols")
            keep.append(view)
        return 0


cdef object failure(int status, size_t place, symbols, Model model, tuple params, int bits):
    """The exception of a status, with models of so many bits."""
    where = f" at position {place}" if symbols is not None or params else ""
    values = {name: param[place] for name, param in zip(model.missing, params)} if params else {}
    cdef acc_family *f = &model.family
    if status == ACC_E_MEMORY:
        return MemoryError()
    if status == ACC_E_SYMBOL:
        return ParameterError(f"symbol {symbols[place]}{where} is outside of the support of {model}")
    if status == ACC_E_LOCATION:
        name = "loc" if f.kind == ACC_CAUCHY else "mean"
        return ParameterError(f"{name} must be finite; it is {values.get(name, f.a[0])}{where}")
    if status == ACC_E_SCALE:
        name = "std" if f.kind == ACC_GAUSSIAN else "scale"
        return ParameterError(f"{name} must be positive and finite; it is {values.get(name, f.b[0])}{where}")
    if status == ACC_E_PROBABILITY and f.kind == ACC_BERNOULLI:
        return ParameterError(f"p must be in 0 .. 1; it is {values.get('p', f.a[0])}{where}")
    if status == ACC_E_SUM and f.kind == ACC_FREQUENCIES:
        return ParameterError(f"{model} does not sum to 2^{bits}, the precision of the coder")
    if status in (ACC_E_PROBABILITY, ACC_E_SUM):
        row = values.get("probabilities", model.probabilities)
        if status == ACC_E_SUM:
            with numpy.errstate(all="ignore"):
                return ParameterError(f"probabilities cannot be normalized; they sum to {row.sum()}{where}")
        wrong = int(numpy.flatnonzero(~(row >= 0))[0])
        return ParameterError(f"probabilities must not be negative; that of symbol {wrong} is {row[wrong]}{where}")
    if status == ACC_E_COUNT:
        if f.kind == ACC_UNIFORM:
            return ParameterError(f"size must be in 2 .. 2^{bits}; it is {values.get('size', model.size)}{where}")
        if f.kind <= ACC_FREQUENCIES:
            width = params[0].shape[1] if params else f.width
            most = f"2^{bits}" if f.perfect or f.kind == ACC_FREQUENCIES else f"2^{bits} - 2"
            return ParameterError(f"{width} probabilities; a model of {bits} bits has 2 .. {most} symbols")
        return ParameterError(f"{f.max - f.min + 1} symbols; a model of {bits} bits has 2 .. 2^{bits}")
    if status == ACC_E_MODEL:
        return ParameterError(f"{model} leaves a symbol without a probability of {bits} bits{where}")
    if status == ACC_E_END:
        return DecodeError(f"no compressed words are left{where}")
    if status == ACC_E_REMAINDERS:
        return ParameterError(f"no remainders are left to encode the symbol{where}")
    return DecodeError(f"not the words of a range encoder, or not its models; found{where}")


cdef class Coder:
    """Any of the coders."""

    cdef acc_coder coder
    cdef int kind, preset
    cdef char busy

    def __cinit__(self, *args, **kwargs):
        memset(&self.coder, 0, sizeof(acc_coder))

    def __dealloc__(self):
        acc_coder_free(&self.coder)

    cdef int enter(self) except -1:
        if enter(&self.busy):
            raise ParameterError("the coder is in use, by another thread or by a callback")
        return 0

    cdef int become(self, acc_coder *fresh, int kind, int preset) except -1:
        """Take a coder over; if this one is in use, it is freed."""
        try:
            self.enter()
        except BaseException:
            acc_coder_free(fresh)
            raise
        acc_coder_free(&self.coder)
        self.coder, self.kind, self.preset = fresh[0], kind, preset
        leave(&self.busy)
        return 0

    def _open(self, int kind, int preset, words, int how):
        """Whether the words are such as the coder can start from."""
        cdef View view
        cdef acc_coder fresh
        cdef bint fine = True
        memset(&fresh, 0, sizeof(acc_coder))
        if words is not None:
            view = View(words, WORD_SIZE[preset])
            if acc_words_set(&fresh.words, view.data, view.n, WORD_SIZE[preset]) != ACC_OK:
                raise MemoryError
        if kind == ACC_STACK:
            fine = acc_stack_open(&fresh, preset, how)
        elif kind == ACC_CHAIN:
            fine = acc_chain_open(&fresh, preset, how)
        elif kind == ACC_ENCODER:
            acc_encoder_open(&fresh, preset)
        else:
            acc_decoder_open(&fresh, preset, 0)
        if not fine:
            acc_coder_free(&fresh)
            return False
        self.become(&fresh, kind, preset)
        return True

    def _copy_from(self, Coder other):
        cdef acc_coder copy
        other.enter()
        self.kind, self.preset = other.kind, other.preset
        copy = other.coder
        cdef int status = acc_words_copy(&copy.words, &other.coder.words, WORD_SIZE[self.preset])
        if status == ACC_OK:
            status = acc_words_copy(&copy.rest, &other.coder.rest, WORD_SIZE[self.preset])
            if status != ACC_OK:
                free(copy.words.data)
        leave(&other.busy)
        if status != ACC_OK:
            raise MemoryError
        self.coder = copy

    def _save(self):
        """All that `_restore` takes, but the kind, with the preset by its name."""
        cdef acc_coder *c = &self.coder
        self.enter()
        try:
            words, rest = self.copied(&c.words, []), self.copied(&c.rest, [])
            return self.preset_name(), words, rest, c.state, c.head, c.pos, c.waiting, c.first_waiting
        finally:
            leave(&self.busy)

    def _restore(self, int kind, int preset, words, rest, uint64_t state, uint64_t head, uint64_t pos,
                 uint64_t waiting, uint32_t first_waiting):
        """Whether it is a state that a coder of this kind can be in; it is taken then."""
        cdef View first = View(words, WORD_SIZE[preset]), second = View(rest, WORD_SIZE[preset])
        cdef int W = <int>(8 * WORD_SIZE[preset]), P = PRECISION[preset]
        cdef uint64_t most = <uint64_t>-1 >> (64 - 2 * W)
        cdef acc_coder fresh
        cdef bint fine = state <= most
        if kind == ACC_STACK:
            fine = fine and (first.n == 0 or state >> W != 0)
        elif kind == ACC_CHAIN:
            fine = head != 0 and head >> W == 0 and state >> (W - P) != 0 and state >> (2 * W - P) == 0
        else:
            fine = fine and head >> W != 0 and head <= most and pos <= MOST_WORDS
        if kind == ACC_ENCODER:  # words wait exactly where the interval lies across their end
            fine = fine and (waiting != 0) == (((state + head) & most) <= state) and waiting <= MOST_WORDS
            fine = fine and (<uint64_t>first_waiting) >> W == 0
        if not fine:
            return False
        memset(&fresh, 0, sizeof(acc_coder))
        if (acc_words_set(&fresh.words, first.data, first.n, WORD_SIZE[preset]) != ACC_OK
                or acc_words_set(&fresh.rest, second.data, second.n, WORD_SIZE[preset]) != ACC_OK):
            acc_coder_free(&fresh)
            raise MemoryError
        if kind == ACC_DECODER:
            acc_decoder_open(&fresh, preset, pos)
        fresh.state, fresh.head, fresh.waiting, fresh.first_waiting = state, head, waiting, first_waiting
        self.become(&fresh, kind, preset)
        return True

    cdef preset_name(self):
        return "small" if self.preset == ACC_SMALL else "default"

    @property
    def preset(self):
        """``"default"`` or ``"small"``."""
        return self.preset_name()

    def _encode(self, symbols, Model model, tuple params):
        cdef View view = View(symbols, 4)
        cdef const int32_t *s = <const int32_t *>view.data
        cdef size_t n = view.n, place = 0, size
        cdef acc_slot *slots = NULL
        cdef acc_table *table = NULL
        cdef acc_family f
        cdef const acc_ops *ops = acc_ops_of(self.kind, self.preset)
        cdef int status = ACC_OK
        cdef list keep = []
        self.enter()
        f.scratch = NULL
        try:
            if not n:
                return
            if model.family.kind != ACC_CUSTOM and not params:
                table = model.table(PRECISION[self.preset], n)
            if table is not NULL:
                if self.kind != ACC_ENCODER and table.divide is NULL and n >= table.n // 4:
                    model.complete(table, False)
                if self.kind == ACC_ENCODER or table.divide is not NULL:
                    with nogil:
                        status = ops.encode_table(&self.coder, table, s, n, &place)
                    if status != ACC_OK:
                        raise failure(status, place, symbols, model, (), PRECISION[self.preset])
                    return
            slots = <acc_slot *>malloc(n * sizeof(acc_slot))
            if slots is NULL:
                raise MemoryError
            if table is not NULL:
                with nogil:
                    status = acc_table_slots(table, s, n, slots, &place)
            elif model.family.kind == ACC_CUSTOM:
                self.custom_slots(s, n, slots, model, params)
            else:
                model.bind(&f, self.preset, n, params, keep)
                size = acc_scratch_size(&f)
                f.scratch = malloc(size) if size else NULL
                if size and f.scratch is NULL:
                    raise MemoryError
                with nogil:
                    status = acc_family_slots(&f, s, n, slots, &place)
            if status == ACC_OK:
                with nogil:
                    status = ops.encode_slots(&self.coder, slots, n, &place)
            if status != ACC_OK:
                raise failure(status, place, symbols, model, params, PRECISION[self.preset])
        finally:
            free(slots)
            free(f.scratch)
            leave(&self.busy)

    cdef int custom_slots(self, const int32_t *s, size_t n, acc_slot *slots, Model model, tuple params) except -1:
        cdef Call call = model.call(self.preset, params)
        cdef uint32_t right = 0
        cdef size_t i
        for i in range(n):
            call.start(i)
            if s[i] < call.min or s[i] > call.max:
                raise ParameterError(f"symbol {s[i]} at position {i} is outside of the support of {model}")
            call.left(s[i], &slots[i].left)
            call.left(<int64_t>s[i] + 1, &right)
            slots[i].size = right - slots[i].left
            if slots[i].left >= right or right > <uint32_t>1 << call.precision:
                raise ParameterError(f"the cdf of {model} decreases at symbol {s[i]}, at position {i}")
        return 0

    def _decode(self, Model model, size_t n, tuple params):
        symbols = numpy.empty(n, numpy.int32)
        cdef View view = View(symbols, 4, True)
        cdef int32_t *s = <int32_t *>view.data
        cdef size_t place = 0, size
        cdef acc_table *table = NULL
        cdef acc_family f
        cdef Call call = None
        cdef const acc_ops *ops = acc_ops_of(self.kind, self.preset)
        cdef int status = ACC_OK
        cdef list keep = []
        self.enter()
        f.scratch = NULL
        try:
            if not n:
                return symbols
            if model.family.kind == ACC_CUSTOM:
                call = model.call(self.preset, params)
                status = ops.decode_each(&self.coder, <acc_find><void *>custom_find, <void *>call, s, n, &place)
                if status == ACC_E_CALLBACK:
                    raise call.error
            else:
                if not params:
                    table = model.table(PRECISION[self.preset], n)
                if table is not NULL and (table.first is not NULL or n >= MANY_SYMBOLS):
                    model.complete(table, True)
                    with nogil:
                        status = ops.decode_table(&self.coder, table, s, n, &place)
                elif table is not NULL:
                    with nogil:
                        status = ops.decode_each(&self.coder, acc_find_in_table, table, s, n, &place)
                else:
                    model.bind(&f, self.preset, n, params, keep)
                    size = acc_scratch_size(&f)
                    f.scratch = malloc(size) if size else NULL
                    if size and f.scratch is NULL:
                        raise MemoryError
                    with nogil:
                        status = ops.decode_each(&self.coder, acc_find_in_family, &f, s, n, &place)
            if status != ACC_OK:
                raise failure(status, place, symbols, model, params, PRECISION[self.preset])
        finally:
            free(f.scratch)
            leave(&self.busy)
        return symbols

    def _words(self, int tail=-1):
        """Compressed words, and remainders, as arrays, one of them with what the state adds.

        `tail` is `SEALED`, `PLAIN` or `REMAINDERS`, of a stack or chain coder.  None if the state does not make up whole
        words.
        """
        cdef uint32_t[3] more
        cdef int n = 0
        self.enter()
        try:
            if tail >= 0 and self.kind == ACC_STACK:
                n = acc_stack_tail(&self.coder, self.preset, tail, more)
            elif tail >= 0:
                n = acc_chain_tail(&self.coder, self.preset, tail, more)
            if n < 0:
                return None
            behind = [more[i] for i in range(n)]
            if tail == ACC_CHAIN_REMAINDERS:
                return self.copied(&self.coder.words, []), self.copied(&self.coder.rest, behind)
            return self.copied(&self.coder.words, behind), self.copied(&self.coder.rest, [])
        finally:
            leave(&self.busy)

    cdef copied(self, acc_words *words, list behind):
        """Words as an array, with others behind them."""
        array = numpy.empty(words.len + <size_t>len(behind), WORDS[self.preset])
        cdef View view = View(array, WORD_SIZE[self.preset], True)
        if words.len:
            memcpy(view.data, words.data, words.len * WORD_SIZE[self.preset])
        if behind:
            array[<Py_ssize_t>words.len:] = behind
        return array

    def _finished(self):
        """The words of a range encoder with those that finish the stream."""
        self.enter()
        try:
            return self.copied(&self.coder.words, self.ending())
        finally:
            leave(&self.busy)

    def _finished_length(self):
        """Number of words of `_finished`."""
        self.enter()
        try:
            return self.coder.words.len + <size_t>len(self.ending())
        finally:
            leave(&self.busy)

    cdef list ending(self):
        cdef acc_ending ending
        acc_encoder_ending(&self.coder, self.preset, &ending)
        if not ending.any:
            return []
        words = [ending.first] + [ending.middle] * <Py_ssize_t>ending.repeat if ending.inverted else []
        return words + [ending.last] + [0] * ending.zero

    def _state(self):
        """(number of words, state, head, position, words that wait)"""
        cdef acc_coder *c = &self.coder
        self.enter()
        try:
            return c.words.len, c.state, c.head, c.pos, c.waiting
        finally:
            leave(&self.busy)

    def _seek_stack(self, size_t position, uint64_t state):
        """Whether there are so many words."""
        self.enter()
        try:
            if position > self.coder.words.len:
                return False
            self.coder.words.len = position
            self.coder.state = state
            return True
        finally:
            leave(&self.busy)

    def _seek_decoder(self, size_t position, uint64_t low, uint64_t width):
        """Whether there are so many words."""
        self.enter()
        try:
            if position > self.coder.words.len:
                return False
            acc_decoder_open(&self.coder, self.preset, position)
            self.coder.state = low
            self.coder.head = width
            return True
        finally:
            leave(&self.busy)

    def _exhausted(self):
        self.enter()
        try:
            return acc_decoder_exhausted(&self.coder, self.preset)
        finally:
            leave(&self.busy)


cdef class Lanes:
    """Stacks that share their words."""

    cdef acc_lanes lanes
    cdef char busy
    cdef readonly int precision

    def __cinit__(self, *args, **kwargs):
        memset(&self.lanes, 0, sizeof(acc_lanes))

    def __dealloc__(self):
        free(self.lanes.words.data)
        free(self.lanes.heads)

    cdef int enter(self) except -1:
        if enter(&self.busy):
            raise ParameterError("the coder is in use by another thread")
        return 0

    def _open(self, int preset, int precision, heads, words):
        """Heads in the type of the preset's states, and words, both of which are copied; once."""
        cdef View view = View(heads, 2 * WORD_SIZE[preset])
        cdef View more = View(words, WORD_SIZE[preset])
        if self.lanes.heads is not NULL or not view.n:
            raise ParameterError("a coder is opened once, with a lane at least")
        self.lanes.heads = malloc(view.n * 2 * WORD_SIZE[preset])
        if self.lanes.heads is NULL:
            raise MemoryError
        memcpy(self.lanes.heads, view.data, view.n * 2 * WORD_SIZE[preset])
        if acc_words_set(&self.lanes.words, more.data, more.n, WORD_SIZE[preset]) != ACC_OK:
            raise MemoryError
        self.lanes.n, self.lanes.preset, self.precision = view.n, preset, precision

    def _push(self, symbols, Model model):
        cdef View view = View(symbols, 4)
        cdef const int32_t *s = <const int32_t *>view.data
        cdef acc_table *table = NULL
        cdef size_t place = 0
        cdef int status
        self.enter()
        try:
            if view.n != self.lanes.n:
                raise ParameterError(f"{view.n} symbols for {self.lanes.n} lanes")
            table = self.table(model)
            model.complete(table, False)
            with nogil:
                status = acc_lanes_push(&self.lanes, table, s, &place)
            if status != ACC_OK:
                raise failure(status, place, symbols, model, (), self.precision)
        finally:
            leave(&self.busy)

    def _pop(self, Model model):
        symbols = numpy.empty(self.lanes.n, numpy.int32)
        cdef View view = View(symbols, 4, True)
        cdef acc_table *table = NULL
        cdef size_t place = 0
        cdef int status
        self.enter()
        try:
            table = self.table(model)
            model.complete(table, True)
            with nogil:
                status = acc_lanes_pop(&self.lanes, table, <int32_t *>view.data, &place)
            if status == ACC_E_END:
                raise DecodeError(f"no words are left for lane {place}")
        finally:
            leave(&self.busy)
        return symbols

    cdef acc_table *table(self, Model model) except NULL:
        # of a large support, and for few lanes, too
        cdef acc_table *table = model.table(self.precision, <size_t>-1) if not model.missing else NULL
        if table is NULL:
            raise ParameterError(f"lanes need a model with all of its parameters, and not of functions; got {model}")
        return table

    def _heads(self):
        """A copy of the heads."""
        cdef size_t size = 2 * WORD_SIZE[self.lanes.preset]
        cdef View view
        self.enter()
        try:
            array = numpy.empty(self.lanes.n, numpy.uint32 if size == 4 else numpy.uint64)
            view = View(array, size, True)
            memcpy(view.data, self.lanes.heads, self.lanes.n * size)
        finally:
            leave(&self.busy)
        return array

    def _words(self):
        """A copy of the words that lanes share."""
        cdef size_t size = WORD_SIZE[self.lanes.preset]
        cdef View view
        self.enter()
        try:
            array = numpy.empty(self.lanes.words.len, WORDS[self.lanes.preset])
            view = View(array, size, True)
            if view.n:
                memcpy(view.data, self.lanes.words.data, view.n * size)
        finally:
            leave(&self.busy)
        return array

    def _count(self):
        """Number of words without heads."""
        return self.lanes.words.len
