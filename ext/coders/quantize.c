/* quantize.c: probabilities in floating point to integers that sum to 2^P, of which none is 0.
 *
 * Fast: of the 2^P quantiles, one is kept for each symbol and the others are given out in proportion by rounding the
 * cumulated probabilities down, in the type of the probabilities: float and double give different models.
 *
 * Perfect: shares are rounded down, what is left goes to those who gain most from it, and then symbols trade single
 * quantiles for as long as the code gets shorter by it.  Gains are those of the cross entropy, p log(1 + 1/w).
 * Who trades first where two gain the same depends on their order, so that the sort has to be stable and the order
 * that it leaves has to be kept.
 *
 * Invariants: the result is increasing from 0 to 2^P, or an error.  Sums are made from the first probability to the
 * last.  First stage of categorical models, for families.c and table.c.
 */
#include "quantize.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "coders.h"
#include "portable_math.h"

int acc_cumulate(const void *row, size_t n, int f32, int precision, void *left, double *scale) {
  const uint64_t total = 1u << precision;
  int bad = 0;
  if (n < 2 || n >= total - 1) return ACC_E_COUNT;
  if (f32) {
    const float *p = row;
    float *c = left, sum = 0;
    for (size_t i = 0; i < n; i++) {
      bad |= !(p[i] >= 0);
      c[i] = sum;
      sum += p[i];
    }
    if (bad) return ACC_E_PROBABILITY;
    if (!(sum >= FLT_MIN && sum <= FLT_MAX)) return ACC_E_SUM;
    *scale = (float)(total - n) / sum;
    if (!(*scale <= FLT_MAX)) return ACC_E_SUM;
  } else {
    const double *p = row;
    double *c = left, sum = 0;
    for (size_t i = 0; i < n; i++) {
      bad |= !(p[i] >= 0);
      c[i] = sum;
      sum += p[i];
    }
    if (bad) return ACC_E_PROBABILITY;
    if (!(sum >= DBL_MIN && sum <= DBL_MAX)) return ACC_E_SUM;
    *scale = (double)(total - n) / sum;
    if (!(*scale <= DBL_MAX)) return ACC_E_SUM;
  }
  return ACC_OK;
}

/* A sum waits for the one before; four that are independent share that time. */
#define FOUR_SUMS(T, U)                                                                       \
  do {                                                                                        \
    const T *p0 = rows[0], *p1 = rows[1], *p2 = rows[2], *p3 = rows[3];                       \
    T *c0 = left, *c1 = c0 + n, *c2 = c1 + n, *c3 = c2 + n, s0 = 0, s1 = 0, s2 = 0, s3 = 0;   \
    for (size_t i = 0; i < n; i++) {                                                          \
      c0[i] = s0, c1[i] = s1, c2[i] = s2, c3[i] = s3;                                         \
      s0 += p0[i], s1 += p1[i], s2 += p2[i], s3 += p3[i];                                     \
    }                                                                                         \
    const T sums[4] = {s0, s1, s2, s3}, free_weight = (T)(total - n), biggest = (T)most;      \
    for (int r = 0; r < 4; r++) {                                                             \
      const T *p = rows[r];                                                                   \
      const U *bits = rows[r];                                                                \
      U any = 0; /* signs; what is not a number shows in the sum */                           \
      int bad = 0;                                                                            \
      for (size_t i = 0; i < n; i++) any |= bits[i];                                          \
      const int fine = sums[r] >= least && sums[r] <= most;                                   \
      if (!fine || any >> (8 * sizeof(U) - 1)) /* -0 is allowed */                            \
        for (size_t i = 0; i < n; i++) bad |= !(p[i] >= 0);                                   \
      const T of_one = free_weight / sums[r];                                                 \
      scale[r] = of_one;                                                                      \
      status[r] = bad ? ACC_E_PROBABILITY : fine && of_one <= biggest ? ACC_OK : ACC_E_SUM;   \
    }                                                                                         \
  } while (0)

void acc_cumulate_four(const void *const rows[4], size_t n, int f32, int precision, void *left, double scale[4],
                       int status[4]) {
  const uint64_t total = 1u << precision;
  const double least = f32 ? FLT_MIN : DBL_MIN, most = f32 ? FLT_MAX : DBL_MAX;
  if (n < 2 || n >= total - 1)
    for (int r = 0; r < 4; r++) status[r] = ACC_E_COUNT;
  else if (f32)
    FOUR_SUMS(float, uint32_t);
  else
    FOUR_SUMS(double, uint64_t);
}

void acc_left_ends(const void *left, size_t n, int f32, double scale, int32_t *ends) {
  /* what is cast is at most about 2^P, as no cumulated probability exceeds the sum and the scale is finite */
  if (f32) {
    const float *c = left, s = (float)scale;
    for (size_t i = 0; i < n; i++) ends[i] = (int32_t)(c[i] * s) + (int32_t)i;
  } else {
    const double *c = left;
    for (size_t i = 0; i < n; i++) ends[i] = (int32_t)(c[i] * scale) + (int32_t)i;
  }
}

uint32_t acc_left_end(const void *left, size_t i, int f32, double scale) {
  if (f32) return acc_to_u32(((const float *)left)[i] * (float)scale) + (uint32_t)i;
  return acc_to_u32(((const double *)left)[i] * scale) + (uint32_t)i;
}

typedef struct {
  double p, win, loss; /* what one quantile more would save, what one less would cost */
  uint32_t weight, index;
} share;

size_t acc_perfect_scratch(size_t n) { return 2 * n * sizeof(share); } /* of the spare half, the trees take a half */

static double win_of(const share *s) { return s->p * acc_log1p(1. / s->weight); }

static double loss_of(const share *s) { return s->weight == 1 ? HUGE_VAL : -s->p * acc_log1p(-1. / s->weight); }

/* Largest win first, others as they are: runs by insertion, then merged from one array to the other and back. */
static void sort_by_win(share *s, share *spare, size_t n) {
  enum { RUN = 8 };
  share *from = s, *to = spare;
  for (size_t start = 0; start < n; start += RUN) {
    const size_t end = n - start < RUN ? n : start + RUN;
    for (size_t i = start + 1; i < end; i++) {
      const share one = s[i];
      size_t j = i;
      for (; j > start && one.win > s[j - 1].win; j--) s[j] = s[j - 1];
      s[j] = one;
    }
  }
  for (size_t run = RUN; run < n; run *= 2) {
    for (size_t start = 0; start < n; start += 2 * run) {
      const size_t middle = start + run < n ? start + run : n, end = start + 2 * run < n ? start + 2 * run : n;
      size_t i = start, j = middle;
      for (size_t k = start; k < end; k++)
        to[k] = i < middle && (j == end || !(from[j].win > from[i].win)) ? from[i++] : from[j++];
    }
    share *swap = from;
    from = to;
    to = swap;
  }
  if (from != s) memcpy(s, from, n * sizeof *s);
}

/* Who trades first: tournaments, in which a change is played again along one branch.  tree[1] is the winner, the leaves
 * are tree[n + i] = i. */
typedef struct {
  const share *s;
  uint32_t *tree, n;
  int sells;
} tournament;

/* Buyers: the last of the best wins.  Sellers: the first of the least losses. */
static inline uint32_t better(const tournament *t, uint32_t a, uint32_t b) {
  const share *x = &t->s[a], *y = &t->s[b];
  if (t->sells) return x->loss < y->loss || (x->loss == y->loss && a < b) ? a : b;
  return x->win > y->win || (x->win == y->win && a > b) ? a : b;
}

static inline void play(tournament *t, uint32_t i) {
  for (i = (t->n + i) / 2; i; i /= 2) t->tree[i] = better(t, t->tree[2 * i], t->tree[2 * i + 1]);
}

static void play_all(tournament *t) {
  for (uint32_t i = 0; i < t->n; i++) t->tree[t->n + i] = i;
  for (uint32_t i = t->n; --i;) t->tree[i] = better(t, t->tree[2 * i], t->tree[2 * i + 1]);
}

int acc_perfect(const void *row, size_t n, int f32, int precision, uint32_t *cdf, void *scratch) {
  const uint32_t total = 1u << precision;
  share *s = scratch;
  if (n < 2 || n > total) return ACC_E_COUNT;
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    s[i].p = f32 ? ((const float *)row)[i] : ((const double *)row)[i];
    if (!(s[i].p >= 0)) return ACC_E_PROBABILITY;
    sum += s[i].p;
  }
  if (!(sum >= DBL_MIN && sum <= DBL_MAX)) return ACC_E_SUM;
  uint32_t left = total - (uint32_t)n;
  const double scale = left / sum;
  if (!(scale <= DBL_MAX)) return ACC_E_SUM;
  for (size_t i = 0; i < n; i++) {
    const uint32_t part = acc_to_u32(s[i].p * scale);
    if (part > left) return ACC_E_MODEL;
    left -= part;
    s[i].weight = part + 1;
    s[i].index = (uint32_t)i;
    s[i].win = win_of(&s[i]);
    s[i].loss = loss_of(&s[i]);
  }
  while (left) {
    sort_by_win(s, s + n, n);
    const size_t batch = left < n ? left : n;
    for (size_t i = 0; i < batch; i++) {
      s[i].weight++;
      s[i].win = win_of(&s[i]);
      s[i].loss = loss_of(&s[i]);
    }
    left -= (uint32_t)batch;
  }
  tournament buyers = {s, (uint32_t *)(s + n), (uint32_t)n, 0}, sellers = {s, buyers.tree + 2 * n, (uint32_t)n, 1};
  play_all(&buyers); /* where the sort had its second array */
  play_all(&sellers);
  for (;;) {
    const uint32_t buyer = buyers.tree[1], seller = sellers.tree[1];
    if (buyer == seller || s[buyer].win <= s[seller].loss) break;
    s[seller].weight--;
    s[seller].win = -HUGE_VAL; /* who sold does not buy again, nor the other way round: this ends */
    s[seller].loss = loss_of(&s[seller]);
    s[buyer].weight++;
    s[buyer].loss = HUGE_VAL;
    s[buyer].win = win_of(&s[buyer]);
    play(&buyers, buyer);
    play(&buyers, seller);
    play(&sellers, buyer);
    play(&sellers, seller);
  }
  for (size_t i = 0; i < n; i++) cdf[s[i].index + 1] = s[i].weight;
  cdf[0] = 0;
  for (size_t i = 0; i < n; i++) cdf[i + 1] += cdf[i];
  return cdf[n] == total ? ACC_OK : ACC_E_MODEL;
}
