/* queue.c: range coding, which gives symbols back in the order in which they came: G. N. N. Martin, "Range encoding:
 * an algorithm for removing redundancy from a digitised message", 1979.
 *
 * state is the low end of an interval of fractions, head its width; each symbol narrows it to the share of its slot,
 * and when the width falls below a word's weight the top word of the low end is settled and both are shifted.
 * While the interval lies across a multiple of the top word's weight the word is not settled: a carry may still come.
 * waiting counts such words: first_waiting and then all ones, or one more and then zeros.
 * In a decoder point is the part of the words that the interval would hold, and pos how many words were shifted in
 * front of it; what comes after the last word counts as zeros.
 *
 * Invariants: width >= 2^(word bits); waiting > 0 exactly if low + width exceeds the state's range.
 */
#include "words.h"

typedef struct {
  acc_words words;
  uint64_t low, width, waiting;
  uint32_t first;
} encoder;

INLINE void narrow(encoder *e, uint32_t left, uint32_t size, int preset) {
  const unsigned W = word_bits(preset);
  const uint64_t mask = state_mask(preset);
  const uint64_t scale = e->width >> precision_of(preset);
  const uint64_t low = (e->low + scale * left) & mask;
  e->width = scale * size;
  if (__builtin_expect(e->waiting != 0, 0) && ((low + e->width) & mask) > low) { /* settled */
    const int carry = low < e->low;
    store_word(e->words.data, e->words.len++, (uint64_t)e->first + (uint64_t)carry, preset);
    for (; e->waiting > 1; e->waiting--) store_word(e->words.data, e->words.len++, carry ? 0 : UINT32_MAX, preset);
    e->waiting = 0;
  }
  e->low = low;
  if (!(e->width >> W)) {
    const uint32_t top = (uint32_t)(low >> W);
    e->width <<= W;
    e->low = (low << W) & mask;
    if (__builtin_expect(e->waiting != 0, 0)) {
      e->waiting++;
    } else if (((e->low + e->width) & mask) > e->low) {
      store_word(e->words.data, e->words.len++, top, preset);
    } else {
      e->waiting = 1;
      e->first = top;
    }
  }
}

INLINE void open_encoder(const acc_coder *c, encoder *e) {
  *e = (encoder){c->words, c->state, c->head, c->waiting, c->first_waiting};
}

INLINE int close_encoder(acc_coder *c, const encoder *e, int status) {
  const size_t len = c->words.len;
  c->words = e->words;
  if (status == ACC_OK) {
    c->state = e->low;
    c->head = e->width;
    c->waiting = e->waiting;
    c->first_waiting = e->first;
  } else {
    c->words.len = len;
  }
  return status;
}

INLINE int queue_encode_table(acc_coder *c, const acc_table *t, const int32_t *symbols, size_t n, size_t *bad,
                              int preset) {
  encoder e;
  int status = ACC_OK;
  open_encoder(c, &e);
  for (size_t i = 0; i < n && status == ACC_OK;) {
    const size_t end = n - i < BLOCK ? n : i + BLOCK;
    status = reserve(&e.words, BLOCK + (size_t)e.waiting, preset);
    for (; i < end && status == ACC_OK; i++) {
      const uint32_t place = place_in(t, &symbols[i]), *ends = t->cdf + place;
      if (place >= t->n) {
        *bad = i;
        status = ACC_E_SYMBOL;
        break;
      }
      narrow(&e, ends[0], ends[1] - ends[0], preset);
    }
  }
  return close_encoder(c, &e, status);
}

INLINE int queue_encode_slots(acc_coder *c, const acc_slot *slots, size_t n, size_t *bad, int preset) {
  encoder e;
  int status = ACC_OK;
  (void)bad;
  open_encoder(c, &e);
  for (size_t i = 0; i < n && status == ACC_OK;) {
    const size_t end = n - i < BLOCK ? n : i + BLOCK;
    status = reserve(&e.words, BLOCK + (size_t)e.waiting, preset);
    for (; i < end && status == ACC_OK; i++) narrow(&e, slots[i].left, slots[i].size, preset);
  }
  return close_encoder(c, &e, status);
}

typedef struct {
  const void *data;
  size_t len;
  uint64_t low, width, point, pos;
} decoder;

INLINE int peek(const decoder *d, uint64_t *scale, uint32_t *quantile, int preset) {
  *scale = d->width >> precision_of(preset);
  const uint64_t q = ((d->point - d->low) & state_mask(preset)) / *scale;
  *quantile = (uint32_t)q;
  return q >> precision_of(preset) ? ACC_E_DATA : ACC_OK;
}

INLINE void follow(decoder *d, uint64_t scale, uint32_t left, uint32_t size, int preset) {
  const unsigned W = word_bits(preset);
  d->low = (d->low + scale * left) & state_mask(preset);
  d->width = scale * size;
  if (!(d->width >> W)) {
    d->low = (d->low << W) & state_mask(preset);
    d->width <<= W;
    d->point = (d->point << W) & state_mask(preset);
    if (d->pos + 2 < d->len) d->point |= load_word(d->data, d->pos + 2, preset);
    d->pos++;
  }
}

INLINE void open_decoder(const acc_coder *c, decoder *d) {
  *d = (decoder){c->words.data, c->words.len, c->state, c->head, c->point, c->pos};
}

INLINE void close_decoder(acc_coder *c, const decoder *d) {
  c->state = d->low;
  c->head = d->width;
  c->point = d->point;
  c->pos = d->pos;
}

INLINE int queue_decode_table(acc_coder *c, const acc_table *t, int32_t *symbols, size_t n, size_t *bad, int preset) {
  decoder d;
  open_decoder(c, &d);
  for (size_t i = 0; i < n; i++) {
    uint64_t scale;
    uint32_t quantile;
    if (peek(&d, &scale, &quantile, preset) != ACC_OK) {
      *bad = i;
      return ACC_E_DATA;
    }
    uint32_t left, size;
    const uint32_t s = slot_of(t, quantile, &left, &size);
    follow(&d, scale, left, size, preset);
    symbols[i] = (int32_t)((uint32_t)t->min + s);
  }
  close_decoder(c, &d);
  return ACC_OK;
}

INLINE int queue_decode_each(acc_coder *c, acc_find find, void *context, int32_t *symbols, size_t n, size_t *bad,
                             int preset) {
  decoder d;
  open_decoder(c, &d);
  for (size_t i = 0; i < n; i++) {
    uint64_t scale;
    uint32_t quantile;
    acc_slot slot;
    int status = peek(&d, &scale, &quantile, preset);
    if (status == ACC_OK) status = find(context, i, quantile, &symbols[i], &slot);
    if (status != ACC_OK) {
      *bad = i;
      return status;
    }
    follow(&d, scale, slot.left, slot.size, preset);
  }
  close_decoder(c, &d);
  return ACC_OK;
}

TWO_PRESETS(queue_encode_table, queue_encode_slots, queue_decode_table, queue_decode_each, acc_queue_ops);

void acc_encoder_open(acc_coder *c, int preset) {
  c->state = 0;
  c->head = state_mask(preset);
  c->waiting = 0;
  c->first_waiting = 0;
}

void acc_encoder_ending(const acc_coder *c, int preset, acc_ending *ending) {
  const unsigned W = word_bits(preset);
  const uint64_t mask = state_mask(preset);
  memset(ending, 0, sizeof *ending);
  if (c->head == mask) return; /* nothing was encoded */
  /* the least number of the interval that ends in zeros */
  const uint64_t point = (c->state + ((1ull << W) - 1)) & mask;
  ending->any = 1;
  if (c->waiting) {
    const int carry = point < c->state;
    ending->inverted = 1;
    ending->first = (uint32_t)((c->first_waiting + (uint64_t)carry) & ((1ull << W) - 1));
    ending->middle = carry ? 0 : (uint32_t)((1ull << W) - 1);
    ending->repeat = c->waiting - 1;
  }
  ending->last = (uint32_t)(point >> W);
  ending->zero = ((c->state + c->head) & mask) >> W == point >> W;
}

void acc_decoder_open(acc_coder *c, int preset, uint64_t pos) {
  c->point = 0;
  for (uint64_t i = pos; i < pos + 2; i++)
    c->point = c->point << word_bits(preset) | (i < c->words.len ? load_word(c->words.data, i, preset) : 0);
  c->pos = pos;
  c->state = 0;
  c->head = state_mask(preset);
}

int acc_decoder_exhausted(const acc_coder *c, int preset) {
  const uint64_t mask = state_mask(preset);
  return c->pos + 2 >= c->words.len &&
         (c->head == mask || ((c->point - c->state) & mask) < (2ull << word_bits(preset)) - 1);
}
