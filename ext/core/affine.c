/* affine.c: blocks of mode "affine": floats that were made of integers by a multiplication and an addition, coded
 * as these integers.  Between the windows section, which codes them, and the block; grid.c finds the
 * lattices.
 *
 *   lattices | the lattice of every 64 values | windows section
 *
 * Invariant (docs/guarantee.md, no drift): a value on a lattice that was found comes back bit for bit, or else it
 * is refused; only on the uniform lattice, which the chunk's tolerance alone fixes, may values lose anything.
 * So a lattice taken from a block's contents moves nothing, whatever is found when the chunk is
 * rewritten.
 */
#include "affine.h"

#include "../arraycodec.h"
#include "fine.h"
#include "grid.h"
#include "sequence.h"

enum { UNIT = 64, MAX_UNITS = AC_MAX_BLOCK / UNIT }; /* values of one lattice */

/* The byte in front: number of lattices, how their sequence is coded, and whether the uniform one is not among them. */
enum { NUMBER = 15, METHOD_SHIFT = 4, METHOD = 3, NO_UNIFORM = 1 << 6, RESERVED = 1 << 7 };

/* The byte of a formula. */
enum { SINGLE = 1, DIVISOR = 2, SCALE = 4, OFFSET = 8, FACTOR = 16, RESERVED_FORMULA = 0xe0 };

int ac_affine_permitted(const ac_scale *scale) {
  return scale->type->kind == AC_KIND_FLOAT && scale->type->size >= 4 && !scale->relative;
}

/* (type)((double)R * delta) is a formula too. */
static ac_affine uniform_lattice(const ac_scale *scale) {
  return (ac_affine){0, 0, 1, scale->lattice.delta, -0.0, 1};
}

/* ---- decode ---- */
typedef struct {
  ac_affine lattices[1 + AC_MAX_AFFINE];
  unsigned number; /* that a value can lie on */
  uint8_t of_unit[MAX_UNITS];
} contents;

static double read_parameter(ac_reader *in, int single) {
  const double v = single ? (double)ac_read_f32(in) : ac_read_f64(in);
  if (!in->failed && (!(fabs(v) <= DBL_MAX) || v == 0)) in->failed = AC_E_FORMAT;
  return v;
}

void ac_affine_read_lattice(ac_reader *in, ac_affine *l) {
  const uint8_t formula = ac_read8(in);
  *l = (ac_affine){formula & SINGLE, 0, 1, 1, -0.0, 1};
  if (formula & RESERVED_FORMULA && !in->failed) in->failed = AC_E_FORMAT;
  if (formula & DIVISOR) l->divisor = read_parameter(in, l->single);
  if (formula & SCALE) l->scale = read_parameter(in, l->single);
  if (formula & OFFSET) l->offset = read_parameter(in, l->single);
  if (formula & FACTOR) l->factor = read_parameter(in, l->single);
  const int64_t base = ac_unzigzag(ac_read_varint(in));
  if (!in->failed && (base < INT32_MIN || base > INT32_MAX)) in->failed = AC_E_FORMAT;
  l->base = (int32_t)base;
}

/* All but the section. */
static int read_contents(ac_reader *in, const ac_scale *scale, uint32_t n, contents *c) {
  const uint8_t head = ac_read8(in);
  const unsigned listed = head & NUMBER, method = head >> METHOD_SHIFT & METHOD, uniform = !(head & NO_UNIFORM);
  if (in->failed) return in->failed;
  if (head & RESERVED || !listed || (uniform && scale->lattice.delta == 0)) return AC_E_FORMAT;
  c->number = listed + uniform;
  if (c->number == 1 && method) return AC_E_FORMAT;
  if (uniform) c->lattices[0] = uniform_lattice(scale);
  for (unsigned i = uniform; i < c->number; i++) ac_affine_read_lattice(in, &c->lattices[i]);
  if (in->failed) return in->failed;
  if (c->number > 1) ac_sequence_read(in, method, c->of_unit, ac_groups(n, UNIT), c->number);
  else memset(c->of_unit, 0, ac_groups(n, UNIT));
  return in->failed;
}

int ac_affine_read(ac_reader *in, const ac_scale *scale, uint32_t n, ac_decode_scratch *s, uint8_t *dst) {
  const unsigned size = scale->type->size;
  contents c;
  ac_section section;
  int error = read_contents(in, scale, n, &c);
  if (!error) error = ac_section_read(in, n, &section);
  if (!error) error = ac_section_decode(&section, AC_OUT_I32, 0, s->tables, s->watch, s->high);
  if (error) return error;
  const uint32_t units = ac_groups(n, UNIT);
  for (uint32_t u = 0, end; u < units; u = end) {
    for (end = u + 1; end < units && c.of_unit[end] == c.of_unit[u]; end++) {}
    const uint32_t from = u * UNIT, to = end < units ? end * UNIT : n;
    ac_active_kernels()->affine(&c.lattices[c.of_unit[u]], size, s->high + from, to - from, dst + (size_t)from * size);
  }
  ac_lap(s->watch, AC_STAGE_DECODE);
  return ac_section_finish(&section, scale->type->dtype, size, 0, 0, dst);
}

int ac_affine_inspect(ac_reader *in, const ac_scale *scale, uint32_t n, ac_section *section) {
  contents c;
  const int error = read_contents(in, scale, n, &c);
  return error ? error : ac_section_read(in, n, section);
}

/* ---- encode: which lattices ---- */
/* A lattice that was found: x has the number rint((x - origin) / step) + shift, which is about x / step as on the
 * uniform lattice, so that values of several lattices fit the same windows. */
typedef struct {
  ac_grid grid;
  ac_affine formula;
  int32_t shift;
} found;

typedef struct {
  const ac_scale *scale;
  const uint8_t *values;
  uint32_t n, units;
  unsigned size, level;
  double least; /* no step may be smaller */
  int adjusts;  /* values that are off their lattice by a few units in the last place are as good as others */
  unsigned n_found;
  found found[AC_MAX_AFFINE];
  uint8_t of_unit[MAX_UNITS]; /* 0: none; else 1 more than its number */
} finder;

enum { NO_DETECTION = 1, THOROUGH = 7 }; /* levels up to and from which */
enum { WINDOW = AC_GRID_SAMPLE, MOST_APART = 6 * WINDOW }; /* values; between windows, where nothing is found */
enum { PEEK = 256, PEEK_TO_FIND = 512, PEEKS = 4, LEAST_VALUES = PEEK };

/* Values from one on, as doubles. */
static void load(const finder *f, uint32_t from, uint32_t n, double *x) {
  if (f->size == 8) {
    memcpy(x, f->values + (size_t)from * 8, n * sizeof *x);
    return;
  }
  const uint8_t *p = f->values + (size_t)from * 4;
  for (uint32_t i = 0; i < n; i++, p += 4) x[i] = (double)ac_float_of_bits(ac_load32(p));
}

static uint32_t unit_values(const finder *f, uint32_t u) { return f->n - u * UNIT < UNIT ? f->n - u * UNIT : UNIT; }

#define NEAR 0.08 /* steps: of values that belong to a grid, as far as that is known */

/* Do all but a few of n values lie near a grid? */
static int fits(const double *x, uint32_t n, const ac_grid *grid) {
  const double inverse = 1 / grid->step;
  const uint32_t may_miss = n / 16;
  uint32_t missed = 0;
  for (uint32_t i = 0; i < n && missed <= may_miss; i++) missed += !(ac_grid_distance(grid, inverse, x[i]) <= NEAR);
  return missed <= may_miss;
}

/* Neither a step below what the uniform lattice has, nor one that is lost in the rounding of the values, which is
 * found, too. */
static double least_step(const finder *f, const double *x, uint32_t n, double *rounding) {
  const double delta = f->scale->lattice.delta, limit = delta > 0 ? delta * AC_QMAX : DBL_MAX;
  double largest = 0;
  for (uint32_t i = 0; i < n; i++) {
    const double v = fabs(x[i]);
    largest = v > largest && v <= limit ? v : largest;
  }
  *rounding = largest * (f->size == 4 ? 0x1p-24 : 0x1p-53);
  return delta > 8 * *rounding ? delta : 8 * *rounding;
}

/* Is there a grid in n values?  A new one is kept. */
enum { REFUTED, MISSED, UNCLEAR, PRESENT };
static int look(finder *f, uint32_t from, uint32_t n) {
  double x[WINDOW], rounding;
  load(f, from, n, x);
  const uint32_t peek = n < PEEK ? n : PEEK; /* nearly always enough */
  const double least = least_step(f, x, peek, &rounding);
  if (!(least > 0) || ac_grid_refuted(x, peek, least, rounding) || (n > peek && ac_grid_refuted(x, n, least, rounding))) return REFUTED;
  for (unsigned i = 0; i < f->n_found; i++)
    if (fits(x, n, &f->found[i].grid)) return PRESENT;
  if (f->n_found == AC_MAX_AFFINE) return MISSED;
  const int found = ac_grid_find(x, n, least, rounding, &f->found[f->n_found].grid);
  f->n_found += found == AC_GRID_FOUND;
  return found == AC_GRID_FOUND ? PRESENT : found == AC_GRID_UNCLEAR ? UNCLEAR : MISSED;
}

static void look_everywhere(finder *f) {
  if (f->level >= THOROUGH) {
    /* in fewer places as long as the effort is in vain: a lattice that pays is long */
    for (uint32_t from = 0, step = WINDOW; from < f->n; from += step) {
      const int what = look(f, from, f->n - from < WINDOW ? f->n - from : WINDOW);
      step = what == PRESENT ? WINDOW : what == REFUTED ? step : step < MOST_APART ? step + WINDOW : MOST_APART;
    }
    return;
  }
  const uint32_t n = f->n < PEEK_TO_FIND ? f->n : PEEK_TO_FIND;
  for (uint32_t i = 0; i < PEEKS; i++) { /* the first places answer for all */
    const uint32_t place = (2 * i + 3) % (2 * PEEKS);
    const int what = look(f, (uint32_t)((uint64_t)(f->n - n) * place / (2 * PEEKS)), n);
    if (!f->n_found && (what == MISSED || i)) return;
  }
}

/* Give every unit the grid with the largest step on which it lies. */
static void assign(finder *f) {
  memset(f->of_unit, 0, f->units);
  for (uint32_t u = 0; u < f->units; u++) {
    const uint32_t m = unit_values(f, u);
    double x[UNIT], step = 0;
    load(f, u * UNIT, m, x);
    for (unsigned i = 0; i < f->n_found; i++) {
      if (f->found[i].grid.step <= step || !fits(x, m, &f->found[i].grid)) continue;
      step = f->found[i].grid.step;
      f->of_unit[u] = (uint8_t)(i + 1);
    }
  }
}

/* The grid of all values of its units, by least squares. */
static void refine(const finder *f, unsigned which, ac_grid *grid) {
  const double inverse = 1 / grid->step;
  ac_grid_sums sums = {0, 0, 0, 0, 0};
  for (uint32_t u = 0; u < f->units; u++) {
    if (f->of_unit[u] != which + 1) continue;
    const uint32_t m = unit_values(f, u);
    double x[UNIT];
    load(f, u * UNIT, m, x);
    for (uint32_t i = 0; i < m; i++) {
      const double k = ac_rint((x[i] - grid->origin) * inverse), r = x[i] - grid->origin - k * grid->step;
      if (fabs(r) <= NEAR * grid->step) ac_grid_add(&sums, k, r);
    }
  }
  ac_grid_solve(&sums, &grid->origin, &grid->step);
}

/* Widen the extent by the values beside a run of units, as long as they lie on the grid, too. */
static void extend(const finder *f, const ac_grid *grid, uint32_t from, int direction, double *least, double *most) {
  const double inverse = 1 / grid->step;
  for (uint32_t i = 0, at = from; i < UNIT && at < f->n; i++, at += (uint32_t)direction) { /* wraps below 0 */
    double x;
    load(f, at, 1, &x);
    if (!(ac_grid_distance(grid, inverse, x) <= NEAR)) return;
    *least = x < *least ? x : *least;
    *most = x > *most ? x : *most;
  }
}

/* A sample of a grid's values; 0 if there are few. */
static int take_sample(const finder *f, unsigned which, ac_grid_sample *p) {
  const ac_grid *grid = &f->found[which].grid;
  const double inverse = 1 / grid->step;
  uint16_t units[MAX_UNITS];
  uint32_t n_units = 0;
  p->grid = *grid;
  p->size = f->size;
  p->n = 0;
  p->least[0] = p->least[1] = DBL_MAX;
  p->most[0] = p->most[1] = -DBL_MAX;
  for (uint32_t u = 0; u < f->units; u++) {
    if (f->of_unit[u] != which + 1) continue;
    units[n_units++] = (uint16_t)u;
    const uint32_t m = unit_values(f, u);
    double x[UNIT];
    load(f, u * UNIT, m, x);
    for (uint32_t i = 0; i < m; i++) {
      if (!(ac_grid_distance(grid, inverse, x[i]) <= NEAR)) continue;
      p->least[0] = x[i] < p->least[0] ? x[i] : p->least[0];
      p->most[0] = x[i] > p->most[0] ? x[i] : p->most[0];
    }
    if (u && f->of_unit[u - 1] != which + 1) extend(f, grid, u * UNIT - 1, -1, &p->least[1], &p->most[1]);
    if (u + 1 < f->units && f->of_unit[u + 1] != which + 1) extend(f, grid, (u + 1) * UNIT, 1, &p->least[1], &p->most[1]);
  }
  p->least[1] = p->least[0] < p->least[1] ? p->least[0] : p->least[1];
  p->most[1] = p->most[0] > p->most[1] ? p->most[0] : p->most[1];
  for (uint32_t i = 0; n_units && i < 2 * AC_FIT_SAMPLE && p->n < AC_FIT_SAMPLE; i++) {
    const uint32_t h = i * 0x9e3779b9u, u = units[(uint64_t)h * n_units >> 32];
    double x;
    load(f, u * UNIT + (h * 0x85ebca6bu >> 16) % unit_values(f, u), 1, &x);
    if (ac_grid_distance(grid, inverse, x) <= NEAR) p->x[p->n++] = x;
  }
  return p->n >= AC_FIT_SAMPLE / 4;
}

/* Is a formula that gives so many of n values of use? */
static int is_usable(const finder *f, uint32_t hits, uint32_t n) { return f->adjusts ? 16 * hits >= n : 8 * hits >= 7 * n; }

/* Lattices with a formula. */
static void find(finder *f) {
  look_everywhere(f);
  for (int round = 0; f->n_found && round < 2; round++) {
    assign(f);
    for (unsigned i = 0; i < f->n_found; i++) refine(f, i, &f->found[i].grid);
  }
  unsigned kept = 0;
  for (unsigned i = 0; i < f->n_found; i++) {
    ac_grid_sample sample;
    found *l = &f->found[kept];
    if (!take_sample(f, i, &sample) || !is_usable(f, ac_grid_formula(&sample, f->level, &l->formula), sample.n)) continue;
    l->grid = f->found[i].grid;
    const double shift = ac_rint(l->grid.origin / l->grid.step);
    l->shift = fabs(shift) < 0x1p28 ? (int32_t)shift : 0;
    l->formula.base = (int32_t)((uint32_t)l->formula.base - (uint32_t)l->shift);
    kept++;
  }
  f->n_found = kept;
}

/* ---- encode: every value ---- */
/* Numbers of m <= UNIT values; `exact` says which come back bit for bit.  Returns how many. */
static uint32_t quantize_unit(const finder *f, const found *l, const uint8_t *values, const double *x, uint32_t m, int32_t *r,
                              uint8_t *exact) {
  const double inverse = 1 / l->grid.step;
  uint64_t back[UNIT];
  uint32_t hits = 0;
  for (uint32_t i = 0; i < m; i++) {
    const double v = ac_rint((x[i] - l->grid.origin) * inverse) + l->shift;
    r[i] = fabs(v) <= AC_QMAX ? (int32_t)v : 0;
  }
  ac_active_kernels()->affine(&l->formula, f->size, r, m, back);
  if (f->size == 4)
    for (uint32_t i = 0; i < m; i++) hits += exact[i] = ac_load32(values + 4 * i) == ac_load32((uint8_t *)back + 4 * i);
  else
    for (uint32_t i = 0; i < m; i++) hits += exact[i] = ac_load64(values + 8 * i) == back[i];
  return hits;
}

/* Bits that a value on a lattice takes less than on the uniform one. */
static double saving(double step, double delta) {
  if (delta == 0) return 0;
  const double ratio = step / delta;
  return ratio >= 0x1p15 ? 15 : ratio <= 1 ? 0 : ac_log2((uint32_t)(ratio * 0x1p16)) * 0x1p-16 - 16;
}

/* Give every unit the lattice on which it is smallest, and return what that saves in bits. */
static double choose(finder *f) {
  const double delta = f->scale->lattice.delta, refused = 8 * f->size + 14, number = 24 + 16 * f->size;
  double saved[1 + AC_MAX_AFFINE] = {0}, each[AC_MAX_AFFINE];
  for (unsigned i = 0; i < f->n_found; i++) each[i] = saving(f->found[i].grid.step, delta);
  memset(f->of_unit, 0, f->units);
  for (uint32_t u = 0; u < f->units; u++) {
    const uint32_t m = unit_values(f, u);
    const uint8_t *const values = f->values + (size_t)u * UNIT * f->size;
    double x[UNIT], best = 0;
    uint32_t finite = 0; /* others are refused everywhere */
    load(f, u * UNIT, m, x);
    for (uint32_t j = 0; j < m; j++) finite += fabs(x[j]) <= DBL_MAX;
    for (unsigned i = 0; i < f->n_found; i++) {
      const ac_grid *grid = &f->found[i].grid;
      const double inverse = 1 / grid->step;
      unsigned near = 0;
      for (uint32_t j = 0; j < m; j += 8) near += ac_grid_distance(grid, inverse, x[j]) <= NEAR;
      if (2 * near * 8 < finite) continue;
      int32_t r[UNIT];
      uint8_t exact[UNIT];
      const uint32_t hits = quantize_unit(f, &f->found[i], values, x, m, r, exact);
      const double gain = f->adjusts ? near * refused : delta == 0 ? hits * refused : hits * each[i] - (finite - hits) * refused;
      if (gain <= best) continue;
      best = gain;
      f->of_unit[u] = (uint8_t)(i + 1);
    }
    saved[f->of_unit[u]] += best;
  }
  /* those that do not pay for their parameters go */
  double all = 0;
  unsigned kept = 0;
  uint8_t renamed[1 + AC_MAX_AFFINE] = {0};
  for (unsigned i = 0; i < f->n_found; i++) {
    if (saved[i + 1] <= number) continue;
    all += saved[i + 1] - number;
    f->found[kept] = f->found[i];
    renamed[i + 1] = (uint8_t)++kept;
  }
  f->n_found = kept;
  for (uint32_t u = 0; u < f->units; u++) f->of_unit[u] = renamed[f->of_unit[u]];
  return all;
}

/* Values of finer lattices (fine.h) are refused as well, in the places of their m values among index[first] .. index[n - 1]. */
static uint32_t refuse_fine(const finder *f, uint32_t from, uint32_t m, uint32_t *index, uint32_t first, uint32_t n) {
  uint32_t fine[UNIT];
  const uint32_t found = ac_fine_find(f->scale, f->values + (size_t)from * f->size, m, fine);
  for (uint32_t i = 0; i < found; i++) {
    const uint32_t at = from + fine[i];
    while (first < n && index[first] < at) first++;
    if (first < n && index[first] == at) continue;
    memmove(index + first + 1, index + first, (n++ - first) * sizeof *index);
    index[first] = at;
  }
  return n;
}

/* Numbers of all values into s->q, and the positions of those refused into s->index. */
static uint32_t quantize(const finder *f, ac_encode_scratch *s) {
  const ac_kernels *kernels = ac_active_kernels();
  const int in = f->size == 8 ? AC_OUT_F64 : AC_OUT_F32;
  uint32_t n_refused = 0;
  for (uint32_t u = 0, end; u < f->units; u = end) {
    for (end = u + 1; end < f->units && f->of_unit[end] == f->of_unit[u]; end++) {}
    const uint32_t from = u * UNIT, to = end < f->units ? end * UNIT : f->n;
    if (!f->of_unit[u] && f->scale->lattice.delta != 0) {
      for (uint32_t at = from; at < to; at += UNIT) {
        const uint32_t m = to - at < UNIT ? to - at : UNIT, first = n_refused;
        n_refused += kernels->quantize[in](f->values + (size_t)at * f->size, m, &f->scale->lattice, UNIT, s->q + at, s->stats,
                                           s->index + first);
        for (uint32_t i = first; i < n_refused; i++) s->index[i] = at + (s->index[i] & ~(uint32_t)AC_EDGE);
        n_refused = refuse_fine(f, at, m, s->index, first, n_refused);
      }
      continue;
    }
    const found *l = &f->found[f->of_unit[u] ? f->of_unit[u] - 1 : 0];
    for (uint32_t at = from; at < to; at += UNIT) {
      const uint32_t m = to - at < UNIT ? to - at : UNIT;
      double x[UNIT];
      uint8_t exact[UNIT];
      load(f, at, m, x);
      quantize_unit(f, l, f->values + (size_t)at * f->size, x, m, s->q + at, exact);
      for (uint32_t i = 0; i < m; i++) {
        if (exact[i]) continue;
        s->q[at + i] = at + i ? s->q[at + i - 1] : 0;
        s->index[n_refused++] = at + i;
      }
    }
  }
  return n_refused;
}

void ac_affine_write_lattice(ac_writer *out, const ac_affine *l) {
  const double parameters[4] = {l->divisor, l->scale, l->offset, l->factor};
  const uint8_t formula = (uint8_t)((l->single ? SINGLE : 0) | (l->divisor != 1 ? DIVISOR : 0) | (l->scale != 1 ? SCALE : 0) |
                                    (l->offset != 0 ? OFFSET : 0) | (l->factor != 1 ? FACTOR : 0));
  ac_write8(out, formula);
  for (unsigned i = 0; i < 4; i++) {
    if (!(formula & DIVISOR << i)) continue;
    if (l->single) ac_write_f32(out, (float)parameters[i]);
    else ac_write_f64(out, parameters[i]);
  }
  ac_write_varint(out, ac_zigzag(l->base));
}

static finder finder_of(const ac_scale *scale, const uint8_t *values, uint32_t n, const ac_tuning *tuning) {
  return (finder){.scale = scale, .values = values, .n = n, .units = ac_groups(n, UNIT), .size = scale->type->size,
                  .level = ac_level(tuning)};
}

/* Some are found, and worth it. */
static int finds(finder *f) {
  if (f->level <= NO_DETECTION || f->n < LEAST_VALUES || !ac_affine_permitted(f->scale)) return 0;
  find(f);
  return f->n_found && choose(f) > 0;
}

int ac_affine_found(const ac_scale *scale, const uint8_t *values, uint32_t n, const ac_tuning *tuning) {
  finder f = finder_of(scale, values, n, tuning);
  return finds(&f);
}

int ac_affine_find(const ac_scale *scale, const uint8_t *values, uint32_t n, const ac_tuning *tuning, ac_affine_fit *lattice) {
  finder f = finder_of(scale, values, n, tuning);
  f.adjusts = 1;
  if (!finds(&f)) return 0;
  uint32_t units[1 + AC_MAX_AFFINE] = {0};
  unsigned best = 1;
  for (uint32_t u = 0; u < f.units; u++) units[f.of_unit[u]]++;
  for (unsigned i = 2; i <= f.n_found; i++)
    if (units[i] > units[best]) best = i;
  const found *const l = &f.found[best - 1];
  *lattice = (ac_affine_fit){l->formula, l->grid.step, l->grid.origin, l->shift};
  return 8 * units[best] >= 7 * f.units;
}

void ac_affine_numbers(const ac_affine_fit *l, unsigned size, const uint8_t *values, uint32_t n, int32_t *k) {
  const double inverse = 1 / l->step;
  for (uint32_t i = 0; i < n; i++) {
    const double x = ac_value_at(size == 8 ? AC_FLOAT64 : AC_FLOAT32, values, i), v = ac_rint((x - l->origin) * inverse) + l->shift;
    k[i] = fabs(v) <= AC_QMAX ? (int32_t)v : 0;
  }
}

size_t ac_affine_encode(const ac_scale *scale, const uint8_t *values, uint32_t n, const ac_tuning *tuning,
                        ac_encode_scratch *s, uint8_t *dst, size_t room) {
  finder f = finder_of(scale, values, n, tuning);
  if (!finds(&f)) return 0;
  const uint32_t n_refused = quantize(&f, s);
  if (n_refused > n / 2) return 0;
  unsigned some_uniform = 0;
  for (uint32_t u = 0; u < f.units; u++) some_uniform |= !f.of_unit[u];
  some_uniform &= scale->lattice.delta != 0;
  if (!some_uniform) /* numbers from 0 on; without a uniform lattice units of none are refused on the first */
    for (uint32_t u = 0; u < f.units; u++) f.of_unit[u] -= f.of_unit[u] != 0;
  const unsigned number = f.n_found + some_uniform;
  ac_writer out = {dst, dst + room, 0};
  ac_write8(&out, (uint8_t)(f.n_found | (some_uniform ? 0 : NO_UNIFORM)));
  for (unsigned i = 0; i < f.n_found; i++) ac_affine_write_lattice(&out, &f.found[i].formula);
  if (number > 1 && !out.failed)
    dst[0] |= (uint8_t)(ac_sequence_write(&out, f.of_unit, f.units, number, 2, s->sequence) << METHOD_SHIFT);
  ac_active_kernels()->statistics(s->q, n, ac_group_size(tuning), s->stats);
  if (out.failed || !ac_section_write(&out, n, tuning, s, values, f.size, n_refused, 0)) return 0;
  return out.failed ? 0 : (size_t)(out.p - dst);
}
