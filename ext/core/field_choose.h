/* field_choose.h: the encoder's choice of lattice, axes and predictor for a block of predicted values. */
#ifndef AC_FIELD_CHOOSE_H
#define AC_FIELD_CHOOSE_H
#include "attempt.h"
#include "split.h"

/* Where samples come from: values of a scale, or floats of a type of which a split makes its integers. */
typedef struct {
  const ac_scale *scale;
  const void *values;
  ac_split *split; /* or NULL */
  const ac_type *type;
  double left_out; /* bits of a value that the split leaves out, in the last sample */
} ac_field_source;

/* Choose, on samples of n values, whose masked ones are known in room->known.  0 if there is nothing to choose from.  Uses
 * all of the room but `known`.  The lattice is one of the first `folds`.  *bits is what a value takes that is not masked, about. */
int ac_field_choose(ac_field_source *source, const ac_box *box, uint32_t n, const ac_tuning *tuning, unsigned folds, const ac_encode_scratch *s,
                    const ac_room *room, ac_field *field, double *bits);

/* What a predictor that was chosen for other values takes for a value of these, about: on the same sample. */
double ac_field_estimate(ac_field_source *source, const ac_box *box, uint32_t n, const ac_tuning *tuning, const ac_encode_scratch *s,
                         const ac_room *room, const ac_field *field);

/* Attempt all values, which are in memory order in the room, with rules that may be better for them than those of the sample. */
ac_outcome ac_field_attempt(ac_field *field, const ac_box *box, const ac_tuning *tuning, uint32_t n, const ac_room *room);
#endif
