/* crc32c_x86.h: CRC32C with the instruction that SSE4.2 has for it, for the tables of x86-64.
 *
 * The instruction takes eight bytes in three cycles, but one can start every cycle: three streams side
 * by side, joined by a carry-less product with x^n mod P (V. Gopal et al., "Fast CRC computation for
 * iSCSI polynomial using CRC32 instruction", Intel 2011).  Needs SSE4.2 and PCLMULQDQ.
 */
#ifndef AC_CRC32C_X86_H
#define AC_CRC32C_X86_H
#include <immintrin.h>

#include "../core/bytes.h"

#define AC_CRC_TARGET __attribute__((target("sse4.2,pclmul")))

/* crc * x^n, where factor is x^(n - 33) mod P with its bits reversed. */
AC_CRC_TARGET static inline uint64_t crc_shift(uint64_t crc, uint32_t factor) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)factor), 0);
  return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

AC_CRC_TARGET static inline uint64_t crc_bytes(uint64_t crc, const uint8_t *p, size_t size) {
  for (; size >= 8; size -= 8, p += 8) crc = _mm_crc32_u64(crc, ac_load64(p));
  for (; size; size--) crc = _mm_crc32_u8((uint32_t)crc, *p++);
  return crc;
}

AC_CRC_TARGET static inline uint32_t crc32c_sse42(const void *data, size_t size) {
  enum { STREAM = 512 }; /* bytes of each of the three */
  const uint8_t *p = data;
  uint64_t crc = 0xFFFFFFFFu;
  for (; size >= 3 * STREAM; size -= 3 * STREAM, p += 3 * STREAM) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < STREAM; i += 8) {
      crc = _mm_crc32_u64(crc, ac_load64(p + i));
      second = _mm_crc32_u64(second, ac_load64(p + STREAM + i));
      third = _mm_crc32_u64(third, ac_load64(p + 2 * STREAM + i));
    }
    crc = crc_shift(crc, 0x170076fa) ^ crc_shift(second, 0xdd7e3b0c) ^ third; /* n = 2 and 1 streams */
  }
  return ~(uint32_t)crc_bytes(crc, p, size);
}
#endif
