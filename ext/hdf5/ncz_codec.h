/* ncz_codec.h: the part of netCDF's binary interface that a codec of NCZarr needs, in our own words, as h5_abi.h has HDF5's.
 *
 * From netcdf-c's include/netcdf_filter_build.h (NCZ_codec_t, version 1) and netcdf.h, 4.8.1 to 4.10.
 */
#ifndef AC_NCZ_CODEC_H
#define AC_NCZ_CODEC_H
#include <stddef.h>

enum {
  NCZ_CODEC_VERSION = 1, /* NCZ_CODEC_CLASS_VER */
  NCZ_CODEC_SORT = 1,    /* NCZ_CODEC_HDF5 */
  NC_OK = 0, NC_FILTER_ERROR = -132, NC_NO_MEMORY = -61, /* NC_NOERR, NC_EFILTER, NC_ENOMEM */
  NC_BIG_ENDIAN = 2 /* NC_ENDIAN_BIG */
};

/* nc_type */
enum { NC_INT8 = 1, NC_INT16 = 3, NC_INT32 = 4, NC_FLOAT32 = 5, NC_FLOAT64 = 6, NC_UINT8 = 7, NC_UINT16 = 8, NC_UINT32 = 9,
       NC_INT64_ = 10, NC_UINT64_ = 11, NC_ATOMIC = 12 /* and what is above is text or the user's */ };

/* NCZ_codec_t */
typedef struct {
  int version;
  int sort;
  const char *id;
  unsigned filter;
  void (*initialize)(void);
  void (*finalize)(void);
  int (*codec_to_hdf5)(const char *codec, size_t *n, unsigned **values);
  int (*hdf5_to_codec)(size_t n, const unsigned *values, char **codec);
  int (*modify_parameters)(int ncid, int varid, size_t *n_visible, unsigned **visible, size_t *n_working, unsigned **working);
} ncz_codec_class;

/* What is called in the library, by the name of the symbol less its nc_ prefix. */
typedef struct {
  int (*inq_vartype)(int ncid, int varid, int *type);
  int (*inq_varndims)(int ncid, int varid, int *ndims);
  int (*inq_var_chunking)(int ncid, int varid, int *storage, size_t *chunks);
  int (*inq_var_endian)(int ncid, int varid, int *endian);
  int (*inq_var_fill)(int ncid, int varid, int *no_fill, void *value);
  int (*inq_var_filter_ids)(int ncid, int varid, size_t *n, unsigned *ids);
} ncz_api;
#endif
