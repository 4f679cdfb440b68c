/* check.c: the promise, checked from outside the pipeline: compares an array with its decoded copy
 * in exact arithmetic.  Used by `arraycodec verify` and `prove`, the benchmarks and the tests.
 *
 * Invariant: shares nothing with the codec but ac_within (proved in docs/guarantee.md), the table of types
 * and the conversion of 16-bit floats.
 */
#include <string.h>

#include "../arraycodec.h"
#include "fpenv.h"
#include "quantize.h"

/* Is |x - y| <= rtol |x| in exact arithmetic?  Both sides as a rounded number and its error (Knuth's TwoSum,
 * and a fused product): rounding is monotone, so different roundings decide, and equal ones leave it to
 * the errors. */
static int within_relative(double x, double y, double rtol) {
  if (fabs(x) < 0x1p-700) { /* the product's error must not underflow */
    x *= 0x1p320;
    y *= 0x1p320;
  }
  const double s = x - y, b = s - x, e = (x - (s - b)) + (-y - b); /* s + e = x - y */
  const double d = fabs(s), d_error = s < 0 ? -e : e;
  const double p = rtol * fabs(x), p_error = fma(rtol, fabs(x), -p);
  return d < p || (d == p && d_error <= p_error);
}

#define DEFINE_CHECK_FLOAT(T, F, FROM)                                                          \
  static void check_##F(const T *a, const T *b, size_t n, const ac_tolerance *t, ac_check *r) {  \
    for (size_t i = 0; i < n; i++) {                                                            \
      const double x = FROM(a[i]), y = FROM(b[i]);                                              \
      const int is_fill = t->fill && !memcmp(&a[i], t->fill, sizeof a[i]);                      \
      if (isfinite(x) && isfinite(y) && !is_fill) {                                             \
        const double d = fabs(x - y);                                                           \
        r->violations += !ac_within(x, y, t->absolute) && !(t->relative > 0 && within_relative(x, y, t->relative)); \
        if (d > r->max_error) r->max_error = d;                                                 \
      } else {                                                                                  \
        const int lost = memcmp(&a[i], &b[i], sizeof a[i]) != 0;                                \
        r->violations += (unsigned)lost;                                                        \
        r->lost += (unsigned)lost;                                                              \
      }                                                                                         \
    }                                                                                           \
  }
DEFINE_CHECK_FLOAT(float, f32, (double))
DEFINE_CHECK_FLOAT(double, f64, (double))
DEFINE_CHECK_FLOAT(uint16_t, f16, (double)ac_from_float16)
DEFINE_CHECK_FLOAT(uint16_t, bf16, (double)ac_from_bfloat16)

/* `absolute` as a whole number: a distance of 64-bit integers fits 64 bits. */
static uint64_t whole_of(double absolute) { return absolute < 0x1p64 ? (uint64_t)absolute : UINT64_MAX; }

#define DEFINE_CHECK_INT(T)                                                                       \
  static void check_##T(const T *a, const T *b, size_t n, const ac_tolerance *t, ac_check *r) {    \
    const uint64_t most = whole_of(t->absolute);                                                  \
    for (size_t i = 0; i < n; i++) {                                                              \
      const uint64_t d = a[i] > b[i] ? (uint64_t)a[i] - (uint64_t)b[i] : (uint64_t)b[i] - (uint64_t)a[i]; \
      const int lost = t->fill && d && !memcmp(&a[i], t->fill, sizeof a[i]);                      \
      r->violations += lost || d > most;                                                          \
      r->lost += (unsigned)lost;                                                                  \
      if ((double)d > r->max_error) r->max_error = (double)d;                                     \
    }                                                                                             \
  }
DEFINE_CHECK_INT(int8_t)
DEFINE_CHECK_INT(int16_t)
DEFINE_CHECK_INT(int32_t)
DEFINE_CHECK_INT(int64_t)
DEFINE_CHECK_INT(uint8_t)
DEFINE_CHECK_INT(uint16_t)
DEFINE_CHECK_INT(uint32_t)
DEFINE_CHECK_INT(uint64_t)

int ac_check_bound(int dtype, const void *a, const void *b, size_t n, const ac_tolerance *tolerance, ac_check *result) {
  const ac_type *type = ac_type_of(dtype);
  if (!type || !(tolerance->absolute >= 0) || tolerance->absolute > DBL_MAX) return AC_E_PARAM;
  if (!(tolerance->relative >= 0) || !(tolerance->relative < 1)) return AC_E_PARAM;
  const ac_fpenv saved = ac_fpenv_enter();
  ac_tolerance t = *tolerance;
  if (type->lossless) t.absolute = t.relative = 0;
  if (type->values > 1) { /* the parts of complex elements; a fill value is looked for in whole elements */
    t.fill = NULL;
    n *= type->values;
  }
  *result = (ac_check){0, 0, 0};
  switch (type->dtype) {
    case AC_FLOAT32: check_f32(a, b, n, &t, result); break;
    case AC_FLOAT64: check_f64(a, b, n, &t, result); break;
    case AC_FLOAT16: check_f16(a, b, n, &t, result); break;
    case AC_BFLOAT16: check_bf16(a, b, n, &t, result); break;
    case AC_INT8: check_int8_t(a, b, n, &t, result); break;
    case AC_INT16: check_int16_t(a, b, n, &t, result); break;
    case AC_INT32: check_int32_t(a, b, n, &t, result); break;
    case AC_INT64: check_int64_t(a, b, n, &t, result); break;
    case AC_UINT8: check_uint8_t(a, b, n, &t, result); break;
    case AC_UINT16: check_uint16_t(a, b, n, &t, result); break;
    case AC_UINT32: check_uint32_t(a, b, n, &t, result); break;
    default: check_uint64_t(a, b, n, &t, result);
  }
  if (type->values > 1 && tolerance->fill) {
    const size_t size = (size_t)type->size * type->values;
    for (size_t i = 0; i < n / type->values; i++) {
      const uint8_t *x = (const uint8_t *)a + i * size, *y = (const uint8_t *)b + i * size;
      const int lost = !memcmp(x, tolerance->fill, size) && memcmp(x, y, size);
      result->violations += (unsigned)lost;
      result->lost += (unsigned)lost;
    }
  }
  ac_fpenv_leave(saved);
  return AC_OK;
}
