/* ncz_codec.c: the filter as a codec of netCDF's NCZarr, which reads and writes Zarr v2: between the JSON of .zarray and
 * what h5z_arraycodec.c's filter is called with.
 *
 * netCDF has a codec's parameters in three forms: JSON, in the metadata; the same as values, which it shows and copies to
 * HDF5 ("visible", ncz_json.c); and what the filter gets ("working"), here HDF5's canonical form: the parameters, and item 10,
 * which says type, byte order and shape of a chunk.  netCDF knows a codec by one name, and has one codec for a filter's number:
 * ncz_sibling.h has the other names.
 *
 * Invariants: as of h5z_arraycodec.c: no state, nothing of netCDF is linked.  A chunk is decoded only if it has type and size
 * of the variable's chunks: netCDF does not look how much a filter returned.  Without parameters that can be read and obeyed
 * chunks are decoded and not encoded.  The fill value of the variable is kept bit for bit, as in HDF5.  A variable that cannot be
 * read (another filter before this one, a type of netCDF that is none of ours) is no reason to refuse the whole store, as netCDF
 * would: its chunks are refused (ITEM_REFUSED).
 */
#include "ncz_codec.h"

#include <stdlib.h>
#include <string.h>

#include "../arraycodec.h"
#include "../core/types.h"
#include "caller.h"
#include "h5_items.h"
#include "ncz_json.h"

#define SYMBOL(name) {"nc_" #name, offsetof(ncz_api, name)}
static const caller_symbol SYMBOLS[] = {
    SYMBOL(inq_vartype), SYMBOL(inq_varndims), SYMBOL(inq_var_chunking), SYMBOL(inq_var_endian), SYMBOL(inq_var_fill),
    SYMBOL(inq_var_filter_ids),
};

enum { MAX_FILTERS = 32 };

static int codec_to_hdf5(const char *codec, size_t *n, unsigned **values) {
  return codec && ncz_values_of_json(codec, n, values) == 0 ? NC_OK : NC_FILTER_ERROR;
}

static int hdf5_to_codec(size_t n, const unsigned *values, char **codec) {
  *codec = ncz_json_of_values(n, values);
  return *codec ? NC_OK : NC_FILTER_ERROR;
}

/* ---- what a chunk is ---- */
typedef struct {
  h5_element element;
  unsigned rank;
  h5_size dims[H5_MAX_RANK];
} ncz_chunk;

static int code_of(int type, int bfloat16) {
  switch (type) {
    case NC_INT8: return AC_INT8;
    case NC_INT16: return AC_INT16;
    case NC_INT32: return AC_INT32;
    case NC_INT64_: return AC_INT64;
    case NC_UINT8: return AC_UINT8;
    case NC_UINT16: return bfloat16 ? AC_BFLOAT16 : AC_UINT16;
    case NC_UINT32: return AC_UINT32;
    case NC_UINT64_: return AC_UINT64;
    case NC_FLOAT32: return AC_FLOAT32;
    case NC_FLOAT64: return AC_FLOAT64;
    default: return -1;
  }
}

/* As in HDF5, nothing comes before ours: bytes from another filter are no numbers any more. */
static int is_first(const ncz_api *api, int ncid, int varid) {
  unsigned ids[MAX_FILTERS];
  size_t n;
  if (api->inq_var_filter_ids(ncid, varid, &n, NULL) || n < 1 || n > MAX_FILTERS) return 0;
  return !api->inq_var_filter_ids(ncid, varid, &n, ids) && ids[0] >= FILTER_ID && ids[0] < FILTER_ID + NCZ_FILTERS;
}

static int find_chunk(const ncz_api *api, int ncid, int varid, const h5_items *items, ncz_chunk *chunk) {
  int type, ndims, storage, endian;
  size_t chunks[H5_MAX_RANK] = {0};
  if (!is_first(api, ncid, varid) || api->inq_vartype(ncid, varid, &type) || api->inq_varndims(ncid, varid, &ndims)) return -1;
  const int code = code_of(type, items->bfloat16 != 0);
  if (code < 0 || ndims < 0 || ndims > H5_MAX_RANK) return -1;
  if (items->bfloat16 && code != AC_BFLOAT16) return -1;
  if (items->other && (ac_type_of(code)->kind != AC_KIND_FLOAT)) return -1;
  if (api->inq_var_endian(ncid, varid, &endian)) return -1;
  if (ndims && api->inq_var_chunking(ncid, varid, &storage, chunks)) return -1;
  memset(chunk, 0, sizeof *chunk);
  chunk->element.word = (unsigned)code;
  if (endian == NC_BIG_ENDIAN && ac_element_size(code) > 1) chunk->element.word |= TYPE_BIG_ENDIAN;
  chunk->rank = (unsigned)ndims;
  for (int i = 0; i < ndims; i++) chunk->dims[i] = chunks[i];
  return 0;
}

/* The bits of the fill value that chunks keep: the one that is given, else the variable's own. */
static int find_fill(const ncz_api *api, int ncid, int varid, const h5_items *items, unsigned *word, uint8_t bits[MAX_ELEMENT],
                     int *given) {
  h5_problem problem;
  const unsigned code = *word & TYPE_CODE;
  int no_fill;
  *given = 0;
  if (items->other) return 0;
  if (items->fill) return h5_fill_of_items(items, code, bits, given, &problem);
  if (api->inq_var_fill(ncid, varid, &no_fill, bits) || no_fill) return 0;
  *given = h5_is_finite(code, bits);
  if (*given) *word |= TYPE_OWN_FILL;
  return 0;
}

/* ---- from visible to working parameters ---- */
/* With nothing but item 10 chunks are only read. */
static size_t complete(h5_items *items, ncz_chunk *chunk, const uint8_t *fill, unsigned working[MAX_VALUES]) {
  unsigned all[MAX_VALUES];
  enum { TOLERANCE = 3 }; /* words of item 1, with which the canonical form begins */
  if (items->absolute || items->relative || items->other)
    return h5_write_items(items, fill, chunk->element, chunk->rank, chunk->dims, working);
  memset(items, 0, sizeof *items);
  chunk->element.word &= ~(unsigned)TYPE_OWN_FILL;
  const size_t n = h5_write_items(items, NULL, chunk->element, chunk->rank, chunk->dims, all) - TOLERANCE;
  memcpy(working, all + TOLERANCE, n * sizeof *working);
  return n;
}

static int modify_parameters(int ncid, int varid, size_t *n_visible, unsigned **visible, size_t *n_working, unsigned **working) {
  ncz_api api;
  h5_items items;
  h5_problem problem;
  ncz_chunk chunk;
  uint8_t fill[MAX_ELEMENT];
  int is_fill;
  if (caller_find(__builtin_return_address(0), SYMBOLS, sizeof SYMBOLS / sizeof SYMBOLS[0], &api)) return NC_FILTER_ERROR;
  const int is_text = *n_visible && (*visible)[0] == ITEM_TEXT;
  if (h5_read_items(*visible, is_text ? 0 : *n_visible, &items, &problem)) return NC_FILTER_ERROR;
  unsigned *const values = malloc(MAX_VALUES * sizeof *values);
  if (!values) return NC_NO_MEMORY;
  *working = values;
  if (find_chunk(&api, ncid, varid, &items, &chunk) ||
      find_fill(&api, ncid, varid, &items, &chunk.element.word, fill, &is_fill)) {
    values[0] = ITEM_REFUSED;
    *n_working = 1;
  } else {
    *n_working = complete(&items, &chunk, is_fill ? fill : NULL, values);
  }
  return NC_OK;
}

static const ncz_codec_class CODEC = {
    NCZ_CODEC_VERSION, NCZ_CODEC_SORT, "ansquant", FILTER_ID, NULL, NULL, codec_to_hdf5, hdf5_to_codec, modify_parameters,
};

__attribute__((visibility("default"))) const void *NCZ_get_codec_info(void);
const void *NCZ_get_codec_info(void) { return &CODEC; }
