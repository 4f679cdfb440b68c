/* h5_types.h: which element type of the format an HDF5 type is.
 *
 * Invariant: HDF5 is asked for every property that matters; a type that looks like one of ours in most respects
 * (hand-made floats, integers with unused bits) is none.
 */
#ifndef AC_H5_TYPES_H
#define AC_H5_TYPES_H
#include "h5_abi.h"
#include "h5_items.h"

/* The element of a dataset's type.  bfloat16: uint16 elements are that. */
h5_error h5_read_type(const h5_api *api, h5_id type, int bfloat16, h5_element *element, h5_problem *problem);
#endif
