/* order.c: see order.h.  Between the mask and the stages of a mode: these see values in another order, nothing of
 * what was done.
 *
 *   row, phase | kind, classes of the minor axis
 *
 * In the weights of a network and their gradients the scale belongs to an input or an output, and so to a column or
 * a row of a matrix.  A group of neighbours in memory is part of a row; where it is the columns that have
 * scales of their own, groups that run down the columns have narrower windows, or groups of columns alike.
 *
 * What is chosen is by mean magnitudes of rows and columns, sampled at first; integers and IEEE + - * / only, so
 * every machine makes the same choice.
 *
 * Invariants: an order is a permutation; it changes which integers stand together, never what they are.
 */
#include "order.h"

#include "../simd/kernels.h"
#include "sequence.h"

/* The matrix of whole rows within n values. */
static void lay_out(ac_order *o, uint32_t n, uint32_t row, uint32_t phase) {
  o->n = n;
  o->row = row;
  o->phase = phase;
  o->lead = phase ? row - phase : 0;
  o->rows = (n - o->lead) / row;
}

static uint32_t minor_of(const ac_order *o) { return o->kind & AC_ORDER_TRANSPOSED ? o->rows : o->row; }

/* Stably by class. */
static void sort_by_class(ac_order *o) {
  const uint32_t m = minor_of(o);
  uint32_t next[AC_MAX_CLASSES + 1] = {0};
  for (uint32_t i = 0; i < m; i++) next[o->classes[i] + 1]++;
  for (unsigned c = 0; c < AC_MAX_CLASSES; c++) next[c + 1] += next[c];
  for (uint32_t i = 0; i < m; i++) {
    o->rank[i] = (uint16_t)next[o->classes[i]]++;
    o->from[o->rank[i]] = (uint16_t)i;
  }
}

/* The row that stands at some place in every column. */
static uint32_t row_of(const ac_order *o, uint32_t at) { return o->kind & AC_ORDER_SORTED ? o->from[at] : at; }

/* ---- permutation ---- */
/* Columns go through tiles, so that a line of the cache is read or written at once on the side of the rows, and
 * several on that of the columns, whatever their distance (powers of two meet in few places of the cache). */
enum { TILE_ROWS = 64 };
#define TILE_COLUMNS(T) (64 / sizeof(T))

/* Of square pieces of 4 x 4 values of 32 bits, 2 x 2 of 64 the compiler can be told (the vectors of GCC and Clang); the
 * others are moved one by one. */
typedef uint32_t u32x4 __attribute__((vector_size(16), may_alias, aligned(4)));
typedef uint64_t u64x2 __attribute__((vector_size(16), may_alias, aligned(8)));
#if defined(__clang__)
#define MIX4(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#define MIX2(a, b, i, j) __builtin_shufflevector(a, b, i, j)
#else
#define MIX4(a, b, i, j, k, l) __builtin_shuffle(a, b, (u32x4){i, j, k, l})
#define MIX2(a, b, i, j) __builtin_shuffle(a, b, (u64x2){i, j})
#endif

/* `m` lines of `n` values, `from` apart, to n lines of m values, `to` apart. */
#define DEFINE_TURN(T)                                                                                         \
  static inline __attribute__((always_inline)) void turn_##T(const T *restrict src, size_t from, T *restrict dst, \
                                                             size_t to, uint32_t m, uint32_t n) {              \
    for (uint32_t i = 0; i < m; i++)                                                                           \
      for (uint32_t j = 0; j < n; j++) dst[j * to + i] = src[i * from + j];                                    \
  }
DEFINE_TURN(uint8_t)
DEFINE_TURN(uint16_t)

static inline __attribute__((always_inline)) void turn_uint32_t(const uint32_t *restrict src, size_t from, uint32_t *restrict dst,
                                                                size_t to, uint32_t m, uint32_t n) {
  uint32_t i = 0;
  for (; i + 4 <= m; i += 4) {
    uint32_t j = 0;
    for (; j + 4 <= n; j += 4) {
      const uint32_t *x = src + i * from + j;
      uint32_t *y = dst + j * to + i;
      const u32x4 a = *(const u32x4 *)x, b = *(const u32x4 *)(x + from), c = *(const u32x4 *)(x + 2 * from),
                  d = *(const u32x4 *)(x + 3 * from);
      const u32x4 ab = MIX4(a, b, 0, 4, 1, 5), ba = MIX4(a, b, 2, 6, 3, 7), cd = MIX4(c, d, 0, 4, 1, 5), dc = MIX4(c, d, 2, 6, 3, 7);
      *(u32x4 *)y = MIX4(ab, cd, 0, 1, 4, 5);
      *(u32x4 *)(y + to) = MIX4(ab, cd, 2, 3, 6, 7);
      *(u32x4 *)(y + 2 * to) = MIX4(ba, dc, 0, 1, 4, 5);
      *(u32x4 *)(y + 3 * to) = MIX4(ba, dc, 2, 3, 6, 7);
    }
    for (; j < n; j++)
      for (uint32_t k = i; k < i + 4; k++) dst[j * to + k] = src[k * from + j];
  }
  for (; i < m; i++)
    for (uint32_t j = 0; j < n; j++) dst[j * to + i] = src[i * from + j];
}

static inline __attribute__((always_inline)) void turn_uint64_t(const uint64_t *restrict src, size_t from, uint64_t *restrict dst,
                                                                size_t to, uint32_t m, uint32_t n) {
  uint32_t i = 0;
  for (; i + 2 <= m; i += 2) {
    uint32_t j = 0;
    for (; j + 2 <= n; j += 2) {
      const u64x2 a = *(const u64x2 *)(src + i * from + j), b = *(const u64x2 *)(src + (i + 1) * from + j);
      *(u64x2 *)(dst + j * to + i) = MIX2(a, b, 0, 2);
      *(u64x2 *)(dst + (j + 1) * to + i) = MIX2(a, b, 1, 3);
    }
    for (; j < n; j++)
      for (uint32_t k = i; k < i + 2; k++) dst[j * to + k] = src[k * from + j];
  }
  for (; i < m; i++)
    for (uint32_t j = 0; j < n; j++) dst[j * to + i] = src[i * from + j];
}

#define DEFINE_MOVES(T)                                                                                            \
  static inline __attribute__((always_inline)) void apply_tile_##T(const ac_order *o, uint32_t r, const T *restrict matrix, \
                                                                   T *restrict columns, uint32_t rows, uint32_t m) { \
    T tile[TILE_ROWS * TILE_COLUMNS(T)];                                                                           \
    for (uint32_t i = 0; i < rows; i++) memcpy(tile + i * TILE_COLUMNS(T), matrix + (size_t)row_of(o, r + i) * o->row, m * sizeof(T)); \
    turn_##T(tile, TILE_COLUMNS(T), columns, o->rows, rows, m);                                                 \
  }                                                                                                                \
  static inline __attribute__((always_inline)) void undo_tile_##T(const ac_order *o, uint32_t r, T *restrict matrix, \
                                                                  const T *restrict columns, uint32_t rows, uint32_t m) { \
    T tile[TILE_ROWS * TILE_COLUMNS(T)];                                                                           \
    turn_##T(columns, o->rows, tile, TILE_COLUMNS(T), m, rows);                                                 \
    for (uint32_t i = 0; i < rows; i++) memcpy(matrix + (size_t)row_of(o, r + i) * o->row, tile + i * TILE_COLUMNS(T), m * sizeof(T)); \
  }                                                                                                                \
  static void apply_##T(const ac_order *o, const T *restrict matrix, T *restrict ordered) {                        \
    FOR_EACH_LINE(ordered[c] = matrix[o->from[c]])                                                                 \
    FOR_EACH_TILE(T, apply_tile_##T)                                                                               \
  }                                                                                                                \
  static void undo_##T(const ac_order *o, T *restrict matrix, const T *restrict ordered) {                         \
    FOR_EACH_LINE(matrix[c] = ordered[o->rank[c]])                                                                 \
    FOR_EACH_TILE(T, undo_tile_##T)                                                                                \
  }

#define FOR_EACH_LINE(MOVE)                                                 \
  if (!(o->kind & AC_ORDER_TRANSPOSED)) {                                   \
    for (uint32_t r = 0; r < o->rows; r++, matrix += o->row, ordered += o->row) \
      for (uint32_t c = 0; c < o->row; c++) MOVE;                           \
    return;                                                                 \
  }

/* Whole tiles have sizes that the compiler knows. */
#define FOR_EACH_TILE(T, MOVE)                                                              \
  for (uint32_t c = 0; c < o->row; c += TILE_COLUMNS(T))                                    \
    for (uint32_t r = 0; r < o->rows; r += TILE_ROWS) {                                     \
      const uint32_t m = o->row - c, rows = o->rows - r;                                    \
      if (m >= TILE_COLUMNS(T) && rows >= TILE_ROWS)                                        \
        MOVE(o, r, matrix + c, ordered + (size_t)c * o->rows + r, TILE_ROWS, TILE_COLUMNS(T)); \
      else                                                                                  \
        MOVE(o, r, matrix + c, ordered + (size_t)c * o->rows + r, rows < TILE_ROWS ? rows : TILE_ROWS, \
             m < TILE_COLUMNS(T) ? m : TILE_COLUMNS(T));                                    \
    }

DEFINE_MOVES(uint8_t)
DEFINE_MOVES(uint16_t)
DEFINE_MOVES(uint32_t)
DEFINE_MOVES(uint64_t)

/* What stands before and after the matrix stays; returns where the matrix begins, in bytes. */
static size_t copy_ends(const ac_order *o, unsigned size, const uint8_t *src, uint8_t *dst) {
  const size_t lead = (size_t)o->lead * size, end = lead + (size_t)o->rows * o->row * size;
  memcpy(dst, src, lead);
  memcpy(dst + end, src + end, (size_t)o->n * size - end);
  return lead;
}

void ac_order_apply(const ac_order *o, unsigned size, const void *src, void *dst) {
  const size_t at = copy_ends(o, size, src, dst);
  const void *matrix = (const uint8_t *)src + at;
  void *ordered = (uint8_t *)dst + at;
  switch (size) {
    case 1: apply_uint8_t(o, matrix, ordered); break;
    case 2: apply_uint16_t(o, matrix, ordered); break;
    case 4: apply_uint32_t(o, matrix, ordered); break;
    default: apply_uint64_t(o, matrix, ordered);
  }
}

void ac_order_undo(const ac_order *o, unsigned size, const void *src, void *dst) {
  const size_t at = copy_ends(o, size, src, dst);
  const void *ordered = (const uint8_t *)src + at;
  void *matrix = (uint8_t *)dst + at;
  switch (size) {
    case 1: undo_uint8_t(o, matrix, ordered); break;
    case 2: undo_uint16_t(o, matrix, ordered); break;
    case 4: undo_uint32_t(o, matrix, ordered); break;
    default: undo_uint64_t(o, matrix, ordered);
  }
}

/* ---- choice ---- */
enum { LEAST = 32 }; /* rows, and columns, of a matrix that is looked at */

/* What a value costs beside a constant, by its scale (a mean magnitude): log2, and near zero what keeps to the entropy of
 * a few small integers. */
#define SMALL 0.1875
#define COST_OF_SMALL 2.41 /* -log2(SMALL): so that zeros cost nothing */
static double cost_of(double scale) {
  const double u = scale + SMALL;
  return u < 0x1p16 ? ac_log2((uint32_t)(u * 0x1p15)) * 0x1p-16 - 15 : ac_log2((uint32_t)u) * 0x1p-16;
}

/* The mean cost by scales that are means of m values is too low by so much: half the relative variance of
 * such a mean, which is between those of a normal distribution (0.57 / m) and of an exponential one (1 / m), in bits;
 * where integers are small it is that of counts. */
static double cost_of_noise(double scale, double m) {
  const double seen = scale / (scale + SMALL);
  return 0.72 * (0.75 + 0.25 / (scale + 0x1p-20)) * seen * seen / m;
}

/* As many values as are summed up, if some weigh more than others. */
static double effective(double sum, double squares) { return squares > 0 ? sum * sum / squares : 1; }

/* How much of the gain by scales along an axis is left if groups hold 1 / k of it, sorted: the variance that
 * remains within k classes of a normal distribution (J. Max, 1960). */
static double share_of_sorted(uint32_t length, unsigned group) {
  const double k = (double)length / group;
  return k <= 1 ? 0 : 1 - 1 / (k * (0.4 + 0.6 * k));
}

/* Rows and pieces of them that are looked at. */
typedef struct {
  uint32_t rows;          /* so many */
  uint32_t pieces, piece; /* of each row, so many pieces of so many values */
} extent;

static uint32_t row_at(const ac_order *o, const extent *e, uint32_t i) {
  const uint32_t from = (uint32_t)((uint64_t)i * o->rows / e->rows), to = (uint32_t)((uint64_t)(i + 1) * o->rows / e->rows);
  /* anywhere in its part, because data has periods */
  return from + (uint32_t)((uint64_t)(i * 0x9e3779b9u) * (to - from) >> 32);
}

static uint32_t piece_at(const ac_order *o, const extent *e, uint32_t i) {
  return e->pieces > 1 ? (uint32_t)((uint64_t)i * (o->row - e->piece) / (e->pieces - 1)) : 0;
}

typedef struct {
  float *columns;  /* sums of magnitudes, piece after piece */
  double *rows;    /* the same of rows, as far as they were looked at; or NULL */
  double scale;    /* mean magnitude */
  double present;  /* mean cost of a value in the groups as they stand */
  double all, by_row, by_column; /* the same with one scale, and with those of rows and of columns */
} costs;

/* Of the values between two positions: their magnitudes to the columns, and their sum. */
static uint64_t add_magnitudes(const int32_t *restrict q, uint32_t m, float *restrict columns) {
  uint64_t sum = 0;
  for (uint32_t j = 0; j < m; j++) columns[j] += (float)(q[j] < 0 ? -q[j] : q[j]);
  for (uint32_t j = 0; j < m; j++) sum += (uint32_t)(q[j] < 0 ? -q[j] : q[j]);
  return sum;
}

static void measure(const ac_order *o, const extent *e, unsigned group, const ac_encode_scratch *s, costs *c) {
  const uint32_t width = e->pieces * e->piece;
  const double values = (double)e->rows * width;
  double sum = 0, squares = 0, present = 0, by_row = 0, by_column = 0;
  memset(c->columns, 0, width * sizeof *c->columns);
  for (uint32_t i = 0; i < e->rows; i++) {
    uint64_t row = 0;
    for (uint32_t j = 0; j < e->pieces; j++) {
      const uint32_t at = o->lead + row_at(o, e, i) * o->row + piece_at(o, e, j), to = at + e->piece;
      row += add_magnitudes(s->q + at, e->piece, c->columns + (size_t)j * e->piece);
      for (uint32_t g = at / group; g * group < to; g++) {
        const uint32_t first = g * group, end = first + group < o->n ? first + group : o->n;
        const uint32_t overlap = (end < to ? end : to) - (first > at ? first : at);
        present += overlap * cost_of((double)s->stats[g].deviation / (end - first));
      }
    }
    if (c->rows) c->rows[i] = (double)row;
    sum += (double)row;
    squares += (double)row * (double)row;
    by_row += cost_of((double)row / width);
  }
  const double rows = effective(sum, squares);
  squares = 0;
  for (uint32_t j = 0; j < width; j++) {
    squares += (double)c->columns[j] * (double)c->columns[j];
    by_column += cost_of((double)c->columns[j] / e->rows);
  }
  c->scale = sum / values;
  c->present = present / values + cost_of_noise(c->scale, group);
  c->all = cost_of(c->scale);
  c->by_row = by_row / e->rows + cost_of_noise(c->scale, effective(sum, squares));
  c->by_column = by_column / width + cost_of_noise(c->scale, rows);
}

static double positive(double x) { return x > 0 ? x : 0; }

/* As many classes as there are groups along a sorted axis, so that a group has values of one if the length is a
 * multiple: more of them cost more than they tell. */
static unsigned classes_for(uint32_t length, unsigned group) {
  const uint32_t n = (length + group / 2) / group;
  return n < 2 ? 2 : n < AC_MAX_CLASSES ? n : AC_MAX_CLASSES;
}

enum { CLASSES_MORE = 150 }; /* bits of their coder's states and table */

/* How much of the gain by scales of columns is left in groups that have parts of several of them. */
static double share_of_whole(const ac_order *o, unsigned group) {
  if (o->rows < group) return 2.0 * o->rows / (3.0 * group);
  return o->rows % group || o->lead % group ? 1 - group / (3.0 * o->rows) : 1;
}

/* Bits a value that a kind saves. */
static double gain_of(unsigned kind, const ac_order *o, const costs *c, unsigned group) {
  const double rows = positive(c->all - c->by_row), columns = positive(c->all - c->by_column);
  const int transposed = kind & AC_ORDER_TRANSPOSED;
  const uint32_t minor = transposed ? o->rows : o->row;
  /* sorted rows stay where they are, and lose what neighbours have in common */
  double cost = transposed                       ? c->all - share_of_whole(o, group) * columns
                : c->present > c->all - rows ? c->present
                                               : c->all - rows;
  if (kind & AC_ORDER_SORTED)
    cost += (minor * (ac_log2(classes_for(minor, group)) * 0x1p-16) + CLASSES_MORE) / o->n -
            share_of_sorted(minor, group) * (transposed ? rows : columns);
  return c->present - cost;
}

/* Measured: so much of what is expected is saved, since a table fits a mixture of scales, too. */
#define REALISTIC 0.8

/* By the level: how much must be saved.  The decoder's way back to the places takes time. */
static double least_gain(unsigned level, double bits) { return level >= 7 ? -0.01 : 0.005 * bits + 0.005; }

unsigned ac_order_choose(const ac_rows *rows, uint64_t first, uint32_t n, const ac_tuning *tuning, ac_encode_scratch *s,
                         ac_order_choice choices[AC_ORDERS]) {
  enum { PIECE = 128 };
  const unsigned level = ac_level(tuning), group = ac_group_size(tuning);
  unsigned found = 0;
  if (level <= 3) return 0;
  costs c = {.columns = (float *)s->events};
  for (unsigned i = 0; i < rows->n; i++) {
    ac_order o;
    const uint32_t row = rows->length[i];
    if (n / LEAST < row) continue;
    lay_out(&o, n, row, (uint32_t)(first % row));
    if (o.rows < LEAST) continue;
    /* by the level: a look at some values, then at more; or at all at once */
    const int looks = level < 7 ? 2 : 1;
    const extent all = {o.rows, 1, row};
    for (int look = 1; look <= looks; look++) {
      extent e = all;
      if (looks > 1) {
        const uint32_t most_rows = look == 1 ? 32 : 128, most = look > 1 ? 8 * PIECE : rows->n > 1 ? PIECE : 2 * PIECE;
        if (e.rows > most_rows) e.rows = most_rows;
        if (row > most) e = (extent){e.rows, most / PIECE, PIECE};
      }
      measure(&o, &e, group, s, &c);
      unsigned kinds = 0;
      for (unsigned kind = 1; kind <= AC_ORDERS; kind++) {
        const uint32_t minor = kind & AC_ORDER_TRANSPOSED ? o.rows : row;
        if (kind & AC_ORDER_SORTED && (minor > AC_MAX_SORTED || minor <= group)) continue;
        const double gain = REALISTIC * gain_of(kind, &o, &c, group);
        if (gain < least_gain(level, c.present + COST_OF_SMALL)) continue;
        kinds++;
        if (look < looks) continue;
        unsigned at = found < AC_ORDERS ? found++ : AC_ORDERS;
        for (; at && choices[at - 1].gain < gain; at--)
          if (at < AC_ORDERS) choices[at] = choices[at - 1];
        if (at < AC_ORDERS) choices[at] = (ac_order_choice){row, kind, gain};
      }
      if (!kinds) break;
    }
  }
  return found;
}

/* ---- what is chosen ---- */
/* Sixty-fourths of an octave, about; monotone. */
enum { KEY_BITS = 6, KEYS = (65 - KEY_BITS) << KEY_BITS };
static unsigned key_of(uint64_t sum) {
  if (!(sum >> KEY_BITS)) return (unsigned)sum;
  const unsigned shift = 63 - (unsigned)__builtin_clzll(sum) - KEY_BITS;
  return (shift << KEY_BITS) + (unsigned)(sum >> shift);
}

/* Classes of equally many indices, by their sums. */
static void classify(ac_order *o, const uint64_t *sums, uint32_t m) {
  uint16_t next[KEYS + 1] = {0};
  for (uint32_t i = 0; i < m; i++) next[key_of(sums[i]) + 1]++;
  for (unsigned k = 0; k < KEYS; k++) next[k + 1] = (uint16_t)(next[k + 1] + next[k]);
  for (uint32_t i = 0; i < m; i++) o->classes[i] = (uint8_t)(next[key_of(sums[i])]++ * o->n_classes / m);
}

void ac_order_make(const ac_order_choice *choice, uint64_t first, uint32_t n, unsigned group, ac_encode_scratch *s,
                   ac_order *o) {
  lay_out(o, n, choice->row, (uint32_t)(first % choice->row));
  o->kind = choice->kind;
  o->n_classes = 0;
  if (!(o->kind & AC_ORDER_SORTED)) return;
  const uint32_t m = minor_of(o);
  uint64_t *const sums = (uint64_t *)s->events; /* at most n / 32, as there are columns */
  float *const columns = (float *)(sums + m);
  memset(columns, 0, o->row * sizeof *columns);
  for (uint32_t r = 0; r < o->rows; r++) {
    const uint64_t sum = add_magnitudes(s->q + o->lead + (size_t)r * o->row, o->row, columns);
    if (o->kind & AC_ORDER_TRANSPOSED) sums[r] = sum;
  }
  if (!(o->kind & AC_ORDER_TRANSPOSED))
    for (uint32_t i = 0; i < m; i++) sums[i] = (uint64_t)columns[i];
  o->n_classes = classes_for(m, group);
  classify(o, sums, m);
  sort_by_class(o);
}

/* ---- stream ---- */
enum { CLASSES_SHIFT = 2, METHOD_SHIFT = 6 };

void ac_order_write(ac_writer *out, const ac_order *o, uint8_t *sequence) {
  const uint32_t m = minor_of(o);
  ac_write_varint(out, o->row);
  ac_write_varint(out, o->phase);
  if (!(o->kind & AC_ORDER_SORTED)) {
    ac_write8(out, (uint8_t)o->kind);
    return;
  }
  uint8_t *const kind = ac_give(out, 1);
  if (!kind) return;
  const unsigned method = ac_sequence_write(out, o->classes, m, o->n_classes, 2, sequence);
  *kind = (uint8_t)(o->kind | (o->n_classes - 1) << CLASSES_SHIFT | method << METHOD_SHIFT);
}

void ac_order_read(ac_reader *in, uint32_t n, ac_order *o) {
  const uint64_t row = ac_read_varint(in), phase = ac_read_varint(in);
  const uint8_t kind = ac_read8(in);
  if (in->failed) return;
  o->kind = kind & (AC_ORDER_TRANSPOSED | AC_ORDER_SORTED);
  o->n_classes = (kind >> CLASSES_SHIFT & (AC_MAX_CLASSES - 1)) + 1u;
  if (row < 2 || row > n / 2 || phase >= row || !o->kind) goto invalid;
  lay_out(o, n, (uint32_t)row, (uint32_t)phase);
  if (!(o->kind & AC_ORDER_SORTED)) {
    if (kind >> CLASSES_SHIFT) goto invalid;
    return;
  }
  if (o->n_classes < 2 || minor_of(o) > AC_MAX_SORTED) goto invalid;
  ac_sequence_read(in, kind >> METHOD_SHIFT, o->classes, minor_of(o), o->n_classes);
  if (!in->failed) sort_by_class(o);
  return;
invalid:
  in->failed = AC_E_FORMAT;
}
