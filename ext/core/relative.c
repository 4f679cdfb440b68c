/* relative.c: see relative.h.  Takes the place of quantize.c where a relative tolerance is given: first
 * stage of the pipeline, loses what the bound permits.
 *
 * Invariants: the tables are a function of (dtype, rtol, delta) only, made of integers (one division of
 * doubles finds where the uniform part ends); a decoded value is coded as itself again.
 */
#include "relative.h"

/* rtol cut to 29 bits: A / 2^t. */
enum { RTOL_BITS = 29 };

static void split_rtol(double rtol, uint64_t *A, unsigned *t) {
  int exponent;
  const double fraction = frexp(rtol, &exponent); /* in [1/2, 1) */
  *A = (uint64_t)(fraction * (1 << RTOL_BITS));
  *t = (unsigned)(RTOL_BITS - exponent);
}

double ac_relative_effective(int dtype, double rtol) {
  const ac_type *type = ac_type_of(dtype);
  if (type->kind != AC_KIND_FLOAT || !(rtol > 0)) return 0;
  return rtol >= ldexp(1, -type->significand - 1) ? rtol : 0;
}

static void make_coarse(ac_relative *r, uint64_t A, unsigned t) {
  const uint64_t octave = 1ull << r->bits, end = 2 * octave;
  const unsigned __int128 one = (unsigned __int128)1 << t;
  const int whole = r->bits == r->significand; /* a unit is one float, not an interval of them */
  uint64_t lo = octave;
  uint32_t n = 0;
  while (lo < end) {
    uint64_t c = lo + (uint64_t)((unsigned __int128)lo * A >> t);
    if (c > end - 1) c = end - 1;
    r->begin[n] = (uint32_t)lo;
    r->centre[n++] = (uint32_t)c;
    const unsigned __int128 high = c * one / (one - A);
    lo = high >= end ? end : (uint64_t)high + (uint64_t)whole;
  }
  r->bins = n;
  for (; n <= AC_COARSE_BINS; n++) r->begin[n] = UINT32_MAX; /* looked at behind the last one */
  r->cell_bits = r->bits < 12 ? r->bits : 12;
  n = 0;
  for (uint32_t i = 0; i < 1u << r->cell_bits; i++) {
    const uint32_t unit = (uint32_t)(octave + ((uint64_t)i << (r->bits - r->cell_bits)));
    while (r->begin[n + 1] <= unit) n++;
    r->cell[i] = (uint16_t)n;
  }
}

static void make_fine(ac_relative *r, uint64_t A, unsigned t) {
  const uint64_t octave = 1ull << r->significand, width = octave >> AC_SEGMENTS_LOG2;
  r->first[0] = 0;
  for (unsigned s = 0; s < AC_SEGMENTS; s++) {
    r->half[s] = (uint64_t)((unsigned __int128)(octave + s * width) * A >> t);
    const uint64_t bin = 2 * r->half[s] + 1;
    r->first[s + 1] = r->first[s] + (width + bin - 1) / bin;
  }
  r->bins = r->first[AC_SEGMENTS];
  r->cell_bits = 0;
  while (r->bins >> r->cell_bits >= AC_CELLS) r->cell_bits++;
  for (uint64_t i = 0, s = 0; i <= (r->bins - 1) >> r->cell_bits; i++) {
    while (r->first[s + 1] <= i << r->cell_bits) s++;
    r->cell[i] = (uint16_t)s;
  }
}

void ac_relative_make(ac_relative *r, int dtype, double rtol, const ac_lattice *lattice) {
  const ac_type *type = ac_type_of(dtype);
  uint64_t A;
  unsigned t;
  split_rtol(rtol, &A, &t);
  r->dtype = (uint8_t)dtype;
  r->significand = type->significand;
  r->coarse = type->significand <= 10 || t - RTOL_BITS < AC_COARSE_MIN_LOG2;
  r->bits = type->significand < RTOL_BITS ? type->significand : RTOL_BITS;
  r->lattice = *lattice;
  if (r->coarse) make_coarse(r, A, t);
  else make_fine(r, A, t);

  const int bias = type->most / 2;
  r->uniform = 0;
  r->first_octave = 1;
  r->last_octave = type->most;
  if (lattice->delta != 0) {
    int p, s;
    const double a = frexp(lattice->delta / 2, &p), b = frexp(ldexp((double)A, -(int)t), &s);
    const int e = p - s + (a > b) + bias;
    r->first_octave = e < 1 ? 1 : (uint32_t)e;
    const double most = 0x1p53;
    const double bins = e > type->most ? most : ceil(ldexp(1, (int)r->first_octave - bias) / lattice->delta);
    r->uniform = bins < most ? (uint64_t)bins : (uint64_t)most;
  }
  const int octaves = (int)r->last_octave - (int)r->first_octave + 1;
  r->limit = r->uniform + 1 + (octaves > 0 ? (uint64_t)octaves * r->bins : 0);
  r->small = octaves > 0 ? ldexp(1, (int)r->first_octave - bias) : INFINITY;
}

/* The uniform part: as quantize.h, but for integers of up to 53 bits. */
uint64_t ac_relative_uniform_value(const ac_relative *r, uint64_t index) {
  return index ? ac_bits_of_double(r->dtype, (double)index * r->lattice.delta) : 0;
}

int ac_relative_uniform_index(const ac_relative *r, uint64_t bits, uint64_t *index) {
  if (r->lattice.delta == 0) return 0;
  const double x = ac_double_of_bits(r->dtype, bits), v = ac_rint(x * r->lattice.inv);
  if (!(v <= (double)r->uniform) || v >= 0x1p51) return 0;
  *index = (uint64_t)v;
  const double back = ac_double_of_bits(r->dtype, ac_relative_uniform_value(r, *index));
  /* a value that came out as large as the octaves would be coded as one of theirs the next time */
  return back < r->small && ac_within(x, back, r->lattice.tol);
}
