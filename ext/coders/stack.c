/* stack.c: an entropy coder that gives back the last symbol first, by asymmetric numeral systems: J. Duda,
 * arXiv:1311.2540; as a stack and with its uses in R. Bamler, arXiv:2201.01741.
 *
 * state is a number, of which words hold the digits that no longer fit.  Encoding a symbol replaces the state x by
 * the x-th number whose low P bits lie in the slot of the symbol, decoding undoes it.  Before the state could overflow
 * its low word goes onto the words, and comes back when the state falls below a word's weight.
 *
 * Invariants: state >= 2^(word bits) unless there are no words; a state of 0 without words is an empty coder.
 * Decoding never fails: a coder without words goes on with what the state still holds, at last with quantile 0.
 * Last stage of encoding, first of decoding; families.c and table.c have the slots.
 */
#include "words.h"

INLINE void push(acc_words *w, uint64_t *x, uint32_t size, int preset) {
  if (*x >> (2 * word_bits(preset) - precision_of(preset)) >= size) {
    store_word(w->data, w->len++, *x, preset);
    *x >>= word_bits(preset);
  }
}

INLINE int stack_encode_table(acc_coder *c, const acc_table *t, const int32_t *symbols, size_t n, size_t *bad,
                              int preset) {
  const size_t len = c->words.len;
  acc_words w = c->words;
  uint64_t x = c->state;
  int status = ACC_OK;
  while (n && status == ACC_OK) {
    const size_t end = n > BLOCK ? n - BLOCK : 0;
    status = reserve(&w, BLOCK, preset);
    for (; n > end && status == ACC_OK; n--) {
      const uint32_t place = place_in(t, &symbols[n - 1]);
      if (place >= t->n) {
        *bad = n - 1;
        status = ACC_E_SYMBOL;
        break;
      }
      const acc_divisor d = t->divide[place];
      /* as push, but both ways it may go at once: a branch could not be foreseen, and a choice comes last */
      const uint64_t most = ((uint64_t)d.size << (2 * word_bits(preset) - precision_of(preset))) - 1;
      const uint64_t more = ((uint64_t)1 << precision_of(preset)) - d.size, y = x >> word_bits(preset);
      const int full = x > most;
      store_word(w.data, w.len, x, preset);
      w.len += (size_t)full;
      /* q 2^P + left + (x - q size) */
      const uint64_t high = y + left_of(&d) + divide(y, &d) * more;
      const uint64_t whole = x + left_of(&d) + divide(x, &d) * more;
      x = full ? high : whole;
    }
  }
  c->words = w;
  if (status == ACC_OK)
    c->state = x;
  else
    c->words.len = len;
  return status;
}

INLINE int stack_encode_slots(acc_coder *c, const acc_slot *slots, size_t n, size_t *bad, int preset) {
  const size_t len = c->words.len;
  acc_words w = c->words;
  uint64_t x = c->state;
  (void)bad;
  while (n) {
    const size_t end = n > BLOCK ? n - BLOCK : 0;
    if (reserve(&w, BLOCK, preset) != ACC_OK) {
      c->words = w;
      c->words.len = len;
      return ACC_E_MEMORY;
    }
    for (; n > end; n--) {
      const acc_slot slot = slots[n - 1];
      push(&w, &x, slot.size, preset);
      x = (x / slot.size << precision_of(preset)) + slot.left + x % slot.size;
    }
  }
  c->words = w;
  c->state = x;
  return ACC_OK;
}

INLINE int stack_decode_table(acc_coder *c, const acc_table *t, int32_t *symbols, size_t n, size_t *bad, int preset) {
  const unsigned P = precision_of(preset), W = word_bits(preset);
  const uint32_t mask = (1u << P) - 1;
  const void *data = c->words.data;
  uint32_t left, size;
  size_t len = c->words.len;
  uint64_t x = c->state;
  (void)bad;
  for (size_t i = 0; i < n;) {
    /* as many as cannot run out of words */
    for (size_t safe = n - i < len ? n - i : len; safe; safe--, i++) {
      const uint32_t quantile = (uint32_t)x & mask, s = slot_of(t, quantile, &left, &size);
      x = (x >> P) * size + (quantile - left);
      /* without a branch, as it could not be foreseen */
      const uint64_t refilled = x << W | load_word(data, len - 1, preset);
      const int low = x < (uint64_t)1 << W;
      x = low ? refilled : x;
      len -= (size_t)low;
      symbols[i] = (int32_t)((uint32_t)t->min + s);
    }
    if (len) continue;
    for (; i < n; i++) {
      const uint32_t quantile = (uint32_t)x & mask, s = slot_of(t, quantile, &left, &size);
      x = (x >> P) * size + (quantile - left);
      symbols[i] = (int32_t)((uint32_t)t->min + s);
    }
  }
  c->words.len = len;
  c->state = x;
  return ACC_OK;
}

INLINE int stack_decode_each(acc_coder *c, acc_find find, void *context, int32_t *symbols, size_t n, size_t *bad,
                             int preset) {
  const unsigned P = precision_of(preset), W = word_bits(preset);
  size_t len = c->words.len;
  uint64_t x = c->state;
  for (size_t i = 0; i < n; i++) {
    const uint32_t quantile = (uint32_t)x & ((1u << P) - 1);
    acc_slot slot;
    const int status = find(context, i, quantile, &symbols[i], &slot);
    if (status != ACC_OK) {
      *bad = i;
      return status;
    }
    x = (x >> P) * slot.size + (quantile - slot.left);
    if (x < (uint64_t)1 << W && len) x = x << W | load_word(c->words.data, --len, preset);
  }
  c->words.len = len;
  c->state = x;
  return ACC_OK;
}

TWO_PRESETS(stack_encode_table, stack_encode_slots, stack_decode_table, stack_decode_each, acc_stack_ops);

int acc_stack_open(acc_coder *c, int preset, int sealed) {
  const unsigned W = word_bits(preset);
  size_t len = c->words.len;
  uint64_t x = sealed;
  if (!sealed && len) {
    x = load_word(c->words.data, --len, preset);
    if (!x) return 0;
  }
  while (x < (uint64_t)1 << W && len) x = x << W | load_word(c->words.data, --len, preset);
  c->words.len = len;
  c->state = x;
  return 1;
}

int acc_stack_tail(const acc_coder *c, int preset, int sealed, uint32_t tail[2]) {
  const unsigned W = word_bits(preset);
  int n = 0;
  uint64_t x = c->state;
  for (; x > (uint64_t)sealed; x >>= W) {
    if (n == 2) return -1;
    tail[n++] = (uint32_t)(x & ((1ull << W) - 1));
  }
  return sealed && x != 1 ? -1 : n;
}
