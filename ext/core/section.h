/* section.h: a windows section: integers as class windows, tables, raw plane, lists and rANS words; or as varints. */
#ifndef AC_SECTION_H
#define AC_SECTION_H
#include "../arraycodec.h"
#include "../simd/kernels.h"
#include "profile.h"
#include "mask.h"
#include "plan.h"

/* Scratch of the encoder, for blocks of up to a number of values.  What a block does not use stays
 * untouched: address space only. */
typedef struct {
  /* of a section */
  int32_t *q;
  uint8_t *tokens, *group_class, *imaged, *sequence, *words, *words_end;
  uint32_t *index; /* refused values, then values outside their window */
  ac_group_stats *stats;
  ac_plan_scratch plan;
  ac_symbol (*symbols)[AC_MAX_TOKENS];
  /* of a block */
  uint32_t *events;   /* of the mask's bitmap; then the positions of edges */
  uint64_t *bitmap;
  uint8_t *values;    /* without what is masked */
  int64_t *wide;      /* integers of 64 bits */
  uint8_t *low;       /* their low bytes, plane by plane */
  uint8_t *copies;    /* two bitmaps and a section: see copies.c */
  int32_t *field;     /* of predicted values: see attempt.c, which lays it out */
  ac_stopwatch *watch; /* or NULL */
} ac_encode_scratch;

/* Lay it out in `memory` (aligned to 64) for values of so many bytes, and return the bytes it takes;
 * without memory, only count them. */
size_t ac_encode_scratch_place(ac_encode_scratch *s, uint8_t *memory, uint32_t values, unsigned size);

/* Write a section for n > 0 integers in s->q, whose statistics are in s->stats (by tuning's group).  Of
 * the values at src (n of `size` bytes), those listed in s->index are refused, or edges where AC_EDGE is
 * set.  `images`: integers may be replaced by images.  Returns 0 if there is not enough room. */
int ac_section_write(ac_writer *out, uint32_t n, const ac_tuning *tuning, ac_encode_scratch *s, const void *src,
                     unsigned size, uint32_t n_refused, int images);

static inline unsigned ac_level(const ac_tuning *tuning) { return tuning->level ? tuning->level : AC_DEFAULT_LEVEL; }

static inline int ac_predicts(const ac_tuning *tuning) { return tuning->predictor > AC_PREDICTOR_NONE; }

/* Groups are of this size; 0: of the one that costs less. */
enum { AC_LEVEL_GROUPS = 3 /* the first level that chooses */ };
static inline unsigned ac_group_choice(const ac_tuning *tuning) {
  return tuning->group ? tuning->group : ac_level(tuning) < AC_LEVEL_GROUPS ? AC_MAX_GROUP : 0;
}

/* Groups whose statistics the plan needs. */
static inline unsigned ac_group_size(const ac_tuning *tuning) {
  const unsigned group = ac_group_choice(tuning);
  return group ? group : 64;
}

/* A section that was read: everything checked but the coded words and the lists themselves. */
typedef struct {
  ac_windows windows;
  uint8_t group_class[AC_MAX_BLOCK / 64];
  uint32_t n, n_outside, n_refused, n_edges;
  /* Both without the bytes at their start that are in the lanes' start states. */
  const uint8_t *raw;
  ac_reader lists;
  uint8_t plain;     /* varints, from `words` to words_end; no windows, no outside values */
  uint8_t in_states; /* are any? */
  uint8_t hidden_lists, hidden_raw;
  const uint8_t *words, *words_end;
} ac_section;

/* A section of n values, to the end of the reader; AC_OK or an error. */
int ac_section_read(ac_reader *in, uint32_t n, ac_section *section);

/* Scratch of the decoder: the most entries that a section's tables have. */
#define AC_MAX_TABLES ((AC_MAX_CLASSES << AC_MAX_PROB_BITS) + 2 * AC_TABLE_SLACK)

/* Its integers, outside values included, as AC_OUT_I32 or as the values they mean. */
int ac_section_decode(ac_section *section, int out, double delta, uint32_t *tables, ac_stopwatch *watch, void *dst);

/* Afterwards, into the values: refused ones, then edges (which dtypes with `edges` have), and the end of
 * the lists. */
int ac_section_finish(ac_section *section, int dtype, unsigned size, int edges, double delta, void *dst);

/* All of these, of a section of nothing but integers: none is refused. */
int ac_section_integers(ac_reader *in, uint32_t n, uint32_t *tables, ac_stopwatch *watch, int32_t *dst);
#endif
