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

/* Encode n values, of which those are left out that the mask has; 0 if there is no room, or nothing to predict. */
size_t ac_field_encode(const ac_scale *scale, const ac_box *box, const void *values, uint32_t n, const ac_mask *mask,
                       const ac_tuning *tuning, ac_encode_scratch *s, uint8_t *dst, size_t capacity);

int ac_field_read(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, const ac_mask *mask,
                  ac_decode_scratch *s, void *dst);
#endif
