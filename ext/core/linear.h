/* linear.h: linear prediction along rows of integers: a value from those before it in the row (J. Makhoul, Proc. IEEE 63 (1975)
 * 561), with coefficients that are integers, too. */
#ifndef AC_LINEAR_H
#define AC_LINEAR_H
#include "bytes.h"

enum { AC_MAX_TAPS = 32, AC_MAX_TAP_SHIFT = 24, AC_MAX_TAP_BITS = 27 };

typedef struct {
  uint8_t order; /* 1 .. AC_MAX_TAPS; 0: there is no such prediction */
  uint8_t shift; /* taps count 2^-shift: 1 .. AC_MAX_TAP_SHIFT */
  int32_t tap[AC_MAX_TAPS]; /* of the value before, of the one before that, ... */
} ac_linear;

/* What value k of a row is predicted as; values are `distance` apart, and there are zeros before the first ones.  No sum
 * overflows: taps have AC_MAX_TAP_BITS, values 32. */
static inline int32_t ac_linear_predict(const ac_linear *l, const int32_t *row, uint32_t k, uint32_t distance) {
  const uint32_t before = distance == 1 ? k : k / distance, taps = before < l->order ? before : l->order;
  const int32_t *at = row + k;
  int64_t sum = (int64_t)1 << (l->shift - 1);
  if (distance == 1)
    for (uint32_t j = 0; j < taps; j++) sum += (int64_t)l->tap[j] * at[-1 - (ptrdiff_t)j];
  else
    for (uint32_t j = 0; j < taps; j++) sum += (int64_t)l->tap[j] * at[-(ptrdiff_t)((j + 1) * distance)];
  return (int32_t)(uint32_t)(uint64_t)(sum >> l->shift);
}

void ac_linear_write(ac_writer *out, const ac_linear *linear);
void ac_linear_read(ac_reader *in, ac_linear *linear); /* sets in->failed on anything invalid */

/* ---- encoder ---- */
/* Statistics of rows, for coefficients of every order. */
typedef struct {
  double product[AC_MAX_TAPS + 1][AC_MAX_TAPS + 1]; /* of values at two distances behind, 0 .. AC_MAX_TAPS */
  uint64_t n;
  uint32_t largest;
} ac_linear_fit;

/* n values of a row, `distance` apart. */
void ac_linear_add(ac_linear_fit *fit, const int32_t *row, uint32_t n, uint32_t distance);

/* Coefficients of an order by least squares, for rows whose values will be known up to an error that is even within `unit`. */
int ac_linear_solve(const ac_linear_fit *fit, unsigned order, unsigned unit, ac_linear *linear);
#endif
