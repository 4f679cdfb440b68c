/* box.c: see box.h.  Geometry only: shapes and indices; it knows of bytes how many an element has.  Between the frame, which
 * says how a chunk is cut, and codec.c, which moves values between blocks and arrays; the stages get what is in
 * ac_geometry.
 *
 * Invariants: what it is told of a chunk was checked (by the frame, or by codec.c): extents are between 1 and the length
 * of their axis, and a block has at most 2^18 values; so no product overflows.  Every element is in one block, and in one part
 * of it.
 */
#include "box.h"

#include "bytes.h"

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Length of an axis, in memory order. */
static uint64_t length_of(const ac_array *a, unsigned i) { return a->shape[a->f_order ? a->ndim - 1 - i : i]; }

/* ---- the encoder's choice ---- */
/* A box that spans whole trailing axes is contiguous in memory: it costs no copy, and its rows are as long as those of the
 * array.  So the first axis (from the slowest) that can be cut into pieces of LEAST and more, with all later ones whole, is the
 * last to be cut.  Where a hyperplane of an axis is too large for that, LEAST along this axis are what prediction needs to
 * see of it, and the next one is cut, too: the faster an axis, the longer are the pieces.  If there are so many axes that the later
 * ones could not have LEAST, the slowest get less.
 * Parts of an axis are made equally long, so that no box is much smaller than others; what that leaves is for the later axes.
 * The slowest axis is often time, or a level, with planes that are all alike: predictions gain by having many of them. */
void ac_box_choose(const ac_array *array, uint32_t most, int predicts, unsigned apart, uint32_t *extents) {
  enum { LEAST = 16, LEAST_PREDICTED = 32, FIRST_PREDICTED = 128 };
  const uint64_t usual = predicts ? LEAST_PREDICTED : LEAST, first = predicts ? FIRST_PREDICTED : LEAST;
  const unsigned d = array->ndim;
  uint64_t rest[AC_MAX_NDIM], least[AC_MAX_NDIM]; /* elements of the later axes, and with LEAST of each: no more than `most` */
  for (uint64_t i = d, all = 1, some = 1; i-- > 0;) {
    const uint64_t n = length_of(array, (unsigned)i);
    rest[i] = all;
    least[i] = some;
    all *= n;
    some = smaller(some * smaller(n, usual), (uint64_t)most + 1);
  }
  uint64_t left = most;
  for (unsigned i = 0, whole = 0; i < d; i++) {
    const uint64_t n = length_of(array, i), want = i < apart ? 1 : smaller(n, i > apart ? usual : first);
    uint64_t b = n;
    if (i < apart) {
      b = 1;
    } else if (!whole && left / rest[i] >= want) {
      b = smaller(n, left / rest[i]);
      whole = 1;
    } else if (!whole) {
      b = left / least[i] ? smaller(want, left / least[i]) : 1;
    }
    const uint64_t parts = (n - 1) / b + 1;
    extents[i] = (uint32_t)((n - 1) / parts + 1);
    left /= extents[i];
  }
}

/* ---- a block, as the stages see it ---- */
static ac_box box_of(const uint64_t *extent, unsigned ndim) {
  ac_box box = {0, {0}};
  for (unsigned i = 0; i < ndim; i++) {
    if (extent[i] == 1) continue;
    if (box.ndim == AC_BOX_NDIM) {
      box.extent[0] *= box.extent[1];
      for (unsigned j = 1; j + 1 < AC_BOX_NDIM; j++) box.extent[j] = box.extent[j + 1];
      box.ndim--;
    }
    box.extent[box.ndim++] = (uint32_t)extent[i];
  }
  return box.ndim ? box : (ac_box){1, {1}};
}

static ac_strides strides_of(const uint64_t *shape, unsigned ndim, unsigned values) {
  ac_strides strides = {0, 0};
  if (ndim > 1) strides.row = values * shape[ndim - 1];
  if (ndim > 2) strides.plane = strides.row * shape[ndim - 2];
  return strides;
}

/* Rows of 32 values and more, of which a block holds 32 and more. */
static ac_rows rows_of(const uint64_t *shape, unsigned ndim, unsigned values) {
  enum { LEAST = 32 };
  ac_rows rows = {0, {0}};
  uint64_t length = values;
  for (unsigned i = ndim; i > 1 && rows.n < sizeof rows.length / sizeof *rows.length; i--) {
    length *= shape[i - 1];
    if (length > AC_MAX_BLOCK / LEAST) break;
    if (length >= LEAST && !(rows.n && rows.length[rows.n - 1] == length)) rows.length[rows.n++] = (uint32_t)length;
  }
  return rows;
}

ac_geometry ac_geometry_of_run(uint32_t n, unsigned values) {
  return (ac_geometry){.n = n, .box = {1, {n / values}}};
}

ac_geometry ac_cut_geometry(const ac_cut *cut, uint64_t i) {
  ac_part part;
  ac_geometry geometry;
  if (cut->runs) {
    geometry = ac_geometry_of_run(ac_cut_elements(cut, i) * cut->values, cut->values);
    geometry.strides = cut->strides;
    geometry.rows = cut->rows;
    geometry.first = i * cut->block_len * cut->values;
  } else {
    geometry.n = ac_cut_part(cut, i, 0, &part) * cut->values;
    geometry.box = box_of(part.extent, cut->ndim);
    geometry.strides = strides_of(part.extent, cut->ndim, cut->values);
    geometry.rows = rows_of(part.extent, cut->ndim, cut->values);
    geometry.first = 0;
  }
  return geometry;
}

/* ---- a chunk, cut into blocks ---- */
void ac_cut_make(ac_cut *cut, const ac_info *info) {
  const ac_array *a = &info->array;
  cut->runs = !info->boxed && info->n_blocks > 1;
  cut->values = ac_type_of(a->dtype)->values;
  cut->count = info->count;
  cut->block_len = info->block_len;
  cut->ndim = a->ndim;
  uint64_t stride = 1;
  for (unsigned i = a->ndim; i-- > 0;) {
    cut->shape[i] = length_of(a, i);
    cut->stride[i] = stride;
    cut->extent[i] = info->boxed ? info->box[i] : cut->shape[i];
    cut->boxes[i] = info->boxed ? info->boxes[i] : 1;
    stride *= cut->shape[i];
  }
  cut->strides = strides_of(cut->shape, cut->ndim, cut->values);
  cut->rows = rows_of(cut->shape, cut->ndim, cut->values);
}

void ac_cut_flatten(ac_cut *cut) {
  if (!cut->runs) return;
  cut->ndim = 1;
  cut->shape[0] = cut->count;
  cut->stride[0] = 1;
}

static uint32_t product(const uint64_t *extent, unsigned ndim) {
  uint64_t n = 1;
  for (unsigned i = 0; i < ndim; i++) n *= extent[i];
  return (uint32_t)n;
}

uint32_t ac_cut_largest(const ac_cut *cut) {
  return cut->runs ? cut->block_len : product(cut->extent, cut->ndim);
}

uint32_t ac_cut_elements(const ac_cut *cut, uint64_t i) {
  ac_part part;
  if (cut->runs) return (uint32_t)smaller(cut->block_len, cut->count - i * cut->block_len);
  return ac_cut_part(cut, i, 0, &part);
}

int ac_cut_is_contiguous(const ac_cut *cut) {
  unsigned i = 0;
  if (cut->runs) return 1;
  while (i < cut->ndim && cut->extent[i] == 1) i++;
  for (i++; i < cut->ndim; i++)
    if (cut->extent[i] != cut->shape[i]) return 0;
  return 1;
}

uint64_t ac_cut_range(const ac_cut *cut, uint64_t first, uint64_t end, ac_part *part) {
  /* whole later axes, as many as there are from here on */
  unsigned axis = cut->ndim;
  while (axis > 0 && first % cut->stride[axis - 1] == 0 && end - first >= cut->stride[axis - 1]) axis--;
  uint64_t n = 1;
  for (unsigned i = 0; i < cut->ndim; i++) {
    const uint64_t stride = cut->stride[i], at = first / stride % cut->shape[i];
    part->start[i] = at;
    part->extent[i] = 1;
    if (i == axis) part->extent[i] = smaller(cut->shape[i] - at, (end - first) / stride);
    if (i > axis) part->extent[i] = cut->shape[i];
    n *= part->extent[i];
  }
  return n;
}

uint32_t ac_cut_part(const ac_cut *cut, uint64_t i, uint32_t at, ac_part *part) {
  if (cut->runs) {
    const uint64_t first = i * cut->block_len;
    return (uint32_t)ac_cut_range(cut, first + at, first + ac_cut_elements(cut, i), part);
  }
  for (unsigned j = cut->ndim; j-- > 0;) {
    part->start[j] = i % cut->boxes[j] * cut->extent[j];
    part->extent[j] = smaller(cut->extent[j], cut->shape[j] - part->start[j]);
    i /= cut->boxes[j];
  }
  return product(part->extent, cut->ndim);
}

/* ---- copies ---- */
void ac_copy_add(ac_copy *copy, uint64_t count, ptrdiff_t from, ptrdiff_t to) {
  if (count == 1) return;
  if (copy->n) {
    const unsigned outer = copy->n - 1;
    if (copy->axis[outer].from == (ptrdiff_t)count * from && copy->axis[outer].to == (ptrdiff_t)count * to) {
      copy->axis[outer].count *= count;
      copy->axis[outer].from = from;
      copy->axis[outer].to = to;
      return;
    }
  }
  copy->axis[copy->n].count = count;
  copy->axis[copy->n].from = from;
  copy->axis[copy->n].to = to;
  copy->n++;
}

uint64_t ac_copy_contiguous(const ac_copy *copy, size_t item) {
  if (copy->n == 0) return 1;
  return copy->n == 1 && copy->axis[0].from == (ptrdiff_t)item && copy->axis[0].to == (ptrdiff_t)item ? copy->axis[0].count : 0;
}

/* Values at equal distances: what happens to each is in x. */
#define EACH(BITS, CHANGE)                                     \
  for (size_t i = 0; i < n; i++, src += from, dst += to) {     \
    const uint##BITS##_t x = ac_load##BITS(src);               \
    ac_store##BITS(dst, CHANGE);                               \
  }

static void swap_line(size_t n, unsigned size, const uint8_t *src, ptrdiff_t from, uint8_t *dst, ptrdiff_t to) {
  switch (size) {
    case 2: EACH(16, __builtin_bswap16(x)) break;
    case 4: EACH(32, __builtin_bswap32(x)) break;
    default: EACH(64, __builtin_bswap64(x))
  }
}

static void copy_line(size_t n, unsigned size, const uint8_t *src, ptrdiff_t from, uint8_t *dst, ptrdiff_t to) {
  switch (size) {
    case 1:
      for (size_t i = 0; i < n; i++, src += from, dst += to) *dst = *src;
      break;
    case 2: EACH(16, x) break;
    case 4: EACH(32, x) break;
    default: EACH(64, x)
  }
}

/* Loops of their own: these are done with vectors. */
void ac_swap(void *dst, const void *src, size_t n, unsigned size) {
  const uint8_t *s = src;
  uint8_t *d = dst;
  if (size == 2)
    for (size_t i = 0; i < n; i++) ac_store16(d + 2 * i, __builtin_bswap16(ac_load16(s + 2 * i)));
  else if (size == 4)
    for (size_t i = 0; i < n; i++) ac_store32(d + 4 * i, __builtin_bswap32(ac_load32(s + 4 * i)));
  else
    for (size_t i = 0; i < n; i++) ac_store64(d + 8 * i, __builtin_bswap64(ac_load64(s + 8 * i)));
}

/* Axes from `axis` on. */
static void copy_axes(const ac_copy *copy, unsigned axis, const ac_type *type, int swap, const uint8_t *src, uint8_t *dst) {
  const size_t item = (size_t)type->size * type->values;
  const uint64_t count = axis < copy->n ? copy->axis[axis].count : 1;
  const ptrdiff_t from = axis < copy->n ? copy->axis[axis].from : (ptrdiff_t)item;
  const ptrdiff_t to = axis < copy->n ? copy->axis[axis].to : (ptrdiff_t)item;
  if (axis + 1 < copy->n) {
    for (uint64_t i = 0; i < count; i++, src += from, dst += to) copy_axes(copy, axis + 1, type, swap, src, dst);
  } else if (from == (ptrdiff_t)item && to == (ptrdiff_t)item) {
    if (swap) ac_swap(dst, src, count * type->values, type->size);
    else memcpy(dst, src, count * item);
  } else {
    for (unsigned v = 0; v < type->values; v++, src += type->size, dst += type->size)
      (swap ? swap_line : copy_line)(count, type->size, src, from, dst, to);
  }
}

void ac_copy_run(const ac_copy *copy, const ac_type *type, int swap, const void *src, void *dst) {
  copy_axes(copy, 0, type, swap, src, dst);
}
