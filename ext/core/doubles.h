/* doubles.h: floats of any type as doubles and back, for codecs that count in doubles. */
#ifndef AC_DOUBLES_H
#define AC_DOUBLES_H
#include "types.h"

/* Elements [from, from + n) of native floats, aligned or not. */
void ac_load_doubles(int dtype, const void *src, uint64_t from, unsigned n, double *x);

/* And back, rounded to the type; what is beyond its largest number becomes that. */
void ac_store_doubles(int dtype, const double *x, unsigned n, void *dst, uint64_t from);

/* The distance of the type's numbers at twice a positive magnitude. */
double ac_spacing(const ac_type *type, double magnitude);
#endif
