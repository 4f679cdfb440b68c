/* field_encode.c: see field.h.  Between the block and the stages of prediction: the predictor that was chosen makes residuals
 * of the values, these become tokens and raw bits.
 *
 *   head | lists of exceptions | raw bits | rANS words
 *
 * Invariants: every value is within the bound or refused; one that a decoder may have put out before, for the same
 * tolerance, comes back unchanged (docs/guarantee.md).
 */
#include <string.h>

#include "field.h"
#include "field_choose.h"
#include "lists.h"

/* What residuals became. */
typedef struct {
  const uint8_t *raw;
  size_t raw_size;
  uint32_t tokens, outside; /* how many */
  const uint32_t *outside_at, *of_span; /* positions; tokens of every span */
} coded;

/* What a small residual is in a context; more tokens than there are if it is outside. */
enum { NEAR = 256, OUTSIDE = 255 };
typedef struct {
  uint8_t token, raw_bits;
} short_residual;

static void shorten(const ac_contexts *c, short_residual (*of)[2 * NEAR]) {
  for (unsigned i = 0; i < c->n_contexts + (c->own ? 1u : 0u); i++)
    for (int32_t v = -NEAR; v < NEAR; v++) {
      const ac_context *x = &c->of[i];
      const ac_residual r = ac_residual_of(v, x->k, c->mantissa);
      const uint32_t token = (uint32_t)(r.bin - x->lo);
      of[i][v + NEAR] = (short_residual){token < x->n_tokens ? (uint8_t)token : OUTSIDE, (uint8_t)(r.raw_bits + x->k)};
    }
}

/* Tokens to room->tokens, and the contexts they have to room->bin; raw bits where nobody needs the values any more. */
static coded code_residuals(const ac_contexts *c, uint32_t n_spans, const ac_room *m) {
  short_residual near[AC_ALL_CONTEXTS][2 * NEAR];
  shorten(c, near);
  uint8_t *const raw = (uint8_t *)m->walk.grids[0];
  uint8_t *to = raw;
  uint64_t bits = 0; /* `filled` of them are not written yet */
  unsigned filled = 0;
  uint32_t *const outside = (uint32_t *)m->x, *const of_span = (uint32_t *)m->walk.r;
  uint32_t n_outside = 0, at = 0, token = 0;
  for (uint32_t span = 0; span < n_spans; span++) {
    const uint32_t start = token;
    for (const uint32_t end = at + m->spans[span]; at < end; at++) {
      if (m->flags[at] & AC_MASKED) continue;
      const uint8_t context = m->bin[at];
      const ac_context *x = &c->of[context];
      const int32_t v = m->v[at];
      const uint32_t place = (uint32_t)v + NEAR, sign = 0u - (uint32_t)(v < 0);
      uint32_t t = OUTSIDE, raw_bits = 0;
      if (place < 2 * NEAR) {
        t = near[context][place].token;
        raw_bits = near[context][place].raw_bits;
      } else {
        const ac_residual r = ac_residual_of(v, x->k, c->mantissa);
        raw_bits = r.raw_bits + x->k;
        if ((uint32_t)(r.bin - x->lo) < x->n_tokens && raw_bits <= AC_MAX_RAW_BITS) t = (uint32_t)(r.bin - x->lo);
      }
      uint32_t value = ((uint32_t)v ^ sign) & ((1u << raw_bits) - 1);
      if (t == OUTSIDE) {
        outside[n_outside++] = at;
        t = x->filler;
        value = 0;
        raw_bits = ac_residual_bits(x->lo + (int32_t)t, c->mantissa) + x->k;
      }
      if (x->n_tokens < 2) continue;
      bits |= (uint64_t)value << filled;
      filled += raw_bits;
      ac_store64(to, bits);
      to += filled / 8;
      bits >>= filled & ~7u;
      filled &= 7;
      m->tokens[token] = (uint8_t)t;
      m->bin[token++] = context; /* token <= at */
    }
    of_span[span] = token - start;
  }
  to += filled > 0;
  return (coded){raw, (size_t)(to - raw), token, n_outside, outside, of_span};
}

static void write_words(ac_writer *out, const ac_contexts *c, const coded *k, uint32_t n_spans, ac_encode_scratch *s, const ac_room *m) {
  const unsigned P = c->prob_bits, L = c->lanes;
  for (unsigned i = 0; i < c->n_contexts + (c->own ? 1u : 0u); i++)
    if (c->of[i].n_tokens > 1) ac_model_encoder(c->of[i].freq, c->of[i].n_tokens, P, s->symbols[i]);
  uint32_t x[AC_MAX_LANES];
  for (unsigned j = 0; j < L; j++) x[j] = AC_STATE_MIN;
  uint8_t *words = s->words_end;
  uint32_t token = k->tokens;
  for (uint32_t span = n_spans; span-- > 0;)
    for (uint32_t j = k->of_span[span]; j-- > 0;) {
      token--;
      const ac_symbol *symbol = &s->symbols[m->bin[token]][m->tokens[token]];
      uint32_t *const state = &x[j & (L - 1)];
      const uint32_t more = *state > symbol->limit; /* random: no branch */
      ac_store16(words - 2, (uint16_t)*state);
      words -= 2 * more;
      *state = ac_symbol_push(symbol, *state >> 16 * more, P);
    }
  words -= 4 * (size_t)L;
  memcpy(words, x, 4 * (size_t)L);
  const size_t length = (size_t)(s->words_end - words);
  uint8_t *const to = ac_give(out, length);
  if (to) memcpy(to, words, length);
}

static size_t write_field(const ac_field *f, const ac_scale *scale, const void *values, ac_encode_scratch *s,
                          const ac_room *m, const ac_outcome *o, uint32_t n_refused, uint8_t *dst, size_t capacity) {
  const coded k = code_residuals(&f->contexts, o->n_spans, m);
  const int exceptions = k.outside + n_refused + o->n_corrected > 0;
  ac_writer out = {dst, dst + capacity, 0};
  ac_field_write_head(&out, f, exceptions);
  if (exceptions) {
    ac_write_varint(&out, k.outside);
    ac_write_varint(&out, o->n_corrected);
    ac_write_varint(&out, n_refused);
    uint8_t *start = out.p;
    if (k.outside) {
      ac_outside_write(&out, k.outside_at, m->v, k.outside);
      ac_insert_length(&out, start);
    }
    start = out.p;
    if (o->n_corrected) {
      ac_corrections_write(&out, m->corrected, m->correction, o->n_corrected);
      ac_insert_length(&out, start);
    }
    start = out.p;
    if (n_refused) {
      ac_refused_write(&out, scale->type->size, values, s->index, n_refused);
      ac_insert_length(&out, start);
    }
  }
  ac_write_varint(&out, k.raw_size);
  uint8_t *const to = ac_give(&out, k.raw_size);
  if (!to) return 0;
  memcpy(to, k.raw, k.raw_size);
  if (k.tokens) write_words(&out, &f->contexts, &k, o->n_spans, s, m);
  return out.failed ? 0 : (size_t)(out.p - dst);
}

static uint8_t lanes_of_bytes(double bytes) {
  return bytes > 24 << 10 ? 64 : bytes > 6 << 10 ? 32 : bytes > 2 << 10 ? 16 : bytes > 512 ? 8 : 4;
}

size_t ac_field_encode(const ac_scale *scale, const ac_box *box, const void *values, uint32_t n, const ac_mask *mask,
                       const ac_tuning *tuning, ac_encode_scratch *s, uint8_t **bytes, size_t most, uint32_t *n_fine) {
  const ac_room m = ac_room_in(s, n);
  if (mask->masked) ac_mask_bytes(mask, m.known); /* 1: AC_MASKED */
  else memset(m.known, 0, n);
  ac_field f;
  for (unsigned folds = AC_FOLDS;;) {
    if (!ac_field_choose(scale, box, values, n, tuning, folds, s, &m, &f)) return 0;
    if (ac_field_quantize(f.fold, scale, values, n, m.integers, m.known)) break;
    folds = f.fold; /* the sample was better than the rest: a coarser one */
    if (!folds) return 0;
  }
  const ac_outcome o = ac_field_attempt(&f, box, tuning, n, &m);
  if (o.bits / 8 >= (double)most) return 0;
  f.contexts.lanes = tuning->lanes ? tuning->lanes : lanes_of_bytes(o.bits / 8);
  const uint32_t n_refused = ac_field_refuse(f.fold, scale, values, o.r, n, m.known, s->index);
  if (n_refused > n / 8) return 0;
  *bytes = (uint8_t *)m.integers; /* nobody needs them any more */
  if (most > 4 * (size_t)n) most = 4 * (size_t)n;
  ac_writer out = {*bytes, *bytes + most, 0};
  if (!ac_field_list(f.fold, scale, values, o.r, n, m.known, s->events, m.tokens, n_fine)) return 0;
  if (*n_fine) ac_fine_write(&out, s->events, m.tokens, *n_fine);
  if (out.failed) return 0;
  const size_t written = write_field(&f, scale, values, s, &m, &o, n_refused, out.p, (size_t)(out.end - out.p));
  return written ? (size_t)(out.p - *bytes) + written : 0;
}
