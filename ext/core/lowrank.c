/* lowrank.c: see lowrank.h.  In the place of a predictor: value (i, j) of an m x n matrix is
 *
 *     scale * sum over k of weight_k * row_k[i] * column_k[j],
 *
 * and with a tolerance what is left of it, in steps of nearly twice that.  Where the factors come from is the caller's
 * (arraycodec/lowrank.py); here is what every machine must agree about.
 *
 * Invariants: rows, columns and weights are integers, and the sum is below 2^53 whatever the signs: it is exact in doubles, in
 * any order, with or without contraction.  What follows are at most two products and a sum, each of them rounded.  The
 * encoder decodes every value it bounds, and keeps those bit for bit that are not within the tolerance.
 */
#include "lowrank.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../simd/kernels.h"
#include "box.h"
#include "doubles.h"
#include "fpenv.h"
#include "frame.h"
#include "parallel.h"
#include "parts.h"
#include "types.h"

enum { MAX_RANK = 65535, MAX_WEIGHT = INT32_MAX, MAX_RESIDUAL = 1 << 30 };
enum { FLAG_RESIDUAL = 1, FLAG_EXCEPTIONS = 2, FLAGS = 3 };
enum { ROWS = 4, COLUMNS = 8 }; /* of a tile of the product */
enum { PIECE = 512 };           /* values of a row at a time: whole tiles */

/* More components than a matrix can need: all of them, and two for the offsets of levels.  So factors are not larger than a few
 * matrices, whatever a chunk says. */
static int is_too_many(uint64_t rank, uint64_t m, uint64_t n) { return rank > MAX_RANK || rank > (m < n ? m : n) + 2; }

/* The axes of an array in memory order, and the matrix that they make. */
static int matrix_of(const ac_array *array, unsigned rows_ndim, uint64_t count, uint64_t axes[AC_MAX_NDIM], uint64_t *m, uint64_t *n) {
  if (rows_ndim < 1 || rows_ndim >= array->ndim || !count) return -1;
  for (unsigned i = 0; i < array->ndim; i++) axes[i] = array->shape[array->f_order ? array->ndim - 1 - i : i];
  *m = 1;
  for (unsigned i = 0; i < rows_ndim; i++) *m *= axes[i];
  *n = count / *m;
  return 0;
}

/* rank x length integers, one component after the other or all components of an index together. */
typedef struct {
  const int32_t *x;
  uint64_t rank, length;
  uint8_t f_order;
} factor;

static inline int32_t entry(const factor *f, uint64_t k, uint64_t i) {
  return f->x[f->f_order ? i * f->rank + k : k * f->length + i];
}

static uint64_t largest_magnitude(const factor *f, uint64_t k) {
  uint64_t most = 0;
  for (uint64_t i = 0; i < f->length; i++) {
    const int64_t v = entry(f, k, i);
    const uint64_t magnitude = (uint64_t)(v < 0 ? -v : v);
    most = magnitude > most ? magnitude : most;
  }
  return most;
}

/* Is the sum below 2^53? */
static int is_exact(const uint32_t *weights, const factor *rows, const factor *columns) {
  uint64_t sum = 0;
  for (uint64_t k = 0; k < rows->rank; k++) {
    if (weights[k] < 1 || weights[k] > MAX_WEIGHT) return 0;
    uint64_t term = weights[k] * largest_magnitude(rows, k); /* below 2^63 */
    if (__builtin_mul_overflow(term, largest_magnitude(columns, k), &term)) return 0;
    if (__builtin_add_overflow(sum, term, &sum)) return 0;
  }
  return sum < 1ull << 53;
}

/* ---- the product ---- */
/* Work on all values, some rows at a time, shared by threads. */
typedef struct {
  uint64_t rank, m, n;
  factor rows;
  double *columns; /* by tiles of COLUMNS: rank times COLUMNS doubles */
  const uint32_t *weights;
  /* of n values in a row of the matrix, from column `from` on; called by several threads */
  void (*done)(void *context, uint64_t row, uint64_t from, unsigned n, const double *sums);
  void *context;

  pthread_mutex_t mutex; /* for what follows */
  uint64_t next; /* the first row that no thread has taken */
} product;

static uint64_t tiles_of(uint64_t n) { return n / COLUMNS + (n % COLUMNS != 0); }

static void pack_columns(const product *p, const factor *columns) {
  for (uint64_t t = 0; t < tiles_of(p->n); t++)
    for (uint64_t k = 0; k < p->rank; k++)
      for (unsigned j = 0; j < COLUMNS; j++) {
        const uint64_t at = t * COLUMNS + j;
        p->columns[(t * p->rank + k) * COLUMNS + j] = at < p->n ? (double)entry(columns, k, at) : 0;
      }
}

static void tile(uint64_t rank, const double *rows, const double *columns, double sums[ROWS][COLUMNS]) {
  double s[ROWS][COLUMNS] = {{0}};
  for (uint64_t k = 0; k < rank; k++)
    for (unsigned i = 0; i < ROWS; i++)
      for (unsigned j = 0; j < COLUMNS; j++) s[i][j] += rows[k * ROWS + i] * columns[k * COLUMNS + j];
  memcpy(sums, s, sizeof s);
}

static void multiply_rows(void *context) {
  product *p = context;
  double sums[ROWS][PIECE], *const rows = malloc(ROWS * (p->rank + 1) * sizeof *rows);
  while (rows) {
    pthread_mutex_lock(&p->mutex);
    const uint64_t row = p->next;
    p->next += row < p->m ? ROWS : 0;
    pthread_mutex_unlock(&p->mutex);
    if (row >= p->m) break;
    for (uint64_t k = 0; k < p->rank; k++)
      for (unsigned i = 0; i < ROWS; i++)
        rows[k * ROWS + i] = row + i < p->m ? (double)p->weights[k] * entry(&p->rows, k, row + i) : 0;
    for (uint64_t from = 0; from < p->n; from += PIECE) {
      const unsigned n = p->n - from < PIECE ? (unsigned)(p->n - from) : PIECE;
      for (unsigned j = 0; j < n; j += COLUMNS) {
        double s[ROWS][COLUMNS];
        tile(p->rank, rows, p->columns + (from + j) * p->rank, s);
        for (unsigned i = 0; i < ROWS; i++) memcpy(&sums[i][j], s[i], sizeof s[i]);
      }
      for (unsigned i = 0; i < ROWS && row + i < p->m; i++) p->done(p->context, row + i, from, n, sums[i]);
    }
  }
  free(rows);
}

/* Every row once, in any order. */
static int multiply(product *p, const factor *columns, unsigned threads) {
  const uint64_t size = tiles_of(p->n) * COLUMNS * (p->rank ? p->rank : 1);
  if (size > PTRDIFF_MAX / sizeof(double)) return AC_E_MEMORY;
  p->columns = malloc(size * sizeof(double));
  if (!p->columns) return AC_E_MEMORY;
  pack_columns(p, columns);
  pthread_mutex_init(&p->mutex, NULL);
  p->next = 0;
  const uint64_t most = p->m / ROWS + (p->m % ROWS != 0);
  if (threads > most) threads = (unsigned)most;
  ac_parallel(threads < 1 ? 1 : threads > AC_MAX_THREADS ? AC_MAX_THREADS : threads, multiply_rows, p);
  pthread_mutex_destroy(&p->mutex);
  free(p->columns);
  return p->next < p->m ? AC_E_MEMORY : AC_OK;
}

/* ---- values ---- */
/* What sums become. */
typedef struct {
  int dtype;
  uint64_t n;
  double scale, step; /* step 0: nothing is left */
  int32_t *residual;  /* of the encoder written, of the decoder read */
  void *dst;          /* decoder */
  const void *src;    /* encoder */
  double tol;
  uint8_t *exceptions; /* one for a value */

  pthread_mutex_t mutex; /* for what follows */
  double largest; /* error */
} values;

static void reconstruct(const values *v, const double *sums, const int32_t *residual, unsigned n, double *x) {
  if (!residual)
    for (unsigned i = 0; i < n; i++) x[i] = sums[i] * v->scale;
  else
    for (unsigned i = 0; i < n; i++) x[i] = sums[i] * v->scale + (double)residual[i] * v->step;
}

static void decode_piece(void *context, uint64_t row, uint64_t from, unsigned n, const double *sums) {
  const values *v = context;
  const uint64_t at = row * v->n + from;
  double x[PIECE];
  reconstruct(v, sums, v->residual ? v->residual + at : NULL, n, x);
  ac_store_doubles(v->dtype, x, n, v->dst, at);
}

static void encode_piece(void *context, uint64_t row, uint64_t from, unsigned n, const double *sums) {
  values *v = context;
  const uint64_t at = row * v->n + from;
  double x[PIECE], y[PIECE], largest = 0;
  uint64_t stored[PIECE]; /* room for values of any type */
  ac_load_doubles(v->dtype, v->src, at, n, x);
  int32_t *const residual = v->residual ? v->residual + at : NULL;
  for (unsigned i = 0; residual && i < n; i++) {
    const double r = nearbyint((x[i] - sums[i] * v->scale) / v->step);
    residual[i] = fabs(r) <= MAX_RESIDUAL ? (int32_t)r : 0; /* of NaN, too */
  }
  reconstruct(v, sums, residual, n, y);
  ac_store_doubles(v->dtype, y, n, stored, 0);
  ac_load_doubles(v->dtype, stored, 0, n, y);
  for (unsigned i = 0; i < n; i++) {
    const double error = fabs(x[i] - y[i]);
    const int kept = residual && !(error < v->tol); /* less than tol when rounded: less before */
    if (residual) v->exceptions[at + i] = (uint8_t)kept;
    if (!kept && !(error <= largest)) largest = error <= DBL_MAX ? error : DBL_MAX; /* of values without a tolerance that are NaN, too */
  }
  pthread_mutex_lock(&v->mutex);
  v->largest = largest > v->largest ? largest : v->largest;
  pthread_mutex_unlock(&v->mutex);
}

/* ---- encode ---- */
static int check(const ac_array *array, const ac_low_rank *how, uint64_t *count, uint64_t axes[AC_MAX_NDIM], uint64_t *m, uint64_t *n) {
  const int error = ac_array_count(array, count);
  if (error) return error;
  const ac_type *type = ac_type_of(array->dtype);
  if (type->kind != AC_KIND_FLOAT || type->values > 1 || *count > INT32_MAX) return AC_E_PARAM;
  if (matrix_of(array, how->rows_ndim, *count, axes, m, n) || is_too_many(how->rank, *m, *n)) return AC_E_PARAM;
  if (how->factors >= AC_FACTORS || how->level > AC_MAX_LEVEL) return AC_E_PARAM;
  if (!(how->scale > 0) || how->scale > DBL_MAX || !(how->tol >= 0) || how->tol > DBL_MAX) return AC_E_PARAM;
  return AC_OK;
}

static int find_bound(const ac_array *array, const ac_low_rank *how, size_t *bound) {
  uint64_t count, axes[AC_MAX_NDIM], m, n, size = 64 + 5 * (uint64_t)how->rank, part;
  int error = check(array, how, &count, axes, &m, &n);
  if (error) return error;
  const uint64_t rows[] = {how->rank, m}, columns[] = {how->rank, n}, runs[] = {count, 2};
  if (how->rank) {
    error = ac_part_bound(AC_INT32, 2, rows, &part);
    size += part;
    if (!error) error = ac_part_bound(AC_INT32, 2, columns, &part);
    size += part;
  }
  if (!error && how->tol > 0) { /* values that are kept: at most all of them, in at most half as many runs */
    error = ac_part_bound(AC_INT32, array->ndim, axes, &part);
    size += part;
    if (!error) error = ac_part_bound(AC_UINT32, 2, runs, &part);
    size += part;
    if (!error) error = ac_part_bound(array->dtype, 1, &count, &part);
    size += part;
  }
  return error ? error : ac_parts_bound(size, bound);
}

int ac_low_rank_bound(const ac_array *array, const ac_low_rank *how, size_t *bound) {
  const ac_fpenv saved = ac_fpenv_enter(); /* a subnormal scale or tolerance is one, also where DAZ is set */
  const int error = find_bound(array, how, bound);
  ac_fpenv_leave(saved);
  return error;
}

static int write_exceptions(ac_writer *out, int dtype, const values *v, uint64_t count) {
  uint64_t runs = 0, total = 0;
  for (uint64_t i = 0; i < count; i++) {
    total += v->exceptions[i];
    runs += v->exceptions[i] && !(i && v->exceptions[i - 1]);
  }
  const size_t item = ac_element_size(dtype);
  uint32_t *const places = malloc(2 * runs * sizeof *places);
  uint8_t *const kept = malloc(total * item);
  int error = places && kept ? AC_OK : AC_E_MEMORY;
  uint64_t run = 0, n = 0, end = 0; /* of the run before */
  for (uint64_t i = 0; i < count && !error;) {
    uint64_t length = 0;
    for (; i + length < count && v->exceptions[i + length]; length++)
      memcpy(kept + item * n++, (const uint8_t *)v->src + item * (i + length), item);
    if (length) {
      places[2 * run] = (uint32_t)(i - end);
      places[2 * run++ + 1] = (uint32_t)length;
      end = i + length;
    }
    i += length + 1;
  }
  ac_write_varint(out, runs);
  ac_write_varint(out, total);
  const uint64_t shape[] = {runs, 2};
  if (!error) error = ac_part_write(out, AC_UINT32, 0, 2, shape, 0, 1, places);
  if (!error) error = ac_part_write(out, (uint8_t)dtype, 0, 1, &total, 0, 1, kept);
  free(places);
  free(kept);
  return error;
}

/* The step for a tolerance, less by what the conversion to the type may cost; 0 if that is too near to it. */
static double step_for(const ac_type *type, const void *src, uint64_t count, double tol) {
  double x[PIECE], largest = 0;
  for (uint64_t at = 0; at < count; at += PIECE) {
    const unsigned n = count - at < PIECE ? (unsigned)(count - at) : PIECE;
    ac_load_doubles(type->dtype, src, at, n, x);
    for (unsigned i = 0; i < n; i++) largest = fabs(x[i]) <= DBL_MAX && fabs(x[i]) > largest ? fabs(x[i]) : largest;
  }
  const double gap = largest > 0 ? ac_spacing(type, largest) : 0, step = 2 * (tol - gap) * (1 - 0x1p-30);
  return step > tol && step <= DBL_MAX ? step : 0;
}

static int encode(const ac_array *array, const uint64_t *axes, uint64_t count, uint64_t m, uint64_t n, const ac_low_rank *how, unsigned threads, values *v,
                  void *dst, size_t capacity, size_t *size) {
  const ac_type *type = ac_type_of(array->dtype);
  const factor rows = {how->rows, how->rank, m, how->rows_f_order}, columns = {how->columns, how->rank, n, how->columns_f_order};
  product p = {.rank = how->rank, .m = m, .n = n, .rows = rows, .weights = how->weights, .done = encode_piece, .context = v};
  if (!is_exact(how->weights, &rows, &columns)) return AC_E_PARAM;
  if (how->tol > 0 && !(v->step = step_for(type, v->src, count, how->tol))) return AC_E_PARAM;
  pthread_mutex_init(&v->mutex, NULL);
  int error = multiply(&p, &columns, threads);
  pthread_mutex_destroy(&v->mutex);
  if (error) return error;
  ac_info info;
  ac_writer out;
  error = ac_parts_describe(array, AC_CODEC_LOW_RANK, how->tol > 0 ? how->tol : v->largest, &info);
  if (!error) error = ac_parts_begin(&info, dst, capacity, &out);
  if (error) return error;
  const int exceptions = v->residual && memchr(v->exceptions, 1, count);
  ac_write8(&out, how->factors);
  ac_write8(&out, (uint8_t)((v->residual ? FLAG_RESIDUAL : 0) | (exceptions ? FLAG_EXCEPTIONS : 0)));
  ac_write8(&out, how->rows_ndim);
  ac_write_varint(&out, how->rank);
  ac_write_f64(&out, how->scale);
  for (uint64_t k = 0; k < how->rank; k++) ac_write_varint(&out, how->weights[k]);
  const uint64_t rows_shape[] = {how->rank, m}, columns_shape[] = {how->rank, n};
  if (how->rank) {
    error = ac_part_write(&out, AC_INT32, how->rows_f_order, 2, rows_shape, how->level, threads, how->rows);
    if (!error) error = ac_part_write(&out, AC_INT32, how->columns_f_order, 2, columns_shape, how->level, threads, how->columns);
  }
  if (!error && v->residual) {
    ac_write_f64(&out, v->step);
    error = ac_part_write(&out, AC_INT32, 0, array->ndim, axes, how->level, threads, v->residual);
  }
  if (!error && exceptions) error = write_exceptions(&out, array->dtype, v, count);
  return error ? error : ac_parts_end(&info, dst, &out, size);
}

static int encode_array(const ac_array *array, const ac_low_rank *how, unsigned threads, const void *src, size_t src_size,
                        void *dst, size_t capacity, size_t *size) {
  uint64_t count, axes[AC_MAX_NDIM], m, n;
  int error = check(array, how, &count, axes, &m, &n);
  if (!error && src_size != count * ac_element_size(array->dtype)) error = AC_E_PARAM;
  if (error) return error;
  const int bounded = how->tol > 0;
  values v = {.dtype = array->dtype, .n = n, .scale = how->scale, .tol = how->tol};
  v.residual = bounded ? malloc(count * sizeof *v.residual) : NULL;
  v.exceptions = bounded ? malloc(count) : NULL;
  void *const native = array->big_endian ? malloc(src_size) : NULL;
  if ((bounded && (!v.residual || !v.exceptions)) || (array->big_endian && !native)) error = AC_E_MEMORY;
  v.src = native ? native : src;
  if (!error && native) ac_swap(native, src, count, ac_type_of(array->dtype)->size);
  if (!error) error = encode(array, axes, count, m, n, how, threads, &v, dst, capacity, size);
  free(v.residual);
  free(v.exceptions);
  free(native);
  return error;
}

int ac_low_rank_encode(const ac_array *array, const ac_low_rank *how, unsigned threads, const void *src, size_t src_size,
                       void *dst, size_t capacity, size_t *size) {
  if (!ac_active_kernels()) return AC_E_ISA;
  const ac_fpenv saved = ac_fpenv_enter();
  const int error = encode_array(array, how, threads, src, src_size, dst, capacity, size);
  ac_fpenv_leave(saved);
  return error;
}

/* ---- decode ---- */
static int place_exceptions(const ac_info *info, const ac_stored_part *of_places, const ac_stored_part *of_kept, void *dst) {
  const size_t item = ac_element_size(info->array.dtype);
  const uint64_t runs = of_places->info.array.shape[0], total = of_kept->info.count;
  uint32_t *const places = malloc(2 * runs * sizeof *places);
  uint8_t *const kept = malloc(total * item);
  int error = places && kept ? AC_OK : AC_E_MEMORY;
  if (!error) error = ac_part_decode(of_places, 1, places);
  if (!error) error = ac_part_decode(of_kept, 1, kept);
  uint64_t at = 0, n = 0;
  for (uint64_t run = 0; run < runs && !error; run++) {
    const uint64_t length = places[2 * run + 1];
    at += places[2 * run];
    if (!length || at > info->count || length > info->count - at || length > total - n) {
      error = AC_E_FORMAT;
      break;
    }
    memcpy((uint8_t *)dst + item * at, kept + item * n, item * length);
    at += length;
    n += length;
  }
  free(places);
  free(kept);
  return !error && n != total ? AC_E_FORMAT : error;
}

int ac_low_rank_decode(ac_reader *block, const ac_info *info, void *dst, unsigned threads) {
  const uint8_t factors = ac_read8(block), flags = ac_read8(block), rows_ndim = ac_read8(block);
  const uint64_t rank = ac_read_varint(block);
  uint64_t axes[AC_MAX_NDIM], m, n;
  values v = {.dtype = info->array.dtype, .scale = ac_read_f64(block), .dst = dst};
  if (block->failed) return block->failed;
  if (factors >= AC_FACTORS || flags & ~FLAGS || flags == FLAG_EXCEPTIONS) return AC_E_FORMAT;
  if (info->count > INT32_MAX || matrix_of(&info->array, rows_ndim, info->count, axes, &m, &n)) return AC_E_FORMAT;
  if (!(v.scale > 0) || v.scale > DBL_MAX || is_too_many(rank, m, n) || rank > ac_remaining(block)) return AC_E_FORMAT;
  ac_stored_part of_rows, of_columns, of_residual, of_places, of_kept;
  uint32_t *const weights = malloc((rank + 1) * sizeof *weights);
  if (!weights) return AC_E_MEMORY;
  for (uint64_t k = 0; k < rank; k++) {
    const uint64_t weight = ac_read_varint(block);
    weights[k] = weight > MAX_WEIGHT ? 0 : (uint32_t)weight; /* 0 is as invalid */
  }
  const uint64_t rows_shape[] = {rank, m}, columns_shape[] = {rank, n};
  int error = block->failed;
  if (!error && rank) error = ac_part_take(block, AC_INT32, 1, 2, rows_shape, &of_rows);
  if (!error && rank) error = ac_part_take(block, AC_INT32, 1, 2, columns_shape, &of_columns);
  if (!error && flags & FLAG_RESIDUAL) {
    v.step = ac_read_f64(block);
    error = ac_part_take(block, AC_INT32, 0, info->array.ndim, axes, &of_residual);
    if (!error && (!(v.step > 0) || v.step > DBL_MAX)) error = AC_E_FORMAT;
  }
  if (!error && flags & FLAG_EXCEPTIONS) {
    const uint64_t runs = ac_read_varint(block), total = ac_read_varint(block), places_shape[] = {runs, 2};
    if (!block->failed && (!runs || total < runs || total > info->count)) error = AC_E_FORMAT;
    if (!error) error = ac_part_take(block, AC_UINT32, 0, 2, places_shape, &of_places);
    if (!error) error = ac_part_take(block, info->array.dtype, 0, 1, &total, &of_kept);
  }
  if (!error && ac_remaining(block)) error = AC_E_FORMAT;
  /* what is there is as large as it says: now there may be memory for it */
  v.n = n;
  int32_t *const rows = error || !rank ? NULL : malloc(rank * m * sizeof *rows);
  int32_t *const columns = error || !rank ? NULL : malloc(rank * n * sizeof *columns);
  v.residual = error || !(flags & FLAG_RESIDUAL) ? NULL : malloc(info->count * sizeof *v.residual);
  if (!error && ((rank && (!rows || !columns)) || (flags & FLAG_RESIDUAL && !v.residual))) error = AC_E_MEMORY;
  if (!error && rank) error = ac_part_decode(&of_rows, threads, rows);
  if (!error && rank) error = ac_part_decode(&of_columns, threads, columns);
  if (!error && v.residual) error = ac_part_decode(&of_residual, threads, v.residual);
  const factor of_m = {rows, rank, m, rank ? of_rows.info.array.f_order : 0}, of_n = {columns, rank, n, rank ? of_columns.info.array.f_order : 0};
  if (!error && !is_exact(weights, &of_m, &of_n)) error = AC_E_FORMAT;
  product p = {.rank = rank, .m = m, .n = n, .rows = of_m, .weights = weights, .done = decode_piece, .context = &v};
  if (!error) error = multiply(&p, &of_n, threads);
  if (!error && flags & FLAG_EXCEPTIONS) error = place_exceptions(info, &of_places, &of_kept, dst);
  free(weights);
  free(rows);
  free(columns);
  free(v.residual);
  return error;
}
