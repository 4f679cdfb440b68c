/* kernels.h: the complete list of what is worth vectorising, as one table of functions.
 *
 * Each instruction set is one file exporting one const table; dispatch.c chooses among them once.
 * generic.h is the meaning of every kernel: all tables give identical bytes and identical floats.
 * Kernels trust their arguments (the stages above have checked every length), but the decoders
 * still never read outside [raw, raw_end) and [words, words_end).
 */
#ifndef AC_KERNELS_H
#define AC_KERNELS_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../core/linear.h"
#include "../core/quantize.h"
#include "../core/plan.h"

/* Coder input of one section: tokens and raw bits of every group, in order. */
typedef struct {
  const ac_windows *windows;
  const uint8_t *group_class;
  uint32_t n; /* values */
  /* decoder */
  const uint32_t *tables; /* class c at c << prob_bits */
  const uint8_t *raw, *words, *words_end; /* raw plane, ..., states and words: in this order in one buffer */
  double delta;
} ac_coded;

/* Where a decoder stands, between calls.  Decoders read words up to a group's tokens and a vector ahead, so the
 * last of the words are read from a copy that has room behind them. */
enum { AC_AHEAD_WORDS = AC_MAX_GROUP + 16 };

typedef struct {
  const uint8_t *raw, *raw_end; /* raw bits of the next group; readable up to the end */
  const uint8_t *words, *words_end;
  int in_copy;
  uint32_t x[AC_MAX_LANES];
  uint8_t copy[4 * AC_AHEAD_WORDS];
} ac_cursor;

/* To the start; AC_E_FORMAT if a state is none. */
static inline int ac_cursor_open(const ac_coded *in, ac_cursor *at) {
  const uint32_t lanes = in->windows->lanes;
  at->raw = in->raw;
  at->words = in->words;
  at->raw_end = at->words_end = in->words_end;
  at->in_copy = 0;
  if (in->words == in->words_end) return AC_OK; /* no tokens */
  memcpy(at->x, at->words, 4 * (size_t)lanes);
  at->words += 4 * (size_t)lanes;
  for (uint32_t j = 0; j < lanes; j++)
    if (at->x[j] < AC_STATE_MIN) return AC_E_FORMAT;
  return AC_OK;
}

/* All words are used, and what is left of the states is where the encoder started. */
static inline int ac_cursor_close(const ac_coded *in, const ac_cursor *at) {
  if (in->words == in->words_end) return AC_OK;
  if (at->words != at->words_end) return AC_E_FORMAT;
  for (uint32_t j = 0; j < in->windows->lanes; j++)
    if (at->x[j] >> 16 != AC_STATE_MIN >> 16) return AC_E_FORMAT;
  return AC_OK;
}

enum { AC_PACK_MOST = 256, AC_PACK_SLACK = 64 };
enum { AC_VARINT_MOST = 5 /* bytes that one takes */ };
enum { AC_NEAR_MOST = 12, AC_LIMITS_MOST = 31 };

/* Residuals under contexts (../core/contexts.h): what a decoder needs to know of them. */
enum { AC_POP_CONTEXTS = 16 };
typedef struct {
  const uint32_t *tables; /* context c at c << prob_bits */
  uint8_t prob_bits, lanes, mantissa;
  int32_t lo[AC_POP_CONTEXTS];   /* bin of token 0: 16 bits */
  uint32_t k[AC_POP_CONTEXTS];   /* raw bits below those of the token */
} ac_popping;

/* Where it stands; raw bits are read up to AC_AHEAD_BYTES ahead, the last of them from a copy. */
enum { AC_POP_MOST = 128, AC_AHEAD_BYTES = AC_POP_MOST * AC_MAX_RAW_BITS / 8 + 64 };
typedef struct {
  ac_cursor words;
  const uint8_t *raw; /* its bits begin here */
  uint64_t bit, bits; /* read, and all of them */
  int in_copy;
  uint8_t copy[2 * AC_AHEAD_BYTES];
} ac_pop_cursor;

/* And an encoder, whose contexts have no k. */
enum { AC_PUSH_MOST = 256, AC_PUSH_SLOTS = AC_POP_CONTEXTS * AC_MAX_TOKENS };
typedef struct {
  uint8_t prob_bits, lanes, mantissa;
  int32_t lo[AC_POP_CONTEXTS];
  uint32_t n_tokens[AC_POP_CONTEXTS];
  const ac_symbol (*symbols)[AC_MAX_TOKENS]; /* by context */
  uint32_t slot[AC_PUSH_SLOTS];              /* freq | start << 16, by context * AC_MAX_TOKENS + token */
  float reciprocal[AC_PUSH_SLOTS];           /* a little less than 1 / freq */
} ac_pushing;

enum { AC_OUTSIDE = 255 /* instead of a token */, AC_SOME_RAW = 1, AC_SOME_OUTSIDE = 2 };

/* What a decoder makes of the integers: uniform values, or the integers themselves.  The first four are
 * those that are quantized, too. */
enum { AC_OUT_F32, AC_OUT_F64, AC_OUT_F16, AC_OUT_BF16, AC_OUT_I32, AC_OUTS, AC_INS = AC_OUT_I32 };

/* Set in the index of a refused value that is an edge (ac_edge): its integer stands. */
#define AC_EDGE 0x80000000u

/* How elements and 64-bit integers belong together, one to one. */
enum {
  AC_IMAGE_SIGNED, AC_IMAGE_UNSIGNED, /* integers */
  AC_IMAGE_ORDERED,                   /* floats: negative ones are -1 - magnitude */
  AC_IMAGE_FOLDED,                    /* floats: 2 magnitude + sign */
  AC_IMAGES
};

/* An affine lattice: its number R means (((A)k / divisor) * scale + offset) * factor with k = R + base modulo
 * 2^32, every operation rounded to A: float32 or float64.  What the format leaves out is 1, and -0 for the
 * offset, which changes nothing. */
typedef struct {
  uint8_t single; /* A is float32 */
  int32_t base;
  double divisor, scale, offset, factor;
} ac_affine;

typedef struct {
  const char *name;

  /* Quantize n values and gather the statistics of every group, while it is in L1.  Refused values
   * get the integer of the value before them (0 at the start, and in groups of nothing else), unless
   * they are edges, and their index goes to refused[]; returns how many.  By AC_OUT_F32 .. AC_OUT_BF16. */
  uint32_t (*quantize[AC_INS])(const void *x, uint32_t n, const ac_lattice *lattice, unsigned group, int32_t *q,
                               ac_group_stats *stats, uint32_t *refused);

  /* The statistics of integers that are there already. */
  void (*statistics)(const int32_t *q, uint32_t n, unsigned group, ac_group_stats *stats);

  /* n elements of 1, 2, 4 or 8 bytes to integers of 64 bits and back.  `shift` low bits of the elements
   * are left out, and zero. */
  void (*to_wide)(int image, unsigned size, unsigned shift, const void *x, uint32_t n, int64_t *wide);
  void (*from_wide)(int image, unsigned size, unsigned shift, const int64_t *wide, uint32_t n, void *x);

  /* The least and the largest of n > 0 integers. */
  void (*extent)(const int64_t *wide, uint32_t n, int64_t *least, int64_t *most);

  /* wide - base = high * 2^(8 bytes) + low: the low bytes go to planes that are `plane` apart.  And back. */
  void (*divide)(const int64_t *wide, uint32_t n, int64_t base, unsigned bytes, int32_t *high, uint8_t *low, size_t plane);
  void (*join)(const int32_t *high, const uint8_t *low, size_t plane, uint32_t n, int64_t base, unsigned bytes, int64_t *wide);

  /* Add the values of the groups that ac_histogram_takes to the histograms of their classes. */
  void (*count)(const int32_t *q, uint32_t n, unsigned group, const uint8_t *group_class, ac_histogram *histograms);

  /* What every group costs in every class: the sums of its values' rows, which are by magnitude (see generic.h). */
  void (*weigh)(const int32_t *q, uint32_t n, unsigned group, const uint16_t (*rows)[AC_MAX_CLASSES],
                uint16_t (*costs)[AC_MAX_CLASSES]);

  /* For every group, how many significand bits an image of all its integers needs at least; 0 for zeros and
   * powers of two.  |q| <= AC_QMAX. */
  void (*significand)(const int32_t *q, uint32_t n, unsigned group, uint8_t *need);

  /* Integers of groups whose class has an image of so many bits, to images in place. */
  void (*to_image)(int32_t *q, uint32_t n, unsigned image);

  /* Integers (images, where their class has one) to tokens and the raw plane [raw, raw_end).  Values outside
   * their window become (filler, zero bits) and their index goes to outside[]; returns how many. */
  uint32_t (*split)(const int32_t *q, uint32_t n, const ac_windows *windows, const uint8_t *group_class,
                    uint8_t *tokens, uint8_t *raw, const uint8_t *raw_end, uint32_t *outside);

  /* rANS, backwards, from these states of the lanes on: words end at `end`, lane states first; returns where
   * they start.  Needs room for one word a token and 4 bytes a lane. */
  uint8_t *(*encode)(const ac_windows *windows, const uint8_t *group_class, uint32_t n, const uint8_t *tokens,
                     const ac_symbol (*symbols)[AC_MAX_TOKENS], const uint32_t *states, uint8_t *end);

  /* rANS, raw bits and dequantization fused, for values [first, last) of out: whole groups, from the cursor on,
   * which moves behind them.  0, or AC_E_FORMAT if there are too few words.  By AC_OUT_F32 .. AC_OUT_I32. */
  int (*decode[AC_OUTS])(const ac_coded *coded, ac_cursor *at, uint32_t first, uint32_t last, void *out);

  uint32_t (*crc32c)(const void *data, size_t size);

  /* Numbers of an affine lattice to values of 4 or 8 bytes (float32, float64). */
  void (*affine)(const ac_affine *lattice, unsigned size, const int32_t *r, uint32_t n, void *x);

  /* Rows of prediction, modulo 2^32; see rows.h.  Between b and c, also by a cubic through a, b, c, d. */
  void (*midpoint)(const int32_t *b, const int32_t *c, uint32_t n, int32_t *p);
  void (*cubic)(const int32_t *a, const int32_t *b, const int32_t *c, const int32_t *d, uint32_t n, int32_t *p);
  /* p moves towards q and s (or NULL) by so many sixteenths. */
  void (*blend)(int32_t *p, const int32_t *q, const int32_t *s, unsigned to_q, unsigned to_s, uint32_t n);
  /* p += trust quarters of what the reference differs by from what is expected of it, and damping quarters of what p differs
   * by from that; both references are 2^shift fold. */
  void (*refer)(int32_t *p, const int32_t *reference, const int32_t *expected, unsigned trust, unsigned damping, unsigned shift,
                uint32_t n);
  /* A mean of r, which is 2^shift fold, moves 2^-weight of the way to it. */
  void (*follow)(int32_t *mean, const int32_t *r, unsigned weight, unsigned shift, uint32_t n);
  /* The sum of what values differ from a base by, with weights that count 2^-shift. */
  void (*stencil)(const int32_t *base, const int32_t *const *values, const int16_t *weights, unsigned n_values, unsigned shift, uint32_t n,
                  int32_t *sum);
  /* sum += sign * row */
  void (*accumulate)(int32_t *sum, const int32_t *row, int sign, uint32_t n);
  /* n values at even and odd places of a row to two rows, and back. */
  void (*deal32)(const int32_t *row, uint32_t n, int32_t *even, int32_t *odd);
  void (*deal8)(const uint8_t *row, uint32_t n, uint8_t *even, uint8_t *odd);
  void (*zip32)(const int32_t *even, const int32_t *odd, uint32_t n, int32_t *row);
  void (*zip8)(const uint8_t *even, const uint8_t *odd, uint32_t n, uint8_t *row);
  /* How many of `limits` <= AC_LIMITS_MOST ascending limits the weighted sum of magnitudes of n_near <= AC_NEAR_MOST rows
   * reaches, for each of n <= 1024 values.  Weights are below 2^7, sums below 2^15, so that vectors may take them as signed. */
  void (*contexts)(const uint8_t *const *near, const uint8_t *weights, unsigned n_near, const uint16_t *limit,
                   unsigned limits, uint32_t n, uint8_t *context);
  /* n <= AC_POP_MOST residuals of these contexts, all of which have tokens.  0, or AC_E_FORMAT if words or raw bits
   * run short. */
  int (*pop)(const ac_popping *popping, ac_pop_cursor *at, const uint8_t *context, uint32_t n, int32_t *v);
  /* n <= AC_PUSH_MOST residuals of these contexts to tokens and raw fields, whose bits raw_bits counts: AC_OUTSIDE and none where a
   * context has no such token.  Returns AC_SOME_RAW and AC_SOME_OUTSIDE, if there are any. */
  unsigned (*tokens)(const ac_pushing *pushing, const uint8_t *context, const int32_t *v, uint32_t n, uint8_t *token,
                     uint8_t *raw_bits, uint32_t *raw);
  /* rANS of n <= AC_PUSH_MOST tokens, backwards, token j onto state j % lanes: words end at `words`, and begin at what is returned.
   * They need room for one word a token, and 16 bytes. */
  uint8_t *(*push)(const ac_pushing *pushing, const uint8_t *context, const uint8_t *token, uint32_t n, uint32_t *x, uint8_t *words);
  /* Contexts, below 16, of n <= AC_PACK_MOST values of which some are left out: those whose context is not in the set, and, if
   * flags are not NULL, whose flag is not 0.  They come to stand together, in `some`, and keep[] has a bit for each that is
   * there; returns how many.  And back: values that belong to these bits, zeros between them.  Both write, and read, up to
   * AC_PACK_SLACK items more of `some`. */
  uint32_t (*pack)(const uint8_t *context, const uint8_t *flags, unsigned set, uint32_t n, uint8_t *some, uint64_t *keep);
  void (*unpack)(const int32_t *some, const uint64_t *keep, uint32_t n, int32_t *v);
  /* Magnitudes of residuals as neighbourhoods have them. */
  void (*magnitudes)(const int32_t *v, uint32_t n, unsigned shift, uint8_t *magnitude);
  /* Residuals of x in units, to the nearest, and what they make of the predictions: r = p + unit * v.  For odd units up to 17. */
  void (*by_units)(const int32_t *x, const int32_t *p, unsigned unit, uint32_t n, int32_t *v, int32_t *r);
  /* About the bits of n <= 1024 residuals, in units of 2^-16 and up to a constant for each. */
  uint32_t (*price)(const int32_t *x, const int32_t *p, unsigned unit, uint32_t n);
  /* r = p + unit * v */
  void (*advance)(const int32_t *p, const int32_t *v, unsigned unit, uint32_t n, int32_t *r);
  /* Sums of n values along a row, of those `distance` apart. */
  void (*sums)(int32_t *v, uint32_t n, uint32_t distance);
  /* And back: what values are more than those `distance` > 0 before, in place. */
  void (*differences)(int32_t *v, uint32_t n, uint32_t distance);
  /* Linear prediction (../core/linear.h) of n values that have as many before them as it has taps: what values are more than it says; and
   * back, from so many units of that, in place. */
  void (*foresee)(const ac_linear *linear, const int32_t *x, uint32_t n, int32_t *v);
  void (*recur)(const ac_linear *linear, unsigned unit, uint32_t n, int32_t *r);
  /* Values of integers: r times a step, as ac_reconstruct_* has them.  By AC_OUT_F32 .. AC_OUT_BF16. */
  void (*scale[AC_INS])(const int32_t *r, double step, uint32_t n, void *out);
  /* Nearest integers of values on a lattice, 0 where they are not below the limit: returns how many are not.  Of float32, of float64. */
  uint32_t (*nearest[2])(const void *values, double step, double limit, uint32_t n, int32_t *r);
  /* How many of n values are perhaps not within tol of what r stands for, or have an r that is not below the limit. */
  uint32_t (*off[2])(const void *values, const int32_t *r, double step, double limit, double tol, uint32_t n);
  /* Which of some lattices values lie on, with integers below a limit: bit i for that of step[i].  Of float32, of float64. */
  void (*belongs[2])(const void *values, const double *step, const double *limit, unsigned lattices, uint32_t n, uint8_t *on);
  /* Values but zeros that may lie on a lattice, with integers below 2^20 (of float32) or 2^26, and a step of 2^-96 at least: set in
   * suspect[].  All that do, and few others; returns how many.  Of float32, of float64. */
  uint32_t (*suspects[2])(const void *values, double step, uint32_t n, uint8_t *suspect);
  /* Floats on a lattice of 2^shift (../core/split.h): k, which is right where it is below 2^30 in magnitude, the bits of the
   * significand below that, and whether k is 0 but not the value.  And back, from so many bits.  Of float32, of float64. */
  void (*part[2])(const void *values, int shift, uint32_t n, int32_t *k, uint64_t *bits, uint8_t *lost);
  void (*unpart[2])(const int32_t *k, const uint64_t *bits, const uint8_t *width, int shift, uint32_t n, void *values);
  /* How many bits of a significand k leaves out (none if k = 0); returns how many k are 0. */
  uint32_t (*widths)(const int32_t *k, unsigned significand, uint32_t n, uint8_t *width);
  /* Fields of up to 56 bits that stand behind each other, from bit number `bit` on: 8 bytes behind the last one can be read. */
  void (*fields)(const uint8_t *at, uint64_t bit, const uint8_t *width, uint32_t n, uint64_t *fields);
  /* n varints to integers (../core/plain.h): returns where they end, or NULL, with anything in q, if one of them goes past
   * `end`, has more than 32 bits, or more bytes than it needs. */
  const uint8_t *(*read_varints)(const uint8_t *p, const uint8_t *end, uint32_t n, int32_t *q);
  /* And back: returns where they end.  There is room for AC_VARINT_MOST bytes each. */
  uint8_t *(*write_varints)(const int32_t *q, uint32_t n, uint8_t *p);
} ac_kernels;

extern const ac_kernels ac_kernels_scalar;
#if defined(__x86_64__)
extern const ac_kernels ac_kernels_sse42, ac_kernels_avx2, ac_kernels_avx512;
#elif defined(__aarch64__)
extern const ac_kernels ac_kernels_neon;
#endif

/* The table in use, chosen at the first call: the one that the environment variable ARRAYCODEC_ISA
 * names, else the fastest that this machine runs.  NULL if the variable names none of them; the
 * entry points check that once (AC_E_ISA). */
const ac_kernels *ac_active_kernels(void);
#endif
