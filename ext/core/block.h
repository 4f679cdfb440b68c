/* block.h: one block: mode by cost, and the sections of each mode. */
#ifndef AC_BLOCK_H
#define AC_BLOCK_H
#include "../arraycodec.h"
#include "quantize.h"
#include "windows.h"

/* Scratch of the encoder, for blocks of up to `values` values. */
typedef struct {
  int32_t *q;
  uint8_t *tokens, *group_class, *sequence, *words, *words_end;
  uint32_t *index; /* refused values, then values outside their window */
  ac_group_stats *stats;
  ac_histogram *histograms;
  ac_symbol (*symbols)[AC_MAX_TOKENS];
  void *memory;
} ac_encode_scratch;

int ac_encode_scratch_init(ac_encode_scratch *s, uint32_t values);
void ac_encode_scratch_free(ac_encode_scratch *s);

/* Scratch of the decoder: grows to what a block needs. */
typedef struct {
  uint32_t *tables;
  size_t n_tables; /* entries */
} ac_decode_scratch;

void ac_decode_scratch_free(ac_decode_scratch *s);

static inline size_t ac_item_size(int dtype) { return dtype == AC_FLOAT32 ? 4 : 8; }

/* Encode n native values; never more than 1 + n * item size bytes, which dst must have. */
size_t ac_block_encode(int dtype, const void *src, uint32_t n, const ac_lattice *lattice, const ac_tuning *tuning,
                       ac_encode_scratch *scratch, uint8_t *dst);

/* Decode a block of n values; on error dst may have been written in part. */
int ac_block_decode(int dtype, const uint8_t *src, size_t size, uint32_t n, double delta, ac_decode_scratch *scratch,
                    void *dst);

/* Fill in what the block's own header says (mode and below). */
int ac_block_inspect(int dtype, const uint8_t *src, size_t size, uint32_t n, double delta, ac_block_info *info);
#endif
