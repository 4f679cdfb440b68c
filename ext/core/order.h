/* order.h: another order of a block's values: columns before rows, and either of them sorted by scale. */
#ifndef AC_ORDER_H
#define AC_ORDER_H
#include "bytes.h"
#include "integers.h"

enum { AC_ORDER_TRANSPOSED = 1, AC_ORDER_SORTED = 2, AC_ORDERS = 3 };
enum { AC_MAX_SORTED = 1 << 12 }; /* indices of a sorted axis */

/* Of n values, those from `lead` on are a matrix of `rows` whole rows; what stands before and after it keeps
 * its place. */
typedef struct {
  uint32_t n;
  uint32_t row, phase;  /* values of a row; where in its row the first value stands */
  uint32_t lead, rows;
  unsigned kind;        /* AC_ORDER_TRANSPOSED | AC_ORDER_SORTED */
  uint16_t from[AC_MAX_SORTED];   /* sorted: the indices of the minor axis, in order */
  uint16_t rank[AC_MAX_SORTED];   /* where each of them has come to */
  uint8_t classes[AC_MAX_SORTED]; /* by which it was sorted */
  unsigned n_classes;
} ac_order;

/* ---- encoder ---- */
/* What may pay: a row and a kind, and how many bits a value it is expected to save. */
typedef struct {
  uint32_t row;
  unsigned kind;
  double gain;
} ac_order_choice;

/* Which orders may pay for the integers in s->q, whose statistics are in s->stats; the best first.  The block's
 * first value is number `first` of the array.  Returns how many there are. */
unsigned ac_order_choose(const ac_rows *rows, uint64_t first, uint32_t n, const ac_tuning *tuning, ac_encode_scratch *s,
                         ac_order_choice choices[AC_ORDERS]);

/* Make the order for the integers in s->q, in groups of this size. */
void ac_order_make(const ac_order_choice *choice, uint64_t first, uint32_t n, unsigned group, ac_encode_scratch *s,
                   ac_order *order);

void ac_order_write(ac_writer *out, const ac_order *order, uint8_t *sequence);

/* n values of so many bytes into the order. */
void ac_order_apply(const ac_order *order, unsigned size, const void *src, void *dst);

/* ---- decoder ---- */
/* Reads it; sets in->failed on anything invalid. */
void ac_order_read(ac_reader *in, uint32_t n, ac_order *order);

/* n values back to their places. */
void ac_order_undo(const ac_order *order, unsigned size, const void *src, void *dst);
#endif
