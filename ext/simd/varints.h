/* varints.h: integers as varints and back, in plain C: LEB128 (DWARF 5, 7.6) of zigzag codes, seven bits a byte, the lowest
 * first, the highest bit of a byte set if another follows.  Part of generic.h.
 *
 * Invariants: what is read is checked byte by byte: no integer has more than 32 bits, none takes more bytes than it needs,
 * and none goes past the end.
 */
#ifndef AC_VARINT_KERNELS_H
#define AC_VARINT_KERNELS_H
#include "kernels.h"

static inline uint32_t zigzag(int32_t v) { return (uint32_t)v << 1 ^ (uint32_t)(v >> 31); }
static inline int32_t unzigzag(uint32_t z) { return (int32_t)(z >> 1 ^ (0u - (z & 1))); }

/* One that may end anywhere before end; NULL if it is none. */
static const uint8_t *read_varint(const uint8_t *p, const uint8_t *end, uint32_t *z) {
  uint32_t v = 0;
  for (unsigned shift = 0; shift < 7 * AC_VARINT_MOST; shift += 7) {
    if (p == end) return NULL;
    const uint32_t byte = *p++;
    v |= (byte & 127) << shift;
    if (byte >= 128) continue;
    *z = v;
    return (shift == 28 && byte > 15) || (shift && !byte) ? NULL : p;
  }
  return NULL;
}

static const uint8_t *read_varints(const uint8_t *p, const uint8_t *end, uint32_t n, int32_t *q) {
  uint32_t i = 0, z;
  /* as long as no check for the end is needed: one and two bytes at once, by branches that most data make foreseeable */
  for (; i < n && end - p >= AC_VARINT_MOST; i++) {
    z = p[0];
    if (z >= 128) {
      z = (z & 127) | (uint32_t)p[1] << 7;
      if (p[1] >= 128) {
        p = read_varint(p, end, &z);
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
  for (; i < n; i++) {
    p = read_varint(p, end, &z);
    if (!p) return NULL;
    q[i] = unzigzag(z);
  }
  return p;
}

/* Of up to four bytes without branches, which mixed sizes make unforeseeable: four bytes are stored, for which there is room,
 * and the next ones over those that are not used. */
static uint8_t *write_varints(const int32_t *q, uint32_t n, uint8_t *p) {
  for (uint32_t i = 0; i < n; i++) {
    uint32_t z = zigzag(q[i]);
    if (__builtin_expect(z < 1u << 28, 1)) {
      const uint32_t two = z >= 1u << 7, three = z >= 1u << 14, four = z >= 1u << 21;
      const uint32_t halves = (z & 0x3fff) | (z >> 14) << 16, groups = (halves & 0x7f007f) | (halves & 0x3f803f80) << 1;
      ac_store32(p, groups | two << 7 | three << 15 | four << 23);
      p += 1 + two + three + four;
    } else {
      for (; z >= 128; z >>= 7) *p++ = (uint8_t)(z | 128);
      *p++ = (uint8_t)z;
    }
  }
  return p;
}
#endif
