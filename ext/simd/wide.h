/* wide.h: elements as integers of 64 bits and back, and these as high parts and low bytes: loops for the
 * compiler to vectorize, compiled again for every table.  Part of generic.h. */
#ifndef AC_WIDE_KERNELS_H
#define AC_WIDE_KERNELS_H
#include "kernels.h"

/* Elements of U bits with sign S, W of them left after the shift. */
#define DEFINE_IMAGE(U, S)                                                                                   \
  static void to_wide_##U(int image, unsigned shift, const void *values, uint32_t n, int64_t *wide) {         \
    const U *x = values;                                                                                      \
    const unsigned top = 8 * sizeof(U) - 1 - shift; /* the sign's place after the shift */                    \
    const U rest = (U)(((uint64_t)1 << top) - 1);                                                             \
    switch (image) {                                                                                          \
      case AC_IMAGE_SIGNED:                                                                                   \
        for (uint32_t i = 0; i < n; i++) wide[i] = (int64_t)((S)x[i] >> shift);                               \
        break;                                                                                                \
      case AC_IMAGE_UNSIGNED:                                                                                 \
        for (uint32_t i = 0; i < n; i++) wide[i] = (int64_t)(uint64_t)(x[i] >> shift);                        \
        break;                                                                                                \
      case AC_IMAGE_ORDERED:                                                                                  \
        for (uint32_t i = 0; i < n; i++) {                                                                    \
          const uint64_t magnitude = (U)(x[i] >> shift) & rest, sign = 0 - (uint64_t)(x[i] >> (8 * sizeof(U) - 1)); \
          wide[i] = (int64_t)(magnitude ^ sign);                                                              \
        }                                                                                                     \
        break;                                                                                                \
      default:                                                                                                \
        for (uint32_t i = 0; i < n; i++) {                                                                    \
          const uint64_t magnitude = (U)(x[i] >> shift) & rest;                                               \
          wide[i] = (int64_t)(magnitude << 1 | (x[i] >> (8 * sizeof(U) - 1)));                                \
        }                                                                                                     \
    }                                                                                                         \
  }                                                                                                           \
  static void from_wide_##U(int image, unsigned shift, const int64_t *wide, uint32_t n, void *values) {       \
    U *x = values;                                                                                            \
    const unsigned top = 8 * sizeof(U) - 1 - shift;                                                           \
    const uint64_t rest = ((uint64_t)1 << top) - 1;                                                           \
    switch (image) {                                                                                          \
      case AC_IMAGE_SIGNED:                                                                                   \
      case AC_IMAGE_UNSIGNED:                                                                                 \
        for (uint32_t i = 0; i < n; i++) x[i] = (U)((uint64_t)wide[i] << shift);                              \
        break;                                                                                                \
      case AC_IMAGE_ORDERED:                                                                                  \
        for (uint32_t i = 0; i < n; i++) {                                                                    \
          const uint64_t sign = (uint64_t)(wide[i] >> 63), magnitude = ((uint64_t)wide[i] ^ sign) & rest;     \
          x[i] = (U)((magnitude | (sign & 1) << top) << shift);                                               \
        }                                                                                                     \
        break;                                                                                                \
      default:                                                                                                \
        for (uint32_t i = 0; i < n; i++) {                                                                    \
          const uint64_t v = (uint64_t)wide[i];                                                               \
          x[i] = (U)(((v >> 1 & rest) | (v & 1) << top) << shift);                                            \
        }                                                                                                     \
    }                                                                                                         \
  }
DEFINE_IMAGE(uint8_t, int8_t)
DEFINE_IMAGE(uint16_t, int16_t)
DEFINE_IMAGE(uint32_t, int32_t)
DEFINE_IMAGE(uint64_t, int64_t)

static void to_wide(int image, unsigned size, unsigned shift, const void *x, uint32_t n, int64_t *wide) {
  switch (size) {
    case 1: to_wide_uint8_t(image, shift, x, n, wide); break;
    case 2: to_wide_uint16_t(image, shift, x, n, wide); break;
    case 4: to_wide_uint32_t(image, shift, x, n, wide); break;
    default: to_wide_uint64_t(image, shift, x, n, wide);
  }
}

static void from_wide(int image, unsigned size, unsigned shift, const int64_t *wide, uint32_t n, void *x) {
  switch (size) {
    case 1: from_wide_uint8_t(image, shift, wide, n, x); break;
    case 2: from_wide_uint16_t(image, shift, wide, n, x); break;
    case 4: from_wide_uint32_t(image, shift, wide, n, x); break;
    default: from_wide_uint64_t(image, shift, wide, n, x);
  }
}

static void extent(const int64_t *wide, uint32_t n, int64_t *least, int64_t *most) {
  int64_t low = wide[0], high = wide[0];
  for (uint32_t i = 0; i < n; i++) {
    low = wide[i] < low ? wide[i] : low;
    high = wide[i] > high ? wide[i] : high;
  }
  *least = low;
  *most = high;
}

static void divide(const int64_t *wide, uint32_t n, int64_t base, unsigned bytes, int32_t *high, uint8_t *low,
                   size_t plane) {
  for (uint32_t i = 0; i < n; i++) high[i] = (int32_t)((int64_t)((uint64_t)wide[i] - (uint64_t)base) >> (8 * bytes));
  for (unsigned j = 0; j < bytes; j++, low += plane)
    for (uint32_t i = 0; i < n; i++) low[i] = (uint8_t)(((uint64_t)wide[i] - (uint64_t)base) >> (8 * j));
}

static void join(const int32_t *high, const uint8_t *low, size_t plane, uint32_t n, int64_t base, unsigned bytes,
                 int64_t *wide) {
  for (uint32_t i = 0; i < n; i++) wide[i] = (int64_t)(((uint64_t)(int64_t)high[i] << (8 * bytes)) + (uint64_t)base);
  for (unsigned j = 0; j < bytes; j++, low += plane)
    for (uint32_t i = 0; i < n; i++) wide[i] = (int64_t)((uint64_t)wide[i] + ((uint64_t)low[i] << (8 * j)));
}
#endif
