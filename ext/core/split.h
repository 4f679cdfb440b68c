/* split.h: floats, bit for bit, as integers that can be predicted, and as many bits of each as these leave out.
 *
 * Of a lattice of a power of two: k = sign * floor(|x| / 2^shift), and what k says of the exponent says how many bits of the
 * significand are left out; small values, with k = 0, have codes of their own.  Or of the ordered image of the float (equal
 * distances within an octave): all but its `shift` lowest bits.  What is left out is noise, as a rule, and stands as it is.  Or the
 * numbers of an affine lattice, which leave nothing out.
 */
#ifndef AC_SPLIT_H
#define AC_SPLIT_H
#include "affine.h"

enum { AC_SPLIT_LATTICE, AC_SPLIT_IMAGE, AC_SPLIT_AFFINE, AC_SPLITS };

typedef struct {
  uint8_t kind;
  uint8_t idle;          /* of a lattice of a power of two: so many of the lowest bits of all significands are 0 */
  int16_t shift;         /* but of affine lattices */
  ac_affine_fit lattice; /* an affine one */
} ac_split;

/* Is there such a split of these floats? */
int ac_split_valid(const ac_split *split, const ac_type *type);

/* The finest split of a kind, but of affine lattices, whose integers span less than 2^30, for n values; those that are masked (1 in
 * `masked`) do not count.  0 if there is none. */
int ac_split_finest(unsigned kind, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, ac_split *split);

/* Integers less their base (0 where values are masked), and the mean number of bits that others leave out, or that it takes to
 * refuse them.  0 if they are too far apart. */
int ac_split_take(const ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, int32_t *k, int64_t *base,
                  double *left_out);

/* The bits that are left out of values, behind each other, and then the codes of small ones: of those with the integer 0 of a lattice. */
typedef struct {
  uint8_t *bits;
  size_t size, small; /* bytes of both; in the beginning, `size` is that of the room */
} ac_left_out;

/* All of it, as far as there is room. */
void ac_split_write_all(ac_writer *out, const ac_split *split, const ac_left_out *left);

/* What n values leave out that are not masked.  Of those that come back different, the indices go to refused[].  0 if there is not
 * enough room. */
int ac_split_write(const ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, ac_left_out *left,
                   uint32_t *refused, uint32_t *n_refused);

/* A reader of them. */
typedef struct {
  const ac_split *split;
  const ac_type *type;
  const uint8_t *bits, *masked; /* masked: or NULL */
  uint64_t size, bit;           /* bytes, and the bits that were read */
  ac_reader small;
  ac_bitreader codes; /* of small values: in `small` */
  int failed;         /* bits ran short */
} ac_split_reader;

/* All of it, from the split on; 0 if it is none. */
int ac_split_open(ac_reader *in, const ac_type *type, ac_split *split, ac_split_reader *reader);

/* The next values, the first of which is number `at`, from their integers less the base. */
void ac_split_put(ac_split_reader *reader, int64_t base, const int32_t *k, uint32_t at, uint32_t n, void *values);

/* Were all bits read? */
int ac_split_ended(ac_split_reader *reader);
#endif
