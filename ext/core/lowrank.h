/* lowrank.h: matrices as products of few rows and columns, and perhaps what is left of them (docs/format.md, "Low rank"). */
#ifndef AC_LOWRANK_H
#define AC_LOWRANK_H
#include "../arraycodec.h"
#include "bytes.h"

/* Decode the block of a chunk whose header is `info`: all values, in native byte order. */
int ac_low_rank_decode(ac_reader *block, const ac_info *info, void *dst, unsigned threads);
#endif
