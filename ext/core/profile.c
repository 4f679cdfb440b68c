/* profile.c: the pipeline of a block under a stopwatch.  Beside the pipeline: nothing else calls it.
 *
 * Invariant: the blocks are encoded and decoded by the functions that every call uses.
 */
#include "profile.h"

#include <stdlib.h>

#include "../simd/kernels.h"
#include "block.h"
#include "fpenv.h"

typedef struct {
  ac_encode_scratch scratch;
  ac_decode_scratch decoding;
  uint8_t *memory, *dst, *out;
} workspace;

static int profile_block(const ac_scale *scale, const uint8_t *src, uint32_t n, workspace *w, ac_stopwatch *watch) {
  static const ac_tuning automatic;
  const ac_kernels *kernels = ac_active_kernels();
  const ac_geometry geometry = ac_geometry_of_run(n, 1);
  double start = watch->last = ac_seconds();
  const size_t size = ac_block_encode(scale, &geometry, src, &automatic, &w->scratch, w->dst);
  watch->last = ac_seconds();
  const uint32_t checksum = kernels->crc32c(w->dst, size);
  ac_lap(watch, AC_STAGE_ENCODE_CHECKSUM);
  watch->seconds[AC_STAGE_ENCODE_TOTAL] += watch->last - start;

  start = watch->last = ac_seconds();
  const int changed = kernels->crc32c(w->dst, size) != checksum;
  ac_lap(watch, AC_STAGE_DECODE_CHECKSUM);
  const int error = ac_block_decode(scale, &geometry, w->dst, size, &w->decoding, w->out);
  watch->seconds[AC_STAGE_DECODE_TOTAL] += ac_seconds() - start;
  return changed ? AC_E_CHECKSUM : error;
}

int ac_profile(int dtype, double tol, const void *src, size_t n, unsigned repeat, double *seconds) {
  const ac_type *type = ac_type_of(dtype);
  if (!ac_active_kernels()) return AC_E_ISA;
  if (!type || !(tol >= 0) || tol > DBL_MAX || !repeat) return AC_E_PARAM;
  ac_scale scale = {.type = type, .n_fill = 0};
  n *= type->values;
  const size_t item = type->size, block = 1 + AC_MAX_BLOCK * item;
  workspace w;
  const size_t encoding = ac_encode_scratch_place(&w.scratch, NULL, AC_MAX_BLOCK, type->size);
  const size_t decoding = (ac_decode_scratch_place(&w.decoding, NULL, AC_MAX_BLOCK) + 63) / 64 * 64;
  if (posix_memalign((void **)&w.memory, 64, encoding + decoding + 2 * (block + 63))) return AC_E_MEMORY;
  ac_stopwatch watch;
  ac_encode_scratch_place(&w.scratch, w.memory, AC_MAX_BLOCK, type->size);
  ac_decode_scratch_place(&w.decoding, w.memory + encoding, AC_MAX_BLOCK);
  w.scratch.watch = w.decoding.watch = &watch;
  w.out = w.memory + encoding + decoding;
  w.dst = w.out + block + 63;
  const ac_fpenv saved = ac_fpenv_enter();
  if (type->kind == AC_KIND_FLOAT)
    scale.lattice = ac_lattice_make(type->dtype, tol, ac_lattice_delta(type->dtype, tol));
  else if (!type->lossless)
    scale.whole = tol < (double)ac_most_whole(type) ? (uint64_t)tol : ac_most_whole(type);
  int error = AC_OK;
  for (unsigned r = 0; r < repeat && !error; r++) {
    watch = (ac_stopwatch){{0}, 0};
    for (size_t i = 0; i < n && !error; i += AC_MAX_BLOCK) {
      const uint32_t m = n - i < AC_MAX_BLOCK ? (uint32_t)(n - i) : AC_MAX_BLOCK;
      error = profile_block(&scale, (const uint8_t *)src + i * item, m, &w, &watch);
    }
    for (int s = 0; s < AC_STAGES; s++)
      if (!r || watch.seconds[s] < seconds[s]) seconds[s] = watch.seconds[s];
  }
  ac_fpenv_leave(saved);
  free(w.memory);
  return error;
}
