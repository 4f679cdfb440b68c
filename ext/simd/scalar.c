/* scalar.c: every kernel in plain C.  The meaning of the others; read this first.  The table
 * "sse4.2" is the same code but for its checksum; avx2.c compiles this file again.
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

/* ---- statistics for the class choice ---- */
static ac_group_stats group_stats(const int32_t *q, uint32_t m) {
  uint32_t magnitude = 0, wrapped_sum = 0, wrapped_deviation = 0;
  for (uint32_t j = 0; j < m; j++) {
    const int32_t sign = q[j] >> 31;
    magnitude |= (uint32_t)(q[j] ^ sign);
    wrapped_sum += (uint32_t)q[j];
    wrapped_deviation += (uint32_t)((q[j] ^ sign) - sign);
  }
  int64_t sum = (int32_t)wrapped_sum;
  uint64_t deviation = wrapped_deviation;
  if (UNLIKELY(magnitude >> 23)) { /* 128 values below 2^23 do not overflow 32 bits, others may */
    sum = 0;
    deviation = 0;
    for (uint32_t j = 0; j < m; j++) {
      sum += q[j];
      deviation += (uint64_t)(q[j] < 0 ? -(int64_t)q[j] : q[j]);
    }
  }
  const int32_t mean = (int32_t)(sum / (int64_t)m);
  if (4 * (uint64_t)(sum < 0 ? -sum : sum) > deviation) { /* about 0 is not about the mean */
    deviation = 0;
    if (LIKELY(!(magnitude >> 23))) {
      uint32_t small = 0;
      for (uint32_t j = 0; j < m; j++) {
        const int32_t d = q[j] - mean, sign = d >> 31;
        small += (uint32_t)((d ^ sign) - sign);
      }
      deviation = small;
    } else {
      for (uint32_t j = 0; j < m; j++) {
        const int64_t d = (int64_t)q[j] - mean;
        deviation += (uint64_t)(d < 0 ? -d : d);
      }
    }
  }
  return (ac_group_stats){mean, magnitude, deviation};
}

/* ---- quantize ---- */
enum { RUN = 16 }; /* values quantized between two looks at the verdict */

/* What a run writes for a value that needs the definition; no q is this large. */
#define UNSURE INT32_MIN

/* The short cut, 16 values at a time: nonzero if any of them is UNSURE.  For float32 see
 * ac_lattice_make for why it agrees with ac_quantize_f32; for float64 it is the definition, less
 * the case |x - r| = tol. */
#define DEFINE_RUN(T, F, MAGIC, ABS, QMAX)                                                                    \
  AC_ALWAYS_INLINE unsigned quantize_run_##F(const T *x, int32_t *q, T inv, T delta, T limit) {               \
    int32_t unsure = 0;                                                                                       \
    for (int j = 0; j < RUN; j++) {                                                                           \
      const T v = (x[j] * inv + MAGIC) - MAGIC; /* to nearest even, where |v| is small enough */              \
      const int32_t far = -(!((ABS(x[j] - v * delta) < limit) & (ABS(v) <= QMAX))); /* a mask */              \
      q[j] = (int32_t)(far ? (T)0 : v) | (far & UNSURE);                                                      \
      unsure |= far;                                                                                          \
    }                                                                                                         \
    return (unsigned)unsure;                                                                                  \
  }
DEFINE_RUN(float, f32, 12582912.0f /* 1.5 * 2^23 */, __builtin_fabsf, 16384.0f)
DEFINE_RUN(double, f64, 6755399441055744.0 /* 1.5 * 2^52 */, __builtin_fabs, AC_QMAX)

#define DEFINE_QUANTIZE(T, F, INV, DELTA, LIMIT)                                                              \
  static uint32_t quantize_##F(const T *x, uint32_t n, const ac_lattice *l, unsigned group, int32_t *q,       \
                               ac_group_stats *stats, uint32_t *refused) {                                    \
    const ac_lattice lattice = *l; /* a copy: stores to q cannot change it */                                 \
    uint32_t n_refused = 0;                                                                                   \
    for (uint32_t first = 0; first < n; first += group) {                                                     \
      const uint32_t last = min_u32(first + group, n), refused_before = n_refused;                            \
      for (uint32_t i = first; i < last; i += RUN) {                                                          \
        const uint32_t end = min_u32(i + RUN, last);                                                          \
        if (end - i < RUN)                                                                                    \
          for (uint32_t j = i; j < end; j++) q[j] = UNSURE;                                                   \
        else if (LIKELY(!quantize_run_##F(x + i, q + i, lattice.INV, lattice.DELTA, lattice.LIMIT)))          \
          continue;                                                                                           \
        for (uint32_t j = i; j < end; j++)                                                                    \
          if (q[j] == UNSURE && !ac_quantize_##F(x[j], &lattice, &q[j])) {                                    \
            q[j] = j ? q[j - 1] : 0;                                                                          \
            refused[n_refused++] = j;                                                                         \
          }                                                                                                   \
      }                                                                                                       \
      if (n_refused - refused_before == last - first) /* the class of zeros costs nothing */                  \
        memset(q + first, 0, (last - first) * sizeof *q);                                                     \
      *stats++ = group_stats(q + first, last - first);                                                        \
    }                                                                                                         \
    return n_refused;                                                                                         \
  }
DEFINE_QUANTIZE(float, f32, inv_f, delta_f, limit_f)
DEFINE_QUANTIZE(double, f64, inv, delta, tol)

/* ---- histograms ---- */
static void count(const int32_t *q, uint32_t n, unsigned group, const uint8_t *group_class, ac_histogram *histograms) {
  for (uint32_t i = 0; i < n; i += group, q += group) {
    const uint32_t m = min_u32(n - i, group);
    ac_histogram *h = &histograms[*group_class++];
    if (h->seen++ % h->stride) continue;
    const uint32_t first = (uint32_t)h->first;
    const unsigned shift = h->shift;
    uint32_t bins[AC_MAX_GROUP];
    for (uint32_t j = 0; j < m; j++) {
      const uint32_t bin = (uint32_t)(q[j] >> shift) - first;
      bins[j] = bin < AC_HISTOGRAM_BINS ? bin : AC_HISTOGRAM_BINS;
    }
    for (uint32_t j = 0; j < m; j++) h->count[bins[j]]++;
    h->values += m;
  }
}

/* ---- split ---- */
AC_FOR_EACH_WIDTH(AC_DEFINE_WIDTH)
#define PACK_ENTRY(k) pack16_##k,
#define UNPACK_ENTRY(k) unpack16_##k,
static const ac_pack16_fn PACK16[AC_MAX_RAW_BITS + 1] = {0, AC_FOR_EACH_WIDTH(PACK_ENTRY)};
static const ac_unpack16_fn UNPACK16[AC_MAX_RAW_BITS + 1] = {0, AC_FOR_EACH_WIDTH(UNPACK_ENTRY)};

static uint32_t split(const int32_t *restrict q, uint32_t n, const ac_windows *w, const uint8_t *group_class,
                      uint8_t *restrict tokens, uint8_t *restrict raw, uint32_t *outside) {
  uint32_t n_outside = 0;
  const uint32_t group = w->group;
  for (uint32_t i = 0; i < n; i += group, q += group, tokens += group) {
    const uint32_t m = min_u32(n - i, group);
    const ac_class *c = &w->classes[*group_class++];
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

AC_ALWAYS_INLINE uint8_t *encode(const ac_windows *w, const uint8_t *group_class, uint32_t n, const uint8_t *tokens,
                                 const ac_symbol (*symbols)[AC_MAX_TOKENS], uint8_t *const end, const unsigned P) {
  uint32_t x[AC_MAX_LANES];
  ptrdiff_t at = 0; /* words, backwards from the end */
  const uint32_t L = w->lanes, group = w->group;
  for (uint32_t j = 0; j < L; j++) x[j] = AC_STATE_MIN;
  for (uint32_t g = ac_groups(n, group); g-- > 0;) {
    const unsigned c = group_class[g];
    if (w->classes[c].n_tokens < 2) continue;
    const ac_symbol *table = symbols[c];
    const uint8_t *t = tokens + (size_t)g * group;
    uint32_t i = min_u32(n - g * group, group);
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
  }
  uint8_t *const start = end + 2 * at - 4 * (ptrdiff_t)L;
  memcpy(start, x, 4 * (size_t)L);
  return start;
}

/* Renormalize: if (y < 2^16) { y = y << 16 | *word; at++; }  Whether a word is used is random, so it
 * must not become a branch (measured: 2.5 times the time); compilers insist, hence the assembly. */
AC_ALWAYS_INLINE uint32_t refill(uint32_t y, const uint8_t *words, size_t *at) {
  const uint32_t more = y << 16 | ac_load16(words + 2 * *at);
#if defined(__x86_64__)
  size_t next = *at;
  __asm__("cmpl %3, %0\n\tcmovb %2, %0\n\tadcq $0, %1" : "+r"(y), "+r"(next) : "r"(more), "i"(AC_STATE_MIN) : "cc");
  *at = next;
  return y;
#else
  uint32_t mask = 0u - (uint32_t)(y < AC_STATE_MIN);
  __asm__("" : "+r"(mask));
  *at += mask & 1;
  return y ^ ((y ^ more) & mask);
#endif
}

/* One token off one lane; `at` counts the words used. */
AC_ALWAYS_INLINE uint32_t pop(const uint32_t *table, const unsigned P, uint32_t *x, const uint8_t *words, size_t *at) {
  const uint32_t e = table[*x & ((1u << P) - 1)];
  *x = refill(ac_entry_advance(e, *x, P), words, at);
  return ac_entry_symbol(e, P);
}

/* Words that decode_tokens may read past those it uses. */
#ifndef AC_WORD_SLACK
#define AC_WORD_SLACK 1
#endif

/* Decode m tokens of one group; needs m + AC_WORD_SLACK readable words. */
AC_ALWAYS_INLINE const uint8_t *decode_tokens(const uint32_t *table, const unsigned P, uint32_t *x, const uint32_t L,
                                              uint32_t m, const uint8_t *words, uint32_t *tokens) {
  size_t at = 0;
  uint32_t i = 0;
#ifdef AC_VECTOR_STEPS /* takes whole steps of lanes that fill its vectors */
  i = AC_VECTOR_STEPS(table, P, x, L, m, words, &at, tokens);
#endif
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

/* The same near the end of the words: a copy with room behind it, and a look at what was used. */
static const uint8_t *decode_last_tokens(const uint32_t *table, unsigned P, uint32_t *x, uint32_t L, uint32_t m,
                                         const uint8_t *words, const uint8_t *words_end, uint32_t *tokens) {
  uint8_t copy[2 * (AC_MAX_GROUP + AC_WORD_SLACK)] = {0};
  const size_t left = (size_t)(words_end - words);
  memcpy(copy, words, left);
  const size_t used = (size_t)(decode_tokens(table, P, x, L, m, copy, tokens) - copy);
  return used <= left ? words + used : NULL;
}

/* Integers to floats, m of them: into whichever of the two outputs there is. */
AC_ALWAYS_INLINE void dequantize(const int32_t *v, uint32_t m, const ac_class *c, double delta, float *out32, double *out64) {
  if (out64) {
    for (uint32_t j = 0; j < m; j++) out64[j] = ac_reconstruct_f64(v[j], delta);
  } else if (LIKELY(c->base >= -AC_FLOAT_EXACT_MAX && c->base + ((int64_t)c->n_tokens << c->k) <= AC_FLOAT_EXACT_MAX)) {
    const float delta_f = (float)delta; /* the same bits: |v| <= 2^24 */
    for (uint32_t j = 0; j < m; j++) out32[j] = (float)v[j] * delta_f;
  } else {
    for (uint32_t j = 0; j < m; j++) out32[j] = ac_reconstruct_f32(v[j], delta);
  }
}

/* Where a decoder stands. */
typedef struct {
  const uint8_t *raw, *words;
  uint32_t x[AC_MAX_LANES];
} cursor;

/* One group of m values of class `index`. */
AC_ALWAYS_INLINE int decode_group(const ac_coded *in, cursor *at, unsigned index, uint32_t m, float *out32,
                                  double *out64, const unsigned P) {
  const ac_class *c = &in->windows->classes[index];
  const uint8_t *const words_end = in->words_end;
  const uint32_t base = (uint32_t)c->base, L = in->windows->lanes;
  const unsigned k = c->k;
  uint32_t tokens[AC_MAX_GROUP], low[AC_MAX_GROUP];
  int32_t v[AC_MAX_GROUP];
  if (c->n_tokens > 1) {
    const uint32_t *table = in->tables + ((size_t)index << P);
    if (LIKELY((size_t)(words_end - at->words) >= 2 * (size_t)(m + AC_WORD_SLACK)))
      at->words = decode_tokens(table, P, at->x, L, m, at->words, tokens);
    else if (!(at->words = decode_last_tokens(table, P, at->x, L, m, at->words, words_end, tokens)))
      return AC_E_FORMAT;
  } else {
    memset(tokens, 0, m * sizeof *tokens);
  }
  if (k) {
    for (uint32_t j = 0; j < m; j += 16, at->raw += 2 * k) {
      if (LIKELY((size_t)(words_end - at->raw) >= 2 * (size_t)k + AC_PLANE_SLACK)) {
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
  dequantize(v, m, c, in->delta, out32, out64);
  return AC_OK;
}

AC_ALWAYS_INLINE int decode(const ac_coded *in, float *out32, double *out64, const unsigned P) {
  const uint32_t L = in->windows->lanes, group = in->windows->group;
  const int coded = in->words != in->words_end;
  cursor at;
  at.raw = in->raw;
  at.words = in->words;
  if (coded) {
    memcpy(at.x, at.words, 4 * (size_t)L);
    at.words += 4 * (size_t)L;
    for (uint32_t j = 0; j < L; j++)
      if (at.x[j] < AC_STATE_MIN) return AC_E_FORMAT;
  }
  for (uint32_t i = 0, g = 0; i < in->n; i += group, g++) {
    const uint32_t m = min_u32(in->n - i, group);
    float *o32 = out32 ? out32 + i : NULL;
    double *o64 = out64 ? out64 + i : NULL;
    const int error = decode_group(in, &at, in->group_class[g], m, o32, o64, P);
    if (error) return error;
  }
  if (coded) {
    if (at.words != in->words_end) return AC_E_FORMAT;
    for (uint32_t j = 0; j < L; j++)
      if (at.x[j] != AC_STATE_MIN) return AC_E_FORMAT;
  }
  return AC_OK;
}

/* One instance for every number of probability bits, so that shifts are constants. */
#define DEFINE_RANS(P)                                                                                       \
  static uint8_t *encode_##P(const ac_windows *w, const uint8_t *group_class, uint32_t n,                    \
                             const uint8_t *tokens, const ac_symbol (*symbols)[AC_MAX_TOKENS], uint8_t *end) { \
    return encode(w, group_class, n, tokens, symbols, end, P);                                               \
  }                                                                                                          \
  static int decode_f32_##P(const ac_coded *in, float *out) { return decode(in, out, NULL, P); }             \
  static int decode_f64_##P(const ac_coded *in, double *out) { return decode(in, NULL, out, P); }
DEFINE_RANS(10)
DEFINE_RANS(11)
DEFINE_RANS(12)
DEFINE_RANS(13)
#define BY_PROB_BITS(w, f) \
  ((w)->prob_bits == 10 ? f##_10 : (w)->prob_bits == 11 ? f##_11 : (w)->prob_bits == 12 ? f##_12 : f##_13)

static uint8_t *encode_any(const ac_windows *w, const uint8_t *group_class, uint32_t n, const uint8_t *tokens,
                           const ac_symbol (*symbols)[AC_MAX_TOKENS], uint8_t *end) {
  return BY_PROB_BITS(w, encode)(w, group_class, n, tokens, symbols, end);
}
static int decode_f32(const ac_coded *in, float *out) { return BY_PROB_BITS(in->windows, decode_f32)(in, out); }
static int decode_f64(const ac_coded *in, double *out) { return BY_PROB_BITS(in->windows, decode_f64)(in, out); }

#define TABLE(name, crc) \
  {name, quantize_f32, quantize_f64, count, split, encode_any, decode_f32, decode_f64, crc}

#ifndef AC_COMPILED_FOR
const ac_kernels ac_kernels_scalar = TABLE("scalar", ac_crc32c);
#endif

#if defined(__x86_64__)
/* The one instruction that SSE4.2 has for us: eight bytes of CRC32C in three cycles. */
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(const void *data, size_t size) {
  const uint8_t *p = data;
  uint64_t crc = 0xFFFFFFFFu;
  for (; size >= 8; size -= 8, p += 8) crc = __builtin_ia32_crc32di(crc, ac_load64(p));
  for (; size; size--) crc = __builtin_ia32_crc32qi((uint32_t)crc, *p++);
  return ~(uint32_t)crc;
}
#ifndef AC_COMPILED_FOR
const ac_kernels ac_kernels_sse42 = TABLE("sse4.2", crc32c_sse42);
#endif
#endif
