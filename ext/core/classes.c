/* classes.c: groups -> classes, by the groups' statistics alone.  First part of the plan of a block.
 *
 * Groups are keyed by the half octave of their mean absolute deviation (or of their mean, where that is the
 * larger), or, if that tells them apart better, by where their mean lies in the range of all means; and keys are merged as
 * long as two classes cost more apart than together.
 *
 * Invariants: at most 16 classes; only integers and IEEE + - * / are used, so every machine makes the same choice.
 */
#include "classes.h"

#include <math.h>

/* Statistics of groups of 128 from those of their halves; how far the halves' means are apart stands for how far
 * the values are. */
void ac_join_halves(const ac_group_stats *half, uint32_t n, ac_group_stats *whole) {
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

enum {
  KEY_ZERO = 0,
  KEY_CENTRED = 1,  /* + half octave of the deviation */
  KEY_ABOVE = 65,   /* + half octave of the mean */
  KEY_BELOW = 129,
  KEY_IMAGE = 193,  /* + half octave of the deviation, of groups of images; the last is for all above */
  N_KEYS = 255
};

/* Half octaves of v, which has four bits below one; 0 .. 63. */
static unsigned half_octave(uint64_t v) {
  const uint32_t u = v < 0xffffffffu ? (uint32_t)v + 1 : 0xffffffffu;
  const unsigned e = 31 - (unsigned)__builtin_clz(u);
  return 2 * e + (u << (31 - e) >= 0xb504f334u /* 2^31.5 */);
}

/* v / m for a group of m values: 64 or 128 but for the last. */
static uint64_t per_value(uint64_t v, uint32_t m) { return m & (m - 1) ? v / m : v >> __builtin_ctz(m); }

/* Where groups lie, if that tells them apart rather than how far their values are spread: as exponents do, of floats that are
 * stored exactly.  KEY_PLACES keys from the least mean to the largest; width 0: it does not. */
enum { KEY_PLACES = 64 };
typedef struct {
  int32_t least;
  uint64_t width;
} places;

static places find_places(const ac_group_stats *stats, uint32_t n_groups) {
  int64_t sum = 0;
  int32_t least = INT32_MAX, most = INT32_MIN;
  for (uint32_t g = 0; g < n_groups; g++) {
    sum += stats[g].mean;
    least = stats[g].mean < least ? stats[g].mean : least;
    most = stats[g].mean > most ? stats[g].mean : most;
  }
  const int64_t mean = sum / n_groups;
  uint64_t apart = 0, spread = 0;
  for (uint32_t g = 0; g < n_groups; g++) {
    const int64_t d = stats[g].mean - mean;
    apart += (uint64_t)(d < 0 ? -d : d);
    spread += stats[g].deviation;
  }
  if (apart < spread / AC_MAX_GROUP) return (places){0, 0};
  return (places){least, ((uint64_t)((int64_t)most - least)) / KEY_PLACES + 1};
}

static unsigned group_key(const ac_group_stats *s, uint32_t m, int imaged, const places *places) {
  if (!s->magnitude) return KEY_ZERO;
  if (!imaged && places->width) return KEY_ABOVE + (unsigned)((uint64_t)((int64_t)s->mean - places->least) / places->width);
  if (imaged) {
    const unsigned key = KEY_IMAGE + half_octave(per_value(16 * s->deviation, m));
    return key < N_KEYS ? key : N_KEYS - 1;
  }
  const uint64_t mean = (uint64_t)(s->mean < 0 ? -(int64_t)s->mean : s->mean);
  if (mean * m <= 2 * s->deviation) return KEY_CENTRED + half_octave(per_value(16 * s->deviation, m));
  return (s->mean > 0 ? KEY_ABOVE : KEY_BELOW) + half_octave(16 * mean);
}

static double log2_scale(double scale) { /* in bits, 0 for 0 */
  const double u = 16 * scale + 1;
  if (u < 0x1p20) return ac_log2((uint32_t)(u * 0x1p11)) * 0x1p-16 - 11;
  return ac_log2(u > 4e9 ? 4000000000u : (uint32_t)u) * 0x1p-16;
}

static double table_bits(double scale) { return 40 + 6 * (scale > 5 ? 64 : 4 + 12 * scale); }

static ac_cluster merged(const ac_cluster *a, const ac_cluster *b) {
  ac_cluster m = {a->values + b->values, a->groups + b->groups, a->imaged, 0, 0, 0};
  m.centre = (a->centre * a->values + b->centre * b->values) / m.values;
  const double da = a->centre - m.centre, db = m.centre - b->centre;
  m.scale = ((a->scale + fabs(da)) * a->values + (b->scale + fabs(db)) * b->values) / m.values;
  m.bits = log2_scale(m.scale);
  return m;
}

/* Bits lost by giving two clusters one class: wider distributions, less a table, less the part of the class
 * sequence that tells them apart, less `gain` a value: what a class must save. */
static double merge_loss(const ac_cluster *a, const ac_cluster *b, double gain) {
  if (a->imaged != b->imaged) return HUGE_VAL;
  const ac_cluster m = merged(a, b);
  const double ga = a->groups, gb = b->groups;
  const double sequence =
      ((ga + gb) * ac_log2(a->groups + b->groups) - ga * ac_log2(a->groups) - gb * ac_log2(b->groups)) * 0x1p-16;
  return a->values * (m.bits - a->bits - gain) + b->values * (m.bits - b->bits - gain) - sequence -
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
static overview sum_keys(const ac_group_stats *stats, uint32_t n, unsigned group, const uint8_t *imaged,
                         const places *places, uint8_t *group_class, key_sums *sums) {
  const uint32_t n_groups = ac_groups(n, group);
  overview all = {0, 0};
  key_sums in_turns[2][N_KEYS]; /* neighbours often have the same key: see ac_histogram */
  int64_t mean[N_KEYS];
  memset(in_turns, 0, sizeof in_turns);
  for (uint32_t g = 0; g < n_groups; g++) {
    const uint32_t m = g + 1 < n_groups ? group : n - g * group;
    const unsigned key = group_key(&stats[g], m, imaged && imaged[g * group / AC_MAX_GROUP], places);
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

#define CLEARLY 0.99 /* less: what is estimated before keys are merged */

/* Bits of all values, if every key is a class, and of the keys: for comparison. */
static double key_bits(const key_sums *sums, uint32_t n_groups) {
  double bits = 0;
  for (unsigned key = 0; key < N_KEYS; key++)
    if (sums[key].values)
      bits += sums[key].values * log2_scale((double)sums[key].spread / sums[key].values) +
              sums[key].groups * (ac_log2(n_groups) - ac_log2(sums[key].groups)) * 0x1p-16;
  return bits;
}

/* Groups, keyed, -> at most AC_MAX_CLASSES clusters; returns how many. */
static unsigned cluster_groups(const key_sums *sums, uint32_t n_groups, double gain, uint8_t *group_class,
                               ac_cluster *clusters) {
  uint8_t key_cluster[N_KEYS];
  ac_cluster all[N_KEYS];
  uint8_t into[N_KEYS]; /* cluster i was merged into this one */
  unsigned n_all = 0, n_live;
  for (unsigned key = 0; key < N_KEYS; key++)
    if (sums[key].values) {
      const double values = sums[key].values, centre = (double)sums[key].sum / values;
      const double scale = (double)sums[key].spread / values;
      key_cluster[key] = (uint8_t)n_all;
      into[n_all] = (uint8_t)n_all;
      all[n_all++] = (ac_cluster){sums[key].values, sums[key].groups, key >= KEY_IMAGE, centre, scale, log2_scale(scale)};
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
          const double l = merge_loss(&all[i], &all[j], gain);
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
      const double l = merge_loss(&all[i], &all[best], gain);
      if (partner[i] == i || l < loss[i]) {
        loss[i] = l;
        partner[i] = (uint8_t)best;
      }
    }
  }

  uint8_t number[N_KEYS] = {0};
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

double ac_sequence_estimate(const uint8_t *group_class, uint32_t n_groups, unsigned n_classes) {
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

void ac_classes_find(const ac_group_stats *stats, uint32_t n, unsigned group, const uint8_t *imaged, double gain,
                     uint8_t *group_class, ac_classes *c) {
  key_sums sums[N_KEYS];
  const uint32_t n_groups = ac_groups(n, group);
  const places places = find_places(stats, n_groups), nowhere = {0, 0}; /* as groups are that differ in spread alone */
  overview all = sum_keys(stats, n, group, imaged, &nowhere, group_class, sums);
  const double bits = key_bits(sums, n_groups);
  if (places.width) {
    all = sum_keys(stats, n, group, imaged, &places, group_class, sums);
    if (key_bits(sums, n_groups) > CLEARLY * bits) all = sum_keys(stats, n, group, imaged, &nowhere, group_class, sums);
  }
  /* of many bits, few are not worth the time that a class costs */
  const double many = bits / (8.0 * n);
  if (many > 1) gain *= many * many;
  c->magnitude = all.magnitude;
  c->centred = all.centred;
  c->n_classes = cluster_groups(sums, n_groups, gain, group_class, c->clusters);
  c->bits = ac_sequence_estimate(group_class, n_groups, c->n_classes);
  for (unsigned i = 0; i < c->n_classes; i++)
    c->bits += c->clusters[i].values * c->clusters[i].bits + table_bits(c->clusters[i].scale);
}

void ac_classes_recount(const ac_group_stats *stats, uint32_t n, unsigned group, uint8_t *group_class, ac_classes *c) {
  const uint32_t n_groups = ac_groups(n, group);
  key_sums sums[AC_MAX_CLASSES];
  uint8_t number[AC_MAX_CLASSES];
  double centre[AC_MAX_CLASSES];
  memset(sums, 0, sizeof sums);
  for (uint32_t g = 0; g < n_groups; g++) {
    const uint32_t m = g + 1 < n_groups ? group : n - g * group;
    key_sums *k = &sums[group_class[g]];
    k->sum += (int64_t)stats[g].mean * m;
    k->values += m;
    k->groups++;
  }
  for (unsigned i = 0; i < c->n_classes; i++) centre[i] = sums[i].values ? (double)sums[i].sum / sums[i].values : 0;
  for (uint32_t g = 0; g < n_groups; g++) {
    const unsigned i = group_class[g];
    const uint32_t m = g + 1 < n_groups ? group : n - g * group;
    const int32_t at = (int32_t)centre[i];
    const int64_t apart = (int64_t)stats[g].mean - at;
    const uint64_t mean = (uint64_t)(apart < 0 ? -apart : apart) * m;
    /* as far as its mean is from that of the class, or as its values are from its own */
    sums[i].spread += mean > stats[g].deviation ? mean : stats[g].deviation;
  }
  unsigned left = 0;
  for (unsigned i = 0; i < c->n_classes; i++) {
    number[i] = (uint8_t)left;
    if (!sums[i].values) continue;
    const double scale = (double)sums[i].spread / sums[i].values;
    c->clusters[left++] = (ac_cluster){sums[i].values, sums[i].groups, c->clusters[i].imaged, centre[i], scale, log2_scale(scale)};
  }
  c->n_classes = left;
  for (uint32_t g = 0; g < n_groups; g++) group_class[g] = number[group_class[g]];
}
