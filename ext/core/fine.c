/* fine.c: see fine.h.  Between the lattice and the modes that quantize to it: what was decoded and is encoded again must
 * not move, wherever an earlier encoder had put it.
 *
 * Invariants: the decoder's arithmetic, (T)((double)R * (delta / fold)), alone says which values are on a lattice; what
 * a list says is checked against the limits of its lattice.
 */
#include "fine.h"

#include <string.h>

double ac_fold_limit(int dtype, unsigned fold) {
  static const double OF_FLOAT32[AC_FOLDS] = {AC_QMAX + 1.0, 5 << 13, 17 << 11};
  if (dtype == AC_FLOAT32 || !fold) return OF_FLOAT32[fold];
  return dtype == AC_FLOAT64 ? 1 << 26 : 0;
}

double ac_value_at(int dtype, const void *values, uint32_t i) {
  switch (dtype) {
    case AC_FLOAT32: return (double)((const float *)values)[i];
    case AC_FLOAT64: return ((const double *)values)[i];
    case AC_FLOAT16: return (double)ac_from_float16(((const uint16_t *)values)[i]);
    default: return (double)ac_from_bfloat16(((const uint16_t *)values)[i]);
  }
}

double ac_reconstruct(int dtype, int32_t r, double step) {
  switch (dtype) {
    case AC_FLOAT32: return (double)ac_reconstruct_f32(r, step);
    case AC_FLOAT64: return ac_reconstruct_f64(r, step);
    case AC_FLOAT16: return (double)ac_from_float16(ac_reconstruct_f16(r, step));
    default: return (double)ac_from_bfloat16(ac_reconstruct_bf16(r, step));
  }
}

/* Returns the finest step. */
static double lattices_of(const ac_scale *scale, double *step, double *limit) {
  for (unsigned f = 0; f < AC_FOLDS; f++) {
    step[f] = ac_fold_step(scale, f);
    limit[f] = ac_fold_limit(scale->type->dtype, f);
  }
  return step[AC_FOLDS - 1];
}

void ac_folds_find(const ac_scale *scale, const void *values, uint32_t n, uint8_t *on) {
  const int dtype = scale->type->dtype;
  if (dtype != AC_FLOAT32 && dtype != AC_FLOAT64) {
    memset(on, 0, n);
    return;
  }
  double step[AC_FOLDS], limit[AC_FOLDS];
  lattices_of(scale, step, limit);
  ac_active_kernels()->belongs[dtype == AC_FLOAT64](values, step, limit, AC_FOLDS, n, on);
}

enum { PIECE = 1024, FEW = 128, VECTORS = 64 /* values: of so many compilers make vectors */ };

/* The suspects among m <= PIECE values, FEW at most, and zeros, which are on the uniform lattice, up to whole vectors; returns
 * how many there are with these. */
static uint32_t gather_suspects(const uint8_t *values, size_t size, uint32_t m, const uint8_t *suspect, uint8_t *some, uint16_t *place) {
  uint32_t n = 0;
  for (uint32_t j = 0; j < m; j += 8)
    for (uint64_t left = ac_load64(suspect + j); left; left &= left - 1, n++) { /* each is a 1 */
      place[n] = (uint16_t)(j + (uint32_t)__builtin_ctzll(left) / 8);
      memcpy(some + n * size, values + place[n] * size, size);
    }
  const uint32_t whole = (n + VECTORS - 1) / VECTORS * VECTORS;
  memset(some + n * size, 0, (whole - n) * size);
  return whole;
}

/* Values are looked at only if a glance does not exclude them: most arrays never were on a finer lattice. */
uint32_t ac_fine_find(const ac_scale *scale, const void *values, uint32_t n, uint32_t *index) {
  const int dtype = scale->type->dtype, is_double = dtype == AC_FLOAT64;
  const size_t size = scale->type->size;
  const double least = 0x1p-96;
  const ac_kernels *kernels = ac_active_kernels();
  double step[AC_FOLDS], limit[AC_FOLDS];
  uint32_t found = 0;
  if (ac_fold_limit(dtype, 1) == 0) return 0;
  const int all = lattices_of(scale, step, limit) < least;
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    const uint8_t *const piece = (const uint8_t *)values + (size_t)from * size;
    uint8_t suspect[PIECE] = {0}, on[PIECE], some[FEW * sizeof(double)], fine = 0;
    uint16_t place[FEW];
    uint32_t any = 0, looked_at = m;
    for (unsigned f = 1; f < AC_FOLDS && !all; f++) any += kernels->suspects[is_double](piece, step[f], m, suspect);
    if (!any && !all) continue;
    const int few = !all && any <= FEW; /* not those on the uniform lattice, which are all suspect */
    if (few) looked_at = gather_suspects(piece, size, m, suspect, some, place);
    kernels->belongs[is_double](few ? some : piece, step, limit, AC_FOLDS, looked_at, on);
    for (uint32_t j = 0; j < looked_at; j++) fine |= on[j] & (uint8_t)((on[j] & 1) - 1);
    for (uint32_t j = 0; j < looked_at && fine; j++) {
      if (on[j] < 2 || on[j] & 1) continue;
      index[found++] = from + (few ? place[j] : j);
    }
  }
  return found;
}

/* ---- lists ---- */
int ac_fine_code(const ac_scale *scale, double value, uint8_t on, double near, uint8_t *code) {
  unsigned fold = 0;
  while (!(on >> fold & 1)) fold++;
  const double inv = 1 / ac_fold_step(scale, fold), shift = ac_rint(value * inv) - ac_rint(near * inv);
  const int most = 1 << ac_shift_bits(fold) >> 1;
  if (!(shift >= -most && shift < most)) return 0;
  *code = ac_shift_code(fold, (int)shift);
  return 1;
}

void ac_fine_write(ac_writer *out, const uint32_t *index, const uint8_t *code, uint32_t n) {
  ac_write_varint(out, n);
  uint8_t *const start = out->p;
  ac_shifts_write(out, index, code, n);
  ac_insert_length(out, start);
}

void ac_fine_read(ac_reader *in, uint32_t n, ac_fine *fine) {
  const uint64_t entries = ac_read_varint(in), length = ac_read_varint(in);
  fine->entries = 0;
  if (!in->failed && (!entries || entries > n || length > ac_remaining(in))) in->failed = AC_E_FORMAT;
  if (in->failed) return;
  fine->entries = (uint32_t)entries;
  fine->list = (ac_reader){in->p, in->p + length, 0};
  in->p += length;
}

int ac_fine_put(ac_fine *fine, const ac_scale *scale, uint32_t n, void *values) {
  const int dtype = scale->type->dtype;
  ac_list list;
  ac_shifts_open(&list, &fine->list, fine->entries, n);
  for (; list.at != UINT64_MAX; ac_list_next(&list)) {
    const double step = ac_fold_step(scale, list.fold), limit = ac_fold_limit(dtype, list.fold);
    const double r = ac_rint(ac_value_at(dtype, values, (uint32_t)list.at) * (1 / step)) + list.value;
    if (!(r < limit && r > -limit)) return AC_E_FORMAT;
    if (dtype == AC_FLOAT32) ((float *)values)[list.at] = ac_reconstruct_f32((int32_t)r, step);
    else ((double *)values)[list.at] = ac_reconstruct_f64((int32_t)r, step);
  }
  return fine->list.failed || ac_remaining(&fine->list) ? AC_E_FORMAT : AC_OK;
}
