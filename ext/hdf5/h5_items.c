/* h5_items.c: see h5_items.h. */
#include "h5_items.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../core/fpenv.h"
#include "../core/types.h"

h5_error h5_refuse(h5_problem *problem, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(problem->text, sizeof problem->text, format, arguments);
  va_end(arguments);
  return -1;
}

#define ITEMS "1, 2 or 3 (absolute tolerance), 5, 6 or 7 (relative tolerance), 8, 11, 12 or 13 (fill value), " \
              "9 (uint16 elements are bfloat16), 14 (level), 15 (predictor), 16 (coder), 17 (stochastic), 18 (low rank)"

static const struct {
  const char *operands; /* NULL: no such item */
  uint8_t n;            /* how many at least */
} KNOWN[] = {
    [ITEM_TOLERANCE] = {"the low and the high word of a double", 2},
    [ITEM_TOLERANCE_POWER] = {"k for the tolerance 2^-k", 1},
    [ITEM_TOLERANCE_DECIMAL] = {"m and e for the tolerance m*10^-e", 2},
    [ITEM_RELATIVE] = {"the low and the high word of a double", 2},
    [ITEM_RELATIVE_POWER] = {"k for the relative tolerance 2^-k", 1},
    [ITEM_RELATIVE_DECIMAL] = {"m and e for the relative tolerance m*10^-e", 2},
    [ITEM_FILL_BITS] = {"the number of words (1, 2 or 4) and the words of an element", 1},
    [ITEM_BFLOAT16] = {"none", 0},
    [ITEM_TYPE] = {"type, rank and two words for each dimension", 2},
    [ITEM_FILL_DOUBLE] = {"the low and the high word of a double", 2},
    [ITEM_FILL_INTEGER] = {"1 if it is negative, else 0, and the low and the high word of its absolute value", 3},
    [ITEM_FILL_COMPLEX] = {"the words of two doubles", 4},
    [ITEM_LEVEL] = {"the level", 1},
    [ITEM_PREDICTOR] = {"the predictor", 1},
    [ITEM_CODER] = {"the coder", 1},
    [ITEM_STOCHASTIC] = {"bits + 256 method + 65536 norm + 16777216 packing, the bucket, and the words of the seed", STOCHASTIC_OPERANDS},
    [ITEM_LOW_RANK] = {"method + 256 target + 65536 bits + 16777216 bits, the words of the target's value, the number of axes of "
                       "rows, and the words of the seed", LOW_RANK_OPERANDS},
};

static const double POWERS_OF_TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static double double_of(const unsigned words[2]) {
  const uint64_t bits = h5_join(words);
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void split(uint64_t value, unsigned words[2]) {
  words[0] = (unsigned)value;
  words[1] = (unsigned)(value >> 32);
}

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* ---- tolerances ---- */
/* `form` is the item's tag, of an absolute tolerance. */
static h5_error read_tolerance(unsigned form, const char *name, unsigned least_k, const unsigned *operands, double *tol,
                               h5_problem *problem) {
  if (form == ITEM_TOLERANCE) {
    uint64_t bits = h5_join(operands);
    if (bits << 1 == 0) bits = 0; /* -0.0 is 0 */
    memcpy(tol, &bits, sizeof bits);
    if (bits >> 52 >= 0x7ff) return h5_refuse(problem, "the %s must be finite and not negative, not %g", name, *tol);
  } else if (form == ITEM_TOLERANCE_POWER) {
    if (operands[0] < least_k || operands[0] > 1022)
      return h5_refuse(problem, "the %s 2^-k needs %u <= k <= 1022, not %u", name, least_k, operands[0]);
    const uint64_t bits = (uint64_t)(1023 - operands[0]) << 52;
    memcpy(tol, &bits, sizeof bits);
  } else {
    if (operands[1] > 22) return h5_refuse(problem, "the %s m*10^-e needs 0 <= e <= 22, not %u", name, operands[1]);
    *tol = operands[0] / POWERS_OF_TEN[operands[1]]; /* both are exact, so the one rounding is the division's */
  }
  return 0;
}

/* ---- all items ---- */
/* The place for the tag of an item, and what to call it. */
static unsigned *place_of(h5_items *items, unsigned tag, const char **name) {
  switch (tag) {
    case ITEM_TOLERANCE: case ITEM_TOLERANCE_POWER: case ITEM_TOLERANCE_DECIMAL:
      *name = "tolerance";
      return &items->absolute;
    case ITEM_RELATIVE: case ITEM_RELATIVE_POWER: case ITEM_RELATIVE_DECIMAL:
      *name = "relative tolerance";
      return &items->relative;
    case ITEM_BFLOAT16:
      *name = "item 9";
      return &items->bfloat16;
    case ITEM_LEVEL:
      *name = "level";
      return &items->effort;
    case ITEM_PREDICTOR:
      *name = "predictor";
      return &items->prediction;
    case ITEM_CODER:
      *name = "coder";
      return &items->coding;
    case ITEM_STOCHASTIC: case ITEM_LOW_RANK:
      *name = "method";
      return &items->other;
    case ITEM_TYPE:
      *name = "type of the dataset";
      return &items->type;
    default:
      *name = "fill value";
      return &items->fill;
  }
}

static int is_dated(unsigned word) {
  const ac_type *type = ac_type_of((int)(word & TYPE_CODE));
  return type && type->dated;
}

/* How many operands an item has, the first of which are there. */
static uint64_t count_operands(unsigned tag, const unsigned *operands) {
  if (tag == ITEM_FILL_BITS) return 1 + (uint64_t)operands[0];
  if (tag == ITEM_TYPE) return 2 + 2 * (uint64_t)operands[1] + (is_dated(operands[0]) ? 1 : 0);
  return KNOWN[tag].n;
}

static h5_error read_item(unsigned tag, const unsigned *operands, h5_items *items, h5_problem *problem) {
  switch (tag) {
    case ITEM_TOLERANCE: case ITEM_TOLERANCE_POWER: case ITEM_TOLERANCE_DECIMAL:
      return read_tolerance(tag, "tolerance", 0, operands, &items->tol, problem);
    case ITEM_RELATIVE: case ITEM_RELATIVE_POWER: case ITEM_RELATIVE_DECIMAL: {
      const unsigned form = tag - ITEM_RELATIVE + ITEM_TOLERANCE;
      if (read_tolerance(form, "relative tolerance", 1, operands, &items->rtol, problem)) return -1;
      if (items->rtol >= 1)
        return h5_refuse(problem, "the relative tolerance must be less than 1, not %g", items->rtol);
      return 0;
    }
    case ITEM_BFLOAT16:
      return 0;
    case ITEM_LEVEL:
      if (operands[0] < AC_MIN_LEVEL || operands[0] > AC_MAX_LEVEL)
        return h5_refuse(problem, "the level must be %d (fast) to %d (smallest), not %u", AC_MIN_LEVEL, AC_MAX_LEVEL,
                         operands[0]);
      items->level = operands[0];
      return 0;
    case ITEM_PREDICTOR:
      if (operands[0] < AC_PREDICTOR_NONE || operands[0] >= AC_PREDICTORS)
        return h5_refuse(problem, "the predictor must be %d (none), %d (auto), %d (Lorenzo), %d (interpolation) or %d (linear), not %u",
                         AC_PREDICTOR_NONE, AC_PREDICTOR_AUTO, AC_PREDICTOR_LORENZO, AC_PREDICTOR_INTERPOLATION,
                         AC_PREDICTOR_LINEAR, operands[0]);
      items->predictor = operands[0];
      return 0;
    case ITEM_CODER:
      if (operands[0] < AC_CODER_RANS || operands[0] >= AC_CODERS)
        return h5_refuse(problem, "the coder must be %d (rANS) or %d (varints), not %u", AC_CODER_RANS, AC_CODER_VARINT, operands[0]);
      items->coder = operands[0];
      return 0;
    case ITEM_STOCHASTIC: {
      const ac_stochastic how = h5_stochastic_of(operands);
      items->other_operands = operands;
      if (how.bits >= 1 && how.bits <= 9 && how.method < AC_METHODS && how.norm < AC_NORMS && how.packing < AC_PACKINGS) return 0;
      return h5_refuse(problem, "item 17 with %u bits (1 to 9), method %u (%d QSGD, %d dither), norm %u (%d L2, %d largest) and "
                       "packing %u (%d rANS, %d fixed)", how.bits, how.method, AC_METHOD_QSGD, AC_METHOD_DITHER, how.norm,
                       AC_NORM_L2, AC_NORM_MAX, how.packing, AC_PACKING_RANS, AC_PACKING_FIXED);
    }
    case ITEM_LOW_RANK: {
      const unsigned factors = operands[0] & 0xff, target = operands[0] >> 8 & 0xff, left = operands[0] >> 16 & 0xff, right = operands[0] >> 24;
      const unsigned axes = operands[LOW_RANK_AXES] & 0xff, level = operands[LOW_RANK_AXES] >> 8;
      const double value = double_of(operands + 1);
      items->other_operands = operands;
      if (factors < AC_FACTORS && target <= 3 && (!target || (value > 0 && isfinite(value))) && left >= 1 && left <= 16 && right >= 1 &&
          right <= 16 && axes >= 1 && axes < AC_MAX_NDIM && level <= AC_MAX_LEVEL)
        return 0;
      return h5_refuse(problem, "item 18 with method %u (0 to %d), target %u (0 to 3) of %g, %u and %u bits (1 to 16), %u axes of rows and "
                       "level %u", factors, AC_FACTORS - 1, target, value, left, right, axes, level);
    }
    case ITEM_TYPE:
      if (operands[1] > H5_MAX_RANK) return h5_refuse(problem, "item 10 with %u dimensions", operands[1]);
      items->rank = operands[1];
      items->dims = operands + 2;
      items->element.word = operands[0];
      items->element.multiple = is_dated(operands[0]) ? operands[2 + 2 * operands[1]] : 0;
      return 0;
    case ITEM_FILL_BITS:
      if (operands[0] != 1 && operands[0] != 2 && operands[0] != 4)
        return h5_refuse(problem, "item 8 takes the bits of a fill value as 1, 2 or 4 words, not %u", operands[0]);
      break;
    case ITEM_FILL_INTEGER:
      if (operands[0] > 1)
        return h5_refuse(problem, "item 12 begins with 1 for a negative fill value, 0 for others, not %u", operands[0]);
      break;
  }
  items->fill_operands = operands;
  return 0;
}

h5_error h5_read_items(const unsigned *values, size_t n, h5_items *items, h5_problem *problem) {
  memset(items, 0, sizeof *items);
  for (size_t i = 0; i < n;) {
    const unsigned tag = values[i++];
    if (tag >= sizeof KNOWN / sizeof KNOWN[0] || !KNOWN[tag].operands)
      return h5_refuse(problem, "unknown item %u: the filter's values are items " ITEMS, tag);
    const char *name;
    unsigned *place = place_of(items, tag, &name);
    if (*place) return h5_refuse(problem, "the %s is given twice, by item %u and item %u", name, *place, tag);
    *place = tag;
    const size_t left = n - i;
    const uint64_t needed = left < KNOWN[tag].n ? KNOWN[tag].n : count_operands(tag, values + i);
    if (left < needed)
      return h5_refuse(problem, "item %u takes %llu value%s, %s, not %zu", tag, (unsigned long long)needed,
                       needed == 1 ? "" : "s", KNOWN[tag].operands, left);
    const ac_fpenv saved = ac_fpenv_enter();
    const h5_error error = read_item(tag, values + i, items, problem);
    ac_fpenv_leave(saved);
    if (error) return error;
    i += (size_t)needed;
  }
  return 0;
}

size_t h5_write_items(const h5_items *items, const uint8_t *fill, h5_element element, unsigned rank, const h5_size *dims,
                      unsigned values[MAX_VALUES]) {
  unsigned *v = values;
  *v++ = ITEM_TOLERANCE;
  split(bits_of(items->tol), v);
  v += 2;
  if (items->rtol > 0) {
    *v++ = ITEM_RELATIVE;
    split(bits_of(items->rtol), v);
    v += 2;
  }
  if (fill) {
    const unsigned code = element.word & TYPE_CODE, words = h5_fill_words(code);
    *v++ = ITEM_FILL_BITS;
    *v++ = words;
    memset(v, 0, words * sizeof *v);
    memcpy(v, fill, ac_element_size((int)code));
    v += words;
  }
  if (items->bfloat16) *v++ = ITEM_BFLOAT16;
  const unsigned numbers[][2] = {{ITEM_LEVEL, items->level}, {ITEM_PREDICTOR, items->predictor}, {ITEM_CODER, items->coder}};
  for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (!numbers[i][1]) continue;
    *v++ = numbers[i][0];
    *v++ = numbers[i][1];
  }
  if (items->other) {
    const unsigned n = KNOWN[items->other].n;
    *v++ = items->other;
    memcpy(v, items->other_operands, n * sizeof *v);
    v += n;
  }
  *v++ = ITEM_TYPE;
  *v++ = element.word;
  *v++ = rank;
  for (unsigned i = 0; i < rank; i++, v += 2) split(dims[i], v);
  if (is_dated(element.word)) *v++ = element.multiple;
  return (size_t)(v - values);
}

ac_stochastic h5_stochastic_of(const unsigned *operands) {
  const unsigned word = operands[0];
  return (ac_stochastic){.bits = (uint8_t)word, .method = (uint8_t)(word >> 8), .norm = (uint8_t)(word >> 16),
                         .packing = (uint8_t)(word >> 24), .bucket = operands[1], .seed = h5_join(operands + 2)};
}

/* ---- fill values ---- */
int h5_is_finite(unsigned code, const uint8_t *bits) {
  const ac_type *type = ac_type_of((int)code);
  for (unsigned i = 0; type->kind == AC_KIND_FLOAT && i < type->values; i++) {
    uint64_t part = 0;
    memcpy(&part, bits + i * type->size, type->size);
    const uint64_t special = type->most + 1u; /* the exponent field of NaN and infinities */
    if ((part >> type->significand & special) == special) return 0;
  }
  return 1;
}

/* Rounded once: through a float that is odd where it is not exact. */
static uint16_t float16_of_double(double value) {
  float f = (float)value;
  if ((double)f != value && isfinite(f)) {
    uint32_t bits = ac_bits_of_float(f);
    if (fabs((double)f) > fabs(value)) bits--;
    f = ac_float_of_bits(bits | 1);
  }
  return ac_to_float16(f);
}

/* One part, as NumPy converts Python's numbers: an integer of 64 bits goes straight to the type. */
static void write_float(unsigned dtype, double value, int is_integer, int negative, uint64_t magnitude, uint8_t *bits) {
  if (is_integer) value = negative ? -(double)magnitude : (double)magnitude;
  const float single = !is_integer ? (float)value : negative ? -(float)magnitude : (float)magnitude;
  uint16_t half;
  switch (dtype) {
    case AC_FLOAT32: memcpy(bits, &single, sizeof single); return;
    case AC_FLOAT64: memcpy(bits, &value, sizeof value); return;
    case AC_FLOAT16: half = is_integer ? ac_to_float16(single) : float16_of_double(value); break;
    default: half = ac_to_bfloat16((float)value);
  }
  memcpy(bits, &half, sizeof half);
}

static h5_error write_integer(const ac_type *type, int negative, uint64_t magnitude, uint8_t *bits,
                              h5_problem *problem) {
  const uint64_t all = type->size == 8 ? UINT64_MAX : (1ull << 8 * type->size) - 1;
  const uint64_t most = type->kind == AC_KIND_SIGNED ? (all >> 1) + (negative ? 1 : 0) : negative ? 0 : all;
  if (magnitude > most)
    return h5_refuse(problem, "%s integers of %u bytes cannot hold the fill value %s%llu",
                     type->kind == AC_KIND_SIGNED ? "signed" : "unsigned", type->size, negative ? "-" : "",
                     (unsigned long long)magnitude);
  const uint64_t value = negative ? -magnitude : magnitude;
  memcpy(bits, &value, type->size);
  return 0;
}

static h5_error write_bits(unsigned code, const unsigned *operands, uint8_t *bits, h5_problem *problem) {
  const size_t size = ac_element_size((int)code);
  const unsigned words = h5_fill_words(code);
  if (operands[0] != words)
    return h5_refuse(problem, "item 8 has a fill value of %u words, the dataset elements of %zu bytes", operands[0],
                     size);
  if (size < 4 && operands[1] >> 8 * size)
    return h5_refuse(problem, "item 8 has the fill value 0x%x, the dataset elements of %zu bytes", operands[1], size);
  memcpy(bits, operands + 1, size);
  return 0;
}

static h5_error write_number(unsigned code, const h5_items *items, uint8_t *bits, h5_problem *problem) {
  const ac_type *type = ac_type_of((int)code);
  const unsigned *operands = items->fill_operands;
  const int is_integer = items->fill == ITEM_FILL_INTEGER, is_complex = items->fill == ITEM_FILL_COMPLEX;
  int negative = is_integer && operands[0];
  uint64_t magnitude = is_integer ? h5_join(operands + 1) : 0;
  const double value = is_integer ? 0 : double_of(operands);
  const double imaginary = is_complex ? double_of(operands + 2) : 0;
  if (is_complex && type->values != 2)
    return h5_refuse(problem, "the fill value %g%+gi is complex, the dataset is not", value, imaginary);
  if (type->kind == AC_KIND_FLOAT) {
    write_float(type->dtype, value, is_integer, negative, magnitude, bits);
    if (type->values == 2) write_float(type->dtype, imaginary, 0, 0, 0, bits + type->size);
    return 0;
  }
  if (!is_integer) {
    if (value != trunc(value) || !(fabs(value) < 0x1p64))
      return h5_refuse(problem, "integers of %u bytes cannot hold the fill value %g", type->size, value);
    negative = value < 0;
    magnitude = (uint64_t)fabs(value);
  }
  return write_integer(type, negative, magnitude, bits, problem);
}

h5_error h5_fill_of_items(const h5_items *items, unsigned code, uint8_t bits[MAX_ELEMENT], int *given,
                          h5_problem *problem) {
  const int is_double = items->fill == ITEM_FILL_DOUBLE || items->fill == ITEM_FILL_COMPLEX;
  *given = 0;
  if (!items->fill || (is_double && !isfinite(double_of(items->fill_operands)))) return 0;
  if (items->fill == ITEM_FILL_COMPLEX && !isfinite(double_of(items->fill_operands + 2))) return 0;
  const ac_fpenv saved = ac_fpenv_enter();
  const h5_error error = items->fill == ITEM_FILL_BITS ? write_bits(code, items->fill_operands, bits, problem)
                                                       : write_number(code, items, bits, problem);
  ac_fpenv_leave(saved);
  *given = !error && h5_is_finite(code, bits);
  return error;
}
