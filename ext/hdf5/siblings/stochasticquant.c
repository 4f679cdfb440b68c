/* stochasticquant.c: `stochasticquant` for netCDF's NCZarr; see ncz_sibling.h. */
#define SIBLING_ID "stochasticquant"
#define SIBLING_FILTER (FILTER_ID + 2)
#include "../ncz_sibling.h"
