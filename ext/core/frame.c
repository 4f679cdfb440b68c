/* frame.c: header, block index and checksums of a chunk (docs/format.md, "Frame").  Last stage of
 * the encoder, first of the decoder.
 *
 * Invariants: the header's own CRC32C is verified before anything in it is believed; the number of
 * blocks follows from shape and block length, and their index must be present in the input before
 * anything is allocated, so a short chunk cannot demand a large array (at most 2^18 values for
 * every 8 bytes of index).
 */
#include "frame.h"

#include "../simd/kernels.h"
#include "block.h"
#include "quantize.h"

/* 0xAC is no letter in any ASCII-based text encoding */
static const uint8_t MAGIC[3] = {0xAC, 'A', 'C'};

enum { FLAG_BIG_ENDIAN = 1, FLAG_F_ORDER = 2, FLAG_HALF_DELTA = 4, FLAGS = 7 };
enum { FIXED_SIZE = 8, INDEX_ENTRY = 8, CHECKSUM_SIZE = 4 };

static uint32_t crc32c(const void *p, size_t n) { return ac_active_kernels()->crc32c(p, n); }

int ac_array_count(const ac_array *array, uint64_t *count) {
  if ((array->dtype != AC_FLOAT32 && array->dtype != AC_FLOAT64) || array->big_endian > 1 || array->f_order > 1 ||
      array->ndim > AC_MAX_NDIM)
    return AC_E_PARAM;
  uint64_t n = 1;
  int empty = 0;
  for (unsigned i = 0; i < array->ndim; i++) {
    if (array->shape[i] == 0) empty = 1;
    else if (__builtin_mul_overflow(n, array->shape[i], &n)) return AC_E_PARAM;
  }
  if (n > (uint64_t)PTRDIFF_MAX / ac_item_size(array->dtype)) return AC_E_PARAM;
  *count = empty ? 0 : n;
  return AC_OK;
}

uint64_t ac_block_count(uint64_t count, uint32_t block_len) { return count / block_len + (count % block_len != 0); }

size_t ac_frame_header_bound(uint64_t n_blocks) {
  return FIXED_SIZE + 2 * sizeof(double) + 10 * (AC_MAX_NDIM + 1) + INDEX_ENTRY * (size_t)n_blocks + CHECKSUM_SIZE;
}

static size_t index_offset(const ac_info *info) {
  return (size_t)info->header_size - CHECKSUM_SIZE - INDEX_ENTRY * (size_t)info->n_blocks;
}

size_t ac_frame_write_header(uint8_t *dst, size_t capacity, const ac_info *info) {
  ac_writer out = {dst, dst + capacity, 0};
  const ac_array *a = &info->array;
  const int half_delta = info->tol == info->delta / 2;
  for (unsigned i = 0; i < sizeof MAGIC; i++) ac_write8(&out, MAGIC[i]);
  ac_write8(&out, info->version);
  ac_write8(&out, info->codec);
  ac_write8(&out, a->dtype);
  ac_write8(&out, (uint8_t)((a->big_endian ? FLAG_BIG_ENDIAN : 0) | (a->f_order ? FLAG_F_ORDER : 0) |
                            (half_delta ? FLAG_HALF_DELTA : 0)));
  ac_write8(&out, a->ndim);
  if (a->dtype == AC_FLOAT32) ac_write_f32(&out, (float)info->delta);
  else ac_write_f64(&out, info->delta);
  if (!half_delta) ac_write_f64(&out, info->tol);
  for (unsigned i = 0; i < a->ndim; i++) ac_write_varint(&out, a->shape[i]);
  ac_write_varint(&out, info->block_len == AC_MAX_BLOCK ? 0 : info->block_len);
  ac_give(&out, INDEX_ENTRY * (size_t)info->n_blocks + CHECKSUM_SIZE);
  return out.failed ? 0 : (size_t)(out.p - dst);
}

void ac_frame_set_block(uint8_t *dst, const ac_info *info, uint64_t i, const uint8_t *block, uint32_t size) {
  uint8_t *entry = dst + index_offset(info) + INDEX_ENTRY * (size_t)i;
  ac_store32(entry, size);
  ac_store32(entry + 4, crc32c(block, size));
}

void ac_frame_finish(uint8_t *dst, const ac_info *info) {
  const size_t covered = (size_t)info->header_size - CHECKSUM_SIZE;
  ac_store32(dst + covered, crc32c(dst, covered));
}

int ac_frame_read_header(const uint8_t *src, size_t size, ac_info *info) {
  ac_reader in = {src, src + size, 0};
  ac_array *a = &info->array;
  for (unsigned i = 0; i < sizeof MAGIC; i++)
    if (ac_read8(&in) != MAGIC[i]) return in.failed ? in.failed : AC_E_FORMAT;
  info->version = ac_read8(&in);
  info->codec = ac_read8(&in);
  if (in.failed) return in.failed;
  if (info->version != AC_FORMAT_VERSION || info->codec != AC_CODEC_ANSQUANT) return AC_E_VERSION;
  a->dtype = ac_read8(&in);
  const uint8_t flags = ac_read8(&in);
  a->big_endian = (flags & FLAG_BIG_ENDIAN) != 0;
  a->f_order = (flags & FLAG_F_ORDER) != 0;
  a->ndim = ac_read8(&in);
  if (a->ndim > AC_MAX_NDIM) return AC_E_FORMAT;
  info->delta = a->dtype == AC_FLOAT32 ? (double)ac_read_f32(&in) : ac_read_f64(&in);
  const int half_delta = (flags & FLAG_HALF_DELTA) != 0;
  info->tol = half_delta ? info->delta / 2 : ac_read_f64(&in);
  for (unsigned i = 0; i < a->ndim; i++) a->shape[i] = ac_read_varint(&in);
  const uint64_t block_len = ac_read_varint(&in);
  if (in.failed) return in.failed;
  if (flags & ~FLAGS || ac_array_count(a, &info->count) || block_len >= AC_MAX_BLOCK) return AC_E_FORMAT;
  info->block_len = block_len ? (uint32_t)block_len : AC_MAX_BLOCK;
  info->n_blocks = ac_block_count(info->count, info->block_len);
  if (info->n_blocks > ac_remaining(&in) / INDEX_ENTRY) return AC_E_TRUNCATED;
  ac_take(&in, INDEX_ENTRY * (size_t)info->n_blocks);
  const size_t covered = (size_t)(in.p - src);
  const uint32_t checksum = ac_read32(&in);
  if (in.failed) return in.failed;
  if (checksum != crc32c(src, covered)) return AC_E_CHECKSUM;
  info->header_size = covered + CHECKSUM_SIZE;
  if (!(info->tol >= 0) || info->tol > DBL_MAX || !ac_lattice_valid(a->dtype, info->delta)) return AC_E_FORMAT;
  return !half_delta && info->tol == info->delta / 2 ? AC_E_FORMAT : AC_OK; /* one chunk, one spelling */
}

uint32_t ac_frame_block_size(const uint8_t *src, const ac_info *info, uint64_t i) {
  return ac_load32(src + index_offset(info) + INDEX_ENTRY * (size_t)i);
}

int ac_frame_check_size(const uint8_t *src, size_t size, const ac_info *info) {
  uint64_t left = size - info->header_size;
  for (uint64_t i = 0; i < info->n_blocks; i++) {
    const uint32_t block = ac_frame_block_size(src, info, i);
    if (block == 0) return AC_E_FORMAT;
    if (block > left) return AC_E_TRUNCATED;
    left -= block;
  }
  return left ? AC_E_FORMAT : AC_OK;
}

int ac_frame_check_block(const uint8_t *src, const ac_info *info, uint64_t i, const uint8_t *block, uint32_t size) {
  const uint8_t *entry = src + index_offset(info) + INDEX_ENTRY * (size_t)i;
  return crc32c(block, size) == ac_load32(entry + 4) ? AC_OK : AC_E_CHECKSUM;
}
