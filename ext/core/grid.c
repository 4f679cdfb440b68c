/* grid.c: affine lattices in data: is there one, which, and by which arithmetic were its values made?  A part of
 * the encoder (affine.c), which tests every value itself: what is said here is a proposal.
 *
 * Values of a lattice are told from others by what they do not do: two different ones never come nearer to
 * each other than its step.  Ordinary data is refuted by the first two values that share a cell of that
 * size, after a few dozen values.  Of what remains, the greatest common divisor of the gaps between
 * neighbours in a sorted sample is the step, and least squares make it precise.  Then the formula: unpacking
 * is two or three operations, whose roundings show in the last bits, so that only the arithmetic that made
 * the values gives all of them back.  Its parameters are few or can be listed: short decimals, the ends
 * of the range divided by 65535, and, for a step that is known to a few units in its last place, all
 * offsets by which a number of 16 bits can be shifted.
 *
 * Invariants: integers and IEEE + - * / only, so that every machine makes the same choice.
 */
#include "grid.h"

#include <string.h>

#include "decimal.h"

/* ---- is there one? ---- */
enum { CELLS = 512, FEW_PER = 96 };

/* Values of one number are not further apart. */
static int are_one(double a, double b, double rounding) { return fabs(a - b) <= 4 * rounding; }

int ac_grid_refuted(const double *x, uint32_t n, double least, double rounding) {
  struct {
    int64_t cell;
    double x;
  } seen[CELLS];
  const double inverse = 1 / least;
  const uint32_t few = n / FEW_PER; /* values that belong to nothing */
  uint32_t meetings = 0;
  for (unsigned i = 0; i < CELLS; i++) seen[i].cell = INT64_MIN;
  for (uint32_t i = 0; i < n; i++) {
    const double v = ac_rint(x[i] * inverse);
    if (!(fabs(v) <= 0x1p50)) continue;
    const int64_t cell = (int64_t)v;
    const unsigned slot = (unsigned)((uint64_t)cell * 0x9e3779b97f4a7c15u >> 55);
    if (seen[slot].cell == cell && !are_one(seen[slot].x, x[i], rounding) && ++meetings > few) return 1;
    seen[slot].cell = cell;
    seen[slot].x = x[i];
  }
  return 0;
}

static void sort(double *x, uint32_t n) { /* Shell sort with the gaps of M. Ciura, 2001 */
  static const uint16_t gaps[] = {701, 301, 132, 57, 23, 10, 4, 1};
  for (unsigned g = 0; g < sizeof gaps / sizeof *gaps; g++) {
    const uint32_t gap = gaps[g];
    for (uint32_t i = gap; i < n; i++) {
      const double v = x[i];
      uint32_t j = i;
      for (; j >= gap && x[j - gap] > v; j -= gap) x[j] = x[j - gap];
      x[j] = v;
    }
  }
}

/* Of distances and their remainders, in steps. */
#define NOISE 0.1          /* of one of two values */
#define ON_GRID 0.05
#define FAR_FROM_GRID 0.2
enum { FEWEST = 24, NEAR_GAPS = 32, MOST_ROUNDS = 24 };

static double common_divisor(double a, double b, double least) { /* a >= b */
  while (b > NOISE * a && a >= least) {
    const double r = fabs(a - ac_rint(a / b) * b);
    a = b;
    b = r;
  }
  return a;
}

/* The mean of the gaps of m values that are nearest to their multiple of `step`, of those up to `longest` steps. */
static double mean_step(const double *x, uint32_t m, double step, double longest) {
  double sum = 0, steps = 0;
  for (uint32_t i = 1; i < m; i++) {
    const double gap = x[i] - x[i - 1], k = ac_rint(gap / step);
    if (k > longest) continue;
    sum += gap;
    steps += k;
  }
  return steps < 1 ? step : sum / steps;
}

int ac_grid_find(double *x, uint32_t n, double least, double rounding, ac_grid *grid) {
  uint32_t m = 0;
  for (uint32_t i = 0; i < n; i++)
    if (fabs(x[i]) <= DBL_MAX) x[m++] = x[i];
  sort(x, m);
  n = m;
  m = 0;
  for (uint32_t i = 0; i < n; i++)
    if (!m || !are_one(x[i], x[m - 1], rounding)) x[m++] = x[i];
  if (m < FEWEST) return AC_GRID_UNCLEAR;
  double step = x[m - 1] - x[0];
  if (!(step <= DBL_MAX)) return AC_GRID_NONE;
  for (uint32_t i = 1; i < m; i++) step = x[i] - x[i - 1] < step ? x[i] - x[i - 1] : step;
  double sum = 0, count = 0; /* the smallest gaps are of so many steps each */
  for (uint32_t i = 1; i < m; i++)
    if (x[i] - x[i - 1] <= step + 4 * rounding) {
      sum += x[i] - x[i - 1];
      count++;
    }
  step = sum / count;
  /* the divisor of all gaps up to a few steps, again whenever it has become smaller */
  unsigned round = 0;
  for (double longest = 4; longest <= NEAR_GAPS; longest *= 2) {
    for (uint32_t i = 1; i < m; i++) {
      const double gap = x[i] - x[i - 1];
      if (gap > longest * step) continue;
      const double r = fabs(gap - ac_rint(gap / step) * step);
      if (r <= NOISE * step) continue;
      step = common_divisor(step, r, least);
      if (step < (1 - NOISE) * least || ++round > MOST_ROUNDS) return AC_GRID_NONE;
      i = 0;
      longest = 4;
    }
    step = mean_step(x, m, step, longest);
  }
  if (step < (1 - NOISE) * least) return AC_GRID_NONE;
  /* longer and longer gaps make it more precise */
  for (double longest = 2 * NEAR_GAPS; longest < 0x1p32; longest *= 8) step = mean_step(x, m, step, longest);
  double origin = x[m / 2];
  for (unsigned round = 0; round < 3; round++) {
    const double inverse = 1 / step;
    ac_grid_sums sums = {0, 0, 0, 0, 0};
    for (uint32_t i = 0; i < m; i++) {
      const double k = ac_rint((x[i] - origin) * inverse), r = x[i] - origin - k * step;
      if (!(fabs(r) > FAR_FROM_GRID * step)) ac_grid_add(&sums, k, r);
    }
    if (!ac_grid_solve(&sums, &origin, &step)) return AC_GRID_NONE;
  }
  if (!(step > least)) return AC_GRID_NONE;
  *grid = (ac_grid){step, origin};
  const double inverse = 1 / step;
  uint32_t on = 0;
  for (uint32_t i = 0; i < m; i++) on += ac_grid_distance(grid, inverse, x[i]) <= ON_GRID;
  return 16 * on >= 15 * m && (x[m - 1] - x[0]) * inverse < 0x1p29 ? AC_GRID_FOUND : AC_GRID_NONE;
}

/* ---- the formula ---- */
/* A sample with its numbers from the origin on. */
typedef struct {
  const ac_grid_sample *sample;
  int32_t k[AC_FIT_SAMPLE], first, last; /* and the least and the largest of them */
  double doubt;                          /* about how much the step may be off */
  ac_affine best;
  uint32_t hits;                         /* of the best: values that it gives bit for bit */
} search;

/* The step at v; INT32_MIN for what is far outside, as a fill value may be. */
static int32_t step_of(double v) {
  const double k = ac_rint(v);
  return fabs(k) <= INT32_MAX ? (int32_t)k : INT32_MIN;
}

static const ac_affine PLAIN = {0, 0, 1, 1, -0.0, 1};

/* Exact values of a lattice whose numbers are k. */
static uint32_t count_hits(const ac_grid_sample *p, const int32_t *k, const ac_affine *a) {
  double x[AC_FIT_SAMPLE];
  uint32_t hits = 0;
  if (p->size == 8) {
    ac_active_kernels()->affine(a, 8, k, p->n, x);
    for (uint32_t i = 0; i < p->n; i++) hits += x[i] == p->x[i];
  } else {
    float y[AC_FIT_SAMPLE];
    ac_active_kernels()->affine(a, 4, k, p->n, y);
    for (uint32_t i = 0; i < p->n; i++) hits += (double)y[i] == p->x[i];
  }
  return hits;
}

static void consider(search *s, ac_affine a) {
  if (!(fabs(a.scale) <= DBL_MAX) || !(fabs(a.offset) <= DBL_MAX) || a.scale == 0) return;
  if (a.offset == 0) a.offset = -0.0;
  const uint32_t hits = count_hits(s->sample, s->k, &a);
  if (hits <= s->hits) return;
  s->hits = hits;
  s->best = a;
}

/* Good enough to look no further. */
static int is_perfect(const search *s) { return s->hits + s->sample->n / 1024 >= s->sample->n; }

/* The decimal number with the fewest digits within `doubt` of v > 0, or v. */
static double shortest_decimal(double v, double doubt) {
  enum { MOST_DIGITS = 12 };
  int first = 0; /* v / 10^first lies in [1, 10) */
  if (!(v > 1e-30) || v > 1e9) return v;
  while (first < 9 && ac_decimal_scale((unsigned)first + 1) <= v) first++;
  if (!first)
    while (v * ac_decimal_scale((unsigned)-first) < 1) first--;
  for (int digits = 1; digits <= MOST_DIGITS; digits++) {
    const int places = digits - 1 - first;
    if (places < 0 || places > AC_MOST_PLACES) continue;
    const double p = ac_decimal_scale((unsigned)places), short_one = ac_rint(v * p) / p;
    if (fabs(short_one - v) <= doubt) return short_one;
  }
  return v;
}

/* Numbers with a scale only: k * scale, and k / divisor, which is how decimals are read. */
static void consider_without_offset(search *s) {
  const ac_grid *g = &s->sample->grid;
  const double zero = -g->origin / g->step, j = ac_rint(zero);
  if (fabs(zero - j) > ON_GRID || fabs(j) > 0x1p29) return;
  ac_affine a = PLAIN;
  a.base = -(int32_t)j;
  for (int single = 0; single < 2; single++) {
    const double doubt = 4 * s->doubt, divisor = ac_rint(1 / g->step);
    a.single = (uint8_t)single;
    if (divisor >= 2 && divisor < 0x1p24 && fabs(1 / divisor - g->step) <= doubt) {
      a.divisor = divisor;
      consider(s, a);
      a.divisor = 1;
    }
    for (unsigned places = 8; places <= AC_MOST_PLACES; places++) { /* of which the divisor may have no 24 bits, nor even be exact */
      const double power = ac_decimal_scale(places);
      if (!(fabs(1 / power - g->step) <= doubt) || (single && power > FLT_MAX)) continue;
      a.divisor = single ? (double)(float)power : power;
      consider(s, a);
      a.divisor = 1;
    }
    a.scale = shortest_decimal(g->step, doubt);
    if (single) a.scale = (double)(float)a.scale;
    consider(s, a);
    a.scale = 1;
  }
}

/* Float32 values that were computed in double: a line that passes through the bin of every one.  Parameters
 * near enough give nearly all of them; what is off moves the line (S. Agmon, 1954). */
enum { PASSES = 100, PATIENCE = 5 };
static void consider_fitted(search *s) {
  const ac_grid_sample *p = s->sample;
  ac_affine a = PLAIN;
  a.scale = p->grid.step;
  a.offset = p->grid.origin;
  const double middle = 0.5 * ((double)s->first + s->last), half = 0.5 * ((double)s->last - s->first) + 1;
  uint32_t off_before = 2 * p->n;
  double slope = a.scale, height = a.offset + middle * slope;
  for (unsigned pass = 0; pass < PASSES; pass++) {
    uint32_t off = 0;
    for (uint32_t i = 0; i < p->n; i++) {
      const double t = s->k[i] - middle, r = p->x[i] - (height + t * slope);
      const uint32_t bits = ac_bits_of_float((float)p->x[i]) & 0x7fffffff;
      /* half a unit in the last place, and a little less to be on the safe side */
      const double bin = ((double)ac_float_of_bits(bits + 1) - (double)ac_float_of_bits(bits)) * (0.5 - 0x1p-20);
      if (fabs(r) <= bin) continue;
      const double u = t / half, excess = (r > 0 ? r - bin : r + bin) / (1 + u * u);
      height += excess;
      slope += excess * u / half;
      off++;
    }
    if (!off) break;
    if (pass % PATIENCE != 0) continue;
    if (8 * off > 7 * off_before) break; /* made by other arithmetic */
    off_before = off;
  }
  consider(s, a);
  a.scale = slope;
  a.offset = height - middle * slope;
  consider(s, a);
  /* what stands in a file is often a float32 or a short decimal */
  const double doubt = 2 * s->doubt;
  for (int i = 0; i < 2; i++) {
    a.scale = i ? shortest_decimal(slope, doubt) : (double)(float)slope;
    a.offset = height - middle * a.scale;
    consider(s, a);
  }
}

/* Values of which no formula gives all: decimals or what least squares have, so that they are off by little. */
static void consider_line(search *s) {
  const ac_grid *g = &s->sample->grid;
  const double doubt = 4 * s->doubt, doubt_of_origin = doubt * ((double)s->last - s->first);
  const double size = shortest_decimal(fabs(g->origin), doubt_of_origin), origin = g->origin < 0 ? -size : size;
  ac_affine a = PLAIN;
  for (int i = 0; i < 4; i++) {
    a.scale = i & 1 ? g->step : shortest_decimal(g->step, doubt);
    a.offset = i & 2 ? g->origin : origin;
    consider(s, a);
  }
}

/* (k / n) * range + least, n being that of the ends of the range. */
static void consider_range(search *s, int single) {
  static const double levels[] = {65535, 65534, 255, 254, 32767};
  const ac_grid_sample *p = s->sample;
  const double inverse = 1 / p->grid.step;
  for (unsigned which = 0; which < 4; which++) {
    const double least = p->least[which & 1], most = p->most[which >> 1], steps = (most - least) * inverse;
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++) {
      if (fabs(steps - levels[i]) > 0.5) continue;
      ac_affine a = PLAIN;
      a.single = (uint8_t)single;
      a.divisor = levels[i];
      a.offset = least;
      a.base = (int32_t)(0u - (uint32_t)step_of((least - p->grid.origin) * inverse));
      const double range = single ? (double)((float)most - (float)least) : most - least;
      a.scale = range;
      consider(s, a);
      for (int up = 0; up < 2; up++) { /* what was rounded to become the largest */
        a.scale = single ? (double)nextafterf((float)range, up ? FLT_MAX : 0) : nextafter(range, up ? DBL_MAX : 0);
        consider(s, a);
      }
    }
  }
}

/* All shifts j of the numbers for which k + j has 16 bits: p = (k + j) / divisor * scale is then known, and so is the
 * offset of the value next to 0, but for its last bit; a few other values tell.  Of those that they do not tell
 * apart (the sums of a lattice may all be exact), not all are tried. */
enum { WITNESSES = 48, MOST_FALSE = 2, MOST_TRIED = 1024 };
#define DEFINE_SHIFTED(T, NAME, NEXT, LARGEST)                                                                \
  static int NAME(search *s, T divisor, T scale, int64_t from, int64_t to, uint32_t smallest) {                 \
    const ac_grid_sample *p = s->sample;                                                                       \
    const T x = (T)p->x[smallest];                                                                             \
    unsigned tried = 0;                                                                                        \
    const int64_t middle = -((int64_t)s->first + s->last) / 2; /* numbers about 0 first */                       \
    const int64_t furthest = middle - from > to - middle ? middle - from : to - middle;                        \
    for (int64_t t = 0; t <= 2 * furthest; t++) {                                                              \
      const int64_t j = t & 1 ? middle + (t + 1) / 2 : middle - t / 2;                                         \
      if (j < from || j > to) continue;                                                                        \
      const T product = divisor == 1 ? (T)(s->k[smallest] + j) * scale : (T)(s->k[smallest] + j) / divisor * scale; \
      const T offset = x - product;                                                                            \
      for (int e = 0; e < 3; e++) {                                                                            \
        const T o = e == 0 ? offset : NEXT(offset, e == 1 ? LARGEST : -LARGEST);                               \
        unsigned wrong = 0;                                                                                    \
        for (uint32_t i = 0; i < WITNESSES && wrong <= MOST_FALSE; i++) {                                      \
          const T k = (T)(s->k[i] + j), y = (divisor == 1 ? k * scale : k / divisor * scale) + o;              \
          wrong += y != (T)p->x[i];                                                                            \
        }                                                                                                      \
        if (wrong > MOST_FALSE) continue;                                                                      \
        ac_affine a = PLAIN;                                                                                   \
        a.single = sizeof(T) == 4;                                                                             \
        a.base = (int32_t)j;                                                                                   \
        a.divisor = divisor;                                                                                   \
        a.scale = scale;                                                                                       \
        a.offset = o;                                                                                          \
        consider(s, a);                                                                                        \
        if (s->hits == p->n || ++tried == MOST_TRIED) return 1;                                                \
      }                                                                                                        \
    }                                                                                                          \
    return 0;                                                                                                  \
  }
DEFINE_SHIFTED(float, shifted_f32, nextafterf, FLT_MAX)
DEFINE_SHIFTED(double, shifted_f64, nextafter, DBL_MAX)

/* Steps to be tried: the decimal, then numbers of the type around the measured one, as many as the effort allows and
 * the doubt needs. */
static void consider_shifted(search *s, int single, double divisor, unsigned effort) {
  const ac_grid_sample *p = s->sample;
  if (p->n < WITNESSES) return;
  uint32_t smallest = 0;
  for (uint32_t i = 1; i < p->n; i++)
    if (fabs(p->x[i]) < fabs(p->x[smallest])) smallest = i;
  const int64_t from = (divisor == 1 ? -32768 : 0) - (int64_t)s->first;
  const int64_t to = (divisor == 1 ? 65535 : (int64_t)divisor) - (int64_t)s->last;
  const double doubt = 2 * s->doubt * divisor, wanted = p->grid.step * divisor;
  const int most = effort >= 7 ? 4 : 1;
  double decimal = divisor == 1 ? shortest_decimal(wanted, doubt) : wanted;
  if (single) decimal = (double)(float)decimal;
  for (int i = 0; i <= 2 * most + 1; i++) {
    double scale = i ? (single ? (double)(float)wanted : wanted) : decimal;
    for (int e = 0; e < i / 2; e++)
      scale = single ? (double)nextafterf((float)scale, i & 1 ? FLT_MAX : 0) : nextafter(scale, i & 1 ? DBL_MAX : 0);
    if (i && (fabs(scale - wanted) > (i > 1 ? doubt : 2 * wanted) || scale == decimal)) continue;
    if (!(scale > (single ? (double)FLT_MIN : DBL_MIN) && scale < (single ? (double)FLT_MAX : DBL_MAX))) continue;
    const int found = single ? shifted_f32(s, (float)divisor, (float)scale, from, to, smallest)
                             : shifted_f64(s, divisor, scale, from, to, smallest);
    if (found) return;
  }
}

uint32_t ac_grid_formula(const ac_grid_sample *p, unsigned effort, ac_affine *lattice) {
  search s = {.sample = p, .best = PLAIN, .first = INT32_MAX, .last = INT32_MIN};
  const double inverse = 1 / p->grid.step;
  int all_single = 1;
  for (uint32_t i = 0; i < p->n; i++) {
    s.k[i] = step_of((p->x[i] - p->grid.origin) * inverse);
    s.first = s.k[i] < s.first ? s.k[i] : s.first;
    s.last = s.k[i] > s.last ? s.k[i] : s.last;
    all_single &= fabs(p->x[i]) <= FLT_MAX && (double)(float)p->x[i] == p->x[i];
  }
  if (s.last == s.first) return 0;
  const double largest = fabs(p->least[1]) > fabs(p->most[1]) ? fabs(p->least[1]) : fabs(p->most[1]);
  s.doubt = largest * (all_single ? 0x1p-23 : 0x1p-52) / ((double)s.last - s.first);
  consider_without_offset(&s);
  if (all_single && !is_perfect(&s)) consider_range(&s, 1);
  if (p->size == 8 && !is_perfect(&s)) consider_range(&s, 0);
  if (p->size == 4 && !is_perfect(&s)) consider_fitted(&s);
  /* numbers of 16 bits may be shifted by anything */
  if (effort >= AC_DEFAULT_LEVEL && !is_perfect(&s) && (double)s.last - s.first <= 65535) {
    if (all_single) consider_shifted(&s, 1, 1, effort);
    if (p->size == 8 && !is_perfect(&s)) consider_shifted(&s, 0, 1, effort);
    if (effort >= 7 && all_single && !is_perfect(&s)) consider_shifted(&s, 1, 65535, effort);
    if (effort >= 7 && p->size == 8 && !is_perfect(&s)) consider_shifted(&s, 0, 65535, effort);
  }
  if (p->size == 8 && !is_perfect(&s)) consider_line(&s);
  *lattice = s.best;
  return s.hits;
}
