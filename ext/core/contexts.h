/* contexts.h: residuals of predictions as tokens and raw bits, with a table for every kind of neighbourhood.
 *
 * A residual v is u = v or -1 - v, whichever is not negative, in octaves of 2^m bins: its *token* says sign and bin
 * (for small u the value), as many raw bits as the bin has say which of its values.  (k more raw bits, if the context
 * has them: then all this is about v >> k.)  Which table a token has is its *context*: the mean magnitude of residuals
 * that were decoded before, near by, falls into a bin, and a context has some consecutive bins.  Never is a value of
 * the same piece (predict.h) among these, so a decoder finds the contexts of a piece first, then all its tokens.
 */
#ifndef AC_CONTEXTS_H
#define AC_CONTEXTS_H
#include "../simd/kernels.h"
#include "predict.h"

enum { AC_BINS = 24, AC_MAX_CONTEXTS = 8, AC_ALL_CONTEXTS = AC_MAX_CONTEXTS + 1, AC_MAX_MANTISSA = 3 };

typedef struct {
  uint8_t k;        /* raw bits below the token's */
  uint8_t n_tokens; /* K, 1 .. 64; a context of one token has no raw bits: its residuals are all the same */
  uint8_t filler;   /* likeliest token: stands in the slots of values outside */
  int8_t lo;        /* token t means bin lo + t, negative bins are ~bin of ~v */
  uint16_t freq[AC_MAX_TOKENS];
  ac_table table;   /* encoder: how freq is written */
} ac_context;

typedef struct {
  uint8_t n_contexts; /* of neighbourhoods, 1 .. 8 */
  uint8_t own;        /* is there one more, of the coarsest grid? */
  uint8_t together;   /* are short rows of the coarsest grid in pieces, as those of others are? */
  uint8_t lanes, prob_bits, mantissa;
  uint8_t shift;      /* of magnitudes */
  uint8_t first_bin[AC_MAX_CONTEXTS]; /* of context i; ascending, that of context 0 is 0 */
  ac_context of[AC_ALL_CONTEXTS];
} ac_contexts;

static inline unsigned ac_all_contexts(const ac_contexts *c) { return c->n_contexts + (c->own ? 1u : 0u); }

/* ---- bins of neighbourhoods ---- */
/* The least sum of magnitudes, of this weight in all, that is in bin i, 1 <= i < AC_BINS: half an octave each. */
uint16_t ac_bin_limit(unsigned i, unsigned weights);

/* ---- tokens ---- */
typedef struct {
  int32_t bin;      /* lo + token */
  uint32_t raw;
  uint8_t raw_bits; /* without k */
} ac_residual;

static inline ac_residual ac_residual_of(int32_t v, unsigned k, unsigned m) {
  const uint32_t sign = 0u - (uint32_t)(v < 0), u = ((uint32_t)v ^ sign) >> k;
  const unsigned length = ac_bit_length(u), e = length > m + 1 ? length - m - 1 : 0;
  return (ac_residual){(int32_t)(((e << m) + (u >> e)) ^ sign), ((uint32_t)v ^ sign) & ((1u << e << k) - 1), (uint8_t)e};
}

/* Raw bits of a bin (without k), and its first residual. */
static inline unsigned ac_residual_bits(int32_t bin, unsigned m) {
  const uint32_t a = (uint32_t)(bin < 0 ? ~bin : bin), octave = a >> m;
  return octave ? octave - 1 : 0;
}

static inline int32_t ac_residual_value(int32_t bin, uint32_t raw, unsigned k, unsigned m) {
  const uint32_t sign = 0u - (uint32_t)(bin < 0), a = (uint32_t)bin ^ sign;
  return (int32_t)(((ac_expand_short(a, m) << k) + raw) ^ sign);
}

/* ---- encoder ---- */
enum { AC_TOKEN_MIDDLE = 64, AC_TOKEN_SPAN = 128 };
/* What was seen of a block: counts by neighbourhood (the last: the coarsest grid) and bin of the residual. */
typedef struct {
  uint32_t count[AC_BINS + 1][AC_TOKEN_SPAN]; /* bins beyond its ends at its ends */
} ac_residual_counts;

/* Values whose flags have AC_SKIPPED are not coded.  `flags` may be NULL. */
enum { AC_SKIPPED = 1 };
void ac_residuals_count(const int32_t *v, const uint8_t *neighbourhood, const uint8_t *flags, uint32_t n, unsigned k,
                        unsigned m, ac_residual_counts *counts);

/* Contexts, windows and tables; returns the bits that all of it takes (without raw bits that k adds). */
double ac_contexts_choose(const ac_residual_counts *counts, unsigned k, unsigned m, unsigned level, unsigned prob_bits,
                          ac_contexts *contexts);

/* The contexts of n bins, in their place; that of AC_BINS is the one of the coarsest grid. */
void ac_contexts_of_bins(const ac_contexts *contexts, uint8_t *bin, uint32_t n);

/* About the same, without choosing tables. */
double ac_contexts_cost(const ac_residual_counts *counts, unsigned k, unsigned m, unsigned level);

/* ---- stream ---- */
void ac_contexts_write(ac_writer *out, const ac_contexts *contexts);
void ac_contexts_read(ac_reader *in, ac_contexts *contexts); /* sets in->failed on anything invalid */
#endif
