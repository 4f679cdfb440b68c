/* stencil.h: differences along rows, predicted from rows before by weights of least squares: instead of Lorenzo's, which are 1
 * and -1 (X. Wu, K. U. Barthel, W. Zhang, "Piecewise 2D autoregression for predictive image coding", ICIP 1998, has such
 * weights for images; here none is on the row itself, so that a row needs no more than sums). */
#ifndef AC_STENCIL_H
#define AC_STENCIL_H
#include "bytes.h"

/* Neighbours in the same plane; then, if there are differences along these, in planes before along axis 0, and of the outer
 * indices before. */
enum { AC_STENCIL_ROW = 5, AC_STENCIL_PLANE = 10, AC_MAX_STENCIL = AC_STENCIL_ROW + 2 * AC_STENCIL_PLANE };
/* Weights count 2^-10, and have 16 bits. */
enum { AC_STENCIL_SHIFT = 10 };

typedef struct {
  uint8_t n; /* weights: 0 if there is no stencil */
  int16_t weight[AC_MAX_STENCIL];
} ac_stencil;

static inline unsigned ac_stencil_weights(int along_axis0, int along_outer) {
  return AC_STENCIL_ROW + (along_axis0 ? AC_STENCIL_PLANE : 0) + (along_outer ? AC_STENCIL_PLANE : 0);
}

/* A grid of outer x n0 x n1 rows, of `row` values, whose places have `inner` values. */
typedef struct {
  uint32_t n0, n1, row, inner;
  int along_axis0, along_outer;
} ac_stencil_grid;

/* What the values of row (o, i0, i1), i1 > 0, which is at `row`, are without residuals: each differs from the one before in the row
 * by what the weights say, and not at all if it is skipped (flags: as of residuals, or NULL). */
void ac_stencil_predict(const ac_stencil *stencil, const ac_stencil_grid *grid, const int32_t *row, uint32_t o, uint32_t i0,
                        uint32_t i1, const uint8_t *flags, int32_t *predicted);

/* ---- encoder ---- */
/* Skipped values as decoders will have them, about: as the ones before in their rows. */
void ac_stencil_fill(const ac_stencil_grid *grid, uint32_t outer, const uint8_t *flags, int32_t *values);

/* Weights of least squares for about `most` values of a grid, not of those that are skipped (flags: as of residuals, or NULL), by
 * so many rounds, which come nearer to the least magnitudes.  0 if there are none. */
int ac_stencil_fit(const ac_stencil_grid *grid, uint32_t outer, const int32_t *values, const uint8_t *flags, unsigned rounds,
                   uint32_t most, ac_stencil *stencil);
#endif
