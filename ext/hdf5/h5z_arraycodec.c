/* h5z_arraycodec.c: the HDF5 filter "arraycodec.ansquant", a plugin around the C core.  An HDF5
 * chunk is an arraycodec chunk, byte for byte what the Python package makes of the same array.
 *
 * Parameters (cd_values) are items in any order, each a tag and its operands.  As a user gives them:
 *   absolute tolerance, 0 is lossless
 *     1, low, high     the two 32-bit words of an IEEE double
 *     2, k             2^-k, 0 <= k <= 1022
 *     3, m, e          m * 10^-e, 0 <= e <= 22, correctly rounded
 *   relative tolerance, less than 1; for floats and complex numbers, integers are not changed for its sake
 *     5, low, high     as 1
 *     6, k             2^-k, 1 <= k <= 1022
 *     7, m, e          as 3
 *   fill value: elements equal to it come back bit for bit, whatever the tolerance
 *     11, low, high    the words of a double
 *     12, s, low, high an integer, (-1)^s * (low + 2^32 high), s = 0 or 1
 *     13, 4 words      a complex number: two doubles
 *     8, n, n words    the bits of an element in native order, lowest word first; n = 1 for elements of up to 4 bytes,
 *                      2 for 8, 4 for 16
 *   9                  uint16 elements are bfloat16
 *   14, level          how hard the encoder looks: 1 (fast) to 9 (smallest); without it the default
 *   15, predictor      what values are predicted from: 1 nothing, 2 what is best of all, 3 the values before (Lorenzo),
 *                      4 coarser grids (interpolation), 5 many values before in a row (linear); without it the default
 *   16, coder          how integers are stored: 1 by rANS, 2 as varints, without predictions; without it 1
 *   17, w, bucket, low, high
 *                      values are rounded at random (docs/stochastic.md): w = bits + 256 method + 65536 norm + 16777216 packing,
 *                      bits = 1 to 9, method 0 QSGD, 1 dither, norm 0 L2, 1 the largest magnitude, packing 0 rANS, 1 fixed; how many
 *                      values share a norm, 0 for all of a chunk; and the two words of the seed.  Nothing else is given then
 *   18, 6 words        chunks are products of few rows and columns, which arraycodec.hdf5.write makes (docs/low-rank.md) and
 *                      the filter reads.  What HDF5 itself has to write is stored within the absolute tolerance, by values;
 *                      without one it is refused
 * One of the tolerances has to be there, or item 17 or 18.  set_local stores with the dataset (the canonical form):
 *   1, low, high, [5, low, high,] [8, n, n words,] [9,] [14, level,] [15, predictor,] [16, coder,] [17 or 18, words,]
 *   10, type, rank, dim 0 low, dim 0 high, ... [, multiple]
 * Item 10 says what the filter cannot ask for later.  Its dims are those of a chunk; bits 0-7 of type are the
 * element type of the format (docs/format.md), and the others
 *   8       the elements are big-endian
 *   9       exact: an enumeration, which is stored without loss as the integers that it is based on; the tolerance
 *           is kept all the same, for whoever copies the property list.  (bool, datetime64 and timedelta64 are
 *           exact without this bit)
 *   10      item 8 is the fill value of the dataset itself (below)
 *   16-19   datetime64 and timedelta64: code of the unit; `multiple` is there for these only
 * A copied property list (h5repack, nccopy) brings the canonical form of another dataset: item 10 is replaced, and
 * item 8 if it was that dataset's own.
 *
 * A fill value that the user defined for the dataset itself becomes item 8, unless one is given: what was marked as
 * missing must not differ from what was never written.  Fill values that are not finite need no mention, and
 * exact types none at all.
 *
 * Invariants: no state but the core's scratch, and nothing of HDF5 is linked: every call finds the
 * functions of the very library that called it, so several HDF5 libraries of a process can share the
 * plugin.  A chunk is the work of one thread: HDF5 calls filters under a lock, for a program that did
 * not ask for threads.  What cannot be stored within the bound (other types, a filter before ours) is
 * refused when the dataset is created, with the reason on HDF5's error stack; after that encoding fails
 * only for lack of memory, and with items 17 and 18 for values that are not finite, or without a tolerance.  (Where the filter
 * is optional, as h5py has it, HDF5 stores a chunk of such values as it is: nothing is lost, and nothing saved.)
 * Decoding needs no parameters, but refuses a chunk of another type or size than the dataset's.
 */
#include <stdlib.h>
#include <string.h>

#include "../arraycodec.h"
#include "../core/types.h"
#include "caller.h"
#include "h5_abi.h"
#include "h5_items.h"
#include "h5_types.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- the HDF5 library that called us ---- */
#define SYMBOL(name) {"H5" #name, offsetof(h5_api, name)}
static const caller_symbol SYMBOLS[] = {
    SYMBOL(Pget_nfilters), SYMBOL(Pget_filter2), SYMBOL(Pget_filter_by_id2), SYMBOL(Pmodify_filter),
    SYMBOL(Pget_chunk), SYMBOL(Pfill_value_defined), SYMBOL(Pget_fill_value), SYMBOL(Tget_class), SYMBOL(Tget_size),
    SYMBOL(Tget_precision), SYMBOL(Tget_order), SYMBOL(Tget_sign), SYMBOL(Tget_fields), SYMBOL(Tget_ebias),
    SYMBOL(Tget_norm), SYMBOL(Tget_super), SYMBOL(Tget_nmembers), SYMBOL(Tget_member_name), SYMBOL(Tget_member_type),
    SYMBOL(Tget_member_offset), SYMBOL(Tget_member_value), SYMBOL(Tget_tag), SYMBOL(Tclose), SYMBOL(free_memory),
    SYMBOL(Ecreate_stack), SYMBOL(Eset_current_stack), SYMBOL(Epush2), SYMBOL(E_ERR_CLS_g), SYMBOL(E_PLINE_g),
    SYMBOL(E_CANTFILTER_g),
};

static int find_api(void *return_address, h5_api *api) {
  return caller_find(return_address, SYMBOLS, sizeof SYMBOLS / sizeof SYMBOLS[0], api);
}

/* Puts the reason on HDF5's error stack, below what the library will add.  Must come after all other
 * calls: most of them clear the stack.  HDF5 2 pauses its current stack around filters and drops
 * what is pushed there, but takes a stack made elsewhere. */
static void push_error(const h5_api *api, const char *function, unsigned line, const char *text) {
  const h5_id stack = api->Ecreate_stack();
  if (stack < 0) return;
  api->Epush2(stack, "h5z_arraycodec.c", function, line, *api->E_ERR_CLS_g, *api->E_PLINE_g, *api->E_CANTFILTER_g,
              "arraycodec: %s", text);
  api->Eset_current_stack(stack);
}

/* ---- creating a dataset ---- */
/* Bytes from another filter are no numbers any more: quantizing them would destroy the data. */
static h5_error check_pipeline(const h5_api *api, h5_id dcpl, h5_problem *problem) {
  const int n = api->Pget_nfilters(dcpl);
  for (int i = 0; i < n; i++) {
    char name[64] = "";
    unsigned flags, config;
    size_t no_values = 0;
    const int id = api->Pget_filter2(dcpl, (unsigned)i, &flags, &no_values, NULL, sizeof name, name, &config);
    name[sizeof name - 1] = 0;
    if (i == 0 && id != FILTER_ID)
      return h5_refuse(problem, "must be the first filter, but filter %d (%s) comes before it: create the dataset "
                       "without shuffle, scaleoffset or other compression", id, name);
    if (i > 0 && id == FILTER_ID) return h5_refuse(problem, "the filter is in the pipeline twice");
    if (id == H5_FILTER_NBIT || id == H5_FILTER_SCALEOFFSET)
      return h5_refuse(problem, "filter %d (%s) cannot follow it: that filter takes its input for values of the "
                       "dataset", id, name);
  }
  return 0;
}

/* The dataset's own fill value as bits; 0 if there is none that needs mention. */
static int own_fill(const h5_api *api, h5_id dcpl, h5_id type, unsigned word, uint8_t bits[MAX_ELEMENT]) {
  int status;
  if (api->Pfill_value_defined(dcpl, &status) < 0 || status != H5_FILL_USER_DEFINED) return 0;
  if (api->Pget_fill_value(dcpl, type, bits) < 0) return 0;
  const ac_type *element = ac_type_of((int)(word & TYPE_CODE));
  for (unsigned i = 0; word & TYPE_BIG_ENDIAN && i < element->values; i++) {
    uint8_t *part = bits + i * element->size;
    for (unsigned low = 0, high = element->size - 1u; low < high; low++, high--) {
      const uint8_t byte = part[low];
      part[low] = part[high];
      part[high] = byte;
    }
  }
  return h5_is_finite(word & TYPE_CODE, bits);
}

/* The bits of the fill value that is to be stored.  *given: whether there is one. */
static h5_error find_fill(const h5_api *api, h5_id dcpl, h5_id type, h5_items *items, h5_element *element,
                          uint8_t bits[MAX_ELEMENT], int *given, h5_problem *problem) {
  const unsigned code = element->word & TYPE_CODE, copied = items->element.word;
  *given = 0;
  if (element->word & TYPE_EXACT || ac_type_of((int)code)->lossless || items->other) return 0;
  if (items->type && items->fill == ITEM_FILL_BITS) { /* of another dataset */
    if (copied & TYPE_OWN_FILL) items->fill = 0;
    else if ((copied & TYPE_CODE) != code)
      return h5_refuse(problem, "item 8 has the bits of a fill value of another type (%u) than the dataset's (%u): "
                       "give it by item 11, 12 or 13", copied & TYPE_CODE, code);
  }
  if (items->fill) return h5_fill_of_items(items, code, bits, given, problem);
  *given = own_fill(api, dcpl, type, element->word, bits);
  if (*given) element->word |= TYPE_OWN_FILL;
  return 0;
}

/* Items 17 and 18 stand alone, but for the tolerance of 18, and the zero that set_local has written. */
static h5_error check_other(const h5_items *items, h5_element element, h5_problem *problem) {
  if (!items->other) return 0;
  const ac_type *type = ac_type_of((int)(element.word & TYPE_CODE));
  if (type->kind != AC_KIND_FLOAT || type->values > 1 || element.word & TYPE_EXACT)
    return h5_refuse(problem, "item %u is for float16, float32, float64 and bfloat16, not for elements of type %u", items->other,
                     element.word & TYPE_CODE);
  if (items->relative || items->fill || items->bfloat16 || items->effort || items->prediction || items->coding ||
      (items->other == ITEM_STOCHASTIC && items->tol > 0))
    return h5_refuse(problem, "no tolerance, fill value, bfloat16, level, predictor or coder goes with item %u%s", items->other,
                     items->other == ITEM_LOW_RANK ? " but an absolute tolerance" : "");
  return 0;
}

static h5_error complete(const h5_api *api, h5_id dcpl, h5_id type, h5_problem *problem) {
  unsigned given[MAX_VALUES] = {0}, values[MAX_VALUES], flags, config;
  size_t n = MAX_VALUES;
  if (check_pipeline(api, dcpl, problem)) return -1;
  if (api->Pget_filter_by_id2(dcpl, FILTER_ID, &flags, &n, given, 0, NULL, &config) < 0)
    return h5_refuse(problem, "the filter's values cannot be read");
  if (n > MAX_VALUES) return h5_refuse(problem, "too many values (%zu): at most %d make sense", n, MAX_VALUES);
  h5_items items;
  h5_element element;
  uint8_t fill[MAX_ELEMENT];
  int is_fill;
  h5_size dims[H5_MAX_RANK];
  if (h5_read_items(given, n, &items, problem)) return -1;
  if (!items.absolute && !items.relative && !items.other)
    return h5_refuse(problem, "no tolerance given: the filter's values need (1, low word, high word) of a double, "
                     "(2, k) for 2^-k, (3, m, e) for m*10^-e, or 5, 6, 7 for the same of a relative tolerance");
  if (h5_read_type(api, type, items.bfloat16 != 0, &element, problem)) return -1;
  if (check_other(&items, element, problem)) return -1;
  if (find_fill(api, dcpl, type, &items, &element, fill, &is_fill, problem)) return -1;
  const int rank = api->Pget_chunk(dcpl, H5_MAX_RANK, dims);
  if (rank < 1 || rank > H5_MAX_RANK) return h5_refuse(problem, "the dataset must be chunked");
  if (items.other == ITEM_LOW_RANK && (unsigned)rank <= (items.other_operands[LOW_RANK_AXES] & 0xff))
    return h5_refuse(problem, "with the first %u axes for rows, the dataset's %d leave none for columns",
                     items.other_operands[LOW_RANK_AXES] & 0xff, rank);
  n = h5_write_items(&items, is_fill ? fill : NULL, element, (unsigned)rank, dims, values);
  if (api->Pmodify_filter(dcpl, FILTER_ID, flags, n, values) < 0)
    return h5_refuse(problem, "the filter's values cannot be stored");
  return 0;
}

static h5_error set_local(h5_id dcpl, h5_id type, h5_id space) {
  h5_api api;
  h5_problem problem;
  (void)space;
  /* Without the library's functions neither parameters nor type can be seen: no dataset, rather than
   * one whose type nobody checked. */
  if (find_api(__builtin_return_address(0), &api)) return -1;
  const h5_error error = complete(&api, dcpl, type, &problem);
  if (error) push_error(&api, "set_local", __LINE__, problem.text);
  return error;
}

/* ---- chunks ---- */
/* What the canonical form says. */
typedef struct {
  ac_array array;
  uint64_t size; /* bytes of a chunk's values */
  ac_tolerance tolerance;
  uint8_t fill[MAX_ELEMENT]; /* where the tolerance's fill value is */
  ac_tuning tuning;
  unsigned other; /* 0, or the tag of the item that says how chunks are written */
  int is_complete; /* begins as set_local writes it, with a tolerance; without, chunks can only be read (ncz_codec.c) */
  ac_stochastic stochastic;
} h5_canonical;

static int read_canonical(const unsigned *values, size_t n, h5_canonical *c) {
  h5_items items;
  h5_problem problem;
  if (h5_read_items(values, n, &items, &problem) || !items.type) return -1;
  const unsigned word = items.element.word, code = word & TYPE_CODE;
  const int is_exact = (word & TYPE_EXACT) != 0;
  memset(c, 0, sizeof *c);
  c->is_complete = items.absolute == ITEM_TOLERANCE;
  c->size = ac_element_size((int)code);
  if (!c->size || word & ~(unsigned)(TYPE_CODE | TYPE_BIG_ENDIAN | TYPE_EXACT | TYPE_OWN_FILL | TYPE_UNIT)) return -1;
  c->array.dtype = (uint8_t)code;
  c->array.big_endian = (word & TYPE_BIG_ENDIAN) != 0;
  c->array.unit = (uint8_t)((word & TYPE_UNIT) >> TYPE_UNIT_SHIFT);
  c->array.multiple = items.element.multiple;
  c->array.ndim = (uint8_t)items.rank;
  for (unsigned i = 0; i < items.rank; i++) {
    c->array.shape[i] = h5_join(items.dims + 2 * i);
    if (__builtin_mul_overflow(c->size, c->array.shape[i], &c->size)) return -1;
  }
  int is_fill;
  if (h5_fill_of_items(&items, code, c->fill, &is_fill, &problem)) return -1;
  c->tolerance.absolute = is_exact ? 0 : items.tol;
  c->tolerance.relative = is_exact ? 0 : items.rtol;
  c->tolerance.fill = is_fill ? c->fill : NULL;
  c->tuning.level = (uint8_t)items.level;
  c->tuning.predictor = (uint8_t)items.predictor;
  c->tuning.coder = (uint8_t)items.coder;
  c->other = items.other;
  if (items.other == ITEM_STOCHASTIC) c->stochastic = h5_stochastic_of(items.other_operands);
  return 0;
}

/* Both directions return what is wrong, or NULL and in *out a new buffer. */
typedef struct {
  void *data;
  size_t size, allocated;
} h5_buffer;

static const char *encode(const unsigned *values, size_t n_values, const void *src, size_t src_size, h5_buffer *out) {
  h5_canonical c;
  if (read_canonical(values, n_values, &c) || !c.is_complete) return "the dataset was created without this filter at hand, its parameters are incomplete";
  if (c.size != src_size) return "a chunk of another size than the dataset's";
  if (c.other == ITEM_LOW_RANK && !(c.tolerance.absolute > 0))
    return "low rank without a tolerance: write the dataset with arraycodec.hdf5.write";
  const int is_stochastic = c.other == ITEM_STOCHASTIC;
  void *aligned = NULL;
  int error = is_stochastic ? ac_stochastic_bound(&c.array, &c.stochastic, &out->allocated) : ac_bound(&c.array, &c.tuning, &out->allocated);
  if (error) return ac_error_name(error);
  if ((uintptr_t)src % ac_element_size(c.array.dtype)) { /* HDF5's own buffers are aligned; another filter's may not be */
    if (!(aligned = malloc(src_size))) return ac_error_name(AC_E_MEMORY);
    src = memcpy(aligned, src, src_size);
  }
  out->data = malloc(out->allocated);
  if (!out->data) error = AC_E_MEMORY;
  else if (is_stochastic)
    error = ac_stochastic_encode(&c.array, &c.stochastic, 1, src, src_size, out->data, out->allocated, &out->size);
  else error = ac_encode(&c.array, &c.tolerance, &c.tuning, 1, src, src_size, out->data, out->allocated, &out->size);
  free(aligned);
  return error ? ac_error_name(error) : NULL;
}

static const char *decode(const unsigned *values, size_t n_values, const void *src, size_t src_size, h5_buffer *out) {
  ac_info info;
  h5_canonical c;
  if (n_values && values[0] == ITEM_REFUSED) return "netCDF has no chunks of ours for this variable";
  int error = ac_peek(src, src_size, &info);
  if (error) return ac_error_name(error);
  const ac_array *found = &info.array;
  const uint64_t size = info.count * ac_element_size(found->dtype); /* the core limits it to PTRDIFF_MAX */
  if (read_canonical(values, n_values, &c) == 0) {
    const ac_array *expected = &c.array;
    if (found->dtype != expected->dtype || found->big_endian != expected->big_endian || found->unit != expected->unit ||
        found->multiple != expected->multiple)
      return "the chunk holds values of another type or byte order than the dataset";
    if (size != c.size) return ac_error_name(AC_E_DST_SIZE);
  } else {
    const uint64_t usual = (uint64_t)4 << 30, generous = 1000 * (uint64_t)src_size; /* as arraycodec/codec.py */
    if (size > (usual > generous ? usual : generous)) return "the chunk claims too many values";
  }
  if (size == 0) return "the chunk is empty"; /* HDF5 has none, and 0 bytes would mean failure */
  if (found->f_order && found->ndim > 1) return "the chunk's values are in Fortran order";
  out->size = out->allocated = (size_t)size;
  out->data = malloc(out->allocated);
  error = out->data ? ac_decode(src, src_size, &info, out->data, out->size, 1) : AC_E_MEMORY;
  return error ? ac_error_name(error) : NULL;
}

static size_t filter(unsigned flags, size_t n_values, const unsigned values[], size_t n_bytes, size_t *buf_size,
                     void **buf) {
  h5_buffer out = {NULL, 0, 0};
  const char *problem = (flags & H5_FLAG_REVERSE ? decode : encode)(values, n_values, *buf, n_bytes, &out);
  if (problem) {
    h5_api api;
    free(out.data);
    if (find_api(__builtin_return_address(0), &api) == 0) push_error(&api, "filter", __LINE__, problem);
    return 0;
  }
  free(*buf); /* HDF5's buffers come from malloc on POSIX systems */
  *buf = out.data;
  *buf_size = out.allocated; /* the allocation: HDF5 2.2 loses chunks whose filter understates it */
  return out.size;
}

/* ---- the plugin ---- */
/* No can_apply: for filters marked optional (as h5py does) its refusal would not stop the creation
 * of the dataset; set_local's does. */
static const h5_filter_class FILTER = {
    H5_FILTER_CLASS_VERSION, FILTER_ID, 1, 1, "arraycodec.ansquant", NULL, set_local, filter,
};

EXPORT int H5PLget_plugin_type(void);
EXPORT const void *H5PLget_plugin_info(void);
int H5PLget_plugin_type(void) { return H5_PLUGIN_IS_FILTER; }
const void *H5PLget_plugin_info(void) { return &FILTER; }
