/* avx2.c: kernels for AVX2 and BMI2: rANS decoding and raw bits by hand, eight values a vector; the rest is
 * scalar.c compiled for this target, with the compiler's own vectorization of the loops over a group.
 *
 * Invariant: bytes and floats are those of scalar.c.  The target has no FMA, so nothing can be
 * contracted even where a compiler is told to.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#endif

#define AC_PLANE_SLACK 16
#include "../core/bitplane.h"

/* Raw bits of eight values from value 8h on: four of them lie within 16 bytes (4 * 25 + 7 bits), so one
 * byte shuffle brings the four bytes of each into its place. */
AC_ALWAYS_INLINE __m256i unpack8(const uint8_t *plane, const int h, const int k) {
#define AT(i) ((8 * h + (i)) * k)                                 /* bit offset of a value */
#define BYTE(i) (char)((AT(i) >> 3) - (AT((i) & 4) >> 3))        /* its first byte, within its half */
#define BYTES4(i) BYTE(i), (char)(BYTE(i) + 1), (char)(BYTE(i) + 2), (char)(BYTE(i) + 3)
  const __m256i bytes = _mm256_inserti128_si256(
      _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(plane + (AT(0) >> 3)))),
      _mm_loadu_si128((const __m128i *)(plane + (AT(4) >> 3))), 1);
  const __m256i places = _mm256_setr_epi8(BYTES4(0), BYTES4(1), BYTES4(2), BYTES4(3), BYTES4(4), BYTES4(5), BYTES4(6),
                                          BYTES4(7));
  const __m256i shifts = _mm256_setr_epi32(AT(0) & 7, AT(1) & 7, AT(2) & 7, AT(3) & 7, AT(4) & 7, AT(5) & 7, AT(6) & 7,
                                           AT(7) & 7);
  const __m256i values = _mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, places), shifts);
  return _mm256_and_si256(values, _mm256_set1_epi32((1 << k) - 1));
#undef AT
#undef BYTE
#undef BYTES4
}

AC_ALWAYS_INLINE void ac_unpack16(const uint8_t *plane, uint32_t *low, const unsigned k) {
  _mm256_storeu_si256((__m256i *)low, unpack8(plane, 0, (int)k));
  _mm256_storeu_si256((__m256i *)(low + 8), unpack8(plane, 1, (int)k));
}

/* Byte i of entry m: how many of the lanes below i are set in m, that is, which of the next words lane
 * i takes if it takes one. */
#define RANK(m, i) ((uint64_t)__builtin_popcount((m) & ((1u << (i)) - 1)) << (8 * (i)))
#define RANKS(m) \
  (RANK(m, 0) | RANK(m, 1) | RANK(m, 2) | RANK(m, 3) | RANK(m, 4) | RANK(m, 5) | RANK(m, 6) | RANK(m, 7))
#define FOUR(m) RANKS(m), RANKS(m + 1), RANKS(m + 2), RANKS(m + 3)
#define SIXTEEN(m) FOUR(m), FOUR(m + 4), FOUR(m + 8), FOUR(m + 12)
#define SIXTY4(m) SIXTEEN(m), SIXTEEN(m + 16), SIXTEEN(m + 32), SIXTEEN(m + 48)
static const uint64_t RANK_BYTES[256] = {SIXTY4(0u), SIXTY4(64u), SIXTY4(128u), SIXTY4(192u)};

/* Eight states below 2^16 take the next words, in order of lanes. */
AC_ALWAYS_INLINE __m256i refill8(__m256i y, const uint8_t *words, size_t *at) {
  const __m256i low = _mm256_cmpeq_epi32(_mm256_srli_epi32(y, 16), _mm256_setzero_si256());
  const unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(low));
  const __m256i next = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(words + 2 * *at)));
  const __m256i rank = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)RANK_BYTES[mask]));
  const __m256i more = _mm256_or_si256(_mm256_slli_epi32(y, 16), _mm256_permutevar8x32_epi32(next, rank));
  *at += (size_t)__builtin_popcount(mask);
  return _mm256_blendv_epi8(y, more, low);
}

/* V vectors of lanes: all lookups first, so that their latencies overlap, then the words in order. */
AC_ALWAYS_INLINE void pop_vectors(const uint32_t *table, const unsigned P, uint32_t *x, const uint8_t *words, size_t *at,
                                  uint32_t *tokens, const int V) {
  const __m256i slots = _mm256_set1_epi32((1 << P) - 1), symbols = _mm256_set1_epi32((1 << (32 - 2 * P)) - 1);
  __m256i y[4];
#pragma GCC unroll 4
  for (int v = 0; v < V; v++) {
    const __m256i s = _mm256_loadu_si256((const __m256i *)(x + 8 * v));
    const __m256i e = _mm256_i32gather_epi32((const int *)table, _mm256_and_si256(s, slots), 4);
    _mm256_storeu_si256((__m256i *)(tokens + 8 * v), _mm256_and_si256(_mm256_srli_epi32(e, P), symbols));
    y[v] = _mm256_add_epi32(_mm256_mullo_epi32(_mm256_srli_epi32(e, 32 - P), _mm256_srli_epi32(s, P)),
                            _mm256_and_si256(e, slots));
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; v++) _mm256_storeu_si256((__m256i *)(x + 8 * v), refill8(y[v], words, at));
}

AC_ALWAYS_INLINE uint32_t vector_steps(const uint32_t *table, const unsigned P, uint32_t *x, uint32_t L, uint32_t m,
                                       const uint8_t *words, size_t *at, uint32_t *tokens) {
  uint32_t i = 0;
  if (L >= 32)
    for (; i + L <= m; i += L)
      for (uint32_t j = 0; j < L; j += 32) pop_vectors(table, P, x + j, words, at, tokens + i + j, 4);
  else if (L >= 8)
    for (; i + L <= m; i += L)
      for (uint32_t j = 0; j < L; j += 8) pop_vectors(table, P, x + j, words, at, tokens + i + j, 1);
  return i;
}

#define AC_VECTOR_STEPS vector_steps
#define AC_WORD_SLACK 8
#define AC_COMPILED_FOR "avx2"
#include "scalar.c"

const ac_kernels ac_kernels_avx2 = TABLE(AC_COMPILED_FOR, crc32c_sse42);

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
