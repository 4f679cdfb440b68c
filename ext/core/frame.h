/* frame.h: the container: header, block index, checksums.  The only code that knows where a chunk's
 * bytes stand. */
#ifndef AC_FRAME_H
#define AC_FRAME_H
#include "../arraycodec.h"
#include "bytes.h"

/* Number of elements; AC_E_PARAM if the description is invalid or its bytes overflow size_t. */
int ac_array_count(const ac_array *array, uint64_t *count);

/* Fill in what info says of blocks, from array and count: runs of so many elements; or boxes with the extents in
 * info->box, if these are valid (else AC_E_FORMAT). */
void ac_frame_set_runs(ac_info *info, uint32_t block_len);
int ac_frame_set_boxes(ac_info *info);

/* The same of the codecs that have one block of all elements; AC_E_PARAM if there are none, or too many. */
int ac_frame_set_whole(ac_info *info);

/* Upper bound of header and index. */
size_t ac_frame_header_bound(uint64_t n_blocks);

/* Write the header; the index stays to be filled by ac_frame_set_block, the checksum by
 * ac_frame_finish.  Returns the header's size. */
size_t ac_frame_write_header(uint8_t *dst, size_t capacity, const ac_info *info);
void ac_frame_set_block(uint8_t *dst, const ac_info *info, uint64_t i, const uint8_t *block, uint32_t size);
void ac_frame_finish(uint8_t *dst, const ac_info *info);

/* Read and verify header and index. */
int ac_frame_read_header(const uint8_t *src, size_t size, ac_info *info);

/* Check that the chunk is exactly as long as its index says. */
int ac_frame_check_size(const uint8_t *src, size_t size, const ac_info *info);

/* Size of block i, from the index. */
uint32_t ac_frame_block_size(const uint8_t *src, const ac_info *info, uint64_t i);

/* Verify the checksum of block i, which has `size` bytes at `block`. */
int ac_frame_check_block(const uint8_t *src, const ac_info *info, uint64_t i, const uint8_t *block, uint32_t size);
#endif
