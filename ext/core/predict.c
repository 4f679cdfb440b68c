/* predict.c: see predict.h.  Between the pyramid (where values are) and the block's field (what is done with them).
 *
 * Invariants: a prediction uses values that come before in the stream, and a neighbourhood never has a value of its
 * own row: all values of a row can be decoded at once.
 */
#include "predict.h"

#include <string.h>

/* What is said of one outer index of a level: where grids and classes are. */
typedef struct {
  const int32_t *r, *reference;
  const uint8_t *magnitude;
  ac_subgrid grid;
} layer;

typedef struct {
  ac_walker *walker;
  const ac_kernels *kernels;
  layer of[8]; /* by class; 0: the coarse grid */
  unsigned shift; /* references are 2^shift fold */
  int32_t spare[AC_AXES][3][AC_SPAN], predicted[2][AC_AXES][AC_SPAN], expected[2][AC_AXES][AC_SPAN];
  uint8_t beside[AC_MAX_NEAR][AC_SPAN];
  unsigned n_beside;
} refining;

static inline int32_t sub2(int32_t a, int32_t b) { return (int32_t)(2 * (uint32_t)a - (uint32_t)b); }

/* ---- neighbours along an axis: n values from value k of a row on ---- */
/* b and c are half a step before and behind, a and d the next ones; where the grid ends, a line goes on. */
typedef struct {
  const int32_t *a, *b, *c, *d;
} four;

/* Those of another row: rows i - 1, i, i + 1, i + 2 of `extent`, which are `distance` apart. */
static four four_rows(const int32_t *b, uint32_t i, uint32_t extent, size_t distance, uint32_t n, int32_t (*spare)[AC_SPAN]) {
  four v = {i ? b - distance : NULL, b, i + 1 < extent ? b + distance : NULL, i + 2 < extent ? b + 2 * distance : NULL};
  if (!v.c) {
    if (v.a) {
      for (uint32_t j = 0; j < n; j++) spare[1][j] = sub2(b[j], v.a[j]);
      v.c = spare[1];
    } else {
      v.c = b;
    }
  }
  if (!v.a) {
    for (uint32_t j = 0; j < n; j++) spare[0][j] = sub2(b[j], v.c[j]);
    v.a = spare[0];
  }
  if (!v.d) {
    for (uint32_t j = 0; j < n; j++) spare[2][j] = sub2(v.c[j], b[j]);
    v.d = spare[2];
  }
  return v;
}

/* Those of the same row, of `length` values: in place, but where the row ends in this span. */
static four four_places(const int32_t *row, uint32_t k, uint32_t length, uint32_t inner, uint32_t n, int32_t (*spare)[AC_SPAN]) {
  const int32_t *const b = row + k;
  four v = {b - inner, b, b + inner, b + 2 * (size_t)inner};
  const uint32_t behind = length - k; /* values from k on */
  if (n + inner > behind) {
    const uint32_t there = behind > inner ? behind - inner : 0;
    memcpy(spare[1], b + inner, there * sizeof *b);
    for (uint32_t j = there; j < n; j++) spare[1][j] = k + j >= inner ? sub2(b[j], b[(ptrdiff_t)j - (ptrdiff_t)inner]) : b[j];
    v.c = spare[1];
  }
  if (k < inner) {
    const uint32_t missing = inner - k < n ? inner - k : n;
    for (uint32_t j = 0; j < missing; j++) spare[0][j] = sub2(b[j], v.c[j]);
    memcpy(spare[0] + missing, b - (inner - missing), (n - missing) * sizeof *b);
    v.a = spare[0];
  }
  if (n + 2 * (uint64_t)inner > behind) {
    const uint32_t there = behind > 2 * (uint64_t)inner ? behind - 2 * inner : 0;
    memcpy(spare[2], b + 2 * (size_t)inner, there * sizeof *b);
    for (uint32_t j = there; j < n; j++) spare[2][j] = sub2(v.c[j], b[j]);
    v.d = spare[2];
  }
  return v;
}

/* ---- neighbourhoods ---- */
/* Its places of neighbours stay as they are: there are many spans, and few have all of them. */
static void start_span(ac_span *span, uint32_t at, uint32_t left, uint8_t unit, int raster) {
  span->at = at;
  span->n = left < AC_SPAN ? left : AC_SPAN;
  span->raster = raster;
  span->unit = unit;
  span->predicted = NULL;
  span->n_near = span->weights = 0;
}

static void add_near(ac_span *span, const uint8_t *magnitude, unsigned weight) {
  span->near[span->n_near] = magnitude;
  span->weight[span->n_near++] = (uint8_t)weight;
  span->weights += weight;
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

/* What parents have together, the row before, its sides, and a plane before. */
enum { OF_PARENTS = 12, OF_ROW = 6, OF_ROW_BESIDE = 3, OF_PLANE = 6 };

/* Rows of the same grid that came before: the one before it, with both sides; the one of the plane before, and of
 * the outer index before. */
static void add_rows(refining *f, ac_span *span, const uint8_t *row, const ac_subgrid *g, uint32_t i0, uint32_t i1, uint32_t k,
                     uint32_t outer, size_t outer_size) {
  const uint32_t inner = f->walker->predictor->pyramid.inner, n = span->n;
  if (i1) {
    const uint8_t *const before = row - g->row;
    add_near(span, before + k, OF_ROW);
    add_near(span, shifted(before, k, g->row, -(ptrdiff_t)inner, n, f->beside[f->n_beside++]), OF_ROW_BESIDE);
    add_near(span, shifted(before, k, g->row, inner, n, f->beside[f->n_beside++]), OF_ROW_BESIDE);
  }
  if (i0) add_near(span, row - (size_t)g->extent[1] * g->row + k, OF_PLANE);
  if (outer) add_near(span, row - outer_size + k, OF_PLANE);
}

/* ---- refinement ---- */
/* Values `at` a row and k of it, of grid h: their neighbours along an axis. */
static four four_along(unsigned axis, const int32_t *r, const ac_subgrid *h, uint32_t i0, uint32_t i1, uint32_t k, uint32_t inner,
                       uint32_t n, int32_t (*spare)[AC_SPAN]) {
  const int32_t *const row = r + ((size_t)i0 * h->extent[1] + i1) * h->row;
  if (axis == 2) return four_places(row, k, h->row, inner, n, spare);
  return four_rows(row + k, axis ? i1 : i0, h->extent[axis], axis ? h->row : (size_t)h->extent[1] * h->row, n, spare);
}

static void interpolate(const ac_kernels *kernels, const four *v, int cubic, uint32_t n, int32_t *p) {
  if (cubic) kernels->cubic(v->a, v->b, v->c, v->d, n, p);
  else kernels->midpoint(v->b, v->c, n, p);
}

static void blend(const ac_kernels *kernels, int32_t (*p)[AC_SPAN], unsigned axes, const ac_rule *rule, uint32_t n) {
  if (axes == 2) kernels->blend(p[0], p[1], NULL, rule->weight[0], 0, n);
  if (axes == 3) kernels->blend(p[0], p[1], p[2], rule->weight[0], rule->weight[1], n);
}

static void try_row(refining *f, unsigned level, unsigned mask, uint32_t i0, uint32_t i1) {
  ac_walker *w = f->walker;
  const uint32_t inner = w->predictor->pyramid.inner;
  const layer *own = &f->of[mask];
  const size_t row_at = ((size_t)i0 * own->grid.extent[1] + i1) * own->grid.row;
  for (uint32_t k = 0; k < own->grid.row; k += AC_SPAN) {
    const uint32_t n = own->grid.row - k < AC_SPAN ? own->grid.row - k : AC_SPAN;
    ac_trial t;
    t.level = level;
    t.mask = mask;
    t.axes = 0;
    t.at = (uint32_t)(own->r + row_at + k - w->s->r);
    t.n = n;
    t.shift = f->shift;
    for (unsigned a = AC_AXES; a-- > 0;) {
      if (!(mask >> a & 1)) continue;
      const layer *from = &f->of[mask ^ 1u << a];
      for (unsigned of_reference = 0; of_reference < (own->reference ? 2u : 1u); of_reference++) {
        const four v = four_along(a, of_reference ? from->reference : from->r, &from->grid, i0, i1, k, inner, n, f->spare[t.axes]);
        int32_t(*const p)[AC_AXES][AC_SPAN] = of_reference ? f->expected : f->predicted;
        for (unsigned cubic = 0; cubic < 2; cubic++) interpolate(f->kernels, &v, (int)cubic, n, p[cubic][t.axes]);
      }
      t.line[t.axes] = f->predicted[0][t.axes];
      t.cubic[t.axes] = f->predicted[1][t.axes];
      t.reference_line[t.axes] = f->expected[0][t.axes];
      t.reference_cubic[t.axes] = f->expected[1][t.axes];
      t.axes++;
    }
    t.reference = own->reference ? own->reference + row_at + k : NULL;
    w->weigh(w, &t);
  }
}

static uint8_t unit_of(const ac_walker *w, uint32_t outer) {
  return outer ? w->predictor->unit : w->predictor->first_unit;
}

static int refine_row(refining *f, unsigned level, unsigned mask, uint32_t outer, size_t outer_size, uint32_t i0, uint32_t i1) {
  ac_walker *w = f->walker;
  const uint32_t inner = w->predictor->pyramid.inner;
  const layer *own = &f->of[mask];
  const ac_subgrid *g = &own->grid;
  const ac_rule *rule = &w->predictor->rules[level][mask];
  const size_t row_at = ((size_t)i0 * g->extent[1] + i1) * g->row;
  const unsigned of_parent = OF_PARENTS / 2 / (unsigned)__builtin_popcount(mask);
  for (uint32_t k = 0; k < g->row; k += AC_SPAN) {
    ac_span span;
    start_span(&span, (uint32_t)(own->r + row_at + k - w->s->r), g->row - k, unit_of(w, outer), 0);
    unsigned axes = 0;
    f->n_beside = 0;
    for (unsigned a = AC_AXES; a-- > 0;) {
      if (!(mask >> a & 1)) continue;
      const layer *from = &f->of[mask ^ 1u << a];
      const ac_subgrid *h = &from->grid;
      const four v = four_along(a, from->r, h, i0, i1, k, inner, span.n, f->spare[axes]);
      interpolate(f->kernels, &v, rule->cubic, span.n, f->predicted[0][axes]);
      if (rule->trust && own->reference) {
        const four m = four_along(a, from->reference, h, i0, i1, k, inner, span.n, f->spare[axes]);
        interpolate(f->kernels, &m, rule->cubic, span.n, f->expected[0][axes]);
      }
      axes++;
      const uint8_t *const magnitude = from->magnitude + ((size_t)i0 * h->extent[1] + i1) * h->row;
      add_near(&span, magnitude + k, of_parent);
      if (a == 2) {
        add_near(&span, shifted(magnitude, k, h->row, inner, span.n, f->beside[f->n_beside++]), of_parent);
      } else {
        const size_t distance = a ? h->row : (size_t)h->extent[1] * h->row;
        add_near(&span, magnitude + k + ((a ? i1 : i0) + 1 < h->extent[a] ? distance : 0), of_parent);
      }
    }
    blend(f->kernels, f->predicted[0], axes, rule, span.n);
    if (rule->trust && own->reference) {
      blend(f->kernels, f->expected[0], axes, rule, span.n);
      f->kernels->refer(f->predicted[0][0], own->reference + row_at + k, f->expected[0][0], AC_TRUST[rule->trust].trust, AC_TRUST[rule->trust].damping, f->shift, span.n);
    }
    span.predicted = f->predicted[0][0];
    add_rows(f, &span, own->magnitude + row_at, g, i0, i1, k, outer, outer_size);
    const int error = w->span(w, &span);
    if (error) return error;
  }
  return 0;
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
  const unsigned reference = w->predictor->reference;
  f->shift = reference > AC_LAST ? MEAN_SHIFT : 0;
  for (unsigned mask = 1; mask < 8; mask++) f->of[mask].grid = ac_pyramid_class(p, level, mask);
  for (uint32_t o = 0; o < p->outer; o++) {
    const int32_t *const classes = w->s->r + start + o * outer_size;
    f->of[0] = (layer){coarse + (size_t)o * coarse_grid.size, NULL, magnitudes + (size_t)o * coarse_grid.size, coarse_grid};
    const int32_t *before = NULL; /* the reference of the classes */
    if (o && reference == AC_LAST) {
      f->of[0].reference = f->of[0].r - coarse_grid.size;
      before = classes - outer_size;
    } else if (o && reference > AC_LAST) {
      follow(f->kernels, w->s->mean, f->of[0].r - coarse_grid.size, reference, o, coarse_grid.size);
      follow(f->kernels, w->s->mean + coarse_grid.size, classes - outer_size, reference, o, (uint32_t)outer_size);
      f->of[0].reference = w->s->mean;
      before = w->s->mean + coarse_grid.size;
    }
    size_t at = 0;
    for (unsigned i = 0; i < AC_CELL_CLASSES; i++) {
      const unsigned mask = AC_CLASS_ORDER[i];
      layer *own = &f->of[mask];
      own->r = classes + at;
      own->reference = before ? before + at : NULL;
      own->magnitude = w->s->magnitude + start + o * outer_size + at;
      at += own->grid.size;
      if (!own->grid.row) continue;
      for (uint32_t i0 = 0; i0 < own->grid.extent[0]; i0++)
        for (uint32_t i1 = 0; i1 < own->grid.extent[1]; i1++) {
          if (w->weigh) {
            if ((i0 * own->grid.extent[1] + i1 + o) % (level > 2 ? 1 : 8u >> level) == 0) try_row(f, level, mask, i0, i1);
            continue;
          }
          const int error = refine_row(f, level, mask, o, outer_size, i0, i1);
          if (error) return error;
        }
    }
  }
  return 0;
}

/* ---- the coarsest grid ---- */
/* The sum of rows before, with the signs of differences along all directions but the row's own. */
static const int32_t *rows_before(const ac_kernels *kernels, const ac_walker *w, const ac_subgrid *g, const int32_t *row, uint32_t outer, uint32_t i0, uint32_t i1) {
  const unsigned along = w->predictor->along;
  const size_t distance[3] = {(size_t)g->extent[1] * g->row, g->row, g->size};
  const unsigned there = (along & AC_ALONG_AXIS0 && i0 ? 1 : 0) | (along & AC_ALONG_AXIS1 && i1 ? 2 : 0) |
                         (along & AC_ALONG_OUTER && outer ? 4 : 0);
  if (!there) return NULL;
  int32_t *const sum = w->s->row;
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

static int raster(refining *f) {
  ac_walker *w = f->walker;
  const ac_pyramid *p = &w->predictor->pyramid;
  const ac_subgrid g = ac_pyramid_grid(p, p->levels);
  const uint32_t distance = w->predictor->along & AC_ALONG_AXIS2 || w->predictor->linear.order ? p->inner : 0;
  uint32_t at = 0;
  for (uint32_t o = 0; o < p->outer; o++)
    for (uint32_t i0 = 0; i0 < g.extent[0]; i0++)
      for (uint32_t i1 = 0; i1 < g.extent[1]; i1++, at += g.row) {
        for (uint32_t k = 0; k < g.row; k += AC_SPAN) {
          ac_span span;
          start_span(&span, at + k, g.row - k, unit_of(w, o), 1);
          f->n_beside = 0;
          add_rows(f, &span, w->s->magnitude + at, &g, i0, i1, k, o, g.size);
          const int error = w->span(w, &span);
          if (error) return error;
        }
        const ac_raster_row row = {at, g.row, distance, unit_of(w, o), rows_before(f->kernels, w, &g, w->s->r + at, o, i0, i1)};
        const int error = w->row(w, &row);
        if (error) return error;
      }
  return 0;
}

int ac_walk(ac_walker *w, const int32_t **values) {
  const ac_pyramid *p = &w->predictor->pyramid;
  refining f;
  f.walker = w;
  f.kernels = w->kernels = ac_active_kernels();
  int error = w->weigh ? 0 : raster(&f);
  const int32_t *r = w->s->r;
  const uint8_t *magnitudes = w->s->magnitude;
  for (unsigned level = p->levels; level-- > 0 && !error;) {
    error = refine(&f, level, r, magnitudes);
    if (error) break;
    ac_pyramid_merge(p, level, 4, r, w->s->r, w->s->grids[level % 2]);
    if (level && !w->weigh) ac_pyramid_merge(p, level, 1, magnitudes, w->s->magnitude, w->s->magnitudes[level % 2]);
    r = w->s->grids[level % 2];
    magnitudes = w->s->magnitudes[level % 2];
  }
  *values = r;
  return error;
}
