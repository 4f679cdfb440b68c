/* dispatch.c: which kernel table this process uses: detected once, behind one atomic pointer.
 *
 * Invariant: every thread sees the same table; two threads that detect at the same time store the
 * same pointer.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../arraycodec.h"
#include "kernels.h"
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

typedef struct {
  const ac_kernels *kernels;
  int supported;
} candidate;

#if defined(__x86_64__)
#define HAS(feature) __builtin_cpu_supports(feature) /* by CPU and operating system */
/* Not every clang knows it by name.  It needs no more of the operating system than AVX2 does. */
static int has_f16c(void) {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & bit_F16C;
}
#elif defined(__aarch64__) && defined(__linux__)
#define HAS_CRC32 ((getauxval(AT_HWCAP) & HWCAP_CRC32) != 0)
#elif defined(__aarch64__) && (defined(__APPLE__) || defined(__ARM_FEATURE_CRC32))
#define HAS_CRC32 1
#else
#define HAS_CRC32 0
#endif

/* Fastest first. */
static const ac_kernels *detect(void) {
  const candidate candidates[] = {
#if defined(__x86_64__)
      {&ac_kernels_avx512,
       HAS("avx512f") && HAS("avx512bw") && HAS("avx512dq") && HAS("avx512vl") && HAS("avx512vbmi") &&
           HAS("avx512vbmi2") && HAS("avx512cd") && HAS("vpclmulqdq") && HAS("pclmul") && has_f16c() && HAS("bmi2")},
      {&ac_kernels_avx2, HAS("avx2") && has_f16c() && HAS("bmi2") && HAS("pclmul")},
      {&ac_kernels_sse42, HAS("sse4.2") && HAS("pclmul")},
#elif defined(__aarch64__)
      {&ac_kernels_neon, HAS_CRC32}, /* Advanced SIMD is everywhere */
#endif
      {&ac_kernels_scalar, 1},
  };
  const char *forced = getenv("ARRAYCODEC_ISA");
  for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++)
    if (candidates[i].supported && (!forced || !*forced || !strcmp(forced, candidates[i].kernels->name)))
      return candidates[i].kernels;
  return NULL;
}

const ac_kernels *ac_active_kernels(void) {
  static _Atomic(const ac_kernels *) active;
  const ac_kernels *kernels = atomic_load_explicit(&active, memory_order_relaxed);
  if (!kernels) {
    kernels = detect();
    atomic_store_explicit(&active, kernels, memory_order_relaxed);
  }
  return kernels;
}

const char *ac_isa(void) {
  const ac_kernels *kernels = ac_active_kernels();
  return kernels ? kernels->name : NULL;
}
