/* h5_items.h: the filter's values (cd_values) as HDF5 hands them on, and what they say.  h5z_arraycodec.c
 * lists all items.
 *
 * Invariants: nothing of HDF5 is called here; values are checked before they are used, whoever wrote them.
 */
#ifndef AC_H5_ITEMS_H
#define AC_H5_ITEMS_H
#include <stddef.h>
#include <stdint.h>

#include "../arraycodec.h"
#include "h5_abi.h"

enum {
  FILTER_ID = 35117, /* also in arraycodec/hdf5.py */
  NCZ_FILTERS = 4 /* so many from there on are this filter for NCZarr: ncz_sibling.h */
};

/* Also in arraycodec/config.py and arraycodec/hdf5.py. */
enum {
  ITEM_REFUSED = 0, /* only from ncz_codec.c: no chunk is read or written */
  ITEM_TOLERANCE = 1, ITEM_TOLERANCE_POWER = 2, ITEM_TOLERANCE_DECIMAL = 3,
  ITEM_RELATIVE = 5, ITEM_RELATIVE_POWER = 6, ITEM_RELATIVE_DECIMAL = 7,
  ITEM_FILL_BITS = 8, ITEM_BFLOAT16 = 9, ITEM_TYPE = 10,
  ITEM_FILL_DOUBLE = 11, ITEM_FILL_INTEGER = 12, ITEM_FILL_COMPLEX = 13,
  ITEM_LEVEL = 14, ITEM_PREDICTOR = 15, ITEM_CODER = 16,
  ITEM_STOCHASTIC = 17, ITEM_LOW_RANK = 18
};

/* The word of item 10 that says what an element is; also in arraycodec/hdf5.py. */
enum {
  TYPE_CODE = 0xff,           /* an element type of the format */
  TYPE_BIG_ENDIAN = 1 << 8,
  TYPE_EXACT = 1 << 9,        /* names rather than numbers: stored without loss, whatever the tolerance */
  TYPE_OWN_FILL = 1 << 10,    /* item 8 is the fill value of the dataset */
  TYPE_UNIT_SHIFT = 16,       /* datetime64 and timedelta64: code of the unit */
  TYPE_UNIT = 0xf << TYPE_UNIT_SHIFT
};

enum {
  MAX_ELEMENT = 16, /* bytes */
  STOCHASTIC_OPERANDS = 4, LOW_RANK_OPERANDS = 6, LOW_RANK_AXES = 3 /* which of them says how many axes are rows */,
  /* of both tolerances, the fill value, item 9, the level, the predictor, the coder, items 17 or 18 and item 10 */
  MAX_VALUES = 3 + 3 + 2 + MAX_ELEMENT / 4 + 1 + 2 + 2 + 2 + 1 + LOW_RANK_OPERANDS + 3 + 2 * H5_MAX_RANK + 1
};

/* Why something is refused. */
typedef struct {
  char text[400];
} h5_problem;

/* Write it; always -1. */
h5_error h5_refuse(h5_problem *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct {
  unsigned word;     /* as in item 10 */
  unsigned multiple; /* datetime64 and timedelta64: of the unit; else 0 */
} h5_element;

typedef struct {
  /* the tags that were there; 0: none */
  unsigned absolute, relative, fill, bfloat16, effort, prediction, coding, other, type;
  double tol, rtol;              /* 0 where they were not there */
  unsigned level, predictor, coder; /* 0 where they were not there */
  const unsigned *other_operands; /* of items 17 and 18 */
  const unsigned *fill_operands; /* of any of the tags */
  h5_element element;            /* of item 10, as the next two */
  unsigned rank;
  const unsigned *dims;          /* two words each */
} h5_items;

/* Take the values apart; `items` points into them. */
h5_error h5_read_items(const unsigned *values, size_t n, h5_items *items, h5_problem *problem);

/* The bits of the fill value as an element of a type has it, native.  *given: whether there is one that needs
 * mention: NaN and infinities do not. */
h5_error h5_fill_of_items(const h5_items *items, unsigned code, uint8_t bits[MAX_ELEMENT], int *given,
                          h5_problem *problem);

/* Whether an element (each part of a complex one) is a finite number. */
int h5_is_finite(unsigned code, const uint8_t *bits);

/* The values that set_local stores; how many.  Of `items` the tolerances, item 9, the level, the predictor, the coder and items 17
 * and 18; fill: NULL for none. */
size_t h5_write_items(const h5_items *items, const uint8_t *fill, h5_element element, unsigned rank, const h5_size *dims,
                      unsigned values[MAX_VALUES]);

/* What item 17 says; its operands are valid. */
ac_stochastic h5_stochastic_of(const unsigned *operands);

/* The words of a fill value. */
static inline unsigned h5_fill_words(unsigned code) { return (unsigned)(ac_element_size((int)code) + 3) / 4; }

static inline uint64_t h5_join(const unsigned words[2]) { return words[0] | (uint64_t)words[1] << 32; }
#endif
