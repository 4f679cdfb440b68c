/* stochastic.h: values rounded at random to a few levels (docs/format.md, "Stochastic"). */
#ifndef AC_STOCHASTIC_H
#define AC_STOCHASTIC_H
#include "../arraycodec.h"
#include "bytes.h"

/* Decode the block of a chunk whose header is `info`: all values, in native byte order. */
int ac_stochastic_decode(ac_reader *block, const ac_info *info, void *dst, unsigned threads);
#endif
