/* block.h: one block: mode by cost, and the sections of each mode. */
#ifndef AC_BLOCK_H
#define AC_BLOCK_H
#include "../arraycodec.h"
#include "profile.h"
#include "quantize.h"
#include "windows.h"

/* Scratch of the encoder, for blocks of up to a number of values. */
typedef struct {
  int32_t *q;
  uint8_t *tokens, *group_class, *sequence, *words, *words_end;
  uint32_t *index; /* refused values, then values outside their window */
  ac_group_stats *stats;
  ac_histogram *histograms;
  ac_symbol (*symbols)[AC_MAX_TOKENS];
  ac_stopwatch *watch; /* or NULL */
} ac_encode_scratch;

/* Lay it out in `memory` (aligned to 64) and return the bytes it takes, about 11 a value; without
 * memory, only count them. */
size_t ac_encode_scratch_place(ac_encode_scratch *s, uint8_t *memory, uint32_t values);

/* Scratch of the decoder: the most entries that a block's tables have.  What a block does not use of
 * them stays untouched: address space only. */
#define AC_MAX_TABLES ((AC_MAX_CLASSES << AC_MAX_PROB_BITS) + 2 * AC_TABLE_SLACK)

static inline size_t ac_item_size(int dtype) { return dtype == AC_FLOAT32 ? 4 : 8; }

/* Encode n native values; never more than 1 + n * item size bytes, which dst must have. */
size_t ac_block_encode(int dtype, const void *src, uint32_t n, const ac_lattice *lattice, const ac_tuning *tuning,
                       ac_encode_scratch *scratch, uint8_t *dst);

/* Decode a block of n values, with scratch for AC_MAX_TABLES entries and a stopwatch or NULL; on error
 * dst may have been written in part. */
int ac_block_decode(int dtype, const uint8_t *src, size_t size, uint32_t n, double delta, uint32_t *tables,
                    ac_stopwatch *watch, void *dst);

/* Fill in what the block's own header says (mode and below). */
int ac_block_inspect(int dtype, const uint8_t *src, size_t size, uint32_t n, double delta, ac_block_info *info);
#endif
