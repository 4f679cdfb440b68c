/* windows.h: class windows, the split of quantized integers into tokens and raw bits.
 *
 * A block of n integers is cut into groups of 64 or 128.  Every group has one of at most 16 classes;
 * a class is a window on the integers: value v is coded as token = (v >> k) - lo, 0 <= token < K,
 * and the k low bits of v raw.  Values outside the window of their group's class are exceptions.
 * A class of one token codes no tokens: bit-packing, and with k = 0 a constant.
 * A class may have an image: all this is then about integers u that stand for v = ac_expand(u).
 */
#ifndef AC_WINDOWS_H
#define AC_WINDOWS_H
#include "model.h"
#include "types.h"

#define AC_MAX_CLASSES 16
#define AC_MAX_RAW_BITS 25 /* 7 + 25 bits: one 32-bit load holds any raw field */
#define AC_MIN_PROB_BITS 10
#define AC_MAX_PROB_BITS 13
#define AC_MAX_LANES 64
#define AC_MAX_GROUP 128
#define AC_MAX_IMAGE 24

typedef struct {
  uint8_t k;        /* raw bits */
  uint8_t n_tokens; /* K, 1 .. 64 */
  uint8_t filler;   /* likeliest token: stands in the slots of exceptions */
  uint8_t image;    /* 0, or: integers are images with so many significand bits */
  int32_t base;     /* lo << k; [base, base + (K << k)) lies within int32 */
  uint16_t freq[AC_MAX_TOKENS];
  ac_table table;   /* encoder: how freq is written */
} ac_class;

typedef struct {
  uint8_t n_classes, lanes, prob_bits, group;
  ac_class classes[AC_MAX_CLASSES];
} ac_windows;

static inline uint32_t ac_groups(uint32_t n, unsigned group) { return (n + group - 1) / group; }

/* Bytes of raw bits for m values of a group: 2k for every 16, the last 16 zero-padded. */
static inline uint32_t ac_raw_bytes(uint32_t m, unsigned k) { return (m + 15) / 16 * 2 * k; }

/* ---- images ---- */
/* Numbers of at most m + 1 significant bits, 1 <= m <= 24, and what is left of their order: u counts them
 * through, 2^m to an octave.  Values that were float16 or bfloat16 once are such numbers of steps of a power
 * of two.  Without branches, so that compilers find vectors for loops of them. */
static inline int32_t ac_expand(int32_t u, unsigned m) { /* |v| <= 2^31, as ac_windows_read sees to */
  const uint32_t sign = 0u - (uint32_t)(u < 0), a = ((uint32_t)u ^ sign) - sign, octave = a >> m;
  const uint32_t e = octave - (octave > 0); /* zeros at the end of v */
  return (int32_t)((((a - (e << m)) << (e & 31)) ^ sign) - sign);
}

/* The other way, for |v| <= 2^30 which is such a number.  The exponent of a float is the bit length: without
 * the bit below the highest one it is not rounded up. */
static inline int32_t ac_image(int32_t v, unsigned m) {
  const uint32_t sign = 0u - (uint32_t)(v < 0), a = ((uint32_t)v ^ sign) - sign;
  const uint32_t top = ac_bits_of_float((float)(int32_t)(a & ~(a >> 1))) >> 23; /* 127 + bit length - 1, or 0 */
  const uint32_t e = top > 127 + m ? top - 127 - m : 0;
  return (int32_t)((((a >> e) + (e << m)) ^ sign) - sign);
}

/* The end of the window, exclusive. */
static inline int64_t ac_window_end(const ac_class *c) { return c->base + ((int64_t)c->n_tokens << c->k); }

/* Do the window of a class, and the integers that its images stand for, lie within int32? */
int ac_class_fits(const ac_class *c);

/* ---- encoder ---- */
/* What the class choice needs to know of a group. */
typedef struct {
  int32_t mean;       /* rounded toward zero */
  uint32_t magnitude; /* OR of |v|: its bit length is that of the largest */
  uint64_t deviation; /* sum of |v|, or of |v - mean| where |sum of v| is more than a quarter of it */
} ac_group_stats;

#define AC_HISTOGRAM_BINS 512
typedef struct {
  int32_t first;    /* bin i counts values with (v >> shift) == first + i */
  uint8_t shift;
  uint8_t sampling; /* one group in 2^sampling of the class is counted */
  uint8_t open;     /* nothing is counted where this is 0 */
  uint32_t seen;    /* groups of the class */
  uint32_t values;  /* counted */
  /* Neighbours are often equal, and counting them in turns in two places is faster; the last bin
   * counts all other values. */
  uint32_t count[2][AC_HISTOGRAM_BINS + 1];
} ac_histogram;

static inline uint32_t ac_bin(const ac_histogram *h, unsigned i) { return h->count[0][i] + h->count[1][i]; }

/* Is the next group of the class counted?  Golden-section multiples, because data has periods that a
 * power of two would meet. */
static inline int ac_histogram_takes(ac_histogram *h) {
  return h->open && (uint64_t)(h->seen++ * 0x9e3779b9u) << h->sampling <= 0xffffffffu;
}

/* ---- stream ---- */
/* The class headers and tables of a block. */
void ac_windows_write(ac_writer *out, const ac_windows *w);
void ac_windows_read(ac_reader *in, ac_windows *w); /* sets in->failed on anything invalid */
#endif
