/* quantize.c: choice of the lattice from (tol, dtype).  First stage of the pipeline, and with its
 * kernels the only one that loses anything.
 *
 * Invariants: delta is a normal number of the element type (float32 arithmetic may then replace
 * double where |R| <= 2^24), or 0 for lossless; it never depends on the data, because a step taken
 * from a chunk's contents lets values drift when the chunk is rewritten with other neighbours
 * (measured: 1.95 tol after one rewrite).
 */
#include "quantize.h"

#include "../arraycodec.h"

double ac_lattice_delta(int dtype, double tol) {
  double step = 2 * tol;
  if (dtype == AC_FLOAT32) {
    if (step > FLT_MAX) step = FLT_MAX;
    float f = (float)step;
    if ((double)f > step) f = nextafterf(f, 0);
    return f >= FLT_MIN ? (double)f : 0;
  }
  if (step > DBL_MAX) step = DBL_MAX;
  return step >= DBL_MIN ? step : 0;
}

int ac_lattice_valid(int dtype, double delta) {
  if (delta == 0) return !signbit(delta);
  if (dtype == AC_FLOAT32) return delta >= FLT_MIN && delta <= FLT_MAX && (double)(float)delta == delta;
  return delta >= DBL_MIN && delta <= DBL_MAX;
}

ac_lattice ac_lattice_make(int dtype, double tol, double delta) {
  ac_lattice l = {tol, delta, 0, 0, 0, 0};
  if (delta == 0) return l;
  l.inv = 1 / delta;
  if (dtype == AC_FLOAT32) {
    l.delta_f = (float)delta;
    l.inv_f = (float)l.inv;
    /* Half a step less 2^-8 of it: whatever float32 rounding did on the way, a value this near to
     * q * delta (|q| <= 2^14) has q as its nearest integer and an error below tol. */
    l.limit_f = (float)(delta * 0.5 * (1 - 0x1p-8));
  }
  return l;
}
