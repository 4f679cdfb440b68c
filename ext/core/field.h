/* field.h: a block of predicted values: lattice, predictor, contexts, residuals. */
#ifndef AC_FIELD_H
#define AC_FIELD_H
#include "field_head.h"
#include "mask.h"
#include "split.h"

/* Floats without loss: the split that makes integers of them, a predictor for these (chosen again if `again`), and what they leave
 * out. */
typedef struct {
  ac_split split;
  ac_field field;
  int again;
  ac_left_out left; /* with room for it, when values are encoded */
} ac_split_field;

/* The split by which they are smallest, about, and its predictor, of kinds that can be smaller than what the tolerance permits; 0 if
 * there is none. */
int ac_field_choose_split(const ac_scale *scale, const ac_box *box, const void *values, uint32_t n, const ac_mask *mask,
                          const ac_tuning *tuning, ac_encode_scratch *s, ac_split_field *chosen);

/* Encode n values, of which those are left out that the mask has; by a split, if that is not NULL.  Returns the size, and in *bytes
 * where they are (in scratch); 0 if it would be more than `most`.  The first bytes are a list of fine values if *n_fine is not 0. */
size_t ac_field_encode(const ac_scale *scale, const ac_box *box, const void *values, uint32_t n, const ac_mask *mask, ac_split_field *split,
                       const ac_tuning *tuning, ac_encode_scratch *s, uint8_t **bytes, size_t most, uint32_t *n_fine);

/* All n values, but for those that the mask has; if `split` is not NULL, by what it reads beside their integers. */
int ac_field_read(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, const ac_mask *mask, ac_split_reader *split,
                  ac_decode_scratch *s, void *dst);

/* For ac_inspect. */
int ac_field_inspect(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, int split, ac_block_info *info);
#endif
