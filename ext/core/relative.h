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
  AC_CELLS = 4096                         /* of an octave, in the table that finds a coarse bin */
};

typedef struct {
  uint8_t dtype, significand, coarse;
  uint8_t bits;                           /* coarse: the octave is [2^bits, 2^(bits + 1)) */
  uint8_t cell_bits;                      /* coarse: an octave has 2^cell_bits cells */
  uint32_t first_octave, last_octave;     /* exponent fields */
  uint64_t uniform;                       /* largest index of the uniform part */
  uint64_t bins;                          /* of an octave */
  uint64_t limit;                         /* first index that means infinity */
  ac_lattice lattice;                     /* of the uniform part; delta = 0: none */
  double small;                           /* magnitudes below it belong to the uniform part */
  /* coarse: the first unit and the centre of every bin, and the bin in which each cell begins */
  uint32_t begin[AC_COARSE_BINS + 1], centre[AC_COARSE_BINS];
  uint16_t cell[AC_CELLS];
  /* fine: the first bin of every segment, and the half width of its bins */
  uint64_t first[AC_SEGMENTS + 1], half[AC_SEGMENTS];
} ac_relative;

/* The relative tolerance that the type can make use of: 0 if it permits no change of any number. */
double ac_relative_effective(int dtype, double rtol);

/* rtol must be effective. */
void ac_relative_make(ac_relative *r, int dtype, double rtol, const ac_lattice *lattice);

/* The value of an index, as the bits of a float without its sign. */
uint64_t ac_relative_value(const ac_relative *r, uint64_t index);

/* The index of a magnitude (bits without the sign); returns 0 for what must be stored exactly. */
int ac_relative_index(const ac_relative *r, uint64_t bits, uint64_t *index);
#endif
