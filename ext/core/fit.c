/* fit.c: classes -> windows and tables, by histograms of their values.  Second part of the plan of a block.
 *
 * Each class gets the window and the number of raw bits that cost least on its histogram (where outliers made that
 * too coarse for the rest, on a finer one).
 *
 * Invariants: every window lies within int32; a token that occurs has a frequency; only integers and IEEE + - * /
 * are used, so every machine makes the same choice.
 */
#include "fit.h"

#include <math.h>

#include "../simd/kernels.h"

/* So many values tell enough of a class, and so does an eighth of it: of a larger one, one group in 2,
 * 4 or 8 is counted (measured: +0.03 % of size).  Tokens that the sample missed then need a frequency
 * all the same. */
enum { SAMPLE = 3 << 11 };

/* Bins of a sixteenth of `scale` and coarser, about `centre`. */
static void aim_histogram(ac_histogram *h, uint32_t values, double centre, double scale, unsigned most_sampling) {
  const unsigned bits = ac_bit_length((uint64_t)scale);
  unsigned shift = bits > 5 ? bits - 5 : 0;
  if (shift > AC_MAX_RAW_BITS) shift = AC_MAX_RAW_BITS;
  memset(h, 0, sizeof *h);
  h->shift = (uint8_t)shift;
  while (h->sampling < most_sampling && values >> (h->sampling + 1) >= SAMPLE) h->sampling++;
  h->open = 1;
  /* a multiple of 32 bins, so that up to five merges of neighbours stay aligned */
  h->first = (int32_t)(((((int64_t)centre >> shift) - AC_HISTOGRAM_BINS / 2) >> 5) * 32);
}

/* Bits of one exception: gap, exp-Golomb code of the integer, filler token. */
static double exception_bits(const ac_cluster *c) {
  const unsigned bits = ac_bit_length((uint64_t)(c->scale * 8 + fabs(c->centre))) + 1;
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
static void fit_window(const ac_histogram *h, const ac_cluster *c, unsigned P, window *best) {
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

/* The class of a window: its table, and the likeliest token. */
static void finish_class(const window *w, const ac_cluster *c, const ac_fit_effort *effort, unsigned P, ac_class *out,
                         ac_fit *fit) {
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
  out->base = (int32_t)(w->lo * ((int64_t)1 << w->k));
  const double weight = (double)c->values / w->counted;
  double bits = 24 + (double)c->values * w->k + (w->counted - inside) * weight * exception_bits(c);
  if (w->n_tokens > 1) {
    unsigned table_bits;
    counts[filler] += w->counted - inside; /* exceptions code the filler */
    const double symbols = ac_model_choose(counts, w->n_tokens, P, weight, effort->tables, 1, out->freq, &out->table,
                                           &table_bits);
    bits += symbols + table_bits;
    fit->token_bits += symbols;
  }
  fit->bits += bits;
}

/* More than half of the values in two neighbouring bins: the deviation is that of outliers, and the
 * histogram too coarse for the rest.  Aims it sixteen times finer at those bins. */
static int narrow_histogram(ac_histogram *h, const ac_cluster *c, double *scale, unsigned sampling) {
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
  aim_histogram(h, c->values, ((double)h->first + top + 1) * (double)(1u << h->shift), *scale, sampling);
  return 1;
}

void ac_fit_windows(const int32_t *q, uint32_t n, const uint8_t *group_class, const ac_classes *classes,
                    const ac_fit_effort *effort, ac_histogram *histograms, ac_windows *w, ac_fit *fit) {
  const unsigned n_classes = classes->n_classes;
  const ac_cluster *const clusters = classes->clusters;
  window windows[AC_MAX_CLASSES];
  double scale[AC_MAX_CLASSES];
  unsigned n_open = n_classes;
  for (unsigned c = 0; c < n_classes; c++) {
    windows[c].bits = 1e300;
    scale[c] = clusters[c].scale;
    aim_histogram(&histograms[c], clusters[c].values, clusters[c].centre, scale[c], effort->sampling);
  }
  for (unsigned round = 0; n_open; round++) {
    ac_active_kernels()->count(q, n, w->group, group_class, histograms);
    for (unsigned c = 0; c < n_classes; c++) {
      ac_histogram *h = &histograms[c];
      if (!h->open) continue;
      fit_window(h, &clusters[c], w->prob_bits, &windows[c]);
      if (round == 5 || !narrow_histogram(h, &clusters[c], &scale[c], effort->sampling)) {
        h->open = 0;
        n_open--;
      }
    }
  }
  w->n_classes = (uint8_t)n_classes;
  *fit = (ac_fit){0, 0};
  for (unsigned c = 0; c < n_classes; c++) {
    finish_class(&windows[c], &clusters[c], effort, w->prob_bits, &w->classes[c], fit);
    w->classes[c].image = clusters[c].imaged ? effort->image : 0;
  }
}
