/* caller.c: see caller.h. */
#define _GNU_SOURCE /* dladdr */
#include "caller.h"

#include <dlfcn.h>
#include <string.h>

static int load(void *scope, const caller_symbol *symbols, size_t n, void *api) {
  for (size_t i = 0; i < n; i++) {
    void *symbol = dlsym(scope, symbols[i].name);
    if (!symbol) return -1;
    memcpy((char *)api + symbols[i].offset, &symbol, sizeof symbol);
  }
  return 0;
}

int caller_find(void *return_address, const caller_symbol *symbols, size_t n, void *api) {
  Dl_info caller;
  int found = 0;
  if (dladdr(return_address, &caller) && caller.dli_fname) {
    void *library = dlopen(caller.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (library) {
      found = load(library, symbols, n, api) == 0;
      dlclose(library); /* only the reference taken here; the library is running */
    }
  }
  return found || load(RTLD_DEFAULT, symbols, n, api) == 0 ? 0 : -1;
}
