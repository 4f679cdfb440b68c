/* fine.h: the lattices of predicted values: the uniform one, and finer ones, which have some of their steps (a fold) to one
 * of it; and the values of blocks that lie on them. */
#ifndef AC_FINE_H
#define AC_FINE_H
#include "integers.h"
#include "lists.h"

/* Steps of a lattice to one of the uniform lattice.  Odd, so that rounding to so many steps is within half of them; primes other
 * than 2, 3 and 5, so that lattices that data happen to lie on by nature, and they themselves, share the uniform lattice only. */
enum { AC_FOLDS = 3, AC_LARGEST_FOLD = 17 };
static const uint8_t AC_FOLD[AC_FOLDS] = {1, 7, AC_LARGEST_FOLD};

/* Integers R on a lattice are below this, and above its negative; 0 if values of this dtype are never on it.  A value that was
 * never on a lattice lies on it by chance as often as there are values to a step of it: the limits keep that rare. */
double ac_fold_limit(int dtype, unsigned fold);

static inline double ac_fold_step(const ac_scale *scale, unsigned fold) { return scale->lattice.delta / AC_FOLD[fold]; }

/* Which lattices n values of a float lie on, within their limits: bit i of on[j] is that of fold i. */
void ac_folds_find(const ac_scale *scale, const void *values, uint32_t n, uint8_t *on);

/* Which of n values an encoder that predicts could have put out, but not on the uniform lattice: returns how many, and
 * their indices.  Written again, they must come back unchanged. */
uint32_t ac_fine_find(const ac_scale *scale, const void *values, uint32_t n, uint32_t *index);

/* ---- fine values by list: by how many steps of which lattice they differ from what was decoded in their place ---- */
/* `on` is what ac_folds_find has of the value (1: it is rounded to the uniform lattice), `near` what its place has.  0 if that is
 * too far away. */
int ac_fine_code(const ac_scale *scale, double value, uint8_t on, double near, uint8_t *code);

/* One value as a double. */
double ac_value_at(int dtype, const void *values, uint32_t i);
double ac_reconstruct(int dtype, int32_t r, double step);

void ac_fine_write(ac_writer *out, const uint32_t *index, const uint8_t *code, uint32_t n);

/* A list for n values, which is left to ac_fine_put. */
typedef struct {
  uint32_t entries;
  ac_reader list;
} ac_fine;
void ac_fine_read(ac_reader *in, uint32_t n, ac_fine *fine);

/* Puts the values of the list in their places among n, of which all others are there; AC_E_FORMAT if it is none. */
int ac_fine_put(ac_fine *fine, const ac_scale *scale, uint32_t n, void *values);
#endif
