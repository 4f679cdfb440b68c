/* parallel.h: the same work on several threads at once. */
#ifndef AC_PARALLEL_H
#define AC_PARALLEL_H

#include "../arraycodec.h"

/* Run work(context) on up to `threads` threads (at most AC_MAX_THREADS), the caller's being one of
 * them, and return when all have returned.  The others run under the IEEE defaults too, as the caller
 * must.  Which thread does which part is for `work` to share out; it must be done when the caller's
 * call of it has returned and no other is left. */
void ac_parallel(unsigned threads, void (*work)(void *context), void *context);
#endif
