/* images.c: which integers become images (windows.h).  Between the quantizer and the plan.
 *
 * Values of a short float type are multiples of a power of two that grows with them: where the step is a power of
 * two, too, their integers have zeros at the end, the more the larger they are.  Counting through the integers that
 * there are leaves that out.  (Measured: bfloat16 weights at 2^-17 take 10.45 bits instead of 14.11.)
 *
 * Invariant: only integers whose image stands for themselves are replaced.
 */
#include "images.h"

#include "../arraycodec.h"
#include "../simd/kernels.h"

enum {
  SAMPLED = 32,   /* groups that are looked at first */
  MOST_BITS = 16, /* of a significand */
  LEAST_GAIN = 16 /* of a value, one in so many parts of a bit must be saved */
};

static uint32_t magnitude_of(int32_t v) { return (uint32_t)(v < 0 ? -v : v); }

static uint32_t group_size(uint32_t g, uint32_t n) {
  const uint32_t left = n - g * AC_MAX_GROUP;
  return left < AC_MAX_GROUP ? left : AC_MAX_GROUP;
}

/* How many significand bits gain most, by a sample; 0 if none gain enough. */
static unsigned best_significand(const int32_t *q, uint32_t n) {
  const uint32_t n_groups = ac_groups(n, AC_MAX_GROUP), stride = n_groups > SAMPLED ? n_groups / SAMPLED : 1;
  uint32_t values = 0;
  uint64_t gain[MOST_BITS + 1] = {0};
  for (uint32_t g = stride / 2; g < n_groups; g += stride) {
    const int32_t *at = q + g * AC_MAX_GROUP;
    const uint32_t m = group_size(g, n);
    uint8_t need;
    uint32_t all = 0;
    values += m;
    ac_active_kernels()->significand(at, m, AC_MAX_GROUP, &need);
    for (uint32_t j = 0; j < m; j++) all |= magnitude_of(at[j]);
    if (need > MOST_BITS || need + 1u >= ac_bit_length(all)) continue; /* as any integers */
    for (uint32_t j = 0; j < m; j++)
      for (unsigned bits = need ? need : 1, zeros = ac_bit_length(magnitude_of(at[j])); bits <= MOST_BITS && zeros > bits + 1; bits++)
        gain[bits] += zeros - bits - 1;
  }
  unsigned best = 1;
  for (unsigned bits = 2; bits <= MOST_BITS; bits++)
    if (gain[bits] > gain[best]) best = bits;
  return gain[best] * LEAST_GAIN < values ? 0 : best;
}

uint8_t ac_images_take(int32_t *q, uint32_t n, uint8_t *imaged) {
  const unsigned best = best_significand(q, n);
  if (!best) return 0;
  const ac_kernels *kernels = ac_active_kernels();
  kernels->significand(q, n, AC_MAX_GROUP, imaged);
  for (uint32_t g = 0, n_groups = ac_groups(n, AC_MAX_GROUP); g < n_groups; g++) {
    imaged[g] = imaged[g] <= best; /* also where nothing is gained: fewer kinds of classes */
    if (imaged[g]) kernels->to_image(q + g * AC_MAX_GROUP, group_size(g, n), best);
  }
  return (uint8_t)best;
}

void ac_images_undo(int32_t *q, uint32_t n, const uint8_t *imaged, uint8_t image) {
  for (uint32_t i = 0; i < n; i++)
    if (imaged[i / AC_MAX_GROUP]) q[i] = ac_expand(q[i], image);
}
