/* kernels.c: every kernel table that this machine runs, against the plain C one, bit for bit.
 *
 *   kernels LEVEL    0: sizes up to 4096; 1: a few larger ones; 2: all sizes up to a full block
 *
 * Each kernel is called by itself on made-up input, and then the whole codec once with each table.
 * Prints what was tested and a hash of all outputs of the plain C table.  Inputs come from an integer
 * generator and IEEE arithmetic only, so the hash is the same on every machine.
 *
 * Every buffer ends where a page without access begins, or begins where such a page ends (by turns);
 * the bytes on its other side are checked.  So nothing may be read or written outside: the kernels
 * get exactly the room that kernels.h promises them.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../ext/core/block.h"
#include "../ext/core/checksum.h"
#include "../ext/simd/kernels.h"

/* The tables and their CPU checks are dispatch.c's; the core gets the table under test. */
#define ac_active_kernels detected_kernels
const ac_kernels *detected_kernels(void);
#include "../ext/simd/dispatch.c"
#undef ac_active_kernels

enum { MAX_TABLES = 8 };
static const ac_kernels *tables[MAX_TABLES], *active; /* tables[0] is the plain C one */
static unsigned n_tables;

const ac_kernels *ac_active_kernels(void) { return active; }

static void find_tables(void) {
  const char *const names[] = {"scalar", "sse4.2", "avx2", "avx512", "neon"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    setenv("ARRAYCODEC_ISA", names[i], 1);
    const ac_kernels *table = detect();
    if (table) tables[n_tables++] = table;
  }
}

/* ---- what is under way, failures ---- */
static char what[256];
#define DOING(...) snprintf(what, sizeof what, __VA_ARGS__)

static void fail(const char *problem, size_t at) {
  printf("FAILED: %s: %s at %zu (table %s)\n", what, problem, at, active ? active->name : "-");
  exit(1);
}

#if !defined(__SANITIZE_ADDRESS__) /* it reports more itself */
static void crashed(int number) {
  (void)number;
  const char *const table = active ? active->name : "-";
  const char *const parts[] = {"FAILED: access outside a buffer: ", what, " (table ", table, ")\n"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (write(1, parts[i], strlen(parts[i])) < 0) break;
  _exit(1);
}
#endif

static void same(const char *name, const void *expected, const void *got, size_t size) {
  if (!size || !memcmp(expected, got, size)) return;
  size_t i = 0;
  while (((const uint8_t *)expected)[i] == ((const uint8_t *)got)[i]) i++;
  fail(name, i);
}

static void equal(const char *name, uint64_t expected, uint64_t got) {
  if (expected != got) fail(name, (size_t)got);
}

static uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
static void add_to_hash(const void *data, size_t size) {
  const uint8_t *p = data;
  for (size_t i = 0; i < size; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
}

/* ---- buffers between fences ---- */
enum {
  VALUES, Q, STATS, REFUSED, HISTOGRAMS, CLASSES, TOKENS, RAW, OUTSIDE, SYMBOLS, WORDS, CODED, ENTRIES, OUT, N_BUFFERS
};
enum { PATTERN = 0xa5, MARGIN = 128 };
typedef struct {
  uint8_t *memory, *data; /* `capacity` bytes between two pages without access; the buffer in them */
  size_t capacity, size;
} fenced;
static fenced buffers[N_BUFFERS][2];
static int at_start; /* buffers stand at the start of their memory, not at its end */

static void *take(unsigned which, unsigned copy, size_t size) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  fenced *b = &buffers[which][copy];
  if (b->capacity < size + MARGIN) {
    if (b->memory) munmap(b->memory - page, b->capacity + 2 * page);
    b->capacity = (size + MARGIN + page - 1) / page * page;
    uint8_t *p = mmap(NULL, b->capacity + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page, b->capacity, PROT_READ | PROT_WRITE)) fail("no memory", size);
    b->memory = p + page;
  }
  b->size = size;
  b->data = at_start ? b->memory : b->memory + b->capacity - size;
  memset(at_start ? b->data : b->data - MARGIN, PATTERN, size + MARGIN);
  return b->data;
}

static void check_margin(unsigned which, unsigned copy) {
  const fenced *b = &buffers[which][copy];
  const uint8_t *p = at_start ? b->data + b->size : b->data - MARGIN;
  for (size_t i = 0; i < MARGIN; i++)
    if (p[i] != PATTERN) fail("write outside a buffer", which);
}

/* ---- made-up values ---- */
/* No expression draws two numbers whose order it leaves open. */
static uint64_t state;
static uint64_t rnd64(void) { /* splitmix64 (G. Steele et al., 2014) */
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}
static uint32_t rnd(void) { return (uint32_t)(rnd64() >> 32); }
static uint32_t below(uint32_t n) { return (uint32_t)((uint64_t)rnd() * n >> 32); }
static double uniform(void) { return (double)(int32_t)rnd() * 0x1p-31; }
static double power(int e) { return e < 0 ? 1 / power(-e) : e ? 2 * power(e - 1) : 1; } /* of two */
static int bell(void) { return __builtin_popcountll(rnd64()) - 32; }

enum {
  NARROW, OFFSET, SCALES, TIES, EXACT, NEARLY, LIMITS, SPARSE, RUNS, HUGES, BRINK, DENORMAL, BITS, NANS, ZEROS, N_KINDS
};

/* One value, in units of delta; `shift` varies from array to array. */
static double steps(unsigned kind, uint32_t i, unsigned shift) {
  static const int limits[] = {13, 14, 15, 22, 23, 24, 25, 29, 30, 31, 32, 33};
  const int b = bell(), sign = rnd() & 1 ? 1 : -1, few = (int)below(9);
  const double u = uniform();
  switch (kind) {
    case NARROW: return b + 0.4 * u;
    case OFFSET: return 3000 - b * 0.7 + u;
    case SCALES: return u * power((int)((i / 64 * 7 + shift) % 32));
    case TIES: return b + 0.5;
    case EXACT: return b * 3;
    case NEARLY: return (int)(b * power((int)(shift % 21))) + 0.5 * sign * (1 + u * power(-(int)below(40)));
    case LIMITS: return sign * power(limits[below(12)]) + 0.5 * few - 2;
    case HUGES: return u * power((int)below(100));
    case BRINK: /* sums of these overflow, or nearly */
      return (shift & 64 ? 1 : sign) * (1 - (1 + few) * 0x1p-22) * power((int)(16 + shift % 15));
    default: return 0;
  }
}

static void make_values(int dtype, void *x, uint32_t n, unsigned kind, double delta) {
  static const uint64_t rare32[] = {0x7fc00001, 0x7f800000, 0xff800000, 0x7f7fffff,
                                    1,          0x80000000, 0x7f800001, 0xffffffff};
  static const uint64_t rare64[] = {0x7ff8000000000001, 0x7ff0000000000000, 0xfff0000000000000, 0x7fefffffffffffff, 1,
                                    0x8000000000000000, 0x7ff0000000000001, 0xffffffffffffffff};
  const size_t item = ac_item_size(dtype);
  const uint64_t *const rare = dtype == AC_FLOAT32 ? rare32 : rare64;
  const unsigned shift = rnd() >> 8;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t bits = 0;
    int is_bits = 1;
    const uint64_t any = rnd64();
    if (kind == BITS) bits = any;
    else if (kind == NANS) bits = any | (dtype == AC_FLOAT32 ? 0x7f900000 : 0x7ff1000000000000);
    else if (kind == DENORMAL) bits = any & (dtype == AC_FLOAT32 ? 0x803fffff : 0x800fffffffffffff);
    else if (kind == ZEROS) bits = (uint64_t)(rnd() & 1) << (8 * item - 1);
    else if (kind == SPARSE && !below(50)) bits = rare[below(8)];
    else if (kind == RUNS && i % 500 > 200) bits = rare[i / 500 % 2];
    else is_bits = 0;
    if (!is_bits) {
      const double v = steps(kind == SPARSE || kind == RUNS ? NARROW : kind, i, shift) * delta;
      const float f = v > FLT_MAX ? FLT_MAX : v < -FLT_MAX ? -FLT_MAX : (float)v;
      if (dtype == AC_FLOAT32) memcpy(&bits, &f, 4);
      else memcpy(&bits, &v, 8);
    }
    memcpy((uint8_t *)x + i * item, &bits, item);
  }
}

/* ---- quantize, count ---- */
static void test_count(const int32_t *q, uint32_t n, unsigned group) {
  const uint32_t n_groups = ac_groups(n, group);
  const unsigned n_classes = 1 + below(AC_MAX_CLASSES);
  uint8_t *classes = take(CLASSES, 0, n_groups);
  for (uint32_t g = 0; g < n_groups; g++) classes[g] = (uint8_t)below(n_classes);
  ac_histogram made[AC_MAX_CLASSES];
  memset(made, 0, sizeof made);
  for (unsigned c = 0; c < n_classes; c++) {
    ac_histogram *h = &made[c];
    h->shift = (uint8_t)(rnd() & 1 ? below(4) : below(24));
    h->first = q[below(n)] >> h->shift;
    h->first -= (int32_t)below(AC_HISTOGRAM_BINS + 20) - 10;
    h->sampling = (uint8_t)(rnd() & 1 ? 0 : below(5));
    h->open = below(8) > 0;
  }
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    ac_histogram *h = take(HISTOGRAMS, t > 0, n_classes * sizeof *h);
    memcpy(h, made, n_classes * sizeof *h);
    active->count(q, n, group, classes, h);
    check_margin(HISTOGRAMS, t > 0);
    for (unsigned c = 0; c < n_classes; c++) { /* which of a bin's two counters took a value does not matter */
      for (unsigned i = 0; i <= AC_HISTOGRAM_BINS; i++) h[c].count[0][i] = ac_bin(&h[c], i);
      memset(h[c].count[1], 0, sizeof h[c].count[1]);
    }
    if (t) same("histograms", buffers[HISTOGRAMS][0].data, h, n_classes * sizeof *h);
    else add_to_hash(h, n_classes * sizeof *h);
  }
}

static void test_quantize(int dtype, uint32_t n, unsigned group, unsigned kind, double tol) {
  DOING("quantize float%d n=%u group=%u kind=%u tol=%g", dtype == AC_FLOAT32 ? 32 : 64, n, group, kind, tol);
  const double delta = ac_lattice_delta(dtype, tol);
  const ac_lattice lattice = ac_lattice_make(dtype, tol, delta);
  const uint32_t n_groups = ac_groups(n, group);
  void *x = take(VALUES, 0, n * ac_item_size(dtype));
  make_values(dtype, x, n, kind, delta);
  uint32_t expected = 0;
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    int32_t *q = take(Q, t > 0, 4 * (size_t)n);
    ac_group_stats *stats = take(STATS, t > 0, n_groups * sizeof *stats);
    uint32_t *refused = take(REFUSED, t > 0, 4 * (size_t)n);
    const uint32_t n_refused = dtype == AC_FLOAT32 ? active->quantize_f32(x, n, &lattice, group, q, stats, refused)
                                                   : active->quantize_f64(x, n, &lattice, group, q, stats, refused);
    for (unsigned b = Q; b <= REFUSED; b++) check_margin(b, t > 0);
    if (t) {
      equal("number of refused values", expected, n_refused);
      same("q", buffers[Q][0].data, q, 4 * (size_t)n);
      same("stats", buffers[STATS][0].data, stats, n_groups * sizeof *stats);
      same("refused", buffers[REFUSED][0].data, refused, 4 * (size_t)n_refused);
    } else {
      expected = n_refused;
      add_to_hash(q, 4 * (size_t)n);
      add_to_hash(stats, n_groups * sizeof *stats);
      add_to_hash(refused, 4 * (size_t)n_refused);
      uint32_t next = 0; /* the definition itself */
      for (uint32_t i = 0; i < n; i++) {
        int32_t v = 0;
        if (dtype == AC_FLOAT32 ? ac_quantize_f32(((float *)x)[i], &lattice, &v)
                                : ac_quantize_f64(((double *)x)[i], &lattice, &v)) {
          if (q[i] != v) fail("not the definition's integer", i);
        } else if (next == n_refused || refused[next++] != i) {
          fail("not refused", i);
        }
      }
      equal("number of refused values", next, n_refused);
    }
  }
  test_count((const int32_t *)buffers[Q][0].data, n, group);
}

/* ---- split, encode, decode ---- */
enum { ANY_WINDOW, NO_RAW, FEW_RAW, IN_FLOAT, ONE_TOKEN, N_FLAVOURS };

static void make_class(ac_class *c, unsigned P, unsigned flavour) {
  static const uint8_t most_raw[N_FLAVOURS] = {AC_MAX_RAW_BITS, 0, 10, 17, AC_MAX_RAW_BITS};
  memset(c, 0, sizeof *c);
  c->k = (uint8_t)below(most_raw[flavour] + 1u);
  c->n_tokens = (uint8_t)(2 + below(rnd() & 1 ? 6 : AC_MAX_TOKENS - 1));
  if (flavour == ONE_TOKEN || !below(8)) c->n_tokens = 1;
  const int64_t size = (int64_t)c->n_tokens << c->k, reach = flavour == ANY_WINDOW ? (int64_t)1 << 31 : 1 << 24;
  const int64_t lo = -reach + (int64_t)((uint64_t)rnd() * (uint64_t)(2 * reach - size + 1) >> 32);
  c->base = (int32_t)((uint32_t)(lo < 0 && !below(3) && size < reach ? -(size >> 1) : lo) >> c->k << c->k);
  if (c->n_tokens < 2) return;
  uint32_t count[AC_MAX_TOKENS];
  const unsigned shape = below(4);
  for (unsigned s = 0; s < c->n_tokens; s++)
    count[s] = shape == 0 ? 1 : shape == 1 ? 1 + below(1000) : shape == 2 ? below(200) / 100 * 50 : s ? 0 : 100000;
  count[below(c->n_tokens)] += 1;
  count[0] += 1; /* two tokens at least */
  count[1] += 1;
  ac_model_normalize(count, c->n_tokens, P, c->freq);
  for (unsigned s = 1; s < c->n_tokens; s++)
    if (c->freq[s] > c->freq[c->filler]) c->filler = (uint8_t)s;
}

/* An integer that the class may meet: nearly always inside its window, and then of a token that occurs. */
static int32_t make_integer(const ac_class *c, unsigned outside) {
  const int64_t size = (int64_t)c->n_tokens << c->k;
  if (outside && !below(outside)) {
    const int64_t beside = c->base + (rnd() & 1 ? size + below(3) : -1 - (int64_t)below(3));
    const int64_t v = rnd() & 1 ? (int32_t)rnd() >> 1 : beside;
    if (v >= -AC_QMAX && v <= AC_QMAX && (v < c->base || v >= c->base + size)) return (int32_t)v;
  }
  uint32_t token = below(c->n_tokens);
  if (c->n_tokens > 1) { /* as likely as its frequency says, but for some */
    if (below(16)) {
      uint32_t sum = 0, slot = 0;
      for (unsigned s = 0; s < c->n_tokens; s++) sum += c->freq[s];
      slot = below(sum);
      for (token = 0; slot >= c->freq[token]; token++) slot -= c->freq[token];
    }
    while (!c->freq[token]) token = (token + 1) % c->n_tokens;
  }
  return (int32_t)((uint32_t)c->base + (token << c->k) + (rnd() & ((1u << c->k) - 1)));
}

static void run_decoders(const ac_coded *coded, int expect_ok) {
  for (int dtype = AC_FLOAT32; dtype <= AC_FLOAT64; dtype++) {
    const size_t size = coded->n * ac_item_size(dtype);
    int expected = AC_OK;
    for (unsigned t = 0; t < n_tables; t++) {
      active = tables[t];
      void *out = take(OUT, t > 0, size);
      const int error = dtype == AC_FLOAT32 ? active->decode_f32(coded, out) : active->decode_f64(coded, out);
      check_margin(OUT, t > 0);
      if (t) {
        equal("error", (uint64_t)expected, (uint64_t)error);
        if (!error) same("decoded values", buffers[OUT][0].data, out, size);
        continue;
      }
      expected = error;
      add_to_hash(&error, sizeof error);
      if (!error) add_to_hash(out, size);
      if (error != AC_OK && (expect_ok || error != AC_E_FORMAT)) fail("error", (size_t)error);
      if (!expect_ok) continue;
      const int32_t *q = (const int32_t *)buffers[Q][0].data; /* inside their windows by now */
      for (uint32_t i = 0; i < coded->n; i++) {
        const float f = ac_reconstruct_f32(q[i], coded->delta);
        const double d = ac_reconstruct_f64(q[i], coded->delta);
        if (dtype == AC_FLOAT32 ? memcmp(&f, (float *)out + i, 4) : memcmp(&d, (double *)out + i, 8))
          fail("wrong value", i);
      }
    }
  }
}

static void test_coding(uint32_t n, unsigned group, unsigned lanes, unsigned P, unsigned n_classes, unsigned flavour,
                        unsigned outside_every) {
  DOING("coding n=%u group=%u lanes=%u prob_bits=%u classes=%u flavour=%u outside=%u", n, group, lanes, P, n_classes,
        flavour, outside_every);
  ac_windows w;
  memset(&w, 0, sizeof w);
  w.n_classes = (uint8_t)n_classes;
  w.lanes = (uint8_t)lanes;
  w.prob_bits = (uint8_t)P;
  w.group = (uint8_t)group;
  ac_symbol (*symbols)[AC_MAX_TOKENS] = take(SYMBOLS, 0, n_classes * sizeof *symbols);
  uint32_t *made = calloc(((size_t)n_classes << P) + AC_TABLE_SLACK, sizeof *made);
  uint32_t *entries = take(ENTRIES, 0, (sizeof *entries * n_classes) << P);
  if (!made) fail("no memory", 0);
  for (unsigned c = 0; c < n_classes; c++) {
    make_class(&w.classes[c], P, flavour);
    if (w.classes[c].n_tokens < 2) continue;
    ac_model_encoder(w.classes[c].freq, w.classes[c].n_tokens, P, symbols[c]);
    ac_model_decoder(w.classes[c].freq, w.classes[c].n_tokens, P, made + ((size_t)c << P));
  }
  memcpy(entries, made, (sizeof *entries * n_classes) << P);
  free(made);

  const uint32_t n_groups = ac_groups(n, group);
  uint8_t *classes = take(CLASSES, 0, n_groups);
  int32_t *q = take(Q, 0, 4 * (size_t)n);
  size_t raw_size = 0;
  int has_tokens = 0;
  for (uint32_t g = 0; g < n_groups; g++) {
    classes[g] = (uint8_t)below(n_classes);
    const ac_class *c = &w.classes[classes[g]];
    const uint32_t m = g + 1 < n_groups ? group : n - g * group;
    raw_size += ac_raw_bytes(m, c->k);
    has_tokens |= c->n_tokens > 1;
    for (uint32_t i = 0; i < m; i++) q[g * group + i] = make_integer(c, outside_every && g % 3 ? outside_every : 0);
  }

  const uint8_t *words[2] = {NULL, NULL};
  size_t words_size = 0;
  uint32_t n_outside = 0;
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    const unsigned copy = t > 0;
    uint8_t *tokens = take(TOKENS, copy, n), *raw = take(RAW, copy, raw_size);
    uint32_t *outside = take(OUTSIDE, copy, 4 * (size_t)n);
    const uint32_t found = active->split(q, n, &w, classes, tokens, raw, raw + raw_size, outside);
    for (unsigned b = TOKENS; b <= OUTSIDE; b++) check_margin(b, copy);
    const size_t room = 2 * (size_t)n + 4 * lanes;
    uint8_t *const words_start = take(WORDS, copy, room);
    words[copy] =
        active->encode(&w, classes, n, tokens, (const ac_symbol(*)[AC_MAX_TOKENS])symbols, words_start + room);
    check_margin(WORDS, copy);
    check_margin(TOKENS, copy);
    const size_t size = (size_t)(words_start + room - words[copy]);
    if (t) { /* how the tokens stand between split and encode is each table's own business */
      equal("number of values outside", n_outside, found);
      same("outside", buffers[OUTSIDE][0].data, outside, 4 * (size_t)found);
      same("raw plane", buffers[RAW][0].data, raw, raw_size);
      equal("size of the words", words_size, size);
      same("words", words[0], words[1], size);
    } else {
      n_outside = found;
      words_size = size;
      add_to_hash(outside, 4 * (size_t)found);
      add_to_hash(raw, raw_size);
      add_to_hash(words[0], size);
    }
  }

  /* what the decoder is to give: the likeliest token without raw bits for values outside */
  const uint32_t *outside = (const uint32_t *)buffers[OUTSIDE][0].data;
  for (uint32_t i = 0; i < n_outside; i++) {
    const ac_class *c = &w.classes[classes[outside[i] / group]];
    q[outside[i]] = (int32_t)((uint32_t)c->base + ((uint32_t)c->filler << c->k));
  }
  if (!has_tokens) words_size = 0;
  uint8_t *data = take(CODED, 0, raw_size + words_size);
  memcpy(data, buffers[RAW][0].data, raw_size);
  memcpy(data + raw_size, words[0], words_size);
  const double mantissa = 1 + 0.5 * uniform(), delta = (double)(float)(power((int)below(40) - 30) * mantissa);
  ac_coded coded = {&w, classes, n, entries, data, data + raw_size, data + raw_size + words_size, delta};
  run_decoders(&coded, 1);
  if (!words_size) return;

  /* damaged words, and fewer of them: the same error, and nothing read outside */
  DOING("damaged words n=%u group=%u lanes=%u prob_bits=%u classes=%u flavour=%u", n, group, lanes, P, n_classes,
        flavour);
  for (unsigned i = 0; i < 4; i++) {
    const uint8_t bit = (uint8_t)(1u << below(8));
    data[raw_size + below((uint32_t)words_size)] ^= bit;
  }
  run_decoders(&coded, 0);
  const size_t states = 4 * (size_t)lanes;
  for (unsigned i = 0; i < 3; i++) {
    /* about as many as a group takes where every value takes one: its states are low, and its words zeros */
    const size_t most = (words_size - states) / 2, some = i ? group + below(33) : below(1 + (uint32_t)most);
    const size_t size = states + 2 * (some < most ? some : most);
    uint8_t *shorter = take(CODED, 1, raw_size + size);
    memcpy(shorter, buffers[RAW][0].data, raw_size);
    memcpy(shorter + raw_size, words[0], size);
    if (i) memset(shorter + raw_size + states, 0, size - states);
    for (unsigned j = 0; i && j < lanes; j++) ac_store32(shorter + raw_size + 4 * j, AC_STATE_MIN | (rnd() & 0xffff));
    coded.raw = shorter;
    coded.words = shorter + raw_size;
    coded.words_end = coded.words + size;
    run_decoders(&coded, 0);
  }
}

/* ---- checksum ---- */
static void test_checksum(uint32_t most) {
  active = tables[0];
  DOING("checksum");
  equal("CRC32C of 123456789", 0xe3069283u, ac_crc32c("123456789", 9));
  for (uint32_t size = 0; size <= most; size += size < 2200 ? 1 : 1 + below(300)) {
    DOING("checksum of %u bytes", size);
    at_start ^= 1;
    const uint32_t offset = at_start ? below(16) : 0; /* buffers at an end have every alignment anyhow */
    uint8_t *p = take(VALUES, 0, size + offset);
    for (uint32_t i = 0; i < size + offset; i++) p[i] = (uint8_t)rnd();
    const uint32_t expected = tables[0]->crc32c(p + offset, size);
    add_to_hash(&expected, sizeof expected);
    for (unsigned t = 1; t < n_tables; t++) {
      active = tables[t];
      equal("checksum", expected, active->crc32c(p + offset, size));
    }
  }
}

/* ---- the whole codec, with a hostile floating-point environment around it ---- */
#if defined(__x86_64__)
static uint64_t get_environment(void) { return __builtin_ia32_stmxcsr(); }
static void set_environment(uint64_t e) { __builtin_ia32_ldmxcsr((unsigned)e); }
/* FTZ and DAZ; down; up; to zero */
static const uint64_t HOSTILE[] = {0x9fc0, 0x1f80 | 0x2000, 0x1f80 | 0x4000, 0x1f80 | 0x6000};
#elif defined(__aarch64__)
static uint64_t get_environment(void) {
  uint64_t e;
  __asm__ volatile("mrs %0, fpcr" : "=r"(e));
  return e;
}
static void set_environment(uint64_t e) { __asm__ volatile("msr fpcr, %0" ::"r"(e)); }
/* FZ and DN; down; up; to zero */
static const uint64_t HOSTILE[] = {1 << 24 | 1 << 25, 2 << 22, 1 << 22, 3 << 22};
#else
static uint64_t get_environment(void) { return 0; }
static void set_environment(uint64_t e) { (void)e; }
static const uint64_t HOSTILE[4] = {0};
#endif

static void test_codec(int dtype, uint32_t n, unsigned kind, double tol, const ac_tuning *tuning) {
  DOING("codec float%d n=%u kind=%u tol=%g group=%u lanes=%u prob_bits=%u block_len=%u",
        dtype == AC_FLOAT32 ? 32 : 64, n, kind, tol, tuning->group, tuning->lanes, tuning->prob_bits,
        tuning->block_len);
  ac_array array;
  memset(&array, 0, sizeof array);
  array.dtype = (uint8_t)dtype;
  array.ndim = 1;
  array.shape[0] = n;
  const size_t size = n * ac_item_size(dtype);
  void *x = take(VALUES, 0, size);
  make_values(dtype, x, n, kind, ac_lattice_delta(dtype, tol));
  size_t bound, expected = 0;
  if (ac_bound(&array, tuning, &bound)) fail("no bound", 0);
  const uint64_t environment = get_environment();
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    uint8_t *chunk = take(CODED, t > 0, bound);
    void *out = take(OUT, t > 0, size);
    ac_check check;
    size_t got = 0;
    const uint64_t hostile = HOSTILE[(n + kind) % 4];
    if (t) set_environment(hostile); /* the plain table's run is the ordinary one */
    int error = ac_encode(&array, tol, tuning, 1, x, size, chunk, bound, &got);
    if (!error) error = ac_decode(chunk, got, NULL, out, size, 1);
    if (!error) error = ac_check_bound(dtype, x, out, n, tol, &check);
    const uint64_t left = get_environment();
    set_environment(environment);
    if (error) fail("error", (size_t)error);
    if (t && (left ^ hostile) >> 6) fail("environment changed", (size_t)left); /* below: exceptions that occurred */
    if (check.violations) fail("bound", (size_t)check.violations);
    check_margin(CODED, t > 0);
    check_margin(OUT, t > 0);
    if (t) {
      equal("size of the chunk", expected, got);
      same("chunk", buffers[CODED][0].data, chunk, got);
      same("decoded values", buffers[OUT][0].data, out, size);
    } else {
      expected = got;
      add_to_hash(chunk, got);
      add_to_hash(out, size);
    }
  }
}

/* ---- all of it ---- */
int main(int argc, char **argv) {
  static const uint32_t sizes[] = {1,   2,   3,   4,   5,   7,   8,   9,   15,   16,   17,    31,   32,
                                   33,  48,  63,  64,  65,  96,  127, 128, 129,  191,  192,   255,  256,
                                   257, 1000, 1024, 4095, 4096, 65537, 1u << 18};
  static const double tolerances[] = {0x1p-9, 1e-3, 0.5, 3e-5, 0x1p-20, 0x1p-126, 0x1p127, 1e-37};
  const int level = argc > 1 ? atoi(argv[1]) : 0;
  const unsigned n_sizes = sizeof sizes / sizeof *sizes - (level < 1 ? 2 : level < 2 ? 1 : 0);
  unsigned n_cases = 0;
#if !defined(__SANITIZE_ADDRESS__)
  signal(SIGSEGV, crashed);
  signal(SIGBUS, crashed);
#endif
  find_tables();

  for (unsigned s = 0; s < n_sizes; s++)
    for (unsigned kind = 0; kind < N_KINDS; kind++)
      for (int dtype = AC_FLOAT32; dtype <= AC_FLOAT64; dtype++)
        for (unsigned group = 64; group <= 128; group += 64) {
          if (sizes[s] > 4096 && level < 2 && (kind + group / 64) % 4) continue;
          state = 1000 + n_cases++;
          at_start = rnd() & 1;
          /* most with the first two: most values on the short ways */
          const double tol = tolerances[below(4) ? below(2) : below(8)];
          test_quantize(dtype, sizes[s], group, kind, tol);
        }

  for (unsigned s = 0; s < n_sizes; s++)
    for (unsigned group = 64; group <= 128; group += 64)
      for (unsigned lanes = 4; lanes <= 64; lanes *= 2)
        for (unsigned P = AC_MIN_PROB_BITS; P <= AC_MAX_PROB_BITS; P++)
          for (unsigned flavour = 0; flavour < N_FLAVOURS; flavour++) {
            if (sizes[s] > 4096 && (P + flavour + lanes / 4) % (level < 2 ? 11 : 3)) continue;
            state = 1u << 20 | n_cases++;
            at_start = rnd() & 1;
            const unsigned n_classes = rnd() & 1 ? 1 : 1 + below(AC_MAX_CLASSES);
            test_coding(sizes[s], group, lanes, P, n_classes, flavour, rnd() & 1 ? 0 : 1 + below(200));
          }

  state = 1u << 21;
  test_checksum(level ? 20000 : 4000);

  for (unsigned s = 0; s < n_sizes; s++)
    for (unsigned kind = 0; kind < N_KINDS; kind++)
      for (int dtype = AC_FLOAT32; dtype <= AC_FLOAT64; dtype++) {
        if (sizes[s] > 4096 && level < 2 && kind % 4) continue;
        state = 1u << 22 | n_cases++;
        at_start = rnd() & 1;
        ac_tuning tuning = {0, 0, 0, 0};
        if (rnd() & 1) tuning.block_len = 1 + below(sizes[s]);
        if (rnd() & 1) tuning.group = (uint8_t)(rnd() & 1 ? 64 : 128);
        if (rnd() & 1) tuning.lanes = (uint8_t)(4 << below(5));
        if (rnd() & 1) tuning.prob_bits = (uint8_t)(AC_MIN_PROB_BITS + below(4));
        test_codec(dtype, sizes[s], kind, tolerances[rnd() & 1 ? below(2) : below(8)], &tuning);
      }

  printf("tables:");
  for (unsigned t = 0; t < n_tables; t++) printf(" %s", tables[t]->name);
  printf("\ncases: %u\nhash: %016llx\n", n_cases, (unsigned long long)hash);
  return 0;
}
