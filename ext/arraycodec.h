/* arraycodec: the public C API, on one page.
 *
 * An error-bounded codec for arrays of numbers.  Every finite value x comes back within
 * max(absolute, relative * |x|) of what was encoded, in exact arithmetic; NaN (payload included) and
 * infinities come back bit for bit.
 * An encoded chunk is self-describing: decoding needs no parameters.  docs/format.md specifies the
 * bytes, docs/guarantee.md proves the bound.
 *
 * Conventions: functions return AC_OK or an error code; buffers belong to the caller and are passed
 * with their size; nothing is printed, no state is kept between calls but each calling thread's scratch
 * memory (at most 18 MiB, of which most calls touch less than 3, freed when the thread ends), and every function may be called from several
 * threads at once.  The floating-point environment of the caller (rounding mode, FTZ/DAZ) is saved, set
 * to the IEEE defaults and restored by encode and decode.
 *
 * `threads` is how many threads may work on the blocks of one chunk, the caller's included (0 is 1): the
 * others are made for the call and end with it, and take no signals but their own faults.  Bytes,
 * values and errors do not depend on it.
 */
#ifndef ARRAYCODEC_H
#define ARRAYCODEC_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AC_FORMAT_VERSION 0      /* 0 is experimental: its bytes may still change */
#define AC_MAX_NDIM 32           /* HDF5's limit; NumPy's is 64, Zarr has none */
#define AC_MAX_BLOCK (1u << 18)  /* values in a block; see docs/format.md */
#define AC_MAX_THREADS 256       /* of one call: more may be asked for, but are not used */

/* Values are pinned; new ones go into the gaps. */
enum {
  AC_OK = 0,
  AC_E_PARAM = 10,       /* an argument is out of range */
  AC_E_MEMORY = 12,      /* out of memory */
  AC_E_DST_SIZE = 14,    /* the destination is too small, or does not fit the header */
  AC_E_ISA = 16,         /* ARRAYCODEC_ISA names no instruction set that this machine runs */
  AC_E_NOT_FINITE = 18,  /* values, or a norm of them, that are not finite, where the method needs finite ones */
  AC_E_FORMAT = 20,      /* not an arraycodec chunk, or its structure is invalid */
  AC_E_TRUNCATED = 22,   /* the chunk ends too early */
  AC_E_CHECKSUM = 24,    /* a CRC32C does not match */
  AC_E_VERSION = 26,     /* valid, but of a format version or codec this build does not know */
  AC_E_BACKEND = 28      /* valid, but compressed by a backend, which is not the core's to undo */
};

/* Element types (codes of the format).  A complex element is two values, its parts; bool,
 * datetime64 and timedelta64 are stored without loss. */
enum {
  AC_FLOAT32 = 1, AC_FLOAT64 = 2, AC_FLOAT16 = 3, AC_BFLOAT16 = 4, AC_COMPLEX64 = 5, AC_COMPLEX128 = 6,
  AC_INT8 = 16, AC_INT16 = 17, AC_INT32 = 18, AC_INT64 = 19,
  AC_UINT8 = 20, AC_UINT16 = 21, AC_UINT32 = 22, AC_UINT64 = 23,
  AC_BOOL = 24, AC_DATETIME64 = 25, AC_TIMEDELTA64 = 26
};

/* Codecs (codes of the format). */
enum { AC_CODEC_ANSQUANT = 1, AC_CODEC_BACKEND = 2, AC_CODEC_STOCHASTIC = 3, AC_CODEC_LOW_RANK = 4 };

/* Block modes (codes of the format, all of AC_CODEC_ANSQUANT). */
enum { AC_MODE_RAW = 0, AC_MODE_CONSTANT = 1, AC_MODE_UNIFORM = 2, AC_MODE_EXACT = 3, AC_MODE_LATTICE = 4, AC_MODE_AFFINE = 5, AC_MODE_PREDICTED = 6, AC_MODE_SPLIT = 7 };

/* How a buffer is to be read: element type, byte order, shape, memory order. */
typedef struct {
  uint8_t dtype;       /* one of the element types */
  uint8_t big_endian;  /* byte order of the elements in the caller's buffer: 0 little, 1 big; 0 for single bytes */
  uint8_t f_order;     /* 0: C order, 1: Fortran order; the buffer is contiguous in that order */
  uint8_t ndim;        /* 0 .. AC_MAX_NDIM */
  uint8_t unit;        /* datetime64 and timedelta64: code of the format, 0 .. 13; 0 for all others */
  uint32_t multiple;   /* datetime64 and timedelta64: of the unit, 1 .. 2^31 - 1; 0 for all others */
  uint64_t shape[AC_MAX_NDIM];
} ac_array;

/* What may be lost: a finite value x may come back as any x' with |x - x'| <= max(absolute,
 * relative * |x|).  Both zero is lossless.  Of complex elements each part is a value.  Integers use
 * the whole part of `absolute` and are not changed for the sake of `relative`. */
typedef struct {
  double absolute;     /* finite and >= 0, in the units of the array */
  double relative;     /* 0 <= relative < 1 */
  const void *fill;    /* an element in native byte order whose copies come back bit for bit; or NULL */
} ac_tolerance;

/* What the header of a chunk says. */
typedef struct {
  ac_array array;
  double tol;            /* the absolute tolerance asked for (information only) */
  double rtol;           /* the relative tolerance; 0 without one, and where it is too small to permit anything */
  double delta;          /* uniform reconstructions are integer multiples of it; 0: none, and for integers */
  uint64_t whole;        /* integers: the tolerance in whole numbers */
  uint64_t count;        /* elements */
  uint64_t n_blocks;
  uint32_t block_len;    /* elements in every block but the last; of boxes: in a whole one */
  /* of AC_CODEC_ANSQUANT; with all others there is one block, of all elements */
  uint8_t boxed;         /* blocks are boxes, the last along an axis may be short; else runs of elements in memory order */
  uint32_t box[AC_MAX_NDIM];    /* boxed: its extents, axes in memory order (the slowest first) */
  uint64_t boxes[AC_MAX_NDIM];  /* boxed: how many along each of these axes */
  uint8_t version, codec;
  uint64_t header_size;  /* bytes before the first block */
} ac_info;

/* What one block says of itself (its checksum is verified first). */
typedef struct {
  uint64_t offset, size;        /* bytes within the chunk */
  uint32_t count;               /* elements */
  uint8_t mode;                 /* AC_MODE_... */
  uint8_t varints;              /* are integers stored as such? */
  uint8_t n_classes, lanes, prob_bits, group;  /* 0 where the mode has none */
  uint8_t low_bytes, difference, folded;       /* of wide integers; 0 where the mode has none */
  uint8_t order;                /* of its values: 0 as in memory; bit 0: columns before rows, bit 1: sorted by scale */
  uint32_t row;                 /* values of a row of that order */
  uint32_t masked;              /* values that a mask stands for */
  uint32_t copies;              /* values that stood in the block before */
  uint32_t window_exceptions;   /* integers outside their window */
  uint32_t raw_exceptions;      /* refused by the quantizer: stored bit for bit */
  uint32_t edges;               /* refused by the quantizer, but known by their position */
} ac_block_info;

/* How hard the encoder looks: 1 is fast, 9 the smallest.  Every decoder reads all of it. */
#define AC_MIN_LEVEL 1
#define AC_DEFAULT_LEVEL 5
#define AC_MAX_LEVEL 9

/* What integers, and floats on a uniform lattice, are predicted from: nothing, what is best of all, the values before
 * (Lorenzo), coarser grids, or many values before in a row (linear).  As the level, it is of the
 * encoder alone: every decoder reads all of it, and every encoder keeps what another one's chunks were decoded to. */
enum {
  AC_PREDICTOR_DEFAULT, /* AC_PREDICTOR_AUTO */
  AC_PREDICTOR_NONE, AC_PREDICTOR_AUTO, AC_PREDICTOR_LORENZO, AC_PREDICTOR_INTERPOLATION,
  AC_PREDICTOR_LINEAR, AC_PREDICTORS
};

/* How integers are stored: by rANS, or as varints, which are larger, and read by a loop of a few lines.  Every decoder reads
 * both. */
enum { AC_CODER_DEFAULT, AC_CODER_RANS, AC_CODER_VARINT, AC_CODERS };

/* The level, the predictor, the coder, and encoder choices that tests force; 0 everywhere (or NULL) lets the encoder choose. */
typedef struct {
  uint32_t block_len;  /* 1 .. AC_MAX_BLOCK; half of it for complex elements: runs of so many */
  uint32_t box_len;    /* of the same range, not with block_len: boxes of at most so many, if there are two axes and more elements */
  uint8_t group;       /* 64 or 128 */
  uint8_t lanes;       /* 4, 8, 16, 32, 64 */
  uint8_t prob_bits;   /* 10 .. 13 */
  uint8_t level;       /* AC_MIN_LEVEL .. AC_MAX_LEVEL; 0 is AC_DEFAULT_LEVEL */
  uint8_t predictor;   /* AC_PREDICTOR_...; with varints nothing is predicted */
  uint8_t coder;       /* AC_CODER_... */
} ac_tuning;

/* How values are rounded at random: to multiples of the step of their bucket, norm / (2^bits - 1). */
enum { AC_METHOD_QSGD, AC_METHOD_DITHER, AC_METHODS };  /* up or down; or as they are, after a shift that the decoder takes back */
enum { AC_NORM_L2, AC_NORM_MAX, AC_NORMS };
enum { AC_PACKING_RANS, AC_PACKING_FIXED, AC_PACKINGS }; /* levels by rANS; or 2 + bits bits each */
typedef struct {
  uint8_t bits;     /* 1 .. 9 */
  uint8_t method, norm, packing;
  uint64_t bucket;  /* values that share a norm; 0: all of them */
  uint64_t seed;    /* with the checksum of the values the key of the random numbers */
} ac_stochastic;

/* A matrix as scale * sum over k of weights[k] * rows[k] * columns[k], a column by a row of integers.  The sum of
 * weights[k] * max |rows[k]| * max |columns[k]| must be below 2^53.  `factors` says how they were found, for whoever wants to know. */
enum { AC_FACTORS_SVD, AC_FACTORS_LPLR, AC_FACTORS_LSVD, AC_FACTORS_DSVD, AC_FACTORS };
typedef struct {
  uint8_t factors;
  uint8_t rows_ndim;         /* the first so many axes in memory order make the m rows, the others the n columns */
  uint32_t rank;
  double scale;
  const uint32_t *weights;   /* 1 .. 2^31 - 1 */
  const int32_t *rows;       /* rank x m */
  const int32_t *columns;    /* rank x n */
  uint8_t rows_f_order, columns_f_order; /* 1: components change fastest; this is how they are stored */
  double tol;                /* what the product lacks is stored within it; 0: it is not stored */
  uint8_t level;             /* of what is stored, as in ac_tuning */
} ac_low_rank;

/* Result of ac_check_bound. */
typedef struct {
  uint64_t violations;  /* finite values too far away, and NaN, infinities and fill values whose bits changed */
  uint64_t lost;        /* of these, NaN, Inf or fill values that changed (or NaN or Inf that appeared) */
  double max_error;     /* largest |a - b| over finite values, rounded to nearest */
} ac_check;

/* What a selection takes along an axis: indices start, start + step, … */
typedef struct {
  uint64_t start, count, step;  /* step >= 1 */
  ptrdiff_t stride;             /* bytes from one to the next in the destination */
} ac_slice;

/* Largest number of bytes ac_encode can need for this array (tuning as there): a tested promise.  If blocks are boxes it
 * needs less than that, as each of them has the room of a whole one. */
int ac_bound(const ac_array *array, const ac_tuning *tuning, size_t *bound);

/* Likewise the largest number of blocks. */
int ac_most_blocks(const ac_array *array, const ac_tuning *tuning, uint64_t *blocks);

/* How ac_encode cuts this array (tuning as there), if it is one that can be predicted: fills in what *info says of elements
 * and blocks. */
int ac_describe(const ac_array *array, const ac_tuning *tuning, ac_info *info);

/* Encode `array->shape` elements at `src` (src_size bytes, aligned to the element) into dst.
 * *size receives the bytes written; beyond them dst holds anything.  With less than ac_bound at dst,
 * one thread does all. */
int ac_encode(const ac_array *array, const ac_tolerance *tolerance, const ac_tuning *tuning, unsigned threads,
              const void *src, size_t src_size, void *dst, size_t capacity, size_t *size);

/* The same two for values that are rounded at random (docs/stochastic.md): floats that are no parts of complex numbers, fewer than
 * 2^31 and all of them finite (else AC_E_NOT_FINITE).  An empty array is stored by ac_encode.  The same seed gives the same bytes. */
int ac_stochastic_bound(const ac_array *array, const ac_stochastic *how, size_t *bound);
int ac_stochastic_encode(const ac_array *array, const ac_stochastic *how, unsigned threads, const void *src, size_t src_size,
                         void *dst, size_t capacity, size_t *size);

/* And for matrices as products (docs/low-rank.md): floats as above, fewer than 2^31 of them, of at least two axes; with a
 * tolerance any value may be there, without it finite ones are meant. */
int ac_low_rank_bound(const ac_array *array, const ac_low_rank *how, size_t *bound);
int ac_low_rank_encode(const ac_array *array, const ac_low_rank *how, unsigned threads, const void *src, size_t src_size,
                       void *dst, size_t capacity, size_t *size);

/* Put a backend's compressed form of a chunk of AnsQuant into a chunk of its own: `code` says which backend. */
int ac_backend_bound(size_t compressed_size, size_t *bound);
int ac_backend_wrap(const void *chunk, size_t chunk_size, uint8_t code, const void *compressed, size_t compressed_size,
                    void *dst, size_t capacity, size_t *size);

/* The one block of a chunk of the other codecs, its checksum verified: where it is, and how long. */
int ac_open_block(const void *src, size_t src_size, const ac_info *info, const uint8_t **block, size_t *size);

/* Read and verify the header.  Needs only the first bytes of a chunk (header and block index);
 * AC_E_TRUNCATED if they are not all there. */
int ac_peek(const void *src, size_t src_size, ac_info *info);

/* Decode a whole chunk; dst_size must be exactly the size of the array, dst aligned to its element.
 * info: what ac_peek said of the same bytes, or NULL, to have it read here. */
int ac_decode(const void *src, size_t src_size, const ac_info *info, void *dst, size_t dst_size, unsigned threads);

/* Decode elements [first, first + count) in memory order; only the blocks they touch are read and verified, those that are
 * boxes perhaps more than once.  dst_size must be exactly count elements; info as above. */
int ac_decode_range(const void *src, size_t src_size, const ac_info *info, uint64_t first, uint64_t count,
                    void *dst, size_t dst_size);

/* Decode the elements that are selected along every axis: slices has one for each axis of the array, in the order of its shape.
 * Only the blocks they touch are read and verified.  The first of them goes to dst, the others to where the strides say,
 * which is the caller's to get right; info and threads as above. */
int ac_decode_selection(const void *src, size_t src_size, const ac_info *info, const ac_slice *slices, void *dst,
                        unsigned threads);

/* Describe a whole chunk and its blocks without decoding values; n_blocks must be the chunk's. */
int ac_inspect(const void *src, size_t src_size, ac_info *info, ac_block_info *blocks, uint64_t n_blocks);

/* Compare n native elements of type dtype, the originals a and what came back of them, b, in exact
 * arithmetic: is the promise of ac_tolerance kept? */
int ac_check_bound(int dtype, const void *a, const void *b, size_t n, const ac_tolerance *tolerance, ac_check *result);

/* Bytes of an element; 0 if the type is unknown. */
size_t ac_element_size(int dtype);

const char *ac_error_name(int code);
const char *ac_isa(void); /* name of the kernel table in use; NULL where encode says AC_E_ISA */

#ifdef __cplusplus
}
#endif
#endif
