/* sequence.h: the class of every group, coded at the front of a block. */
#ifndef AC_SEQUENCE_H
#define AC_SEQUENCE_H
#include "bytes.h"
#include "windows.h"

/* How the sequence is written (codes of the format). */
enum { AC_SEQUENCE_FIXED = 0, AC_SEQUENCE_ORDER0 = 1, AC_SEQUENCE_ORDER1 = 2 };

#define AC_SEQUENCE_SCRATCH (2 * (AC_MAX_BLOCK / 64) + 64) /* bytes */

/* Write n classes out of n_classes >= 2 in the cheapest way, which is returned; search as of ac_model_choose. */
unsigned ac_sequence_write(ac_writer *out, const uint8_t *classes, uint32_t n, unsigned n_classes, int search,
                           uint8_t *scratch);
/* Every class read is below n_classes; sets in->failed on anything invalid. */
void ac_sequence_read(ac_reader *in, unsigned method, uint8_t *classes, uint32_t n, unsigned n_classes);
#endif
