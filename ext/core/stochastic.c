/* stochastic.c: see stochastic.h.  In the place of quantizer, predictor and plan: every value is divided by the step of its
 * bucket and rounded to one of two neighbouring whole numbers, at random.  The numbers and the steps are parts, which the
 * codec of the other files stores without loss.
 *
 * QSGD rounds |x| / step up with the probability of its fraction (Alistarh, Grubic, Li, Tomioka, Vojnovic: "QSGD",
 * NeurIPS 2017, arXiv:1610.02132).  Dither adds a number u of [-1/2, 1/2) before it rounds to the nearest, and the decoder
 * subtracts it (L. Schuchman, "Dither signals and their effect on quantization noise", 1964): its error does not depend on
 * the value, and is half a step at most.
 *
 * Invariants: a value's number depends on the key, its index and its bucket's values alone, so neither threads nor the
 * machine change it; sums have one order.  A step has 8 significant bits and is at most norm / levels.  A number of at most
 * 11 bits less a dither of 33 bits, times that, is exact in a double, so that only the conversion to the element type is
 * rounded, and the step is smaller by what that may cost: half of norm / levels bounds the whole error.
 */
#include "stochastic.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../simd/kernels.h"
#include "box.h"
#include "doubles.h"
#include "fpenv.h"
#include "frame.h"
#include "parts.h"
#include "philox.h"
#include "types.h"

enum { MAX_BITS = 9, PIECE = 1024, SUMS = 8 };
enum { FLAG_DITHER = 1, FLAG_MAX = 2, FLAG_FIXED = 4, FLAGS = 7 };
/* of the codes of steps: significant bits beside the leading one, and what is added to exponents */
enum { STEP_BITS = 7, STEP_BIAS = 1100, LAST_STEP = (STEP_BIAS + 1025) << STEP_BITS };

static uint64_t buckets_of(const ac_stochastic *how, uint64_t count) {
  return how->bucket ? count / how->bucket + (count % how->bucket != 0) : 1;
}

static uint64_t bucket_end(const ac_stochastic *how, uint64_t count, uint64_t start) {
  return how->bucket && how->bucket < count - start ? start + how->bucket : count;
}

/* Steps of fixed packing are floats, of float64 doubles. */
static unsigned step_size(const ac_type *type) { return type->dtype == AC_FLOAT64 ? 8 : 4; }

/* ---- steps ---- */
/* The largest number of 8 significant bits that is not above t > 0, but for the smallest of all. */
static double step_of_code(int32_t code) {
  if (!code) return 0;
  const int32_t c = code - 1;
  return ldexp((1 << STEP_BITS) + (c & ((1 << STEP_BITS) - 1)), (c >> STEP_BITS) - STEP_BIAS - STEP_BITS - 1);
}

static int32_t code_of_step(double t) {
  const int32_t smallest = ((-1073 + STEP_BIAS) << STEP_BITS) + 1;
  int e;
  const double fraction = frexp(t, &e);
  int significand = (int)(fraction * (2 << STEP_BITS));
  const int below = -1074 - (e - STEP_BITS - 1); /* bits that are below the smallest double */
  if (below > STEP_BITS || !(t > 0)) return smallest; /* of which all doubles are multiples */
  if (below > 0) significand &= ~((1 << below) - 1);
  return (((e + STEP_BIAS) << STEP_BITS) | (significand - (1 << STEP_BITS))) + 1;
}

/* The largest magnitude and the norm of values; AC_E_NOT_FINITE. */
static int measure(const ac_stochastic *how, int dtype, const void *src, uint64_t from, uint64_t end, double *largest, double *norm) {
  double x[PIECE], most = 0;
  int finite = 1;
  for (uint64_t at = from; at < end; at += PIECE) {
    const unsigned n = end - at < PIECE ? (unsigned)(end - at) : PIECE;
    ac_load_doubles(dtype, src, at, n, x);
    for (unsigned i = 0; i < n; i++) {
      const double magnitude = fabs(x[i]);
      finite &= magnitude <= DBL_MAX;
      most = magnitude > most ? magnitude : most;
    }
  }
  if (!finite) return AC_E_NOT_FINITE;
  *largest = *norm = most;
  if (how->norm == AC_NORM_MAX || !most) return AC_OK;
  int e;
  frexp(most, &e);
  e = e < -1000 ? -1000 : e > 1000 ? 1000 : e; /* squares neither overflow nor all vanish */
  const double unit = ldexp(1, -e);
  double sums[SUMS] = {0};
  for (uint64_t at = from; at < end; at += PIECE) {
    const unsigned n = end - at < PIECE ? (unsigned)(end - at) : PIECE;
    ac_load_doubles(dtype, src, at, n, x);
    for (unsigned i = n; i % SUMS; i++) x[i] = 0;
    for (unsigned i = 0; i < n; i += SUMS)
      for (unsigned j = 0; j < SUMS; j++) {
        const double v = x[i + j] * unit;
        sums[j] += v * v;
      }
  }
  double sum = 0;
  for (unsigned j = 0; j < SUMS; j++) sum += sums[j];
  *norm = ldexp(sqrt(sum), e);
  if (*norm > DBL_MAX) return AC_E_NOT_FINITE;
  /* a sum of 2^31 terms in 8 parts is off by less than 2^-23 of itself, its root by less than half of that */
  *norm *= 1 - 0x1p-24;
  if (*norm < most) *norm = most;
  return AC_OK;
}

/* The step of a bucket, *code for it where it is coded; the largest error goes to *bound if it is larger. */
static int find_step(const ac_stochastic *how, const ac_type *type, const void *src, uint64_t from, uint64_t end, double *step,
                     int32_t *code, double *bound) {
  double largest, norm;
  const int error = measure(how, type->dtype, src, from, end, &largest, &norm);
  if (error) return error;
  *step = 0;
  *code = 0;
  if (!largest) return AC_OK;
  const double levels = (1 << how->bits) - 1;
  double t = norm / levels;
  /* the distance of numbers where the largest may come back: it moves by a step, at most */
  const double gap = ac_spacing(type, largest > t ? largest : t);
  const double most = how->method == AC_METHOD_DITHER ? t / 2 : t + gap / 2;
  if (how->packing == AC_PACKING_FIXED) { /* rounded up, so that no number is above the levels */
    *step = step_size(type) == 8 ? nextafter(t, INFINITY) : (double)nextafterf((float)t, INFINITY);
    if (*step > (step_size(type) == 8 ? DBL_MAX : FLT_MAX)) return AC_E_NOT_FINITE;
    if (*bound < *step + gap) *bound = *step + gap;
    return AC_OK;
  }
  if (how->method == AC_METHOD_DITHER) {
    /* A number before its conversion is half a step from the value, and what the sum in quantize is rounded by.  The
     * conversion moves it by half a gap at most, and by no more than that distance, for the value is a number of the type. */
    const double less = t - gap - t * 0x1p-39, half = t * (0.5 - 0x1p-20);
    t = less > half ? less : half;
  }
  *code = code_of_step(t);
  *step = step_of_code(*code);
  if (*bound < most) *bound = most;
  return AC_OK;
}

/* ---- random numbers ---- */
/* Those of elements [from, from + n), n <= PIECE. */
static void roll(const uint64_t key[2], uint64_t from, unsigned n, uint32_t *words) {
  uint32_t block[AC_PHILOX_WORDS];
  for (uint64_t at = from, end = from + n; at < end;) {
    const unsigned first = at % AC_PHILOX_WORDS, most = AC_PHILOX_WORDS - first;
    const unsigned m = end - at < most ? (unsigned)(end - at) : most;
    ac_philox(key, at / AC_PHILOX_WORDS, block);
    memcpy(words + (at - from), block + first, m * sizeof *words);
    at += m;
  }
}

/* (w + 1/2) / 2^32, which is never 0 nor 1: u + 1/2. */
static inline double dither_of(uint32_t word) { return ((double)word + 0.5) * 0x1p-32; }

/* ---- numbers ---- */
static void quantize(const ac_stochastic *how, int dtype, const void *src, uint64_t from, uint64_t end, double step, const uint64_t key[2], int16_t *q) {
  enum { SHIFT = 4096 }; /* makes what is rounded down positive; its own rounding is in the cost of find_step */
  double x[PIECE];
  uint32_t words[PIECE];
  for (uint64_t at = from; at < end; at += PIECE) {
    const unsigned n = end - at < PIECE ? (unsigned)(end - at) : PIECE;
    if (!step) {
      memset(q + at, 0, n * sizeof *q);
      continue;
    }
    ac_load_doubles(dtype, src, at, n, x);
    roll(key, at, n, words);
    if (how->method == AC_METHOD_DITHER)
      for (unsigned i = 0; i < n; i++) q[at + i] = (int16_t)((int32_t)(x[i] / step + dither_of(words[i]) + SHIFT) - SHIFT);
    else
      for (unsigned i = 0; i < n; i++) {
        const int16_t level = (int16_t)(int32_t)(fabs(x[i]) / step + (double)words[i] * 0x1p-32);
        q[at + i] = x[i] < 0 ? (int16_t)-level : level;
      }
  }
}

static void reconstruct(const ac_stochastic *how, int dtype, const int16_t *q, uint64_t from, uint64_t end, double step, const uint64_t key[2], void *dst) {
  double x[PIECE];
  uint32_t words[PIECE];
  for (uint64_t at = from; at < end; at += PIECE) {
    const unsigned n = end - at < PIECE ? (unsigned)(end - at) : PIECE;
    if (how->method == AC_METHOD_DITHER && step) {
      roll(key, at, n, words);
      for (unsigned i = 0; i < n; i++) x[i] = ((double)q[at + i] - (dither_of(words[i]) - 0.5)) * step;
    } else {
      for (unsigned i = 0; i < n; i++) x[i] = (double)q[at + i] * step;
    }
    ac_store_doubles(dtype, x, n, dst, at);
  }
}

/* ---- fixed packing ---- */
/* 2 + bits bits a value: a sign of two bits, 0, 1 and 2 for negative, zero and positive, above the level.  As many as go into
 * 64 bits are in a word: the first value of word j is value j, and the others follow in steps of the number of words; the first is
 * the highest. */
typedef struct { unsigned width, per_word; uint64_t words; } fixed_layout;

static fixed_layout fixed_of(unsigned bits, uint64_t count) {
  fixed_layout f = {.width = 2 + bits, .per_word = 64 / (2 + bits)};
  f.words = count / f.per_word + (count % f.per_word != 0);
  return f;
}

static int write_fixed(ac_writer *out, unsigned bits, const int16_t *q, uint64_t count) {
  const fixed_layout f = fixed_of(bits, count);
  uint8_t *const p = ac_give(out, 8 * (size_t)f.words);
  if (!p) return AC_E_DST_SIZE;
  for (uint64_t j = 0; j < f.words; j++) {
    uint64_t word = 0;
    for (unsigned i = 0; i < f.per_word; i++) {
      const uint64_t at = i * f.words + j;
      const int v = at < count ? q[at] : 0;
      const uint64_t sign = v < 0 ? 0 : v > 0 ? 2 : 1, level = (uint64_t)(v < 0 ? -v : v);
      word = word << f.width | sign << bits | level;
    }
    ac_store64(p + 8 * j, word);
  }
  return AC_OK;
}

static int read_fixed(ac_reader *in, unsigned bits, int16_t *q, uint64_t count) {
  const fixed_layout f = fixed_of(bits, count);
  const uint8_t *const p = ac_take(in, 8 * (size_t)f.words);
  if (!p) return in->failed;
  for (uint64_t j = 0; j < f.words; j++) {
    uint64_t word = ac_load64(p + 8 * j);
    for (unsigned i = f.per_word; i-- > 0; word >>= f.width) {
      const unsigned sign = word >> bits & 3, level = word & ((1u << bits) - 1);
      const uint64_t at = i * f.words + j;
      if (sign == 3 || (sign == 1) != (level == 0) || (at >= count && level)) return AC_E_FORMAT;
      if (at < count) q[at] = (int16_t)(sign ? (int)level : -(int)level);
    }
    if (word) return AC_E_FORMAT;
  }
  return AC_OK;
}

/* ---- chunks ---- */
static int check(const ac_array *array, const ac_stochastic *how, uint64_t *count) {
  const int error = ac_array_count(array, count);
  if (error) return error;
  const ac_type *type = ac_type_of(array->dtype);
  if (type->kind != AC_KIND_FLOAT || type->values > 1 || !*count || *count > INT32_MAX) return AC_E_PARAM;
  if (how->bits < 1 || how->bits > MAX_BITS || how->method >= AC_METHODS || how->norm >= AC_NORMS) return AC_E_PARAM;
  return how->packing >= AC_PACKINGS ? AC_E_PARAM : AC_OK;
}

int ac_stochastic_bound(const ac_array *array, const ac_stochastic *how, size_t *bound) {
  enum { FIXED = 1 + 1 + 10 + 16 };
  uint64_t count, steps, numbers;
  int error = check(array, how, &count);
  if (error) return error;
  const uint64_t n_buckets = buckets_of(how, count);
  if (how->packing == AC_PACKING_FIXED) {
    steps = n_buckets * step_size(ac_type_of(array->dtype));
    numbers = 8 * fixed_of(how->bits, count).words;
  } else {
    error = ac_part_bound(AC_INT32, 1, &n_buckets, &steps);
    if (!error) error = ac_part_bound(AC_INT16, 1, &count, &numbers);
  }
  return error ? error : ac_parts_bound(FIXED + steps + numbers, bound);
}

static int encode(const ac_array *array, uint64_t count, const ac_stochastic *how, unsigned threads, const void *values, int16_t *q,
                  double *steps, int32_t *codes, void *dst, size_t capacity, size_t *size) {
  const ac_type *type = ac_type_of(array->dtype);
  const uint64_t n_buckets = buckets_of(how, count);
  /* the checksum makes other numbers of the same seed for other values: the chunks of an array, or the steps of a training */
  const uint64_t key[2] = {how->seed, ac_active_kernels()->crc32c(values, count * type->size)};
  double bound = 0;
  uint64_t i = 0;
  for (uint64_t from = 0, end; from < count; from = end, i++) {
    end = bucket_end(how, count, from);
    const int error = find_step(how, type, values, from, end, &steps[i], &codes[i], &bound);
    if (error) return error;
    quantize(how, type->dtype, values, from, end, steps[i], key, q);
  }
  ac_info info;
  ac_writer out;
  int error = ac_parts_describe(array, AC_CODEC_STOCHASTIC, bound > DBL_MAX ? DBL_MAX : bound, &info);
  if (!error) error = ac_parts_begin(&info, dst, capacity, &out);
  if (error) return error;
  const int fixed = how->packing == AC_PACKING_FIXED, dither = how->method == AC_METHOD_DITHER;
  ac_write8(&out, (uint8_t)((dither ? FLAG_DITHER : 0) | (how->norm == AC_NORM_MAX ? FLAG_MAX : 0) | (fixed ? FLAG_FIXED : 0)));
  ac_write8(&out, how->bits);
  ac_write_varint(&out, how->bucket >= count ? 0 : how->bucket);
  for (unsigned j = 0; j < 2 && dither; j++) {
    uint8_t *p = ac_give(&out, 8);
    if (p) ac_store64(p, key[j]);
  }
  if (!fixed) {
    error = ac_part_write(&out, AC_INT32, 0, 1, &n_buckets, 0, 1, codes);
    if (!error) error = ac_part_write(&out, AC_INT16, 0, 1, &count, 0, threads, q);
  } else {
    for (i = 0; i < n_buckets; i++)
      if (step_size(type) == 8) ac_write_f64(&out, steps[i]);
      else ac_write_f32(&out, (float)steps[i]);
    error = write_fixed(&out, how->bits, q, count);
  }
  return error ? error : ac_parts_end(&info, dst, &out, size);
}

int ac_stochastic_encode(const ac_array *array, const ac_stochastic *how, unsigned threads, const void *src, size_t src_size,
                         void *dst, size_t capacity, size_t *size) {
  uint64_t count;
  if (!ac_active_kernels()) return AC_E_ISA;
  int error = check(array, how, &count);
  if (!error && src_size != count * ac_element_size(array->dtype)) error = AC_E_PARAM;
  if (error) return error;
  const uint64_t n_buckets = buckets_of(how, count);
  int16_t *const q = malloc(count * sizeof *q);
  double *const steps = malloc(n_buckets * sizeof *steps);
  int32_t *const codes = malloc(n_buckets * sizeof *codes);
  void *const native = array->big_endian ? malloc(src_size) : NULL;
  if (!q || !steps || !codes || (array->big_endian && !native)) error = AC_E_MEMORY;
  const ac_fpenv saved = ac_fpenv_enter();
  if (!error && native) ac_swap(native, src, count, ac_type_of(array->dtype)->size);
  if (!error) error = encode(array, count, how, threads, native ? native : src, q, steps, codes, dst, capacity, size);
  ac_fpenv_leave(saved);
  free(q);
  free(steps);
  free(codes);
  free(native);
  return error;
}

/* The steps that are stored, one for every bucket: codes are there unless packing is fixed. */
static int read_steps(ac_reader *in, const ac_type *type, int fixed, uint64_t n, const int32_t *codes, double *steps) {
  for (uint64_t i = 0; i < n; i++) {
    if (fixed) steps[i] = step_size(type) == 8 ? ac_read_f64(in) : (double)ac_read_f32(in);
    else if (codes[i] < 0 || codes[i] > LAST_STEP) return AC_E_FORMAT;
    else steps[i] = step_of_code(codes[i]);
    if (!(steps[i] >= 0) || steps[i] > DBL_MAX || (!fixed && codes[i] && !steps[i])) return AC_E_FORMAT;
  }
  return in->failed;
}

int ac_stochastic_decode(ac_reader *block, const ac_info *info, void *dst, unsigned threads) {
  const ac_type *type = ac_type_of(info->array.dtype);
  const uint64_t count = info->count;
  const uint8_t flags = ac_read8(block);
  const int fixed = (flags & FLAG_FIXED) != 0, dither = (flags & FLAG_DITHER) != 0;
  ac_stochastic how = {.bits = ac_read8(block), .method = dither ? AC_METHOD_DITHER : AC_METHOD_QSGD};
  how.bucket = ac_read_varint(block);
  uint64_t key[2] = {0};
  for (unsigned j = 0; j < 2 && dither; j++) {
    const uint8_t *p = ac_take(block, 8);
    if (p) key[j] = ac_load64(p);
  }
  if (block->failed) return block->failed;
  if (flags & ~FLAGS || how.bits < 1 || how.bits > MAX_BITS || how.bucket >= count) return AC_E_FORMAT;
  const uint64_t n_buckets = buckets_of(&how, count);
  /* what the bytes can hold is known before there is memory for it */
  ac_stored_part of_steps, of_numbers;
  int error = AC_OK;
  if (fixed) error = n_buckets * step_size(type) + 8 * fixed_of(how.bits, count).words == ac_remaining(block) ? AC_OK : AC_E_FORMAT;
  else {
    error = ac_part_take(block, AC_INT32, 0, 1, &n_buckets, &of_steps);
    if (!error) error = ac_part_take(block, AC_INT16, 0, 1, &count, &of_numbers);
    if (!error && ac_remaining(block)) error = AC_E_FORMAT;
  }
  if (error) return error;
  int16_t *const q = malloc(count * sizeof *q);
  double *const steps = malloc(n_buckets * sizeof *steps);
  int32_t *const codes = fixed ? NULL : malloc(n_buckets * sizeof *codes);
  if (!q || !steps || (!fixed && !codes)) error = AC_E_MEMORY;
  if (!error && !fixed) error = ac_part_decode(&of_steps, 1, codes);
  if (!error) error = read_steps(block, type, fixed, n_buckets, codes, steps);
  if (!error) error = fixed ? read_fixed(block, how.bits, q, count) : ac_part_decode(&of_numbers, threads, q);
  uint64_t i = 0;
  for (uint64_t from = 0, end; !error && from < count; from = end, i++) {
    end = bucket_end(&how, count, from);
    reconstruct(&how, type->dtype, q, from, end, steps[i], key, dst);
  }
  free(q);
  free(steps);
  free(codes);
  return error;
}
