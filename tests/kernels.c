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
#include "../ext/core/contexts.h"
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
  VALUES, Q, STATS, REFUSED, HISTOGRAMS, CLASSES, TOKENS, RAW, OUTSIDE, SYMBOLS, WORDS, CODED, ENTRIES, OUT, WIDE, HIGH,
  LOW, ROW, CONTEXTS = ROW + 4, NEAR, N_BUFFERS = NEAR + AC_NEAR_MOST
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
  NARROW, OFFSET, SCALES, TIES, EXACT, NEARLY, LIMITS, SPARSE, RUNS, HUGES, BRINK, ENDS, DENORMAL, BITS, NANS, ZEROS, PACKED, SMOOTH,
  N_KINDS
};

/* One value, in units of delta; `shift` varies from array to array. */
static double steps(unsigned kind, uint32_t i, unsigned shift, const ac_type *type) {
  static const int limits[] = {13, 14, 15, 22, 23, 24, 25, 29, 30, 31, 32, 33};
  const int b = bell(), sign = rnd() & 1 ? 1 : -1, few = (int)below(9);
  const double u = uniform();
  switch (kind) {
    case NARROW: return b + 0.4 * u;
    case OFFSET: return 3000 - b * 0.7 + u;
    case SCALES: return u * power((int)((i / 64 * 7 + shift) % 32));
    case TIES: return b + 0.5;
    case EXACT: return b * 3;
    case PACKED: return 7 * (40 * b + few) + 0.25; /* an affine lattice */
    case SMOOTH: { /* arcs, which predictions find */
      const double x = (i % (512 + 64 * shift)) * (1.0 / (512 + 64 * shift));
      return 90000 * x * (1 - x) + u - (shift & 1 ? 9000 : 0);
    }
    case NEARLY: return (int)(b * power((int)(shift % 21))) + 0.5 * sign * (1 + u * power(-(int)below(40)));
    case LIMITS: return sign * power(limits[below(12)]) + 0.5 * few - 2;
    case HUGES: return u * power((int)below(100));
    case BRINK: /* sums of these overflow, or nearly */
      return (shift & 64 ? 1 : sign) * (1 - (1 + few) * 0x1p-22) * power((int)(16 + shift % 15));
    case ENDS: /* of bins, where the type's unit in the last place is not far below a step */
      return (int)(u * power((int)(shift % 5) + (type->significand < 26 ? type->significand : 26) - 3)) + 0.5;
    default: return 0;
  }
}

static void add_to_bits(uint64_t *bits, const ac_type *type, int step) { /* where a magnitude stays one */
  const uint64_t rest = (1ull << (8 * type->size - 1)) - 1;
  if (*bits & rest) *bits += (uint64_t)(int64_t)step;
}

static uint64_t float_bits(const ac_type *type, double v) {
  const float f = v > FLT_MAX ? FLT_MAX : v < -FLT_MAX ? -FLT_MAX : (float)v;
  uint64_t bits = 0;
  switch (type->dtype) {
    case AC_FLOAT16: bits = ac_to_float16(f); break;
    case AC_BFLOAT16: bits = ac_to_bfloat16(f); break;
    case AC_FLOAT32: memcpy(&bits, &f, 4); break;
    default: memcpy(&bits, &v, 8);
  }
  return bits;
}

/* n values; delta: the step of a float, and about that of an integer. */
static void make_values(const ac_type *type, void *x, uint32_t n, unsigned kind, double delta) {
  const int is_float = type->kind == AC_KIND_FLOAT;
  const unsigned width = 8 * type->size, significand = type->significand;
  const uint64_t sign = 1ull << (width - 1), infinity = is_float ? ((uint64_t)type->most + 1) << significand : sign - 1;
  const uint64_t quiet = is_float ? infinity | 1ull << (significand - 1) | 1 : 7;
  const uint64_t rare[] = {quiet, infinity, sign | infinity, infinity - 1, 1, sign, infinity | 1, ~0ull};
  const unsigned shift = rnd() >> 8;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t bits = 0;
    int is_bits = 1;
    const uint64_t any = rnd64();
    if (kind == BITS) bits = any;
    else if (kind == NANS) bits = is_float ? any | infinity | 1ull << (significand - 3) : rare[any & 1];
    else if (kind == DENORMAL) bits = any & (is_float ? sign | ((1ull << (significand - 1)) - 1) : 0x1ffff);
    else if (kind == ZEROS) bits = (any & 1) << (width - 1);
    else if (kind == SPARSE && !below(50)) bits = rare[below(8)];
    else if (kind == RUNS && i % 500 > 200) bits = rare[i / 500 % 2];
    else is_bits = 0;
    if (!is_bits) {
      const double v = steps(kind == SPARSE || kind == RUNS ? NARROW : kind, i, shift, type) * delta;
      const int beside = (int)below(3) - 1;
      if (is_float) bits = float_bits(type, v);
      else bits = v >= 0x1p63 ? (uint64_t)INT64_MAX : v < -0x1p63 ? (uint64_t)INT64_MIN : (uint64_t)(int64_t)v;
      if (kind == ENDS) add_to_bits(&bits, type, beside);
    }
    memcpy((uint8_t *)x + (size_t)i * type->size, &bits, type->size);
  }
}

/* ---- quantize, statistics, count ---- */
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

/* The statistics of a group by their definition. */
static ac_group_stats define_stats(const int32_t *q, uint32_t m) {
  int64_t sum = 0;
  uint64_t about_zero = 0, about_mean = 0;
  uint32_t magnitude = 0;
  for (uint32_t j = 0; j < m; j++) {
    const uint32_t a = (uint32_t)(q[j] < 0 ? -q[j] : q[j]);
    sum += q[j];
    about_zero += a;
    magnitude |= a;
  }
  const int64_t mean = sum / (int64_t)m;
  for (uint32_t j = 0; j < m; j++) about_mean += (uint64_t)(q[j] < mean ? mean - q[j] : q[j] - mean);
  const uint64_t distance = (uint64_t)(sum < 0 ? -sum : sum);
  return (ac_group_stats){(int32_t)mean, magnitude, 4 * distance <= about_zero ? about_zero : about_mean};
}

static void test_statistics(uint32_t n, unsigned group) {
  const unsigned bits = below(31), kind = below(4);
  DOING("statistics n=%u group=%u bits=%u kind=%u", n, group, bits, kind);
  int32_t *q = take(Q, 0, 4 * (size_t)n);
  const int32_t most = 1 << bits; /* up to AC_QMAX */
  for (uint32_t i = 0; i < n; i++) {
    const int32_t v = (int32_t)below(2 * (uint32_t)most + 1) - most;
    q[i] = kind == 0 ? v : kind == 1 ? most : kind == 2 ? -most : v < 0 ? -most : most - (v & 1);
  }
  const uint32_t n_groups = ac_groups(n, group);
  ac_group_stats *expected = take(STATS, 0, n_groups * sizeof *expected);
  for (uint32_t g = 0; g < n_groups; g++)
    expected[g] = define_stats(q + g * group, g + 1 < n_groups ? group : n - g * group);
  add_to_hash(expected, n_groups * sizeof *expected);
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    ac_group_stats *stats = take(STATS, 1, n_groups * sizeof *stats);
    active->statistics(q, n, group, stats);
    check_margin(STATS, 1);
    same("stats", expected, stats, n_groups * sizeof *stats);
  }
}

static int quantize_one(int in, const void *x, uint32_t i, const ac_lattice *l, int32_t *q) {
  switch (in) {
    case AC_OUT_F32: return ac_quantize_f32(((const float *)x)[i], l, q);
    case AC_OUT_F64: return ac_quantize_f64(((const double *)x)[i], l, q);
    case AC_OUT_F16: return ac_quantize_f16(((const uint16_t *)x)[i], l, q);
    default: return ac_quantize_bf16(((const uint16_t *)x)[i], l, q);
  }
}

static void reconstruct(int out, int32_t q, double delta, void *value) {
  const float f = ac_reconstruct_f32(q, delta);
  const double d = ac_reconstruct_f64(q, delta);
  const uint16_t h = out == AC_OUT_F16 ? ac_reconstruct_f16(q, delta) : ac_reconstruct_bf16(q, delta);
  if (out == AC_OUT_F32) memcpy(value, &f, sizeof f);
  else if (out == AC_OUT_F64) memcpy(value, &d, sizeof d);
  else if (out == AC_OUT_I32) memcpy(value, &q, sizeof q);
  else memcpy(value, &h, sizeof h);
}

static const int IN_TYPES[AC_INS] = {AC_FLOAT32, AC_FLOAT64, AC_FLOAT16, AC_BFLOAT16};
static const char *const OUT_NAMES[AC_OUTS] = {"float32", "float64", "float16", "bfloat16", "int32"};
static const uint8_t OUT_SIZES[AC_OUTS] = {4, 8, 2, 2, 4};
static uint64_t n_edges, n_exact, n_quantized; /* to see that all cases are met */

/* What the definition says of n values: fills in copy 0 of the outputs, returns how many are refused. */
static uint32_t define_quantize(int in, const void *x, uint32_t n, const ac_lattice *l, unsigned group) {
  const uint32_t n_groups = ac_groups(n, group);
  int32_t *q = take(Q, 0, 4 * (size_t)n);
  ac_group_stats *stats = take(STATS, 0, n_groups * sizeof *stats);
  uint32_t *refused = take(REFUSED, 0, 4 * (size_t)n), n_refused = 0;
  for (uint32_t first = 0; first < n; first += group, stats++) {
    const uint32_t m = n - first < group ? n - first : group, before = n_refused;
    int forget = 1;
    for (uint32_t i = first; i < first + m; i++) {
      if (quantize_one(in, x, i, l, &q[i])) continue;
      uint8_t back[8], edge[8];
      reconstruct(in, q[i], l->delta, back);
      const int is_edge = in != AC_OUT_F64 && q[i] && ac_edge(IN_TYPES[in], back, l->delta, edge) &&
                          !memcmp(edge, (const uint8_t *)x + (size_t)i * OUT_SIZES[in], OUT_SIZES[in]);
      refused[n_refused++] = i | (is_edge ? AC_EDGE : 0);
      if (!is_edge) q[i] = i ? q[i - 1] : 0;
      forget &= !is_edge;
      n_edges += (unsigned)is_edge;
      n_exact += !is_edge;
    }
    if (n_refused - before == m && forget) memset(q + first, 0, m * sizeof *q);
    *stats = define_stats(q + first, m);
  }
  n_quantized += n - n_refused;
  return n_refused;
}

/* The values stand in VALUES. */
static void check_quantize(int in, uint32_t n, unsigned group, double tol) {
  const int dtype = IN_TYPES[in];
  const double delta = ac_lattice_delta(dtype, tol);
  const ac_lattice lattice = ac_lattice_make(dtype, tol, delta);
  const uint32_t n_groups = ac_groups(n, group);
  const void *x = buffers[VALUES][0].data;
  active = NULL;
  const uint32_t expected = define_quantize(in, x, n, &lattice, group);
  add_to_hash(buffers[Q][0].data, 4 * (size_t)n);
  add_to_hash(buffers[STATS][0].data, n_groups * sizeof(ac_group_stats));
  add_to_hash(buffers[REFUSED][0].data, 4 * (size_t)expected);
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    int32_t *q = take(Q, 1, 4 * (size_t)n);
    ac_group_stats *stats = take(STATS, 1, n_groups * sizeof *stats);
    uint32_t *refused = take(REFUSED, 1, 4 * (size_t)n);
    const uint32_t n_refused = active->quantize[in](x, n, &lattice, group, q, stats, refused);
    for (unsigned b = Q; b <= REFUSED; b++) check_margin(b, 1);
    equal("number of refused values", expected, n_refused);
    same("q", buffers[Q][0].data, q, 4 * (size_t)n);
    same("stats", buffers[STATS][0].data, stats, n_groups * sizeof *stats);
    same("refused", buffers[REFUSED][0].data, refused, 4 * (size_t)n_refused);
  }
}

static void test_quantize(int in, uint32_t n, unsigned group, unsigned kind, double tol) {
  DOING("quantize %s n=%u group=%u kind=%u tol=%g", OUT_NAMES[in], n, group, kind, tol);
  void *x = take(VALUES, 0, (size_t)n * OUT_SIZES[in]);
  make_values(ac_type_of(IN_TYPES[in]), x, n, kind, ac_lattice_delta(IN_TYPES[in], tol));
  check_quantize(in, n, group, tol);
  test_count((const int32_t *)buffers[Q][0].data, n, group);
}

/* Every number of 16 bits there is; scattered, so that common and rare ones meet in a vector, or in order. */
static void test_all_16_bits(int in, unsigned group, double tol, int scattered) {
  DOING("all of %s, group=%u tol=%g scattered=%d", OUT_NAMES[in], group, tol, scattered);
  uint16_t *x = take(VALUES, 0, 2u << 16);
  for (uint32_t i = 0; i < 1u << 16; i++) x[i] = (uint16_t)(scattered ? i * 40503u : i);
  check_quantize(in, 1u << 16, group, tol);
}

/* ---- wide integers ---- */
static int64_t define_wide(int image, unsigned size, unsigned shift, uint64_t bits) {
  const unsigned width = 8 * size;
  const int negative = bits >> (width - 1) & 1;
  const uint64_t left = bits >> shift, magnitude = left & ((1ull << (width - 1 - shift)) - 1);
  switch (image) {
    case AC_IMAGE_SIGNED: return (int64_t)(negative && width < 64 ? bits | ~0ull << width : bits) >> shift;
    case AC_IMAGE_UNSIGNED: return (int64_t)left;
    case AC_IMAGE_ORDERED: return negative ? -1 - (int64_t)magnitude : (int64_t)magnitude;
    default: return (int64_t)(2 * magnitude + (unsigned)negative);
  }
}

static void test_images(int image, unsigned size, unsigned shift, uint32_t n) {
  DOING("wide integers image=%d size=%u shift=%u n=%u", image, size, shift, n);
  uint8_t *x = take(VALUES, 0, (size_t)n * size);
  int64_t *expected = take(WIDE, 0, 8 * (size_t)n);
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t any = rnd64(), shape = below(4);
    uint64_t bits = shape == 0 ? any : shape == 1 ? any & 0xff : shape == 2 ? 0 - (any & 0xff) : 1ull << (any & 63);
    bits = (size < 8 ? bits & ((1ull << (8 * size)) - 1) : bits) >> shift << shift;
    memcpy(x + (size_t)i * size, &bits, size);
    expected[i] = define_wide(image, size, shift, bits);
  }
  add_to_hash(expected, 8 * (size_t)n);
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    int64_t *wide = take(WIDE, 1, 8 * (size_t)n);
    active->to_wide(image, size, shift, x, n, wide);
    check_margin(WIDE, 1);
    same("wide integers", expected, wide, 8 * (size_t)n);
    void *back = take(OUT, 1, (size_t)n * size);
    active->from_wide(image, size, shift, wide, n, back);
    check_margin(OUT, 1);
    same("elements", x, back, (size_t)n * size);
  }
  /* a hostile chunk has any of them */
  int64_t *any = take(WIDE, 0, 8 * (size_t)n);
  for (uint32_t i = 0; i < n; i++) any[i] = (int64_t)rnd64();
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    int64_t least, most;
    active->extent(any, n, &least, &most);
    for (uint32_t i = 0, low = 0, high = 0; i < n; i++) {
      low |= any[i] == least;
      high |= any[i] == most;
      if (any[i] < least || any[i] > most || (i == n - 1 && !(low && high))) fail("extent", i);
    }
    void *out = take(OUT, t > 0, (size_t)n * size);
    active->from_wide(image, size, shift, any, n, out);
    check_margin(OUT, t > 0);
    if (t) same("elements of any integers", buffers[OUT][0].data, out, (size_t)n * size);
    else add_to_hash(out, (size_t)n * size);
  }
}

static void test_divide(unsigned bytes, uint32_t n) {
  DOING("low bytes=%u n=%u", bytes, n);
  const size_t plane = n + below(40), low_size = bytes ? (bytes - 1) * plane + n : 0;
  const int64_t base = below(4) ? (int64_t)rnd64() : 0;
  int64_t *wide = take(WIDE, 0, 8 * (size_t)n);
  int32_t *high = take(HIGH, 0, 4 * (size_t)n);
  uint8_t *low = take(LOW, 0, low_size);
  memset(low, PATTERN, low_size); /* between the planes, too */
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t rest = rnd64();
    const int small = rnd() & 1;
    /* the high part as wide - base permits it */
    const int32_t h = (int32_t)rnd() >> (small || 8 * bytes + 32 > 64 ? 24 : 0);
    high[i] = h;
    uint64_t value = (uint64_t)(int64_t)h << (8 * bytes);
    for (unsigned j = 0; j < bytes; j++) {
      low[j * plane + i] = (uint8_t)(rest >> (8 * j));
      value |= (uint64_t)low[j * plane + i] << (8 * j);
    }
    wide[i] = (int64_t)(value + (uint64_t)base);
  }
  add_to_hash(wide, 8 * (size_t)n);
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    int32_t *high_parts = take(HIGH, 1, 4 * (size_t)n);
    uint8_t *planes = take(LOW, 1, low_size);
    memset(planes, PATTERN, low_size);
    active->divide(wide, n, base, bytes, high_parts, planes, plane);
    check_margin(HIGH, 1);
    check_margin(LOW, 1);
    same("high parts", high, high_parts, 4 * (size_t)n);
    same("low bytes", low, planes, low_size);
    int64_t *joined = take(WIDE, 1, 8 * (size_t)n);
    active->join(high, low, plane, n, base, bytes, joined);
    check_margin(WIDE, 1);
    same("joined", wide, joined, 8 * (size_t)n);
  }
}

/* ---- split, encode, decode ---- */
enum { ANY_WINDOW, NO_RAW, FEW_RAW, IN_FLOAT, ONE_TOKEN, N_FLAVOURS };

static void make_class(ac_class *c, unsigned P, unsigned flavour, int images) {
  static const uint8_t most_raw[N_FLAVOURS] = {AC_MAX_RAW_BITS, 0, 10, 17, AC_MAX_RAW_BITS};
  memset(c, 0, sizeof *c);
  c->k = (uint8_t)below(most_raw[flavour] + 1u);
  c->n_tokens = (uint8_t)(2 + below(rnd() & 1 ? 6 : AC_MAX_TOKENS - 1));
  if (flavour == ONE_TOKEN || !below(8)) c->n_tokens = 1;
  int64_t reach = flavour == ANY_WINDOW ? (int64_t)1 << 31 : 1 << 24;
  if (images && below(4)) {
    c->image = (uint8_t)(1 + below(AC_MAX_IMAGE));
    const int64_t most = (int64_t)(32 - c->image) << c->image; /* whose image is 2^31 */
    reach = most < reach ? most : reach;
    while ((int64_t)c->n_tokens << c->k > 2 * reach) c->k--;
  }
  const int64_t size = (int64_t)c->n_tokens << c->k;
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

/* Some groups, then the others; `states` are where the lanes must end. */
static int decode_in_two(const ac_coded *coded, int output, uint8_t *out, uint32_t first, const uint32_t *states) {
  ac_cursor at;
  memset(&at, 0, sizeof at);
  int error = ac_cursor_open(coded, &at);
  if (!error && first) error = active->decode[output](coded, &at, 0, first, out);
  if (!error && first < coded->n) error = active->decode[output](coded, &at, first, coded->n, out);
  if (!error) error = ac_cursor_close(coded, &at);
  if (error || coded->words == coded->words_end) return error;
  return memcmp(at.x, states, 4 * (size_t)coded->windows->lanes) ? AC_E_FORMAT : AC_OK;
}

static void run_decoders(const ac_coded *coded, const uint32_t *states, int expect_ok) {
  const uint32_t group = coded->windows->group;
  const uint32_t some = rnd() & 1 ? 0 : group * below(coded->n / group + 1);
  for (int output = AC_OUT_F32; output < AC_OUTS; output++) {
    const size_t item = OUT_SIZES[output], size = coded->n * item;
    int expected = AC_OK;
    for (unsigned t = 0; t < n_tables; t++) {
      active = tables[t];
      uint8_t *out = take(OUT, t > 0, size);
      const int error = decode_in_two(coded, output, out, some, states);
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
        uint8_t value[8];
        reconstruct(output, q[i], coded->delta, value);
        if (memcmp(value, out + i * item, item)) fail("wrong value", i);
      }
    }
  }
}

/* An image as it is defined. */
static int64_t expand(int64_t u, unsigned m) {
  const int64_t a = u < 0 ? -u : u, e = (a >> m) - 1;
  const int64_t v = a < (int64_t)2 << m ? a : (a - (e << m)) * ((int64_t)1 << e);
  return u < 0 ? -v : v;
}

static void test_class_images(uint32_t n, unsigned group) {
  const unsigned image = 1 + below(AC_MAX_IMAGE);
  DOING("class images n=%u group=%u image=%u", n, group, image);
  int32_t *u = take(HIGH, 0, 4 * (size_t)n), *q = take(Q, 0, 4 * (size_t)n);
  const uint32_t n_groups = ac_groups(n, group), most = (31 - image) << image; /* stands for AC_QMAX */
  uint8_t *expected = take(TOKENS, 0, n_groups);
  memset(expected, 0, n_groups);
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t any = below(most + 1), shift = below(31), zeros = below(20);
    const uint32_t large = shift ? any >> shift : most, a = i / group % 3 == 1 ? large >> zeros << zeros : large;
    u[i] = rnd() & 1 ? (int32_t)a : -(int32_t)a;
    q[i] = (int32_t)expand(u[i], image);
    if (q[i] != ac_expand(u[i], image) || u[i] != ac_image(q[i], image)) fail("image", i);
    const uint32_t v = (uint32_t)(q[i] < 0 ? -q[i] : q[i]);
    const unsigned need = v ? 31 - (unsigned)__builtin_clz(v) - (unsigned)__builtin_ctz(v) : 0;
    if (need > expected[i / group]) expected[i / group] = (uint8_t)need;
  }
  add_to_hash(q, 4 * (size_t)n);
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    uint8_t *need = take(TOKENS, 1, n_groups);
    active->significand(q, n, group, need);
    check_margin(TOKENS, 1);
    same("significant bits", expected, need, n_groups);
    int32_t *images = take(Q, 1, 4 * (size_t)n);
    memcpy(images, q, 4 * (size_t)n);
    active->to_image(images, n, image);
    check_margin(Q, 1);
    same("images", u, images, 4 * (size_t)n);
  }
}

static void test_coding(uint32_t n, unsigned group, unsigned lanes, unsigned P, unsigned n_classes, unsigned flavour,
                        unsigned outside_every) {
  const int images = !below(3);
  DOING("coding n=%u group=%u lanes=%u prob_bits=%u classes=%u flavour=%u images=%d outside=%u", n, group, lanes, P,
        n_classes, flavour, images, outside_every);
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
    make_class(&w.classes[c], P, flavour, images);
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

  uint32_t states[AC_MAX_LANES];
  const int payload = rnd() & 1;
  for (unsigned j = 0; j < lanes; j++) states[j] = AC_STATE_MIN | (payload ? rnd() & 0xffff : 0);
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
        active->encode(&w, classes, n, tokens, (const ac_symbol(*)[AC_MAX_TOKENS])symbols, states, words_start + room);
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
  for (uint32_t i = 0; i < n; i++) {
    const unsigned image = w.classes[classes[i / group]].image;
    if (image) q[i] = (int32_t)expand(q[i], image);
  }
  if (!has_tokens) words_size = 0;
  uint8_t *data = take(CODED, 0, raw_size + words_size);
  memcpy(data, buffers[RAW][0].data, raw_size);
  memcpy(data + raw_size, words[0], words_size);
  const double mantissa = 1 + 0.5 * uniform(), delta = (double)(float)(power((int)below(40) - 30) * mantissa);
  ac_coded coded = {&w, classes, n, entries, data, data + raw_size, data + raw_size + words_size, delta};
  run_decoders(&coded, states, 1);
  if (!words_size) return;

  /* damaged words, and fewer of them: the same error, and nothing read outside */
  DOING("damaged words n=%u group=%u lanes=%u prob_bits=%u classes=%u flavour=%u", n, group, lanes, P, n_classes,
        flavour);
  for (unsigned i = 0; i < 4; i++) {
    const uint8_t bit = (uint8_t)(1u << below(8));
    data[raw_size + below((uint32_t)words_size)] ^= bit;
  }
  run_decoders(&coded, states, 0);
  const size_t states_size = 4 * (size_t)lanes;
  for (unsigned i = 0; i < 3; i++) {
    /* about as many as a group takes where every value takes one: its states are low, and its words zeros */
    const size_t most = (words_size - states_size) / 2, some = i ? group + below(33) : below(1 + (uint32_t)most);
    const size_t size = states_size + 2 * (some < most ? some : most);
    uint8_t *shorter = take(CODED, 1, raw_size + size);
    memcpy(shorter, buffers[RAW][0].data, raw_size);
    memcpy(shorter + raw_size, words[0], size);
    if (i) memset(shorter + raw_size + states_size, 0, size - states_size);
    for (unsigned j = 0; i && j < lanes; j++) ac_store32(shorter + raw_size + 4 * j, AC_STATE_MIN | (rnd() & 0xffff));
    coded.raw = shorter;
    coded.words = shorter + raw_size;
    coded.words_end = coded.words + size;
    run_decoders(&coded, states, 0);
  }
}

/* ---- affine lattices ---- */
static double make_parameter(int single, double missing) {
  const double u = uniform(), v = (u < 0 ? u - 1 : u + 1) * power((int)below(60) - 30);
  return below(3) ? (single ? (double)(float)v : v) : missing;
}

/* Every operation by itself: volatile, so that nothing is contracted or left out. */
static void define_affine(const ac_affine *l, unsigned size, int32_t r, void *x) {
  const int32_t k = (int32_t)((uint32_t)r + (uint32_t)l->base);
  volatile double d = (double)k;
  volatile float f = (float)k;
  d = d / l->divisor;
  f = f / (float)l->divisor;
  d = d * l->scale;
  f = f * (float)l->scale;
  d = d + l->offset;
  f = f + (float)l->offset;
  d = d * l->factor;
  f = f * (float)l->factor;
  if (size == 8) {
    const double value = l->single ? (double)f : d;
    memcpy(x, &value, sizeof value);
  } else {
    const float value = l->single ? f : (float)d;
    memcpy(x, &value, sizeof value);
  }
}

static void test_affine(uint32_t n, int single, unsigned size) {
  DOING("affine n=%u single=%d size=%u", n, single, size);
  ac_affine l = {(uint8_t)single, (int32_t)rnd(), 1, 1, -0.0, 1};
  if (rnd() & 1) l.base >>= 20;
  l.divisor = make_parameter(single, 1);
  l.scale = make_parameter(single, 1);
  l.offset = make_parameter(single, -0.0);
  l.factor = make_parameter(single, 1);
  int32_t *r = take(Q, 0, 4 * (size_t)n);
  const unsigned shift = below(32);
  for (uint32_t i = 0; i < n; i++) r[i] = (int32_t)rnd() >> shift;
  uint8_t *expected = take(OUT, 0, (size_t)n * size);
  for (uint32_t i = 0; i < n; i++) define_affine(&l, size, r[i], expected + (size_t)i * size);
  add_to_hash(expected, (size_t)n * size);
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    void *x = take(OUT, 1, (size_t)n * size);
    active->affine(&l, size, r, n, x);
    check_margin(OUT, 1);
    same("values", expected, x, (size_t)n * size);
  }
}

/* ---- rows of prediction ---- */
/* A row of any alignment: buffers at an end have it anyhow.  (Nothing is drawn here, as there are more tables on some
 * machines.) */
static uint32_t alignment;
static void *take_row(unsigned which, unsigned copy, size_t size, size_t item) {
  const size_t offset = at_start ? alignment * (2 * which + 1) % 64 / item * item : 0;
  return (uint8_t *)take(which, copy, size + offset) + offset;
}

static int32_t *make_row(unsigned which, uint32_t n) {
  static const int32_t rare[] = {INT32_MIN, INT32_MAX, INT32_MIN + 1, -1, 0, 1, 1 << 30, -(1 << 30)};
  const unsigned shift = below(32), shape = below(4);
  int32_t *row = take_row(which, 0, 4 * (size_t)n, 4);
  for (uint32_t i = 0; i < n; i++) {
    const int32_t any = (int32_t)rnd();
    row[i] = shape ? any >> shift : rare[any & 7];
  }
  return row;
}

static void start_with(void *out, const void *before, size_t size) {
  if (before) memcpy(out, before, size);
}

/* A kernel by all tables, on `size` bytes in OUT that are those at `before`, if any, to begin with. */
#define ON_EVERY_TABLE(name, size, before, ...)                  \
  for (unsigned t = 0; t < n_tables; t++) {                      \
    active = tables[t];                                          \
    void *const out = take(OUT, t > 0, size);                    \
    start_with(out, before, size);                               \
    active->__VA_ARGS__;                                         \
    check_margin(OUT, t > 0);                                    \
    if (t) same(name, buffers[OUT][0].data, out, size);          \
    else add_to_hash(out, size);                                 \
  }

/* Floats as integers, and what these leave out, and back: what is neither small nor subnormal comes back. */
static void test_parts(uint32_t n, unsigned size) {
  const int wide = size == 8, most = wide ? 100 : 30, shift = (int)below(2 * (unsigned)most) - most, significand = wide ? 52 : 23;
  DOING("parts n=%u size=%u shift=%d", n, size, shift);
  uint8_t *const x = take(VALUES, 0, (size_t)n * size);
  for (uint32_t i = 0; i < n; i++) {
    const double u = uniform();
    double v = u * power(shift + (int)below(30));
    const float f = (float)v;
    if (!below(8)) v = (double)f;
    if (!below(16)) v = 0;
    if (wide) memcpy(x + 8 * (size_t)i, &v, 8);
    else memcpy(x + 4 * (size_t)i, &f, 4);
    if (!below(16)) x[(i + 1) * (size_t)size - 1] ^= 0x80;
  }
  const size_t room = 16 * (size_t)n; /* of bits left out, integers, and what is lost */
  ON_EVERY_TABLE("part", room, NULL, part[wide](x, shift, n, (int32_t *)out + 2 * (size_t)n, out, (uint8_t *)out + 12 * (size_t)n))
  const uint64_t *const bits = (const uint64_t *)(const void *)buffers[OUT][0].data;
  int32_t *const k = take(ROW, 0, 4 * (size_t)n);
  memcpy(k, bits + n, 4 * (size_t)n);
  uint64_t *const left = take(ROW + 1, 0, 8 * (size_t)n);
  memcpy(left, bits, 8 * (size_t)n);
  uint8_t *const lost = take(ROW + 2, 0, n);
  memcpy(lost, (const uint8_t *)bits + 12 * (size_t)n, n);
  for (uint32_t i = 0; i < n; i++) { /* and some that no float has */
    if (below(32)) continue;
    k[i] = (int32_t)rnd();
    left[i] = 0;
  }
  ON_EVERY_TABLE("widths", n, NULL, widths(k, (unsigned)significand, n, out))
  uint8_t *const width = take(ROW + 3, 0, n);
  memcpy(width, buffers[OUT][0].data, n);
  uint64_t all = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t a = k[i] < 0 ? 0u - (uint32_t)k[i] : (uint32_t)k[i];
    const int e = (int)ac_bit_length(a) - 1;
    if (width[i] != (a == 0 || e > significand ? 0 : significand - e)) fail("width", i);
    left[i] &= (1ull << width[i]) - 1;
    all += width[i];
  }
  ON_EVERY_TABLE("unpart", (size_t)n * size, NULL, unpart[wide](k, left, width, shift, n, out))
  for (uint32_t i = 0; i < n; i++) {
    uint64_t is = 0, was = 0;
    memcpy(&is, buffers[OUT][0].data + (size_t)i * size, size);
    memcpy(&was, x + (size_t)i * size, size);
    if (lost[i] || !k[i] || k[i] >= 1 << 30 || k[i] <= -(1 << 30)) continue;
    const double v = wide ? *(double *)(void *)(x + 8 * (size_t)i) : (double)*(float *)(void *)(x + 4 * (size_t)i);
    if (fabs(v) < power(shift) || k[i] != (int32_t)(v / power(shift))) continue; /* another one */
    if (is != was) fail("not the value that was split", i);
  }

  const uint64_t first = below(8);
  uint8_t *const packed = take(CODED, 0, (size_t)((first + all) / 8 + 9));
  memset(packed, 0xa5, (size_t)((first + all) / 8 + 9));
  uint64_t at = first;
  for (uint32_t i = 0; i < n; i++)
    for (unsigned b = 0; b < width[i]; b++, at++) {
      const uint8_t bit = (uint8_t)(1u << (at & 7));
      packed[at / 8] = (uint8_t)(left[i] >> b & 1 ? packed[at / 8] | bit : packed[at / 8] & ~bit);
    }
  ON_EVERY_TABLE("fields", 8 * (size_t)n, NULL, fields(packed, first, width, n, out))
  for (uint32_t i = 0; i < n; i++)
    if (((const uint64_t *)(const void *)buffers[OUT][0].data)[i] != left[i]) fail("field", i);
}

static void test_rows(uint32_t n) {
  DOING("rows n=%u", n);
  const int32_t *const a = make_row(ROW, n), *const b = make_row(ROW + 1, n), *const c = make_row(ROW + 2, n);
  const int32_t *const d = make_row(ROW + 3, n);
  const size_t size = 4 * (size_t)n;
  const unsigned to_q = below(17), to_s = below(17), trust = below(5), damping = below(5), weight = below(5), shift = below(5);
  static const uint8_t units[] = {1, 3, 5, 9, 17};
  const unsigned unit = units[below(sizeof units)];
  ON_EVERY_TABLE("midpoint", size, NULL, midpoint(a, b, n, out))
  ON_EVERY_TABLE("cubic", size, NULL, cubic(a, b, c, d, n, out))
  ON_EVERY_TABLE("blend of two", size, a, blend(out, b, NULL, to_q, 0, n))
  ON_EVERY_TABLE("blend of three", size, a, blend(out, b, c, to_q, to_s, n))
  ON_EVERY_TABLE("refer", size, a, refer(out, b, c, trust, damping, shift, n))
  ON_EVERY_TABLE("follow", size, a, follow(out, b, weight, shift, n))
  ON_EVERY_TABLE("sum", size, a, accumulate(out, b, 1, n))
  ON_EVERY_TABLE("difference", size, a, accumulate(out, b, -1, n))
  const int32_t *const some[] = {b, c, d};
  const uint64_t some_bits = rnd64();
  const int16_t weights[] = {(int16_t)some_bits, (int16_t)(some_bits >> 16 & 1 ? 0 : some_bits >> 52), (int16_t)(some_bits >> 32)};
  const unsigned n_some = 1 + below(3), weight_shift = 1 + below(12);
  ON_EVERY_TABLE("stencil", size, NULL, stencil(a, some, weights, n_some, weight_shift, n, out))
  for (uint32_t i = 0; i < n; i++) {
    uint32_t weighted = 1u << (weight_shift - 1);
    for (unsigned k = 0; k < n_some; k++) weighted += (uint32_t)weights[k] * ((uint32_t)some[k][i] - (uint32_t)a[i]);
    if (((const int32_t *)(const void *)buffers[OUT][0].data)[i] != (int32_t)weighted >> weight_shift) fail("stencil", i);
  }
  ON_EVERY_TABLE("advance", size, NULL, advance(a, b, unit, n, out))
  ON_EVERY_TABLE("advance in place", size, b, advance(a, out, unit, n, out))

  DOING("units n=%u unit=%u", n, unit);
  ON_EVERY_TABLE("units", 2 * size, NULL, by_units(a, b, unit, n, out, (int32_t *)out + n))
  const int32_t *const v = (const int32_t *)(const void *)buffers[OUT][0].data, *const r = v + n;
  for (uint32_t i = 0; i < n; i++) {
    const int64_t left = (int32_t)((uint32_t)a[i] - (uint32_t)b[i]) - (int64_t)unit * v[i];
    if (2 * (left < 0 ? -left : left) >= unit) fail("residual", i);
    if ((uint32_t)r[i] != (uint32_t)b[i] + unit * (uint32_t)v[i]) fail("what a residual makes", i);
  }
  uint32_t price = 0;
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    const uint32_t found = active->price(a, b, unit, n);
    if (t) equal("price", price, found);
    price = found;
  }
  add_to_hash(&price, sizeof price);

  const uint32_t distance = 1 + below(rnd() & 1 ? 5 : 70);
  DOING("sums n=%u distance=%u", n, distance);
  ON_EVERY_TABLE("sums", size, a, sums(out, n, distance))
  const uint32_t *const sum = (const uint32_t *)(const void *)buffers[OUT][0].data;
  for (uint32_t i = 0; i < n; i++)
    if (sum[i] != (uint32_t)a[i] + (i < distance ? 0 : sum[i - distance])) fail("sums", i);

  DOING("differences n=%u distance=%u", n, distance);
  ON_EVERY_TABLE("differences", size, a, differences(out, n, distance))
  const uint32_t *const difference = (const uint32_t *)(const void *)buffers[OUT][0].data;
  for (uint32_t i = 0; i < n; i++)
    if (difference[i] != (uint32_t)a[i] - (i < distance ? 0 : (uint32_t)a[i - distance])) fail("differences", i);

  ac_linear linear = {.order = (uint8_t)(1 + below(AC_MAX_TAPS)), .shift = (uint8_t)(1 + below(AC_MAX_TAP_SHIFT))};
  for (unsigned j = 0; j < linear.order; j++) linear.tap[j] = (int32_t)below(1u << AC_MAX_TAP_BITS) - (1 << (AC_MAX_TAP_BITS - 1));
  if (n > linear.order) {
    const uint32_t order = linear.order, rest = n - order;
    DOING("linear n=%u order=%u shift=%u unit=%u", n, order, linear.shift, unit);
    ON_EVERY_TABLE("foresee", size, a, foresee(&linear, a + order, rest, (int32_t *)out + order))
    const int32_t *const found = (const int32_t *)(const void *)buffers[OUT][0].data;
    for (uint32_t i = order; i < n; i++)
      if ((uint32_t)found[i] != (uint32_t)a[i] - (uint32_t)ac_linear_predict(&linear, a, i, 1)) fail("foresee", i);
    ON_EVERY_TABLE("recur", size, a, recur(&linear, unit, rest, (int32_t *)out + order))
    for (uint32_t i = order; i < n; i++)
      if ((uint32_t)found[i] != unit * (uint32_t)a[i] + (uint32_t)ac_linear_predict(&linear, found, i, 1)) fail("recur", i);
  }

  const unsigned places = below(32);
  DOING("magnitudes n=%u shift=%u", n, places);
  ON_EVERY_TABLE("magnitudes", n, NULL, magnitudes(a, n, places, out))
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t magnitude = (uint64_t)(a[i] < 0 ? -(int64_t)a[i] : a[i]) >> places;
    if (buffers[OUT][0].data[i] != (magnitude < 255 ? magnitude : 255)) fail("magnitude", i);
  }
}

/* Contexts of which some are left out, and values back between zeros. */
static void test_pack(uint32_t n) {
  const unsigned set = below(1 << 16), flagged = below(3), rare = below(4) ? 8 : 1;
  DOING("pack n=%u set=%x flagged=%u", n, set, flagged);
  uint8_t *const context = take_row(HIGH, 0, n, 1), *const flags = take_row(LOW, 0, n, 1);
  for (uint32_t i = 0; i < n; i++) {
    context[i] = (uint8_t)below(16);
    flags[i] = !below(rare);
  }
  const size_t size = n + AC_PACK_SLACK;
  uint64_t keep[2][AC_PACK_MOST / 64];
  uint32_t found = 0;
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    uint8_t *const some = take(OUT, t > 0, size);
    found = active->pack(context, flagged ? flags : NULL, set, n, some, keep[t > 0]);
    check_margin(OUT, t > 0);
    for (uint32_t i = 0, m = 0; i < n; i++) {
      const int here = (set >> context[i] & 1) && !(flagged && flags[i]);
      if ((keep[t > 0][i / 64] >> (i & 63) & 1) != (unsigned)here) fail("kept", i);
      if (here && some[m++] != context[i]) fail("packed", i);
      if (i + 1 == n && m != found) fail("number of packed", m);
    }
  }
  if (n & 63 && keep[0][n / 64] >> (n & 63)) fail("kept beyond the end", n);
  int32_t *const values = make_row(ROW, n + AC_PACK_SLACK);
  ON_EVERY_TABLE("unpacked", 4 * (size_t)n, NULL, unpack(values, keep[0], n, out))
  const int32_t *const v = (const int32_t *)(const void *)buffers[OUT][0].data;
  for (uint32_t i = 0, m = 0; i < n; i++) {
    const int here = (int)(keep[0][i / 64] >> (i & 63) & 1);
    if (v[i] != (here ? values[m] : 0)) fail("unpacked", i);
    m += (uint32_t)here;
  }
}

/* Of one to five bytes: by the definition, one at a time; 0 if there are none. */
static size_t define_varints(const uint8_t *p, size_t size, uint32_t n, int32_t *q) {
  size_t at = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t z = 0;
    unsigned m = 0;
    do {
      if (at == size || m == AC_VARINT_MOST) return 0;
      z |= (uint64_t)(p[at] & 127) << (7 * m++);
    } while (p[at++] & 128);
    if (z >> 32 || (m > 1 && !p[at - 1])) return 0;
    q[i] = (int32_t)ac_unzigzag(z);
  }
  return at;
}

/* n of them in the first `size` bytes of `stream`; returns how many bytes they take, or 0. */
static uint64_t n_varints, n_no_varints;
static size_t read_varints_of(const uint8_t *stream, size_t size, uint32_t n) {
  int32_t *const defined = take(HIGH, 0, 4 * (size_t)n);
  const size_t expected = define_varints(stream, size, n, defined);
  *(expected ? &n_varints : &n_no_varints) += 1;
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    uint8_t *const p = take(CODED, 0, size);
    if (size) memcpy(p, stream, size);
    int32_t *const q = take(OUT, 0, 4 * (size_t)n);
    const uint8_t *const end = active->read_varints(p, p + size, n, q);
    check_margin(OUT, 0);
    equal("end of what is read", expected, end ? (size_t)(end - p) : 0);
    if (expected) same("what is read", defined, q, 4 * (size_t)n);
  }
  return expected;
}

/* Integers to varints and back; and what is cut off anywhere, or damaged. */
static void test_varints(uint32_t n) {
  const unsigned least = below(4) ? 5 + below(24) : below(32), mixed = below(3), damaged = 12;
  DOING("varints n=%u least=%u mixed=%u", n, least, mixed);
  int32_t *const q = take_row(ROW, 0, 4 * (size_t)n, 4);
  for (uint32_t i = 0; i < n; i++) {
    const int32_t any = (int32_t)rnd();
    q[i] = any >> (mixed ? least + below(32 - least) : least);
    if (mixed == 2 && !below(64)) q[i] = any;
  }
  size_t size = 0;
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    uint8_t *const p = take(CODED, t > 0, AC_VARINT_MOST * (size_t)n);
    const size_t got = (size_t)(active->write_varints(q, n, p) - p);
    check_margin(CODED, t > 0);
    if (t) equal("size of what is written", size, got);
    size = got;
    if (t) same("what is written", buffers[CODED][0].data, p, size);
    else add_to_hash(p, size);
  }
  enum { BEHIND = 80 };
  uint8_t *const written = take(RAW, 0, size), *const stream = take(WORDS, 0, size + BEHIND);
  memcpy(written, buffers[CODED][0].data, size);
  memcpy(stream, written, size);
  for (size_t i = 0; i < BEHIND; i++) stream[size + i] = (uint8_t)rnd(); /* anything may follow */
  equal("size of all", size, read_varints_of(stream, size, n));
  same("integers", q, buffers[OUT][0].data, 4 * (size_t)n);
  equal("size of the first", size, read_varints_of(stream, size + below(BEHIND + 1), n));
  for (size_t i = 0; i < BEHIND; i++) /* cut off: at many places near the end, and anywhere */
    read_varints_of(stream, i < size && i < 72 ? size - 1 - i : below((uint32_t)size), n);
  for (unsigned i = 0; i < damaged; i++) {
    memcpy(stream, written, size);
    for (uint32_t left = 1 + below(3); left; left--) {
      uint8_t *const at = &stream[below((uint32_t)size)];
      switch (below(5)) {
        case 0: *at = 0; break;
        case 1: *at |= 128; break;
        case 2: *at &= 127; break;
        case 3: *at = 128; break;
        default: *at ^= (uint8_t)(1 << below(8));
      }
    }
    read_varints_of(stream, size + below(BEHIND + 1), n);
  }
  memset(stream, 128, size + BEHIND);
  if (read_varints_of(stream, size + BEHIND, n)) fail("no end", n);
}

static void test_scale(uint32_t n) {
  const int out_type = (int)below(AC_INS);
  const double mantissa = 1 + 0.5 * uniform(), step = mantissa * power((int)below(280) - 170);
  DOING("values %s n=%u step=%g", OUT_NAMES[out_type], n, step);
  const int32_t *const r = make_row(ROW, n);
  const size_t item = OUT_SIZES[out_type];
  ON_EVERY_TABLE("values", n * item, NULL, scale[out_type](r, step, n, out))
  for (uint32_t i = 0; i < n; i++) {
    uint8_t value[8];
    reconstruct(out_type, r[i], step, value);
    if (memcmp(value, buffers[OUT][0].data + i * item, item)) fail("value", i);
  }
}

/* Values on and beside lattices. */
static uint64_t n_on_lattices;
static void test_belongs(uint32_t n, int is_double) {
  static const double limits[] = {0x1p30 + 1, 5 << 13, 17 << 11, 1 << 26}, folds[] = {1, 7, 17};
  const unsigned lattices = 1 + below(3), item = is_double ? 8 : 4;
  double step[3], limit[3], delta = (1 + 0.5 * uniform()) * power((int)below(120) - 90);
  if (!is_double) delta = (double)(float)delta;
  DOING("lattices %s n=%u of %u delta=%g", is_double ? "f64" : "f32", n, lattices, delta);
  for (unsigned i = 0; i < 3; i++) {
    step[i] = delta / folds[i];
    limit[i] = limits[i && is_double ? 3 : i];
  }
  uint8_t *const x = take_row(VALUES, 0, (size_t)n * item, item);
  for (uint32_t i = 0; i < n; i++) {
    static const double rare[] = {0, -0.0, INFINITY, -INFINITY, NAN, 1e300, -1e-300, 0x1p51};
    const unsigned which = below(3), places = below(32), kind = below(8);
    const int32_t any = (int32_t)rnd() >> places, ends = (int32_t)limit[which] - 2 + (int32_t)below(4);
    const double u = uniform();
    double value = (kind == 1 ? ends : any) * step[which];
    if (kind == 2) value += u * step[which];
    if (kind == 3) value = rare[any & 7];
    if (is_double) {
      uint64_t bits;
      memcpy(&bits, &value, 8);
      bits += kind == 4 ? below(2) * 2 - 1ull : 0;
      memcpy(x + (size_t)i * 8, &bits, 8);
    } else {
      const float single = (float)value;
      uint32_t bits;
      memcpy(&bits, &single, 4);
      bits += kind == 4 ? below(2) * 2 - 1u : 0;
      memcpy(x + (size_t)i * 4, &bits, 4);
    }
  }
  ON_EVERY_TABLE("lattices", n, NULL, belongs[is_double](x, step, limit, lattices, n, out))
  for (uint32_t i = 0; i < n; i++) {
    unsigned expected = 0;
    float single;
    double value;
    if (is_double) {
      memcpy(&value, x + (size_t)i * 8, 8);
    } else {
      memcpy(&single, x + (size_t)i * 4, 4);
      value = (double)single;
    }
    for (unsigned j = 0; j < lattices; j++) {
      const double r = ac_rint(value * (1 / step[j]));
      if (!(r < limit[j] && r > -limit[j])) continue;
      const double on = is_double ? ac_reconstruct_f64((int32_t)r, step[j]) : (double)ac_reconstruct_f32((int32_t)r, step[j]);
      expected |= (unsigned)(on == value) << j;
    }
    if (buffers[OUT][0].data[i] != expected) fail("lattices of a value", i);
    n_on_lattices += expected > 1;
  }
  /* a glance at one of them misses none */
  const unsigned one = lattices - 1;
  const uint8_t *first = NULL;
  if (!one || step[one] < 0x1p-96) return;
  for (unsigned t = 0; t < n_tables; t++) {
    uint8_t *const suspect = take_row(OUT, t > 0, n, 1);
    memset(suspect, 0, n);
    const uint32_t found = tables[t]->suspects[is_double](x, step[one], n, suspect);
    check_margin(OUT, t > 0);
    uint32_t all = 0;
    for (uint32_t i = 0; i < n; i++) all += suspect[i];
    if (all != found) fail("number of suspects", found);
    if (t) same("suspects", first, suspect, n);
    else first = suspect;
    for (uint32_t i = 0; i < n; i++) {
      double value;
      float single;
      memcpy(&value, x + (size_t)i * item, item);
      memcpy(&single, x + (size_t)i * item, 4);
      if (!is_double) value = (double)single;
      const double r = ac_rint(value * (1 / step[one]));
      if (!(r < limit[one] && r > -limit[one]) || value == 0) continue;
      const double on = is_double ? ac_reconstruct_f64((int32_t)r, step[one]) : (double)ac_reconstruct_f32((int32_t)r, step[one]);
      if (on == value && !suspect[i]) fail("not a suspect", i);
    }
  }
}

/* To halves and back. */
static void test_halves(uint32_t n, unsigned item) {
  DOING("halves n=%u item=%u", n, item);
  const size_t size = (size_t)n * item, odd_size = n / 2 * (size_t)item;
  uint8_t *row = take_row(VALUES, 0, size, item);
  for (size_t i = 0; i < size; i++) row[i] = (uint8_t)rnd();
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    uint8_t *even = take_row(HIGH, 1, size - odd_size, item), *odd = take_row(LOW, 1, odd_size, item);
    if (item == 4) active->deal32((const int32_t *)(void *)row, n, (int32_t *)(void *)even, (int32_t *)(void *)odd);
    else active->deal8(row, n, even, odd);
    check_margin(HIGH, 1);
    check_margin(LOW, 1);
    for (uint32_t i = 0; i < n; i++)
      if (memcmp(row + (size_t)i * item, (i & 1 ? odd : even) + i / 2 * (size_t)item, item)) fail("half", i);
    uint8_t *back = take_row(OUT, 1, size, item);
    if (item == 4) active->zip32((const int32_t *)(void *)even, (const int32_t *)(void *)odd, n, (int32_t *)(void *)back);
    else active->zip8(even, odd, n, back);
    check_margin(OUT, 1);
    same("row", row, back, size);
  }
}

static void test_contexts(uint32_t n) {
  const uint8_t *near[AC_NEAR_MOST];
  const unsigned n_near = below(AC_NEAR_MOST + 1), limits = below(rnd() & 1 ? 9 : AC_LIMITS_MOST + 1), large = rnd() & 1;
  DOING("contexts n=%u near=%u limits=%u", n, n_near, limits);
  uint8_t *weights = take(CLASSES, 0, n_near);
  for (unsigned i = 0, left = 128; i < n_near; i++) { /* sums stay below 2^15 */
    weights[i] = (uint8_t)below(!large ? 128 / AC_NEAR_MOST : left < 128 ? left + 1 : 128);
    left -= weights[i];
    uint8_t *row = take_row(NEAR + i, 0, n, 1);
    const unsigned shift = below(9);
    for (uint32_t j = 0; j < n; j++) row[j] = (uint8_t)((rnd() & 255) >> shift | (shift == 8 ? 255 : 0));
    near[i] = row;
  }
  uint16_t *limit = take(SYMBOLS, 0, 2 * (size_t)limits);
  const unsigned reach = rnd() & 1 ? 300 : 2100;
  for (unsigned i = 0, at = below(100); i < limits; i++, at += below(reach)) limit[i] = (uint16_t)(at < 65535 ? at : 65535);
  ON_EVERY_TABLE("contexts", n, NULL, contexts(near, weights, n_near, limit, limits, n, out))
  for (uint32_t j = 0; j < n; j++) {
    unsigned sum = 0, expected = 0;
    for (unsigned i = 0; i < n_near; i++) sum += (unsigned)weights[i] * near[i][j];
    if (sum >> 15) fail("a sum of the test", sum);
    for (unsigned i = 0; i < limits; i++) expected += sum >= limit[i];
    if (buffers[OUT][0].data[j] != expected) fail("context", j);
  }
}

/* ---- residuals under contexts ---- */
enum { MOST_POPPED = 8 * AC_POP_MOST };
typedef struct {
  ac_popping popping;
  unsigned calls;
  uint32_t length[8]; /* of every call */
  uint8_t context[MOST_POPPED];
  int32_t v[MOST_POPPED];
  const uint8_t *raw, *words, *words_end;
  uint64_t bits;
  uint32_t states[AC_MAX_LANES]; /* where they end */
} popped;

/* All calls by one table; what they put out goes to v.  Returns how many calls had no error. */
static unsigned pop_all(const popped *p, ac_pop_cursor *at, int32_t *v) {
  const uint32_t lanes = p->popping.lanes;
  memset(at, 0, sizeof *at);
  memcpy(at->words.x, p->words, 4 * (size_t)lanes);
  at->words.words = p->words + 4 * (size_t)lanes;
  at->words.words_end = p->words_end;
  at->raw = p->raw;
  at->bits = p->bits;
  for (uint32_t call = 0, first = 0; call < p->calls; first += p->length[call++]) {
    const uint32_t n = p->length[call];
    uint8_t *context = take_row(CONTEXTS, 0, n, 1);
    int32_t *out = take_row(OUT, 0, 4 * (size_t)n, 4);
    memcpy(context, p->context + first, n);
    const int error = active->pop(&p->popping, at, context, n, out);
    if (error && error != AC_E_FORMAT) fail("error", (size_t)error);
    if (error) return call;
    check_margin(OUT, 0);
    memcpy(v + first, out, 4 * (size_t)n);
  }
  return p->calls;
}

static void run_pops(const popped *p, int expect_ok) {
  static int32_t v[2][MOST_POPPED];
  ac_pop_cursor at[2];
  unsigned calls = 0;
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    memset(v[t > 0], 0, sizeof v[0]);
    const unsigned ok = pop_all(p, &at[t > 0], v[t > 0]);
    if (t) {
      equal("calls without error", calls, ok);
      same("residuals", v[0], v[1], sizeof v[0]);
      same("states", at[0].words.x, at[1].words.x, sizeof at[0].words.x);
      if (ok < p->calls) continue;
      equal("words left", (uint64_t)(at[0].words.words_end - at[0].words.words), (uint64_t)(at[1].words.words_end - at[1].words.words));
      equal("raw bits left", at[0].bits - at[0].bit, at[1].bits - at[1].bit);
    } else {
      calls = ok;
      add_to_hash(v[0], sizeof v[0]);
      add_to_hash(&ok, sizeof ok);
      if (!expect_ok) continue;
      equal("calls", p->calls, ok);
      same("residuals", p->v, v[0], sizeof v[0]);
      same("states at the end", p->states, at[0].words.x, 4 * (size_t)p->popping.lanes);
      equal("words left at the end", 0, (uint64_t)(at[0].words.words_end - at[0].words.words));
      equal("raw bits left at the end", 0, at[0].bits - at[0].bit);
    }
  }
}

/* What a residual is, by its definition: one of the values of a bin, or ~ of one. */
static int32_t define_residual(int32_t bin, unsigned m, unsigned k, uint32_t raw) {
  const uint32_t a = (uint32_t)(bin < 0 ? ~bin : bin), octave = a >> m, mask = (1u << m) - 1;
  const uint32_t first = octave < 2 ? a : ((1u << m) | (a & mask)) << (octave - 1);
  const uint32_t u = (first << k) + raw;
  return (int32_t)(bin < 0 ? ~u : u);
}

/* Residuals to tokens and raw fields, and tokens to words. */
static void test_push(unsigned lanes, unsigned P, unsigned m) {
  static ac_pushing p;
  static ac_symbol symbols[AC_POP_CONTEXTS][AC_MAX_TOKENS];
  uint16_t freq[AC_POP_CONTEXTS][AC_MAX_TOKENS];
  const unsigned n_contexts = 1 + below(AC_POP_CONTEXTS), flavour = below(3);
  const uint32_t n = 1 + below(rnd() & 1 ? AC_PUSH_MOST : 40);
  DOING("push lanes=%u prob_bits=%u mantissa=%u contexts=%u flavour=%u n=%u", lanes, P, m, n_contexts, flavour, n);
  memset(&p, 0, sizeof p);
  p.prob_bits = (uint8_t)P;
  p.lanes = (uint8_t)lanes;
  p.mantissa = (uint8_t)m;
  p.symbols = (const ac_symbol(*)[AC_MAX_TOKENS])symbols;
  for (unsigned c = 0; c < n_contexts; c++) {
    const uint32_t most = (flavour == 0 ? 2 : flavour == 1 ? 5 : AC_MAX_RAW_BITS + 2) << m;
    const uint32_t K = 2 + below(2 * most - 1 < AC_MAX_TOKENS ? 2 * most - 1 : AC_MAX_TOKENS - 1);
    p.lo[c] = rnd() & 1 ? -(int32_t)(K / 2) : (int32_t)below(2 * most - K + 1) - (int32_t)most;
    p.n_tokens[c] = K;
    uint32_t count[AC_MAX_TOKENS], start = 0;
    for (unsigned s = 0; s < K; s++) count[s] = (s < 2) + (rnd() & 1 ? below(1000) : 0);
    ac_model_normalize(count, K, P, freq[c]);
    ac_model_encoder(freq[c], K, P, symbols[c]);
    for (unsigned s = 0; s < K; start += freq[c][s++]) {
      p.slot[c * AC_MAX_TOKENS + s] = freq[c][s] | start << 16;
      p.reciprocal[c * AC_MAX_TOKENS + s] = freq[c][s] ? (float)((1 - 0x1p-22) / freq[c][s]) : 0;
    }
  }
  uint8_t *const context = take_row(CONTEXTS, 0, n, 1);
  int32_t *const v = take_row(ROW, 0, 4 * (size_t)n, 4);
  const unsigned shift = below(32);
  for (uint32_t i = 0; i < n; i++) {
    const int32_t any = (int32_t)rnd();
    context[i] = (uint8_t)below(n_contexts);
    v[i] = i % 50 == 49 ? (any & 1 ? INT32_MIN : INT32_MAX) : any >> shift;
  }
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    uint8_t *const token = take_row(TOKENS, t > 0, n, 1), *const raw_bits = take_row(RAW, t > 0, n, 1);
    uint32_t *const raw = take_row(OUT, t > 0, 4 * (size_t)n, 4);
    const unsigned found = active->tokens(&p, context, v, n, token, raw_bits, raw);
    check_margin(TOKENS, t > 0);
    check_margin(RAW, t > 0);
    check_margin(OUT, t > 0);
    unsigned expected = 0;
    for (uint32_t i = 0; i < n; i++) {
      const unsigned c = context[i];
      const ac_residual r = ac_residual_of(v[i], 0, m);
      const int inside = r.bin >= p.lo[c] && r.bin < p.lo[c] + (int32_t)p.n_tokens[c] && r.raw_bits <= AC_MAX_RAW_BITS;
      if (token[i] != (inside ? r.bin - p.lo[c] : AC_OUTSIDE)) fail("token", i);
      if (raw_bits[i] != (inside ? r.raw_bits : 0) || raw[i] != (inside ? r.raw : 0)) fail("raw field", i);
      if (inside && define_residual(r.bin, m, 0, r.raw) != v[i]) fail("residual of the token", i);
      expected |= inside ? (r.raw_bits ? AC_SOME_RAW : 0) : AC_SOME_OUTSIDE;
    }
    equal("what was found", expected, found);
    if (!t) add_to_hash(token, n);
  }
  uint8_t *const token = take_row(TOKENS, 0, n, 1);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t slot = below(1u << P);
    for (token[i] = 0; slot >= freq[context[i]][token[i]]; token[i]++) slot -= freq[context[i]][token[i]];
  }
  uint32_t first[AC_MAX_LANES], x[2][AC_MAX_LANES];
  for (unsigned j = 0; j < lanes; j++) {
    const unsigned small = below(16);
    first[j] = AC_STATE_MIN + (rnd() >> small) % (UINT32_MAX - AC_STATE_MIN);
  }
  const size_t room = 2 * (size_t)n + 16;
  const uint8_t *words[2];
  for (unsigned t = 0; t < n_tables; t++) {
    const unsigned copy = t > 0;
    active = tables[t];
    uint8_t *const end = (uint8_t *)take(WORDS, copy, room) + room;
    memcpy(x[copy], first, sizeof first);
    words[copy] = active->push(&p, context, token, n, x[copy], end);
    check_margin(WORDS, copy);
    if (!t) add_to_hash(words[0], (size_t)(end - words[0]));
    if (!t) continue;
    const uint8_t *const other = buffers[WORDS][0].data + room;
    equal("bytes of words", (uint64_t)(other - words[0]), (uint64_t)(end - words[1]));
    same("words", words[0], words[1], (size_t)(end - words[1]));
    same("states", x[0], x[1], 4 * (size_t)lanes);
  }
}

static void test_pop(unsigned lanes, unsigned P, unsigned m) {
  static popped p;
  static uint8_t tokens[MOST_POPPED], raw[MOST_POPPED * 4 + 8], words[2 * MOST_POPPED + 4 * AC_MAX_LANES];
  const unsigned n_contexts = 1 + below(rnd() & 1 ? 4 : AC_POP_CONTEXTS), flavour = below(4);
  DOING("pop lanes=%u prob_bits=%u mantissa=%u contexts=%u flavour=%u", lanes, P, m, n_contexts, flavour);
  memset(&p, 0, sizeof p);
  p.popping.prob_bits = (uint8_t)P;
  p.popping.lanes = (uint8_t)lanes;
  p.popping.mantissa = (uint8_t)m;
  static ac_symbol symbols[AC_POP_CONTEXTS][AC_MAX_TOKENS];
  static uint32_t made[(AC_POP_CONTEXTS << AC_MAX_PROB_BITS) + AC_TABLE_SLACK];
  uint16_t freq[AC_POP_CONTEXTS][AC_MAX_TOKENS];
  for (unsigned c = 0; c < n_contexts; c++) {
    /* bins whose raw bits are AC_MAX_RAW_BITS at most, or few, or none */
    const uint32_t octaves = flavour == 0 ? 2 : flavour == 1 ? 4 : AC_MAX_RAW_BITS + 2, most = octaves << m;
    const uint32_t K = 2 + below(2 * most - 1 < AC_MAX_TOKENS ? 2 * most - 1 : AC_MAX_TOKENS - 1), span = 2 * most - K;
    const int32_t lo = flavour == 3 ? -(int32_t)(K / 2) : (int32_t)below(span + 1) - (int32_t)most;
    const int32_t last = lo + (int32_t)K - 1;
    const uint32_t low = (uint32_t)(lo < 0 ? ~lo : lo) >> m, high = (uint32_t)(last < 0 ? ~last : last) >> m;
    const uint32_t octave = low > high ? low : high, bits = octave ? octave - 1 : 0;
    p.popping.lo[c] = lo;
    p.popping.k[c] = flavour == 0 && rnd() & 1 ? 0 : below(AC_MAX_RAW_BITS - bits + 1);
    uint32_t count[AC_MAX_TOKENS];
    const unsigned shape = below(4);
    for (unsigned s = 0; s < K; s++)
      count[s] = shape == 0 ? 1 : shape == 1 ? 1 + below(1000) : shape == 2 ? below(200) / 100 * 50 : s ? 0 : 100000;
    count[below(K)] += 1;
    count[0] += 1; /* two tokens at least */
    count[1] += 1;
    ac_model_normalize(count, K, P, freq[c]);
    ac_model_encoder(freq[c], K, P, symbols[c]);
    ac_model_decoder(freq[c], K, P, made + ((size_t)c << P));
  }
  uint32_t *entries = take(ENTRIES, 0, (sizeof *entries * n_contexts) << P);
  memcpy(entries, made, (sizeof *entries * n_contexts) << P);
  p.popping.tables = entries;

  /* residuals, and their raw bits */
  static const uint8_t often[] = {19, 60, 128, 16, 32, 64};
  uint32_t n = 0;
  p.calls = 1 + below(8);
  memset(raw, 0, sizeof raw);
  for (unsigned call = 0; call < p.calls; call++) {
    p.length[call] = rnd() & 1 ? often[below(6)] : 1 + below(AC_POP_MOST);
    for (uint32_t i = 0; i < p.length[call]; i++, n++) {
      const unsigned c = n && below(4) ? p.context[n - 1] : below(n_contexts);
      uint32_t slot = below(1u << P), token = 0;
      for (; slot >= freq[c][token]; token++) slot -= freq[c][token];
      const int32_t bin = p.popping.lo[c] + (int32_t)token;
      const uint32_t octave = (uint32_t)(bin < 0 ? ~bin : bin) >> m, bits = (octave ? octave - 1 : 0) + p.popping.k[c];
      const uint32_t any = rnd(), field = bits ? any >> (32 - bits) : 0;
      for (uint32_t b = 0; b < bits; b++, p.bits++) raw[p.bits / 8] |= (uint8_t)((field >> b & 1) << (p.bits % 8));
      p.context[n] = (uint8_t)c;
      tokens[n] = (uint8_t)token;
      p.v[n] = define_residual(bin, m, p.popping.k[c], field);
    }
  }
  /* words, backwards */
  uint32_t x[AC_MAX_LANES];
  for (unsigned j = 0; j < lanes; j++) x[j] = p.states[j] = AC_STATE_MIN | (rnd() & 0xffff);
  uint8_t *word = words + sizeof words;
  for (uint32_t call = p.calls, i = n; call-- > 0;)
    for (uint32_t j = p.length[call]; j-- > 0;) {
      i--;
      const ac_symbol *symbol = &symbols[p.context[i]][tokens[i]];
      uint32_t *const lane = &x[j % lanes];
      if (*lane > symbol->limit) {
        ac_store16(word -= 2, (uint16_t)*lane);
        *lane >>= 16;
      }
      *lane = ac_symbol_push(symbol, *lane, P);
    }
  word -= 4 * (size_t)lanes;
  memcpy(word, x, 4 * (size_t)lanes);
  const size_t words_size = (size_t)(words + sizeof words - word), raw_size = (size_t)((p.bits + 7) / 8);
  uint8_t *const coded = take(CODED, 0, words_size), *const plane = take(RAW, 0, raw_size);
  memcpy(coded, word, words_size);
  memcpy(plane, raw, raw_size);
  p.raw = plane;
  p.words = coded;
  p.words_end = coded + words_size;
  run_pops(&p, 1);

  /* damaged words, then fewer words and raw bits: the same residuals up to the same error, and nothing read outside */
  DOING("damaged pop lanes=%u prob_bits=%u mantissa=%u contexts=%u flavour=%u", lanes, P, m, n_contexts, flavour);
  for (unsigned i = 0; i < 4; i++) {
    const uint8_t bit = (uint8_t)(1u << below(8));
    coded[below((uint32_t)words_size)] ^= bit;
  }
  for (unsigned j = 0; j < lanes; j++) /* a state is one all the same */
    ac_store32(coded + 4 * j, ac_load32(coded + 4 * j) | AC_STATE_MIN);
  run_pops(&p, 0);
  const uint32_t states_size = 4 * lanes, some = below((uint32_t)(words_size - states_size) / 2 + 1);
  uint8_t *const fewer = take(CODED, 1, states_size + 2 * (size_t)some);
  memcpy(fewer, coded, states_size + 2 * (size_t)some);
  p.words = fewer;
  p.words_end = fewer + states_size + 2 * (size_t)some;
  run_pops(&p, 0);
  p.words = coded;
  p.words_end = coded + words_size;
  p.bits = below((uint32_t)p.bits + 1);
  uint8_t *const shorter = take(RAW, 1, (size_t)((p.bits + 7) / 8));
  memcpy(shorter, raw, (size_t)((p.bits + 7) / 8));
  p.raw = shorter;
  run_pops(&p, 0);
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
/* FZ, DN, FZ16 and AHP; down; up; to zero */
static const uint64_t HOSTILE[] = {1 << 24 | 1 << 25 | 1 << 19 | 1 << 26, 2 << 22, 1 << 22, 3 << 22};
#else
static uint64_t get_environment(void) { return 0; }
static void set_environment(uint64_t e) { (void)e; }
static const uint64_t HOSTILE[4] = {0};
#endif

static const uint8_t ALL_TYPES[] = {
    AC_FLOAT32, AC_FLOAT64, AC_FLOAT16, AC_BFLOAT16, AC_COMPLEX64, AC_COMPLEX128, AC_INT8, AC_INT16, AC_INT32, AC_INT64,
    AC_UINT8, AC_UINT16, AC_UINT32, AC_UINT64, AC_BOOL, AC_DATETIME64, AC_TIMEDELTA64};
enum { N_TYPES = sizeof ALL_TYPES };
enum { LOSSLESS, ABSOLUTE, RELATIVE, BOTH, N_BOUNDS };

/* One dimension to three, of n elements. */
static void make_shape(ac_array *array, uint32_t n) {
  array->ndim = 1;
  array->shape[0] = n;
  for (unsigned d = below(3); d; d--) {
    const uint32_t part = 1 + below(40);
    if (array->shape[array->ndim - 1] % part) continue;
    array->shape[array->ndim - 1] /= part;
    array->shape[array->ndim++] = part;
  }
}

static unsigned modes; /* a bit for every mode that was met */

static void test_codec(int dtype, uint32_t n, unsigned kind, const ac_tolerance *bounds, int with_fill,
                       const ac_tuning *tuning) {
  DOING("codec type=%d n=%u kind=%u tol=%g rtol=%g fill=%d group=%u lanes=%u prob_bits=%u block_len=%u box_len=%u level=%u", dtype, n, kind,
        bounds->absolute, bounds->relative, with_fill, tuning->group, tuning->lanes, tuning->prob_bits,
        tuning->block_len, tuning->box_len, tuning->level);
  const ac_type *type = ac_type_of(dtype);
  ac_array array;
  memset(&array, 0, sizeof array);
  array.dtype = (uint8_t)dtype;
  array.unit = type->dated ? 7 : 0;
  array.multiple = type->dated;
  make_shape(&array, n);
  array.f_order = rnd() & 1;
  array.big_endian = type->size > 1 && !below(8);
  const size_t item = ac_element_size(dtype), size = n * item;
  const uint32_t n_values = n * type->values;
  uint8_t *x = take(VALUES, 0, size);
  const double tol = bounds->absolute > 0 ? bounds->absolute : 0x1p-8;
  const double step = 2 * (double)(uint64_t)(tol < 1e18 ? tol : 1e18) + 1; /* of integers */
  make_values(type, x, n_values, kind, type->kind == AC_KIND_FLOAT ? ac_lattice_delta(type->dtype, tol) : step);
  ac_tolerance tolerance = *bounds;
  uint8_t fill[16];
  memcpy(fill, x + n / 2 * item, item);
  tolerance.fill = with_fill ? fill : NULL;
  size_t bound, expected = 0;
  if (ac_bound(&array, tuning, &bound)) fail("no bound", 0);
  const uint64_t environment = get_environment();
  for (unsigned t = 0; t < n_tables; t++) {
    active = tables[t];
    uint8_t *chunk = take(CODED, t > 0, bound);
    uint8_t *out = take(OUT, t > 0, size);
    ac_check check = {0, 0, 0};
    size_t got = 0;
    const uint64_t hostile = HOSTILE[(n + kind) % 4];
    if (t) set_environment(hostile); /* the plain table's run is the ordinary one */
    int error = ac_encode(&array, &tolerance, tuning, 1, x, size, chunk, bound, &got);
    if (!error) error = ac_decode(chunk, got, NULL, out, size, 1);
    /* the bits of big-endian values are not what they are compared as */
    if (!error && !array.big_endian) error = ac_check_bound(dtype, x, out, n, &tolerance, &check);
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
      ac_info info;
      ac_block_info first;
      if (ac_peek(chunk, got, &info)) fail("no header", 0);
      if (info.n_blocks != 1) continue;
      if (ac_inspect(chunk, got, &info, &first, 1)) fail("no block", 0);
      modes |= 1u << first.mode;
    }
  }
}

/* ---- all of it ---- */
int main(int argc, char **argv) {
  static const uint32_t sizes[] = {1,   2,   3,   4,   5,   7,   8,   9,   15,   16,   17,    31,   32,
                                   33,  48,  63,  64,  65,  96,  127, 128, 129,  191,  192,   255,  256,
                                   257, 1000, 1024, 4095, 4096, 65537, 1u << 18};
  static const double tolerances[] = {0x1p-9, 1e-3, 0.5, 3e-5, 0x1p-20, 0x1p-126, 0x1p127, 1e-37, 1e300};
  static const double wholes[] = {1, 3.7, 0.5, 100, 60000, 3e9, 1e18, 0x1p63};
  static const double relatives[] = {1e-3, 0x1p-7, 0.3, 1e-5, 0x1p-11, 1e-9, 0x1p-52};
  enum { N_TOLERANCES = sizeof tolerances / sizeof *tolerances };
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
      for (int in = 0; in < AC_INS; in++)
        for (unsigned group = 64; group <= 128; group += 64) {
          if (sizes[s] > 4096 && level < 2 && (kind + group / 64) % 4) continue;
          state = 1000 + n_cases++;
          at_start = rnd() & 1;
          /* most with the first two: most values on the short ways */
          const double tol = tolerances[below(4) ? below(2) : below(N_TOLERANCES)];
          test_quantize(in, sizes[s], group, kind, tol);
        }

  for (int in = AC_OUT_F16; in <= AC_OUT_BF16; in++)
    for (unsigned i = 0; i < N_TOLERANCES; i++) {
      test_all_16_bits(in, 128, tolerances[i], 0);
      if (level || i % 3 == 1) test_all_16_bits(in, 64, tolerances[i], 1);
    }
  if (!n_edges || !n_exact || !n_quantized) fail("a case was not met", 0);

  for (unsigned s = 0; s < n_sizes; s++)
    for (unsigned group = 64; group <= 128; group += 64)
      for (unsigned i = 0; i < (sizes[s] > 4096 ? 3 : 12); i++) {
        state = 1u << 18 | n_cases++;
        at_start = rnd() & 1;
        test_statistics(sizes[s], group);
      }

  for (unsigned s = 0; s < n_sizes; s++)
    for (unsigned group = 64; group <= 128; group += 64)
      for (unsigned i = 0; i < (sizes[s] > 4096 ? 3 : 12); i++) {
        state = 5u << 18 | n_cases++;
        at_start = rnd() & 1;
        test_class_images(sizes[s], group);
      }

  for (int image = 0; image < AC_IMAGES; image++)
    for (unsigned size = 1; size <= 8; size *= 2)
      for (unsigned shift = 0; shift < 8 * size; shift++)
        for (unsigned i = 0; i < 3; i++) {
          state = 1u << 19 | n_cases++;
          at_start = rnd() & 1;
          test_images(image, size, shift, i ? sizes[below(n_sizes - 2)] : 1 + below(70));
        }

  for (unsigned s = 0; s < n_sizes; s++)
    for (unsigned bytes = 0; bytes < 8; bytes++) {
      state = 3u << 19 | n_cases++;
      at_start = rnd() & 1;
      test_divide(bytes, sizes[s]);
    }

  for (unsigned s = 0; s < n_sizes; s++)
    for (unsigned i = 0; i < (sizes[s] > 4096 ? 4 : 24); i++) {
      state = 5u << 18 | n_cases++;
      at_start = rnd() & 1;
      test_affine(sizes[s], i & 1, i & 2 ? 8 : 4);
    }

  for (unsigned i = 0; i < (level ? 4000 : 700); i++) {
    state = 7u << 18 | n_cases++;
    at_start = rnd() & 1;
    alignment = below(64);
    const uint32_t n = i < 300 ? 1 + i : 1 + below(rnd() & 1 ? 300 : 70);
    test_rows(n);
    test_parts(n, i & 1 ? 8 : 4);
    test_scale(n);
    test_belongs(n, i & 1);
    test_halves(n, 4);
    test_halves(n, 1);
    test_contexts(n <= 256 ? n : n - 256);
    test_pack(n <= AC_PACK_MOST ? n : n - AC_PACK_MOST);
    if (i % 4 == 0 || n <= 20) test_varints(n);
  }

  if (!n_on_lattices || !n_varints || !n_no_varints) fail("a case was not met", 0);

  for (unsigned lanes = 4; lanes <= AC_MAX_LANES; lanes *= 2)
    for (unsigned P = AC_MIN_PROB_BITS; P <= AC_MAX_PROB_BITS; P++)
      for (unsigned m = 0; m < 4; m++)
        for (unsigned i = 0; i < (level ? 40 : 8); i++) {
          state = 3u << 20 | n_cases++;
          at_start = rnd() & 1;
          alignment = below(64);
          test_pop(lanes, P, m);
          test_push(lanes, P, m);
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
      for (unsigned type = 0; type < N_TYPES; type++)
        for (unsigned bound = 0; bound < N_BOUNDS; bound++) {
          const unsigned turn = s + kind + type + bound;
          if (sizes[s] > 4096 ? turn % (level < 2 ? 31 : 13) : turn % (level < 1 ? 5 : level < 2 ? 3 : 2)) continue;
          state = 1u << 22 | n_cases++;
          at_start = rnd() & 1;
          ac_tuning tuning = {0, 0, 0, 0, 0, 0};
          const ac_type *t = ac_type_of(ALL_TYPES[type]);
          const uint32_t n = t->values > 1 && sizes[s] > 1u << 17 ? 1u << 17 : sizes[s];
          if (rnd() & 1) *(below(3) ? &tuning.block_len : &tuning.box_len) = 1 + below(n);
          if (rnd() & 1) tuning.group = (uint8_t)(rnd() & 1 ? 64 : 128);
          if (rnd() & 1) tuning.lanes = (uint8_t)(4 << below(5));
          if (rnd() & 1) tuning.prob_bits = (uint8_t)(AC_MIN_PROB_BITS + below(4));
          tuning.level = (uint8_t)below(AC_MAX_LEVEL + 1);
          tuning.predictor = (uint8_t)below(AC_PREDICTORS);
          if (!below(4)) tuning.coder = AC_CODER_VARINT;
          const double tol = tolerances[rnd() & 1 ? below(2) : below(N_TOLERANCES)], whole = wholes[below(8)];
          const double rtol = relatives[below(7)];
          const ac_tolerance bounds = {bound & ABSOLUTE ? (t->kind == AC_KIND_FLOAT ? tol : whole) : 0,
                                       bound & RELATIVE ? rtol : 0, NULL};
          test_codec(ALL_TYPES[type], n, kind, &bounds, !below(3), &tuning);
        }
  if (modes != (2u << AC_MODE_SPLIT) - 1) fail("a mode was not met", modes);

  printf("tables:");
  for (unsigned t = 0; t < n_tables; t++) printf(" %s", tables[t]->name);
  printf("\ncases: %u\nhash: %016llx\n", n_cases, (unsigned long long)hash);
  return 0;
}
