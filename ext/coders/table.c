/* table.c: one distribution for many symbols: what is worth computing once.
 *
 * For decoding, the leading bits of a quantile give the first symbol that they allow for, with its slot; the others are
 * tried in turn, and by bisection where many of them share the bits.
 *
 * For encoding, division by the size d of a slot becomes multiplication: T. Granlund, P. Montgomery, "Division by
 * invariant integers using multiplication", 1994; A. Robison, "N-bit unsigned division via N-bit multiply-add", 2005,
 * for those d for which the rounded up reciprocal does not do.  With s = floor(log2 d), x / d is
 * floor((x + add) factor / 2^(64 + s)) for all x < 2^40 d, which is more than coders need:
 *   add = 0, factor = ceil(2^(64+s) / d)  if e = factor d - 2^(64+s) <= 2^(64+s-40) / d, as x e < 2^(64+s);
 *   add = 1, factor = floor(2^(64+s) / d) otherwise: then e' = 2^(64+s) - factor d = d - e, and what is needed is
 *            (x + 1) e' <= 2^(64+s), for which 2^40 d e' will do;
 *   for powers of two a factor of 2^(64-s) and no shift, or, for 1, factor = 2^64 - 1 and add = 1.
 * The first fails for d above 2^23 only, with e > 2^47 / d >= 2^23, and then e' < 2^23.
 *
 * Invariants: cdf increases from 0 to 2^P; symbols at the end of a support that rounding left without a quantile are
 * none of the n; a table that could not be completed is still one that can be freed.
 */
#include "quantize.h"
#include "words.h"

void acc_table_free(acc_table *t) {
  free(t->cdf);
  free(t->first);
  free(t->direct);
  free(t->divide);
  memset(t, 0, sizeof *t);
}

int acc_table_make(acc_table *t, const acc_family *family) {
  memset(t, 0, sizeof *t);
  t->precision = family->precision;
  t->min = family->kind >= ACC_GAUSSIAN ? family->min : 0;
  int status = acc_family_size(family, &t->n);
  if (status != ACC_OK) return status;
  acc_family f = *family;
  const size_t size = acc_scratch_size(&f);
  f.scratch = size ? malloc(size) : NULL;
  t->cdf = malloc((t->n + 1) * sizeof *t->cdf);
  status = t->cdf && (f.scratch || !size) ? acc_family_cdf(&f, t->cdf, t->n) : ACC_E_MEMORY;
  free(f.scratch);
  const uint32_t total = 1u << t->precision;
  while (status == ACC_OK && t->n > 1 && t->cdf[t->n - 1] >= total) t->n--;
  if (status == ACC_OK) t->cdf[t->n] = total;
  if (status == ACC_OK && t->cdf[0] != 0) status = ACC_E_MODEL;
  for (size_t s = 0; s < t->n && status == ACC_OK; s++)
    if (t->cdf[s] >= t->cdf[s + 1]) status = ACC_E_MODEL;
  if (status != ACC_OK) acc_table_free(t);
  return status;
}

int acc_table_make_first(acc_table *t) {
  if (t->first) return ACC_OK;
  int bits = 11; /* with `direct` 24 KiB: most of a level 1 cache, and most buckets hold one symbol */
  while (bits < 17 && t->n >> (bits - 2)) bits++;
  if (bits > t->precision) bits = t->precision;
  const size_t buckets = (size_t)1 << bits;
  uint32_t *first = malloc((buckets + 1) * sizeof *first);
  if (!first) return ACC_E_MEMORY;
  t->shift = (unsigned)(t->precision - bits);
  uint32_t s = 0;
  for (size_t b = 0; b < buckets; b++) {
    while (t->cdf[s + 1] <= b << t->shift) s++;
    first[b] = s;
  }
  first[buckets] = (uint32_t)t->n - 1;
  if (t->n > 1 && t->n <= 1 << 16) {
    t->direct = malloc(buckets * sizeof *t->direct);
    if (!t->direct) {
      free(first);
      return ACC_E_MEMORY;
    }
    for (size_t b = 0; b < buckets; b++) {
      const uint64_t left = t->cdf[first[b]], size = t->cdf[first[b] + 1] - left;
      t->direct[b] = size << 40 | left << 16 | first[b];
    }
  }
  t->first = first;
  return ACC_OK;
}

static acc_divisor divisor(uint32_t left, uint32_t d) {
  const unsigned s = 31 - (unsigned)__builtin_clz(d);
  acc_divisor v = {UINT64_MAX, left | 1u << 29, d};
  if (d > 1 && !(d & (d - 1))) {
    v.factor = (uint64_t)1 << (64 - s);
    v.left_shift_add = left;
  } else if (d > 1) {
    const unsigned __int128 power = (unsigned __int128)1 << (64 + s);
    const uint64_t down = (uint64_t)(power / d), e = d - (uint64_t)(power % d);
    v.factor = down;
    v.left_shift_add = left | s << 24 | 1u << 29;
    if (e <= ((uint64_t)1 << (24 + s)) / d) {
      v.factor = down + 1;
      v.left_shift_add = left | s << 24;
    }
  }
  return v;
}

int acc_table_make_divide(acc_table *t) {
  if (t->divide) return ACC_OK;
  acc_divisor *divide = malloc(t->n * sizeof *divide);
  if (!divide) return ACC_E_MEMORY;
  for (size_t s = 0; s < t->n; s++) divide[s] = divisor(t->cdf[s], t->cdf[s + 1] - t->cdf[s]);
  t->divide = divide;
  return ACC_OK;
}

int acc_find_in_table(void *context, size_t i, uint32_t quantile, int32_t *symbol, acc_slot *slot) {
  const acc_table *t = context;
  size_t lo = 0, hi = t->n;
  (void)i;
  while (hi - lo > 1) {
    const size_t middle = lo + (hi - lo) / 2;
    if (t->cdf[middle] <= quantile)
      lo = middle;
    else
      hi = middle;
  }
  *symbol = (int32_t)(t->min + (int64_t)lo);
  slot->left = t->cdf[lo];
  slot->size = t->cdf[lo + 1] - t->cdf[lo];
  return ACC_OK;
}

int acc_table_slots(const acc_table *t, const int32_t *symbols, size_t n, acc_slot *slots, size_t *bad) {
  for (size_t i = 0; i < n; i++) {
    const uint32_t place = place_in(t, &symbols[i]), *ends = t->cdf + place;
    if (place >= t->n) {
      *bad = i;
      return ACC_E_SYMBOL;
    }
    slots[i] = (acc_slot){ends[0], ends[1] - ends[0]};
  }
  return ACC_OK;
}
