/* words.h: what the coders share: sizes of the presets, words in memory, division.
 *
 * Functions take the preset as a constant and are inlined, so that each coder is compiled once for each preset;
 * states are uint64_t in both.
 */
#ifndef ACC_CODERS_WORDS_H
#define ACC_CODERS_WORDS_H

#include <stdlib.h>
#include <string.h>

#include "coders.h"

#define INLINE static inline __attribute__((always_inline))

INLINE unsigned word_bits(int preset) { return preset == ACC_SMALL ? 16 : 32; }
INLINE unsigned precision_of(int preset) { return preset == ACC_SMALL ? 12 : 24; }
INLINE uint64_t state_mask(int preset) { return preset == ACC_SMALL ? UINT32_MAX : UINT64_MAX; }
INLINE size_t word_size(int preset) { return word_bits(preset) / 8; }

INLINE uint32_t load_word(const void *data, size_t i, int preset) {
  return preset == ACC_SMALL ? ((const uint16_t *)data)[i] : ((const uint32_t *)data)[i];
}

INLINE void store_word(void *data, size_t i, uint64_t word, int preset) {
  if (preset == ACC_SMALL)
    ((uint16_t *)data)[i] = (uint16_t)word;
  else
    ((uint32_t *)data)[i] = (uint32_t)word;
}

/* Room for more words; nothing else changes. */
INLINE int reserve(acc_words *w, size_t more, int preset) {
  if (w->cap - w->len >= more) return ACC_OK;
  size_t cap = w->cap + w->cap / 2;
  if (cap < w->len + more) cap = w->len + more;
  void *data = realloc(w->data, cap * word_size(preset));
  if (!data) return ACC_E_MEMORY;
  w->data = data;
  w->cap = cap;
  return ACC_OK;
}

/* Where a symbol stands in a table; t->n or more if it is outside of the support.  Read once: other threads of the caller
 * may write where symbols are. */
INLINE uint32_t place_in(const acc_table *t, const int32_t *symbol) {
  return (uint32_t)__atomic_load_n(symbol, __ATOMIC_RELAXED) - (uint32_t)t->min;
}

/* Symbols per call of reserve: no coder writes more than a word per symbol. */
enum { BLOCK = 4096 };

/* x / size for x < 2^40 size (table.c) */
INLINE uint64_t divide(uint64_t x, const acc_divisor *d) {
  const uint64_t y = x + (d->left_shift_add >> 29);
  return (uint64_t)((unsigned __int128)y * d->factor >> 64) >> (d->left_shift_add >> 24 & 31);
}

INLINE uint32_t left_of(const acc_divisor *d) { return d->left_shift_add & 0xffffff; }

/* The place in the table of the symbol that has a quantile. */
INLINE uint32_t place_of(const acc_table *t, uint32_t quantile) {
  const uint32_t *cdf = t->cdf, bucket = quantile >> t->shift;
  uint32_t s = t->first[bucket];
  if (__builtin_expect(quantile >= cdf[s + 1], 0)) {
    uint32_t hi = t->first[bucket + 1];
    for (s++; hi - s > 8;) { /* cdf[s] <= quantile < cdf[hi + 1] */
      const uint32_t middle = s + (hi - s + 1) / 2;
      if (cdf[middle] <= quantile)
        s = middle;
      else
        hi = middle - 1;
    }
    while (quantile >= cdf[s + 1]) s++;
  }
  return s;
}

/* The symbol of a quantile, counted from that of the table's first, and its slot. */
INLINE uint32_t slot_of(const acc_table *t, uint32_t quantile, uint32_t *left, uint32_t *size) {
  if (t->direct) {
    const uint64_t entry = t->direct[quantile >> t->shift];
    *left = (uint32_t)(entry >> 16) & 0xffffff;
    *size = (uint32_t)(entry >> 40);
    if (__builtin_expect(quantile - *left < *size, 1)) return entry & 0xffff;
  }
  const uint32_t s = place_of(t, quantile);
  *left = t->cdf[s];
  *size = t->cdf[s + 1] - *left;
  return s;
}

/* The four functions of a coder, for each preset. */
#define TWO_PRESETS(encode_table, encode_slots, decode_table, decode_each, name)                                       \
  static int encode_table##_0(acc_coder *c, const acc_table *t, const int32_t *s, size_t n, size_t *bad) {             \
    return encode_table(c, t, s, n, bad, ACC_DEFAULT);                                                                 \
  }                                                                                                                    \
  static int encode_table##_1(acc_coder *c, const acc_table *t, const int32_t *s, size_t n, size_t *bad) {             \
    return encode_table(c, t, s, n, bad, ACC_SMALL);                                                                   \
  }                                                                                                                    \
  static int encode_slots##_0(acc_coder *c, const acc_slot *s, size_t n, size_t *bad) {                                \
    return encode_slots(c, s, n, bad, ACC_DEFAULT);                                                                    \
  }                                                                                                                    \
  static int encode_slots##_1(acc_coder *c, const acc_slot *s, size_t n, size_t *bad) {                                \
    return encode_slots(c, s, n, bad, ACC_SMALL);                                                                      \
  }                                                                                                                    \
  static int decode_table##_0(acc_coder *c, const acc_table *t, int32_t *s, size_t n, size_t *bad) {                   \
    return decode_table(c, t, s, n, bad, ACC_DEFAULT);                                                                 \
  }                                                                                                                    \
  static int decode_table##_1(acc_coder *c, const acc_table *t, int32_t *s, size_t n, size_t *bad) {                   \
    return decode_table(c, t, s, n, bad, ACC_SMALL);                                                                   \
  }                                                                                                                    \
  static int decode_each##_0(acc_coder *c, acc_find f, void *x, int32_t *s, size_t n, size_t *bad) {                   \
    return decode_each(c, f, x, s, n, bad, ACC_DEFAULT);                                                               \
  }                                                                                                                    \
  static int decode_each##_1(acc_coder *c, acc_find f, void *x, int32_t *s, size_t n, size_t *bad) {                   \
    return decode_each(c, f, x, s, n, bad, ACC_SMALL);                                                                 \
  }                                                                                                                    \
  const acc_ops name[ACC_PRESETS] = {{encode_table##_0, encode_slots##_0, decode_table##_0, decode_each##_0},          \
                                     {encode_table##_1, encode_slots##_1, decode_table##_1, decode_each##_1}}

extern const acc_ops acc_stack_ops[ACC_PRESETS], acc_chain_ops[ACC_PRESETS], acc_queue_ops[ACC_PRESETS];

#endif
