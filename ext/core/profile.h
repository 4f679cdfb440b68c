/* profile.h: where the time of a call goes, for `arraycodec bench --stages`. */
#ifndef AC_PROFILE_H
#define AC_PROFILE_H
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
  AC_STAGE_QUANTIZE,
  AC_STAGE_PLAN,
  AC_STAGE_SPLIT,
  AC_STAGE_ENCODE,          /* rANS, from tokens to words */
  AC_STAGE_ENCODE_CHECKSUM,
  AC_STAGE_ENCODE_TOTAL,
  AC_STAGE_DECODE_CHECKSUM,
  AC_STAGE_TABLES,          /* header and tables of a block */
  AC_STAGE_DECODE,          /* rANS, raw bits and dequantization */
  AC_STAGE_DECODE_TOTAL,
  AC_STAGES
};

/* Seconds by stage.  The stages carry a pointer to one, which is NULL but in ac_profile. */
typedef struct {
  double seconds[AC_STAGES];
  double last;
} ac_stopwatch;

static inline double ac_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A stage has ended; the next one begins. */
static inline void ac_lap(ac_stopwatch *watch, int stage) {
  if (!watch) return;
  const double now = ac_seconds();
  watch->seconds[stage] += now - watch->last;
  watch->last = now;
}

/* Encode and decode n native values, in blocks of the largest size, `repeat` times; the fastest time of
 * every stage goes to seconds[AC_STAGES].  The totals leave out what is once a call. */
int ac_profile(int dtype, double tol, const void *src, size_t n, unsigned repeat, double *seconds);
#endif
