/* plain.c: see plain.h.  In the place of tokens, raw bits and rANS, for readers that have nothing but a loop: LEB128 (DWARF
 * 5, 7.6), seven bits a byte, the lowest first, the highest bit of a byte set if another follows.  Zigzag codes, 0 -1 1 -2 2,
 * keep small negative numbers short.
 *
 * Invariants: what is decoded is checked byte by byte: no integer has more than 32 bits, none takes more bytes than it
 * needs, and the n-th ends where the bytes do.
 */
#include "plain.h"

#include "../simd/kernels.h"
#include "quantize.h"

static inline uint32_t zigzag(int32_t v) { return (uint32_t)v << 1 ^ (uint32_t)(v >> 31); }
static inline int32_t unzigzag(uint32_t z) { return (int32_t)(z >> 1 ^ (0u - (z & 1))); }

size_t ac_plain_size(const int32_t *q, uint32_t n) {
  size_t size = n;
  uint32_t more = 0; /* of a piece, which cannot overflow */
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t z = zigzag(q[i]);
    more += (z >= 1u << 7) + (z >= 1u << 14) + (z >= 1u << 21) + (z >= 1u << 28);
    if ((i & 0xffff) == 0xffff) {
      size += more;
      more = 0;
    }
  }
  return size + more;
}

int ac_plain_write(ac_writer *out, const int32_t *q, uint32_t n) {
  uint8_t *p = ac_give(out, ac_plain_size(q, n));
  if (!p) return 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t z = zigzag(q[i]);
    for (; z >= 128; z >>= 7) *p++ = (uint8_t)(z | 128);
    *p++ = (uint8_t)z;
  }
  return 1;
}

/* One that may end anywhere before end; NULL if it is none. */
static const uint8_t *read_one(const uint8_t *p, const uint8_t *end, uint32_t *z) {
  uint32_t v = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    if (p == end) return NULL;
    const uint32_t byte = *p++;
    v |= (byte & 127) << shift;
    if (byte >= 128) continue;
    *z = v;
    return (shift == 28 && byte > 15) || (shift && !byte) ? NULL : p;
  }
  return NULL;
}

enum { PIECE = 512, LONGEST = 5 };

/* m <= PIECE of them; NULL as above. */
static const uint8_t *read_piece(const uint8_t *p, const uint8_t *end, uint32_t m, int32_t *q) {
  uint32_t i = 0, z;
  /* as long as no check for the end is needed: one and two bytes at once, by branches that most data make foreseeable */
  for (; i < m && (size_t)(end - p) >= LONGEST; i++) {
    z = p[0];
    if (z >= 128) {
      z = (z & 127) | (uint32_t)p[1] << 7;
      if (p[1] >= 128) {
        p = read_one(p, end, &z);
        if (!p) return NULL;
      } else {
        if (!p[1]) return NULL;
        p += 2;
      }
    } else {
      p++;
    }
    q[i] = unzigzag(z);
  }
  for (; i < m; i++) {
    p = read_one(p, end, &z);
    if (!p) return NULL;
    q[i] = unzigzag(z);
  }
  return p;
}

int ac_plain_decode(const uint8_t *p, const uint8_t *end, uint32_t n, int out, double delta, void *dst) {
  int32_t q[PIECE];
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    p = read_piece(p, end, m, q);
    if (!p) return AC_E_FORMAT;
    switch (out) {
      case AC_OUT_F32:
        for (uint32_t i = 0; i < m; i++) ((float *)dst)[from + i] = ac_reconstruct_f32(q[i], delta);
        break;
      case AC_OUT_F64:
        for (uint32_t i = 0; i < m; i++) ((double *)dst)[from + i] = ac_reconstruct_f64(q[i], delta);
        break;
      case AC_OUT_F16:
        for (uint32_t i = 0; i < m; i++) ((uint16_t *)dst)[from + i] = ac_reconstruct_f16(q[i], delta);
        break;
      case AC_OUT_BF16:
        for (uint32_t i = 0; i < m; i++) ((uint16_t *)dst)[from + i] = ac_reconstruct_bf16(q[i], delta);
        break;
      default:
        for (uint32_t i = 0; i < m; i++) ((int32_t *)dst)[from + i] = q[i];
    }
  }
  return p == end ? AC_OK : AC_E_FORMAT;
}
