/* integers.h: wide integers: values as integers of 64 bits, differences of them, high parts and low bytes.
 * The modes exact (bit for bit) and lattice (integers with a tolerance, relative bounds). */
#ifndef AC_INTEGERS_H
#define AC_INTEGERS_H
#include "mask.h"
#include "relative.h"
#include "section.h"

/* What the integers of a chunk mean, and what of its values must be kept: made once a chunk. */
typedef struct {
  const ac_type *type;         /* of a value */
  ac_lattice lattice;          /* delta = 0: there is none */
  const ac_relative *relative; /* or NULL */
  uint64_t whole;              /* integers: the tolerance */
  unsigned n_fill;             /* encoder: fill values (of complex elements there are two parts) */
  uint64_t fill[2];
} ac_scale;

/* Integers of a chunk: their own, or the nearest multiples of its step, in steps.  And back, clamped to the type. */
void ac_whole_load(const ac_scale *scale, const void *src, uint32_t n, int64_t *wide);
void ac_whole_store(const ac_scale *scale, int64_t *wide, uint32_t n, void *dst); /* changes them */

/* How to code the integers in s->wide. */
typedef struct {
  uint8_t image, shift, difference, low_bytes;
  uint32_t n_refused; /* in s->index */
  double bits;        /* about what it takes */
} ac_integers_plan;

/* Bring n values at src into s->wide, and choose how they are coded.  `masked`: some were left out. */
ac_integers_plan ac_integers_load(int mode, const ac_scale *scale, const ac_strides *strides, const void *src, uint32_t n,
                                  int masked, ac_encode_scratch *s);

/* Write them; 0 if there is not enough room. */
int ac_integers_write(ac_writer *out, ac_integers_plan *plan, const ac_scale *scale, const ac_strides *strides, const void *src,
                      uint32_t n, const ac_tuning *tuning, ac_encode_scratch *s);

/* Scratch of the decoder; what a block does not use stays untouched. */
typedef struct {
  uint32_t *tables;   /* AC_MAX_TABLES */
  int32_t *high;
  int64_t *wide;
  uint8_t *low;
  uint64_t *bitmap;
  uint8_t *which;
  int32_t *row;       /* of predicted values */
  uint64_t *copies, *joined; /* bitmaps: of copies, and of these and the mask */
  uint16_t *distances;       /* of copies */
  ac_stopwatch *watch; /* or NULL */
} ac_decode_scratch;

/* As ac_encode_scratch_place. */
size_t ac_decode_scratch_place(ac_decode_scratch *s, uint8_t *memory, uint32_t values);

/* Read wide integers to the end of the reader and write the n values they mean. */
int ac_integers_read(ac_reader *in, int mode, const ac_scale *scale, const ac_strides *strides, uint32_t n, int masked,
                     ac_decode_scratch *s, void *dst);

/* For ac_inspect: the header and the last section, whose sections before are skipped. */
int ac_integers_inspect(ac_reader *in, int mode, const ac_scale *scale, const ac_strides *strides, uint32_t n, int masked,
                        ac_section *section, ac_block_info *info);
#endif
