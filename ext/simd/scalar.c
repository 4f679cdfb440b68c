/* scalar.c: every kernel in plain C.  The meaning of the others; read this first.
 *
 * Loops over a group (at most 128 values, in L1) are kept free of branches so that a compiler can
 * use whatever vector unit the baseline has.  Invariants: nothing here depends on the data's
 * history outside its block; float arithmetic is + - * and comparisons only, never contracted.
 */
#include "../arraycodec.h"
#include "../core/bitplane.h"
#include "../core/checksum.h"
#include "kernels.h"

#define LIKELY(c) __builtin_expect(!!(c), 1)
#define UNLIKELY(c) __builtin_expect(!!(c), 0)

static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* ---- quantize ---- */
enum { RUN = 16 }; /* values quantized between two looks at the verdict */

/* The short cut in float32, 16 values at a time: see ac_lattice_make for why it agrees with
 * ac_quantize_f32.  Nonzero if any of them needs the definition. */
AC_ALWAYS_INLINE unsigned quantize_run_f32(const float *x, int32_t *q, float inv, float delta, float limit) {
  const float magic = 12582912.0f; /* 1.5 * 2^23: rounds |y| < 2^22 to nearest even */
  unsigned unsure = 0;
  for (int j = 0; j < RUN; j++) {
    const float v = (x[j] * inv + magic) - magic;
    const int near = (__builtin_fabsf(x[j] - v * delta) < limit) & (__builtin_fabsf(v) <= 16384.0f);
    q[j] = (int32_t)(near ? v : 0.0f);
    unsure |= !near;
  }
  return unsure;
}

AC_ALWAYS_INLINE unsigned quantize_run_f64(const double *x, int32_t *q, double inv, double delta, double tol) {
  const double magic = 6755399441055744.0;
  unsigned unsure = 0;
  for (int j = 0; j < RUN; j++) {
    const double v = (x[j] * inv + magic) - magic;
    const int near = (__builtin_fabs(x[j] - v * delta) < tol) & (__builtin_fabs(v) <= AC_QMAX);
    q[j] = (int32_t)(near ? v : 0.0);
    unsure |= !near;
  }
  return unsure;
}

#define DEFINE_QUANTIZE(T, F, limit_expr, inv_expr, delta_expr)                                                \
  static uint32_t quantize_##F(const T *x, uint32_t n, const ac_lattice *l, int32_t *q, uint32_t *refused) {  \
    const ac_lattice lattice = *l; /* a copy: stores to q cannot change it */                                 \
    uint32_t n_refused = 0, i = 0;                                                                            \
    int32_t before = 0;                                                                                       \
    while (i < n) {                                                                                           \
      const uint32_t m = min_u32(n - i, RUN);                                                                 \
      if (m < RUN || UNLIKELY(quantize_run_##F(x + i, q + i, inv_expr, delta_expr, limit_expr)))              \
        for (uint32_t j = i; j < i + m; j++) {                                                                \
          if (!ac_quantize_##F(x[j], &lattice, &q[j])) {                                                      \
            q[j] = before;                                                                                    \
            refused[n_refused++] = j;                                                                         \
          }                                                                                                   \
          before = q[j];                                                                                      \
        }                                                                                                     \
      i += m;                                                                                                 \
      before = q[i - 1];                                                                                      \
    }                                                                                                         \
    return n_refused;                                                                                         \
  }
DEFINE_QUANTIZE(float, f32, lattice.limit_f, lattice.inv_f, lattice.delta_f)
DEFINE_QUANTIZE(double, f64, lattice.tol, lattice.inv, lattice.delta)

/* ---- statistics for the class choice ---- */
static void group_stats(const int32_t *q, uint32_t n, unsigned group, ac_group_stats *stats) {
  for (uint32_t i = 0; i < n; i += group, q += group, stats++) {
    const uint32_t m = min_u32(n - i, group);
    uint32_t magnitude = 0, small_sum = 0;
    for (uint32_t j = 0; j < m; j++) {
      magnitude |= (uint32_t)(q[j] ^ (q[j] >> 31));
      small_sum += (uint32_t)q[j];
    }
    int64_t sum = (int32_t)small_sum;
    if (UNLIKELY(magnitude >> 23)) { /* 128 values below 2^23 cannot overflow 32 bits */
      sum = 0;
      for (uint32_t j = 0; j < m; j++) sum += q[j];
    }
    const int32_t mean = (int32_t)(sum / (int64_t)m);
    uint64_t deviation = 0;
    if (LIKELY(!(magnitude >> 23))) {
      uint32_t small = 0;
      for (uint32_t j = 0; j < m; j++) {
        const int32_t d = q[j] - mean;
        small += (uint32_t)((d ^ (d >> 31)) - (d >> 31));
      }
      deviation = small;
    } else {
      for (uint32_t j = 0; j < m; j++) {
        const int64_t d = (int64_t)q[j] - mean;
        deviation += (uint64_t)(d < 0 ? -d : d);
      }
    }
    stats->mean = mean;
    stats->magnitude = magnitude;
    stats->deviation = deviation;
  }
}

static void count(const int32_t *q, uint32_t n, unsigned group, const uint8_t *group_class, ac_histogram *histograms) {
  for (uint32_t i = 0; i < n; i += group, q += group) {
    const uint32_t m = min_u32(n - i, group);
    ac_histogram *h = &histograms[*group_class++];
    const int32_t first = h->first;
    const unsigned shift = h->shift;
    uint32_t bins[AC_MAX_GROUP];
    for (uint32_t j = 0; j < m; j++) {
      const uint32_t bin = (uint32_t)(q[j] >> shift) - (uint32_t)first;
      bins[j] = bin < AC_HISTOGRAM_BINS ? bin : AC_HISTOGRAM_BINS;
    }
    for (uint32_t j = 0; j < m; j++) h->count[bins[j]]++;
  }
}

/* ---- split ---- */
AC_FOR_EACH_WIDTH(AC_DEFINE_WIDTH)
#define PACK_ENTRY(k) pack16_##k,
#define UNPACK_ENTRY(k) unpack16_##k,
static const ac_pack16_fn PACK16[AC_MAX_RAW_BITS + 1] = {0, AC_FOR_EACH_WIDTH(PACK_ENTRY)};
static const ac_unpack16_fn UNPACK16[AC_MAX_RAW_BITS + 1] = {0, AC_FOR_EACH_WIDTH(UNPACK_ENTRY)};

static uint32_t split(const int32_t *q, uint32_t n, const ac_windows *w, const uint8_t *group_class, uint8_t *tokens,
                      uint8_t *raw, uint32_t *outside) {
  uint32_t n_outside = 0;
  for (uint32_t i = 0; i < n; i += w->group) {
    const uint32_t m = min_u32(n - i, w->group);
    const ac_class *c = &w->classes[*group_class++];
    const unsigned k = c->k;
    const uint32_t base = (uint32_t)c->base, size = (uint32_t)c->n_tokens << k, mask = (1u << k) - 1;
    uint32_t low[AC_MAX_GROUP];
    unsigned bad = 0;
    for (uint32_t j = 0; j < m; j++) {
      const uint32_t u = (uint32_t)q[i + j] - base;
      bad |= u >= size;
      tokens[i + j] = (uint8_t)(u >> k);
      low[j] = u & mask;
    }
    if (UNLIKELY(bad))
      for (uint32_t j = 0; j < m; j++)
        if ((uint32_t)q[i + j] - base >= size) {
          tokens[i + j] = c->filler;
          low[j] = 0;
          outside[n_outside++] = i + j;
        }
    if (k) {
      for (uint32_t j = m; j & 15; j++) low[j] = 0;
      for (uint32_t j = 0; j < m; j += 16, raw += 2 * k) PACK16[k](low + j, raw);
    }
  }
  return n_outside;
}

/* ---- rANS ---- */
static uint8_t *encode(const ac_windows *w, const uint8_t *group_class, uint32_t n, const uint8_t *tokens,
                       const ac_symbol (*symbols)[AC_MAX_TOKENS], uint8_t *end) {
  uint32_t x[AC_MAX_LANES];
  const uint32_t L = w->lanes;
  for (uint32_t j = 0; j < L; j++) x[j] = AC_STATE_MIN;
  for (uint32_t g = ac_groups(n, w->group); g-- > 0;) {
    const unsigned c = group_class[g];
    if (w->classes[c].n_tokens < 2) continue;
    const ac_symbol *table = symbols[c];
    const uint32_t first = g * w->group, m = min_u32(n - first, w->group);
    for (uint32_t s = (m - 1) / L * L + L; s >= L; s -= L) {
      const uint8_t *t = tokens + first + s - L;
      for (uint32_t j = min_u32(m - (s - L), L); j-- > 0;) {
        const ac_symbol *e = &table[t[j]];
        uint32_t y = x[j];
        /* the word is always stored, and kept only where the state is above the limit */
        const uint32_t emit = y > e->limit;
        ac_store16(end - 2, (uint16_t)y);
        end -= 2 * (size_t)emit;
        y >>= 16 * emit;
        const uint32_t quotient = (uint32_t)(((unsigned __int128)y * e->reciprocal) >> 64);
        x[j] = y + e->bias + quotient * e->complement;
      }
    }
  }
  end -= 4 * L;
  memcpy(end, x, 4 * (size_t)L);
  return end;
}

/* Decode m tokens of one group.  checked = 0 needs m + 1 readable words. */
AC_ALWAYS_INLINE const uint8_t *decode_tokens(const uint32_t *table, const unsigned P, uint32_t *x, uint32_t L, uint32_t m,
                                              const uint8_t *words, const uint8_t *words_end, uint8_t *tokens,
                                              const int checked) {
  const uint32_t mask = (1u << P) - 1;
  for (uint32_t i = 0; i < m; i += L) {
    const uint32_t lanes = min_u32(m - i, L);
#pragma GCC unroll 4
    for (uint32_t j = 0; j < lanes; j++) {
      const uint32_t e = table[x[j] & mask];
      uint32_t y = (e >> (32 - P)) * (x[j] >> P) + (e >> (32 - 2 * P) & mask);
      tokens[i + j] = (uint8_t)(e & ((1u << (32 - 2 * P)) - 1));
      if (checked) {
        if (y < AC_STATE_MIN) {
          if (words_end - words < 2) return NULL;
          y = y << 16 | ac_load16(words);
          words += 2;
        }
      } else {
        const uint32_t refill = y < AC_STATE_MIN, more = y << 16 | ac_load16(words);
        uint32_t select = 0u - refill;
        __asm__("" : "+r"(select)); /* keep it a mask: this branch would be random */
        y ^= (y ^ more) & select;
        words += 2 * (size_t)refill;
      }
      x[j] = y;
    }
  }
  return words;
}

AC_ALWAYS_INLINE int decode(const ac_coded *in, float *out32, double *out64, const unsigned P) {
  const ac_windows *w = in->windows;
  const uint8_t *raw = in->raw, *words = in->words;
  const uint32_t L = w->lanes;
  uint32_t x[AC_MAX_LANES], low[AC_MAX_GROUP];
  uint8_t tokens[AC_MAX_GROUP];
  const double delta = in->delta;
  const float delta_f = (float)delta;
  const int coded = in->words != in->words_end;
  if (coded) {
    memcpy(x, words, 4 * (size_t)L);
    words += 4 * (size_t)L;
    for (uint32_t j = 0; j < L; j++)
      if (x[j] < AC_STATE_MIN) return AC_E_FORMAT;
  }
  for (uint32_t i = 0, g = 0; i < in->n; i += w->group, g++) {
    const uint32_t m = min_u32(in->n - i, w->group);
    const unsigned index = in->group_class[g];
    const ac_class *c = &w->classes[index];
    const unsigned k = c->k;
    int32_t v[AC_MAX_GROUP];

    if (c->n_tokens > 1) {
      const uint32_t *table = in->tables + ((size_t)index << P);
      if (LIKELY((size_t)(in->words_end - words) >= 2 * (size_t)m + 2)) {
        if (LIKELY(L == 64 && m == 128)) words = decode_tokens(table, P, x, 64, 128, words, in->words_end, tokens, 0);
        else words = decode_tokens(table, P, x, L, m, words, in->words_end, tokens, 0);
      } else {
        words = decode_tokens(table, P, x, L, m, words, in->words_end, tokens, 1);
        if (!words) return AC_E_FORMAT;
      }
    } else if (k == 0) {
      if (out32) {
        const float constant = ac_reconstruct_f32(c->base, delta);
        for (uint32_t j = 0; j < m; j++) out32[i + j] = constant;
      } else {
        const double constant = ac_reconstruct_f64(c->base, delta);
        for (uint32_t j = 0; j < m; j++) out64[i + j] = constant;
      }
      continue;
    } else {
      memset(tokens, 0, m);
    }

    if (k) {
      for (uint32_t j = 0; j < m; j += 16, raw += 2 * k) {
        if (LIKELY((size_t)(in->words_end - raw) >= 2 * (size_t)k + AC_PLANE_SLACK)) {
          UNPACK16[k](raw, low + j);
        } else { /* the plane ends where the block does */
          uint8_t last[2 * AC_MAX_RAW_BITS + AC_PLANE_SLACK] = {0};
          memcpy(last, raw, 2 * k);
          UNPACK16[k](last, low + j);
        }
      }
      for (uint32_t j = 0; j < m; j++) v[j] = (int32_t)((uint32_t)c->base + (((uint32_t)tokens[j] << k) | low[j]));
    } else {
      for (uint32_t j = 0; j < m; j++) v[j] = c->base + tokens[j];
    }

    if (!out32)
      for (uint32_t j = 0; j < m; j++) out64[i + j] = ac_reconstruct_f64(v[j], delta);
    else if (LIKELY(c->base >= -AC_FLOAT_EXACT_MAX && (int64_t)c->base + ((int64_t)c->n_tokens << k) <= AC_FLOAT_EXACT_MAX))
      for (uint32_t j = 0; j < m; j++) out32[i + j] = (float)v[j] * delta_f;
    else
      for (uint32_t j = 0; j < m; j++) out32[i + j] = ac_reconstruct_f32(v[j], delta);
  }
  if (coded) {
    if (words != in->words_end) return AC_E_FORMAT;
    for (uint32_t j = 0; j < L; j++)
      if (x[j] != AC_STATE_MIN) return AC_E_FORMAT;
  }
  return AC_OK;
}

#define DEFINE_DECODE(P) \
  static int decode_f32_##P(const ac_coded *in, float *out) { return decode(in, out, NULL, P); } \
  static int decode_f64_##P(const ac_coded *in, double *out) { return decode(in, NULL, out, P); }
DEFINE_DECODE(10)
DEFINE_DECODE(11)
DEFINE_DECODE(12)
DEFINE_DECODE(13)

static int decode_f32(const ac_coded *in, float *out) {
  static int (*const by_bits[])(const ac_coded *, float *) = {decode_f32_10, decode_f32_11, decode_f32_12, decode_f32_13};
  return by_bits[in->windows->prob_bits - AC_MIN_PROB_BITS](in, out);
}
static int decode_f64(const ac_coded *in, double *out) {
  static int (*const by_bits[])(const ac_coded *, double *) = {decode_f64_10, decode_f64_11, decode_f64_12, decode_f64_13};
  return by_bits[in->windows->prob_bits - AC_MIN_PROB_BITS](in, out);
}

const ac_kernels ac_kernels_scalar = {
    "scalar", quantize_f32, quantize_f64, group_stats, count, split, encode, decode_f32, decode_f64, ac_crc32c,
};
