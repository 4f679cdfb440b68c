/* doubles.c: see doubles.h. */
#include "doubles.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "bytes.h"

void ac_load_doubles(int dtype, const void *src, uint64_t from, unsigned n, double *x) {
  const uint8_t *const p = src;
  switch (dtype) {
    case AC_FLOAT64: memcpy(x, p + 8 * from, n * sizeof *x); break;
    case AC_FLOAT32:
      for (unsigned i = 0; i < n; i++) x[i] = (double)ac_float_of_bits(ac_load32(p + 4 * (from + i)));
      break;
    case AC_FLOAT16:
      for (unsigned i = 0; i < n; i++) x[i] = (double)ac_from_float16(ac_load16(p + 2 * (from + i)));
      break;
    default:
      for (unsigned i = 0; i < n; i++) x[i] = (double)ac_from_bfloat16(ac_load16(p + 2 * (from + i)));
  }
}

static double largest_of(int dtype) {
  switch (dtype) {
    case AC_FLOAT64: return DBL_MAX;
    case AC_FLOAT32: return (double)FLT_MAX;
    case AC_FLOAT16: return 65504;
    default: return 0x1.fep127;
  }
}

void ac_store_doubles(int dtype, const double *x, unsigned n, void *dst, uint64_t from) {
  const double most = largest_of(dtype);
  /* what is no number (a difference of infinities, in chunks that no encoder wrote) becomes one, the same everywhere */
#define STORE(type, convert)                                              \
  for (unsigned i = 0; i < n; i++) {                                      \
    const double v = !(x[i] <= most) ? most : x[i] < -most ? -most : x[i]; \
    const type to = convert(v);                                           \
    memcpy((uint8_t *)dst + (from + i) * sizeof to, &to, sizeof to);      \
  }
#define TO_FLOAT16(v) ac_to_float16((float)(v))
#define TO_BFLOAT16(v) ac_to_bfloat16((float)(v))
  switch (dtype) {
    case AC_FLOAT64: STORE(double, ) break;
    case AC_FLOAT32: STORE(float, (float)) break;
    case AC_FLOAT16: STORE(uint16_t, TO_FLOAT16) break;
    default: STORE(uint16_t, TO_BFLOAT16)
  }
#undef TO_BFLOAT16
#undef TO_FLOAT16
#undef STORE
}

double ac_spacing(const ac_type *type, double magnitude) {
  const int least = 1 - type->most / 2; /* exponent of the smallest normal number */
  int e;
  frexp(magnitude, &e); /* 2^e is the next power of two above it */
  return ldexp(1, (e < least ? least : e) - type->significand);
}
