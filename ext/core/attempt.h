/* attempt.h: what a predictor makes of values: residuals, as the decoder will find them, and what they cost. */
#ifndef AC_ATTEMPT_H
#define AC_ATTEMPT_H
#include "field_head.h"
#include "field_values.h"
#include "section.h"

/* Room for the parts of an encoding: what the scratch of a block has no other use for, and its `field`. */
typedef struct {
  ac_walk_scratch walk;
  /* in the order of the stream */
  int32_t *x, *v;         /* what to come near; residuals */
  uint8_t *flags, *bin;   /* what is known of values; of their neighbourhoods, then their contexts */
  uint8_t *tokens;
  uint32_t *spans;        /* numbers of values */
  uint32_t *corrected;    /* positions, and what is added there */
  int8_t *correction;
  /* in memory order */
  int32_t *integers;
  uint8_t *known;
} ac_room;

ac_room ac_room_in(const ac_encode_scratch *s, uint32_t n);

typedef struct {
  double bits;
  const int32_t *r; /* in memory order */
  uint32_t n_corrected, n_spans;
} ac_outcome;

/* Predict n values of room->x and room->flags, and choose contexts; or only find what they would cost, about.  Or, which is
 * much faster, only what decoders will have in the place of values: room->walk.r. */
enum { AC_ATTEMPT_VALUES, AC_ATTEMPT_COST, AC_ATTEMPT_CONTEXTS };
ac_outcome ac_attempt(ac_field *field, const ac_tuning *tuning, uint32_t n, const ac_room *room, int what);
#endif
