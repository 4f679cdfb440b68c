/* field_decode.c: see field.h.  Between the block and the stages of prediction: the walk through a predicted block, along
 * which residuals are read, piece by piece, and added to predictions.
 *
 *   base, of integers | head | lists of exceptions | raw bits | rANS words
 *
 * Invariant: every length is checked before it is used.
 */
#include <string.h>

#include "field.h"
#include "field_head.h"
#include "lists.h"

typedef struct {
  ac_walker walker;
  const ac_field *f;
  ac_popping popping;
  ac_pop_cursor at;
  ac_list outside, corrections;
  uint8_t sparse;                  /* are there values without tokens? */
  uint8_t has_constants;           /* are any of these not 0? */
  unsigned has_tokens;             /* contexts: a set of bits */
  int32_t constant[AC_ALL_CONTEXTS];
  uint16_t limits[AC_MAX_CONTEXTS];
  unsigned weights;
} reading;

/* A span of values of which some have no tokens. */
static int pop_some(reading *d, const uint8_t *context, uint32_t at, uint32_t n, int32_t *v) {
  const ac_kernels *kernels = d->walker.kernels;
  const uint8_t *const flags = d->walker.flags ? d->walker.flags + at : NULL;
  uint8_t some[AC_SPAN + AC_PACK_SLACK];
  int32_t popped[AC_SPAN + AC_PACK_SLACK];
  uint64_t keep[AC_SPAN / 64];
  const uint32_t m = kernels->pack(context, flags, d->has_tokens, n, some, keep);
  for (uint32_t j = 0; j < m; j += AC_POP_MOST)
    if (kernels->pop(&d->popping, &d->at, some + j, m - j < AC_POP_MOST ? m - j : AC_POP_MOST, popped + j)) return AC_E_FORMAT;
  kernels->unpack(popped, keep, n, v);
  for (uint32_t j = 0; d->has_constants && j < n; j++)
    if (!(keep[j / 64] >> (j & 63) & 1) && !(flags && flags[j])) v[j] = d->constant[context[j]];
  return 0;
}

/* Residuals of a piece. */
static int read_residuals(reading *d, const ac_piece *piece, int32_t *v) {
  const ac_kernels *kernels = d->walker.kernels;
  const ac_contexts *c = &d->f->contexts;
  const uint32_t n = piece->row * piece->rows, at = piece->at;
  uint8_t context[AC_PIECE];
  if (piece->raster && c->own) {
    memset(context, c->n_contexts, n);
  } else if (!piece->weights) {
    memset(context, c->n_contexts - 1, n);
  } else {
    if (d->weights != piece->weights) {
      d->weights = piece->weights;
      for (unsigned j = 1; j < c->n_contexts; j++) d->limits[j] = ac_bin_limit(c->first_bin[j], piece->weights);
    }
    ac_piece_contexts(kernels, piece, d->walker.predictor->pyramid.inner, d->limits + 1, c->n_contexts - 1u, context);
  }
  if (!d->sparse) {
    for (uint32_t j = 0; j < n; j += AC_POP_MOST)
      if (kernels->pop(&d->popping, &d->at, context + j, n - j < AC_POP_MOST ? n - j : AC_POP_MOST, v + j)) return AC_E_FORMAT;
  } else {
    for (uint32_t j = 0; j < n; j += AC_SPAN)
      if (pop_some(d, context + j, at + j, n - j < AC_SPAN ? n - j : AC_SPAN, v + j)) return AC_E_FORMAT;
  }
  for (; d->outside.at < (uint64_t)at + n; ac_list_next(&d->outside)) v[d->outside.at - at] = d->outside.value;
  if (!d->walker.blind) kernels->magnitudes(v, n, c->shift, d->walker.s->magnitude + at);
  return d->outside.bits.bytes->failed;
}

static int correct(reading *d, uint32_t at, uint32_t n) {
  for (; d->corrections.at < (uint64_t)at + n; ac_list_next(&d->corrections)) {
    int32_t *const r = &d->walker.s->r[d->corrections.at];
    *r = (int32_t)((uint32_t)*r + (uint32_t)d->corrections.value);
  }
  return d->corrections.bits.bytes->failed;
}

static int decode_piece(ac_walker *w, const ac_piece *piece) {
  reading *d = (reading *)w;
  if (piece->raster) return read_residuals(d, piece, w->s->r + piece->at);
  const uint32_t n = piece->row * piece->rows;
  int32_t v[AC_PIECE];
  const int error = read_residuals(d, piece, v);
  if (error) return error;
  w->kernels->advance(piece->predicted, v, piece->unit, n, w->s->r + piece->at);
  return correct(d, piece->at, n);
}

static int decode_linear(reading *d, const ac_raster_row *row) {
  const ac_linear linear = d->walker.predictor->linear;
  int32_t *const r = d->walker.s->r + row->at;
  for (uint32_t k = 0; k < row->n;) {
    const uint64_t next = d->corrections.at - row->at; /* large, if there is none */
    const uint32_t end = next < row->n ? (uint32_t)next + 1 : row->n;
    if (row->distance == 1 && k >= linear.order) {
      d->walker.kernels->recur(&linear, row->unit, end - k, r + k);
      k = end;
    }
    const uint32_t slowly = row->distance == 1 && linear.order < end ? linear.order : end;
    for (; k < slowly; k++)
      r[k] = (int32_t)((uint32_t)ac_linear_predict(&linear, r, k, row->distance) + row->unit * (uint32_t)r[k]);
    if (k == end && correct(d, row->at + end - 1, 1)) return 1;
  }
  return 0;
}

static int decode_row(ac_walker *w, const ac_raster_row *row) {
  int32_t *const r = w->s->r + row->at;
  if (w->predictor->linear.order) return decode_linear((reading *)w, row);
  if (row->distance) w->kernels->sums(r, row->n, row->distance);
  if (row->before) w->kernels->advance(row->before, r, row->unit, row->n, r);
  else if (row->unit != 1)
    for (uint32_t k = 0; k < row->n; k++) r[k] = (int32_t)(row->unit * (uint32_t)r[k]);
  return correct((reading *)w, row->at, row->n);
}

/* What stands in front of the walk, checked but for the lists. */
typedef struct {
  int64_t base;
  ac_field f;
  uint32_t n_outside, n_corrected, n_refused;
  ac_reader outside, corrections, refused;
  const uint8_t *raw;
  uint64_t raw_size;
  int has_tokens; /* has any context? */
} parts;

/* An entry takes a bit at least. */
static ac_reader take_list(ac_reader *in, uint32_t entries) {
  ac_reader list = {NULL, NULL, 0};
  if (!entries) return list;
  const uint64_t length = ac_read_varint(in);
  if (length > ac_remaining(in) || length < 1) {
    if (!in->failed) in->failed = AC_E_FORMAT;
    return list;
  }
  list.p = in->p;
  in->p += length;
  list.end = in->p;
  return list;
}

static int read_parts(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, int split, parts *b) {
  const ac_contexts *c = &b->f.contexts;
  const int whole = split || scale->type->kind != AC_KIND_FLOAT;
  int exceptions;
  b->base = whole ? ac_unzigzag(ac_read_varint(in)) : 0;
  const int error = ac_field_read_head(in, scale, box, &b->f, &exceptions);
  if (error) return error;
  if (split && b->f.fold) return AC_E_FORMAT; /* as of integers */
  b->n_outside = b->n_corrected = b->n_refused = 0;
  if (exceptions) {
    const uint64_t n_outside = ac_read_varint(in), n_corrected = ac_read_varint(in), n_refused = ac_read_varint(in);
    if (n_outside > n || n_corrected > n || n_refused > n || !(n_outside + n_corrected + n_refused)) return AC_E_FORMAT;
    if ((n_corrected && b->f.predictor.unit == 1) || (n_refused && whole && !split)) return AC_E_FORMAT;
    b->n_outside = (uint32_t)n_outside;
    b->n_corrected = (uint32_t)n_corrected;
    b->n_refused = (uint32_t)n_refused;
  }
  b->outside = take_list(in, b->n_outside);
  b->corrections = take_list(in, b->n_corrected);
  b->refused = take_list(in, b->n_refused);
  b->raw_size = ac_read_varint(in);
  if (in->failed || b->raw_size > ac_remaining(in)) return AC_E_FORMAT;
  b->raw = in->p;
  in->p += b->raw_size;
  b->has_tokens = 0;
  for (unsigned i = 0; i < ac_all_contexts(c); i++) b->has_tokens |= c->of[i].n_tokens > 1;
  const size_t length = ac_remaining(in);
  return length && (!b->has_tokens || length < 4u * c->lanes || length % 2) ? AC_E_FORMAT : AC_OK;
}

static void prepare_popping(reading *d, const ac_contexts *c, uint32_t *tables) {
  for (unsigned i = 0; i < ac_all_contexts(c); i++) {
    const ac_context *x = &c->of[i];
    d->has_tokens |= (x->n_tokens > 1 ? 1u : 0u) << i;
    d->sparse |= x->n_tokens < 2;
    d->constant[i] = ac_residual_value(x->lo, 0, 0, c->mantissa);
    d->has_constants |= x->n_tokens < 2 && d->constant[i] != 0;
    d->popping.lo[i] = x->lo;
    d->popping.k[i] = x->k;
    if (x->n_tokens > 1) ac_model_decoder(x->freq, x->n_tokens, c->prob_bits, tables + ((size_t)i << c->prob_bits));
  }
  d->popping.tables = tables;
  d->popping.prob_bits = c->prob_bits;
  d->popping.lanes = c->lanes;
  d->popping.mantissa = c->mantissa;
}

/* What integers mean, and where values go. */
typedef struct {
  const ac_field *f;
  const ac_scale *scale;
  int64_t base;
  ac_split_reader *split; /* or NULL */
  uint8_t *dst;
} meaning;

/* Values from integers, above their base. */
static void to_integers(const ac_scale *scale, int64_t base, const int32_t *r, uint32_t n, uint8_t *dst) {
  int64_t wide[AC_PIECE];
  for (uint32_t from = 0; from < n; from += AC_PIECE) {
    const uint32_t m = n - from < AC_PIECE ? n - from : AC_PIECE;
    for (uint32_t j = 0; j < m; j++) wide[j] = (int64_t)((uint64_t)base + (uint64_t)(int64_t)r[from + j]);
    ac_whole_store(scale, wide, m, dst + (size_t)from * scale->type->size);
  }
}

/* Values from integers on the lattice. */
static void to_values(const ac_field *f, const ac_scale *scale, const int32_t *r, uint32_t n, void *dst) {
  const int dtype = scale->type->dtype;
  const int out = dtype == AC_FLOAT32 ? AC_OUT_F32 : dtype == AC_FLOAT64 ? AC_OUT_F64 : dtype == AC_FLOAT16 ? AC_OUT_F16 : AC_OUT_BF16;
  ac_active_kernels()->scale[out](r, ac_fold_step(scale, f->fold), n, dst);
}

static void put_values(void *to, const int32_t *r, uint32_t at, uint32_t n) {
  const meaning *const m = to;
  uint8_t *const dst = m->dst + (size_t)at * m->scale->type->size;
  if (m->split) ac_split_put(m->split, m->base, r, at, n, dst);
  else if (m->scale->type->kind == AC_KIND_FLOAT) to_values(m->f, m->scale, r, n, dst);
  else to_integers(m->scale, m->base, r, n, dst);
}

int ac_field_read(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, const ac_mask *mask, ac_split_reader *split,
                  ac_decode_scratch *s, void *dst) {
  parts b;
  int error = read_parts(in, scale, box, n, split != NULL, &b);
  if (!error && split) error = ac_split_load(split, n, s);
  if (error) return error;
  const ac_contexts *c = &b.f.contexts;
  ac_walk_scratch walk = {.r = s->high, .grids = {(int32_t *)s->wide, (int32_t *)s->wide + n}, .row = s->row, .mean = s->row,
                          .magnitude = s->low, .magnitudes = {s->low + n, s->low + 2 * (size_t)n}};
  reading d = {.walker = {.predictor = &b.f.predictor, .s = &walk, .piece = decode_piece, .row = decode_row,
                          .together = c->together, .blind = c->n_contexts == 1}, .f = &b.f};
  d.at.raw = b.raw;
  d.at.bits = 8 * b.raw_size;
  ac_outside_open(&d.outside, &b.outside, b.n_outside, n);
  ac_corrections_open(&d.corrections, &b.corrections, b.n_corrected, n);
  prepare_popping(&d, c, s->tables);
  ac_lap(s->watch, AC_STAGE_TABLES);
  const ac_windows lanes = {.lanes = c->lanes};
  const ac_coded coded = {.windows = &lanes, .words = in->p, .words_end = in->end};
  for (unsigned j = 0; j < c->lanes; j++) d.at.words.x[j] = AC_STATE_MIN; /* of which nothing is coded, if there are no words */
  if (ac_cursor_open(&coded, &d.at.words)) return AC_E_FORMAT;
  if (mask->masked) {
    uint8_t *const flags = s->low + 3 * (size_t)n, *const in_memory = s->low + 4 * (size_t)n;
    ac_mask_bytes(mask, in_memory);
    ac_pyramid_split(&b.f.predictor.pyramid, 1, in_memory, s->wide, flags);
    d.walker.flags = flags;
    d.sparse = 1;
    if (split) split->masked = in_memory;
  }
  meaning what = {&b.f, scale, b.base, split, dst};
  d.walker.put = put_values;
  d.walker.to = &what;
  const int32_t *r;
  if (ac_walk(&d.walker, &r)) return AC_E_FORMAT;
  if (d.at.words.words != d.at.words.words_end) return AC_E_FORMAT;
  for (unsigned j = 0; j < c->lanes; j++)
    if (d.at.words.x[j] != AC_STATE_MIN) return AC_E_FORMAT;
  if (d.at.bit > d.at.bits || (d.at.bits - d.at.bit) / 8) return AC_E_FORMAT;
  if (d.outside.at != UINT64_MAX || d.corrections.at != UINT64_MAX || b.outside.failed || b.corrections.failed ||
      ac_remaining(&b.outside) || ac_remaining(&b.corrections))
    return AC_E_FORMAT;
  if (r) put_values(&what, r, 0, n);
  if (split && !ac_split_ended(split)) return AC_E_FORMAT;
  error = ac_refused_read(&b.refused, b.n_refused, scale->type->size, n, dst);
  ac_lap(s->watch, AC_STAGE_DECODE);
  return error || ac_remaining(&b.refused) ? AC_E_FORMAT : AC_OK;
}

int ac_field_inspect(ac_reader *in, const ac_scale *scale, const ac_box *box, uint32_t n, int split, ac_block_info *info) {
  parts b;
  const int error = read_parts(in, scale, box, n, split, &b);
  if (error) return error;
  info->n_classes = (uint8_t)ac_all_contexts(&b.f.contexts);
  if (ac_remaining(in)) {
    info->lanes = b.f.contexts.lanes;
    info->prob_bits = b.f.contexts.prob_bits;
  }
  info->window_exceptions = b.n_outside;
  info->raw_exceptions = b.n_refused;
  return AC_OK;
}
