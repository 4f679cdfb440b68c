/* predict.c: see predict.h.  Between the pyramid (where values are) and the block's field (what is done with them).
 *
 * Invariants: a prediction uses values that come before in the stream, and a neighbourhood never has a value of its
 * own piece: all values of a piece can be decoded at once.
 */
#include "predict.h"

#include <string.h>

/* What is said of one outer index of a level: where grids and classes are. */
typedef struct {
  const int32_t *r, *reference;
  const uint8_t *magnitude;
  ac_subgrid grid;
  uint32_t together; /* so many rows make a piece */
} layer;

/* A row of scratch for a piece. */
typedef int32_t values_row[AC_PIECE + AC_PIECE_SLACK];

typedef struct {
  ac_walker *walker;
  const ac_kernels *kernels;
  layer of[8]; /* by class; 0: the coarse grid */
  unsigned shift; /* references are 2^shift fold */
  values_row spare[3], predicted[2][AC_AXES], expected[2][AC_AXES];
  uint8_t parents[3][AC_PIECE]; /* magnitudes that do not stand together as a piece does */
} refining;

/* Where a piece is: rows from (i0, i1) of its class on, of each `part` values from value k on: n in all. */
typedef struct {
  uint32_t i0, i1, k, row, rows, part, n, inner;
} place;

static inline uint32_t least_of(uint32_t a, uint32_t b) { return a < b ? a : b; }

static inline int32_t sub2(int32_t a, int32_t b) { return (int32_t)(2 * (uint32_t)a - (uint32_t)b); }

/* ---- interpolation: between places b and c, and a before and d behind them; where the grid ends, a line goes on ---- */
/* Other rows of the grid: a, b, c, d are `distance` apart, and b is index i of `extent` along an axis. */
static void between_rows(const ac_kernels *kernels, const int32_t *b, uint32_t i, uint32_t extent, size_t distance, uint32_t n, int cubic,
                         values_row *spare, int32_t *p) {
  const int32_t *a = i ? b - distance : NULL, *c = i + 1 < extent ? b + distance : NULL, *d = i + 2 < extent ? b + 2 * distance : NULL;
  if (!c && !a) {
    c = b;
  } else if (!c) {
    for (uint32_t j = 0; j < n; j++) spare[1][j] = sub2(b[j], a[j]);
    c = spare[1];
  }
  if (!cubic) {
    kernels->midpoint(b, c, n, p);
    return;
  }
  if (!a) {
    for (uint32_t j = 0; j < n; j++) spare[0][j] = sub2(b[j], c[j]);
    a = spare[0];
  }
  if (!d) {
    for (uint32_t j = 0; j < n; j++) spare[2][j] = sub2(c[j], b[j]);
    d = spare[2];
  }
  kernels->cubic(a, b, c, d, n, p);
}

/* The next rows of a plane, for some rows of it: all between the ends of the grid at once. */
static void between_next_rows(const ac_kernels *kernels, const int32_t *b, const ac_subgrid *h, const place *at, int cubic, values_row *spare, int32_t *p) {
  const uint32_t extent = h->extent[1], part = at->part;
  for (uint32_t i = at->i1, end = i + at->rows; i < end;) {
    const uint32_t inside = extent > 2 ? extent - 2 : 0, last = inside < end ? inside : end;
    const uint32_t together = i && i < last ? last - i : 1;
    between_rows(kernels, b, i, extent, h->row, together * part, cubic, spare, p);
    i += together;
    b += (size_t)together * part;
    p += (size_t)together * part;
  }
}

/* By values of the same row, which has `length` of them. */
static int32_t between_places(const int32_t *row, uint32_t k, uint32_t length, uint32_t inner, int cubic) {
  const int32_t b = row[k];
  const int has_a = k >= inner;
  const int32_t c = k + inner < length ? row[k + inner] : has_a ? sub2(b, row[k - inner]) : b;
  if (!cubic) return (int32_t)((uint32_t)b + (uint32_t)((int32_t)((uint32_t)c - (uint32_t)b + 1) >> 1));
  const int32_t a = has_a ? row[k - inner] : sub2(b, c), d = k + 2 * (uint64_t)inner < length ? row[k + 2 * (size_t)inner] : sub2(c, b);
  const uint32_t rise = (uint32_t)c - (uint32_t)b, bend = (uint32_t)b - (uint32_t)a + (uint32_t)c - (uint32_t)d;
  return (int32_t)((uint32_t)b + (uint32_t)((int32_t)(8 * rise + bend + 8) >> 4));
}

static void along_row(const ac_kernels *kernels, const int32_t *row, uint32_t length, uint32_t k, uint32_t n, uint32_t inner, int cubic, int32_t *p) {
  /* between `from` and `to` all are there; a few more are read and written, as the vectors end */
  const uint64_t ahead = (cubic ? 2 : 1) * (uint64_t)inner;
  const uint32_t from = cubic && k < inner ? least_of(inner - k, n) : 0;
  uint32_t to = length < ahead || length - ahead < k ? 0 : least_of((uint32_t)(length - ahead) - k, n);
  if (to < from) to = from;
  const int32_t *const b = row + k + from;
  const uint32_t some = (to - from + AC_PIECE_SLACK - 1) / AC_PIECE_SLACK * AC_PIECE_SLACK;
  if (to > from && cubic) kernels->cubic(b - inner, b, b + inner, b + 2 * (size_t)inner, some, p + from);
  else if (to > from) kernels->midpoint(b, b + inner, some, p + from);
  for (uint32_t j = 0; j < from; j++) p[j] = between_places(row, k + j, length, inner, cubic);
  for (uint32_t j = to; j < n; j++) p[j] = between_places(row, k + j, length, inner, cubic);
}

/* Whole rows that stand one after the other, as one row; but their ends, which then are of values of others. */
static void along_rows(const ac_kernels *kernels, const int32_t *rows, const place *at, int cubic, int32_t *p) {
  const uint32_t n = at->row, inner = at->inner, before = cubic ? least_of(inner, n) : 0;
  const uint32_t behind = n - least_of((cubic ? 2 : 1) * inner, n);
  along_row(kernels, rows, at->n, 0, at->n, inner, cubic, p);
  for (uint32_t i = 0; i < at->rows; i++, rows += n, p += n) {
    for (uint32_t k = 0; k < before; k++) p[k] = between_places(rows, k, n, inner, cubic);
    for (uint32_t k = behind > before ? behind : before; k < n; k++) p[k] = between_places(rows, k, n, inner, cubic);
  }
}

/* Along an axis, from the values r of grid h. */
static void interpolate(refining *f, unsigned axis, const int32_t *r, const ac_subgrid *h, const place *at, int cubic, int32_t *p) {
  const int32_t *const row = r + ((size_t)at->i0 * h->extent[1] + at->i1) * h->row;
  if (axis == 0) between_rows(f->kernels, row + at->k, at->i0, h->extent[0], (size_t)h->extent[1] * h->row, at->n, cubic, f->spare, p);
  if (axis == 1) between_next_rows(f->kernels, row + at->k, h, at, cubic, f->spare, p);
  if (axis == 2 && at->rows > 1 && h->row == at->part) {
    along_rows(f->kernels, row, at, cubic, p);
    return;
  }
  if (axis == 2)
    for (uint32_t i = 0; i < at->rows; i++)
      along_row(f->kernels, row + (size_t)i * h->row, h->row, at->k, at->part, at->inner, cubic, p + (size_t)i * at->part);
}

static void blend(const ac_kernels *kernels, values_row *p, unsigned axes, const ac_rule *rule, uint32_t n) {
  if (axes == 2) kernels->blend(p[0], p[1], NULL, rule->weight[0], 0, n);
  if (axes == 3) kernels->blend(p[0], p[1], p[2], rule->weight[0], rule->weight[1], n);
}

/* ---- neighbourhoods ---- */
/* Its places of neighbours stay as they are: there are many pieces, and few have all of them. */
static void start_piece(ac_piece *piece, uint32_t at, uint32_t row, uint32_t rows, uint8_t unit, int raster) {
  piece->at = at;
  piece->row = row;
  piece->rows = rows;
  piece->raster = raster;
  piece->unit = unit;
  piece->predicted = NULL;
  piece->before = NULL;
  piece->n_near = piece->weights = 0;
}

static void add_near(ac_piece *piece, const uint8_t *magnitude, unsigned weight) {
  piece->near[piece->n_near] = magnitude;
  piece->weight[piece->n_near++] = (uint8_t)weight;
  piece->weights += weight;
}

/* Magnitudes `shift` values behind (or before) value k of a row; where the row ends, those of the places themselves. */
static const uint8_t *shifted(const uint8_t *row, uint32_t k, uint32_t length, ptrdiff_t shift, uint32_t n, uint8_t *spare) {
  const ptrdiff_t from = (ptrdiff_t)k + shift;
  if (from >= 0 && from + (ptrdiff_t)n <= (ptrdiff_t)length) return row + from;
  /* what is inside in one piece; at the ends at most |shift| values have none there */
  const ptrdiff_t first = from < 0 ? -from : 0, end = (ptrdiff_t)length - from < (ptrdiff_t)n ? (ptrdiff_t)length - from : (ptrdiff_t)n;
  memcpy(spare, row + k, n);
  if (first < end) memcpy(spare + first, row + from + first, (size_t)(end - first));
  return spare;
}

/* The same of whole rows that stand one after the other, `inner` values behind. */
static void shift_rows(const uint8_t *rows, uint32_t row, uint32_t n_rows, uint32_t inner, uint8_t *to) {
  const uint32_t n = row * n_rows, most = least_of(inner, row);
  memcpy(to, rows + most, n - most);
  for (uint32_t at = row - most; at < n; at += row)
    for (uint32_t j = 0; j < most; j++) to[at + j] = rows[at + j];
}

/* What parents have together, the row before, its sides, and a plane before. */
enum { OF_PARENTS = 12, OF_ROW = 6, OF_ROW_BESIDE = 3, OF_PLANE = 6 };

/* Rows of the same grid that came before: the one before it, with both sides, unless they may be of one piece; the one of the
 * plane before, and of the outer index before. */
static void add_rows(ac_piece *piece, const uint8_t *row, const ac_subgrid *g, const place *at, uint32_t outer, size_t outer_size, int together) {
  if (at->i0) add_near(piece, row - (size_t)g->extent[1] * g->row + at->k, OF_PLANE);
  if (outer) add_near(piece, row - outer_size + at->k, OF_PLANE);
  if (!at->i1 || together) return;
  piece->before = row - g->row;
  piece->k = at->k;
  piece->length = g->row;
  piece->weights += OF_ROW + 2 * OF_ROW_BESIDE;
}

/* The parents along an axis: the magnitudes of grid h. */
static void add_parents(refining *f, ac_piece *piece, unsigned axis, const uint8_t *magnitude, const ac_subgrid *h, const place *at, unsigned weight) {
  const uint8_t *const row = magnitude + ((size_t)at->i0 * h->extent[1] + at->i1) * h->row;
  if (axis == 0) {
    add_near(piece, row + at->k, weight);
    add_near(piece, row + at->k + (at->i0 + 1 < h->extent[0] ? (size_t)h->extent[1] * h->row : 0), weight);
  } else if (axis == 1) {
    add_near(piece, row + at->k, weight);
    if (at->i1 + at->rows < h->extent[1]) {
      add_near(piece, row + at->k + h->row, weight);
    } else {
      const uint32_t whole = at->n - at->part; /* all but the last row, which has none behind it */
      memcpy(f->parents[0], row + at->k + h->row, whole);
      memcpy(f->parents[0] + whole, row + at->k + whole, at->n - whole);
      add_near(piece, f->parents[0], weight);
    }
  } else if (at->rows == 1) {
    add_near(piece, row + at->k, weight);
    add_near(piece, shifted(row, at->k, h->row, at->inner, at->n, f->parents[1]), weight);
  } else if (h->row == at->row) {
    add_near(piece, row, weight);
    shift_rows(row, at->row, at->rows, at->inner, f->parents[1]);
    add_near(piece, f->parents[1], weight);
  } else { /* the grid has one place more a row */
    for (uint32_t i = 0; i < at->rows; i++) {
      memcpy(f->parents[1] + i * at->row, row + (size_t)i * h->row, at->row);
      memcpy(f->parents[2] + i * at->row, row + (size_t)i * h->row + at->inner, at->row);
    }
    add_near(piece, f->parents[1], weight);
    add_near(piece, f->parents[2], weight);
  }
}

void ac_piece_contexts(const ac_kernels *kernels, const ac_piece *piece, uint32_t inner, const uint16_t *limit, unsigned limits,
                       uint8_t *context) {
  const uint32_t n = piece->row * piece->rows;
  if (!piece->before) {
    kernels->contexts(piece->near, piece->weight, piece->n_near, limit, limits, n, context);
    return;
  }
  const uint8_t *near[AC_MAX_NEAR];
  uint8_t weight[AC_MAX_NEAR], sides[2][AC_PIECE];
  unsigned n_near = piece->n_near;
  memcpy(near, piece->near, n_near * sizeof *near);
  memcpy(weight, piece->weight, n_near * sizeof *weight);
  near[n_near] = piece->before + piece->k;
  weight[n_near++] = OF_ROW;
  for (unsigned behind = 0; behind < 2; behind++) {
    near[n_near] = shifted(piece->before, piece->k, piece->length, behind ? (ptrdiff_t)inner : -(ptrdiff_t)inner, n, sides[behind]);
    weight[n_near++] = OF_ROW_BESIDE;
  }
  kernels->contexts(near, weight, n_near, limit, limits, n, context);
}

/* ---- refinement ---- */
static uint8_t unit_of(const ac_walker *w, uint32_t outer) {
  return outer ? w->predictor->unit : w->predictor->first_unit;
}

static void try_piece(refining *f, unsigned level, unsigned mask, const place *at) {
  ac_walker *w = f->walker;
  const layer *own = &f->of[mask];
  const size_t from = ((size_t)at->i0 * own->grid.extent[1] + at->i1) * own->grid.row + at->k;
  ac_trial t;
  t.level = level;
  t.mask = mask;
  t.axes = 0;
  t.at = (uint32_t)(own->r + from - w->s->r);
  t.n = at->n;
  t.shift = f->shift;
  for (unsigned a = AC_AXES; a-- > 0;) {
    if (!(mask >> a & 1)) continue;
    const layer *parents = &f->of[mask ^ 1u << a];
    for (int cubic = 0; cubic < 2; cubic++) {
      interpolate(f, a, parents->r, &parents->grid, at, cubic, f->predicted[cubic][t.axes]);
      if (own->reference) interpolate(f, a, parents->reference, &parents->grid, at, cubic, f->expected[cubic][t.axes]);
    }
    t.line[t.axes] = f->predicted[0][t.axes];
    t.cubic[t.axes] = f->predicted[1][t.axes];
    t.reference_line[t.axes] = f->expected[0][t.axes];
    t.reference_cubic[t.axes] = f->expected[1][t.axes];
    t.axes++;
  }
  t.reference = own->reference ? own->reference + from : NULL;
  w->weigh(w, &t);
}

static int refine_piece(refining *f, unsigned level, unsigned mask, uint32_t outer, size_t outer_size, const place *at) {
  ac_walker *w = f->walker;
  const layer *own = &f->of[mask];
  const ac_rule *rule = &w->predictor->rules[level][mask];
  const size_t row_at = ((size_t)at->i0 * own->grid.extent[1] + at->i1) * own->grid.row;
  const unsigned of_parent = OF_PARENTS / 2 / (unsigned)__builtin_popcount(mask);
  const int refers = rule->trust && own->reference;
  ac_piece piece;
  start_piece(&piece, (uint32_t)(own->r + row_at + at->k - w->s->r), at->part, at->rows, unit_of(w, outer), 0);
  unsigned axes = 0;
  for (unsigned a = AC_AXES; a-- > 0;) {
    if (!(mask >> a & 1)) continue;
    const layer *parents = &f->of[mask ^ 1u << a];
    interpolate(f, a, parents->r, &parents->grid, at, rule->cubic, f->predicted[0][axes]);
    if (refers) interpolate(f, a, parents->reference, &parents->grid, at, rule->cubic, f->expected[0][axes]);
    if (!w->blind) add_parents(f, &piece, a, parents->magnitude, &parents->grid, at, of_parent);
    axes++;
  }
  blend(f->kernels, f->predicted[0], axes, rule, at->n);
  if (refers) {
    blend(f->kernels, f->expected[0], axes, rule, at->n);
    f->kernels->refer(f->predicted[0][0], own->reference + row_at + at->k, f->expected[0][0], AC_TRUST[rule->trust].trust, AC_TRUST[rule->trust].damping, f->shift, at->n);
  }
  piece.predicted = f->predicted[0][0];
  if (!w->blind) add_rows(&piece, own->magnitude + row_at, &own->grid, at, outer, outer_size, own->together > 1);
  return w->piece(w, &piece);
}

/* How many rows of so many values, from i1 on, make a piece of at most `most` values. */
static void start_rows(place *at, const ac_subgrid *g, uint32_t most, uint32_t together) {
  at->rows = least_of(together, g->extent[1] - at->i1);
  at->part = least_of(most, g->row);
  at->k = 0;
}

/* The next part of long rows. */
static int next_part(place *at, const ac_subgrid *g) {
  at->k += at->part;
  at->part = least_of(at->part, g->row - at->k);
  return at->k < g->row;
}

/* Rows of a piece: of less than `most` values, if they are shorter than `shortest`. */
static uint32_t rows_together(const ac_subgrid *g, uint32_t most, uint32_t shortest) { return g->row < shortest ? most / g->row : 1; }

/* A class of one outer index, piece by piece. */
static int refine_class(refining *f, unsigned level, unsigned mask, uint32_t outer, size_t outer_size) {
  const layer *own = &f->of[mask];
  const ac_subgrid *g = &own->grid;
  place at = {.row = g->row, .inner = f->walker->predictor->pyramid.inner};
  for (at.i0 = 0; at.i0 < g->extent[0]; at.i0++)
    for (at.i1 = 0; at.i1 < g->extent[1]; at.i1 += at.rows) {
      start_rows(&at, g, AC_PIECE, own->together);
      do {
        at.n = at.part * at.rows;
        const int error = refine_piece(f, level, mask, outer, outer_size, &at);
        if (error) return error;
      } while (next_part(&at, g));
    }
  return 0;
}

/* Of pieces with about so many values each every so manyth is weighed. */
enum { WEIGHED_TOGETHER = 256, MOST_STRIDE = 8 };

static uint32_t stride_of(const ac_walker *w, uint64_t values, unsigned classes) {
  const uint64_t stride = values / ((uint64_t)w->weighed * classes);
  return stride < 1 ? 1 : stride > MOST_STRIDE ? MOST_STRIDE : (uint32_t)stride;
}

static void weigh_class(refining *f, unsigned level, unsigned mask, uint32_t outer, uint32_t stride) {
  const layer *own = &f->of[mask];
  const ac_subgrid *g = &own->grid;
  /* every so manyth of those of all outer indices, and not always the same ones of an index */
  const uint32_t pieces = g->extent[0] * ((g->extent[1] + own->together - 1) / own->together) * ((g->row + WEIGHED_TOGETHER - 1) / WEIGHED_TOGETHER);
  uint32_t piece = outer * (pieces + (pieces % stride == 0));
  place at = {.row = g->row, .inner = f->walker->predictor->pyramid.inner};
  for (at.i0 = 0; at.i0 < g->extent[0]; at.i0++)
    for (at.i1 = 0; at.i1 < g->extent[1]; at.i1 += at.rows) {
      start_rows(&at, g, WEIGHED_TOGETHER, own->together);
      do {
        at.n = at.part * at.rows;
        if (piece++ % stride == 0) try_piece(f, level, mask, &at);
      } while (next_part(&at, g));
    }
}

enum { MEAN_SHIFT = 4 };

/* The reference of outer index o from that of o - 1, for n values that are r there. */
static void follow(const ac_kernels *kernels, int32_t *mean, const int32_t *r, unsigned reference, uint32_t o, uint32_t n) {
  enum { LONGEST = 4 };
  const unsigned length = ac_bit_length(o - 1), weight = reference == AC_MEAN ? 2 : length < LONGEST ? length : LONGEST;
  if (o == 1)
    for (uint32_t j = 0; j < n; j++) mean[j] = (int32_t)((uint32_t)r[j] << MEAN_SHIFT);
  else
    kernels->follow(mean, r, weight, MEAN_SHIFT, n);
}

static int refine(refining *f, unsigned level, const int32_t *coarse, const uint8_t *magnitudes) {
  ac_walker *w = f->walker;
  const ac_pyramid *p = &w->predictor->pyramid;
  const uint32_t start = ac_pyramid_start(p, level);
  const ac_subgrid coarse_grid = ac_pyramid_grid(p, level + 1);
  const size_t outer_size = ac_pyramid_grid(p, level).size - (size_t)coarse_grid.size;
  const unsigned reference = w->pass == AC_WEIGH_RULES ? AC_NO_REFERENCE : w->predictor->reference;
  f->shift = reference > AC_LAST ? MEAN_SHIFT : 0;
  unsigned classes[AC_CELL_CLASSES], n_classes = 0; /* that have values */
  for (unsigned i = 0; i < AC_CELL_CLASSES; i++) {
    layer *own = &f->of[AC_CLASS_ORDER[i]];
    own->grid = ac_pyramid_class(p, level, AC_CLASS_ORDER[i]);
    if (!own->grid.size) continue;
    own->together = w->pass == AC_CODE ? rows_together(&own->grid, AC_PIECE, AC_LONG_ROW) : rows_together(&own->grid, WEIGHED_TOGETHER, WEIGHED_TOGETHER);
    classes[n_classes++] = AC_CLASS_ORDER[i];
  }
  /* of many outer indices some are weighed, of few some pieces */
  const uint32_t stride = w->pass == AC_CODE ? 1 : stride_of(w, (uint64_t)p->outer * outer_size, n_classes);
  const uint32_t outer_stride = p->outer >= 16 * stride ? stride : 1;
  for (uint32_t o = 0; o < p->outer; o++) {
    const int32_t *const classes_at = w->s->r + start + o * outer_size;
    f->of[0] = (layer){coarse + (size_t)o * coarse_grid.size, NULL, magnitudes + (size_t)o * coarse_grid.size, coarse_grid, 0};
    const int32_t *before = NULL; /* the reference of the classes */
    if (o && reference == AC_LAST) {
      f->of[0].reference = f->of[0].r - coarse_grid.size;
      before = classes_at - outer_size;
    } else if (o && reference > AC_LAST) {
      follow(f->kernels, w->s->mean, f->of[0].r - coarse_grid.size, reference, o, coarse_grid.size);
      follow(f->kernels, w->s->mean + coarse_grid.size, classes_at - outer_size, reference, o, (uint32_t)outer_size);
      f->of[0].reference = w->s->mean;
      before = w->s->mean + coarse_grid.size;
    }
    if (outer_stride > 1 && o % outer_stride != outer_stride / 2) continue;
    size_t at = 0;
    for (unsigned i = 0; i < n_classes; i++) {
      const unsigned mask = classes[i];
      layer *own = &f->of[mask];
      own->r = classes_at + at;
      own->reference = before ? before + at : NULL;
      own->magnitude = w->s->magnitude + start + o * outer_size + at;
      at += own->grid.size;
      if (w->pass != AC_CODE) {
        weigh_class(f, level, mask, o, outer_stride > 1 ? 1 : stride);
        continue;
      }
      const int error = refine_class(f, level, mask, o, outer_size);
      if (error) return error;
    }
  }
  return 0;
}

/* ---- the coarsest grid ---- */
ac_stencil_grid ac_stencil_grid_of(const ac_predictor *p) {
  const ac_pyramid *g = &p->pyramid;
  return (ac_stencil_grid){g->axis[0], g->axis[1], g->axis[2] * g->inner, g->inner, (p->along & AC_ALONG_AXIS0) != 0,
                           (p->along & AC_ALONG_OUTER) != 0};
}

/* What rows before say: their sum, with the signs of differences along all directions but the row's own, or by a stencil. */
static const int32_t *rows_before(const ac_kernels *kernels, const ac_walker *w, const ac_subgrid *g, const int32_t *row, uint32_t outer, uint32_t i0, uint32_t i1) {
  const unsigned along = w->predictor->along;
  const size_t distance[3] = {(size_t)g->extent[1] * g->row, g->row, g->size};
  const unsigned there = (along & AC_ALONG_AXIS0 && i0 ? 1 : 0) | (along & AC_ALONG_AXIS1 && i1 ? 2 : 0) |
                         (along & AC_ALONG_OUTER && outer ? 4 : 0);
  if (!there) return NULL;
  int32_t *const sum = w->s->row;
  if (w->predictor->stencil.n && i1) {
    const ac_stencil_grid grid = ac_stencil_grid_of(w->predictor);
    ac_stencil_predict(&w->predictor->stencil, &grid, row, outer, i0, i1, w->flags ? w->flags + (row - w->s->r) : NULL, sum);
    return sum;
  }
  memset(sum, 0, g->row * sizeof *sum);
  for (unsigned set = 1; set < 8; set++) {
    if (set & ~there) continue;
    const int32_t *other = row;
    for (unsigned d = 0; d < 3; d++)
      if (set >> d & 1) other -= distance[d];
    kernels->accumulate(sum, other, __builtin_popcount(set) % 2 ? 1 : -1, g->row);
  }
  return sum;
}

static uint32_t distance_of(const ac_predictor *p) { return p->along & AC_ALONG_AXIS2 || p->linear.order ? p->pyramid.inner : 0; }

/* Some rows from (o, i0, i1) on: first what is read of them, in pieces, then the rows themselves. */
static int raster_rows(refining *f, const ac_subgrid *g, uint32_t at, uint32_t o, uint32_t i0, uint32_t i1, uint32_t rows, int together) {
  ac_walker *w = f->walker;
  place here = {.i0 = i0, .i1 = i1};
  start_rows(&here, g, AC_PIECE, rows);
  do {
    ac_piece piece;
    start_piece(&piece, at + here.k, here.part, here.rows, unit_of(w, o), 1);
    if (!w->blind) add_rows(&piece, w->s->magnitude + at, g, &here, o, g->size, together);
    const int error = w->piece(w, &piece);
    if (error) return error;
  } while (next_part(&here, g));
  for (uint32_t i = i1; i < i1 + rows; i++, at += g->row) {
    const ac_raster_row row = {at, g->row, distance_of(w->predictor), unit_of(w, o), rows_before(f->kernels, w, g, w->s->r + at, o, i0, i)};
    const int error = w->row(w, &row);
    if (error) return error;
  }
  return 0;
}

/* What differences say of a row, from the values that are there. */
static void weigh_raster_row(refining *f, const ac_subgrid *g, uint32_t at, uint32_t o, uint32_t i0, uint32_t i1) {
  ac_walker *w = f->walker;
  const uint32_t distance = distance_of(w->predictor);
  const int32_t *const r = w->s->r + at, *const before = rows_before(f->kernels, w, g, r, o, i0, i1);
  int32_t *const p = f->predicted[0][0];
  ac_trial t = {.level = w->predictor->pyramid.levels, .line = {p}};
  for (uint32_t k = 0; k < g->row; k += t.n) {
    t.n = least_of(AC_PIECE, g->row - k);
    t.at = at + k;
    for (uint32_t j = 0; j < t.n; j++) {
      const uint32_t i = k + j;
      uint32_t sum = before ? (uint32_t)before[i] : 0;
      if (distance && i >= distance) sum += (uint32_t)r[i - distance] - (before ? (uint32_t)before[i - distance] : 0);
      p[j] = (int32_t)sum;
    }
    w->weigh(w, &t);
  }
}

static int raster(refining *f) {
  ac_walker *w = f->walker;
  const ac_pyramid *p = &w->predictor->pyramid;
  const ac_subgrid g = ac_pyramid_grid(p, p->levels);
  const uint32_t together = w->pass == AC_CODE && w->together ? rows_together(&g, AC_PIECE, AC_LONG_ROW) : 1;
  const uint32_t stride = w->pass != AC_CODE ? stride_of(w, (uint64_t)p->outer * g.size, 1) : 1;
  uint32_t at = 0;
  for (uint32_t o = 0; o < p->outer; o++)
    for (uint32_t i0 = 0; i0 < g.extent[0]; i0++)
      for (uint32_t i1 = 0, rows; i1 < g.extent[1]; i1 += rows, at += rows * g.row) {
        rows = least_of(together, g.extent[1] - i1);
        if (w->pass != AC_CODE) {
          if ((o + i0 + i1) % stride == 0) weigh_raster_row(f, &g, at, o, i0, i1);
          continue;
        }
        const int error = raster_rows(f, &g, at, o, i0, i1, rows, together > 1);
        if (error) return error;
      }
  return 0;
}

/* What is weighed of a level, or of the coarsest grid. */
static void weigh_level(refining *f, unsigned level, const int32_t *coarse) {
  ac_walker *w = f->walker;
  for (w->pass = AC_WEIGH_RULES; w->pass <= AC_WEIGH_TRUST; w->pass++) {
    if (w->pass == AC_WEIGH_RULES ? !w->weighs_rules : !w->weighs_trust || !w->predictor->reference) continue;
    if (level < w->predictor->pyramid.levels) refine(f, level, coarse, w->s->magnitude);
    else if (w->pass == AC_WEIGH_RULES) raster(f);
    w->decide(w, level);
  }
  w->pass = AC_CODE;
}

int ac_walk(ac_walker *w, const int32_t **values) {
  const ac_pyramid *p = &w->predictor->pyramid;
  refining f;
  f.walker = w;
  f.kernels = w->kernels = ac_active_kernels();
  w->pass = AC_CODE;
  if (w->weigh) weigh_level(&f, p->levels, NULL);
  int error = w->weigh ? 0 : raster(&f);
  const int32_t *r = w->s->r;
  const uint8_t *magnitudes = w->s->magnitude;
  for (unsigned level = p->levels; level-- > 0 && !error;) {
    if (w->weigh) weigh_level(&f, level, r);
    else error = refine(&f, level, r, magnitudes);
    if (error) break;
    if (!level && w->put) {
      ac_pyramid_put(p, r, w->s->r, w->s->row, w->put, w->to);
      *values = NULL;
      return 0;
    }
    ac_pyramid_merge(p, level, 4, r, w->s->r, w->s->grids[level % 2]);
    if (level && !w->weigh && !w->blind) ac_pyramid_merge(p, level, 1, magnitudes, w->s->magnitude, w->s->magnitudes[level % 2]);
    r = w->s->grids[level % 2];
    magnitudes = w->s->magnitudes[level % 2];
  }
  *values = r;
  return error;
}
