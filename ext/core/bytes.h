/* bytes.h: bounded little-endian readers and writers, for bytes and for bits.
 *
 * The only pointer arithmetic on untrusted input.  Both readers are sticky: after the first read
 * past the end (or malformed number) they return zeros and `failed` stays set, so that a parser
 * reads a whole structure and checks once.
 */
#ifndef AC_BYTES_H
#define AC_BYTES_H
#include <stdint.h>
#include <string.h>

#include "../arraycodec.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "arraycodec needs a little-endian host"
#endif

/* Of functions that are compiled once for each of some constants. */
#define AC_ALWAYS_INLINE static inline __attribute__((always_inline))

static inline uint16_t ac_load16(const void *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static inline uint32_t ac_load32(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t ac_load64(const void *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline void ac_store16(void *p, uint16_t v) { memcpy(p, &v, 2); }
static inline void ac_store32(void *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void ac_store64(void *p, uint64_t v) { memcpy(p, &v, 8); }

/* The bits of a value of 1, 2, 4 or 8 bytes. */
static inline uint64_t ac_load_bits(const void *p, unsigned size) {
  switch (size) {
    case 1: return *(const uint8_t *)p;
    case 2: return ac_load16(p);
    case 4: return ac_load32(p);
    default: return ac_load64(p);
  }
}

/* Of 0 it is 0. */
static inline unsigned ac_bit_length(uint64_t v) { return v ? 64 - (unsigned)__builtin_clzll(v) : 0; }

static inline uint64_t ac_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int64_t ac_unzigzag(uint64_t u) { return (int64_t)(u >> 1) ^ -(int64_t)(u & 1); }

/* ---- bytes ---- */
typedef struct {
  const uint8_t *p, *end;
  int failed; /* 0, AC_E_TRUNCATED or AC_E_FORMAT */
} ac_reader;

static inline size_t ac_remaining(const ac_reader *r) { return (size_t)(r->end - r->p); }

/* The next n bytes, or NULL. */
static inline const uint8_t *ac_take(ac_reader *r, size_t n) {
  if (r->failed || ac_remaining(r) < n) {
    if (!r->failed) r->failed = AC_E_TRUNCATED;
    return NULL;
  }
  const uint8_t *p = r->p;
  r->p += n;
  return p;
}

static inline uint8_t ac_read8(ac_reader *r) { const uint8_t *p = ac_take(r, 1); return p ? *p : 0; }
static inline uint16_t ac_read16(ac_reader *r) { const uint8_t *p = ac_take(r, 2); return p ? ac_load16(p) : 0; }
static inline uint32_t ac_read32(ac_reader *r) { const uint8_t *p = ac_take(r, 4); return p ? ac_load32(p) : 0; }
static inline float ac_read_f32(ac_reader *r) {
  const uint8_t *p = ac_take(r, 4);
  float v = 0;
  if (p) memcpy(&v, p, 4);
  return v;
}
static inline double ac_read_f64(ac_reader *r) {
  const uint8_t *p = ac_take(r, 8);
  double v = 0;
  if (p) memcpy(&v, p, 8);
  return v;
}

/* LEB128; at most 10 bytes, and the shortest form only (one number, one spelling). */
static inline uint64_t ac_read_varint(ac_reader *r) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    const uint8_t *p = ac_take(r, 1);
    if (!p) return 0;
    uint64_t b = *p & 0x7f;
    if (shift == 63 && b > 1) break;
    v |= b << shift;
    if (!(*p & 0x80)) {
      if (shift && !*p) break;
      return v;
    }
  }
  r->failed = AC_E_FORMAT;
  return 0;
}

typedef struct {
  uint8_t *p, *end;
  int failed; /* set when something did not fit */
} ac_writer;

static inline uint8_t *ac_give(ac_writer *w, size_t n) {
  if (w->failed || (size_t)(w->end - w->p) < n) {
    w->failed = 1;
    return NULL;
  }
  uint8_t *p = w->p;
  w->p += n;
  return p;
}

static inline void ac_write8(ac_writer *w, uint8_t v) { uint8_t *p = ac_give(w, 1); if (p) *p = v; }
static inline void ac_write16(ac_writer *w, uint16_t v) { uint8_t *p = ac_give(w, 2); if (p) ac_store16(p, v); }
static inline void ac_write32(ac_writer *w, uint32_t v) { uint8_t *p = ac_give(w, 4); if (p) ac_store32(p, v); }
static inline void ac_write_f32(ac_writer *w, float v) { uint8_t *p = ac_give(w, 4); if (p) memcpy(p, &v, 4); }
static inline void ac_write_f64(ac_writer *w, double v) { uint8_t *p = ac_give(w, 8); if (p) memcpy(p, &v, 8); }
static inline void ac_write_varint(ac_writer *w, uint64_t v) {
  for (; v >= 0x80; v >>= 7) ac_write8(w, (uint8_t)(v | 0x80));
  ac_write8(w, (uint8_t)v);
}

/* Put the length of all that was written from `start` on in front of it. */
static inline void ac_insert_length(ac_writer *w, uint8_t *start) {
  if (w->failed) return;
  uint8_t digits[10];
  ac_writer number = {digits, digits + sizeof digits, 0};
  const size_t length = (size_t)(w->p - start);
  ac_write_varint(&number, length);
  const size_t n = (size_t)(number.p - digits);
  if (!ac_give(w, n)) return;
  memmove(start + n, start, length);
  memcpy(start, digits, n);
}

/* ---- bits, least significant first ---- */
typedef struct {
  ac_reader *bytes;
  uint64_t acc;
  unsigned n;
} ac_bitreader;

static inline uint32_t ac_read_bits(ac_bitreader *b, unsigned n) { /* n <= 32 */
  while (b->n < n) {
    b->acc |= (uint64_t)ac_read8(b->bytes) << b->n;
    b->n += 8;
  }
  uint32_t v = (uint32_t)(b->acc & ((1ull << n) - 1));
  b->acc >>= n;
  b->n -= n;
  return v;
}

/* Have more than 56 bits at hand, or all there are. */
static inline void ac_fill_bits(ac_bitreader *b) {
  const unsigned more = (63 - b->n) / 8;
  if (ac_remaining(b->bytes) >= 8 && !b->bytes->failed) {
    if (more) b->acc |= (ac_load64(b->bytes->p) & (UINT64_MAX >> (64 - 8 * more))) << b->n;
    b->bytes->p += more;
    b->n += 8 * more;
  } else {
    for (; b->n <= 56 && ac_remaining(b->bytes); b->n += 8) b->acc |= (uint64_t)ac_read8(b->bytes) << b->n;
  }
}

/* Zero bits before a one bit, and past it; more than `most` fail. */
static inline uint32_t ac_read_zeros(ac_bitreader *b, uint32_t most) {
  uint32_t zeros = 0;
  for (;;) {
    ac_fill_bits(b);
    if (b->acc) {
      const unsigned z = (unsigned)__builtin_ctzll(b->acc);
      b->acc = b->acc >> z >> 1;
      b->n -= z + 1;
      zeros += z;
      break;
    }
    zeros += b->n;
    if (!b->n) zeros = UINT32_MAX; /* none are left */
    b->n = 0;
    if (zeros > most) break;
  }
  if (zeros <= most) return zeros;
  if (!b->bytes->failed) b->bytes->failed = AC_E_FORMAT;
  return 0;
}

/* Whole bytes that were not needed go back; the padding bits of the last one must be zero. */
static inline void ac_end_bits(ac_bitreader *b) {
  b->bytes->p -= b->n / 8;
  if (b->acc & ((1u << b->n % 8) - 1) && !b->bytes->failed) b->bytes->failed = AC_E_FORMAT;
  b->acc = 0;
  b->n = 0;
}

/* Exp-Golomb codes (J. Teuhola, 1978): of order o, with u = v + 2^o of t + 1 bits, t - o zeros, a one, and the low
 * t bits of u.  v < 2^32. */
static inline uint32_t ac_read_golomb(ac_bitreader *b, unsigned order) {
  const unsigned top = order + ac_read_zeros(b, 32 - order);
  const uint64_t v = (1ull << top | ac_read_bits(b, top)) - (1ull << order);
  if (v > UINT32_MAX && !b->bytes->failed) b->bytes->failed = AC_E_FORMAT;
  return (uint32_t)v;
}

typedef struct {
  ac_writer *bytes;
  uint64_t acc;
  unsigned n;
} ac_bitwriter;

static inline void ac_write_bits(ac_bitwriter *b, uint32_t v, unsigned n) { /* n <= 32, v < 2^n */
  b->acc |= (uint64_t)v << b->n;
  for (b->n += n; b->n >= 8; b->n -= 8, b->acc >>= 8) ac_write8(b->bytes, (uint8_t)b->acc);
}

static inline void ac_write_zeros(ac_bitwriter *b, uint32_t zeros) {
  for (; zeros > 32; zeros -= 32) ac_write_bits(b, 0, 32);
  ac_write_bits(b, 0, zeros);
  ac_write_bits(b, 1, 1);
}

static inline unsigned ac_golomb_bits(uint32_t v, unsigned order) {
  const uint64_t u = v + (1ull << order);
  return 2 * (63 - (unsigned)__builtin_clzll(u)) - order + 1;
}

static inline void ac_write_golomb(ac_bitwriter *b, uint32_t v, unsigned order) {
  const uint64_t u = v + (1ull << order);
  const unsigned top = 63 - (unsigned)__builtin_clzll(u);
  ac_write_zeros(b, top - order);
  ac_write_bits(b, (uint32_t)(u & ((1ull << top) - 1)), top);
}

static inline void ac_flush_bits(ac_bitwriter *b) {
  if (b->n) ac_write8(b->bytes, (uint8_t)b->acc);
  b->acc = 0;
  b->n = 0;
}

/* ---- short integers: m significand bits after the leading one ---- */
/* Every octave above 2^(m+1) has 2^m of them; ac_expand_short numbers them, ac_shorten is its inverse where v is
 * one of them, and else numbers the next smaller one. */
static inline uint32_t ac_expand_short(uint32_t a, unsigned m) {
  const uint32_t octave = a >> m, e = octave ? octave - 1 : 0;
  return e + m > 31 ? UINT32_MAX : (a - (e << m)) << e; /* what does not fit is too large anyway */
}

static inline uint32_t ac_shorten(uint32_t v, unsigned m) {
  const unsigned length = ac_bit_length(v), e = length > m + 1 ? length - m - 1 : 0;
  return (e << m) + (v >> e);
}
#endif
