/* neon.c: kernels for AArch64: Advanced SIMD, which all of these machines have, four values a vector, and
 * the instructions for CRC32C.
 *
 * Whole groups of 64 or 128 values go through the kernels here; generic.h does the last group and
 * whatever a vector cannot settle, and stays where a compiler vectorizes it as well (histograms) or a
 * vector would not gain (the rANS encoder: without gathers, its lookups are not worth the way into
 * vectors and back).
 * Invariant: bytes and floats are those of generic.h.  No product here goes into a sum, so there is
 * nothing to contract.
 *
 * Written by counting instructions and tested under emulation only: nobody has measured how fast these
 * are.
 */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "generic.h"

enum { WIDTH = 4 }; /* values in a vector */

/* ---- quantize ---- */
AC_ALWAYS_INLINE uint32_t or_lanes(uint32x4_t v) {
  const uint64x2_t d = vreinterpretq_u64_u32(v);
  const uint64_t both = vgetq_lane_u64(d, 0) | vgetq_lane_u64(d, 1);
  return (uint32_t)(both >> 32 | both);
}

/* Statistics of the group so far.  Sums may wrap, so they are unsigned. */
typedef struct {
  uint32x4_t sum, deviation, magnitude;
} running;

AC_ALWAYS_INLINE uint32x4_t magnitudes4(int32x4_t v) { return vreinterpretq_u32_s32(vabsq_s32(v)); } /* 2^31 for -2^31 */

AC_ALWAYS_INLINE void add_integers(running *s, int32x4_t v) {
  const uint32x4_t a = magnitudes4(v);
  s->sum = vaddq_u32(s->sum, vreinterpretq_u32_s32(v));
  s->deviation = vaddq_u32(s->deviation, a);
  s->magnitude = vorrq_u32(s->magnitude, a);
}

/* The statistics of a whole group, of whose m values so many were refused. */
AC_ALWAYS_INLINE void finish(const running *s, int32_t *q, uint32_t m, const uint32_t *refused, uint32_t n_refused,
                             ac_group_stats *stats) {
  *stats = stats_of(q, m, or_lanes(s->magnitude), (int32_t)vaddvq_u32(s->sum), vaddvq_u32(s->deviation));
  if (UNLIKELY(n_refused == m)) forget_group(q, m, stats, refused);
}

/* Four elements of a type as float32, and float32 rounded to the type. */
AC_ALWAYS_INLINE float32x4_t load_floats(const void *x, const int OUT) {
  if (OUT == AC_OUT_F32) return vld1q_f32(x);
  const uint16x4_t h = vld1_u16(x);
  if (OUT == AC_OUT_F16) return vcvt_f32_f16(vreinterpret_f16_u16(h));
  return vreinterpretq_f32_u32(vshll_n_u16(h, 16));
}

/* Its upper halves are what bfloat16 rounds to. */
AC_ALWAYS_INLINE uint32x4_t round_to_bfloat16(float32x4_t r) {
  const uint32x4_t u = vreinterpretq_u32_f32(r), odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
  return vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), odd);
}

AC_ALWAYS_INLINE float32x4_t round_floats(float32x4_t r, const int OUT) {
  if (OUT == AC_OUT_F32) return r;
  if (OUT == AC_OUT_F16) return vcvt_f32_f16(vcvt_f16_f32(r));
  return vreinterpretq_f32_u32(vandq_u32(round_to_bfloat16(r), vdupq_n_u32(0xffff0000)));
}

/* The definition for one value. */
AC_ALWAYS_INLINE uint32_t settle_any(const void *x, int32_t *q, uint32_t j, const ac_lattice *l, uint32_t *refused,
                                     uint32_t n_refused, const int OUT) {
  return OUT == AC_OUT_F32   ? settle_f32(x, q, j, l, refused, n_refused)
         : OUT == AC_OUT_F64 ? settle_f64(x, q, j, l, refused, n_refused)
         : OUT == AC_OUT_F16 ? settle_f16(x, q, j, l, refused, n_refused)
                             : settle_bf16(x, q, j, l, refused, n_refused);
}

/* Values i to i + 3: in double precision (generic.h's wide short cut), or by the definition. */
AC_ALWAYS_INLINE int32x4_t quantize_wide4(const void *x, int32_t *q, uint32_t i, const ac_lattice *l, uint32_t *refused,
                                          uint32_t *n_refused, const int OUT) {
  const void *const at = (const uint8_t *)x + (size_t)OUT_SIZE[OUT] * i;
  float64x2_t value[2], r[2];
  int64x2_t integers[2];
  uint64x2_t sure[2];
  if (OUT == AC_OUT_F64) {
    value[0] = vld1q_f64(at);
    value[1] = vld1q_f64((const double *)at + 2);
  } else {
    const float32x4_t f = load_floats(at, OUT);
    value[0] = vcvt_f64_f32(vget_low_f32(f));
    value[1] = vcvt_high_f64_f32(f);
  }
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++) {
    const float64x2_t v = vrndnq_f64(vmulq_n_f64(value[h], l->inv)); /* to nearest even */
    r[h] = vmulq_n_f64(v, l->delta);
    sure[h] = vcaleq_f64(v, vdupq_n_f64(AC_QMAX)); /* false for NaN */
    integers[h] = vcvtq_s64_f64(v);
  }
  if (OUT != AC_OUT_F64) {
    const float32x4_t rounded = round_floats(vcvt_high_f32_f64(vcvt_f32_f64(r[0]), r[1]), OUT);
    r[0] = vcvt_f64_f32(vget_low_f32(rounded));
    r[1] = vcvt_high_f64_f32(rounded);
  }
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++) {
    const float64x2_t error = vabdq_f64(value[h], r[h]), tol = vdupq_n_f64(l->tol);
    const int exact = OUT == AC_OUT_F16 || OUT == AC_OUT_BF16; /* see IS_NEAR_f16 */
    sure[h] = vandq_u64(sure[h], exact ? vcleq_f64(error, tol) : vcltq_f64(error, tol));
  }
  const int32x4_t v = vuzp1q_s32(vreinterpretq_s32_s64(integers[0]), vreinterpretq_s32_s64(integers[1]));
  vst1q_s32(q + i, v);
  const uint32x4_t all = vuzp1q_u32(vreinterpretq_u32_u64(sure[0]), vreinterpretq_u32_u64(sure[1]));
  if (LIKELY(vminvq_u32(all))) return v;
  uint32_t is_sure[WIDTH];
  vst1q_u32(is_sure, all);
  for (uint32_t j = 0; j < WIDTH; j++) /* errors about tol, and what is no number */
    if (!is_sure[j]) *n_refused = settle_any(x, q, i + j, l, refused, *n_refused, OUT);
  return vld1q_s32(q + i);
}

/* One whole group, with its statistics in registers; returns the new number of refused values. */
AC_ALWAYS_INLINE uint32_t quantize_vectors(const void *x, int32_t *q, uint32_t first, uint32_t m, const ac_lattice *l,
                                           ac_group_stats *stats, uint32_t *refused, uint32_t n_refused,
                                           const int OUT) {
  running s = {vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0)};
  const uint32_t before = n_refused;
  for (uint32_t i = first; i < first + m; i += RUN) {
    int32x4_t v[RUN / WIDTH];
    uint32x4_t sure = vdupq_n_u32(OUT == AC_OUT_F64 ? 0 : ~0u); /* for doubles there is no shorter way */
#pragma GCC unroll 4
    for (uint32_t h = 0; h < RUN / WIDTH && OUT != AC_OUT_F64; h++) {
      const float32x4_t value = load_floats((const uint8_t *)x + (size_t)OUT_SIZE[OUT] * (i + WIDTH * h), OUT);
      /* to nearest even; 0 for NaN, the nearest there is for what does not fit */
      v[h] = vcvtnq_s32_f32(vmulq_n_f32(value, l->inv_f));
      const float32x4_t r = vmulq_n_f32(vcvtq_f32_s32(v[h]), l->delta_f);
      sure = vandq_u32(sure, vcltq_f32(vabdq_f32(value, r), vdupq_n_f32(l->limit_f))); /* false for NaN */
      sure = vandq_u32(sure, vcltq_u32(magnitudes4(v[h]), vdupq_n_u32(1 << NEAR_BITS)));
      if (OUT != AC_OUT_F32)
        sure = vandq_u32(sure, vcltq_f32(vabdq_f32(value, round_floats(r, OUT)), vdupq_n_f32(l->tol_f)));
    }
    if (OUT == AC_OUT_F64 || UNLIKELY(!vminvq_u32(sure))) {
      for (uint32_t h = 0; h < RUN / WIDTH; h++)
        v[h] = quantize_wide4(x, q, i + WIDTH * h, l, refused, &n_refused, OUT);
    } else {
#pragma GCC unroll 4
      for (uint32_t h = 0; h < RUN / WIDTH; h++) vst1q_s32(q + i + WIDTH * h, v[h]);
    }
#pragma GCC unroll 4
    for (uint32_t h = 0; h < RUN / WIDTH; h++) add_integers(&s, v[h]);
  }
  finish(&s, q + first, m, refused + before, n_refused - before, stats);
  return n_refused;
}

#define DEFINE_QUANTIZE_NEON(F, OUT)                                                                           \
  static uint32_t quantize_##F##_neon(const void *x, uint32_t n, const ac_lattice *l, unsigned group, int32_t *q, \
                                      ac_group_stats *stats, uint32_t *refused) {                             \
    const ac_lattice lattice = *l; /* a copy: stores to q cannot change it */                                 \
    uint32_t n_refused = 0, first = 0;                                                                        \
    for (; first + group <= n; first += group)                                                                \
      n_refused = quantize_vectors(x, q, first, group, &lattice, stats++, refused, n_refused, OUT);           \
    return first < n ? quantize_group_##F(x, q, first, n, &lattice, stats, refused, n_refused) : n_refused;   \
  }
DEFINE_QUANTIZE_NEON(f32, AC_OUT_F32)
DEFINE_QUANTIZE_NEON(f64, AC_OUT_F64)
DEFINE_QUANTIZE_NEON(f16, AC_OUT_F16)
DEFINE_QUANTIZE_NEON(bf16, AC_OUT_BF16)

/* ---- split ---- */
enum { PACK_VECTORS = 16 }; /* up to so many bits four fields fill at most a 64-bit word */
enum { PACK_SLACK = 16 };   /* bytes that pack_vectors may write past the fields */

/* Sixteen fields below 2^k, 1 <= k <= 16, to 2k bytes: fields join in pairs, pairs in fours. */
AC_ALWAYS_INLINE void pack_vectors(const uint32x4_t *f, uint8_t *raw, const unsigned k) {
  const int32x4_t k1 = vdupq_n_s32((int32_t)k);
  const int64x2_t k2 = vdupq_n_s64(2 * (int64_t)k);
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++, raw += k) { /* eight fields, k bytes */
    const uint32x4_t even = vuzp1q_u32(f[2 * h], f[2 * h + 1]), odd = vuzp2q_u32(f[2 * h], f[2 * h + 1]);
    const uint64x2_t pairs = vreinterpretq_u64_u32(vorrq_u32(even, vshlq_u32(odd, k1)));
    const uint64x2_t fours =
        vorrq_u64(vandq_u64(pairs, vdupq_n_u64(0xffffffff)), vshlq_u64(vshrq_n_u64(pairs, 32), k2));
    const uint64_t low = vgetq_lane_u64(fours, 0), high = vgetq_lane_u64(fours, 1);
    ac_store64(raw, low | (k < 16 ? high << (4 * k) : 0));
    ac_store64(raw + 8, high >> (64 - 4 * k));
  }
}

/* One whole group; 0 if a value is outside its window, and then generic.h must do it again. */
AC_ALWAYS_INLINE int split_vectors(const int32_t *q, uint32_t m, const ac_class *c, uint8_t *tokens, uint8_t *raw) {
  const unsigned k = c->k;
  const uint32x4_t base = vdupq_n_u32((uint32_t)c->base), mask = vdupq_n_u32((1u << k) - 1);
  const int32x4_t shift = vdupq_n_s32(-(int32_t)k); /* to the right */
  uint32x4_t most = vdupq_n_u32(0);
  for (uint32_t i = 0; i < m; i += 4 * WIDTH) {
    uint32x4_t u[4], low[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
      u[v] = vsubq_u32(vreinterpretq_u32_s32(vld1q_s32(q + i + WIDTH * v)), base);
      most = vmaxq_u32(most, u[v]);
      low[v] = vandq_u32(u[v], mask);
      u[v] = vshlq_u32(u[v], shift);
    }
    if (k) {
      pack_vectors(low, raw, k);
      raw += 2 * k;
    }
    const uint16x8_t first = vuzp1q_u16(vreinterpretq_u16_u32(u[0]), vreinterpretq_u16_u32(u[1]));
    const uint16x8_t second = vuzp1q_u16(vreinterpretq_u16_u32(u[2]), vreinterpretq_u16_u32(u[3]));
    vst1q_u8(tokens + i, vuzp1q_u8(vreinterpretq_u8_u16(first), vreinterpretq_u8_u16(second)));
  }
  return vmaxvq_u32(most) < (uint32_t)c->n_tokens << k;
}

static uint32_t split_neon(const int32_t *q, uint32_t n, const ac_windows *w, const uint8_t *group_class,
                           uint8_t *tokens, uint8_t *raw, const uint8_t *raw_end, uint32_t *outside) {
  uint32_t n_outside = 0;
  for (uint32_t i = 0; i < n; i += w->group) {
    const ac_class *c = &w->classes[*group_class++];
    const uint32_t m = min_u32(n - i, w->group), size = ac_raw_bytes(m, c->k);
    if (UNLIKELY(m < w->group || c->k > PACK_VECTORS || (size_t)(raw_end - raw) < size + PACK_SLACK ||
                 !split_vectors(q + i, m, c, tokens + i, raw)))
      n_outside = split_group(q + i, m, c, tokens + i, raw, i, outside, n_outside);
    raw += size;
  }
  return n_outside;
}

/* ---- rANS decoder, raw bits, dequantization ---- */
enum { RAW_SLACK = 16 }; /* bytes that put_run may read past the raw fields of a group */

/* What decoding values of a class needs. */
typedef struct {
  uint8x16_t place[2]; /* of raw fields, the first and the second four of eight: their four bytes, */
  int32x4_t shift[2];  /* and bits to drop (negative: to the right) */
  const uint32_t *table;
  int32_t base;
  uint8_t k, has_tokens, image;
} popping;

AC_ALWAYS_INLINE void popping_for(popping *p, const ac_coded *in, unsigned index) {
  const ac_class *c = &in->windows->classes[index];
  for (unsigned h = 0; h < 2; h++) {
    uint8_t place[16];
    int32_t shift[WIDTH];
    for (unsigned j = 0; j < WIDTH; j++) {
      const unsigned bit = (WIDTH * h + j) * c->k, first = (bit >> 3) - (WIDTH * h * c->k >> 3);
      shift[j] = -(int32_t)(bit & 7);
      for (unsigned byte = 0; byte < 4; byte++) place[4 * j + byte] = (uint8_t)(first + byte);
    }
    p->place[h] = vld1q_u8(place);
    p->shift[h] = vld1q_s32(shift);
  }
  p->table = in->tables + ((size_t)index << in->windows->prob_bits);
  p->base = c->base;
  p->k = c->k;
  p->has_tokens = c->n_tokens > 1;
  p->image = c->image ? c->image : NO_IMAGE;
}

/* ac_expand */
AC_ALWAYS_INLINE int32x4_t expand_vector(int32x4_t u, unsigned image) {
  const uint32x4_t a = magnitudes4(u);
  const uint32x4_t e = vqsubq_u32(vshlq_u32(a, vdupq_n_s32(-(int32_t)image)), vdupq_n_u32(1));
  const uint32x4_t v = vshlq_u32(vsubq_u32(a, vshlq_u32(e, vdupq_n_s32((int32_t)image))), vreinterpretq_s32_u32(e));
  const uint32x4_t sign = vreinterpretq_u32_s32(vshrq_n_s32(u, 31));
  return vreinterpretq_s32_u32(vsubq_u32(veorq_u32(v, sign), sign));
}

/* One table entry off one lane; `at` counts the words used.  As ac_refill: no branch. */
AC_ALWAYS_INLINE uint32_t pop_entry(const uint32_t *table, const unsigned P, uint32_t *x, const uint8_t *words,
                                    size_t *at) {
  const uint32_t e = table[*x & ((1u << P) - 1)];
  const uint32_t y = ac_entry_advance(e, *x, P);
  const uint32_t more = y << 16 | ac_load16(words + 2 * *at);
  uint32_t refilled;
  size_t next = *at;
  __asm__("cmp %w2, %4\n\tcsel %w0, %w3, %w2, lo\n\tcinc %1, %1, lo"
          : "=r"(refilled), "+r"(next) : "r"(y), "r"(more), "i"(AC_STATE_MIN) : "cc");
  *at = next;
  *x = refilled;
  return e;
}

/* A group whose entries are there, and which waits to be put out. */
typedef struct {
  const popping *p; /* NULL: nothing waits */
  const uint8_t *raw;
  uint32_t entries[AC_MAX_GROUP];
} popped;

/* Four integers to what is put out. */
AC_ALWAYS_INLINE void put_vector(int32x4_t v, double delta, void *out, const int OUT) {
  if (OUT == AC_OUT_F64) {
    vst1q_f64(out, vmulq_n_f64(vcvtq_f64_s64(vmovl_s32(vget_low_s32(v))), delta));
    vst1q_f64((double *)out + 2, vmulq_n_f64(vcvtq_f64_s64(vmovl_high_s32(v)), delta));
    return;
  }
  if (OUT == AC_OUT_I32) {
    vst1q_s32(out, v);
    return;
  }
  const float32x4_t r = vmulq_n_f32(vcvtq_f32_s32(v), (float)delta);
  if (OUT == AC_OUT_F32) {
    vst1q_f32(out, r);
  } else if (OUT == AC_OUT_F16) {
    vst1_u16(out, vreinterpret_u16_f16(vcvt_f16_f32(r)));
  } else {
    vst1_u16(out, vshrn_n_u32(round_to_bfloat16(r), 16));
  }
}

/* Table entries and raw bits of RUN values, the group's from i on, to floats. */
AC_ALWAYS_INLINE void put_run(const popped *w, uint32_t i, unsigned P, double delta, void *out, const int CONTENTS,
                              const int OUT) {
  const popping *p = w->p;
  const uint32_t k = p->k;
  const uint8_t *raw = w->raw + (i >> 3) * k;
  const uint8x16_t place[2] = {p->place[0], p->place[1]}; /* stores to out cannot change them */
  const int32x4_t shift[2] = {p->shift[0], p->shift[1]};
  const int32x4_t prob_bits = vdupq_n_s32(-(int32_t)P), up = vdupq_n_s32((int32_t)k);
  const uint32x4_t symbols = vdupq_n_u32((1u << (32 - 2 * P)) - 1), low_bits = vdupq_n_u32((1u << k) - 1);
  const uint32x4_t base = vdupq_n_u32((uint32_t)p->base);
#pragma GCC unroll 4
  for (uint32_t h = 0; h < RUN / WIDTH; h++) {
    uint32x4_t value = vandq_u32(vshlq_u32(vld1q_u32(w->entries + i + WIDTH * h), prob_bits), symbols);
    if (CONTENTS != TOKENS_ONLY) {
      const uint8x16_t bytes = vld1q_u8(raw + (h >> 1) * k + (h & 1 ? k >> 1 : 0));
      const uint32x4_t four = vreinterpretq_u32_u8(vqtbl1q_u8(bytes, place[h & 1]));
      value = vorrq_u32(vshlq_u32(value, up), vandq_u32(vshlq_u32(four, shift[h & 1]), low_bits));
    }
    int32x4_t v = vreinterpretq_s32_u32(vaddq_u32(value, base));
    if (CONTENTS == WITH_IMAGES) v = expand_vector(v, p->image);
    put_vector(v, delta, OUT_AT(out, OUT, i + WIDTH * h), OUT);
  }
}

/* Popping is work for the scalar units, putting out for the vector units: while a group is popped, the one
 * before it is put out, RUN values of each in turns. */
AC_ALWAYS_INLINE int decode_neon(const ac_coded *in, ac_cursor *at, uint32_t first, uint32_t last, void *out,
                                 const int CONTENTS, const int OUT) {
  const uint32_t group = in->windows->group, L = in->windows->lanes;
  const unsigned P = in->windows->prob_bits;
  popping classes[AC_MAX_CLASSES];
  popped waiting[2];
  for (unsigned c = 0; c < in->windows->n_classes; c++) popping_for(&classes[c], in, c);
  waiting[0].p = waiting[1].p = NULL;

  uint32_t i = first, g = first / group;
#define PUT_RUN(w, j) put_run(w, j, P, in->delta, OUT_AT(out, OUT, i - group), CONTENTS, OUT)
  for (; i + group <= last; i += group, g++) { /* whole groups, while there is room to read behind the raw bits */
    const popping *p = &classes[in->group_class[g]];
    const size_t raw_size = ac_raw_bytes(group, p->k);
    if (UNLIKELY((size_t)(at->raw_end - at->raw) < raw_size + RAW_SLACK)) break;
    if (UNLIKELY(p->has_tokens && look_ahead(at))) return AC_E_FORMAT;
    popped *const this = &waiting[g & 1], *const before = &waiting[~g & 1];
    this->p = p;
    this->raw = at->raw;
    at->raw += raw_size;
    const uint8_t *const words = at->words; /* stores to states cannot change it */
    size_t used = 0;
    for (uint32_t j = 0; j < group; j += RUN) {
      if (LIKELY(p->has_tokens))
        for (uint32_t s = j; s < j + RUN; s += 4) {
          uint32_t *x = at->x + (s & (L - 1)), *e = this->entries + s; /* lanes: 4, 8, 16, ... */
          e[0] = pop_entry(p->table, P, &x[0], words, &used);
          e[1] = pop_entry(p->table, P, &x[1], words, &used);
          e[2] = pop_entry(p->table, P, &x[2], words, &used);
          e[3] = pop_entry(p->table, P, &x[3], words, &used);
        }
      else
        memset(this->entries + j, 0, RUN * sizeof *this->entries);
      if (LIKELY(before->p)) PUT_RUN(before, j);
    }
    at->words = words + 2 * used;
  }
  const popped *left = &waiting[~g & 1];
  for (uint32_t j = 0; left->p && j < group; j += RUN) PUT_RUN(left, j);
#undef PUT_RUN
  for (; i < last; i += group, g++) {
    const int bad = decode_group_any(in, at, in->group_class[g], min_u32(last - i, group), OUT_AT(out, OUT, i), OUT);
    if (bad) return bad;
  }
  return AC_OK;
}

/* One instance for every output and contents. */
#define DEFINE_DECODE_NEON(F, OUT)                                                                         \
  static int decode_##F##_neon(const ac_coded *in, ac_cursor *at, uint32_t first, uint32_t last, void *out) { \
    const ac_windows *w = in->windows;                                                                    \
    const int exact = OUT == AC_OUT_F64 || OUT == AC_OUT_I32;                                              \
    if (last - first < w->group || !(exact || all_in_float(w)))                                           \
      return decode_##F(in, at, first, last, out);                                                        \
    switch (contents_of(w)) {                                                                             \
      case WITH_IMAGES: return decode_neon(in, at, first, last, out, WITH_IMAGES, OUT);                   \
      case WITH_RAW: return decode_neon(in, at, first, last, out, WITH_RAW, OUT);                         \
      default: return decode_neon(in, at, first, last, out, TOKENS_ONLY, OUT);                            \
    }                                                                                                     \
  }
DEFINE_DECODE_NEON(f32, AC_OUT_F32)
DEFINE_DECODE_NEON(f64, AC_OUT_F64)
DEFINE_DECODE_NEON(f16, AC_OUT_F16)
DEFINE_DECODE_NEON(bf16, AC_OUT_BF16)
DEFINE_DECODE_NEON(i32, AC_OUT_I32)

/* ---- checksum ---- */
/* Eight bytes in two or three cycles: far below the time that what they stand for takes to decode.  The
 * instructions by name, since headers for them differ between compilers. */
static uint32_t crc32c_neon(const void *data, size_t size) {
  const uint8_t *p = data;
  uint32_t crc = 0xFFFFFFFFu;
  for (; size >= 8; size -= 8, p += 8)
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(ac_load64(p)));
  for (; size; size--, p++) __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)*p));
  return ~crc;
}

const ac_kernels ac_kernels_neon = {
    "neon", {quantize_f32_neon, quantize_f64_neon, quantize_f16_neon, quantize_bf16_neon}, statistics, to_wide,
    from_wide, extent, divide, join, count, weigh, significands, to_image, split_neon, encode_any,
    {decode_f32_neon, decode_f64_neon, decode_f16_neon, decode_bf16_neon, decode_i32_neon}, crc32c_neon, affine, ROW_KERNELS};
#endif
