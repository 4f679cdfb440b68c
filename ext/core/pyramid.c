/* pyramid.c: see pyramid.h.  Between the values of a block in memory order and prediction, which knows grids only.
 *
 * Invariant: split and merge move every value once a level; both know geometry, nothing of what values mean.
 */
#include "pyramid.h"

#include <string.h>

#include "../simd/kernels.h"

const uint8_t AC_CLASS_ORDER[AC_CELL_CLASSES] = {4, 2, 1, 6, 5, 3, 7};

static uint32_t extent_of(const ac_pyramid *p, unsigned axis, unsigned level) {
  return (p->axis[axis] + (1u << level) - 1) >> level;
}

static ac_subgrid finish(ac_subgrid g, uint32_t inner) {
  g.row = g.extent[2] * inner;
  g.size = g.extent[0] * g.extent[1] * g.row;
  return g;
}

ac_subgrid ac_pyramid_grid(const ac_pyramid *p, unsigned level) {
  ac_subgrid g;
  for (unsigned a = 0; a < AC_AXES; a++) g.extent[a] = extent_of(p, a, level);
  return finish(g, p->inner);
}

ac_subgrid ac_pyramid_class(const ac_pyramid *p, unsigned level, unsigned mask) {
  ac_subgrid g;
  for (unsigned a = 0; a < AC_AXES; a++) {
    const uint32_t n = extent_of(p, a, level);
    g.extent[a] = mask >> a & 1 ? n / 2 : (n + 1) / 2;
  }
  return finish(g, p->inner);
}

uint32_t ac_pyramid_start(const ac_pyramid *p, unsigned level) {
  return level == p->levels ? 0 : p->outer * ac_pyramid_grid(p, level + 1).size;
}

uint32_t ac_pyramid_class_start(const ac_pyramid *p, unsigned level, unsigned mask) {
  uint32_t at = 0;
  for (unsigned i = 0; AC_CLASS_ORDER[i] != mask; i++) at += ac_pyramid_class(p, level, AC_CLASS_ORDER[i]).size;
  return at;
}

/* Rows of grid `level`: where each half of it is, at one outer index.  Row (i0, i1) has its even places in the class
 * (i0 odd, i1 odd, even) and its odd ones in (i0 odd, i1 odd, odd). */
typedef struct {
  ac_subgrid fine, part[8]; /* by mask; 0: the coarse grid */
  uint32_t start[8], level_size, inner;
} halves;

static halves halves_of(const ac_pyramid *p, unsigned level) {
  halves h;
  h.fine = ac_pyramid_grid(p, level);
  h.part[0] = ac_pyramid_grid(p, level + 1);
  h.start[0] = 0;
  h.level_size = h.fine.size - h.part[0].size;
  h.inner = p->inner;
  uint32_t at = 0;
  for (unsigned i = 0; i < AC_CELL_CLASSES; i++) {
    const unsigned mask = AC_CLASS_ORDER[i];
    h.part[mask] = ac_pyramid_class(p, level, mask);
    h.start[mask] = at;
    at += h.part[mask].size;
  }
  return h;
}

/* The two halves of row (i0, i1). */
typedef struct {
  uint32_t even_class, odd_class, even, odd; /* masks, and places in their grids */
} half_rows;

static half_rows rows_at(const halves *h, uint32_t i0, uint32_t i1) {
  const unsigned even = (i0 & 1) | (i1 & 1) << 1, odd = even | 4;
  const uint32_t j = i0 / 2, k = i1 / 2;
  return (half_rows){even, odd, (j * h->part[even].extent[1] + k) * h->part[even].row,
                     (j * h->part[odd].extent[1] + k) * h->part[odd].row};
}

static void zip_inner(const uint8_t *even, const uint8_t *odd, uint32_t n, size_t unit, uint8_t *row) {
  for (uint32_t i = 0; i < n; i++, row += unit) memcpy(row, i & 1 ? odd + i / 2 * unit : even + i / 2 * unit, unit);
}

static void deal_inner(const uint8_t *row, uint32_t n, size_t unit, uint8_t *even, uint8_t *odd) {
  for (uint32_t i = 0; i < n; i++, row += unit) memcpy(i & 1 ? odd + i / 2 * unit : even + i / 2 * unit, row, unit);
}

/* Row (i0, i1) of grid `level` from its halves: in the coarse grid at `base`, and in classes at `from`. */
static void merge_row(const halves *h, const ac_kernels *kernels, unsigned size, const uint8_t *base, const uint8_t *from,
                      uint32_t i0, uint32_t i1, uint8_t *to) {
  const half_rows r = rows_at(h, i0, i1);
  const uint8_t *even = (r.even_class ? from + (size_t)h->start[r.even_class] * size : base) + (size_t)r.even * size;
  const uint8_t *odd = from + (size_t)(h->start[r.odd_class] + r.odd) * size;
  if (h->fine.extent[2] == 1) memcpy(to, even, (size_t)h->fine.row * size);
  else if (h->inner > 1) zip_inner(even, odd, h->fine.extent[2], (size_t)h->inner * size, to);
  else if (size == 4) kernels->zip32((const int32_t *)even, (const int32_t *)odd, h->fine.row, (int32_t *)to);
  else kernels->zip8(even, odd, h->fine.row, to);
}

void ac_pyramid_merge(const ac_pyramid *p, unsigned level, unsigned size, const void *coarse, const void *stream, void *grid) {
  const ac_kernels *kernels = ac_active_kernels();
  const halves h = halves_of(p, level);
  const uint8_t *const classes = (const uint8_t *)stream + (size_t)ac_pyramid_start(p, level) * size;
  uint8_t *to = grid;
  for (uint32_t o = 0; o < p->outer; o++) {
    const uint8_t *const from = classes + (size_t)o * h.level_size * size;
    const uint8_t *const base = (const uint8_t *)coarse + (size_t)o * h.part[0].size * size;
    for (uint32_t i0 = 0; i0 < h.fine.extent[0]; i0++)
      for (uint32_t i1 = 0; i1 < h.fine.extent[1]; i1++, to += (size_t)h.fine.row * size)
        merge_row(&h, kernels, size, base, from, i0, i1, to);
  }
}

void ac_pyramid_put(const ac_pyramid *p, const int32_t *coarse, const int32_t *stream, int32_t *rows, ac_put *put, void *to) {
  enum { ENOUGH = 1024 };
  const ac_kernels *kernels = ac_active_kernels();
  const halves h = halves_of(p, 0);
  const int32_t *const classes = stream + ac_pyramid_start(p, 0);
  uint32_t at = 0, some = 0; /* values that were put, and that stand in `rows` */
  for (uint32_t o = 0; o < p->outer; o++)
    for (uint32_t i0 = 0; i0 < h.fine.extent[0]; i0++)
      for (uint32_t i1 = 0; i1 < h.fine.extent[1]; i1++) {
        merge_row(&h, kernels, 4, (const uint8_t *)(coarse + (size_t)o * h.part[0].size),
                  (const uint8_t *)(classes + (size_t)o * h.level_size), i0, i1, (uint8_t *)(rows + some));
        some += h.fine.row;
        if (some < ENOUGH) continue;
        put(to, rows, at, some);
        at += some;
        some = 0;
      }
  if (some) put(to, rows, at, some);
}

/* One step: grid `level` to the coarse grid and the classes. */
static void split_level(const ac_pyramid *p, unsigned level, unsigned size, const uint8_t *grid, uint8_t *coarse, uint8_t *stream) {
  const ac_kernels *kernels = ac_active_kernels();
  const halves h = halves_of(p, level);
  uint8_t *const classes = stream + (size_t)ac_pyramid_start(p, level) * size;
  for (uint32_t o = 0; o < p->outer; o++) {
    uint8_t *const into = classes + (size_t)o * h.level_size * size;
    uint8_t *const base = coarse + (size_t)o * h.part[0].size * size;
    const uint8_t *from = grid + (size_t)o * h.fine.size * size;
    for (uint32_t i0 = 0; i0 < h.fine.extent[0]; i0++)
      for (uint32_t i1 = 0; i1 < h.fine.extent[1]; i1++, from += (size_t)h.fine.row * size) {
        const half_rows r = rows_at(&h, i0, i1);
        uint8_t *even = (r.even_class ? into + (size_t)h.start[r.even_class] * size : base) + (size_t)r.even * size;
        uint8_t *odd = into + (size_t)(h.start[r.odd_class] + r.odd) * size;
        if (h.fine.extent[2] == 1) memcpy(even, from, (size_t)h.fine.row * size);
        else if (h.inner > 1) deal_inner(from, h.fine.extent[2], (size_t)h.inner * size, even, odd);
        else if (size == 4) kernels->deal32((const int32_t *)from, h.fine.row, (int32_t *)even, (int32_t *)odd);
        else kernels->deal8(from, h.fine.row, even, odd);
      }
  }
}

void ac_pyramid_split(const ac_pyramid *p, unsigned size, const void *values, void *scratch, void *stream) {
  if (!p->levels) {
    memcpy(stream, values, (size_t)p->outer * ac_pyramid_grid(p, 0).size * size);
    return;
  }
  /* coarse grids change places between the halves of scratch, until the coarsest is the start of the stream */
  const size_t half = (size_t)p->outer * ac_pyramid_grid(p, 1).size * size;
  const uint8_t *grid = values;
  for (unsigned l = 0; l < p->levels; l++) {
    uint8_t *const coarse = l + 1u == p->levels ? (uint8_t *)stream : (uint8_t *)scratch + l % 2 * half;
    split_level(p, l, size, grid, coarse, stream);
    grid = coarse;
  }
}
