/* ncz_json.h: a codec's parameters as Zarr v2 has them, {"id": "ansquant", "tol": 0.01}, and as the filter's values
 * (h5_items.h), which NCZarr calls visible parameters.
 *
 * Invariants: any text and any values give a result or a refusal, and nothing of them is believed before it is checked.
 * What has no items (a backend, a seed that is drawn for each chunk, parameters of later versions) is kept word for word
 * as values of its own, ITEM_TEXT: such chunks are read, not written, and metadata that netCDF writes again lose nothing.
 * Numbers do not depend on the locale of the program.
 */
#ifndef AC_NCZ_JSON_H
#define AC_NCZ_JSON_H
#include <stddef.h>

#include "h5_items.h"

/* Followed by a number of bytes, and these in words.  Only NCZarr has it: to HDF5 it is an unknown item. */
enum { ITEM_TEXT = ITEM_REFUSED };

/* The values for a codec of ours, to be freed (NULL for none); -1 if the text is no JSON object with such an id, or memory is
 * short. */
int ncz_values_of_json(const char *text, size_t *n, unsigned **values);

/* The JSON of values, to be freed; NULL if they are none of ours, or memory is short. */
char *ncz_json_of_values(size_t n, const unsigned *values);
#endif
