/* types.h: element types, and the values that the stages see of them.
 *
 * A complex element is two values, a bool is a uint8, a datetime64 or timedelta64 an int64: below
 * codec.c there are only float16, bfloat16, float32, float64 and the eight integers.
 */
#ifndef AC_TYPES_H
#define AC_TYPES_H
#include <stddef.h>
#include <stdint.h>

#include "../arraycodec.h"

enum { AC_KIND_FLOAT, AC_KIND_SIGNED, AC_KIND_UNSIGNED };

typedef struct {
  uint8_t dtype;       /* of a value: AC_FLOAT32 .. AC_BFLOAT16, AC_INT8 .. AC_UINT64 */
  uint8_t size;        /* bytes of a value */
  uint8_t values;      /* per element; 0: no such type */
  uint8_t kind;
  uint8_t significand; /* floats: stored significand bits */
  uint16_t most;       /* floats: largest exponent field of finite numbers */
  uint8_t lossless;    /* no tolerance applies */
  uint8_t dated;       /* the header has a unit */
} ac_type;

static inline const ac_type *ac_type_of(int dtype) {
  static const ac_type types[] = {
      [AC_FLOAT32] = {AC_FLOAT32, 4, 1, AC_KIND_FLOAT, 23, 254, 0, 0},
      [AC_FLOAT64] = {AC_FLOAT64, 8, 1, AC_KIND_FLOAT, 52, 2046, 0, 0},
      [AC_FLOAT16] = {AC_FLOAT16, 2, 1, AC_KIND_FLOAT, 10, 30, 0, 0},
      [AC_BFLOAT16] = {AC_BFLOAT16, 2, 1, AC_KIND_FLOAT, 7, 254, 0, 0},
      [AC_COMPLEX64] = {AC_FLOAT32, 4, 2, AC_KIND_FLOAT, 23, 254, 0, 0},
      [AC_COMPLEX128] = {AC_FLOAT64, 8, 2, AC_KIND_FLOAT, 52, 2046, 0, 0},
      [AC_INT8] = {AC_INT8, 1, 1, AC_KIND_SIGNED, 0, 0, 0, 0},
      [AC_INT16] = {AC_INT16, 2, 1, AC_KIND_SIGNED, 0, 0, 0, 0},
      [AC_INT32] = {AC_INT32, 4, 1, AC_KIND_SIGNED, 0, 0, 0, 0},
      [AC_INT64] = {AC_INT64, 8, 1, AC_KIND_SIGNED, 0, 0, 0, 0},
      [AC_UINT8] = {AC_UINT8, 1, 1, AC_KIND_UNSIGNED, 0, 0, 0, 0},
      [AC_UINT16] = {AC_UINT16, 2, 1, AC_KIND_UNSIGNED, 0, 0, 0, 0},
      [AC_UINT32] = {AC_UINT32, 4, 1, AC_KIND_UNSIGNED, 0, 0, 0, 0},
      [AC_UINT64] = {AC_UINT64, 8, 1, AC_KIND_UNSIGNED, 0, 0, 0, 0},
      [AC_BOOL] = {AC_UINT8, 1, 1, AC_KIND_UNSIGNED, 0, 0, 1, 0},
      [AC_DATETIME64] = {AC_INT64, 8, 1, AC_KIND_SIGNED, 0, 0, 1, 1},
      [AC_TIMEDELTA64] = {AC_INT64, 8, 1, AC_KIND_SIGNED, 0, 0, 1, 1},
  };
  const size_t known = sizeof types / sizeof *types;
  return dtype >= 0 && (size_t)dtype < known && types[dtype].values ? &types[dtype] : NULL;
}

/* Values of the largest block are the same for all types. */
static inline uint32_t ac_max_block(const ac_type *type) { return AC_MAX_BLOCK / type->values; }

/* The largest whole tolerance of an integer type that changes anything, and whose step fits 64 bits. */
static inline uint64_t ac_most_whole(const ac_type *type) {
  return type->size == 8 ? (uint64_t)INT64_MAX : (1ull << (8 * type->size)) - 1;
}

/* ---- the two 16-bit floats ---- */
static inline float ac_float_of_bits(uint32_t u) { float f; __builtin_memcpy(&f, &u, 4); return f; }
static inline uint32_t ac_bits_of_float(float f) { uint32_t u; __builtin_memcpy(&u, &f, 4); return u; }

static inline float ac_from_bfloat16(uint16_t h) { return ac_float_of_bits((uint32_t)h << 16); }

/* To nearest even; for every number that is no NaN. */
static inline uint16_t ac_to_bfloat16(float f) {
  const uint32_t u = ac_bits_of_float(f);
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* The exponent is 112 too small after the shift, for subnormals too. */
static inline float ac_from_float16(uint16_t h) {
  const uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
  const float f = ac_float_of_bits(magnitude) * 0x1p112f;
  const uint32_t special = magnitude >= 0x7c00u << 13 ? 0x7f800000u : 0;
  return ac_float_of_bits(ac_bits_of_float(f) | special | (uint32_t)(h & 0x8000) << 16);
}

/* To nearest even, infinity beyond the range; for every number that is no NaN (after F. Giesen,
 * "float->half variants", 2012). */
static inline uint16_t ac_to_float16(float f) {
  const uint32_t u = ac_bits_of_float(f), magnitude = u & 0x7fffffff;
  /* subnormal: the addition rounds to multiples of 2^-24, the unit in the last place of 1/2 */
  const uint32_t small = ac_bits_of_float(ac_float_of_bits(magnitude) + 0.5f) - 0x3f000000;
  const uint32_t normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
  uint32_t h = magnitude < 113u << 23 ? small : normal;
  h = magnitude >= 143u << 23 ? 0x7c00 : h;
  return (uint16_t)(h | (u >> 16 & 0x8000));
}

/* ---- floats of any type, as their bits ---- */
static inline double ac_double_of_bits(int dtype, uint64_t bits) {
  double v;
  switch (dtype) {
    case AC_FLOAT64: __builtin_memcpy(&v, &bits, sizeof v); return v;
    case AC_FLOAT32: return (double)ac_float_of_bits((uint32_t)bits);
    case AC_FLOAT16: return (double)ac_from_float16((uint16_t)bits);
    default: return (double)ac_from_bfloat16((uint16_t)bits);
  }
}

/* Rounded as reconstructions are: 16-bit floats by way of float32. */
static inline uint64_t ac_bits_of_double(int dtype, double v) {
  uint64_t bits;
  switch (dtype) {
    case AC_FLOAT64: __builtin_memcpy(&bits, &v, sizeof bits); return bits;
    case AC_FLOAT32: return ac_bits_of_float((float)v);
    case AC_FLOAT16: return ac_to_float16((float)v);
    default: return ac_to_bfloat16((float)v);
  }
}
#endif
