# core.pxd: extern declarations, line for line with arraycodec.h.  Declarations only.
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

cdef extern from "arraycodec.h" nogil:
    enum:
        AC_FORMAT_VERSION
        AC_MAX_NDIM
        AC_MAX_BLOCK
        AC_MAX_THREADS
    enum:
        AC_MIN_LEVEL
        AC_DEFAULT_LEVEL
        AC_MAX_LEVEL
    enum:
        AC_PREDICTOR_DEFAULT
        AC_PREDICTOR_NONE
        AC_PREDICTOR_AUTO
        AC_PREDICTOR_LORENZO
        AC_PREDICTOR_LINEAR
        AC_PREDICTOR_INTERPOLATION
        AC_PREDICTORS
    enum:
        AC_CODER_DEFAULT
        AC_CODER_RANS
        AC_CODER_VARINT
        AC_CODERS
    enum:
        AC_OK
        AC_E_PARAM
        AC_E_MEMORY
        AC_E_DST_SIZE
        AC_E_ISA
        AC_E_FORMAT
        AC_E_TRUNCATED
        AC_E_CHECKSUM
        AC_E_VERSION
        AC_E_NOT_FINITE
        AC_E_BACKEND
    enum:
        AC_FLOAT32
        AC_FLOAT64
        AC_FLOAT16
        AC_BFLOAT16
        AC_COMPLEX64
        AC_COMPLEX128
        AC_INT8
        AC_INT16
        AC_INT32
        AC_INT64
        AC_UINT8
        AC_UINT16
        AC_UINT32
        AC_UINT64
        AC_BOOL
        AC_DATETIME64
        AC_TIMEDELTA64
    enum:
        AC_MODE_RAW
        AC_MODE_CONSTANT
        AC_MODE_UNIFORM
        AC_MODE_EXACT
        AC_MODE_LATTICE
        AC_MODE_AFFINE
        AC_MODE_PREDICTED
        AC_MODE_SPLIT
    ctypedef struct ac_array:
        uint8_t dtype
        uint8_t big_endian
        uint8_t f_order
        uint8_t ndim
        uint8_t unit
        uint32_t multiple
        uint64_t shape[32]
    ctypedef struct ac_tolerance:
        double absolute
        double relative
        const void *fill
    ctypedef struct ac_info:
        ac_array array
        double tol
        double rtol
        double delta
        uint64_t whole
        uint64_t count
        uint64_t n_blocks
        uint32_t block_len
        uint8_t boxed
        uint32_t box[32]
        uint64_t boxes[32]
        uint8_t version
        uint8_t codec
        uint64_t header_size
    ctypedef struct ac_block_info:
        uint64_t offset
        uint64_t size
        uint32_t count
        uint8_t mode
        uint8_t varints
        uint8_t n_classes
        uint8_t lanes
        uint8_t prob_bits
        uint8_t group
        uint8_t low_bytes
        uint8_t difference
        uint8_t folded
        uint8_t order
        uint32_t row
        uint32_t masked
        uint32_t copies
        uint32_t window_exceptions
        uint32_t raw_exceptions
        uint32_t edges
    ctypedef struct ac_tuning:
        uint32_t block_len
        uint32_t box_len
        uint8_t group
        uint8_t lanes
        uint8_t prob_bits
        uint8_t level
        uint8_t predictor
        uint8_t coder
    ctypedef struct ac_check:
        uint64_t violations
        uint64_t lost
        double max_error
    ctypedef struct ac_slice:
        uint64_t start
        uint64_t count
        uint64_t step
        ptrdiff_t stride
    enum:
        AC_CODEC_ANSQUANT
        AC_CODEC_BACKEND
        AC_CODEC_STOCHASTIC
        AC_CODEC_LOW_RANK
        AC_METHOD_QSGD
        AC_METHOD_DITHER
        AC_NORM_L2
        AC_NORM_MAX
        AC_PACKING_RANS
        AC_PACKING_FIXED
        AC_FACTORS_SVD
        AC_FACTORS_LPLR
        AC_FACTORS_LSVD
        AC_FACTORS_DSVD
    ctypedef struct ac_stochastic:
        uint8_t bits
        uint8_t method
        uint8_t norm
        uint8_t packing
        uint64_t bucket
        uint64_t seed
    ctypedef struct ac_low_rank:
        uint8_t factors
        uint8_t rows_ndim
        uint32_t rank
        double scale
        const uint32_t *weights
        const int32_t *rows
        const int32_t *columns
        uint8_t rows_f_order
        uint8_t columns_f_order
        double tol
        uint8_t level
    int ac_stochastic_bound(const ac_array *array, const ac_stochastic *how, size_t *bound)
    int ac_stochastic_encode(const ac_array *array, const ac_stochastic *how, unsigned threads, const void *src,
                             size_t src_size, void *dst, size_t capacity, size_t *size)
    int ac_low_rank_bound(const ac_array *array, const ac_low_rank *how, size_t *bound)
    int ac_low_rank_encode(const ac_array *array, const ac_low_rank *how, unsigned threads, const void *src,
                           size_t src_size, void *dst, size_t capacity, size_t *size)
    int ac_backend_bound(size_t compressed_size, size_t *bound)
    int ac_backend_wrap(const void *chunk, size_t chunk_size, uint8_t code, const void *compressed,
                        size_t compressed_size, void *dst, size_t capacity, size_t *size)
    int ac_open_block(const void *src, size_t src_size, const ac_info *info, const uint8_t **block, size_t *size)
    int ac_bound(const ac_array *array, const ac_tuning *tuning, size_t *bound)
    int ac_most_blocks(const ac_array *array, const ac_tuning *tuning, uint64_t *blocks)
    int ac_describe(const ac_array *array, const ac_tuning *tuning, ac_info *info)
    int ac_encode(const ac_array *array, const ac_tolerance *tolerance, const ac_tuning *tuning, unsigned threads,
                  const void *src, size_t src_size, void *dst, size_t capacity, size_t *size)
    int ac_peek(const void *src, size_t src_size, ac_info *info)
    int ac_decode(const void *src, size_t src_size, const ac_info *info, void *dst, size_t dst_size, unsigned threads)
    int ac_decode_range(const void *src, size_t src_size, const ac_info *info, uint64_t first, uint64_t count,
                        void *dst, size_t dst_size)
    int ac_decode_selection(const void *src, size_t src_size, const ac_info *info, const ac_slice *slices, void *dst,
                            unsigned threads)
    int ac_inspect(const void *src, size_t src_size, ac_info *info, ac_block_info *blocks, uint64_t n_blocks)
    int ac_check_bound(int dtype, const void *a, const void *b, size_t n, const ac_tolerance *tolerance,
                       ac_check *result)
    size_t ac_element_size(int dtype)
    const char *ac_error_name(int code)
    const char *ac_isa()


cdef extern from "core/profile.h" nogil:
    enum:
        AC_STAGE_QUANTIZE
        AC_STAGE_PLAN
        AC_STAGE_SPLIT
        AC_STAGE_ENCODE
        AC_STAGE_ENCODE_CHECKSUM
        AC_STAGE_ENCODE_TOTAL
        AC_STAGE_DECODE_CHECKSUM
        AC_STAGE_TABLES
        AC_STAGE_DECODE
        AC_STAGE_DECODE_TOTAL
        AC_STAGES

    int ac_profile(int dtype, double tol, const void *src, size_t n, unsigned repeat, double *seconds)
