/* field.c: see field.h.  Between the block and the stages of prediction: integers on a lattice -> residuals ->
 * contexts, tokens and raw bits, and back.
 *
 *   geometry, predictor | contexts, tables | lists of exceptions | raw bits | rANS words
 *
 * Invariants: every value is within the bound or refused; one that a decoder may have put out before, for the same
 * tolerance, comes back unchanged (docs/guarantee.md); the decoder checks every length before it uses it.
 */
#include "field.h"

#include <string.h>

#include "lists.h"

/* ---- what both sides know ---- */
typedef struct {
  ac_predictor predictor;
  ac_contexts contexts;
  uint8_t first, axes; /* the axes in the middle: from the box's axis `first` on */
  uint8_t fold; /* of the lattice: its index among AC_FOLD */
} field;

static int place_axes(field *f, const ac_box *box) {
  ac_pyramid *p = &f->predictor.pyramid;
  if (!f->axes || f->axes > AC_AXES || f->first + f->axes > box->ndim) return 0;
  p->outer = p->inner = 1;
  for (unsigned a = 0; a < AC_AXES; a++) p->axis[a] = 1;
  for (unsigned d = 0; d < box->ndim; d++) {
    if (d < f->first) p->outer *= box->extent[d];
    else if (d < f->first + f->axes) p->axis[AC_AXES - f->axes + d - f->first] = box->extent[d];
    else p->inner *= box->extent[d];
  }
  return 1;
}

/* Values from integers on the lattice. */
static void to_values(const field *f, const ac_scale *scale, const int32_t *r, uint32_t n, void *dst) {
  const int dtype = scale->type->dtype;
  const int out = dtype == AC_FLOAT32 ? AC_OUT_F32 : dtype == AC_FLOAT64 ? AC_OUT_F64 : dtype == AC_FLOAT16 ? AC_OUT_F16 : AC_OUT_BF16;
  ac_active_kernels()->scale[out](r, ac_fold_step(scale, f->fold), n, dst);
}

/* ---- stream: geometry and predictor ---- */
enum { AXES_SHIFT = 2, FOLD_SHIFT = 4, REFERENCE_SHIFT = 6, LINEAR = 1 /* in the place of a reference, where there are no levels */, ALONG_SHIFT = 4, WEIGHT_BITS = 5, TRUST_BITS = 3 };

static unsigned axes_of(unsigned mask) { return (unsigned)__builtin_popcount(mask); }

static int same_rules(const ac_pyramid *p, unsigned level, const ac_rule *a, const ac_rule *b) {
  for (unsigned mask = 1; mask < 8; mask++) {
    if (!ac_pyramid_class(p, level, mask).size) continue;
    if (a[mask].cubic != b[mask].cubic || a[mask].trust != b[mask].trust) return 0;
    for (unsigned i = 1; i < axes_of(mask); i++)
      if (a[mask].weight[i - 1] != b[mask].weight[i - 1]) return 0;
  }
  return 1;
}

static void write_predictor(ac_writer *out, const field *f) {
  const ac_predictor *p = &f->predictor;
  const ac_pyramid *g = &p->pyramid;
  ac_write8(out, (uint8_t)(f->first | f->axes << AXES_SHIFT | f->fold << FOLD_SHIFT | (p->linear.order ? LINEAR : p->reference) << REFERENCE_SHIFT));
  ac_write8(out, (uint8_t)(g->levels | p->along << ALONG_SHIFT));
  if (p->linear.order) {
    ac_linear_write(out, &p->linear);
    return;
  }
  if (p->reference && f->fold) ac_write8(out, p->first_unit);
  ac_bitwriter bits = {out, 0, 0};
  for (unsigned level = g->levels; level-- > 0;) {
    if (level + 1u < g->levels) {
      const int same = same_rules(g, level, p->rules[level], p->rules[level + 1]);
      ac_write_bits(&bits, (uint32_t)same, 1);
      if (same) continue;
    }
    for (unsigned mask = 1; mask < 8; mask++) {
      if (!ac_pyramid_class(g, level, mask).size) continue;
      ac_write_bits(&bits, p->rules[level][mask].cubic, 1);
      for (unsigned i = 1; i < axes_of(mask); i++) ac_write_bits(&bits, p->rules[level][mask].weight[i - 1], WEIGHT_BITS);
      if (p->reference) ac_write_bits(&bits, p->rules[level][mask].trust, TRUST_BITS);
    }
  }
  ac_flush_bits(&bits);
}

static int read_predictor(ac_reader *in, field *f, const ac_box *box) {
  ac_predictor *p = &f->predictor;
  ac_pyramid *g = &p->pyramid;
  const uint8_t axes = ac_read8(in), levels = ac_read8(in);
  f->first = axes & 3;
  f->axes = axes >> AXES_SHIFT & 3;
  f->fold = axes >> FOLD_SHIFT & 3;
  if (f->fold >= AC_FOLDS) return 0;
  p->unit = AC_FOLD[f->fold];
  g->levels = levels & 15;
  p->along = levels >> ALONG_SHIFT;
  p->reference = axes >> REFERENCE_SHIFT;
  p->linear.order = 0;
  p->first_unit = p->unit;
  if (!g->levels && p->reference) {
    if (p->reference != LINEAR || p->along || !place_axes(f, box)) return 0;
    p->reference = AC_NO_REFERENCE;
    ac_linear_read(in, &p->linear);
    return !in->failed;
  }
  if (p->reference && f->fold) p->first_unit = ac_read8(in);
  if (p->first_unit % 2 == 0 || p->first_unit > p->unit) return 0;
  if (in->failed || p->reference >= AC_REFERENCES || !place_axes(f, box)) return 0;
  ac_bitreader bits = {in, 0, 0};
  memset(p->rules, 0, sizeof p->rules);
  for (unsigned level = g->levels; level-- > 0;) {
    const int same = level + 1u < g->levels && ac_read_bits(&bits, 1);
    for (unsigned mask = 1; mask < 8; mask++) {
      ac_rule *rule = &p->rules[level][mask];
      if (same) {
        *rule = p->rules[level + 1][mask];
        continue;
      }
      if (!ac_pyramid_class(g, level, mask).size) continue;
      rule->cubic = (uint8_t)ac_read_bits(&bits, 1);
      for (unsigned i = 1; i < axes_of(mask); i++) {
        rule->weight[i - 1] = (uint8_t)ac_read_bits(&bits, WEIGHT_BITS);
        if (rule->weight[i - 1] > 16) return 0;
      }
      if (p->reference) rule->trust = (uint8_t)ac_read_bits(&bits, TRUST_BITS);
      
    }
  }
  ac_end_bits(&bits);
  return !in->failed;
}

/* ---- encode: residuals ---- */
enum { MASKED = AC_SKIPPED, FIXED = 2, /* may have been put out before: comes back unchanged */
       APART = 4, /* the same, but this lattice has not got it: listed */
       ROUNDED = 8 /* beyond the limits of this lattice: listed, on the uniform one */ };

typedef struct {
  ac_walker walker; /* first, so that a pointer to it is one to this */
  const int32_t *x;     /* what to come near, in the order of the stream */
  const uint8_t *flags; /* MASKED, FIXED */
  int32_t *v;
  uint8_t *bin;
  uint32_t *corrected;  /* positions, and what is added there */
  int8_t *correction;
  uint32_t n_corrected;
  uint16_t limits[AC_BINS];
  unsigned weights, shift, own;
  uint32_t *spans, n_spans;
} predicting;

/* d / unit, to the nearest; by a constant if it is usual. */
static inline int32_t by_unit(int32_t d, unsigned unit) {
  const uint64_t positive = (uint64_t)((int64_t)d + unit / 2 + ((int64_t)unit << 31));
  const uint64_t quotient = unit == AC_LARGEST_FOLD ? positive / AC_LARGEST_FOLD : unit == 7 ? positive / 7 : positive / unit;
  return (int32_t)((int64_t)quotient - (1ll << 31));
}

/* The residual, and the value it makes of the prediction. */
static inline int32_t settle(predicting *e, uint32_t at, int32_t predicted, unsigned unit, int32_t *v) {
  const uint8_t flags = e->flags ? e->flags[at] : 0;
  if (flags & MASKED) {
    *v = 0;
    return predicted;
  }
  const int32_t d = (int32_t)((uint32_t)e->x[at] - (uint32_t)predicted);
  *v = unit == 1 ? d : by_unit(d, unit);
  int32_t r = (int32_t)((uint32_t)predicted + unit * (uint32_t)*v);
  if (flags & FIXED && r != e->x[at]) {
    e->corrected[e->n_corrected] = at;
    e->correction[e->n_corrected++] = (int8_t)(e->x[at] - r);
    r = e->x[at];
  }
  return r;
}

static int any_flags(const predicting *e, uint32_t at, uint32_t n) {
  if (!e->flags) return 0;
  unsigned any = 0;
  for (uint32_t j = 0; j < n; j++) any |= e->flags[at + j];
  return any != 0;
}

static int predict_piece(ac_walker *w, const ac_piece *piece) {
  predicting *e = (predicting *)w;
  const uint32_t n = piece->row * piece->rows;
  for (uint32_t i = 0; i < piece->rows; i++)
    for (uint32_t j = 0; j < piece->row; j += AC_SPAN) e->spans[e->n_spans++] = piece->row - j < AC_SPAN ? piece->row - j : AC_SPAN;
  if (piece->raster && e->own) {
    memset(e->bin + piece->at, AC_BINS, n);
  } else if (!piece->weights) {
    memset(e->bin + piece->at, AC_BINS - 1, n);
  } else {
    if (e->weights != piece->weights) {
      e->weights = piece->weights;
      for (unsigned i = 1; i < AC_BINS; i++) e->limits[i] = ac_bin_limit(i, piece->weights);
    }
    /* magnitudes of this piece are there only behind its predictions, those of a raster not at all */
  }
  if (!piece->raster) {
    int32_t *const v = e->v + piece->at, *const r = w->s->r + piece->at;
    w->kernels->by_units(e->x + piece->at, piece->predicted, piece->unit, n, v, r);
    if (any_flags(e, piece->at, n))
      for (uint32_t j = 0; j < n; j++)
        if (e->flags[piece->at + j]) r[j] = settle(e, piece->at + j, piece->predicted[j], piece->unit, &v[j]);
    w->kernels->magnitudes(v, n, e->shift, w->s->magnitude + piece->at);
  }
  if (piece->weights && !(piece->raster && e->own))
    ac_piece_contexts(w->kernels, piece, w->predictor->pyramid.inner, 0, piece->rows, e->limits + 1, AC_BINS - 1, e->bin + piece->at);
  return 0;
}

static int predict_row(ac_walker *w, const ac_raster_row *row) {
  predicting *e = (predicting *)w;
  const unsigned unit = row->unit;
  int32_t *const r = w->s->r + row->at, *const v = e->v + row->at;
  if (w->predictor->linear.order) {
    for (uint32_t k = 0; k < row->n; k++)
      r[k] = settle(e, row->at + k, ac_linear_predict(&w->predictor->linear, r, k, row->distance), unit, &v[k]);
    w->kernels->magnitudes(v, row->n, e->shift, w->s->magnitude + row->at);
    return 0;
  }
  /* sums of residuals so far stand in r until the row is done */
  for (uint32_t k = 0; k < row->n; k++) {
    const uint32_t sum = row->distance && k >= row->distance ? (uint32_t)r[k - row->distance] : 0;
    const int32_t p = (int32_t)((row->before ? (uint32_t)row->before[k] : 0) + unit * sum);
    settle(e, row->at + k, p, unit, &v[k]);
    r[k] = (int32_t)(sum + (uint32_t)v[k]);
  }
  for (uint32_t k = 0; k < row->n; k++)
    r[k] = (int32_t)((row->before ? (uint32_t)row->before[k] : 0) + unit * (uint32_t)r[k]);
  for (uint32_t i = e->n_corrected; i-- > 0 && e->corrected[i] >= row->at;) w->s->r[e->corrected[i]] = e->x[e->corrected[i]];
  w->kernels->magnitudes(v, row->n, e->shift, w->s->magnitude + row->at);
  return 0;
}

/* ---- encode: rules ---- */
/* For every class of every level the rule that predicts best what was there to be predicted from: the values
 * themselves, in some rows. */
enum { MOST_RULES = 14 };
static const ac_rule RULES[AC_AXES][MOST_RULES] = {
    {{0, {0}, 0}, {1, {0}, 0}},
    {{0, {8}, 0}, {1, {8}, 0}, {0, {0}, 0}, {1, {0}, 0}, {0, {16}, 0}, {1, {16}, 0}, {0, {4}, 0}, {1, {4}, 0}, {0, {12}, 0}, {1, {12}, 0}},
    {{0, {5, 5}, 0}, {1, {5, 5}, 0}, {0, {0, 0}, 0}, {1, {0, 0}, 0}, {0, {16, 0}, 0}, {1, {16, 0}, 0}, {0, {0, 16}, 0},
     {1, {0, 16}, 0}, {0, {8, 8}, 0}, {1, {8, 8}, 0}, {0, {8, 0}, 0}, {1, {8, 0}, 0}, {0, {0, 8}, 0}, {1, {0, 8}, 0}}};
static const unsigned N_RULES[AC_AXES] = {2, 10, 14};

typedef struct {
  ac_walker walker;
  const int32_t *x; /* what to come near */
  const uint8_t *flags;
  unsigned unit, trusting; /* the second time: how much the reference is trusted */
  uint64_t cost[AC_MAX_REFINEMENTS][8][MOST_RULES];
} trying;

/* Values that are not masked, moved together: returns how many. */
static uint32_t pick(const trying *e, uint32_t at, const int32_t *v, uint32_t n, int32_t *to) {
  uint32_t m = 0;
  for (uint32_t j = 0; j < n; j++) {
    to[m] = v[j];
    m += !(e->flags[at + j] & MASKED);
  }
  return m;
}

static uint32_t price_of(const trying *e, const ac_trial *t, const int32_t *x, const int32_t *p, int masked) {
  int32_t some_x[AC_PIECE], some_p[AC_PIECE];
  if (!masked) return e->walker.kernels->price(x, p, e->unit, t->n);
  pick(e, t->at, x, t->n, some_x);
  return e->walker.kernels->price(some_x, some_p, e->unit, pick(e, t->at, p, t->n, some_p));
}

/* What a rule makes of the predictions along each axis: in `to`, or one of them. */
static const int32_t *by_rule(const ac_kernels *kernels, const int32_t *const *v, const ac_rule *rule, const ac_trial *t, int32_t *to) {
  if (t->axes == 1) return v[0];
  memcpy(to, v[0], t->n * sizeof *to);
  kernels->blend(to, v[1], t->axes == 3 ? v[2] : NULL, rule->weight[0], rule->weight[1], t->n);
  return to;
}

static void try_rules(ac_walker *w, const ac_trial *t) {
  trying *e = (trying *)w;
  uint64_t *const cost = e->cost[t->level][t->mask];
  const ac_rule *const chosen = &w->predictor->rules[t->level][t->mask];
  const int32_t *const x = e->x + t->at;
  int32_t p[AC_PIECE], expected[AC_PIECE];
  if (e->trusting && !t->reference) return;
  unsigned flags = 0;
  for (uint32_t j = 0; e->flags && j < t->n; j++) flags |= e->flags[t->at + j];
  const int masked = flags & MASKED;
  if (!e->trusting) {
    for (unsigned i = 0; i < N_RULES[t->axes - 1]; i++) {
      const ac_rule *rule = &RULES[t->axes - 1][i];
      cost[i] += price_of(e, t, x, by_rule(w->kernels, rule->cubic ? t->cubic : t->line, rule, t, p), masked);
    }
    return;
  }
  const int32_t *const m = by_rule(w->kernels, chosen->cubic ? t->reference_cubic : t->reference_line, chosen, t, expected);
  for (unsigned trust = 0; trust < AC_TRUSTS; trust++) {
    const int32_t *const before = by_rule(w->kernels, chosen->cubic ? t->cubic : t->line, chosen, t, p);
    if (before != p) memcpy(p, before, t->n * sizeof *p);
    w->kernels->refer(p, t->reference, m, AC_TRUST[trust].trust, AC_TRUST[trust].damping, t->shift, t->n);
    cost[trust] += price_of(e, t, x, p, masked);
  }
}

/* For x, from r. */
static void choose_rules(field *f, const int32_t *x, const int32_t *r, const uint8_t *flags, const ac_walk_scratch *scratch) {
  ac_walk_scratch walk = *scratch;
  walk.r = (int32_t *)r; /* which weighing does not change */
  trying e = {.x = x, .walker = {.predictor = &f->predictor, .s = &walk, .weigh = try_rules}, .flags = flags, .unit = f->predictor.unit};
  for (e.trusting = 0; e.trusting < (f->predictor.reference ? 2u : 1u); e.trusting++) {
    memset(e.cost, 0, sizeof e.cost);
    const int32_t *all;
    ac_walk(&e.walker, &all);
    for (unsigned level = 0; level < f->predictor.pyramid.levels; level++)
      for (unsigned mask = 1; mask < 8; mask++) {
        if (!ac_pyramid_class(&f->predictor.pyramid, level, mask).size) continue;
        const unsigned axes = axes_of(mask), n = e.trusting ? AC_TRUSTS : N_RULES[axes - 1];
        unsigned best = 0;
        for (unsigned i = 1; i < n; i++)
          if (e.cost[level][mask][i] < e.cost[level][mask][best]) best = i;
        ac_rule *const rule = &f->predictor.rules[level][mask];
        if (e.trusting) rule->trust = (uint8_t)best;
        else *rule = RULES[axes - 1][best];
      }
  }
}

/* ---- encode: stream ---- */
/* Room for the parts of an encoding: what the scratch of a block has no other use for, and s->field. */
typedef struct {
  ac_walk_scratch walk;
  int32_t *x, *v;
  uint8_t *flags, *bin, *tokens;
  uint32_t *spans, *corrected;
  int8_t *correction;
  /* in memory order */
  int32_t *integers;
  uint8_t *known;
} room;

static room room_in(const ac_encode_scratch *s, uint32_t n) {
  room m;
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

/* What an attempt came to. */
typedef struct {
  double bits;
  const int32_t *r; /* in memory order */
  uint32_t n_corrected, n_spans, n_refused;
  int is_last; /* is it what the room has? */
} outcome;

/* Predict, and choose contexts. */
enum { CORRECTION_COST = 14, APART_COST = 16 }; /* bits, about */

static outcome attempt(field *f, const ac_tuning *tuning, uint32_t n, const room *m) {
  outcome o;
  ac_walk_scratch walk = m->walk;
  predicting e = {.walker = {.predictor = &f->predictor, .s = &walk, .piece = predict_piece, .row = predict_row}, .x = m->x, .flags = m->flags,
                  .v = m->v, .bin = m->bin, .corrected = m->corrected, .correction = m->correction, .shift = f->contexts.shift,
                  .own = f->contexts.own, .spans = m->spans};
  ac_walk(&e.walker, &o.r);
  ac_residual_counts counts;
  const unsigned mantissa = 1, k = 0;
  ac_residuals_count(m->v, m->bin, m->flags, n, k, mantissa, &counts);
  uint8_t context_of_bin[AC_BINS + 1];
  const unsigned level = ac_level(tuning);
  o.bits = ac_contexts_choose(&counts, k, mantissa, level, tuning->prob_bits ? tuning->prob_bits : AC_MAX_PROB_BITS, &f->contexts, context_of_bin);
  o.bits += e.n_corrected * CORRECTION_COST;
  for (uint32_t i = 0; i < n; i++) o.bits += m->flags[i] & APART ? APART_COST : 0;
  o.n_corrected = e.n_corrected;
  o.n_spans = e.n_spans;
  o.n_refused = 0;
  o.is_last = 1;
  for (uint32_t i = 0; i < n; i++) m->bin[i] = context_of_bin[m->bin[i]];
  return o;
}

enum { EXCEPTIONS = 1 << 7, MANTISSA_SHIFT = 5, PROB_SHIFT = 3, OWN = 1 << 3, SHIFT_SHIFT = 4 };

static uint8_t lanes_of_bytes(double bytes) {
  return bytes > 24 << 10 ? 64 : bytes > 6 << 10 ? 32 : bytes > 2 << 10 ? 16 : bytes > 512 ? 8 : 4;
}

static size_t write_field(const field *f, const ac_scale *scale, const void *values, uint32_t n, ac_encode_scratch *s,
                          const room *m, const outcome *o, uint8_t *dst, size_t capacity) {
  const ac_contexts *c = &f->contexts;
  const unsigned P = c->prob_bits, L = c->lanes;
  ac_writer out = {dst, dst + capacity, 0};
  write_predictor(&out, f);
  uint8_t *const layout = ac_give(&out, 2);
  if (!layout) return 0;
  layout[0] = (uint8_t)(__builtin_ctz(L) - 2) | (uint8_t)((P - AC_MIN_PROB_BITS) << PROB_SHIFT) | (uint8_t)(c->mantissa << MANTISSA_SHIFT);
  layout[1] = (uint8_t)(c->n_contexts - 1) | (c->own ? OWN : 0) | (uint8_t)(c->shift << SHIFT_SHIFT);
  ac_contexts_write(&out, c);

  /* tokens, raw bits, and what is outside */
  uint8_t *raw = (uint8_t *)m->walk.grids[0]; /* nobody needs the values any more */
  ac_writer raw_out = {raw, raw + 8 * (size_t)n, 0};
  ac_bitwriter bits = {&raw_out, 0, 0};
  uint32_t *const outside = (uint32_t *)m->x, *const coded = (uint32_t *)m->walk.r; /* coded: spans' numbers of tokens */
  uint32_t n_outside = 0, at = 0, token = 0;
  for (uint32_t span = 0; span < o->n_spans; span++) {
    uint32_t here = 0;
    for (uint32_t j = 0; j < m->spans[span]; j++, at++) {
      if (m->flags[at] & MASKED) continue;
      const ac_context *x = &c->of[m->bin[at]];
      ac_residual r = ac_residual_of(m->v[at], x->k, c->mantissa);
      int32_t t = r.bin - x->lo;
      if (t < 0 || t >= x->n_tokens || r.raw_bits + x->k > AC_MAX_RAW_BITS) {
        outside[n_outside++] = at;
        t = x->filler;
        r.raw = 0;
        r.raw_bits = (uint8_t)ac_residual_bits(x->lo + t, c->mantissa);
      }
      if (x->n_tokens < 2) continue;
      ac_write_bits(&bits, r.raw, r.raw_bits + x->k);
      m->tokens[token] = (uint8_t)t;
      m->bin[token++] = m->bin[at]; /* token <= at */
      here++;
    }
    coded[span] = here;
  }
  ac_flush_bits(&bits);
  const size_t raw_size = (size_t)(raw_out.p - raw);

  if (n_outside + o->n_refused + o->n_corrected) {
    layout[0] |= EXCEPTIONS;
    ac_write_varint(&out, n_outside);
    ac_write_varint(&out, o->n_corrected);
    ac_write_varint(&out, o->n_refused);
    if (n_outside) {
      uint8_t *const start = out.p;
      ac_outside_write(&out, outside, m->v, n_outside);
      ac_insert_length(&out, start);
    }
    if (o->n_corrected) {
      uint8_t *const start = out.p;
      ac_corrections_write(&out, m->corrected, m->correction, o->n_corrected);
      ac_insert_length(&out, start);
    }
    if (o->n_refused) {
      uint8_t *const start = out.p;
      ac_refused_write(&out, scale->type->size, values, s->index, o->n_refused);
      ac_insert_length(&out, start);
    }
  }
  ac_write_varint(&out, raw_size);
  uint8_t *to = ac_give(&out, raw_size);
  if (!to) return 0;
  memcpy(to, raw, raw_size);
  if (!token) return out.failed ? 0 : (size_t)(out.p - dst);

  for (unsigned i = 0; i < c->n_contexts + (c->own ? 1u : 0u); i++)
    if (c->of[i].n_tokens > 1) ac_model_encoder(c->of[i].freq, c->of[i].n_tokens, P, s->symbols[i]);
  uint32_t x[AC_MAX_LANES];
  for (unsigned j = 0; j < L; j++) x[j] = AC_STATE_MIN;
  uint8_t *words = s->words_end;
  for (uint32_t span = o->n_spans; span-- > 0;)
    for (uint32_t j = coded[span]; j-- > 0;) {
      token--;
      const ac_symbol *symbol = &s->symbols[m->bin[token]][m->tokens[token]];
      uint32_t *const state = &x[j & (L - 1)];
      if (*state > symbol->limit) {
        words -= 2;
        ac_store16(words, (uint16_t)*state);
        *state >>= 16;
      }
      *state = ac_symbol_push(symbol, *state, P);
    }
  words -= 4 * (size_t)L;
  memcpy(words, x, 4 * (size_t)L);
  const size_t length = (size_t)(s->words_end - words);
  to = ac_give(&out, length);
  if (to) memcpy(to, words, length);
  return out.failed ? 0 : (size_t)(out.p - dst);
}

/* ---- encode: lattices ---- */
enum { PIECE = 1024 };

/* Integers nearest on the lattice, and what is known of the values beside MASKED: 0 if this lattice is not for them.  Beyond
 * its limits, where nobody would know values again, there may be some: they are rounded on the uniform lattice. */
static int quantize_values(const field *f, const ac_scale *scale, const void *values, uint32_t n, int32_t *x, uint8_t *known) {
  enum { MOST = 1 << 29 };
  const int dtype = scale->type->dtype, has_fine = ac_fold_limit(dtype, 1) > 0;
  const double step = ac_fold_step(scale, f->fold), limit = ac_fold_limit(dtype, f->fold);
  const int32_t end = limit < MOST ? (int32_t)limit : MOST;
  uint32_t far = 0;
  /* on another lattice, or on the uniform one, but not by this one's arithmetic: another mode may have put it out */
  uint8_t what[1 << AC_FOLDS], on[PIECE];
  for (unsigned i = 0; i < sizeof what; i++) what[i] = !i ? 0 : i >> f->fold & 1 ? FIXED : APART;
  if (!f->fold) what[1] = 0;
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    const uint8_t *const piece = (const uint8_t *)values + (size_t)from * scale->type->size;
    uint32_t beyond = 0;
    ac_folds_find(scale, piece, m, on);
    if (has_fine) {
      beyond = ac_active_kernels()->nearest[dtype == AC_FLOAT64](piece, step, MOST, m, x + from);
    } else {
      for (uint32_t j = 0; j < m; j++) {
        const double q = ac_rint(ac_value_at(dtype, piece, j) * (1 / step));
        const int near = fabs(q) < MOST;
        x[from + j] = near ? (int32_t)q : 0;
        beyond += !near;
      }
    }
    for (uint32_t j = 0; j < m; j++) {
      const uint32_t i = from + j;
      known[i] = known[i] & MASKED ? MASKED : what[on[j]];
      far += (known[i] == 0) & ((x[i] >= end) | (x[i] <= -end));
    }
    for (uint32_t j = 0; j < m && beyond; j++) {
      if (known[from + j] & MASKED) continue;
      const double value = fabs(ac_value_at(dtype, piece, j));
      const int here = !(ac_rint(value * (1 / step)) < MOST);
      if (here && value * scale->lattice.inv <= AC_QMAX + 1.0) return 0; /* the mode uniform has it */
      far += (uint32_t)here;
    }
  }
  return far <= n / 64;
}

/* What reconstructions miss: values that the uniform lattice has are rounded to it, and listed (known as ROUNDED); all others
 * are stored bit for bit.  Returns how many these are. */
static uint32_t find_refused(const field *f, const ac_scale *scale, const void *values, const int32_t *r, uint32_t n,
                             uint8_t *known, uint32_t *index) {
  const int dtype = scale->type->dtype, has_kernel = dtype == AC_FLOAT32 || dtype == AC_FLOAT64;
  const double step = ac_fold_step(scale, f->fold), limit = ac_fold_limit(dtype, f->fold), tol = scale->lattice.tol;
  uint32_t refused = 0;
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t end = n - from < PIECE ? n : from + PIECE;
    const uint8_t *const piece = (const uint8_t *)values + (size_t)from * scale->type->size;
    if (has_kernel && !ac_active_kernels()->off[dtype == AC_FLOAT64](piece, r + from, step, limit, tol, end - from)) continue;
    for (uint32_t i = from; i < end; i++) {
      if (known[i] & (MASKED | APART)) continue;
      const double value = ac_value_at(dtype, values, i), q = ac_rint(value * scale->lattice.inv);
      const int outside = r[i] >= limit || r[i] <= -limit; /* where nobody would know it again */
      if (!outside && ac_within(value, ac_reconstruct(dtype, r[i], step), tol)) continue;
      if (has_kernel && f->fold && fabs(q) <= AC_QMAX && ac_within(value, ac_reconstruct(dtype, (int32_t)q, scale->lattice.delta), tol)) known[i] |= ROUNDED;
      else index[refused++] = i;
    }
  }
  return refused;
}

/* Values that are listed because they are, or shall be, on another lattice; 0 if one of them cannot be. */
static int find_apart(const field *f, const ac_scale *scale, const void *values, const int32_t *r, uint32_t n,
                      const uint8_t *known, uint32_t *index, uint8_t *code, uint32_t *found) {
  const int dtype = scale->type->dtype;
  const unsigned size = scale->type->size;
  *found = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (!(known[i] & (APART | ROUNDED))) continue;
    const double value = ac_value_at(dtype, values, i);
    uint8_t on = 1;
    if (known[i] & APART) ac_folds_find(scale, (const uint8_t *)values + (size_t)i * size, 1, &on);
    index[*found] = i;
    if (!ac_fine_code(scale, value, on, ac_reconstruct(dtype, r[i], ac_fold_step(scale, f->fold)), &code[(*found)++])) return 0;
  }
  return 1;
}

/* ---- encode: choice ---- */
/* Values of samples: of one on which all predictors are tried, and of one for the best of them. */
enum { SMALL_SAMPLE = 1 << 14, SAMPLE = 1 << 15, FINALISTS = 2, MOST_FINALISTS = 6 };
enum { LINEAR_LEVEL = 3, CHOOSES_AGAIN = 5, CHOOSES_ALL = 7 }; /* from these levels on, rules are chosen by all values: once more, or also from the start */

/* A part of a block, of at most so many values, in its middle: values of `size` bytes, and what is known of them. */
static uint32_t take_sample(uint32_t most, const ac_box *box, ac_box *part, unsigned size, const uint8_t *values, const uint8_t *known,
                            uint8_t *to, uint8_t *known_to) {
  uint64_t n = 1;
  *part = *box;
  for (unsigned d = 0; d < box->ndim; d++) n *= box->extent[d];
  while (n > most) {
    unsigned longest = 0;
    for (unsigned d = 1; d < box->ndim; d++)
      if (part->extent[d] >= part->extent[longest]) longest = d;
    n /= part->extent[longest];
    part->extent[longest] = (part->extent[longest] + 1) / 2;
    n *= part->extent[longest];
  }
  uint32_t at[AC_BOX_NDIM] = {0}, stride[AC_BOX_NDIM] = {0}, from = 0, all = 1;
  for (unsigned d = box->ndim; d-- > 0;) {
    stride[d] = all;
    from += (box->extent[d] - part->extent[d]) / 2 * all;
    all *= box->extent[d];
  }
  const uint32_t row = part->extent[box->ndim - 1];
  for (uint32_t i = 0; i < n; i += row) {
    uint32_t place = from;
    for (unsigned d = 0; d + 1 < box->ndim; d++) place += at[d] * stride[d];
    memcpy(to + (size_t)i * size, values + (size_t)place * size, (size_t)row * size);
    memcpy(known_to + i, known + place, row);
    for (unsigned d = box->ndim - 1; d-- > 0;) {
      if (++at[d] < part->extent[d]) break;
      at[d] = 0;
    }
  }
  return (uint32_t)n;
}

/* The predictor for some axes of a box: interpolation down to few places, or differences. */
static int shape_predictor(field *f, const ac_box *box, unsigned first, unsigned axes, unsigned reference, int raster) {
  enum { MOST_LEVELS = 6 };
  const uint8_t fold = f->fold;
  memset(f, 0, sizeof *f);
  f->fold = fold;
  f->first = (uint8_t)first;
  f->axes = (uint8_t)axes;
  if (!place_axes(f, box)) return 0;
  ac_predictor *p = &f->predictor;
  uint32_t longest = 0;
  for (unsigned a = 0; a < AC_AXES; a++)
    if (p->pyramid.axis[a] > longest) longest = p->pyramid.axis[a];
  if (!raster)
    while (p->pyramid.levels < MOST_LEVELS && longest >> (p->pyramid.levels + 1) >= 2) p->pyramid.levels++;
  if (!raster && !p->pyramid.levels) return 0;
  if (reference && p->pyramid.outer < 2) return 0;
  p->reference = (uint8_t)reference;
  p->unit = p->first_unit = AC_FOLD[fold];
  p->along = AC_ALONG_AXIS0 | AC_ALONG_AXIS1 | AC_ALONG_AXIS2;
  f->contexts.own = p->pyramid.levels > 0;
  f->contexts.lanes = AC_MAX_LANES;
  return 1;
}

/* Values to be predicted, in memory order, with what is known of each. */
typedef struct {
  ac_box box;
  const int32_t *integers;
  const uint8_t *known;
  uint32_t n;
} sample;

/* Rules that were chosen for a part, for the whole: where it has more levels, or classes that the part has not, those of the
 * next finer level. */
static void take_rules(const ac_predictor *part, ac_predictor *all) {
  for (unsigned level = 0; level < all->pyramid.levels; level++)
    for (unsigned mask = 1; mask < 8; mask++) {
      if (!ac_pyramid_class(&all->pyramid, level, mask).size) continue; /* of which there are no rules in the stream */
      unsigned from = level < part->pyramid.levels ? level : part->pyramid.levels - 1u;
      while (from && !ac_pyramid_class(&part->pyramid, from, mask).size) from--;
      all->rules[level][mask] = part->rules[from][mask];
    }
}

static void split(const field *f, const sample *v, const room *m) {
  ac_pyramid_split(&f->predictor.pyramid, 4, v->integers, m->walk.grids[0], m->x);
  ac_pyramid_split(&f->predictor.pyramid, 1, v->known, m->walk.grids[0], m->flags);
}

/* With the rules that it has. */
static outcome try_with(field *f, const ac_tuning *tuning, const sample *v, const room *m) {
  split(f, v, m);
  return attempt(f, tuning, v->n, m);
}

/* Rules chosen again, by what decoders will have in the place of values, if that is better than what was tried last. */
static outcome improve(field *f, outcome o, const ac_tuning *tuning, uint32_t n, const room *m) {
  field other = *f;
  choose_rules(&other, m->x, m->walk.r, m->flags, &m->walk);
  const outcome second = attempt(&other, tuning, n, m);
  if (second.bits <= o.bits) {
    *f = other;
    return second;
  }
  o.is_last = 0;
  return o;
}

/* What a sample costs with a predictor, whose rules are chosen by what is there; `again` if they are chosen once more by
 * what decoders will have in its place.  The rest is left as it was tried last. */
static outcome cost_of(field *f, const ac_tuning *tuning, const sample *v, const room *m, int again) {
  split(f, v, m);
  if (!f->predictor.pyramid.levels) return attempt(f, tuning, v->n, m);
  choose_rules(f, m->x, m->x, m->flags, &m->walk);
  const outcome o = attempt(f, tuning, v->n, m);
  if (!again) return o;
  return improve(f, o, tuning, v->n, m);
}

/* A unit of the first index, from which others are predicted, to try first; others are tried when the rest is known. */
static const uint8_t FINER_UNIT[AC_FOLDS] = {1, 3, 5};

typedef struct {
  field f;
  double bits;
} candidate;

/* Linear prediction along rows that are long enough: with every order the coefficients of least squares. */
static void choose_linear(const ac_tuning *tuning, const sample *v, const room *m, unsigned fold, unsigned first, candidate *best) {
  const unsigned least = tuning->predictor == AC_PREDICTOR_LINEAR ? 3 * AC_MAX_TAPS : 8 * AC_MAX_TAPS;
  static const uint8_t ORDERS[] = {2, 4, 8, 16, 24, 32};
  field f = {.fold = (uint8_t)fold};
  if (!shape_predictor(&f, &v->box, first, 1, AC_NO_REFERENCE, 1)) return;
  const ac_pyramid *p = &f.predictor.pyramid;
  const uint32_t length = p->axis[AC_AXES - 1], row = length * p->inner;
  if (length < least) return;
  for (uint32_t i = 0; i < v->n; i++)
    if (v->known[i] & MASKED) return;
  ac_linear_fit fit;
  memset(&fit, 0, sizeof fit);
  for (uint32_t at = 0; at < v->n; at += row)
    for (uint32_t i = 0; i < p->inner; i++) ac_linear_add(&fit, v->integers + at + i, length, p->inner);
  f.predictor.along = 0;
  for (unsigned i = 0; i < sizeof ORDERS; i++) {
    if (!ac_linear_solve(&fit, ORDERS[i], f.predictor.unit, &f.predictor.linear)) return;
    const double bits = try_with(&f, tuning, v, m).bits + ORDERS[i] * 20.0;
    if (bits < best->bits) *best = (candidate){f, bits};
  }
}

/* Into the list of the best, which is in ascending order. */
static void consider(candidate *best, unsigned *n, unsigned most, const field *f, double bits) {
  unsigned at = *n;
  if (at == most && bits >= best[at - 1].bits) return;
  if (at < most) (*n)++;
  else at--;
  for (; at && best[at - 1].bits > bits; at--) best[at] = best[at - 1];
  best[at] = (candidate){*f, bits};
}

/* The best axes for a small sample, with a reference or without. */
static void choose_some(const ac_tuning *tuning, const sample *v, const room *m, unsigned fold, int raster_only, candidate *best, unsigned *n) {
  static const uint8_t REFERENCES[] = {AC_NO_REFERENCE, AC_LONG_MEAN, AC_LAST};
  const int any = tuning->predictor == AC_PREDICTOR_AUTO;
  const int permits[2] = {(any || tuning->predictor == AC_PREDICTOR_INTERPOLATION) && ac_level(tuning) > 1 && !raster_only,
                          (any || tuning->predictor == AC_PREDICTOR_LORENZO) && !fold};
  for (unsigned raster = 0; raster < 2; raster++)
    for (unsigned first = 0; first < v->box.ndim && permits[raster]; first++)
      for (unsigned axes = 1; axes <= AC_AXES && first + axes <= v->box.ndim; axes++) {
        candidate c = {.bits = 1e300};
        for (unsigned i = 0; i < (raster ? 1u : sizeof REFERENCES); i++) {
          field f = {.fold = (uint8_t)fold};
          if (!shape_predictor(&f, &v->box, first, axes, REFERENCES[i], (int)raster)) continue;
          if (REFERENCES[i] == AC_LONG_MEAN) f.predictor.first_unit = FINER_UNIT[fold];
          const double bits = cost_of(&f, tuning, v, m, 0).bits;
          if (bits < c.bits) c = (candidate){f, bits};
        }
        if (c.bits < 1e300) consider(best, n, ac_level(tuning) < AC_MAX_LEVEL ? FINALISTS : MOST_FINALISTS, &c.f, c.bits);
      }
}

/* Signals: linear prediction along the last axes, if the box is hardly more than rows. */
static void choose_signal(const ac_tuning *tuning, const sample *v, const room *m, unsigned fold, candidate *best) {
  enum { FEW = 4 }; /* parts of a vector, along the last axis */
  const int named = tuning->predictor == AC_PREDICTOR_LINEAR;
  const unsigned last = v->box.ndim - 1;
  if (!named && (tuning->predictor != AC_PREDICTOR_AUTO || ac_level(tuning) < LINEAR_LEVEL)) return;
  for (unsigned first = 0; first <= last; first++)
    if (named || first == last || (first + 1 == last && v->box.extent[last] <= FEW)) choose_linear(tuning, v, m, fold, first, best);
}

/* The best of them for a larger one, with all references, and finer first indices; its bits are 1e300 if there is none. */
static candidate choose_best(const ac_tuning *tuning, const sample *v, const room *m, const candidate *some, unsigned n) {
  static const uint8_t UNITS[] = {9, 5, 3, 1};
  candidate best = {.bits = 1e300};
  for (unsigned i = 0; i < n; i++) {
    const field *const g = &some[i].f;
    const int any = g->predictor.reference != AC_NO_REFERENCE;
    for (unsigned reference = any; reference < (any ? (unsigned)AC_REFERENCES : 1u); reference++)
      for (unsigned finer = 0; finer <= (any && g->fold); finer++) {
        candidate c = {.f = {.fold = g->fold}};
        if (!shape_predictor(&c.f, &v->box, g->first, g->axes, reference, !g->predictor.pyramid.levels)) continue;
        if (finer) c.f.predictor.first_unit = FINER_UNIT[g->fold];
        c.bits = cost_of(&c.f, tuning, v, m, 0).bits;
        if (c.bits < best.bits) best = c;
      }
  }
  for (unsigned i = 0; i < sizeof UNITS && best.f.predictor.reference; i++) {
    if (UNITS[i] >= best.f.predictor.unit || UNITS[i] == FINER_UNIT[best.f.fold]) continue;
    candidate c = best;
    c.f.predictor.first_unit = UNITS[i];
    c.bits = cost_of(&c.f, tuning, v, m, 0).bits;
    if (c.bits < best.bits) best = c;
  }
  if (n) best.bits = cost_of(&best.f, tuning, v, m, 1).bits;
  return best;
}

size_t ac_field_encode(const ac_scale *scale, const ac_box *box, const void *values, uint32_t n, const ac_mask *mask,
                       const ac_tuning *tuning, ac_encode_scratch *s, uint8_t **bytes, size_t most, uint32_t *n_fine) {
  const room m = room_in(s, n);
  const unsigned size = scale->type->size;
  for (uint32_t i = 0; i < n; i++) m.known[i] = mask->masked && mask->bits[i / 64] >> (i % 64) & 1 ? MASKED : 0;
  /* tried on samples, which are where the whole will be; corrections go behind them */
  candidate some[MOST_FINALISTS], best = {.bits = 1e300};
  for (unsigned fold = AC_FOLDS, folded = 0; fold-- > 0;) {
    unsigned n_some = 0;
    field whole = {.fold = (uint8_t)fold};
    if (ac_fold_limit(scale->type->dtype, fold) == 0 || (fold && folded)) continue; /* the finest that they are on */
    if (!quantize_values(&whole, scale, values, n, m.integers, m.known)) continue;
    folded |= fold;
    for (unsigned large = 0; large < 2; large++) {
      field f = {.fold = (uint8_t)fold};
      sample v = {.integers = m.integers, .known = s->tokens};
      uint8_t *const some_values = (uint8_t *)s->wide;
      v.n = take_sample(large ? SAMPLE : SMALL_SAMPLE, box, &v.box, size, values, m.known, some_values, s->tokens);
      quantize_values(&f, scale, some_values, v.n, m.integers, s->tokens);
      if (!large) {
        choose_some(tuning, &v, &m, fold, folded > 1 && !fold, some, &n_some);
      } else {
        const candidate c = choose_best(tuning, &v, &m, some, n_some);
        if (c.bits < best.bits) best = c;
        choose_signal(tuning, &v, &m, fold, &best);
      }
    }
  }
  if (best.bits == 1e300) return 0;
  field f = {.fold = best.f.fold};
  const sample all = {*box, m.integers, m.known, n};
  if (!quantize_values(&f, scale, values, n, m.integers, m.known)) return 0;
  if (!shape_predictor(&f, box, best.f.first, best.f.axes, best.f.predictor.reference, !best.f.predictor.pyramid.levels)) return 0;
  f.predictor.first_unit = best.f.predictor.first_unit;
  f.predictor.linear = best.f.predictor.linear;
  if (f.predictor.linear.order) f.predictor.along = 0;
  field other = f;
  if (f.predictor.pyramid.levels) take_rules(&best.f.predictor, &f.predictor);
  outcome o = try_with(&f, tuning, &all, &m);
  if (f.predictor.pyramid.levels && ac_level(tuning) >= CHOOSES_AGAIN) o = improve(&f, o, tuning, n, &m);
  if (f.predictor.pyramid.levels && ac_level(tuning) >= CHOOSES_ALL) {
    for (unsigned i = 0; i < 2 && o.is_last; i++) o = improve(&f, o, tuning, n, &m);
    const outcome second = cost_of(&other, tuning, &all, &m, 1);
    o.is_last = 0;
    if (second.bits < o.bits) {
      o = second;
      f = other;
    }
  }
  if (!o.is_last) o = attempt(&f, tuning, n, &m);
  if (o.bits / 8 >= (double)most) return 0;
  f.contexts.lanes = tuning->lanes ? tuning->lanes : lanes_of_bytes(o.bits / 8);
  o.n_refused = find_refused(&f, scale, values, o.r, n, m.known, s->index);
  if (o.n_refused > n / 8) return 0;
  *bytes = (uint8_t *)m.integers; /* nobody needs them any more */
  if (most > 4 * (size_t)n) most = 4 * (size_t)n;
  ac_writer out = {*bytes, *bytes + most, 0};
  if (!find_apart(&f, scale, values, o.r, n, m.known, s->events, m.tokens, n_fine)) return 0;
  if (*n_fine) ac_fine_write(&out, s->events, m.tokens, *n_fine);
  if (out.failed) return 0;
  const size_t written = write_field(&f, scale, values, n, s, &m, &o, out.p, (size_t)(out.end - out.p));
  return written ? (size_t)(out.p - *bytes) + written : 0;
}

/* ---- decode ---- */
typedef struct {
  ac_walker walker;
  const field *f;
  const uint8_t *flags; /* MASKED, in the order of the stream; or NULL */
  ac_popping popping;
  ac_pop_cursor at;
  ac_list outside, corrections;
  uint8_t sparse;                  /* are there values without tokens? */
  uint8_t has_tokens[AC_ALL_CONTEXTS];
  int32_t constant[AC_ALL_CONTEXTS];
  uint16_t limits[AC_MAX_CONTEXTS];
  unsigned weights;
} reading;

/* A span of values of which some have no tokens. */
static int pop_some(reading *d, const uint8_t *context, uint32_t at, uint32_t n, int32_t *v) {
  uint8_t some[AC_SPAN];
  int32_t popped[AC_SPAN];
  uint32_t m = 0;
  for (uint32_t j = 0; j < n; j++) {
    some[m] = context[j];
    m += d->has_tokens[context[j]] & !(d->flags && d->flags[at + j]);
  }
  for (uint32_t j = 0; j < m; j += AC_POP_MOST)
    if (d->walker.kernels->pop(&d->popping, &d->at, some + j, m - j < AC_POP_MOST ? m - j : AC_POP_MOST, popped + j)) return AC_E_FORMAT;
  m = 0;
  for (uint32_t j = 0; j < n; j++) {
    const int masked = d->flags && d->flags[at + j];
    v[j] = masked ? 0 : d->has_tokens[context[j]] ? popped[m] : d->constant[context[j]];
    m += d->has_tokens[context[j]] & !masked;
  }
  return 0;
}

/* Rows of a piece, one after the other. */
static int read_row(reading *d, const ac_piece *piece, uint32_t i, int32_t *v) {
  const ac_kernels *kernels = d->walker.kernels;
  const ac_contexts *c = &d->f->contexts;
  const uint32_t n = piece->row, at = piece->at + i * n;
  uint8_t context[AC_PIECE];
  if (piece->raster && c->own) {
    memset(context, c->n_contexts, n);
  } else if (!piece->weights) {
    memset(context, c->n_contexts - 1, n);
  } else {
    if (d->weights != piece->weights) {
      d->weights = piece->weights;
      for (unsigned j = 1; j < c->n_contexts; j++) d->limits[j] = ac_bin_limit(c->first_bin[j], piece->weights);
    }
    ac_piece_contexts(kernels, piece, d->walker.predictor->pyramid.inner, i, 1, d->limits + 1, c->n_contexts - 1u, context);
  }
  if (!d->sparse) {
    for (uint32_t j = 0; j < n; j += AC_POP_MOST)
      if (kernels->pop(&d->popping, &d->at, context + j, n - j < AC_POP_MOST ? n - j : AC_POP_MOST, v + j)) return AC_E_FORMAT;
  } else {
    for (uint32_t j = 0; j < n; j += AC_SPAN)
      if (pop_some(d, context + j, at + j, n - j < AC_SPAN ? n - j : AC_SPAN, v + j)) return AC_E_FORMAT;
  }
  for (; d->outside.at < (uint64_t)at + n; ac_list_next(&d->outside)) v[d->outside.at - at] = d->outside.value;
  kernels->magnitudes(v, n, c->shift, d->walker.s->magnitude + at);
  return d->outside.bits.bytes->failed;
}

static int correct(reading *d, uint32_t at, uint32_t n) {
  for (; d->corrections.at < (uint64_t)at + n; ac_list_next(&d->corrections)) {
    int32_t *const r = &d->walker.s->r[d->corrections.at];
    *r = (int32_t)((uint32_t)*r + (uint32_t)d->corrections.value);
  }
  return d->corrections.bits.bytes->failed;
}

static int decode_piece(ac_walker *w, const ac_piece *piece) {
  reading *d = (reading *)w;
  if (piece->raster) return read_row(d, piece, 0, w->s->r + piece->at);
  const uint32_t n = piece->row * piece->rows;
  int32_t v[AC_PIECE];
  for (uint32_t i = 0; i < piece->rows; i++) {
    const int error = read_row(d, piece, i, v + i * piece->row);
    if (error) return error;
  }
  w->kernels->advance(piece->predicted, v, piece->unit, n, w->s->r + piece->at);
  return correct(d, piece->at, n);
}

static int decode_linear(reading *d, const ac_raster_row *row) {
  const ac_linear linear = d->walker.predictor->linear;
  int32_t *const r = d->walker.s->r + row->at;
  for (uint32_t k = 0; k < row->n;) {
    const uint64_t next = d->corrections.at - row->at; /* large, if there is none */
    const uint32_t end = next < row->n ? (uint32_t)next + 1 : row->n;
    for (; k < end; k++)
      r[k] = (int32_t)((uint32_t)ac_linear_predict(&linear, r, k, row->distance) + row->unit * (uint32_t)r[k]);
    if (correct(d, row->at + end - 1, 1)) return 1;
  }
  return 0;
}

static int decode_row(ac_walker *w, const ac_raster_row *row) {
  int32_t *const r = w->s->r + row->at;
  if (w->predictor->linear.order) return decode_linear((reading *)w, row);
  if (row->distance) w->kernels->sums(r, row->n, row->distance);
  if (row->before) w->kernels->advance(row->before, r, row->unit, row->n, r);
  else if (row->unit != 1)
    for (uint32_t k = 0; k < row->n; k++) r[k] = (int32_t)(row->unit * (uint32_t)r[k]);
  return correct((reading *)w, row->at, row->n);
}

/* What stands in front of the walk, checked but for the lists. */
typedef struct {
  field f;
  uint32_t n_outside, n_corrected, n_refused;
  ac_reader outside, corrections, refused;
  const uint8_t *raw;
  uint64_t raw_size;
  int has_tokens; /* has any context? */
} parts;

/* An entry takes a bit at least. */
static ac_reader take_list(ac_reader *in, uint32_t entries) {
  ac_reader list = {NULL, NULL, 0};
  if (!entries) return list;
  const uint64_t length = ac_read_varint(in);
  if (length > ac_remaining(in) || length < 1) {
    if (!in->failed) in->failed = AC_E_FORMAT;
    return list;
  }
  list.p = in->p;
  in->p += length;
  list.end = in->p;
  return list;
}

static int read_parts(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, parts *b) {
  ac_contexts *c = &b->f.contexts;
  if (!read_predictor(in, &b->f, box)) return AC_E_FORMAT;
  if (ac_fold_limit(scale->type->dtype, b->f.fold) == 0) return AC_E_FORMAT;
  const uint8_t layout = ac_read8(in), kinds = ac_read8(in);
  if (in->failed || (layout & 7) > 4) return AC_E_FORMAT;
  c->lanes = (uint8_t)(4 << (layout & 7));
  c->prob_bits = (uint8_t)(AC_MIN_PROB_BITS + (layout >> PROB_SHIFT & 3));
  c->mantissa = layout >> MANTISSA_SHIFT & 3;
  c->n_contexts = (uint8_t)((kinds & 7) + 1);
  c->own = (kinds & OWN) != 0;
  c->shift = kinds >> SHIFT_SHIFT;
  ac_contexts_read(in, c);
  if (in->failed) return AC_E_FORMAT;
  b->n_outside = b->n_corrected = b->n_refused = 0;
  if (layout & EXCEPTIONS) {
    const uint64_t n_outside = ac_read_varint(in), n_corrected = ac_read_varint(in), n_refused = ac_read_varint(in);
    if (n_outside > n || n_corrected > n || n_refused > n || !(n_outside + n_corrected + n_refused)) return AC_E_FORMAT;
    if (n_corrected && b->f.predictor.unit == 1) return AC_E_FORMAT;
    b->n_outside = (uint32_t)n_outside;
    b->n_corrected = (uint32_t)n_corrected;
    b->n_refused = (uint32_t)n_refused;
  }
  b->outside = take_list(in, b->n_outside);
  b->corrections = take_list(in, b->n_corrected);
  b->refused = take_list(in, b->n_refused);
  b->raw_size = ac_read_varint(in);
  if (in->failed || b->raw_size > ac_remaining(in)) return AC_E_FORMAT;
  b->raw = in->p;
  in->p += b->raw_size;
  b->has_tokens = 0;
  for (unsigned i = 0; i < c->n_contexts + (c->own ? 1u : 0u); i++) b->has_tokens |= c->of[i].n_tokens > 1;
  const size_t length = ac_remaining(in);
  return length && (!b->has_tokens || length < 4u * c->lanes || length % 2) ? AC_E_FORMAT : AC_OK;
}

static void prepare_popping(reading *d, const ac_contexts *c, uint32_t *tables) {
  for (unsigned i = 0; i < c->n_contexts + (c->own ? 1u : 0u); i++) {
    const ac_context *x = &c->of[i];
    d->has_tokens[i] = x->n_tokens > 1;
    d->sparse |= x->n_tokens < 2;
    d->constant[i] = ac_residual_value(x->lo, 0, 0, c->mantissa);
    d->popping.lo[i] = x->lo;
    d->popping.k[i] = x->k;
    if (x->n_tokens > 1) ac_model_decoder(x->freq, x->n_tokens, c->prob_bits, tables + ((size_t)i << c->prob_bits));
  }
  d->popping.tables = tables;
  d->popping.prob_bits = c->prob_bits;
  d->popping.lanes = c->lanes;
  d->popping.mantissa = c->mantissa;
}

int ac_field_read(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, const ac_mask *mask,
                  ac_decode_scratch *s, void *dst) {
  parts b;
  int error = read_parts(in, scale, box, n, &b);
  if (error) return error;
  const ac_contexts *c = &b.f.contexts;
  ac_walk_scratch walk = {.r = s->high, .grids = {(int32_t *)s->wide, (int32_t *)s->wide + n}, .row = s->row, .mean = s->row,
                          .magnitude = s->low, .magnitudes = {s->low + n, s->low + 2 * (size_t)n}};
  reading d = {.walker = {.predictor = &b.f.predictor, .s = &walk, .piece = decode_piece, .row = decode_row}, .f = &b.f};
  d.at.raw = b.raw;
  d.at.bits = 8 * b.raw_size;
  ac_outside_open(&d.outside, &b.outside, b.n_outside, n);
  ac_corrections_open(&d.corrections, &b.corrections, b.n_corrected, n);
  prepare_popping(&d, c, s->tables);
  ac_lap(s->watch, AC_STAGE_TABLES);
  const ac_windows lanes = {.lanes = c->lanes};
  const ac_coded coded = {.windows = &lanes, .words = in->p, .words_end = in->end};
  for (unsigned j = 0; j < c->lanes; j++) d.at.words.x[j] = AC_STATE_MIN; /* of which nothing is coded, if there are no words */
  if (ac_cursor_open(&coded, &d.at.words)) return AC_E_FORMAT;
  if (mask->masked) {
    uint8_t *const flags = s->low + 3 * (size_t)n, *const in_memory = s->low + 4 * (size_t)n;
    for (uint32_t i = 0; i < n; i++) in_memory[i] = mask->bits[i / 64] >> (i % 64) & 1;
    ac_pyramid_split(&b.f.predictor.pyramid, 1, in_memory, s->wide, flags);
    d.flags = flags;
    d.sparse = 1;
  }
  const int32_t *r;
  if (ac_walk(&d.walker, &r)) return AC_E_FORMAT;
  if (d.at.words.words != d.at.words.words_end) return AC_E_FORMAT;
  for (unsigned j = 0; j < c->lanes; j++)
    if (d.at.words.x[j] != AC_STATE_MIN) return AC_E_FORMAT;
  if (d.at.bit > d.at.bits || (d.at.bits - d.at.bit) / 8) return AC_E_FORMAT;
  if (d.outside.at != UINT64_MAX || d.corrections.at != UINT64_MAX || b.outside.failed || b.corrections.failed ||
      ac_remaining(&b.outside) || ac_remaining(&b.corrections))
    return AC_E_FORMAT;
  to_values(&b.f, scale, r, n, dst);
  error = ac_refused_read(&b.refused, b.n_refused, scale->type->size, n, dst);
  ac_lap(s->watch, AC_STAGE_DECODE);
  return error || ac_remaining(&b.refused) ? AC_E_FORMAT : AC_OK;
}

int ac_field_inspect(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, ac_block_info *info) {
  parts b;
  const int error = read_parts(in, scale, box, n, &b);
  if (error) return error;
  info->n_classes = (uint8_t)(b.f.contexts.n_contexts + b.f.contexts.own);
  if (ac_remaining(in)) {
    info->lanes = b.f.contexts.lanes;
    info->prob_bits = b.f.contexts.prob_bits;
  }
  info->window_exceptions = b.n_outside;
  info->raw_exceptions = b.n_refused;
  return AC_OK;
}
