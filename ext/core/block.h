/* block.h: one block: mask, mode by cost, and what each mode stores. */
#ifndef AC_BLOCK_H
#define AC_BLOCK_H
#include "integers.h"

/* Encode the native values of a block, geometry->n > 0 of them in memory order; never more than 1 + n * size bytes,
 * which dst must have. */
size_t ac_block_encode(const ac_scale *scale, const ac_geometry *geometry, const void *src, const ac_tuning *tuning,
                       ac_encode_scratch *scratch, uint8_t *dst);

/* Decode a block of geometry->n values; on error dst may have been written in part. */
int ac_block_decode(const ac_scale *scale, const ac_geometry *geometry, const uint8_t *src, size_t size,
                    ac_decode_scratch *scratch, void *dst);

/* Fill in what the block's own header says (mode and below). */
int ac_block_inspect(const ac_scale *scale, const ac_geometry *geometry, const uint8_t *src, size_t size,
                     ac_decode_scratch *scratch, ac_block_info *info);
#endif
