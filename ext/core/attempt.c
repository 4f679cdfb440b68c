/* attempt.c: see attempt.h.  Between the encoder's choice of a predictor and the walk: predictions are made from what the
 * decoder will have, so residuals are those of the stream.
 *
 * Invariant: a value that is known as AC_FIXED is met exactly, by a correction if its residual cannot.
 */
#include "attempt.h"

#include <string.h>

ac_room ac_room_in(const ac_encode_scratch *s, uint32_t n) {
  ac_room m;
  uint8_t *const field = (uint8_t *)s->field;
  const size_t words = 4 * (size_t)n;
  m.walk.r = (int32_t *)field;
  m.x = (int32_t *)(field + words);
  m.spans = (uint32_t *)(field + 2 * words);
  m.corrected = (uint32_t *)(field + 3 * words);
  m.integers = (int32_t *)(field + 4 * words);
  m.correction = (int8_t *)(field + 5 * words);
  m.known = field + 5 * words + n;
  m.v = s->q;
  m.walk.grids[0] = (int32_t *)s->wide;
  m.walk.grids[1] = (int32_t *)s->wide + n;
  m.walk.row = m.walk.mean = (int32_t *)s->events; /* one after the other */
  m.walk.magnitude = s->low;
  m.walk.magnitudes[0] = s->low + n;
  m.walk.magnitudes[1] = s->low + 2 * (size_t)n;
  m.flags = s->low + 3 * (size_t)n;
  m.bin = s->low + 4 * (size_t)n;
  m.tokens = s->tokens;
  return m;
}

typedef struct {
  ac_walker walker; /* first, so that a pointer to it is one to this */
  const int32_t *x;     /* what to come near, in the order of the stream */
  int32_t *v;
  uint8_t *bin;
  uint32_t *corrected;  /* positions, and what is added there */
  int8_t *correction;
  uint32_t n_corrected;
  uint16_t limits[AC_BINS];
  unsigned weights, shift, own;
  uint32_t *spans, n_spans;
  int values_only;
} predicting;

/* d / unit, to the nearest; by a constant if it is usual. */
static inline int32_t by_unit(int32_t d, unsigned unit) {
  const uint64_t positive = (uint64_t)((int64_t)d + unit / 2 + ((int64_t)unit << 31));
  const uint64_t quotient = unit == AC_LARGEST_FOLD ? positive / AC_LARGEST_FOLD : unit == 7 ? positive / 7 : positive / unit;
  return (int32_t)((int64_t)quotient - (1ll << 31));
}

/* The residual, and the value it makes of the prediction. */
static inline int32_t settle(predicting *e, uint32_t at, int32_t predicted, unsigned unit, int32_t *v) {
  const uint8_t flags = e->walker.flags ? e->walker.flags[at] : 0;
  if (flags & AC_MASKED) {
    *v = 0;
    return predicted;
  }
  const int32_t d = (int32_t)((uint32_t)e->x[at] - (uint32_t)predicted);
  *v = unit == 1 ? d : by_unit(d, unit);
  int32_t r = (int32_t)((uint32_t)predicted + unit * (uint32_t)*v);
  if (flags & AC_FIXED && r != e->x[at]) {
    e->corrected[e->n_corrected] = at;
    e->correction[e->n_corrected++] = (int8_t)(e->x[at] - r);
    r = e->x[at];
  }
  return r;
}

static int any_flags(const uint8_t *flags, uint32_t n) {
  uint8_t any = 0; /* a byte: vectors have many of them */
  for (uint32_t j = 0; j < n; j++) any |= flags[j];
  return any != 0;
}

/* Residuals of a piece, and what they make of its predictions. */
static void predict_values(predicting *e, const ac_piece *piece, uint32_t n) {
  const uint32_t at = piece->at;
  int32_t *const v = e->v + at, *const r = e->walker.s->r + at;
  e->walker.kernels->by_units(e->x + at, piece->predicted, piece->unit, n, v, r);
  if (e->walker.flags && any_flags(e->walker.flags + at, n))
    for (uint32_t j = 0; j < n; j++)
      if (e->walker.flags[at + j]) r[j] = settle(e, at + j, piece->predicted[j], piece->unit, &v[j]);
}

static int predict_piece(ac_walker *w, const ac_piece *piece) {
  predicting *e = (predicting *)w;
  const uint32_t at = piece->at, n = piece->row * piece->rows;
  if (!piece->raster) predict_values(e, piece, n);
  if (e->values_only) return 0;
  for (uint32_t j = 0; j < n; j += AC_SPAN) e->spans[e->n_spans++] = n - j < AC_SPAN ? n - j : AC_SPAN;
  if (!piece->raster && !w->blind) w->kernels->magnitudes(e->v + at, n, e->shift, w->s->magnitude + at);
  if (piece->raster && e->own) {
    memset(e->bin + at, AC_BINS, n);
  } else if (!piece->weights) {
    memset(e->bin + at, AC_BINS - 1, n);
  } else {
    if (e->weights != piece->weights) {
      e->weights = piece->weights;
      for (unsigned i = 1; i < AC_BINS; i++) e->limits[i] = ac_bin_limit(i, piece->weights);
    }
    ac_piece_contexts(w->kernels, piece, w->predictor->pyramid.inner, e->limits + 1, AC_BINS - 1, e->bin + at);
  }
  return 0;
}

/* What is known of a row keeps its place: sums go on where values are masked, and what must be met is corrected. */
static void keep_known(const predicting *e, const ac_raster_row *row, int32_t *sums) {
  const uint8_t *const flags = e->walker.flags + row->at;
  for (uint32_t k = 0; k < row->n; k++)
    if (flags[k] & AC_MASKED) sums[k] = row->distance && k >= row->distance ? sums[k - row->distance] : 0;
}

static void correct_known(predicting *e, const ac_raster_row *row, int32_t *r) {
  const uint8_t *const flags = e->walker.flags + row->at;
  const int32_t *const x = e->x + row->at;
  for (uint32_t k = 0; k < row->n; k++) {
    if (!(flags[k] & AC_FIXED) || flags[k] & AC_MASKED || r[k] == x[k]) continue;
    e->corrected[e->n_corrected] = row->at + k;
    e->correction[e->n_corrected++] = (int8_t)(x[k] - r[k]);
    r[k] = x[k];
  }
}

/* The sum S of residuals up to a place leaves less than a unit of x - before there: it is (x - before) / unit, to the
 * nearest, whatever the residuals before were. */
static void difference_row(predicting *e, const ac_raster_row *row) {
  static const int32_t ZEROS[AC_PIECE];
  const ac_kernels *const kernels = e->walker.kernels;
  const int32_t *const x = e->x + row->at, *const before = row->before;
  int32_t *const r = e->walker.s->r + row->at, *const v = e->v + row->at;
  const int known = e->walker.flags && any_flags(e->walker.flags + row->at, row->n);
  for (uint32_t k = 0; k < row->n; k += AC_PIECE) {
    const uint32_t n = row->n - k < AC_PIECE ? row->n - k : AC_PIECE;
    kernels->by_units(x + k, before ? before + k : ZEROS, row->unit, n, v + k, r + k);
  }
  if (known) {
    keep_known(e, row, v);
    for (uint32_t k = 0; k < row->n; k++) r[k] = (int32_t)((before ? (uint32_t)before[k] : 0) + row->unit * (uint32_t)v[k]);
    correct_known(e, row, r);
  }
  if (row->distance) kernels->differences(v, row->n, row->distance);
}

static int predict_row(ac_walker *w, const ac_raster_row *row) {
  predicting *e = (predicting *)w;
  int32_t *const r = w->s->r + row->at, *const v = e->v + row->at;
  const ac_linear *const linear = &w->predictor->linear;
  if (linear->order && row->unit == 1 && row->distance == 1 && !e->walker.flags) { /* as below: what is before them is known */
    const uint32_t first = linear->order < row->n ? linear->order : row->n;
    memcpy(r, e->x + row->at, row->n * sizeof *r);
    for (uint32_t k = 0; k < first; k++) v[k] = (int32_t)((uint32_t)r[k] - (uint32_t)ac_linear_predict(linear, r, k, 1));
    w->kernels->foresee(linear, r + first, row->n - first, v + first);
  } else if (linear->order) {
    for (uint32_t k = 0; k < row->n; k++)
      r[k] = settle(e, row->at + k, ac_linear_predict(linear, r, k, row->distance), row->unit, &v[k]);
  } else if (row->unit == 1 && !e->walker.flags) { /* all values are met: what is before them is known */
    memcpy(r, e->x + row->at, row->n * sizeof *r);
    memcpy(v, r, row->n * sizeof *v);
    if (row->before) w->kernels->accumulate(v, row->before, -1, row->n);
    if (row->distance) w->kernels->differences(v, row->n, row->distance);
  } else {
    difference_row(e, row);
  }
  if (!w->blind) w->kernels->magnitudes(v, row->n, e->shift, w->s->magnitude + row->at);
  return 0;
}

enum { CORRECTION_COST = 14, APART_COST = 16 }; /* bits, about */

ac_outcome ac_attempt(ac_field *f, const ac_tuning *tuning, uint32_t n, const ac_room *m, int what) {
  enum { MANTISSA = 1, K = 0 };
  ac_outcome o;
  ac_walk_scratch walk = m->walk;
  f->contexts.together = f->contexts.own || ac_level(tuning) == AC_MIN_LEVEL; /* where neighbourhoods are of no use */
  const uint8_t *const flags = any_flags(m->flags, n) ? m->flags : NULL;
  predicting e = {.walker = {.predictor = &f->predictor, .s = &walk, .piece = predict_piece, .row = predict_row, .together = f->contexts.together, .flags = flags,
                             .blind = what == AC_ATTEMPT_VALUES || ac_level(tuning) == AC_MIN_LEVEL}, .x = m->x,
                  .v = m->v, .bin = m->bin, .corrected = m->corrected, .correction = m->correction, .shift = f->contexts.shift,
                  .own = f->contexts.own, .spans = m->spans, .values_only = what == AC_ATTEMPT_VALUES};
  ac_walk(&e.walker, &o.r);
  o.n_corrected = e.n_corrected;
  o.n_spans = e.n_spans;
  o.bits = 0;
  if (what == AC_ATTEMPT_VALUES) return o;
  ac_residual_counts counts;
  ac_residuals_count(m->v, m->bin, flags, n, K, MANTISSA, &counts);
  if (what == AC_ATTEMPT_CONTEXTS) {
    o.bits = ac_contexts_choose(&counts, K, MANTISSA, ac_level(tuning), tuning->prob_bits ? tuning->prob_bits : f->contexts.prob_bits, &f->contexts);
    ac_contexts_of_bins(&f->contexts, m->bin, n);
  } else {
    o.bits = ac_contexts_cost(&counts, K, MANTISSA, ac_level(tuning));
  }
  uint32_t apart = 0;
  for (uint32_t i = 0; i < n && flags; i++) apart += (flags[i] & AC_APART) != 0;
  o.bits += (double)e.n_corrected * CORRECTION_COST + (double)apart * APART_COST;
  return o;
}
