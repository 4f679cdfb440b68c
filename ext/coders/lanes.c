/* lanes.c: as many stacks side by side as a matrix has entries, which share their words: stack.c for lanes that go in
 * step, as R. Bamler's notebook "Mock Data for Compressed Matrices" has them for decoders on graphics processors.
 *
 * Each lane has a head of two words' bits.  Pushing a matrix goes from the last lane to the first, and the low word of
 * a head that would overflow goes onto the words that all lanes share; popping goes from the first lane to the last,
 * and a head that falls below a word's weight takes the last of them.  So each lane needs its words in the same order
 * in which it gave them, and no lane needs to know where they are.
 *
 * Invariants: every head is at least 2^(word bits); heads of a new coder are 2^(word bits) + 1.  A call that fails
 * leaves heads and words as they were: pushing can fail before it begins only, popping pushes back.
 * Last stage of encoding, first of decoding, like stack.c; table.c has the slots.
 */
#include "words.h"

/* One step of a lane.  The low word is stored in any case, and counted if it had to go. */
INLINE uint64_t push(uint64_t head, const acc_divisor *d, void *words, size_t *used, unsigned P, int preset) {
  const unsigned W = word_bits(preset);
  store_word(words, *used, head, preset);
  const int full = head >> (2 * W - P) >= d->size;
  *used += (size_t)full;
  head = full ? head >> W : head;
  /* head < 2^(2 W - P) size: the reciprocal does for words of 16 bits (table.c) */
  const uint64_t q = preset == ACC_SMALL ? divide(head, d) : head / d->size;
  return (q << P) + (head - q * d->size) + left_of(d);
}

INLINE int lanes_push(acc_lanes *l, const acc_table *t, const int32_t *symbols, int preset) {
  /* one word more than needed: the last store may not count */
  if (reserve(&l->words, l->n + 1, preset) != ACC_OK) return ACC_E_MEMORY;
  const unsigned P = (unsigned)t->precision;
  uint32_t *heads32 = l->heads;
  uint64_t *heads64 = l->heads;
  void *words = l->words.data;
  size_t used = l->words.len;
  for (size_t j = l->n; j-- > 0;) {
    const acc_divisor *d = &t->divide[(uint32_t)symbols[j] - (uint32_t)t->min];
    if (preset == ACC_SMALL)
      heads32[j] = (uint32_t)push(heads32[j], d, words, &used, P, preset);
    else
      heads64[j] = push(heads64[j], d, words, &used, P, preset);
  }
  l->words.len = used;
  return ACC_OK;
}

INLINE int lanes_pop(acc_lanes *l, const acc_table *t, int32_t *symbols, size_t *bad, int preset) {
  const unsigned P = (unsigned)t->precision, W = word_bits(preset);
  const uint32_t mask = (uint32_t)(((uint64_t)1 << P) - 1), *cdf = t->cdf;
  uint32_t *heads32 = l->heads;
  uint64_t *heads64 = l->heads;
  const void *words = l->words.data;
  size_t len = l->words.len;
  uint32_t left, size;
  for (size_t j = 0; j < l->n;) {
    /* as many as cannot run out of words, without a branch that could not be foreseen */
    for (size_t safe = l->n - j < len ? l->n - j : len; safe; safe--, j++) {
      uint64_t head = preset == ACC_SMALL ? heads32[j] : heads64[j];
      const uint32_t quantile = (uint32_t)head & mask, s = slot_of(t, quantile, &left, &size);
      head = (head >> P) * size + (quantile - left);
      const uint64_t refilled = head << W | load_word(words, len - 1, preset);
      const int low = head >> W == 0;
      head = low ? refilled : head;
      len -= (size_t)low;
      if (preset == ACC_SMALL)
        heads32[j] = (uint32_t)head;
      else
        heads64[j] = head;
      symbols[j] = (int32_t)((uint32_t)t->min + s);
    }
    if (len) continue;
    for (; j < l->n; j++) {
      const uint64_t head = preset == ACC_SMALL ? heads32[j] : heads64[j];
      const uint32_t quantile = (uint32_t)head & mask, s = slot_of(t, quantile, &left, &size);
      const uint64_t next = (head >> P) * size + (quantile - left);
      if (next >> W == 0) { /* undo what was done */
        *bad = j;
        size_t used = 0;
        for (size_t k = j; k-- > 0;) {
          const uint32_t place = (uint32_t)symbols[k] - (uint32_t)t->min;
          size = cdf[place + 1] - cdf[place];
          uint64_t h = preset == ACC_SMALL ? heads32[k] : heads64[k];
          if (h >> (2 * W - P) >= size) {
            store_word(l->words.data, used++, h, preset);
            h >>= W;
          }
          h = (h / size << P) + h % size + cdf[place];
          if (preset == ACC_SMALL)
            heads32[k] = (uint32_t)h;
          else
            heads64[k] = h;
        }
        return ACC_E_END;
      }
      if (preset == ACC_SMALL)
        heads32[j] = (uint32_t)next;
      else
        heads64[j] = next;
      symbols[j] = (int32_t)((uint32_t)t->min + s);
    }
  }
  l->words.len = len;
  return ACC_OK;
}

int acc_lanes_push(acc_lanes *l, const acc_table *t, const int32_t *symbols) {
  return l->preset == ACC_SMALL ? lanes_push(l, t, symbols, ACC_SMALL) : lanes_push(l, t, symbols, ACC_DEFAULT);
}

int acc_lanes_pop(acc_lanes *l, const acc_table *t, int32_t *symbols, size_t *bad) {
  return l->preset == ACC_SMALL ? lanes_pop(l, t, symbols, bad, ACC_SMALL) : lanes_pop(l, t, symbols, bad, ACC_DEFAULT);
}
