/* integers.c: see integers.h.  In the place of quantization and windows for values that are stored exactly,
 * integers with a tolerance, and relative bounds.
 *
 *   flags | shift | base | low bytes, plane by plane | section of the high parts
 *
 * What is chosen (image, difference, low bytes) is what costs least on a sample of groups, by the mean
 * deviation of each; integers and IEEE + - * / only, so every machine makes the same choice.
 *
 * Invariants: all arithmetic is modulo 2^64; every value is written.
 */
#include "integers.h"

enum { DIFFERENCE_SHIFT = 3, LOW_BYTES = 7, DIFFERENCE = 3 << DIFFERENCE_SHIFT, FOLDED = 1 << 5, HAS_BASE = 1 << 6, HAS_SHIFT = 1 << 7 };

/* ---- values to integers ---- */
static int is_float(const ac_scale *scale) { return scale->type->kind == AC_KIND_FLOAT; }

static uint64_t or_of(const void *src, uint32_t n, unsigned size) {
  uint64_t all = 0;
  switch (size) {
    case 1: for (uint32_t i = 0; i < n; i++) all |= ((const uint8_t *)src)[i]; break;
    case 2: for (uint32_t i = 0; i < n; i++) all |= ((const uint16_t *)src)[i]; break;
    case 4: for (uint32_t i = 0; i < n; i++) all |= ((const uint32_t *)src)[i]; break;
    default: for (uint32_t i = 0; i < n; i++) all |= ((const uint64_t *)src)[i];
  }
  return all;
}

/* The nearest multiples of the odd step, in steps. */
static void divide_by_step(int64_t *wide, uint32_t n, const ac_scale *scale) {
  const uint64_t T = scale->whole, step = 2 * T + 1;
  if (scale->type->size <= 4 && step < 1ull << 32) {
    /* x / step is at least 1 / (2 step) away from where rint changes, more than two roundings of it */
    const double inv = 1.0 / (double)step;
    for (uint32_t i = 0; i < n; i++) wide[i] = (int64_t)ac_rint((double)wide[i] * inv);
    return;
  }
  const int is_signed = scale->type->kind == AC_KIND_SIGNED;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t sign = is_signed ? 0 - (uint64_t)(wide[i] < 0) : 0, magnitude = ((uint64_t)wide[i] ^ sign) - sign;
    const uint64_t q = magnitude / step + (magnitude % step > T);
    wide[i] = (int64_t)((q ^ sign) - sign);
  }
}

/* Indices with the sign in the lowest bit if there is a negative value; the refused are listed, and get the
 * integer of the value before them.  Returns how many. */
static uint32_t index_relative(const void *src, uint32_t n, const ac_scale *scale, int *folded, int64_t *wide,
                               uint32_t *refused) {
  const unsigned size = scale->type->size, sign_at = 8 * size - 1;
  const uint64_t rest = (1ull << sign_at) - 1;
  uint32_t n_refused = 0;
  *folded = (int)(or_of(src, n, size) >> sign_at & 1);
  int64_t before = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t bits = ac_load_bits((const uint8_t *)src + (size_t)i * size, size);
    uint64_t index;
    if (ac_relative_index(scale->relative, bits & rest, &index))
      before = (int64_t)(*folded ? index << 1 | bits >> sign_at : index);
    else
      refused[n_refused++] = i;
    wide[i] = before;
  }
  return n_refused;
}

/* ---- estimates on a sample ---- */
enum { SAMPLE_GROUPS = 48 };

static double log2_of(double v) { /* v >= 1 */
  int shift = -8;
  for (v *= 0x1p8; v >= 0x1p31; v *= 0x1p-16) shift += 16;
  return ac_log2((uint32_t)v) * 0x1p-16 + shift;
}

/* Bits of m integers of one group about their mean: by their mean deviation. */
static double group_bits(const int64_t *d, uint32_t m) {
  double sum = 0, deviation = 0;
  for (uint32_t j = 0; j < m; j++) sum += (double)(int64_t)((uint64_t)d[j] - (uint64_t)d[0]);
  const double mean = sum / m;
  for (uint32_t j = 0; j < m; j++) deviation += fabs((double)(int64_t)((uint64_t)d[j] - (uint64_t)d[0]) - mean);
  return m * (log2_of(16 * deviation / m + 4) - 2); /* of an even distribution; 0 if they are all the same */
}

typedef struct {
  uint32_t n, groups, stride; /* group i of the sample begins at i * stride */
} sample;

static sample sample_of(uint32_t n) {
  const uint32_t groups = n / AC_MAX_GROUP;
  if (!groups) return (sample){n, 1, n};
  const uint32_t taken = groups < SAMPLE_GROUPS ? groups : SAMPLE_GROUPS;
  return (sample){n, taken, (groups / taken) * AC_MAX_GROUP};
}

static int64_t folded_of(int64_t ordered) {
  const uint64_t sign = (uint64_t)(ordered >> 63);
  return (int64_t)(((uint64_t)ordered ^ sign) << 1 | (sign & 1));
}

/* Sum over the sample, for differences over a distance (0: none), of what remains above some low bytes. */
static double sample_bits(const sample *t, const int64_t *wide, uint64_t distance, int fold, unsigned low_bytes) {
  double bits = 0;
  for (uint32_t g = 0; g < t->groups; g++) {
    int64_t d[AC_MAX_GROUP];
    const uint32_t first = g * t->stride, m = t->n < AC_MAX_GROUP ? t->n : AC_MAX_GROUP;
    for (uint32_t j = 0; j < m; j++) {
      d[j] = wide[first + j];
      if (fold) d[j] = folded_of(d[j]);
      if (distance && first + j >= distance) d[j] = (int64_t)((uint64_t)d[j] - (uint64_t)wide[first + j - distance]);
      d[j] >>= 8 * low_bytes;
    }
    bits += group_bits(d, m);
  }
  return bits;
}

/* Bits of the low byte `which` over the sample, by its entropy. */
static double low_byte_bits(const sample *t, const int64_t *wide, uint64_t distance, int fold, unsigned which) {
  uint32_t count[256] = {0}, total = 0;
  for (uint32_t g = 0; g < t->groups; g++) {
    const uint32_t first = g * t->stride, m = t->n < AC_MAX_GROUP ? t->n : AC_MAX_GROUP;
    for (uint32_t j = 0; j < m; j++) {
      uint64_t d = (uint64_t)(fold ? folded_of(wide[first + j]) : wide[first + j]);
      if (distance && first + j >= distance) d -= (uint64_t)wide[first + j - distance];
      count[d >> (8 * which) & 255]++;
      total++;
    }
  }
  uint64_t bits = (uint64_t)total * ac_log2(total);
  unsigned seen = 0;
  for (unsigned i = 0; i < 256; i++)
    if (count[i]) {
      bits -= (uint64_t)count[i] * ac_log2(count[i]);
      seen++;
    }
  return bits * 0x1p-16 + 0.7 * seen; /* the sample's entropy is too low by so much (G. Miller, 1955) */
}

static uint64_t distance_of(const ac_strides *strides, unsigned difference) {
  return difference == 0 ? 0 : difference == 1 ? 1 : difference == 2 ? strides->row : strides->plane;
}

/* Do all from one integer to another fit 30 bits on both sides of zero, above so many low bytes? */
static int fit(int64_t least, int64_t most, unsigned bytes) {
  return least >> (8 * bytes) >= -AC_QMAX && most >> (8 * bytes) < AC_QMAX;
}

/* Fewest low bytes so that what lies between two integers fits 31 bits above them. */
static unsigned needed_bytes(uint64_t range) {
  unsigned bytes = 0;
  while (range >> (8 * bytes) >= 1ull << 31) bytes++;
  return bytes;
}

void ac_whole_load(const ac_scale *scale, const void *src, uint32_t n, int64_t *wide) {
  const int image = scale->type->kind == AC_KIND_SIGNED ? AC_IMAGE_SIGNED : AC_IMAGE_UNSIGNED;
  ac_active_kernels()->to_wide(image, scale->type->size, 0, src, n, wide);
  if (scale->whole) divide_by_step(wide, n, scale);
}

ac_integers_plan ac_integers_load(int mode, const ac_scale *scale, const ac_strides *strides, const void *src, uint32_t n,
                                  int masked, ac_encode_scratch *s) {
  const ac_kernels *kernels = ac_active_kernels();
  const unsigned size = scale->type->size;
  ac_integers_plan plan = {0, 0, 0, 0, 0, 0};
  int may_fold = 0;
  if (mode == AC_MODE_LATTICE && is_float(scale)) {
    int folded;
    plan.n_refused = index_relative(src, n, scale, &folded, s->wide, s->index);
    plan.image = folded ? AC_IMAGE_FOLDED : AC_IMAGE_ORDERED;
  } else {
    const uint64_t all = or_of(src, n, size);
    if (mode == AC_MODE_EXACT && all) plan.shift = (uint8_t)__builtin_ctzll(all);
    plan.image = is_float(scale)                         ? AC_IMAGE_ORDERED
                 : scale->type->kind == AC_KIND_SIGNED ? AC_IMAGE_SIGNED
                                                       : AC_IMAGE_UNSIGNED;
    kernels->to_wide(plan.image, size, plan.shift, src, n, s->wide);
    if (mode == AC_MODE_LATTICE) divide_by_step(s->wide, n, scale);
    may_fold = is_float(scale) && all >> (8 * size - 1) & 1;
  }

  const sample t = sample_of(n);
  double best = 1e300;
  int fold = 0;
  for (unsigned difference = 0; difference < 4; difference++) {
    const uint64_t distance = distance_of(strides, difference);
    if (difference && (!distance || distance >= n || (difference > 1 && masked) || plan.n_refused)) continue;
    if (difference > 1 && distance == distance_of(strides, difference - 1)) continue;
    /* a difference has its price in the decoder */
    const double bits = sample_bits(&t, s->wide, distance, 0, 0) * (difference ? 1 + 0x1p-8 : 1);
    if (bits < best) {
      best = bits;
      plan.difference = (uint8_t)difference;
    }
  }
  if (may_fold) {
    const double bits = sample_bits(&t, s->wide, 0, 1, 0);
    if (bits < best) {
      best = bits;
      plan.difference = 0;
      fold = 1;
    }
  }
  /* Low bytes whose values are not all alike (decimals, other lattices) cost less on their own than as
   * raw bits of a window. */
  const uint64_t distance = distance_of(strides, plan.difference);
  double low = 0;
  for (unsigned bytes = 1; bytes < size && bytes <= 3; bytes++) {
    low += low_byte_bits(&t, s->wide, distance, fold, bytes - 1);
    const double bits = low + sample_bits(&t, s->wide, distance, fold, bytes);
    if (bits < best * (1 - 0x1p-6)) {
      best = bits;
      plan.low_bytes = (uint8_t)bytes;
    }
  }
  if (fold) {
    plan.image = AC_IMAGE_FOLDED;
    kernels->to_wide(plan.image, size, plan.shift, src, n, s->wide);
  }
  const uint32_t sampled = t.n < AC_MAX_GROUP ? t.n : t.groups * AC_MAX_GROUP;
  plan.bits = best / sampled * n;
  return plan;
}

/* ---- write ---- */
/* In place, backwards. */
static void subtract_neighbours(int64_t *wide, uint32_t n, uint64_t distance, int64_t before) {
  const uint32_t d = (uint32_t)distance;
  for (uint32_t i = n; i-- > d;) wide[i] = (int64_t)((uint64_t)wide[i] - (uint64_t)wide[i - d]);
  for (uint32_t i = 0; i < d && i < n; i++) wide[i] = (int64_t)((uint64_t)wide[i] - (uint64_t)before);
}

/* A plane of low bytes: as a section if that is smaller. */
static int write_low(ac_writer *out, const uint8_t *low, uint32_t n, const ac_tuning *tuning, ac_encode_scratch *s) {
  uint8_t *const start = out->p;
  ac_writer section = {start, (size_t)(out->end - start) < n ? out->end : start + n, 0};
  for (uint32_t i = 0; i < n; i++) s->q[i] = low[i];
  ac_active_kernels()->statistics(s->q, n, ac_group_size(tuning), s->stats);
  if (ac_section_write(&section, n, tuning, s, NULL, 0, 0, 0)) {
    out->p = section.p;
    ac_insert_length(out, start);
    return !out->failed;
  }
  ac_write_varint(out, 0);
  uint8_t *to = ac_give(out, n);
  if (to) memcpy(to, low, n);
  return to != NULL;
}

int ac_integers_write(ac_writer *out, ac_integers_plan *plan, const ac_scale *scale, const ac_strides *strides, const void *src,
                      uint32_t n, const ac_tuning *tuning, ac_encode_scratch *s) {
  const ac_kernels *kernels = ac_active_kernels();
  const uint64_t distance = distance_of(strides, plan->difference);
  int64_t base = 0;
  if (distance) {
    base = s->wide[0];
    subtract_neighbours(s->wide, n, distance, base);
  }
  int64_t least, most;
  kernels->extent(s->wide, n, &least, &most);
  const unsigned needed = needed_bytes((uint64_t)most - (uint64_t)least);
  if (needed > plan->low_bytes) plan->low_bytes = (uint8_t)needed;
  if (plan->low_bytes >= scale->type->size && plan->low_bytes > 0) return 0;
  /* Within 30 bits on both sides of zero there is no base; else they lie about it.  With a difference the
   * base is what stands before the block. */
  int64_t centre = 0;
  if (!fit(least, most, plan->low_bytes)) {
    if (distance) {
      while (!fit(least, most, plan->low_bytes)) plan->low_bytes++;
      if (plan->low_bytes >= scale->type->size) return 0;
    } else {
      centre = (int64_t)((uint64_t)least + ((uint64_t)most - (uint64_t)least) / 2);
      base = centre;
    }
  }

  ac_write8(out, (uint8_t)(plan->low_bytes | plan->difference << DIFFERENCE_SHIFT |
                           (plan->image == AC_IMAGE_FOLDED ? FOLDED : 0) | (base ? HAS_BASE : 0) |
                           (plan->shift ? HAS_SHIFT : 0)));
  if (plan->shift) ac_write8(out, plan->shift);
  if (base) ac_write_varint(out, ac_zigzag(base));
  if (out->failed) return 0;
  kernels->divide(s->wide, n, centre, plan->low_bytes, s->q, s->low, n);
  if (plan->low_bytes) { /* their sections need s->q and s->index, so the high parts are made again */
    memcpy(s->events, s->index, plan->n_refused * sizeof *s->index);
    for (unsigned j = 0; j < plan->low_bytes; j++)
      if (!write_low(out, s->low + (size_t)j * n, n, tuning, s)) return 0;
    memcpy(s->index, s->events, plan->n_refused * sizeof *s->index);
    kernels->divide(s->wide, n, centre, plan->low_bytes, s->q, s->low, n);
  }
  kernels->statistics(s->q, n, ac_group_size(tuning), s->stats);
  ac_lap(s->watch, AC_STAGE_QUANTIZE);
  return ac_section_write(out, n, tuning, s, src, scale->type->size, plan->n_refused, 0);
}

/* ---- read ---- */
size_t ac_decode_scratch_place(ac_decode_scratch *s, uint8_t *memory, uint32_t values) {
  const size_t n = ((size_t)values + 63) / 64 * 64;
  const size_t tables = AC_MAX_TABLES * sizeof(uint32_t);
  if (memory) {
    s->tables = (uint32_t *)memory;
    s->wide = (int64_t *)(memory + tables);
    s->high = (int32_t *)(memory + tables + 8 * n);
    s->bitmap = (uint64_t *)(memory + tables + 12 * n);
    s->low = memory + tables + 12 * n + n / 8;
    s->which = s->low + 7 * n;
    s->row = (int32_t *)(memory + tables + 20 * n + n / 8);
    s->distances = (uint16_t *)(memory + tables + 24 * n + n / 8);
    s->copies = (uint64_t *)(memory + tables + 26 * n + n / 8);
    s->joined = s->copies + n / 64;
    s->watch = NULL;
  }
  return tables + 26 * n + 3 * (n / 8);
}

typedef struct {
  uint8_t low_bytes, difference, image, shift;
  int64_t base;
  uint64_t distance;
} parameters;

static int read_parameters(ac_reader *in, int mode, const ac_scale *scale, const ac_strides *strides, int masked, parameters *p) {
  const uint8_t flags = ac_read8(in);
  p->low_bytes = flags & LOW_BYTES;
  p->difference = flags >> DIFFERENCE_SHIFT & 3;
  p->shift = flags & HAS_SHIFT ? ac_read8(in) : 0;
  p->base = flags & HAS_BASE ? ac_unzigzag(ac_read_varint(in)) : 0;
  p->distance = distance_of(strides, p->difference);
  p->image = scale->type->kind == AC_KIND_SIGNED     ? AC_IMAGE_SIGNED
             : scale->type->kind == AC_KIND_UNSIGNED ? AC_IMAGE_UNSIGNED
             : flags & FOLDED                        ? AC_IMAGE_FOLDED
                                                     : AC_IMAGE_ORDERED;
  if (in->failed) return in->failed;
  if ((flags & FOLDED && !is_float(scale)) || (flags & HAS_BASE && !p->base)) return AC_E_FORMAT;
  if (flags & HAS_SHIFT && (mode != AC_MODE_EXACT || !p->shift || p->shift >= 8 * scale->type->size)) return AC_E_FORMAT;
  if (p->difference && !p->distance) return AC_E_FORMAT;
  return p->difference > 1 && masked ? AC_E_FORMAT : AC_OK;
}

/* One plane of low bytes, through s->high. */
static int read_low(ac_reader *in, uint32_t n, ac_decode_scratch *s, uint8_t *low) {
  const uint64_t length = ac_read_varint(in);
  if (!length) {
    const uint8_t *p = ac_take(in, n);
    if (p) memcpy(low, p, n);
    return in->failed;
  }
  if (in->failed || length > ac_remaining(in)) return AC_E_FORMAT;
  ac_reader bytes = {in->p, in->p + length, 0};
  in->p += length;
  const int error = ac_section_integers(&bytes, n, s->tables, s->watch, s->high);
  if (error) return error;
  uint32_t all = 0;
  for (uint32_t i = 0; i < n; i++) {
    all |= (uint32_t)s->high[i];
    low[i] = (uint8_t)s->high[i];
  }
  return all > 255 ? AC_E_FORMAT : AC_OK;
}

/* Multiples of the step, clamped to the type. */
static void multiply_by_step(int64_t *wide, uint32_t n, const ac_scale *scale) {
  const unsigned bits = 8 * scale->type->size;
  const uint64_t step = 2 * scale->whole + 1;
  if (scale->type->kind == AC_KIND_SIGNED) {
    const int64_t most = (int64_t)((1ull << (bits - 1)) - 1), least = -most - 1;
    /* the largest multiples that are within the range; one more is clamped to its end */
    const int64_t last = step > (uint64_t)most ? 0 : most / (int64_t)step, first = step > (uint64_t)most ? 0 : least / (int64_t)step;
    for (uint32_t i = 0; i < n; i++) {
      const int64_t q = wide[i];
      wide[i] = q > last ? most : q < first ? least : (int64_t)((uint64_t)q * step);
    }
  } else {
    const uint64_t most = bits == 64 ? UINT64_MAX : (1ull << bits) - 1, last = most / step;
    for (uint32_t i = 0; i < n; i++) {
      const int64_t q = wide[i];
      wide[i] = (int64_t)(q < 0 ? 0 : (uint64_t)q > last ? most : (uint64_t)q * step);
    }
  }
}

void ac_whole_store(const ac_scale *scale, int64_t *wide, uint32_t n, void *dst) {
  const int image = scale->type->kind == AC_KIND_SIGNED ? AC_IMAGE_SIGNED : AC_IMAGE_UNSIGNED;
  if (scale->whole) multiply_by_step(wide, n, scale);
  ac_active_kernels()->from_wide(image, scale->type->size, 0, wide, n, dst);
}

static void store_relative(const int64_t *wide, uint32_t n, const ac_scale *scale, int folded, void *dst) {
  const unsigned size = scale->type->size;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t x = (uint64_t)wide[i], sign = folded ? x & 1 : 0;
    const uint64_t bits = ac_relative_value(scale->relative, folded ? x >> 1 : x) | sign << (8 * size - 1);
    memcpy((uint8_t *)dst + (size_t)i * size, &bits, size);
  }
}

static void store(int mode, const ac_scale *scale, const parameters *p, int64_t *wide, uint32_t n, void *dst) {
  if (mode == AC_MODE_LATTICE && is_float(scale)) {
    store_relative(wide, n, scale, p->image == AC_IMAGE_FOLDED, dst);
    return;
  }
  if (mode == AC_MODE_LATTICE) multiply_by_step(wide, n, scale);
  ac_active_kernels()->from_wide(p->image, scale->type->size, p->shift, wide, n, dst);
}

static void add_neighbours(int64_t *wide, uint32_t from, uint32_t to, uint64_t distance, int64_t before) {
  uint32_t i = from;
  for (; i < to && i < distance; i++) wide[i] = (int64_t)((uint64_t)wide[i] + (uint64_t)before);
  if (distance == 1) {
    uint64_t sum = i ? (uint64_t)wide[i - 1] : 0;
    for (; i < to; i++) wide[i] = (int64_t)(sum += (uint64_t)wide[i]);
  } else {
    for (; i < to; i++) wide[i] = (int64_t)((uint64_t)wide[i] + (uint64_t)wide[i - distance]);
  }
}

enum { TILE = 2048 }; /* integers that stay in L1 on their way to values */

/* Floats of 32 bits from images that fit as many: in place.  Those that are not folded have no base. */
static void floats_of_images(const parameters *p, uint32_t n, int32_t *x) {
  const uint32_t magnitude = 0x7fffffff, base = (uint32_t)p->base;
  const unsigned shift = p->shift;
  if (p->image == AC_IMAGE_FOLDED) {
    for (uint32_t i = 0; i < n; i++) {
      const uint32_t v = (uint32_t)x[i] + base;
      x[i] = (int32_t)((v >> 1 << shift & magnitude) | v << 31);
    }
  } else {
    for (uint32_t i = 0; i < n; i++) {
      const uint32_t v = (uint32_t)x[i], negative = (uint32_t)(x[i] >> 31);
      x[i] = (int32_t)(((v ^ negative) << shift & magnitude) | (negative & ~magnitude));
    }
  }
}

int ac_integers_read(ac_reader *in, int mode, const ac_scale *scale, const ac_strides *strides, uint32_t n, int masked,
                     ac_decode_scratch *s, void *dst) {
  const unsigned size = scale->type->size;
  parameters p;
  int error = read_parameters(in, mode, scale, strides, masked, &p);
  for (unsigned j = 0; j < p.low_bytes && !error; j++) error = read_low(in, n, s, s->low + (size_t)j * n);
  ac_section section;
  if (!error) error = ac_section_read(in, n, &section);
  if (error) return error;
  /* 32-bit integers as they are */
  const int of_32_bits = size == 4 && mode == AC_MODE_EXACT && !p.low_bytes && !p.distance;
  /* whose sign is their lowest bit, or that of the integer: that of a sum with a base could need more bits */
  const int images = of_32_bits && is_float(scale) && (p.image == AC_IMAGE_FOLDED || !p.base);
  const int direct = images || (of_32_bits && !is_float(scale) && !p.base && !p.shift);
  int32_t *const high = direct ? dst : s->high;
  error = ac_section_decode(&section, AC_OUT_I32, 0, s->tables, s->watch, high);
  if (error) return error;
  if (images) floats_of_images(&p, n, dst);
  if (!direct) {
    const ac_kernels *kernels = ac_active_kernels();
    for (uint32_t i = 0; i < n; i += TILE) {
      const uint32_t m = n - i < TILE ? n - i : TILE;
      /* a difference looks back; without one the same memory does for every tile */
      int64_t *const wide = p.distance ? s->wide + i : s->wide;
      int64_t tile[TILE];
      kernels->join(high + i, s->low + i, n, m, p.distance ? 0 : p.base, p.low_bytes, wide);
      if (p.distance) add_neighbours(s->wide, i, i + m, p.distance, p.base);
      if (mode == AC_MODE_LATTICE && p.distance && !is_float(scale)) {
        memcpy(tile, wide, m * sizeof *tile);
        store(mode, scale, &p, tile, m, (uint8_t *)dst + (size_t)i * size);
      } else {
        store(mode, scale, &p, wide, m, (uint8_t *)dst + (size_t)i * size);
      }
    }
  }
  ac_lap(s->watch, AC_STAGE_DECODE);
  return ac_section_finish(&section, scale->type->dtype, size, 0, 0, dst);
}

int ac_integers_inspect(ac_reader *in, int mode, const ac_scale *scale, const ac_strides *strides, uint32_t n, int masked,
                        ac_section *section, ac_block_info *info) {
  parameters p;
  const int error = read_parameters(in, mode, scale, strides, masked, &p);
  if (error) return error;
  for (unsigned j = 0; j < p.low_bytes; j++) {
    const uint64_t length = ac_read_varint(in);
    ac_take(in, length ? length : n);
  }
  if (in->failed) return in->failed;
  info->low_bytes = p.low_bytes;
  info->difference = p.difference;
  info->folded = p.image == AC_IMAGE_FOLDED;
  return ac_section_read(in, n, section);
}
