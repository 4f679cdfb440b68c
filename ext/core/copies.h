/* copies.h: values that stood in their block before, left out of it, and how far before. */
#ifndef AC_COPIES_H
#define AC_COPIES_H
#include "integers.h"

typedef struct {
  ac_mask at;                /* which values are copies, as a mask without patterns */
  const uint16_t *distances; /* of each, in order */
  const uint8_t *section;    /* encoder: of the block; NULL: there are no copies */
  size_t size;               /* and its bytes */
} ac_copies;

/* What share of n values' bits copies save that are near to what they repeat, by some of them, if every value takes so many otherwise. */
double ac_copies_estimate(const void *values, uint32_t n, unsigned size, const ac_mask *masked, double bits, ac_encode_scratch *s);

/* The copies among n values that are not masked, which pay if every other value takes so many bits, and the section of the block
 * that says so, in scratch.  0 if they do not pay together. */
int ac_copies_find(const void *values, uint32_t n, unsigned size, const ac_mask *masked, double bits, const ac_strides *strides,
                   const ac_tuning *tuning, ac_encode_scratch *s, ac_copies *copies);

/* Both bitmaps in one; those of an encoder are in its scratch. */
static inline uint64_t *ac_copies_joined(const ac_encode_scratch *s, uint32_t n) { return (uint64_t *)s->copies + ac_bitmap_words(n); }
void ac_copies_join(const ac_copies *copies, const ac_mask *mask, uint64_t *bits, ac_mask *joined);

/* Reads the section; copies->at.n must be set.  Sets in->failed on anything invalid. */
void ac_copies_read(ac_reader *in, ac_copies *copies, const ac_strides *strides, ac_decode_scratch *s);

/* To their places among all values. */
void ac_copies_put(const ac_copies *copies, unsigned size, void *dst);
#endif
