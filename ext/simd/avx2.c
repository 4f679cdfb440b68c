/* avx2.c: kernels for AVX2, F16C and BMI2, eight values a vector.
 *
 * Whole groups of 64 or 128 values with 16 or more lanes go through the kernels here; generic.h, compiled
 * for this target, does the last group, fewer lanes, float64 input and whatever a vector cannot settle.
 * So do the plain loops of rows.h where compilers' vectors are as fast (measured).
 * Invariant: bytes and floats are those of generic.h.  The target has no FMA, so nothing can be
 * contracted even where a compiler is told to.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#include "crc32c_x86.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,f16c,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,f16c,bmi,bmi2,lzcnt,popcnt")
#endif

#include "generic.h"

enum { WIDTH = 8 };     /* values in a vector */
enum { FEW_LANES = 8 }; /* no more hide no latency: one by one is faster (measured) */

AC_ALWAYS_INLINE __m256i load8(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
AC_ALWAYS_INLINE void store8(void *p, __m256i v) { _mm256_storeu_si256((__m256i *)p, v); }

/* ---- quantize ---- */
AC_ALWAYS_INLINE uint32_t add_lanes(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

AC_ALWAYS_INLINE uint32_t or_lanes(__m256i v) {
  __m128i s = _mm_or_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_or_si128(s, _mm_shuffle_epi32(s, 0x4e));
  return (uint32_t)_mm_cvtsi128_si32(_mm_or_si128(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* Eight elements of a type as float32, and float32 rounded to the type. */
AC_ALWAYS_INLINE __m256 load_floats(const void *x, const int OUT) {
  if (OUT == AC_OUT_F32) return _mm256_loadu_ps(x);
  const __m128i h = _mm_loadu_si128(x);
  if (OUT == AC_OUT_F16) return _mm256_cvtph_ps(h);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

AC_ALWAYS_INLINE __m256 round_floats(__m256 r, const int OUT) {
  if (OUT == AC_OUT_F32) return r;
  if (OUT == AC_OUT_F16) return _mm256_cvtph_ps(_mm256_cvtps_ph(r, _MM_FROUND_TO_NEAREST_INT));
  const __m256i u = _mm256_castps_si256(r), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
  return _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32((int32_t)0xffff0000)));
}

/* RUN values from j on in double precision, and what is left of them by the definition. */
AC_ALWAYS_INLINE uint32_t settle_run(const void *x, int32_t *q, uint32_t i, const ac_lattice *l, uint32_t *refused,
                                     uint32_t n_refused, const int OUT) {
  const float *const f = x;
  const uint16_t *const h = x;
  if (LIKELY(!(OUT == AC_OUT_F32   ? quantize_wide_f32(f + i, q + i, RUN, l)
               : OUT == AC_OUT_F16 ? quantize_wide_f16(h + i, q + i, RUN, l)
                                   : quantize_wide_bf16(h + i, q + i, RUN, l))))
    return n_refused;
  for (uint32_t j = i; j < i + RUN; j++) /* errors about tol, and what is no number */
    if (q[j] == UNSURE)
      n_refused = OUT == AC_OUT_F32   ? settle_f32(f, q, j, l, refused, n_refused)
                  : OUT == AC_OUT_F16 ? settle_f16(h, q, j, l, refused, n_refused)
                                      : settle_bf16(h, q, j, l, refused, n_refused);
  return n_refused;
}

/* One whole group, with its statistics in registers; returns the new number of refused values. */
AC_ALWAYS_INLINE uint32_t quantize_vectors(const void *x, int32_t *q, uint32_t first, uint32_t m, const ac_lattice *l,
                                           ac_group_stats *stats, uint32_t *refused, uint32_t n_refused, const int OUT) {
  const __m256 inv = _mm256_set1_ps(l->inv_f), delta = _mm256_set1_ps(l->delta_f), limit = _mm256_set1_ps(l->limit_f);
  const __m256 sign = _mm256_set1_ps(-0.0f), tol = _mm256_set1_ps(l->tol_f);
  const __m256i near = _mm256_set1_epi32(1 << NEAR_BITS);
  __m256i sum = _mm256_setzero_si256(), deviation = sum, magnitude = sum;
  const uint32_t before = n_refused;
  for (uint32_t i = first; i < first + m; i += RUN) {
    const uint8_t *const at = (const uint8_t *)x + (size_t)OUT_SIZE[OUT] * i;
    _mm_prefetch((const char *)at + AHEAD, _MM_HINT_T0);
    __m256i v[2], a[2], sure = _mm256_set1_epi32(-1);
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
      const __m256 value = load_floats(at + (size_t)OUT_SIZE[OUT] * WIDTH * (unsigned)h, OUT);
      v[h] = _mm256_cvtps_epi32(_mm256_mul_ps(value, inv)); /* to nearest even; -2^31 for what does not fit */
      const __m256 r = _mm256_mul_ps(_mm256_cvtepi32_ps(v[h]), delta), d = _mm256_sub_ps(value, r);
      a[h] = _mm256_abs_epi32(v[h]);
      const __m256i close = _mm256_castps_si256(_mm256_cmp_ps(_mm256_andnot_ps(sign, d), limit, _CMP_LT_OQ));
      sure = _mm256_and_si256(sure, _mm256_and_si256(close, _mm256_cmpgt_epi32(near, a[h])));
      if (OUT != AC_OUT_F32) {
        const __m256 error = _mm256_andnot_ps(sign, _mm256_sub_ps(value, round_floats(r, OUT)));
        sure = _mm256_and_si256(sure, _mm256_castps_si256(_mm256_cmp_ps(error, tol, _CMP_LT_OQ)));
      }
    }
    /* |-2^31| stays negative, and so below `near` */
    const __m256i odd = _mm256_srai_epi32(_mm256_or_si256(a[0], a[1]), 31);
    if (UNLIKELY(_mm256_movemask_epi8(_mm256_andnot_si256(odd, sure)) != -1)) {
      n_refused = settle_run(x, q, i, l, refused, n_refused, OUT);
      for (int h = 0; h < 2; h++) a[h] = _mm256_abs_epi32(v[h] = load8(q + i + WIDTH * h));
    }
    for (int h = 0; h < 2; h++) {
      magnitude = _mm256_or_si256(magnitude, a[h]);
      deviation = _mm256_add_epi32(deviation, a[h]);
      sum = _mm256_add_epi32(sum, v[h]);
      store8(q + i + WIDTH * h, v[h]);
    }
  }
  *stats = stats_of(q + first, m, or_lanes(magnitude), (int32_t)add_lanes(sum), add_lanes(deviation));
  if (UNLIKELY(n_refused - before == m)) forget_group(q + first, m, stats, refused + before);
  return n_refused;
}

#define DEFINE_QUANTIZE_AVX2(F, OUT)                                                                           \
  static uint32_t quantize_##F##_avx2(const void *x, uint32_t n, const ac_lattice *l, unsigned group, int32_t *q, \
                                      ac_group_stats *stats, uint32_t *refused) {                             \
    const ac_lattice lattice = *l; /* a copy: stores to q cannot change it */                                 \
    uint32_t n_refused = 0, first = 0;                                                                        \
    for (; first + group <= n; first += group)                                                                \
      n_refused = quantize_vectors(x, q, first, group, &lattice, stats++, refused, n_refused, OUT);           \
    return first < n ? quantize_group_##F(x, q, first, n, &lattice, stats, refused, n_refused) : n_refused;   \
  }
DEFINE_QUANTIZE_AVX2(f32, AC_OUT_F32)
DEFINE_QUANTIZE_AVX2(f16, AC_OUT_F16)
DEFINE_QUANTIZE_AVX2(bf16, AC_OUT_BF16)

/* ---- histograms ---- */
static void count_avx2(const int32_t *q, uint32_t n, unsigned group, const uint8_t *group_class, ac_histogram *histograms) {
  uint32_t i = 0;
  for (; i + group <= n; i += group, q += group) {
    ac_histogram *h = &histograms[*group_class++];
    if (!ac_histogram_takes(h)) continue;
    const __m256i first = _mm256_set1_epi32(h->first), others = _mm256_set1_epi32(AC_HISTOGRAM_BINS);
    const __m128i shift = _mm_cvtsi32_si128(h->shift);
    uint16_t bins[AC_MAX_GROUP];
    for (uint32_t j = 0; j < group; j += 2 * WIDTH) {
      const __m256i a = _mm256_sub_epi32(_mm256_sra_epi32(load8(q + j), shift), first);
      const __m256i b = _mm256_sub_epi32(_mm256_sra_epi32(load8(q + j + WIDTH), shift), first);
      /* in the order of the instruction: which of the two counters a value comes to does not matter */
      store8(bins + j, _mm256_packus_epi32(_mm256_min_epu32(a, others), _mm256_min_epu32(b, others)));
    }
    count_bins(h, bins, group);
  }
  if (i < n) count(q, n - i, group, group_class, histograms);
}

/* ---- split ---- */
enum { PACK_VECTORS = 16 }; /* up to so many bits four fields fill at most a 64-bit word */

/* Sixteen fields below 2^k, k <= 16, to 2k bytes; may write 16 bytes at raw + k. */
AC_ALWAYS_INLINE void pack_vectors(__m256i a, __m256i b, uint8_t *raw, unsigned k) {
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  const __m256i k1 = _mm256_set1_epi64x(k), k2 = _mm256_set1_epi64x(2 * k);
  uint64_t four[4]; /* fields in each, 4k bits */
  __m256i v[2] = {a, b};
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++) {
    const __m256i two = _mm256_or_si256(_mm256_and_si256(v[h], low), _mm256_sllv_epi64(_mm256_srli_epi64(v[h], 32), k1));
    const __m256i f = _mm256_or_si256(two, _mm256_sllv_epi64(_mm256_srli_si256(two, 8), k2));
    four[2 * h] = (uint64_t)_mm256_extract_epi64(f, 0);
    four[2 * h + 1] = (uint64_t)_mm256_extract_epi64(f, 2);
  }
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++, raw += k) { /* k bytes each; 1 <= k <= 16 keeps the shifts below 64 */
    ac_store64(raw, four[2 * h] | (k < 16 ? four[2 * h + 1] << (4 * k) : 0));
    ac_store64(raw + 8, four[2 * h + 1] >> (64 - 4 * k));
  }
}

/* One whole group, INSIDE its window; 0 if it is not, and then the other way must be taken.  The plane
 * may be written up to 16 bytes past its end. */
AC_ALWAYS_INLINE int split_vectors(const int32_t *q, uint32_t m, const ac_class *c, uint8_t *tokens, uint8_t *raw,
                                   uint32_t first, uint32_t *outside, uint32_t *n_outside, const int INSIDE) {
  const unsigned k = c->k;
  const __m256i base = _mm256_set1_epi32(c->base), mask = _mm256_set1_epi32((1 << k) - 1), shift = _mm256_set1_epi32((int)k);
  const __m256i last = _mm256_set1_epi32((int32_t)(((uint32_t)c->n_tokens << k) - 1));
  const __m256i filler = _mm256_set1_epi32((int32_t)((uint32_t)c->filler << k));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  __m256i most = _mm256_setzero_si256();
  for (uint32_t i = 0; i < m; i += 4 * WIDTH) {
    __m256i u[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
      u[v] = _mm256_sub_epi32(load8(q + i + WIDTH * v), base);
      if (INSIDE) {
        most = _mm256_max_epu32(most, u[v]);
      } else {
        const __m256i in = _mm256_cmpeq_epi32(_mm256_max_epu32(u[v], last), last);
        unsigned left = 0xffu & ~(unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(in));
        u[v] = _mm256_blendv_epi8(filler, u[v], in);
        for (; left; left &= left - 1)
          outside[(*n_outside)++] = first + i + WIDTH * (uint32_t)v + (uint32_t)__builtin_ctz(left);
      }
    }
    if (k)
#pragma GCC unroll 2
      for (int v = 0; v < 4; v += 2, raw += 2 * k)
        pack_vectors(_mm256_and_si256(u[v], mask), _mm256_and_si256(u[v + 1], mask), raw, k);
    for (int v = 0; v < 4; v++) u[v] = _mm256_srlv_epi32(u[v], shift);
    const __m256i bytes = _mm256_packus_epi16(_mm256_packus_epi32(u[0], u[1]), _mm256_packus_epi32(u[2], u[3]));
    store8(tokens + i, _mm256_permutevar8x32_epi32(bytes, order));
  }
  return !INSIDE || _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(most, last), last)) == -1;
}

static uint32_t split_avx2(const int32_t *q, uint32_t n, const ac_windows *w, const uint8_t *group_class, uint8_t *tokens,
                           uint8_t *raw, const uint8_t *raw_end, uint32_t *outside) {
  uint32_t n_outside = 0;
  for (uint32_t i = 0; i < n; i += w->group) {
    const ac_class *c = &w->classes[*group_class++];
    const uint32_t m = min_u32(n - i, w->group), size = ac_raw_bytes(m, c->k);
    if (UNLIKELY(m < w->group || c->k > PACK_VECTORS || (size_t)(raw_end - raw) < size + 16))
      n_outside = split_group(q + i, m, c, tokens + i, raw, i, outside, n_outside);
    else if (UNLIKELY(!split_vectors(q + i, m, c, tokens + i, raw, i, outside, &n_outside, 1)))
      split_vectors(q + i, m, c, tokens + i, raw, i, outside, &n_outside, 0);
    raw += size;
  }
  return n_outside;
}

/* ---- rANS encoder ---- */
/* Entry m: the shuffle that brings the 16-bit words of the lanes set in m, in order, to the upper end. */
#define BIT(m, i) ((m) >> (i) & 1)
#define KEEP(v, m, i) ((v) >> 16 * BIT(m, i) | (uint128)(BIT(m, i) * (0x0100u + 0x0202u * (i))) << 112)
#define WORDS(m) KEEP(KEEP(KEEP(KEEP(KEEP(KEEP(KEEP(KEEP((uint128)0, m, 0), m, 1), m, 2), m, 3), m, 4), m, 5), m, 6), m, 7)
/* Byte i of entry m: how many of the lanes below i are set in m, that is, which of the next words lane
 * i takes if it takes one. */
#define RANK(m, i) ((uint64_t)__builtin_popcount((m) & ((1u << (i)) - 1)) << (8 * (i)))
#define RANKS(m) \
  (RANK(m, 0) | RANK(m, 1) | RANK(m, 2) | RANK(m, 3) | RANK(m, 4) | RANK(m, 5) | RANK(m, 6) | RANK(m, 7))
#define FOUR(F, m) F(m), F(m + 1), F(m + 2), F(m + 3)
#define SIXTEEN(F, m) FOUR(F, m), FOUR(F, m + 4), FOUR(F, m + 8), FOUR(F, m + 12)
#define SIXTY4(F, m) SIXTEEN(F, m), SIXTEEN(F, m + 16), SIXTEEN(F, m + 32), SIXTEEN(F, m + 48)
#define ALL256(F) SIXTY4(F, 0u), SIXTY4(F, 64u), SIXTY4(F, 128u), SIXTY4(F, 192u)
__extension__ typedef unsigned __int128 uint128;
static const uint128 TOP_WORDS[256] = {ALL256(WORDS)};
static const uint64_t RANK_BYTES[256] = {ALL256(RANKS)};

/* Slots of one class: freq | start << 16. */
typedef struct {
  uint32_t slot[AC_MAX_TOKENS];
} pushing;

AC_ALWAYS_INLINE void pushing_for(pushing *p, const ac_class *c) {
  uint32_t start = 0;
  for (unsigned s = 0; s < c->n_tokens; s++) {
    p->slot[s] = c->freq[s] | start << 16;
    start += c->freq[s];
  }
}

/* Eight tokens, whose slots these are, onto as many lanes; returns where the words start. */
AC_ALWAYS_INLINE uint8_t *push_vector(__m256i slots, uint32_t *lanes, uint8_t *words, unsigned P) {
  const __m256i low16 = _mm256_set1_epi32(0xffff), total = _mm256_set1_epi32(1 << P);
  const __m256i prob_bits = _mm256_set1_epi32((int)P), limit_bits = _mm256_set1_epi32(32 - (int)P);
  const __m256 less = _mm256_set1_ps(1 - 0x1p-22f), high_unit = _mm256_set1_ps(65536.0f);
  const __m256i y = load8(lanes), freq = _mm256_and_si256(slots, low16);
  /* states that would overflow put out a word; those of a vector stand in order of lanes */
  const __m256i limit = _mm256_sllv_epi32(freq, limit_bits);
  const __m256i emit = _mm256_cmpeq_epi32(_mm256_max_epu32(y, limit), y);
  const unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(emit));
  const __m256i low = _mm256_and_si256(y, low16);
  const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  _mm_storeu_si128((__m128i *)(words - 16), _mm_shuffle_epi8(halves, _mm_load_si128((const __m128i *)&TOP_WORDS[mask])));
  const __m256i z = _mm256_srlv_epi32(y, _mm256_and_si256(emit, _mm256_set1_epi32(16)));
  const __m256 high = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(z, 16)), high_unit);
  const __m256 number = _mm256_add_ps(high, _mm256_cvtepi32_ps(_mm256_and_si256(z, low16)));
  const __m256i quotient = _mm256_cvttps_epi32(_mm256_div_ps(_mm256_mul_ps(number, less), _mm256_cvtepi32_ps(freq)));
  const __m256i rest = _mm256_sub_epi32(z, _mm256_mullo_epi32(quotient, freq));
  const __m256i next = _mm256_add_epi32(_mm256_sllv_epi32(quotient, prob_bits),
                                        _mm256_add_epi32(rest, _mm256_srli_epi32(slots, 16)));
  const __m256i right = _mm256_cmpgt_epi32(freq, rest);
  store8(lanes, _mm256_add_epi32(next, _mm256_andnot_si256(right, _mm256_sub_epi32(total, freq))));
  return words - 2 * __builtin_popcount(mask);
}

AC_ALWAYS_INLINE __m256i eight_at(const uint8_t *bytes) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes)); }

/* m tokens of one group onto L lanes, V vectors at a time; returns where the words start. */
AC_ALWAYS_INLINE uint8_t *encode_vectors(const pushing *p, const uint8_t *tokens, uint32_t m, uint32_t *x, uint32_t L,
                                         uint8_t *words, unsigned P, const int V) {
  for (uint32_t i = m; i > 0;) {
    i -= (uint32_t)(V * WIDTH);
    uint32_t *lanes = x + i % L;
    __m256i e[4];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) e[v] = _mm256_i32gather_epi32((const int *)p->slot, eight_at(tokens + i + WIDTH * v), 4);
#pragma GCC unroll 4
    for (int v = V - 1; v >= 0; v--) words = push_vector(e[v], lanes + WIDTH * v, words, P);
  }
  return words;
}

static uint8_t *encode_avx2(const ac_windows *w, const uint8_t *group_class, uint32_t n, const uint8_t *tokens,
                            const ac_symbol (*symbols)[AC_MAX_TOKENS], const uint32_t *states, uint8_t *end) {
  const uint32_t L = w->lanes, group = w->group;
  const unsigned P = w->prob_bits;
  if (L <= FEW_LANES || P < MIN_PROB_BITS_FLOAT) return encode_any(w, group_class, n, tokens, symbols, states, end);
  pushing tables[AC_MAX_CLASSES];
  uint32_t x[AC_MAX_LANES];
  uint8_t *words = end;
  for (unsigned c = 0; c < w->n_classes; c++)
    if (w->classes[c].n_tokens > 1) pushing_for(&tables[c], &w->classes[c]);
  memcpy(x, states, 4 * (size_t)L);
  for (uint32_t g = ac_groups(n, group); g-- > 0;) {
    const unsigned c = group_class[g];
    if (w->classes[c].n_tokens < 2) continue;
    const uint8_t *t = tokens + (size_t)g * group;
    if (UNLIKELY(n - g * group < group))
      words = encode_last(symbols[c], t, n - g * group, x, L, words, P);
    else if (L >= 32)
      words = encode_vectors(&tables[c], t, group, x, L, words, P, 4);
    else
      words = encode_vectors(&tables[c], t, group, x, L, words, P, 2);
  }
  return write_states(words, x, L);
}

/* ---- rANS decoder, raw bits, dequantization ---- */
/* What decoding values of a class needs.  Of eight raw fields, four lie within 16 bytes (4 * 25 + 7 bits),
 * so one byte shuffle brings the four bytes of each into its place. */
typedef struct {
  __m256i place, shift; /* of raw fields: their four bytes within the half, and bits to drop */
  const uint32_t *table;
  int32_t base;
  uint8_t k, has_tokens, image;
} popping;

AC_ALWAYS_INLINE void popping_for(popping *p, const ac_coded *in, unsigned index) {
  const ac_class *c = &in->windows->classes[index];
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), k = _mm256_set1_epi32(c->k);
  const __m256i bit = _mm256_mullo_epi32(lane, k);
  const __m256i half = _mm256_setr_epi32(0, 0, 0, 0, c->k >> 1, c->k >> 1, c->k >> 1, c->k >> 1); /* 4k bits, in bytes */
  p->shift = _mm256_and_si256(bit, _mm256_set1_epi32(7));
  p->place = _mm256_add_epi32(
      _mm256_mullo_epi32(_mm256_sub_epi32(_mm256_srli_epi32(bit, 3), half), _mm256_set1_epi32(0x01010101)),
      _mm256_set1_epi32(0x03020100));
  p->table = in->tables + ((size_t)index << in->windows->prob_bits);
  p->base = c->base;
  p->k = c->k;
  p->has_tokens = c->n_tokens > 1;
  p->image = c->image ? c->image : NO_IMAGE;
}

/* ac_expand */
AC_ALWAYS_INLINE __m256i expand_vector(__m256i u, unsigned image) {
  const __m256i one = _mm256_set1_epi32(1), a = _mm256_abs_epi32(u);
  const __m256i e = _mm256_sub_epi32(_mm256_max_epi32(_mm256_srli_epi32(a, (int)image), one), one);
  const __m256i v = _mm256_sllv_epi32(_mm256_sub_epi32(a, _mm256_slli_epi32(e, (int)image)), e);
  return _mm256_sign_epi32(v, u);
}

/* Eight integers to what is put out. */
AC_ALWAYS_INLINE void put_vector(__m256i v, double delta, void *out, const int OUT) {
  if (OUT == AC_OUT_F64) {
    const __m256d step = _mm256_set1_pd(delta);
    double *const d = out;
    __builtin_prefetch((char *)d + AHEAD, 1);
    _mm256_storeu_pd(d, _mm256_mul_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(v)), step));
    _mm256_storeu_pd(d + 4, _mm256_mul_pd(_mm256_cvtepi32_pd(_mm256_extracti128_si256(v, 1)), step));
    return;
  }
  if (OUT == AC_OUT_I32) {
    store8(out, v);
    return;
  }
  const __m256 r = _mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_set1_ps((float)delta));
  if (OUT == AC_OUT_F32) {
    _mm256_storeu_ps(out, r);
  } else if (OUT == AC_OUT_F16) {
    _mm_storeu_si128(out, _mm256_cvtps_ph(r, _MM_FROUND_TO_NEAREST_INT));
  } else {
    const __m256i u = _mm256_castps_si256(r), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const __m256i h = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd), 16);
    _mm_storeu_si128(out, _mm_packus_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1)));
  }
}

/* V vectors of lanes: popped, and waiting to be put out. */
typedef struct {
  const popping *p; /* NULL: nothing waits */
  const uint8_t *raw;
  uint32_t entries[4 * WIDTH];
} popped;

/* V vectors of table entries and raw bits to floats.  Reads 32 bytes past the raw fields. */
AC_ALWAYS_INLINE void put_step(const popped *step, unsigned P, double delta, void *out, const int V, const int CONTENTS,
                               const int OUT) {
  const popping *p = step->p;
  const uint8_t *raw = step->raw;
  const __m256i prob_bits = _mm256_set1_epi32((int)P), symbols = _mm256_set1_epi32((1 << (32 - 2 * P)) - 1);
  const __m256i base = _mm256_set1_epi32(p->base), low_bits = _mm256_set1_epi32((1 << p->k) - 1), k = _mm256_set1_epi32(p->k);
#pragma GCC unroll 4
  for (int v = 0; v < V; v++, raw += p->k) {
    __m256i value = _mm256_and_si256(_mm256_srlv_epi32(load8(step->entries + WIDTH * v), prob_bits), symbols);
    if (CONTENTS != TOKENS_ONLY) {
      const __m256i bytes =
          _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)raw)),
                                  _mm_loadu_si128((const __m128i *)(raw + (p->k >> 1))), 1);
      const __m256i fields = _mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, p->place), p->shift);
      value = _mm256_or_si256(_mm256_sllv_epi32(value, k), _mm256_and_si256(fields, low_bits));
    }
    if (OUT != AC_OUT_F64 && !(v & 1)) __builtin_prefetch((char *)OUT_AT(out, OUT, WIDTH * v) + AHEAD, 1);
    value = _mm256_add_epi32(value, base);
    if (CONTENTS == WITH_IMAGES) value = expand_vector(value, p->image);
    put_vector(value, delta, OUT_AT(out, OUT, WIDTH * v), OUT);
  }
}

/* Popping is a chain of dependent instructions that begins with a slow lookup; meanwhile the step
 * before is put out. */
AC_ALWAYS_INLINE int decode_avx2(const ac_coded *in, ac_cursor *at, uint32_t first, uint32_t last, void *out, const int V,
                                 const int CONTENTS, const int OUT) {
  const uint32_t group = in->windows->group, L = in->windows->lanes, width = (uint32_t)(V * WIDTH);
  const unsigned P = in->windows->prob_bits;
  const __m256i slots = _mm256_set1_epi32((1 << P) - 1), prob_bits = _mm256_set1_epi32((int)P);
  const __m256i freq_at = _mm256_set1_epi32(32 - (int)P), sixteen = _mm256_set1_epi32(16);
  popping classes[AC_MAX_CLASSES];
  popped step;
  step.p = NULL;
  for (unsigned c = 0; c < in->windows->n_classes; c++) popping_for(&classes[c], in, c);
  const uint8_t *words = at->words;
  uint32_t states[AC_MAX_LANES]; /* stores to out cannot change them */
  memcpy(states, at->x, sizeof states);
#define PUT_STEP() \
  put_step(&step, P, in->delta, OUT_AT(out, OUT, i - width), V, CONTENTS, OUT)

  uint32_t i = first, g = first / group;
  for (; i + group <= last; g++) { /* whole groups, while there is room to read behind the raw bits */
    const popping *p = &classes[in->group_class[g]];
    const size_t raw_size = ac_raw_bytes(group, p->k);
    if (UNLIKELY((size_t)(at->raw_end - at->raw) < raw_size + 32)) break;
    if (UNLIKELY(!p->has_tokens)) {
      if (step.p) PUT_STEP();
      step.p = NULL;
      decode_group_any(in, at, in->group_class[g], group, OUT_AT(out, OUT, i), OUT);
      i += group;
      continue;
    }
    at->words = words;
    if (UNLIKELY(look_ahead(at))) return AC_E_FORMAT;
    words = at->words;
    const uint8_t *raw = at->raw;
    at->raw += raw_size;
    for (const uint32_t end = i + group; i < end; i += width, raw += V * p->k) {
      uint32_t *lanes = states + i % L; /* groups are whole steps of lanes */
      __m256i x[4], e[4];
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) {
        x[v] = load8(lanes + WIDTH * v);
        e[v] = _mm256_i32gather_epi32((const int *)p->table, _mm256_and_si256(x[v], slots), 4);
      }
      if (LIKELY(step.p)) PUT_STEP();
      step.p = p;
      step.raw = raw;
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) {
        store8(step.entries + WIDTH * v, e[v]);
        const __m256i product = _mm256_mullo_epi32(_mm256_srlv_epi32(e[v], freq_at), _mm256_srlv_epi32(x[v], prob_bits));
        x[v] = _mm256_add_epi32(product, _mm256_and_si256(e[v], slots));
      }
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) { /* the states below the limit take the next words, in order of lanes */
        const __m256i more = _mm256_cmpeq_epi32(_mm256_srli_epi32(x[v], 16), _mm256_setzero_si256());
        const unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(more));
        const __m256i next = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)words));
        const __m256i rank = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)&RANK_BYTES[mask]));
        const __m256i word = _mm256_and_si256(more, _mm256_permutevar8x32_epi32(next, rank));
        store8(lanes + WIDTH * v, _mm256_or_si256(_mm256_sllv_epi32(x[v], _mm256_and_si256(more, sixteen)), word));
        words += 2 * __builtin_popcount(mask);
      }
    }
  }
  if (step.p) PUT_STEP();
#undef PUT_STEP
  at->words = words;
  memcpy(at->x, states, sizeof states);
  for (; i < last; i += group, g++) {
    const int bad = decode_group_any(in, at, in->group_class[g], min_u32(last - i, group), OUT_AT(out, OUT, i), OUT);
    if (bad) return bad;
  }
  return AC_OK;
}

/* One instance for every output, number of vectors that lanes fill, and contents.  A section whose integers
 * float32 arithmetic does not hold is decoded by generic.h. */
#define BY_LANES(CONTENTS, OUT)                                             \
  (w->lanes >= 32 ? decode_avx2(in, at, first, last, out, 4, CONTENTS, OUT) \
                  : decode_avx2(in, at, first, last, out, 2, CONTENTS, OUT))
#define DEFINE_DECODE_AVX2(F, OUT)                                                                             \
  static int decode_##F##_avx2(const ac_coded *in, ac_cursor *at, uint32_t first, uint32_t last, void *out) { \
    const ac_windows *w = in->windows;                                                                        \
    const int exact = OUT == AC_OUT_F64 || OUT == AC_OUT_I32;                                                  \
    if (in->words == in->words_end || w->lanes <= FEW_LANES || !(exact || all_in_float(w)))                    \
      return decode_##F(in, at, first, last, out);                                                            \
    switch (contents_of(w)) {                                                                                 \
      case WITH_IMAGES: return BY_LANES(WITH_IMAGES, OUT);                                                     \
      case WITH_RAW: return BY_LANES(WITH_RAW, OUT);                                                           \
      default: return BY_LANES(TOKENS_ONLY, OUT);                                                              \
    }                                                                                                         \
  }
DEFINE_DECODE_AVX2(f32, AC_OUT_F32)
DEFINE_DECODE_AVX2(f64, AC_OUT_F64)
DEFINE_DECODE_AVX2(f16, AC_OUT_F16)
DEFINE_DECODE_AVX2(bf16, AC_OUT_BF16)
DEFINE_DECODE_AVX2(i32, AC_OUT_I32)

/* ---- rows ---- */
/* A mask of the first m lanes. */
AC_ALWAYS_INLINE __m256i first8(uint32_t m) {
  static const int32_t lanes[2 * WIDTH] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return load8(lanes + WIDTH - min_u32(m, WIDTH));
}
/* Of m values, what is left behind the first `some`. */
AC_ALWAYS_INLINE uint32_t behind(uint32_t m, uint32_t some) { return m > some ? m - some : 0; }

/* Sums of the lanes of each half up to each, and of all of them. */
AC_ALWAYS_INLINE __m256i summed_halves(__m256i v) {
  v = _mm256_add_epi32(v, _mm256_slli_si256(v, 4));
  return _mm256_add_epi32(v, _mm256_slli_si256(v, 8));
}
AC_ALWAYS_INLINE __m256i summed(__m256i v) {
  v = summed_halves(v);
  const __m256i low = _mm256_permutevar8x32_epi32(v, _mm256_set1_epi32(3));
  return _mm256_add_epi32(v, _mm256_blend_epi32(_mm256_setzero_si256(), low, 0xf0));
}

/* From vector to vector as few instructions as can be. */
static void sums_avx2(int32_t *v, uint32_t n, uint32_t distance) {
  uint32_t j = 0;
  if (distance == 1) {
    __m256i before = _mm256_setzero_si256();
    for (; n - j >= WIDTH; j += WIDTH) {
      const __m256i sum = summed(load8(v + j));
      store8(v + j, _mm256_add_epi32(sum, before));
      before = _mm256_add_epi32(before, _mm256_permutevar8x32_epi32(sum, _mm256_set1_epi32(WIDTH - 1)));
    }
    if (j && j < n) v[j] = (int32_t)((uint32_t)v[j] + (uint32_t)v[j - 1]);
  }
  sums(v + j, n - j, distance);
}

static void scale_f16_avx2(const int32_t *r, double step, uint32_t n, void *out) {
  const __m256d by = _mm256_set1_pd(step);
  uint16_t *const h = out;
  uint32_t j = 0;
  for (; n - j >= WIDTH; j += WIDTH) {
    const __m256i v = load8(r + j);
    const __m128 low = _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(v)), by));
    const __m128 high = _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_cvtepi32_pd(_mm256_extracti128_si256(v, 1)), by));
    const __m256 f = _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
    _mm_storeu_si128((__m128i *)(h + j), _mm256_cvtps_ph(f, _MM_FROUND_TO_NEAREST_INT));
  }
  scale_f16(r + j, step, n - j, h + j);
}

AC_ALWAYS_INLINE __m256i magnitudes8(const int32_t *v, __m128i places) {
  const __m256i a = _mm256_srl_epi32(_mm256_abs_epi32(load8(v)), places);
  return _mm256_min_epu32(a, _mm256_set1_epi32(255)); /* packing takes them as signed */
}

static void magnitudes_avx2(const int32_t *v, uint32_t n, unsigned shift, uint8_t *magnitude) {
  const __m128i places = _mm_cvtsi32_si128((int)shift);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  uint32_t j = 0;
  for (; n - j >= 4 * WIDTH; j += 4 * WIDTH) {
    const __m256i a = _mm256_packus_epi32(magnitudes8(v + j, places), magnitudes8(v + j + WIDTH, places));
    const __m256i b = _mm256_packus_epi32(magnitudes8(v + j + 2 * WIDTH, places), magnitudes8(v + j + 3 * WIDTH, places));
    store8(magnitude + j, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order));
  }
  for (; n - j >= WIDTH; j += WIDTH) {
    const __m256i a = magnitudes8(v + j, places);
    const __m128i b = _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    _mm_storel_epi64((__m128i *)(magnitude + j), _mm_packus_epi16(b, b));
  }
  for (; j < n; j++) magnitudes(v + j, 1, shift, magnitude + j);
}

/* ---- contexts ---- */
/* The first m bytes at p, and zeros; there are no masks for bytes: in parts that may overlap. */
AC_ALWAYS_INLINE uint64_t get_few_bytes(const uint8_t *p, uint32_t m) {
  if (m >= 8) return ac_load64(p);
  if (m >= 4) return ac_load32(p) | (uint64_t)ac_load32(p + m - 4) << 8 * (m - 4);
  return m ? p[0] | (uint64_t)p[m / 2] << 8 * (m / 2) | (uint64_t)p[m - 1] << 8 * (m - 1) : 0;
}
AC_ALWAYS_INLINE __m128i get_some_bytes(const uint8_t *p, uint32_t m) {
  if (m >= 16) return _mm_loadu_si128((const __m128i *)p);
  return _mm_set_epi64x((long long)get_few_bytes(p + 8, behind(m, 8)), (long long)get_few_bytes(p, m));
}
AC_ALWAYS_INLINE __m256i get_bytes(const uint8_t *p, uint32_t m) {
  if (m >= 32) return load8(p);
  return _mm256_inserti128_si256(_mm256_castsi128_si256(get_some_bytes(p, m)), get_some_bytes(p + 16, behind(m, 16)), 1);
}

AC_ALWAYS_INLINE void put_bytes(uint8_t *p, uint32_t m, __m256i v) {
  if (m >= 32) {
    store8(p, v);
    return;
  }
  __m128i rest = _mm256_castsi256_si128(v);
  if (m & 16) {
    _mm_storeu_si128((__m128i *)p, rest);
    rest = _mm256_extracti128_si256(v, 1);
    p += 16;
  }
  uint64_t few = (uint64_t)_mm_cvtsi128_si64(rest);
  if (m & 8) {
    ac_store64(p, few);
    few = (uint64_t)_mm_extract_epi64(rest, 1);
    p += 8;
  }
  if (m & 4) {
    ac_store32(p, (uint32_t)few);
    few >>= 32;
    p += 4;
  }
  if (m & 2) {
    ac_store16(p, (uint16_t)few);
    few >>= 16;
    p += 2;
  }
  if (m & 1) *p = (uint8_t)few;
}

typedef struct {
  const uint8_t *const *rows, *weights;
  unsigned n, limits;
  __m256i below[AC_LIMITS_MOST]; /* every limit: what is not above is below it */
} neighbourhood;

/* V times 32 values from j on, or m of 32: rows in pairs, whose bytes come to stand side by side, as their weights do. */
AC_ALWAYS_INLINE void contexts_of(const neighbourhood *near, uint32_t j, uint32_t m, uint8_t *context, const int V) {
  __m256i sum[4], reached[4]; /* of the lower and the upper eight bytes of every 16 */
  for (int v = 0; v < 2 * V; v++) sum[v] = reached[v] = _mm256_setzero_si256();
  for (unsigned i = 0; i < near->n; i += 2) {
    const int one = i + 1 == near->n;
    const __m256i weights = _mm256_set1_epi16((short)(one ? near->weights[i] : ac_load16(near->weights + i)));
    const uint8_t *const first = near->rows[i] + j, *const second = near->rows[i + !one] + j;
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) {
      const __m256i a = get_bytes(first + 32 * v, m), b = get_bytes(second + 32 * v, m);
      sum[2 * v] = _mm256_add_epi16(sum[2 * v], _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), weights));
      sum[2 * v + 1] = _mm256_add_epi16(sum[2 * v + 1], _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), weights));
    }
  }
  for (unsigned i = 0; i < near->limits; i++) {
    const __m256i below = near->below[i];
#pragma GCC unroll 4
    for (int v = 0; v < 2 * V; v++) reached[v] = _mm256_sub_epi16(reached[v], _mm256_cmpgt_epi16(sum[v], below));
  }
#pragma GCC unroll 2
  for (int v = 0; v < V; v++) put_bytes(context + j + 32 * v, m, _mm256_packus_epi16(reached[2 * v], reached[2 * v + 1]));
}

static void contexts_avx2(const uint8_t *const *rows, const uint8_t *weights, unsigned n_near, const uint16_t *limit,
                          unsigned limits, uint32_t n, uint8_t *context) {
  neighbourhood near;
  near.rows = rows;
  near.weights = weights;
  near.n = n_near;
  near.limits = limits;
  for (unsigned i = 0; i < limits; i++) /* no sum reaches 2^15 */
    near.below[i] = _mm256_set1_epi16((short)(min_u32(limit[i], 1 << 15) - 1));
  uint32_t j = 0;
  for (; n - j >= 64; j += 64) contexts_of(&near, j, 32, context, 2);
  for (; n - j >= 32; j += 32) contexts_of(&near, j, 32, context, 1);
  if (j && j < n) contexts_of(&near, n - 32, 32, context, 1); /* some of them again */
  if (!j) contexts_of(&near, 0, n, context, 1);
}

/* ---- residuals under contexts ---- */
/* First the tokens, a chain of dependent instructions that begins with a slow lookup; then what they mean, all of it
 * independent but for a sum of bits.  So instructions of the one need not wait in line behind those of the other. */
AC_ALWAYS_INLINE __m256i contexts_at(const uint8_t *context, uint32_t m) {
  return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)get_few_bytes(context, m)));
}

/* The next m <= WIDTH tokens off these lanes: their entries; returns the words behind theirs. */
AC_ALWAYS_INLINE const uint8_t *pop_vector(const uint32_t *tables, unsigned P, uint32_t *lanes, const uint8_t *context,
                                           uint32_t m, const uint8_t *words, uint32_t *entries) {
  const __m256i slots = _mm256_set1_epi32((1 << P) - 1), prob_bits = _mm256_set1_epi32((int)P);
  const __m256i freq_at = _mm256_set1_epi32(32 - (int)P), sixteen = _mm256_set1_epi32(16), none = _mm256_setzero_si256();
  const __m256i x = load8(lanes), table = _mm256_sllv_epi32(contexts_at(context, m), prob_bits);
  const __m256i slot = _mm256_or_si256(table, _mm256_and_si256(x, slots)), some = first8(m);
  const __m256i e = m < WIDTH ? _mm256_mask_i32gather_epi32(none, (const int *)tables, slot, some, 4)
                              : _mm256_i32gather_epi32((const int *)tables, slot, 4);
  const __m256i product = _mm256_mullo_epi32(_mm256_srlv_epi32(e, freq_at), _mm256_srlv_epi32(x, prob_bits));
  const __m256i y = _mm256_add_epi32(product, _mm256_and_si256(e, slots));
  /* the states below the limit take the next words, in order of lanes */
  const __m256i low = _mm256_cmpeq_epi32(_mm256_srli_epi32(y, 16), none);
  const __m256i more = m < WIDTH ? _mm256_and_si256(low, some) : low;
  const unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(more));
  const __m256i next = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)words));
  const __m256i rank = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)&RANK_BYTES[mask]));
  const __m256i word = _mm256_and_si256(more, _mm256_permutevar8x32_epi32(next, rank));
  const __m256i refilled = _mm256_or_si256(_mm256_sllv_epi32(y, _mm256_and_si256(more, sixteen)), word);
  store8(lanes, m < WIDTH ? _mm256_blendv_epi8(x, refilled, some) : refilled);
  store8(entries, e);
  return words + 2 * __builtin_popcount(mask);
}

static void pop_vectors(const ac_popping *p, ac_cursor *at, const uint8_t *context, uint32_t n, uint32_t *entries) {
  const uint32_t *const tables = p->tables, turn = p->lanes - 1u; /* stores to entries cannot change them */
  const unsigned P = p->prob_bits;
  const uint8_t *words = at->words;
  uint32_t j = 0;
  for (; n - j >= WIDTH; j += WIDTH)
    words = pop_vector(tables, P, at->x + (j & turn), context + j, WIDTH, words, entries + j);
  if (j < n) words = pop_vector(tables, P, at->x + (j & turn), context + j, n - j, words, entries + j);
  at->words = words;
}

typedef struct {
  __m256i first, second; /* bin of token 0 << 8 | k, by context */
  __m256i mantissa, prob_bits, symbols;
  const uint8_t *raw;
  uint64_t bit;
} residuals;

AC_ALWAYS_INLINE __m256i meaning_of_contexts(const ac_popping *p, unsigned first) {
  return _mm256_or_si256(_mm256_slli_epi32(load8(p->lo + first), 8), load8(p->k + first));
}

/* The first m of a vector of residuals, from table entries and contexts, and with their raw bits. */
AC_ALWAYS_INLINE __m256i residuals_of(residuals *r, __m256i entries, __m256i contexts, uint32_t m) {
  const __m256i one = _mm256_set1_epi32(1);
  const __m256 first = _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(r->first, contexts));
  const __m256 second = _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(r->second, contexts));
  const __m256 is_second = _mm256_castsi256_ps(_mm256_slli_epi32(contexts, 28));
  const __m256i meaning = _mm256_castps_si256(_mm256_blendv_ps(first, second, is_second));
  const __m256i token = _mm256_and_si256(_mm256_srlv_epi32(entries, r->prob_bits), r->symbols);
  const __m256i bin = _mm256_add_epi32(_mm256_srai_epi32(meaning, 8), token);
  const __m256i sign = _mm256_srai_epi32(bin, 31), a = _mm256_xor_si256(bin, sign);
  const __m256i octave = _mm256_srlv_epi32(a, r->mantissa), e = _mm256_sub_epi32(_mm256_max_epu32(octave, one), one);
  const __m256i sum = _mm256_add_epi32(e, _mm256_and_si256(meaning, _mm256_set1_epi32(255)));
  const __m256i bits = m < WIDTH ? _mm256_and_si256(sum, first8(m)) : sum;
  __m256i value = _mm256_sllv_epi32(_mm256_sub_epi32(a, _mm256_sllv_epi32(e, r->mantissa)), bits);
  if (!_mm256_testz_si256(bits, bits)) {
    const __m256i end = summed_halves(bits); /* of every field, within its half */
    /* the fields of a half lie within 16 bytes: 4 * 25 + 7 bits; the four of each come into its lane */
    const uint64_t low = r->bit, high = low + (uint32_t)_mm256_extract_epi32(end, 3);
    const __m128i first_bytes = _mm_loadu_si128((const __m128i *)(r->raw + low / 8));
    const __m128i second_bytes = _mm_loadu_si128((const __m128i *)(r->raw + high / 8));
    const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(first_bytes), second_bytes, 1);
    const __m256i starts = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_set1_epi32((int32_t)(low & 7))),
                                                   _mm_set1_epi32((int32_t)(high & 7)), 1);
    const __m256i at = _mm256_add_epi32(_mm256_sub_epi32(end, bits), starts);
    const __m256i low_bytes = _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    const __m256i byte = _mm256_shuffle_epi8(_mm256_srli_epi32(at, 3), low_bytes);
    const __m256i place = _mm256_add_epi32(byte, _mm256_set1_epi32(0x03020100));
    const __m256i fields = _mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, place), _mm256_and_si256(at, _mm256_set1_epi32(7)));
    const __m256i above = _mm256_sllv_epi32(_mm256_set1_epi32(-1), bits);
    value = _mm256_or_si256(value, _mm256_andnot_si256(above, fields));
    r->bit = high + (uint32_t)_mm256_extract_epi32(end, 7);
  }
  return _mm256_xor_si256(value, sign);
}

static int pop_avx2(const ac_popping *p, ac_pop_cursor *at, const uint8_t *context, uint32_t n, int32_t *v) {
  uint32_t entries[AC_POP_MOST];
  if (UNLIKELY(pop_ahead(at))) return AC_E_FORMAT;
  if (p->lanes <= FEW_LANES) pop_entries(p, &at->words, context, n, entries);
  else pop_vectors(p, &at->words, context, n, entries);
  residuals r = {meaning_of_contexts(p, 0), meaning_of_contexts(p, WIDTH), _mm256_set1_epi32(p->mantissa),
                 _mm256_set1_epi32(p->prob_bits), _mm256_set1_epi32((1 << (32 - 2 * p->prob_bits)) - 1), at->raw, at->bit};
  uint32_t j = 0;
  for (; n - j >= WIDTH; j += WIDTH)
    store8(v + j, residuals_of(&r, load8(entries + j), contexts_at(context + j, WIDTH), WIDTH));
  if (j < n) {
    const __m256i last = residuals_of(&r, load8(entries + j), contexts_at(context + j, n - j), n - j);
    _mm256_maskstore_epi32((int *)v + j, first8(n - j), last);
  }
  at->bit = r.bit;
  return AC_OK;
}

static uint8_t *push_avx2(const ac_pushing *p, const uint8_t *context, const uint8_t *token, uint32_t n, uint32_t *x, uint8_t *words) {
  if (p->lanes <= FEW_LANES || p->prob_bits < MIN_PROB_BITS_FLOAT) return push_tokens(p, context, token, n, x, words);
  const uint32_t rest = n % WIDTH, turn = p->lanes - 1u;
  uint32_t j = n - rest;
  if (rest) words = push_tokens(p, context + j, token + j, rest, x + (j & turn), words);
  while (j > 0) {
    j -= WIDTH;
    const __m256i at = _mm256_or_si256(_mm256_slli_epi32(eight_at(context + j), 6), eight_at(token + j));
    words = push_vector(_mm256_i32gather_epi32((const int *)p->slot, at, 4), x + (j & turn), words, p->prob_bits);
  }
  return words;
}

/* ---- contexts of which some are left out ---- */
static uint32_t pack_avx2(const uint8_t *context, const uint8_t *flags, unsigned set, uint32_t n, uint8_t *some, uint64_t *keep) {
  const uint64_t ones = 0x0101010101010101u;
  uint8_t has[16];
  uint32_t found = 0;
  for (unsigned i = 0; i < 16; i++) has[i] = (uint8_t)(0u - (set >> i & 1));
  const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)has)), none = _mm256_setzero_si256();
  for (uint32_t i = 0; i < n; i += 64) keep[i / 64] = 0;
  for (uint32_t j = 0; j < n; j += 32) {
    const uint32_t m = n - j < 32 ? n - j : 32;
    const __m256i c = get_bytes(context + j, m);
    __m256i kept = _mm256_shuffle_epi8(table, c);
    if (flags) kept = _mm256_and_si256(kept, _mm256_cmpeq_epi8(get_bytes(flags + j, m), none));
    const uint32_t here = _bzhi_u32((uint32_t)_mm256_movemask_epi8(kept), m);
    keep[j / 64] |= (uint64_t)here << (j & 63);
    for (uint32_t i = 0; i < m; i += 8) {
      const uint64_t bytes = get_few_bytes(context + j + i, m - i), of_eight = here >> i & 255;
      ac_store64(some + found, _pext_u64(bytes, _pdep_u64(of_eight, ones) * 255));
      found += (uint32_t)__builtin_popcountll(of_eight);
    }
  }
  return found;
}

static void unpack_avx2(const int32_t *some, const uint64_t *keep, uint32_t n, int32_t *v) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  for (uint32_t j = 0; j < n; j += WIDTH) {
    const unsigned here = keep[j / 64] >> (j & 63) & 255;
    const __m256i rank = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)&RANK_BYTES[here]));
    const __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)here), bit), bit);
    const __m256i x = _mm256_and_si256(set, _mm256_permutevar8x32_epi32(load8(some), rank));
    some += __builtin_popcount(here);
    if (n - j >= WIDTH) store8(v + j, x);
    else _mm256_maskstore_epi32((int *)v + j, first8(n - j), x);
  }
}

/* ---- varints ---- */
/* Four bytes from where each begins, to integers. */
AC_ALWAYS_INLINE __m256i integers_of(__m256i bytes) {
  const __m256i one = _mm256_set1_epi32(1), ends = _mm256_andnot_si256(bytes, _mm256_set1_epi32((int32_t)0x80808080));
  /* up to the first end all that is not a highest bit */
  const __m256i own = _mm256_and_si256(_mm256_xor_si256(ends, _mm256_sub_epi32(ends, one)), _mm256_set1_epi8(127));
  /* seven bits each to fourteen, to all of them */
  const __m256i halves = _mm256_maddubs_epi16(_mm256_set1_epi16((short)0x8001), _mm256_and_si256(bytes, own));
  const __m256i z = _mm256_madd_epi16(halves, _mm256_set1_epi32(1 << 30 | 1));
  return _mm256_xor_si256(_mm256_srli_epi32(z, 1), _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_and_si256(z, one)));
}

AC_ALWAYS_INLINE void to_integers(int32_t *q, uint32_t n) {
  uint32_t i = 0;
  for (; n - i >= WIDTH; i += WIDTH) store8(q + i, integers_of(load8(q + i)));
  if (i < n) {
    const __m256i some = first8(n - i);
    _mm256_maskstore_epi32((int *)q + i, some, integers_of(_mm256_maskload_epi32((const int *)q + i, some)));
  }
}

/* Where varints begin in 64 bytes is in one word.  Four bytes from there on go to the place of each integer, and become one
 * later: loads would have to wait for these stores. */
static const uint8_t *read_varints_avx2(const uint8_t *p, const uint8_t *end, uint32_t n, int32_t *q) {
  enum { WINDOW = 64, BEHIND = 4 /* bytes that can be read */ };
  const __m256i none = _mm256_setzero_si256();
  uint32_t i = 0, done = 0; /* integers up to there */
  while (n - i >= WIDTH && end - p >= WINDOW + BEHIND) {
    const __m256i a = load8(p), b = load8(p + 32);
    const uint64_t more = (uint32_t)_mm256_movemask_epi8(a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32;
    const uint64_t zeros = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, none)) |
                           (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, none)) << 32;
    /* more than four bytes, or a zero that could have been left out: a closer look */
    if (UNLIKELY((more & more >> 1 & more >> 2 & more >> 3) | (zeros & more << 1))) {
      to_integers(q + done, i - done);
      p = read_varints(p, end, WIDTH, q + i);
      if (!p) return NULL;
      done = i += WIDTH;
      continue;
    }
    /* all that end here, if there is room for whole vectors of them, of which the last is filled with anything; else as many
     * whole vectors as there is room for */
    const uint32_t ended = (uint32_t)__builtin_popcountll(~more);
    const int all = ended + WIDTH <= n - i;
    const uint32_t m = all ? ended : min_u32(ended, n - i) & ~(WIDTH - 1u);
    uint64_t starts = ~more << 1 | 1;
    int32_t *to = q + i;
    for (const int32_t *const last = to + m; to < last; to += WIDTH)
#pragma GCC unroll 8
      for (int j = 0; j < WIDTH; j++, starts = _blsr_u64(starts)) to[j] = (int32_t)ac_load32(p + _tzcnt_u64(starts));
    p += all ? WINDOW - _lzcnt_u64(~more) : _tzcnt_u64(starts);
    i += m;
  }
  to_integers(q + done, i - done);
  return read_varints(p, end, n - i, q + i);
}

/* Two at once: the second one's bytes are moved to where the first one's end. */
static uint8_t *write_varints_avx2(const int32_t *q, uint32_t n, uint8_t *p) {
  const __m256i one = _mm256_set1_epi32(1), first = _mm256_set1_epi64x(0xffffffff);
  uint32_t i = 0;
  for (; n - i >= WIDTH; i += WIDTH) {
    const __m256i v = load8(q + i), z = _mm256_xor_si256(_mm256_slli_epi32(v, 1), _mm256_srai_epi32(v, 31));
    if (UNLIKELY(!_mm256_testz_si256(z, _mm256_set1_epi32((int32_t)0xf0000000)))) { /* five bytes */
      p = write_varints(q + i, WIDTH, p);
      continue;
    }
    const __m256i two = _mm256_cmpgt_epi32(z, _mm256_set1_epi32((1 << 7) - 1));
    const __m256i three = _mm256_cmpgt_epi32(z, _mm256_set1_epi32((1 << 14) - 1));
    const __m256i four = _mm256_cmpgt_epi32(z, _mm256_set1_epi32((1 << 21) - 1));
    const __m256i size = _mm256_sub_epi32(_mm256_sub_epi32(one, two), _mm256_add_epi32(three, four));
    const __m256i halves = _mm256_or_si256(_mm256_and_si256(z, _mm256_set1_epi32(0x3fff)),
                                           _mm256_slli_epi32(_mm256_srli_epi32(z, 14), 16));
    const __m256i sevens = _mm256_or_si256(_mm256_and_si256(halves, _mm256_set1_epi32(0x007f007f)),
                                           _mm256_slli_epi32(_mm256_and_si256(halves, _mm256_set1_epi32(0x3f803f80)), 1));
    const __m256i more = _mm256_or_si256(_mm256_or_si256(_mm256_and_si256(two, _mm256_set1_epi32(0x80)),
                                                         _mm256_and_si256(three, _mm256_set1_epi32(0x8000))),
                                         _mm256_and_si256(four, _mm256_set1_epi32(0x800000)));
    const __m256i bytes = _mm256_or_si256(sevens, more), shift = _mm256_slli_epi64(_mm256_and_si256(size, first), 3);
    const __m256i pair = _mm256_or_si256(_mm256_and_si256(bytes, first), _mm256_sllv_epi64(_mm256_srli_epi64(bytes, 32), shift));
    const __m256i sizes = _mm256_add_epi32(size, _mm256_srli_epi64(size, 32));
    /* eight bytes each, of which there is room for ten */
    ac_store64(p, (uint64_t)_mm256_extract_epi64(pair, 0));
    p += (uint32_t)_mm256_extract_epi32(sizes, 0);
    ac_store64(p, (uint64_t)_mm256_extract_epi64(pair, 1));
    p += (uint32_t)_mm256_extract_epi32(sizes, 2);
    ac_store64(p, (uint64_t)_mm256_extract_epi64(pair, 2));
    p += (uint32_t)_mm256_extract_epi32(sizes, 4);
    ac_store64(p, (uint64_t)_mm256_extract_epi64(pair, 3));
    p += (uint32_t)_mm256_extract_epi32(sizes, 6);
  }
  return write_varints(q + i, n - i, p);
}

const ac_kernels ac_kernels_avx2 = {
    "avx2", {quantize_f32_avx2, quantize_f64, quantize_f16_avx2, quantize_bf16_avx2}, statistics, to_wide, from_wide,
    extent, divide, join, count_avx2, weigh, significands, to_image, split_avx2, encode_avx2,
    {decode_f32_avx2, decode_f64_avx2, decode_f16_avx2, decode_bf16_avx2, decode_i32_avx2}, crc32c_sse42, affine,
    midpoint, cubic, blend, refer, follow, stencil, accumulate, deal32, deal8, zip32, zip8, contexts_avx2, pop_avx2, tokens, push_avx2,
    pack_avx2, unpack_avx2, magnitudes_avx2,
    by_units, price, advance, sums_avx2, differences, foresee, recur, {scale_f32, scale_f64, scale_f16_avx2, scale_bf16}, {nearest_f32, nearest_f64},
    {off_f32, off_f64}, {belongs_f32, belongs_f64}, {suspects_f32, suspects_f64}, {part_f32, part_f64}, {unpart_f32, unpart_f64}, widths, fields,
    read_varints_avx2, write_varints_avx2};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
