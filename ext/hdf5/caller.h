/* caller.h: functions of the library that called the plugin, which links neither HDF5 nor netCDF.
 *
 * Invariant: no state.  Every call looks anew, in the object that the return address lies in first: libraries inside
 * Python wheels are loaded with local scope, and a process may have several of a kind.
 */
#ifndef AC_CALLER_H
#define AC_CALLER_H
#include <stddef.h>

typedef struct {
  const char *name;
  size_t offset; /* of a pointer in the struct that is to be filled */
} caller_symbol;

/* Fill a struct of pointers; -1 if a symbol is not to be found, as where the library is linked statically into a
 * program that does not export its symbols. */
int caller_find(void *return_address, const caller_symbol *symbols, size_t n, void *api);
#endif
