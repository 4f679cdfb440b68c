/* h5_abi.h: the part of HDF5's binary interface that a filter plugin needs, in our own words.
 *
 * With it the plugin builds without HDF5's headers, and one file serves every HDF5 from 1.10 on
 * (1.8 had 32-bit identifiers).  Functions of the library are declared as members of h5_api, which
 * h5z_arraycodec.c fills at run time.
 *
 * Invariant: only what HDF5 keeps stable across versions; filter class version 1, which HDF5 1.10
 * to 2.x accept.
 */
#ifndef AC_H5_ABI_H
#define AC_H5_ABI_H
#include <stddef.h>
#include <stdint.h>

typedef int64_t h5_id;    /* hid_t */
typedef int h5_error;     /* herr_t: negative is failure */
typedef uint64_t h5_size; /* hsize_t */

enum {
  H5_MAX_RANK = 32,
  H5_FILTER_CLASS_VERSION = 1,
  H5_PLUGIN_IS_FILTER = 0,  /* H5PL_TYPE_FILTER */
  H5_FLAG_REVERSE = 0x0100, /* the filter is to decode */
  H5_FILTER_NBIT = 5,
  H5_FILTER_SCALEOFFSET = 6,
  H5_FILL_USER_DEFINED = 2, /* H5D_FILL_VALUE_USER_DEFINED */
  H5_LITTLE_ENDIAN = 0,     /* H5T_ORDER_LE */
  H5_BIG_ENDIAN = 1,        /* H5T_ORDER_BE */
  H5_UNSIGNED = 0,          /* H5T_SGN_NONE */
  H5_SIGNED = 1,            /* H5T_SGN_2 */
  H5_NORM_IMPLIED = 0       /* H5T_NORM_IMPLIED: the first bit of a significand is not stored */
};

/* H5T_class_t */
enum {
  H5_INTEGER = 0, H5_FLOAT = 1, H5_OPAQUE = 5, H5_COMPOUND = 6, H5_ENUM = 8,
  H5_COMPLEX = 11 /* HDF5 2.x */
};

/* H5Z_class2_t */
typedef struct {
  int version;
  int id;
  unsigned has_encoder, has_decoder;
  const char *name;
  int (*can_apply)(h5_id dcpl, h5_id type, h5_id space);
  h5_error (*set_local)(h5_id dcpl, h5_id type, h5_id space);
  size_t (*filter)(unsigned flags, size_t n_values, const unsigned values[], size_t n_bytes, size_t *buf_size,
                   void **buf);
} h5_filter_class;

/* What is called in the library, by the name of the symbol less its H5 prefix. */
typedef struct {
  int (*Pget_nfilters)(h5_id plist);
  int (*Pget_filter2)(h5_id plist, unsigned index, unsigned *flags, size_t *n_values, unsigned values[],
                      size_t name_size, char name[], unsigned *config);
  h5_error (*Pget_filter_by_id2)(h5_id plist, int filter, unsigned *flags, size_t *n_values, unsigned values[],
                                 size_t name_size, char name[], unsigned *config);
  h5_error (*Pmodify_filter)(h5_id plist, int filter, unsigned flags, size_t n_values, const unsigned values[]);
  int (*Pget_chunk)(h5_id plist, int max_rank, h5_size dims[]);
  h5_error (*Pfill_value_defined)(h5_id plist, int *status);
  h5_error (*Pget_fill_value)(h5_id plist, h5_id type, void *value);
  int (*Tget_class)(h5_id type);
  size_t (*Tget_size)(h5_id type);
  size_t (*Tget_precision)(h5_id type);
  int (*Tget_order)(h5_id type);
  int (*Tget_sign)(h5_id type);
  h5_error (*Tget_fields)(h5_id type, size_t *sign, size_t *exponent, size_t *exponent_size, size_t *significand,
                          size_t *significand_size);
  size_t (*Tget_ebias)(h5_id type);
  int (*Tget_norm)(h5_id type);
  h5_id (*Tget_super)(h5_id type);
  int (*Tget_nmembers)(h5_id type);
  char *(*Tget_member_name)(h5_id type, unsigned i);     /* to be given to free_memory */
  h5_id (*Tget_member_type)(h5_id compound, unsigned i); /* to be closed, as what Tget_super returns */
  size_t (*Tget_member_offset)(h5_id compound, unsigned i);
  h5_error (*Tget_member_value)(h5_id enumeration, unsigned i, void *value);
  char *(*Tget_tag)(h5_id opaque); /* to be given to free_memory */
  h5_error (*Tclose)(h5_id type);
  h5_error (*free_memory)(void *memory);
  h5_id (*Ecreate_stack)(void);
  h5_error (*Eset_current_stack)(h5_id stack); /* and closes it */
  h5_error (*Epush2)(h5_id stack, const char *file, const char *function, unsigned line, h5_id error_class,
                     h5_id major, h5_id minor, const char *format, ...);
  /* variables, valid once the library runs: error class, "data filters", "filter operation failed" */
  const h5_id *E_ERR_CLS_g, *E_PLINE_g, *E_CANTFILTER_g;
} h5_api;
#endif
