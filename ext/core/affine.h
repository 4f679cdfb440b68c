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

/* One lattice on which nearly all of n values lie, and how their numbers are found; 0 if there is none. */
typedef struct {
  ac_affine formula;
  double step, origin;
  int32_t shift;
} ac_affine_fit;
int ac_affine_find(const ac_scale *scale, const uint8_t *values, uint32_t n, const ac_tuning *tuning, ac_affine_fit *lattice);

/* The numbers that values have on it; what has none is 0. */
void ac_affine_numbers(const ac_affine_fit *lattice, unsigned size, const uint8_t *values, uint32_t n, int32_t *k);

/* As blocks have it. */
void ac_affine_write_lattice(ac_writer *out, const ac_affine *lattice);
void ac_affine_read_lattice(ac_reader *in, ac_affine *lattice); /* sets in->failed on anything invalid */

/* To the end of the reader. */
int ac_affine_read(ac_reader *in, const ac_scale *scale, uint32_t n, ac_decode_scratch *s, uint8_t *dst);

/* The section of such a block, checked as far as ac_section_read does. */
int ac_affine_inspect(ac_reader *in, const ac_scale *scale, uint32_t n, ac_section *section);
#endif
