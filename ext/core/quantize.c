/* quantize.c: choice of the uniform lattice from (tol, dtype), and edges.  First stage of the pipeline, and with its
 * kernels the only one that loses anything.
 *
 * Invariants: delta is a normal number of the element type (float32 arithmetic may then replace
 * double where |R| <= 2^24), or 0 for lossless; it never depends on the data, because a step taken
 * from a chunk's contents lets values drift when the chunk is rewritten with other neighbours
 * (measured: 1.95 tol after one rewrite).
 */
#include "quantize.h"

#include <string.h>

#include "../arraycodec.h"

double ac_lattice_delta(int dtype, double tol) {
  double step = 2 * tol;
  if (ac_lattice_is_f32(dtype)) {
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
  if (ac_lattice_is_f32(dtype)) return delta >= FLT_MIN && delta <= FLT_MAX && (double)(float)delta == delta;
  return delta >= DBL_MIN && delta <= DBL_MAX;
}

ac_lattice ac_lattice_make(int dtype, double tol, double delta) {
  ac_lattice l = {tol, delta, 0, 0, 0, 0, 0};
  if (delta == 0) return l;
  l.inv = 1 / delta;
  if (ac_lattice_is_f32(dtype)) {
    l.delta_f = (float)delta;
    l.inv_f = (float)l.inv;
    /* Half a step less 2^-8 of it: whatever float32 rounding did on the way, a value this near to
     * q * delta (|q| <= 2^14) has q as its nearest integer and an error below tol. */
    l.limit_f = (float)(delta * 0.5 * (1 - 0x1p-8));
    l.tol_f = tol > FLT_MAX ? FLT_MAX : (float)tol;
    if ((double)l.tol_f > tol) l.tol_f = nextafterf(l.tol_f, 0);
  }
  return l;
}

/* ---- edges ---- */
/* Floats as integers in their order, to step from one to the next. */
static int32_t ordered(uint32_t bits, unsigned width) {
  const uint32_t sign = 1u << (width - 1);
  return bits & sign ? -(int32_t)(bits & (sign - 1)) : (int32_t)bits;
}

static uint32_t from_ordered(int32_t v, unsigned width) {
  return v < 0 ? (uint32_t)-v | 1u << (width - 1) : (uint32_t)v;
}

int ac_edge(int dtype, const void *reconstructed, double delta, void *edge) {
  const unsigned size = dtype == AC_FLOAT32 ? 4 : 2;
  uint32_t bits = 0;
  memcpy(&bits, reconstructed, size);
  const double x = ac_double_of_bits(dtype, bits), r = ac_rint(x / delta);
  if (!(fabs(r) <= AC_EDGE_MAX) || !isfinite(x)) return 0;
  const double exact = r * delta;
  if (x == exact) return 0;
  const int up = x < exact; /* rounded down: the upper end */
  const double end = (up ? 2 * r + 1 : 2 * r - 1) * (delta / 2);
  bits = (uint32_t)ac_bits_of_double(dtype, end);
  const double nearest = ac_double_of_bits(dtype, bits);
  if (up ? nearest > end : nearest < end) bits = from_ordered(ordered(bits, 8 * size) + (up ? -1 : 1), 8 * size);
  memcpy(edge, &bits, size);
  return 1;
}
