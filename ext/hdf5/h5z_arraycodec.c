/* h5z_arraycodec.c: the HDF5 filter "arraycodec.ansquant", a plugin around the C core.  An HDF5
 * chunk is an arraycodec chunk, byte for byte what the Python package makes of the same array.
 *
 * Parameters (cd_values), as a user gives them:
 *   1, low, high   tolerance: the two 32-bit words of an IEEE double; 0 is lossless
 *   2, k           tolerance 2^-k, 0 <= k <= 1022
 *   3, m, e        tolerance m * 10^-e, 0 <= e <= 22, correctly rounded
 * and as set_local stores them with the dataset (the canonical form):
 *   1, low, high, type, rank, dim 0 low, dim 0 high, ...
 * where type = AC_FLOAT32 or AC_FLOAT64, plus TYPE_BIG_ENDIAN, and the dims are those of a chunk.
 *
 * Invariants: no state but the core's scratch, and nothing of HDF5 is linked: every call finds the
 * functions of the very library that called it, so several HDF5 libraries of a process can share the
 * plugin.  A chunk is the work of one thread: HDF5 calls filters under a lock, for a program that did
 * not ask for threads.  What cannot be stored within the bound (other types, a filter before ours) is
 * refused when the dataset is created, with the reason on HDF5's error stack; after that encoding fails
 * only for lack of memory.
 * Decoding needs no parameters, but refuses a chunk of another type or size than the dataset's.
 */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arraycodec.h"
#include "../core/fpenv.h"
#include "h5_abi.h"

#define EXPORT __attribute__((visibility("default")))

enum { FILTER_ID = 35117 }; /* also in arraycodec/hdf5.py */

enum { FORM_DOUBLE = 1, FORM_POWER_OF_TWO = 2, FORM_DECIMAL = 3 };
enum { TYPE_BIG_ENDIAN = 1 << 8 };
enum { CANONICAL_FIXED = 5, MAX_VALUES = CANONICAL_FIXED + 2 * H5_MAX_RANK };

/* ---- the HDF5 library that called us ---- */
#define SYMBOL(name) {"H5" #name, offsetof(h5_api, name)}
static const struct {
  const char *name;
  size_t offset;
} SYMBOLS[] = {
    SYMBOL(Pget_nfilters), SYMBOL(Pget_filter2), SYMBOL(Pget_filter_by_id2), SYMBOL(Pmodify_filter),
    SYMBOL(Pget_chunk), SYMBOL(Tget_class), SYMBOL(Tget_size), SYMBOL(Tequal), SYMBOL(T_IEEE_F32LE_g),
    SYMBOL(T_IEEE_F32BE_g), SYMBOL(T_IEEE_F64LE_g), SYMBOL(T_IEEE_F64BE_g), SYMBOL(Ecreate_stack),
    SYMBOL(Eset_current_stack), SYMBOL(Epush2), SYMBOL(E_ERR_CLS_g), SYMBOL(E_PLINE_g), SYMBOL(E_CANTFILTER_g),
};

static int load_symbols(void *scope, h5_api *api) {
  for (size_t i = 0; i < sizeof SYMBOLS / sizeof SYMBOLS[0]; i++) {
    void *symbol = dlsym(scope, SYMBOLS[i].name);
    if (!symbol) return -1;
    memcpy((char *)api + SYMBOLS[i].offset, &symbol, sizeof symbol);
  }
  return 0;
}

/* Looks in the object that the return address lies in first: HDF5 libraries inside Python wheels are
 * loaded with local scope, and there may be two.  Fails where HDF5 is linked statically into a
 * program that does not export its symbols. */
static int find_api(void *return_address, h5_api *api) {
  Dl_info caller;
  int found = 0;
  if (dladdr(return_address, &caller) && caller.dli_fname) {
    void *library = dlopen(caller.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (library) {
      found = load_symbols(library, api) == 0;
      dlclose(library); /* only the reference taken here; the library is running */
    }
  }
  return found || load_symbols(RTLD_DEFAULT, api) == 0 ? 0 : -1;
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

__attribute__((format(printf, 3, 4)))
static h5_error refuse(const h5_api *api, unsigned line, const char *format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  push_error(api, "set_local", line, text);
  return -1;
}
#define REFUSE(...) refuse(api, __LINE__, __VA_ARGS__)

/* ---- parameters ---- */
#define FORMS "(1, low word, high word) of a double, (2, k) for 2^-k, or (3, m, e) for m*10^-e"

static const double POWERS_OF_TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static uint64_t join(const unsigned words[2]) { return words[0] | (uint64_t)words[1] << 32; }

static void split(uint64_t value, unsigned words[2]) {
  words[0] = (unsigned)value;
  words[1] = (unsigned)(value >> 32);
}

static double tolerance_of(const unsigned words[2]) {
  const uint64_t bits = join(words);
  double tol;
  memcpy(&tol, &bits, sizeof tol);
  return tol;
}

/* Any form of a tolerance to the words of a double. */
static h5_error read_tolerance(const h5_api *api, const unsigned *values, size_t n, unsigned words[2]) {
  if (n == 0) return REFUSE("no tolerance given: the filter's values must be " FORMS);
  switch (values[0]) {
    case FORM_DOUBLE: {
      /* a copied property list (h5repack, nccopy) brings the canonical form of another dataset */
      if (n != 3 && (n < CANONICAL_FIXED || n != CANONICAL_FIXED + 2 * (size_t)values[4]))
        return REFUSE("form 1 takes 2 values, the low and the high word of a double, not %zu", n - 1);
      const double tol = tolerance_of(values + 1);
      if (!isfinite(tol) || signbit(tol))
        if ((values[1] | values[2] << 1) != 0) /* -0.0 is 0 */
          return REFUSE("the tolerance must be finite and not negative, not %g", tol);
      words[0] = values[1];
      words[1] = values[2] & 0x7fffffffu;
      return 0;
    }
    case FORM_POWER_OF_TWO:
      if (n != 2) return REFUSE("form 2 takes 1 value, k for the tolerance 2^-k, not %zu", n - 1);
      if (values[1] > 1022) return REFUSE("the tolerance 2^-k needs 0 <= k <= 1022, not %u", values[1]);
      split((uint64_t)(1023 - values[1]) << 52, words);
      return 0;
    case FORM_DECIMAL: {
      if (n != 3) return REFUSE("form 3 takes 2 values, m and e for the tolerance m*10^-e, not %zu", n - 1);
      if (values[2] > 22) return REFUSE("the tolerance m*10^-e needs 0 <= e <= 22, not %u", values[2]);
      /* both operands are exact, so the one rounding is the division's */
      const ac_fpenv saved = ac_fpenv_enter();
      const double tol = values[1] / POWERS_OF_TEN[values[2]];
      ac_fpenv_leave(saved);
      uint64_t bits;
      memcpy(&bits, &tol, sizeof bits);
      split(bits, words);
      return 0;
    }
    default:
      return REFUSE("unknown form %u of the tolerance: the filter's values must be " FORMS, values[0]);
  }
}

/* The canonical form: what the chunk holds, and the bytes of its values. */
static int read_canonical(const unsigned *values, size_t n, ac_array *array, uint64_t *size) {
  if (n < CANONICAL_FIXED || values[0] != FORM_DOUBLE || values[4] > H5_MAX_RANK ||
      n != CANONICAL_FIXED + 2 * (size_t)values[4])
    return -1;
  const unsigned type = values[3] & ~(unsigned)TYPE_BIG_ENDIAN;
  if (type != AC_FLOAT32 && type != AC_FLOAT64) return -1;
  memset(array, 0, sizeof *array);
  array->dtype = (uint8_t)type;
  array->big_endian = (values[3] & TYPE_BIG_ENDIAN) != 0;
  array->ndim = (uint8_t)values[4];
  *size = type == AC_FLOAT32 ? 4 : 8;
  for (unsigned i = 0; i < values[4]; i++) {
    array->shape[i] = join(values + CANONICAL_FIXED + 2 * i);
    if (__builtin_mul_overflow(*size, array->shape[i], size)) return -1;
  }
  return 0;
}

/* ---- creating a dataset ---- */
static const char *class_name(int type_class) {
  static const char *const names[] = {"integer", "float", "time", "string", "bitfield", "opaque", "compound",
                                      "reference", "enum", "variable-length", "array", "complex"};
  const size_t known = sizeof names / sizeof names[0];
  return type_class >= 0 && (size_t)type_class < known ? names[type_class] : "unknown";
}

/* The type must be one of HDF5's own IEEE types in every respect: float16, bfloat16 and hand-made
 * float types have the class, some even the size. */
static h5_error read_type(const h5_api *api, h5_id type, unsigned *code) {
  const struct {
    h5_id type;
    unsigned code;
  } known[] = {{*api->T_IEEE_F32LE_g, AC_FLOAT32},
               {*api->T_IEEE_F64LE_g, AC_FLOAT64},
               {*api->T_IEEE_F32BE_g, AC_FLOAT32 | TYPE_BIG_ENDIAN},
               {*api->T_IEEE_F64BE_g, AC_FLOAT64 | TYPE_BIG_ENDIAN}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (api->Tequal(type, known[i].type) > 0) {
      *code = known[i].code;
      return 0;
    }
  const int type_class = api->Tget_class(type);
  const size_t size = api->Tget_size(type);
  return REFUSE("only IEEE float32 and float64 datasets can be compressed, not a type of %zu bytes and class %s", size,
                class_name(type_class));
}

/* Bytes from another filter are no floats any more: quantizing them would destroy the data. */
static h5_error check_pipeline(const h5_api *api, h5_id dcpl) {
  const int n = api->Pget_nfilters(dcpl);
  for (int i = 0; i < n; i++) {
    char name[64] = "";
    unsigned flags, config;
    size_t no_values = 0;
    const int id = api->Pget_filter2(dcpl, (unsigned)i, &flags, &no_values, NULL, sizeof name, name, &config);
    name[sizeof name - 1] = 0;
    if (i == 0 && id != FILTER_ID)
      return REFUSE("must be the first filter, but filter %d (%s) comes before it: create the dataset without shuffle, "
                    "scaleoffset or other compression", id, name);
    if (i > 0 && id == FILTER_ID) return REFUSE("the filter is in the pipeline twice");
    if (id == H5_FILTER_NBIT || id == H5_FILTER_SCALEOFFSET)
      return REFUSE("filter %d (%s) cannot follow it: that filter takes its input for values of the dataset", id, name);
  }
  return 0;
}

static h5_error set_local(h5_id dcpl, h5_id type, h5_id space) {
  h5_api found;
  const h5_api *api = &found;
  (void)space;
  /* Without the library's functions neither parameters nor type can be seen: no dataset, rather than
   * one whose type nobody checked. */
  if (find_api(__builtin_return_address(0), &found)) return -1;
  unsigned values[MAX_VALUES] = {0}, flags, config;
  h5_size dims[H5_MAX_RANK];
  size_t n = MAX_VALUES;
  if (check_pipeline(api, dcpl)) return -1;
  if (api->Pget_filter_by_id2(dcpl, FILTER_ID, &flags, &n, values, 0, NULL, &config) < 0)
    return REFUSE("the filter's values cannot be read");
  if (n > MAX_VALUES) return REFUSE("too many values (%zu): they must be " FORMS, n);
  if (read_tolerance(api, values, n, values + 1) || read_type(api, type, values + 3)) return -1;
  const int rank = api->Pget_chunk(dcpl, H5_MAX_RANK, dims);
  if (rank < 1 || rank > H5_MAX_RANK) return REFUSE("the dataset must be chunked");
  values[0] = FORM_DOUBLE;
  values[4] = (unsigned)rank;
  for (int i = 0; i < rank; i++) split(dims[i], values + CANONICAL_FIXED + 2 * i);
  if (api->Pmodify_filter(dcpl, FILTER_ID, flags, CANONICAL_FIXED + 2 * (size_t)rank, values) < 0)
    return REFUSE("the filter's values cannot be stored");
  return 0;
}

/* ---- chunks ---- */
/* Both directions return what is wrong, or NULL and in *out a new buffer. */
typedef struct {
  void *data;
  size_t size, allocated;
} h5_buffer;

static const char *encode(const unsigned *values, size_t n_values, const void *src, size_t src_size, h5_buffer *out) {
  ac_array array;
  uint64_t size;
  if (read_canonical(values, n_values, &array, &size))
    return "the dataset was created without this filter at hand, its parameters are incomplete";
  if (size != src_size) return "a chunk of another size than the dataset's";
  const size_t item = array.dtype == AC_FLOAT32 ? 4 : 8;
  void *aligned = NULL;
  int error = ac_bound(&array, NULL, &out->allocated);
  if (error) return ac_error_name(error);
  if ((uintptr_t)src % item) { /* HDF5's own buffers are aligned; another filter's may not be */
    if (!(aligned = malloc(src_size))) return ac_error_name(AC_E_MEMORY);
    src = memcpy(aligned, src, src_size);
  }
  out->data = malloc(out->allocated);
  const ac_tolerance tolerance = {tolerance_of(values + 1), 0, NULL};
  error = out->data ? ac_encode(&array, &tolerance, NULL, 1, src, src_size, out->data,
                                out->allocated, &out->size)
                    : AC_E_MEMORY;
  free(aligned);
  return error ? ac_error_name(error) : NULL;
}

static const char *decode(const unsigned *values, size_t n_values, const void *src, size_t src_size, h5_buffer *out) {
  ac_info info;
  ac_array expected;
  uint64_t expected_size;
  int error = ac_peek(src, src_size, &info);
  if (error) return ac_error_name(error);
  const uint64_t size = info.count * (info.array.dtype == AC_FLOAT32 ? 4 : 8); /* the core limits it to PTRDIFF_MAX */
  if (read_canonical(values, n_values, &expected, &expected_size) == 0) {
    if (info.array.dtype != expected.dtype || info.array.big_endian != expected.big_endian)
      return "the chunk holds values of another type or byte order than the dataset";
    if (size != expected_size) return ac_error_name(AC_E_DST_SIZE);
  } else {
    const uint64_t usual = (uint64_t)4 << 30, generous = 1000 * (uint64_t)src_size; /* as arraycodec/codec.py */
    if (size > (usual > generous ? usual : generous)) return "the chunk claims too many values";
  }
  if (size == 0) return "the chunk is empty"; /* HDF5 has none, and 0 bytes would mean failure */
  if (info.array.f_order && info.array.ndim > 1) return "the chunk's values are in Fortran order";
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
