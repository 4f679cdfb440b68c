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
  SAMPLED = 16,   /* groups that are looked at first */
  MOST_BITS = 16, /* images with more gain nothing that a float32 could show */
  LEAST_GAIN = 16 /* of a value in this many a bit must be saved */
};

static unsigned bit_length(uint32_t v) { return v ? 32 - (unsigned)__builtin_clz(v) : 0; }

/* Bits that values of a group have below the significand, about: the larger ones are within three bits of the
 * largest. */
static unsigned zeros_of(const int32_t *q, uint32_t m, unsigned significand) {
  uint32_t magnitude = 0;
  for (uint32_t j = 0; j < m; j++) magnitude |= (uint32_t)(q[j] < 0 ? -q[j] : q[j]);
  const unsigned length = bit_length(magnitude);
  return length > significand + 3 ? length - significand - 3 : 0;
}

static uint32_t group_at(uint32_t g, uint32_t n) {
  const uint32_t first = g * AC_MAX_GROUP;
  return n - first < AC_MAX_GROUP ? n - first : AC_MAX_GROUP;
}

uint8_t ac_images_take(int32_t *q, uint32_t n, uint8_t *imaged) {
  const ac_kernels *kernels = ac_active_kernels();
  const uint32_t n_groups = ac_groups(n, AC_MAX_GROUP), stride = n_groups > SAMPLED ? n_groups / SAMPLED : 1;
  uint32_t looked = 0, promising = 0;
  for (uint32_t g = stride / 2; g < n_groups && looked < SAMPLED; g += stride, looked++) {
    uint8_t need;
    const int32_t *at = q + g * AC_MAX_GROUP;
    const uint32_t m = group_at(g, n);
    if (!(at[0] | at[m / 2] | at[m - 1])) continue; /* zeros have nothing to gain */
    kernels->significand(at, m, AC_MAX_GROUP, &need);
    promising += need <= MOST_BITS && zeros_of(at, m, need ? need : 1) > 0;
  }
  if (!promising || 8 * promising < looked) return 0;
  kernels->significand(q, n, AC_MAX_GROUP, imaged);
  uint64_t gain[MOST_BITS + 1] = {0};
  for (uint32_t g = 0; g < n_groups; g++) {
    const unsigned least = imaged[g] ? imaged[g] : 1;
    for (unsigned bits = least; bits <= MOST_BITS; bits++)
      gain[bits] += group_at(g, n) * (uint64_t)zeros_of(q + g * AC_MAX_GROUP, group_at(g, n), bits);
  }
  unsigned best = 1;
  for (unsigned bits = 2; bits <= MOST_BITS; bits++)
    if (gain[bits] > gain[best]) best = bits;
  if (gain[best] * LEAST_GAIN < n) return 0;
  for (uint32_t g = 0; g < n_groups; g++) {
    int32_t *const at = q + g * AC_MAX_GROUP;
    imaged[g] = imaged[g] <= best; /* also where nothing is gained: fewer kinds of classes */
    if (imaged[g]) kernels->to_image(at, group_at(g, n), best);
  }
  return (uint8_t)best;
}
