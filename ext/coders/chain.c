/* chain.c: a coder that spends P bits on each symbol, whatever its model, and keeps what the symbol did not need in
 * a second place: R. Bamler, arXiv:2201.01741.  A change to one model changes the symbol that it decodes, and the
 * remainders, but no other symbol.
 *
 * words: compressed words, rest: words of remainders.
 * head: the bits of compressed data that are less than a word, below a leading 1.
 * state: the last digits of the remainders, a number in 2^(word bits - P) .. 2^(2 word bits - P).
 * Decoding takes a quantile from the compressed bits, and pushes onto the remainders, by one step of a number system
 * whose base is the size of the slot, where in the slot it was; encoding takes it back.
 *
 * Invariants: head is 1 or more and fits a word; either list of words is only pushed to or only popped from within a
 * call, so that on an error the lengths are put back and nothing was lost.
 */
#include "words.h"

/* What a call changes; the rest of a coder is memory. */
typedef struct {
  acc_words words, rest;
  uint64_t head, state;
} chain;

INLINE void open_chain(const acc_coder *c, chain *h) {
  *h = (chain){c->words, c->rest, c->head, c->state};
}

/* Memory may have moved in any case. */
INLINE int close_chain(acc_coder *c, const chain *h, int status) {
  const size_t words = c->words.len, rest = c->rest.len;
  c->words = h->words;
  c->rest = h->rest;
  if (status == ACC_OK) {
    c->head = h->head;
    c->state = h->state;
  } else {
    c->words.len = words;
    c->rest.len = rest;
  }
  return status;
}

INLINE int refill(chain *h, uint32_t size, int preset) {
  const unsigned W = word_bits(preset), P = precision_of(preset);
  if (h->state >= (uint64_t)size << (W - P)) return ACC_OK;
  if (!h->rest.len) return ACC_E_REMAINDERS;
  h->state = h->state << W | load_word(h->rest.data, --h->rest.len, preset);
  return ACC_OK;
}

INLINE void put_quantile(chain *h, uint32_t quantile, int preset) {
  const unsigned W = word_bits(preset), P = precision_of(preset);
  const uint64_t more = h->head << P | quantile;
  if (h->head < (uint64_t)1 << (W - P)) {
    h->head = more;
  } else {
    store_word(h->words.data, h->words.len++, more, preset);
    h->head >>= W - P;
  }
}

INLINE int take_quantile(chain *h, uint32_t *quantile, int preset) {
  const unsigned W = word_bits(preset), P = precision_of(preset);
  if (h->head < (uint64_t)1 << P) {
    if (!h->words.len) return ACC_E_END;
    const uint32_t word = load_word(h->words.data, --h->words.len, preset);
    h->head = h->head << (W - P) | word >> P;
    *quantile = word & ((1u << P) - 1);
  } else {
    *quantile = (uint32_t)h->head & ((1u << P) - 1);
    h->head >>= P;
  }
  return ACC_OK;
}

INLINE void put_remainder(chain *h, uint32_t size, uint32_t remainder, int preset) {
  const unsigned W = word_bits(preset), P = precision_of(preset);
  h->state = h->state * size + remainder;
  if (h->state >> (2 * W - P)) {
    store_word(h->rest.data, h->rest.len++, h->state, preset);
    h->state >>= W;
  }
}

INLINE int chain_encode_table(acc_coder *c, const acc_table *t, const int32_t *symbols, size_t n, size_t *bad,
                              int preset) {
  chain h;
  int status = ACC_OK;
  open_chain(c, &h);
  while (n && status == ACC_OK) {
    const size_t end = n > BLOCK ? n - BLOCK : 0;
    status = reserve(&h.words, BLOCK, preset);
    for (; n > end && status == ACC_OK; n--) {
      const uint32_t place = place_in(t, &symbols[n - 1]);
      if (place >= t->n) {
        *bad = n - 1;
        status = ACC_E_SYMBOL;
        break;
      }
      const acc_divisor d = t->divide[place];
      status = refill(&h, d.size, preset);
      if (status != ACC_OK) {
        *bad = n - 1;
        break;
      }
      const uint64_t q = divide(h.state, &d);
      put_quantile(&h, left_of(&d) + (uint32_t)(h.state - q * d.size), preset);
      h.state = q;
    }
  }
  return close_chain(c, &h, status);
}

INLINE int chain_encode_slots(acc_coder *c, const acc_slot *slots, size_t n, size_t *bad, int preset) {
  chain h;
  int status = ACC_OK;
  open_chain(c, &h);
  while (n && status == ACC_OK) {
    const size_t end = n > BLOCK ? n - BLOCK : 0;
    status = reserve(&h.words, BLOCK, preset);
    for (; n > end && status == ACC_OK; n--) {
      const acc_slot slot = slots[n - 1];
      status = refill(&h, slot.size, preset);
      if (status != ACC_OK) {
        *bad = n - 1;
        break;
      }
      put_quantile(&h, slot.left + (uint32_t)(h.state % slot.size), preset);
      h.state /= slot.size;
    }
  }
  return close_chain(c, &h, status);
}

INLINE int chain_decode_table(acc_coder *c, const acc_table *t, int32_t *symbols, size_t n, size_t *bad, int preset) {
  chain h;
  int status = ACC_OK;
  open_chain(c, &h);
  for (size_t i = 0; i < n && status == ACC_OK;) {
    const size_t end = n - i < BLOCK ? n : i + BLOCK;
    status = reserve(&h.rest, BLOCK, preset);
    for (; i < end && status == ACC_OK; i++) {
      uint32_t quantile;
      status = take_quantile(&h, &quantile, preset);
      if (status != ACC_OK) {
        *bad = i;
        break;
      }
      uint32_t left, size;
      const uint32_t s = slot_of(t, quantile, &left, &size);
      put_remainder(&h, size, quantile - left, preset);
      symbols[i] = (int32_t)((uint32_t)t->min + s);
    }
  }
  return close_chain(c, &h, status);
}

INLINE int chain_decode_each(acc_coder *c, acc_find find, void *context, int32_t *symbols, size_t n, size_t *bad,
                             int preset) {
  chain h;
  int status = ACC_OK;
  open_chain(c, &h);
  for (size_t i = 0; i < n && status == ACC_OK; i++) {
    uint32_t quantile;
    acc_slot slot;
    *bad = i;
    status = reserve(&h.rest, 1, preset);
    if (status == ACC_OK) status = take_quantile(&h, &quantile, preset);
    if (status == ACC_OK) status = find(context, i, quantile, &symbols[i], &slot);
    if (status == ACC_OK) put_remainder(&h, slot.size, quantile - slot.left, preset);
  }
  return close_chain(c, &h, status);
}

TWO_PRESETS(chain_encode_table, chain_encode_slots, chain_decode_table, chain_decode_each, acc_chain_ops);

int acc_chain_open(acc_coder *c, int preset, int how) {
  const unsigned W = word_bits(preset), P = precision_of(preset);
  acc_words w = c->words;
  uint64_t head = 1, x = how == ACC_CHAIN_SEALED;
  if (how == ACC_CHAIN_REMAINDERS) {
    if (!w.len) return 0;
    head = load_word(w.data, --w.len, preset);
    if (!head) return 0;
  }
  if (!x) {
    if (!w.len) return 0;
    x = load_word(w.data, --w.len, preset);
    if (!x) return 0;
  }
  while (x < (uint64_t)1 << (W - P)) {
    if (!w.len) return 0;
    x = x << W | load_word(w.data, --w.len, preset);
  }
  c->head = head;
  c->state = x;
  c->words = w;
  if (how == ACC_CHAIN_REMAINDERS) {
    c->rest = w;
    c->words = (acc_words){NULL, 0, 0};
  }
  return 1;
}

int acc_chain_tail(const acc_coder *c, int preset, int how, uint32_t tail[3]) {
  const unsigned W = word_bits(preset);
  const uint64_t least = how == ACC_CHAIN_SEALED;
  int n = 0;
  uint64_t x = c->state;
  if (how != ACC_CHAIN_REMAINDERS && c->head != 1) return -1;
  for (; x > least; x >>= W) {
    if (n == 2) return -1;
    tail[n++] = (uint32_t)(x & ((1ull << W) - 1));
  }
  if (how == ACC_CHAIN_SEALED && x != 1) return -1;
  if (how == ACC_CHAIN_REMAINDERS) tail[n++] = (uint32_t)c->head;
  return n;
}
