/* codec.c: the public entry points: chunks to blocks and back.  Everything the caller passes is
 * checked here, once; what is read from bytes is checked where it is read.
 *
 * Invariants: the floating-point environment is IEEE default inside and the caller's outside;
 * scratch is the thread's own, taken and given back at one place; the same array and tolerance give
 * the same bytes.
 */
#include "../arraycodec.h"
#include "../simd/kernels.h"
#include "block.h"
#include "fpenv.h"
#include "frame.h"
#include "quantize.h"
#include "scratch.h"

static void swap_copy(void *dst, const void *src, size_t n, size_t item) {
  const uint8_t *s = src;
  uint8_t *d = dst;
  if (item == 4)
    for (size_t i = 0; i < n; i++) ac_store32(d + 4 * i, __builtin_bswap32(ac_load32(s + 4 * i)));
  else
    for (size_t i = 0; i < n; i++) ac_store64(d + 8 * i, __builtin_bswap64(ac_load64(s + 8 * i)));
}

static uint32_t block_values(const ac_info *info, uint64_t i) {
  const uint64_t left = info->count - i * info->block_len;
  return (uint32_t)(left < info->block_len ? left : info->block_len);
}

/* ---- encode ---- */
static int describe(const ac_array *array, double tol, const ac_tuning *tuning, ac_info *info) {
  const int error = ac_array_count(array, &info->count);
  if (error) return error;
  if (!(tol >= 0) || tol > DBL_MAX || tuning->block_len > AC_MAX_BLOCK) return AC_E_PARAM;
  if (tuning->group && tuning->group != 64 && tuning->group != 128) return AC_E_PARAM;
  if (tuning->lanes && (tuning->lanes < 4 || tuning->lanes > 64 || (tuning->lanes & (tuning->lanes - 1)))) return AC_E_PARAM;
  if (tuning->prob_bits && (tuning->prob_bits < AC_MIN_PROB_BITS || tuning->prob_bits > AC_MAX_PROB_BITS)) return AC_E_PARAM;
  info->array = *array;
  info->tol = tol;
  info->delta = ac_lattice_delta(array->dtype, tol);
  info->block_len = tuning->block_len ? tuning->block_len : AC_MAX_BLOCK;
  info->n_blocks = ac_block_count(info->count, info->block_len);
  info->version = AC_FORMAT_VERSION;
  info->codec = AC_CODEC_ANSQUANT;
  return AC_OK;
}

static int bound_for(const ac_info *info, size_t *bound) {
  const uint64_t payload = info->count * ac_item_size(info->array.dtype) + info->n_blocks;
  const size_t header = ac_frame_header_bound(info->n_blocks);
  if (payload > (uint64_t)PTRDIFF_MAX - header) return AC_E_PARAM;
  *bound = (size_t)payload + header;
  return AC_OK;
}

static const ac_tuning AUTOMATIC = {0, 0, 0, 0};

int ac_bound(const ac_array *array, const ac_tuning *tuning, size_t *bound) {
  ac_info info;
  const int error = describe(array, 0, tuning ? tuning : &AUTOMATIC, &info);
  return error ? error : bound_for(&info, bound);
}

static int encode(const ac_info *info, const ac_tuning *tuning, const uint8_t *src, uint8_t *dst, size_t capacity,
                  size_t *size) {
  const size_t item = ac_item_size(info->array.dtype);
  const ac_lattice lattice = ac_lattice_make(info->array.dtype, info->tol, info->delta);
  const uint32_t largest = info->count ? block_values(info, 0) : 0;
  const size_t header = (size_t)info->header_size;
  /* behind the stages' scratch: a block of a big-endian array in native order */
  ac_encode_scratch scratch;
  const size_t used = ac_encode_scratch_place(&scratch, NULL, largest);
  uint8_t *const memory = ac_scratch_take(used + (info->array.big_endian ? largest * item : 0));
  if (!memory) return AC_E_MEMORY;
  ac_encode_scratch_place(&scratch, memory, largest);
  uint8_t *const native = info->array.big_endian ? memory + used : NULL;
  int error = AC_OK;
  uint8_t *p = dst + header;
  for (uint64_t i = 0; i < info->n_blocks; i++) {
    const uint32_t n = block_values(info, i);
    if ((size_t)(dst + capacity - p) < 1 + n * item) {
      error = AC_E_DST_SIZE;
      break;
    }
    const void *values = src + i * info->block_len * item;
    if (native) {
      swap_copy(native, values, n, item);
      values = native;
    }
    const size_t length = ac_block_encode(info->array.dtype, values, n, &lattice, tuning, &scratch, p);
    ac_frame_set_block(dst, info, i, p, (uint32_t)length);
    p += length;
  }
  ac_scratch_give(memory);
  if (error) return error;
  ac_frame_finish(dst, info);
  *size = (size_t)(p - dst);
  return AC_OK;
}

int ac_encode(const ac_array *array, double tol, const ac_tuning *tuning, const void *src, size_t src_size, void *dst,
              size_t capacity, size_t *size) {
  ac_info info;
  if (!tuning) tuning = &AUTOMATIC;
  if (!ac_active_kernels()) return AC_E_ISA;
  const ac_fpenv saved = ac_fpenv_enter();
  int error = describe(array, tol, tuning, &info);
  if (!error && src_size != info.count * ac_item_size(array->dtype)) error = AC_E_PARAM;
  if (!error && !(info.header_size = ac_frame_write_header(dst, capacity, &info))) error = AC_E_DST_SIZE;
  if (!error) error = encode(&info, tuning, src, dst, capacity, size);
  ac_fpenv_leave(saved);
  return error;
}

/* ---- decode ---- */
int ac_peek(const void *src, size_t src_size, ac_info *info) {
  if (!ac_active_kernels()) return AC_E_ISA;
  const ac_fpenv saved = ac_fpenv_enter(); /* a subnormal delta is refused, also where DAZ is set */
  const int error = ac_frame_read_header(src, src_size, info);
  ac_fpenv_leave(saved);
  return error;
}

/* Sizes are read from the index once and checked where they are used, not only in
 * ac_frame_check_size: the caller's buffer may be shared memory that somebody else writes to. */
static int decode_range(const uint8_t *src, const uint8_t *end, const ac_info *info, uint64_t first, uint64_t count,
                        uint8_t *dst) {
  const size_t item = ac_item_size(info->array.dtype);
  const uint64_t last = first + count;
  const uint8_t *block = src + info->header_size;
  /* behind the tables: a block of which only a part is wanted */
  const size_t tables = AC_MAX_TABLES * sizeof(uint32_t);
  const int parts = first % info->block_len || (last % info->block_len && last != info->count);
  uint8_t *const memory = ac_scratch_take(tables + (parts ? info->block_len * item : 0));
  if (!memory) return AC_E_MEMORY;
  int error = AC_OK;
  for (uint64_t i = 0; i < info->n_blocks && !error; i++) {
    const uint32_t size = ac_frame_block_size(src, info, i), n = block_values(info, i);
    const uint64_t from = i * info->block_len, to = from + n;
    if (from >= last) break;
    if (size > (size_t)(end - block)) {
      error = AC_E_TRUNCATED;
      break;
    }
    if (to > first) {
      const int partial = from < first || to > last;
      uint8_t *values = partial ? memory + tables : dst + (from - first) * item;
      error = ac_frame_check_block(src, info, i, block, size);
      if (!error) error = ac_block_decode(info->array.dtype, block, size, n, info->delta, (uint32_t *)memory, values);
      if (!error && info->array.big_endian) swap_copy(values, values, n, item);
      if (!error && partial) {
        const uint64_t a = from > first ? from : first, b = to < last ? to : last;
        memcpy(dst + (a - first) * item, values + (a - from) * item, (b - a) * item);
      }
    }
    block += size;
  }
  ac_scratch_give(memory);
  return error;
}

static int decode_checked(const void *src, size_t src_size, const ac_info *info, uint64_t first, uint64_t count, void *dst,
                          size_t dst_size) {
  int error = ac_frame_check_size(src, src_size, info);
  if (error) return error;
  if (first > info->count || count > info->count - first) return AC_E_PARAM;
  if (dst_size != count * ac_item_size(info->array.dtype)) return AC_E_DST_SIZE;
  if (!count) return AC_OK;
  const ac_fpenv saved = ac_fpenv_enter();
  error = decode_range(src, (const uint8_t *)src + src_size, info, first, count, dst);
  ac_fpenv_leave(saved);
  return error;
}

int ac_decode_range(const void *src, size_t src_size, uint64_t first, uint64_t count, void *dst, size_t dst_size) {
  ac_info info;
  const int error = ac_peek(src, src_size, &info);
  return error ? error : decode_checked(src, src_size, &info, first, count, dst, dst_size);
}

int ac_decode(const void *src, size_t src_size, void *dst, size_t dst_size) {
  ac_info info;
  const int error = ac_peek(src, src_size, &info);
  return error ? error : decode_checked(src, src_size, &info, 0, info.count, dst, dst_size);
}

int ac_inspect(const void *src, size_t src_size, ac_info *info, ac_block_info *blocks, uint64_t n_blocks) {
  int error = ac_peek(src, src_size, info);
  if (!error) error = ac_frame_check_size(src, src_size, info);
  if (!error && n_blocks != info->n_blocks) error = AC_E_PARAM;
  const uint8_t *p = src, *const end = p + src_size;
  if (!error) p += info->header_size;
  for (uint64_t i = 0; i < n_blocks && !error; i++) {
    ac_block_info *block = &blocks[i];
    const uint32_t size = ac_frame_block_size(src, info, i);
    block->offset = (uint64_t)(p - (const uint8_t *)src);
    block->size = size;
    block->count = block_values(info, i);
    if (size > (size_t)(end - p)) error = AC_E_TRUNCATED;
    if (!error) error = ac_frame_check_block(src, info, i, p, size);
    if (!error) error = ac_block_inspect(info->array.dtype, p, size, block->count, info->delta, block);
    p += size;
  }
  return error;
}

const char *ac_error_name(int code) {
  switch (code) {
    case AC_OK: return "no error";
    case AC_E_PARAM: return "invalid argument";
    case AC_E_MEMORY: return "out of memory";
    case AC_E_DST_SIZE: return "the chunk holds another number of values than the destination";
    case AC_E_ISA: return "ARRAYCODEC_ISA names no instruction set of this machine";
    case AC_E_FORMAT: return "not an arraycodec chunk, or a corrupt one";
    case AC_E_TRUNCATED: return "truncated chunk";
    case AC_E_CHECKSUM: return "corrupt chunk (checksum mismatch)";
    case AC_E_VERSION: return "chunk of an unknown format version or codec";
    default: return "unknown error";
  }
}
