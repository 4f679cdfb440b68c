/* philox.h: random numbers by position: Philox4x64-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1,
 * 2, 3", SC 2011).  Every block of 256 bits depends on a key and the number of the block alone.
 *
 * Block i is the one with the counter (i + 1, 0, 0, 0): the blocks are then what NumPy's
 * np.random.Philox(key=key).random_raw() gives one after the other.
 */
#ifndef AC_PHILOX_H
#define AC_PHILOX_H
#include <stdint.h>

enum { AC_PHILOX_WORDS = 8 }; /* of 32 bits, in a block */

/* 64 x 64 bits to 128 without a compiler's own type for these. */
static inline uint64_t ac_multiply(uint64_t a, uint64_t b, uint64_t *low) {
#ifdef __SIZEOF_INT128__
  const unsigned __int128 product = (unsigned __int128)a * b;
  *low = (uint64_t)product;
  return (uint64_t)(product >> 64);
#else
  const uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
  const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (uint32_t)middle;
  *low = a * b;
  return a1 * b1 + (middle >> 32) + (other >> 32);
#endif
}

/* The lower halves of the 64-bit words come first. */
static inline void ac_philox(const uint64_t key[2], uint64_t i, uint32_t words[AC_PHILOX_WORDS]) {
  uint64_t c0 = i + 1, c1 = 0, c2 = 0, c3 = 0, k0 = key[0], k1 = key[1];
  for (unsigned round = 0; round < 10; round++) {
    uint64_t low0, low1;
    const uint64_t high0 = ac_multiply(0xD2E7470EE14C6C93u, c0, &low0);
    const uint64_t high1 = ac_multiply(0xCA5A826395121157u, c2, &low1);
    c0 = high1 ^ c1 ^ k0;
    c2 = high0 ^ c3 ^ k1;
    c1 = low1;
    c3 = low0;
    k0 += 0x9E3779B97F4A7C15u;
    k1 += 0xBB67AE8584CAA73Bu;
  }
  const uint64_t out[4] = {c0, c1, c2, c3};
  for (unsigned j = 0; j < AC_PHILOX_WORDS; j++) words[j] = (uint32_t)(out[j / 2] >> 32 * (j % 2));
}
#endif
