/* linear.c: see linear.h.  Between the integers of a block (attempt.c, field_decode.c) and their residuals, where rows are signals.
 *
 * Invariant: doubles choose coefficients, integers predict: no machine decodes anything else.
 */
#include "linear.h"

#include <math.h>
#include <string.h>

#include "../arraycodec.h"
#include "solve.h"

/* ---- stream ---- */
static unsigned width_of(const ac_linear *l) {
  unsigned width = 2;
  for (unsigned j = 0; j < l->order; j++)
    while (l->tap[j] >= 1 << (width - 1) || l->tap[j] < -(1 << (width - 1))) width++;
  return width;
}

void ac_linear_write(ac_writer *out, const ac_linear *l) {
  const unsigned width = width_of(l);
  ac_write8(out, (uint8_t)(l->order - 1));
  ac_write8(out, l->shift);
  ac_write8(out, (uint8_t)width);
  ac_bitwriter bits = {out, 0, 0};
  for (unsigned j = 0; j < l->order; j++) ac_write_bits(&bits, (uint32_t)l->tap[j] & ((1u << width) - 1), width);
  ac_flush_bits(&bits);
}

void ac_linear_read(ac_reader *in, ac_linear *l) {
  const unsigned order = ac_read8(in) + 1u, shift = ac_read8(in), width = ac_read8(in);
  l->order = 0;
  if (!in->failed && (order > AC_MAX_TAPS || shift < 1 || shift > AC_MAX_TAP_SHIFT || width < 2 || width > AC_MAX_TAP_BITS))
    in->failed = AC_E_FORMAT;
  if (in->failed) return;
  l->order = (uint8_t)order;
  l->shift = (uint8_t)shift;
  ac_bitreader bits = {in, 0, 0};
  for (unsigned j = 0; j < order; j++) l->tap[j] = (int32_t)(ac_read_bits(&bits, width) << (32 - width)) >> (32 - width);
  ac_end_bits(&bits);
}

/* ---- encoder ---- */
void ac_linear_add(ac_linear_fit *fit, const int32_t *row, uint32_t n, uint32_t distance) {
  if (n <= 2 * AC_MAX_TAPS) return;
  const uint32_t first = AC_MAX_TAPS;
  double last[AC_MAX_TAPS + 1][AC_MAX_TAPS + 1];
  for (uint32_t i = 0; i < n; i++) {
    const int32_t v = row[(size_t)i * distance];
    const uint32_t a = v < 0 ? 0u - (uint32_t)v : (uint32_t)v;
    if (a > fit->largest) fit->largest = a;
  }
#define AT(i) ((double)row[(size_t)(i) * distance])
  for (uint32_t k = 0; k <= AC_MAX_TAPS; k++) {
    double sum = 0;
    for (uint32_t i = first; i < n; i++) sum += AT(i) * AT(i - k);
    last[0][k] = sum;
  }
  /* the same one value back: one product less at the end, one more at the start */
  for (uint32_t j = 1; j <= AC_MAX_TAPS; j++)
    for (uint32_t k = j; k <= AC_MAX_TAPS; k++)
      last[j][k] = last[j - 1][k - 1] + AT(first - j) * AT(first - k) - AT(n - j) * AT(n - k);
#undef AT
  for (uint32_t j = 0; j <= AC_MAX_TAPS; j++)
    for (uint32_t k = j; k <= AC_MAX_TAPS; k++) fit->product[j][k] += last[j][k];
  fit->n += n - first;
}

int ac_linear_solve(const ac_linear_fit *fit, unsigned order, unsigned unit, ac_linear *l) {
  double products[AC_MAX_TAPS * AC_MAX_TAPS], x[AC_MAX_TAPS], largest = 0;
  const double noise = (double)fit->n * ((double)unit * unit / 12);
  if (!fit->n) return 0;
  for (unsigned i = 0; i < order; i++)
    for (unsigned j = 0; j <= i; j++) products[i * order + j] = fit->product[j + 1][i + 1] + (i == j ? noise : 0);
  if (!ac_solve(products, order, &fit->product[0][1], x)) return 0;
  for (unsigned i = 0; i < order; i++)
    if (fabs(x[i]) > largest) largest = fabs(x[i]);
  /* as fine as makes the largest values differ by less than a unit or so */
  unsigned shift = 4;
  while (shift < AC_MAX_TAP_SHIFT && (double)fit->largest * 32 > (double)unit * (double)(1u << shift)) shift++;
  while (shift > 1 && largest * (double)(1u << shift) >= (double)(1 << (AC_MAX_TAP_BITS - 1))) shift--;
  if (!(largest * (double)(1u << shift) < (double)(1 << (AC_MAX_TAP_BITS - 1)))) return 0;
  memset(l, 0, sizeof *l);
  l->order = (uint8_t)order;
  l->shift = (uint8_t)shift;
  for (unsigned i = 0; i < order; i++) l->tap[i] = (int32_t)floor(x[i] * (double)(1u << shift) + 0.5);
  return 1;
}
