/* dispatch.c: which kernel table this process uses.  One table so far. */
#include "../arraycodec.h"
#include "kernels.h"

const ac_kernels *ac_active_kernels(void) { return &ac_kernels_scalar; }

const char *ac_isa(void) { return ac_active_kernels()->name; }
