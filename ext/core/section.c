/* section.c: see section.h.  Between the stages (windows, rANS) and the block: it knows the order of a
 * section's parts, nothing of what the integers mean.
 *
 *   layout | classes, tables | class sequence | raw plane | lists of exceptions | rANS words
 *
 * Of small sections the first bytes of the lists, and then of the raw plane, are not there, and the lists stand first:
 * these bytes are the lower halves of the states that the lanes start with, which else hold nothing (such use of
 * states: J. Townsend et al., "Practical lossless compression with latent variables using bits back coding", ICLR
 * 2019).  The decoder has them when it is through with all words, and then decodes the groups once more whose raw
 * bits they are.
 *
 * Or, for readers that are to be short (plain.c):
 *
 *   layout | lists of exceptions | varints
 *
 * Invariants: the decoder checks every length before it reads, and every integer of a section is written.
 */
#include "section.h"

#include "images.h"
#include "lists.h"
#include "plain.h"
#include "quantize.h"
#include "sequence.h"

/* ---- scratch ---- */
static size_t reserve(size_t *total, size_t bytes) {
  const size_t at = *total;
  *total += (bytes + 63) / 64 * 64; /* no two parts share a cache line */
  return at;
}

size_t ac_encode_scratch_place(ac_encode_scratch *s, uint8_t *memory, uint32_t values, unsigned size) {
  const size_t n = values, groups = ac_groups(values, 64), words_size = 2 * n + 4 * AC_MAX_LANES + 2;
  size_t total = 0;
  const size_t q = reserve(&total, 4 * n), index = reserve(&total, 4 * n), tokens = reserve(&total, n),
               classes = reserve(&total, groups), sequence = reserve(&total, AC_SEQUENCE_SCRATCH),
               words = reserve(&total, words_size), imaged = reserve(&total, groups), stats = reserve(&total, (groups + groups / 2 + 1) * sizeof *s->stats),
               histograms = reserve(&total, AC_MAX_CLASSES * sizeof *s->plan.histograms),
               attempts = reserve(&total, AC_PLAN_ATTEMPTS * sizeof *s->plan.attempts), rows = reserve(&total, AC_COST_ROWS * sizeof *s->plan.rows),
               costs = reserve(&total, groups * sizeof *s->plan.costs), from = reserve(&total, groups * sizeof *s->plan.from),
               symbols = reserve(&total, AC_MAX_CLASSES * sizeof *s->symbols),
               events = reserve(&total, ac_mask_scratch(values)), bitmap = reserve(&total, 8 * ac_bitmap_words(values)),
               compact = reserve(&total, n * size), wide = reserve(&total, 8 * n), low = reserve(&total, 7 * n),
               copies = reserve(&total, 16 * ac_bitmap_words(values) + 2 * n), field = reserve(&total, 22 * n);
  if (memory) {
    s->q = (int32_t *)(memory + q);
    s->index = (uint32_t *)(memory + index);
    s->tokens = memory + tokens;
    s->group_class = memory + classes;
    s->sequence = memory + sequence;
    s->words = memory + words;
    s->words_end = s->words + words_size;
    s->stats = (ac_group_stats *)(memory + stats);
    s->imaged = memory + imaged;
    s->plan.histograms = (ac_histogram *)(memory + histograms);
    s->plan.attempts = (ac_plan_attempt *)(memory + attempts);
    s->plan.rows = (uint16_t(*)[AC_MAX_CLASSES])(memory + rows);
    s->plan.costs = (uint16_t(*)[AC_MAX_CLASSES])(memory + costs);
    s->plan.from = (uint8_t(*)[AC_MAX_CLASSES])(memory + from);
    s->symbols = (ac_symbol(*)[AC_MAX_TOKENS])(memory + symbols);
    s->events = (uint32_t *)(memory + events);
    s->bitmap = (uint64_t *)(memory + bitmap);
    s->values = memory + compact;
    s->wide = (int64_t *)(memory + wide);
    s->low = memory + low;
    s->copies = memory + copies;
    s->field = (int32_t *)(memory + field);
    s->watch = NULL;
  }
  return total;
}

/* ---- layout byte: lanes, group size, probability bits, and whether start states hold bytes ---- */
enum { IN_STATES = 1 << 6, PLAIN = 1 << 7 /* and nothing else */ };

static uint8_t pack_layout(const ac_windows *w) {
  unsigned lanes = 0;
  while (4u << lanes < w->lanes) lanes++;
  return (uint8_t)(lanes | (w->group == 64) << 3 | (w->prob_bits - AC_MIN_PROB_BITS) << 4);
}

static int unpack_layout(uint8_t layout, ac_windows *w) {
  if ((layout & 7) > 4 || layout >> 7) return AC_E_FORMAT;
  w->lanes = (uint8_t)(4 << (layout & 7));
  w->group = layout & 8 ? 64 : 128;
  w->prob_bits = (uint8_t)(AC_MIN_PROB_BITS + (layout >> 4 & 3));
  return AC_OK;
}

/* ---- the byte after it, of classes: their number less one, how their sequence is coded, and whether
 * there are exceptions, and edges among them ---- */
enum { METHOD_SHIFT = 4, HAS_EXCEPTIONS = 1 << 6, HAS_EDGES = 1 << 7 };

/* ---- bytes in start states ---- */
enum {
  STATE_BYTES = 2,               /* that one holds */
  MAX_LISTS_IN_STATES = 1 << 16, /* longer lists stand in the stream: the decoder puts them together in its tables */
};

/* How many bytes of the lists, and of the raw plane, are in start states. */
static unsigned hidden_lists(const ac_windows *w, uint64_t lists) {
  const unsigned room = STATE_BYTES * (unsigned)w->lanes;
  return lists < room ? (unsigned)lists : room;
}

static unsigned hidden_raw(const ac_windows *w, size_t raw, unsigned lists) {
  const unsigned room = STATE_BYTES * (unsigned)w->lanes - lists;
  return raw < room ? (unsigned)raw : room;
}

/* Sections of fewer bytes have them: larger ones would not notice. */
enum { SMALL_SECTION = 96 << 10 };

/* The first groups, until they have so many raw bytes: their values, and *their raw bytes. */
static uint32_t values_with(const ac_windows *w, const uint8_t *group_class, uint32_t n, size_t raw, size_t *bytes) {
  uint32_t i = 0;
  for (*bytes = 0; *bytes < raw; group_class++) {
    const uint32_t m = n - i < w->group ? n - i : w->group;
    *bytes += ac_raw_bytes(m, w->classes[*group_class].k);
    i += m;
  }
  return i;
}

/* Are the groups few that miss so many raw bytes, and so are decoded twice? */
static int few_twice(const ac_windows *w, const uint8_t *group_class, uint32_t n, size_t raw) {
  size_t bytes;
  return values_with(w, group_class, n, raw, &bytes) <= n / 4 + 2u * w->group;
}

/* From this level on no section has 64 lanes: 32 decode about as fast where vectors have eight of them. */
enum { FEW_LANES_LEVEL = 8 };

static uint8_t lanes_of(uint64_t bytes, unsigned level) {
  return bytes > 24 << 10 && level < FEW_LANES_LEVEL ? 64 : bytes > 6 << 10 ? 32 : bytes > 2 << 10 ? 16 : bytes > 512 ? 8 : 4;
}

/* Each lane costs about three bytes: fewer of them for less coded data.  It is one where raw bits fill its start
 * state: of what that saves, a part is given for speed. */
static uint8_t lanes_for(const ac_windows *w, const uint8_t *group_class, uint32_t n, uint64_t token_bytes, size_t raw,
                         unsigned level) {
  const uint8_t some = lanes_of(token_bytes, level), more = lanes_of(2 * token_bytes, level);
  const size_t room = (size_t)STATE_BYTES * more;
  const int filled = raw + token_bytes < SMALL_SECTION && raw >= room && few_twice(w, group_class, n, room);
  return filled ? more : some;
}

/* ---- raw plane ---- */
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
/* Values outside their window are listed themselves, whatever the image of their class. */
static void expand_outside(const ac_encode_scratch *s, const ac_windows *w, const uint32_t *index, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    const unsigned image = w->classes[s->group_class[index[i] / w->group]].image;
    if (image) s->q[index[i]] = ac_expand(s->q[index[i]], image);
  }
}

/* Edges out of s->index into s->events; returns how many refused values stay. */
static uint32_t take_edges(ac_encode_scratch *s, uint32_t n_refused, uint32_t *n_edges) {
  uint32_t stay = 0, edges = 0;
  for (uint32_t i = 0; i < n_refused; i++) {
    if (s->index[i] & AC_EDGE) s->events[edges++] = s->index[i] & ~(uint32_t)AC_EDGE;
    else s->index[stay++] = s->index[i];
  }
  *n_edges = edges;
  return stay;
}

/* The first bytes of the lists and of the raw plane into start states, which are their only place then: where the
 * section is small and the groups few that are decoded twice.  What is written so far ends with the raw plane, numbers of exceptions and `lists`; 0 if it stays. */
static int hide(ac_writer *out, const ac_windows *w, ac_encode_scratch *s, uint32_t n, uint64_t token_bytes, uint8_t *raw,
                const uint8_t *raw_end, const uint8_t *lists, uint32_t *states) {
  const size_t raw_size = (size_t)(raw_end - raw), lists_size = (size_t)(out->p - lists);
  const size_t numbers_size = (size_t)(lists - raw_end);
  if (raw_size + lists_size + token_bytes >= SMALL_SECTION || lists_size > MAX_LISTS_IN_STATES) return 0;
  if (numbers_size + lists_size > (size_t)(s->words_end - s->words)) return 0;
  const unsigned from_lists = hidden_lists(w, lists_size), from_raw = hidden_raw(w, raw_size, from_lists);
  if (!(from_lists + from_raw) || !few_twice(w, s->group_class, n, from_raw)) return 0;
  uint8_t bytes[STATE_BYTES * AC_MAX_LANES] = {0};
  memcpy(bytes, lists, from_lists);
  memcpy(bytes + from_lists, raw, from_raw);
  for (unsigned j = 0; j < w->lanes; j++) states[j] |= ac_load16(bytes + STATE_BYTES * j);
  /* the rest changes places */
  const size_t rest = numbers_size + lists_size - from_lists;
  memcpy(s->words, raw_end, numbers_size);
  memcpy(s->words + numbers_size, lists + from_lists, lists_size - from_lists);
  memmove(raw + rest, raw + from_raw, raw_size - from_raw);
  memcpy(raw, s->words, rest);
  out->p -= from_lists + from_raw;
  return 1;
}

static int all_fit(const ac_windows *w) {
  for (unsigned c = 0; c < w->n_classes; c++)
    if (!ac_class_fits(&w->classes[c])) return 0;
  return 1;
}

/* Varints: refused values have a 0. */
static int write_plain(ac_writer *out, uint32_t n, ac_encode_scratch *s, const void *src, unsigned size, uint32_t n_refused,
                       uint32_t n_edges) {
  ac_write8(out, PLAIN);
  ac_write8(out, (n_refused + n_edges ? HAS_EXCEPTIONS : 0) | (n_edges ? HAS_EDGES : 0));
  if (n_refused + n_edges) {
    ac_write_varint(out, n_refused);
    if (n_edges) ac_write_varint(out, n_edges);
    uint8_t *const lists = out->p;
    if (n_refused) ac_refused_write(out, size, src, s->index, n_refused);
    if (n_edges) ac_edges_write(out, s->events, n_edges);
    ac_insert_length(out, lists);
  }
  for (uint32_t i = 0; i < n_refused; i++) s->q[s->index[i]] = 0;
  if (out->failed || !ac_plain_write(out, s->q, n)) return 0;
  ac_lap(s->watch, AC_STAGE_ENCODE);
  return 1;
}

int ac_section_write(ac_writer *out, uint32_t n, const ac_tuning *tuning, ac_encode_scratch *s, const void *src,
                     unsigned size, uint32_t n_refused, int images) {
  const ac_kernels *kernels = ac_active_kernels();
  uint32_t n_edges = 0;
  if (n_refused) n_refused = take_edges(s, n_refused, &n_edges);
  if (tuning->coder == AC_CODER_VARINT) return write_plain(out, n, s, src, size, n_refused, n_edges);
  ac_plan plan;
  ac_windows *w = &plan.windows;
  ac_plan_request request = {
      .level = ac_level(tuning), .group = (uint8_t)ac_group_choice(tuning), .prob_bits = tuning->prob_bits};
  if (images && request.level > 1 && (request.image = ac_images_take(s->q, n, s->imaged)) != 0) {
    request.imaged = s->imaged;
    kernels->statistics(s->q, n, ac_group_size(tuning), s->stats);
  }
  ac_plan_make(s->q, n, s->stats, &request, &s->plan, s->group_class, &plan);
  if (request.image && !all_fit(w)) { /* a window of so large images that its end is none */
    ac_images_undo(s->q, n, s->imaged, request.image);
    request.image = 0;
    request.imaged = NULL;
    kernels->statistics(s->q, n, ac_group_size(tuning), s->stats);
    ac_plan_make(s->q, n, s->stats, &request, &s->plan, s->group_class, &plan);
  }
  ac_lap(s->watch, AC_STAGE_PLAN);
  /* what the refused values will take is not known yet: in the end, what did not fit is given up */
  if (plan.total_bits / 8 >= (size_t)(out->end - out->p)) return 0;
  int has_tokens;
  const size_t raw_size = raw_plane_size(w, s->group_class, n, &has_tokens);
  w->lanes = tuning->lanes ? tuning->lanes : lanes_for(w, s->group_class, n, plan.token_bits / 8, raw_size, request.level);

  uint8_t *const layout = ac_give(out, 1), *const classes = ac_give(out, 1);
  if (!classes) return 0;
  *layout = pack_layout(w);
  *classes = (uint8_t)(w->n_classes - 1);
  ac_windows_write(out, w);
  if (w->n_classes > 1)
    *classes |= (uint8_t)(ac_sequence_write(out, s->group_class, ac_groups(n, w->group), w->n_classes,
                                            request.level > AC_MIN_LEVEL ? 2 : 0, s->sequence) << METHOD_SHIFT);

  uint8_t *raw = ac_give(out, raw_size);
  if (!raw) return 0;
  const uint8_t *const raw_end = out->p;
  /* Slots of refused values hold the likeliest token and no raw bits, so split finds them inside: the
   * two kinds of exceptions are disjoint. */
  for (uint32_t i = 0; i < n_refused; i++) {
    const ac_class *c = &w->classes[s->group_class[s->index[i] / w->group]];
    s->q[s->index[i]] = (int32_t)((uint32_t)c->base + ((uint32_t)c->filler << c->k));
  }
  const uint32_t n_outside = kernels->split(s->q, n, w, s->group_class, s->tokens, raw, raw_end, s->index + n_refused);

  uint8_t *lists = NULL;
  if (n_outside + n_refused + n_edges) {
    *classes |= HAS_EXCEPTIONS | (n_edges ? HAS_EDGES : 0);
    ac_write_varint(out, n_outside);
    ac_write_varint(out, n_refused);
    if (n_edges) ac_write_varint(out, n_edges);
    lists = out->p;
    if (n_outside) {
      expand_outside(s, w, s->index + n_refused, n_outside);
      ac_outside_write(out, s->index + n_refused, s->q, n_outside);
    }
    if (n_refused) ac_refused_write(out, size, src, s->index, n_refused);
    if (n_edges) ac_edges_write(out, s->events, n_edges);
    const size_t lists_size = (size_t)(out->p - lists);
    ac_insert_length(out, lists);
    if (out->failed) return 0;
    lists = out->p - lists_size; /* the length is before them now */
  }

  uint32_t states[AC_MAX_LANES];
  for (unsigned j = 0; j < w->lanes; j++) states[j] = AC_STATE_MIN;
  if (!lists) lists = out->p;
  if (has_tokens && hide(out, w, s, n, plan.token_bits / 8, raw, raw_end, lists, states)) *layout |= IN_STATES;

  ac_lap(s->watch, AC_STAGE_SPLIT); /* with the parts that follow it */
  if (has_tokens) {
    for (unsigned c = 0; c < w->n_classes; c++)
      if (w->classes[c].n_tokens > 1)
        ac_model_encoder(w->classes[c].freq, w->classes[c].n_tokens, w->prob_bits, s->symbols[c]);
    const uint8_t *words = kernels->encode(w, s->group_class, n, s->tokens,
                                           (const ac_symbol(*)[AC_MAX_TOKENS])s->symbols, states, s->words_end);
    const size_t length = (size_t)(s->words_end - words);
    uint8_t *to = ac_give(out, length);
    if (to) memcpy(to, words, length);
  }
  ac_lap(s->watch, AC_STAGE_ENCODE);
  return !out->failed;
}

/* ---- decode ---- */
/* The numbers of exceptions, and where their lists are. */
static int read_lists(ac_reader *in, ac_section *b, unsigned classes) {
  b->n_outside = b->n_refused = b->n_edges = 0;
  b->lists = (ac_reader){NULL, NULL, 0};
  if (!(classes & HAS_EXCEPTIONS)) return AC_OK;
  const uint64_t n_outside = b->plain ? 0 : ac_read_varint(in), n_refused = ac_read_varint(in);
  const uint64_t n_edges = classes & HAS_EDGES ? ac_read_varint(in) : 0, length = ac_read_varint(in);
  if (n_outside > b->n || n_refused > b->n || n_edges > b->n || n_outside + n_refused + n_edges == 0) return AC_E_FORMAT;
  if (classes & HAS_EDGES && !n_edges) return AC_E_FORMAT;
  b->n_outside = (uint32_t)n_outside;
  b->n_refused = (uint32_t)n_refused;
  b->n_edges = (uint32_t)n_edges;
  if (b->in_states) {
    if (length > MAX_LISTS_IN_STATES) return AC_E_FORMAT;
    b->hidden_lists = (uint8_t)hidden_lists(&b->windows, length);
  }
  if (8 * length < 2 * n_outside || length - b->hidden_lists > ac_remaining(in)) return AC_E_FORMAT; /* two codes each */
  b->lists.p = ac_take(in, (size_t)length - b->hidden_lists);
  b->lists.end = in->p;
  return AC_OK;
}

static int read_plain(ac_reader *in, ac_section *b, unsigned classes) {
  if (classes & ~(HAS_EXCEPTIONS | HAS_EDGES) || (classes & (HAS_EDGES | HAS_EXCEPTIONS)) == HAS_EDGES) return AC_E_FORMAT;
  b->windows.n_classes = b->windows.group = 0;
  b->in_states = b->hidden_lists = b->hidden_raw = 0;
  const int error = read_lists(in, b, classes);
  if (error) return error;
  if (in->failed) return in->failed;
  b->words = in->p;
  b->words_end = in->p = in->end;
  return AC_OK;
}

int ac_section_read(ac_reader *in, uint32_t n, ac_section *b) {
  ac_windows *w = &b->windows;
  const uint8_t layout = ac_read8(in), classes = ac_read8(in);
  if (in->failed) return in->failed;
  b->n = n;
  b->plain = layout == PLAIN;
  if (b->plain) return read_plain(in, b, classes);
  if (unpack_layout(layout, w)) return AC_E_FORMAT;
  b->in_states = layout & IN_STATES ? 1 : 0;
  w->n_classes = (uint8_t)((classes & 15) + 1);
  const unsigned method = classes >> METHOD_SHIFT & 3;
  if ((w->n_classes == 1 && method) || (classes & (HAS_EDGES | HAS_EXCEPTIONS)) == HAS_EDGES) return AC_E_FORMAT;
  ac_windows_read(in, w);
  if (in->failed) return in->failed;
  const uint32_t n_groups = ac_groups(n, w->group);
  if (w->n_classes > 1)
    ac_sequence_read(in, method, b->group_class, n_groups, w->n_classes);
  else
    memset(b->group_class, 0, n_groups);
  if (in->failed) return in->failed;

  int has_tokens;
  const size_t raw_size = raw_plane_size(w, b->group_class, n, &has_tokens);
  if (b->in_states && !has_tokens) return AC_E_FORMAT;
  b->hidden_lists = b->hidden_raw = 0;
  if (!b->in_states) b->raw = ac_take(in, raw_size);
  const int error = read_lists(in, b, classes);
  if (error) return error;
  if (b->in_states) {
    b->hidden_raw = (uint8_t)hidden_raw(w, raw_size, b->hidden_lists);
    b->raw = ac_take(in, raw_size - b->hidden_raw);
  }
  b->words = in->p;
  b->words_end = in->end;
  if (in->failed) return in->failed;
  const size_t length = ac_remaining(in);
  if (has_tokens ? length < 4u * w->lanes || length % 2 : length != 0) return AC_E_FORMAT;
  in->p = in->end;
  return AC_OK;
}

static void put_outside(int out, void *dst, uint64_t at, int32_t q, double delta) {
  switch (out) {
    case AC_OUT_F32: ((float *)dst)[at] = ac_reconstruct_f32(q, delta); break;
    case AC_OUT_F64: ((double *)dst)[at] = ac_reconstruct_f64(q, delta); break;
    case AC_OUT_F16: ((uint16_t *)dst)[at] = ac_reconstruct_f16(q, delta); break;
    case AC_OUT_BF16: ((uint16_t *)dst)[at] = ac_reconstruct_bf16(q, delta); break;
    default: ((int32_t *)dst)[at] = q;
  }
}

static int decode_all(const ac_coded *coded, int out, void *dst) {
  ac_cursor at;
  int error = ac_cursor_open(coded, &at);
  if (!error) error = ac_active_kernels()->decode[out](coded, &at, 0, coded->n, dst);
  if (!error) error = ac_cursor_close(coded, &at);
  for (unsigned j = 0; j < coded->windows->lanes && !error; j++)
    if (coded->words != coded->words_end && at.x[j] != AC_STATE_MIN) error = AC_E_FORMAT;
  return error;
}

/* The same with bytes in start states: first without them. */
static int decode_hidden(ac_section *b, const ac_coded *coded, int out, uint32_t *tables, void *dst) {
  enum { FEW_RAW_BYTES = STATE_BYTES * AC_MAX_LANES + AC_MAX_GROUP / 16 * 2 * AC_MAX_RAW_BITS, SLACK = 64 };
  const ac_windows *w = &b->windows;
  const ac_kernels *kernels = ac_active_kernels();
  const unsigned hidden = b->hidden_raw + b->hidden_lists;
  uint8_t raw[FEW_RAW_BYTES + SLACK] = {0}, bytes[STATE_BYTES * AC_MAX_LANES];
  size_t size; /* of the raw bytes of the groups that miss some, who get them from here */
  const uint32_t first = values_with(w, b->group_class, b->n, b->hidden_raw, &size);
  memcpy(raw + b->hidden_raw, b->raw, size - b->hidden_raw);
  ac_cursor at;
  for (unsigned pass = 0; pass < 2; pass++) {
    int error = ac_cursor_open(coded, &at);
    at.raw = raw;
    at.raw_end = raw + sizeof raw;
    if (!error) error = kernels->decode[out](coded, &at, 0, first, dst);
    if (error) return error;
    if (pass) break;
    at.raw = b->raw + (size - b->hidden_raw);
    at.raw_end = coded->words_end;
    error = kernels->decode[out](coded, &at, first, b->n, dst);
    if (!error) error = ac_cursor_close(coded, &at);
    if (error) return error;
    for (unsigned j = 0; j < w->lanes; j++) ac_store16(bytes + STATE_BYTES * j, (uint16_t)at.x[j]);
    for (unsigned i = hidden; i < STATE_BYTES * (unsigned)w->lanes; i++)
      if (bytes[i]) return AC_E_FORMAT;
    if (!first) break;
    memcpy(raw, bytes + b->hidden_lists, b->hidden_raw);
  }
  if (b->hidden_lists) { /* the tables are not needed any more */
    const size_t stored = ac_remaining(&b->lists);
    uint8_t *const lists = (uint8_t *)tables;
    memcpy(lists, bytes, b->hidden_lists);
    if (stored) memcpy(lists + b->hidden_lists, b->lists.p, stored);
    b->lists = (ac_reader){lists, lists + b->hidden_lists + stored, 0};
  }
  return AC_OK;
}

int ac_section_decode(ac_section *b, int out, double delta, uint32_t *tables, ac_stopwatch *watch, void *dst) {
  const ac_windows *w = &b->windows;
  if (b->plain) {
    const int error = ac_plain_decode(b->words, b->words_end, b->n, out, delta, dst);
    ac_lap(watch, AC_STAGE_DECODE);
    return error;
  }
  if (b->words != b->words_end)
    for (unsigned c = 0; c < w->n_classes; c++)
      if (w->classes[c].n_tokens > 1)
        ac_model_decoder(w->classes[c].freq, w->classes[c].n_tokens, w->prob_bits,
                         tables + ((size_t)c << w->prob_bits));
  ac_lap(watch, AC_STAGE_TABLES);
  const ac_coded coded = {w, b->group_class, b->n, tables, b->raw, b->words, b->words_end, delta};
  const int error = b->in_states ? decode_hidden(b, &coded, out, tables, dst) : decode_all(&coded, out, dst);
  ac_lap(watch, AC_STAGE_DECODE);
  if (error) return error;
  if (!b->n_outside) return AC_OK;
  ac_list list;
  ac_outside_open(&list, &b->lists, b->n_outside, b->n);
  for (; list.at != UINT64_MAX; ac_list_next(&list)) put_outside(out, dst, list.at, list.value, delta);
  return b->lists.failed ? AC_E_FORMAT : AC_OK;
}

int ac_section_finish(ac_section *b, int dtype, unsigned size, int edges, double delta, void *dst) {
  int error = ac_refused_read(&b->lists, b->n_refused, size, b->n, dst);
  if (!error && b->n_edges) error = edges ? ac_edges_read(&b->lists, b->n_edges, dtype, size, delta, b->n, dst) : AC_E_FORMAT;
  return error ? error : ac_remaining(&b->lists) ? AC_E_FORMAT : AC_OK;
}

int ac_section_integers(ac_reader *in, uint32_t n, uint32_t *tables, ac_stopwatch *watch, int32_t *dst) {
  ac_section section;
  int error = ac_section_read(in, n, &section);
  if (!error && section.n_refused) error = AC_E_FORMAT;
  if (!error) error = ac_section_decode(&section, AC_OUT_I32, 0, tables, watch, dst);
  return error ? error : ac_section_finish(&section, 0, 0, 0, 0, NULL);
}
