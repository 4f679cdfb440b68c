/* quantize.h: the lattice, and one value's way onto it (the definition of the guarantee).
 *
 * Reconstructions are integer multiples of delta.  ac_reconstruct_* is the decoder's arithmetic;
 * ac_quantize_* chooses the nearest multiple, reconstructs it with exactly that arithmetic and
 * accepts it only if the error is at most tol in exact arithmetic (docs/guarantee.md).  The bulk
 * kernels in ext/simd/ may take short cuts, but give the same integer and the same verdict.
 */
#ifndef AC_QUANTIZE_H
#define AC_QUANTIZE_H
#include <float.h>
#include <math.h>
#include <stdint.h>

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "arraycodec cannot keep its bound under -ffast-math or -ffinite-math-only"
#endif

#define AC_QMAX (1 << 30)            /* largest |q| the quantizer accepts */
#define AC_FLOAT_EXACT_MAX (1 << 24) /* |R| up to here: float32 arithmetic gives the decoder's bits */

typedef struct {
  double tol, delta, inv; /* inv = 1/delta, encoder only */
  /* float32 short cut: accept in float32 what is nearer than limit_f to its reconstruction */
  float delta_f, inv_f, limit_f;
} ac_lattice;

/* The lattice for a tolerance: delta is the largest admissible value <= 2 tol, a function of (tol,
 * dtype) only, so that rewritten chunks keep their values.  delta = 0 says: lossless. */
double ac_lattice_delta(int dtype, double tol);
int ac_lattice_valid(int dtype, double delta); /* could ac_lattice_delta have returned it? */
ac_lattice ac_lattice_make(int dtype, double tol, double delta);

/* The decoder's arithmetic.  For float32 and |R| <= 2^29 the product of 29 and 24 bits is exact, so
 * there is one rounding. */
static inline float ac_reconstruct_f32(int32_t r, double delta) { return (float)((double)r * delta); }
static inline double ac_reconstruct_f64(int32_t r, double delta) { return (double)r * delta; }

/* Round to nearest, ties to even, without a call: exact for |v| < 2^51. */
static inline double ac_rint(double v) {
  const double magic = 6755399441055744.0; /* 1.5 * 2^52 */
  return (v + magic) - magic;
}

/* Is |x - r| <= tol in exact arithmetic?  Rounding is monotone and tol is a double, so a rounded
 * difference below tol proves it.  At equality the rounding error of the subtraction decides
 * (Knuth's TwoSum, The Art of Computer Programming 2, 4.2.2).  NaN compares false: refused. */
static inline int ac_within(double x, double r, double tol) {
  const double s = x - r, d = fabs(s);
  if (d < tol) return 1;
  if (!(d == tol)) return 0;
  const double b = s - x, error = (x - (s - b)) + (-r - b);
  return s > 0 ? error <= 0 : error >= 0;
}

/* One value: writes q and returns 1, or returns 0 (the value goes to the exact store). */
static inline int ac_quantize_f32(float x, const ac_lattice *l, int32_t *q) {
  const double v = ac_rint((double)x * l->inv);
  if (!(fabs(v) <= AC_QMAX)) return 0;
  *q = (int32_t)v;
  return ac_within((double)x, (double)ac_reconstruct_f32(*q, l->delta), l->tol);
}
static inline int ac_quantize_f64(double x, const ac_lattice *l, int32_t *q) {
  const double v = ac_rint(x * l->inv);
  if (!(fabs(v) <= AC_QMAX)) return 0;
  *q = (int32_t)v;
  return ac_within(x, ac_reconstruct_f64(*q, l->delta), l->tol);
}
#endif
