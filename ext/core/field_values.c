/* field_values.c: see field_values.h.  Between values and the encoder of predicted blocks.
 *
 * Invariant: a value that a decoder may have put out before, for the same tolerance, is known as such (docs/guarantee.md),
 * and every value is within the bound or refused.
 */
#include "field_values.h"

#include <string.h>

enum { PIECE = 1024 };

/* What is known of m values by the lattices that they are on: this one, another, or the uniform one, but not by this one's
 * arithmetic (then another mode may have put it out).  Returns how many of the others have an integer that is not below `end`. */
static uint32_t look_at(const uint8_t *on, unsigned fold, uint32_t m, const int32_t *x, int32_t end, uint8_t *known) {
  const uint8_t here = (uint8_t)(1 << fold), nothing = fold ? 0 : 1; /* bytes, and no branches: vectors have many of them */
  int32_t least = 0, most = 0;
  for (uint32_t j = 0; j < m; j++) {
    least = x[j] < least ? x[j] : least;
    most = x[j] > most ? x[j] : most;
  }
  for (uint32_t j = 0; j < m; j++) {
    uint8_t what = on[j] & here ? AC_FIXED : on[j] ? AC_APART : 0;
    what = on[j] == nothing ? 0 : what;
    known[j] = known[j] & AC_MASKED ? AC_MASKED : what;
  }
  if (most < end && least > -end) return 0;
  uint32_t far = 0;
  for (uint32_t j = 0; j < m; j++) far += (known[j] == 0) & ((x[j] >= end) | (x[j] <= -end));
  return far;
}

int ac_field_integers(const ac_scale *scale, const void *values, uint32_t n, const uint8_t *known, int32_t *x, int64_t *base) {
  const unsigned size = scale->type->size;
  int64_t wide[PIECE], least = INT64_MAX, most = INT64_MIN;
  for (int pass = 0; pass < 2; pass++) {
    for (uint32_t from = 0; from < n; from += PIECE) {
      const uint32_t m = n - from < PIECE ? n - from : PIECE;
      ac_whole_load(scale, (const uint8_t *)values + (size_t)from * size, m, wide);
      for (uint32_t j = 0; j < m && !pass; j++) {
        if (known[from + j] & AC_MASKED) continue;
        least = wide[j] < least ? wide[j] : least;
        most = wide[j] > most ? wide[j] : most;
      }
      for (uint32_t j = 0; j < m && pass; j++)
        x[from + j] = known[from + j] & AC_MASKED ? 0 : (int32_t)((uint64_t)wide[j] - (uint64_t)*base);
    }
    if (least > most || (uint64_t)most - (uint64_t)least >= 1u << 30) return 0;
    *base = (int64_t)((uint64_t)least + ((uint64_t)most - (uint64_t)least) / 2);
  }
  return 1;
}

int ac_field_quantize(unsigned fold, const ac_scale *scale, const void *values, uint32_t n, int32_t *x, uint8_t *known) {
  enum { MOST = 1 << 29 };
  if (scale->type->kind != AC_KIND_FLOAT) { /* as ac_field_integers has made them */
    memcpy(x, values, n * sizeof *x);
    for (uint32_t j = 0; j < n; j++) known[j] &= AC_MASKED;
    return 1;
  }
  const int dtype = scale->type->dtype, has_fine = ac_fold_limit(dtype, 1) > 0;
  const double step = ac_fold_step(scale, fold), limit = ac_fold_limit(dtype, fold);
  const int32_t end = limit < MOST ? (int32_t)limit : MOST;
  uint32_t far = 0;
  uint8_t on[PIECE];
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    const uint8_t *const piece = (const uint8_t *)values + (size_t)from * scale->type->size;
    uint32_t beyond = 0;
    ac_folds_find(scale, piece, m, on);
    if (has_fine) {
      beyond = ac_active_kernels()->nearest[dtype == AC_FLOAT64](piece, step, MOST, m, x + from);
    } else {
      for (uint32_t j = 0; j < m; j++) {
        const double q = ac_rint(ac_value_at(dtype, piece, j) * (1 / step));
        const int near = fabs(q) < MOST;
        x[from + j] = near ? (int32_t)q : 0;
        beyond += !near;
      }
    }
    far += look_at(on, fold, m, x + from, end, known + from);
    for (uint32_t j = 0; j < m && beyond; j++) {
      if (known[from + j] & AC_MASKED) continue;
      const double value = fabs(ac_value_at(dtype, piece, j));
      const int here = !(ac_rint(value * (1 / step)) < MOST);
      if (here && value * scale->lattice.inv <= AC_QMAX + 1.0) return 0; /* the mode uniform has it */
      far += (uint32_t)here;
    }
  }
  return far <= n / 64;
}

uint32_t ac_field_refuse(unsigned fold, const ac_scale *scale, const void *values, const int32_t *r, uint32_t n, uint8_t *known,
                         uint32_t *index) {
  const int dtype = scale->type->dtype, has_kernel = dtype == AC_FLOAT32 || dtype == AC_FLOAT64;
  const double step = ac_fold_step(scale, fold), limit = ac_fold_limit(dtype, fold), tol = scale->lattice.tol;
  uint32_t refused = 0;
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t end = n - from < PIECE ? n : from + PIECE;
    const uint8_t *const piece = (const uint8_t *)values + (size_t)from * scale->type->size;
    if (has_kernel && !ac_active_kernels()->off[dtype == AC_FLOAT64](piece, r + from, step, limit, tol, end - from)) continue;
    for (uint32_t i = from; i < end; i++) {
      if (known[i] & (AC_MASKED | AC_APART)) continue;
      const double value = ac_value_at(dtype, values, i), q = ac_rint(value * scale->lattice.inv);
      const int outside = r[i] >= limit || r[i] <= -limit; /* where nobody would know it again */
      if (!outside && ac_within(value, ac_reconstruct(dtype, r[i], step), tol)) continue;
      if (has_kernel && fold && fabs(q) <= AC_QMAX && ac_within(value, ac_reconstruct(dtype, (int32_t)q, scale->lattice.delta), tol)) known[i] |= AC_ROUNDED;
      else index[refused++] = i;
    }
  }
  return refused;
}

int ac_field_list(unsigned fold, const ac_scale *scale, const void *values, const int32_t *r, uint32_t n, const uint8_t *known,
                  uint32_t *index, uint8_t *code, uint32_t *listed) {
  const int dtype = scale->type->dtype;
  const unsigned size = scale->type->size;
  *listed = 0;
  uint8_t any = 0;
  for (uint32_t i = 0; i < n; i++) any |= known[i];
  if (!(any & (AC_APART | AC_ROUNDED))) return 1;
  for (uint32_t i = 0; i < n; i++) {
    if (!(known[i] & (AC_APART | AC_ROUNDED))) continue;
    const double value = ac_value_at(dtype, values, i);
    uint8_t on = 1;
    if (known[i] & AC_APART) ac_folds_find(scale, (const uint8_t *)values + (size_t)i * size, 1, &on);
    index[*listed] = i;
    if (!ac_fine_code(scale, value, on, ac_reconstruct(dtype, r[i], ac_fold_step(scale, fold)), &code[(*listed)++])) return 0;
  }
  return 1;
}

