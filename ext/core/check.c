/* check.c: the promise, checked from outside the pipeline: compares an array with its decoded copy
 * in exact arithmetic.  Used by `arraycodec verify`, the benchmarks and the tests.
 *
 * Invariant: shares nothing with the codec but ac_within (proved in docs/guarantee.md).
 */
#include "../arraycodec.h"
#include "fpenv.h"
#include "quantize.h"

#define DEFINE_CHECK(T, U, NAME)                                                    \
  static void NAME(const T *a, const T *b, size_t n, double tol, ac_check *r) {     \
    for (size_t i = 0; i < n; i++) {                                                \
      if (isfinite(a[i]) && isfinite(b[i])) {                                       \
        const double x = a[i], y = b[i], d = fabs(x - y);                           \
        r->violations += !ac_within(x, y, tol);                                     \
        if (d > r->max_error) r->max_error = d;                                     \
      } else {                                                                      \
        U u, v;                                                                     \
        __builtin_memcpy(&u, &a[i], sizeof u);                                      \
        __builtin_memcpy(&v, &b[i], sizeof v);                                      \
        r->violations += u != v;                                                    \
        r->lost += u != v;                                                          \
      }                                                                             \
    }                                                                               \
  }
DEFINE_CHECK(float, uint32_t, check_f32)
DEFINE_CHECK(double, uint64_t, check_f64)

int ac_check_bound(int dtype, const void *a, const void *b, size_t n, double tol, ac_check *result) {
  if (!(tol >= 0) || tol > DBL_MAX || (dtype != AC_FLOAT32 && dtype != AC_FLOAT64)) return AC_E_PARAM;
  const ac_fpenv saved = ac_fpenv_enter();
  *result = (ac_check){0, 0, 0};
  if (dtype == AC_FLOAT32) check_f32(a, b, n, tol, result);
  else check_f64(a, b, n, tol, result);
  ac_fpenv_leave(saved);
  return AC_OK;
}
