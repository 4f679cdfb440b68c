/* parts.c: see parts.h.  First stage of the decoders of codecs other than AnsQuant, and the last one of their encoders: the
 * frame of one block, and the chunks in it.
 *
 * Invariants: a part is a chunk of AnsQuant, so nothing here recurs more than once; its type and its shape must be what
 * the block around it says before anything is decoded; and the checksum of that block is verified before all else.
 */
#include "parts.h"

#include <string.h>

#include "box.h"
#include "fpenv.h"
#include "frame.h"
#include "lowrank.h"
#include "stochastic.h"
#include "types.h"

int ac_parts_describe(const ac_array *array, uint8_t codec, double tol, ac_info *info) {
  memset(info, 0, sizeof *info);
  info->array = *array;
  info->version = AC_FORMAT_VERSION;
  info->codec = codec;
  info->tol = tol;
  const int error = ac_array_count(array, &info->count);
  return error ? error : ac_frame_set_whole(info);
}

int ac_parts_bound(uint64_t block, size_t *bound) {
  if (block > UINT32_MAX) return AC_E_PARAM;
  *bound = ac_frame_header_bound(1) + (size_t)block;
  return AC_OK;
}

int ac_parts_begin(ac_info *info, void *dst, size_t capacity, ac_writer *block) {
  info->header_size = ac_frame_write_header(dst, capacity, info);
  if (!info->header_size) return AC_E_DST_SIZE;
  *block = (ac_writer){(uint8_t *)dst + info->header_size, (uint8_t *)dst + capacity, 0};
  return AC_OK;
}

int ac_parts_end(const ac_info *info, void *dst, const ac_writer *block, size_t *size) {
  if (block->failed) return AC_E_DST_SIZE;
  uint8_t *const start = (uint8_t *)dst + info->header_size;
  if ((size_t)(block->p - start) > UINT32_MAX) return AC_E_PARAM;
  ac_frame_set_block(dst, info, 0, start, (uint32_t)(block->p - start));
  ac_frame_finish(dst, info);
  *size = (size_t)(block->p - (uint8_t *)dst);
  return AC_OK;
}

static ac_array array_of(uint8_t dtype, unsigned ndim, const uint64_t *shape) {
  ac_array array = {.dtype = dtype, .ndim = (uint8_t)ndim};
  for (unsigned i = 0; i < ndim; i++) array.shape[i] = shape[i];
  return array;
}

int ac_part_bound(uint8_t dtype, unsigned ndim, const uint64_t *shape, uint64_t *bound) {
  const ac_array array = array_of(dtype, ndim, shape);
  size_t size;
  const int error = ac_bound(&array, NULL, &size);
  *bound = sizeof(uint32_t) + (uint64_t)size;
  return error;
}

int ac_part_write(ac_writer *out, uint8_t dtype, uint8_t f_order, unsigned ndim, const uint64_t *shape, uint8_t level,
                  unsigned threads, const void *src) {
  static const ac_tolerance EXACT = {0, 0, NULL};
  const ac_tuning tuning = {.level = level};
  ac_array array = array_of(dtype, ndim, shape);
  array.f_order = f_order;
  uint64_t count;
  size_t size;
  int error = ac_array_count(&array, &count);
  uint8_t *const length = ac_give(out, sizeof(uint32_t));
  if (!error && !length) error = AC_E_DST_SIZE;
  if (!error)
    error = ac_encode(&array, &EXACT, &tuning, threads, src, (size_t)count * ac_element_size(dtype), out->p,
                      (size_t)(out->end - out->p), &size);
  if (error) return error;
  if (size > UINT32_MAX) return AC_E_PARAM;
  ac_store32(length, (uint32_t)size);
  ac_give(out, size);
  return AC_OK;
}

int ac_part_take(ac_reader *in, uint8_t dtype, int any_order, unsigned ndim, const uint64_t *shape, ac_stored_part *part) {
  part->size = ac_read32(in);
  part->chunk = ac_take(in, part->size);
  if (in->failed) return in->failed;
  int error = ac_frame_read_header(part->chunk, part->size, &part->info);
  if (!error) error = ac_frame_check_size(part->chunk, part->size, &part->info);
  if (error) return error;
  const ac_info *info = &part->info;
  const ac_array *a = &info->array;
  if (info->codec != AC_CODEC_ANSQUANT || info->delta > 0 || info->whole || info->tol > 0 || info->rtol > 0) return AC_E_FORMAT;
  if (a->dtype != dtype || a->big_endian || (a->f_order && !any_order) || a->ndim != ndim) return AC_E_FORMAT;
  for (unsigned i = 0; i < ndim; i++)
    if (a->shape[i] != shape[i]) return AC_E_FORMAT;
  return AC_OK;
}

int ac_part_decode(const ac_stored_part *part, unsigned threads, void *dst) {
  const size_t size = (size_t)part->info.count * ac_element_size(part->info.array.dtype);
  return ac_decode(part->chunk, part->size, &part->info, dst, size, threads);
}

int ac_parts_open(const void *src, size_t src_size, const ac_info *info, ac_reader *block) {
  const uint8_t *const start = (const uint8_t *)src + info->header_size;
  int error = src_size < info->header_size ? AC_E_TRUNCATED : ac_frame_check_size(src, src_size, info);
  const uint32_t size = error ? 0 : ac_frame_block_size(src, info, 0);
  if (!error && size != src_size - info->header_size) error = AC_E_FORMAT; /* written to in between */
  if (!error) error = ac_frame_check_block(src, info, 0, start, size);
  *block = (ac_reader){start, start + size, 0};
  return error;
}

int ac_parts_decode(const void *src, size_t src_size, const ac_info *info, void *dst, unsigned threads) {
  ac_reader block;
  int error = ac_parts_open(src, src_size, info, &block);
  if (error) return error;
  if (info->codec == AC_CODEC_BACKEND) return AC_E_BACKEND;
  const ac_fpenv saved = ac_fpenv_enter();
  error = info->codec == AC_CODEC_STOCHASTIC ? ac_stochastic_decode(&block, info, dst, threads)
                                             : ac_low_rank_decode(&block, info, dst, threads);
  ac_fpenv_leave(saved);
  if (!error && info->array.big_endian) ac_swap(dst, dst, info->count, ac_type_of(info->array.dtype)->size);
  return error;
}

/* ---- backends ---- */
enum { MAX_BACKEND = 4 };

int ac_backend_bound(size_t compressed_size, size_t *bound) {
  return compressed_size > UINT32_MAX ? AC_E_PARAM : ac_parts_bound((uint64_t)compressed_size + 1 + 10, bound);
}

int ac_backend_wrap(const void *chunk, size_t chunk_size, uint8_t code, const void *compressed, size_t compressed_size,
                    void *dst, size_t capacity, size_t *size) {
  ac_info info;
  ac_writer out;
  int error = ac_peek(chunk, chunk_size, &info);
  if (!error && (info.codec != AC_CODEC_ANSQUANT || code < 1 || code > MAX_BACKEND)) error = AC_E_PARAM;
  if (!error) error = ac_frame_set_whole(&info);
  info.codec = AC_CODEC_BACKEND;
  const ac_fpenv saved = ac_fpenv_enter();
  if (!error) error = ac_parts_begin(&info, dst, capacity, &out);
  if (!error) {
    ac_write8(&out, code);
    ac_write_varint(&out, chunk_size);
    uint8_t *const p = ac_give(&out, compressed_size);
    if (p) memcpy(p, compressed, compressed_size);
    error = ac_parts_end(&info, dst, &out, size);
  }
  ac_fpenv_leave(saved);
  return error;
}

int ac_open_block(const void *src, size_t src_size, const ac_info *info, const uint8_t **block, size_t *size) {
  ac_reader in;
  if (info->codec == AC_CODEC_ANSQUANT) return AC_E_PARAM;
  const int error = ac_parts_open(src, src_size, info, &in);
  *block = in.p;
  *size = ac_remaining(&in);
  return error;
}
