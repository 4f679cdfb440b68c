/* glance.c: see glance.h.  Between the array and codec.c, which has it cut and encoded: some values at places that are
 * spread evenly, with few of their neighbours.
 *
 * Invariant: every array gets an answer that depends on its values only; a wrong one costs bytes or time.
 */
#include "glance.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "bytes.h"
#include "fine.h"

enum { SAMPLE = 1024 };

/* Place i of the sample, among n values: golden-section multiples, as in ac_histogram_takes. */
static uint64_t place_of(uint32_t i, uint64_t n) { return (uint64_t)((double)(i * 0x9e3779b9u) * 0x1p-32 * (double)n); }

static double value_at(const ac_info *info, const ac_type *type, const uint8_t *src, uint64_t place) {
  uint64_t bits = ac_load_bits(src + place * type->size, type->size);
  if (info->array.big_endian) bits = __builtin_bswap64(bits) >> (64 - 8 * type->size);
  uint8_t native[8];
  memcpy(native, &bits, sizeof native);
  if (type->kind == AC_KIND_UNSIGNED) return (double)bits;
  if (type->kind == AC_KIND_SIGNED) return (double)((int64_t)(bits << (64 - 8 * type->size)) >> (64 - 8 * type->size));
  return ac_value_at(type->dtype, native, 0);
}

static uint64_t length_of(const ac_array *a, unsigned i) { return a->shape[a->f_order ? a->ndim - 1 - i : i]; }

/* They are if the differences along the fastest axis are not alike there: of unrelated ones the differences are larger than
 * these themselves, by the root of 2. */
int ac_glance_apart(const ac_info *info, const void *src) {
  const ac_type *type = ac_type_of(info->array.dtype);
  const uint64_t n = info->count * type->values, plane = n / length_of(&info->array, 0);
  double differences = 0, both = 0;
  for (uint32_t i = 0; i < SAMPLE; i++) {
    const uint64_t at = place_of(i, n - plane - type->values);
    double x[4];
    for (unsigned j = 0; j < 4; j++) x[j] = value_at(info, type, src, at + (j & 1) * type->values + (j >> 1) * plane);
    const double first = fabs(x[1] - x[0]), second = fabs(x[3] - x[2]), other = fabs((x[3] - x[2]) - (x[1] - x[0]));
    if (!(first + second + other <= DBL_MAX)) continue; /* special values */
    differences += other;
    both += (first + second) / 2;
  }
  return differences > 1.3 * both;
}

/* What values may be off by; integers are what is nearest, whatever they are, and floats without loss as near as floats of some
 * values' size can be. */
static double tolerance_of(const ac_info *info, const ac_type *type, const uint8_t *src, uint64_t n) {
  if (info->delta != 0) return info->tol;
  if (type->kind != AC_KIND_FLOAT) return (double)info->whole + 0.5;
  double sum = 0;
  uint32_t found = 0;
  for (uint32_t i = 0; i < SAMPLE; i++) {
    const double x = fabs(value_at(info, type, src, place_of(i, n)));
    if (!(x <= DBL_MAX) || x == 0) continue;
    sum += x / SAMPLE;
    found++;
  }
  return found && sum > 0 && sum <= DBL_MAX ? sum / found * SAMPLE * 0x1p-20 : 1;
}

/* The mean logarithm of differences, in tolerances and beside one, between values that are `distance` apart.  Negative if nearly
 * all of them are special. */
static double mean_bits(const ac_info *info, const ac_type *type, const uint8_t *src, uint64_t n, double tol, uint64_t distance, uint32_t places) {
  uint64_t sum = 0;
  uint32_t found = 0;
  for (uint32_t i = 0; i < places; i++) {
    const uint64_t at = place_of(i, n - distance);
    const double d = fabs(value_at(info, type, src, at) - value_at(info, type, src, at + distance)) / tol;
    if (!(d <= DBL_MAX)) continue;
    sum += ac_log2(d < 0x1p24 ? (uint32_t)(d * 16) + 16 : 1u << 28);
    found++;
  }
  return found < places / 16 + 1 ? -1 : (double)sum / 65536 / found - 4;
}

/* Is a row of values a signal, which those before each tell more of than the last one alone?  By the error that linear
 * prediction leaves (N. Levinson, J. Math. Phys. 25 (1947) 261) in a few pieces. */
static int is_signal(const ac_info *info, const ac_type *type, const uint8_t *src, double tol, uint64_t first, uint64_t length, uint64_t distance) {
  enum { PIECES = 4, PIECE = 256, ORDER = 12 };
  double r[ORDER + 1] = {0};
  if (length < PIECE) return 0;
  for (unsigned piece = 0; piece < PIECES; piece++) {
    const uint64_t from = (length - PIECE) / (PIECES - 1) * piece;
    double x[PIECE], mean = 0;
    for (unsigned i = 0; i < PIECE; i++) {
      x[i] = value_at(info, type, src, first + (from + i) * distance) / tol;
      mean += x[i] / PIECE;
    }
    if (!(fabs(mean) < 0x1p60)) return 1; /* special values, and what is far beyond any lattice */
    for (unsigned lag = 0; lag <= ORDER; lag++)
      for (unsigned i = lag; i < PIECE; i++) r[lag] += (x[i] - mean) * (x[i - lag] - mean);
  }
  double a[ORDER + 1] = {1}, error = r[0];
  for (unsigned i = 1; i <= ORDER && error > 0; i++) {
    double sum = 0, next[ORDER + 1];
    for (unsigned j = 0; j < i; j++) sum += a[j] * r[i - j];
    const double k = -sum / error;
    for (unsigned j = 0; j <= i; j++) next[j] = (j < i ? a[j] : 0) + k * (j ? a[i - j] : 0);
    memcpy(a, next, (i + 1) * sizeof *a);
    error *= 1 - k * k;
  }
  return error < r[0] / 2;
}

/* Next ones are compared with some that are not so near, but where values may be as large: arrays of which parts are larger than
 * others have neighbours that are alike, and are no more predictable for that. */
int ac_glance_predictable(const ac_info *info, const void *src) {
  enum { LEAST = 64, FEW = 4 };
  static const uint64_t FAR[] = {13, 29};
  const ac_array *a = &info->array;
  const ac_type *type = ac_type_of(a->dtype);
  const uint64_t n = info->count * type->values;
  if (n < LEAST) return 0; /* what it would take to say how */
  const double tol = tolerance_of(info, type, src, n);
  const uint32_t places = n < 2 * SAMPLE ? (uint32_t)(n / 2) : SAMPLE;
  double scatter = 1; /* means of fewer differ by more: no function of libm says by how much */
  for (uint32_t p = places; p < SAMPLE; p *= 4) scatter *= 2;
  uint64_t distance = type->values;
  for (unsigned i = a->ndim; i-- > 0; distance *= length_of(a, i)) {
    const uint64_t length = length_of(a, i);
    double others = -1;
    if (length < 4) continue;
    for (unsigned j = 0; j < sizeof FAR / sizeof *FAR; j++) {
      const double bits = mean_bits(info, type, src, n, tol, distance * (FAR[j] < length ? FAR[j] : length / 2), places);
      if (bits > others) others = bits;
    }
    if (others < 0) return 1;
    const double bits = mean_bits(info, type, src, n, tol, distance, places);
    if (bits >= 0 && bits < others - (others > 3 ? 0.3 : others > 0.8 ? others / 10 : 0.08) * scatter) return 1;
    /* rows, or rows of vectors */
    if (distance <= FEW * type->values && is_signal(info, type, src, tol, n / 2 / (length * distance) * length * distance, length, distance)) return 1;
  }
  return 0;
}
