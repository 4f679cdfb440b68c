/* avx2.c: the kernels of scalar.c, compiled for AVX2 and BMI2: the compiler's own vectorization of the
 * loops over a group, and three-operand shifts.  Hand-written kernels replace them one by one.
 *
 * Invariant: bytes and floats are those of scalar.c.  The target has no FMA, so nothing can be
 * contracted even where a compiler is told to.
 */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#endif

#define AC_COMPILED_FOR "avx2"
#include "scalar.c"

const ac_kernels ac_kernels_avx2 = TABLE(AC_COMPILED_FOR, crc32c_sse42);

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
