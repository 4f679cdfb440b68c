/* plain.h: integers as varints (LEB128 of their zigzag codes): what a windows section is without windows. */
#ifndef AC_PLAIN_H
#define AC_PLAIN_H
#include "bytes.h"

/* Write them; 0 if there is not enough room. */
int ac_plain_write(ac_writer *out, const int32_t *q, uint32_t n);
/* n integers, which must take all bytes up to end, as kernels put out integers (AC_OUT_...). */
int ac_plain_decode(const uint8_t *p, const uint8_t *end, uint32_t n, int out, double delta, void *dst);
#endif
