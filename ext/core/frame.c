/* frame.c: header, block index and checksums of a chunk (docs/format.md, "Frame").  Last stage of
 * the encoder, first of the decoder.
 *
 * Invariants: the header's own CRC32C is verified before anything in it is believed; the number of
 * blocks follows from shape and block length or box, and their index must be present in the input before
 * anything is allocated, so a short chunk cannot demand a large array (at most 2^18 values for
 * every 8 bytes of index; of codecs with one block, 2^31 - 1 in all).
 */
#include "frame.h"

#include "../simd/kernels.h"
#include "relative.h"

/* 0xAC is no letter in any ASCII-based text encoding */
static const uint8_t MAGIC[3] = {0xAC, 'A', 'C'};

enum { FLAG_BIG_ENDIAN = 1, FLAG_F_ORDER = 2, FLAG_IMPLIED_TOL = 4, FLAG_RELATIVE = 8, FLAG_BOXES = 16, FLAGS = 31 };
enum { LAST_UNIT = 13, LAST_MULTIPLE = INT32_MAX };
enum { FIXED_SIZE = 8, INDEX_ENTRY = 8, CHECKSUM_SIZE = 4 };

static uint32_t crc32c(const void *p, size_t n) { return ac_active_kernels()->crc32c(p, n); }

int ac_array_count(const ac_array *array, uint64_t *count) {
  const ac_type *type = ac_type_of(array->dtype);
  if (!type || array->big_endian > (type->size > 1) || array->f_order > 1 || array->ndim > AC_MAX_NDIM) return AC_E_PARAM;
  if (array->unit > (type->dated ? LAST_UNIT : 0) || array->multiple > (type->dated ? LAST_MULTIPLE : 0)) return AC_E_PARAM;
  if (type->dated && (array->multiple < 1 || (!array->unit && array->multiple != 1))) return AC_E_PARAM;
  uint64_t n = 1;
  int empty = 0;
  for (unsigned i = 0; i < array->ndim; i++) {
    if (array->shape[i] == 0) empty = 1;
    else if (__builtin_mul_overflow(n, array->shape[i], &n)) return AC_E_PARAM;
  }
  if (n > (uint64_t)PTRDIFF_MAX / ac_element_size(array->dtype)) return AC_E_PARAM;
  *count = empty ? 0 : n;
  return AC_OK;
}

size_t ac_element_size(int dtype) {
  const ac_type *type = ac_type_of(dtype);
  return type ? (size_t)type->size * type->values : 0;
}

static uint64_t parts_of(uint64_t count, uint64_t length) { return count / length + (count % length != 0); }

void ac_frame_set_runs(ac_info *info, uint32_t block_len) {
  info->boxed = 0;
  info->block_len = block_len;
  info->n_blocks = parts_of(info->count, block_len);
}

int ac_frame_set_boxes(ac_info *info) {
  const ac_array *a = &info->array;
  const uint64_t most = ac_max_block(ac_type_of(a->dtype));
  uint64_t elements = 1;
  info->boxed = 1;
  info->n_blocks = 1;
  if (a->ndim < 2 || !info->count) return AC_E_FORMAT;
  for (unsigned i = 0; i < a->ndim; i++) {
    const uint64_t n = a->shape[a->f_order ? a->ndim - 1 - i : i], extent = info->box[i];
    if (extent < 1 || extent > n || extent > most / elements) return AC_E_FORMAT;
    elements *= extent;
    info->boxes[i] = parts_of(n, extent);
    info->n_blocks *= info->boxes[i]; /* no more than elements of the array */
  }
  info->block_len = (uint32_t)elements;
  return AC_OK;
}

int ac_frame_set_whole(ac_info *info) {
  if (info->count < 1 || info->count > INT32_MAX) return AC_E_PARAM;
  ac_frame_set_runs(info, (uint32_t)info->count);
  return AC_OK;
}

size_t ac_frame_header_bound(uint64_t n_blocks) {
  return FIXED_SIZE + 6 /* unit */ + 10 /* T */ + 3 * sizeof(double) + 10 * (2 * AC_MAX_NDIM + 1) + INDEX_ENTRY * (size_t)n_blocks + CHECKSUM_SIZE;
}

static size_t index_offset(const ac_info *info) {
  return (size_t)info->header_size - CHECKSUM_SIZE - INDEX_ENTRY * (size_t)info->n_blocks;
}

/* The tolerance that goes without saying. */
static double implied_tol(const ac_type *type, const ac_info *info) {
  return type->kind == AC_KIND_FLOAT ? info->delta / 2 : (double)info->whole;
}

size_t ac_frame_write_header(uint8_t *dst, size_t capacity, const ac_info *info) {
  ac_writer out = {dst, dst + capacity, 0};
  const ac_array *a = &info->array;
  const ac_type *type = ac_type_of(a->dtype);
  const int is_float = type->kind == AC_KIND_FLOAT;
  const int implied = !type->lossless && info->tol == implied_tol(type, info);
  for (unsigned i = 0; i < sizeof MAGIC; i++) ac_write8(&out, MAGIC[i]);
  ac_write8(&out, info->version);
  ac_write8(&out, info->codec);
  ac_write8(&out, a->dtype);
  ac_write8(&out, (uint8_t)((a->big_endian ? FLAG_BIG_ENDIAN : 0) | (a->f_order ? FLAG_F_ORDER : 0) |
                            (implied ? FLAG_IMPLIED_TOL : 0) | (info->rtol > 0 ? FLAG_RELATIVE : 0) |
                            (info->boxed ? FLAG_BOXES : 0)));
  ac_write8(&out, a->ndim);
  if (type->dated) {
    ac_write8(&out, a->unit);
    ac_write_varint(&out, a->multiple);
  }
  if (!type->lossless) {
    if (!is_float) ac_write_varint(&out, info->whole);
    else if (ac_lattice_is_f32(type->dtype)) ac_write_f32(&out, (float)info->delta);
    else ac_write_f64(&out, info->delta);
    if (!implied) ac_write_f64(&out, info->tol);
    if (info->rtol > 0) ac_write_f64(&out, info->rtol);
  }
  for (unsigned i = 0; i < a->ndim; i++) ac_write_varint(&out, a->shape[i]);
  if (info->codec != AC_CODEC_ANSQUANT) ac_write_varint(&out, 0);
  else if (!info->boxed) ac_write_varint(&out, info->block_len == ac_max_block(type) ? 0 : info->block_len);
  else
    for (unsigned i = 0; i < a->ndim; i++) ac_write_varint(&out, info->box[i]);
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
  if (info->version != AC_FORMAT_VERSION || info->codec < AC_CODEC_ANSQUANT || info->codec > AC_CODEC_LOW_RANK)
    return AC_E_VERSION;
  a->dtype = ac_read8(&in);
  const uint8_t flags = ac_read8(&in);
  a->big_endian = (flags & FLAG_BIG_ENDIAN) != 0;
  a->f_order = (flags & FLAG_F_ORDER) != 0;
  a->ndim = ac_read8(&in);
  if (in.failed) return in.failed;
  const ac_type *type = ac_type_of(a->dtype);
  if (!type || a->ndim > AC_MAX_NDIM) return AC_E_FORMAT;
  const int is_float = type->kind == AC_KIND_FLOAT, implied = (flags & FLAG_IMPLIED_TOL) != 0;
  const int relative = (flags & FLAG_RELATIVE) != 0;
  if ((type->lossless && implied) || (relative && !is_float)) return AC_E_FORMAT;
  a->unit = type->dated ? ac_read8(&in) : 0;
  const uint64_t multiple = type->dated ? ac_read_varint(&in) : 0;
  a->multiple = multiple > LAST_MULTIPLE ? 0 : (uint32_t)multiple;
  info->delta = info->tol = info->rtol = 0;
  info->whole = 0;
  if (!type->lossless) {
    if (!is_float) info->whole = ac_read_varint(&in);
    else info->delta = ac_lattice_is_f32(type->dtype) ? (double)ac_read_f32(&in) : ac_read_f64(&in);
    info->tol = implied ? implied_tol(type, info) : ac_read_f64(&in);
    if (relative) info->rtol = ac_read_f64(&in);
  }
  for (unsigned i = 0; i < a->ndim; i++) a->shape[i] = ac_read_varint(&in);
  const int boxed = (flags & FLAG_BOXES) != 0;
  const uint64_t block_len = boxed ? 0 : ac_read_varint(&in);
  for (unsigned i = 0; boxed && i < a->ndim; i++) {
    const uint64_t extent = ac_read_varint(&in);
    info->box[i] = extent > AC_MAX_BLOCK ? 0 : (uint32_t)extent; /* 0 is as invalid */
  }
  if (in.failed) return in.failed;
  if (flags & ~FLAGS || ac_array_count(a, &info->count) || block_len >= ac_max_block(type)) return AC_E_FORMAT;
  const int whole = info->codec != AC_CODEC_ANSQUANT, numbers = info->codec >= AC_CODEC_STOCHASTIC;
  if (whole && (boxed || block_len || ac_frame_set_whole(info))) return AC_E_FORMAT;
  if (numbers && (!is_float || type->values > 1 || relative || info->delta != 0)) return AC_E_FORMAT;
  if (whole) ;
  else if (!boxed) ac_frame_set_runs(info, block_len ? (uint32_t)block_len : ac_max_block(type));
  else if (ac_frame_set_boxes(info)) return AC_E_FORMAT;
  if (info->n_blocks > ac_remaining(&in) / INDEX_ENTRY) return AC_E_TRUNCATED;
  ac_take(&in, INDEX_ENTRY * (size_t)info->n_blocks);
  const size_t covered = (size_t)(in.p - src);
  const uint32_t checksum = ac_read32(&in);
  if (in.failed) return in.failed;
  if (checksum != crc32c(src, covered)) return AC_E_CHECKSUM;
  info->header_size = covered + CHECKSUM_SIZE;
  if (!(info->tol >= 0) || info->tol > DBL_MAX || (is_float && !ac_lattice_valid(type->dtype, info->delta))) return AC_E_FORMAT;
  if (info->whole > ac_most_whole(type)) return AC_E_FORMAT;
  if (relative && !(info->rtol < 1 && ac_relative_effective(type->dtype, info->rtol) > 0)) return AC_E_FORMAT;
  /* one chunk, one spelling */
  return !type->lossless && !implied && info->tol == implied_tol(type, info) ? AC_E_FORMAT : AC_OK;
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
