/* affine.h: affine lattices, on which arrays lie that were packed before: what a lattice's integers mean,
 * and blocks of mode "affine". */
#ifndef AC_AFFINE_H
#define AC_AFFINE_H
#include "integers.h"

enum { AC_MAX_AFFINE = 15 }; /* lattices of a block, the uniform one apart */

/* May blocks of this chunk be affine? */
int ac_affine_permitted(const ac_scale *scale);

/* Would n values be encoded so, room permitting? */
int ac_affine_found(const ac_scale *scale, const uint8_t *values, uint32_t n, const ac_tuning *tuning);

/* Encode n values on affine lattices, if some are found and the result fits `room` bytes: from the byte after
 * the mask on, into `dst`.  Returns its bytes, or 0. */
size_t ac_affine_encode(const ac_scale *scale, const uint8_t *values, uint32_t n, const ac_tuning *tuning,
                        ac_encode_scratch *s, uint8_t *dst, size_t room);

/* To the end of the reader. */
int ac_affine_read(ac_reader *in, const ac_scale *scale, uint32_t n, ac_decode_scratch *s, uint8_t *dst);

/* The section of such a block, checked as far as ac_section_read does. */
int ac_affine_inspect(ac_reader *in, const ac_scale *scale, uint32_t n, ac_section *section);
#endif
