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

#include <stdlib.h>

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

/* Stably by class: ranks. */
static void rank_by_class(ac_order *o) {
  const uint32_t m = minor_of(o);
  uint32_t next[AC_MAX_CLASSES + 1] = {0};
  for (uint32_t i = 0; i < m; i++) next[o->classes[i] + 1]++;
  for (unsigned c = 0; c < AC_MAX_CLASSES; c++) next[c + 1] += next[c];
  for (uint32_t i = 0; i < m; i++) o->rank[i] = (uint16_t)next[o->classes[i]]++;
}

/* ---- permutation ---- */
/* A line of cache of each of so many columns is written or read at once. */
#define COLUMNS(T) (64 / sizeof(T))

/* The pairs (matrix[m], ordered[o]) that belong together: MOVE copies one to the other. */
#define FOR_EACH_PAIR(T, MOVE)                                                        \
  const uint32_t W = o->row, H = o->rows;                                             \
  if (!(o->kind & AC_ORDER_TRANSPOSED)) {                                             \
    for (uint32_t r = 0; r < H; r++, matrix += W, ordered += W)                       \
      for (uint32_t c = 0; c < W; c++) MOVE(matrix[c], ordered[o->rank[c]]);          \
    return;                                                                           \
  }                                                                                   \
  const int sorted = o->kind & AC_ORDER_SORTED;                                       \
  uint32_t c = 0;                                                                     \
  for (; c + COLUMNS(T) <= W; c += COLUMNS(T), ordered += COLUMNS(T) * (size_t)H)     \
    for (uint32_t r = 0; r < H; r++) {                                                \
      const uint32_t at = sorted ? o->rank[r] : r;                                    \
      for (uint32_t j = 0; j < COLUMNS(T); j++)                                       \
        MOVE(matrix[(size_t)r * W + c + j], ordered[(size_t)j * H + at]);             \
    }                                                                                 \
  for (; c < W; c++, ordered += H)                                                    \
    for (uint32_t r = 0; r < H; r++) MOVE(matrix[(size_t)r * W + c], ordered[sorted ? o->rank[r] : r])

#define TO_ORDER(m, o) (o) = (m)
#define TO_MATRIX(m, o) (m) = (o)
#define DEFINE_MOVES(T)                                                                                       \
  static void apply_##T(const ac_order *o, const T *restrict matrix, T *restrict ordered) { FOR_EACH_PAIR(T, TO_ORDER); } \
  static void undo_##T(const ac_order *o, T *restrict matrix, const T *restrict ordered) { FOR_EACH_PAIR(T, TO_MATRIX); }
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

/* Bits a value that a kind saves. */
static double gain_of(unsigned kind, const ac_order *o, const costs *c, unsigned group) {
  const double rows = positive(c->all - c->by_row);
  /* a group has parts of several columns if they are shorter */
  const double columns = positive(c->all - c->by_column) * (kind & AC_ORDER_TRANSPOSED && o->rows < group ? (double)o->rows / group : 1);
  const int transposed = kind & AC_ORDER_TRANSPOSED;
  const uint32_t minor = transposed ? o->rows : o->row;
  double cost = c->all - (transposed ? columns : rows);
  if (kind & AC_ORDER_SORTED)
    cost -= share_of_sorted(minor, group) * (transposed ? rows : columns) - 
            (minor * (ac_log2(classes_for(minor, group)) * 0x1p-16) + CLASSES_MORE) / o->n;
  return c->present - cost;
}

/* Measured: so much of what is expected is saved, since a table fits a mixture of scales, too. */
#define REALISTIC 0.8

/* By the level: how much must be saved.  The decoder's way back to the places takes time. */
static double least_gain(unsigned level, double bits) { return level >= 7 ? -0.01 : 0.005 * bits + 0.005; }

unsigned ac_order_choose(const ac_rows *rows, uint64_t first, uint32_t n, const ac_tuning *tuning, ac_encode_scratch *s,
                         ac_order_choice choices[AC_ORDERS]) {
  enum { SAMPLE_ROWS = 32, SAMPLE_COLUMNS = 256, PIECE = 128 };
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
    const extent all = {o.rows, 1, row};
    extent e = all;
    if (level < 7) {
      const uint32_t most = rows->n > 1 ? PIECE : SAMPLE_COLUMNS;
      if (e.rows > SAMPLE_ROWS) e.rows = SAMPLE_ROWS;
      if (row > most) {
        e.pieces = most / PIECE;
        e.piece = PIECE;
      }
    }
    /* a look at some values, then at all of them */
    for (int look = level < 7 ? 0 : 1; look < 2; look++) {
      measure(&o, look ? &all : &e, group, s, &c);
      unsigned kinds = 0;
      for (unsigned kind = 1; kind <= AC_ORDERS; kind++) {
        const uint32_t minor = kind & AC_ORDER_TRANSPOSED ? o.rows : row;
        if (kind & AC_ORDER_SORTED && (minor > AC_MAX_SORTED || minor <= group)) continue;
        const double gain = REALISTIC * gain_of(kind, &o, &c, group);
        if (gain < least_gain(level, c.present + COST_OF_SMALL)) continue;
        kinds++;
        if (!look) continue;
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
static int by_number(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

void ac_order_make(const ac_order_choice *choice, uint64_t first, uint32_t n, unsigned group, ac_encode_scratch *s,
                   ac_order *o) {
  lay_out(o, n, choice->row, (uint32_t)(first % choice->row));
  o->kind = choice->kind;
  o->n_classes = 0;
  if (!(o->kind & AC_ORDER_SORTED)) return;
  /* sums with their indices, as numbers that are all different */
  const uint32_t m = minor_of(o);
  uint64_t *const keys = (uint64_t *)s->events;
  float *const columns = (float *)(keys + m);
  memset(columns, 0, o->row * sizeof *columns);
  for (uint32_t r = 0; r < o->rows; r++) {
    const uint64_t sum = add_magnitudes(s->q + o->lead + (size_t)r * o->row, o->row, columns);
    if (o->kind & AC_ORDER_TRANSPOSED) keys[r] = sum << 12 | r; /* of at most 2^18 values below 2^30 */
  }
  if (!(o->kind & AC_ORDER_TRANSPOSED))
    for (uint32_t i = 0; i < m; i++) keys[i] = (uint64_t)columns[i] << 12 | i;
  qsort(keys, m, sizeof *keys, by_number);
  o->n_classes = classes_for(m, group);
  for (uint32_t i = 0; i < m; i++) o->classes[keys[i] & (AC_MAX_SORTED - 1)] = (uint8_t)(i * o->n_classes / m);
  rank_by_class(o);
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
  const unsigned method = ac_sequence_method(o->classes, m, o->n_classes);
  ac_write8(out, (uint8_t)(o->kind | (o->n_classes - 1) << CLASSES_SHIFT | method << METHOD_SHIFT));
  ac_sequence_write(out, method, o->classes, m, o->n_classes, sequence);
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
  if (!in->failed) rank_by_class(o);
  return;
invalid:
  in->failed = AC_E_FORMAT;
}
