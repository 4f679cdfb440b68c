/* field_values.h: the values of a predicted block as integers on a lattice, and which of them are listed. */
#ifndef AC_FIELD_VALUES_H
#define AC_FIELD_VALUES_H
#include "contexts.h"
#include "fine.h"

/* What is known of a value. */
enum {
  AC_MASKED = AC_SKIPPED,
  AC_FIXED = 2,  /* may have been put out before: comes back unchanged */
  AC_APART = 4,  /* the same, but this lattice has not got it: listed */
  AC_ROUNDED = 8 /* beyond the limits of this lattice: listed, on the uniform one */
};

/* Integers (of a scale that is not of floats) as others of 32 bits, from a base in their middle: 0 if those that are not masked are
 * too far apart. */
int ac_field_integers(const ac_scale *scale, const void *values, uint32_t n, const uint8_t *known, int32_t *x, int64_t *base);

/* Integers nearest on the lattice of a fold, and what is known of the values beside AC_MASKED: 0 if this lattice is not for
 * them.  Beyond its limits, where nobody would know values again, there may be some. */
int ac_field_quantize(unsigned fold, const ac_scale *scale, const void *values, uint32_t n, int32_t *x, uint8_t *known);

/* What reconstructions r miss: values that the uniform lattice has are rounded to it, and listed (known as AC_ROUNDED); all
 * others are stored bit for bit.  Returns how many these are, and their indices. */
uint32_t ac_field_refuse(unsigned fold, const ac_scale *scale, const void *values, const int32_t *r, uint32_t n, uint8_t *known,
                         uint32_t *index);

/* Values that are listed because they are, or shall be, on another lattice; 0 if one of them cannot be. */
int ac_field_list(unsigned fold, const ac_scale *scale, const void *values, const int32_t *r, uint32_t n, const uint8_t *known,
                  uint32_t *index, uint8_t *code, uint32_t *listed);
#endif
