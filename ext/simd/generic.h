/* generic.h: every kernel in plain C.  The meaning of the others; read this first.
 *
 * Each table's file includes it, so that it is compiled once for every instruction set, and puts its
 * own kernels in the place of some of these; its own fall back on these for odd sizes and rare values.
 *
 * Loops over a group (at most 128 values, in L1) are kept free of branches so that a compiler can
 * use whatever vector unit the target has.  Invariants: nothing here depends on the data's
 * history outside its block; float arithmetic is + - * / and comparisons only, never contracted.
 */
#ifndef AC_GENERIC_H
#define AC_GENERIC_H
#include "../arraycodec.h"
#include "../core/bitplane.h"
#include "kernels.h"
#include "varints.h"
#include "wide.h"

#define LIKELY(c) __builtin_expect(!!(c), 1)
#define UNLIKELY(c) __builtin_expect(!!(c), 0)
#define UNUSED __attribute__((unused)) /* by tables that have their own */

static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* ---- what the vector kernels of several tables share ---- */
/* Bytes of input and output fetched ahead of their use: streams from memory are 1.1 to 1.4 times as
 * fast, and nothing is lost in cache (measured). */
enum { AHEAD = 4096 };

/* With float arithmetic the quotient x / freq comes out right or one too small: the reciprocal is too
 * small by 2^-22, three roundings (of x, of it, of their product) are 2^-24 each, together at most
 * 7 * 2^-24, and the quotient is below 2^(32 - P) <= 2^21. */
enum { MIN_PROB_BITS_FLOAT = 11 };

/* ---- statistics for the class choice ---- */
/* sum / m, rounded toward zero; groups are 64 or 128 values but for the last. */
AC_ALWAYS_INLINE int32_t mean_of(int64_t sum, uint32_t m) {
  if (LIKELY(!(m & (m - 1)))) return (int32_t)((sum + (sum >> 63 & (m - 1))) >> __builtin_ctz(m));
  return (int32_t)(sum / (int64_t)m);
}

/* Is the deviation about zero good enough?  Not if the mean is a quarter of it or more. */
AC_ALWAYS_INLINE int is_centred(int64_t sum, uint64_t deviation) {
  return 4 * (uint64_t)(sum < 0 ? -sum : sum) <= deviation;
}

enum { NO_OVERFLOW_BITS = 23 }; /* 128 values of so many bits sum to less than 2^31, others may not */

/* Sum of |v - mean| where nothing overflows. */
AC_ALWAYS_INLINE uint32_t deviation_from(const int32_t *q, uint32_t m, int32_t mean) {
  uint32_t deviation = 0;
  for (uint32_t j = 0; j < m; j++) {
    const int32_t d = q[j] - mean;
    deviation += (uint32_t)(d < 0 ? -d : d);
  }
  return deviation;
}

static ac_group_stats group_stats(const int32_t *q, uint32_t m) {
  uint32_t magnitude = 0, wrapped_sum = 0, wrapped_deviation = 0;
  for (uint32_t j = 0; j < m; j++) {
    const uint32_t v = (uint32_t)(q[j] < 0 ? -q[j] : q[j]);
    magnitude |= v;
    wrapped_sum += (uint32_t)q[j];
    wrapped_deviation += v;
  }
  int64_t sum = (int32_t)wrapped_sum;
  uint64_t deviation = wrapped_deviation;
  if (UNLIKELY(magnitude >> NO_OVERFLOW_BITS)) {
    sum = 0;
    deviation = 0;
    for (uint32_t j = 0; j < m; j++) {
      sum += q[j];
      deviation += (uint64_t)(q[j] < 0 ? -(int64_t)q[j] : q[j]);
    }
  }
  const int32_t mean = mean_of(sum, m);
  if (!is_centred(sum, deviation)) {
    deviation = 0;
    if (LIKELY(!(magnitude >> NO_OVERFLOW_BITS))) {
      deviation = deviation_from(q, m, mean);
    } else {
      for (uint32_t j = 0; j < m; j++) {
        const int64_t d = (int64_t)q[j] - mean;
        deviation += (uint64_t)(d < 0 ? -d : d);
      }
    }
  }
  return (ac_group_stats){mean, magnitude, deviation};
}

/* The same from what vectors have summed up already. */
UNUSED static ac_group_stats stats_of(const int32_t *q, uint32_t m, uint32_t magnitude, int32_t sum, uint32_t deviation) {
  if (UNLIKELY(magnitude >> NO_OVERFLOW_BITS)) return group_stats(q, m);
  const int32_t mean = mean_of(sum, m);
  return (ac_group_stats){mean, magnitude, is_centred(sum, deviation) ? deviation : deviation_from(q, m, mean)};
}

/* ---- quantize ---- */
/* Sixteen values at a time, the cheapest arithmetic first.  A short cut writes UNSURE for a value that
 * it cannot settle and says (nonzero) whether there was one; in the end those get the definition. */
enum { RUN = 16 };
#define UNSURE INT32_MIN /* no q is this large */

/* Integers of at most NEAR_BITS bits in float32: see ac_lattice_make for why it agrees with the
 * definition. */
enum { NEAR_BITS = 14 };

AC_ALWAYS_INLINE int32_t quantize_near(const float *x, int32_t *q, const ac_lattice *l) {
  const float inv = l->inv_f, delta = l->delta_f, limit = l->limit_f, magic = 12582912.0f /* 1.5 * 2^23 */;
  int32_t unsure = 0;
  for (int j = 0; j < RUN; j++) {
    const float v = (x[j] * inv + magic) - magic; /* to nearest even, where |v| is small enough */
    const int32_t far = -(!((__builtin_fabsf(x[j] - v * delta) < limit) & (__builtin_fabsf(v) < 1 << NEAR_BITS)));
    q[j] = (int32_t)(far ? 0.0f : v) | (far & UNSURE);
    unsure |= far;
  }
  return unsure;
}

/* The same for 16-bit floats: near enough to the lattice to be sure of the integer, and, after their
 * rounding, to be sure of the bound: a rounded difference below tol_f was below it before. */
#define DEFINE_NEAR16(F, FROM, TO)                                                                           \
  AC_ALWAYS_INLINE int32_t quantize_near_##F(const uint16_t *x, int32_t *q, const ac_lattice *l) {            \
    const float inv = l->inv_f, delta = l->delta_f, limit = l->limit_f, tol = l->tol_f, magic = 12582912.0f;  \
    int32_t unsure = 0;                                                                                       \
    for (int j = 0; j < RUN; j++) {                                                                           \
      const float value = FROM(x[j]), v = (value * inv + magic) - magic, r = v * delta;                       \
      const int32_t far = -(!((__builtin_fabsf(value - r) < limit) & (__builtin_fabsf(v) < 1 << NEAR_BITS) &  \
                              (__builtin_fabsf(value - FROM(TO(r))) < tol)));                                 \
      q[j] = (int32_t)(far ? 0.0f : v) | (far & UNSURE);                                                      \
      unsure |= far;                                                                                          \
    }                                                                                                         \
    return unsure;                                                                                            \
  }
DEFINE_NEAR16(f16, ac_from_float16, ac_to_float16)
DEFINE_NEAR16(bf16, ac_from_bfloat16, ac_to_bfloat16)

/* The definition less its rare case, |x - r| = tol: in double precision, whatever the size of q.  With 16-bit
 * floats that case is not rare; their differences are exact (x and r are within a factor of three, or r is
 * zero), so that it needs no second look. */
#define IS_NEAR_f32(d, tol) ((d) < (tol))
#define IS_NEAR_f64(d, tol) ((d) < (tol))
#define IS_NEAR_f16(d, tol) ((d) <= (tol))
#define IS_NEAR_bf16(d, tol) ((d) <= (tol))
#define ROUND_f32(v) ((double)(float)(v))
#define ROUND_f64(v) (v)
#define ROUND_f16(v) ((double)ac_from_float16(ac_to_float16((float)(v))))
#define ROUND_bf16(v) ((double)ac_from_bfloat16(ac_to_bfloat16((float)(v))))
#define DEFINE_WIDE(T, F, FROM)                                                                              \
  AC_ALWAYS_INLINE int32_t quantize_wide_##F(const T *x, int32_t *q, uint32_t m, const ac_lattice *l) {       \
    const double inv = l->inv, delta = l->delta, tol = l->tol;                                                \
    int32_t unsure = 0;                                                                                       \
    for (uint32_t j = 0; j < m; j++) {                                                                        \
      const double value = FROM(x[j]), v = ac_rint(value * inv), r = ROUND_##F(v * delta);                    \
      const int32_t far = -(!(IS_NEAR_##F(__builtin_fabs(value - r), tol) & (__builtin_fabs(v) <= AC_QMAX))); \
      q[j] = (int32_t)(far ? 0.0 : v) | (far & UNSURE);                                                       \
      unsure |= far;                                                                                          \
    }                                                                                                         \
    return unsure;                                                                                            \
  }
DEFINE_WIDE(float, f32, (double))
DEFINE_WIDE(double, f64, (double))
DEFINE_WIDE(uint16_t, f16, (double)ac_from_float16)
DEFINE_WIDE(uint16_t, bf16, (double)ac_from_bfloat16)

#define DEFINE_RUN(T, F, NEAR)                                                               \
  AC_ALWAYS_INLINE int32_t quantize_run_##F(const T *x, int32_t *q, const ac_lattice *l) {    \
    return UNLIKELY(NEAR(x, q, l)) ? quantize_wide_##F(x, q, RUN, l) : 0;                     \
  }
#define NOTHING_NEAR(x, q, l) 1
DEFINE_RUN(float, f32, quantize_near)
DEFINE_RUN(double, f64, NOTHING_NEAR)
DEFINE_RUN(uint16_t, f16, quantize_near_f16)
DEFINE_RUN(uint16_t, bf16, quantize_near_bf16)

/* The definition, for one value; returns the new number of refused values.  An edge keeps its integer. */
#define DEFINE_SETTLE(T, F, DTYPE)                                                                           \
  AC_ALWAYS_INLINE uint32_t settle_##F(const T *x, int32_t *q, uint32_t j, const ac_lattice *l, uint32_t *refused, \
                                       uint32_t n_refused) {                                                  \
    if (ac_quantize_##F(x[j], l, &q[j])) return n_refused;                                                    \
    refused[n_refused] = j;                                                                                   \
    const T r = ac_reconstruct_##F(q[j], l->delta);                                                           \
    T edge;                                                                                                   \
    if (DTYPE != AC_FLOAT64 && q[j] && ac_edge(DTYPE, &r, l->delta, &edge) && !memcmp(&edge, &x[j], sizeof edge)) \
      refused[n_refused] |= AC_EDGE;                                                                          \
    else                                                                                                      \
      q[j] = j ? q[j - 1] : 0;                                                                                \
    return n_refused + 1;                                                                                     \
  }
DEFINE_SETTLE(float, f32, AC_FLOAT32)
DEFINE_SETTLE(double, f64, AC_FLOAT64)
DEFINE_SETTLE(uint16_t, f16, AC_FLOAT16)
DEFINE_SETTLE(uint16_t, bf16, AC_BFLOAT16)

/* A group of nothing but refused values: the class of zeros costs nothing.  Not if one is an edge: it
 * needs its integer. */
AC_ALWAYS_INLINE int forget_group(int32_t *q, uint32_t m, ac_group_stats *stats, const uint32_t *refused) {
  for (uint32_t j = 0; j < m; j++)
    if (refused[j] & AC_EDGE) return 0;
  memset(q, 0, m * sizeof *q);
  *stats = (ac_group_stats){0, 0, 0};
  return 1;
}

/* One group, values [first, last); returns the new number of refused values. */
#define DEFINE_QUANTIZE(T, F)                                                                                \
  static uint32_t quantize_group_##F(const T *x, int32_t *q, uint32_t first, uint32_t last, const ac_lattice *lattice, \
                                     ac_group_stats *stats, uint32_t *refused, uint32_t n_refused) {          \
    const ac_lattice copy = *lattice, *l = &copy; /* stores to q cannot change it */                          \
    const uint32_t before = n_refused;                                                                        \
    for (uint32_t i = first, m; i < last; i += m) {                                                           \
      m = min_u32(last - i, RUN);                                                                             \
      if (LIKELY(!(m == RUN ? quantize_run_##F(x + i, q + i, l) : quantize_wide_##F(x + i, q + i, m, l)))) continue; \
      for (uint32_t j = i; j < i + m; j++)                                                                    \
        if (q[j] == UNSURE) n_refused = settle_##F(x, q, j, l, refused, n_refused);                           \
    }                                                                                                         \
    if (LIKELY(n_refused - before != last - first) ||                                                         \
        !forget_group(q + first, last - first, stats, refused + before))                                      \
      *stats = group_stats(q + first, last - first);                                                          \
    return n_refused;                                                                                         \
  }                                                                                                           \
  UNUSED static uint32_t quantize_##F(const void *values, uint32_t n, const ac_lattice *l, unsigned group, int32_t *q, \
                                      ac_group_stats *stats, uint32_t *refused) {                             \
    const T *x = values;                                                                                      \
    uint32_t n_refused = 0;                                                                                   \
    for (uint32_t first = 0; first < n; first += group)                                                       \
      n_refused = quantize_group_##F(x, q, first, first + min_u32(n - first, group), l, stats++, refused, n_refused); \
    return n_refused;                                                                                         \
  }
DEFINE_QUANTIZE(float, f32)
DEFINE_QUANTIZE(double, f64)
DEFINE_QUANTIZE(uint16_t, f16)
DEFINE_QUANTIZE(uint16_t, bf16)

static void statistics(const int32_t *q, uint32_t n, unsigned group, ac_group_stats *stats) {
  for (uint32_t first = 0; first < n; first += group) *stats++ = group_stats(q + first, min_u32(n - first, group));
}

/* ---- histograms ---- */
AC_ALWAYS_INLINE void count_bins(ac_histogram *h, const uint16_t *bins, uint32_t m) {
  const uint16_t *const end = bins + m;
  for (; end - bins >= 8; bins += 8)
#pragma GCC unroll 4
    for (int j = 0; j < 8; j += 2) {
      h->count[0][bins[j]]++;
      h->count[1][bins[j + 1]]++;
    }
  while (bins < end) h->count[0][*bins++]++;
  h->values += m;
}

static void count(const int32_t *q, uint32_t n, unsigned group, const uint8_t *group_class, ac_histogram *histograms) {
  for (uint32_t i = 0; i < n; i += group, q += group) {
    ac_histogram *h = &histograms[*group_class++];
    if (!ac_histogram_takes(h)) continue;
    const uint32_t m = min_u32(n - i, group), first = (uint32_t)h->first;
    const unsigned shift = h->shift;
    uint16_t bins[AC_MAX_GROUP];
    for (uint32_t j = 0; j < m; j++) {
      const uint32_t bin = (uint32_t)(q[j] >> shift) - first;
      bins[j] = (uint16_t)min_u32(bin, AC_HISTOGRAM_BINS);
    }
    count_bins(h, bins, m);
  }
}

/* A row, or a sum of rows, in a register. */
typedef uint16_t row_sum __attribute__((vector_size(2 * AC_MAX_CLASSES), may_alias, aligned(2)));

/* The row of a value: exponent and four bits of the significand of its magnitude. */
static void weigh(const int32_t *q, uint32_t n, unsigned group, const uint16_t (*rows)[AC_MAX_CLASSES],
                  uint16_t (*costs)[AC_MAX_CLASSES]) {
  for (uint32_t i = 0; i < n; i += group, q += group, costs++) {
    const uint32_t m = min_u32(n - i, group);
    int32_t row[AC_MAX_GROUP];
    for (uint32_t j = 0; j < m; j++) {
      const float magnitude = (float)(q[j] < 0 ? -q[j] : q[j]);
      const int32_t r = (int32_t)(ac_bits_of_float(magnitude) >> 19) - (127 << 4) + 1, positive = r & ~(r >> 31);
      row[j] = positive < AC_COST_ROWS ? positive : AC_COST_ROWS - 1;
    }
    row_sum even = {0}, odd = {0};
    uint32_t j = 0;
    for (; j + 2 <= m; j += 2) {
      even += *(const row_sum *)rows[row[j]];
      odd += *(const row_sum *)rows[row[j + 1]];
    }
    if (j < m) even += *(const row_sum *)rows[row[j]];
    *(row_sum *)*costs = even + odd;
  }
}

/* ---- images ---- */
static void significands(const int32_t *q, uint32_t n, unsigned group, uint8_t *need) {
  for (uint32_t i = 0; i < n; i += group, q += group) {
    const uint32_t m = min_u32(n - i, group);
    uint32_t odd = 0; /* OR of what is left without the zeros at the end */
    for (uint32_t j = 0; j < m; j++) {
      const uint32_t a = (uint32_t)(q[j] < 0 ? -q[j] : q[j]), lowest = a & (0u - a);
      odd |= a >> (((ac_bits_of_float((float)(int32_t)lowest) >> 23) - 127) & 31); /* vectors have no other way */
    }
    *need++ = (uint8_t)(31 - __builtin_clz(odd | 1));
  }
}

static void to_image(int32_t *q, uint32_t n, unsigned image) {
  for (uint32_t j = 0; j < n; j++) q[j] = ac_image(q[j], image);
}

/* ---- split ---- */
AC_FOR_EACH_WIDTH(AC_DEFINE_WIDTH)
#define PACK_ENTRY(k) pack16_##k,
#define UNPACK_ENTRY(k) unpack16_##k,
static const ac_pack16_fn PACK16[AC_MAX_RAW_BITS + 1] = {0, AC_FOR_EACH_WIDTH(PACK_ENTRY)};
static const ac_unpack16_fn UNPACK16[AC_MAX_RAW_BITS + 1] = {0, AC_FOR_EACH_WIDTH(UNPACK_ENTRY)};

/* One group of m values from value `first` on; returns the new number of values outside. */
AC_ALWAYS_INLINE uint32_t split_group(const int32_t *restrict q, uint32_t m, const ac_class *c, uint8_t *restrict tokens,
                                      uint8_t *restrict raw, uint32_t first, uint32_t *outside, uint32_t n_outside) {
  const unsigned k = c->k;
  const uint32_t base = (uint32_t)c->base, last = ((uint32_t)c->n_tokens << k) - 1, mask = (1u << k) - 1;
  uint32_t low[AC_MAX_GROUP];
  uint32_t bad = 0;
  for (uint32_t j = 0; j < m; j++) {
    const uint32_t u = (uint32_t)q[j] - base;
    bad |= 0u - (uint32_t)(u > last);
    tokens[j] = (uint8_t)(u >> k);
  }
  if (k)
    for (uint32_t j = 0; j < m; j++) low[j] = (uint32_t)q[j] & mask; /* the base has no low bits */
  if (UNLIKELY(bad))
    for (uint32_t j = 0; j < m; j++)
      if ((uint32_t)q[j] - base > last) {
        tokens[j] = c->filler;
        low[j] = 0;
        outside[n_outside++] = first + j;
      }
  if (k) {
    for (uint32_t j = m; j & 15; j++) low[j] = 0;
    for (uint32_t j = 0; j < m; j += 16, raw += 2 * k) PACK16[k](low + j, raw);
  }
  return n_outside;
}

UNUSED static uint32_t split(const int32_t *q, uint32_t n, const ac_windows *w, const uint8_t *group_class,
                             uint8_t *tokens, uint8_t *raw, const uint8_t *raw_end, uint32_t *outside) {
  uint32_t n_outside = 0;
  (void)raw_end;
  for (uint32_t i = 0; i < n; i += w->group) {
    const uint32_t m = min_u32(n - i, w->group);
    const ac_class *c = &w->classes[*group_class++];
    n_outside = split_group(q + i, m, c, tokens + i, raw, i, outside, n_outside);
    raw += ac_raw_bytes(m, c->k);
  }
  return n_outside;
}

/* ---- rANS ---- */
/* One token onto one lane.  The word is always stored, and kept only where the state is above the
 * limit: that is random, so the mask must not become a branch. */
AC_ALWAYS_INLINE ptrdiff_t push(uint32_t *x, const ac_symbol *e, uint8_t *end, ptrdiff_t at, const unsigned P) {
  const uint32_t y = *x;
  ptrdiff_t emit = -(ptrdiff_t)(e->limit < y);
  __asm__("" : "+r"(emit));
  ac_store16(end + 2 * at - 2, (uint16_t)y);
  *x = ac_symbol_push(e, y >> (emit & 16), P);
  return at + emit;
}

/* m tokens of one group onto L lanes. */
AC_ALWAYS_INLINE ptrdiff_t encode_group(const ac_symbol *table, const uint8_t *t, uint32_t m, uint32_t *x, uint32_t L,
                                        uint8_t *const end, ptrdiff_t at, const unsigned P) {
  uint32_t i = m;
  for (; i % L; i--) at = push(&x[(i - 1) % L], &table[t[i - 1]], end, at, P); /* a short step: its first lanes */
  for (const uint8_t *s = t + i; s != t;)
    for (uint32_t *lane = x + L; lane != x;) { /* lanes are a multiple of four */
      lane -= 4;
      s -= 4;
      at = push(&lane[3], &table[s[3]], end, at, P);
      at = push(&lane[2], &table[s[2]], end, at, P);
      at = push(&lane[1], &table[s[1]], end, at, P);
      at = push(&lane[0], &table[s[0]], end, at, P);
    }
  return at;
}

/* The states in front of the words; returns where they start. */
AC_ALWAYS_INLINE uint8_t *write_states(uint8_t *words, const uint32_t *x, uint32_t L) {
  return memcpy(words - 4 * (size_t)L, x, 4 * (size_t)L);
}

AC_ALWAYS_INLINE uint8_t *encode(const ac_windows *w, const uint8_t *group_class, uint32_t n, const uint8_t *tokens,
                                 const ac_symbol (*symbols)[AC_MAX_TOKENS], const uint32_t *states, uint8_t *const end,
                                 const unsigned P) {
  uint32_t x[AC_MAX_LANES];
  ptrdiff_t at = 0; /* words, backwards from the end */
  const uint32_t L = w->lanes, group = w->group;
  memcpy(x, states, 4 * (size_t)L);
  for (uint32_t g = ac_groups(n, group); g-- > 0;) {
    const unsigned c = group_class[g];
    if (w->classes[c].n_tokens < 2) continue;
    const uint32_t first = g * group;
    at = encode_group(symbols[c], tokens + first, min_u32(n - first, group), x, L, end, at, P);
  }
  return write_states(end + 2 * at, x, L);
}

/* One token off one lane; `at` counts the words used. */
AC_ALWAYS_INLINE uint32_t pop(const uint32_t *table, const unsigned P, uint32_t *x, const uint8_t *words, size_t *at) {
  const uint32_t e = table[*x & ((1u << P) - 1)];
  *x = ac_refill(ac_entry_advance(e, *x, P), words, at);
  return ac_entry_symbol(e, P);
}

/* Decode m tokens of one group; needs m + 1 readable words. */
AC_ALWAYS_INLINE const uint8_t *decode_tokens(const uint32_t *table, const unsigned P, uint32_t *x, const uint32_t L,
                                              uint32_t m, const uint8_t *words, uint32_t *tokens) {
  size_t at = 0;
  uint32_t i = 0;
  for (; i + L <= m; i += L)
    for (uint32_t j = 0; j < L; j += 4) {
      uint32_t *t = tokens + i + j;
      t[0] = pop(table, P, &x[j], words, &at);
      t[1] = pop(table, P, &x[j + 1], words, &at);
      t[2] = pop(table, P, &x[j + 2], words, &at);
      t[3] = pop(table, P, &x[j + 3], words, &at);
    }
  for (uint32_t j = 0; i < m; i++, j++) tokens[i] = pop(table, P, &x[j], words, &at);
  return words + 2 * at;
}

/* Does float32 arithmetic give the definition's floats for all integers of a class?  It does where float32
 * has the integers: the product is rounded once either way. */
AC_ALWAYS_INLINE int in_float(const ac_class *c) {
  if (c->image) return c->image <= 23 || (ac_expand(c->base, c->image) >= -AC_FLOAT_EXACT_MAX &&
                                          ac_expand((int32_t)(ac_window_end(c) - 1), c->image) < AC_FLOAT_EXACT_MAX);
  return c->base >= -AC_FLOAT_EXACT_MAX && ac_window_end(c) <= AC_FLOAT_EXACT_MAX;
}

UNUSED static unsigned most_raw_bits(const ac_windows *w) {
  unsigned k = 0;
  for (unsigned c = 0; c < w->n_classes; c++)
    if (w->classes[c].k > k) k = w->classes[c].k;
  return k;
}

UNUSED static int all_in_float(const ac_windows *w) {
  for (unsigned c = 0; c < w->n_classes; c++)
    if (!in_float(&w->classes[c])) return 0;
  return 1;
}

/* What vector kernels are made for, so that nobody pays for what a section has not: integers that are tokens,
 * tokens with raw bits, or both, of which some are images.  A class without image has NO_IMAGE significand bits
 * then: all its integers are below the first octave. */
enum { TOKENS_ONLY, WITH_RAW, WITH_IMAGES };
enum { NO_IMAGE = 31 };
UNUSED static int contents_of(const ac_windows *w) {
  for (unsigned c = 0; c < w->n_classes; c++)
    if (w->classes[c].image) return WITH_IMAGES;
  return most_raw_bits(w) ? WITH_RAW : TOKENS_ONLY;
}

/* Elements of the outputs, and where value i of one is. */
static const uint8_t OUT_SIZE[AC_OUTS] = {4, 8, 2, 2, 4};
#define OUT_AT(out, OUT, i) ((void *)((uint8_t *)(out) + (size_t)OUT_SIZE[OUT] * (i)))

/* Integers to what a decoder puts out, m of them. */
AC_ALWAYS_INLINE void dequantize(const int32_t *v, uint32_t m, const ac_class *c, double delta, void *out, const int OUT) {
  const float delta_f = (float)delta; /* gives the same bits where |v| <= 2^24 */
  float *const f = out;
  double *const d = out;
  uint16_t *const h = out;
  if (OUT == AC_OUT_I32) {
    memcpy(out, v, m * sizeof *v);
  } else if (OUT == AC_OUT_F64) {
    for (uint32_t j = 0; j < m; j++) d[j] = ac_reconstruct_f64(v[j], delta);
  } else if (LIKELY(in_float(c))) {
    for (uint32_t j = 0; j < m; j++) {
      const float r = (float)v[j] * delta_f;
      if (OUT == AC_OUT_F32) f[j] = r;
      else h[j] = OUT == AC_OUT_F16 ? ac_to_float16(r) : ac_to_bfloat16(r);
    }
  } else {
    for (uint32_t j = 0; j < m; j++) {
      const float r = ac_reconstruct_f32(v[j], delta);
      if (OUT == AC_OUT_F32) f[j] = r;
      else h[j] = OUT == AC_OUT_F16 ? ac_to_float16(r) : ac_to_bfloat16(r);
    }
  }
}

/* Make AC_AHEAD_WORDS words readable; AC_E_FORMAT if more words were used than there are. */
AC_ALWAYS_INLINE int look_ahead(ac_cursor *at) {
  if (LIKELY(at->words_end - at->words >= 2 * AC_AHEAD_WORDS)) return AC_OK;
  if (at->words > at->words_end) return AC_E_FORMAT;
  if (at->in_copy) return AC_OK;
  const size_t left = (size_t)(at->words_end - at->words);
  memcpy(at->copy, at->words, left);
  memset(at->copy + left, 0, sizeof at->copy - left);
  at->words = at->copy;
  at->words_end = at->copy + left;
  at->in_copy = 1;
  return AC_OK;
}

/* One group of m values of class `index`. */
AC_ALWAYS_INLINE int decode_group(const ac_coded *in, ac_cursor *at, unsigned index, uint32_t m, void *out, const int OUT,
                                  const unsigned P) {
  const ac_class *c = &in->windows->classes[index];
  const uint8_t *const plane_end = at->raw_end; /* readable up to here */
  const uint32_t base = (uint32_t)c->base, L = in->windows->lanes;
  const unsigned k = c->k;
  uint32_t tokens[AC_MAX_GROUP], low[AC_MAX_GROUP];
  int32_t v[AC_MAX_GROUP];
  if (c->n_tokens > 1) {
    const uint32_t *table = in->tables + ((size_t)index << P);
    if (UNLIKELY(look_ahead(at))) return AC_E_FORMAT;
    at->words = decode_tokens(table, P, at->x, L, m, at->words, tokens);
  } else { /* a constant, but for raw bits */
    memset(tokens, 0, m * sizeof *tokens);
  }
  if (k) {
    for (uint32_t j = 0; j < m; j += 16, at->raw += 2 * k) {
      if (LIKELY((size_t)(plane_end - at->raw) >= 2 * (size_t)k + AC_PLANE_SLACK)) {
        UNPACK16[k](at->raw, low + j);
      } else { /* the plane ends where the block does */
        uint8_t last[2 * AC_MAX_RAW_BITS + AC_PLANE_SLACK] = {0};
        memcpy(last, at->raw, 2 * k);
        UNPACK16[k](last, low + j);
      }
    }
    for (uint32_t j = 0; j < m; j++) v[j] = (int32_t)(base + ((tokens[j] << k) | low[j]));
  } else {
    for (uint32_t j = 0; j < m; j++) v[j] = (int32_t)(base + tokens[j]);
  }
  if (c->image)
    for (uint32_t j = 0; j < m; j++) v[j] = ac_expand(v[j], c->image);
  dequantize(v, m, c, in->delta, out, OUT);
  return AC_OK;
}

AC_ALWAYS_INLINE int decode(const ac_coded *in, ac_cursor *at, uint32_t first, uint32_t last, void *out, const int OUT,
                            const unsigned P) {
  const uint32_t group = in->windows->group;
  int error = AC_OK;
  for (uint32_t i = first, g = first / group; i < last && !error; i += group, g++)
    error = decode_group(in, at, in->group_class[g], min_u32(last - i, group), OUT_AT(out, OUT, i), OUT, P);
  return error;
}

/* One instance for every number of probability bits, so that shifts are constants. */
#define DEFINE_ENCODE(P)                                                                                      \
  static uint8_t *encode_##P(const ac_windows *w, const uint8_t *group_class, uint32_t n,                    \
                             const uint8_t *tokens, const ac_symbol (*symbols)[AC_MAX_TOKENS],               \
                             const uint32_t *states, uint8_t *end) {                                         \
    return encode(w, group_class, n, tokens, symbols, states, end, P);                                       \
  }
DEFINE_ENCODE(10)
DEFINE_ENCODE(11)
DEFINE_ENCODE(12)
DEFINE_ENCODE(13)
#define BY_PROB_BITS(w, f) \
  ((w)->prob_bits == 10 ? f##_10 : (w)->prob_bits == 11 ? f##_11 : (w)->prob_bits == 12 ? f##_12 : f##_13)

/* For kernels of other tables: some tokens of a group behind words that stand already, and one group. */
UNUSED static uint8_t *encode_last(const ac_symbol *table, const uint8_t *t, uint32_t m, uint32_t *x, uint32_t L,
                                   uint8_t *words, unsigned P) {
  return words + 2 * (P == 10   ? encode_group(table, t, m, x, L, words, 0, 10)
                      : P == 11 ? encode_group(table, t, m, x, L, words, 0, 11)
                      : P == 12 ? encode_group(table, t, m, x, L, words, 0, 12)
                                : encode_group(table, t, m, x, L, words, 0, 13));
}
#define DEFINE_DECODE(F, OUT)                                                                                \
  UNUSED static int decode_group_##F(const ac_coded *in, ac_cursor *at, unsigned index, uint32_t m, void *out) { \
    switch (in->windows->prob_bits) {                                                                        \
      case 10: return decode_group(in, at, index, m, out, OUT, 10);                                          \
      case 11: return decode_group(in, at, index, m, out, OUT, 11);                                          \
      case 12: return decode_group(in, at, index, m, out, OUT, 12);                                          \
      default: return decode_group(in, at, index, m, out, OUT, 13);                                          \
    }                                                                                                        \
  }                                                                                                          \
  static int decode_##F(const ac_coded *in, ac_cursor *at, uint32_t first, uint32_t last, void *out) {       \
    switch (in->windows->prob_bits) {                                                                        \
      case 10: return decode(in, at, first, last, out, OUT, 10);                                             \
      case 11: return decode(in, at, first, last, out, OUT, 11);                                             \
      case 12: return decode(in, at, first, last, out, OUT, 12);                                             \
      default: return decode(in, at, first, last, out, OUT, 13);                                             \
    }                                                                                                        \
  }
DEFINE_DECODE(f32, AC_OUT_F32)
DEFINE_DECODE(f64, AC_OUT_F64)
DEFINE_DECODE(f16, AC_OUT_F16)
DEFINE_DECODE(bf16, AC_OUT_BF16)
DEFINE_DECODE(i32, AC_OUT_I32)

/* One group, whichever the output. */
AC_ALWAYS_INLINE int decode_group_any(const ac_coded *in, ac_cursor *at, unsigned index, uint32_t m, void *out, const int OUT) {
  return OUT == AC_OUT_F32    ? decode_group_f32(in, at, index, m, out)
         : OUT == AC_OUT_F64  ? decode_group_f64(in, at, index, m, out)
         : OUT == AC_OUT_F16  ? decode_group_f16(in, at, index, m, out)
         : OUT == AC_OUT_BF16 ? decode_group_bf16(in, at, index, m, out)
                              : decode_group_i32(in, at, index, m, out);
}

UNUSED static uint8_t *encode_any(const ac_windows *w, const uint8_t *group_class, uint32_t n, const uint8_t *tokens,
                                  const ac_symbol (*symbols)[AC_MAX_TOKENS], const uint32_t *states, uint8_t *end) {
  return BY_PROB_BITS(w, encode)(w, group_class, n, tokens, symbols, states, end);
}
/* ---- affine lattices ---- */
/* Every operation rounded to A, then (T).  The division is left out where it does nothing, as it is slow. */
#define DEFINE_AFFINE(NAME, A, T)                                                                              \
  static void NAME(const ac_affine *l, const int32_t *restrict r, uint32_t n, T *restrict x) {                 \
    const uint32_t base = (uint32_t)l->base;                                                                   \
    const A d = (A)l->divisor, s = (A)l->scale, o = (A)l->offset, f = (A)l->factor;                            \
    if (d != 1)                                                                                                \
      for (uint32_t i = 0; i < n; i++) x[i] = (T)(((A)(int32_t)((uint32_t)r[i] + base) / d * s + o) * f);      \
    else                                                                                                       \
      for (uint32_t i = 0; i < n; i++) x[i] = (T)(((A)(int32_t)((uint32_t)r[i] + base) * s + o) * f);          \
  }
DEFINE_AFFINE(affine_f32, float, float)
DEFINE_AFFINE(affine_f32_f64, float, double)
DEFINE_AFFINE(affine_f64_f32, double, float)
DEFINE_AFFINE(affine_f64, double, double)

static void affine(const ac_affine *lattice, unsigned size, const int32_t *r, uint32_t n, void *x) {
  if (lattice->single) {
    if (size == 4) affine_f32(lattice, r, n, x);
    else affine_f32_f64(lattice, r, n, x);
  } else {
    if (size == 4) affine_f64_f32(lattice, r, n, x);
    else affine_f64(lattice, r, n, x);
  }
}
#include "rows.h"
#endif
