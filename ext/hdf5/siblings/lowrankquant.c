/* lowrankquant.c: `lowrankquant` for netCDF's NCZarr; see ncz_sibling.h. */
#define SIBLING_ID "lowrankquant"
#define SIBLING_FILTER (FILTER_ID + 3)
#include "../ncz_sibling.h"
