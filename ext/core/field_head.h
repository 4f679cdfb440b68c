/* field_head.h: the head of a predicted block: axes, lattice, predictor, and the contexts of its residuals. */
#ifndef AC_FIELD_HEAD_H
#define AC_FIELD_HEAD_H
#include "box.h"
#include "contexts.h"
#include "fine.h"

enum { AC_RULES_OF_SAMPLE, AC_RULES_OF_BLURRED, AC_RULES_OF_DECODED };

typedef struct {
  ac_predictor predictor;
  ac_contexts contexts;
  uint8_t first, axes; /* the axes in the middle: from the box's axis `first` on */
  uint8_t fold;        /* of the lattice: its index among AC_FOLD */
  uint8_t rules;       /* encoder: by what they shall be chosen again */
} ac_field;

/* The pyramid's axes from those of the box; 0 if it has not got so many. */
int ac_field_place(ac_field *field, const ac_box *box);

/* exceptions: are there lists of them? */
void ac_field_write_head(ac_writer *out, const ac_field *field, int exceptions);

/* Everything checked; AC_OK, or an error. */
int ac_field_read_head(ac_reader *in, const ac_scale *scale, const ac_box *box, ac_field *field, int *exceptions);
#endif
