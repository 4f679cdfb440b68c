/* windows.c: which class windows a block gets, and how they stand in the stream.
 * Second stage of the encoder (after quantize, before rANS); the reader is its exact mirror.
 *
 * The choice takes one look at the data: groups are keyed by the half octave of their mean absolute
 * deviation (or of their mean, where that is the larger), keys are merged as long as two classes
 * cost more apart than together, and each class then gets the window and the number of raw bits
 * that cost least on its histogram (where outliers made that too coarse for the rest, on a finer
 * one).  Only integers and IEEE + - * / are used, so every machine makes the same choice.
 *
 * Invariants: every window lies within int32; every value is in its group's window or an exception;
 * a token that occurs has a frequency.
 */
#include "windows.h"

#include "../arraycodec.h"
#include "../simd/kernels.h"

/* ---- classes from groups ---- */
enum {
  KEY_ZERO = 0,
  KEY_CENTRED = 1,  /* + half octave of the deviation */
  KEY_ABOVE = 65,   /* + half octave of the mean */
  KEY_BELOW = 129,
  N_KEYS = 193
};

/* Half octaves of v, which has four bits below one; 0 .. 63. */
static unsigned half_octave(uint64_t v) {
  const uint32_t u = v < 0xffffffffu ? (uint32_t)v + 1 : 0xffffffffu;
  const unsigned e = 31 - (unsigned)__builtin_clz(u);
  return 2 * e + (u << (31 - e) >= 0xb504f334u /* 2^31.5 */);
}

/* v / m for a group of m values: 64 or 128 but for the last. */
static uint64_t per_value(uint64_t v, uint32_t m) { return m & (m - 1) ? v / m : v >> __builtin_ctz(m); }

static unsigned group_key(const ac_group_stats *s, uint32_t m) {
  if (!s->magnitude) return KEY_ZERO;
  const uint64_t mean = (uint64_t)(s->mean < 0 ? -(int64_t)s->mean : s->mean);
  if (mean * m <= 2 * s->deviation) return KEY_CENTRED + half_octave(per_value(16 * s->deviation, m));
  return (s->mean > 0 ? KEY_ABOVE : KEY_BELOW) + half_octave(16 * mean);
}

typedef struct {
  uint32_t values, groups;
  double centre, scale; /* mean, and mean distance from it */
  double bits;          /* log2_scale(scale) */
} cluster;

static double log2_scale(double scale) { /* in bits, 0 for 0 */
  const double u = 16 * scale + 1;
  if (u < 0x1p20) return ac_log2((uint32_t)(u * 0x1p11)) * 0x1p-16 - 11;
  return ac_log2(u > 4e9 ? 4000000000u : (uint32_t)u) * 0x1p-16;
}

static double table_bits(double scale) { return 40 + 6 * (scale > 5 ? 64 : 4 + 12 * scale); }

static cluster merged(const cluster *a, const cluster *b) {
  cluster m = {a->values + b->values, a->groups + b->groups, 0, 0, 0};
  m.centre = (a->centre * a->values + b->centre * b->values) / m.values;
  const double da = a->centre - m.centre, db = m.centre - b->centre;
  m.scale = ((a->scale + fabs(da)) * a->values + (b->scale + fabs(db)) * b->values) / m.values;
  m.bits = log2_scale(m.scale);
  return m;
}

/* What a class of its own must save, in bits per value: less is within the error of these estimates,
 * and every class costs time on both sides. */
#define CLASS_GAIN 0x1p-7

/* Bits lost by giving two clusters one class: wider distributions, less a table, less the part of
 * the class sequence that tells them apart. */
static double merge_loss(const cluster *a, const cluster *b) {
  const cluster m = merged(a, b);
  const double ga = a->groups, gb = b->groups;
  const double sequence =
      ((ga + gb) * ac_log2(a->groups + b->groups) - ga * ac_log2(a->groups) - gb * ac_log2(b->groups)) * 0x1p-16;
  return a->values * (m.bits - a->bits - CLASS_GAIN) + b->values * (m.bits - b->bits - CLASS_GAIN) - sequence -
         table_bits(a->scale < b->scale ? a->scale : b->scale);
}

/* All groups of one key, and what all groups have in common. */
typedef struct {
  int64_t sum;     /* of the values, by the groups' rounded means */
  uint64_t spread; /* of absolute deviations from the mean of the key */
  uint32_t values, groups;
} key_sums;

typedef struct {
  uint32_t magnitude; /* OR of all |v| */
  int centred;        /* some group lies about zero */
} overview;

/* Key every group (into group_class) and sum up the keys. */
static overview sum_keys(const ac_group_stats *stats, uint32_t n, unsigned group, uint8_t *group_class,
                         key_sums *sums) {
  const uint32_t n_groups = ac_groups(n, group);
  overview all = {0, 0};
  key_sums in_turns[2][N_KEYS]; /* neighbours often have the same key: see ac_histogram */
  int64_t mean[N_KEYS];
  memset(in_turns, 0, sizeof in_turns);
  for (uint32_t g = 0; g < n_groups; g++) {
    const uint32_t m = g + 1 < n_groups ? group : n - g * group;
    const unsigned key = group_key(&stats[g], m);
    key_sums *k = &in_turns[g & 1][key];
    const int64_t sum = (int64_t)stats[g].mean * m;
    group_class[g] = (uint8_t)key;
    k->values += m;
    k->groups++;
    k->sum += sum;
    all.magnitude |= stats[g].magnitude;
    all.centred |= (uint64_t)(sum < 0 ? -sum : sum) <= stats[g].deviation;
  }
  for (unsigned key = 0; key < N_KEYS; key++) {
    const uint32_t values = in_turns[0][key].values + in_turns[1][key].values;
    mean[key] = values ? (in_turns[0][key].sum + in_turns[1][key].sum) / (int64_t)values : 0;
  }
  for (uint32_t g = 0; g < n_groups; g++) {
    const uint32_t m = g + 1 < n_groups ? group : n - g * group;
    const unsigned key = group_class[g];
    const int64_t d = stats[g].mean - mean[key];
    in_turns[g & 1][key].spread += stats[g].deviation + (uint64_t)(d < 0 ? -d : d) * m;
  }
  for (unsigned key = 0; key < N_KEYS; key++) {
    const key_sums *x = &in_turns[0][key], *y = &in_turns[1][key];
    sums[key] = (key_sums){x->sum + y->sum, x->spread + y->spread, x->values + y->values, x->groups + y->groups};
  }
  return all;
}

/* The class sequence takes about so many bits, by what follows what. */
static double sequence_bits(const uint8_t *group_class, uint32_t n_groups, unsigned n_classes) {
  uint32_t pairs[AC_MAX_CLASSES][AC_MAX_CLASSES];
  memset(pairs, 0, sizeof pairs);
  for (uint32_t g = 1; g < n_groups; g++) pairs[group_class[g - 1]][group_class[g]]++;
  uint64_t bits = 0;
  for (unsigned c = 0; c < n_classes; c++) {
    uint32_t total = 0;
    for (unsigned d = 0; d < n_classes; d++) {
      total += pairs[c][d];
      if (pairs[c][d]) bits -= (uint64_t)pairs[c][d] * ac_log2(pairs[c][d]);
    }
    if (total) bits += (uint64_t)total * ac_log2(total);
  }
  return (double)bits * 0x1p-16;
}

/* Groups, keyed, -> at most AC_MAX_CLASSES clusters; returns how many. */
static unsigned cluster_groups(const key_sums *sums, uint32_t n_groups, uint8_t *group_class, cluster *clusters) {
  uint8_t key_cluster[N_KEYS];
  cluster all[N_KEYS];
  uint8_t into[N_KEYS]; /* cluster i was merged into this one */
  unsigned n_all = 0, n_live;
  for (unsigned key = 0; key < N_KEYS; key++)
    if (sums[key].values) {
      const double values = sums[key].values, centre = (double)sums[key].sum / values;
      const double scale = (double)sums[key].spread / values;
      key_cluster[key] = (uint8_t)n_all;
      into[n_all] = (uint8_t)n_all;
      all[n_all++] = (cluster){sums[key].values, sums[key].groups, centre, scale, log2_scale(scale)};
    }
  n_live = n_all;
  /* partner[i]: the live j > i that is cheapest to merge i with */
  uint8_t partner[N_KEYS];
  double loss[N_KEYS];
  uint8_t stale[N_KEYS];
  memset(stale, 1, sizeof stale);
  while (n_live > 1) {
    unsigned best = n_all;
    for (unsigned i = 0; i < n_all; i++) {
      if (into[i] != i) continue;
      if (stale[i]) {
        partner[i] = (uint8_t)i;
        for (unsigned j = i + 1; j < n_all; j++) {
          if (into[j] != j) continue;
          const double l = merge_loss(&all[i], &all[j]);
          if (partner[i] == i || l < loss[i]) {
            loss[i] = l;
            partner[i] = (uint8_t)j;
          }
        }
        stale[i] = 0;
      }
      if (partner[i] != i && (best == n_all || loss[i] < loss[best])) best = i;
    }
    if (n_live <= AC_MAX_CLASSES && loss[best] > 0) break;
    const unsigned gone = partner[best];
    all[best] = merged(&all[best], &all[gone]);
    into[gone] = (uint8_t)best;
    n_live--;
    stale[best] = 1;
    for (unsigned i = 0; i < n_all; i++) {
      if (into[i] != i || i == best) continue;
      if (partner[i] == best || partner[i] == gone) stale[i] = 1;
      if (i > best || stale[i]) continue;
      const double l = merge_loss(&all[i], &all[best]);
      if (partner[i] == i || l < loss[i]) {
        loss[i] = l;
        partner[i] = (uint8_t)best;
      }
    }
  }

  uint8_t number[N_KEYS];
  unsigned n_clusters = 0;
  for (unsigned i = 0; i < n_all; i++)
    if (into[i] == i) {
      number[i] = (uint8_t)n_clusters;
      clusters[n_clusters++] = all[i];
    }
  for (uint32_t g = 0; g < n_groups; g++) {
    unsigned i = key_cluster[group_class[g]];
    while (into[i] != i) i = into[i];
    group_class[g] = number[i];
  }
  return n_clusters;
}

/* ---- a window for a class ---- */
/* So many values tell enough of a class, and so does an eighth of it: of a larger one, one group in 2,
 * 4 or 8 is counted (measured: +0.03 % of size).  Tokens that the sample missed then need a frequency
 * all the same. */
enum { SAMPLE = 3 << 11, MOST_SAMPLING = 3 };

static unsigned bit_length(uint64_t v) { return v ? 64 - (unsigned)__builtin_clzll(v) : 0; }

/* Bins of a sixteenth of `scale` and coarser, about `centre`. */
static void aim_histogram(ac_histogram *h, uint32_t values, double centre, double scale) {
  const unsigned bits = bit_length((uint64_t)scale);
  unsigned shift = bits > 5 ? bits - 5 : 0;
  if (shift > AC_MAX_RAW_BITS) shift = AC_MAX_RAW_BITS;
  memset(h, 0, sizeof *h);
  h->shift = (uint8_t)shift;
  while (h->sampling < MOST_SAMPLING && values >> (h->sampling + 1) >= SAMPLE) h->sampling++;
  h->open = 1;
  /* a multiple of 32 bins, so that up to five merges of neighbours stay aligned */
  h->first = (int32_t)(((((int64_t)centre >> shift) - AC_HISTOGRAM_BINS / 2) >> 5) * 32);
}

/* Bits of one exception: gap, exp-Golomb code of the integer, filler token. */
static double exception_bits(const cluster *c) {
  const unsigned bits = bit_length((uint64_t)(c->scale * 8 + fabs(c->centre))) + 1;
  return 9 + 2 + bits + 4;
}

/* A window and what it is expected to cost. */
typedef struct {
  double bits;
  unsigned k, n_tokens;
  int64_t lo;
  uint32_t bins[AC_MAX_TOKENS]; /* counted values of each token */
  uint32_t counted;             /* all counted values */
  unsigned sampling;
} window;

/* The window on this histogram that costs least. */
static void fit_window(const ac_histogram *h, const cluster *c, unsigned P, window *best) {
  const double per_exception = exception_bits(c);
  const double scale = (double)c->values / h->values;
  uint32_t bins[AC_HISTOGRAM_BINS];
  unsigned first = AC_HISTOGRAM_BINS, last = 0; /* bins that are not empty; none: every value is elsewhere */
  for (unsigned i = 0; i < AC_HISTOGRAM_BINS; i++) {
    bins[i] = ac_bin(h, i);
    if (bins[i]) {
      first = first < i ? first : i;
      last = i;
    }
  }
  if (first > last) first = last;
  for (unsigned d = 0; d <= 5 && h->shift + d <= AC_MAX_RAW_BITS; d++) {
    if (d) {
      first /= 2;
      last /= 2;
      for (unsigned i = first; i <= last; i++) bins[i] = bins[2 * i] + bins[2 * i + 1];
      bins[last + 1] = 0;
    }
    const unsigned width = last - first + 1 < AC_MAX_TOKENS ? last - first + 1 : AC_MAX_TOKENS;
    uint32_t inside = 0;
    unsigned from = first;
    for (unsigned i = first; i < first + width; i++) inside += bins[i];
    uint32_t most = inside;
    for (unsigned i = first + 1; i + width <= last + 1; i++) {
      inside += bins[i + width - 1] - bins[i - 1];
      if (inside > most) {
        most = inside;
        from = i;
      }
    }
    /* Leave out edges that cost more as a symbol (their slot of 2^P, their place in the table) than
     * as exceptions. */
    unsigned to = from + width;
    inside = most;
    const double slot = inside * (1.4427 / (1 << P)) + 6.0 / (1u << h->sampling);
    const double saved = per_exception - P;
    while (to > from + 1 && bins[to - 1] * saved < slot) inside -= bins[--to];
    while (to > from + 1 && bins[from] * saved < slot) inside -= bins[from++];

    double bits = 0;
    if (to - from > 1) {
      uint64_t sum = (uint64_t)inside * (inside ? ac_log2(inside) : 0);
      for (unsigned i = from; i < to; i++) sum -= bins[i] ? (uint64_t)bins[i] * ac_log2(bins[i]) : 0;
      bits = sum * 0x1p-16 * scale + 6.0 * (to - from);
    }
    bits += (double)c->values * (h->shift + d) + (h->values - inside) * scale * per_exception + 24;
    if (bits < best->bits) {
      best->bits = bits;
      best->k = h->shift + d;
      best->lo = (int64_t)(h->first >> d) + from;
      best->n_tokens = to - from;
      best->counted = h->values;
      best->sampling = h->sampling;
      memcpy(best->bins, bins + from, (to - from) * sizeof *bins);
    }
  }
}

/* Of more values an exact table is less than a thousandth: nothing is gained by another. */
enum { MANY_VALUES = 1 << 15 };

/* The class of a window: its table, and the likeliest token; adds the bits of its tokens. */
static void finish_class(const window *w, uint32_t values, unsigned P, ac_class *out, uint64_t *token_bits) {
  uint32_t counts[AC_MAX_TOKENS], inside = 0;
  unsigned filler = 0;
  for (unsigned i = 0; i < w->n_tokens; i++) {
    /* where the sample missed a token, the data may have it all the same */
    counts[i] = w->sampling && !w->bins[i] ? 1 : w->bins[i];
    inside += w->bins[i];
    if (w->bins[i] > w->bins[filler]) filler = i;
  }
  out->k = (uint8_t)w->k;
  out->n_tokens = (uint8_t)w->n_tokens;
  out->filler = (uint8_t)filler;
  out->image = 0;
  out->base = (int32_t)(w->lo * ((int64_t)1 << w->k));
  if (w->n_tokens < 2) return;
  counts[filler] += w->counted - inside; /* exceptions code the filler */
  unsigned table_bits;
  *token_bits += (uint64_t)ac_model_choose(counts, w->n_tokens, P, (double)values / w->counted, values < MANY_VALUES, 1,
                                           out->freq, &out->table, &table_bits);
}

/* More than half of the values in two neighbouring bins: the deviation is that of outliers, and the
 * histogram too coarse for the rest.  Aims it sixteen times finer at those bins. */
static int narrow_histogram(ac_histogram *h, const cluster *c, double *scale) {
  unsigned top = 0;
  if (!h->shift) return 0;
  uint32_t most = 0;
  for (unsigned i = 0; i + 1 < AC_HISTOGRAM_BINS; i++) {
    const uint32_t two = ac_bin(h, i) + ac_bin(h, i + 1);
    if (two > most) {
      most = two;
      top = i;
    }
  }
  if (2 * most <= h->values) return 0;
  *scale /= 16;
  aim_histogram(h, c->values, ((double)h->first + top + 1) * (double)(1u << h->shift), *scale);
  return 1;
}

static void fit_windows(const int32_t *q, uint32_t n, unsigned group, const uint8_t *group_class, unsigned P,
                        const cluster *clusters, unsigned n_classes, ac_histogram *histograms, window *windows) {
  double scale[AC_MAX_CLASSES];
  unsigned n_open = n_classes;
  for (unsigned c = 0; c < n_classes; c++) {
    windows[c].bits = 1e300;
    scale[c] = clusters[c].scale;
    aim_histogram(&histograms[c], clusters[c].values, clusters[c].centre, scale[c]);
  }
  for (unsigned round = 0; n_open; round++) {
    ac_active_kernels()->count(q, n, group, group_class, histograms);
    for (unsigned c = 0; c < n_classes; c++) {
      ac_histogram *h = &histograms[c];
      if (!h->open) continue;
      fit_window(h, &clusters[c], P, &windows[c]);
      if (round == 5 || !narrow_histogram(h, &clusters[c], &scale[c])) {
        h->open = 0;
        n_open--;
      }
    }
  }
}

/* One class of one token for everything: plain bit-packing of v - min. */
static void consider_bit_packing(const int32_t *q, uint32_t n, uint8_t *group_class, ac_plan *plan) {
  int32_t least = q[0], most = q[0];
  for (uint32_t i = 1; i < n; i++) {
    least = q[i] < least ? q[i] : least;
    most = q[i] > most ? q[i] : most;
  }
  /* the base is a multiple of 2^k: widen k until both ends share a window */
  unsigned k = bit_length((uint64_t)((int64_t)most - least));
  while (k <= AC_MAX_RAW_BITS && least >> k != most >> k) k++;
  const uint64_t bits = ((uint64_t)k * ((n + 15) & ~15u)) + 24;
  if (k > AC_MAX_RAW_BITS || bits > plan->total_bits) return;
  plan->windows.n_classes = 1;
  plan->windows.classes[0] = (ac_class){.k = (uint8_t)k, .n_tokens = 1, .base = (int32_t)((uint32_t)(least >> k) << k)};
  memset(group_class, 0, ac_groups(n, plan->windows.group));
  plan->total_bits = bits;
  plan->token_bits = 0;
}

/* Statistics of groups of 128 from those of their halves; how far the halves' means are apart stands for how far
 * the values are. */
static void join_halves(const ac_group_stats *half, uint32_t n, ac_group_stats *whole) {
  const uint32_t n_halves = ac_groups(n, 64);
  for (uint32_t g = 0; 2 * g < n_halves; g++) {
    const ac_group_stats *a = &half[2 * g], *b = a + 1;
    if (2 * g + 1 == n_halves) {
      whole[g] = *a;
      return;
    }
    const int64_t mb = 2 * g + 2 < n_halves ? 64 : n - 64 * (2 * g + 1);
    const int64_t sum = (int64_t)a->mean * 64 + (int64_t)b->mean * mb;
    const int32_t mean = (int32_t)(sum / (64 + mb));
    uint64_t deviation = a->deviation + b->deviation;
    if (4 * (uint64_t)(sum < 0 ? -sum : sum) > deviation) {
      const int64_t da = (int64_t)a->mean - mean, db = (int64_t)b->mean - mean;
      const uint64_t apart = (uint64_t)((da < 0 ? -da : da) * 64 + (db < 0 ? -db : db) * mb);
      if (apart > deviation) deviation = apart;
    }
    whole[g] = (ac_group_stats){mean, a->magnitude | b->magnitude, deviation};
  }
}

typedef struct {
  cluster clusters[N_KEYS];
  unsigned n_classes;
  overview all;
  double bits; /* about what it takes, for comparison */
} clustering;

static void cluster_by(const ac_group_stats *stats, uint32_t n, unsigned group, uint8_t *group_class, clustering *c) {
  key_sums sums[N_KEYS];
  const uint32_t n_groups = ac_groups(n, group);
  c->all = sum_keys(stats, n, group, group_class, sums);
  c->n_classes = cluster_groups(sums, n_groups, group_class, c->clusters);
  c->bits = sequence_bits(group_class, n_groups, c->n_classes);
  for (unsigned i = 0; i < c->n_classes; i++)
    c->bits += c->clusters[i].values * c->clusters[i].bits + table_bits(c->clusters[i].scale);
}

void ac_windows_plan(const int32_t *q, uint32_t n, ac_group_stats *stats, ac_histogram *histograms,
                     uint8_t *group_class, ac_plan *plan) {
  ac_windows *w = &plan->windows;
  clustering found;
  if (!w->group) {
    uint8_t classes_64[AC_MAX_BLOCK / 64];
    clustering of_64;
    ac_group_stats *const joined = stats + ac_groups(n, 64);
    join_halves(stats, n, joined);
    cluster_by(joined, n, 128, group_class, &found);
    cluster_by(stats, n, 64, classes_64, &of_64);
    w->group = of_64.bits < found.bits ? 64 : 128;
    if (w->group == 64) {
      found = of_64;
      memcpy(group_class, classes_64, ac_groups(n, 64));
    }
  } else {
    cluster_by(stats, n, w->group, group_class, &found);
  }
  const uint32_t n_groups = ac_groups(n, w->group);
  const overview all = found.all;
  const unsigned n_classes = found.n_classes;
  const cluster *const clusters = found.clusters;
  window windows[AC_MAX_CLASSES];
  w->n_classes = (uint8_t)n_classes;
  /* One or two tables of 4096 entries stay in L1 and are closer to the entropy; with more classes
   * each is so narrow that 11 bits do as well, and small blocks do not repay larger tables. */
  if (!w->prob_bits) w->prob_bits = n <= 1 << 11 ? 10 : n_classes <= 2 && n > 1 << 15 ? 12 : 11;
  fit_windows(q, n, w->group, group_class, w->prob_bits, clusters, n_classes, histograms, windows);

  double bits = 24 + sequence_bits(group_class, n_groups, n_classes);
  plan->token_bits = 0;
  for (unsigned c = 0; c < n_classes; c++) {
    finish_class(&windows[c], clusters[c].values, w->prob_bits, &w->classes[c], &plan->token_bits);
    bits += windows[c].bits + 8;
  }
  plan->total_bits = (uint64_t)bits;
  /* Bit-packing needs the bits of the range, at least those of the largest magnitude unless all
   * values lie on one side: look at the range only where it could win. */
  const unsigned needed = bit_length(all.magnitude);
  if (n <= 8192 || !all.centred || plan->total_bits >= (uint64_t)needed * n) consider_bit_packing(q, n, group_class, plan);
}

/* ---- stream ---- */
enum { HAS_IMAGE = 1 << 5 }; /* in the byte of raw bits */
enum { IS_CURVE = 1 << 6 };  /* in the byte of tokens: of their table */

void ac_windows_write(ac_writer *out, const ac_windows *w) {
  for (unsigned i = 0; i < w->n_classes; i++) {
    const ac_class *c = &w->classes[i];
    const int curve = c->n_tokens > 1 && c->table.kind == AC_TABLE_CURVE;
    ac_write8(out, (uint8_t)(c->k | (c->image ? HAS_IMAGE : 0)));
    ac_write8(out, (uint8_t)((c->n_tokens - 1) | (curve ? IS_CURVE : 0)));
    ac_write_varint(out, ac_zigzag(c->base >> c->k));
    if (c->image) ac_write8(out, c->image);
  }
  ac_bitwriter bits = {out, 0, 0};
  for (unsigned i = 0; i < w->n_classes; i++)
    if (w->classes[i].n_tokens > 1) ac_model_write(&bits, &w->classes[i].table, w->classes[i].n_tokens);
  ac_flush_bits(&bits);
}

/* Is ac_expand(u, m) an int32?  |u| is at most 2^31. */
static int image_fits(int64_t u, unsigned m) {
  const int64_t a = u < 0 ? -u : u, octave = a >> m, e = octave ? octave - 1 : 0;
  if (e > 31) return 0;
  return (a - (e << m)) << e <= (u < 0 ? (int64_t)INT32_MAX + 1 : INT32_MAX);
}

void ac_windows_read(ac_reader *in, ac_windows *w) {
  uint32_t curves = 0;
  for (unsigned i = 0; i < w->n_classes; i++) {
    ac_class *c = &w->classes[i];
    const unsigned head = ac_read8(in);
    unsigned tokens = ac_read8(in);
    if (tokens & IS_CURVE && tokens != IS_CURVE) { /* one token has no table */
      curves |= 1u << i;
      tokens ^= IS_CURVE;
    }
    const int64_t lo = ac_unzigzag(ac_read_varint(in));
    c->k = (uint8_t)(head & ~(unsigned)HAS_IMAGE);
    c->image = head & HAS_IMAGE ? ac_read8(in) : 0;
    if (head & HAS_IMAGE && (c->image < 1 || c->image > AC_MAX_IMAGE)) goto invalid;
    if (c->k > AC_MAX_RAW_BITS || tokens >= AC_MAX_TOKENS || lo < INT32_MIN || lo > INT32_MAX) goto invalid;
    const int64_t base = lo * ((int64_t)1 << c->k), end = base + ((int64_t)(tokens + 1) << c->k);
    if (base < INT32_MIN || end > (int64_t)INT32_MAX + 1) goto invalid;
    if (c->image && !(image_fits(base, c->image) && image_fits(end - 1, c->image))) goto invalid;
    c->n_tokens = (uint8_t)(tokens + 1);
    c->base = (int32_t)base;
  }
  ac_bitreader bits = {in, 0, 0};
  for (unsigned i = 0; i < w->n_classes; i++)
    if (w->classes[i].n_tokens > 1)
      ac_model_read(&bits, w->classes[i].n_tokens, w->prob_bits, curves >> i & 1, w->classes[i].freq);
  ac_end_bits(&bits);
  return;
invalid:
  if (!in->failed) in->failed = AC_E_FORMAT;
}
