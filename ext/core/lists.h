/* lists.h: the values of a block that its tokens do not hold, by position: integers outside their window, refused
 * values bit for bit, edges, corrections. */
#ifndef AC_LISTS_H
#define AC_LISTS_H
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

enum { AC_MAX_RICE = 17 /* parameter of gaps */, AC_MAX_ORDER = 31 /* of exp-Golomb codes */ };

/* n integers at ascending positions below some number. */
void ac_outside_write(ac_writer *out, const uint32_t *index, const int32_t *value, uint32_t n);

/* Values of `size` bytes, at positions index[] of src. */
void ac_refused_write(ac_writer *out, size_t size, const uint8_t *src, const uint32_t *index, uint32_t n);
int ac_refused_read(ac_reader *in, uint32_t n_refused, unsigned size, uint32_t n, uint8_t *dst);

void ac_edges_write(ac_writer *out, const uint32_t *index, uint32_t n);
int ac_edges_read(ac_reader *in, uint32_t n_edges, int dtype, unsigned size, double delta, uint32_t n, uint8_t *dst);

/* Corrections are -8 .. 8, but not 0. */
enum { AC_MAX_CORRECTION = 8 };
void ac_corrections_write(ac_writer *out, const uint32_t *index, const int8_t *correction, uint32_t n);

/* Shifts: by how many steps a value is off, and on which of up to three lattices (a fold); small codes in all. */
enum { AC_SHIFT_MIDDLE = 16 };
static inline uint8_t ac_shift_code(unsigned fold, int shift) { return (uint8_t)(fold << 5 | (unsigned)(shift + AC_SHIFT_MIDDLE)); }
void ac_shifts_write(ac_writer *out, const uint32_t *index, const uint8_t *code, uint32_t n);
unsigned ac_shift_bits(unsigned fold); /* of the shift alone: half of its codes are negative */

/* A list of positions and what is said of each, read from front to end as the positions come up. */
typedef struct {
  ac_bitreader bits;
  uint64_t at;     /* the next position, or UINT64_MAX behind the last */
  int32_t value;
  uint32_t left, n; /* entries behind it; positions are below n */
  uint8_t rice, order, kind, fold;
} ac_list;

/* Sets in->failed on anything invalid, then and later. */
void ac_outside_open(ac_list *list, ac_reader *in, uint32_t entries, uint32_t n);
void ac_corrections_open(ac_list *list, ac_reader *in, uint32_t entries, uint32_t n);
void ac_shifts_open(ac_list *list, ac_reader *in, uint32_t entries, uint32_t n);
void ac_list_next(ac_list *list);
#endif
