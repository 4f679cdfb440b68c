/* parts.h: chunks of the codecs that have one block (docs/format.md, "Codecs of one block"), and in it parts: chunks of
 * integers, or of values, each of them complete in itself. */
#ifndef AC_PARTS_H
#define AC_PARTS_H
#include "../arraycodec.h"
#include "bytes.h"

/* What a header says of an array that is stored by such a codec within tol; AC_E_PARAM if there is no such chunk. */
int ac_parts_describe(const ac_array *array, uint8_t codec, double tol, ac_info *info);

/* Room for header, index and a block of so many bytes; AC_E_PARAM if that is too large for a block. */
int ac_parts_bound(uint64_t block, size_t *bound);

/* Write the header, and have `block` write what stands behind it. */
int ac_parts_begin(ac_info *info, void *dst, size_t capacity, ac_writer *block);
/* All of it is written: the size of the chunk, or an error. */
int ac_parts_end(const ac_info *info, void *dst, const ac_writer *block, size_t *size);

/* The room that a part takes, of so many elements of this type along one axis or two. */
int ac_part_bound(uint8_t dtype, unsigned ndim, const uint64_t *shape, uint64_t *bound);

/* Write an array as a part, without loss; level as in ac_tuning. */
int ac_part_write(ac_writer *out, uint8_t dtype, uint8_t f_order, unsigned ndim, const uint64_t *shape, uint8_t level,
                  unsigned threads, const void *src);

/* The chunk of a part. */
typedef struct {
  ac_info info;
  const uint8_t *chunk;
  size_t size;
} ac_stored_part;

/* The next part, which must hold elements of this type and shape, little-endian and without loss, in C order or, if any_order, in
 * Fortran order. */
int ac_part_take(ac_reader *in, uint8_t dtype, int any_order, unsigned ndim, const uint64_t *shape, ac_stored_part *part);

/* Its elements. */
int ac_part_decode(const ac_stored_part *part, unsigned threads, void *dst);

/* The block of a chunk, its checksum verified. */
int ac_parts_open(const void *src, size_t src_size, const ac_info *info, ac_reader *block);

/* Decode all elements, in memory order and the byte order of the array; dst is aligned to them. */
int ac_parts_decode(const void *src, size_t src_size, const ac_info *info, void *dst, unsigned threads);
#endif
