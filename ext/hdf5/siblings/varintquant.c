/* varintquant.c: `varintquant` for netCDF's NCZarr; see ncz_sibling.h. */
#define SIBLING_ID "varintquant"
#define SIBLING_FILTER (FILTER_ID + 1)
#include "../ncz_sibling.h"
