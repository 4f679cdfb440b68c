/* field_encode.c: see field.h.  Between the block and the stages of prediction: the predictor that was chosen makes residuals
 * of the values, these become tokens and raw bits.
 *
 *   base, of integers | head | lists of exceptions | raw bits | rANS words
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
  int too_far;              /* is there an outside value that no list has? */
  const uint32_t *outside_at, *of_span; /* positions; tokens of every span */
} coded;

static void prepare_pushing(ac_pushing *p, const ac_contexts *c, ac_symbol (*symbols)[AC_MAX_TOKENS]) {
  memset(p, 0, sizeof *p);
  p->prob_bits = c->prob_bits;
  p->lanes = c->lanes;
  p->mantissa = c->mantissa;
  p->symbols = (const ac_symbol(*)[AC_MAX_TOKENS])symbols;
  for (unsigned i = 0; i < ac_all_contexts(c); i++) {
    const ac_context *x = &c->of[i];
    p->lo[i] = x->lo;
    p->n_tokens[i] = x->n_tokens;
    if (x->n_tokens < 2) continue;
    ac_model_encoder(x->freq, x->n_tokens, c->prob_bits, symbols[i]);
    uint32_t start = 0;
    for (unsigned t = 0; t < x->n_tokens; start += x->freq[t++]) {
      if (!x->freq[t]) continue; /* never coded */
      p->slot[i * AC_MAX_TOKENS + t] = x->freq[t] | start << 16;
      p->reciprocal[i * AC_MAX_TOKENS + t] = (float)((1 - 0x1p-22) / x->freq[t]);
    }
  }
}

/* Tokens and raw fields of a span. */
typedef struct {
  uint8_t token[AC_SPAN], raw_bits[AC_SPAN + 1];
  uint32_t raw[AC_SPAN + 1];
} short_span;

/* What no token of its context says is listed; its place in the stream is the likeliest token's. */
static uint32_t list_outside(const ac_contexts *c, const ac_room *m, uint32_t at, uint32_t n, short_span *s, uint32_t *outside, int *too_far) {
  enum { FARTHEST = 1 << 30 };
  uint32_t found = 0;
  for (uint32_t j = 0; j < n; j++) {
    if (s->token[j] != AC_OUTSIDE || m->flags[at + j] & AC_MASKED) continue;
    const ac_context *x = &c->of[m->bin[at + j]];
    outside[found++] = at + j;
    *too_far |= m->v[at + j] > FARTHEST || m->v[at + j] < -FARTHEST;
    s->token[j] = x->filler;
    s->raw_bits[j] = (uint8_t)ac_residual_bits(x->lo + x->filler, c->mantissa);
  }
  return found;
}

/* A writer of raw bits: `filled` of them, below 8, are not written yet. */
typedef struct {
  uint8_t *to;
  uint64_t bits;
  unsigned filled;
} raw_writer;

static void put_raw(raw_writer *w, short_span *s, uint32_t n) {
  s->raw_bits[n] = 0;
  s->raw[n] = 0;
  for (uint32_t j = 0; j < n; j += 2) {
    w->bits |= (s->raw[j] | (uint64_t)s->raw[j + 1] << s->raw_bits[j]) << w->filled;
    w->filled += s->raw_bits[j] + s->raw_bits[j + 1];
    ac_store64(w->to, w->bits);
    w->to += w->filled / 8;
    w->bits >>= w->filled & ~7u;
    w->filled &= 7;
  }
}

/* Tokens to room->tokens, and the contexts they have to room->bin; raw bits where nobody needs the values any more. */
static coded code_residuals(const ac_pushing *p, const ac_contexts *c, uint32_t n, uint32_t n_spans, const ac_room *m) {
  const ac_kernels *const kernels = ac_active_kernels();
  uint8_t *const raw = (uint8_t *)m->walk.grids[0];
  uint32_t *const outside = (uint32_t *)m->x, *const of_span = (uint32_t *)m->walk.r;
  raw_writer to = {raw, 0, 0};
  unsigned has_tokens = 0, sparse = memchr(m->flags, AC_MASKED, n) != NULL;
  for (unsigned i = 0; i < ac_all_contexts(c); i++) {
    has_tokens |= (c->of[i].n_tokens > 1 ? 1u : 0u) << i;
    sparse |= c->of[i].n_tokens < 2;
  }
  uint32_t n_outside = 0, at = 0, token = 0;
  int too_far = 0;
  for (uint32_t span = 0; span < n_spans; span++) {
    const uint32_t length = m->spans[span];
    short_span s;
    const unsigned some = kernels->tokens(p, m->bin + at, m->v + at, length, s.token, s.raw_bits, s.raw);
    const uint32_t listed = some & AC_SOME_OUTSIDE ? list_outside(c, m, at, length, &s, outside + n_outside, &too_far) : 0;
    if (listed || some & AC_SOME_RAW) put_raw(&to, &s, length);
    n_outside += listed;
    if (!sparse) {
      memcpy(m->tokens + at, s.token, length);
      of_span[span] = length;
      token = at + length;
    } else {
      const uint32_t start = token;
      for (uint32_t j = 0; j < length; j++) { /* token <= at + j */
        const uint8_t context = m->bin[at + j];
        m->tokens[token] = s.token[j];
        m->bin[token] = context;
        token += (has_tokens >> context & 1) & !(m->flags[at + j] & AC_MASKED);
      }
      of_span[span] = token - start;
    }
    at += length;
  }
  return (coded){raw, (size_t)(to.to - raw) + (to.filled > 0), token, n_outside, too_far, outside, of_span};
}

static void write_words(ac_writer *out, const ac_pushing *p, const coded *k, uint32_t n_spans, ac_encode_scratch *s, const ac_room *m) {
  const ac_kernels *const kernels = ac_active_kernels();
  const unsigned L = p->lanes;
  uint32_t x[AC_MAX_LANES];
  for (unsigned j = 0; j < L; j++) x[j] = AC_STATE_MIN;
  uint8_t *words = s->words_end;
  uint32_t token = k->tokens;
  for (uint32_t span = n_spans; span-- > 0;) {
    token -= k->of_span[span];
    words = kernels->push(p, m->bin + token, m->tokens + token, k->of_span[span], x, words);
  }
  words -= 4 * (size_t)L;
  memcpy(words, x, 4 * (size_t)L);
  const size_t length = (size_t)(s->words_end - words);
  uint8_t *const to = ac_give(out, length);
  if (to) memcpy(to, words, length);
}

static size_t write_field(const ac_field *f, const ac_type *type, const void *values, uint32_t n, ac_encode_scratch *s,
                          const ac_room *m, const ac_outcome *o, uint32_t n_refused, uint8_t *dst, size_t capacity) {
  ac_pushing pushing;
  prepare_pushing(&pushing, &f->contexts, s->symbols);
  const coded k = code_residuals(&pushing, &f->contexts, n, o->n_spans, m);
  if (k.too_far) return 0;
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
      ac_refused_write(&out, type->size, values, s->index, n_refused);
      ac_insert_length(&out, start);
    }
  }
  ac_write_varint(&out, k.raw_size);
  uint8_t *const to = ac_give(&out, k.raw_size);
  if (!to) return 0;
  memcpy(to, k.raw, k.raw_size);
  if (k.tokens) write_words(&out, &pushing, &k, o->n_spans, s, m);
  return out.failed ? 0 : (size_t)(out.p - dst);
}

static uint8_t lanes_of_bytes(double bytes) {
  return bytes > 24 << 10 ? 64 : bytes > 6 << 10 ? 32 : bytes > 2 << 10 ? 16 : bytes > 512 ? 8 : 4;
}

/* What is known of values before they are on a lattice. */
static void know(const ac_mask *mask, uint32_t n, uint8_t *known) {
  if (mask->masked) ac_mask_bytes(mask, known); /* 1: AC_MASKED */
  else memset(known, 0, n);
}

/* Values as they are predicted: integers, and what splits make of floats, are others then, from a base on, of a scale of their own. */
typedef struct {
  const ac_scale *scale;
  const void *values;
  int64_t base;
  ac_scale integers;
} prepared;

/* And what is known of them.  0 if integers are too far apart. */
static int prepare(const ac_scale *scale, const void *values, uint32_t n, const ac_mask *mask, ac_split *split, const ac_room *m, prepared *p,
                   double *left_out) {
  int32_t *const integers = (int32_t *)m->corrected; /* of which there are none then */
  *p = (prepared){scale, values, 0, {.type = ac_type_of(AC_INT32)}};
  know(mask, n, m->known);
  if (!split && scale->type->kind == AC_KIND_FLOAT) return 1;
  p->scale = &p->integers;
  p->values = integers;
  return split ? ac_split_take(split, scale->type, values, n, m->known, integers, &p->base, left_out)
               : ac_field_integers(scale, values, n, m->known, integers, &p->base);
}

/* Bits of a digit: as many less the integers have for each that is left out. */
#define DIGIT 3.3219280948873623

/* What the decimals of so many digits less take more, relative to others, if their integers are as predictable; 1e300 if there are none. */
static double digits_left(const ac_scale *scale, const void *values, uint32_t n, const ac_mask *mask, int left, const ac_room *m, ac_split split) {
  prepared p;
  double left_out;
  split.shift = (int16_t)left;
  if (!ac_split_valid(&split, scale->type) || !prepare(scale, values, n, mask, &split, m, &p, &left_out)) return 1e300;
  return left_out - DIGIT * left;
}

/* Leave out digits that are known to be 0 in some of the integers: they would be predicted for nothing. */
static void leave_zeros(const ac_scale *scale, const void *values, uint32_t n, const ac_mask *mask, const ac_room *m, ac_split *split) {
  const double worth = 0.1; /* bits */
  double now = digits_left(scale, values, n, mask, split->shift, m, *split);
  for (;;) {
    const double next = digits_left(scale, values, n, mask, split->shift + 1, m, *split);
    if (next > now - worth) return;
    now = next;
    split->shift++;
  }
}

/* Leave out as many digits more as take so many bits, about: digits do not fill bits, some numbers of them less than others. */
static void leave_digits(const ac_scale *scale, const void *values, uint32_t n, const ac_mask *mask, double bits, const ac_room *m, ac_split *split) {
  enum { FEWER = 2, MORE = 1 };
  const int fewest = split->shift, wanted = fewest + (int)(bits / DIGIT);
  double least = 1e300;
  for (int left = wanted > fewest + FEWER ? wanted - FEWER : fewest; left <= wanted + MORE; left++) {
    const double this = digits_left(scale, values, n, mask, left, m, *split);
    if (this >= least) continue;
    least = this;
    split->shift = (int16_t)left;
  }
}

int ac_field_choose_split(const ac_scale *scale, const ac_box *box, const void *values, uint32_t n, const ac_mask *mask,
                          const ac_tuning *tuning, ac_encode_scratch *s, ac_split_field *chosen) {
  enum { THOROUGH = 7 /* from this level on: whatever is estimated first, and with a predictor for what is left of the split */ };
  const double residuals = 6.5; /* bits of what is left of predictions: more tell nothing of the next ones */
  const int thorough = ac_level(tuning) >= THOROUGH;
  const ac_room m = ac_room_in(s, n);
  double least = 1e300, bits = 0;
  int affine = 0;
  for (unsigned kind = scale->lattice.delta == 0 ? 0 : AC_SPLIT_AFFINE; kind < AC_SPLITS; kind++) {
    ac_split split = {.kind = (uint8_t)kind};
    const ac_scale integers = {.type = ac_type_of(AC_INT32)};
    ac_field_source source = {&integers, values, &split, scale->type, 0};
    ac_field f;
    double these;
    know(mask, n, m.known);
    if (kind == AC_SPLIT_AFFINE) affine = ac_affine_find(scale, values, n, tuning, &split.lattice);
    if (kind == AC_SPLIT_DECIMAL && affine) continue; /* the same numbers, as a rule */
    if (kind == AC_SPLIT_AFFINE ? !affine : !ac_split_finest(kind, scale->type, values, n, m.known, &split)) continue;
    if (kind == AC_SPLIT_DECIMAL) leave_zeros(scale, values, n, mask, &m, &split);
    if (least < 1e300 && !thorough && ac_field_estimate(&source, box, n, tuning, s, &m, &chosen->field) + source.left_out > least) continue;
    if (!ac_field_choose(&source, box, n, tuning, 1, s, &m, &f, &these) || these + source.left_out >= least) continue;
    least = these + source.left_out;
    bits = these;
    chosen->split = split;
    chosen->field = f;
  }
  if (least == 1e300) return 0;
  if (bits > residuals && chosen->split.kind == AC_SPLIT_DECIMAL) leave_digits(scale, values, n, mask, bits - residuals, &m, &chosen->split);
  else if (bits > residuals && chosen->split.kind != AC_SPLIT_AFFINE) chosen->split.shift = (int16_t)(chosen->split.shift + (int)(bits - residuals));
  chosen->again = thorough;
  return ac_split_valid(&chosen->split, scale->type);
}

size_t ac_field_encode(const ac_scale *scale, const ac_box *box, const void *values, uint32_t n, const ac_mask *mask, ac_split_field *split,
                       const ac_tuning *tuning, ac_encode_scratch *s, uint8_t **bytes, size_t most, uint32_t *n_fine) {
  const ac_room m = ac_room_in(s, n);
  const int whole = split || scale->type->kind != AC_KIND_FLOAT;
  const ac_type *const type = scale->type;
  const void *const originals = values;
  prepared p;
  double left_out, bits;
  if (!prepare(scale, values, n, mask, split ? &split->split : NULL, &m, &p, &left_out)) return 0;
  if (split && split->split.kind == AC_SPLIT_AFFINE && !ac_split_adjust(&split->split, type, originals, n, m.known, tuning, s, &split->left)) return 0;
  values = p.values;
  scale = p.scale;
  ac_field f;
  for (unsigned folds = whole ? 1 : AC_FOLDS;;) {
    if (split && !split->again) f = split->field;
    else if (!ac_field_choose(&(ac_field_source){.scale = scale, .values = values}, box, n, tuning, folds, s, &m, &f, &bits)) return 0;
    if (ac_field_quantize(f.fold, scale, values, n, m.integers, m.known)) break;
    folds = f.fold; /* the sample was better than the rest: a coarser one */
    if (!folds) return 0;
  }
  const ac_outcome o = ac_field_attempt(&f, box, tuning, n, &m);
  if (o.bits / 8 >= (double)most) return 0;
  f.contexts.lanes = tuning->lanes ? tuning->lanes : lanes_of_bytes(o.bits / 8);
  uint32_t n_refused = 0;
  if (!whole) n_refused = ac_field_refuse(f.fold, scale, values, o.r, n, m.known, s->index);
  else if (split && !ac_split_write(&split->split, type, originals, n, m.known, &split->left, s->index, &n_refused)) return 0;
  if (n_refused > n / 8) return 0;
  *bytes = (uint8_t *)m.integers; /* nobody needs them any more */
  if (most > 4 * (size_t)n) most = 4 * (size_t)n;
  ac_writer out = {*bytes, *bytes + most, 0};
  if (!ac_field_list(f.fold, scale, values, o.r, n, m.known, s->events, m.tokens, n_fine)) return 0;
  if (*n_fine) ac_fine_write(&out, s->events, m.tokens, *n_fine);
  if (whole) ac_write_varint(&out, ac_zigzag(p.base));
  if (out.failed) return 0;
  const size_t written = write_field(&f, whole ? type : scale->type, whole ? originals : values, n, s, &m, &o, n_refused, out.p, (size_t)(out.end - out.p));
  return written ? (size_t)(out.p - *bytes) + written : 0;
}
