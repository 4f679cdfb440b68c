/* avx512.c: kernels for AVX-512 (F, BW, DQ, VL, VBMI, VBMI2) and VPCLMULQDQ, sixteen values a vector.
 *
 * Whole groups of 64 or 128 values with 16 or more lanes go through the kernels here; generic.h,
 * compiled for this target, does the last group, fewer lanes and whatever a vector cannot settle.
 * Of rows of prediction, what is behind the last whole vector is one vector more, under a mask; the plain loops of
 * rows.h stay where compilers' vectors are as fast (measured).
 * Invariant: bytes and floats are those of generic.h.  Nothing is contracted into FMA.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#include "crc32c_x86.h"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512cd,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,vpclmulqdq,pclmul,f16c,bmi,bmi2,lzcnt,popcnt"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512cd,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,vpclmulqdq,pclmul,f16c,bmi,bmi2,lzcnt,popcnt")
#endif

#include "generic.h"

enum { WIDTH = 16 }; /* values in a vector */

/* ---- quantize ---- */
/* Sixteen elements of a type as float32 and back, exact one way, to nearest even the other. */
AC_ALWAYS_INLINE __m512 load_floats(const void *x, const int OUT) {
  if (OUT == AC_OUT_F32) return _mm512_loadu_ps(x);
  const __m256i h = _mm256_loadu_si256(x);
  if (OUT == AC_OUT_F16) return _mm512_cvtph_ps(h);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

AC_ALWAYS_INLINE __m512 round_floats(__m512 r, const int OUT) {
  if (OUT == AC_OUT_F32) return r;
  if (OUT == AC_OUT_F16) return _mm512_cvtph_ps(_mm512_cvtps_ph(r, _MM_FROUND_TO_NEAREST_INT));
  const __m512i u = _mm512_castps_si512(r), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
  return _mm512_castsi512_ps(_mm512_and_si512(up, _mm512_set1_epi32((int32_t)0xffff0000)));
}

/* A vector in double precision (generic.h's wide short cut), half after half; which lanes are sure. */
AC_ALWAYS_INLINE __m512i quantize_wide16(__m512 value, const ac_lattice *l, __mmask16 *sure, const int OUT) {
  const __m512d qmax = _mm512_set1_pd(AC_QMAX), magic = _mm512_set1_pd(6755399441055744.0);
  const __m512d inv = _mm512_set1_pd(l->inv), delta = _mm512_set1_pd(l->delta), tol = _mm512_set1_pd(l->tol);
  __m512d x[2] = {_mm512_cvtps_pd(_mm512_castps512_ps256(value)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(value, 1))}, v[2];
  __m256 r[2];
  for (int h = 0; h < 2; h++) {
    v[h] = _mm512_sub_pd(_mm512_add_pd(_mm512_mul_pd(x[h], inv), magic), magic);
    r[h] = _mm512_cvtpd_ps(_mm512_mul_pd(v[h], delta));
  }
  const __m512 rounded = round_floats(_mm512_insertf32x8(_mm512_castps256_ps512(r[0]), r[1], 1), OUT);
  __mmask8 near[2];
  for (int h = 0; h < 2; h++) {
    const __m512d back = _mm512_cvtps_pd(h ? _mm512_extractf32x8_ps(rounded, 1) : _mm512_castps512_ps256(rounded));
    const __m512d error = _mm512_abs_pd(_mm512_sub_pd(x[h], back));
    near[h] = (OUT == AC_OUT_F32 ? _mm512_cmp_pd_mask(error, tol, _CMP_LT_OQ) /* see IS_NEAR_f16 */
                                 : _mm512_cmp_pd_mask(error, tol, _CMP_LE_OQ)) &
              _mm512_cmp_pd_mask(_mm512_abs_pd(v[h]), qmax, _CMP_LE_OQ);
  }
  *sure = (__mmask16)(near[0] | near[1] << 8);
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtpd_epi32(v[0])), _mm512_cvtpd_epi32(v[1]), 1);
}

/* The sums of two vectors' lanes, side by side. */
AC_ALWAYS_INLINE int32_t add_lanes(__m512i a, __m512i b, uint32_t *sum_b) {
  const __m512i halves = _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xee));
  const __m512i quarters = _mm512_add_epi32(halves, _mm512_shuffle_i64x2(halves, halves, 0xb1));
  const __m512i pairs = _mm512_add_epi32(quarters, _mm512_shuffle_epi32(quarters, 0x4e));
  const __m512i sums = _mm512_add_epi32(pairs, _mm512_shuffle_epi32(pairs, 0xb1));
  *sum_b = (uint32_t)_mm_cvtsi128_si32(_mm512_extracti32x4_epi32(sums, 2));
  return _mm_cvtsi128_si32(_mm512_castsi512_si128(sums));
}

/* The definition for some values of a vector. */
AC_ALWAYS_INLINE uint32_t settle_any(const void *x, int32_t *q, uint32_t j, const ac_lattice *l, uint32_t *refused,
                                     uint32_t n_refused, const int OUT) {
  return OUT == AC_OUT_F32   ? settle_f32(x, q, j, l, refused, n_refused)
         : OUT == AC_OUT_F16 ? settle_f16(x, q, j, l, refused, n_refused)
                             : settle_bf16(x, q, j, l, refused, n_refused);
}

/* One whole group, with its statistics in registers; returns the new number of refused values. */
AC_ALWAYS_INLINE uint32_t quantize_vectors(const void *x, int32_t *q, uint32_t first, uint32_t m, const ac_lattice *l,
                                           ac_group_stats *stats, uint32_t *refused, uint32_t n_refused, const int OUT) {
  const __m512 inv = _mm512_set1_ps(l->inv_f), delta = _mm512_set1_ps(l->delta_f), limit = _mm512_set1_ps(l->limit_f);
  const __m512 tol = _mm512_set1_ps(l->tol_f);
  const __m512i near = _mm512_set1_epi32(1 << NEAR_BITS);
  __m512i sum = _mm512_setzero_si512(), deviation = sum, magnitude = sum;
  const uint32_t before = n_refused;
  for (uint32_t i = first; i < first + m; i += WIDTH) {
    const void *const at = (const uint8_t *)x + (size_t)OUT_SIZE[OUT] * i;
    _mm_prefetch((const char *)at + AHEAD, _MM_HINT_T0);
    const __m512 value = load_floats(at, OUT);
    __m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(value, inv)); /* to nearest even; 2^31 for what does not fit */
    const __m512 r = _mm512_mul_ps(_mm512_cvtepi32_ps(v), delta);
    __m512i a = _mm512_abs_epi32(v);
    __mmask16 sure = _mm512_mask_cmplt_epu32_mask(
        _mm512_cmp_ps_mask(_mm512_abs_ps(_mm512_sub_ps(value, r)), limit, _CMP_LT_OQ), a, near);
    if (OUT != AC_OUT_F32)
      sure = _mm512_mask_cmp_ps_mask(sure, _mm512_abs_ps(_mm512_sub_ps(value, round_floats(r, OUT))), tol, _CMP_LT_OQ);
    if (UNLIKELY(sure != 0xffff)) {
      v = quantize_wide16(value, l, &sure, OUT);
      if (UNLIKELY(sure != 0xffff)) { /* errors about tol, and what is no number */
        _mm512_storeu_si512(q + i, v);
        for (uint32_t left = 0xffffu & ~(uint32_t)sure; left; left &= left - 1)
          n_refused = settle_any(x, q, i + (uint32_t)__builtin_ctz(left), l, refused, n_refused, OUT);
        v = _mm512_loadu_si512(q + i);
      }
      a = _mm512_abs_epi32(v);
    }
    magnitude = _mm512_or_epi32(magnitude, a);
    deviation = _mm512_add_epi32(deviation, a);
    sum = _mm512_add_epi32(sum, v);
    _mm512_storeu_si512(q + i, v);
  }
  uint32_t about_zero;
  const int32_t total = add_lanes(sum, deviation, &about_zero);
  *stats = stats_of(q + first, m, (uint32_t)_mm512_reduce_or_epi32(magnitude), total, about_zero);
  if (UNLIKELY(n_refused - before == m)) forget_group(q + first, m, stats, refused + before);
  return n_refused;
}

#define DEFINE_QUANTIZE_AVX512(F, OUT)                                                                         \
  static uint32_t quantize_##F##_avx512(const void *x, uint32_t n, const ac_lattice *l, unsigned group, int32_t *q, \
                                        ac_group_stats *stats, uint32_t *refused) {                           \
    const ac_lattice lattice = *l; /* a copy: stores to q cannot change it */                                 \
    uint32_t n_refused = 0, first = 0;                                                                        \
    for (; first + group <= n; first += group)                                                                \
      n_refused = quantize_vectors(x, q, first, group, &lattice, stats++, refused, n_refused, OUT);           \
    return first < n ? quantize_group_##F(x, q, first, n, &lattice, stats, refused, n_refused) : n_refused;   \
  }
DEFINE_QUANTIZE_AVX512(f32, AC_OUT_F32)
DEFINE_QUANTIZE_AVX512(f16, AC_OUT_F16)
DEFINE_QUANTIZE_AVX512(bf16, AC_OUT_BF16)

/* ---- histograms ---- */
static void count_avx512(const int32_t *q, uint32_t n, unsigned group, const uint8_t *group_class,
                         ac_histogram *histograms) {
  uint32_t i = 0;
  for (; i + group <= n; i += group, q += group) {
    ac_histogram *h = &histograms[*group_class++];
    if (!ac_histogram_takes(h)) continue;
    const __m512i first = _mm512_set1_epi32(h->first), shift = _mm512_set1_epi32(h->shift);
    const __m512i others = _mm512_set1_epi32(AC_HISTOGRAM_BINS);
    uint16_t bins[AC_MAX_GROUP];
    for (uint32_t j = 0; j < group; j += WIDTH) {
      const __m512i bin = _mm512_sub_epi32(_mm512_srav_epi32(_mm512_loadu_si512(q + j), shift), first);
      _mm256_storeu_si256((__m256i *)(bins + j), _mm512_cvtepi32_epi16(_mm512_min_epu32(bin, others)));
    }
    count_bins(h, bins, group);
  }
  if (i < n) count(q, n - i, group, group_class, histograms);
}

/* ---- split ---- */
/* How sixteen raw fields of k bits come together.  Shifted to its place within a byte, a field covers
 * at most four bytes, and with k >= 7 no two even fields share one, nor two odd ones: two byte
 * permutations and an OR. */
typedef struct {
  __m512i shift;    /* bits, for each field */
  __m512i place[2]; /* for even and odd fields: the source of every byte */
  __mmask64 used[2];
} packing;

enum { PACK_PERMUTED = 9 }; /* from here on; fewer bits go eight fields at a time through PEXT */

AC_ALWAYS_INLINE void packing_for(packing *p, unsigned k) {
  uint8_t place[2][64] = {{0}};
  uint32_t shift[WIDTH];
  p->used[0] = p->used[1] = 0;
  for (unsigned i = 0; i < WIDTH; i++) {
    const unsigned first = i * k >> 3, last = (i * k + k - 1) >> 3;
    shift[i] = i * k & 7;
    for (unsigned byte = first; byte <= last; byte++) {
      place[i & 1][byte] = (uint8_t)(4 * i + byte - first);
      p->used[i & 1] |= (__mmask64)1 << byte;
    }
  }
  p->shift = _mm512_loadu_si512(shift);
  p->place[0] = _mm512_loadu_si512(place[0]);
  p->place[1] = _mm512_loadu_si512(place[1]);
}

/* Sixteen fields below 2^k to 2k bytes; may write up to 64 bytes. */
AC_ALWAYS_INLINE void pack_vector(__m512i low, uint8_t *raw, unsigned k, const packing *p) {
  if (k < PACK_PERMUTED) {
    const __m128i bytes = _mm512_cvtepi32_epi8(low);
    const uint64_t mask = 0x0101010101010101u * ((1u << k) - 1);
    ac_store64(raw, _pext_u64((uint64_t)_mm_cvtsi128_si64(bytes), mask));
    ac_store64(raw + k, _pext_u64((uint64_t)_mm_extract_epi64(bytes, 1), mask));
  } else {
    const __m512i placed = _mm512_sllv_epi32(low, p->shift);
    const __m512i even = _mm512_maskz_permutexvar_epi8(p->used[0], p->place[0], placed);
    const __m512i odd = _mm512_maskz_permutexvar_epi8(p->used[1], p->place[1], placed);
    _mm512_storeu_si512(raw, _mm512_or_si512(even, odd));
  }
}

/* One whole group, INSIDE its window; 0 if it is not, and then the other way must be taken.  Its tokens
 * are stored as the encoder here takes them: of every 64, four to a dword, those of value j in dword
 * j % 16.  The plane may be written up to 64 bytes past its end. */
AC_ALWAYS_INLINE int split_vectors(const int32_t *q, uint32_t m, const ac_class *c, const packing *p, uint8_t *tokens,
                                   uint8_t *raw, uint32_t first, uint32_t *outside, uint32_t *n_outside, const int INSIDE) {
  const unsigned k = c->k;
  const __m512i base = _mm512_set1_epi32(c->base), last = _mm512_set1_epi32((int32_t)(((uint32_t)c->n_tokens << k) - 1));
  const __m512i shift = _mm512_set1_epi32((int32_t)k), mask = _mm512_set1_epi32((1 << k) - 1);
  const __m512i filler = _mm512_set1_epi32((int32_t)((uint32_t)c->filler << k));
  __m512i most = _mm512_setzero_si512();
  for (uint32_t i = 0; i < m; i += 4 * WIDTH) {
    __m512i u[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
      u[v] = _mm512_sub_epi32(_mm512_loadu_si512(q + i + WIDTH * v), base);
      if (INSIDE) {
        most = _mm512_max_epu32(most, u[v]);
      } else {
        const __mmask16 bad = _mm512_cmpgt_epu32_mask(u[v], last);
        u[v] = _mm512_mask_mov_epi32(u[v], bad, filler);
        for (uint32_t left = bad; left; left &= left - 1)
          outside[(*n_outside)++] = first + i + WIDTH * (uint32_t)v + (uint32_t)__builtin_ctz(left);
      }
    }
    if (k)
#pragma GCC unroll 4
      for (int v = 0; v < 4; v++, raw += 2 * k) pack_vector(_mm512_and_si512(u[v], mask), raw, k, p);
    for (int v = 0; v < 4; v++) u[v] = _mm512_srlv_epi32(u[v], shift);
    const __m512i low = _mm512_or_si512(u[0], _mm512_slli_epi32(u[1], 8));
    const __m512i high = _mm512_or_si512(_mm512_slli_epi32(u[2], 16), _mm512_slli_epi32(u[3], 24));
    _mm512_storeu_si512(tokens + i, _mm512_or_si512(low, high));
  }
  return !INSIDE || !_mm512_cmpgt_epu32_mask(most, last);
}

/* Are the tokens of whole groups pushed by encode_vectors?  If not, avx2.c encodes: gcc makes the loop over
 * few lanes three times as slow for this target. */
AC_ALWAYS_INLINE int pushes_vectors(const ac_windows *w) {
  return w->lanes >= WIDTH && w->prob_bits >= MIN_PROB_BITS_FLOAT;
}

static uint32_t split_avx512(const int32_t *q, uint32_t n, const ac_windows *w, const uint8_t *group_class,
                             uint8_t *tokens, uint8_t *raw, const uint8_t *raw_end, uint32_t *outside) {
  if (!pushes_vectors(w)) return ac_kernels_avx2.split(q, n, w, group_class, tokens, raw, raw_end, outside);
  const uint32_t group = w->group;
  packing packings[AC_MAX_CLASSES];
  uint32_t n_outside = 0;
  for (unsigned c = 0; c < w->n_classes; c++)
    if (w->classes[c].k >= PACK_PERMUTED) packing_for(&packings[c], w->classes[c].k);
  uint32_t i = 0;
  for (; i + group <= n; i += group) {
    const unsigned index = *group_class++;
    const ac_class *c = &w->classes[index];
    const size_t size = ac_raw_bytes(group, c->k);
    uint8_t copy[2 * AC_MAX_RAW_BITS * (AC_MAX_GROUP / WIDTH) + 64];
    const int near_end = (size_t)(raw_end - raw) < size + 64;
    uint8_t *const plane = near_end ? copy : raw;
    if (UNLIKELY(!split_vectors(q + i, group, c, &packings[index], tokens + i, plane, i, outside, &n_outside, 1)))
      split_vectors(q + i, group, c, &packings[index], tokens + i, plane, i, outside, &n_outside, 0);
    if (UNLIKELY(near_end)) memcpy(raw, copy, size);
    raw += size;
  }
  return i < n ? split_group(q + i, n - i, &w->classes[*group_class], tokens + i, raw, i, outside, n_outside) : n_outside;
}

/* ---- rANS encoder ---- */
/* Tables of one class: freq | start << 16, and a little less than 1 / freq. */
typedef struct {
  uint32_t slot[AC_MAX_TOKENS];
  float reciprocal[AC_MAX_TOKENS];
} pushing;

AC_ALWAYS_INLINE void pushing_for(pushing *p, const ac_class *c) {
  uint32_t start = 0;
  for (unsigned s = 0; s < AC_MAX_TOKENS; s++) {
    const uint32_t freq = s < c->n_tokens ? c->freq[s] : 0;
    p->slot[s] = freq | start << 16;
    p->reciprocal[s] = freq ? (float)((1 - 0x1p-22) / freq) : 0;
    start += freq;
  }
}

/* tables[s] of 64 entries in four vectors. */
AC_ALWAYS_INLINE __m512i lookup(const __m512i *tables, __m512i s, __mmask16 upper) {
  return _mm512_mask_mov_epi32(_mm512_permutex2var_epi32(tables[0], s, tables[1]), upper,
                               _mm512_permutex2var_epi32(tables[2], s, tables[3]));
}

/* m tokens of one group, as split_vectors stores them, onto V vectors of lanes; returns where the words
 * start. */
AC_ALWAYS_INLINE uint8_t *encode_vectors(const pushing *p, const uint8_t *tokens, uint32_t m, uint32_t *x, uint8_t *words,
                                         unsigned P, const int V) {
  const __m512i low16 = _mm512_set1_epi32(0xffff), total = _mm512_set1_epi32(1 << P);
  const __m512i prob_bits = _mm512_set1_epi32((int)P), limit_bits = _mm512_set1_epi32(32 - (int)P);
  __m512i slot[4], reciprocal[4], y[4];
  for (int j = 0; j < 4; j++) {
    slot[j] = _mm512_loadu_si512(p->slot + WIDTH * j);
    reciprocal[j] = _mm512_castps_si512(_mm512_loadu_ps(p->reciprocal + WIDTH * j));
  }
  for (int v = 0; v < V; v++) y[v] = _mm512_loadu_si512(x + WIDTH * v);
  for (uint32_t i = m; i > 0;) {
    i -= 4 * WIDTH;
    const __m512i four = _mm512_loadu_si512(tokens + i);
#pragma GCC unroll 4
    for (int j = 3; j >= 0; j--) {
      const int v = j % V;
      /* the permutations take their five bits of an index from the low end */
      const __m512i s = j ? _mm512_srli_epi32(four, 8 * (unsigned)j) : four;
      const __mmask16 upper = _mm512_test_epi32_mask(four, _mm512_set1_epi32(32 << 8 * j));
      const __m512i e = lookup(slot, s, upper), freq = _mm512_and_si512(e, low16);
      /* states that would overflow put out a word; those of a vector stand in order of lanes */
      const __mmask16 emit = _mm512_cmpge_epu32_mask(y[v], _mm512_sllv_epi32(freq, limit_bits));
      const unsigned n = (unsigned)__builtin_popcount(emit);
      const __m512i out = _mm512_maskz_compress_epi16(_pdep_u32(emit, 0x55555555), y[v]);
      words -= 2 * n;
      _mm256_mask_storeu_epi16(words, (__mmask16)_bzhi_u32(0xffff, n), _mm512_castsi512_si256(out));
      const __m512i z = _mm512_mask_srli_epi32(y[v], emit, y[v], 16);
      const __m512 r = _mm512_castsi512_ps(lookup(reciprocal, s, upper));
      const __m512i quotient = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_cvtepu32_ps(z), r));
      const __m512i rest = _mm512_sub_epi32(z, _mm512_mullo_epi32(quotient, freq));
      const __m512i next = _mm512_add_epi32(_mm512_sllv_epi32(quotient, prob_bits),
                                            _mm512_add_epi32(rest, _mm512_srli_epi32(e, 16)));
      y[v] = _mm512_mask_add_epi32(next, _mm512_cmpge_epu32_mask(rest, freq), next, _mm512_sub_epi32(total, freq));
    }
  }
  for (int v = 0; v < V; v++) _mm512_storeu_si512(x + WIDTH * v, y[v]);
  return words;
}

static uint8_t *encode_avx512(const ac_windows *w, const uint8_t *group_class, uint32_t n, const uint8_t *tokens,
                              const ac_symbol (*symbols)[AC_MAX_TOKENS], const uint32_t *states, uint8_t *end) {
  const uint32_t L = w->lanes, group = w->group;
  const unsigned P = w->prob_bits;
  if (!pushes_vectors(w)) return ac_kernels_avx2.encode(w, group_class, n, tokens, symbols, states, end);
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
    else if (L == 64)
      words = encode_vectors(&tables[c], t, group, x, words, P, 4);
    else if (L == 32)
      words = encode_vectors(&tables[c], t, group, x, words, P, 2);
    else
      words = encode_vectors(&tables[c], t, group, x, words, P, 1);
  }
  return write_states(words, x, L);
}

/* ---- rANS decoder, raw bits, dequantization ---- */
/* What decoding values of a class needs. */
typedef struct {
  __m512i place, shift; /* of raw fields: their four bytes, and bits to drop */
  const uint32_t *table;
  int32_t base;
  uint8_t k, has_tokens, image;
} popping;

AC_ALWAYS_INLINE void popping_for(popping *p, const ac_coded *in, unsigned index) {
  const ac_class *c = &in->windows->classes[index];
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i bit = _mm512_mullo_epi32(lane, _mm512_set1_epi32(c->k));
  p->shift = _mm512_and_si512(bit, _mm512_set1_epi32(7));
  p->place = _mm512_add_epi32(_mm512_mullo_epi32(_mm512_srli_epi32(bit, 3), _mm512_set1_epi32(0x01010101)),
                              _mm512_set1_epi32(0x03020100));
  p->table = in->tables + ((size_t)index << in->windows->prob_bits);
  p->base = c->base;
  p->k = c->k;
  p->has_tokens = c->n_tokens > 1;
  p->image = c->image ? c->image : NO_IMAGE;
}

/* ac_expand */
AC_ALWAYS_INLINE __m512i expand_vector(__m512i u, unsigned image) {
  const __m512i one = _mm512_set1_epi32(1), a = _mm512_abs_epi32(u);
  const __m512i e = _mm512_sub_epi32(_mm512_max_epi32(_mm512_srli_epi32(a, image), one), one);
  const __m512i v = _mm512_sllv_epi32(_mm512_sub_epi32(a, _mm512_slli_epi32(e, image)), e);
  return _mm512_mask_sub_epi32(v, _mm512_movepi32_mask(u), _mm512_setzero_si512(), v);
}

/* Sixteen integers to what is put out. */
AC_ALWAYS_INLINE void put_vector(__m512i v, double delta, void *out, const int OUT) {
  if (OUT == AC_OUT_F64) {
    const __m512d step = _mm512_set1_pd(delta);
    double *const d = out;
    __builtin_prefetch((char *)d + AHEAD, 1);
    __builtin_prefetch((char *)d + AHEAD + 64, 1);
    _mm512_storeu_pd(d, _mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(v)), step));
    _mm512_storeu_pd(d + 8, _mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(v, 1)), step));
    return;
  }
  __builtin_prefetch((char *)out + AHEAD, 1);
  if (OUT == AC_OUT_I32) {
    _mm512_storeu_si512(out, v);
    return;
  }
  const __m512 r = _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_set1_ps((float)delta));
  if (OUT == AC_OUT_F32) {
    _mm512_storeu_ps(out, r);
  } else if (OUT == AC_OUT_F16) {
    _mm256_storeu_si256(out, _mm512_cvtps_ph(r, _MM_FROUND_TO_NEAREST_INT));
  } else {
    const __m512i u = _mm512_castps_si512(r), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const __m512i h = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd), 16);
    _mm256_storeu_si256(out, _mm512_cvtepi32_epi16(h));
  }
}

/* One step of lanes: popped, and waiting to be put out. */
typedef struct {
  const popping *p; /* NULL: nothing waits */
  const uint8_t *raw;
  __m512i entries[AC_MAX_LANES / WIDTH];
} popped;

/* V vectors of table entries and raw bits to floats.  Reads 64 bytes past the raw fields. */
AC_ALWAYS_INLINE void put_step(const popped *step, unsigned P, double delta, void *out, const int V, const int CONTENTS,
                               const int OUT) {
  const popping *p = step->p;
  const uint8_t *raw = step->raw;
  const __m512i prob_bits = _mm512_set1_epi32((int)P), symbol_at = _mm512_set1_epi32((int)(2 * P - p->k));
  const __m512i base = _mm512_set1_epi32(p->base), low_bits = _mm512_set1_epi32((1 << p->k) - 1);
#pragma GCC unroll 4
  for (int v = 0; v < V; v++, raw += 2 * p->k) {
    /* frequency out at the top; then the symbol k bits up, what is left of the bias below it */
    __m512i value = _mm512_srlv_epi32(_mm512_sllv_epi32(step->entries[v], prob_bits), symbol_at);
    if (CONTENTS != TOKENS_ONLY) {
      const __m512i fields = _mm512_permutexvar_epi8(p->place, _mm512_loadu_si512(raw));
      value = _mm512_ternarylogic_epi32(low_bits, _mm512_srlv_epi32(fields, p->shift), value, 0xca /* select */);
    }
    value = _mm512_add_epi32(value, base);
    if (CONTENTS == WITH_IMAGES) value = expand_vector(value, p->image);
    put_vector(value, delta, OUT_AT(out, OUT, WIDTH * v), OUT);
  }
}

/* Popping is a chain of dependent instructions that begins with a slow lookup; meanwhile the step
 * before is put out (measured: a tenth faster than one after the other). */
AC_ALWAYS_INLINE int decode_avx512(const ac_coded *in, ac_cursor *at, uint32_t first, uint32_t last, void *out, const int V,
                                   const int CONTENTS, const int OUT) {
  const uint32_t group = in->windows->group, width = (uint32_t)(V * WIDTH);
  const unsigned P = in->windows->prob_bits;
  const __m512i slots = _mm512_set1_epi32((1 << P) - 1), prob_bits = _mm512_set1_epi32((int)P);
  const __m512i freq_at = _mm512_set1_epi32(32 - (int)P), state_min = _mm512_set1_epi32(AC_STATE_MIN);
  popping classes[AC_MAX_CLASSES];
  popped step;
  step.p = NULL;
  for (unsigned c = 0; c < in->windows->n_classes; c++) popping_for(&classes[c], in, c);
  __m512i x[4], e[4];
  const uint8_t *words = at->words;
  for (int v = 0; v < V; v++) x[v] = _mm512_loadu_si512(at->x + WIDTH * v);
#define PUT_STEP() \
  put_step(&step, P, in->delta, OUT_AT(out, OUT, i - width), V, CONTENTS, OUT)

  uint32_t i = first, g = first / group;
  for (; i + group <= last; g++) { /* whole groups, while there is room to read behind the raw bits */
    const popping *p = &classes[in->group_class[g]];
    const size_t raw_size = ac_raw_bytes(group, p->k);
    if (UNLIKELY((size_t)(at->raw_end - at->raw) < raw_size + 64)) break;
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
    for (const uint32_t end = i + group; i < end; i += width, raw += V * 2 * p->k) {
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) e[v] = _mm512_i32gather_epi32(_mm512_and_si512(x[v], slots), p->table, 4);
      if (LIKELY(step.p)) PUT_STEP();
      step.p = p;
      step.raw = raw;
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) {
        step.entries[v] = e[v];
        const __m512i product = _mm512_mullo_epi32(_mm512_srlv_epi32(e[v], freq_at), _mm512_srlv_epi32(x[v], prob_bits));
        x[v] = _mm512_add_epi32(product, _mm512_and_si512(e[v], slots));
      }
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) { /* the states below the limit take the next words, in order of lanes */
        const __mmask16 more = _mm512_cmplt_epu32_mask(x[v], state_min);
        const __m512i next = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)words));
        x[v] = _mm512_mask_or_epi32(x[v], more, _mm512_slli_epi32(x[v], 16), _mm512_maskz_expand_epi32(more, next));
        words += 2 * __builtin_popcount(more);
      }
    }
  }
  if (step.p) PUT_STEP();
#undef PUT_STEP
  for (int v = 0; v < V; v++) _mm512_storeu_si512(at->x + WIDTH * v, x[v]);
  at->words = words;
  for (; i < last; i += group, g++) {
    const int bad = decode_group_any(in, at, in->group_class[g], min_u32(last - i, group), OUT_AT(out, OUT, i), OUT);
    if (bad) return bad;
  }
  return AC_OK;
}

/* One instance for every output, number of vectors that lanes fill, and contents. */
#define BY_LANES(CONTENTS, OUT)                                                              \
  (in->windows->lanes == 64   ? decode_avx512(in, at, first, last, out, 4, CONTENTS, OUT)     \
   : in->windows->lanes == 32 ? decode_avx512(in, at, first, last, out, 2, CONTENTS, OUT)     \
                              : decode_avx512(in, at, first, last, out, 1, CONTENTS, OUT))

/* put_step shifts a symbol down by 2P - k bits, and knows only float32 arithmetic for float32 and less. */
AC_ALWAYS_INLINE int pops_vectors(const ac_coded *in, const int OUT) {
  const ac_windows *w = in->windows;
  return in->words != in->words_end && w->lanes >= WIDTH && most_raw_bits(w) <= 2u * w->prob_bits &&
         (OUT == AC_OUT_F64 || OUT == AC_OUT_I32 || all_in_float(w));
}

#define DEFINE_DECODE_AVX512(F, OUT)                                                             \
  static int decode_##F##_avx512(const ac_coded *in, ac_cursor *at, uint32_t first, uint32_t last, void *out) { \
    if (!pops_vectors(in, OUT)) return decode_##F(in, at, first, last, out);                     \
    switch (contents_of(in->windows)) {                                                          \
      case WITH_IMAGES: return BY_LANES(WITH_IMAGES, OUT);                                       \
      case WITH_RAW: return BY_LANES(WITH_RAW, OUT);                                             \
      default: return BY_LANES(TOKENS_ONLY, OUT);                                                \
    }                                                                                            \
  }
DEFINE_DECODE_AVX512(f32, AC_OUT_F32)
DEFINE_DECODE_AVX512(f64, AC_OUT_F64)
DEFINE_DECODE_AVX512(f16, AC_OUT_F16)
DEFINE_DECODE_AVX512(bf16, AC_OUT_BF16)
DEFINE_DECODE_AVX512(i32, AC_OUT_I32)

/* ---- rows ---- */
/* What is left of a row behind whole vectors is one vector more, under a mask. */
AC_ALWAYS_INLINE __mmask16 first16(uint32_t m) { return (__mmask16)(m < 16 ? _bzhi_u32(0xffff, m) : 0xffff); }
AC_ALWAYS_INLINE __mmask64 first64(uint32_t m) { return m < 64 ? _bzhi_u64(~0ull, m) : ~0ull; }
/* Of m values, what is left behind the first `some`. */
AC_ALWAYS_INLINE uint32_t behind(uint32_t m, uint32_t some) { return m > some ? m - some : 0; }

/* Sums of its lanes up to each. */
AC_ALWAYS_INLINE __m512i summed(__m512i v) {
  const __m512i none = _mm512_setzero_si512();
  v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, none, 15));
  v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, none, 14));
  v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, none, 12));
  return _mm512_add_epi32(v, _mm512_alignr_epi32(v, none, 8));
}

/* From vector to vector as few instructions as can be; the rest of the row by itself, as it is too short to wait for
 * what a mask has stored. */
static void sums_avx512(int32_t *v, uint32_t n, uint32_t distance) {
  uint32_t j = 0;
  if (distance == 1) {
    __m512i before = _mm512_setzero_si512();
    for (; n - j >= WIDTH; j += WIDTH) {
      const __m512i sum = summed(_mm512_loadu_si512(v + j));
      _mm512_storeu_si512(v + j, _mm512_add_epi32(sum, before));
      before = _mm512_add_epi32(before, _mm512_permutexvar_epi32(_mm512_set1_epi32(WIDTH - 1), sum));
    }
    if (j && j < n) v[j] = (int32_t)((uint32_t)v[j] + (uint32_t)v[j - 1]);
  }
  sums(v + j, n - j, distance);
}

static void scale_f16_avx512(const int32_t *r, double step, uint32_t n, void *out) {
  const __m512d by = _mm512_set1_pd(step);
  uint16_t *const h = out;
  uint32_t j = 0;
  for (; n - j >= WIDTH; j += WIDTH) {
    const __m512i v = _mm512_loadu_si512(r + j);
    const __m256 low = _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(v)), by));
    const __m256 high = _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(v, 1)), by));
    _mm_storeu_si128((__m128i *)(h + j), _mm256_cvtps_ph(low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(h + j + 8), _mm256_cvtps_ph(high, _MM_FROUND_TO_NEAREST_INT));
  }
  scale_f16(r + j, step, n - j, h + j);
}

AC_ALWAYS_INLINE __m512i get_bytes(const uint8_t *p, uint32_t m) {
  return m >= 64 ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi8(first64(m), p);
}
AC_ALWAYS_INLINE void put_bytes(uint8_t *p, uint32_t m, __m512i v) {
  if (m >= 64) _mm512_storeu_si512(p, v);
  else _mm512_mask_storeu_epi8(p, first64(m), v);
}

AC_ALWAYS_INLINE void deal_bytes(const uint8_t *row, uint32_t m, uint8_t *even, uint8_t *odd) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), low = _mm512_set1_epi16(255);
  const __m512i a = get_bytes(row, m), b = get_bytes(row + 64, behind(m, 64));
  const __m512i evens = _mm512_packus_epi16(_mm512_and_si512(a, low), _mm512_and_si512(b, low));
  const __m512i odds = _mm512_packus_epi16(_mm512_srli_epi16(a, 8), _mm512_srli_epi16(b, 8));
  put_bytes(even, (m + 1) / 2, _mm512_permutexvar_epi64(order, evens));
  put_bytes(odd, m / 2, _mm512_permutexvar_epi64(order, odds));
}

static void deal8_avx512(const uint8_t *row, uint32_t n, uint8_t *even, uint8_t *odd) {
  uint32_t j = 0;
  for (; n - j >= 128; j += 128) deal_bytes(row + j, 128, even + j / 2, odd + j / 2);
  if (j < n) deal_bytes(row + j, n - j, even + j / 2, odd + j / 2);
}

AC_ALWAYS_INLINE void zip_bytes(const uint8_t *even, const uint8_t *odd, uint32_t m, uint8_t *row) {
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  const __m512i a = get_bytes(even, (m + 1) / 2), b = get_bytes(odd, m / 2);
  const __m512i low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
  put_bytes(row, m, _mm512_permutex2var_epi64(low, first, high));
  put_bytes(row + 64, behind(m, 64), _mm512_permutex2var_epi64(low, second, high));
}

static void zip8_avx512(const uint8_t *even, const uint8_t *odd, uint32_t n, uint8_t *row) {
  uint32_t j = 0;
  for (; n - j >= 128; j += 128) zip_bytes(even + j / 2, odd + j / 2, 128, row + j);
  if (j < n) zip_bytes(even + j / 2, odd + j / 2, n - j, row + j);
}

static void magnitudes_avx512(const int32_t *v, uint32_t n, unsigned shift, uint8_t *magnitude) {
  const __m512i places = _mm512_set1_epi32((int32_t)shift);
  uint32_t j = 0;
  for (; n - j >= WIDTH; j += WIDTH) {
    const __m512i a = _mm512_srlv_epi32(_mm512_abs_epi32(_mm512_loadu_si512(v + j)), places);
    _mm_storeu_si128((__m128i *)(magnitude + j), _mm512_cvtusepi32_epi8(a));
  }
  if (j < n) {
    const __m512i a = _mm512_srlv_epi32(_mm512_abs_epi32(_mm512_maskz_loadu_epi32(first16(n - j), v + j)), places);
    _mm_mask_storeu_epi8(magnitude + j, first16(n - j), _mm512_cvtusepi32_epi8(a));
  }
}

/* ---- contexts ---- */
/* A limit is found by halves: what a step of 2^i limits is compared with, by where the search stands. */
enum { FEW_STEPS = 3, ALL_STEPS = 5 };
AC_ALWAYS_INLINE __m512i limits_of_step(const uint16_t *limit, unsigned limits, unsigned i) {
  const unsigned skip = (1u << i) - 1;
  return _mm512_mask_loadu_epi16(_mm512_set1_epi16(-1), _bzhi_u32(~0u, behind(limits, skip)), limit + skip);
}

AC_ALWAYS_INLINE __m512i search_step(__m512i at, __m512i sum, __m512i limits, unsigned i) {
  const __mmask32 reached = _mm512_cmpge_epu16_mask(sum, _mm512_permutexvar_epi16(at, limits));
  return _mm512_mask_add_epi16(at, reached, at, _mm512_set1_epi16((short)(1 << i)));
}

typedef struct {
  const uint8_t *const *rows, *weights;
  unsigned n;
} neighbourhood;

/* m <= 64 values from j on: rows in pairs, whose bytes come to stand side by side, as their weights do. */
AC_ALWAYS_INLINE __m512i contexts_of(const neighbourhood *near, const __m512i *limits, uint32_t j, uint32_t m,
                                     const unsigned STEPS) {
  __m512i low = _mm512_setzero_si512(), high = low, at_low = low, at_high = low;
  for (unsigned i = 0; i < near->n; i += 2) {
    const int one = i + 1 == near->n;
    const __m512i weights = _mm512_set1_epi16((short)(one ? near->weights[i] : ac_load16(near->weights + i)));
    const __m512i a = get_bytes(near->rows[i] + j, m), b = get_bytes(near->rows[i + !one] + j, m);
    low = _mm512_add_epi16(low, _mm512_maddubs_epi16(_mm512_unpacklo_epi8(a, b), weights));
    high = _mm512_add_epi16(high, _mm512_maddubs_epi16(_mm512_unpackhi_epi8(a, b), weights));
  }
#pragma GCC unroll 5
  for (unsigned i = STEPS; i-- > 0;) {
    at_low = search_step(at_low, low, limits[i], i);
    at_high = search_step(at_high, high, limits[i], i);
  }
  return _mm512_packus_epi16(at_low, at_high);
}

AC_ALWAYS_INLINE void find_contexts(const neighbourhood *near, const uint16_t *limit, unsigned limits, uint32_t n,
                                    uint8_t *context, const unsigned STEPS) {
  __m512i by_step[ALL_STEPS];
#pragma GCC unroll 5
  for (unsigned i = 0; i < STEPS; i++) by_step[i] = limits_of_step(limit, limits, i);
  uint32_t j = 0;
  for (; n - j >= 64; j += 64) _mm512_storeu_si512(context + j, contexts_of(near, by_step, j, 64, STEPS));
  if (j < n) put_bytes(context + j, n - j, contexts_of(near, by_step, j, n - j, STEPS));
}

static void contexts_avx512(const uint8_t *const *near, const uint8_t *weights, unsigned n_near, const uint16_t *limit,
                            unsigned limits, uint32_t n, uint8_t *context) {
  const neighbourhood rows = {near, weights, n_near};
  if (limits < 1 << FEW_STEPS) find_contexts(&rows, limit, limits, n, context, FEW_STEPS);
  else find_contexts(&rows, limit, limits, n, context, ALL_STEPS);
}

/* ---- residuals under contexts ---- */
/* First the tokens, a chain of dependent instructions that begins with a slow lookup; then what they mean, all of it
 * independent but for a sum of bits.  So instructions of the one need not wait in line behind those of the other. */
AC_ALWAYS_INLINE __m512i contexts_at(const uint8_t *context, uint32_t m) {
  return _mm512_cvtepu8_epi32(m < WIDTH ? _mm_maskz_loadu_epi8(first16(m), context)
                                        : _mm_loadu_si128((const __m128i *)context));
}

/* The next m <= WIDTH tokens off the lanes x: their entries; words move on. */
AC_ALWAYS_INLINE __m512i pop_vector(const uint32_t *tables, unsigned P, __m512i *x, const uint8_t *context, uint32_t m,
                                    const uint8_t **words) {
  const __m512i slots = _mm512_set1_epi32((1 << P) - 1), prob_bits = _mm512_set1_epi32((int)P);
  const __m512i freq_at = _mm512_set1_epi32(32 - (int)P), state_min = _mm512_set1_epi32(AC_STATE_MIN);
  const __m512i table = _mm512_sllv_epi32(contexts_at(context, m), prob_bits);
  const __m512i slot = _mm512_ternarylogic_epi32(slots, *x, table, 0xca /* slots ? x : table */);
  const __m512i e = m < WIDTH ? _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), first16(m), slot, tables, 4)
                              : _mm512_i32gather_epi32(slot, tables, 4);
  const __m512i product = _mm512_mullo_epi32(_mm512_srlv_epi32(e, freq_at), _mm512_srlv_epi32(*x, prob_bits));
  const __m512i y = _mm512_add_epi32(product, _mm512_and_si512(e, slots));
  /* the states below the limit take the next words, in order of lanes */
  const __mmask16 low = _mm512_cmplt_epu32_mask(y, state_min), more = m < WIDTH ? low & first16(m) : low;
  const __m512i next = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)*words));
  const __m512i refilled = _mm512_mask_or_epi32(y, more, _mm512_slli_epi32(y, 16), _mm512_maskz_expand_epi32(more, next));
  *words += 2 * __builtin_popcount(more);
  *x = m < WIDTH ? _mm512_mask_mov_epi32(*x, first16(m), refilled) : refilled;
  return e;
}

/* V vectors of lanes. */
AC_ALWAYS_INLINE void pop_vectors(const ac_popping *p, ac_cursor *at, const uint8_t *context, uint32_t n, uint32_t *entries,
                                  const int V) {
  const uint32_t *const tables = p->tables; /* stores to entries cannot change it */
  const unsigned P = p->prob_bits;
  const uint8_t *words = at->words;
  __m512i x[4];
  for (int i = 0; i < V; i++) x[i] = _mm512_loadu_si512(at->x + WIDTH * i);
  for (uint32_t j = 0; j < n;) {
#pragma GCC unroll 4
    for (int i = 0; i < V; i++, j += WIDTH) {
      if (n - j >= WIDTH) {
        _mm512_storeu_si512(entries + j, pop_vector(tables, P, &x[i], context + j, WIDTH, &words));
      } else {
        if (j < n) _mm512_storeu_si512(entries + j, pop_vector(tables, P, &x[i], context + j, n - j, &words));
        j = n;
        break;
      }
    }
  }
  for (int i = 0; i < V; i++) _mm512_storeu_si512(at->x + WIDTH * i, x[i]);
  at->words = words;
}

typedef struct {
  __m512i lo, k; /* by context */
  __m512i mantissa, prob_bits, symbols;
  const uint8_t *raw;
  uint64_t bit;
} residuals;

/* The first m of a vector of residuals, from table entries and contexts, and with their raw bits. */
AC_ALWAYS_INLINE __m512i residuals_of(residuals *r, __m512i entries, __m512i contexts, uint32_t m) {
  const __m512i one = _mm512_set1_epi32(1);
  const __m512i token = _mm512_and_si512(_mm512_srlv_epi32(entries, r->prob_bits), r->symbols);
  const __m512i bin = _mm512_add_epi32(_mm512_permutexvar_epi32(contexts, r->lo), token);
  const __m512i sign = _mm512_srai_epi32(bin, 31), a = _mm512_xor_si512(bin, sign);
  const __m512i octave = _mm512_srlv_epi32(a, r->mantissa), e = _mm512_sub_epi32(_mm512_max_epu32(octave, one), one);
  const __m512i sum = _mm512_add_epi32(e, _mm512_permutexvar_epi32(contexts, r->k));
  const __m512i bits = m < WIDTH ? _mm512_maskz_mov_epi32(first16(m), sum) : sum;
  __m512i value = _mm512_sllv_epi32(_mm512_sub_epi32(a, _mm512_sllv_epi32(e, r->mantissa)), bits);
  if (_mm512_test_epi32_mask(bits, bits)) {
    const __m512i end = summed(bits); /* of every field */
    const __m512i at = _mm512_add_epi32(_mm512_sub_epi32(end, bits), _mm512_set1_epi32((int32_t)(r->bit & 7)));
    /* all fields lie within a vector of bytes: 16 * 25 + 7 bits; the four of each come into its lane */
    const __m512i low_bytes = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
    const __m512i byte = _mm512_shuffle_epi8(_mm512_srli_epi32(at, 3), low_bytes);
    const __m512i place = _mm512_add_epi32(byte, _mm512_set1_epi32(0x03020100));
    const __m512i bytes = _mm512_permutexvar_epi8(place, _mm512_loadu_si512(r->raw + r->bit / 8));
    const __m512i fields = _mm512_srlv_epi32(bytes, _mm512_and_si512(at, _mm512_set1_epi32(7)));
    const __m512i above = _mm512_sllv_epi32(_mm512_set1_epi32(-1), bits);
    value = _mm512_ternarylogic_epi32(value, fields, above, 0xf4 /* value | (fields & ~above) */);
    r->bit += (uint32_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(_mm512_alignr_epi32(end, end, 15)));
  }
  return _mm512_xor_si512(value, sign);
}

static int pop_avx512(const ac_popping *p, ac_pop_cursor *at, const uint8_t *context, uint32_t n, int32_t *v) {
  uint32_t entries[AC_POP_MOST];
  if (UNLIKELY(pop_ahead(at))) return AC_E_FORMAT;
  if (p->lanes == 64) pop_vectors(p, &at->words, context, n, entries, 4);
  else if (p->lanes == 32) pop_vectors(p, &at->words, context, n, entries, 2);
  else if (p->lanes == 16) pop_vectors(p, &at->words, context, n, entries, 1);
  else pop_entries(p, &at->words, context, n, entries);
  residuals r = {_mm512_loadu_si512(p->lo), _mm512_loadu_si512(p->k), _mm512_set1_epi32(p->mantissa),
                 _mm512_set1_epi32(p->prob_bits), _mm512_set1_epi32((1 << (32 - 2 * p->prob_bits)) - 1), at->raw, at->bit};
  uint32_t j = 0;
  for (; n - j >= WIDTH; j += WIDTH)
    _mm512_storeu_si512(v + j, residuals_of(&r, _mm512_loadu_si512(entries + j), contexts_at(context + j, WIDTH), WIDTH));
  if (j < n)
    _mm512_mask_storeu_epi32(v + j, first16(n - j),
                             residuals_of(&r, _mm512_loadu_si512(entries + j), contexts_at(context + j, n - j), n - j));
  at->bit = r.bit;
  return AC_OK;
}

/* Tokens, and raw fields, of the first m of a vector of residuals. */
typedef struct {
  __m512i lo, n_tokens; /* by context */
  __m512i mantissa, most;
  __mmask16 outside;
  __m512i any;
} shortening;

AC_ALWAYS_INLINE void tokens_of(shortening *s, const uint8_t *context, const int32_t *v, uint32_t m, uint8_t *token,
                                uint8_t *raw_bits, uint32_t *raw) {
  const __mmask16 some = first16(m);
  const __m512i c = contexts_at(context, m), x = _mm512_maskz_loadu_epi32(some, v);
  const __m512i sign = _mm512_srai_epi32(x, 31), u = _mm512_xor_si512(x, sign);
  const __m512i octave = _mm512_sub_epi32(_mm512_sub_epi32(_mm512_set1_epi32(31), _mm512_lzcnt_epi32(u)), s->mantissa);
  const __m512i e = _mm512_max_epi32(octave, _mm512_setzero_si512());
  const __m512i bin = _mm512_xor_si512(_mm512_add_epi32(_mm512_sllv_epi32(e, s->mantissa), _mm512_srlv_epi32(u, e)), sign);
  const __m512i t = _mm512_sub_epi32(bin, _mm512_permutexvar_epi32(c, s->lo));
  const __mmask16 inside = _mm512_cmplt_epu32_mask(t, _mm512_permutexvar_epi32(c, s->n_tokens)) & _mm512_cmple_epu32_mask(e, s->most);
  const __m512i bits = _mm512_maskz_mov_epi32(inside & some, e);
  s->outside |= ~inside & some;
  s->any = _mm512_or_si512(s->any, bits);
  _mm_mask_storeu_epi8(token, some, _mm512_cvtepi32_epi8(_mm512_mask_mov_epi32(_mm512_set1_epi32(AC_OUTSIDE), inside, t)));
  _mm_mask_storeu_epi8(raw_bits, some, _mm512_cvtepi32_epi8(bits));
  const __m512i above = _mm512_sllv_epi32(_mm512_set1_epi32(-1), bits);
  _mm512_mask_storeu_epi32(raw, some, _mm512_andnot_si512(above, u));
}

static unsigned tokens_avx512(const ac_pushing *p, const uint8_t *context, const int32_t *v, uint32_t n, uint8_t *token,
                              uint8_t *raw_bits, uint32_t *raw) {
  shortening s = {_mm512_loadu_si512(p->lo), _mm512_loadu_si512(p->n_tokens), _mm512_set1_epi32(p->mantissa),
                  _mm512_set1_epi32(AC_MAX_RAW_BITS), 0, _mm512_setzero_si512()};
  uint32_t j = 0;
  for (; n - j >= WIDTH; j += WIDTH) tokens_of(&s, context + j, v + j, WIDTH, token + j, raw_bits + j, raw + j);
  if (j < n) tokens_of(&s, context + j, v + j, n - j, token + j, raw_bits + j, raw + j);
  return (_mm512_test_epi32_mask(s.any, s.any) ? AC_SOME_RAW : 0) | (s.outside ? AC_SOME_OUTSIDE : 0);
}

/* As encode_vectors, but that every token has a table. */
AC_ALWAYS_INLINE uint8_t *push_vector(const ac_pushing *p, const uint8_t *context, const uint8_t *token, uint32_t m, uint32_t *x,
                                      uint8_t *words) {
  const unsigned P = p->prob_bits;
  const __mmask16 some = first16(m);
  const __m512i tokens16 = _mm512_cvtepu8_epi32(m < WIDTH ? _mm_maskz_loadu_epi8(some, token) : _mm_loadu_si128((const __m128i *)token));
  const __m512i at = _mm512_or_si512(_mm512_slli_epi32(contexts_at(context, m), 6), tokens16);
  const __m512i slot = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), some, at, p->slot, 4);
  const __m512 reciprocal = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), some, at, p->reciprocal, 4);
  const __m512i y = _mm512_loadu_si512(x), freq = _mm512_and_si512(slot, _mm512_set1_epi32(0xffff));
  /* states that would overflow put out a word; those of a vector stand in order of lanes */
  const __mmask16 emit = _mm512_mask_cmpge_epu32_mask(some, y, _mm512_sllv_epi32(freq, _mm512_set1_epi32(32 - (int)P)));
  const unsigned n = (unsigned)__builtin_popcount(emit);
  const __m512i out = _mm512_maskz_compress_epi16(_pdep_u32(emit, 0x55555555), y);
  words -= 2 * n;
  _mm256_mask_storeu_epi16(words, (__mmask16)_bzhi_u32(0xffff, n), _mm512_castsi512_si256(out));
  const __m512i z = _mm512_mask_srli_epi32(y, emit, y, 16);
  const __m512i quotient = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_cvtepu32_ps(z), reciprocal));
  const __m512i rest = _mm512_sub_epi32(z, _mm512_mullo_epi32(quotient, freq));
  const __m512i next = _mm512_add_epi32(_mm512_sllv_epi32(quotient, _mm512_set1_epi32((int)P)),
                                        _mm512_add_epi32(rest, _mm512_srli_epi32(slot, 16)));
  const __mmask16 less = _mm512_cmpge_epu32_mask(rest, freq);
  const __m512i right = _mm512_mask_add_epi32(next, less, next, _mm512_sub_epi32(_mm512_set1_epi32(1 << P), freq));
  _mm512_mask_storeu_epi32(x, some, right);
  return words;
}

static uint8_t *push_avx512(const ac_pushing *p, const uint8_t *context, const uint8_t *token, uint32_t n, uint32_t *x, uint8_t *words) {
  if (p->lanes < WIDTH || p->prob_bits < MIN_PROB_BITS_FLOAT) return push_tokens(p, context, token, n, x, words);
  const uint32_t rest = n % WIDTH, turn = p->lanes - 1u;
  uint32_t j = n - rest;
  if (rest) words = push_vector(p, context + j, token + j, rest, x + (j & turn), words);
  for (; j > 0;) {
    j -= WIDTH;
    words = push_vector(p, context + j, token + j, WIDTH, x + (j & turn), words);
  }
  return words;
}

/* ---- checksum ---- */
/* A vector of the message, moved 512 * n bits ahead and added to the next one: each half of a 128-bit
 * lane times x^(512n - 1) mod P or x^(512n + 63) mod P (as crc32c_x86.h; bits are reversed). */
#define MOVE1 0x75bba45b00000000, 0x1c19243b00000000
#define MOVE4 0x1426a81500000000, 0xe9a5d8be00000000

AC_ALWAYS_INLINE __m512i crc_fold(__m512i v, __m512i next, __m512i factors) {
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(v, factors, 0x00), _mm512_clmulepi64_epi128(v, factors, 0x11),
                                   next, 0x96);
}

static uint32_t crc32c_avx512(const void *data, size_t size) {
  const uint8_t *p = data;
  if (size < 512) return crc32c_sse42(data, size);
  const __m512i by4 = _mm512_broadcast_i32x4(_mm_set_epi64x((long long)MOVE4));
  const __m512i by1 = _mm512_broadcast_i32x4(_mm_set_epi64x((long long)MOVE1));
  __m512i v[4];
  for (int i = 0; i < 4; i++) v[i] = _mm512_loadu_si512(p + 64 * i);
  v[0] = _mm512_xor_si512(v[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(-1)));
  for (p += 256, size -= 256; size >= 256; p += 256, size -= 256)
    for (int i = 0; i < 4; i++) v[i] = crc_fold(v[i], _mm512_loadu_si512(p + 64 * i), by4);
  for (int i = 1; i < 4; i++) v[i] = crc_fold(v[i - 1], v[i], by1);
  uint8_t rest[64];
  _mm512_storeu_si512(rest, v[3]);
  return ~(uint32_t)crc_bytes(crc_bytes(0, rest, 64), p, size);
}

/* ---- contexts of which some are left out ---- */
static uint32_t pack_avx512(const uint8_t *context, const uint8_t *flags, unsigned set, uint32_t n, uint8_t *some, uint64_t *keep) {
  uint8_t has[16];
  uint32_t found = 0;
  for (unsigned i = 0; i < 16; i++) has[i] = (uint8_t)(0u - (set >> i & 1));
  const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)has));
  for (uint32_t j = 0; j < n; j += 64) {
    const uint32_t m = n - j < 64 ? n - j : 64;
    const __m512i c = get_bytes(context + j, m);
    __mmask64 here = _mm512_movepi8_mask(_mm512_shuffle_epi8(table, c)) & first64(m);
    if (flags) {
      const __m512i f = get_bytes(flags + j, m);
      here &= _mm512_testn_epi8_mask(f, f);
    }
    keep[j / 64] = here;
    _mm512_storeu_si512(some + found, _mm512_maskz_compress_epi8(here, c));
    found += (uint32_t)__builtin_popcountll(here);
  }
  return found;
}

static void unpack_avx512(const int32_t *some, const uint64_t *keep, uint32_t n, int32_t *v) {
  for (uint32_t j = 0; j < n; j += WIDTH) {
    const __mmask16 here = (__mmask16)(keep[j / 64] >> (j & 63));
    const __m512i x = _mm512_maskz_expand_epi32(here, _mm512_loadu_si512(some));
    some += __builtin_popcount(here);
    if (n - j >= WIDTH) _mm512_storeu_si512(v + j, x);
    else _mm512_mask_storeu_epi32(v + j, first16(n - j), x);
  }
}

/* Eight at a time: where they begin are sums of the widths before. */
static void fields_avx512(const uint8_t *at, uint64_t bit, const uint8_t *width, uint32_t n, uint64_t *found) {
  enum { LANES = 8 };
  uint32_t j = 0;
  for (; n - j >= LANES; j += LANES) {
    const __m512i w = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(width + j)));
    __m512i sum = _mm512_add_epi64(w, _mm512_maskz_permutexvar_epi64(0xfe, _mm512_setr_epi64(0, 0, 1, 2, 3, 4, 5, 6), w));
    sum = _mm512_add_epi64(sum, _mm512_maskz_permutexvar_epi64(0xfc, _mm512_setr_epi64(0, 0, 0, 1, 2, 3, 4, 5), sum));
    sum = _mm512_add_epi64(sum, _mm512_maskz_permutexvar_epi64(0xf0, _mm512_setr_epi64(0, 0, 0, 0, 0, 1, 2, 3), sum));
    const __m512i from = _mm512_add_epi64(_mm512_set1_epi64((long long)bit), _mm512_sub_epi64(sum, w));
    const __m512i words = _mm512_i64gather_epi64(_mm512_srli_epi64(from, 3), at, 1);
    const __m512i field = _mm512_srlv_epi64(words, _mm512_and_si512(from, _mm512_set1_epi64(7)));
    const __m512i ones = _mm512_sub_epi64(_mm512_sllv_epi64(_mm512_set1_epi64(1), w), _mm512_set1_epi64(1));
    _mm512_storeu_si512(found + j, _mm512_and_si512(field, ones));
    bit += (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(_mm512_extracti32x4_epi32(sum, 3), _mm512_extracti32x4_epi32(sum, 3)));
  }
  fields(at, bit, width + j, n - j, found + j);
}

/* As in rows.h; products of the lower halves of 64 bits. */
static void recur_avx512(const ac_linear *linear, unsigned unit, uint32_t n, int32_t *r) {
  int64_t tap[AC_MAX_TAPS + TOGETHER] = {0}, sum[TOGETHER];
  for (unsigned j = 0; j < linear->order; j++) tap[j] = linear->tap[j];
  for (uint32_t k = 0; k < n; k += TOGETHER) {
    const unsigned m = n - k < TOGETHER ? n - k : TOGETHER;
    int32_t *const at = r + k;
    __m512i even = _mm512_set1_epi64((int64_t)1 << (linear->shift - 1)), odd = _mm512_setzero_si512();
    unsigned j = 0;
    for (; j + 2 <= linear->order; j += 2) {
      even = _mm512_add_epi64(even, _mm512_mul_epi32(_mm512_loadu_si512(tap + j), _mm512_set1_epi32(at[-1 - (ptrdiff_t)j])));
      odd = _mm512_add_epi64(odd, _mm512_mul_epi32(_mm512_loadu_si512(tap + j + 1), _mm512_set1_epi32(at[-2 - (ptrdiff_t)j])));
    }
    if (j < linear->order) even = _mm512_add_epi64(even, _mm512_mul_epi32(_mm512_loadu_si512(tap + j), _mm512_set1_epi32(at[-1 - (ptrdiff_t)j])));
    _mm512_storeu_si512(sum, _mm512_add_epi64(even, odd));
    settle_together(linear, tap, sum, unit, m, at);
  }
}

/* ---- varints ---- */
/* A vector of bytes, where varints in it end, and where they begin: what would begin behind the vector, at 64. */
typedef struct {
  __m512i bytes, starts;
  uint64_t ends;
} varints;

/* Of `size` bytes; 0 if anything in there needs a closer look: more than four bytes, or a zero that could have been left out. */
AC_ALWAYS_INLINE int find_varints(const uint8_t *p, uint32_t size, varints *found) {
  const __m512i iota = _mm512_set_epi8(63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42,
                                       41, 40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20,
                                       19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i bytes = get_bytes(p, size);
  const uint64_t more = _mm512_movepi8_mask(bytes), zeros = _mm512_testn_epi8_mask(bytes, bytes);
  found->bytes = bytes;
  found->ends = ~more & first64(size);
  found->starts = _mm512_mask_compress_epi8(_mm512_set1_epi8(64), found->ends << 1 | 1, iota);
  return !((more & more >> 1 & more >> 2 & more >> 3) | (zeros & more << 1));
}

AC_ALWAYS_INLINE __m512i from_zigzag(__m512i z) {
  const __m512i sign = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(z, _mm512_set1_epi32(1)));
  return _mm512_xor_si512(_mm512_srli_epi32(z, 1), sign);
}

/* Sixteen of them from number `first` on, to integers.  Number 63 is not among them: its next one would have no place. */
AC_ALWAYS_INLINE __m512i integers_of(const varints *found, uint32_t first) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i number = _mm512_mullo_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32((int32_t)first)), _mm512_set1_epi32(0x01010101));
  const __m512i start = _mm512_permutexvar_epi8(number, found->starts);
  const __m512i next = _mm512_permutexvar_epi8(_mm512_add_epi8(number, _mm512_set1_epi8(1)), found->starts);
  const __m512i place = _mm512_add_epi8(start, _mm512_set1_epi32(0x03020100));
  const __m512i four = _mm512_maskz_permutexvar_epi8(_mm512_cmplt_epu8_mask(place, next), place, found->bytes);
  /* seven bits each to fourteen, to all of them */
  const __m512i halves = _mm512_maddubs_epi16(_mm512_set1_epi16((short)0x8001), _mm512_and_si512(four, _mm512_set1_epi8(127)));
  return from_zigzag(_mm512_madd_epi16(halves, _mm512_set1_epi32(1 << 30 | 1)));
}

/* All that end within 64 bytes at once, and zeros behind them, while there is room for as many: so the next 64 are found
 * without waiting for the integers. */
static const uint8_t *read_varints_avx512(const uint8_t *p, const uint8_t *end, uint32_t n, int32_t *q) {
  varints found;
  uint32_t i = 0;
  while (i < n) {
    const uint32_t size = end - p < 64 ? (uint32_t)(end - p) : 64, m = min_u32(n - i, WIDTH);
    const int usual = size == 64 ? find_varints(p, 64, &found) : find_varints(p, size, &found);
    if (LIKELY(usual && n - i >= 64 && size == 64)) {
      const uint32_t all = (uint32_t)__builtin_popcountll(found.ends);
      for (uint32_t j = 0; j < all; j += WIDTH) {
        const __m512i v = all < 64 ? integers_of(&found, j)
                                   : from_zigzag(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(p + j))));
        _mm512_storeu_si512(q + i + j, v);
      }
      p += 64 - _lzcnt_u64(found.ends);
      i += all;
      continue;
    }
    const uint64_t last = _tzcnt_u64(_pdep_u64(1ull << (m - 1), found.ends)); /* 64 if it is not there */
    if (LIKELY(usual && last < 64)) {
      _mm512_mask_storeu_epi32(q + i, first16(m), integers_of(&found, 0));
      p += last + 1;
    } else {
      p = read_varints(p, end, m, q + i);
      if (!p) return NULL;
    }
    i += m;
  }
  return p;
}

static uint8_t *write_varints_avx512(const int32_t *q, uint32_t n, uint8_t *p) {
  const __m512i low = _mm512_set1_epi8(127), one = _mm512_set1_epi32(1), all = _mm512_set1_epi32(-1);
  const __m512i at_sevens = _mm512_set1_epi64(0x352e272015 << 24 | 0x0e0700); /* bits of two integers */
  uint32_t i = 0;
  for (; n - i >= WIDTH; i += WIDTH) {
    const __m512i v = _mm512_loadu_si512(q + i);
    const __m512i z = _mm512_xor_si512(_mm512_slli_epi32(v, 1), _mm512_srai_epi32(v, 31));
    if (UNLIKELY(_mm512_cmpge_epu32_mask(z, _mm512_set1_epi32(1 << 28)))) { /* five bytes */
      p = write_varints(q + i, WIDTH, p);
      continue;
    }
    const __m512i sevens = _mm512_and_si512(_mm512_multishift_epi64_epi8(at_sevens, z), low);
    const __m512i unused = _mm512_and_si512(_mm512_lzcnt_epi32(_mm512_or_si512(sevens, one)), _mm512_set1_epi32(24));
    const __m512i used = _mm512_srlv_epi32(all, unused);
    /* the bytes before one that is used have their highest bit set */
    const __m512i bytes = _mm512_ternarylogic_epi32(low, sevens, _mm512_srli_epi32(used, 8), 0xca /* select */);
    const __mmask64 kept = _mm512_movepi8_mask(used);
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi8(kept, bytes)); /* there is room for 80 */
    p += __builtin_popcountll(kept);
  }
  return write_varints(q + i, n - i, p);
}

const ac_kernels ac_kernels_avx512 = {
    "avx512", {quantize_f32_avx512, quantize_f64, quantize_f16_avx512, quantize_bf16_avx512}, statistics, to_wide,
    from_wide, extent, divide, join, count_avx512, weigh, significands, to_image, split_avx512, encode_avx512,
    {decode_f32_avx512, decode_f64_avx512, decode_f16_avx512, decode_bf16_avx512, decode_i32_avx512}, crc32c_avx512, affine,
    midpoint, cubic, blend, refer, follow, stencil, accumulate, deal32, deal8_avx512, zip32, zip8_avx512, contexts_avx512, pop_avx512,
    tokens_avx512, push_avx512, pack_avx512, unpack_avx512, magnitudes_avx512, by_units, price, advance, sums_avx512, differences, foresee, recur_avx512, {scale_f32, scale_f64, scale_f16_avx512, scale_bf16}, {nearest_f32, nearest_f64},
    {off_f32, off_f64}, {belongs_f32, belongs_f64}, {suspects_f32, suspects_f64}, {part_f32, part_f64}, {unpart_f32, unpart_f64}, widths, fields_avx512,
    read_varints_avx512, write_varints_avx512};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
