/* split.h: floats, bit for bit, as integers that can be predicted, and as many bits of each as these leave out.
 *
 * Of a lattice of a power of two: k = sign * floor(|x| / 2^shift), and what k says of the exponent says how many bits of the
 * significand are left out; small values, with k = 0, have codes of their own.  Or of the ordered image of the float (equal
 * distances within an octave): all but its `shift` lowest bits.  What is left out is noise, as a rule, and stands as it is.  Or the
 * numbers of an affine lattice, and, where the arithmetic that made the values is not known to the last bit, by how many units in the
 * last place each is off what its number means.  Or a decimal number without its lowest digits.
 */
#ifndef AC_SPLIT_H
#define AC_SPLIT_H
#include "affine.h"
#include "decimal.h"

enum { AC_SPLIT_LATTICE, AC_SPLIT_IMAGE, AC_SPLIT_AFFINE, AC_SPLIT_DECIMAL, AC_SPLITS };

typedef struct {
  uint8_t kind;
  uint8_t idle;          /* of a lattice of a power of two: so many of the lowest bits of all significands are 0 */
  int16_t shift;         /* but of affine lattices; of decimals: digits, not bits */
  ac_affine_fit lattice; /* an affine one */
  uint8_t adjusted;      /* on which not all values lie bit for bit */
  ac_decimal decimal;
} ac_split;

/* Is there such a split of these floats? */
int ac_split_valid(const ac_split *split, const ac_type *type);

/* The finest split of a kind, but of affine lattices, whose integers span less than 2^30, for n values; those that are masked (1 in
 * `masked`) do not count.  0 if there is none. */
int ac_split_finest(unsigned kind, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, ac_split *split);

/* Integers less their base (0 where values are masked), and the mean number of bits that others leave out, or that it takes to
 * adjust or refuse them, of which the split of an affine lattice is set to what is less.  0 if they are too far apart. */
int ac_split_take(ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, int32_t *k, int64_t *base,
                  double *left_out);

/* The bits that are left out of values, behind each other, and then the codes of small ones: of those with the integer 0 of a lattice. */
typedef struct {
  uint8_t *bits;
  size_t size, small; /* bytes of both; in the beginning, `size` is that of the room */
} ac_left_out;

/* The adjustments, if the split has any; before what follows, and before the integers have residuals: it needs scratch.  0 if there is
 * not enough room. */
int ac_split_adjust(const ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, const ac_tuning *tuning,
                    ac_encode_scratch *s, ac_left_out *left);

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
  ac_reader small;      /* codes of small values, or the section of adjustments */
  ac_bitreader codes;   /* of small values: in `small` */
  const int8_t *adjustments; /* or NULL */
  int failed;         /* bits ran short */
} ac_split_reader;

/* All of it, from the split on; 0 if it is none. */
int ac_split_open(ac_reader *in, const ac_type *type, ac_split *split, ac_split_reader *reader);

/* The adjustments of n values, if there are any: AC_OK or an error.  They stay in scratch. */
int ac_split_load(ac_split_reader *reader, uint32_t n, ac_decode_scratch *s);

/* The next values, the first of which is number `at`, from their integers less the base. */
void ac_split_put(ac_split_reader *reader, int64_t base, const int32_t *k, uint32_t at, uint32_t n, void *values);

/* Were all bits read? */
int ac_split_ended(ac_split_reader *reader);
#endif
