/* fuzz.c: what is asked of every decoder and encoder for any bytes, for libFuzzer (https://llvm.org/docs/LibFuzzer.html) or, with
 * -DREPLAY, for files.  tests/fuzz.py builds and runs it; tests/test_fuzz.py replays the inputs that were kept.
 *
 * Targets, by the environment's FUZZ_TARGET or as the first argument of a replay:
 *   any     the bytes as a chunk
 *   mended  the same with sizes and checksums put right, so that the parsers behind them are reached
 *   round   an array and how to encode it, from the bytes: the bound is kept, by rewrites too, and no value moves twice
 *   tables  frequency tables and class sequences, from the bytes
 *   parts   arrays through the codecs of one block, their parameters from the bytes: what each of them promises
 *
 * Chunks are decoded by the plain kernel table and one other (all of the machine's in a replay), which must agree, whole and in
 * part.  No memory is touched outside what was asked for (sanitizers), no input takes long.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../ext/core/doubles.h"
#include "../ext/core/frame.h"
#include "../ext/core/model.h"
#include "../ext/core/sequence.h"
#include "../ext/core/types.h"
#include "../ext/simd/kernels.h"

#define ac_active_kernels detected_kernels
const ac_kernels *detected_kernels(void);
#include "../ext/simd/dispatch.c"
#undef ac_active_kernels

/* ---- kernel tables, whose checksums are watched ---- */
enum { MAX_TABLES = 8, MOST_BYTES = 1 << 16 /* of an array */ };
static ac_kernels tables[MAX_TABLES];
static const ac_kernels *active;
static unsigned n_tables;
static uint32_t (*own_crc32c[MAX_TABLES])(const void *, size_t);
static size_t last_size; /* of what a checksum was last made of */

const ac_kernels *ac_active_kernels(void) { return active; }

static uint32_t watched_crc32c(const void *data, size_t size) {
  last_size = size;
  return own_crc32c[active - tables](data, size);
}

static void prepare(void) {
  const char *const names[] = {"scalar", "sse4.2", "avx2", "avx512", "neon"};
  if (n_tables) return;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    setenv("ARRAYCODEC_ISA", names[i], 1);
    const ac_kernels *table = detect();
    if (!table) continue;
    own_crc32c[n_tables] = table->crc32c;
    tables[n_tables] = *table;
    tables[n_tables++].crc32c = watched_crc32c;
  }
  active = &tables[0];
}

/* Which table is tried beside the plain one: all of them in a replay, else one by the bytes. */
static int is_tried(unsigned t, const uint8_t *chunk, size_t size) {
#ifdef REPLAY
  (void)chunk, (void)size;
  return t < n_tables;
#else
  return !t || (t < n_tables && t == 1 + own_crc32c[0](chunk, size) % (n_tables - 1));
#endif
}

static void fail(const char *what, uint64_t number) {
  fprintf(stderr, "FAILED: %s (%llu), table %s\n", what, (unsigned long long)number, active ? active->name : "-");
  abort();
}

static void *allocate(size_t size) {
  void *p = malloc(size ? size : 1); /* exactly: sanitizers see the byte after it */
  if (!p) exit(0);
  return p;
}

/* ---- chunks ---- */
enum { ENTRY = 8 /* of the index: size and checksum of a block */ };

static void mend(uint8_t *chunk, size_t size);

/* Chunks in the block of another: whatever looks like one, as long as the four bytes before it say, or to the end. */
static void mend_parts(uint8_t *block, size_t size) {
  for (size_t at = 4; at + 8 < size; at++) {
    if (block[at] != 0xAC || block[at + 1] != 'A' || block[at + 2] != 'C' || block[at + 4] != AC_CODEC_ANSQUANT) continue;
    const size_t wanted = ac_load32(block + at - 4), left = size - at, n = wanted > left ? left : wanted;
    ac_store32(block + at - 4, (uint32_t)n);
    mend(block + at, n);
    at += n ? n - 1 : 0;
  }
}

/* Sizes and checksums as a valid chunk has them, as far as the header can be read. */
static void mend(uint8_t *chunk, size_t size) {
  ac_info info;
  int error = ac_peek(chunk, size, &info);
  if (error == AC_E_CHECKSUM && last_size + 4 <= size) {
    ac_store32(chunk + last_size, own_crc32c[0](chunk, last_size));
    error = ac_peek(chunk, size, &info);
  }
  if (error || !info.n_blocks) return;
  uint8_t *const index = chunk + info.header_size - 4 - ENTRY * (size_t)info.n_blocks;
  size_t at = (size_t)info.header_size;
  for (uint64_t i = 0; i < info.n_blocks; i++) {
    uint8_t *const entry = index + ENTRY * (size_t)i;
    const size_t left = size - at, wanted = ac_load32(entry);
    const size_t block = i + 1 == info.n_blocks || wanted > left ? left : wanted;
    if (info.codec != AC_CODEC_ANSQUANT) mend_parts(chunk + at, block);
    ac_store32(entry, (uint32_t)block);
    ac_store32(entry + 4, own_crc32c[0](chunk + at, block));
    at += block;
  }
  const size_t covered = (size_t)info.header_size - 4;
  ac_store32(chunk + covered, own_crc32c[0](chunk, covered));
}

static void decode_everything(const uint8_t *chunk, size_t size) {
  ac_info info;
  active = &tables[0];
  if (ac_peek(chunk, size, &info)) return;
  const size_t item = ac_element_size(info.array.dtype);
  if (info.count > MOST_BYTES / item) return;
  const size_t bytes = (size_t)info.count * item;
  uint8_t *const expected = allocate(bytes), *const got = allocate(bytes);
  int first = 0;
  for (unsigned t = 0; t < n_tables; t++) {
    if (!is_tried(t, chunk, size)) continue;
    active = &tables[t];
    uint8_t *const out = t ? got : expected;
    memset(out, 0xa5, bytes);
    const int error = ac_decode(chunk, size, NULL, out, bytes, 1);
    if (!t) first = error;
    if (!error != !first) fail("one table decodes it, another does not", (uint64_t)error);
    if (!error && memcmp(expected, got, t ? bytes : 0)) fail("tables decode other values", t);
  }
  if (info.n_blocks <= MOST_BYTES / sizeof(ac_block_info)) {
    ac_block_info *const blocks = allocate((size_t)info.n_blocks * sizeof *blocks);
    const int error = ac_inspect(chunk, size, &info, blocks, info.n_blocks);
    if (!first && error) fail("what can be decoded cannot be inspected", (uint64_t)error);
    free(blocks);
  }
  if (!first && info.count) { /* a part of it */
    const uint64_t from = info.count / 3, count = (info.count - from + 1) / 2;
    if (ac_decode_range(chunk, size, NULL, from, count, got, (size_t)count * item)) fail("a range cannot be decoded", from);
    if (memcmp(got, expected + (size_t)from * item, (size_t)count * item)) fail("a range has other values", from);
  }
  free(expected);
  free(got);
}

/* ---- arrays ---- */
typedef struct {
  const uint8_t *p, *end;
} source;

static uint8_t next(source *s) { return s->p < s->end ? *s->p++ : 0; }

static double number(source *s) {
  double v = 0;
  for (unsigned i = 0; i < 8; i++) ((uint8_t *)&v)[i] = next(s);
  return v == v && v >= 0 && v <= 1e300 ? v : 0;
}

/* Bytes of an array: those that are left; as numbers that change little; or again and again. */
static void fill(source *s, uint8_t *x, size_t size, size_t item, unsigned how) {
  const size_t left = (size_t)(s->end - s->p);
  for (size_t i = 0; i < size; i++) x[i] = left ? s->p[i % left] : 0;
  if (how % 4 == 0 || item < 4) return;
  for (size_t i = 0; i + item <= size; i += item) {
    const double v = 100 * (double)(i / item) + ac_load32(x + i) % 1000 * (how % 4 == 1 ? 0.1 : 1);
    const float f = (float)(v / (how % 4 == 3 ? 7 : 10));
    const double d = v / (how % 4 == 3 ? 7 : 1000);
    if (item == 4) memcpy(x + i, &f, 4);
    else memcpy(x + i, &d, 8);
    if (item == 16) memcpy(x + i + 8, &d, 8);
  }
}

enum { MOST_ELEMENTS = 1 << 12 };

static void round_trip(const uint8_t *data, size_t size) {
  static const uint8_t dtypes[] = {AC_FLOAT32, AC_FLOAT64, AC_FLOAT32, AC_FLOAT64, AC_FLOAT16, AC_BFLOAT16, AC_COMPLEX64, AC_COMPLEX128,
                                   AC_INT8, AC_INT16, AC_INT32, AC_INT64, AC_UINT8, AC_UINT16, AC_UINT32, AC_UINT64, AC_BOOL, AC_DATETIME64};
  source s = {data, data + size};
  ac_array array;
  memset(&array, 0, sizeof array);
  array.dtype = dtypes[next(&s) % sizeof dtypes];
  const ac_type *const type = ac_type_of(array.dtype);
  array.unit = type->dated ? 7 : 0;
  array.multiple = type->dated;
  const uint8_t flags = next(&s);
  array.f_order = flags & 1;
  array.ndim = flags >> 1 & 3;
  uint64_t count = 1;
  for (unsigned d = 0; d < array.ndim; d++) {
    array.shape[d] = next(&s);
    if (flags & 8) array.shape[d] = array.shape[d] << 8 | next(&s);
    if (array.shape[d] && count > MOST_ELEMENTS / array.shape[d]) array.shape[d] = MOST_ELEMENTS / count;
    count *= array.shape[d];
  }
  const uint8_t how = next(&s);
  static const uint8_t levels[] = {1, 5, 1, 5, 1, 5, 2, 5, 7, 9}; /* what looks longer is tried less often */
  ac_tuning tuning = {.level = levels[how % 10], .predictor = (uint8_t)(next(&s) % AC_PREDICTORS)};
  if (flags & 16) tuning.block_len = 1 + next(&s) * 16u;
  else if (flags & 32) tuning.box_len = 1 + next(&s) * 16u;
  ac_tolerance tolerance = {.absolute = flags & 64 ? number(&s) : 0, .relative = 0};
  if (flags & 128 && type->kind == AC_KIND_FLOAT) tolerance.relative = next(&s) / 256.0;
  const size_t item = ac_element_size(array.dtype), bytes = (size_t)count * item;
  uint8_t *const x = allocate(bytes), *const y = allocate(bytes), *const z = allocate(bytes);
  fill(&s, x, bytes, item, how / 10);
  tolerance.fill = how > 240 && count ? memcpy(z, x + (size_t)(count / 2) * item, item) : NULL;
  size_t bound, length, again;
  active = &tables[how % n_tables];
  if (!ac_bound(&array, &tuning, &bound)) {
    uint8_t *const chunk = allocate(bound);
    int error = ac_encode(&array, &tolerance, &tuning, 1, x, bytes, chunk, bound, &length);
    if (error) fail("an array cannot be encoded", (uint64_t)error);
    if ((error = ac_decode(chunk, length, NULL, y, bytes, 1))) fail("what was encoded cannot be decoded", (uint64_t)error);
    ac_check check;
    if (ac_check_bound(array.dtype, x, y, (size_t)count, &tolerance, &check) || check.violations) fail("the bound", check.violations);
    if (!tolerance.fill) { /* whose place z is */
      error = ac_encode(&array, &tolerance, &tuning, 1, y, bytes, chunk, bound, &again);
      if (error || ac_decode(chunk, again, NULL, z, bytes, 1)) fail("what was decoded cannot be encoded", (uint64_t)error);
      for (size_t i = 0; i < bytes; i += type->size)
        if (memcmp(x + i, y + i, type->size) && memcmp(y + i, z + i, type->size)) fail("a value moves twice", i);
      if (ac_check_bound(array.dtype, x, z, (size_t)count, &tolerance, &check) || check.violations) fail("a rewrite", check.violations);
    }
    free(chunk);
  }
  free(x);
  free(y);
  free(z);
}

/* ---- codecs of one block ---- */
static void round_trip_stochastic(source *s, const ac_array *array, uint64_t count) {
  const ac_type *const type = ac_type_of(array->dtype);
  const uint8_t choice = next(s);
  const ac_stochastic how = {.bits = 1 + choice % 9, .method = choice >> 4 & 1, .norm = choice >> 5 & 1, .packing = choice >> 6 & 1,
                             .bucket = next(s), .seed = next(s)};
  const size_t bytes = (size_t)count * type->size;
  uint8_t *const x = allocate(bytes), *const y = allocate(bytes);
  fill(s, x, bytes, type->size, next(s));
  size_t bound, length, again;
  if (ac_stochastic_bound(array, &how, &bound)) fail("no room is known", count);
  uint8_t *const chunk = allocate(bound), *const other = allocate(bound);
  int finite = 1;
  for (uint64_t i = 0; i < count; i++) {
    double v;
    ac_load_doubles(type->dtype, x, i, 1, &v);
    finite &= fabs(v) < (how.packing == AC_PACKING_FIXED && type->dtype != AC_FLOAT64 ? 1e30 : 1e300); /* so is the norm */
  }
  const int error = ac_stochastic_encode(array, &how, 1, x, bytes, chunk, bound, &length);
  if (error && (finite || error != AC_E_NOT_FINITE)) fail("values cannot be rounded", (uint64_t)error);
  if (!error) {
    if (ac_stochastic_encode(array, &how, 1, x, bytes, other, bound, &again) || again != length || memcmp(chunk, other, length))
      fail("the same seed has other bytes", again);
    if (ac_decode(chunk, length, NULL, y, bytes, 1)) fail("what was rounded cannot be decoded", length);
    const uint64_t bucket = how.bucket ? how.bucket : count;
    for (uint64_t from = 0; from < count; from += bucket) {
      const uint64_t end = from + bucket < count ? from + bucket : count;
      double norm = 0, scaled = 0, a, b;
      for (uint64_t i = from; i < end; i++) {
        ac_load_doubles(type->dtype, x, i, 1, &a);
        norm = fabs(a) > norm ? fabs(a) : norm;
      }
      for (uint64_t i = from; i < end && norm > 0 && how.norm == AC_NORM_L2; i++) {
        ac_load_doubles(type->dtype, x, i, 1, &a);
        scaled += a / norm * (a / norm);
      }
      if (how.norm == AC_NORM_L2) norm *= sqrt(scaled);
      const double most = norm / ((1 << how.bits) - 1) / (how.method == AC_METHOD_DITHER ? 2 : 1) * (1 + 1e-12) + 5e-324;
      for (uint64_t i = from; i < end; i++) {
        ac_load_doubles(type->dtype, x, i, 1, &a);
        ac_load_doubles(type->dtype, y, i, 1, &b);
        if (how.packing == AC_PACKING_RANS && how.method == AC_METHOD_DITHER && !(fabs(a - b) <= most)) fail("the bound of dither", i);
        if (how.method == AC_METHOD_QSGD && !a && b) fail("a zero", i);
      }
    }
  }
  free(x);
  free(y);
  free(chunk);
  free(other);
}

static void round_trip_low_rank(source *s, const ac_array *array, uint64_t count) {
  enum { MOST_RANK = 8 };
  const ac_type *const type = ac_type_of(array->dtype);
  const size_t bytes = (size_t)count * type->size;
  ac_low_rank how = {.factors = next(s) % AC_FACTORS, .rows_ndim = (uint8_t)(1 + next(s) % 2), .rank = next(s) % MOST_RANK};
  how.scale = ldexp(1 + next(s) / 256.0, (int)next(s) - 128);
  const uint8_t order = next(s);
  how.rows_f_order = order & 1;
  how.columns_f_order = order >> 1 & 1;
  how.tol = order & 4 ? number(s) : order & 8 ? ldexp(1, (int)next(s) - 128) : 0;
  uint32_t weights[MOST_RANK];
  for (unsigned k = 0; k < MOST_RANK; k++) weights[k] = next(s) * 3u;
  how.weights = weights;
  /* as many numbers for each factor as the array has, which is more than enough */
  int32_t *const rows = allocate(MOST_RANK * (size_t)count * 4), *const columns = allocate(MOST_RANK * (size_t)count * 4);
  for (size_t i = 0; i < MOST_RANK * (size_t)count; i++) {
    rows[i] = (int8_t)next(s) * (order & 16 ? 1 << 20 : 1);
    columns[i] = (int8_t)(i * 37 + order);
  }
  how.rows = rows;
  how.columns = columns;
  uint8_t *const x = allocate(bytes), *const y = allocate(bytes);
  fill(s, x, bytes, type->size, order / 32);
  size_t bound, length;
  if (!ac_low_rank_bound(array, &how, &bound)) {
    uint8_t *const chunk = allocate(bound);
    const int error = ac_low_rank_encode(array, &how, 1, x, bytes, chunk, bound, &length);
    if (error && error != AC_E_PARAM && error != AC_E_NOT_FINITE) fail("a matrix cannot be encoded", (uint64_t)error);
    if (!error) {
      const ac_tolerance tolerance = {.absolute = how.tol};
      ac_check check;
      if (ac_decode(chunk, length, NULL, y, bytes, 1)) fail("a product cannot be decoded", length);
      if (how.tol > 0 && (ac_check_bound(array->dtype, x, y, (size_t)count, &tolerance, &check) || check.violations))
        fail("the bound of a product", check.violations);
    }
    free(chunk);
  }
  free(rows);
  free(columns);
  free(x);
  free(y);
}

static void round_trip_parts(const uint8_t *data, size_t size) {
  static const uint8_t dtypes[] = {AC_FLOAT32, AC_FLOAT64, AC_FLOAT16, AC_BFLOAT16};
  source s = {data, data + size};
  const uint8_t choice = next(&s);
  ac_array array;
  memset(&array, 0, sizeof array);
  array.dtype = dtypes[choice & 3];
  array.f_order = choice >> 2 & 1;
  array.ndim = 1 + (choice >> 3 & 1) + (choice >> 4 & 1);
  uint64_t count = 1;
  for (unsigned d = 0; d < array.ndim; d++) {
    array.shape[d] = 1 + next(&s) % 24;
    count *= array.shape[d];
    if (count > 1000) array.shape[d] = 1, count = 1;
  }
  count = 1;
  for (unsigned d = 0; d < array.ndim; d++) count *= array.shape[d];
  active = &tables[(choice >> 6) % n_tables];
  if (choice & 32) round_trip_low_rank(&s, &array, count);
  else round_trip_stochastic(&s, &array, count);
}

/* ---- tables ---- */
static void read_tables(const uint8_t *data, size_t size) {
  source s = {data, data + size};
  const unsigned curve = next(&s) & 1, K = 2 + next(&s) % (AC_MAX_TOKENS - 1), P = 10 + next(&s) % 4, method = next(&s) % 4;
  ac_reader in = {s.p, s.end, 0};
  ac_bitreader bits = {&in, 0, 0};
  uint16_t freq[AC_MAX_TOKENS];
  ac_model_read(&bits, K, P, (int)curve, freq);
  ac_end_bits(&bits);
  if (!in.failed) {
    uint32_t sum = 0;
    for (unsigned i = 0; i < K; i++) sum += freq[i];
    if (sum != 1u << P) fail("frequencies of a table", sum);
    uint32_t *const table = allocate(sizeof *table * ((1u << P) + AC_TABLE_SLACK));
    ac_model_decoder(freq, K, P, table);
    free(table);
  }
  in.failed = 0;
  const uint32_t n = 1 + (s.p < s.end ? *s.p : 0) * 16u;
  uint8_t *const classes = allocate(n);
  ac_sequence_read(&in, method, classes, n, K > AC_MAX_CLASSES ? AC_MAX_CLASSES : K);
  for (uint32_t i = 0; i < n && !in.failed; i++)
    if (classes[i] >= (K > AC_MAX_CLASSES ? AC_MAX_CLASSES : K)) fail("a class", classes[i]);
  free(classes);
}

/* ---- targets ---- */
static void any(const uint8_t *data, size_t size) {
  uint8_t *const chunk = allocate(size);
  memcpy(chunk, data, size);
  decode_everything(chunk, size);
  free(chunk);
}

static void mended(const uint8_t *data, size_t size) {
  uint8_t *const chunk = allocate(size);
  memcpy(chunk, data, size);
  mend(chunk, size);
  decode_everything(chunk, size);
  free(chunk);
}

static const struct {
  const char *name;
  void (*run)(const uint8_t *data, size_t size);
} targets[] = {{"any", any}, {"mended", mended}, {"round", round_trip}, {"tables", read_tables}, {"parts", round_trip_parts}};
static unsigned target;

static void choose(const char *name) {
  for (target = 0; target < sizeof targets / sizeof *targets; target++)
    if (name && !strcmp(name, targets[target].name)) return;
  fprintf(stderr, "no target %s\n", name ? name : "");
  exit(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  active = &tables[0];
  targets[target].run(data, size);
  return 0;
}

#ifdef REPLAY
int main(int argc, char **argv) {
  prepare();
  choose(argc > 1 ? argv[1] : NULL);
  for (int i = 2; i < argc; i++) {
    FILE *const file = fopen(argv[i], "rb");
    static uint8_t data[1 << 20];
    if (!file) fail("no such file", (uint64_t)i);
    const size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    fprintf(stderr, "%s\n", argv[i]); /* the last one is what fails */
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("%d inputs\n", argc - 2);
  return 0;
}
#else
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  prepare();
  choose(getenv("FUZZ_TARGET"));
  return 0;
}
#endif
