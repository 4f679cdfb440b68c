/* codec.c: the public entry points: chunks to blocks and back, on one thread or several.  Everything
 * the caller passes is checked here, once; what is read from bytes is checked where it is read.
 *
 * Invariants: the floating-point environment is IEEE default inside and the caller's outside;
 * scratch is each thread's own; the same array and tolerance give the same bytes, and the same chunk
 * the same error, whatever the number of threads.
 */
#include <pthread.h>

#include "../arraycodec.h"
#include "../simd/kernels.h"
#include "block.h"
#include "fpenv.h"
#include "frame.h"
#include "parallel.h"
#include "quantize.h"
#include "scratch.h"

static void swap_copy(void *dst, const void *src, size_t n, size_t size) {
  const uint8_t *s = src;
  uint8_t *d = dst;
  if (size == 2)
    for (size_t i = 0; i < n; i++) ac_store16(d + 2 * i, __builtin_bswap16(ac_load16(s + 2 * i)));
  else if (size == 4)
    for (size_t i = 0; i < n; i++) ac_store32(d + 4 * i, __builtin_bswap32(ac_load32(s + 4 * i)));
  else
    for (size_t i = 0; i < n; i++) ac_store64(d + 8 * i, __builtin_bswap64(ac_load64(s + 8 * i)));
}

/* Elements of block i. */
static uint32_t block_elements(const ac_info *info, uint64_t i) {
  const uint64_t left = info->count - i * info->block_len;
  return (uint32_t)(left < info->block_len ? left : info->block_len);
}

/* Rows of 32 values and more, of which a block holds 32 and more. */
static ac_rows rows_of(const ac_array *a, unsigned values) {
  enum { LEAST = 32 };
  ac_rows rows = {0, {0}};
  uint64_t length = values;
  for (unsigned i = 0; i + 1 < a->ndim && rows.n < sizeof rows.length / sizeof *rows.length; i++) {
    length *= a->f_order ? a->shape[i] : a->shape[a->ndim - 1 - i];
    if (length > AC_MAX_BLOCK / LEAST) break;
    if (length >= LEAST && !(rows.n && rows.length[rows.n - 1] == length)) rows.length[rows.n++] = (uint32_t)length;
  }
  return rows;
}

/* What the integers of a chunk mean; `table` is for a relative bound. */
static ac_scale scale_of(const ac_info *info, ac_relative *table) {
  const ac_array *a = &info->array;
  const ac_type *type = ac_type_of(a->dtype);
  ac_scale scale = {.type = type, .whole = info->whole, .n_fill = 0};
  scale.lattice = type->kind == AC_KIND_FLOAT ? ac_lattice_make(type->dtype, info->tol, info->delta) : (ac_lattice){0};
  if (a->ndim > 1) scale.strides.row = type->values * (a->f_order ? a->shape[0] : a->shape[a->ndim - 1]);
  if (a->ndim > 2) scale.strides.plane = scale.strides.row * (a->f_order ? a->shape[1] : a->shape[a->ndim - 2]);
  scale.rows = rows_of(a, type->values);
  scale.box.ndim = 0;
  if (info->n_blocks == 1 && type->values == 1)
    for (unsigned i = 0; i < a->ndim; i++) {
      if (scale.box.ndim == 4) scale.box.extent[0] *= scale.box.extent[1], memmove(scale.box.extent + 1, scale.box.extent + 2, 8), scale.box.ndim--;
      scale.box.extent[scale.box.ndim++] = a->shape[i];
    }
  if (info->rtol > 0) {
    ac_relative_make(table, type->dtype, info->rtol, &scale.lattice);
    scale.relative = table;
  }
  return scale;
}

/* No more threads than blocks. */
static unsigned threads_for(unsigned threads, uint64_t n_blocks) {
  if (threads > n_blocks) threads = (unsigned)n_blocks;
  return threads < 1 ? 1 : threads > AC_MAX_THREADS ? AC_MAX_THREADS : threads;
}

/* ---- encode ---- */
enum { WINDOW_PER_THREAD = 4 }; /* blocks under way: a thread that has a slow one does not stop the others at once */

static int describe(const ac_array *array, const ac_tolerance *tolerance, const ac_tuning *tuning, ac_info *info) {
  const int error = ac_array_count(array, &info->count);
  if (error) return error;
  const ac_type *type = ac_type_of(array->dtype);
  const double tol = tolerance->absolute;
  if (!(tol >= 0) || tol > DBL_MAX || !(tolerance->relative >= 0) || !(tolerance->relative < 1)) return AC_E_PARAM;
  if (tuning->block_len > ac_max_block(type)) return AC_E_PARAM;
  if (tuning->group && tuning->group != 64 && tuning->group != 128) return AC_E_PARAM;
  if (tuning->lanes && (tuning->lanes < 4 || tuning->lanes > 64 || (tuning->lanes & (tuning->lanes - 1)))) return AC_E_PARAM;
  if (tuning->prob_bits && (tuning->prob_bits < AC_MIN_PROB_BITS || tuning->prob_bits > AC_MAX_PROB_BITS)) return AC_E_PARAM;
  if (tuning->level > AC_MAX_LEVEL) return AC_E_PARAM;
  const int is_float = type->kind == AC_KIND_FLOAT;
  info->array = *array;
  info->tol = type->lossless ? 0 : tol;
  info->rtol = ac_relative_effective(type->dtype, tolerance->relative);
  info->delta = is_float ? ac_lattice_delta(type->dtype, tol) : 0;
  const uint64_t most = ac_most_whole(type);
  info->whole = is_float || type->lossless ? 0 : tol < (double)most ? (uint64_t)tol : most;
  if (info->whole > most) info->whole = most; /* (double)most may be rounded up */
  info->block_len = tuning->block_len ? tuning->block_len : ac_max_block(type);
  info->n_blocks = ac_block_count(info->count, info->block_len);
  info->version = AC_FORMAT_VERSION;
  info->codec = AC_CODEC_ANSQUANT;
  return AC_OK;
}

static int bound_for(const ac_info *info, size_t *bound) {
  const uint64_t payload = info->count * ac_element_size(info->array.dtype) + info->n_blocks;
  const size_t header = ac_frame_header_bound(info->n_blocks);
  if (payload > (uint64_t)PTRDIFF_MAX - header) return AC_E_PARAM;
  *bound = (size_t)payload + header;
  return AC_OK;
}

static const ac_tuning AUTOMATIC = {0, 0, 0, 0, 0};

int ac_bound(const ac_array *array, const ac_tuning *tuning, size_t *bound) {
  ac_info info;
  const ac_tolerance lossless = {0, 0, NULL};
  const int error = describe(array, &lossless, tuning ? tuning : &AUTOMATIC, &info);
  return error ? error : bound_for(&info, bound);
}

/* One call of ac_encode, shared by its threads.
 *
 * Blocks are handed out in order.  The size of a block is known only when it is encoded, so where it
 * goes is known when all before it are.  A block taken when that is so is encoded in its place; any
 * other in a slot of the largest size further up in dst, and moved down later.  No more than `window`
 * blocks are under way, and only so many slots are used, of all that blocks of the largest size would
 * have in dst: the last one, which may be short, for the last block, and those before it in turn.  So few
 * pages of dst are touched beyond the result.  Block i uses the slot j >= i with j - i a multiple of the
 * window; since the blocks before it cannot reach beyond i largest sizes, neither slots nor places
 * overlap. */
typedef struct {
  const ac_info *info;
  const ac_tuning *tuning;
  const uint8_t *src;
  uint8_t *dst;
  size_t capacity;
  const ac_scale *scale;
  uint32_t window;

  pthread_mutex_t mutex; /* for what follows */
  pthread_cond_t moved;  /* `placed` has grown */
  uint64_t next;         /* the first block that no thread has taken */
  uint64_t placed;       /* the first block that is not in its place */
  uint64_t in_place;     /* the last block that was encoded in its place */
  uint8_t *end;          /* of the blocks in their places */
  int error;
  uint32_t *sizes;       /* of blocks in slots, 0 until they are encoded */
} encoder;

static uint8_t *slot_of(const encoder *e, uint64_t i) {
  const uint64_t last = e->info->n_blocks - 1, slot = i == last ? i : i + (last - 1 - i) / e->window * e->window;
  return e->dst + e->info->header_size + slot * (1 + (uint64_t)e->info->block_len * ac_element_size(e->info->array.dtype));
}

/* Block i is encoded: move what now can be. */
static void place(encoder *e, uint64_t i, uint32_t size) {
  e->sizes[i % e->window] = size;
  for (uint32_t *first; e->placed < e->next && *(first = &e->sizes[e->placed % e->window]); e->placed++) {
    if (e->placed != e->in_place) memmove(e->end, slot_of(e, e->placed), *first);
    e->end += *first;
    *first = 0;
  }
  pthread_cond_broadcast(&e->moved);
}

/* What every thread does.  A thread without memory takes no block: the others encode them. */
static void encode_blocks(void *context) {
  encoder *e = context;
  const ac_info *info = e->info;
  const ac_type *type = e->scale->type;
  const size_t item = ac_element_size(info->array.dtype);
  const uint32_t largest = block_elements(info, 0);
  /* behind the stages' scratch: a block of a big-endian array in native order */
  ac_encode_scratch scratch;
  const size_t used = ac_encode_scratch_place(&scratch, NULL, largest * type->values, type->size);
  uint8_t *const memory = ac_scratch_take(used + (info->array.big_endian ? largest * item : 0));
  if (!memory) return;
  ac_encode_scratch_place(&scratch, memory, largest * type->values, type->size);
  pthread_mutex_lock(&e->mutex);
  while (e->next < info->n_blocks && !e->error) {
    const uint64_t i = e->next;
    if (i - e->placed >= e->window) {
      pthread_cond_wait(&e->moved, &e->mutex);
      continue;
    }
    const uint32_t n = block_elements(info, i);
    if (i == e->placed) e->in_place = i;
    uint8_t *const block = i == e->placed ? e->end : slot_of(e, i);
    if ((size_t)(e->dst + e->capacity - block) < 1 + n * item) {
      e->error = AC_E_DST_SIZE;
      break;
    }
    e->next++;
    pthread_mutex_unlock(&e->mutex);
    const void *values = e->src + i * info->block_len * item;
    if (info->array.big_endian) {
      swap_copy(memory + used, values, (size_t)n * type->values, type->size);
      values = memory + used;
    }
    const size_t size = ac_block_encode(e->scale, values, i * info->block_len * type->values, n * type->values, e->tuning, &scratch, block);
    ac_frame_set_block(e->dst, info, i, block, (uint32_t)size);
    pthread_mutex_lock(&e->mutex);
    place(e, i, (uint32_t)size);
  }
  pthread_mutex_unlock(&e->mutex);
  ac_scratch_give(memory);
}

/* The fill value as its parts. */
static void keep_fill(ac_scale *scale, const void *fill) {
  const ac_type *type = scale->type;
  scale->n_fill = fill ? type->values : 0;
  for (unsigned i = 0; i < scale->n_fill; i++) {
    scale->fill[i] = 0;
    memcpy(&scale->fill[i], (const uint8_t *)fill + i * type->size, type->size);
  }
}

static int encode(const ac_info *info, const ac_tolerance *tolerance, const ac_tuning *tuning, unsigned threads,
                  const uint8_t *src, uint8_t *dst, size_t capacity, size_t *size) {
  /* slots need the room of ac_bound */
  const uint64_t slots = info->count * ac_element_size(info->array.dtype) + info->n_blocks;
  threads = capacity - info->header_size < slots ? 1 : threads_for(threads, info->n_blocks);
  const uint32_t window = threads > 1 ? WINDOW_PER_THREAD * threads : 1;
  uint32_t sizes[WINDOW_PER_THREAD * AC_MAX_THREADS];
  memset(sizes, 0, window * sizeof *sizes);
  ac_relative table;
  ac_scale scale = scale_of(info, &table);
  keep_fill(&scale, tolerance->fill);
  encoder e = {.info = info, .tuning = tuning, .src = src, .dst = dst, .capacity = capacity, .window = window,
               .scale = &scale, .end = dst + info->header_size, .sizes = sizes};
  if (info->n_blocks) {
    pthread_mutex_init(&e.mutex, NULL);
    pthread_cond_init(&e.moved, NULL);
    ac_parallel(threads, encode_blocks, &e);
    pthread_cond_destroy(&e.moved);
    pthread_mutex_destroy(&e.mutex);
  }
  if (e.error) return e.error;
  if (e.placed != info->n_blocks) return AC_E_MEMORY;
  ac_frame_finish(dst, info);
  *size = (size_t)(e.end - dst);
  return AC_OK;
}

int ac_encode(const ac_array *array, const ac_tolerance *tolerance, const ac_tuning *tuning, unsigned threads,
              const void *src, size_t src_size, void *dst, size_t capacity, size_t *size) {
  ac_info info;
  if (!tuning) tuning = &AUTOMATIC;
  if (!ac_active_kernels()) return AC_E_ISA;
  const ac_fpenv saved = ac_fpenv_enter();
  int error = describe(array, tolerance, tuning, &info);
  if (!error && src_size != info.count * ac_element_size(array->dtype)) error = AC_E_PARAM;
  if (!error && !(info.header_size = ac_frame_write_header(dst, capacity, &info))) error = AC_E_DST_SIZE;
  if (!error) error = encode(&info, tolerance, tuning, threads, src, dst, capacity, size);
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

/* One call of ac_decode or ac_decode_range, shared by its threads.  Blocks are handed out in order, and
 * every block that was handed out is finished: so the first that fails is the one that fails with a
 * single thread. */
typedef struct {
  const ac_info *info;
  const ac_scale *scale;
  const uint8_t *src, *src_end;
  uint64_t first, last; /* the values wanted */
  uint8_t *dst;

  pthread_mutex_t mutex; /* for what follows */
  uint64_t next;         /* the first block that no thread has taken */
  const uint8_t *block;  /* where it starts */
  uint64_t failed;       /* the first block with an error */
  int error;
} decoder;

/* The next block of which values are wanted; 0 if there is none.  Sizes are read from the index once
 * and checked here, not only in ac_frame_check_size: the caller's buffer may be shared memory that
 * somebody else writes to. */
static int take_block(decoder *d, uint64_t *index, const uint8_t **block, uint32_t *size) {
  while (!d->error && d->next < d->info->n_blocks && d->next * d->info->block_len < d->last) {
    *index = d->next++;
    *block = d->block;
    *size = ac_frame_block_size(d->src, d->info, *index);
    if (*size > (size_t)(d->src_end - d->block)) {
      d->error = AC_E_TRUNCATED;
      d->failed = *index;
      return 0;
    }
    d->block += *size;
    if (d->next * d->info->block_len > d->first) return 1;
  }
  return 0;
}

/* Decode what is wanted of block i; `whole` has room for all of it. */
static int decode_block(const decoder *d, uint64_t i, const uint8_t *block, uint32_t size, ac_decode_scratch *scratch,
                        uint8_t *whole) {
  const ac_info *info = d->info;
  const ac_type *type = d->scale->type;
  const size_t item = ac_element_size(info->array.dtype);
  const uint32_t n = block_elements(info, i);
  const uint64_t from = i * info->block_len, to = from + n;
  const int partial = from < d->first || to > d->last;
  uint8_t *values = partial ? whole : d->dst + (from - d->first) * item;
  int error = ac_frame_check_block(d->src, info, i, block, size);
  if (!error) error = ac_block_decode(d->scale, block, size, n * type->values, scratch, values);
  if (error) return error;
  if (info->array.big_endian) swap_copy(values, values, (size_t)n * type->values, type->size);
  if (partial) {
    const uint64_t a = from > d->first ? from : d->first, b = to < d->last ? to : d->last;
    memcpy(d->dst + (a - d->first) * item, values + (a - from) * item, (b - a) * item);
  }
  return AC_OK;
}

/* What every thread does.  A thread without memory takes no block: the others decode them. */
static void decode_blocks(void *context) {
  decoder *d = context;
  const uint32_t block_len = d->info->block_len;
  const int parts = d->first % block_len || (d->last % block_len && d->last != d->info->count);
  const uint32_t largest = block_elements(d->info, 0);
  ac_decode_scratch scratch;
  const size_t used = ac_decode_scratch_place(&scratch, NULL, largest * d->scale->type->values);
  uint8_t *const memory = ac_scratch_take(used + (parts ? largest * ac_element_size(d->info->array.dtype) : 0));
  if (!memory) return;
  ac_decode_scratch_place(&scratch, memory, largest * d->scale->type->values);
  uint64_t i;
  const uint8_t *block;
  uint32_t size;
  pthread_mutex_lock(&d->mutex);
  while (take_block(d, &i, &block, &size)) {
    pthread_mutex_unlock(&d->mutex);
    const int error = decode_block(d, i, block, size, &scratch, memory + used);
    pthread_mutex_lock(&d->mutex);
    if (error && (!d->error || i < d->failed)) {
      d->error = error;
      d->failed = i;
    }
  }
  pthread_mutex_unlock(&d->mutex);
  ac_scratch_give(memory);
}

static int decode_values(const uint8_t *src, size_t src_size, const ac_info *info, uint64_t first,
                         uint64_t count, void *dst, size_t dst_size, unsigned threads) {
  if (src_size < info->header_size) return AC_E_TRUNCATED;
  const int error = ac_frame_check_size(src, src_size, info);
  if (error) return error;
  if (first > info->count || count > info->count - first) return AC_E_PARAM;
  if (dst_size != count * ac_element_size(info->array.dtype)) return AC_E_DST_SIZE;
  if (!count) return AC_OK;
  ac_relative table;
  ac_scale scale;
  decoder d = {.info = info, .scale = &scale, .src = src, .src_end = src + src_size, .first = first, .last = first + count, .dst = dst,
               .block = src + info->header_size};
  const ac_fpenv saved = ac_fpenv_enter();
  scale = scale_of(info, &table);
  pthread_mutex_init(&d.mutex, NULL);
  ac_parallel(threads_for(threads, (d.last - 1) / info->block_len - first / info->block_len + 1), decode_blocks, &d);
  pthread_mutex_destroy(&d.mutex);
  ac_fpenv_leave(saved);
  if (d.error) return d.error;
  return d.next * info->block_len < d.last && d.next < info->n_blocks ? AC_E_MEMORY : AC_OK;
}

int ac_decode_range(const void *src, size_t src_size, const ac_info *info, uint64_t first, uint64_t count, void *dst,
                    size_t dst_size) {
  ac_info own;
  const int error = info ? AC_OK : ac_peek(src, src_size, &own);
  return error ? error : decode_values(src, src_size, info ? info : &own, first, count, dst, dst_size, 1);
}

int ac_decode(const void *src, size_t src_size, const ac_info *info, void *dst, size_t dst_size, unsigned threads) {
  ac_info own;
  const int error = info ? AC_OK : ac_peek(src, src_size, &own);
  if (error) return error;
  if (!info) info = &own;
  return decode_values(src, src_size, info, 0, info->count, dst, dst_size, threads);
}

int ac_inspect(const void *src, size_t src_size, ac_info *info, ac_block_info *blocks, uint64_t n_blocks) {
  int error = ac_peek(src, src_size, info);
  if (!error) error = ac_frame_check_size(src, src_size, info);
  if (!error && n_blocks != info->n_blocks) error = AC_E_PARAM;
  const uint8_t *p = src, *const end = p + src_size;
  ac_relative table;
  ac_scale scale;
  ac_decode_scratch scratch;
  uint8_t *memory = NULL;
  const ac_fpenv saved = ac_fpenv_enter();
  if (!error && n_blocks) {
    p += info->header_size;
    scale = scale_of(info, &table);
    const uint32_t largest = block_elements(info, 0) * scale.type->values;
    memory = ac_scratch_take(ac_decode_scratch_place(&scratch, NULL, largest));
    if (memory) ac_decode_scratch_place(&scratch, memory, largest);
    else error = AC_E_MEMORY;
  }
  for (uint64_t i = 0; i < n_blocks && !error; i++) {
    ac_block_info *block = &blocks[i];
    const uint32_t size = ac_frame_block_size(src, info, i);
    block->offset = (uint64_t)(p - (const uint8_t *)src);
    block->size = size;
    block->count = block_elements(info, i);
    if (size > (size_t)(end - p)) error = AC_E_TRUNCATED;
    if (!error) error = ac_frame_check_block(src, info, i, p, size);
    if (!error) error = ac_block_inspect(&scale, p, size, block->count * scale.type->values, &scratch, block);
    p += size;
  }
  ac_scratch_give(memory);
  ac_fpenv_leave(saved);
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
