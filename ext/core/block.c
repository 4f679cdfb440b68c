/* block.c: one block of at most 2^18 values, encoded and decoded independently of all others.
 * Between the stages (quantize, windows, rANS) and the frame: it knows the order of the stages and
 * the sections of a block, nothing of chunks.
 *
 *   raw       mode | elements
 *   constant  mode | one element
 *   windows   mode | layout | classes, tables | class sequence | raw plane | exceptions | rANS words
 *
 * Invariants: an encoded block is never larger than a raw one (one byte more than its elements);
 * the decoder checks every length before it reads, and every value of a block is written.
 */
#include "block.h"

#include "../simd/kernels.h"
#include "sequence.h"

/* ---- scratch ---- */
static size_t reserve(size_t *total, size_t bytes) {
  const size_t at = *total;
  *total += (bytes + 63) / 64 * 64; /* no two parts share a cache line */
  return at;
}

size_t ac_encode_scratch_place(ac_encode_scratch *s, uint8_t *memory, uint32_t values) {
  const size_t groups = ac_groups(values, 64), words_size = 2 * (size_t)values + 4 * AC_MAX_LANES + 2;
  size_t total = 0;
  const size_t q = reserve(&total, 4 * (size_t)values), index = reserve(&total, 4 * (size_t)values),
               tokens = reserve(&total, values), classes = reserve(&total, groups),
               sequence = reserve(&total, AC_SEQUENCE_SCRATCH), words = reserve(&total, words_size),
               stats = reserve(&total, groups * sizeof *s->stats),
               histograms = reserve(&total, AC_MAX_CLASSES * sizeof *s->histograms),
               symbols = reserve(&total, AC_MAX_CLASSES * sizeof *s->symbols);
  if (memory) {
    s->q = (int32_t *)(memory + q);
    s->index = (uint32_t *)(memory + index);
    s->tokens = memory + tokens;
    s->group_class = memory + classes;
    s->sequence = memory + sequence;
    s->words = memory + words;
    s->words_end = s->words + words_size;
    s->stats = (ac_group_stats *)(memory + stats);
    s->histograms = (ac_histogram *)(memory + histograms);
    s->symbols = (ac_symbol(*)[AC_MAX_TOKENS])(memory + symbols);
    s->watch = NULL;
  }
  return total;
}

/* ---- layout byte of a windows block: lanes, group size, probability bits ---- */
static uint8_t pack_layout(const ac_windows *w) {
  unsigned lanes = 0;
  while (4u << lanes < w->lanes) lanes++;
  return (uint8_t)(lanes | (w->group == 64) << 3 | (w->prob_bits - AC_MIN_PROB_BITS) << 4);
}

static int unpack_layout(uint8_t layout, ac_windows *w) {
  if ((layout & 7) > 4 || layout >> 6) return AC_E_FORMAT;
  w->lanes = (uint8_t)(4 << (layout & 7));
  w->group = layout & 8 ? 64 : 128;
  w->prob_bits = (uint8_t)(AC_MIN_PROB_BITS + (layout >> 4 & 3));
  return AC_OK;
}

/* ---- the byte after it, of classes: their number less one, how their sequence is coded, and whether
 * the block has exceptions ---- */
enum { CLASSES_AT = 2, METHOD_SHIFT = 4, HAS_EXCEPTIONS = 1 << 6 };

/* Each lane costs about three bytes: fewer of them for less coded data. */
static uint8_t lanes_for(uint64_t token_bits) {
  const uint64_t bytes = token_bits / 8;
  return bytes > 24 << 10 ? 64 : bytes > 6 << 10 ? 32 : bytes > 2 << 10 ? 16 : bytes > 512 ? 8 : 4;
}

/* Bytes of the raw plane; *has_tokens says whether any group codes tokens. */
static size_t raw_plane_size(const ac_windows *w, const uint8_t *group_class, uint32_t n, int *has_tokens) {
  const uint32_t whole = n / w->group, rest = n % w->group;
  uint32_t bytes[AC_MAX_CLASSES], size = 0;
  unsigned tokens = 1;
  for (unsigned c = 0; c < w->n_classes; c++) bytes[c] = ac_raw_bytes(w->group, w->classes[c].k);
  for (uint32_t g = 0; g < whole; g++) {
    size += bytes[group_class[g]];
    tokens |= w->classes[group_class[g]].n_tokens;
  }
  if (rest) {
    size += ac_raw_bytes(rest, w->classes[group_class[whole]].k);
    tokens |= w->classes[group_class[whole]].n_tokens;
  }
  *has_tokens = tokens > 1;
  return size;
}

/* ---- encode ---- */
static size_t encode_raw(const void *src, size_t bytes, uint8_t *dst) {
  dst[0] = AC_MODE_RAW;
  memcpy(dst + 1, src, bytes);
  return bytes + 1;
}

static void write_outside(ac_writer *out, const ac_encode_scratch *s, const uint32_t *index, uint32_t n) {
  uint32_t next = 0;
  for (uint32_t i = 0; i < n; i++) {
    ac_write_varint(out, index[i] - next);
    ac_write_varint(out, ac_zigzag(s->q[index[i]]));
    next = index[i] + 1;
  }
}

/* Refused values are often all the same (NaN, a fill value) and in runs: an entry stands for a run of
 * neighbours with the same bits, and need not repeat the bits of the entry before it. */
enum { REFUSED_SAME = 1, REFUSED_RUN = 2, REFUSED_GAP_SHIFT = 2 };

static void write_refused(ac_writer *out, size_t item, const uint8_t *src, const uint32_t *index, uint32_t n) {
  static const uint8_t zeros[8];
  const uint8_t *before = zeros;
  uint32_t next = 0;
  for (uint32_t i = 0; i < n;) {
    const uint32_t at = index[i];
    const uint8_t *bits = src + at * item;
    uint32_t run = 1;
    while (i + run < n && index[i + run] == at + run && !memcmp(bits, bits + run * item, item)) run++;
    const int same = !memcmp(bits, before, item);
    ac_write_varint(out, (uint64_t)(at - next) << REFUSED_GAP_SHIFT | (run > 1 ? REFUSED_RUN : 0) | (same ? REFUSED_SAME : 0));
    if (!same) {
      uint8_t *to = ac_give(out, item);
      if (to) memcpy(to, bits, item);
    }
    if (run > 1) ac_write_varint(out, run - 2);
    before = bits;
    next = at + run;
    i += run;
  }
}

/* Returns 0 if raw is smaller. */
static size_t encode_windows(int dtype, const void *src, uint32_t n, const ac_lattice *lattice, const ac_tuning *tuning,
                             ac_encode_scratch *s, uint8_t *dst) {
  const ac_kernels *kernels = ac_active_kernels();
  const size_t raw_size = n * ac_item_size(dtype);
  ac_plan plan;
  ac_windows *w = &plan.windows;
  w->group = tuning->group ? tuning->group : 128;
  w->prob_bits = tuning->prob_bits;
  const uint32_t n_refused = dtype == AC_FLOAT32
                                 ? kernels->quantize_f32(src, n, lattice, w->group, s->q, s->stats, s->index)
                                 : kernels->quantize_f64(src, n, lattice, w->group, s->q, s->stats, s->index);
  ac_lap(s->watch, AC_STAGE_QUANTIZE);
  ac_windows_plan(s->q, n, s->stats, s->histograms, s->group_class, &plan);
  ac_lap(s->watch, AC_STAGE_PLAN);
  /* what the refused values will take is not known yet: at the end, a block that did not fit is raw */
  if (plan.total_bits / 8 >= raw_size) return 0;
  w->lanes = tuning->lanes ? tuning->lanes : lanes_for(plan.token_bits);

  ac_writer out = {dst, dst + raw_size, 0};
  const uint32_t n_groups = ac_groups(n, w->group);
  const unsigned method = w->n_classes > 1 ? ac_sequence_method(s->group_class, n_groups, w->n_classes) : 0;
  ac_write8(&out, AC_MODE_WINDOWS);
  ac_write8(&out, pack_layout(w));
  ac_write8(&out, (uint8_t)((w->n_classes - 1) | method << METHOD_SHIFT));
  ac_windows_write(&out, w);
  if (w->n_classes > 1) ac_sequence_write(&out, method, s->group_class, n_groups, w->n_classes, s->sequence);

  int has_tokens;
  uint8_t *raw = ac_give(&out, raw_plane_size(w, s->group_class, n, &has_tokens));
  if (!raw) return 0;
  const uint8_t *const raw_end = out.p;
  /* Slots of refused values hold the likeliest token and no raw bits, so split finds them inside: the
   * two kinds of exceptions are disjoint. */
  for (uint32_t i = 0; i < n_refused; i++) {
    const ac_class *c = &w->classes[s->group_class[s->index[i] / w->group]];
    s->q[s->index[i]] = (int32_t)((uint32_t)c->base + ((uint32_t)c->filler << c->k));
  }
  const uint32_t n_outside = kernels->split(s->q, n, w, s->group_class, s->tokens, raw, raw_end, s->index + n_refused);

  if (n_outside + n_refused) {
    dst[CLASSES_AT] |= HAS_EXCEPTIONS;
    ac_write_varint(&out, n_outside);
    ac_write_varint(&out, n_refused);
    /* the length goes first: the lists are moved up behind it */
    uint8_t *start = out.p;
    write_outside(&out, s, s->index + n_refused, n_outside);
    write_refused(&out, ac_item_size(dtype), src, s->index, n_refused);
    if (out.failed) return 0;
    const size_t length = (size_t)(out.p - start);
    ac_writer size = {s->sequence, s->sequence + 10, 0};
    ac_write_varint(&size, length);
    const size_t digits = (size_t)(size.p - s->sequence);
    if (!ac_give(&out, digits)) return 0;
    memmove(start + digits, start, length);
    memcpy(start, s->sequence, digits);
  }

  ac_lap(s->watch, AC_STAGE_SPLIT); /* with the sections that follow it */
  if (has_tokens) {
    for (unsigned c = 0; c < w->n_classes; c++)
      if (w->classes[c].n_tokens > 1)
        ac_model_encoder(w->classes[c].freq, w->classes[c].n_tokens, w->prob_bits, s->symbols[c]);
    const uint8_t *words = kernels->encode(w, s->group_class, n, s->tokens,
                                           (const ac_symbol(*)[AC_MAX_TOKENS])s->symbols, s->words_end);
    const size_t length = (size_t)(s->words_end - words);
    uint8_t *to = ac_give(&out, length);
    if (to) memcpy(to, words, length);
  }
  ac_lap(s->watch, AC_STAGE_ENCODE);
  return out.failed ? 0 : (size_t)(out.p - dst);
}

size_t ac_block_encode(int dtype, const void *src, uint32_t n, const ac_lattice *lattice, const ac_tuning *tuning,
                       ac_encode_scratch *scratch, uint8_t *dst) {
  const size_t item = ac_item_size(dtype);
  if (!memcmp(src, (const uint8_t *)src + item, (n - 1) * item)) {
    dst[0] = AC_MODE_CONSTANT;
    memcpy(dst + 1, src, item);
    return 1 + item;
  }
  size_t size = 0;
  if (lattice->delta != 0) size = encode_windows(dtype, src, n, lattice, tuning, scratch, dst);
  return size ? size : encode_raw(src, n * item, dst);
}

/* ---- decode ---- */
/* A parsed windows block: everything checked but the coded words and the exceptions themselves. */
typedef struct {
  ac_windows windows;
  uint8_t group_class[AC_MAX_BLOCK / 64];
  uint32_t n_outside, n_refused;
  const uint8_t *raw;
  ac_reader exceptions;
  const uint8_t *words, *words_end;
} parsed;

static int parse_windows(ac_reader *in, uint32_t n, parsed *b) {
  ac_windows *w = &b->windows;
  const uint8_t layout = ac_read8(in), classes = ac_read8(in);
  if (in->failed) return in->failed;
  if (unpack_layout(layout, w)) return AC_E_FORMAT;
  w->n_classes = (uint8_t)((classes & 15) + 1);
  const unsigned method = classes >> METHOD_SHIFT & 3;
  if (classes >> 7 || (w->n_classes == 1 && method)) return AC_E_FORMAT;
  ac_windows_read(in, w);
  if (in->failed) return in->failed;
  const uint32_t n_groups = ac_groups(n, w->group);
  if (w->n_classes > 1)
    ac_sequence_read(in, method, b->group_class, n_groups, w->n_classes);
  else
    memset(b->group_class, 0, n_groups);
  if (in->failed) return in->failed;

  int has_tokens;
  b->raw = ac_take(in, raw_plane_size(w, b->group_class, n, &has_tokens));
  b->n_outside = b->n_refused = 0;
  b->exceptions = (ac_reader){NULL, NULL, 0};
  if (classes & HAS_EXCEPTIONS) {
    const uint64_t n_outside = ac_read_varint(in), n_refused = ac_read_varint(in), length = ac_read_varint(in);
    if (n_outside > n || n_refused > n || n_outside + n_refused == 0) return AC_E_FORMAT;
    b->n_outside = (uint32_t)n_outside;
    b->n_refused = (uint32_t)n_refused;
    if (length < 2 * n_outside || length > ac_remaining(in)) return AC_E_FORMAT; /* two varints each */
    b->exceptions.p = ac_take(in, (size_t)length);
    b->exceptions.end = in->p;
  }
  b->words = in->p;
  b->words_end = in->end;
  if (in->failed) return in->failed;
  const size_t length = ac_remaining(in);
  if (has_tokens ? length < 4u * w->lanes || length % 2 : length != 0) return AC_E_FORMAT;
  return AC_OK;
}

static int apply_exceptions(int dtype, parsed *b, uint32_t n, double delta, void *dst) {
  ac_reader *in = &b->exceptions;
  const size_t item = ac_item_size(dtype);
  uint64_t at = 0;
  for (uint32_t i = 0; i < b->n_outside; i++, at++) {
    const uint64_t gap = ac_read_varint(in);
    const int64_t q = ac_unzigzag(ac_read_varint(in));
    if (in->failed || gap >= n || (at += gap) >= n || q < -AC_QMAX || q > AC_QMAX) return AC_E_FORMAT;
    if (dtype == AC_FLOAT32) ((float *)dst)[at] = ac_reconstruct_f32((int32_t)q, delta);
    else ((double *)dst)[at] = ac_reconstruct_f64((int32_t)q, delta);
  }
  uint8_t bits[8] = {0};
  at = 0;
  for (uint32_t left = b->n_refused; left;) {
    const uint64_t head = ac_read_varint(in), gap = head >> REFUSED_GAP_SHIFT;
    if (!(head & REFUSED_SAME)) {
      const uint8_t *p = ac_take(in, item);
      if (p) memcpy(bits, p, item);
    }
    const uint64_t more = head & REFUSED_RUN ? ac_read_varint(in) : 0; /* a run of one has no length */
    if (in->failed || gap >= n || more >= n) return AC_E_FORMAT;
    const uint64_t run = head & REFUSED_RUN ? more + 2 : 1;
    at += gap;
    if (run > left || at + run > n) return AC_E_FORMAT;
    for (uint64_t j = 0; j < run; j++) memcpy((uint8_t *)dst + (at + j) * item, bits, item);
    at += run;
    left -= (uint32_t)run;
  }
  return ac_remaining(in) ? AC_E_FORMAT : AC_OK;
}

static int decode_windows(int dtype, ac_reader *in, uint32_t n, double delta, uint32_t *tables,
                          ac_stopwatch *watch, void *dst) {
  const ac_kernels *kernels = ac_active_kernels();
  parsed b;
  if (delta == 0) return AC_E_FORMAT;
  int error = parse_windows(in, n, &b);
  if (error) return error;
  const ac_windows *w = &b.windows;
  if (b.words != b.words_end)
    for (unsigned c = 0; c < w->n_classes; c++)
      if (w->classes[c].n_tokens > 1)
        ac_model_decoder(w->classes[c].freq, w->classes[c].n_tokens, w->prob_bits,
                         tables + ((size_t)c << w->prob_bits));
  ac_lap(watch, AC_STAGE_TABLES);
  const ac_coded coded = {w, b.group_class, n, tables, b.raw, b.words, b.words_end, delta};
  error = dtype == AC_FLOAT32 ? kernels->decode_f32(&coded, dst) : kernels->decode_f64(&coded, dst);
  ac_lap(watch, AC_STAGE_DECODE);
  return error ? error : apply_exceptions(dtype, &b, n, delta, dst);
}

int ac_block_decode(int dtype, const uint8_t *src, size_t size, uint32_t n, double delta, uint32_t *tables,
                    ac_stopwatch *watch, void *dst) {
  const size_t item = ac_item_size(dtype);
  ac_reader in = {src, src + size, 0};
  switch (ac_read8(&in)) {
    case AC_MODE_RAW:
      if (size != 1 + n * item) return AC_E_FORMAT;
      memcpy(dst, in.p, n * item);
      return AC_OK;
    case AC_MODE_CONSTANT:
      if (size != 1 + item) return AC_E_FORMAT;
      for (uint32_t i = 0; i < n; i++) memcpy((uint8_t *)dst + i * item, in.p, item);
      return AC_OK;
    case AC_MODE_WINDOWS: {
      const int error = decode_windows(dtype, &in, n, delta, tables, watch, dst);
      /* the block is whole (its checksum matched): what runs short inside it is not truncated */
      return error == AC_E_TRUNCATED ? AC_E_FORMAT : error;
    }
    default: return AC_E_FORMAT;
  }
}

int ac_block_inspect(int dtype, const uint8_t *src, size_t size, uint32_t n, double delta, ac_block_info *info) {
  ac_reader in = {src, src + size, 0};
  info->mode = ac_read8(&in);
  info->n_classes = info->lanes = info->prob_bits = info->group = 0;
  info->window_exceptions = info->raw_exceptions = 0;
  if (info->mode == AC_MODE_RAW) return size == 1 + n * ac_item_size(dtype) ? AC_OK : AC_E_FORMAT;
  if (info->mode == AC_MODE_CONSTANT) return size == 1 + ac_item_size(dtype) ? AC_OK : AC_E_FORMAT;
  parsed b;
  if (info->mode != AC_MODE_WINDOWS || delta == 0 || parse_windows(&in, n, &b)) return AC_E_FORMAT;
  info->n_classes = b.windows.n_classes;
  info->group = b.windows.group;
  if (b.words != b.words_end) {
    info->lanes = b.windows.lanes;
    info->prob_bits = b.windows.prob_bits;
  }
  info->window_exceptions = b.n_outside;
  info->raw_exceptions = b.n_refused;
  return AC_OK;
}
