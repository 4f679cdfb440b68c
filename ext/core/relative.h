/* relative.h: pointwise relative bounds: floats to indices that grow with the logarithm, and back.
 *
 * Every octave is cut into the same bins, each no wider than the bound permits about its centre, by
 * integer arithmetic on the bits of the float: no logarithm, no rounding, so the bound holds by
 * construction and decoders agree on every bit (docs/guarantee.md).  With an absolute tolerance as
 * well, magnitudes below a power of two lie on the uniform lattice, and the octaves follow it.
 */
#ifndef AC_RELATIVE_H
#define AC_RELATIVE_H
#include "quantize.h"

enum {
  AC_COARSE_MIN_LOG2 = 13,                /* coarse bins for bounds of 2^-13 and more */
  AC_COARSE_BINS = 3072,                  /* more than ln 2 / (2 * 2^-13) */
  AC_SEGMENTS_LOG2 = 5,
  AC_SEGMENTS = 1 << AC_SEGMENTS_LOG2,
  AC_CELLS = 4096                         /* of an octave, in the table that finds a bin or a segment */
};

typedef struct {
  uint8_t dtype, significand, coarse;
  uint8_t bits;                           /* coarse: the octave is [2^bits, 2^(bits + 1)) */
  uint8_t cell_bits;                      /* coarse: an octave has 2^cell_bits cells; fine: a cell so many bins */
  uint32_t first_octave, last_octave;     /* exponent fields */
  uint64_t uniform;                       /* largest index of the uniform part */
  uint64_t bins;                          /* of an octave */
  uint64_t limit;                         /* first index that means infinity */
  ac_lattice lattice;                     /* of the uniform part; delta = 0: none */
  double small;                           /* magnitudes below it belong to the uniform part */
  /* coarse: the first unit and the centre of every bin, and the bin in which each cell begins (fine: the
   * segment) */
  uint32_t begin[AC_COARSE_BINS + 1], centre[AC_COARSE_BINS];
  uint16_t cell[AC_CELLS];
  /* fine: the first bin of every segment, and the half width of its bins */
  uint64_t first[AC_SEGMENTS + 1], half[AC_SEGMENTS];
} ac_relative;

/* The relative tolerance that the type can make use of: 0 if it permits no change of any number. */
double ac_relative_effective(int dtype, double rtol);

/* rtol must be effective. */
void ac_relative_make(ac_relative *r, int dtype, double rtol, const ac_lattice *lattice);

/* Of the uniform part. */
uint64_t ac_relative_uniform_value(const ac_relative *r, uint64_t index);
int ac_relative_uniform_index(const ac_relative *r, uint64_t bits, uint64_t *index);

/* The value of an index, as the bits of a float without its sign. */
static inline uint64_t ac_relative_value(const ac_relative *r, uint64_t index) {
  if (index <= r->uniform) return ac_relative_uniform_value(r, index);
  if (index >= r->limit) return (uint64_t)(r->last_octave + 1) << r->significand;
  const uint64_t above = index - r->uniform - 1;
  /* most indices fit 32 bits, whose division is the faster one */
  const uint64_t octave = (above | r->bins) >> 32 ? above / r->bins : (uint32_t)above / (uint32_t)r->bins;
  const uint64_t j = above - octave * r->bins;
  uint64_t unit;
  if (r->coarse) {
    unit = ((uint64_t)r->centre[j] << (r->significand - r->bits)) - (1ull << r->significand);
  } else {
    const uint64_t width = (1ull << r->significand) >> AC_SEGMENTS_LOG2;
    unsigned s = r->cell[j >> r->cell_bits];
    while (r->first[s + 1] <= j) s++;
    const uint64_t in = (j - r->first[s]) * (2 * r->half[s] + 1) + r->half[s];
    unit = s * width + (in < width ? in : width - 1);
  }
  return ((r->first_octave + octave) << r->significand) + unit;
}

/* The index of a magnitude (bits without the sign); returns 0 for what must be stored exactly. */
static inline int ac_relative_index(const ac_relative *r, uint64_t bits, uint64_t *index) {
  const uint64_t unit = bits & ((1ull << r->significand) - 1), octave = bits >> r->significand;
  *index = 0;
  if (!bits) return 1;
  if (octave > r->last_octave) return 0;
  if (octave < r->first_octave) return ac_relative_uniform_index(r, bits, index);
  uint64_t j;
  if (r->coarse) {
    const uint32_t in = (uint32_t)(unit >> (r->significand - r->bits)) + (1u << r->bits);
    j = r->cell[(in >> (r->bits - r->cell_bits)) - (1u << r->cell_bits)];
    while (r->begin[j + 1] <= in) j++;
  } else {
    const unsigned shift = r->significand - AC_SEGMENTS_LOG2;
    const uint64_t s = unit >> shift, in = unit - (s << shift), bin = 2 * r->half[s] + 1;
    j = r->first[s] + ((in | bin) >> 32 ? in / bin : (uint32_t)in / (uint32_t)bin);
  }
  *index = r->uniform + 1 + (octave - r->first_octave) * r->bins + j;
  return 1;
}
#endif
