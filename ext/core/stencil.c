/* stencil.c: see stencil.h.  Between rows of the coarsest grid, where there are no others, and their differences.
 *
 * Invariants: a stencil has values of rows that come before; doubles choose weights, integers modulo 2^32 predict.
 */
#include "stencil.h"

#include <math.h>
#include <string.h>

#include "../simd/kernels.h"
#include "contexts.h"
#include "solve.h"

/* ---- neighbours ---- */
/* Where they are: planes before, rows and places behind. */
typedef struct {
  uint8_t planes;
  int8_t row, place;
} offset;
static const offset IN_PLANE[AC_STENCIL_ROW] = {{0, -1, -2}, {0, -1, -1}, {0, -1, 1}, {0, -1, 2}, {0, -2, 0}};
static const offset BEFORE[AC_STENCIL_PLANE] = {{1, 0, 0},  {1, 0, -1}, {1, 0, 1},   {1, 0, 2}, {1, 1, 0},
                                                {1, 1, -1}, {1, -1, 0}, {1, -1, -1}, {2, 0, 0}, {2, 0, -1}};

typedef struct {
  const int32_t *value[AC_MAX_STENCIL]; /* of m values each */
  int32_t spare[AC_MAX_STENCIL][AC_PIECE];
} neighbours;

/* Values from place k + `places` of a row on: of the first or the last place, where the row ends. */
static const int32_t *shifted(const int32_t *row, const ac_stencil_grid *g, uint32_t k, uint32_t m, int places, int32_t *spare) {
  const int64_t from = (int64_t)k + (int64_t)places * g->inner;
  if (from >= 0 && from + m <= g->row) return row + from;
  for (uint32_t j = 0; j < m; j++) {
    int64_t at = from + j;
    while (at < 0) at += g->inner;
    while (at >= g->row) at -= g->inner;
    spare[j] = row[at];
  }
  return spare;
}

/* `planes` of them are before, of `plane` values each; rows that do not exist are as the one above, at the same place. */
static unsigned add_neighbours(const offset *some, unsigned number, const ac_stencil_grid *g, const int32_t *row, uint32_t planes,
                               size_t plane, uint32_t i1, uint32_t k, uint32_t m, neighbours *near, unsigned n) {
  for (unsigned i = 0; i < number; i++, n++) {
    const offset at = some[i];
    const int64_t there = (int64_t)i1 + at.row;
    if (at.planes > planes || there < 0 || there >= g->n1)
      near->value[n] = row - g->row + k;
    else
      near->value[n] = shifted(row - at.planes * plane + (ptrdiff_t)at.row * (ptrdiff_t)g->row, g, k, m, at.place, near->spare[n]);
  }
  return n;
}

static unsigned find_neighbours(const ac_stencil_grid *g, const int32_t *row, uint32_t o, uint32_t i0, uint32_t i1, uint32_t k,
                                uint32_t m, neighbours *near) {
  const size_t plane = (size_t)g->n1 * g->row;
  unsigned n = add_neighbours(IN_PLANE, AC_STENCIL_ROW, g, row, 0, plane, i1, k, m, near, 0);
  if (g->along_axis0) n = add_neighbours(BEFORE, AC_STENCIL_PLANE, g, row, i0, plane, i1, k, m, near, n);
  if (g->along_outer) n = add_neighbours(BEFORE, AC_STENCIL_PLANE, g, row, o, plane * g->n0, i1, k, m, near, n);
  return n;
}

void ac_stencil_predict(const ac_stencil *stencil, const ac_stencil_grid *g, const int32_t *row, uint32_t o, uint32_t i0,
                        uint32_t i1, const uint8_t *flags, int32_t *predicted) {
  const ac_kernels *const kernels = ac_active_kernels();
  const int32_t *const above = row - g->row;
  neighbours near;
  for (uint32_t k = 0; k < g->row; k += AC_PIECE) {
    const uint32_t m = g->row - k < AC_PIECE ? g->row - k : AC_PIECE;
    find_neighbours(g, row, o, i0, i1, k, m, &near);
    kernels->stencil(above + k, near.value, stencil->weight, stencil->n, AC_STENCIL_SHIFT, m, predicted + k);
  }
  for (uint32_t j = 0; flags && j < g->row; j++) predicted[j] &= (flags[j] & AC_SKIPPED) - 1;
  for (uint32_t j = 0; j < g->inner && j < g->row; j++) predicted[j] = (int32_t)((uint32_t)predicted[j] + (uint32_t)above[j]);
  kernels->sums(predicted, g->row, g->inner);
}

/* ---- encoder ---- */
typedef struct {
  double product[AC_MAX_STENCIL + 1][AC_MAX_STENCIL + 1]; /* the last is what is to be predicted */
  double weight[AC_MAX_STENCIL];                          /* so far */
  uint64_t n;
} statistics;

void ac_stencil_fill(const ac_stencil_grid *g, uint32_t outer, const uint8_t *flags, int32_t *values) {
  const size_t rows = (size_t)outer * g->n0 * g->n1;
  for (size_t i = 0; i < rows; i++, values += g->row, flags += g->row) {
    if (!memchr(flags, AC_SKIPPED, g->row)) continue; /* with other flags values are known, and need nothing */
    for (uint32_t j = 0; j < g->row; j++)
      if (flags[j] & AC_SKIPPED) values[j] = j >= g->inner ? values[j - g->inner] : i % g->n1 ? values[(ptrdiff_t)j - (ptrdiff_t)g->row] : 0;
  }
}

/* Squares of errors, with weights that come near to magnitudes of what was left by the weights so far. */
static void add_values(statistics *s, const ac_stencil_grid *g, const neighbours *near, unsigned n, const int32_t *row,
                       const uint8_t *flags, uint32_t m) {
  const int32_t *const above = row - g->row;
  for (uint32_t j = g->inner; j < m; j++) {
    double x[AC_MAX_STENCIL + 1];
    if (flags && flags[j] & AC_SKIPPED) continue;
    for (unsigned i = 0; i < n; i++) x[i] = (double)near->value[i][j] - above[j];
    x[n] = (double)row[j] - row[j - g->inner];
    double error = x[n];
    for (unsigned i = 0; i < n; i++) error -= s->weight[i] * x[i];
    const double weight = 1 / (0.5 + fabs(error));
    for (unsigned i = 0; i <= n; i++) {
      const double weighted = x[i] * weight;
      for (unsigned k = 0; k <= i; k++) s->product[i][k] += weighted * x[k];
    }
    s->n++;
  }
}

static int solve(statistics *s, unsigned n) {
  double products[AC_MAX_STENCIL * AC_MAX_STENCIL], trace = 0;
  for (unsigned i = 0; i < n; i++) trace += s->product[i][i];
  if (!(trace > 0)) return 0;
  for (unsigned i = 0; i < n; i++)
    for (unsigned j = 0; j <= i; j++) products[i * n + j] = s->product[i][j] + (i == j ? trace / n * 0x1p-16 : 0);
  return ac_solve(products, n, s->product[n], s->weight);
}

/* Rows that have all their neighbours, but for some that are two rows or planes before. */
static void add_grid(statistics *s, const ac_stencil_grid *g, uint32_t outer, const int32_t *values, const uint8_t *flags, uint32_t most) {
  const uint64_t all = (uint64_t)outer * g->n0 * g->n1 * g->row;
  const uint32_t stride = all > 2 * (uint64_t)most ? (uint32_t)(all / most) : 1;
  uint32_t number = 0;
  neighbours near;
  memset(s->product, 0, sizeof s->product);
  s->n = 0;
  for (uint32_t o = g->along_outer ? 1 : 0; o < outer; o++)
    for (uint32_t i0 = g->along_axis0 ? 1 : 0; i0 < g->n0; i0++)
      for (uint32_t i1 = 1; i1 < g->n1; i1++)
        for (uint32_t k = 0; k + g->inner < g->row; k += AC_PIECE) {
          if (number++ % stride) continue;
          const size_t at = (((size_t)o * g->n0 + i0) * g->n1 + i1) * g->row + k;
          const uint32_t m = g->row - k < AC_PIECE ? g->row - k : AC_PIECE;
          const unsigned n = find_neighbours(g, values + at - k, o, i0, i1, k, m, &near);
          add_values(s, g, &near, n, values + at, flags ? flags + at : NULL, m);
        }
}

int ac_stencil_fit(const ac_stencil_grid *g, uint32_t outer, const int32_t *values, const uint8_t *flags, unsigned rounds,
                   uint32_t most, ac_stencil *stencil) {
  enum { LEAST = 64 };
  const unsigned n = ac_stencil_weights(g->along_axis0, g->along_outer);
  statistics s;
  memset(&s, 0, sizeof s);
  memset(stencil, 0, sizeof *stencil);
  for (unsigned round = 0; round < rounds; round++) {
    add_grid(&s, g, outer, values, flags, most);
    if (s.n < LEAST || !solve(&s, n)) return 0;
  }
  for (unsigned i = 0; i < n; i++) {
    const double w = floor(s.weight[i] * (1 << AC_STENCIL_SHIFT) + 0.5);
    stencil->weight[i] = (int16_t)(w > INT16_MAX ? INT16_MAX : w > INT16_MIN ? w : INT16_MIN);
  }
  stencil->n = (uint8_t)n;
  return 1;
}
