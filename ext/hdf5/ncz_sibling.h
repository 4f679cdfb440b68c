/* ncz_sibling.h: a shared library that answers netCDF's NCZarr by another name; what a source file that defines SIBLING_ID
 * (of the codec) and SIBLING_FILTER (its number) consists of.
 *
 * netCDF finds a codec of Zarr by its name, has one name for one number of a filter, and one of both in a shared library.  So
 * each further codec of the package has a number and a small library of its own, which take everything else from the plugin
 * beside them.  These numbers are not for HDF5 files: to create a dataset with one is refused.
 *
 * Invariant: without the plugin beside it, it does nothing and says so.
 */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "h5_abi.h"
#include "h5_items.h"
#include "ncz_codec.h"

#ifdef __APPLE__
#define PLUGIN "libh5arraycodec.dylib"
#else
#define PLUGIN "libh5arraycodec.so"
#endif
#define EXPORT __attribute__((visibility("default")))

static h5_error refuse_dataset(h5_id dcpl, h5_id type, h5_id space) {
  (void)dcpl, (void)type, (void)space;
  return -1;
}

static size_t refuse_chunk(unsigned flags, size_t n_values, const unsigned values[], size_t n_bytes, size_t *buf_size, void **buf) {
  (void)flags, (void)n_values, (void)values, (void)n_bytes, (void)buf_size, (void)buf;
  return 0;
}

static int refuse_json(const char *codec, size_t *n, unsigned **values) {
  (void)codec, (void)n, (void)values;
  return NC_FILTER_ERROR;
}

static int refuse_values(size_t n, const unsigned *values, char **codec) {
  (void)n, (void)values, (void)codec;
  return NC_FILTER_ERROR;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static h5_filter_class filter_class = {
    H5_FILTER_CLASS_VERSION, SIBLING_FILTER, 1, 1, "arraycodec." SIBLING_ID ".nczarr", NULL, refuse_dataset, refuse_chunk,
};
static ncz_codec_class codec_class = {
    NCZ_CODEC_VERSION, NCZ_CODEC_SORT, SIBLING_ID, SIBLING_FILTER, NULL, NULL, refuse_json, refuse_values, NULL,
};

/* The plugin beside this library; it stays loaded. */
static void *find_plugin(void) {
  Dl_info own;
  char path[4096];
  if (!dladdr((void *)&once, &own) || !own.dli_fname) return NULL;
  const char *const slash = strrchr(own.dli_fname, '/');
  const int folder = slash ? (int)(slash + 1 - own.dli_fname) : 0;
  const int n = snprintf(path, sizeof path, "%.*s" PLUGIN, folder, own.dli_fname);
  return n > 0 && (size_t)n < sizeof path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

static void prepare(void) {
  const void *(*filter_info)(void), *(*codec_info)(void);
  void *const plugin = find_plugin();
  if (!plugin) return;
  *(void **)&filter_info = dlsym(plugin, "H5PLget_plugin_info");
  *(void **)&codec_info = dlsym(plugin, "NCZ_get_codec_info");
  if (!filter_info || !codec_info) return;
  const ncz_codec_class *const codec = codec_info();
  filter_class.filter = ((const h5_filter_class *)filter_info())->filter;
  codec_class.codec_to_hdf5 = codec->codec_to_hdf5;
  codec_class.hdf5_to_codec = codec->hdf5_to_codec;
  codec_class.modify_parameters = codec->modify_parameters;
}

EXPORT int H5PLget_plugin_type(void);
EXPORT const void *H5PLget_plugin_info(void);
EXPORT const void *NCZ_get_codec_info(void);
int H5PLget_plugin_type(void) { return H5_PLUGIN_IS_FILTER; }
const void *H5PLget_plugin_info(void) {
  pthread_once(&once, prepare);
  return &filter_class;
}
const void *NCZ_get_codec_info(void) {
  pthread_once(&once, prepare);
  return &codec_class;
}
