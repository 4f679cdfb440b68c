/* quantize.h: the uniform lattice, and one value's way onto it (the definition of the guarantee).
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

#include "types.h"

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "arraycodec cannot keep its bound under -ffast-math or -ffinite-math-only"
#endif

#define AC_QMAX (1 << 30)            /* largest |q| the quantizer accepts */
#define AC_FLOAT_EXACT_MAX (1 << 24) /* |R| up to here: float32 arithmetic gives the decoder's bits */

typedef struct {
  double tol, delta, inv; /* inv = 1/delta, encoder only */
  /* float32 short cut: accept in float32 what is nearer than limit_f to the lattice; for 16-bit
   * floats the reconstruction must be nearer than tol_f, too */
  float delta_f, inv_f, limit_f, tol_f;
} ac_lattice;

/* The lattice for a tolerance: delta is the largest admissible value <= 2 tol, a function of (tol,
 * dtype) only, so that rewritten chunks keep their values.  delta = 0 says: lossless.  dtype is that
 * of a value, and a float. */
double ac_lattice_delta(int dtype, double tol);
int ac_lattice_valid(int dtype, double delta); /* could ac_lattice_delta have returned it? */
ac_lattice ac_lattice_make(int dtype, double tol, double delta);

/* Is delta a float32?  It is a double for float64. */
static inline int ac_lattice_is_f32(int dtype) { return dtype != AC_FLOAT64; }

/* The decoder's arithmetic.  For float32 and |R| <= 2^29 the product of 29 and 24 bits is exact, so
 * there is one rounding.  The 16-bit floats are rounded again from float32, which every machine does
 * in one instruction or a few. */
static inline float ac_reconstruct_f32(int32_t r, double delta) { return (float)((double)r * delta); }
static inline double ac_reconstruct_f64(int32_t r, double delta) { return (double)r * delta; }
static inline uint16_t ac_reconstruct_f16(int32_t r, double delta) { return ac_to_float16((float)((double)r * delta)); }
static inline uint16_t ac_reconstruct_bf16(int32_t r, double delta) { return ac_to_bfloat16((float)((double)r * delta)); }

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

/* One value: writes q and returns 1, or returns 0 (the value goes to the exact store; q is then its
 * nearest multiple all the same, or 0 if there is none in range). */
#define AC_DEFINE_QUANTIZE(T, F, FROM)                                         \
  static inline int ac_quantize_##F(T x, const ac_lattice *l, int32_t *q) {    \
    const double value = FROM(x), v = ac_rint(value * l->inv);                 \
    *q = 0;                                                                    \
    if (!(fabs(v) <= AC_QMAX)) return 0;                                       \
    *q = (int32_t)v;                                                           \
    return ac_within(value, FROM(ac_reconstruct_##F(*q, l->delta)), l->tol);   \
  }
AC_DEFINE_QUANTIZE(float, f32, (double))
AC_DEFINE_QUANTIZE(double, f64, (double))
AC_DEFINE_QUANTIZE(uint16_t, f16, (double)ac_from_float16)
AC_DEFINE_QUANTIZE(uint16_t, bf16, (double)ac_from_bfloat16)

/* ---- edges ---- */
/* Where x' = T(q * delta) is rounded away from an end of q's bin, the values of the type at that end can
 * be farther than tol from it; if ulp <= 2 tol there is at most one, and it is known from x' alone.
 * ac_edge finds it: *edge is the last value of the type that lies between x' and the end of the bin
 * which x' was rounded away from, as the bits of an element.  Returns 0 if there is none. */
int ac_edge(int dtype, const void *reconstructed, double delta, void *edge);

enum { AC_EDGE_MAX = 1 << 27 }; /* largest |R|: (2R +- 1) * delta / 2 is exact */
#endif
