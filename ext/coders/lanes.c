/* lanes.c: as many stacks side by side as a matrix has entries, which share their words: stack.c for lanes that go in
 * step, as R. Bamler's notebook "Mock Data for Compressed Matrices" has them for decoders on graphics processors.
 *
 * Each lane has a head of two words' bits.  Pushing a matrix goes from the last lane to the first, and the low word of
 * a head that would overflow goes onto the words that all lanes share; popping goes from the first lane to the last,
 * and a head that falls below a word's weight takes the last of them.  So each lane needs its words in the same order
 * in which it gave them, and no lane needs to know where they are.
 *
 * Invariants: every head is at least 2^(word bits); heads of a new coder are 2^(word bits) + 1.  A call that fails
 * leaves heads and words as they were: pushing pops what it has pushed, popping pushes back.
 * Last stage of encoding, first of decoding, like stack.c; table.c has the slots.
 */
#include "words.h"

INLINE uint64_t load_head(const acc_lanes *l, size_t j, int preset) {
  return preset == ACC_SMALL ? ((const uint32_t *)l->heads)[j] : ((const uint64_t *)l->heads)[j];
}

INLINE void store_head(acc_lanes *l, size_t j, uint64_t head, int preset) {
  if (preset == ACC_SMALL)
    ((uint32_t *)l->heads)[j] = (uint32_t)head;
  else
    ((uint64_t *)l->heads)[j] = head;
}

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

/* All lanes from one on as they were, from words and heads as they are now: encoding undone. */
INLINE void undo_push(acc_lanes *l, const acc_table *t, size_t from, size_t used, int preset) {
  const unsigned P = (unsigned)t->precision, W = word_bits(preset);
  for (size_t j = from; j < l->n; j++) {
    uint64_t head = load_head(l, j, preset);
    const uint32_t quantile = (uint32_t)(head & (((uint64_t)1 << P) - 1));
    int32_t symbol;
    acc_slot slot;
    acc_find_in_table((void *)t, 0, quantile, &symbol, &slot);
    head = (head >> P) * slot.size + (quantile - slot.left);
    if (head >> W == 0) head = head << W | load_word(l->words.data, --used, preset);
    store_head(l, j, head, preset);
  }
}

INLINE int lanes_push(acc_lanes *l, const acc_table *t, const int32_t *symbols, size_t *bad, int preset) {
  /* one word more than needed: the last store may not count */
  if (reserve(&l->words, l->n + 1, preset) != ACC_OK) return ACC_E_MEMORY;
  const unsigned P = (unsigned)t->precision;
  void *words = l->words.data;
  size_t used = l->words.len;
  for (size_t j = l->n; j-- > 0;) {
    const uint32_t place = place_in(t, &symbols[j]);
    if (place >= t->n) {
      undo_push(l, t, j + 1, used, preset);
      *bad = j;
      return ACC_E_SYMBOL;
    }
    const acc_divisor *d = &t->divide[place];
    store_head(l, j, push(load_head(l, j, preset), d, words, &used, P, preset), preset);
  }
  l->words.len = used;
  return ACC_OK;
}

/* The lanes before one as they were, when all words have been taken: decoding undone. */
INLINE void undo_pop(acc_lanes *l, const acc_table *t, const int32_t *symbols, size_t to, int preset) {
  const unsigned P = (unsigned)t->precision, W = word_bits(preset);
  size_t used = 0;
  for (size_t j = to; j-- > 0;) {
    const uint32_t *ends = t->cdf + ((uint32_t)symbols[j] - (uint32_t)t->min), size = ends[1] - ends[0];
    uint64_t head = load_head(l, j, preset);
    if (head >> (2 * W - P) >= size) {
      store_word(l->words.data, used++, head, preset);
      head >>= W;
    }
    head = (head / size << P) + head % size + ends[0];
    store_head(l, j, head, preset);
  }
}

INLINE int lanes_pop(acc_lanes *l, const acc_table *t, int32_t *symbols, size_t *bad, int preset) {
  const unsigned P = (unsigned)t->precision, W = word_bits(preset);
  const uint32_t mask = (uint32_t)(((uint64_t)1 << P) - 1);
  const void *words = l->words.data;
  size_t len = l->words.len;
  uint32_t left, size;
  for (size_t j = 0; j < l->n;) {
    /* as many as cannot run out of words, without a branch that could not be foreseen */
    for (size_t safe = l->n - j < len ? l->n - j : len; safe; safe--, j++) {
      uint64_t head = load_head(l, j, preset);
      const uint32_t quantile = (uint32_t)head & mask, s = slot_of(t, quantile, &left, &size);
      head = (head >> P) * size + (quantile - left);
      const uint64_t refilled = head << W | load_word(words, len - 1, preset);
      const int low = head >> W == 0;
      head = low ? refilled : head;
      len -= (size_t)low;
      store_head(l, j, head, preset);
      symbols[j] = (int32_t)((uint32_t)t->min + s);
    }
    if (len) continue;
    for (; j < l->n; j++) {
      const uint64_t head = load_head(l, j, preset);
      const uint32_t quantile = (uint32_t)head & mask, s = slot_of(t, quantile, &left, &size);
      const uint64_t next = (head >> P) * size + (quantile - left);
      if (next >> W == 0) {
        *bad = j;
        undo_pop(l, t, symbols, j, preset);
        return ACC_E_END;
      }
      store_head(l, j, next, preset);
      symbols[j] = (int32_t)((uint32_t)t->min + s);
    }
  }
  l->words.len = len;
  return ACC_OK;
}

int acc_lanes_push(acc_lanes *l, const acc_table *t, const int32_t *symbols, size_t *bad) {
  return l->preset == ACC_SMALL ? lanes_push(l, t, symbols, bad, ACC_SMALL)
                                : lanes_push(l, t, symbols, bad, ACC_DEFAULT);
}

int acc_lanes_pop(acc_lanes *l, const acc_table *t, int32_t *symbols, size_t *bad) {
  return l->preset == ACC_SMALL ? lanes_pop(l, t, symbols, bad, ACC_SMALL) : lanes_pop(l, t, symbols, bad, ACC_DEFAULT);
}
