/* decimal.h: floats that were read from decimal numbers, which have so many places behind the point, or so many digits. */
#ifndef AC_DECIMAL_H
#define AC_DECIMAL_H
#include "bytes.h"
#include "types.h"

enum { AC_MOST_PLACES = 50, AC_MOST_DIGITS = 15 };

typedef struct {
  uint8_t places; /* the number K stands for K / 10^places */
  uint8_t digits; /* a number of more digits has nothing but zeros after so many; 0: any has all of its places */
} ac_decimal;

static inline int ac_decimal_valid(const ac_decimal *d) { return d->places <= AC_MOST_PLACES && d->digits <= AC_MOST_DIGITS; }

/* 10^n, n <= 18. */
static inline uint64_t ac_decimal_power(unsigned n) {
  static const uint64_t powers[] = {1,
                                    10,
                                    100,
                                    1000,
                                    10000,
                                    100000,
                                    1000000,
                                    10000000,
                                    100000000,
                                    1000000000,
                                    10000000000,
                                    100000000000,
                                    1000000000000,
                                    10000000000000,
                                    100000000000000,
                                    1000000000000000,
                                    10000000000000000,
                                    100000000000000000,
                                    1000000000000000000};
  return powers[n];
}

/* The double nearest to 10^n, n <= AC_MOST_PLACES: up to 10^22 it is that. */
double ac_decimal_scale(unsigned n);

/* Digits of v < 10^18; none of 0. */
static inline unsigned ac_decimal_digits(uint64_t v) {
  const unsigned digits = ac_bit_length(v) * 1233 >> 12; /* log10(2), about: of those below the leading one */
  return digits + (v >= ac_decimal_power(digits) && v);
}

/* Decimals that nearly all of n values have, but for those that are masked (1 in `masked`; or NULL), and the largest number of them, by
 * magnitude; 0 if there are none. */
int ac_decimal_find(const ac_type *type, const void *values, uint32_t n, const uint8_t *masked, ac_decimal *decimal, uint64_t *largest);

/* Their numbers; 0 where they are too large. */
void ac_decimal_numbers(const ac_decimal *decimal, const ac_type *type, const void *values, uint32_t n, int64_t *numbers);

/* And back: the double nearest to the number, whose magnitude is taken modulo 2^53, rounded to the type. */
void ac_decimal_values(const ac_decimal *decimal, const ac_type *type, const int64_t *numbers, uint32_t n, void *values);

/* Of numbers from low * 10^left on, that many less one: how many of the lowest digits are surely 0. */
unsigned ac_decimal_zeros(const ac_decimal *decimal, unsigned left, uint32_t low);
#endif
