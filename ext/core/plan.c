/* plan.c: what a block of integers gets: images, group size, classes, windows, tables.  Second stage of the encoder,
 * after the integers and before they are split.
 *
 * One look at the data finds classes by the groups' statistics (classes.c) and fits windows to them (fit.c).  Higher
 * levels then give every group to the class in which it costs least, and fit again (S. P. Lloyd, "Least squares
 * quantization in PCM", 1982), and leave out classes that do not pay.
 *
 * Invariants: every value is in its group's window or an exception; every machine makes the same choice.
 */
#include "plan.h"

#include <math.h>

#include "../simd/kernels.h"
#include "fit.h"

/* ---- effort ---- */
typedef struct {
  ac_fit_effort fit;
  double class_gain;  /* bits a value that a class must save by the estimate */
  unsigned rounds;    /* of reassignment */
  int delete_classes; /* those that do not pay */
  int both_groups;    /* plan with groups of 64 and of 128 and compare */
  int sequences;      /* weigh what follows what in the class sequence */
  int fine_tables;    /* of few classes, probabilities of 13 bits */
} effort;

static effort effort_of(unsigned level) {
  effort e = {.fit = {.sampling = 3}, .class_gain = 0x1p-7};
  if (level > AC_MIN_LEVEL) e.fit.tables = 1;
  if (level >= 5) e.class_gain = 0x1p-9;
  if (level >= 6) {
    e.rounds = 1;
    e.fit.sampling = 2;
  }
  if (level >= 7) {
    e.fit = (ac_fit_effort){.sampling = 0, .tables = 2};
    e.class_gain = 0;
    e.rounds = 3;
    e.delete_classes = 1;
  }
  if (level >= 8) {
    e.rounds = 6;
    e.both_groups = 1;
    e.sequences = 1;
    e.fine_tables = 1;
  }
  if (level >= 9) e.rounds = 16;
  return e;
}

/* ---- bit packing ---- */
/* One class of one token for everything: plain bit-packing of v - min. */
static void consider_bit_packing(const int32_t *q, uint32_t n, uint8_t *group_class, ac_plan *plan) {
  int32_t least = q[0], most = q[0];
  for (uint32_t i = 1; i < n; i++) {
    least = q[i] < least ? q[i] : least;
    most = q[i] > most ? q[i] : most;
  }
  /* the base is a multiple of 2^k: widen k until both ends share a window */
  unsigned k = ac_bit_length((uint64_t)((int64_t)most - least));
  while (k <= AC_MAX_RAW_BITS && least >> k != most >> k) k++;
  const uint64_t bits = ((uint64_t)k * ((n + 15) & ~15u)) + 24;
  if (k > AC_MAX_RAW_BITS || bits > plan->total_bits) return;
  plan->windows.n_classes = 1;
  plan->windows.classes[0] = (ac_class){.k = (uint8_t)k, .n_tokens = 1, .base = (int32_t)((uint32_t)(least >> k) << k)};
  memset(group_class, 0, ac_groups(n, plan->windows.group));
  plan->total_bits = bits;
  plan->token_bits = 0;
}

/* ---- reassignment ---- */
/* Costs are in sixteenths of a bit, and relative to the cheapest class: 128 of the largest fit 16 bits. */
enum { COST_ONE_BIT = 16, COST_MOST = 511 };
#define NEVER 0xffff

/* Bits of every token of a class, raw bits included; those of the filler where there is none. */
static void weigh_tokens(const ac_class *c, unsigned P, double *bits) {
  for (unsigned t = 0; t < c->n_tokens; t++)
    bits[t] = c->n_tokens < 2 ? c->k : P + c->k - ac_log2(c->freq[c->freq[t] ? t : c->filler]) * 0x1p-16;
}

/* Bits of a value. */
static double value_bits(const ac_class *c, const double *bits, double exception, int64_t v) {
  const int64_t token = (v - c->base) >> c->k;
  if (token >= 0 && token < c->n_tokens && (c->n_tokens < 2 || c->freq[token])) return bits[token];
  return exception + bits[c->filler];
}

/* The magnitudes of a row (of the kernel `weigh`): [*from, *to). */
static void row_range(unsigned row, int64_t *from, int64_t *to) {
  if (!row) {
    *from = 0;
    *to = 1;
    return;
  }
  const unsigned e = (row - 1) / 16;
  const int64_t first = 16 + (row - 1) % 16;
  /* the least integers at or above first * 2^e / 16 and the next */
  *from = ((first << e) + 15) >> 4;
  *to = (((first + 1) << e) + 15) >> 4;
}

/* Is a class so far from zero that magnitudes do not tell where in it a value lies? */
static int is_off_centre(const ac_cluster *c) { return fabs(c->centre) > 2 * c->scale + 1; }

/* What values of every row cost in every class; `movable`: classes that take part. */
static void weigh_rows(const ac_windows *w, const ac_classes *classes, uint32_t *movable, uint16_t (*rows)[AC_MAX_CLASSES]) {
  /* images and other integers have nothing to do with each other: those of which there are more take part */
  int64_t images = 0;
  for (unsigned c = 0; c < w->n_classes; c++)
    images += classes->clusters[c].imaged ? classes->clusters[c].values : -(int64_t)classes->clusters[c].values;
  *movable = 0;
  for (unsigned c = 0; c < w->n_classes; c++)
    if (!is_off_centre(&classes->clusters[c]) && classes->clusters[c].imaged == (images > 0)) *movable |= 1u << c;
  double tokens[AC_MAX_CLASSES][AC_MAX_TOKENS];
  for (unsigned c = 0; c < w->n_classes; c++) weigh_tokens(&w->classes[c], w->prob_bits, tokens[c]);
  for (unsigned row = 0; row < AC_COST_ROWS; row++) {
    int64_t from, to;
    double bits[AC_MAX_CLASSES], least = 1e300;
    memset(rows[row], 0, sizeof rows[row]);
    row_range(row, &from, &to);
    if (from >= to || !(classes->magnitude >> (row ? (row - 1) / 16 : 0) || !row)) continue; /* no such values */
    for (unsigned c = 0; c < w->n_classes; c++) {
      if (!(*movable >> c & 1)) continue;
      /* four of them stand for all */
      double sum = 0;
      unsigned n = 0;
      const double exception = 14 + ac_bit_length((uint64_t)from);
      const int64_t step = to - from > 4 ? (to - from) / 4 : 1;
      for (int64_t v = from + step / 2; v < to; v += step) {
        sum += value_bits(&w->classes[c], tokens[c], exception, v) + value_bits(&w->classes[c], tokens[c], exception, -v);
        n += 2;
      }
      bits[c] = sum / n;
      if (bits[c] < least) least = bits[c];
    }
    for (unsigned c = 0; c < w->n_classes; c++) {
      if (!(*movable >> c & 1)) continue;
      const double more = (bits[c] - least) * COST_ONE_BIT + 0.5;
      rows[row][c] = more < COST_MOST ? (uint16_t)more : COST_MOST;
    }
  }
}

/* -log2 of the share of `count` in `total`, in sixteenths of a bit; of nothing, as of half a group. */
static uint32_t share_cost(uint32_t count, uint32_t total) {
  return (ac_log2(2 * total + 1) - (count ? ac_log2(2 * count) : 0)) >> 12;
}

/* Every group to the class in which it costs least.  regret[c]: what the groups of class c would lose without it,
 * in sixteenths of a bit. */
static void reassign(uint32_t n_groups, const ac_classes *classes, uint32_t movable, const uint16_t (*costs)[AC_MAX_CLASSES],
                     uint8_t *group_class, uint64_t *regret) {
  uint32_t prior[AC_MAX_CLASSES];
  for (unsigned c = 0; c < AC_MAX_CLASSES; c++)
    prior[c] = c < classes->n_classes && movable >> c & 1 ? share_cost(classes->clusters[c].groups, n_groups) : 1u << 24;
  memset(regret, 0, AC_MAX_CLASSES * sizeof *regret);
  for (uint32_t g = 0; g < n_groups; g++) {
    if (!(movable >> group_class[g] & 1)) continue;
    uint32_t best = UINT32_MAX, second = UINT32_MAX;
    unsigned at = 0;
    for (unsigned c = 0; c < AC_MAX_CLASSES; c++) {
      const uint32_t cost = costs[g][c] + prior[c];
      if (cost < best) {
        second = best;
        best = cost;
        at = c;
      } else if (cost < second) {
        second = cost;
      }
    }
    group_class[g] = (uint8_t)at;
    regret[at] += second - best;
  }
}

/* The same with the cost of each class after the one before it: the cheapest path (A. J. Viterbi, 1967). */
static void reassign_path(uint32_t n_groups, const ac_classes *classes, uint32_t movable,
                          const uint16_t (*costs)[AC_MAX_CLASSES], uint8_t (*from)[AC_MAX_CLASSES], uint8_t *group_class) {
  const unsigned n = classes->n_classes;
  uint32_t pairs[AC_MAX_CLASSES][AC_MAX_CLASSES], step[AC_MAX_CLASSES][AC_MAX_CLASSES];
  uint64_t sum[AC_MAX_CLASSES], next[AC_MAX_CLASSES];
  memset(pairs, 0, sizeof pairs);
  for (uint32_t g = 1; g < n_groups; g++) pairs[group_class[g - 1]][group_class[g]]++;
  for (unsigned c = 0; c < n; c++) {
    uint32_t total = 0;
    for (unsigned d = 0; d < n; d++) total += pairs[c][d];
    for (unsigned d = 0; d < n; d++) step[c][d] = share_cost(pairs[c][d], total);
    sum[c] = 0;
  }
  for (uint32_t g = 0; g < n_groups; g++) {
    const int fixed = !(movable >> group_class[g] & 1);
    for (unsigned d = 0; d < n; d++) {
      uint64_t best = UINT64_MAX;
      unsigned at = 0;
      for (unsigned c = 0; c < n; c++)
        if (sum[c] + step[c][d] < best) {
          best = sum[c] + step[c][d];
          at = c;
        }
      const int allowed = fixed ? d == group_class[g] : (int)(movable >> d & 1);
      next[d] = allowed ? best + (fixed ? 0 : costs[g][d]) : UINT64_MAX / 2;
      from[g][d] = (uint8_t)at;
    }
    memcpy(sum, next, sizeof sum);
  }
  unsigned at = 0;
  for (unsigned c = 1; c < n; c++)
    if (sum[c] < sum[at]) at = c;
  for (uint32_t g = n_groups; g-- > 0;) {
    group_class[g] = (uint8_t)at;
    at = from[g][at];
  }
}

/* ---- a plan for one group size ---- */
static void fit(const int32_t *q, uint32_t n, const ac_classes *classes, const effort *e, const ac_plan_scratch *s,
                ac_plan_attempt *a) {
  ac_fit f;
  ac_fit_windows(q, n, a->group_class, classes, &e->fit, s->histograms, &a->windows, &f);
  a->bits = f.bits + 24 + ac_sequence_estimate(a->group_class, ac_groups(n, a->windows.group), classes->n_classes) +
            (classes->n_classes > 1 ? 8 + 12 * classes->n_classes : 0);
  a->token_bits = f.token_bits;
}

/* Improve a fitted attempt.  Rounds go on as long as they gain, and past that where a class was left out. */
static void refine(const int32_t *q, uint32_t n, const ac_group_stats *stats, ac_classes classes, const effort *e,
                   const ac_plan_scratch *s, ac_plan_attempt *best) {
  const uint32_t n_groups = ac_groups(n, best->windows.group);
  ac_plan_attempt *const now = &s->attempts[2]; /* scratch: it is large */
  *now = *best;
  unsigned losses = 0;
  for (unsigned round = 0; round < e->rounds && classes.n_classes > 1; round++) {
    uint32_t movable;
    uint64_t regret[AC_MAX_CLASSES];
    weigh_rows(&now->windows, &classes, &movable, s->rows);
    if (!(movable & (movable - 1))) return; /* there is no other class to go to */
    ac_active_kernels()->weigh(q, n, now->windows.group, (const uint16_t(*)[AC_MAX_CLASSES])s->rows, s->costs);
    reassign(n_groups, &classes, movable, (const uint16_t(*)[AC_MAX_CLASSES])s->costs, now->group_class, regret);
    if (e->delete_classes && round >= 2) {
      /* the class that is missed least: its groups go to their second choice */
      unsigned least = AC_MAX_CLASSES;
      double loss = 0;
      for (unsigned c = 0; c < classes.n_classes; c++) {
        if (!(movable >> c & 1)) continue;
        unsigned table_bits = 0;
        const ac_class *k = &now->windows.classes[c];
        if (k->n_tokens > 1) table_bits = ac_model_table_bits(&k->table, k->n_tokens);
        const double l = (double)regret[c] / COST_ONE_BIT - 24 - table_bits - 12;
        if (least == AC_MAX_CLASSES || l < loss) {
          least = c;
          loss = l;
        }
      }
      if (least < AC_MAX_CLASSES && (losses || loss < 0)) {
        for (uint32_t g = 0; g < n_groups; g++) s->costs[g][least] = NEVER;
        reassign(n_groups, &classes, movable, (const uint16_t(*)[AC_MAX_CLASSES])s->costs, now->group_class, regret);
      }
    } else if (e->sequences) {
      reassign_path(n_groups, &classes, movable, (const uint16_t(*)[AC_MAX_CLASSES])s->costs, s->from, now->group_class);
    }
    ac_classes_recount(stats, n, now->windows.group, now->group_class, &classes);
    fit(q, n, &classes, e, s, now);
    if (now->bits < best->bits) {
      *best = *now;
      losses = 0;
    } else if (!e->delete_classes || ++losses > 4) {
      return;
    }
  }
}

/* One or two tables of 4096 entries stay in L1 and are closer to the entropy; with more classes each is so narrow
 * that 11 bits do as well, and small blocks do not repay larger tables.  `fine`: a bit more, for a twelfth of the
 * time of decoding. */
static uint8_t prob_bits_for(uint32_t n, unsigned n_classes, int fine) {
  return n <= 1 << 11 ? 10 : n_classes <= 2 && n > 1 << 15 ? 12 + (fine != 0) : 11;
}

/* ---- group size ---- */
/* Of a large block, runs of groups stand for all: one quarter of them. */
enum { RUN = 32 /* groups of 128 */, PERIOD = 4 * RUN, SAMPLED_BLOCK = 1 << 16 };

/* Are groups of 64 cheaper than groups of 128, by the estimate?  joined: statistics of 128. */
static int smaller_groups_pay(const ac_group_stats *stats, const ac_group_stats *joined, uint32_t n,
                              const uint8_t *imaged, double class_gain) {
  uint8_t group_class[AC_MAX_BLOCK / 64];
  ac_classes of_64, of_128;
  ac_group_stats some[2 * AC_MAX_BLOCK / AC_MAX_GROUP * RUN / PERIOD], some_joined[AC_MAX_BLOCK / AC_MAX_GROUP * RUN / PERIOD];
  if (n >= SAMPLED_BLOCK && !imaged) {
    uint32_t groups = 0;
    for (uint32_t g = 0; g + RUN <= n / AC_MAX_GROUP; g += PERIOD, groups += RUN) {
      memcpy(some + 2 * groups, stats + 2 * g, 2 * RUN * sizeof *some);
      memcpy(some_joined + groups, joined + g, RUN * sizeof *some);
    }
    stats = some;
    joined = some_joined;
    n = groups * AC_MAX_GROUP;
  }
  ac_classes_find(joined, n, 128, imaged, class_gain, group_class, &of_128);
  ac_classes_find(stats, n, 64, imaged, class_gain, group_class, &of_64);
  return of_64.bits < of_128.bits;
}

void ac_plan_make(const int32_t *q, uint32_t n, ac_group_stats *stats, const ac_plan_request *request,
                  const ac_plan_scratch *s, uint8_t *group_class, ac_plan *plan) {
  effort e = effort_of(request->level);
  e.fit.image = request->image;
  ac_group_stats *const joined = stats + ac_groups(n, 64);
  ac_classes found[2]; /* groups of 128, of 64 */
  ac_plan_attempt *const tried = s->attempts;
  int first = 0, last = 1;
  if (request->group) {
    first = last = request->group == 64;
  } else {
    ac_join_halves(stats, n, joined);
    if (!e.both_groups) first = last = smaller_groups_pay(stats, joined, n, request->imaged, e.class_gain);
  }
  for (int i = first; i <= last; i++) {
    ac_plan_attempt *const a = &tried[i];
    const ac_group_stats *of = i || request->group ? stats : joined;
    a->windows.group = i ? 64 : 128;
    ac_classes_find(of, n, a->windows.group, request->imaged, e.class_gain, a->group_class, &found[i]);
    a->windows.prob_bits = request->prob_bits ? request->prob_bits : prob_bits_for(n, found[i].n_classes, e.fine_tables);
    if (request->level > AC_MIN_LEVEL && found[i].bits < n / 2.0) e.fit.tables = 2; /* mostly zeros: tables are much of the rest */
    fit(q, n, &found[i], &e, s, a);
    refine(q, n, of, found[i], &e, s, a);
  }
  const ac_plan_attempt *best = &tried[first != last && tried[1].bits < tried[0].bits ? 1 : first];
  plan->windows = best->windows;
  plan->total_bits = (uint64_t)best->bits;
  plan->token_bits = (uint64_t)best->token_bits;
  memcpy(group_class, best->group_class, ac_groups(n, best->windows.group));
  /* Bit-packing needs the bits of the range, at least those of the largest magnitude unless all values lie on one
   * side: look at the range only where it could win. */
  const unsigned needed = ac_bit_length(found[first].magnitude);
  if (!request->imaged && (n <= 8192 || !found[first].centred || plan->total_bits >= (uint64_t)needed * n))
    consider_bit_packing(q, n, group_class, plan);
}
