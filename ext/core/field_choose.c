/* field_choose.c: see field_choose.h.  Between the encoder of predicted blocks and the stages that weigh and attempt: which
 * predictors there are to choose from, and how much is done to find the best of them.
 *
 *   sample -> every predictor weighed -> the best of them attempted -> the best for the block
 *
 * Invariant: a choice only; what it costs is known when the whole block is attempted.
 */
#include "field_choose.h"

#include <string.h>

#include "weigh.h"

/* Values of a sample: a part of those of the block, or, from LONG_LEVEL on, so many; of each class of them that are weighed. */
enum { PART = 32, LEAST_SAMPLE = 1 << 12, LARGE_SAMPLE = 1 << 15, WEIGHED = 1 << 10, FITTED_OF_SAMPLE = 1 << 12, FITTED = 1 << 15 };
/* Level 1 has differences only, the others interpolation, too.  From these levels on there is also: linear prediction along
 * rows; stencils; rules chosen again, by all values and what decoders have; that in several ways, few at first; a large sample, and
 * more units of the first index. */
enum { LINEAR_LEVEL = 3, STENCIL_LEVEL = 7, IMPROVE_LEVEL = 5, WAYS_LEVEL = 6, LONG_LEVEL = 7, FEW_WAYS = 3 };
/* How many predictors are attempted, by level. */
enum { MOST_CANDIDATES = 20 };
static const uint8_t CANDIDATES[AC_MAX_LEVEL + 1] = {0, 1, 1, 1, 2, 2, 2, 4, 8, MOST_CANDIDATES};

typedef struct {
  ac_field f;
  double bits;
} candidate;

/* Values to be predicted, in memory order. */
typedef struct {
  const ac_tuning *tuning;
  const ac_room *room;
  ac_box box;
  const int32_t *integers;
  const uint8_t *known;
  /* what decoders will have in their place, about, and with a finer unit; room for it in the order of the stream */
  int32_t *blurred, *finer, *there;
  uint32_t n;
  unsigned fold;
} sample;

/* ---- samples ---- */
/* A part of a block: from where it begins, rows of bytes one after the other. */
static void take_part(const ac_box *box, const ac_box *part, uint32_t from, unsigned size, const uint8_t *values, uint8_t *to) {
  uint32_t at[AC_BOX_NDIM] = {0}, n = 1;
  for (unsigned d = 0; d < part->ndim; d++) n *= part->extent[d];
  const uint32_t row = part->extent[part->ndim - 1];
  for (uint32_t i = 0; i < n; i += row) {
    uint32_t place = 0;
    for (unsigned d = 0; d < part->ndim; d++) place = place * box->extent[d] + at[d];
    memcpy(to + (size_t)i * size, values + (size_t)(from + place) * size, (size_t)row * size);
    for (unsigned d = part->ndim - 1; d-- > 0;) {
      if (++at[d] < part->extent[d]) break;
      at[d] = 0;
    }
  }
}

/* A part of a block, of at most so many values: values of `size` bytes, and what is known of them.  It is in the middle, but
 * where something is masked: there it is the one of some that has least of it.  Its rows are longer than other extents by a
 * factor of 2^long_rows. */
static uint32_t take_sample(uint32_t most, const ac_box *box, int masked, unsigned long_rows, ac_box *part, unsigned size, const uint8_t *values,
                            const uint8_t *known, uint8_t *to, uint8_t *known_to) {
  enum { STEPS = 4, PLACES = 1 << 2 * AC_BOX_NDIM };
  uint64_t n = 1;
  *part = *box;
  for (unsigned d = 0; d < box->ndim; d++) n *= box->extent[d];
  while (n > most) {
    unsigned longest = 0;
    for (unsigned d = 1; d < box->ndim; d++)
      if (part->extent[d] >> (d + 1 == box->ndim ? long_rows : 0) >= part->extent[longest]) longest = d;
    n /= part->extent[longest];
    part->extent[longest] = (part->extent[longest] + 1) / 2;
    n *= part->extent[longest];
  }
  uint32_t best = 0, least = UINT32_MAX;
  for (unsigned place = 0; place < PLACES && (masked || !place); place++) {
    uint32_t from = 0;
    int again = 0; /* a place along an axis where there is only one */
    for (unsigned d = 0; d < box->ndim; d++) {
      const unsigned step = (place >> 2 * d) % STEPS;
      const uint32_t room = box->extent[d] - part->extent[d];
      again |= step && room < STEPS;
      from = from * box->extent[d] + (masked ? (step + 2) % STEPS * room / (STEPS - 1) : room / 2);
    }
    if (again || place >> 2 * box->ndim) continue;
    uint32_t here = 0;
    if (masked) {
      take_part(box, part, from, 1, known, known_to);
      for (uint32_t i = 0; i < n; i++) here += known_to[i] & AC_MASKED;
    }
    if (here >= least) continue;
    least = here;
    best = from;
  }
  take_part(box, part, best, size, values, to);
  take_part(box, part, best, 1, known, known_to);
  return (uint32_t)n;
}

/* The first values as decoders will have them, about: what residuals in units make of predictions, which here are from both
 * sides. */
static void blur(const sample *v, uint32_t first, unsigned unit, int32_t *blurred) {
  const ac_kernels *kernels = ac_active_kernels();
  const int32_t *const x = v->integers;
  for (uint32_t from = 0; from < first; from += AC_PIECE) {
    const uint32_t n = first - from < AC_PIECE ? first - from : AC_PIECE;
    int32_t p[AC_PIECE], residual[AC_PIECE];
    const uint32_t skip = from == 0, end = from + n < v->n ? n : n - 1; /* the first and the last value have one neighbour */
    if (skip) p[0] = x[v->n > 1];
    if (end < n) p[end] = x[from + end - (v->n > 1)];
    for (uint32_t j = skip; j < end; j++) {
      const uint32_t before = (uint32_t)x[from + j - 1];
      p[j] = (int32_t)(before + (uint32_t)((int32_t)((uint32_t)x[from + j + 1] - before) >> 1));
    }
    kernels->by_units(x + from, p, unit, n, residual, blurred + from);
  }
}

static void split_values(const ac_field *f, const int32_t *integers, const uint8_t *known, const ac_room *m) {
  ac_pyramid_split(&f->predictor.pyramid, 4, integers, m->walk.grids[0], m->x);
  ac_pyramid_split(&f->predictor.pyramid, 1, known, m->walk.grids[0], m->flags);
}

/* ---- predictors ---- */
/* The predictor for some axes of a box: interpolation down to few places, or differences. */
static int shape_predictor(ac_field *f, unsigned fold, const ac_box *box, unsigned first, unsigned axes, unsigned reference, int raster) {
  enum { MOST_LEVELS = 6 };
  memset(f, 0, sizeof *f);
  f->fold = (uint8_t)fold;
  f->first = (uint8_t)first;
  f->axes = (uint8_t)axes;
  if (!ac_field_place(f, box)) return 0;
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

/* The predictor for a part, for the whole; 0 if it has no place there. */
static int for_whole(const ac_field *part, const ac_box *box, ac_field *whole) {
  const ac_predictor *p = &part->predictor;
  if (!shape_predictor(whole, part->fold, box, part->first, part->axes, p->reference, !p->pyramid.levels)) return 0;
  whole->predictor.first_unit = p->first_unit;
  whole->predictor.linear = p->linear;
  whole->predictor.along = p->along;
  whole->predictor.stencil = p->stencil;
  whole->rules = part->rules;
  if (p->pyramid.levels) take_rules(p, &whole->predictor);
  return 1;
}

/* A unit of the first index, from which others are predicted, to try first; others are tried when the rest is known. */
static const uint8_t FINER_UNIT[AC_FOLDS] = {1, 3, 5};

/* ---- weighing ---- */
/* Into the list of the best, which is in ascending order. */
static void consider(candidate *best, unsigned *n, unsigned most, const candidate *c) {
  unsigned at = *n;
  if (at == most && c->bits >= best[at - 1].bits) return;
  if (at < most) (*n)++;
  else at--;
  for (; at && best[at - 1].bits > c->bits; at--) best[at] = best[at - 1];
  best[at] = *c;
}

/* What predictions are made from; with a finer unit of the first outer index. */
static void split_blurred(const sample *v, const ac_field *f, int finer) {
  const ac_pyramid *p = &f->predictor.pyramid;
  const uint32_t first = v->n / p->outer;
  if (!finer) {
    ac_pyramid_split(p, 4, v->blurred, v->room->walk.grids[0], v->there);
    return;
  }
  blur(v, first, FINER_UNIT[v->fold], v->finer);
  memcpy(v->finer + first, v->blurred + first, (v->n - first) * sizeof *v->finer);
  ac_pyramid_split(p, 4, v->finer, v->room->walk.grids[0], v->there);
}

/* With a reference, if that saves anything. */
static void weigh_reference(const sample *v, const candidate *without, unsigned reference, int finer, candidate *best) {
  const ac_room *m = v->room;
  candidate c = *without;
  ac_predictor *p = &c.f.predictor;
  p->reference = (uint8_t)reference;
  if (finer) { /* the first outer index takes more */
    p->first_unit = FINER_UNIT[v->fold];
    c.bits += (double)v->n / p->pyramid.outer * ((double)ac_log2(p->unit) - (double)ac_log2(p->first_unit)) / 65536;
  }
  c.bits += (double)ac_weigh(p, AC_TRUST_ALONE, m->x, v->there, m->flags, WEIGHED, &m->walk) / 65536;
  if (c.bits < best->bits) *best = c;
}

/* With the reference that saves most, perhaps with a finer unit of the first outer index.  If the long mean saves next to
 * nothing, others are not worth a look. */
static void weigh_references(const sample *v, candidate *best) {
  const candidate without = *best;
  weigh_reference(v, &without, AC_LONG_MEAN, 0, best);
  if (without.bits - best->bits < v->n / 64.0) return;
  weigh_reference(v, &without, AC_LAST, 0, best);
  weigh_reference(v, &without, AC_MEAN, 0, best);
  if (FINER_UNIT[v->fold] == without.f.predictor.unit) return;
  split_blurred(v, &without.f, 1);
  weigh_reference(v, &without, best->f.predictor.reference, 1, best);
}

/* With each of them, whatever it saves, into the list. */
static void list_references(const sample *v, const candidate *without, candidate *best, unsigned *n, unsigned most) {
  for (int finer = 0; finer < (FINER_UNIT[v->fold] == without->f.predictor.unit ? 1 : 2); finer++) {
    split_blurred(v, &without->f, finer);
    for (unsigned reference = 1; reference < AC_REFERENCES; reference++) {
      candidate c = {.bits = 1e300};
      weigh_reference(v, without, reference, finer, &c);
      consider(best, n, most, &c);
    }
  }
}

static void weigh_differences(const sample *v, candidate *c) {
  const ac_room *m = v->room;
  c->bits = (double)ac_weigh(&c->f.predictor, AC_RULES, m->x, v->there, m->flags, WEIGHED, &m->walk) / 65536 -
            v->n * (double)ac_log2(c->f.predictor.unit) / 65536;
}

/* Weights of least squares for the values that are split. */
static int fit_stencil(ac_predictor *p, const ac_room *m, uint32_t most) {
  enum { ROUNDS = 4 };
  const ac_stencil_grid grid = ac_stencil_grid_of(p);
  ac_stencil_fill(&grid, p->pyramid.outer, m->flags, m->x);
  return ac_stencil_fit(&grid, p->pyramid.outer, m->x, m->flags, ROUNDS, most, &p->stencil);
}

/* Differences for these axes: also along the outer index, and with weights of least squares; all into the list. */
static void weigh_more_differences(const sample *v, candidate c, candidate *best, unsigned *n, unsigned most) {
  ac_predictor *p = &c.f.predictor;
  const ac_pyramid *g = &p->pyramid;
  if (g->outer > 1) {
    p->along |= AC_ALONG_OUTER;
    weigh_differences(v, &c);
    consider(best, n, most, &c);
  }
  if (g->axis[1] < 2) return;
  p->along = (uint8_t)(AC_ALONG_AXIS1 | AC_ALONG_AXIS2 | (g->axis[0] > 1 ? AC_ALONG_AXIS0 : 0) | (g->outer > 1 ? AC_ALONG_OUTER : 0));
  if (!fit_stencil(p, v->room, FITTED_OF_SAMPLE)) return;
  const ac_stencil_grid grid = ac_stencil_grid_of(p);
  ac_stencil_fill(&grid, g->outer, v->room->flags, v->there);
  weigh_differences(v, &c);
  consider(best, n, most, &c);
}

/* Every predictor of a kind that may be tried: the best for some axes into the list, at the highest level all. */
static void weigh_all(const sample *v, int raster, candidate *best, unsigned *n, unsigned most) {
  const ac_room *m = v->room;
  const unsigned level = ac_level(v->tuning);
  const int each = level == AC_MAX_LEVEL;
  candidate plain = {.bits = 1e300}; /* the best of differences */
  for (unsigned first = 0; first < v->box.ndim; first++)
    for (unsigned axes = 1; axes <= AC_AXES && first + axes <= v->box.ndim; axes++) {
      candidate c;
      if (!shape_predictor(&c.f, v->fold, &v->box, first, axes, AC_NO_REFERENCE, raster)) continue;
      split_values(&c.f, v->integers, v->known, m);
      split_blurred(v, &c.f, 0);
      weigh_differences(v, &c);
      const int refers = !raster && c.f.predictor.pyramid.outer > 1;
      if (refers && each) list_references(v, &c, best, n, most);
      else if (refers) weigh_references(v, &c);
      consider(best, n, most, &c);
      if (raster && each) weigh_more_differences(v, c, best, n, most);
      if (raster && c.bits < plain.bits) plain = c;
    }
  if (plain.bits == 1e300 || each || level < STENCIL_LEVEL) return;
  split_values(&plain.f, v->integers, v->known, m);
  split_blurred(v, &plain.f, 0);
  weigh_more_differences(v, plain, best, n, most);
}

/* ---- attempts ---- */
static double attempt_sample(const sample *v, ac_field *f) {
  split_values(f, v->integers, v->known, v->room);
  return ac_attempt(f, v->tuning, v->n, v->room, AC_ATTEMPT_COST).bits;
}

/* What it costs, and whether it is better with rules that are chosen again. */
static void attempt_candidate(const sample *v, candidate *c) {
  c->bits = attempt_sample(v, &c->f);
  if (ac_level(v->tuning) < IMPROVE_LEVEL || !c->f.predictor.pyramid.levels) return;
  candidate other = *c;
  ac_weigh(&other.f.predictor, AC_RULES_AND_TRUST, v->room->x, v->room->walk.r, v->room->flags, WEIGHED, &v->room->walk);
  other.bits = ac_attempt(&other.f, v->tuning, v->n, v->room, AC_ATTEMPT_COST).bits;
  other.f.rules = AC_RULES_OF_DECODED;
  if (other.bits < c->bits) *c = other;
}

/* The best of some candidates, as attempts have it, also with other units of the first index. */
static void attempt_all(const sample *v, const candidate *some, unsigned n, candidate *best) {
  static const uint8_t UNITS[] = {9, 5, 3, 1};
  for (unsigned i = 0; i < n; i++) {
    candidate c = some[i];
    attempt_candidate(v, &c);
    if (c.bits < best->bits) *best = c;
  }
  const uint8_t tried = best->f.predictor.first_unit;
  if (ac_level(v->tuning) < LONG_LEVEL || !n || best->f.fold != v->fold || !best->f.predictor.reference) return;
  for (unsigned i = 0; i < sizeof UNITS + 1; i++) {
    candidate c = *best;
    c.f.predictor.first_unit = i < sizeof UNITS ? UNITS[i] : c.f.predictor.unit;
    if (c.f.predictor.first_unit > c.f.predictor.unit || c.f.predictor.first_unit == tried) continue;
    c.bits = attempt_sample(v, &c.f);
    if (c.bits < best->bits) *best = c;
  }
}

/* Linear prediction along rows that are long enough: with every order the coefficients of least squares. */
static void attempt_linear(const sample *v, unsigned first, candidate *best) {
  const unsigned least = v->tuning->predictor == AC_PREDICTOR_LINEAR ? 3 * AC_MAX_TAPS : 8 * AC_MAX_TAPS;
  enum { ENOUGH = 8 };
  static const uint8_t ORDERS[] = {2, 4, 8, 16, 24, 32};
  double last = 1e300;
  candidate c;
  if (!shape_predictor(&c.f, v->fold, &v->box, first, 1, AC_NO_REFERENCE, 1)) return;
  const ac_pyramid *p = &c.f.predictor.pyramid;
  const uint32_t length = p->axis[AC_AXES - 1], row = length * p->inner;
  if (length < least) return;
  for (uint32_t i = 0; i < v->n; i++)
    if (v->known[i] & AC_MASKED) return;
  ac_linear_fit fit;
  memset(&fit, 0, sizeof fit);
  for (uint32_t at = 0; at < v->n; at += row)
    for (uint32_t i = 0; i < p->inner; i++) ac_linear_add(&fit, v->integers + at + i, length, p->inner);
  c.f.predictor.along = 0;
  for (unsigned i = 0; i < sizeof ORDERS; i++) {
    if (!ac_linear_solve(&fit, ORDERS[i], c.f.predictor.unit, &c.f.predictor.linear)) return;
    c.bits = attempt_sample(v, &c.f) + ORDERS[i] * 20.0;
    if (c.bits < best->bits) *best = c;
    if (ORDERS[i] >= ENOUGH && c.bits >= last && ac_level(v->tuning) < LONG_LEVEL) return; /* longer ones save nothing */
    last = c.bits;
  }
}

/* Signals: linear prediction along the last axes, if the box is hardly more than rows. */
static void attempt_signal(const sample *v, candidate *best) {
  enum { FEW = 4 }; /* parts of a vector, along the last axis */
  const int named = v->tuning->predictor == AC_PREDICTOR_LINEAR;
  const unsigned last = v->box.ndim - 1;
  if (!named && (v->tuning->predictor != AC_PREDICTOR_AUTO || ac_level(v->tuning) < LINEAR_LEVEL)) return;
  for (unsigned first = 0; first <= last; first++)
    if (named || first == last || (first + 1 == last && v->box.extent[last] <= FEW)) attempt_linear(v, first, best);
}

/* ---- choice ---- */
/* Attempt all values, which are split, with rules that are chosen again by what f->rules says. */
static ac_outcome attempt_with(ac_field *f, const ac_box *box, const ac_tuning *tuning, uint32_t n, const ac_room *m) {
  ac_predictor *p = &f->predictor;
  int32_t *there = m->walk.r;
  if (f->rules == AC_RULES_OF_BLURRED) {
    sample v = {.tuning = tuning, .room = m, .box = *box, .integers = m->integers, .known = m->known, .n = n, .fold = f->fold,
                .blurred = (int32_t *)m->spans, .finer = (int32_t *)m->corrected, .there = m->v};
    there = v.there;
    blur(&v, n, AC_FOLD[f->fold], v.blurred);
    split_blurred(&v, f, p->first_unit < p->unit);
  }
  if (f->rules == AC_RULES_OF_DECODED) ac_attempt(f, tuning, n, m, AC_ATTEMPT_VALUES);
  if (p->stencil.n && !fit_stencil(p, m, FITTED)) p->stencil.n = 0;
  if (f->rules) ac_weigh(p, AC_RULES_AND_TRUST, m->x, there, m->flags, ac_level(tuning) >= LONG_LEVEL ? n / 64 + 1 : WEIGHED, &m->walk);
  return ac_attempt(f, tuning, n, m, AC_ATTEMPT_CONTEXTS);
}

ac_outcome ac_field_attempt(ac_field *f, const ac_box *box, const ac_tuning *tuning, uint32_t n, const ac_room *m) {
  static const uint8_t WAYS[] = {AC_RULES_OF_SAMPLE, AC_RULES_OF_DECODED, AC_RULES_OF_DECODED, AC_RULES_OF_BLURRED, AC_RULES_OF_DECODED};
  split_values(f, m->integers, m->known, m);
  const unsigned ways = ac_level(tuning) < WAYS_LEVEL ? 1 : ac_level(tuning) < LONG_LEVEL ? FEW_WAYS : sizeof WAYS;
  if (ways == 1 || !f->predictor.pyramid.levels) return attempt_with(f, box, tuning, n, m);
  /* each with the rules that the one before it had, and the best once more */
  ac_field next = *f;
  double least = 1e300;
  for (unsigned i = 0; i < ways; i++) {
    next.rules = WAYS[i];
    const ac_outcome o = attempt_with(&next, box, tuning, n, m);
    if (o.bits >= least) continue;
    least = o.bits;
    *f = next;
  }
  f->rules = AC_RULES_OF_SAMPLE;
  return attempt_with(f, box, tuning, n, m);
}

/* Smaller tables are faster to look up; the more bits values take, the less they cost (measured: 0.1 % at a bit a value). */
static uint8_t prob_bits_for(double bits) { return bits < 0.5 ? AC_MAX_PROB_BITS : bits < 1.5 ? AC_MAX_PROB_BITS - 1 : AC_MAX_PROB_BITS - 2; }

static sample sample_in(const ac_encode_scratch *s, const ac_room *m, const ac_tuning *tuning) {
  /* samples are where the whole will be; residuals have no use for their room while predictors are weighed */
  return (sample){.tuning = tuning, .room = m, .integers = m->integers, .known = s->tokens,
                  .blurred = (int32_t *)m->spans, .finer = (int32_t *)m->corrected, .there = m->v};
}

/* A sample of n values on the lattice of a fold; 0 if that is not for them. */
static int sample_of(sample *v, unsigned fold, ac_field_source *from, const ac_box *box, uint32_t n, const ac_encode_scratch *s) {
  const unsigned level = ac_level(v->tuning), long_rows = v->tuning->predictor == AC_PREDICTOR_LINEAR ? 8 : 1;
  const uint32_t most = level == AC_MAX_LEVEL ? n : level >= LONG_LEVEL ? LARGE_SAMPLE : n / PART > LEAST_SAMPLE ? n / PART : LEAST_SAMPLE;
  uint8_t *const some = (uint8_t *)s->wide;
  uint8_t masked = 0;
  for (uint32_t i = 0; i < n; i++) masked |= v->room->known[i];
  v->fold = fold;
  const unsigned size = from->split ? from->type->size : from->scale->type->size;
  v->n = take_sample(most, box, masked & AC_MASKED, long_rows, &v->box, size, from->values, v->room->known, some, s->tokens);
  if (!from->split) return ac_field_quantize(fold, from->scale, some, v->n, v->room->integers, s->tokens);
  int32_t *const integers = v->finer; /* of which there are none yet */
  int64_t base;
  return ac_split_take(from->split, from->type, some, v->n, s->tokens, integers, &base, &from->left_out) &&
         ac_field_quantize(fold, from->scale, integers, v->n, v->room->integers, s->tokens);
}

/* Values that are not masked, or 1. */
static double n_coded(const sample *v) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < v->n; i++) n += !(v->known[i] & AC_MASKED);
  return n ? n : 1;
}

double ac_field_estimate(ac_field_source *source, const ac_box *box, uint32_t n, const ac_tuning *tuning, const ac_encode_scratch *s,
                         const ac_room *m, const ac_field *field) {
  sample v = sample_in(s, m, tuning);
  ac_field f;
  if (!sample_of(&v, field->fold, source, box, n, s) || !for_whole(field, &v.box, &f)) return 1e300;
  return attempt_sample(&v, &f) / n_coded(&v);
}

int ac_field_choose(ac_field_source *source, const ac_box *box, uint32_t n, const ac_tuning *tuning, unsigned folds, const ac_encode_scratch *s,
                    const ac_room *m, ac_field *field, double *bits) {
  enum { FEW_BITS = 5 /* values to a bit */ };
  const unsigned level = ac_level(tuning), any = tuning->predictor == AC_PREDICTOR_AUTO, most = CANDIDATES[level];
  sample v = sample_in(s, m, tuning);
  candidate best = {.bits = 1e300};
  const int fine = level > AC_MIN_LEVEL || tuning->predictor == AC_PREDICTOR_LINEAR;
  unsigned finest = 0;
  for (unsigned fold = folds; fold-- > 0;) {
    if (ac_fold_limit(source->scale->type->dtype, fold) == 0 || (fold && (finest || !fine))) continue; /* the finest that they are on */
    if (!sample_of(&v, fold, source, box, n, s)) continue;
    if (fold > finest) finest = fold;
    candidate list[MOST_CANDIDATES];
    unsigned n_list = 0;
    blur(&v, v.n, AC_FOLD[fold], v.blurred);
    if ((any || tuning->predictor == AC_PREDICTOR_INTERPOLATION) && level > 1 && (fold || !finest)) weigh_all(&v, 0, list, &n_list, most);
    if ((any || tuning->predictor == AC_PREDICTOR_LORENZO) && !fold) weigh_all(&v, 1, list, &n_list, most);
    attempt_all(&v, list, n_list, &best);
    attempt_signal(&v, &best);
  }
  if (best.bits == 1e300) return 0;
  /* where there are so few bits, what is blurred is too far from what decoders have */
  if (level >= IMPROVE_LEVEL && best.f.predictor.pyramid.levels && best.f.rules == AC_RULES_OF_SAMPLE && FEW_BITS * best.bits > v.n)
    best.f.rules = AC_RULES_OF_BLURRED;
  *bits = best.bits / n_coded(&v);
  if (!for_whole(&best.f, box, field)) return 0;
  field->contexts.prob_bits = level >= LONG_LEVEL ? AC_MAX_PROB_BITS : prob_bits_for(best.bits / v.n);
  return 1;
}
