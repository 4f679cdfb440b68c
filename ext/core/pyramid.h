/* pyramid.h: a block as a coarse grid and levels of refinement, and the order in which its values are coded.
 *
 * A block is outer x axis[0] x axis[1] x axis[2] x inner values (slowest first).  Predictions interpolate along the
 * three axes in the middle (of which some may have length 1); `inner` values of one place stand side by side, and
 * `outer` numbers whole copies of all this.  Grid l has every 2^l-th place along each axis.  The coarsest grid comes
 * first, row by row; then, level by level, the places that grid l has and grid l + 1 has not: those of them whose
 * coordinates (in units of 2^l) are odd along the same axes are a *class*, and a class is a small grid of its own.
 *
 *   grid L | level L - 1: outer 0: class, class, ...; outer 1: ... | level L - 2 | ... | level 0
 *
 * All grids are stored without gaps, so that every step of prediction is a loop over whole rows.
 */
#ifndef AC_PYRAMID_H
#define AC_PYRAMID_H
#include <stddef.h>
#include <stdint.h>

enum { AC_AXES = 3, AC_MAX_REFINEMENTS = 15, AC_CELL_CLASSES = 7 };

typedef struct {
  uint32_t outer, axis[AC_AXES], inner;
  uint8_t levels; /* L: 0 .. AC_MAX_REFINEMENTS */
} ac_pyramid;

/* A grid of one outer index. */
typedef struct {
  uint32_t extent[AC_AXES];
  uint32_t row;  /* values of a row: extent[2] * inner */
  uint32_t size; /* values */
} ac_subgrid;

/* Classes in the order of the stream: by the number of odd axes (bit a of the mask: axis a), so that the neighbours
 * of a place along its odd axes come before it. */
extern const uint8_t AC_CLASS_ORDER[AC_CELL_CLASSES];

/* Grid `level`, and class `mask` of a level. */
ac_subgrid ac_pyramid_grid(const ac_pyramid *p, unsigned level);
ac_subgrid ac_pyramid_class(const ac_pyramid *p, unsigned level, unsigned mask);

/* Where in the stream a level begins (that of grid `levels` is 0), in values. */
uint32_t ac_pyramid_start(const ac_pyramid *p, unsigned level);

/* Where a class begins within one outer index of its level. */
uint32_t ac_pyramid_class_start(const ac_pyramid *p, unsigned level, unsigned mask);

/* Values of `size` bytes (1 or 4) from memory order to the order of the stream; `scratch` twice as large as they
 * are. */
void ac_pyramid_split(const ac_pyramid *p, unsigned size, const void *values, void *scratch, void *stream);

/* One step back: grid level + 1 and the classes of that level in the stream make grid `level`. */
void ac_pyramid_merge(const ac_pyramid *p, unsigned level, unsigned size, const void *coarse, const void *stream, void *grid);

/* The last step, to grid 0, by some rows at a time, which are at `rows` (room for all values) and begin with value `at`: while
 * they are in L1. */
typedef void ac_put(void *to, const int32_t *rows, uint32_t at, uint32_t n);
void ac_pyramid_put(const ac_pyramid *p, const int32_t *coarse, const int32_t *stream, int32_t *rows, ac_put *put, void *to);
#endif
