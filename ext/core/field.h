/* field.h: a block of predicted values: lattice, predictor, contexts, residuals. */
#ifndef AC_FIELD_H
#define AC_FIELD_H
#include "contexts.h"
#include "integers.h"
#include "mask.h"

/* The finer of the two lattices that predicted values lie on has so many steps to one of the uniform lattice.  Odd, so
 * that rounding to it is within its half steps; a prime other than 2, 3 and 5, so that lattices that data happen to lie
 * on by nature share with it the uniform lattice only. */
enum { AC_FINE = 17 };

/* Largest integer on the fine lattice. */
uint32_t ac_fine_limit(int dtype);

/* Which of n values an encoder that may predict could have put out, but not on the uniform lattice: returns how many, and
 * their indices.  Written again, they must come back unchanged. */
uint32_t ac_fine_find(const ac_scale *scale, const void *values, uint32_t n, uint32_t *index);

/* Encode n values, of which those are left out that the mask has.  Returns the size, and in *bytes where they are (in
 * scratch); 0 if it would be more than `most`. */
size_t ac_field_encode(const ac_scale *scale, const ac_box *box, const void *values, uint32_t n, const ac_mask *mask,
                       const ac_tuning *tuning, ac_encode_scratch *s, uint8_t **bytes, size_t most);

/* All n values, but for those that the mask has. */
int ac_field_read(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, const ac_mask *mask,
                  ac_decode_scratch *s, void *dst);

/* For ac_inspect. */
int ac_field_inspect(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, ac_block_info *info);
#endif
