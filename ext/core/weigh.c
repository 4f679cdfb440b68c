/* weigh.c: see weigh.h.  Between prediction and the encoder's choice of a predictor: the decoder has no part in it.
 *
 * Invariant: what is weighed is what the walk would predict, from the values that it is given.
 */
#include "weigh.h"

#include <string.h>

#include "contexts.h"

enum { MOST_RULES = 14 };
static const ac_rule RULES[AC_AXES][MOST_RULES] = {
    {{0, {0}, 0}, {1, {0}, 0}},
    {{0, {8}, 0}, {1, {8}, 0}, {0, {0}, 0}, {1, {0}, 0}, {0, {16}, 0}, {1, {16}, 0}, {0, {4}, 0}, {1, {4}, 0}, {0, {12}, 0}, {1, {12}, 0}},
    {{0, {5, 5}, 0}, {1, {5, 5}, 0}, {0, {0, 0}, 0}, {1, {0, 0}, 0}, {0, {16, 0}, 0}, {1, {16, 0}, 0}, {0, {0, 16}, 0},
     {1, {0, 16}, 0}, {0, {8, 8}, 0}, {1, {8, 8}, 0}, {0, {8, 0}, 0}, {1, {8, 0}, 0}, {0, {0, 8}, 0}, {1, {0, 8}, 0}}};
static const unsigned N_RULES[AC_AXES] = {2, 10, 14};

typedef struct {
  ac_walker walker; /* first, so that a pointer to it is one to this */
  const int32_t *x;
  /* of the level */
  uint64_t cost[8][MOST_RULES]; /* by class */
  uint32_t n[8];
  int64_t bits; /* of all levels */
} weighing;

/* Values that do not count are predicted as they are: all rules have that in common. */
static uint32_t price_of(const weighing *e, const ac_trial *t, const int32_t *p, int masked) {
  const int32_t *const x = e->x + t->at;
  const uint8_t *const flags = e->walker.flags + t->at;
  const unsigned unit = e->walker.predictor->unit;
  int32_t some[AC_PIECE];
  if (!masked) return e->walker.kernels->price(x, p, unit, t->n);
  for (uint32_t j = 0; j < t->n; j++) some[j] = flags[j] & AC_SKIPPED ? x[j] : p[j];
  return e->walker.kernels->price(x, some, unit, t->n);
}

/* What a rule makes of the predictions along each axis: in `to`, or one of them. */
static const int32_t *by_rule(const ac_kernels *kernels, const int32_t *const *v, const ac_rule *rule, const ac_trial *t, int32_t *to) {
  if (t->axes == 1) return v[0];
  memcpy(to, v[0], t->n * sizeof *to);
  kernels->blend(to, v[1], t->axes == 3 ? v[2] : NULL, rule->weight[0], rule->weight[1], t->n);
  return to;
}

static void weigh_some(ac_walker *w, const ac_trial *t) {
  weighing *e = (weighing *)w;
  uint64_t *const cost = e->cost[t->mask];
  int32_t p[AC_PIECE], expected[AC_PIECE];
  const int trusting = w->pass == AC_WEIGH_TRUST;
  if (trusting && !t->reference) return;
  uint8_t flags = 0;
  for (uint32_t j = 0; e->walker.flags && j < t->n; j++) flags |= e->walker.flags[t->at + j];
  const int masked = (flags & AC_SKIPPED) != 0;
  e->n[t->mask] += t->n;
  if (!t->axes) {
    cost[0] += price_of(e, t, t->line[0], masked);
    return;
  }
  if (!trusting) {
    for (unsigned i = 0; i < N_RULES[t->axes - 1]; i++) {
      const ac_rule *rule = &RULES[t->axes - 1][i];
      cost[i] += price_of(e, t, by_rule(w->kernels, rule->cubic ? t->cubic : t->line, rule, t, p), masked);
    }
    return;
  }
  const ac_rule *const chosen = &w->predictor->rules[t->level][t->mask];
  int32_t without[AC_PIECE];
  const int32_t *const m = by_rule(w->kernels, chosen->cubic ? t->reference_cubic : t->reference_line, chosen, t, expected);
  const int32_t *const before = by_rule(w->kernels, chosen->cubic ? t->cubic : t->line, chosen, t, without);
  for (unsigned trust = 0; trust < AC_TRUSTS; trust++) {
    memcpy(p, before, t->n * sizeof *p);
    w->kernels->refer(p, t->reference, m, AC_TRUST[trust].trust, AC_TRUST[trust].damping, t->shift, t->n);
    cost[trust] += price_of(e, t, p, masked);
  }
}

static unsigned least_of(const uint64_t *cost, unsigned n) {
  unsigned best = 0;
  for (unsigned i = 1; i < n; i++)
    if (cost[i] < cost[best]) best = i;
  return best;
}

/* What some values cost, for all of them. */
static uint64_t for_all(uint64_t cost, uint32_t some, uint32_t all) { return some ? cost / some * all + cost % some * all / some : 0; }

static void start_level(weighing *e) {
  memset(e->cost, 0, sizeof e->cost);
  memset(e->n, 0, sizeof e->n);
}

static void decide(ac_walker *w, unsigned level) {
  weighing *e = (weighing *)w;
  ac_predictor *const predictor = w->predictor;
  const ac_pyramid *const p = &predictor->pyramid;
  if (level == p->levels) {
    e->bits += (int64_t)for_all(e->cost[0][0], e->n[0], p->outer * ac_pyramid_grid(p, level).size);
    start_level(e);
    return;
  }
  for (unsigned mask = 1; mask < 8; mask++) {
    const uint32_t size = ac_pyramid_class(p, level, mask).size;
    const unsigned axes = (unsigned)__builtin_popcount(mask);
    const uint64_t *const cost = e->cost[mask];
    if (!size || !e->n[mask]) continue; /* what was not weighed stays as it is */
    if (w->pass == AC_WEIGH_TRUST) {
      const unsigned best = least_of(cost, AC_TRUSTS);
      predictor->rules[level][mask].trust = (uint8_t)best;
      e->bits -= (int64_t)for_all(cost[0] - cost[best], e->n[mask], (p->outer - 1) * size);
    } else {
      const unsigned best = least_of(cost, N_RULES[axes - 1]);
      const uint8_t trust = predictor->rules[level][mask].trust; /* of which the next pass decides, if there is one */
      predictor->rules[level][mask] = RULES[axes - 1][best];
      predictor->rules[level][mask].trust = trust;
      e->bits += (int64_t)for_all(cost[best], e->n[mask], p->outer * size);
    }
  }
  start_level(e);
}

int64_t ac_weigh(ac_predictor *predictor, unsigned what, const int32_t *x, const int32_t *r, const uint8_t *flags, uint32_t weighed,
                 const ac_walk_scratch *scratch) {
  ac_walk_scratch walk = *scratch;
  walk.r = (int32_t *)r; /* which weighing does not change */
  weighing e = {.walker = {.predictor = predictor, .s = &walk, .weigh = weigh_some, .decide = decide, .weighed = weighed, .flags = flags,
                           .weighs_rules = what & AC_RULES, .weighs_trust = (what & AC_TRUST_ALONE) != 0},
                .x = x};
  const int32_t *values;
  ac_walk(&e.walker, &values);
  return e.bits;
}
