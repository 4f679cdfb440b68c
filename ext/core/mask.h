/* mask.h: values of a few bit patterns (NaN, infinities, fill values, the commonest value) left out of a
 * block, and a bitmap that says where they were. */
#ifndef AC_MASK_H
#define AC_MASK_H
#include "box.h"
#include "bytes.h"

enum { AC_MAX_PATTERNS = 16 };

/* Bits in words of 64, the first in the lowest place. */
static inline size_t ac_bitmap_words(uint32_t n) { return ((size_t)n + 63) / 64; }

typedef struct {
  uint32_t n, masked;
  unsigned n_patterns;
  uint64_t patterns[AC_MAX_PATTERNS]; /* bits of a value */
  uint64_t *bits;                     /* ac_bitmap_words(n); set where a value is masked */
} ac_mask;

/* What is to be masked; the patterns are collected in order of appearance. */
typedef struct {
  unsigned size;          /* of a value */
  int special;            /* floats: NaN and infinities, whose exponent bits (exponent) are all set */
  uint64_t exponent;
  unsigned n_fixed;       /* further patterns, and the values that compare equal to them by their bits */
  uint64_t fixed[2];
} ac_mask_rule;

/* Find what the rule says among n values: fills in the mask, whose bits must have room. */
void ac_mask_find(const ac_mask_rule *rule, const void *src, uint32_t n, ac_mask *mask);

/* The other values, in order, at dst; returns how many. */
uint32_t ac_mask_compact(const ac_mask *mask, unsigned size, const void *src, void *dst);

/* The reverse, in place: `dst` has n - masked values at its end, and n when it is done.  `which` has the
 * indices of the patterns of masked values, in order (NULL if there is one pattern). */
void ac_mask_expand(const ac_mask *mask, unsigned size, const uint8_t *which, void *dst);

/* Only what is masked, at its places among all n values of dst. */
void ac_mask_put(const ac_mask *mask, unsigned size, const uint8_t *which, void *dst);

/* The section of a block: patterns (which are looked up in src) and bitmap. */
void ac_mask_write(ac_writer *out, const ac_mask *mask, unsigned size, const void *src, const ac_strides *strides,
                   uint8_t *scratch);

/* The bitmap alone; when it is read mask->masked must be set as well as its n and bits. */
void ac_mask_write_bitmap(ac_writer *out, const ac_mask *mask, const ac_strides *strides, uint8_t *scratch);
void ac_mask_read_bitmap(ac_reader *in, ac_mask *mask, const ac_strides *strides);

/* Bytes of scratch for ac_mask_write, aligned to 4: every decision, three for a word, two for a byte and one for a bit. */
static inline size_t ac_mask_scratch(uint32_t n) { return 4 * ((size_t)n + (3 + 2 * 8) * ac_bitmap_words(n)); }

/* Reads it; mask->n must be set, mask->bits and which (one byte a value) have room.  Sets in->failed on
 * anything invalid. */
void ac_mask_read(ac_reader *in, ac_mask *mask, unsigned size, const ac_strides *strides, uint8_t *which);

/* Its bits as bytes: 1 for what is masked. */
void ac_mask_bytes(const ac_mask *mask, uint8_t *bytes);
#endif
