/* split.h: floats, bit for bit, as integers that can be predicted, and as many bits of each as these leave out.
 *
 * Of a lattice of a power of two: k = sign * floor(|x| / 2^shift), and what k says of the exponent says how many bits of the
 * significand are left out.  Or of the ordered image of the float (equal distances within an octave): all but its `shift` lowest
 * bits.  The bits that are left out are noise, as a rule, and stand as they are. */
#ifndef AC_SPLIT_H
#define AC_SPLIT_H
#include "types.h"

enum { AC_SPLIT_LATTICE, AC_SPLIT_IMAGE, AC_SPLITS };

typedef struct {
  uint8_t kind;
  int16_t shift;
} ac_split;

/* Is there such a split of these floats? */
int ac_split_valid(const ac_split *split, const ac_type *type);

/* The finest split of a kind whose integers span less than 2^30, for n values of which those do not count that are masked
 * (1 in `masked`).  0 if there is none. */
int ac_split_finest(unsigned kind, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, ac_split *split);

/* Integers less their base (0 where values are masked), and the mean number of bits that they leave out.  0 if they are too far apart. */
int ac_split_take(const ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, int32_t *k, int64_t *base,
                  double *left_out);

typedef struct {
  uint8_t *bits;
  size_t size;
} ac_left_out;

/* The bits that are left out of n values that are not masked, behind each other, in at most `room` bytes; of those that
 * come back different, the indices go to refused[].  Returns how many bytes there are, or SIZE_MAX. */
size_t ac_split_write(const ac_split *split, const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, uint8_t *bits, size_t room,
                      uint32_t *refused, uint32_t *n_refused);

/* A reader of them. */
typedef struct {
  const ac_split *split;
  const ac_type *type;
  const uint8_t *bits, *masked; /* masked: or NULL */
  uint64_t size, bit;           /* bytes, and the bits that were read */
  int failed;                   /* they ran short */
} ac_split_reader;

/* The next values, the first of which is number `at`, from their integers less the base. */
void ac_split_put(ac_split_reader *reader, int64_t base, const int32_t *k, uint32_t at, uint32_t n, void *values);

/* Were all bits read? */
static inline int ac_split_ended(const ac_split_reader *r) { return !r->failed && (r->bit + 7) / 8 == r->size; }
#endif
