/* families.c: entropy models whose parameters may change with each symbol.
 *
 * A distribution on the reals is quantized to the integers of its support: symbol s has the mass of
 * s - 1/2 .. s + 1/2, rounded down, and one quantile for certain; tails go to the ends of the support.  Left ends are
 * increasing for as long as the distribution is, and a quantile is found by a search that starts at a guess: the
 * guess costs time where it is wrong, but nothing depends on it.
 *
 * Invariants: slots are those of constriction 0.5, bit for bit, from arithmetic in one order and functions of
 * portable_math.c.  Slots that are handed out are not empty; parameters are checked each time.
 * First stage of encoding, and in the loop of decoding, when models differ; table.c is for when they do not.
 */
#include <math.h>
#include <string.h>

#include "coders.h"
#include "portable_math.h"
#include "quantize.h"

uint32_t acc_leaky(double cumulated, int precision, int32_t min, int32_t max, int64_t symbol) {
  const double spare = (double)((1 << precision) - 1 - ((int64_t)max - min));
  return acc_to_u32(spare * cumulated) + (uint32_t)(symbol - min);
}

static inline double cumulated(int kind, double a, double b, double x) {
  if (kind == ACC_GAUSSIAN) return (1 + acc_erf((x - a) / (b * 1.4142135623730951))) / 2;
  if (kind == ACC_LAPLACE) return x <= a ? 0.5 * acc_exp((x - a) / b) : 1 - 0.5 * acc_exp(-(x - a) / b);
  return 0.31830988618379067 * acc_atan((x - a) / b) + 0.5;
}

typedef struct {
  const acc_family *family;
  double a, b, spare;
} reals;

static inline int open_reals(const acc_family *f, size_t i, reals *r) {
  r->family = f;
  r->a = f->a[i * f->a_step];
  r->b = f->b[i * f->b_step];
  r->spare = (double)((1 << f->precision) - 1 - ((int64_t)f->max - f->min));
  if (!(r->spare >= 0)) return ACC_E_COUNT;
  if (!(fabs(r->a) < HUGE_VAL)) return ACC_E_LOCATION;
  return r->b > 0 && r->b < HUGE_VAL ? ACC_OK : ACC_E_SCALE;
}

static inline uint32_t left_of_reals(const reals *r, int64_t s) {
  const acc_family *f = r->family;
  if (s <= f->min) return 0;
  if (s > f->max) return 1u << f->precision;
  return acc_to_u32(r->spare * cumulated(f->kind, r->a, r->b, (double)s - 0.5)) + (uint32_t)(s - f->min);
}

static int call_left_of_reals(void *context, int64_t s, uint32_t *left) {
  *left = left_of_reals(context, s);
  return ACC_OK;
}

static inline double guess_real(const reals *r, uint32_t quantile) {
  const double p = (quantile + 0.5) / (double)(1 << r->family->precision);
  if (r->family->kind == ACC_GAUSSIAN) return r->a + r->b * acc_guess_gaussian(p);
  if (r->family->kind == ACC_LAPLACE)
    return p > 0.5 ? r->a - r->b * acc_guess_log(2 - 2 * p) : r->a + r->b * acc_guess_log(2 * p);
  return r->a + r->b * acc_guess_cauchy(p);
}

static inline __attribute__((always_inline)) int search(acc_left left, void *context, int precision, int64_t min,
                                                        int64_t max, double guess, uint32_t quantile, int32_t *symbol,
                                                        acc_slot *slot) {
  const uint32_t total = 1u << precision;
  const double nearest = floor(guess + 0.5);
  int64_t lo = min, hi = max + 1; /* left(lo) <= quantile < left(hi) */
  uint32_t at_lo = 0, at_hi = total, at;
  /* one that is not a number compares as below */
  int64_t s = nearest > (double)min ? nearest < (double)max ? (int64_t)nearest : max : min;
  int known_lo = s == min, known_hi = 0;
  for (uint64_t step = 0; hi - lo > 1 || !known_lo; step = step ? 2 * step : 1) {
    if (s > min) {
      const int status = left(context, s, &at);
      if (status != ACC_OK) return status;
    } else {
      at = 0;
    }
    if (at <= quantile) {
      lo = s;
      at_lo = at;
      known_lo = 1;
    } else {
      hi = s;
      at_hi = at;
      known_hi = 1;
    }
    if (hi - lo <= 1) break;
    if (known_lo && known_hi) { /* bisect */
      s = lo + (hi - lo) / 2;
    } else if (known_lo) { /* neighbours first, then further and further away */
      const uint64_t d = step ? step : 1;
      s = d < (uint64_t)(hi - lo) ? lo + (int64_t)d : hi - 1;
    } else {
      const uint64_t d = step ? step : 1;
      s = d < (uint64_t)(hi - lo) ? hi - (int64_t)d : lo;
    }
  }
  *symbol = (int32_t)lo;
  slot->left = at_lo;
  slot->size = at_hi - at_lo;
  return at_lo < at_hi && at_hi <= total ? ACC_OK : ACC_E_MODEL;
}

int acc_search(acc_left left, void *context, int precision, int32_t min, int32_t max, double guess, uint32_t quantile,
               int32_t *symbol, acc_slot *slot) {
  return search(left, context, precision, min, max, guess, quantile, symbol, slot);
}

static inline int find_real(const acc_family *f, size_t i, uint32_t quantile, int32_t *symbol, acc_slot *slot) {
  reals r;
  const int status = open_reals(f, i, &r);
  if (status != ACC_OK) return status;
  return search(call_left_of_reals, &r, f->precision, f->min, f->max, guess_real(&r, quantile), quantile, symbol, slot);
}

/* Slot from the two ends.  Rounding may push the last symbols past 2^P, if their probabilities are next to nothing;
 * the one before takes what there is. */
static inline int slot_between(uint32_t left, uint32_t right, uint32_t total, acc_slot *slot) {
  if (right > total) right = total;
  slot->left = left;
  slot->size = right - left;
  return left < right ? ACC_OK : ACC_E_MODEL;
}

static int slot_of_real(const acc_family *f, size_t i, int32_t s, acc_slot *slot) {
  reals r;
  const int status = open_reals(f, i, &r);
  if (status != ACC_OK) return status;
  if (s < f->min || s > f->max) return ACC_E_SYMBOL;
  return slot_between(left_of_reals(&r, s), left_of_reals(&r, (int64_t)s + 1), 1u << f->precision, slot);
}

/* --- Uniform --- */

static inline int open_uniform(const acc_family *f, size_t i, uint32_t *size, uint32_t *each) {
  const int32_t n = f->sizes[i * f->sizes_step];
  if (n < 2 || n > 1 << f->precision) return ACC_E_COUNT;
  *size = (uint32_t)n;
  *each = (1u << f->precision) / *size;
  return ACC_OK;
}

static inline void slot_in_uniform(const acc_family *f, uint32_t s, uint32_t size, uint32_t each, acc_slot *slot) {
  slot->left = s * each;
  slot->size = s + 1 < size ? each : (1u << f->precision) - slot->left; /* the last takes what division leaves */
}

static inline int slot_of_uniform(const acc_family *f, size_t i, int32_t s, acc_slot *slot) {
  uint32_t size, each;
  const int status = open_uniform(f, i, &size, &each);
  if (status != ACC_OK) return status;
  if (s < 0 || (uint32_t)s >= size) return ACC_E_SYMBOL;
  slot_in_uniform(f, (uint32_t)s, size, each, slot);
  return ACC_OK;
}

/* --- Bernoulli --- */

static int open_bernoulli(const acc_family *f, size_t i, uint32_t *middle) {
  const double p = f->a[i * f->a_step];
  const double row[2] = {1 - p, p};
  if (!(p >= 0 && p <= 1)) return ACC_E_PROBABILITY;
  if (f->perfect) {
    uint32_t cdf[3];
    double scratch[2 * 2 * 4 + 8]; /* of shares: quantize.c */
    const int status = acc_perfect(row, 2, 0, f->precision, cdf, scratch);
    *middle = cdf[1];
    return status;
  }
  double left[2], scale;
  const int status = acc_cumulate(row, 2, 0, f->precision, left, &scale);
  *middle = status == ACC_OK ? acc_left_end(left, 1, 0, scale) : 0;
  return status;
}

/* --- Categorical --- */

size_t acc_scratch_size(const acc_family *f) {
  if (f->kind != ACC_CATEGORICAL) return 0;
  const size_t n = f->width;
  return f->perfect ? (n + 1) * sizeof(double) + acc_perfect_scratch(n) : 4 * n * (sizeof(double) + sizeof(int32_t));
}

/* Fast rows are quantized four at a time; `ends`: all of them, as decoding needs.  The scratch has the sums of four
 * rows, then their ends. */
static void load_four(acc_family *f, size_t i, int ends) {
  const size_t n = f->width, first = i & ~(size_t)3, size = f->f32 ? sizeof(float) : sizeof(double);
  const void *rows[4];
  int32_t *end = (int32_t *)((double *)f->scratch + 4 * n);
  for (size_t r = 0; r < 4; r++) {
    const size_t row = first + r < f->count ? first + r : f->count - 1;
    rows[r] = (const char *)f->rows + row * n * size;
  }
  acc_cumulate_four(rows, n, f->f32, f->precision, f->scratch, f->scale, f->status);
  for (size_t r = 0; r < 4 && ends; r++)
    if (f->status[r] == ACC_OK)
      acc_left_ends((const char *)f->scratch + r * n * size, n, f->f32, f->scale[r], end + r * n);
  f->cached = first + 1;
}

/* The last whose left end is not above the quantile: halves down to a few, and those counted without a branch. */
static inline int find_fast(acc_family *f, size_t i, uint32_t quantile, int32_t *symbol, acc_slot *slot) {
  if (f->cached != (i & ~(size_t)3) + 1) load_four(f, i, 1);
  const size_t r = i & 3, n = f->width;
  if (f->status[r] != ACC_OK) return f->status[r];
  const int32_t *ends = (const int32_t *)((const double *)f->scratch + 4 * n) + r * n, q = (int32_t)quantile;
  size_t lo = 0, len = n;
  while (len > 128) {
    const size_t half = len / 2;
    lo = ends[lo + half] <= q ? lo + half : lo;
    len -= half;
  }
  uint32_t below = 0;
  for (size_t s = 0; s < len; s++) below += ends[lo + s] <= q;
  const size_t s = lo + below - 1;
  const uint32_t total = 1u << f->precision, left = (uint32_t)ends[s];
  uint32_t right = s + 1 < n ? (uint32_t)ends[s + 1] : total;
  if (right > total) right = total;
  *symbol = (int32_t)s;
  *slot = (acc_slot){left, right - left};
  return left < right ? ACC_OK : ACC_E_MODEL;
}

typedef struct {
  const uint32_t *cdf; /* perfect */
  const void *left;    /* fast */
  double scale;
  int f32;
  uint32_t n, total;
} row_model;

static int open_row(const acc_family *f, size_t i, row_model *m) {
  const char *row = (const char *)f->rows + i * f->row_step * f->width * (f->f32 ? sizeof(float) : sizeof(double));
  m->f32 = f->f32;
  m->n = (uint32_t)f->width;
  m->total = 1u << f->precision;
  if (f->width > m->total) return ACC_E_COUNT;
  m->cdf = NULL;
  m->left = f->scratch;
  if (!f->perfect) return acc_cumulate(row, f->width, f->f32, f->precision, f->scratch, &m->scale);
  m->cdf = f->scratch;
  return acc_perfect(row, f->width, f->f32, f->precision, f->scratch, (double *)f->scratch + f->width + 1);
}

static inline uint32_t left_in_row(const row_model *m, uint32_t s) {
  if (s == m->n) return m->total;
  return m->cdf ? m->cdf[s] : acc_left_end(m->left, s, m->f32, m->scale);
}

static int slot_in_row(const row_model *m, int32_t s, acc_slot *slot) {
  if (s < 0 || (uint32_t)s >= m->n) return ACC_E_SYMBOL;
  return slot_between(left_in_row(m, (uint32_t)s), left_in_row(m, (uint32_t)s + 1), m->total, slot);
}

static int find_in_row(const row_model *m, uint32_t quantile, int32_t *symbol, acc_slot *slot) {
  uint32_t lo = 0, hi = m->n;
  while (hi - lo > 1) {
    const uint32_t middle = lo + (hi - lo) / 2;
    if (left_in_row(m, middle) <= quantile)
      lo = middle;
    else
      hi = middle;
  }
  *symbol = (int32_t)lo;
  return slot_in_row(m, (int32_t)lo, slot);
}

/* --- All of them --- */

static int slot_in_family(const acc_family *f, size_t i, int32_t symbol, acc_slot *slot) {
  uint32_t size;
  row_model m;
  int status;
  switch (f->kind) {
    case ACC_CATEGORICAL:
      status = open_row(f, i, &m);
      return status == ACC_OK ? slot_in_row(&m, symbol, slot) : status;
    case ACC_BERNOULLI:
      status = open_bernoulli(f, i, &size);
      if (status != ACC_OK) return status;
      if (symbol < 0 || symbol > 1) return ACC_E_SYMBOL;
      return symbol ? slot_between(size, 1u << f->precision, 1u << f->precision, slot)
                    : slot_between(0, size, 1u << f->precision, slot);
    case ACC_UNIFORM:
      return slot_of_uniform(f, i, symbol, slot);
    default:
      return slot_of_real(f, i, symbol, slot);
  }
}

static int find_in_family(acc_family *f, size_t i, uint32_t quantile, int32_t *symbol, acc_slot *slot) {
  uint32_t size, each;
  row_model m;
  int status;
  switch (f->kind) {
    case ACC_CATEGORICAL:
      if (!f->perfect) return find_fast(f, i, quantile, symbol, slot);
      status = open_row(f, i, &m);
      return status == ACC_OK ? find_in_row(&m, quantile, symbol, slot) : status;
    case ACC_BERNOULLI:
      status = open_bernoulli(f, i, &size);
      if (status != ACC_OK) return status;
      *symbol = quantile >= size;
      return *symbol ? slot_between(size, 1u << f->precision, 1u << f->precision, slot)
                     : slot_between(0, size, 1u << f->precision, slot);
    case ACC_UNIFORM:
      status = open_uniform(f, i, &size, &each);
      if (status != ACC_OK) return status;
      each = quantile / each;
      if (each >= size) each = size - 1;
      *symbol = (int32_t)each;
      slot_in_uniform(f, each, size, (1u << f->precision) / size, slot);
      return ACC_OK;
    default:
      return find_real(f, i, quantile, symbol, slot);
  }
}

int acc_find_in_family(void *context, size_t i, uint32_t quantile, int32_t *symbol, acc_slot *slot) {
  return find_in_family(context, i, quantile, symbol, slot);
}

static inline int slot_in_fast(acc_family *f, size_t i, int32_t s, acc_slot *slot) {
  if (f->cached != (i & ~(size_t)3) + 1) load_four(f, i, 0);
  const size_t r = i & 3, n = f->width;
  if (f->status[r] != ACC_OK) return f->status[r];
  if (s < 0 || (size_t)s >= n) return ACC_E_SYMBOL;
  const void *sums = (const char *)f->scratch + r * n * (f->f32 ? sizeof(float) : sizeof(double));
  const uint32_t total = 1u << f->precision, left = acc_left_end(sums, (size_t)s, f->f32, f->scale[r]);
  const uint32_t right = (size_t)s + 1 < n ? acc_left_end(sums, (size_t)s + 1, f->f32, f->scale[r]) : total;
  return slot_between(left, right, total, slot);
}

int acc_family_slots(acc_family *f, const int32_t *symbols, size_t n, acc_slot *slots, size_t *bad) {
  const int fast = f->kind == ACC_CATEGORICAL && !f->perfect, uniform = f->kind == ACC_UNIFORM;
  for (size_t i = 0; i < n; i++) {
    const int32_t s = __atomic_load_n(&symbols[i], __ATOMIC_RELAXED); /* once: words.h */
    const int status = uniform ? slot_of_uniform(f, i, s, &slots[i])
                       : fast  ? slot_in_fast(f, i, s, &slots[i])
                               : slot_in_family(f, i, s, &slots[i]);
    if (status != ACC_OK) {
      *bad = i;
      return status;
    }
  }
  return ACC_OK;
}

int acc_family_size(const acc_family *f, size_t *n) {
  uint32_t size, each;
  int status = ACC_OK;
  switch (f->kind) {
    case ACC_CATEGORICAL:
    case ACC_FREQUENCIES:
      *n = f->width;
      if (*n > 1u << f->precision) return ACC_E_COUNT;
      break;
    case ACC_BERNOULLI:
      *n = 2;
      break;
    case ACC_UNIFORM:
      status = open_uniform(f, 0, &size, &each);
      *n = status == ACC_OK ? size : 0;
      break;
    default:
      *n = (size_t)((int64_t)f->max - f->min) + 1;
      if (*n > 1u << f->precision) status = ACC_E_COUNT;
  }
  return status;
}

int acc_family_cdf(const acc_family *f, uint32_t *cdf, size_t n) {
  int status = ACC_OK;
  cdf[n] = 1u << f->precision;
  if (f->kind == ACC_FREQUENCIES) {
    uint64_t sum = 0;
    for (size_t s = 0; s < n; s++) {
      cdf[s] = (uint32_t)sum;
      sum += (uint32_t)f->sizes[s];
    }
    return sum == cdf[n] ? ACC_OK : ACC_E_SUM;
  }
  if (f->kind == ACC_CATEGORICAL) {
    row_model m;
    status = open_row(f, 0, &m);
    for (size_t s = 0; s < n && status == ACC_OK; s++) cdf[s] = left_in_row(&m, (uint32_t)s);
  } else if (f->kind == ACC_BERNOULLI) {
    cdf[0] = 0;
    status = open_bernoulli(f, 0, &cdf[1]);
  } else if (f->kind == ACC_UNIFORM) {
    uint32_t size, each;
    status = open_uniform(f, 0, &size, &each);
    for (size_t s = 0; s < n && status == ACC_OK; s++) cdf[s] = (uint32_t)s * each;
  } else {
    reals r;
    status = open_reals(f, 0, &r);
    for (size_t s = 0; s < n && status == ACC_OK; s++) cdf[s] = left_of_reals(&r, f->min + (int64_t)s);
  }
  return status;
}
