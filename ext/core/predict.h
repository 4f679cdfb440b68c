/* predict.h: predictions on a pyramid, in integers: what the decoder knows of a value before it reads it.
 *
 * Values are integers R on a lattice.  The coarsest grid is predicted by differences (Lorenzo), places of finer grids
 * by interpolation between places that came before.  ac_walk leads encoder and decoder through a block in the same
 * order, with the same predictions and the same neighbourhoods; what they do there is theirs.
 *
 * All arithmetic is modulo 2^32 (int32 in two's complement), shifts of negative numbers round down: whatever the
 * integers, the prediction is defined, and the same on every machine.
 */
#ifndef AC_PREDICT_H
#define AC_PREDICT_H
#include "../simd/kernels.h"
#include "linear.h"
#include "pyramid.h"
#include "stencil.h"

/* How a class of a level is predicted. */
typedef struct {
  uint8_t cubic;
  uint8_t weight[2]; /* sixteenths that the second and the third of its odd axes have; the first has the rest */
  uint8_t trust;     /* in the reference: an index of AC_TRUST */
} ac_rule;

/* A value that neighbours say is p, where the same neighbours in the reference say E and the reference is M, is predicted
 * as p + trust (M - E) + damping (E - p), in quarters: from p alone, over M + (p - E), to M alone. */
enum { AC_TRUSTS = 8 };
static const struct {
  uint8_t trust, damping;
} AC_TRUST[AC_TRUSTS] = {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {4, 2}, {4, 3}, {4, 4}};

/* What is known from the outer indices before: nothing, the last one, or their mean, in which every later one counts
 * for a quarter, or for about as much as every other up to 16. */
enum { AC_NO_REFERENCE, AC_LAST, AC_MEAN, AC_LONG_MEAN, AC_REFERENCES };

/* Lorenzo along these directions of the coarsest grid. */
enum { AC_ALONG_AXIS0 = 1, AC_ALONG_AXIS1 = 2, AC_ALONG_AXIS2 = 4, AC_ALONG_OUTER = 8 };

typedef struct {
  ac_pyramid pyramid;
  uint8_t along;
  uint8_t reference;
  uint8_t unit;       /* residuals count in units of so many steps of the lattice: odd */
  uint8_t first_unit; /* those of the first outer index, where it is a reference */
  ac_rule rules[AC_MAX_REFINEMENTS][8]; /* by level and class */
  /* Where there are no other grids: linear prediction of rows instead of differences, or a stencil for these. */
  ac_linear linear;
  ac_stencil stencil;
} ac_predictor;

/* The grid that the stencil of a predictor, without levels, belongs to. */
ac_stencil_grid ac_stencil_grid_of(const ac_predictor *predictor);

/* Values that are predicted together, and what rows of theirs may be longer by, so that vectors end where they like. */
enum { AC_PIECE = 1024, AC_PIECE_SLACK = 16, AC_MAX_NEAR = 12 };

/* Rows of so many values are long: pieces are parts of them, and neighbourhoods have the row before.  Of shorter rows, of one
 * plane, pieces have as many as there is room for (measured: decoding 1.2 times as fast, for one percent of size). */
enum { AC_LONG_ROW = 128 };

/* Values of a piece whose tokens are dealt to the lanes from the first one on. */
enum { AC_SPAN = 256 };

/* Some consecutive values: whole rows of a grid's plane, or a part of one row. */
typedef struct {
  uint32_t at, row, rows;   /* in the stream; values of a row, and rows: 1 .. AC_PIECE values */
  int raster;               /* of the coarsest grid: predicted when the row is complete */
  uint8_t unit;
  const int32_t *predicted; /* row * rows predictions, unless it is */
  /* Their neighbourhood: magnitudes of residuals, and the weights they count with.  Those of the row before count with
   * both sides. */
  unsigned n_near, weights; /* all weights together */
  const uint8_t *near[AC_MAX_NEAR];
  uint8_t weight[AC_MAX_NEAR];
  const uint8_t *before;    /* or NULL: its part beside this one, which begins at value k of `length` */
  uint32_t k, length;
} ac_piece;

/* A row of the coarsest grid: R = before + unit * (sum of residuals along the row so far). */
typedef struct {
  uint32_t at, n, distance; /* in the stream; between values that differences are taken of: 0, or `inner` */
  uint8_t unit;
  const int32_t *before;    /* what its rows before say, or NULL for zeros */
} ac_raster_row;

/* Scratch: for n values, behind each of which (but magnitudes and `row`) AC_PIECE_SLACK more can be read, whatever they are. */
typedef struct {
  int32_t *r;             /* reconstructions, in the order of the stream */
  uint8_t *magnitude;     /* of residuals, in the same order */
  int32_t *grids[2];
  uint8_t *magnitudes[2];
  int32_t *row;           /* a row of the coarsest grid */
  int32_t *mean;          /* values of one outer index */
} ac_walk_scratch;

/* What could be predicted of some values: along every odd axis, by a line and by a cubic, and the same for the reference
 * (which NULL is not there), whose values are 2^shift fold.  Of the coarsest grid, whose level is that behind the others and
 * which has no odd axes, line[0] is what differences say. */
typedef struct {
  unsigned level, mask, axes;
  uint32_t at, n;
  const int32_t *line[AC_AXES], *cubic[AC_AXES];
  const int32_t *reference, *reference_line[AC_AXES], *reference_cubic[AC_AXES];
  unsigned shift;
} ac_trial;

enum { AC_CODE, AC_WEIGH_RULES, AC_WEIGH_TRUST };

typedef struct ac_walker ac_walker;
struct ac_walker {
  ac_predictor *predictor;
  ac_walk_scratch *s;
  const ac_kernels *kernels; /* set by ac_walk */
  /* Both return 0, or an error that ends the walk.  `piece` sets r (but in a raster) and magnitude of its values, or
   * magnitude only; `row` then sets r. */
  int (*piece)(ac_walker *walker, const ac_piece *piece);
  int (*row)(ac_walker *walker, const ac_raster_row *row);
  /* Instead of them: r has all values already.  About `weighed` of every class are weighed, without and with a reference;
   * each time `decide` then sets the rules of the level. */
  void (*weigh)(ac_walker *walker, const ac_trial *trial);
  void (*decide)(ac_walker *walker, unsigned level);
  uint32_t weighed;
  uint8_t weighs_rules, weighs_trust; /* are these? */
  uint8_t pass; /* AC_CODE or what is weighed: set by ac_walk */
  ac_put *put;          /* of what R are of the finest grid, if it is not the coarsest one; or NULL */
  void *to;
  const uint8_t *flags; /* AC_SKIPPED and what else is known, in the order of the stream; or NULL */
  uint8_t together; /* are short rows of the coarsest grid in pieces, too? */
  uint8_t blind; /* there is one context only: pieces come without neighbourhoods, and nobody sets magnitudes */
};

/* The neighbourhoods of a piece, by ascending limits of the weighted sums. */
void ac_piece_contexts(const ac_kernels *kernels, const ac_piece *piece, uint32_t inner, const uint16_t *limit, unsigned limits,
                       uint8_t *context);

/* From the first value to the last.  *values receives all R in memory order (in scratch), or is NULL if they were put. */
int ac_walk(ac_walker *walker, const int32_t **values);
#endif
