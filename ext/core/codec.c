/* codec.c: the public entry points: chunks to blocks and back, on one thread or several.  Everything
 * the caller passes is checked here, once; what is read from bytes is checked where it is read.
 *
 * Invariants: the floating-point environment is IEEE default inside and the caller's outside;
 * scratch is each thread's own; the same array and tolerance give the same bytes, and the same chunk
 * the same error, whatever the number of threads.
 */
#include <pthread.h>
#include <stdlib.h>

#include "../arraycodec.h"
#include "../simd/kernels.h"
#include "block.h"
#include "box.h"
#include "fine.h"
#include "fpenv.h"
#include "frame.h"
#include "glance.h"
#include "parallel.h"
#include "parts.h"
#include "quantize.h"
#include "scratch.h"
#include "section.h"

/* What the integers of a chunk mean; `table` is for a relative bound. */
static ac_scale scale_of(const ac_info *info, ac_relative *table) {
  const ac_type *type = ac_type_of(info->array.dtype);
  ac_scale scale = {.type = type, .whole = info->whole, .n_fill = 0};
  scale.lattice = type->kind == AC_KIND_FLOAT ? ac_lattice_make(type->dtype, info->tol, info->delta) : (ac_lattice){0};
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
/* May blocks of predicted values be smaller than others? */
static int may_predict(const ac_info *info) {
  const ac_type *type = ac_type_of(info->array.dtype);
  return type->kind == AC_KIND_FLOAT ? !info->rtol : !type->lossless;
}

enum { WINDOW_PER_THREAD = 4 }; /* blocks under way: a thread that has a slow one does not stop the others at once */

static int describe(const ac_array *array, const ac_tolerance *tolerance, const ac_tuning *tuning, unsigned apart, ac_info *info) {
  const int error = ac_array_count(array, &info->count);
  if (error) return error;
  const ac_type *type = ac_type_of(array->dtype);
  const double tol = tolerance->absolute;
  if (!(tol >= 0) || tol > DBL_MAX || !(tolerance->relative >= 0) || !(tolerance->relative < 1)) return AC_E_PARAM;
  if (tuning->block_len > ac_max_block(type) || tuning->box_len > ac_max_block(type)) return AC_E_PARAM;
  if (tuning->block_len && tuning->box_len) return AC_E_PARAM;
  if (tuning->group && tuning->group != 64 && tuning->group != 128) return AC_E_PARAM;
  if (tuning->lanes && (tuning->lanes < 4 || tuning->lanes > 64 || (tuning->lanes & (tuning->lanes - 1)))) return AC_E_PARAM;
  if (tuning->prob_bits && (tuning->prob_bits < AC_MIN_PROB_BITS || tuning->prob_bits > AC_MAX_PROB_BITS)) return AC_E_PARAM;
  if (tuning->level > AC_MAX_LEVEL || tuning->predictor >= AC_PREDICTORS || tuning->coder >= AC_CODERS) return AC_E_PARAM;
  const int is_float = type->kind == AC_KIND_FLOAT;
  info->array = *array;
  info->tol = type->lossless ? 0 : tol;
  info->rtol = ac_relative_effective(type->dtype, tolerance->relative);
  info->delta = is_float ? ac_lattice_delta(type->dtype, tol) : 0;
  const uint64_t most = ac_most_whole(type);
  info->whole = is_float || type->lossless ? 0 : tol < (double)most ? (uint64_t)tol : most;
  if (info->whole > most) info->whole = most; /* (double)most may be rounded up */
  info->version = AC_FORMAT_VERSION;
  info->codec = AC_CODEC_ANSQUANT;
  info->header_size = 0;
  const uint32_t largest = tuning->box_len ? tuning->box_len : ac_max_block(type);
  if (tuning->block_len || array->ndim < 2 || info->count <= largest) {
    ac_frame_set_runs(info, tuning->block_len ? tuning->block_len : ac_max_block(type));
    return AC_OK;
  }
  ac_box_choose(array, largest, ac_predicts(tuning) && may_predict(info), apart, info->box);
  return ac_frame_set_boxes(info);
}

/* Bytes of the largest block. */
static uint64_t largest_size(const ac_info *info) { return 1 + (uint64_t)info->block_len * ac_element_size(info->array.dtype); }

/* The room that the blocks have in dst.  That of short boxes, which may be anywhere, is not less than that of others. */
static uint64_t room_of(const ac_info *info) {
  if (!info->boxed) return info->count * ac_element_size(info->array.dtype) + info->n_blocks;
  uint64_t room;
  return __builtin_mul_overflow(info->n_blocks, largest_size(info), &room) ? UINT64_MAX : room;
}

static int bound_for(const ac_info *info, size_t *bound) {
  const uint64_t payload = room_of(info);
  const size_t header = ac_frame_header_bound(info->n_blocks);
  if (payload > (uint64_t)PTRDIFF_MAX - header) return AC_E_PARAM;
  *bound = (size_t)payload + header;
  return AC_OK;
}

/* With what is chosen where it is left to the encoder, but for the level and what stands for all blocks. */
static ac_tuning resolve(const ac_tuning *tuning) {
  ac_tuning t = {0};
  if (tuning) t = *tuning;
  if (t.predictor == AC_PREDICTOR_DEFAULT) t.predictor = AC_PREDICTOR_AUTO;
  if (t.coder == AC_CODER_VARINT) t.predictor = AC_PREDICTOR_NONE;
  return t;
}

/* A tolerance with which there may be predictions. */
static const ac_tolerance SOME = {1, 0, NULL};

int ac_describe(const ac_array *array, const ac_tuning *tuning, ac_info *info) {
  const ac_tuning t = resolve(tuning);
  return describe(array, &SOME, &t, 0, info);
}

/* Could it be better to have a block for every index of the slowest axis? */
static int may_be_apart(const ac_info *info, const ac_tuning *tuning) {
  enum { LEAST = 1 << 15 };
  const ac_array *a = &info->array;
  if (!info->boxed || tuning->box_len || !ac_predicts(tuning) || a->ndim < 3) return 0;
  const uint64_t n = a->shape[a->f_order ? a->ndim - 1 : 0];
  return n > 1 && info->count / n >= LEAST && ac_type_of(a->dtype)->kind == AC_KIND_FLOAT;
}

/* Boxes depend on what is predicted, and that on the values: what any of them may need. */
static int bounds(const ac_array *array, const ac_tuning *tuning, size_t *bound, uint64_t *blocks) {
  ac_tuning t = resolve(tuning);
  *bound = *blocks = 0;
  for (unsigned way = 0; way < 3; way++) { /* predicted, so with every index of the slowest axis apart, not predicted */
    ac_info info;
    size_t room;
    int error = describe(array, &SOME, &t, way == 1, &info);
    if (!error) error = bound_for(&info, &room);
    if (error) return error;
    if (room > *bound) *bound = room;
    if (info.n_blocks > *blocks) *blocks = info.n_blocks;
    if (way == 0 && !may_be_apart(&info, &t)) way++;
    if (way == 1) {
      if (!ac_predicts(&t)) break;
      t.predictor = AC_PREDICTOR_NONE;
    }
  }
  return AC_OK;
}

int ac_bound(const ac_array *array, const ac_tuning *tuning, size_t *bound) {
  uint64_t blocks;
  return bounds(array, tuning, bound, &blocks);
}

int ac_most_blocks(const ac_array *array, const ac_tuning *tuning, uint64_t *blocks) {
  size_t bound;
  return bounds(array, tuning, &bound, blocks);
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
  const ac_cut *cut;
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
  return e->dst + e->info->header_size + slot * largest_size(e->info);
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

/* The values of a block: where they stand in the array, or brought together, in native byte order, in `copy`. */
static const void *values_of(const encoder *e, uint64_t i, uint8_t *copy) {
  const ac_cut *cut = e->cut;
  const ac_array *a = &e->info->array;
  const size_t item = ac_element_size(a->dtype);
  ac_part part;
  uint64_t at = 0, inner = ac_cut_part(cut, i, 0, &part);
  ac_copy together = {.n = 0};
  for (unsigned j = 0; j < cut->ndim; j++) {
    at += part.start[j] * cut->stride[j];
    inner /= part.extent[j];
    ac_copy_add(&together, part.extent[j], (ptrdiff_t)(cut->stride[j] * item), (ptrdiff_t)(inner * item));
  }
  const uint8_t *const values = e->src + at * item;
  if (!a->big_endian && ac_copy_contiguous(&together, item)) return values;
  ac_copy_run(&together, ac_type_of(a->dtype), a->big_endian, values, copy);
  return copy;
}

/* What every thread does.  A thread without memory takes no block: the others encode them. */
static void encode_blocks(void *context) {
  encoder *e = context;
  const ac_info *info = e->info;
  const ac_type *type = e->scale->type;
  const uint32_t largest = ac_cut_largest(e->cut);
  const size_t item = ac_element_size(info->array.dtype);
  /* behind the stages' scratch: a block of an array that is big-endian, or of which blocks are not contiguous */
  const int copies = info->array.big_endian || !ac_cut_is_contiguous(e->cut);
  ac_encode_scratch scratch;
  const size_t used = ac_encode_scratch_place(&scratch, NULL, largest * type->values, type->size);
  uint8_t *const memory = ac_scratch_take(used + (copies ? largest * item : 0));
  if (!memory) return;
  ac_encode_scratch_place(&scratch, memory, largest * type->values, type->size);
  pthread_mutex_lock(&e->mutex);
  while (e->next < info->n_blocks && !e->error) {
    const uint64_t i = e->next;
    if (i - e->placed >= e->window) {
      pthread_cond_wait(&e->moved, &e->mutex);
      continue;
    }
    const ac_geometry geometry = ac_cut_geometry(e->cut, i);
    if (i == e->placed) e->in_place = i;
    uint8_t *const block = i == e->placed ? e->end : slot_of(e, i);
    if ((size_t)(e->dst + e->capacity - block) < 1 + (size_t)geometry.n * type->size) {
      e->error = AC_E_DST_SIZE;
      break;
    }
    e->next++;
    pthread_mutex_unlock(&e->mutex);
    const void *values = values_of(e, i, memory + used);
    const size_t size = ac_block_encode(e->scale, &geometry, values, e->tuning, &scratch, block);
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
  threads = capacity - info->header_size < room_of(info) ? 1 : threads_for(threads, info->n_blocks);
  const uint32_t window = threads > 1 ? WINDOW_PER_THREAD * threads : 1;
  uint32_t sizes[WINDOW_PER_THREAD * AC_MAX_THREADS];
  memset(sizes, 0, window * sizeof *sizes);
  ac_relative table;
  ac_scale scale = scale_of(info, &table);
  keep_fill(&scale, tolerance->fill);
  ac_cut cut;
  ac_cut_make(&cut, info);
  ac_cut_flatten(&cut);
  encoder e = {.info = info, .cut = &cut, .tuning = tuning, .src = src, .dst = dst, .capacity = capacity, .window = window,
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
  ac_tuning t = resolve(tuning);
  if (!ac_active_kernels()) return AC_E_ISA;
  const ac_fpenv saved = ac_fpenv_enter();
  int error = describe(array, tolerance, &t, 0, &info);
  if (!error && src_size != info.count * ac_element_size(array->dtype)) error = AC_E_PARAM;
  if (!error && t.predictor == AC_PREDICTOR_AUTO && may_predict(&info) && !ac_glance_predictable(&info, src)) {
    t.predictor = AC_PREDICTOR_NONE;
    error = describe(array, tolerance, &t, 0, &info);
  }
  if (!error && may_be_apart(&info, &t) && ac_glance_apart(&info, src)) error = describe(array, tolerance, &t, 1, &info);
  if (!error && !(info.header_size = ac_frame_write_header(dst, capacity, &info))) error = AC_E_DST_SIZE;
  if (!error) error = encode(&info, tolerance, &t, threads, src, dst, capacity, size);
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

/* One call of a decoder, shared by its threads.  Blocks are handed out in order, and every block that was
 * handed out is finished: so the first that fails is the one that fails with a single thread. */
typedef struct {
  const ac_info *info;
  const ac_scale *scale;
  const ac_cut *cut;
  const uint8_t *src, *src_end;
  const ac_slice *slices; /* what is wanted, axes as those of the cut */
  uint8_t *dst;           /* of the first element that is wanted */
  int copies;             /* some blocks are not decoded in their places */

  pthread_mutex_t mutex; /* for what follows */
  uint64_t next, last;   /* the first block that no thread has taken, and where those end of which something is wanted */
  const uint8_t *block;  /* where it starts */
  uint64_t failed;       /* the first block with an error */
  int error;
} decoder;

/* What is wanted of a part of a block: from which of the part's elements on, to which distance from dst, and how it is
 * copied.  0 if nothing is. */
static int select_part(const decoder *d, const ac_part *part, uint64_t *from, ptrdiff_t *to, ac_copy *copy) {
  const ptrdiff_t item = (ptrdiff_t)ac_element_size(d->info->array.dtype);
  uint64_t inner = 1;
  for (unsigned j = 0; j < d->cut->ndim; j++) inner *= part->extent[j];
  *from = 0;
  *to = 0;
  copy->n = 0;
  for (unsigned j = 0; j < d->cut->ndim; j++) {
    const ac_slice *s = &d->slices[j];
    const uint64_t start = part->start[j], end = start + part->extent[j];
    /* indices of the slice that lie before them */
    const uint64_t before = start > s->start ? (start - s->start - 1) / s->step + 1 : 0;
    uint64_t until = end > s->start ? (end - s->start - 1) / s->step + 1 : 0;
    if (until > s->count) until = s->count;
    if (before >= until) return 0;
    inner /= part->extent[j];
    *from += (s->start + before * s->step - start) * inner;
    *to += (ptrdiff_t)before * s->stride;
    const uint64_t count = until - before;
    ac_copy_add(copy, count, count > 1 ? (ptrdiff_t)(s->step * inner) * item : 0, s->stride);
  }
  return 1;
}

/* Where block i is decoded to if that is its place: all of it is wanted, and stands there one element after the other.  Else NULL;
 * *wanted says whether anything is. */
static uint8_t *place_of(const decoder *d, uint64_t i, int *wanted) {
  ac_part part;
  ac_copy copy;
  uint64_t from;
  ptrdiff_t to;
  const uint32_t n = ac_cut_elements(d->cut, i);
  uint32_t m = ac_cut_part(d->cut, i, 0, &part);
  *wanted = select_part(d, &part, &from, &to, &copy);
  if (*wanted && m == n && ac_copy_contiguous(&copy, ac_element_size(d->info->array.dtype)) == n) {
    uint8_t *const place = d->dst + to;
    return (uintptr_t)place % d->scale->type->size ? NULL : place;
  }
  for (uint32_t at = m; !*wanted && at < n; at += m) {
    m = ac_cut_part(d->cut, i, at, &part);
    *wanted = select_part(d, &part, &from, &to, &copy);
  }
  return NULL;
}

/* The next block of which something is wanted; 0 if there is none.  Sizes are read from the index once
 * and checked here, not only in ac_frame_check_size: the caller's buffer may be shared memory that
 * somebody else writes to. */
static int take_block(decoder *d, uint64_t *index, const uint8_t **block, uint32_t *size) {
  while (!d->error && d->next < d->last) {
    *index = d->next++;
    *block = d->block;
    *size = ac_frame_block_size(d->src, d->info, *index);
    if (*size > (size_t)(d->src_end - d->block)) {
      d->error = AC_E_TRUNCATED;
      d->failed = *index;
      return 0;
    }
    d->block += *size;
    int wanted;
    place_of(d, *index, &wanted);
    if (wanted) return 1;
  }
  return 0;
}

/* Decode what is wanted of block i; `whole` has room for all of it if there are copies. */
static int decode_block(const decoder *d, uint64_t i, const uint8_t *block, uint32_t size, ac_decode_scratch *scratch,
                        uint8_t *whole) {
  const ac_type *type = d->scale->type;
  const size_t item = ac_element_size(d->info->array.dtype);
  const int swap = d->info->array.big_endian;
  const ac_geometry geometry = ac_cut_geometry(d->cut, i);
  int wanted, error = ac_frame_check_block(d->src, d->info, i, block, size);
  uint8_t *const place = place_of(d, i, &wanted), *const values = place ? place : whole;
  if (!error) error = ac_block_decode(d->scale, &geometry, block, size, scratch, values);
  if (error) return error;
  if (place) {
    if (swap) ac_swap(values, values, geometry.n, type->size);
    return AC_OK;
  }
  const ac_type *element = ac_type_of(d->info->array.dtype);
  ac_part part;
  ac_copy copy;
  uint64_t from;
  ptrdiff_t to;
  for (uint32_t at = 0, m, n = ac_cut_elements(d->cut, i); at < n; at += m) {
    m = ac_cut_part(d->cut, i, at, &part);
    if (select_part(d, &part, &from, &to, &copy)) ac_copy_run(&copy, element, swap, values + (at + from) * item, d->dst + to);
  }
  return AC_OK;
}

/* What every thread does.  A thread without memory takes no block: the others decode them. */
static void decode_blocks(void *context) {
  decoder *d = context;
  const uint32_t largest = ac_cut_largest(d->cut);
  ac_decode_scratch scratch;
  const size_t used = ac_decode_scratch_place(&scratch, NULL, largest * d->scale->type->values);
  uint8_t *const memory = ac_scratch_take(used + (d->copies ? largest * ac_element_size(d->info->array.dtype) : 0));
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

/* Chunks of other codecs have one block: all of it is decoded, and what is wanted copied. */
static int decode_whole(const uint8_t *src, size_t src_size, const ac_info *info, const ac_cut *cut, const ac_slice *slices,
                        void *dst, unsigned threads) {
  const ac_type *element = ac_type_of(info->array.dtype);
  const size_t item = ac_element_size(info->array.dtype);
  decoder d = {.info = info, .cut = cut, .slices = slices};
  ac_part part;
  ac_copy copy;
  uint64_t from;
  ptrdiff_t to;
  uint8_t *const whole = malloc(info->count * item);
  int error = whole ? ac_parts_decode(src, src_size, info, whole, threads) : AC_E_MEMORY;
  for (uint64_t at = 0; at < info->count && !error; at += ac_cut_part(cut, 0, (uint32_t)at, &part)) {
    ac_cut_part(cut, 0, (uint32_t)at, &part);
    if (select_part(&d, &part, &from, &to, &copy)) ac_copy_run(&copy, element, 0, whole + (at + from) * item, (uint8_t *)dst + to);
  }
  free(whole);
  return error;
}

/* The whole chunk must be there, and what is wanted not be empty. */
static int decode_slices(const uint8_t *src, size_t src_size, const ac_info *info, const ac_cut *cut, const ac_slice *slices,
                         void *dst, unsigned threads) {
  ac_relative table;
  ac_scale scale;
  decoder d = {.info = info, .scale = &scale, .cut = cut, .src = src, .src_end = src + src_size, .slices = slices, .dst = dst,
               .block = src + info->header_size};
  if (info->codec != AC_CODEC_ANSQUANT) return decode_whole(src, src_size, info, cut, slices, dst, threads);
  const ac_fpenv saved = ac_fpenv_enter();
  scale = scale_of(info, &table);
  uint64_t n_blocks = 0;
  for (uint64_t i = 0; i < info->n_blocks; i++) {
    int wanted;
    const uint8_t *place = place_of(&d, i, &wanted);
    if (!wanted) continue;
    if (!place) d.copies = 1;
    n_blocks++;
    d.last = i + 1;
  }
  pthread_mutex_init(&d.mutex, NULL);
  ac_parallel(threads_for(threads, n_blocks), decode_blocks, &d);
  pthread_mutex_destroy(&d.mutex);
  ac_fpenv_leave(saved);
  if (d.error) return d.error;
  return d.next < d.last ? AC_E_MEMORY : AC_OK;
}

/* Header, if the caller has not read it, and the size of the chunk. */
static int open_chunk(const void *src, size_t src_size, const ac_info **info, ac_info *own) {
  if (!*info) {
    const int error = ac_peek(src, src_size, own);
    if (error) return error;
    *info = own;
  }
  return src_size < (*info)->header_size ? AC_E_TRUNCATED : ac_frame_check_size(src, src_size, *info);
}

/* All indices of a part, which stands in memory order at dst. */
static void slices_of(const ac_cut *cut, const ac_part *part, size_t item, ac_slice *slices) {
  size_t stride = item;
  for (unsigned j = cut->ndim; j-- > 0; stride *= part->extent[j]) slices[j] = (ac_slice){part->start[j], part->extent[j], 1, (ptrdiff_t)stride};
}

static int decode_range(const void *src, size_t src_size, const ac_info *info, uint64_t first, uint64_t count, void *dst,
                        size_t dst_size, unsigned threads) {
  if (first > info->count || count > info->count - first) return AC_E_PARAM;
  const size_t item = ac_element_size(info->array.dtype);
  if (dst_size != count * item) return AC_E_DST_SIZE;
  if (info->codec != AC_CODEC_ANSQUANT && count == info->count) return ac_parts_decode(src, src_size, info, dst, threads);
  ac_cut cut;
  ac_cut_make(&cut, info);
  ac_cut_flatten(&cut);
  ac_slice slices[AC_MAX_NDIM];
  int error = AC_OK;
  for (uint64_t at = first, n; at < first + count && !error; at += n) {
    ac_part part;
    n = ac_cut_range(&cut, at, first + count, &part);
    slices_of(&cut, &part, item, slices);
    error = decode_slices(src, src_size, info, &cut, slices, (uint8_t *)dst + (at - first) * item, threads);
  }
  return error;
}

int ac_decode_range(const void *src, size_t src_size, const ac_info *info, uint64_t first, uint64_t count, void *dst,
                    size_t dst_size) {
  ac_info own;
  const int error = open_chunk(src, src_size, &info, &own);
  return error ? error : decode_range(src, src_size, info, first, count, dst, dst_size, 1);
}

int ac_decode(const void *src, size_t src_size, const ac_info *info, void *dst, size_t dst_size, unsigned threads) {
  ac_info own;
  const int error = open_chunk(src, src_size, &info, &own);
  return error ? error : decode_range(src, src_size, info, 0, info->count, dst, dst_size, threads);
}

int ac_decode_selection(const void *src, size_t src_size, const ac_info *info, const ac_slice *slices, void *dst,
                        unsigned threads) {
  ac_info own;
  const int error = open_chunk(src, src_size, &info, &own);
  if (error) return error;
  ac_cut cut;
  ac_cut_make(&cut, info);
  ac_slice in_order[AC_MAX_NDIM];
  int empty = 0;
  for (unsigned j = 0; j < cut.ndim; j++) {
    const ac_slice s = slices[info->array.f_order ? cut.ndim - 1 - j : j];
    if (!s.step || s.start > cut.shape[j] || (s.count && s.start == cut.shape[j])) return AC_E_PARAM;
    if (s.count && s.count - 1 > (cut.shape[j] - 1 - s.start) / s.step) return AC_E_PARAM;
    if (!s.count) empty = 1;
    in_order[j] = s;
  }
  return empty ? AC_OK : decode_slices(src, src_size, info, &cut, in_order, dst, threads);
}

int ac_inspect(const void *src, size_t src_size, ac_info *info, ac_block_info *blocks, uint64_t n_blocks) {
  int error = ac_peek(src, src_size, info);
  if (!error) error = ac_frame_check_size(src, src_size, info);
  if (!error && n_blocks != info->n_blocks) error = AC_E_PARAM;
  const uint8_t *p = src, *const end = p + src_size;
  ac_relative table;
  ac_scale scale;
  ac_cut cut;
  ac_decode_scratch scratch;
  uint8_t *memory = NULL;
  if (!error && info->codec != AC_CODEC_ANSQUANT) { /* docs/format.md, "Codecs of one block": there is no more to say */
    memset(blocks, 0, sizeof *blocks);
    blocks->offset = info->header_size;
    blocks->size = src_size - info->header_size;
    blocks->count = info->block_len;
    ac_reader block;
    return ac_parts_open(src, src_size, info, &block);
  }
  const ac_fpenv saved = ac_fpenv_enter();
  if (!error && n_blocks) {
    p += info->header_size;
    scale = scale_of(info, &table);
    ac_cut_make(&cut, info);
    const uint32_t largest = ac_cut_largest(&cut) * scale.type->values;
    memory = ac_scratch_take(ac_decode_scratch_place(&scratch, NULL, largest));
    if (memory) ac_decode_scratch_place(&scratch, memory, largest);
    else error = AC_E_MEMORY;
  }
  for (uint64_t i = 0; i < n_blocks && !error; i++) {
    ac_block_info *block = &blocks[i];
    const uint32_t size = ac_frame_block_size(src, info, i);
    block->offset = (uint64_t)(p - (const uint8_t *)src);
    block->size = size;
    const ac_geometry geometry = ac_cut_geometry(&cut, i);
    block->count = geometry.n / scale.type->values;
    if (size > (size_t)(end - p)) error = AC_E_TRUNCATED;
    if (!error) error = ac_frame_check_block(src, info, i, p, size);
    if (!error) error = ac_block_inspect(&scale, &geometry, p, size, &scratch, block);
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
    case AC_E_NOT_FINITE: return "values, or their norm, are not finite";
    case AC_E_BACKEND: return "chunk compressed by a backend (bz2, lzma, zlib or zstd), which only the Python package reads";
    case AC_E_ISA: return "ARRAYCODEC_ISA names no instruction set of this machine";
    case AC_E_FORMAT: return "not an arraycodec chunk, or a corrupt one";
    case AC_E_TRUNCATED: return "truncated chunk";
    case AC_E_CHECKSUM: return "corrupt chunk (checksum mismatch)";
    case AC_E_VERSION: return "chunk of an unknown format version or codec";
    default: return "unknown error";
  }
}
