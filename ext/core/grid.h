/* grid.h: do values lie on an affine lattice, and what is the formula that gives their very bits? */
#ifndef AC_GRID_H
#define AC_GRID_H
#include "../simd/kernels.h"

/* A lattice as it is measured: numbers are rint((x - origin) / step). */
typedef struct {
  double step, origin;
} ac_grid;

enum { AC_GRID_SAMPLE = 1024, AC_FIT_SAMPLE = 2048 };

/* Do some of n values (NaN among them count for nothing), which roundings may have moved by `rounding`, show that no lattice has a step
 * of `least` or more? */
int ac_grid_refuted(const double *x, uint32_t n, double least, double rounding);

/* The lattice of n <= AC_GRID_SAMPLE values, which are sorted for it, and which roundings may have moved by
 * `rounding`.  None: there is none with a larger step than `least`; unclear: they are too few to tell. */
enum { AC_GRID_NONE, AC_GRID_FOUND, AC_GRID_UNCLEAR };
int ac_grid_find(double *x, uint32_t n, double least, double rounding, ac_grid *grid);

/* How far x is from the grid, in steps. */
static inline double ac_grid_distance(const ac_grid *grid, double inverse, double x) {
  const double k = (x - grid->origin) * inverse;
  return fabs(k - ac_rint(k));
}

/* Sums of a line by least squares: how far, r, the value with number k is from where the grid has it. */
typedef struct {
  double count, k, r, kk, kr;
} ac_grid_sums;

static inline void ac_grid_add(ac_grid_sums *s, double k, double r) {
  s->count++;
  s->k += k;
  s->r += r;
  s->kk += k * k;
  s->kr += k * r;
}

/* Correct the grid by them; 0 if they are too few. */
static inline int ac_grid_solve(const ac_grid_sums *s, double *origin, double *step) {
  const double d = s->count * s->kk - s->k * s->k;
  if (!(d > 0)) return 0;
  const double slope = (s->count * s->kr - s->k * s->r) / d;
  *origin += (s->r - slope * s->k) / s->count;
  *step += slope;
  return 1;
}

/* Values on a grid, for the search of its formula. */
typedef struct {
  ac_grid grid;
  unsigned size;            /* bytes of a value */
  uint32_t n;
  double x[AC_FIT_SAMPLE];  /* of all of them, in no order */
  double least[2], most[2]; /* of the values that are surely on it, and of those that may be */
} ac_grid_sample;

/* The formula that gives most of the sample bit for bit, with its numbers counted from the grid's origin, and how many of it those
 * are.  effort: as a level. */
uint32_t ac_grid_formula(const ac_grid_sample *sample, unsigned effort, ac_affine *lattice);
#endif
