/* bitplane.h: the raw plane: 16 values of k bits each in 2k bytes, least significant bit first.
 *
 * Both functions are compiled once per width, so that every shift is a constant; the tables are
 * indexed by k (0 .. 25; entry 0 does nothing).
 */
#ifndef AC_BITPLANE_H
#define AC_BITPLANE_H
#include "windows.h"

typedef void (*ac_pack16_fn)(const uint32_t *low, uint8_t *plane);    /* 16 values < 2^k -> 2k bytes */
typedef void (*ac_unpack16_fn)(const uint8_t *plane, uint32_t *low);

AC_ALWAYS_INLINE void ac_pack16(const uint32_t *low, uint8_t *plane, const unsigned k) {
  uint64_t acc = 0;
  unsigned n = 0;
#pragma GCC unroll 16
  for (unsigned j = 0; j < 16; j++) {
    acc |= (uint64_t)low[j] << n;
    n += k;
    if (n >= 32) {
      ac_store32(plane, (uint32_t)acc);
      plane += 4;
      acc >>= 32;
      n -= 32;
    }
  }
  /* 16k bits are a whole number of 16-bit words */
  if (n) ac_store16(plane, (uint16_t)acc);
}

#define AC_PLANE_SLACK 4 /* unpacking may read this many bytes past the 2k */

AC_ALWAYS_INLINE void ac_unpack16(const uint8_t *plane, uint32_t *low, const unsigned k) {
#pragma GCC unroll 16
  for (unsigned j = 0; j < 16; j++)
    low[j] = ac_load32(plane + (j * k >> 3)) >> (j * k & 7) & ((1u << k) - 1);
}

#define AC_FOR_EACH_WIDTH(F) \
  F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16) F(17) F(18) F(19) F(20) \
  F(21) F(22) F(23) F(24) F(25)
#define AC_DEFINE_WIDTH(k) \
  static void pack16_##k(const uint32_t *low, uint8_t *plane) { ac_pack16(low, plane, k); } \
  static void unpack16_##k(const uint8_t *plane, uint32_t *low) { ac_unpack16(plane, low, k); }
#endif
