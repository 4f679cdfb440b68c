/* h5_types.c: see h5_types.h.
 *
 * Numbers are recognized by their properties, and what HDF5 has no type for as h5py writes it: complex numbers
 * as a compound of two floats (HDF5 2.x has a class of its own, too), bool as an enumeration FALSE, TRUE of
 * single bytes, NumPy's dates as opaque data with the dtype in the tag.  Other enumerations are names that
 * happen to be stored as integers: they are stored exactly.
 */
#include "h5_types.h"

#include <stdlib.h>
#include <string.h>

enum { NONE = 0 }; /* no element type has this code */

static unsigned byte_order(const h5_api *api, h5_id type, size_t size) {
  const int order = api->Tget_order(type);
  if (size == 1 || order == H5_LITTLE_ENDIAN) return 0;
  return order == H5_BIG_ENDIAN ? TYPE_BIG_ENDIAN : ~0u;
}

/* These functions return the type's word, or NONE. */
static unsigned integer_word(const h5_api *api, h5_id type) {
  const size_t size = api->Tget_size(type);
  const int sign = api->Tget_sign(type);
  const unsigned order = byte_order(api, type, size);
  if (api->Tget_class(type) != H5_INTEGER || api->Tget_precision(type) != 8 * size || order == ~0u) return NONE;
  if (sign != H5_SIGNED && sign != H5_UNSIGNED) return NONE;
  const int is_signed = sign == H5_SIGNED;
  switch (size) {
    case 1: return is_signed ? AC_INT8 : AC_UINT8;
    case 2: return (is_signed ? AC_INT16 : AC_UINT16) | order;
    case 4: return (is_signed ? AC_INT32 : AC_UINT32) | order;
    case 8: return (is_signed ? AC_INT64 : AC_UINT64) | order;
    default: return NONE;
  }
}

static unsigned float_word(const h5_api *api, h5_id type) {
  static const struct {
    unsigned code;
    size_t size, exponent, exponent_size, significand_size, bias;
  } known[] = {{AC_FLOAT32, 4, 23, 8, 23, 127},
               {AC_FLOAT64, 8, 52, 11, 52, 1023},
               {AC_FLOAT16, 2, 10, 5, 10, 15},
               {AC_BFLOAT16, 2, 7, 8, 7, 127}};
  if (api->Tget_class(type) != H5_FLOAT) return NONE;
  const size_t size = api->Tget_size(type), bias = api->Tget_ebias(type);
  const unsigned order = byte_order(api, type, size);
  size_t sign, exponent, exponent_size, significand, significand_size;
  if (api->Tget_fields(type, &sign, &exponent, &exponent_size, &significand, &significand_size) < 0) return NONE;
  if (api->Tget_precision(type) != 8 * size || api->Tget_norm(type) != H5_NORM_IMPLIED || order == ~0u) return NONE;
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (size == known[i].size && sign == 8 * size - 1 && exponent == known[i].exponent &&
        exponent_size == known[i].exponent_size && significand == 0 &&
        significand_size == known[i].significand_size && bias == known[i].bias)
      return known[i].code | order;
  return NONE;
}

/* The type of complex numbers whose parts have the type `part`, which is closed. */
static unsigned complex_of(const h5_api *api, h5_id part) {
  if (part < 0) return NONE;
  const unsigned word = float_word(api, part), order = word & TYPE_BIG_ENDIAN;
  api->Tclose(part);
  switch (word & TYPE_CODE) {
    case AC_FLOAT32: return AC_COMPLEX64 | order;
    case AC_FLOAT64: return AC_COMPLEX128 | order;
    default: return NONE;
  }
}

static int is_member(const h5_api *api, h5_id type, unsigned i, const char *name) {
  char *const found = api->Tget_member_name(type, i);
  const int is = found && !strcmp(found, name);
  if (found) api->free_memory(found);
  return is;
}

static unsigned compound_word(const h5_api *api, h5_id type) {
  if (api->Tget_nmembers(type) != 2) return NONE;
  if (!(is_member(api, type, 0, "r") && is_member(api, type, 1, "i")) &&
      !(is_member(api, type, 0, "real") && is_member(api, type, 1, "imag")))
    return NONE;
  const unsigned word = complex_of(api, api->Tget_member_type(type, 0));
  const size_t size = ac_element_size((int)(word & TYPE_CODE));
  if (word == NONE || complex_of(api, api->Tget_member_type(type, 1)) != word || api->Tget_size(type) != size ||
      api->Tget_member_offset(type, 0) != 0 || api->Tget_member_offset(type, 1) != size / 2)
    return NONE;
  return word;
}

static unsigned enumeration_word(const h5_api *api, h5_id type) {
  const h5_id base = api->Tget_super(type);
  if (base < 0) return NONE;
  const unsigned word = integer_word(api, base);
  api->Tclose(base);
  if (word == NONE) return NONE;
  if (api->Tget_size(type) == 1 && api->Tget_nmembers(type) == 2 && is_member(api, type, 0, "FALSE") &&
      is_member(api, type, 1, "TRUE")) {
    unsigned char no = 1, yes = 0;
    if (api->Tget_member_value(type, 0, &no) >= 0 && api->Tget_member_value(type, 1, &yes) >= 0 && !no && yes == 1)
      return AC_BOOL;
  }
  return word | TYPE_EXACT;
}

/* "NUMPY:<M8[10ms]" */
static unsigned date_word(const h5_api *api, h5_id type, const char *tag, unsigned *multiple) {
  static const char *const units[] = {"generic", "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"};
  static const char prefix[] = "NUMPY:";
  if (api->Tget_size(type) != 8 || strncmp(tag, prefix, sizeof prefix - 1)) return NONE;
  tag += sizeof prefix - 1;
  if (*tag != '<' && *tag != '>') return NONE;
  unsigned word = *tag++ == '>' ? TYPE_BIG_ENDIAN : 0;
  if ((*tag != 'M' && *tag != 'm') || tag[1] != '8') return NONE;
  word |= *tag == 'M' ? AC_DATETIME64 : AC_TIMEDELTA64;
  tag += 2;
  *multiple = 1;
  if (!*tag) return word;
  if (*tag++ != '[') return NONE;
  if (*tag >= '1' && *tag <= '9') {
    char *end;
    const unsigned long long number = strtoull(tag, &end, 10);
    if (number > INT32_MAX) return NONE;
    *multiple = (unsigned)number;
    tag = end;
  }
  for (unsigned i = 1; i < sizeof units / sizeof units[0]; i++) {
    const size_t length = strlen(units[i]);
    if (!strncmp(tag, units[i], length) && !strcmp(tag + length, "]")) return word | i << TYPE_UNIT_SHIFT;
  }
  return NONE;
}

static unsigned opaque_word(const h5_api *api, h5_id type, unsigned *multiple) {
  char *const tag = api->Tget_tag(type);
  if (!tag) return NONE;
  const unsigned word = date_word(api, type, tag, multiple);
  api->free_memory(tag);
  if (word == NONE) *multiple = 0;
  return word;
}

static const char *class_name(int type_class) {
  static const char *const names[] = {"integer", "float", "time", "string", "bitfield", "opaque", "compound",
                                      "reference", "enum", "variable-length", "array", "complex"};
  const size_t known = sizeof names / sizeof names[0];
  return type_class >= 0 && (size_t)type_class < known ? names[type_class] : "unknown";
}

h5_error h5_read_type(const h5_api *api, h5_id type, int bfloat16, h5_element *element, h5_problem *problem) {
  const int type_class = api->Tget_class(type);
  element->multiple = 0;
  switch (type_class) {
    case H5_INTEGER: element->word = integer_word(api, type); break;
    case H5_FLOAT: element->word = float_word(api, type); break;
    case H5_COMPOUND: element->word = compound_word(api, type); break;
    case H5_COMPLEX: element->word = complex_of(api, api->Tget_super(type)); break;
    case H5_ENUM: element->word = enumeration_word(api, type); break;
    case H5_OPAQUE: element->word = opaque_word(api, type, &element->multiple); break;
    default: element->word = NONE;
  }
  if (element->word == NONE)
    return h5_refuse(problem, "only float16, float32, float64, bfloat16, integers of 1, 2, 4 or 8 bytes, complex "
                     "numbers, bool, enumerations and NumPy's dates can be compressed, not a type of %zu bytes and "
                     "class %s",
                     api->Tget_size(type), class_name(type_class));
  if (bfloat16) {
    const unsigned code = element->word & ~(unsigned)TYPE_BIG_ENDIAN;
    if (code != AC_UINT16 && code != AC_BFLOAT16)
      return h5_refuse(problem, "item 9 (bfloat16) is for uint16 datasets, not a type of %zu bytes and class %s",
                       api->Tget_size(type), class_name(type_class));
    element->word = AC_BFLOAT16 | (element->word & TYPE_BIG_ENDIAN);
  }
  return 0;
}
