/* decimal.c: see decimal.h.  Below split.c, which divides the numbers into those that are predicted and the digits that they leave
 * out.
 *
 * A decimal number becomes a float by rounding to the nearest, as readers of text do.  A quotient of doubles rounds so if divisor and
 * number are exact, up to 10^22; for smaller units integers multiply by the reciprocal of 5^places, to 128 bits (D. Lemire, "Number
 * parsing at a gigabyte per second", Software: Practice and Experience 51, 2021; N. Mushtak, D. Lemire, "Fast number parsing without
 * fallback", 2023).
 *
 * Invariant: the same value on every machine.
 */
#include "decimal.h"

#include <string.h>

#include "fine.h"

__extension__ typedef unsigned __int128 uint128;

enum { EXACT_PLACES = 22 /* 10^22 is a double */, SIGNIFICAND = 52 };

double ac_decimal_scale(unsigned n) {
  static const double powers[AC_MOST_PLACES + 1] = {
      1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
      1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33,
      1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50};
  return powers[n];
}

/* floor(2^(127 + bits) / 5^places), above 2^127, and the bits that 5^places has. */
typedef struct {
  uint128 reciprocal;
  unsigned bits;
} divisor;

static divisor divisor_of(unsigned places) {
  uint128 power = 1;
  for (unsigned i = 0; i < places; i++) power *= 5;
  divisor d = {0, 1};
  while (power >> d.bits) d.bits++;
  uint128 rest = (uint128)1 << (d.bits - 1); /* of 2^(bits - 1), then bit by bit; below 5^places, but for 5^0 */
  for (unsigned i = 0; i < 128; i++) {
    rest <<= 1;
    const int one = rest >= power;
    d.reciprocal = d.reciprocal << 1 | (unsigned)one;
    if (one) rest -= power;
  }
  return d;
}

/* number / 10^places, 0 < number < 2^53. */
static double divide(const divisor *d, unsigned places, uint64_t number) {
  const unsigned length = 64 - (unsigned)__builtin_clzll(number);
  const uint64_t n = number << (64 - length);
  /* n * reciprocal / 2^64, less than two too small: no number is so near to the middle between two doubles (tests/test_lossless.py) */
  const uint128 q = (uint128)n * (uint64_t)(d->reciprocal >> 64) + (uint64_t)((uint128)n * (uint64_t)d->reciprocal >> 64);
  const unsigned low = !(q >> 127);
  const uint64_t high = (uint64_t)(q << low >> 64), significand = (high >> 11) + (high >> 10 & 1);
  const int exponent = (int)length - (int)d->bits - (int)low - (int)places + 1022;
  /* a carry out of the significand is added to the exponent */
  return ac_double_of_bits(AC_FLOAT64, ((uint64_t)exponent << SIGNIFICAND) + significand);
}

static uint64_t magnitude_of(int64_t number) {
  const uint64_t most = ((uint64_t)2 << SIGNIFICAND) - 1;
  return (number < 0 ? 0 - (uint64_t)number : (uint64_t)number) & most;
}

void ac_decimal_values(const ac_decimal *decimal, const ac_type *type, const int64_t *numbers, uint32_t n, void *values) {
  enum { PIECE = 256 };
  const unsigned places = decimal->places;
  const divisor by = places > EXACT_PLACES ? divisor_of(places) : (divisor){0, 0};
  const double power = ac_decimal_scale(places);
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    const int64_t *const v = numbers + from;
    double x[PIECE];
    for (uint32_t j = 0; j < m; j++) {
      const uint64_t magnitude = magnitude_of(v[j]);
      x[j] = places <= EXACT_PLACES ? (double)(int64_t)magnitude / power : magnitude ? divide(&by, places, magnitude) : 0;
    }
    for (uint32_t j = 0; j < m; j++) x[j] = v[j] < 0 ? -x[j] : x[j];
    if (type->size == 8) memcpy((double *)values + from, x, m * sizeof *x);
    else
      for (uint32_t j = 0; j < m; j++) ((float *)values)[from + j] = (float)x[j];
  }
}

void ac_decimal_numbers(const ac_decimal *decimal, const ac_type *type, const void *values, uint32_t n, int64_t *numbers) {
  const double power = ac_decimal_scale(decimal->places);
  for (uint32_t j = 0; j < n; j++) {
    const double v = ac_rint(ac_value_at(type->dtype, values, j) * power);
    numbers[j] = fabs(v) < 0x1p53 ? (int64_t)v : 0;
  }
}

unsigned ac_decimal_zeros(const ac_decimal *decimal, unsigned left, uint32_t low) {
  const unsigned digits = low ? ac_decimal_digits(low) + left : 0;
  if (!decimal->digits || digits <= decimal->digits) return 0;
  return digits - decimal->digits < left ? digits - decimal->digits : left;
}

/* ---- are there any? ---- */
/* The fewest places of x > 0 with at most `most` digits, and its number then; 0 if there are none. */
static int shortest(const ac_type *type, double x, unsigned most, unsigned *places, uint64_t *number) {
  const double limit = ac_decimal_scale(most);
  const uint64_t bits = ac_bits_of_double(type->dtype, x);
  for (unsigned p = 0; p <= AC_MOST_PLACES; p++) {
    const double v = ac_rint(x * ac_decimal_scale(p));
    if (!(v < limit)) return 0;
    if (v < 1) continue;
    uint64_t again = 0;
    const int64_t k = (int64_t)v;
    ac_decimal_values(&(ac_decimal){(uint8_t)p, 0}, type, &k, 1, &again);
    if (again != bits) continue;
    *places = p;
    *number = (uint64_t)k;
    return 1;
  }
  return 0;
}

/* Digits that a type's values have by chance are more than those. */
static unsigned most_digits(const ac_type *type) { return type->size == 8 ? AC_MOST_DIGITS : 6; }

int ac_decimal_find(const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, ac_decimal *decimal, uint64_t *largest) {
  enum { SAMPLE = 256, FEWEST = 32, ONE_WITHOUT = 32 };
  if (n < SAMPLE) return 0;
  uint32_t with = 0, without = 0;
  unsigned places = 0, digits = 0, all_of[SAMPLE], length[SAMPLE];
  for (uint32_t i = 0; i < SAMPLE && without <= 1 + (with + without) / ONE_WITHOUT; i++) { /* golden-section multiples */
    const uint32_t at = (uint32_t)((uint64_t)(i * 0x9e3779b9u) * n >> 32);
    const double x = fabs(ac_value_at(type->dtype, values, at));
    uint64_t number;
    if ((masked && masked[at] & 1) || x == 0 || !(x <= DBL_MAX)) continue;
    if (!shortest(type, x, most_digits(type), &all_of[with], &number)) {
      without++;
      continue;
    }
    length[with] = ac_decimal_digits(number);
    places = all_of[with] > places ? all_of[with] : places;
    digits = length[with] > digits ? length[with] : digits;
    with++;
  }
  if (with < FEWEST || without > 1 + (with + without) / ONE_WITHOUT) return 0;
  double most = 0;
  for (uint32_t i = 0; i < n; i++) {
    const double x = fabs(ac_value_at(type->dtype, values, i));
    if (!(masked && masked[i] & 1) && x > most && x <= DBL_MAX) most = x;
  }
  /* all digits of the largest value must be exact, which the places of a tiny one may not be */
  while (places && !(most * ac_decimal_scale(places) < ac_decimal_scale(AC_MOST_DIGITS))) places--;
  if (!(most * ac_decimal_scale(places) < ac_decimal_scale(AC_MOST_DIGITS))) return 0;
  *decimal = (ac_decimal){(uint8_t)places, 0};
  unsigned zeros = 0; /* of numbers with more digits */
  for (uint32_t i = 0; i < with; i++) zeros += all_of[i] < places && length[i] + places - all_of[i] > digits;
  if (8 * zeros > with) decimal->digits = (uint8_t)digits;
  *largest = (uint64_t)ac_rint(most * ac_decimal_scale(places));
  return 1;
}
