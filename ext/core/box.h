/* box.h: how a chunk is cut into blocks (boxes of a grid, or runs of consecutive elements), what the stages know of
 * the shape of a block, and copies between blocks and arrays. */
#ifndef AC_BOX_H
#define AC_BOX_H
#include "types.h"

/* ---- a block, as the stages see it ---- */
enum { AC_BOX_NDIM = 4 };

/* Its shape in elements, in memory order: the slowest axis first.  Axes of length 1 are left out, and the slowest of
 * more than AC_BOX_NDIM are joined to one.  A run has one axis. */
typedef struct {
  unsigned ndim; /* 1 .. AC_BOX_NDIM */
  uint32_t extent[AC_BOX_NDIM];
} ac_box;

/* How far apart neighbours are in the next row and plane, in values; 0 where there are none. */
typedef struct {
  uint64_t row, plane;
} ac_strides;

/* How long rows of a matrix may be, in values: products of the fastest axes. */
typedef struct {
  unsigned n;
  uint32_t length[4];
} ac_rows;

/* Strides and rows are those of the block if it is a box, of the array if it is a run. */
typedef struct {
  uint32_t n; /* values */
  ac_box box;
  ac_strides strides;
  ac_rows rows;   /* encoder */
  uint64_t first; /* encoder, runs: values of the array before the block, so that rows are found; else 0 */
} ac_geometry;

/* A run of n values that belongs to no array. */
ac_geometry ac_geometry_of_run(uint32_t n, unsigned values);

/* ---- a chunk, cut into blocks ---- */
/* Axes are in memory order. */
typedef struct {
  int runs;               /* else boxes; all of the array if there is one block */
  unsigned values;        /* of an element */
  uint64_t count;         /* elements */
  uint32_t block_len;     /* runs: elements of a block */
  unsigned ndim;
  uint64_t shape[AC_MAX_NDIM];
  uint64_t stride[AC_MAX_NDIM]; /* of the array, in elements */
  uint64_t extent[AC_MAX_NDIM]; /* boxes: of a whole one */
  uint64_t boxes[AC_MAX_NDIM];  /* how many along an axis */
  ac_strides strides;           /* of the array */
  ac_rows rows;
} ac_cut;

/* A part of an array, or of a block, that is a box. */
typedef struct {
  uint64_t start[AC_MAX_NDIM], extent[AC_MAX_NDIM];
} ac_part;

/* The encoder's choice: extents in memory order of boxes of at most `most` elements, for an array that has more; if it
 * predicts, boxes are longer along the slowest axis, and wider.  Along the `apart` slowest axes they have one index. */
void ac_box_choose(const ac_array *array, uint32_t most, int predicts, unsigned apart, uint32_t *extents);

void ac_cut_make(ac_cut *cut, const ac_info *info);

/* The same blocks of the same elements with one axis, if they are runs. */
void ac_cut_flatten(ac_cut *cut);

/* Elements of block i, and of the largest one. */
uint32_t ac_cut_elements(const ac_cut *cut, uint64_t i);
uint32_t ac_cut_largest(const ac_cut *cut);

/* Do the elements of every block stand one after the other in the array? */
int ac_cut_is_contiguous(const ac_cut *cut);

ac_geometry ac_cut_geometry(const ac_cut *cut, uint64_t i);

/* The largest part of the array whose elements are [first, first + n) in memory order, with first + n at most end; returns
 * n.  A range has less than two parts for each axis. */
uint64_t ac_cut_range(const ac_cut *cut, uint64_t first, uint64_t end, ac_part *part);

/* The part of block i that begins with its element `at`; returns its elements.  A box has one part. */
uint32_t ac_cut_part(const ac_cut *cut, uint64_t i, uint32_t at, ac_part *part);

/* ---- copies ---- */
/* Elements at equal distances along some axes, the slowest first; distances in bytes. */
typedef struct {
  unsigned n;
  struct {
    uint64_t count;
    ptrdiff_t from, to;
  } axis[AC_MAX_NDIM];
} ac_copy;

/* The next faster axis.  Axes that are one on both sides are joined, so that what is contiguous is one axis. */
void ac_copy_add(ac_copy *copy, uint64_t count, ptrdiff_t from, ptrdiff_t to);

/* Elements, if they stand one after the other on both sides; else 0. */
uint64_t ac_copy_contiguous(const ac_copy *copy, size_t item);

/* Copy elements of a type, with the bytes of their values in the reverse order if `swap`. */
void ac_copy_run(const ac_copy *copy, const ac_type *type, int swap, const void *src, void *dst);

/* n values of so many bytes in the other byte order; dst may be src. */
void ac_swap(void *dst, const void *src, size_t n, unsigned size);
#endif
